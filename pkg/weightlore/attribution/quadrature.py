"""Where to look along a path, and how much each look counts: the rules of quadrature on [0, 1].

    int_0^1 h(a) da  =  sum_j w_j h(a_j)  +  error

    left             a = j/N,  j = 0 .. N-1         error of order 1/N
    right            a = j/N,  j = 1 .. N           1/N
    midpoint         a = (j + 1/2)/N                1/N^2
    trapezoid        a = j/N,  j = 0 .. N           1/N^2; N intervals and N + 1 nodes, the two ends count half
    inclusive_mean   N nodes from 0 to 1            1/N; their plain mean, which favors the ends
    gauss_legendre   roots of a polynomial          exact for polynomials of degree 2N - 1

These are the orders for smooth h. Along a path through a network of ReLUs h is a step function with total variation V,
and no rule can do better than 1/N: the error is at most V/N for left and right, V/(2N) for midpoint and trapezoid.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from scipy.special import roots_legendre
from torch import Tensor

from weightlore.errors import ParameterError, require_option

__all__ = ["Quadrature", "Rule", "quadrature", "refinement"]

Rule = Literal["left", "right", "midpoint", "trapezoid", "inclusive_mean", "gauss_legendre"]


@dataclass(frozen=True)
class Quadrature:
    """Nodes and weights of a rule on [0, 1].

    Args:
        nodes: a, shape (S,), float64, ascending.
        weights: w, shape (S,), float64; they add up to 1.

    Source: ours
    """

    nodes: Tensor
    weights: Tensor

    def __len__(self) -> int:
        """S, how many nodes there are."""
        return len(self.nodes)


def quadrature(rule: Rule = "gauss_legendre", nodes: int = 50) -> Quadrature:
    """Return nodes and weights of a rule.

    Args:
        rule: one of the six of the table above.
        nodes: N, at least 1. It counts nodes, and intervals for the trapezoid, which has one node more.

    Returns:
        S = N nodes, N + 1 for the trapezoid, in float64; the weights add up to 1.

    Raises:
        ParameterError: if there is no such rule, or N is not a whole number of at least 1.

    Example:
        >>> quadrature("trapezoid", 2)
        Quadrature(nodes=tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64), \
weights=tensor([0.2500, 0.5000, 0.2500], dtype=torch.float64))

    Source: [sundararajan2017axiomatic], section 5, for the right sum; the other rules are standard, their table is ours
    """
    require_option("rule", rule, Rule)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise ParameterError(f"nodes must be a whole number of at least 1, got {nodes!r}; 20 to 1000 are usual")
    steps = torch.arange(nodes + 1, dtype=torch.float64)
    equal = torch.full((nodes,), 1 / nodes, dtype=torch.float64)
    if rule == "gauss_legendre":
        roots, weights = roots_legendre(nodes)
        return Quadrature((1 + torch.from_numpy(roots)) / 2, torch.from_numpy(weights) / 2)
    if rule == "trapezoid":
        ends = torch.full((nodes + 1,), 1 / nodes, dtype=torch.float64)
        ends[[0, -1]] /= 2
        return Quadrature(steps / nodes, ends)
    if rule == "inclusive_mean":
        return Quadrature(torch.linspace(0, 1, nodes, dtype=torch.float64), equal)
    offset = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[rule]
    return Quadrature((steps[:-1] + offset) / nodes, equal)


def refinement(rule: Rule, nodes: int) -> tuple[Quadrature, float]:
    """Return what turns the rule with N into the rule with 2N, and how much the old result still counts.

        Q_2N = kept Q_N + sum over the new nodes

    Left, right and trapezoid contain their coarser selves: only the midpoints are new, and half of the old result is
    kept. The others begin anew.

    Args:
        rule: of the old result.
        nodes: N of the old result, at least 1.

    Returns:
        The new nodes with their weights, and the factor of the old result, 1/2 or 0.

    Raises:
        ParameterError: as ``quadrature``.

    Source: ours, because twice the nodes then cost N gradients and not 2N
    """
    if rule not in ("left", "right", "trapezoid"):
        return quadrature(rule, 2 * nodes), 0.0
    middle = quadrature("midpoint", nodes)
    return Quadrature(middle.nodes, middle.weights / 2), 0.5
