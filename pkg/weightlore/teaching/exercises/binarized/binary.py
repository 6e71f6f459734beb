"""The closest signs, and the best scale for signs that somebody else chose."""

import torch
from torch import Tensor

from weightlore.binary import binarize
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["BEST_SCALE", "CLOSEST", "VARIANTS"]

Weights = tuple[float, ...]
WEIGHTS: Weights = (0.9, -0.3, 0.6, -0.2, 0.0)
COUNTS = {5: "five", 6: "six"}


def _filter(weights: Weights) -> Tensor:
    return torch.tensor([weights], dtype=torch.float64)


def _at(weights: Weights, scale: float) -> list[float]:
    """A scale, and the squared distance between the weights and their signs at that scale."""
    found = _filter(weights)
    return [scale, float((found - scale * binarize(found)[1]).square().sum())]


def _drawn(generator: torch.Generator) -> Weights:
    """Four or five weights and a zero, in any order."""
    sizes = several(generator, range(1, 13), one_of(generator, (4, 5)))
    signed = [one_of(generator, (-1, 1)) * size / 10 for size in sizes]
    return several(generator, [0.0, *signed], len(sizes) + 1)


def _named(weights: Weights) -> str:
    said = [f"{w:.1f}" for w in weights]
    return f"{', '.join(said[:-1])} and {said[-1]}"


def _closest(weights: Weights) -> Exercise:
    w, count = _filter(weights), len(weights)
    scale, square = float(binarize(w)[0]), float(w.square().sum())
    kept = count * scale**2 / square
    like = f"a share of {kept:.2f} is kept, near the 0.64 of a bell-shaped distribution"
    if weights != WEIGHTS:
        like = f"a share of {kept:.2f} is kept; many weights of a bell-shaped distribution keep 0.64"
    return Exercise(
        id="binarized.closest",
        prompt=f"An output has the weights {_named(weights)}. What is the scale alpha of its closest binary weight, "
        "and what is the squared distance that remains? Answer: two numbers.",
        given="A binary weight is alpha B, with one scale and signs B_j of +1 or -1; distance is that of vectors, ||W "
        "- alpha B||.",
        nudge=f"Which signs come closest is clear. At which single magnitude are all {COUNTS[count]} weights missed "
        "least, in squares?",
        hint=f"alpha is the mean of the {COUNTS[count]} magnitudes; then take ||W||^2 - n alpha^2, with n = {count}.",
        right=f"Of ||W||^2 = {square:.4g} {like}.",
        reference=lambda: _at(weights, scale),
        diagnoses=(*_other_scales(weights), *_other_distances(weights)),
    )


def _other_scales(weights: Weights) -> tuple[Diagnosis, ...]:
    w, count = _filter(weights), len(weights)
    without, root = float(w.abs().sum()) / (count - 1), float(w.square().mean().sqrt())
    return (
        Diagnosis("signs", "You averaged the weights; their magnitudes are meant.",
                  lambda: _at(weights, float(w.mean()))),
        Diagnosis("zero",
                  "You left out the weight of zero. It gets a sign as well, is missed by alpha, and counts in the "
                  "mean.",
                  lambda: [without, float(w.square().sum()) - (count - 1) * without**2]),
        Diagnosis("zero", "Your scale leaves out the weight of zero, which gets a sign as well and counts in the mean.",
                  lambda: _at(weights, without)),
        Diagnosis("root mean square", "This scale keeps the length of W. It is not the closest one.",
                  lambda: _at(weights, root)),
    )  # fmt: skip


def _other_distances(weights: Weights) -> tuple[Diagnosis, ...]:
    scale, left = _at(weights, float(binarize(_filter(weights))[0]))
    kept = float(_filter(weights).square().sum()) - left
    return (
        Diagnosis("length", "The scale is right; the second number is the distance, and its square was asked for.",
                  lambda: [scale, left**0.5]),
        Diagnosis("what is kept",
                  "The scale is right; the second number is what is kept, n alpha^2. What remains?",
                  lambda: [scale, kept]),
    )  # fmt: skip


def _best_scale(weight: Tensor, signs: Tensor, price: float = 0.0) -> Tensor:
    """The minimum of ||W||^2 - 2 alpha W.B + (n + price) alpha^2."""
    return (weight * signs).sum() / (len(weight) + price)


def _pairs() -> list[tuple[Tensor, Tensor]]:
    weight = torch.tensor([0.9, -0.3, 0.6, -0.2, 0.1, -0.5], dtype=torch.float64)
    patterns = ([1.0, -1, 1, -1, 1, -1], [1.0, 1, 1, -1, -1, -1], [-1.0, -1, 1, 1, 1, 1])
    return [(weight, torch.tensor(pattern, dtype=torch.float64)) for pattern in patterns]


def _priced(price: float) -> Exercise:
    """Where a scale costs a price for its square."""
    what = "brings alpha B closest to W in the squared distance"
    parabola, n = "||W||^2 - 2 alpha W.B + n alpha^2", "n"
    if price:
        what = f"makes ||W - alpha B||^2 + {price:g} alpha^2 smallest"
        parabola, n = f"||W||^2 - 2 alpha W.B + (n + {price:g}) alpha^2", f"(n + {price:g})"
    whole = "||W - alpha B||^2" if not price else "it"
    return Exercise(
        id="binarized.best_scale",
        prompt=f"Signs B were chosen by somebody else, not always those of W. Which scale alpha {what}? Answer: a "
        "function of (W, B), two tensors of shape (n,), that returns a number.",
        nudge=f"Write {whole} as a parabola in alpha. What are its three coefficients?",
        hint=f"It is {parabola}, because each B_j^2 is 1. Set its slope to zero.",
        right="With B = sign(W) it is the mean magnitude, and it can be negative: then the signs were worse than none."
        if not price
        else "The price pulls the scale to zero, as weight decay does. And it can be negative: then the signs were "
        "worse than none.",
        reference=lambda w, b: _best_scale(w, b, price),
        inputs=_pairs,
        diagnoses=(*_wrong_scales(price, n), *_free(price)),
    )


def _wrong_scales(price: float, n: str) -> tuple[Diagnosis, ...]:
    bends = f"B.B + {price:g}" if price else "B.B = n"
    return (
        Diagnosis("other signs", "This is the best scale for the signs of W, not for B.",
                  lambda w, b: _best_scale(w.abs(), b.abs(), price)),
        Diagnosis("sum", f"Divide by {n}: the parabola bends with {bends}.", lambda w, b: (w * b).sum()),
        Diagnosis("two", f"The slope is 2 {n} alpha - 2 W.B; you lost one of the twos.",
                  lambda w, b: _best_scale(w, b, price) / 2),
        Diagnosis("divisor", "You divided by ||W||^2, which would bring alpha W closest to B.",
                  lambda w, b: (w * b).sum() / w.square().sum()),
        Diagnosis("length", "This scale keeps the length of W, whatever B is.",
                  lambda w, b: w.square().mean().sqrt()),
        Diagnosis("magnitude", "A negative scale is allowed, and better here.",
                  lambda w, b: _best_scale(w, b, price).abs()),
    )  # fmt: skip


def _free(price: float) -> tuple[Diagnosis, ...]:
    free = Diagnosis("price", f"This is the closest one; {price:g} alpha^2 is missing.", _best_scale)
    return (free,) if price else ()


CLOSEST, BEST_SCALE = _closest(WEIGHTS), _priced(0.0)

VARIANTS = {
    CLOSEST.id: Variants(_closest, _drawn),
    BEST_SCALE.id: Variants(_priced, lambda generator: integer(generator, 1, 40) / 2),
}
