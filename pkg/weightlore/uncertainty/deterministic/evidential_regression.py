"""A network that says a distribution over mean and variance of its answer.

The head makes four numbers of each output, of a Normal-Inverse-Gamma distribution over the mean mu and the variance s2
of a Gaussian; integrated over both, the answer is a Student t [amini2020evidential]:

    s2 ~ InverseGamma(a, b),   mu | s2 ~ N(gamma, s2 / nu)          NormalInverseGammaHead -> NormalInverseGamma
    y ~ Student t, 2a degrees of freedom, at gamma, squared scale b (1 + nu) / (nu a)
    E s2 = b / (a - 1),   Var mu = b / (nu (a - 1))                 .prediction
    -ln p(y) + penalty |y - gamma| (2 nu + a)                       evidential_regression_loss

The data see the Student t only, and with it a, gamma and b (1 + nu) / nu. Along the curve on which the last is constant
the likelihood cannot tell nu, so that it does not say how the variance falls into noise and doubt
[meinert2023evidential].
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

__all__ = [
    "NormalInverseGamma",
    "NormalInverseGammaHead",
    "evidential_regression_loss",
    "normal_inverse_gamma_losses",
]


@dataclass(frozen=True, eq=False)
class NormalInverseGamma:
    """A distribution over mean and variance of D numbers for each of N examples.

    Args:
        mean: gamma, shape (N, D), in the unit of the targets.
        nu: how many observations the mean is worth, shape (N, D), > 0.
        a: half of the degrees of freedom, shape (N, D), > 1, so that variances exist.
        b: shape (N, D), > 0, in squared units of the targets.

    Raises:
        ParameterError: if the shapes differ, or a number is out of range.

    Example:
        >>> one = torch.ones(1, 1)
        >>> NormalInverseGamma(0 * one, 4 * one, 3 * one, 8 * one).prediction.parts
        (tensor([[2.]]), tensor([[1.]]))

    Source: [amini2020evidential], the evidential distribution
    """

    mean: Tensor
    nu: Tensor
    a: Tensor
    b: Tensor

    def __post_init__(self) -> None:
        shape = self.mean.shape
        if len(shape) != 2 or not self.nu.shape == self.a.shape == self.b.shape == shape:
            shapes = [tuple(part.shape) for part in (self.mean, self.nu, self.a, self.b)]
            raise ParameterError(f"mean, nu, a and b need one shape (N, D), got {shapes}; one output is v[:, None]")
        for name, part, least in (("nu", self.nu, 0), ("a", self.a, 1), ("b", self.b, 0)):
            if bool((part <= least).any()):
                low = float(part.detach().min())
                raise ParameterError(f"{name} must be above {least}, got {low:g}; softplus plus {least} gives that")

    @property
    def prediction(self) -> GaussianPrediction:
        """The mean with E s2 = b / (a - 1) as noise and Var mu = b / (nu (a - 1)) as doubt."""
        noise = self.b / (self.a - 1)
        return GaussianPrediction(self.mean, noise, noise / self.nu)


class NormalInverseGammaHead(nn.Module):
    """The last layer of an evidential network for regression.

        gamma = location + scale m,   nu = softplus(r_1) + 1e-6,   a = 1 + softplus(r_2) + 1e-6,
        b = scale^2 (softplus(r_3) + 1e-6),   (m, r) = W h + c

    Args:
        features: width H of what comes in.
        y: the targets of training, shape (N,) or (N, D), for location, scale, dtype and device.
        generator: where the weights are drawn from; biases are zero.

    Raises:
        ParameterError: if the targets are of no use, as for ``GaussianHead``.

    Example:
        >>> head = NormalInverseGammaHead(16, torch.linspace(0, 1, 9), generator=torch.Generator().manual_seed(0))
        >>> head(torch.zeros(5, 16)).nu.shape
        torch.Size([5, 1])

    Source: [amini2020evidential], outputs of the network; targets standardized and the least values by us
    """

    location: Tensor
    scale: Tensor

    def __init__(self, features: int, y: Tensor, *, generator: torch.Generator) -> None:
        super().__init__()
        require_counts(features=features)
        location, scale = standardization(y)
        self.register_buffer("location", location)
        self.register_buffer("scale", scale)
        self.readout = built(
            lambda: nn.Linear(features, 4 * len(location)),
            generator=generator,
            dtype=y.dtype,
            linear_spread=features**-0.5,
        ).to(y.device)

    def forward(self, h: Tensor) -> NormalInverseGamma:
        """Return the distributions, in the units of the targets.

        Args:
            h: features, shape (N, H).
        """
        mean, *raw = self.readout(h).chunk(4, -1)
        nu, a, b = (F.softplus(part) + LEAST for part in raw)
        return NormalInverseGamma(self.location + self.scale * mean, nu, 1 + a, self.scale**2 * b)


def normal_inverse_gamma_losses(distribution: NormalInverseGamma, y: Tensor) -> Tensor:
    """Return the negative log density of the targets of each example.

        sum_d 1/2 ln(pi / nu) - a ln O + (a + 1/2) ln((y - gamma)^2 nu + O) + ln Gamma(a) - ln Gamma(a + 1/2),
        O = 2 b (1 + nu)

    Args:
        distribution: of each example.
        y: targets, shape (N, D), or (N,) where D is 1.

    Returns:
        Shape (N,), in nats.

    Raises:
        ParameterError: if the shapes do not fit.

    Example:
        >>> one = torch.ones(1, 1)
        >>> normal_inverse_gamma_losses(NormalInverseGamma(0 * one, one, 2 * one, one), one)
        tensor([1.5387])

    Source: [amini2020evidential], log loss of the Student t
    """
    nu, a = distribution.nu, distribution.a
    wide = a.double()  # two logarithms of Gamma that nearly cancel
    off = _targets(distribution, y) - distribution.mean
    whole = 2 * distribution.b * (1 + nu)
    # a ln O and (a + 1/2) ln(O + ...) are large and nearly equal where a is: only their difference is added
    tail = (a + 0.5) * torch.log1p(off**2 * nu / whole) + 0.5 * whole.log()
    gammas = (torch.lgamma(wide) - torch.lgamma(wide + 0.5)).to(a.dtype)
    return (0.5 * (log(pi) - nu.log()) + tail + gammas).sum(1)


def evidential_regression_loss(distribution: NormalInverseGamma, y: Tensor, *, penalty: float) -> Tensor:
    """Return the mean negative log density of the targets, and a price for being sure where one is wrong.

        1/N sum_i sum_d [ -ln p(y) + penalty |y - gamma| (2 nu + a) ]

    Args:
        distribution: what ``NormalInverseGammaHead`` returns.
        y: targets, shape (N, D), or (N,) where D is 1.
        penalty: >= 0, per unit of the targets: in other units it is another price.

    Returns:
        The loss, shape (), differentiable. With penalty 0 it leaves nu undetermined.

    Raises:
        ParameterError: if the shapes do not fit, or penalty is out of range.

    Example:
        >>> one = torch.ones(1, 1)
        >>> evidential_regression_loss(NormalInverseGamma(0 * one, one, 2 * one, one), one, penalty=0.1)
        tensor(1.9387)

    Source: [amini2020evidential], log loss and evidence regularizer
    """
    if not 0 <= penalty < float("inf"):
        raise ParameterError(f"penalty must be finite and at least 0, got {penalty!r}; 0 is the log loss alone")
    losses = normal_inverse_gamma_losses(distribution, y)
    off = (_targets(distribution, y) - distribution.mean).abs()
    return (losses + penalty * (off * (2 * distribution.nu + distribution.a)).sum(1)).mean()


def _targets(distribution: NormalInverseGamma, y: Tensor) -> Tensor:
    shape = distribution.mean.shape
    if y.shape != shape and not (y.ndim == 1 and shape == (len(y), 1)):
        raise ParameterError(f"targets need the shape {tuple(shape)} of the means, got {tuple(y.shape)}")
    return y.reshape(shape)
