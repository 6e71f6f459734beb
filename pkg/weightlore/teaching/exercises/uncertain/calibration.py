"""Confidences that keep their promise: how far off they are, by chance or not, and what a score consists of."""

import math
from dataclasses import dataclass

import torch

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.calibration import brier_decomposition, ece_noise_floor, expected_calibration_error

__all__ = ["BINNED_ERROR", "CONSTANT_PARTS", "NOISE_FLOOR", "VARIANTS"]

RIGHT = {1: "one is right", 2: "two are right", 3: "three are right"}


@dataclass(frozen=True)
class _Bins:
    """Four answers around one confidence, all right; four with another one, of which some are right."""

    low: float = 0.7
    high: float = 0.9
    right: int = 2

    @property
    def said(self) -> tuple[float, ...]:
        return (round(self.low - 0.1, 2), self.low, self.low, round(self.low + 0.1, 2))

    @property
    def gaps(self) -> tuple[float, float]:
        return 1 - self.low, self.high - self.right / 4

    def error(self, bins: int) -> float:
        came = 4 * [1] + self.right * [1] + (4 - self.right) * [0]
        p = torch.tensor(10 * [*self.said, *4 * [self.high]], dtype=torch.float64)  # as many as checks of few ask for
        y = torch.tensor(10 * came)
        return float(expected_calibration_error(p, y, bins=bins, binning="mass", target="binary"))


def _bins(generator: torch.Generator) -> _Bins:
    low = one_of(generator, (0.6, 0.65, 0.7, 0.75))
    return _Bins(low, one_of(generator, (0.9, 0.92, 0.95, 0.96)), integer(generator, 1, 3))


def _binned_error(d: _Bins) -> Exercise:
    (first, second, third, last), (low, high) = d.said, d.gaps
    return Exercise(
        id="uncertain.binned_error",
        prompt=f"Four answers are given with confidences {first:g}, {second:g}, {third:g} and {last:g}, and all are "
        f"right. Four more are given with {d.high:g} each, and {RIGHT[d.right]}. What is the ECE, if these are the two "
        "bins that hold anything? Answer: one number.",
        nudge="In each bin, how far is the share of right answers from the mean confidence?",
        hint=f"The gaps are 1 - {d.low:g} and {d.high:g} - {d.right / 4:g}. Each bin holds half of the answers.",
        right=f"With a single bin the error would be {d.error(1):.3g}: too little in one half hides too much in the "
        "other.",
        reference=lambda: d.error(2),
        diagnoses=(
            Diagnosis("one bin", "You let the two gaps cancel. The error of a bin is its absolute value, before the "
                      "mean is taken.", lambda: d.error(1)),
            Diagnosis("the worst", "This is the largest gap, the MCE; ECE is the mean over answers.",
                      lambda: max(low, high)),
            Diagnosis("squares", "You took the root of the mean square; ECE takes absolute values.",
                      lambda: ((low**2 + high**2) / 2) ** 0.5),
            Diagnosis("sum", "You added the gaps. Each counts with the share of answers in its bin.",
                      lambda: low + high),
            Diagnosis("right answers", "This is the share of right answers, not its distance from a promise.",
                      lambda: (4 + d.right) / 8),
        ),
    )  # fmt: skip


def _needed(r: float, error: float, bins: int = 1) -> float:
    one = float(ece_noise_floor(torch.full((1,), r, dtype=torch.float64), bins=1, target="binary"))
    return bins * (one / error) ** 2


def _noise_floor(bins: int) -> Exercise:
    single = bins == 1
    held = "" if single else f", in {bins} bins that hold equally many examples"
    more = "one bin. With 15 of them, 15 times as many" if single else f"{bins} bins, {bins} times as many as for one"
    found = (
        Diagnosis("root", "You forgot to square; chance falls with the root of N.",
                  lambda r, e: _needed(r, e, bins) ** 0.5),
        Diagnosis("deviation", "This is for a standard deviation of e. The mean absolute deviation is smaller, by the "
                  "root of 2 / pi.", lambda r, e: bins * r * (1 - r) / e**2),
        Diagnosis("two", "You lost the 2 under the root.", lambda r, e: bins * r * (1 - r) / (math.pi * e**2)),
        Diagnosis("variance", "r (1 - r) is the variance of one answer; you took r.",
                  lambda r, e: bins * 2 * r / (math.pi * e**2)),
    )  # fmt: skip
    other = Diagnosis("fifteen bins", "This is for 15 bins; here is one.", lambda r, e: _needed(r, e, 15))
    one = Diagnosis("one bin", f"This is for one bin; here are {bins}.", _needed)
    squared = Diagnosis("sum", "The error is the mean over bins, not their sum.",
                        lambda r, e: _needed(r, e, bins**3))  # fmt: skip
    return Exercise(
        id="uncertain.noise_floor",
        prompt=f"All confidences are r{held}. How many examples N does it take until chance alone makes an ECE of e "
        "only? Answer: a function of (r, e) that returns N, not rounded.",
        given="If n answers are right with probability r each, the share of right ones is off from r by sqrt(2 r (1 - "
        "r) / (pi n)) on average.",
        nudge="There is one bin, and it holds all N examples. Solve equation (3) for N." if single
        else f"How many examples does one of the {bins} bins hold? Solve equation (3) for N.",
        hint=f"e = sqrt(2 r (1 - r) / (pi N{'' if single else f' / {bins}'})); square both sides.",
        right=f"For r = 0.9 and e = 0.01 it is {_needed(0.9, 0.01, bins):.0f} examples, for {more}.",
        reference=lambda r, e: _needed(r, e, bins),
        inputs=lambda: [(0.9, 0.01), (0.5, 0.02), (0.97, 0.005)],
        diagnoses=(*found, other) if single else (*found, one, squared),
    )  # fmt: skip


WORDS = {
    4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 12: "twelve", 15: "fifteen",
    16: "sixteen", 18: "eighteen", 20: "twenty", 24: "twenty-four", 25: "twenty-five", 30: "thirty", 40: "forty",
    50: "fifty",
}  # fmt: skip


def _constant_parts(classes: int) -> Exercise:
    said, things = 1 / classes, "digits" if classes == 10 else "classes"

    def parts() -> list[float]:
        y = torch.arange(10 * classes) % classes
        found = brier_decomposition(torch.full((len(y), classes), said, dtype=torch.float64), y)
        return [found.reliability, found.resolution, found.uncertainty]

    rest = 1 - said
    return Exercise(
        id="uncertain.constant_parts",
        prompt=f"{WORDS[classes].capitalize()} {things} are equally frequent, and a forecaster says {said:g} for each, "
        "whatever it is shown. What are reliability, resolution and uncertainty of its Brier score? Answer: three "
        "numbers.",
        given="The Brier score is the squared distance of forecast and truth, summed over the classes.",
        nudge="All forecasts are equal, so there is one bin. Compare what is said in it with what comes, and what "
        "comes in it with what comes overall.",
        hint=f"Said, come and overall are all {said:g}. Uncertainty is the sum over {WORDS[classes]} classes of "
        f"{said:g} times {rest:g}.",
        right=f"Its score is {rest:g}, all of it uncertainty. It is honest, and it knows nothing.",
        reference=parts,
        diagnoses=(
            Diagnosis("half", "You took half of the score, as one does with two classes.", lambda: [0, 0, rest / 2]),
            Diagnosis("one class", f"This is the part of one class; add up all {WORDS[classes]}.",
                      lambda: [0, 0, said * rest]),
            Diagnosis("resolution", "Resolution is how much the frequencies of bins differ from those overall. There "
                      "is one bin.", lambda: [0, rest, rest]),
            Diagnosis("reliability", "Reliability compares what is said with how *often* it comes, not with each "
                      "answer.", lambda: [rest, 0, rest]),
            Diagnosis("entropy", "The last is the entropy; Brier's uncertainty is sum o (1 - o).",
                      lambda: [0, 0, math.log(classes)]),
        ),
    )  # fmt: skip


BINNED_ERROR, NOISE_FLOOR, CONSTANT_PARTS = _binned_error(_Bins()), _noise_floor(1), _constant_parts(10)

VARIANTS = {
    BINNED_ERROR.id: Variants(_binned_error, _bins),
    NOISE_FLOOR.id: Variants(
        _noise_floor, lambda generator: one_of(generator, (4, 5, 6, 8, 9, 10, 12, 16, 18, 20, 24, 25, 30))
    ),
    CONSTANT_PARTS.id: Variants(_constant_parts, lambda generator: one_of(generator, tuple(WORDS))),
}
