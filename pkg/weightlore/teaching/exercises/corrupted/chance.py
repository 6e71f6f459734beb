"""What chance finds, and what it says of the curvature."""

import math

import torch
from torch import Tensor

from weightlore.corruption import Budget, cosine_tail, random
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["LOTTERY", "TRACE"]

REACH, SIZE = 0.1, 10_000  # a tenth of the optimum, ten thousand parameters


def _needed() -> float:
    return 1 / float(cosine_tail(REACH, SIZE))


def _number(answer: object) -> float:
    return float(answer)  # type: ignore[arg-type]


def _decades(answer: object, value: float, within: float) -> bool:
    return _number(answer) > 0 and abs(math.log10(_number(answer) / value)) <= within


LOTTERY = Exercise(
    id="corrupted.lottery",
    prompt="How many random corruptions must you try, on average, until one gains a tenth of the first-order optimum, "
    "with 10,000 parameters? Answer: the number, such as 1e6.",
    nudge="The share of the optimum is a cosine. What is the probability that a random direction has a cosine of 0.1?",
    hint="cosine_tail(0.1, 10_000) is the probability of one try; the number of tries is its inverse.",
    right="At a million tries a second that is five billion years. One gradient does ten times as well.",
    reference=_needed,
    accept=lambda answer: _decades(answer, _needed(), 0.35),
    diagnoses=(
        Diagnosis(
            "inverse",
            "This is the probability of one try; how many tries is that?",
            matches=lambda a: _decades(a, 1 / _needed(), 0.4),
        ),
        Diagnosis(
            "logarithm",
            "This is the power of ten; give the number itself.",
            matches=lambda a: abs(abs(_number(a)) - math.log10(_needed())) < 0.6,
        ),
        Diagnosis(
            "bound",
            "This is exp(P x^2 / 2), the bound without its factor; the exact tail is smaller by another power of ten.",
            matches=lambda a: _decades(a, math.exp(SIZE * REACH**2 / 2), 0.5),
        ),
        Diagnosis(
            "linear",
            "Ten tries of a tenth do not add up, and neither do the squares: only the best of all tries counts.",
            matches=lambda a: 1 < _number(a) <= 1e6,
        ),
        Diagnosis(
            "too few", "The cosine falls off faster than you think.", matches=lambda a: 0 < _number(a) < _needed()
        ),
        Diagnosis("too many", "So unlikely it is not.", matches=lambda a: _number(a) > _needed()),
    ),
)


def _losses() -> list[tuple[Tensor, float, float, int]]:
    """Return losses of corrupted copies, base loss, epsilon and size, for two quadratics drawn once."""
    tried = []
    for size, epsilon, seed in ((4, 0.5, 0), (50, 0.1, 1)):
        generator = torch.Generator().manual_seed(seed)
        root = torch.randn(size, size, generator=generator, dtype=torch.float64)
        a = random(size, Budget(epsilon), generator=generator, trials=64)
        tried.append((1.5 + ((a @ root) ** 2).sum(1) / 2, 1.5, epsilon, size))
    return tried


def _trace(losses: Tensor, base: float, epsilon: float, size: int) -> Tensor:
    return 2 * size * (torch.as_tensor(losses) - base).mean() / epsilon**2


TRACE = Exercise(
    id="corrupted.trace",
    prompt="The mean loss change of random corruptions of L2 size epsilon is epsilon^2 tr(H) / (2 P). Estimate the "
    "trace. Answer: a function of (losses, base, epsilon, size): the losses (S,) of corrupted copies, the loss before.",
    nudge="Solve the equation for tr(H); the mean over draws stands for the expectation.",
    hint="tr(H) is about 2 P mean(losses - base) / epsilon^2.",
    right="The linear term a . g has mean zero and drops out; pairs a and -a would remove its noise as well.",
    reference=_trace,
    inputs=_losses,
    diagnoses=(
        Diagnosis(
            "factor 2",
            "A factor of 2 is missing: the second term of Taylor's series has 1/2.",
            lambda x, b, e, s: _trace(x, b, e, s) / 2,
        ),
        Diagnosis("size", "The number of parameters is missing.", lambda x, b, e, s: _trace(x, b, e, s) / s),
        Diagnosis(
            "epsilon",
            "You divided by epsilon; the change goes with its square.",
            lambda x, b, e, s: _trace(x, b, e, s) * e,
        ),
        Diagnosis("base", "You took the losses and not their change.", lambda x, b, e, s: _trace(x, 0.0, e, s)),
        Diagnosis(
            "sum", "You summed over draws; the expectation is a mean.", lambda x, b, e, s: _trace(x, b, e, s) * len(x)
        ),
    ),
    tolerance=1e-6,
)
