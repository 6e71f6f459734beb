"""Integrated gradients: what each input contributes to the difference from a baseline.

    A = (x - b) * int_0^1 df/dz at b + a (x - b) da
    sum A = f(x) - f(b)              completeness, up to the error of the quadrature, which is the *gap*
    A_i = 0 exactly where x_i = b_i  whatever the parameters are

    integrated_gradients             with a number of nodes
    adaptive_integrated_gradients    twice as many, until the gap is small enough

The gap is one number for all inputs: errors of single inputs may cancel in it, so that a gap of zero does not make
every value right.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.attribution.baselines import baseline_for
from weightlore.attribution.outputs import Attribution, Output, require
from weightlore.attribution.passes import ConstantNetwork, constant
from weightlore.attribution.paths import integrated
from weightlore.attribution.quadrature import Quadrature, Rule, quadrature, refinement
from weightlore.errors import ParameterError

__all__ = ["AdaptiveAttribution", "adaptive_integrated_gradients", "integrated_gradients"]


@dataclass(frozen=True)
class AdaptiveAttribution(Attribution):
    """Integrated gradients with as many nodes as each example asked for.

    Args:
        nodes: N of the last rule of each example, shape (N,), int64.
        evaluations: gradients that were computed for each example, shape (N,), int64, all rules together.
        met: whether the gap is as small as was wished, shape (N,).
        change: largest change of a value at the last doubling, shape (N,), NaN where there was none: what the gap does
            not see.

    Source: ours
    """

    nodes: Tensor
    evaluations: Tensor
    met: Tensor
    change: Tensor


def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float,
    rule: Rule = "gauss_legendre",
    nodes: int = 50,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return the integrated gradients on the straight path from a baseline.

        A = (x - b) sum_j w_j df/dz at b + a_j (x - b)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it, as the network reads it:
            where inputs are standardized, zero is gray (see ``black`` and the others).
        rule: of the quadrature.
        nodes: N of the rule, at least 1; the trapezoid has N intervals and N + 1 nodes.
        output: whether f is the logit or the probability.
        chunk: rows, examples times nodes, at once; ``None`` for what fits a cache. It changes time and memory; results
            only by the rounding of the network's own products for other numbers of rows.

    Returns:
        The attribution, in units of the score, and its gap.

    Raises:
        ParameterError: as ``require``; if the baseline has another shape, there is no such rule, N is below 1, or a
            gradient on the path is not finite (the message names the node).

    Example:
        >>> line = nn.Linear(2, 1).eval()
        >>> with torch.no_grad():
        ...     _ = line.weight.copy_(torch.tensor([[2.0, -1.0]]))
        >>> integrated_gradients(line, torch.tensor([[3.0, 1.0]]), 0, baseline=0.0, nodes=1).values
        tensor([[ 6., -1.]])

    Source: [sundararajan2017axiomatic], Eq. (1)
    """
    points, classes, b = quadrature(rule, nodes), require(model, x, target), baseline_for(x, baseline)
    values, gap = on_paths(constant(model, x, output=output, chunk=chunk), x.detach(), b, classes, points)
    return Attribution(values, gap, output)


def on_paths(
    network: ConstantNetwork, x: Tensor, baseline: Tensor, classes: Tensor, points: Quadrature
) -> tuple[Tensor, Tensor]:
    """Return integrated gradients and their gap for a network that is prepared.

    Args:
        network: prepared by ``constant``.
        x: inputs, shape (N, ...), detached.
        baseline: shape (N, ...).
        classes: one for each example, shape (N,).
        points: nodes and weights.

    Source: [sundararajan2017axiomatic], Eq. (1)
    """
    values = (x - baseline) * integrated(network, x, baseline, classes, points.nodes, points.weights)
    return values, gap_of(values, difference(network, x, baseline, classes))


def difference(network: ConstantNetwork, x: Tensor, baseline: Tensor, classes: Tensor) -> Tensor:
    """Return f(x) - f(b), what a complete attribution adds up to, shape (N,).

    Args:
        network: prepared by ``constant``.
        x: inputs, shape (N, ...).
        baseline: shape (N, ...).
        classes: one for each example, shape (N,).

    Source: ours
    """
    return network.scores(x, classes) - network.scores(baseline, classes)


def gap_of(values: Tensor, wanted: Tensor) -> Tensor:
    """Return sum(values) - wanted, summed in float64, in the dtype of the values, shape (N,).

    Args:
        values: shape (N, ...).
        wanted: what they should add up to, shape (N,).

    Source: ours
    """
    return (values.flatten(1).double().sum(1) - wanted.double()).to(values.dtype)


def adaptive_integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float,
    relative: float = 0.01,
    absolute: float = 1e-4,
    rule: Rule = "gauss_legendre",
    start: int = 8,
    most: int = 1024,
    output: Output = "logit",
    chunk: int | None = None,
) -> AdaptiveAttribution:
    """Return integrated gradients with twice the nodes, again and again, until the gap is small enough.

        |sum A - (f(x) - f(b))| <= max(relative |f(x) - f(b)|, absolute)

    Each example stops for itself. Left, right and trapezoid keep the gradients that they have.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it.
        relative: gap that may remain, as a share of f(x) - f(b), >= 0.
        absolute: gap that may remain in any case, in units of the score, >= 0.
        rule: of the quadrature.
        start: N of the first rule, at least 1.
        most: N is never more than this, at least ``start``.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``integrated_gradients``.

    Returns:
        The attribution, with the nodes that each example got, and whether its gap is as wished.

    Raises:
        ParameterError: as ``integrated_gradients``, or if a number is out of range.

    Source: [sundararajan2017axiomatic], section 5, more steps until the sum is right; the doubling is ours
    """
    if not all(0 <= size < float("inf") for size in (relative, absolute)):
        raise ParameterError(f"relative and absolute are sizes of gaps, finite and >= 0, got {relative}, {absolute}")
    points = quadrature(rule, start)
    if isinstance(most, bool) or not isinstance(most, int) or most < start:
        raise ParameterError(f"most must be a whole number of at least start = {start}, got {most!r}")
    classes, b = require(model, x, target), baseline_for(x, baseline)
    x, network = x.detach(), constant(model, x, output=output, chunk=chunk)
    wanted = difference(network, x, b, classes)
    allowed = (relative * wanted.abs()).clamp(min=absolute)
    run = _Doubling(network, x, b, classes, points, start)
    while True:
        gap = gap_of(run.values, wanted)
        met = gap.abs() <= allowed
        left = (~met).nonzero().squeeze(1)
        left = left[2 * run.nodes[left] <= most]
        if len(left) == 0:
            return AdaptiveAttribution(run.values, gap, output, run.nodes, run.evaluations, met, run.change)
        run.double(left, rule)


class _Doubling:
    """The state of the adaptive rule: a sum for each example, and what it has cost."""

    def __init__(
        self, network: ConstantNetwork, x: Tensor, b: Tensor, classes: Tensor, points: Quadrature, start: int
    ) -> None:
        self.network, self.x, self.b, self.classes = network, x, b, classes
        self.gradient = integrated(network, x, b, classes, points.nodes, points.weights)
        self.nodes = torch.full((len(x),), start, device=x.device)
        self.evaluations = torch.full((len(x),), len(points), device=x.device)
        self.change = torch.full((len(x),), torch.nan, dtype=x.dtype, device=x.device)

    @property
    def values(self) -> Tensor:
        return (self.x - self.b) * self.gradient

    def double(self, left: Tensor, rule: Rule) -> None:
        """Give the examples whose numbers are left twice the nodes; all of them have equally many."""
        points, kept = refinement(rule, int(self.nodes[left[0]]))
        x, b, old = self.x[left], self.b[left], self.gradient[left]
        new = kept * old + integrated(self.network, x, b, self.classes[left], points.nodes, points.weights)
        self.gradient[left] = new
        self.change[left] = ((x - b) * (new - old)).flatten(1).abs().amax(1)
        self.nodes[left] *= 2
        self.evaluations[left] += len(points)
