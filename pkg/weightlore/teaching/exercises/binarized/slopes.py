"""How the gradient in a binary weight finds back to the latent one."""

import torch
from torch import Tensor

from weightlore.binary import binarize, binary_gradient
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["CENTERING", "GRADIENT"]


def _mapped(weight: Tensor, gradient: Tensor) -> Tensor:
    return binary_gradient(weight[None], gradient[None], center=False, rescale=None)[0]


def _signs(weight: Tensor) -> Tensor:
    return binarize(weight[None])[1][0]


def _through(weight: Tensor, gradient: Tensor) -> Tensor:
    """The term that passes straight through the sign."""
    return weight.abs().mean() * gradient * (weight.abs() <= 1)


def _slopes() -> list[tuple[Tensor, Tensor]]:
    first = torch.tensor([0.9, -0.3, 1.6, -0.2], dtype=torch.float64)
    second = torch.tensor([-0.4, 0.0, 0.1, -1.2, 0.7], dtype=torch.float64)
    return [
        (first, torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)),
        (second, torch.tensor([0.3, 1.0, -0.6, 2.0, -1.1], dtype=torch.float64)),
    ]


GRADIENT = Exercise(
    id="binarized.gradient",
    prompt="Map the gradient G in the binary weight of one output to that in its latent weight W, by equation (4) "
    "without the factor (1 - 1/I) n. Answer: a function of (W, G), two tensors of shape (n,), that returns another.",
    nudge="W~ is a product of two things that depend on W. Use the product rule: hold alpha, then the signs.",
    hint="alpha G [|W| <= 1] comes from the signs, sign(W)/n times the sum of G sign(W) from alpha.",
    right="The second term has one size for all weights of an output: it asks for longer or shorter, not for flips.",
    reference=_mapped,
    inputs=_slopes,
    diagnoses=(
        Diagnosis("only the signs", "You held alpha constant; it depends on every weight of the output.", _through),
        Diagnosis(
            "only the scale",
            "You held the signs constant; the straight-through term is missing.",
            lambda w, g: _mapped(w, g) - _through(w, g),
        ),
        Diagnosis(
            "no scale",
            "The straight-through term has the factor alpha: W~ is alpha times the sign.",
            lambda w, g: _mapped(w, g) - _through(w, g) + g * (w.abs() <= 1),
        ),
        Diagnosis(
            "clipping",
            "Where |W| > 1 the sign lets nothing through; only the second term acts there.",
            lambda w, g: _mapped(w, g) - _through(w, g) + w.abs().mean() * g,
        ),
        Diagnosis(
            "mean",
            "alpha is a mean, so each weight moves it by 1/n only.",
            lambda w, g: _through(w, g) + len(w) * (_mapped(w, g) - _through(w, g)),
        ),
        Diagnosis(
            "sum",
            "The signs stand inside of the sum as well: it is G times the signs that moves alpha.",
            lambda w, g: _through(w, g) + _signs(w) * g.mean(),
        ),
        Diagnosis(
            "clipping",
            "You cut off the second term as well; it knows no limit.",
            lambda w, g: _mapped(w, g) * (w.abs() <= 1),
        ),
        Diagnosis(
            "sign of zero",
            "A weight of zero counts as positive here; torch.sign gives it none.",
            lambda w, g: _through(w, g) + w.sign() * (g * w.sign()).mean(),
        ),
    ),
)


def _centered(gradient: Tensor) -> Tensor:
    return gradient - gradient.mean(1, keepdim=True)


CENTERING = Exercise(
    id="binarized.centering",
    prompt="W was centered, V = W - mean of W over the I inputs, and the gradient G in V is known. What is the exact "
    "gradient in W? Answer: a function of G, a tensor of shape (O, I), that returns one of the same shape.",
    nudge="How does V_j change when W_k does, for k = j, and for k different from j?",
    hint="dV_j / dW_k is [j = k] - 1/I. Sum over j: the gradient is centered like the weight.",
    right="The factor 1 - 1/I is the diagonal of this: right in size, but blind to what all inputs have in common.",
    reference=_centered,
    inputs=lambda: [
        (torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.5, 0.5]], dtype=torch.float64),),
        (torch.tensor([[2.0, -1.0], [0.0, 4.0], [1.0, 1.5]], dtype=torch.float64),),
    ],
    diagnoses=(
        Diagnosis(
            "diagonal",
            "This is the diagonal of the Jacobian alone, as the authors' code has it. What do the other I - 1 weights "
            "of an output do?",
            lambda g: (1 - 1 / g.shape[1]) * g,
        ),
        Diagnosis("axis", "You centered over the outputs; the mean was over inputs.", lambda g: g - g.mean(0)),
        Diagnosis("axis", "You took one mean for all; each output has its own.", lambda g: g - g.mean()),
        Diagnosis("nothing", "This is the gradient in V. Centering lets less through.", lambda g: g),
        Diagnosis("sum", "The mean divides by I.", lambda g: g - g.sum(1, keepdim=True)),
        Diagnosis("mean", "You kept what centering takes away.", lambda g: g.mean(1, keepdim=True).expand_as(g)),
    ),
)
