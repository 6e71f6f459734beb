"""Integrated gradients without quadrature: where a network of affine pieces bends, and one gradient a piece.

A network of linear layers, ReLUs and maxima is affine between neighboring *breakpoints* of the path. There the gradient
is constant, and the integral is a sum:

    int_0^1 h(a) da = sum over pieces of (a_{p+1} - a_p) h((a_p + a_{p+1}) / 2)

Breakpoints are found operation by operation. Between those that the operations before have made, whatever enters the
next one is affine, so that its values at two neighbors tell where it bends.

    breakpoints(model, x, baseline=)                    places on each path
    exact_integrated_gradients(model, x, target, ...)   the sum
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.attribution.baselines import baseline_for
from weightlore.attribution.integrated import difference, gap_of
from weightlore.attribution.kinks import bending, bends
from weightlore.attribution.operations import Call, Ruled
from weightlore.attribution.outputs import Attribution, require
from weightlore.attribution.passes import ConstantNetwork, constant
from weightlore.attribution.paths import integrated

__all__ = ["breakpoints", "exact_integrated_gradients"]


def breakpoints(
    model: nn.Module, x: Tensor, *, baseline: Tensor | float, chunk: int | None = None
) -> tuple[Tensor, ...]:
    """Return where a network of affine pieces bends on the straight path from a baseline to each input.

    The network runs once for each of its bending operations, on all breakpoints found so far. Their number grows with
    the number of units: some dozens for the networks of the digits, thousands for deep convolutional ones.

    Args:
        model: in eval mode, of layers that add up, ReLU and its relatives, and max pooling; returns logits, (N, C).
        x: inputs, shape (N, ...); float64 for exact places.
        baseline: b, a number for all entries, or shaped like x or like one example of it.
        chunk: points at once, at least 2; ``None`` for what fits a cache.

    Returns:
        For each example a vector of places, float64, ascending, from 0 to 1.

    Raises:
        ParameterError: as ``integrated_gradients``, or if an operation is not made of known affine pieces.

    Source: [sotoudeh2019computing], section 4; operation by operation over all layers at once is ours
    """
    require(model, x, 0)
    b, network = baseline_for(x, baseline), constant(model, x, chunk=chunk)
    return tuple(_on_path(network, x[n : n + 1].detach(), b[n : n + 1]) for n in range(len(x)))


def exact_integrated_gradients(
    model: nn.Module, x: Tensor, target: int | Tensor, *, baseline: Tensor | float, chunk: int | None = None
) -> Attribution:
    """Return the integrated gradients of the logit of a network of affine pieces, exact up to rounding.

        A = (x - b) sum over pieces of length times gradient

    Where a whole piece of the path lies on a bend (two equal entries of a maximum, a ReLU whose input stays zero), the
    gradient there is the one that torch takes.

    Args:
        model: in eval mode, of layers that add up, ReLU and its relatives, and max pooling; returns logits, (N, C).
        x: inputs, shape (N, ...); in float64 the result is exact to about 1e-12 of its size.
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it.
        chunk: rows at once, at least 2; ``None`` for what fits a cache.

    Returns:
        The attribution, in units of the logit; its gap is rounding. Probabilities are not made of affine pieces.

    Raises:
        ParameterError: as ``breakpoints`` and ``integrated_gradients``.

    Source: [sotoudeh2019computing], section 6, exact integrated gradients
    """
    classes, b = require(model, x, target), baseline_for(x, baseline)
    found = breakpoints(model, x, baseline=b, chunk=chunk)
    x, network = x.detach(), constant(model, x, chunk=chunk)
    places, lengths = _pieces(found)
    values = (x - b) * integrated(network, x, b, classes, places, lengths)
    return Attribution(values, gap_of(values, difference(network, x, b, classes)), "logit")


def _pieces(found: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return middles and lengths of the pieces, shape (S, N); paths with fewer pieces have some of length zero."""
    most = max(len(one) for one in found)
    ends = torch.stack([torch.cat([one, one.new_ones(most - len(one))]) for one in found], dim=1)  # (S + 1, N)
    return (ends[1:] + ends[:-1]) / 2, ends.diff(dim=0)


def _on_path(network: ConstantNetwork, x: Tensor, b: Tensor) -> Tensor:
    """Return the breakpoints of one path, with its ends."""
    places, number = torch.tensor([0.0, 1.0], dtype=torch.float64, device=x.device), 0
    if torch.equal(x, b):
        return places
    while True:
        search = _Search(number)
        for points in _overlapping(places, network.chunk):
            search.run(network, torch.lerp(b, x, points.to(x).view(-1, *[1] * (x.ndim - 1))), points)
        if not search.reached:
            return places
        places, number = torch.cat([places, *search.found]).unique(), number + 1


def _overlapping(places: Tensor, chunk: int) -> Iterator[Tensor]:
    """Yield consecutive places, each part beginning with the last one of the part before."""
    step = max(1, chunk - 1)
    for start in range(0, len(places) - 1, step):
        yield places[start : start + step + 1]


class _Reached(Exception):
    """The operation that was looked for has been looked at."""


class _Search:
    """Looks for the bends of one operation of a network: the one with a number, counted as they run."""

    def __init__(self, number: int) -> None:
        self.number, self.count, self.reached = number, 0, False
        self.points = torch.empty(0)
        self.found: list[Tensor] = []

    def run(self, network: ConstantNetwork, z: Tensor, points: Tensor) -> None:
        """Let the network run on some points of the path, up to the operation."""
        self.count, self.points = 0, points
        try:
            with torch.inference_mode(False), torch.enable_grad(), Ruled(self._rule):
                network(z.clone().requires_grad_())
        except _Reached:
            self.reached = True

    def _rule(self, call: Call) -> Any:
        if bending(call):
            if self.count == self.number:
                self._note(*bends(call))
                raise _Reached
            self.count += 1
        return call.direct()

    def _note(self, interval: Tensor, share: Tensor) -> None:
        starts, lengths = self.points[:-1], self.points.diff()
        self.found.append((starts[interval] + share.double() * lengths[interval]).clamp(0, 1))
