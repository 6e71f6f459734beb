"""Gradients along straight paths from baselines to inputs.

    z(a) = b + a (x - b),   0 <= a <= 1
    h(a) = df/dz at z(a)                      path_gradients, to be drawn
    int_0^1 h(a) da ~ sum_j w_j h(a_j)        mean_path_gradient
    df/da = sum_i (x_i - b_i) h_i(a)          so that the integral times (x - b) adds up to f(x) - f(b)

Along a path through ReLUs h is a step function, through smooth non-linearities a smooth curve. All points of all paths
form one list of *rows*, node after node, of which a chunk runs at once; each row is added in its turn, so that the
size of a chunk cannot change the sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.attribution.baselines import baseline_for
from weightlore.attribution.outputs import Output, require
from weightlore.attribution.passes import ConstantNetwork, constant
from weightlore.attribution.quadrature import Rule, quadrature
from weightlore.errors import ParameterError

__all__ = ["Rows", "along", "grid", "integrated", "mean_path_gradient", "path_gradients"]


@dataclass(frozen=True)
class Rows:
    """Points on straight lines, one a row: of which example, between which two ends, and how much each counts.

    Args:
        example: number of the example, shape (R,), int64.
        end: number of the line's end among the inputs, shape (R,), int64.
        start: number of its start among the baselines, shape (R,), int64.
        place: a, shape (R,), float64.
        weight: w, shape (R,), float64.
        node: number of the node on its path, shape (R,), int64, for messages.

    Source: ours
    """

    example: Tensor
    end: Tensor
    start: Tensor
    place: Tensor
    weight: Tensor
    node: Tensor

    def __len__(self) -> int:
        """R, how many rows there are."""
        return len(self.example)

    def __getitem__(self, rows: slice) -> "Rows":
        """Return some of the rows."""
        parts = (self.example, self.end, self.start, self.place, self.weight, self.node)
        return Rows(*(part[rows] for part in parts))


def grid(paths: int, places: Tensor, weights: Tensor, device: torch.device | None = None) -> Rows:
    """Return the rows of all nodes on the paths of all examples, node after node, without those that count nothing.

    Args:
        paths: N, one path an example.
        places: a, shape (S,) for all paths alike, or (S, N).
        weights: w, of the same shape.
        device: of the rows; ``None`` for that of the places.

    Source: ours
    """
    if places.ndim == 1:
        places, weights = (one[:, None].expand(-1, paths) for one in (places, weights))
    node, path = torch.nonzero(weights.cpu(), as_tuple=True)
    found = (path, path, path, places.cpu()[node, path], weights.cpu()[node, path], node)
    return Rows(*(one.to(device) for one in found))


def along(
    network: ConstantNetwork, x: Tensor, baseline: Tensor, classes: Tensor, rows: Rows
) -> Iterator[tuple[Rows, Tensor]]:
    """Yield chunks of rows with their weighted gradients w df/dz.

    Args:
        network: prepared by ``constant``.
        x: ends of lines, as many as the rows name, (M, ...).
        baseline: starts of lines, as many as the rows name.
        classes: one for each example, shape (N,).
        rows: the points.

    Raises:
        ParameterError: if a gradient is not finite; the message names the node.

    Source: ours
    """
    for start in range(0, len(rows), network.chunk):
        part = rows[start : start + network.chunk]
        place = part.place.to(x).view(-1, *[1] * (x.ndim - 1))
        z = torch.lerp(baseline[part.start], x[part.end], place)  # exactly b where x = b, exactly x where a = 1
        gradients = network.gradients(z, classes[part.example], part.weight.to(x))
        _require_finite(part, gradients)
        yield part, gradients


def integrated(
    network: ConstantNetwork, x: Tensor, baseline: Tensor, classes: Tensor, places: Tensor, weights: Tensor
) -> Tensor:
    """Return the weighted sum of the gradients on each path, shaped like x.

    Args:
        network: prepared by ``constant``.
        x: ends of the paths, shape (N, ...).
        baseline: their starts, shape (N, ...).
        classes: one for each path, shape (N,).
        places: a, shape (S,) for all paths alike, or (S, N).
        weights: w, of the same shape.

    Raises:
        ParameterError: if a gradient is not finite.

    Source: [sundararajan2017axiomatic], section 5
    """
    total = torch.zeros_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
    for rows, gradients in along(network, x, baseline, classes, grid(len(x), places, weights, x.device)):
        total.index_add_(0, rows.example, gradients.to(total))  # row by row, in the order of the nodes
    return total.to(x)


def mean_path_gradient(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float,
    rule: Rule = "gauss_legendre",
    nodes: int = 50,
    output: Output = "logit",
    chunk: int | None = None,
) -> Tensor:
    """Return the mean gradient on the path from the baseline: integrated gradients before the product with x - b.

        G = int_0^1 df/dz at b + a (x - b) da

    Maps of two networks share the factor |x - b| and with it ranks of their absolute values; G does not hold it.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it, as the network reads it.
        rule: of the quadrature.
        nodes: N of the rule.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``integrated_gradients``.

    Returns:
        G, shaped like x, in units of the score per unit of the input.

    Raises:
        ParameterError: as ``integrated_gradients``.

    Source: ours, because a product with a shared factor makes absolute maps of unrelated networks alike
    """
    rule_of, classes, b = quadrature(rule, nodes), require(model, x, target), baseline_for(x, baseline)
    network = constant(model, x, output=output, chunk=chunk)
    return integrated(network, x.detach(), b, classes, rule_of.nodes, rule_of.weights)


def path_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    baseline: Tensor | float,
    places: Tensor,
    output: Output = "logit",
    chunk: int | None = None,
) -> Tensor:
    """Return the integrand h(a), the gradient at some places of the path.

        h(a) = df/dz at b + a (x - b)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        baseline: b, a number for all entries, or shaped like x or like one example of it.
        places: a, shape (S,), between 0 and 1.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``integrated_gradients``.

    Returns:
        h, shape (S, N, ...), in units of the score per unit of the input.

    Raises:
        ParameterError: as ``integrated_gradients``, or if a place is not on the path.

    Source: [sundararajan2017axiomatic], Eq. (1), the integrand
    """
    if places.ndim != 1 or len(places) == 0 or not bool(((places >= 0) & (places <= 1)).all()):
        raise ParameterError(f"places must be a vector of numbers between 0 and 1, got {places}")
    classes, b = require(model, x, target), baseline_for(x, baseline)
    network = constant(model, x, output=output, chunk=chunk)
    rows = grid(len(x), places.double(), torch.ones_like(places, dtype=torch.float64), x.device)
    parts = [gradients for _, gradients in along(network, x.detach(), b, classes, rows)]
    return torch.cat(parts).view(len(places), *x.shape)


def _require_finite(rows: Rows, gradients: Tensor) -> None:
    """Check the gradients of a chunk."""
    finite = torch.isfinite(gradients)
    if bool(finite.all()):
        return
    bad = int((~finite).flatten(1).any(1).nonzero()[0])
    node, place, example = int(rows.node[bad]), float(rows.place[bad]), int(rows.example[bad])
    raise ParameterError(
        f"the gradient at node {node} (a = {place:.6g}) on the path of example {example} is NaN or infinite: the "
        "network overflows or has no derivative there; choose a baseline whose path avoids it, or other nodes"
    )
