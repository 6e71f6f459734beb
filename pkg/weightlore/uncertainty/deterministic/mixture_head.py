"""A network that says a whole density, which may have several peaks.

The head makes, of each example, the weights, centers and variances of M Gaussians, on targets that are brought to mean
0 and spread 1; what it returns is in the units of the targets [bishop1994mixture]:

    p(y | x) = sum_m w_m prod_d N(y_d; mu_md, v_md)        MixtureDensityHead -> MixtureDensity
    -1/N sum_i ln p(y_i | x_i)                             mixture_density_nll
    sum_m w_m (v_m + mu_m^2) - (sum_m w_m mu_m)^2          MixtureDensity.variance
"""

from dataclasses import dataclass
from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import built, require_counts
from weightlore.uncertainty.deterministic.gaussian_head import LEAST, standardization
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction

__all__ = ["MixtureDensity", "MixtureDensityHead", "mixture_density_nll"]


@dataclass(frozen=True, eq=False)
class MixtureDensity:
    """A mixture of M Gaussians with independent outputs, for each of N examples.

        p(y) = sum_m w_m prod_d N(y_d; mu_md, v_md)

    Args:
        log_weights: logarithms of the weights, shape (N, M); each row sums to 1 after ``exp``.
        means: shape (N, M, D), in the unit of the targets.
        variances: shape (N, M, D), > 0.

    Raises:
        ParameterError: if shapes do not fit, a variance is not above 0, or weights do not sum to 1.

    Example:
        >>> even, means = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[[-1.0], [1.0]]])
        >>> density = MixtureDensity(even, means, torch.full((1, 2, 1), 0.25))
        >>> density.mean, density.variance
        (tensor([[0.]]), tensor([[1.2500]]))

    Source: [bishop1994mixture]
    """

    log_weights: Tensor
    means: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        shape = self.means.shape
        if len(shape) != 3 or self.variances.shape != shape or self.log_weights.shape != shape[:2]:
            raise ParameterError(
                f"means and variances need one shape (N, M, D) and weights (N, M), got {tuple(shape)}, "
                f"{tuple(self.variances.shape)} and {tuple(self.log_weights.shape)}"
            )
        if bool((self.variances <= 0).any()):
            raise ParameterError(f"a variance must be above 0, got {float(self.variances.detach().min()):g}")
        if bool(((off := self.log_weights.detach().logsumexp(1).abs()) > 1e-3).any()):
            raise ParameterError(
                f"weights must sum to 1, got a sum off by a factor e^{float(off.max()):g}; log_softmax"
            )

    @property
    def mean(self) -> Tensor:
        """sum_m w_m mu_m, shape (N, D); where there are two peaks it may lie between them."""
        return (self._weights * self.means).sum(1)

    @property
    def variance(self) -> Tensor:
        """Variance of the whole mixture, shape (N, D): within the Gaussians and between their means."""
        between = (self.means - self.mean[:, None]) ** 2  # around the mean, so that no digits cancel
        return (self._weights * (self.variances + between)).sum(1)

    @property
    def prediction(self) -> GaussianPrediction:
        """Its two moments; all of the variance is noise of the targets, none of it doubt about parameters."""
        return GaussianPrediction(self.mean, self.variance, torch.zeros_like(self.mean))

    def log_prob(self, y: Tensor) -> Tensor:
        """Return the log density of a target of each example.

            logsumexp_m [ ln w_m - 1/2 sum_d (ln v_md + (y_d - mu_md)^2 / v_md + ln 2 pi) ]

        Args:
            y: targets, shape (N, D), or (N,) where D is 1.

        Returns:
            Shape (N,), in nats.

        Raises:
            ParameterError: if the shape is another.
        """
        shape = self.mean.shape
        if y.shape != shape and not (y.ndim == 1 and shape == (len(y), 1)):
            raise ParameterError(f"targets need the shape {tuple(shape)} of the means, got {tuple(y.shape)}")
        squares = (y.reshape(shape)[:, None] - self.means) ** 2 / self.variances
        inside = -0.5 * (self.variances.log() + squares + log(2 * pi)).sum(-1)  # (N, M)
        return (self.log_weights + inside).logsumexp(1)

    @property
    def _weights(self) -> Tensor:
        return self.log_weights.exp()[..., None]  # (N, M, 1)


class MixtureDensityHead(nn.Module):
    """The last layer of a network for regression with several answers: from features to a mixture of Gaussians.

        mu = location + scale m,   v = scale^2 (softplus(r) + 1e-6),   w = softmax(u),   (u, m, r) = W h + b

    At the start the centers lie evenly from one standard deviation below the mean of the targets to one above: centers
    that begin as one stay near one another for long.

    Args:
        features: width H of what comes in.
        y: the targets of training, shape (N,) or (N, D), for location, scale, dtype and device.
        components: M.
        generator: where the weights are drawn from.

    Raises:
        ParameterError: if sizes are none, or the targets are of no use, as for ``GaussianHead``.

    Example:
        >>> head = MixtureDensityHead(16, torch.linspace(0, 1, 9), components=3, generator=torch.Generator())
        >>> head(torch.zeros(5, 16)).means.shape
        torch.Size([5, 3, 1])

    Source: [bishop1994mixture]; softplus, the least variance and the first centers are ours
    """

    location: Tensor
    scale: Tensor

    def __init__(self, features: int, y: Tensor, *, components: int, generator: torch.Generator) -> None:
        super().__init__()
        require_counts(features=features, components=components)
        location, scale = standardization(y)
        self.register_buffer("location", location)
        self.register_buffer("scale", scale)
        self.shape = (components, len(location))
        self.readout = built(
            lambda: nn.Linear(features, components * (1 + 2 * len(location))),
            generator=generator,
            dtype=y.dtype,
            linear_spread=features**-0.5,
        ).to(y.device)
        if components > 1:
            first = torch.linspace(-1, 1, components).repeat_interleave(len(location))
            with torch.no_grad():
                self.readout.bias[components : components + len(first)] = first.to(self.readout.bias)

    def forward(self, h: Tensor) -> MixtureDensity:
        """Return the mixture of each example.

        Args:
            h: features, shape (N, H).
        """
        m, d = self.shape
        weights, means, raw = self.readout(h).split([m, m * d, m * d], -1)
        means, raw = (part.reshape(-1, m, d) for part in (means, raw))
        variances = self.scale**2 * (F.softplus(raw) + LEAST)
        return MixtureDensity(F.log_softmax(weights, -1), self.location + self.scale * means, variances)


def mixture_density_nll(density: MixtureDensity, y: Tensor) -> Tensor:
    """Return the mean over examples of the negative log density of their targets.

        -1/N sum_i ln sum_m w_im prod_d N(y_id; mu_imd, v_imd)

    Args:
        density: what ``MixtureDensityHead`` returns.
        y: targets, shape (N, D), or (N,) where D is 1.

    Returns:
        The loss in nats, shape (), differentiable.

    Raises:
        ParameterError: if the shapes do not fit.

    Example:
        >>> even, means = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[[-1.0], [1.0]]])
        >>> mixture_density_nll(MixtureDensity(even, means, torch.ones(1, 2, 1)), torch.zeros(1))
        tensor(1.4189)

    Source: [bishop1994mixture], error function
    """
    return -density.log_prob(y).mean()
