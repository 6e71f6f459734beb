"""What the scores of predicted numbers take: containers, or the plain tensors that they hold.

    Normal, moments_of        a Gaussian prediction, or (mean, std)          -> mean and standard deviation
    Mixture, components_of    a prediction with members, or (means, stds)    -> (S, ...) each
    require_targets           is there one finite number for each prediction?
    require_pair              are these two floating tensors of one shape?

Shapes are never stretched: a target of shape (N,) beside a mean of shape (N, 1) would silently become (N, N).
"""

from typing import Protocol

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = [
    "HasMembers",
    "HasMoments",
    "Mixture",
    "Normal",
    "components_of",
    "moments_of",
    "require_pair",
    "require_targets",
]


class HasMoments(Protocol):
    """An object with a mean and a standard deviation for each number, such as a ``GaussianPrediction``.

    Source: ours, because measures take raw tensors and containers alike
    """

    @property
    def mean(self) -> Tensor:
        """Means, shape (N, D)."""
        ...

    @property
    def std(self) -> Tensor:
        """Standard deviations, shape (N, D)."""
        ...


class HasMembers(Protocol):
    """An object with the means and variances of S members, such as a ``GaussianPrediction`` of an ensemble.

    Source: ours, because measures take raw tensors and containers alike
    """

    @property
    def member_means(self) -> Tensor | None:
        """Means, shape (S, N, D)."""
        ...

    @property
    def member_vars(self) -> Tensor | None:
        """Variances, shape (S, N, D)."""
        ...


Normal = HasMoments | tuple[Tensor, Tensor]
Mixture = HasMembers | tuple[Tensor, Tensor]


def moments_of(p: Normal) -> tuple[Tensor, Tensor]:
    """Return the means and the standard deviations.

    Args:
        p: a Gaussian prediction, or a pair (mean, std) of tensors of one shape.

    Raises:
        ParameterError: if the shapes differ, an entry is not finite, or a standard deviation is negative.

    Source: ours
    """
    mean, std = p if isinstance(p, tuple) else (p.mean, p.std)
    return _require_spread(mean, std)


def components_of(p: Mixture) -> tuple[Tensor, Tensor]:
    """Return the means and the standard deviations of the members, shape (S, ...).

    Args:
        p: a prediction with members, or a pair (means, stds) of tensors of one shape, members first.

    Raises:
        ParameterError: if there are no members, the shapes differ, an entry is not finite, or a standard deviation is
            negative.

    Source: ours
    """
    if isinstance(p, tuple):
        means, stds = p
    elif p.member_means is None or p.member_vars is None:
        raise ParameterError("the prediction has no members; make it with GaussianPrediction.from_members")
    else:
        means, stds = p.member_means, p.member_vars.sqrt()
    _require_spread(means, stds)
    if means.ndim < 2:
        raise ParameterError(
            f"members come first, (S, N) or (S, N, D), got {tuple(means.shape)}; one member is m[None]"
        )
    return means, stds


def require_targets(y: Tensor, like: Tensor) -> Tensor:
    """Return the targets if there is one finite number for each prediction.

    Args:
        y: targets.
        like: predictions, in the shape that the targets must have.

    Raises:
        ParameterError: if the shape is another, or a target is not finite.

    Source: ours
    """
    if not isinstance(y, Tensor) or y.shape != like.shape or not y.is_floating_point():
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(
            f"y must be floating and have the shape of the predictions, {tuple(like.shape)}, got {came}; one output is "
            "y[:, None]"
        )
    return require_finite("y", y)


def require_pair(one: str, a: object, other: str, b: object) -> None:
    """Check that two arguments are floating tensors of one shape, with an entry at least.

    Args:
        one: how the caller calls the first, for the message.
        a: what came.
        other: how the caller calls the second.
        b: what came.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape or not a.numel() or not a.ndim:
        shapes = [tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in (a, b)]
        raise ParameterError(
            f"{one} and {other} must be tensors of one shape, (N,) or (N, D), got {shapes[0]}, {shapes[1]}"
        )
    if not torch.is_floating_point(a) or not torch.is_floating_point(b):
        raise ParameterError(f"{one} and {other} must be floating, got {a.dtype} and {b.dtype}; use .double()")


def _require_spread(mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    require_pair("the mean", mean, "the standard deviation", std)
    require_finite("a mean", mean)
    require_finite("a standard deviation", std)
    if bool((std < 0).any()):
        raise ParameterError(
            f"a standard deviation must be >= 0, got {float(std.detach().min()):g}; is it a logarithm?"
        )
    return mean, std
