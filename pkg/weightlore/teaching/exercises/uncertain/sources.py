"""Sources: two parts of a variance, the floor under flipped labels, how many examples more, a known posterior."""

import math

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.sources import BayesianLinearRegression, decompose_variance, flip_entropy

__all__ = ["FLIP_FLOOR", "HOW_MANY_MORE", "KNOWN_LINE", "TWO_PARTS"]


def _two_parts() -> list[float]:
    means = torch.tensor([0.0, 4.0], dtype=torch.float64).view(2, 1, 1)
    variances = torch.tensor([1.0, 3.0], dtype=torch.float64).view(2, 1, 1)
    parts = decompose_variance(means, variances)
    return [float(parts.total), float(parts.data), float(parts.model)]


TWO_PARTS = Exercise(
    id="uncertain.two_parts",
    prompt="Two members predict means 0 and 4 and variances 1 and 3. Answer: [total, data part, model part], as "
    "variances.",
    nudge="The mean of the variances, and the variance of the means.",
    hint="Both means are 2 away from their middle.",
    right="Each member by itself would have said 1 or 3.",
    reference=_two_parts,
    diagnoses=(
        Diagnosis("S - 1", "Equation (1) divides by S, not by S - 1: the members are the whole mixture.",
                  lambda: [10.0, 2.0, 8.0]),
        Diagnosis("swapped", "Data and model part have changed places.", lambda: [6.0, 4.0, 2.0]),
        Diagnosis("deviations", "These are standard deviations; those do not add up. Give variances.",
                  lambda: [math.sqrt(6), math.sqrt(2), 2.0]),
        Diagnosis("summed", "Variances are averaged over members, not added.", lambda: [8.0, 4.0, 4.0]),
        Diagnosis("independent", "This is the variance of the mean of two draws; a mixture draws a member first.",
                  lambda: [5.0, 1.0, 4.0]),
        Diagnosis("order", "The total comes first, then the data part.", lambda: [2.0, 4.0, 6.0]),
    ),
)  # fmt: skip


def _rates() -> list[tuple[float, int]]:
    return [(0.2, 10), (0.1, 3), (0.5, 2), (0.0, 4), (1.0, 2), (1.0, 5)]


def _term(p: float) -> float:
    return -p * math.log(p) if p > 0 else 0.0


FLIP_FLOOR = Exercise(
    id="uncertain.flip_floor",
    prompt="Write equation (5). Answer: a function of (rate, classes) that returns the entropy in nats of a label that "
    "is flipped, each other class being as likely.",
    nudge="Which probabilities does the best answer give to the C classes?",
    hint="1 - r once, and r / (C - 1) another C - 1 times; 0 ln 0 is 0.",
    right="At a rate of 1 it is ln(C - 1): even a liar tells which class it is not.",
    reference=flip_entropy,
    inputs=_rates,
    diagnoses=(
        Diagnosis("one other", "There are C - 1 other classes, and r is shared among them.",
                  lambda rate, classes: _term(1 - rate) + _term(rate)),
        Diagnosis("itself", "A flipped label is another one; r / C lets it stay the same.",
                  lambda rate, classes: _term(1 - rate + rate / classes) + (classes - 1) * _term(rate / classes)),
        Diagnosis("bits", "These are bits; the natural logarithm gives nats.",
                  lambda rate, classes: flip_entropy(rate, classes) / math.log(2)),
        Diagnosis("counted once", "There are C - 1 classes with the probability r / (C - 1); you counted one.",
                  lambda rate, classes: _term(1 - rate) + _term(rate / (classes - 1))),
        Diagnosis("sign", "An entropy is not negative.", lambda rate, classes: -flip_entropy(rate, classes)),
    ),
)  # fmt: skip


def _needed(data: float, model: float, total: float, at: int) -> int:
    """The number of examples from which on the total standard deviation is reached."""
    return math.ceil(round(at * model**2 / (total**2 - data**2), 6))


HOW_MANY_MORE = Exercise(
    id="uncertain.how_many_more",
    prompt="With 50 examples the data part is 0.5 and the model part 0.2, as standard deviations. With how many in all "
    "is the total standard deviation 0.51 or less? Answer: a whole number.",
    nudge="What adds up, standard deviations or variances?",
    hint="0.25 + 0.04 * 50 / n must not be larger than 0.51 squared.",
    right="Below 0.5 no number of examples leads.",
    reference=lambda: _needed(0.5, 0.2, 0.51, 50),
    tolerance=1e-6,
    diagnoses=(
        Diagnosis("deviations", "You added standard deviations; variances add up.", lambda: 1000),
        Diagnosis("both", "You added standard deviations and let them fall like 1 / sqrt(n); variances add up.",
                  lambda: 20000),
        Diagnosis("rounded down", "With 198 the total is a hair above 0.51; round up.", lambda: 198),
        Diagnosis("more", "These are the examples to be added; how many is that in all?", lambda: 149),
        Diagnosis("rate", "You let the model's standard deviation fall like 1 / n; its variance does.", lambda: 100),
    ),
)  # fmt: skip


def _lines() -> list[tuple[Tensor, float, float, Tensor]]:
    drawn = torch.Generator().manual_seed(0)
    found = []
    for n, width, tau, s2 in ((12, 3, 2.0, 0.25), (5, 2, 0.5, 4.0), (2, 4, 1.0, 0.5)):
        x, new = (torch.randn(rows, width, generator=drawn, dtype=torch.float64) for rows in (n, 6))
        found.append((x, tau, s2, new))
    return found


def _variance(x: Tensor, tau: float, s2: float, new: Tensor) -> Tensor:
    model = BayesianLinearRegression(tau, s2).fit(x, torch.zeros_like(x[:, :1]))
    return model.predict(new).epistemic_var[:, 0]


def _quadratic(new: Tensor, covariance: Tensor) -> Tensor:
    return (new @ covariance * new).sum(1)


def _precision(x: Tensor, tau: float, s2: float) -> Tensor:
    return tau * torch.eye(x.shape[1], dtype=x.dtype) + x.T @ x / s2


KNOWN_LINE = Exercise(
    id="uncertain.known_line",
    prompt="Write the model part of equation (6). Answer: a function of (x, tau, s2, new), x (N, D), new (M, D), that "
    "returns the variances of new . theta, shape (M,).",
    nudge="First A, then one number for each row of new.",
    hint="(new @ A.inverse() * new).sum(1), with A = tau I + x^T x / s2.",
    right="The targets do not occur.",
    reference=_variance,
    inputs=_lines,
    diagnoses=(
        Diagnosis("with noise", "The noise s2 is the data part; leave it out.",
                  lambda x, tau, s2, new: _variance(x, tau, s2, new) + s2),
        Diagnosis("deviation", "These are standard deviations.",
                  lambda x, tau, s2, new: _variance(x, tau, s2, new).sqrt()),
        Diagnosis("not inverted", "A is a precision; its inverse is the covariance.",
                  lambda x, tau, s2, new: _quadratic(new, _precision(x, tau, s2))),
        Diagnosis("noise forgotten", "x^T x is to be divided by the noise variance.",
                  lambda x, tau, s2, new: _variance(x, tau, 1.0, new)),
        Diagnosis("prior inverted", "tau is a precision, not a variance: tau I, not I / tau.",
                  lambda x, tau, s2, new: _variance(x, 1 / tau, s2, new)),
        Diagnosis("diagonal", "Parameters are correlated; the diagonal of A alone is not enough.",
                  lambda x, tau, s2, new: _quadratic(new, _precision(x, tau, s2).diagonal().reciprocal().diag())),
        Diagnosis("pairs", "This is the covariance of all pairs, (M, M); its diagonal was asked for.",
                  lambda x, tau, s2, new: new @ _precision(x, tau, s2).inverse() @ new.T),
    ),
)  # fmt: skip
