"""Maps of one number that are made of pieces: stairs and polygons, and mixtures of stairs.

    Steps(edges, values)     values[b] on [edges[b-1], edges[b]), closed on the left
    Knots(x, y)              linear between the knots, constant outside
    mixed(steps, weights)    sum_m w_m steps_m, again stairs: the mixture is evaluated once and not at every call

All are float64 inside; histogram, isotonic and Bayesian binning are fitted maps of these two kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Knots", "Steps", "mixed"]


@dataclass(frozen=True, eq=False)
class Steps:
    """A map that is constant between edges.

        f(x) = values[b]   for edges[b-1] <= x < edges[b],   the first and the last piece without end

    Args:
        edges: where the value changes, shape (B - 1,), ascending.
        values: shape (B,).

    Raises:
        ParameterError: if there is not one value more than edges, or edges fall.

    Example:
        >>> Steps(torch.tensor([0.5]), torch.tensor([0.1, 0.8]))(torch.tensor([0.49, 0.5]))
        tensor([0.1000, 0.8000], dtype=torch.float64)

    Source: [zadrozny2001obtaining], binning; which side is closed is ours
    """

    edges: Tensor
    values: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", require_finite("edges", self.edges.detach().double().cpu()))
        object.__setattr__(self, "values", require_finite("values", self.values.detach().double().cpu()))
        if self.edges.ndim != 1 or self.values.shape != (len(self.edges) + 1,) or bool((self.edges.diff() < 0).any()):
            raise ParameterError(
                f"B values need B - 1 ascending edges between them, got {tuple(self.values.shape)} values and "
                f"{tuple(self.edges.shape)} edges"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values at numbers of any shape, float64."""
        at = x.detach().double().contiguous()
        return self.values.to(x.device)[torch.bucketize(at, self.edges.to(x.device), right=True)]


@dataclass(frozen=True, eq=False)
class Knots:
    """A map that is linear between knots and constant outside.

    Args:
        x: places of the knots, shape (B,), ascending; two equal ones are a jump, whose upper end counts.
        y: values there, shape (B,).

    Raises:
        ParameterError: if there are no knots, places fall, or there are more of one than of the other.

    Example:
        >>> Knots(torch.tensor([0.2, 0.6]), torch.tensor([0.0, 1.0]))(torch.tensor([0.1, 0.3, 0.9]))
        tensor([0.0000, 0.2500, 1.0000], dtype=torch.float64)

    Source: [zadrozny2002transforming], isotonic regression; linear between the knots is what scikit-learn does
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", require_finite("places of knots", self.x.detach().double().cpu()))
        object.__setattr__(self, "y", require_finite("values of knots", self.y.detach().double().cpu()))
        if self.x.ndim != 1 or self.x.shape != self.y.shape or not len(self.x) or bool((self.x.diff() < 0).any()):
            raise ParameterError(
                f"knots need as many values as ascending places, at least one, got {tuple(self.x.shape)} and "
                f"{tuple(self.y.shape)}"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values at numbers of any shape, float64."""
        at, places, values = x.detach().double().contiguous(), self.x.to(x.device), self.y.to(x.device)
        upper = torch.bucketize(at, places, right=True).clamp(1, max(len(places) - 1, 1))
        low, high = upper - 1, upper.clamp(max=len(places) - 1)
        share = ((at - places[low]) / (places[high] - places[low])).clamp(0, 1)
        share = torch.where(places[high] > places[low], share, (at >= places[high]).double())
        return torch.lerp(values[low], values[high], share)


def mixed(steps: Sequence[Steps], weights: Tensor) -> Steps:
    """Return the weighted sum of stairs, which has all their edges.

        f(x) = sum_m w_m f_m(x)

    Args:
        steps: M maps, M >= 1.
        weights: w, shape (M,).

    Raises:
        ParameterError: if there is no map, or not one weight for each.

    Example:
        >>> stair = Steps(torch.tensor([0.5]), torch.tensor([0.0, 1.0]))
        >>> flat = Steps(torch.tensor([]), torch.tensor([0.5]))
        >>> mixed([stair, flat], torch.tensor([0.5, 0.5])).values
        tensor([0.2500, 0.7500], dtype=torch.float64)

    Source: [naeini2015bbq], average over binnings; the common refinement is ours
    """
    if not steps or weights.shape != (len(steps),):
        raise ParameterError(f"every map has one weight, got {len(steps)} maps and weights {tuple(weights.shape)}")
    edges = torch.cat([one.edges for one in steps]).unique()
    begins = torch.cat([edges[:1] - 1, edges]) if len(edges) else torch.zeros(1, dtype=torch.float64)
    values = torch.zeros(len(edges) + 1, dtype=torch.float64)
    for one, weight in zip(steps, weights.tolist(), strict=True):
        values += weight * one(begins)
    return Steps(edges, values)
