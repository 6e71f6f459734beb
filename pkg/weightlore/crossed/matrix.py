"""Cross two fates: a network that had the first is asked the question of the second.

    PAIRS                            the thirty ordered pairs of two fates, each with its experiments
    WITHOUT_SENSE                    experiments that say nothing, and why
    cross(first, second, ...)        one experiment: the network and the healthy one of the same seed

Each experiment is paired: both networks begin with the same weights and see the same batches, and both are asked with
the same draws. What the first fate did is the difference.
"""

from dataclasses import dataclass

import torch

from weightlore.crossed.fates import EPOCHS
from weightlore.crossed.preparations import FATES, PREPARATIONS, preparation_of, prepare
from weightlore.crossed.questions import QUESTIONS, Question, ask, question_of
from weightlore.errors import ParameterError, require_option

__all__ = ["PAIRS", "WITHOUT_SENSE", "Crossing", "Pair", "cross", "experiments"]

WITHOUT_SENSE: dict[tuple[str, str], str] = {
    ("ensembled", "nonzero"): "five healthy networks have the digits of a healthy one",
    ("binarized", "nonzero"): "a weight of one bit needs one cell; the digits of its scale are an accident",
    ("binarized", "rounded"): "the weights are signs already",
    ("struck", "accuracy"): "accuracy is what it was struck for",
}


@dataclass(frozen=True)
class Pair:
    """Two fates in order.

    Args:
        first: what happened to the network.
        second: whose questions it is asked.
        experiments: names of preparation and question, for each that makes sense.

    Source: ours
    """

    first: str
    second: str
    experiments: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Crossing:
    """One experiment with one seed.

    Args:
        first: name of the preparation.
        second: name of the question.
        value: answer of the network that had the fate, in the unit of the question.
        control: answer of the healthy network. Where the question compares explanations with those of the healthy
            network, that of another healthy one, from other initial weights.

    Source: ours
    """

    first: str
    second: str
    value: float
    control: float

    @property
    def question(self) -> Question:
        """What was asked."""
        return QUESTIONS[self.second]

    @property
    def gain(self) -> float:
        """By how much the network is better than the control, in the unit of the question."""
        return self.question.gain(self.value, self.control)


def experiments(first: str, second: str) -> tuple[tuple[str, str], ...]:
    """Return the experiments of two fates: every preparation of the first with every question of the second.

    Args:
        first: one of ``FATES``.
        second: one of ``FATES``; the same one for a check that the first fate did what it is for.

    Returns:
        Names of preparation and question; those of ``WITHOUT_SENSE`` are left out.

    Raises:
        ParameterError: if one is no fate.

    Example:
        >>> experiments("sliced", "corrupted")
        (('sliced', 'attacked'), ('sliced', 'shaken'))

    Source: ours
    """
    for fate in (first, second):
        require_option("a fate", fate, FATES)
    prepared = [one.name for one in PREPARATIONS.values() if one.fate == first]
    asked = [one.name for one in QUESTIONS.values() if one.fate == second]
    return tuple((one, other) for one in prepared for other in asked if (one, other) not in WITHOUT_SENSE)


PAIRS: tuple[Pair, ...] = tuple(
    Pair(first, second, experiments(first, second)) for first in FATES for second in FATES if first != second
)


def cross(first: str, second: str, *, generator: torch.Generator, epochs: int = EPOCHS) -> Crossing:
    """Prepare a network and a healthy one of the same seed, ask both the same question, and return both answers.

    Args:
        first: name of the preparation, a key of ``PREPARATIONS``. ``"healthy"`` gains 0, unless explanations are
            compared.
        second: name of the question, a key of ``QUESTIONS``.
        generator: three seeds are drawn from it: for both networks, for another healthy one where explanations are
            compared, and for what the question draws.
        epochs: as in ``prepare``.

    Returns:
        The answers of both.

    Raises:
        ParameterError: if there is no such preparation or question, or the experiment says nothing.

    Source: ours
    """
    question = question_of(second)
    preparation_of(first)  # an error before anything is trained
    if (first, second) in WITHOUT_SENSE:
        raise ParameterError(
            f"to ask {second!r} of a {first!r} network says nothing: {WITHOUT_SENSE[first, second]}; "
            "choose another question"
        )
    seed, other, chance = torch.randint(2**62, (3,), generator=generator).tolist()
    healthy = prepare("healthy", generator=_seeded(seed), epochs=epochs)
    network = prepare(first, generator=_seeded(seed), epochs=epochs)
    control = prepare("healthy", generator=_seeded(other), epochs=epochs) if question.compared else healthy
    value, known = (ask(second, one, healthy, generator=_seeded(chance)) for one in (network, control))
    return Crossing(first, second, value, known)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
