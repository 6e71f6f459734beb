"""Confidences that keep their promise: how far off they are, by chance or not, and what repairs them."""

import math

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.calibration import (
    StdScaling,
    brier_decomposition,
    ece_noise_floor,
    expected_calibration_error,
)

__all__ = ["BINNED_ERROR", "CONSTANT_PARTS", "NOISE_FLOOR", "STRETCH", "TEMPERATURE_SLOPE", "TWO_EXPERTS"]

SAID = 10 * (0.6, 0.7, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9)  # as many as the checks of few examples ask for
CAME = 10 * (1, 1, 1, 1, 1, 0, 1, 0)


def _error(bins: int) -> float:
    p, y = torch.tensor(SAID, dtype=torch.float64), torch.tensor(CAME)
    return float(expected_calibration_error(p, y, bins=bins, binning="mass", target="binary"))


BINNED_ERROR = Exercise(
    id="uncertain.binned_error",
    prompt="Four answers are given with confidences 0.6, 0.7, 0.7 and 0.8, and all are right. Four more are given with "
    "0.9 each, and two are right. What is the ECE, if these are the two bins that hold anything? Answer: one number.",
    nudge="In each bin, how far is the share of right answers from the mean confidence?",
    hint="The gaps are 1 - 0.7 and 0.9 - 0.5. Each bin holds half of the answers.",
    right="With a single bin the error would be 0.05: too little in one half hides too much in the other.",
    reference=lambda: _error(bins=2),
    diagnoses=(
        Diagnosis(
            "one bin",
            "You let the two gaps cancel. The error of a bin is its absolute value, before the mean is taken.",
            lambda: _error(bins=1),
        ),
        Diagnosis("the worst", "This is the largest gap, the MCE; ECE is the mean over answers.", lambda: 0.4),
        Diagnosis("squares", "You took the root of the mean square; ECE takes absolute values.", lambda: 0.125**0.5),
        Diagnosis("sum", "You added the gaps. Each counts with the share of answers in its bin.", lambda: 0.7),
        Diagnosis(
            "right answers", "This is the share of right answers, not its distance from a promise.", lambda: 0.75
        ),
    ),
)


def _needed(r: float, error: float) -> float:
    one = float(ece_noise_floor(torch.full((1,), r, dtype=torch.float64), bins=1, target="binary"))
    return (one / error) ** 2


NOISE_FLOOR = Exercise(
    id="uncertain.noise_floor",
    prompt="All confidences are r. How many examples N does it take until chance alone makes an ECE of e only? Use "
    "equation (3). Answer: a function of (r, e) that returns N, not rounded.",
    nudge="There is one bin, and it holds all N examples. Solve equation (3) for N.",
    hint="e = sqrt(2 r (1 - r) / (pi N)); square both sides.",
    right="For r = 0.9 and e = 0.01 it is 573 examples, for one bin. With 15 of them, 15 times as many.",
    reference=_needed,
    inputs=lambda: [(0.9, 0.01), (0.5, 0.02), (0.97, 0.005)],
    diagnoses=(
        Diagnosis("root", "You forgot to square; chance falls with the root of N.", lambda r, e: _needed(r, e) ** 0.5),
        Diagnosis(
            "deviation",
            "This is for a standard deviation of e. The mean absolute deviation is smaller, by the root of 2 / pi.",
            lambda r, e: r * (1 - r) / e**2,
        ),
        Diagnosis("two", "You lost the 2 under the root.", lambda r, e: r * (1 - r) / (math.pi * e**2)),
        Diagnosis(
            "variance", "r (1 - r) is the variance of one answer; you took r.", lambda r, e: 2 * r / (math.pi * e**2)
        ),
        Diagnosis("fifteen bins", "This is for 15 bins; here is one.", lambda r, e: 15 * _needed(r, e)),
    ),
)


def _logits() -> list[tuple[Tensor, Tensor, float]]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for n, classes, s in ((6, 3, 1.0), (4, 2, 0.5), (9, 5, 1.7)):
        z = 3 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
        made.append((z, torch.randint(classes, (n,), generator=generator), s))
    return made


def _slope(z: Tensor, y: Tensor, s: float) -> Tensor:
    at = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(z * at, y)
    return torch.autograd.grad(loss, at)[0]


TEMPERATURE_SLOPE = Exercise(
    id="uncertain.temperature_slope",
    prompt="What is the slope of the mean NLL of softmax(s z) in s = 1/T? Answer: a function of (z, y, s), logits "
    "(N, C), class numbers (N,) and a number, that returns one number. Automatic differentiation is allowed.",
    nudge="The NLL of one example is ln sum_k exp(s z_k) - s z_y. Differentiate both terms.",
    hint="The first term gives the mean of the logits under q = softmax(s z), the second takes the logit z_y away.",
    right="At the best temperature the network expects as large a logit as it then gets.",
    reference=_slope,
    inputs=_logits,
    diagnoses=(
        Diagnosis(
            "s = 1", "You took q = softmax(z). The slope at s needs softmax(s z).", lambda z, y, s: _slope(z, y, 1.0)
        ),
        Diagnosis("in T", "This is the slope in T; dT/ds is -1/s^2.", lambda z, y, s: -(s**2) * _slope(z, y, s)),
        Diagnosis("sum", "This is the sum over examples; take the mean.", lambda z, y, s: len(z) * _slope(z, y, s)),
        Diagnosis(
            "first term",
            "You have the first term only; the logit of the class that came is missing.",
            lambda z, y, s: ((s * z).softmax(1) * z).sum(1).mean(),
        ),
        Diagnosis(
            "largest logit",
            "You took the largest logit away. What counts is the logit of the class that came.",
            lambda z, y, s: (((s * z).softmax(1) * z).sum(1) - z.amax(1)).mean(),
        ),
    ),
)


def _constant() -> list[float]:
    y = torch.arange(100) % 10
    parts = brier_decomposition(torch.full((100, 10), 0.1, dtype=torch.float64), y)
    return [parts.reliability, parts.resolution, parts.uncertainty]


CONSTANT_PARTS = Exercise(
    id="uncertain.constant_parts",
    prompt="Ten digits are equally frequent, and a forecaster says 0.1 for each, whatever it is shown. What are "
    "reliability, resolution and uncertainty of its Brier score? Answer: three numbers.",
    nudge="All forecasts are equal, so there is one bin. Compare what is said in it with what comes, and what comes "
    "in it with what comes overall.",
    hint="Said, come and overall are all 0.1. Uncertainty is the sum over ten classes of 0.1 times 0.9.",
    right="Its score is 0.9, all of it uncertainty. It is honest, and it knows nothing.",
    reference=_constant,
    diagnoses=(
        Diagnosis("half", "You took half of the score, as one does with two classes.", lambda: [0.0, 0.0, 0.45]),
        Diagnosis("one class", "This is the part of one class; add up all ten.", lambda: [0.0, 0.0, 0.09]),
        Diagnosis(
            "resolution",
            "Resolution is how much the frequencies of bins differ from those overall. There is one bin.",
            lambda: [0.0, 0.9, 0.9],
        ),
        Diagnosis(
            "reliability",
            "Reliability compares what is said with how *often* it comes, not with each answer.",
            lambda: [0.9, 0.0, 0.9],
        ),
        Diagnosis(
            "entropy", "The last is the entropy; Brier's uncertainty is sum o (1 - o).", lambda: [0, 0, math.log(10)]
        ),
    ),
)


def _forecasts() -> list[tuple[Tensor, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(6)
    made = []
    for n, factor in ((5, 2.0), (8, 0.3), (20, 5.0)):
        m, v = (
            torch.randn(n, generator=generator, dtype=torch.float64),
            torch.rand(n, generator=generator).double() + 0.2,
        )
        made.append((m, v, m + factor * v.sqrt() * torch.randn(n, generator=generator, dtype=torch.float64)))
    return made


def _stretch(m: Tensor, v: Tensor, y: Tensor) -> Tensor:
    column = v[:, None]
    scale = StdScaling().fit(GaussianPrediction(m[:, None], column, 0 * column), y[:, None]).scale
    return torch.as_tensor(scale).squeeze()


STRETCH = Exercise(
    id="uncertain.stretch",
    prompt="Forecasts are Gaussian with means m and variances v. By which factor s must all standard deviations be "
    "multiplied so that the held-out y are as likely as can be? Answer: a function of (m, v, y), vectors, that "
    "returns one number.",
    nudge="The NLL is the mean of ln s + (y - m)^2 / (2 s^2 v), and what does not depend on s. Set its slope to zero.",
    hint="1/s = mean of (y - m)^2 / v over s^3. Solve for s.",
    right="It is the root of the mean squared error, each error measured in deviations that were said.",
    reference=_stretch,
    inputs=_forecasts,
    diagnoses=(
        Diagnosis("variance", "This multiplies the variance; take its root.", lambda m, v, y: _stretch(m, v, y) ** 2),
        Diagnosis(
            "inverse", "This is one over the factor: are the forecasts too sure?", lambda m, v, y: 1 / _stretch(m, v, y)
        ),
        Diagnosis(
            "ratio of means",
            "You divided the mean squared error by the mean variance. Each error has a variance of its own.",
            lambda m, v, y: (((y - m) ** 2).mean() / v.mean()).sqrt(),
        ),
        Diagnosis(
            "absolute values",
            "You took the mean of absolute errors, which is smaller, by the root of 2 / pi if all is Gaussian.",
            lambda m, v, y: ((y - m).abs() / v.sqrt()).mean(),
        ),
        Diagnosis(
            "unit",
            "You divided by v squared, or by v for a root: (y - m)^2 and v have the same unit.",
            lambda m, v, y: ((y - m) ** 2 / v**2).mean().sqrt(),
        ),
    ),
)


def _together(a: float, b: float) -> float:
    """What comes where two experts say a and b, by a table of all cases that shows each expert to be honest."""
    yes, no = a * b, (1 - a) * (1 - b)
    return yes / (yes + no)


TWO_EXPERTS = Exercise(
    id="uncertain.two_experts",
    prompt="An event has a prior of one half. Two experts look at different things that have nothing in common but the "
    "event, and both are calibrated. One says a, the other b. How often does the event come? Answer: a function of "
    "(a, b).",
    nudge="Two witnesses who both say 0.8 tell more than one. Add what they know in odds, by Bayes' rule.",
    hint="The odds are a/(1 - a) times b/(1 - b), since the prior odds are 1.",
    right="For 0.8 and 0.8 it is 0.94; their mean stays at 0.8. So the mean of calibrated members is not sure enough.",
    reference=_together,
    inputs=lambda: [(0.8, 0.8), (0.6, 0.9), (0.3, 0.8), (0.2, 0.1)],
    diagnoses=(
        Diagnosis(
            "mean", "This is the mean, which never is surer than the surest of the two.", lambda a, b: (a + b) / 2
        ),
        Diagnosis("product", "The product is the chance that two events come; here is one.", lambda a, b: a * b),
        Diagnosis(
            "odds", "These are odds; the probability is odds / (1 + odds).", lambda a, b: a * b / ((1 - a) * (1 - b))
        ),
        Diagnosis(
            "geometric mean",
            "This is the mean of the log odds. Independent evidence adds up, it is not averaged.",
            lambda a, b: math.sqrt(a * b) / (math.sqrt(a * b) + math.sqrt((1 - a) * (1 - b))),
        ),
        Diagnosis(
            "either", "This is the chance that at least one of two events comes.", lambda a, b: 1 - (1 - a) * (1 - b)
        ),
    ),
)
