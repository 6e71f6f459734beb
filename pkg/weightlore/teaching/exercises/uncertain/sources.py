"""Sources: two parts of a variance, the floor under flipped labels, how many examples more, a known posterior."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.sources import BayesianLinearRegression, decompose_variance, flip_entropy

__all__ = ["FLIP_FLOOR", "HOW_MANY_MORE", "KNOWN_LINE", "TWO_PARTS", "VARIANTS"]


@dataclass(frozen=True)
class _Members:
    """Means and variances that two members predict."""

    means: tuple[float, float] = (0.0, 4.0)
    variances: tuple[float, float] = (1.0, 3.0)

    @property
    def parts(self) -> tuple[float, float]:
        """The part of the data and that of the model."""
        columns = (torch.tensor(numbers, dtype=torch.float64).view(2, 1, 1) for numbers in (self.means, self.variances))
        parts = decompose_variance(*columns)
        return float(parts.data), float(parts.model)


def _pairs(generator: torch.Generator) -> _Members:
    low = integer(generator, -3, 5)
    means = several(generator, (low, low + 2 * integer(generator, 1, 4)), 2)
    first, second = several(generator, range(1, 10), 2)
    return _Members((float(means[0]), float(means[1])), (float(first), float(second)))


def _two_parts(d: _Members) -> Exercise:
    (m1, m2), (v1, v2), (data, model) = d.means, d.variances, d.parts
    total = data + model
    return Exercise(
        id="uncertain.two_parts",
        prompt=f"Two members predict means {m1:g} and {m2:g} and variances {v1:g} and {v2:g}. Answer: [total, data "
        "part, model part], as variances.",
        nudge="The mean of the variances, and the variance of the means.",
        hint=f"Both means are {abs(m1 - m2) / 2:g} away from their middle.",
        right=f"Each member by itself would have said {v1:g} or {v2:g}.",
        reference=lambda: [total, data, model],
        diagnoses=(
            Diagnosis("S - 1", "Equation (1) divides by S, not by S - 1: the members are the whole mixture.",
                      lambda: [data + 2 * model, data, 2 * model]),
            Diagnosis("swapped", "Data and model part have changed places.", lambda: [total, model, data]),
            Diagnosis("deviations", "These are standard deviations; those do not add up. Give variances.",
                      lambda: [math.sqrt(total), math.sqrt(data), math.sqrt(model)]),
            Diagnosis("summed", "Variances are averaged over members, not added.",
                      lambda: [2 * data + model, 2 * data, model]),
            Diagnosis("independent", "This is the variance of the mean of two draws; a mixture draws a member first.",
                      lambda: [data / 2 + model, data / 2, model]),
            Diagnosis("order", "The total comes first, then the data part.", lambda: [data, model, total]),
        ),
    )  # fmt: skip


def _rates() -> list[tuple[float, int]]:
    return [(0.2, 10), (0.1, 3), (0.5, 2), (0.0, 4), (1.0, 2), (1.0, 5)]


def _term(p: float) -> float:
    return -p * math.log(p) if p > 0 else 0.0


UNITS = {math.e: "in nats", 2: "in bits"}


def _flip_floor(base: float) -> Exercise:
    unit, ln, nats = UNITS.get(base, f"to the base {base:g}"), math.log(base), base == math.e
    log = "ln" if nats else f"log_{base:g}"
    other = (
        Diagnosis("bits", "These are bits; the natural logarithm gives nats.",
                  lambda rate, classes: flip_entropy(rate, classes) / math.log(2))
        if nats else
        Diagnosis("nats", f"These are nats; divide them by ln {base:g}.", flip_entropy)
    )  # fmt: skip
    return Exercise(
        id="uncertain.flip_floor",
        prompt=f"Write the entropy of the best possible answer{'' if nats else f', with {log}'}. Answer: a function "
        "of (rate, classes) that "
        f"returns the entropy {unit} of a label that is flipped, each other class being as likely.",
        given="The true class of a picture is certain; its label is flipped with the probability `rate`.",
        nudge="Which probabilities does the best answer give to the C classes?",
        hint=f"1 - r once, and r / (C - 1) another C - 1 times; 0 {log} 0 is 0.",
        right=f"At a rate of 1 it is {log}(C - 1): even a liar tells which class it is not.",
        reference=lambda rate, classes: flip_entropy(rate, classes) / ln,
        inputs=_rates,
        diagnoses=(
            Diagnosis("one other", "There are C - 1 other classes, and r is shared among them.",
                      lambda rate, classes: (_term(1 - rate) + _term(rate)) / ln),
            Diagnosis("itself", "A flipped label is another one; r / C lets it stay the same.",
                      lambda rate, classes:
                      (_term(1 - rate + rate / classes) + (classes - 1) * _term(rate / classes)) / ln),
            other,
            Diagnosis("counted once", "There are C - 1 classes with the probability r / (C - 1); you counted one.",
                      lambda rate, classes: (_term(1 - rate) + _term(rate / (classes - 1))) / ln),
            Diagnosis("sign", "An entropy is not negative.", lambda rate, classes: -flip_entropy(rate, classes) / ln),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Parts:
    """Two standard deviations with a number of examples, and the total that is wanted."""

    data: float = 0.5
    model: float = 0.2
    wanted: float = 0.51
    at: int = 50

    @property
    def over(self) -> float:
        """What the variance of the model may be."""
        return self.wanted**2 - self.data**2

    def needed(self) -> int:
        """The number of examples from which on the total standard deviation is reached."""
        return _up(self.at * self.model**2 / self.over)


def _up(number: float) -> int:
    return math.ceil(round(number, 6))


def _parts(generator: torch.Generator) -> _Parts:
    data = one_of(generator, (0.3, 0.4, 0.5, 0.6, 0.8))
    wanted = round(data + one_of(generator, (0.01, 0.02)), 2)
    return _Parts(data, one_of(generator, (0.2, 0.3, 0.4)), wanted, one_of(generator, (20, 30, 40, 50, 60, 80)))


def _how_many_more(d: _Parts) -> Exercise:
    n, off = d.needed(), d.wanted - d.data
    return Exercise(
        id="uncertain.how_many_more",
        prompt=f"With {d.at} examples the data part is {d.data:g} and the model part {d.model:g}, as standard "
        f"deviations. With how many in all is the total standard deviation {d.wanted:g} or less? Answer: a whole "
        "number.",
        given="The variance of the model part falls like one over the number of examples, the data part stays.",
        nudge="What adds up, standard deviations or variances?",
        hint=f"{d.data**2:.4g} + {d.model**2:.4g} * {d.at} / n must not be larger than {d.wanted:g} squared.",
        right=f"Below {d.data:g} no number of examples leads.",
        reference=d.needed,
        tolerance=1e-6,
        diagnoses=(
            Diagnosis("deviations", "You added standard deviations; variances add up.",
                      lambda: _up(d.at * d.model / off)),
            Diagnosis("both", "You added standard deviations and let them fall like 1 / sqrt(n); variances add up.",
                      lambda: _up(d.at * (d.model / off) ** 2)),
            Diagnosis("rounded down", f"With {n - 1} the total is a hair above {d.wanted:g}; round up.", lambda: n - 1),
            Diagnosis("more", "These are the examples to be added; how many is that in all?", lambda: n - d.at),
            Diagnosis("rate", "You let the model's standard deviation fall like 1 / n; its variance does.",
                      lambda: _up(d.at * d.model / math.sqrt(d.over))),
        ),
    )  # fmt: skip


def _lines() -> list[tuple[Tensor, float, float, Tensor]]:
    drawn = torch.Generator().manual_seed(0)
    found = []
    for n, width, tau, s2 in ((12, 3, 2.0, 0.25), (5, 2, 0.5, 4.0), (2, 4, 1.0, 0.5)):
        x, new = (torch.randn(rows, width, generator=drawn, dtype=torch.float64) for rows in (n, 6))
        found.append((x, tau, s2, new))
    return found


@dataclass(frozen=True)
class _Line:
    """How often each row was measured."""

    times: int = 1

    def precision(self, x: Tensor, tau: float, s2: float) -> Tensor:
        x = x.repeat(self.times, 1)
        return tau * torch.eye(x.shape[1], dtype=x.dtype) + x.T @ x / s2

    def variance(self, x: Tensor, tau: float, s2: float, new: Tensor) -> Tensor:
        x = x.repeat(self.times, 1)
        model = BayesianLinearRegression(tau, s2).fit(x, torch.zeros_like(x[:, :1]))
        return model.predict(new).epistemic_var[:, 0]


def _quadratic(new: Tensor, covariance: Tensor) -> Tensor:
    return (new @ covariance * new).sum(1)


def _known_line(d: _Line) -> Exercise:
    once = d.times == 1
    measured = "" if once else f" where each row of x was measured {d.times} times"
    again = () if once else (
        Diagnosis("once", f"Each row counts {d.times} times.", _Line().variance),
    )  # fmt: skip
    return Exercise(
        id="uncertain.known_line",
        prompt=f"Write the model part of linear regression{measured}. Answer: a function of (x, tau, s2, new), x "
        "(N, D), new (M, D), that returns the variances of new . theta, shape (M,).",
        given="y = x . theta with normal noise of variance s2, and a normal prior around 0 with the precision tau for "
        "each parameter. The model part is the variance of what is predicted without the noise.",
        nudge="First A, then one number for each row of new.",
        hint="(new @ A.inverse() * new).sum(1), with A = tau I + " + ("" if once else f"{d.times} ") + "x^T x / s2.",
        right="The targets do not occur.",
        reference=d.variance,
        inputs=_lines,
        diagnoses=(*_other_lines(d), *again),
    )


def _other_lines(d: _Line) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("with noise", "The noise s2 is the data part; leave it out.",
                  lambda x, tau, s2, new: d.variance(x, tau, s2, new) + s2),
        Diagnosis("deviation", "These are standard deviations.",
                  lambda x, tau, s2, new: d.variance(x, tau, s2, new).sqrt()),
        Diagnosis("not inverted", "A is a precision; its inverse is the covariance.",
                  lambda x, tau, s2, new: _quadratic(new, d.precision(x, tau, s2))),
        Diagnosis("noise forgotten", "x^T x is to be divided by the noise variance.",
                  lambda x, tau, s2, new: d.variance(x, tau, 1.0, new)),
        Diagnosis("prior inverted", "tau is a precision, not a variance: tau I, not I / tau.",
                  lambda x, tau, s2, new: d.variance(x, 1 / tau, s2, new)),
        Diagnosis("diagonal", "Parameters are correlated; the diagonal of A alone is not enough.",
                  lambda x, tau, s2, new: _quadratic(new, d.precision(x, tau, s2).diagonal().reciprocal().diag())),
        Diagnosis("pairs", "This is the covariance of all pairs, (M, M); its diagonal was asked for.",
                  lambda x, tau, s2, new: new @ d.precision(x, tau, s2).inverse() @ new.T),
    )  # fmt: skip


TWO_PARTS, FLIP_FLOOR = _two_parts(_Members()), _flip_floor(math.e)
HOW_MANY_MORE, KNOWN_LINE = _how_many_more(_Parts()), _known_line(_Line())

VARIANTS = {
    TWO_PARTS.id: Variants(_two_parts, _pairs),
    FLIP_FLOOR.id: Variants(
        _flip_floor,
        lambda generator: one_of(generator, (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 16.0, 20.0)),
    ),
    HOW_MANY_MORE.id: Variants(_how_many_more, _parts),
    KNOWN_LINE.id: Variants(_known_line, lambda generator: _Line(integer(generator, 2, 15))),
}
