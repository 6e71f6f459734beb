"""The gates of a transfer unit: what reaches their bias, and how one looks at an image."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants
from weightlore.transfer.gates import Gates

__all__ = ["DIAGONAL_GATE", "GATE_GRADIENT"]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class _Steep:
    """How steep the gate is, z = logistic(k (s + b))."""

    k: float = 1.0

    def gradient(self, p: Tensor, c: Tensor, z: Tensor, delta: Tensor) -> Tensor:
        """By automatic differentiation of the blend, with the gate as a function of its bias."""
        bias = torch.zeros(p.shape[1], dtype=p.dtype, requires_grad=True)
        gate = torch.sigmoid(torch.logit(z) + self.k * bias)
        with torch.enable_grad():
            (found,) = torch.autograd.grad(torch.lerp(p, c, gate), bias, delta)
        return found

    def each(self, p: Tensor, c: Tensor, z: Tensor, delta: Tensor) -> Tensor:
        """What each example adds, from the formula."""
        return self.k * delta * (c - p) * z * (1 - z)


def _streams() -> list[tuple[Tensor, ...]]:
    """Activations and gates; the last ones are those of a copy."""
    drawn = _generator()

    def normal() -> Tensor:
        return torch.randn(4, 3, generator=drawn, dtype=torch.float64)

    cases = [(normal(), normal(), torch.sigmoid(normal()), normal()) for _ in range(3)]
    p, _, z, delta = cases[-1]
    return [*cases[:-1], (p, p.clone(), z, delta)]


def _gate_gradient(d: _Steep) -> Exercise:
    said, factor = ("", "") if d.k == 1 else (f" z = logistic({d.k:g} (s + b))", f"{d.k:g} ")
    return Exercise(
        id="transferred.gate_gradient",
        prompt=f"What is the gradient of the loss with respect to the bias of an update gate{said}, one for each "
        "channel? Answer: a function of (p, c, z, delta), all of shape (N, C), that returns shape (C,).",
        given="An update gate z is the logistic function of a logit s and its bias b, and passes on h = (1 - z) p + z "
        "c; delta is the gradient of the loss with respect to h.",
        nudge="How does h change if z grows a little? And how does z change if its bias does?",
        hint=f"dh/dz = c - p and dz/db = {factor}z (1 - z). All examples share the bias, so their gradients add up.",
        right="And for a copy it is zero, entry by entry: the loss cannot see how two equal things are blended.",
        reference=d.gradient,
        inputs=_streams,
        diagnoses=(
            Diagnosis("direction", "z leads from p to c, so it is c - p.", lambda p, c, z, e: -d.gradient(p, c, z, e)),
            *_slopes(d),
            Diagnosis(
                "source",
                "Not c but c - p: p is taken away as c comes in.",
                lambda p, c, z, e: d.each(torch.zeros_like(p), c, z, e).sum(0),
            ),
            Diagnosis(
                "mean",
                "You took the mean over the examples; gradients add up (delta is that of the whole loss).",
                lambda p, c, z, e: d.each(p, c, z, e).mean(0),
            ),
            Diagnosis("axis", "Sum over the examples.", lambda p, c, z, e: d.each(p, c, z, e).sum(1)),
            Diagnosis("sum", "Sum over the examples.", d.each),
        ),
    )


def _slopes(d: _Steep) -> tuple[Diagnosis, ...]:
    """What goes wrong between the bias and the gate."""
    found = (
        Diagnosis(
            "logistic",
            "This is the gradient with respect to z; the bias stands inside of the logistic function.",
            lambda p, c, z, e: (e * (c - p)).sum(0),
        ),
        Diagnosis(
            "logistic twice",
            "z is the gate already; you put it through the logistic function again.",
            lambda p, c, z, e: d.each(p, c, torch.sigmoid(z), e).sum(0),
        ),
    )
    steep = Diagnosis("steepness", f"The bias enters with a factor, {d.k:g}; it stays in the slope.", _Steep().gradient)
    return found if d.k == 1 else (*found, steep)


@dataclass(frozen=True)
class _Offset:
    """What is added to every logit of a gate."""

    added: float = 0.0

    def gate(self, p: Tensor, t: Tensor, w_p: Tensor, w_t: Tensor, b: Tensor) -> Tensor:
        """The update gate of the package, with these weights."""
        gates = Gates("channel-diag", len(b), spatial=True, biases=(0.0,), generator=_generator(), dtype=b.dtype)
        with torch.no_grad():
            gates.weight.copy_(torch.stack([w_p, w_t]))
            gates.bias.copy_(b + self.added)
            return torch.sigmoid(gates(p, t)[0])


def _images() -> list[tuple[Tensor, ...]]:
    """Images whose height, width and channels are all 3, so that a wrong axis raises nothing."""
    drawn, shapes = _generator(), [(2, 3, 3, 3)] * 2 + [(3,)] * 3
    return [tuple(torch.randn(s, generator=drawn, dtype=torch.float64) for s in shapes) for _ in range(2)]


def _wide(w: Tensor) -> Tensor:
    return w[:, None, None]


def _diagonal_gate(d: _Offset) -> Exercise:
    """The gate of a unit, with something added to its logit."""
    added = f", and {d.added:+g} is added to the logit" if d.added else ""
    plus = f" {'+' if d.added > 0 else '-'} {abs(d.added):g}" if d.added else ""
    return Exercise(
        id="transferred.diagonal_gate",
        prompt=f"Write the update gate channel-diag: each channel looks at its own p and t at each place{added}. "
        "Answer: a function of (p, t, w_p, w_t, b), images of shape (N, C, H, W) and vectors of shape (C,), that "
        "returns (N, C, H, W).",
        given="The gate is the logistic function of a logit: p of the source and t of the target, weighed by w_p and "
        "w_t, and a bias b.",
        nudge="To which axis of an image does a vector of C numbers belong, and to which does torch align it?",
        hint=f"The logit is w_p p + w_t t + b{plus} with each vector as w[:, None, None]; then the logistic function.",
        right="Three numbers a channel and gate, where a dense gate of C channels has 2 C + 1.",
        reference=d.gate,
        inputs=_images,
        diagnoses=(
            Diagnosis(
                "axis",
                "Your vectors run along the width of the image; write w[:, None, None].",
                lambda p, t, v, w, b: torch.sigmoid(v * p + w * t + b + d.added),
            ),
            Diagnosis(
                "axis of the bias",
                "The weights go along the channels, but the bias along the width.",
                lambda p, t, v, w, b: torch.sigmoid(_wide(v) * p + _wide(w) * t + b + d.added),
            ),
            Diagnosis(
                "logit",
                "This is the logit; a gate is between 0 and 1.",
                lambda p, t, v, w, b: _wide(v) * p + _wide(w) * t + _wide(b) + d.added,
            ),
            *_left_out(d),
        ),
    )


def _left_out(d: _Offset) -> tuple[Diagnosis, ...]:
    """What goes wrong with the right axes."""
    found = (
        Diagnosis("exchanged", "You exchanged the weights of p and t.", lambda p, t, v, w, b: d.gate(t, p, v, w, b)),
        Diagnosis("bias", "You left out the bias.", lambda p, t, v, w, b: d.gate(p, t, v, w, 0 * b)),
        Diagnosis("one stream", "The gate looks at both streams.", lambda p, t, v, w, b: d.gate(p, t, v, 0 * w, b)),
        Diagnosis(
            "one minus", "This is 1 - z, the share of the source.", lambda p, t, v, w, b: 1 - d.gate(p, t, v, w, b)
        ),
    )
    plain = Diagnosis("offset", f"You left out the {d.added:+g} in the logit.", _Offset().gate)
    return (*found, plain) if d.added else found


GATE_GRADIENT, DIAGONAL_GATE = _gate_gradient(_Steep()), _diagonal_gate(_Offset())

VARIANTS = {
    GATE_GRADIENT.id: Variants(
        _gate_gradient,
        lambda generator: _Steep(
            one_of(generator, (0.1, 0.2, 0.25, 0.4, 0.5, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0))
        ),
    ),
    DIAGONAL_GATE.id: Variants(
        _diagonal_gate,
        lambda generator: _Offset(
            one_of(generator, (-4.0, -3.0, -2.5, -2.0, -1.5, -1.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0))
        ),
    ),
}
