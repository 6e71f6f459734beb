"""What chance finds, and what it says of the curvature."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightlore.corruption import Budget, cosine_tail, random
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["LOTTERY", "TRACE"]

SHARES = {20: "a twentieth", 10: "a tenth", 8: "an eighth", 5: "a fifth", 4: "a quarter"}
TIMES = {20: "twenty", 10: "ten", 8: "eight", 5: "five", 4: "four"}
EXPONENTS = (25, 30, 40, 50, 60, 75)  # P x^2 / 2: from some 10^12 to some 10^34 tries
SECONDS, TRIES = 3.156e7, 1e6  # of a year; in a second


@dataclass(frozen=True)
class _Lottery:
    """One over the share of the optimum, and the number of parameters."""

    inverse: int = 10
    size: int = 10_000

    @property
    def reach(self) -> float:
        return 1 / self.inverse

    @property
    def needed(self) -> float:
        return 1 / float(cosine_tail(self.reach, self.size))


def _lotteries(generator: torch.Generator) -> _Lottery:
    inverse = one_of(generator, tuple(SHARES))
    return _Lottery(inverse, 2 * one_of(generator, EXPONENTS) * inverse**2)


def _number(answer: object) -> float:
    return float(answer)  # type: ignore[arg-type]


def _decades(answer: object, value: float, within: float) -> bool:
    return _number(answer) > 0 and abs(math.log10(_number(answer) / value)) <= within


def _years(tries: float) -> str:
    """Return how long a million tries a second take, in words."""
    years = tries / TRIES / SECONDS
    for name, unit in (("billion", 1e9), ("million", 1e6)):
        if unit <= years < 1000 * unit:
            count = round(years / unit)
            return f"{TIMES.get(count, str(count))} {name}"
    return f"{years:.0f}" if years < 1e6 else f"10^{math.log10(years):.0f}"


def _lottery(d: _Lottery) -> Exercise:
    return Exercise(
        id="corrupted.lottery",
        prompt=f"How many random corruptions must you try, on average, until one gains {SHARES[d.inverse]} of the "
        f"first-order optimum, with {d.size:,} parameters? Answer: the number, such as 1e6.",
        given="To first order a corruption a gains a . g, with g the gradient of the loss. All corruptions here have "
        "the same L2 length and may move every parameter.",
        nudge="The share of the optimum is a cosine. What is the probability that a random direction has a cosine of "
        f"{d.reach:g}?",
        hint=f"cosine_tail({d.reach:g}, {d.size:_}) is the probability of one try; the number of tries is its inverse.",
        right=f"At a million tries a second that is {_years(d.needed)} years. One gradient does {TIMES[d.inverse]} "
        "times as well.",
        reference=lambda: d.needed,
        accept=lambda answer: _decades(answer, d.needed, 0.35),
        diagnoses=(
            Diagnosis(
                "inverse",
                "This is the probability of one try; how many tries is that?",
                matches=lambda a: _decades(a, 1 / d.needed, 0.4),
            ),
            Diagnosis(
                "logarithm",
                "This is the power of ten; give the number itself.",
                matches=lambda a: abs(abs(_number(a)) - math.log10(d.needed)) < 0.6,
            ),
            Diagnosis(
                "bound",
                "This is exp(P x^2 / 2), the bound without its factor; the exact tail is smaller by another power of "
                "ten.",
                matches=lambda a: _decades(a, math.exp(d.size * d.reach**2 / 2), 0.5),
            ),
            *_guesses(d),
        ),
    )


def _guesses(d: _Lottery) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "linear",
            f"{TIMES[d.inverse].capitalize()} tries of {SHARES[d.inverse]} do not add up, and neither do the squares: "
            "only the best of all tries counts.",
            matches=lambda a: 1 < _number(a) <= 1e6,
        ),
        Diagnosis(
            "too few", "The cosine falls off faster than you think.", matches=lambda a: 0 < _number(a) < d.needed
        ),
        Diagnosis("too many", "So unlikely it is not.", matches=lambda a: _number(a) > d.needed),
    )


@dataclass(frozen=True)
class _Curvature:
    """How long corruptions are, in words, its square in words, as a function of epsilon and P, and what is asked."""

    length: str = "epsilon"
    square: str = "epsilon^2"
    long: Callable[[float, int], float] = lambda epsilon, size: epsilon
    mean: bool = False

    @property
    def asked(self) -> str:
        return "mean eigenvalue of H, the trace divided by P" if self.mean else "trace"

    def losses(self) -> list[tuple[Tensor, float, float, int]]:
        """Return losses of corrupted copies, base loss, epsilon and size, for two quadratics drawn once."""
        tried = []
        for size, epsilon, seed in ((4, 0.5, 0), (50, 0.1, 1)):
            generator = torch.Generator().manual_seed(seed)
            root = torch.randn(size, size, generator=generator, dtype=torch.float64)
            a = random(size, Budget(self.long(epsilon, size)), generator=generator, trials=64)
            tried.append((1.5 + ((a @ root) ** 2).sum(1) / 2, 1.5, epsilon, size))
        return tried

    def found(self, losses: Tensor, base: float, epsilon: float, size: int) -> Tensor:
        eigenvalue = 2 * (torch.as_tensor(losses) - base).mean() / self.long(epsilon, size) ** 2
        return eigenvalue if self.mean else size * eigenvalue


LENGTHS = (
    _Curvature(),
    _Curvature("2 epsilon", "(2 epsilon)^2", lambda epsilon, size: 2 * epsilon),
    _Curvature("3 epsilon", "(3 epsilon)^2", lambda epsilon, size: 3 * epsilon),
    _Curvature("4 epsilon", "(4 epsilon)^2", lambda epsilon, size: 4 * epsilon),
    _Curvature("5 epsilon", "(5 epsilon)^2", lambda epsilon, size: 5 * epsilon),
    _Curvature("epsilon / 2", "(epsilon / 2)^2", lambda epsilon, size: epsilon / 2),
    _Curvature("sqrt(P) epsilon", "P epsilon^2", lambda epsilon, size: math.sqrt(size) * epsilon),
)


def _curvatures(generator: torch.Generator) -> _Curvature:
    return replace(one_of(generator, LENGTHS), mean=one_of(generator, (False, True)))


def _trace(d: _Curvature) -> Exercise:
    what, times = ("mean eigenvalue", "2") if d.mean else ("tr(H)", "2 P")
    return Exercise(
        id="corrupted.trace",
        prompt=f"The mean loss change of random corruptions of L2 size {d.length} is {d.square} tr(H) / (2 P). "
        f"Estimate the {d.asked}. Answer: a function of (losses, base, epsilon, size): the losses (S,) of corrupted "
        "copies, the loss before, epsilon and P.",
        given="H is the Hessian of the loss, P the number of parameters; directions are random, so that the gradient "
        "plays no part on average.",
        nudge=f"Solve the equation for {'tr(H) / P' if d.mean else 'tr(H)'}; the mean over draws stands for the "
        "expectation.",
        hint=f"{'The ' if d.mean else ''}{what} is about {times} mean(losses - base) / {_divisor(d)}.",
        right="The linear term a . g has mean zero and drops out; pairs a and -a would remove its noise as well.",
        reference=d.found,
        inputs=d.losses,
        diagnoses=_slips(d),
        tolerance=1e-6,
    )


def _slips(d: _Curvature) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "factor 2",
            "A factor of 2 is missing: the second term of Taylor's series has 1/2.",
            lambda x, b, e, s: d.found(x, b, e, s) / 2,
        ),
        Diagnosis(
            "size",
            "The mean eigenvalue is the trace divided by P." if d.mean else "The number of parameters is missing.",
            lambda x, b, e, s: d.found(x, b, e, s) * (s if d.mean else 1 / s),
        ),
        Diagnosis(
            "epsilon",
            "You divided by the length; the change goes with its square."
            if d.length != "epsilon"
            else "You divided by epsilon; the change goes with its square.",
            lambda x, b, e, s: d.found(x, b, e, s) * d.long(e, s),
        ),
        Diagnosis("base", "You took the losses and not their change.", lambda x, b, e, s: d.found(x, 0.0, e, s)),
        Diagnosis(
            "sum",
            "You summed over draws; the expectation is a mean.",
            lambda x, b, e, s: d.found(x, b, e, s) * len(x),
        ),
    )


def _divisor(d: _Curvature) -> str:
    return f"({d.square})" if " " in d.square and "(" not in d.square else d.square


LOTTERY, TRACE = _lottery(_Lottery()), _trace(_Curvature())

VARIANTS = {LOTTERY.id: Variants(_lottery, _lotteries, on_paper=False), TRACE.id: Variants(_trace, _curvatures)}
