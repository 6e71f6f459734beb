"""Two restraints on transfer: a leash to the source's weights, and gates that shut for good."""

from collections.abc import Callable
from math import log

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.transfer import HardConcrete
from weightlore.transfer.anchors import anchored_step

__all__ = ["HARD_GATE", "LEASH"]

STRENGTH, HEAD = 0.1, 0.01
LOW, HIGH = HardConcrete().stretch


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class _Vectors(nn.Module):
    """Two vectors of parameters, and logits that do not depend on them."""

    def __init__(self, w: Tensor, readout: Tensor) -> None:
        super().__init__()
        self.w, self.readout = nn.Parameter(w.clone()), nn.Parameter(readout.clone())

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 2, dtype=x.dtype)


def _leash(w: Tensor, source: Tensor, readout: Tensor) -> float:
    """What the package's step adds to the cross-entropy."""
    model = _Vectors(source, readout)
    step = anchored_step(model, STRENGTH, HEAD, loose=("readout",))
    batch = Split(torch.zeros(1, 1, dtype=w.dtype), torch.zeros(1, dtype=torch.int64))
    with torch.no_grad():
        model.w.copy_(w)
        return float(step(model, batch, _generator())) - log(2)


def _pulled(a: float, b: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """A penalty a ||w - source||^2 + b ||readout||^2."""
    return lambda w, source, readout: a * (w - source).square().sum() + b * readout.square().sum()


def _weights() -> list[tuple[Tensor, ...]]:
    drawn = _generator()
    return [tuple(torch.randn(n, generator=drawn, dtype=torch.float64) for n in (6, 6, 4)) for _ in range(2)]


LEASH = Exercise(
    id="transferred.leash",
    prompt="Write the penalty L2-SP with strength 0.1 and 0.01 for the readout. Answer: a function of (w, source, "
    "readout): weights that are trained, the source's weights, both of shape (P,), and weights of the new readout.",
    nudge="From where does each of the two groups start, and where should each be held?",
    hint="0.1 / 2 times the squared distance of w from the source, plus 0.01 / 2 times that of the readout from zero.",
    right="Weight decay is the case source = 0: it pulls a tuned network away from what it was tuned from.",
    reference=_leash,
    inputs=_weights,
    diagnoses=(
        Diagnosis(
            "weight decay",
            "This pulls w towards zero; L2-SP pulls it towards the source.",
            lambda w, s, v: STRENGTH / 2 * w.square().sum() + HEAD / 2 * v.square().sum(),
        ),
        Diagnosis(
            "halves", "Both terms have a half, so that the gradient is strength times distance.", _pulled(0.1, 0.01)
        ),
        Diagnosis("readout", "The new readout is held too, near zero: it has no source.", _pulled(0.05, 0.0)),
        Diagnosis("exchanged", "You exchanged the two strengths.", _pulled(0.005, 0.05)),
        Diagnosis("one strength", "The readout has a strength of its own, 0.01.", _pulled(0.05, 0.05)),
        Diagnosis(
            "square",
            "These are lengths; the penalty has their squares.",
            lambda w, s, v: STRENGTH / 2 * (w - s).norm() + HEAD / 2 * v.norm(),
        ),
        Diagnosis(
            "mean",
            "Sum the squares; a mean would make the leash longer the more weights there are.",
            lambda w, s, v: STRENGTH / 2 * (w - s).square().mean() + HEAD / 2 * v.square().mean(),
        ),
    ),
)


def _hard(logit: Tensor) -> Tensor:
    return HardConcrete().eval()(logit)


def _stretched(logit: Tensor) -> Tensor:
    return torch.sigmoid(logit) * (HIGH - LOW) + LOW


HARD_GATE = Exercise(
    id="transferred.hard_gate",
    prompt="A hard concrete gate stretches the logistic function from (0, 1) to (-0.1, 1.1) and cuts it off at 0 and "
    "1. Write it as it is used after training, without noise. Answer: a function of a tensor of logits.",
    nudge="Two steps after the logistic function: stretch, then cut off.",
    hint="s (1.1 + 0.1) - 0.1, then clamp(0, 1). The temperature belongs to the noise and is gone.",
    right="So below a logit of -2.4 the gate is exactly 0, and sharing is no limit any more but a value.",
    reference=_hard,
    inputs=lambda: [(torch.linspace(-4, 4, 9, dtype=torch.float64),), (torch.tensor([[-2.2, 0.3], [2.6, -9.0]]),)],
    diagnoses=(
        Diagnosis("cut off", "It leaves [0, 1]; cut it off at both ends.", _stretched),
        Diagnosis("stretch", "This is the logistic function: it is never 0 nor 1. Stretch it first.", torch.sigmoid),
        Diagnosis(
            "width",
            "From -0.1 to 1.1 it is 1.2 wide; yours ends at 1.0.",
            lambda x: (torch.sigmoid(x) * HIGH + LOW).clamp(0, 1),
        ),
        Diagnosis(
            "temperature",
            "The temperature of 2/3 divides noise and logit in training; in use it is left out.",
            lambda x: _stretched(x / HardConcrete().temperature).clamp(0, 1),
        ),
        Diagnosis(
            "rounded",
            "You rounded to 0 and 1; between its ends the gate is a number.",
            lambda x: (torch.sigmoid(x) > 0.5).to(x.dtype),
        ),
        Diagnosis("line", "This cuts off the logit; the logistic function comes first.", lambda x: x.clamp(0, 1)),
    ),
)
