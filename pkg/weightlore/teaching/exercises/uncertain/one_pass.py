"""One network, one pass: what scores do not see, a gradient by hand, and what a likelihood leaves open."""

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty import ood

__all__ = ["PLUS_FIVE", "PULL", "SAME_CURVE", "VARIANTS"]

WORDS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight", 9: "Nine", 10: "Ten",
         11: "Eleven", 12: "Twelve", 15: "Fifteen", 20: "Twenty"}  # fmt: skip


def _changes(more: float) -> Tensor:
    """How energy and largest probability change when a number is added to the logits."""
    z = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    scores = (ood.energy_score, ood.max_softmax_score)
    return torch.cat([score(z + more) - score(z) for score in scores])


def _plus_five(more: int) -> Exercise:
    return Exercise(
        id="uncertain.plus_five",
        prompt=f"{WORDS[more]} is added to all logits. By how much do the energy, -ln sum exp z, and the score 1 - max "
        "p change? Answer: two numbers.",
        nudge="Take a factor out of the sum, then out of the fraction.",
        hint=f"exp(z + {more}) = exp({more}) exp(z). In a softmax the factor stands above and below.",
        right="Energies of two networks cannot be compared.",
        reference=lambda: _changes(more),
        diagnoses=(
            Diagnosis("sign", "The energy is minus the logarithm: larger logits, less energy.", lambda: [more, 0]),
            Diagnosis("both", "The softmax does not see a constant.", lambda: [-more, -more]),
            Diagnosis("none", f"The energy does see a constant: ln(exp({more}) sum) = {more} + ln sum.",
                      lambda: [0, 0]),
            Diagnosis("order", "The energy comes first.", lambda: [0, -more]),
        ),
    )  # fmt: skip


def _answers() -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    rows = [torch.randn(n, generator=drawn, dtype=torch.float64) for n in (5, 7, 3, 4)]
    return [(rows[0].softmax(0), rows[1]), (rows[2].softmax(0), rows[3].relu())]


def _beside(p: Tensor, *, least: bool = False) -> Tensor:
    """The probabilities less the named class."""
    named = torch.zeros_like(p)
    named[p.argmin() if least else p.argmax()] = 1
    return p - named


def _pull(T: float) -> Exercise:
    plain = T == 1
    where = "" if plain else f" V, where p = softmax(V h / T) with T = {T:g}"
    cool = () if plain else (
        Diagnosis("temperature", "In V, z is V h / T: divide by T.", lambda p, h: float(_beside(p).norm() * h.norm())),
    )  # fmt: skip
    return Exercise(
        id="uncertain.pull",
        prompt=f"The length of the gradient of -ln p of the named class in the last layer{where}. "
        "Answer: a function of (p, h), shapes (C,) and (H,), that returns a number.",
        nudge="What is the slope of -ln p_y in the logit z_c?",
        hint="p_c, less 1 for the named class. In V_cj it is that times h_j"
        f"{'' if plain else f', divided by {T:g}'}: an outer product.",
        right="No backward pass was needed.",
        reference=lambda p, h: float(_beside(p).norm() * h.norm()) / T,
        inputs=_answers,
        diagnoses=(
            Diagnosis("named", "The named class has slope p - 1, not p.", lambda p, h: float(p.norm() * h.norm()) / T),
            Diagnosis("features", "The features are missing: V_cj is multiplied by h_j.",
                      lambda p, h: float(_beside(p).norm()) / T),
            Diagnosis("squared", "This is the squared length.",
                      lambda p, h: float((_beside(p).norm() * h.norm()) ** 2) / T**2),
            Diagnosis("matrix", "This is the gradient itself; its length is asked for.",
                      lambda p, h: torch.outer(_beside(p), h) / T),
            Diagnosis("summed", "This is the sum of the absolute entries; the length is the root of the sum of "
                      "squares.", lambda p, h: float(_beside(p).abs().sum() * h.abs().sum()) / T),
            Diagnosis("other class", "The named class is the most probable one.",
                      lambda p, h: float(_beside(p, least=True).norm() * h.norm()) / T),
            *cool,
        ),
    )  # fmt: skip


def _same_curve(wider: float) -> Exercise:
    same, k = wider == 1, wider**2
    aim = "so that no target becomes more or less likely" if same else (
        f"so that the distribution of targets becomes {wider:g} times as wide and keeps its middle and alpha"
    )  # fmt: skip
    must = "must stay the same" if same else f"must become {wider:g}^2 times as large"
    kept = () if same else (
        Diagnosis("width", "The square of the width grows with b: by the square of the factor.",
                  lambda nu, b, wanted: wider * b * (1 + nu) / nu * wanted / (1 + wanted)),
        Diagnosis("as wide", f"This leaves the width as it is; it becomes {wider:g} times as large.",
                  lambda nu, b, wanted: b * (1 + nu) / nu * wanted / (1 + wanted)),
    )  # fmt: skip
    stays = "must stay" if same else "counts"
    return Exercise(
        id="uncertain.same_curve",
        prompt=f"Which b goes with another nu, {aim}? Answer: a function of (nu, b, wanted), three numbers, that "
        "returns a number.",
        given="A network predicts gamma, nu, alpha and b; the target then follows a Student t around gamma whose "
        "squared scale is b (1 + nu) / (nu alpha).",
        nudge="In which combination do nu and b enter the predicted distribution?",
        hint=f"b (1 + nu) / nu {must}. Solve for the new b.",
        right="The likelihood has one number, the parts of doubt claim two.",
        reference=lambda nu, b, wanted: k * b * (1 + nu) / nu * wanted / (1 + wanted),
        inputs=lambda: [(2.0, 0.5, 4.0), (0.3, 1.7, 0.1), (5.0, 0.2, 1.0)],
        diagnoses=(*_other_b(k, stays), *kept),
    )


def _other_b(k: float, stays: str) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("upside down", "You multiplied where you should divide.",
                  lambda nu, b, wanted: k * b * nu / (1 + nu) * (1 + wanted) / wanted),
        Diagnosis("doubt kept", f"This keeps b / nu, the doubt about the mean; the scale is what {stays}."
                  if k == 1 else f"This goes by b / nu, the doubt about the mean; the scale is what {stays}.",
                  lambda nu, b, wanted: k * b * wanted / nu),
        Diagnosis("product kept", "This keeps b nu; it is b (1 + nu) / nu that must stay." if k == 1
                  else "This goes by b nu; it is b (1 + nu) / nu that counts.",
                  lambda nu, b, wanted: k * b * nu / wanted),
        Diagnosis("noise kept", "This keeps b, so that the scale moves with nu." if k == 1
                  else "This goes by b alone, and the scale moves with nu.", lambda nu, b, wanted: k * b),
        Diagnosis("half way", f"This is the scale that {'must stay' if k == 1 else 'is wanted'}; divide it by (1 + "
                  "wanted) / wanted.", lambda nu, b, wanted: k * b * (1 + nu) / nu),
    )  # fmt: skip


PLUS_FIVE, PULL, SAME_CURVE = _plus_five(5), _pull(1.0), _same_curve(1.0)

TEMPERATURES = (0.2, 0.25, 0.4, 0.5, 0.75, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0)
WIDTHS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)

VARIANTS = {
    PLUS_FIVE.id: Variants(_plus_five, lambda generator: one_of(generator, tuple(WORDS))),
    PULL.id: Variants(_pull, lambda generator: one_of(generator, TEMPERATURES)),
    SAME_CURVE.id: Variants(_same_curve, lambda generator: one_of(generator, WIDTHS)),
}
