"""Dropout by Gaussian noise on the weights, whose strength is learned for each weight.

    VariationalDropout(layer)     w = W (1 + sqrt(alpha) e), e standard normal; alpha for each weight
    variational_dropout(model)    a network of them
    log_uniform_kl                divergence from the prior that is flat in ln |w|, as a function of ln alpha

A weight with large alpha is noise only and can be left out: a network that trains this way becomes sparse.

    KL(ln alpha) = k1 sigmoid(-(k2 + k3 ln alpha)) + 1/2 ln(1 + 1/alpha)
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.bayesian.drawing import Stochastic, normal_like
from weightlore.uncertainty.bayesian.drop_connect import applied
from weightlore.uncertainty.ensembles.batched import with_layers

__all__ = ["VariationalDropout", "log_uniform_kl", "variational_dropout"]

FIT = 0.63576, 1.87320, 1.48695  # k1, k2, k3 of the paper's fit


class VariationalDropout(Stochastic):
    """A layer with Gaussian noise on every weight, proportional to it.

        w_ij ~ N(W_ij, alpha_ij W_ij^2),   ln alpha = ln s^2 - ln W^2

    The parameters are W and ln s^2. Training draws the outputs instead of the weights, N(W x, s^2 x^2), a draw for each
    row; a prediction draws weights, one set a member. For a convolution, the outputs of training are drawn as if
    places were independent.

    Args:
        layer: copied; W starts at its weight.
        log_variance: ln s^2 at the start, the same for all weights.

    Raises:
        ParameterError: if it is not finite.

    Example:
        >>> layer = VariationalDropout(nn.Linear(4, 3), log_variance=-8.0)
        >>> layer.log_alpha.shape
        torch.Size([3, 4])

    Source: [molchanov2017sparsifies], with the additive parameters there; Gaussian dropout as inference in
        [kingma2015local]
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, *, log_variance: float = -8.0) -> None:
        super().__init__()
        if not math.isfinite(log_variance):
            raise ParameterError(
                f"log_variance must be finite, got {log_variance}; -8 to -10 start almost without noise"
            )
        self.layer = copy.deepcopy(layer)
        self.log_variance = nn.Parameter(torch.full_like(layer.weight, log_variance))
        self.train(layer.training)

    @property
    def log_alpha(self) -> Tensor:
        """Ln alpha, shape of the weight; a weight of zero has that of the smallest number."""
        tiny = torch.finfo(self.log_variance.dtype).tiny
        return self.log_variance - self.layer.weight.square().clamp(min=tiny).log()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer with noise; outside ``drawing``, in evaluation mode, without.

        Args:
            x: as the layer reads it.
        """
        generator, layer = self.chance(), self.layer
        mean = layer.weight
        if generator is None:
            return applied(layer, x, mean, bias=layer.bias)
        if self.held is not None:
            noise = self.kept("noise", lambda: normal_like(mean, generator))
            return applied(layer, x, mean + (self.log_variance / 2).exp() * noise, bias=layer.bias)
        variance = applied(layer, x.square(), self.log_variance.exp(), bias=None)
        y = applied(layer, x, mean, bias=layer.bias)
        return y + (variance + 1e-12).sqrt() * normal_like(y, generator)  # a root has no slope at zero

    def kl_divergence(self) -> Tensor:
        """Return the sum over weights of the divergence from the prior, in nats, shape ()."""
        return log_uniform_kl(self.log_alpha).sum()

    def plain(self, *, threshold: float = 3.0) -> nn.Linear | nn.Conv2d:
        """Return a plain layer, with zero for every weight that is noise only.

        Args:
            threshold: of ln alpha; 3 is a noise of over 4 times the weight.
        """
        layer = copy.deepcopy(self.layer)
        with torch.no_grad():
            layer.weight[self.log_alpha > threshold] = 0.0
        return layer


def log_uniform_kl(log_alpha: Tensor) -> Tensor:
    """Return the divergence of N(w, alpha w^2) from the prior that is flat in ln |w|, entry by entry.

        KL = k1 sigmoid(-(k2 + k3 ln alpha)) + 1/2 ln(1 + 1/alpha),   k = 0.63576, 1.87320, 1.48695

    The exact one, E ln|1 + sqrt(alpha) e| - 1/2 ln alpha, has no closed form; this is a fit to it. Both are taken to be
    zero for infinite alpha, for the prior has no total to compare with.

    Args:
        log_alpha: any shape, finite.

    Returns:
        Nats, > 0, falling with alpha, in that shape.

    Raises:
        ParameterError: if an entry is not finite.

    Example:
        >>> log_uniform_kl(torch.tensor([0.0, 5.0]))
        tensor([0.4312, 0.0034])

    Source: [molchanov2017sparsifies], approximation of the divergence
    """
    k1, k2, k3 = FIT
    require_finite("log_alpha", log_alpha)
    return k1 * torch.sigmoid(-(k2 + k3 * log_alpha)) + F.softplus(-log_alpha) / 2


def variational_dropout(model: nn.Module, *, log_variance: float = -8.0) -> nn.Module:
    """Return a copy of a network with learned Gaussian noise on the weights of its layers.

    Args:
        model: trained or not; left as it is.
        log_variance: ln s^2 at the start.

    Returns:
        The copy. It is trained by ``elbo_step`` and asked by ``predict_members``.

    Raises:
        ParameterError: if there is no fully connected or convolutional layer, or the start is not finite.

    Source: [molchanov2017sparsifies]
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        return (
            VariationalDropout(layer, log_variance=log_variance) if isinstance(layer, nn.Linear | nn.Conv2d) else None
        )

    return with_layers(model, replace)
