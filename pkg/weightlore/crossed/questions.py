"""The questions of a crossing, each one number and the direction in which it is better.

    QUESTIONS                            name -> Question
    ask(name, network, healthy, ...)     the number
    question_of(name)                    what is known of it

Every fate brings its own questions: what its paper measures. ``"accuracy"`` belongs to none and says what the first
fate cost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from weightlore.crossed.reading import agrees, miscalibrated, nonzero_digits, settles, surprised, tells_apart
from weightlore.crossed.surviving import adapted, attacked, chipped, rounded, shaken, untouched
from weightlore.errors import require_option

__all__ = ["QUESTIONS", "Ask", "Question", "ask", "question_of"]

Ask = Callable[[nn.Module, nn.Module, torch.Generator], float]


@dataclass(frozen=True)
class Question:
    """What is asked of a network that already had a fate.

    Args:
        name: unique among the questions.
        fate: whose question it is; ``"healthy"`` for none.
        words: what is measured.
        unit: of the number; empty for a share or a correlation.
        better: whether a ``"larger"`` or a ``"smaller"`` number is better.
        ask: from the network, the healthy one of the same seed and a generator to the number.
        compared: whether the healthy network is part of the question. The control is then another healthy network.

    Source: ours
    """

    name: str
    fate: str
    words: str
    unit: str
    better: Literal["larger", "smaller"]
    ask: Ask
    compared: bool = False

    def gain(self, value: float, control: float) -> float:
        """Return by how much a value is better than the control; negative where it is worse.

        Args:
            value: of the network, in the unit of the question.
            control: of the healthy one, likewise.
        """
        return value - control if self.better == "larger" else control - value


QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        Question(
            "accuracy",
            "healthy",
            "accuracy on the test digits",
            "%",
            "larger",
            lambda network, healthy, generator: untouched(network),
        ),
        Question(
            "attacked",
            "corrupted",
            "accuracy after ten steps along the gradient, 4 % of the length of theta",
            "%",
            "larger",
            lambda network, healthy, generator: attacked(network),
        ),
        Question(
            "shaken",
            "corrupted",
            "mean accuracy after random moves of 40 % of the length of theta",
            "%",
            "larger",
            lambda network, healthy, generator: shaken(network, generator=generator),
        ),
        Question(
            "adapted",
            "transferred",
            "accuracy on digits turned by 60 degrees, tuned to 50 of them",
            "%",
            "larger",
            lambda network, healthy, generator: adapted(network, generator=generator),
        ),
        Question(
            "miscalibrated",
            "uncertain",
            "expected calibration error on digits turned by 30 degrees",
            "",
            "smaller",
            lambda network, healthy, generator: miscalibrated(network),
        ),
        Question(
            "surprised",
            "uncertain",
            "log loss on the test digits",
            "nats",
            "smaller",
            lambda network, healthy, generator: surprised(network),
        ),
        Question(
            "tells-apart",
            "uncertain",
            "AUROC of digits against patches of photographs",
            "",
            "larger",
            lambda network, healthy, generator: tells_apart(network, generator=generator),
        ),
        Question(
            "agrees-signed",
            "explained",
            "rank correlation of its signed explanations with those of the healthy network",
            "",
            "larger",
            lambda network, healthy, generator: agrees(network, healthy, sign="signed"),
            compared=True,
        ),
        Question(
            "agrees-abs",
            "explained",
            "rank correlation of the magnitudes of its explanations with those of the healthy network",
            "",
            "larger",
            lambda network, healthy, generator: agrees(network, healthy, sign="abs"),
            compared=True,
        ),
        Question(
            "nonzero",
            "sliced",
            "share of the 2-bit digits of its 8-bit weights that are not zero",
            "%",
            "smaller",
            lambda network, healthy, generator: nonzero_digits(network),
        ),
        Question(
            "chipped",
            "sliced",
            "accuracy on a crossbar whose cells miss by 10 % of the largest conductance, less that in software",
            "points",
            "larger",
            lambda network, healthy, generator: chipped(network, generator=generator),
        ),
        Question(
            "rounded",
            "binarized",
            "accuracy after its weights were rounded to their signs",
            "%",
            "larger",
            lambda network, healthy, generator: rounded(network),
        ),
        Question(
            "settles",
            "binarized",
            "mean number of time steps until its spiking form decides",
            "steps",
            "smaller",
            lambda network, healthy, generator: settles(network),
        ),
    )
}


def ask(name: str, network: nn.Module, healthy: nn.Module, *, generator: torch.Generator) -> float:
    """Ask a network a question and return the number.

    Args:
        name: of the question, a key of ``QUESTIONS``.
        network: what is asked; left as it is.
        healthy: the healthy network of the same seed, for questions that compare with it.
        generator: draws labels, directions, patches or cells, where the question needs some.

    Raises:
        ParameterError: if there is no such question, or as what it calls.
        MissingExtra: if the question needs photographs and pillow is not installed.

    Source: ours
    """
    return question_of(name).ask(network, healthy, generator)


def question_of(name: str) -> Question:
    """Return a question by its name.

    Args:
        name: a key of ``QUESTIONS``.

    Raises:
        ParameterError: if there is no such question; the message lists them.

    Source: ours
    """
    require_option("a question", name, QUESTIONS)
    return QUESTIONS[name]
