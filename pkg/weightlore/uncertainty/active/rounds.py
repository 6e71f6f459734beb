"""Active learning as it is compared: label a few, learn, ask for a few more, and see how fast the test error falls.

    for each seed:  label 2 examples of each class
    for each round: learn from scratch on what is labeled; measure on the test set; ask for the labels of some more

    run               the curves of some acquisitions beside the random one, which is always drawn
    ActiveLearning    the curves of all seeds, and their bands

All acquisitions start from the same labels and learn with the same seeds, so that what differs is what was asked.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from weightlore.data import Split, few_labels
from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.active.acquisition import Acquisition, acquire
from weightlore.uncertainty.calibration.binned_errors import expected_calibration_error
from weightlore.uncertainty.measures.members import Members, mean_of
from weightlore.uncertainty.measures.scores import nll_categorical
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["ActiveLearning", "Learner", "Measure", "Round", "run"]

Learner = Callable[[Split, torch.Generator], Callable[[Tensor], Members]]
"""Learns from scratch on labeled examples and returns what predicts class probabilities of inputs."""

Measure = Literal["accuracy", "nll", "ece"]


@dataclass(frozen=True)
class Round:
    """What a callback is told after each learning.

    Args:
        seed: number of the repetition, from 0.
        acquisition: by which the labels were asked for.
        labeled: how many examples have a label.
        accuracy: on the test set.
        nll: likewise, in nats.
        ece: likewise, over as many bins, up to 15, as leave 20 examples to each.

    Source: ours
    """

    seed: int
    acquisition: Acquisition
    labeled: int
    accuracy: float
    nll: float
    ece: float


@dataclass(frozen=True, eq=False)
class ActiveLearning:
    """Learning curves by acquisition, one for each seed.

    Args:
        labeled: how many examples have a label in each of T rounds, shape (T,), int64.
        accuracy: on the test set, by acquisition, shape (seeds, T), float64.
        nll: likewise, in nats.
        ece: likewise.

    Source: ours, because one seed of a curve says little
    """

    labeled: Tensor
    accuracy: Mapping[str, Tensor]
    nll: Mapping[str, Tensor]
    ece: Mapping[str, Tensor]

    def band(self, acquisition: Acquisition, measure: Measure = "accuracy") -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation over the seeds, each of shape (T,).

        Args:
            acquisition: one of those that were run.
            measure: which curve.

        Raises:
            ParameterError: if there is no such measure, or the acquisition was not run.
        """
        require_option("measure", measure, Measure)
        curves: Mapping[str, Tensor] = {"accuracy": self.accuracy, "nll": self.nll, "ece": self.ece}[measure]
        if acquisition not in curves:
            raise ParameterError(f"acquisition is one of those that were run, {', '.join(curves)}; got {acquisition!r}")
        return curves[acquisition].mean(0), curves[acquisition].std(0, correction=0)


def run(
    learn: Learner,
    pool: Split,
    test: Split,
    *,
    acquisitions: Sequence[Acquisition] = ("entropy", "bald"),
    rounds: int = 5,
    count: int = 10,
    per_class: int = 2,
    seeds: int = 5,
    callback: Callable[[Round], None] | None = None,
    generator: torch.Generator,
) -> ActiveLearning:
    """Learn from more and more labels of a pool, asked for in several ways, and return the curves.

    Args:
        learn: called with the labeled examples and a generator, which in each round of a seed is in the same state for
            every acquisition.
        pool: examples whose labels can be asked for, with class numbers y.
        test: where the learners are measured, always the same.
        acquisitions: how to ask, beside ``"random"``, which is always run.
        rounds: how often labels are asked for; T = rounds + 1 measurements.
        count: labels in each round.
        per_class: labels of each class at the start.
        seeds: repetitions with other first labels and generators; fewer than 5 bring a warning.
        callback: called after each learning.
        generator: source of all randomness.

    Returns:
        The curves, the random one first.

    Raises:
        ParameterError: if a number is out of range, there is no such acquisition, or the pool is too small.

    Example:
        >>> from weightlore.data import digits
        >>> learn = lambda known, generator: lambda x: torch.full((2, len(x), 10), 0.1)
        >>> train, test, generator = digits("train"), digits("test"), torch.Generator().manual_seed(0)
        >>> run(learn, train, test, rounds=2, generator=generator).labeled
        tensor([20, 30, 40])

    Source: [gawlikowski2023uncertainty], active learning as a task; the protocol is ours
    """
    names: tuple[Acquisition, ...] = ("random", *(name for name in acquisitions if name != "random"))
    for name in names:
        require_option("acquisition", name, Acquisition)
    first = per_class * len(pool.y.unique())
    if min(rounds, count, seeds) < 1 or first + rounds * count > len(pool):
        raise ParameterError(
            f"rounds, count and seeds must be >= 1, and {first} first labels with {rounds} times {count} more must be "
            f"in the pool of {len(pool)}, got seeds={seeds}; ask for fewer"
        )
    if seeds < 5:
        warnings.warn(
            f"a band over {seeds} seeds may miss what the next seed shows; take 5 or more",
            UncertaintyWarning,
            stacklevel=2,
        )
    found = torch.zeros(len(names), 3, seeds, rounds + 1, dtype=torch.float64)
    for seed in range(seeds):
        _repetition(learn, pool, test, names, found[:, :, seed], count, per_class, seed, callback, generator)
    curves = [MappingProxyType(dict(zip(names, found[:, measure], strict=True))) for measure in range(3)]
    return ActiveLearning(first + count * torch.arange(rounds + 1), *curves)


def _repetition(
    learn: Learner,
    pool: Split,
    test: Split,
    names: Sequence[Acquisition],
    found: Tensor,  # (acquisitions, 3, T)
    count: int,
    per_class: int,
    seed: int,
    callback: Callable[[Round], None] | None,
    generator: torch.Generator,
) -> None:
    """Fill in the curves of one seed."""
    steps = found.shape[-1]
    rows = Split(torch.arange(len(pool)), pool.y.cpu())
    first = few_labels(rows, per_class, generator=generator).x
    draws = torch.randint(2**62, (2, steps), generator=generator, device=generator.device).tolist()
    start = learn(pool[first], torch.Generator().manual_seed(draws[0][0]))
    for name, curve in zip(names, found, strict=True):
        labeled, predict = first, start
        for step in range(steps):
            if step > 0:
                rest = _others(labeled, len(pool))
                chooser = torch.Generator().manual_seed(draws[1][step])
                asked = acquire(predict(pool.x[rest]), count, acquisition=name, generator=chooser)
                labeled = torch.cat([labeled, rest[asked.cpu()]])
                predict = learn(pool[labeled], torch.Generator().manual_seed(draws[0][step]))
            curve[:, step] = torch.tensor(_measured(predict(test.x), test.y), dtype=torch.float64)
            if callback is not None:
                callback(Round(seed, name, len(labeled), *curve[:, step].tolist()))


def _others(rows: Tensor, count: int) -> Tensor:
    """Return the rows that are not among the given ones, in order."""
    left = torch.ones(count, dtype=torch.bool)
    left[rows] = False
    return left.nonzero()[:, 0]


def _measured(p: Members, y: Tensor) -> tuple[float, float, float]:
    """Return accuracy, negative log likelihood and calibration error of a prediction."""
    mean = mean_of(p)
    accuracy = float((mean.argmax(-1) == y).double().mean())
    bins = max(1, min(15, len(y) // 20))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)  # of a test set below 20, which has one bin
        ece = float(expected_calibration_error(mean, y, bins=bins))
    return accuracy, float(nll_categorical(mean, y, eps=None)), ece
