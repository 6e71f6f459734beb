"""Two restraints on transfer: a leash to the source's weights, and gates that shut for good."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.transfer import HardConcrete
from weightlore.transfer.anchors import anchored_step

__all__ = ["HARD_GATE", "LEASH"]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class _Vectors(nn.Module):
    """Two vectors of parameters, and logits that do not depend on them."""

    def __init__(self, w: Tensor, readout: Tensor) -> None:
        super().__init__()
        self.w, self.readout = nn.Parameter(w.clone()), nn.Parameter(readout.clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 2, dtype=x.dtype)


@dataclass(frozen=True)
class _Strengths:
    """How strongly the trained weights are held at the source, and the readout at zero."""

    source: float = 0.1
    head: float = 0.01

    def penalty(self, w: Tensor, source: Tensor, readout: Tensor) -> float:
        """What the package's step adds to the cross-entropy."""
        model = _Vectors(source, readout)
        step = anchored_step(model, self.source, self.head, loose=("readout",))
        batch = Split(torch.zeros(1, 1, dtype=w.dtype), torch.zeros(1, dtype=torch.int64))
        with torch.no_grad():
            model.w.copy_(w)
            return float(step(model, batch, _generator())) - log(2)


def _strengths(generator: torch.Generator) -> _Strengths:
    return _Strengths(one_of(generator, (0.2, 0.3, 0.4, 0.5, 1.0)), one_of(generator, (0.002, 0.02, 0.03, 0.05, 0.08)))


def _pulled(a: float, b: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A penalty a ||w - source||^2 + b ||readout||^2."""
    return lambda w, source, readout: a * (w - source).square().sum() + b * readout.square().sum()


def _weights() -> list[tuple[Tensor, ...]]:
    drawn = _generator()
    return [tuple(torch.randn(n, generator=drawn, dtype=torch.float64) for n in (6, 6, 4)) for _ in range(2)]


def _leash(d: _Strengths) -> Exercise:
    a, b = d.source / 2, d.head / 2
    return Exercise(
        id="transferred.leash",
        prompt=f"Write the penalty L2-SP with strength {d.source:g} and {d.head:g} for the readout. Answer: a function "
        "of (w, source, readout): weights that are trained, the source's weights, both of shape (P,), and weights of "
        "the new readout.",
        given="L2-SP holds weights near those of the source, and the new readout near zero, by squared distances; its "
        "gradient is strength times distance.",
        nudge="From where does each of the two groups start, and where should each be held?",
        hint=f"{d.source:g} / 2 times the squared distance of w from the source, plus {d.head:g} / 2 times that of the "
        "readout from zero.",
        right="Weight decay is the case source = 0: it pulls a tuned network away from what it was tuned from.",
        reference=d.penalty,
        inputs=_weights,
        diagnoses=_penalties(d, a, b),
    )


def _penalties(d: _Strengths, a: float, b: float) -> tuple[Diagnosis, ...]:
    """Other penalties, with half the strengths."""
    return (
        Diagnosis(
            "weight decay",
            "This pulls w towards zero; L2-SP pulls it towards the source.",
            lambda w, s, v: a * w.square().sum() + b * v.square().sum(),
        ),
        Diagnosis(
            "halves",
            "Both terms have a half, so that the gradient is strength times distance.",
            _pulled(d.source, d.head),
        ),
        Diagnosis("readout", "The new readout is held too, near zero: it has no source.", _pulled(a, 0.0)),
        Diagnosis("exchanged", "You exchanged the two strengths.", _pulled(b, a)),
        Diagnosis("one strength", f"The readout has a strength of its own, {d.head:g}.", _pulled(a, a)),
        Diagnosis(
            "square",
            "These are lengths; the penalty has their squares.",
            lambda w, s, v: a * (w - s).norm() + b * v.norm(),
        ),
        Diagnosis(
            "mean",
            "Sum the squares; a mean would make the leash longer the more weights there are.",
            lambda w, s, v: a * (w - s).square().mean() + b * v.square().mean(),
        ),
    )


@dataclass(frozen=True)
class _Stretch:
    """Where the stretched interval begins and ends."""

    low: float = -0.1
    high: float = 1.1

    def gate(self, logit: Tensor) -> Tensor:
        return HardConcrete(stretch=(self.low, self.high)).eval()(logit)

    def stretched(self, logit: Tensor) -> Tensor:
        return torch.sigmoid(logit) * (self.high - self.low) + self.low


def _stretches(generator: torch.Generator) -> _Stretch:
    return _Stretch(-integer(generator, 1, 5) / 10, 1 + integer(generator, 1, 5) / 10)


def _logits() -> list[tuple[Tensor]]:
    return [(torch.linspace(-4, 4, 9, dtype=torch.float64),), (torch.tensor([[-2.2, 0.3], [2.6, -9.0]]),)]


def _hard_gate(d: _Stretch) -> Exercise:
    low, high, shut = f"{d.low:g}", f"{d.high:g}", log(-d.low / d.high)
    return Exercise(
        id="transferred.hard_gate",
        prompt=f"A hard concrete gate stretches the logistic function from (0, 1) to ({low}, {high}) and cuts it off "
        "at 0 and 1. Write it as it is used after training, without noise. Answer: a function of a tensor of logits.",
        nudge="Two steps after the logistic function: stretch, then cut off.",
        hint=f"s ({high} + {-d.low:g}) - {-d.low:g}, then clamp(0, 1). The temperature belongs to the noise and "
        "is gone.",
        right=f"So below a logit of {shut:.1f} the gate is exactly 0, and sharing is no limit any more but a value.",
        reference=d.gate,
        inputs=_logits,
        diagnoses=(
            Diagnosis("cut off", "It leaves [0, 1]; cut it off at both ends.", d.stretched),
            Diagnosis(
                "stretch", "This is the logistic function: it is never 0 nor 1. Stretch it first.", torch.sigmoid
            ),
            Diagnosis(
                "width",
                f"From {low} to {high} it is {d.high - d.low:.1f} wide; yours ends at {d.high + d.low:.1f}.",
                lambda x: (torch.sigmoid(x) * d.high + d.low).clamp(0, 1),
            ),
            Diagnosis(
                "temperature",
                "The temperature of 2/3 divides noise and logit in training; in use it is left out.",
                lambda x: d.stretched(x / HardConcrete().temperature).clamp(0, 1),
            ),
            Diagnosis(
                "rounded",
                "You rounded to 0 and 1; between its ends the gate is a number.",
                lambda x: (torch.sigmoid(x) > 0.5).to(x.dtype),
            ),
            Diagnosis("line", "This cuts off the logit; the logistic function comes first.", lambda x: x.clamp(0, 1)),
        ),
    )


LEASH, HARD_GATE = _leash(_Strengths()), _hard_gate(_Stretch())

VARIANTS = {LEASH.id: Variants(_leash, _strengths), HARD_GATE.id: Variants(_hard_gate, _stretches)}
