"""What repairs a forecast: a temperature, a wider deviation, and a second opinion."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.calibration import StdScaling

__all__ = ["STRETCH", "TEMPERATURE_SLOPE", "TWO_EXPERTS", "VARIANTS"]


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


@dataclass(frozen=True)
class _Scale:
    """How the factor s of the logits comes from another number u, with ds/du."""

    written: str = "1/T"
    s: Callable[[float], float] = lambda u: u
    slope: Callable[[float], float] = lambda u: 1.0

    def of(self, z: Tensor, y: Tensor, u: float) -> Tensor:
        return self.slope(u) * _slope(z, y, self.s(u))


SCALES = (
    _Scale("exp(u)", math.exp, math.exp),
    _Scale("exp(-u)", lambda u: math.exp(-u), lambda u: -math.exp(-u)),
    _Scale("u^2", lambda u: u**2, lambda u: 2 * u),
    _Scale("1/u", lambda u: 1 / u, lambda u: -1 / u**2),
    _Scale("1/u^2", lambda u: u**-2, lambda u: -2 * u**-3),
    _Scale("3 u", lambda u: 3 * u, lambda u: 3.0),
    _Scale("u/2", lambda u: u / 2, lambda u: 0.5),
    _Scale("2 u", lambda u: 2 * u, lambda u: 2.0),
    _Scale("u/3", lambda u: u / 3, lambda u: 1 / 3),
    _Scale("u^3", lambda u: u**3, lambda u: 3 * u**2),
    _Scale("1/u^3", lambda u: u**-3, lambda u: -3 * u**-4),
    _Scale("u^2/2", lambda u: u**2 / 2, lambda u: u),
    _Scale("exp(2 u)", lambda u: math.exp(2 * u), lambda u: 2 * math.exp(2 * u)),
    _Scale("sqrt(u)", lambda u: u**0.5, lambda u: u**-0.5 / 2),
)


def _temperature_slope(d: _Scale) -> Exercise:
    plain = d.written == "1/T"
    u, factor = ("s", "s = 1/T") if plain else ("u", f"u, where s = {d.written}")
    unit = "s = 1" if plain else "at 1"
    inner = Diagnosis("in T", "This is the slope in T; dT/ds is -1/s^2.", lambda z, y, s: -(s**2) * _slope(z, y, s)) \
        if plain else Diagnosis("in s", "This is the slope in s; multiply it by ds/du.",
                                lambda z, y, u: _slope(z, y, d.s(u)))  # fmt: skip
    return Exercise(
        id="uncertain.temperature_slope",
        prompt=f"What is the slope of the mean NLL of softmax(s z) in {factor}? Answer: a function of (z, y, {u}), "
        "logits (N, C), class numbers (N,) and a number, that returns one number. Automatic differentiation is "
        "allowed.",
        nudge="The NLL of one example is ln sum_k exp(s z_k) - s z_y. Differentiate both terms.",
        hint="The first term gives the mean of the logits under q = softmax(s z), the second takes the logit z_y "
        f"away.{'' if plain else ' That is the slope in s; ds/du is a factor before it.'}",
        right="At the best temperature the network expects as large a logit as it then gets.",
        reference=d.of,
        inputs=_logits,
        diagnoses=(
            Diagnosis(unit, f"You took q = softmax(z). The slope at {u} needs softmax(s z).",
                      lambda z, y, u: d.slope(u) * _slope(z, y, 1.0)),
            inner,
            Diagnosis("sum", "This is the sum over examples; take the mean.", lambda z, y, u: len(z) * d.of(z, y, u)),
            Diagnosis("first term", "You have the first term only; the logit of the class that came is missing.",
                      lambda z, y, u: d.slope(u) * _expected(z, d.s(u)).mean()),
            Diagnosis("largest logit", "You took the largest logit away. What counts is the logit of the class that "
                      "came.", lambda z, y, u: d.slope(u) * (_expected(z, d.s(u)) - z.amax(1)).mean()),
        ),
    )  # fmt: skip


def _expected(z: Tensor, s: float) -> Tensor:
    return ((s * z).softmax(1) * z).sum(1)


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


@dataclass(frozen=True)
class _Met:
    """How many forecasts are counted beside those held out, each met with an error of one deviation."""

    count: int = 0

    def of(self, answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return an answer for all of them; the means are 0, variances and targets 1."""

        def all_of(m: Tensor, v: Tensor, y: Tensor) -> Tensor:
            one = m.new_ones(self.count)
            return answer(torch.cat([m, 0 * one]), torch.cat([v, one]), torch.cat([y, one]))

        return all_of


def _stretched(d: _Met) -> Exercise:
    s = d.of(_stretch)
    more = "" if d.count == 0 else f" Beside them, {d.count} more forecasts count, with m = 0, v = 1 and y = 1."
    both = "" if d.count == 0 else ", over all of them"
    alone = () if d.count == 0 else (
        Diagnosis("held out", f"The {d.count} others count, too: they keep the factor near 1.", _stretch),
    )  # fmt: skip
    return Exercise(
        id="uncertain.stretch",
        prompt="Forecasts are Gaussian with means m and variances v. By which factor s must all standard deviations be "
        f"multiplied so that the held-out y are as likely as can be?{more} Answer: a function of (m, v, y), vectors, "
        "that returns one number.",
        nudge="The NLL is the mean of ln s + (y - m)^2 / (2 s^2 v), and what does not depend on s. Set its slope to "
        "zero.",
        hint=f"1/s = mean of (y - m)^2 / v over s^3{both}. Solve for s.",
        right="It is the root of the mean squared error, each error measured in deviations that were said.",
        reference=s,
        inputs=_forecasts,
        diagnoses=(
            Diagnosis("variance", "This multiplies the variance; take its root.", lambda m, v, y: s(m, v, y) ** 2),
            Diagnosis("inverse", "This is one over the factor: are the forecasts too sure?",
                      lambda m, v, y: 1 / s(m, v, y)),
            Diagnosis("ratio of means", "You divided the mean squared error by the mean variance. Each error has a "
                      "variance of its own.", d.of(lambda m, v, y: (((y - m) ** 2).mean() / v.mean()).sqrt())),
            Diagnosis("absolute values", "You took the mean of absolute errors, which is smaller, by the root of 2 / "
                      "pi if all is Gaussian.", d.of(lambda m, v, y: ((y - m).abs() / v.sqrt()).mean())),
            Diagnosis("unit", "You divided by v squared, or by v for a root: (y - m)^2 and v have the same unit.",
                      d.of(lambda m, v, y: ((y - m) ** 2 / v**2).mean().sqrt())),
            *alone,
        ),
    )  # fmt: skip


PRIORS = {
    1 / 20: "one twentieth", 0.1: "one tenth", 0.2: "one fifth", 0.25: "one quarter", 0.3: "three tenths",
    1 / 3: "one third", 0.4: "two fifths", 0.5: "one half", 0.6: "three fifths", 2 / 3: "two thirds",
    0.7: "seven tenths", 0.75: "three quarters", 0.8: "four fifths", 0.9: "nine tenths",
}  # fmt: skip


def _two_experts(prior: float) -> Exercise:
    even, odds = prior == 0.5, prior / (1 - prior)
    written = f"{odds:.3g}"

    def together(a: float, b: float) -> float:
        """What comes where two honest experts say a and b, who both know the prior."""
        yes, no = a * b / prior, (1 - a) * (1 - b) / (1 - prior)
        return yes / (yes + no)

    known = () if even else (
        Diagnosis("prior", "Both experts know the prior, and you counted it twice.",
                  lambda a, b: a * b / (a * b + (1 - a) * (1 - b))),
    )  # fmt: skip
    return Exercise(
        id="uncertain.two_experts",
        prompt=f"An event has a prior of {PRIORS[prior]}. Two experts look at different things that have nothing in "
        "common but the event, and both are calibrated. One says a, the other b. How often does the event come? "
        "Answer: a function of (a, b).",
        nudge="Two witnesses who both say 0.8 tell more than one. Add what they know in odds, by Bayes' rule.",
        hint="The odds are a/(1 - a) times b/(1 - b), since the prior odds are 1." if even
        else f"The odds are a/(1 - a) times b/(1 - b), divided by the prior odds {written}, which both know.",
        right=f"For 0.8 and 0.8 it is {together(0.8, 0.8):.2f}; their mean stays at 0.8. So the mean of calibrated "
        "members is not sure enough.",
        reference=together,
        inputs=lambda: [(0.8, 0.8), (0.6, 0.9), (0.3, 0.8), (0.2, 0.1)],
        diagnoses=(
            Diagnosis("mean", "This is the mean, which never is surer than the surest of the two.",
                      lambda a, b: (a + b) / 2),
            Diagnosis("product", "The product is the chance that two events come; here is one.", lambda a, b: a * b),
            Diagnosis("odds", "These are odds; the probability is odds / (1 + odds).",
                      lambda a, b: a * b / ((1 - a) * (1 - b)) / odds),
            Diagnosis("geometric mean", "This is the mean of the log odds. Independent evidence adds up, it is not "
                      "averaged.", lambda a, b: math.sqrt(a * b) / (math.sqrt(a * b) + math.sqrt((1 - a) * (1 - b)))),
            Diagnosis("either", "This is the chance that at least one of two events comes.",
                      lambda a, b: 1 - (1 - a) * (1 - b)),
            *known,
        ),
    )  # fmt: skip


TEMPERATURE_SLOPE, STRETCH, TWO_EXPERTS = _temperature_slope(_Scale()), _stretched(_Met()), _two_experts(0.5)

VARIANTS = {
    TEMPERATURE_SLOPE.id: Variants(_temperature_slope, lambda generator: one_of(generator, SCALES)),
    STRETCH.id: Variants(_stretched, lambda generator: _Met(integer(generator, 2, 15))),
    TWO_EXPERTS.id: Variants(_two_experts, lambda generator: one_of(generator, tuple(PRIORS))),
}
