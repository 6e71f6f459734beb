"""The closest signs, how much of a weight they keep, and what one bit for each weight saves."""

import math

import torch
from torch import Tensor

from weightlore.binary import binarize
from weightlore.binary.packed import PackedSize
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["BEST_SCALE", "CLOSEST", "KEPT", "STORAGE"]

FILTER = torch.tensor([[0.9, -0.3, 0.6, -0.2, 0.0]], dtype=torch.float64)
WEIGHTS = 2**20  # of a network whose storage is counted


def _distance(scale: float) -> float:
    """Squared distance between the filter and its signs, at any scale."""
    signs = binarize(FILTER)[1]
    return float((FILTER - scale * signs).square().sum())


def _closest() -> list[float]:
    scale = float(binarize(FILTER)[0])
    return [scale, _distance(scale)]


def _at(scale: float) -> list[float]:
    return [scale, _distance(scale)]


CLOSEST = Exercise(
    id="binarized.closest",
    prompt="An output has the weights 0.9, -0.3, 0.6, -0.2 and 0.0. What is the scale alpha of its closest binary "
    "weight, and what is the squared distance that remains? Answer: two numbers.",
    nudge="Which signs come closest is clear. At which single magnitude are all five weights missed least, in squares?",
    hint="alpha is the mean of the five magnitudes; then take ||W||^2 - n alpha^2, with n = 5.",
    right="Of ||W||^2 = 1.3 a share of 0.62 is kept, near the 0.64 of a bell-shaped distribution.",
    reference=_closest,
    diagnoses=(
        Diagnosis("signs", "You averaged the weights; their magnitudes are meant.", lambda: _at(float(FILTER.mean()))),
        Diagnosis(
            "zero",
            "You left out the weight of zero. It gets a sign as well, is missed by alpha, and counts in the mean.",
            lambda: [0.5, float(FILTER.square().sum()) - 4 * 0.25],
        ),
        Diagnosis(
            "zero",
            "Your scale leaves out the weight of zero, which gets a sign as well and counts in the mean.",
            lambda: _at(0.5),
        ),
        Diagnosis(
            "root mean square",
            "This scale keeps the length of W. It is not the closest one.",
            lambda: _at(float(FILTER.square().mean().sqrt())),
        ),
        Diagnosis(
            "length",
            "The scale is right; the second number is the distance, and its square was asked for.",
            lambda: [_closest()[0], _closest()[1] ** 0.5],
        ),
        Diagnosis(
            "what is kept",
            "The scale is right; the second number is what is kept, n alpha^2. What remains?",
            lambda: [_closest()[0], float(FILTER.square().sum()) - _closest()[1]],
        ),
    ),
)


def _best_scale(weight: Tensor, signs: Tensor) -> Tensor:
    """The minimum of ||W||^2 - 2 alpha W.B + n alpha^2."""
    return (weight * signs).mean()


def _pairs() -> list[tuple[Tensor, Tensor]]:
    weight = torch.tensor([0.9, -0.3, 0.6, -0.2, 0.1, -0.5], dtype=torch.float64)
    patterns = ([1.0, -1, 1, -1, 1, -1], [1.0, 1, 1, -1, -1, -1], [-1.0, -1, 1, 1, 1, 1])
    return [(weight, torch.tensor(pattern, dtype=torch.float64)) for pattern in patterns]


BEST_SCALE = Exercise(
    id="binarized.best_scale",
    prompt="Signs B were chosen by somebody else, not always those of W. Which scale alpha brings alpha B closest to W "
    "in the squared distance? Answer: a function of (W, B), two tensors of shape (n,), that returns a number.",
    nudge="Write ||W - alpha B||^2 as a parabola in alpha. What are its three coefficients?",
    hint="It is ||W||^2 - 2 alpha W.B + n alpha^2, because each B_j^2 is 1. Set its slope to zero.",
    right="With B = sign(W) it is the mean magnitude, and it can be negative: then the signs were worse than none.",
    reference=_best_scale,
    inputs=_pairs,
    diagnoses=(
        Diagnosis("other signs", "This is the best scale for the signs of W, not for B.", lambda w, b: w.abs().mean()),
        Diagnosis("sum", "Divide by n: the parabola bends with B.B = n.", lambda w, b: (w * b).sum()),
        Diagnosis("two", "The slope is 2 n alpha - 2 W.B; you lost one of the twos.", lambda w, b: (w * b).mean() / 2),
        Diagnosis(
            "divisor",
            "You divided by ||W||^2, which would bring alpha W closest to B.",
            lambda w, b: (w * b).sum() / w.square().sum(),
        ),
        Diagnosis("length", "This scale keeps the length of W, whatever B is.", lambda w, b: w.square().mean().sqrt()),
        Diagnosis("magnitude", "A negative scale is allowed, and better here.", lambda w, b: (w * b).mean().abs()),
    ),
)


def _kept() -> list[float]:
    """(E|w|)^2 / E w^2 of the uniform, the normal and the Laplace distribution."""
    return [0.5**2 / (1 / 3), 2 / math.pi, 1.0**2 / 2.0]


KEPT = Exercise(
    id="binarized.kept",
    prompt="Which share of its squared length does a long weight keep when only signs and one scale are left, equation "
    "(3), if its entries are spread evenly from -1 to 1, if they are normal, and if they have the density exp(-|w|)/2? "
    "Answer: three numbers.",
    nudge="For many entries, means become expectations: what are E|w| and E w^2 of the three?",
    hint="Even: 1/2 and 1/3. Normal with variance 1: sqrt(2/pi) and 1. The third: 1 and 2. Then (E|w|)^2 / E w^2.",
    right="The heavier the tails, the less is kept; weights of one magnitude would keep everything.",
    reference=_kept,
    diagnoses=(
        Diagnosis("lost", "These are the shares that are lost.", lambda: [1 - share for share in _kept()]),
        Diagnosis(
            "cosine", "This is the cosine between W and its signs; square it.", lambda: [x**0.5 for x in _kept()]
        ),
        Diagnosis(
            "scale",
            "These are the scales, E|w|. Square them, and divide by E w^2.",
            lambda: [0.5, (2 / math.pi) ** 0.5, 1.0],
        ),
        Diagnosis(
            "squares",
            "These are squares of the scales; how long was the weight itself?",
            lambda: [0.25, 2 / math.pi, 1.0],
        ),
        Diagnosis("upside down", "This is E w^2 over (E|w|)^2.", lambda: [1 / share for share in _kept()]),
    ),
)


def _smaller(share: float, n: int) -> float:
    """How many times smaller a network becomes, by the package's bookkeeping."""
    outputs = round(share * WEIGHTS / n)
    return PackedSize(
        bits=outputs * n // 8, scales=4 * outputs, floats=4 * outputs * n, rest=4 * (WEIGHTS - outputs * n)
    ).network_ratio


STORAGE = Exercise(
    id="binarized.storage",
    prompt="A share s of a network's 32-bit weights is stored in one bit each, with one 32-bit scale for every n of "
    "them; the others stay. How many times smaller does the network become? Answer: a function of (s, n) that returns "
    "a factor.",
    nudge="How many bits does a weight take on average, before and after? A scale is shared by n weights.",
    hint="A binary weight takes 1 + 32/n bits, another one 32. Divide 32 by the average (1 - s) 32 + s (1 + 32/n).",
    right="It is the law of the whole chip from chapter 5 again: what stays as it is sets the limit, 1/(1 - s).",
    reference=_smaller,
    inputs=lambda: [(0.75, 128), (0.5, 1024), (1.0, 512)],
    tolerance=1e-4,
    diagnoses=(
        Diagnosis("scales", "You forgot the scales.", lambda s, n: 1 / (1 - s + s / 32)),
        Diagnosis("part", "This is the factor of the binary weights alone.", lambda s, n: 32 * n / (n + 32)),
        Diagnosis("part", "This is the factor of the binary weights alone, and without scales.", lambda s, n: 32.0),
        Diagnosis("mean", "Factors do not average; add up the bits first.", lambda s, n: 1 - s + s * 32 * n / (n + 32)),
        Diagnosis("inverse", "This is what is left, after over before.", lambda s, n: 1 / _smaller(s, n)),
        Diagnosis(
            "one scale a weight", "A scale is shared by n weights.", lambda s, n: 32 / ((1 - s) * 32 + s * (1 + 32))
        ),
    ),
)
