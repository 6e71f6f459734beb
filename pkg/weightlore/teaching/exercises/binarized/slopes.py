"""How the gradient in a binary weight finds back to the latent one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.binary import binarize, binary_gradient
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["CENTERING", "GRADIENT", "VARIANTS"]


def _signs(weight: Tensor) -> Tensor:
    return binarize(weight[None])[1][0]


@dataclass(frozen=True)
class _Mapping:
    """Up to which magnitude the sign lets the gradient through, and whether the factor (1 - 1/I) n is part of it."""

    limit: float = 1.0
    whole: bool = False

    def mapped(self, weight: Tensor, gradient: Tensor) -> Tensor:
        factor = 1.0 if self.whole else None
        return binary_gradient(weight[None], gradient[None], center=self.whole, rescale=factor, limit=self.limit)[0]

    def factor(self, weight: Tensor) -> float:
        return len(weight) - 1.0 if self.whole else 1.0

    def inside(self, weight: Tensor) -> Tensor:
        return weight.abs() <= self.limit

    def through(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """The term that passes straight through the sign."""
        return self.factor(weight) * weight.abs().mean() * gradient * self.inside(weight)

    def scaling(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """The term that comes from the scale."""
        return self.mapped(weight, gradient) - self.through(weight, gradient)


def _slopes() -> list[tuple[Tensor, Tensor]]:
    first = torch.tensor([0.9, -0.3, 1.6, -0.2], dtype=torch.float64)
    second = torch.tensor([-0.4, 0.0, 0.1, -1.2, 0.7], dtype=torch.float64)
    return [
        (first, torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)),
        (second, torch.tensor([0.3, 1.0, -0.6, 2.0, -1.1], dtype=torch.float64)),
    ]


def _gradient(d: _Mapping) -> Exercise:
    factor = "with the factor (1 - 1/I) n, where I = n" if d.whole else "without the factor (1 - 1/I) n"
    passes = "" if d.limit == 1 else f". The sign lets the gradient through up to |W| = {d.limit:g}"
    times = " Multiply both by (1 - 1/n) n = n - 1." if d.whole else ""
    return Exercise(
        id="binarized.gradient",
        prompt=f"Map the gradient G in the binary weight of one output to that in its latent weight W, "
        f"{factor}{passes}. Answer: a function of (W, G), two tensors of shape (n,), that returns another.",
        given="The binary weight is alpha sign(W) with alpha the mean of |W|. The sign lets the gradient through up to "
        "|W| = 1, if nothing else is said, and stops it beyond. A factor multiplies the whole.",
        nudge="W~ is a product of two things that depend on W. Use the product rule: hold alpha, then the signs.",
        hint=f"alpha G [|W| <= {d.limit:g}] comes from the signs, sign(W)/n times the sum of G sign(W) from "
        f"alpha.{times}",
        right="The second term has one size for all weights of an output: it asks for longer or shorter, not for "
        "flips.",
        reference=d.mapped,
        inputs=_slopes,
        diagnoses=(*_one_term(d), *_wrong_terms(d), *_factor(d)),
    )


def _one_term(d: _Mapping) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("only the signs", "You held alpha constant; it depends on every weight of the output.", d.through),
        Diagnosis("only the scale", "You held the signs constant; the straight-through term is missing.", d.scaling),
        Diagnosis("no scale", "The straight-through term has the factor alpha: W~ is alpha times the sign.",
                  lambda w, g: d.scaling(w, g) + d.factor(w) * g * d.inside(w)),
        Diagnosis("clipping",
                  f"Where |W| > {d.limit:g} the sign lets nothing through; only the second term acts there.",
                  lambda w, g: d.scaling(w, g) + d.factor(w) * w.abs().mean() * g),
    )  # fmt: skip


def _wrong_terms(d: _Mapping) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("mean", "alpha is a mean, so each weight moves it by 1/n only.",
                  lambda w, g: d.through(w, g) + len(w) * d.scaling(w, g)),
        Diagnosis("sum", "The signs stand inside of the sum as well: it is G times the signs that moves alpha.",
                  lambda w, g: d.through(w, g) + d.factor(w) * _signs(w) * g.mean()),
        Diagnosis("clipping", "You cut off the second term as well; it knows no limit.",
                  lambda w, g: d.mapped(w, g) * d.inside(w)),
        Diagnosis("sign of zero", "A weight of zero counts as positive here; torch.sign gives it none.",
                  lambda w, g: d.through(w, g) + d.factor(w) * w.sign() * (g * w.sign()).mean()),
    )  # fmt: skip


def _factor(d: _Mapping) -> tuple[Diagnosis, ...]:
    without = Diagnosis("factor", "The factor (1 - 1/n) n is missing; it is the same for all weights.",
                        lambda w, g: d.mapped(w, g) / d.factor(w))  # fmt: skip
    one = Diagnosis("limit", f"You let gradients pass up to |W| = 1; asked for is {d.limit:g}.",
                    _Mapping(whole=d.whole).mapped)  # fmt: skip
    return ((without,) if d.whole else ()) + (() if d.limit == 1 else (one,))


def _centered(gradient: Tensor, times: float = 1.0) -> Tensor:
    return gradient - times * gradient.mean(1, keepdim=True)


def _centering(times: float) -> Exercise:
    """Where so many times the mean was taken away."""
    was = "centered" if times == 1 else "partly centered" if times < 1 else "shifted"
    mean = "mean of W over the I inputs" if times == 1 else f"{times:g} m with m the mean of W over the I inputs"
    each = "1/I" if times == 1 else f"{times:g}/I"
    return Exercise(
        id="binarized.centering",
        prompt=f"W was {was}, V = W - {mean}, and the gradient G in V is "
        "known. What is the exact gradient in W? Answer: a function of G, a tensor of shape (O, I), that returns one "
        "of the same shape.",
        nudge="How does V_j change when W_k does, for k = j, and for k different from j?",
        hint=f"dV_j / dW_k is [j = k] - {each}. Sum over j: the gradient is {was} like the weight.",
        right=f"The factor 1 - {each} is the diagonal of this: right in size, but blind to what all inputs have in "
        "common.",
        reference=lambda g: _centered(g, times),
        inputs=lambda: [
            (torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.5, 0.5]], dtype=torch.float64),),
            (torch.tensor([[2.0, -1.0], [0.0, 4.0], [1.0, 1.5]], dtype=torch.float64),),
        ],
        diagnoses=_off_center(times),
    )


def _off_center(t: float) -> tuple[Diagnosis, ...]:
    code = ", as the authors' code has it" if t == 1 else ""
    once = Diagnosis("factor", f"You took the mean away once; V has {t:g} times the mean less.", _centered)
    less = "Centering lets less through." if t == 1 else "The mean that is taken away depends on W."
    return (
        Diagnosis("diagonal", f"This is the diagonal of the Jacobian alone{code}. What do the other I - 1 weights of "
                  "an output do?", lambda g: (1 - t / g.shape[1]) * g),
        Diagnosis("axis", "You centered over the outputs; the mean was over inputs.", lambda g: g - t * g.mean(0)),
        Diagnosis("axis", "You took one mean for all; each output has its own.", lambda g: g - t * g.mean()),
        Diagnosis("nothing", f"This is the gradient in V. {less}", lambda g: g),
        Diagnosis("sum", "The mean divides by I.", lambda g: g - t * g.sum(1, keepdim=True)),
        Diagnosis("mean", "You kept what centering takes away.",
                  lambda g: t * g.mean(1, keepdim=True).expand_as(g)),
        *(() if t == 1 else (once,)),
    )  # fmt: skip


GRADIENT, CENTERING = _gradient(_Mapping()), _centering(1.0)

LIMITS = (0.15, 0.25, 0.35, 0.5, 0.8, 1.0, 1.4)

VARIANTS = {
    GRADIENT.id: Variants(
        _gradient, lambda generator: _Mapping(one_of(generator, LIMITS), one_of(generator, (False, True)))
    ),
    CENTERING.id: Variants(_centering, lambda generator: integer(generator, 1, 40) / 8),
}
