"""What is believed of every weight before the data, and how far a Gaussian has moved from it.

    GaussianPrior(std)              N(mean, std^2) for every weight: the divergence is exact
    ScaleMixture(share, wide, narrow)
                                    share N(0, wide^2) + (1 - share) N(0, narrow^2): the divergence is drawn
    gaussian_kl                     sum over weights of KL(N(m, s^2) || N(m_p, s_p^2)), in nats

A divergence is the **sum** over all weights, KL(q || p), q what was learned: neither a mean over weights nor the other
direction.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["GaussianPrior", "Prior", "ScaleMixture", "gaussian_kl"]


class Prior(Protocol):
    """The same density for every weight, independently.

    Source: [blundell2015weight], section 3.3; the interface is ours
    """

    def log_prob(self, w: Tensor) -> Tensor:
        """Return the log density of each weight, in nats, in the shape of w."""
        ...

    def divergence(self, mean: Tensor, std: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """Return KL(q || p) for independent Gaussians q, summed, shape (); it may ask for one draw from q."""
        ...


@dataclass(frozen=True)
class GaussianPrior:
    """Every weight is N(mean, std^2).

    Args:
        std: standard deviation > 0, no variance and no precision.
        mean: of every weight.

    Raises:
        ParameterError: if std is not positive or a number is not finite.

    Example:
        >>> GaussianPrior(2.0).divergence(torch.zeros(3), torch.full((3,), 2.0), lambda: torch.zeros(3))
        tensor(0.)

    Source: [graves2011variational], Gaussian prior
    """

    std: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        _require_std(std=self.std)
        if not math.isfinite(self.mean):
            raise ParameterError(f"the mean of a prior must be finite, got {self.mean}")

    def log_prob(self, w: Tensor) -> Tensor:
        """Return ln N(w; mean, std^2), in the shape of w."""
        return _log_normal(w, self.mean, self.std)

    def divergence(self, mean: Tensor, std: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """Return the exact KL(q || p), summed, shape (); nothing is drawn.

        Args:
            mean: of the weights, any shape.
            std: of that shape, > 0.
            draw: not called.
        """
        return gaussian_kl(mean, std, prior_mean=self.mean, prior_std=self.std)


@dataclass(frozen=True)
class ScaleMixture:
    """Every weight is from a wide Gaussian or from a narrow one, both around zero.

        p(w) = share N(w; 0, wide^2) + (1 - share) N(w; 0, narrow^2)

    Args:
        share: of the wide one, in (0, 1).
        wide: standard deviation.
        narrow: standard deviation, > 0 and below ``wide``.

    Raises:
        ParameterError: if a number is out of range.

    Example:
        >>> ScaleMixture(0.5, 1.0, 0.1).log_prob(torch.tensor([0.0, 1.0]))
        tensor([ 0.7858, -2.1121])

    Source: [blundell2015weight], Eq. (7)
    """

    share: float = 0.5
    wide: float = 1.0
    narrow: float = math.exp(-6)

    def __post_init__(self) -> None:
        _require_std(wide=self.wide, narrow=self.narrow)
        if not 0 < self.share < 1 or not self.narrow < self.wide:
            raise ParameterError(
                f"share must be in (0, 1) and narrow below wide, got {self.share}, {self.narrow} and {self.wide}; for "
                "one Gaussian use GaussianPrior"
            )

    def log_prob(self, w: Tensor) -> Tensor:
        """Return the log density of each weight, in nats, finite also where both densities underflow."""
        wide = math.log(self.share) + _log_normal(w, 0.0, self.wide)
        narrow = math.log1p(-self.share) + _log_normal(w, 0.0, self.narrow)
        return torch.logaddexp(wide, narrow)

    def divergence(self, mean: Tensor, std: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        """Return ln q(w) - ln p(w) at one draw w of q, summed, shape ().

        Its expectation is KL(q || p). It is noisy, and below zero for some draws.

        Args:
            mean: of the weights, any shape.
            std: of that shape, > 0.
            draw: returns weights drawn from q, of that shape, differentiable in mean and std.
        """
        w = draw()
        return (_log_normal(w, mean, std) - self.log_prob(w)).sum()


def gaussian_kl(mean: Tensor, std: Tensor, *, prior_std: float, prior_mean: float = 0.0) -> Tensor:
    """Return the divergence of independent Gaussians from a prior, summed over weights.

        KL(q || p) = sum [ln(s_p / s) + (s^2 + (m - m_p)^2) / (2 s_p^2) - 1/2]

    Args:
        mean: m, any shape.
        std: s > 0, of that shape.
        prior_std: s_p > 0, a standard deviation.
        prior_mean: m_p.

    Returns:
        The divergence in nats, shape (), differentiable.

    Raises:
        ParameterError: if shapes differ, or prior_std is not positive and finite.

    Example:
        >>> gaussian_kl(torch.tensor([1.0, 1.0]), torch.ones(2), prior_std=1.0)
        tensor(1.)

    Source: [graves2011variational], complexity of a Gaussian posterior; [blundell2015weight], Eq. (1)
    """
    _require_std(prior_std=prior_std)
    if mean.shape != std.shape:
        raise ParameterError(f"every weight has a mean and a std, got shapes {tuple(mean.shape)}, {tuple(std.shape)}")
    off = (mean - prior_mean if prior_mean else mean).flatten()
    squares = std.flatten().dot(std.flatten()) + off.dot(off)  # one pass each
    return mean.numel() * (math.log(prior_std) - 0.5) - std.log().sum() + squares / (2 * prior_std**2)


def _log_normal(w: Tensor, mean: float | Tensor, std: float | Tensor) -> Tensor:
    log_std = std.log() if isinstance(std, Tensor) else math.log(std)
    return -((w - mean) / std).square() / 2 - log_std - math.log(2 * math.pi) / 2


def _require_std(**stds: float) -> None:
    for name, std in stds.items():
        if not 0 < std < math.inf:
            raise ParameterError(f"{name} is a standard deviation and must be finite and > 0, got {std}")


STANDARD = GaussianPrior(1.0)
