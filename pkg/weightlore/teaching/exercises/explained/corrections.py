"""Taking out of a map, or of a correlation, what no network has put there: the background and the factor."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.attribution import active_correlation, active_pixels, inflated_correlation, skewed_correlation
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["SKEWED", "UNMASKED", "WITHOUT_FACTOR"]

TIES = (
    "Rank correlations are Spearman's, and pixels that tie share the mean of their ranks. Active pixels, "
    "those outside the background, do not tie and are not zero."
)


def _moved(to: float) -> Callable[[float, float], Tensor]:
    return lambda p, rho: inflated_correlation(to, active_correlation(p, rho))


def _inflated(p: float, x: float, power: int = 2) -> float:
    """Return the closed form, or what becomes of it with another power of q."""
    return (3 * p + (1 - p) ** power * x) / (3 * p + (1 - p) ** power)


def _solved(p: float, rho: float, power: int = 2) -> float:
    """Return the way back."""
    return (rho * (3 * p + (1 - p) ** power) - 3 * p) / (1 - p) ** power


def _unmasked(to: float) -> Exercise:
    """From one background to another, which is none in the public exercise."""
    asked = f"with another border, so that the background is {to:g} of" if to else "over"
    again = f" Then put it back, with {to:g} for p." if to else ""
    return Exercise(
        id="explained.unmasked",
        prompt="Somebody publishes the absolute correlation rho over all pixels, of maps whose background is a share p "
        f"of the pixels. What is it {asked} the {'pixels' if to else 'active pixels alone'}? Answer: a function of "
        "(p, rho).",
        given=TIES
        + " Only the border of the picture changes, which is background; active pixels and their correlation stay.",
        nudge="Solve the closed form of section 4 for the correlation over active pixels.",
        hint=f"With q = 1 - p: rho (3 p + q^2) = 3 p + q^2 x. Solve for x.{again}",
        right=f"For p = 0.81 and rho = 0.992 it gives {float(_moved(to)(0.81, 0.992)):.2f}: "
        + ("the same maps, the same networks." if to else "most of the 0.992 was black."),
        reference=_moved(to),
        inputs=lambda: [(0.5, 0.91), (0.81, 0.992), (0.2, 0.3)],
        diagnoses=(
            Diagnosis("direction",
                      "That holds rho for the correlation over active pixels; the background is in it." if to
                      else "That is the way from the active pixels to all of them.",
                      lambda p, r: _inflated(to or p, r)),
            Diagnosis("average", "Correlations of parts do not average by their sizes: the distance between the two "
                      "groups counts too.", lambda p, r: to + (1 - to) * (r - p) / (1 - p)),
            Diagnosis("square", "q is squared in the closed form.",
                      lambda p, r: _inflated(to, _solved(p, r, 1), 1)),
            Diagnosis("p and q", "p is the share of the background, q that of the active pixels.",
                      lambda p, r: _inflated(to, _solved(1 - p, r))),
            Diagnosis("unchanged", "The background is still in it." if not to else "This is the old background.",
                      lambda p, r: r),
            *(() if not to else (Diagnosis("active", "That is over the active pixels alone; put the background in.",
                                           active_correlation),)),
        ),
    )  # fmt: skip


def _skewed(v: float | None) -> Exercise:
    """With the other map's share of negative pixels as an argument, or given."""
    said, names = ("a share v", "(p, u, v)") if v is None else (f"{v:g}", "(p, u)")
    tried = ((0.81, 0.2, 0.2), (0.5, 0.3, 0.9), (0.25, 0.0, 0.0))

    def given(formula: Callable[[float, float, float], Tensor | float]) -> Callable[..., Tensor | float]:
        return formula if v is None else lambda p, u: formula(p, u, v)

    other = "(v - 1/2)" if v is None else f"({v:g} - 1/2)"
    return Exercise(
        id="explained.skewed",
        prompt="Two maps have nothing in common but their background, a share p of the pixels. Of the active pixels of "
        f"the one a share u is negative, of the other {said}. What is the signed correlation over all pixels? Answer: "
        f"a function of {names}.",
        given=TIES + " Signs are independent of magnitudes.",
        nudge="Where does the block of zeros lie in the ranks of a map that has few negative pixels?",
        hint=f"12 p q (u - 1/2){other} / (1 - p^3). It is zero as soon as one of the maps is balanced.",
        right="Signs alone do not help when both maps lean to one side: the background must go as well.",
        reference=given(skewed_correlation),
        inputs=lambda: [one if v is None else one[:2] for one in tried],
        diagnoses=(
            Diagnosis("balance", "A map with as many negative as positive pixels is balanced: u - 1/2 counts, not u.",
                      given(lambda p, u, v: 12 * p * (1 - p) * u * v / (1 - p**3))),
            Diagnosis("tie variance", "Ties make the ranks vary less: divide by 1 - p^3.",
                      given(lambda p, u, v: 12 * p * (1 - p) * (u - 0.5) * (v - 0.5))),
            Diagnosis("variance", "The variance of ranks is (1 - p^3) / 12; the 12 is missing.",
                      given(lambda p, u, v: p * (1 - p) * (u - 0.5) * (v - 0.5) / (1 - p**3))),
            Diagnosis("always zero", "The mean over the active pixels is zero, but the background pulls.",
                      given(lambda p, u, v: 0.0)),
        ),
    )  # fmt: skip


def _maps() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return attributions, images and baselines; the baseline is no black one, and two pixels equal it."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    baseline = torch.full((8,), 0.25, dtype=torch.float64)
    x[:, :2] = 0.25
    return [(torch.randn(3, 8, generator=generator, dtype=torch.float64) * (x - baseline), x, baseline)]


def _divided(values: Tensor, x: Tensor, baseline: Tensor, fill: float = 0.0) -> Tensor:
    active = active_pixels(x, baseline)
    return torch.where(active, values / torch.where(active, x - baseline, 1.0), fill)


def _without_factor(fill: float) -> Exercise:
    """With a number where there is nothing to divide by."""
    left = "leave 0" if fill == 0 else f"put {fill:g}"
    zeros = Diagnosis("filling", f"Where x = b you left 0; asked for is {fill:g}.", _divided)
    return Exercise(
        id="explained.without_factor",
        prompt=f"All integrated gradients share the factor x - b. Take it out of a map, and {left} where x = b. "
        "Answer: a function of (values, x, baseline), three tensors of shape (N, D) or (D,).",
        nudge="What is left of (x - b) G when you divide? And what is 0 / 0?",
        hint="Divide by x - b where it is not zero, with torch.where around the divisor as well as around the "
        "quotient.",
        right="What is left is the mean gradient on the path; its magnitudes have no shared factor any more.",
        reference=lambda values, x, baseline: _divided(values, x, baseline, fill),
        inputs=_maps,
        diagnoses=(
            Diagnosis("baseline", "The factor is x - b; with another baseline than black it is not x.",
                      lambda values, x, baseline: torch.where(x != baseline, values / x, fill)),
            Diagnosis("magnitude", "Divided by |x - b| the map keeps the sign of x - b.",
                      lambda values, x, baseline: torch.where(
                          x != baseline, _divided(values, x, baseline) * torch.sign(x - baseline), fill)),
            Diagnosis("product", "You multiplied: now the factor is in it twice.",
                      lambda values, x, baseline: torch.where(x != baseline, values * (x - baseline), fill)),
            *((zeros,) if fill else ()),
        ),
    )  # fmt: skip


UNMASKED, SKEWED, WITHOUT_FACTOR = _unmasked(0.0), _skewed(None), _without_factor(0.0)

VARIANTS = {
    UNMASKED.id: Variants(
        _unmasked,
        lambda generator: one_of(generator, (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.6, 0.65, 0.7, 0.75, 0.85, 0.9, 0.95)),
    ),
    SKEWED.id: Variants(
        _skewed,
        lambda generator: one_of(
            generator, (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
        ),
    ),
    WITHOUT_FACTOR.id: Variants(
        _without_factor,
        lambda generator: one_of(generator, (-10.0, -5.0, -3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)),
    ),
}
