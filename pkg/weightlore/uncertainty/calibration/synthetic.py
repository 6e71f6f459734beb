"""Forecasts whose calibration is known, since the labels are drawn from a distribution that is written down.

Three definitions, of which the last implies the others:

    top_label    P(y = argmax p | max p = r) = r                 the winner is right as often as it says
    classwise    P(y = k | p_k = r) = r for every class k        every class comes as often as it is said to
    canonical    P(y = k | p) = p_k for every vector p           the whole vector is the distribution of the label

    synthetic_calibrated    forecasts that meet one of them, and not the next

For numbers there is quantile calibration: P(y <= F^-1(q)) = q for every level q (``quantile_calibration_curve``).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.simplex import draw_simplex

__all__ = ["Calibration", "Synthetic", "synthetic_calibrated"]

Calibration = Literal["top_label", "classwise", "canonical"]


@dataclass(frozen=True, eq=False)
class Synthetic:
    """Forecasts, the distributions that labels come from, and labels.

    Args:
        probs: what is said, shape (N, C), float64.
        truth: what is so: the probability of each class given this forecast, shape (N, C).
        y: labels drawn from it, shape (N,), int64.

    Source: ours
    """

    probs: Tensor
    truth: Tensor
    y: Tensor


def synthetic_calibrated(
    kind: Calibration, size: int, *, generator: torch.Generator, classes: int = 3, concentration: float = 1.0
) -> Synthetic:
    """Return forecasts that are calibrated in one sense, and not in the next: top label, class-wise, canonical.

        p ~ Dirichlet(a, ..., a)
        canonical   q = p
        classwise   q = p + sgn(p) min(p) (1, -1, 0, ..., 0),   sgn = +-1 as p is an even or odd order of its entries
        top_label   q_k = p_k for the winner, (1 - max p) / (C - 1) for each other class

    and y ~ q. Swapping two classes other than k leaves p_k as it is and turns the sign, so that in the second case the
    change cancels for every class by itself and for the winner, but not for the vector.

    Args:
        kind: ``"top_label"``, ``"classwise"`` or ``"canonical"``.
        size: N.
        generator: of forecasts and labels; it advances.
        classes: C, at least 3 unless canonical: with two, class-wise is canonical.
        concentration: a, > 0; small ones make confident forecasts.

    Returns:
        Forecasts, true conditional distributions and labels.

    Raises:
        ParameterError: if there is no such kind, there are too few classes, or a number is out of range.

    Example:
        >>> made = synthetic_calibrated("canonical", 4, generator=torch.Generator().manual_seed(0))
        >>> made.probs.shape, bool((made.probs == made.truth).all())
        (torch.Size([4, 3]), True)

    Source: [vaicenavicius2019evaluating], the definitions; the samplers are ours
    """
    require_option("kind", kind, Calibration)
    require_counts(size=size, classes=classes)
    fewest = 2 if kind == "canonical" else 3
    if classes < fewest:
        raise ParameterError(
            f"{kind} forecasts need at least {fewest} classes, got {classes}; with two, labels of the other kinds "
            "would be canonically calibrated"
        )
    p = draw_simplex(concentration, (size, classes), generator=generator)
    truth = p if kind == "canonical" else _classwise(p) if kind == "classwise" else _top_label(p)
    u = torch.rand(size, 1, generator=generator, dtype=p.dtype, device=generator.device)
    y = (u > truth.cumsum(1)).sum(1).clamp(max=classes - 1)
    return Synthetic(p, truth, y)


def _classwise(p: Tensor) -> Tensor:
    first, second = torch.triu_indices(p.shape[1], p.shape[1], 1, device=p.device)
    sign = (p[:, second] - p[:, first]).sign().prod(1)  # of the order of the entries; 0 where two are equal
    move = sign * p.amin(1)
    changed = p.clone()
    changed[:, 0] += move
    changed[:, 1] -= move
    return changed


def _top_label(p: Tensor) -> Tensor:
    top, winner = p.max(1, keepdim=True)
    return ((1 - top) / (p.shape[1] - 1)).expand_as(p).scatter(1, winner, top)
