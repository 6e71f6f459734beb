"""Differences from a baseline, passed backward by multipliers: DeepLIFT with the rescale rule.

    layers that add up    m_z = W^T m                               as the gradient
    elementwise           m_z = (phi(z) - phi(b)) / (z - b) m_y     phi'(z) where |z - b| < tolerance
    max pooling           the winner gets (y - y_b) / (z_w - b_w) m_y, the winner at x where y >= y_b, else that at the
                          baseline, which is never more than 1
    probabilities         softmax as a chain of the two: m_k = (P_c(x) P_k(b) - P_c(b) P_k(x)) / (u_k - u_k(b)),
                          u_k = S_k - S_c, and m_c = -sum_{k != c} m_k

    A = m (x - b),   sum A = f(x) - f(b)   up to rounding

The activations of the baseline are recorded in a pass of their own, and met again in the same order in the pass of x.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.attribution.baselines import baseline_for
from weightlore.attribution.operations import Call, Ruled, Visits, unruled, visits
from weightlore.attribution.outputs import Attribution, Output, chosen, frozen, pulled_back, require
from weightlore.errors import ParameterError

__all__ = ["deep_lift"]


def deep_lift(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float = 0.0,
    output: Output = "logit",
    tolerance: float = 1e-10,
) -> Attribution:
    """Return what each input contributes to the difference from a baseline, by the rescale rule.

        A = m (x - b),   sum A = f(x) - f(b)

    Args:
        model: in eval mode, of layers that add up, elementwise non-linearities and max pooling; returns logits, (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it; in the units in which the
            network reads x: where inputs are standardized, 0 is not black.
        output: whether f is the logit or the probability.
        tolerance: where z and its baseline differ by less, the derivative stands in for the ratio; >= 0.

    Returns:
        The attribution, in units of the score; its gap is rounding.

    Raises:
        ParameterError: as ``require``; if the baseline has another shape or is not finite, a module with a
            non-linearity runs twice, or an operation has no rule.

    Source: [shrikumar2017deeplift], rescale rule; maxima and probabilities are ours
    """
    if not 0 <= tolerance < float("inf"):
        raise ParameterError(f"tolerance is a size and must be a finite number >= 0, got {tolerance}")
    classes, b = require(model, x, target), baseline_for(x, baseline)
    with frozen(model), torch.inference_mode(False), torch.enable_grad():
        memory, at_b = _Memory(tolerance), b.clone().requires_grad_().clone()
        with visits(model) as memory.seen, Ruled(memory.record):
            logits_b = model(at_b)
        inputs = x.detach().clone().requires_grad_()
        copy = inputs.clone()
        with visits(model) as memory.seen, Ruled(memory.compare):
            logits = model(copy)
        before, after = chosen(logits_b, classes, output), chosen(logits, classes, output)
        start = _start(logits.detach(), logits_b.detach(), classes, output, tolerance)
        values = pulled_back((logits * start).sum(1), inputs) * (x.detach() - b)
    return Attribution(values, values.flatten(1).sum(1) - (after - before).detach(), output)


@dataclass
class _Memory:
    """What the non-linearities met at the baseline, in the order of their calls."""

    tolerance: float
    seen: Visits = field(default_factory=Visits)
    calls: list[tuple[str, Tensor]] = field(default_factory=list)

    def record(self, call: Call) -> Any:
        """Remember the input of a non-linearity, at the baseline."""
        if call.kind in ("elementwise", "maximum"):
            module = self.seen.running[-1] if self.seen.running else None
            if module is not None and self.seen.counts[module] > 1:
                raise ParameterError(
                    f"{type(module).__name__} is one module that runs more than once for an input, so that it has no "
                    "one baseline: give each place a non-linearity of its own"
                )
            self.calls.append((call.name, call.inputs[0].detach().clone()))
        return self._plain(call)

    def compare(self, call: Call) -> Any:
        """Pass a non-linearity by its multiplier between x and the baseline."""
        if call.kind not in ("elementwise", "maximum"):
            return self._plain(call)
        name, b = self.calls.pop(0) if self.calls else ("", torch.empty(0))
        if (name, b.shape) != (call.name, call.inputs[0].shape):
            raise ParameterError(
                f"the network takes another way for x ({call.name}) than for the baseline ({name or 'nothing'}), so "
                "that their activations cannot be compared"
            )
        rule = _Rescaled if call.kind == "elementwise" else _Pooled
        return call.written(rule.apply(call, b, self.tolerance, call.inputs[0]))

    def _plain(self, call: Call) -> Any:
        if call.kind is None:
            raise unruled(call, "DeepLIFT")
        return call.moved() if call.kind == "moved" else call.direct()


class _Rescaled(torch.autograd.Function):
    """An elementwise function, passed back by its difference quotient."""

    @staticmethod
    def forward(ctx: Any, call: Call, b: Tensor, tolerance: float, z: Tensor) -> Tensor:
        """Return phi(z), and remember the multiplier."""
        with torch.enable_grad():
            leaf = z.detach().clone().requires_grad_()
            y = call.at(leaf)
            (slope,) = torch.autograd.grad(y.sum(), leaf)
        difference, y = z - b, y.detach()
        near = difference.abs() <= tolerance
        ctx.save_for_backward(torch.where(near, slope, (y - call.at(b)) / difference.masked_fill(near, 1.0)))
        return y

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> tuple[Tensor | None, ...]:
        """Return the multiplier at z."""
        (own,) = ctx.saved_tensors
        return None, None, None, multipliers[0] * own


class _Pooled(torch.autograd.Function):
    """Max pooling, passed back to the winner of the larger of two maxima."""

    @staticmethod
    def forward(ctx: Any, call: Call, b: Tensor, tolerance: float, z: Tensor) -> Tensor:
        """Return the maxima, and remember who has won and with which multiplier."""
        (y, place), (y_b, place_b) = _maxima(call, z), _maxima(call, b)
        window = -int(call.name[-2])  # the dimensions of an image: 1, 2 or 3
        winner = torch.where(y >= y_b, place, place_b).flatten(window)
        difference, rise = (z - b).flatten(window).gather(-1, winner), (y - y_b).flatten(window)
        near = difference.abs() <= tolerance
        ctx.save_for_backward(winner, torch.where(near, 1.0, rise / difference.masked_fill(near, 1.0)))
        ctx.shape = z.shape
        return y

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> tuple[Tensor | None, ...]:
        """Return the multipliers at z, added up where windows overlap."""
        winner, own = ctx.saved_tensors
        found = multipliers[0].new_zeros(ctx.shape).flatten(winner.ndim - 1)
        found.scatter_add_(-1, winner, multipliers[0].reshape(own.shape) * own)
        return None, None, None, found.view(ctx.shape)


def _maxima(call: Call, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maxima of all windows, and where in the flattened image each lies."""
    options = {name: value for name, value in call.options.items() if name not in ("return_indices", "input")}
    found: tuple[Tensor, Tensor] = getattr(functional, call.name)(z, *call.args[1:], **options, return_indices=True)
    return found


def _start(logits: Tensor, logits_b: Tensor, classes: Tensor, output: Output, tolerance: float) -> Tensor:
    """Return the multipliers of the logits, shape (N, C)."""
    own = classes[:, None]
    if output == "logit":
        return torch.zeros_like(logits).scatter(1, own, 1.0)
    p, p_b = logits.softmax(1), logits_b.softmax(1)
    change = (logits - logits.gather(1, own)) - (logits_b - logits_b.gather(1, own))
    near = change.abs() <= tolerance
    ratio = (p.gather(1, own) * p_b - p_b.gather(1, own) * p) / change.masked_fill(near, 1.0)
    others = torch.where(near, -p_b.gather(1, own) * p, ratio).scatter(1, own, 0.0)
    return others.scatter(1, own, -others.sum(1, keepdim=True))
