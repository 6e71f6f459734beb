"""Weights that are independent Gaussians, and three ways to draw what a layer of them puts out.

    w = m + s e,   s = softplus(rho),   e ~ N(0, 1)

    plain      y = x w^T                                   one e for all rows of a batch
    local      y = x m^T + sqrt(x^2 (s^2)^T) e             one e for each output of each row
    flipout    y = x m^T + ((x r) (s e)^T) t               one e, random signs r and t for each row

Mean and variance of every row are the same in all three. Rows of a batch are correlated in the first alone, so that
its gradients are the noisiest.

    IndependentGaussians    means and spreads of a tensor of weights
    MeanFieldLayer          a layer whose affine map has such weights; ``BayesLinear`` and ``BayesConv2d`` say which map
    Estimator               "plain", "local" or "flipout"
    random_signs            -1 and 1 with even chances
"""

import math
from abc import abstractmethod
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.bayesian.drawing import Stochastic, normal_like
from weightlore.uncertainty.bayesian.priors import Prior

__all__ = ["Estimator", "IndependentGaussians", "MeanFieldLayer", "random_signs"]

Estimator = Literal["plain", "local", "flipout"]
LEAST = 1e-12  # the smallest variance of an output whose root is taken: the slope of a root at zero is infinite


class IndependentGaussians(nn.Module):
    """A tensor of weights, each a Gaussian of its own.

        w = m + softplus(rho) e

    Args:
        mean: where the means start; copied.
        std: where all standard deviations start, > 0.

    Raises:
        ParameterError: if std is not positive.

    Source: [blundell2015weight], section 3.2
    """

    def __init__(self, mean: Tensor, *, std: float) -> None:
        super().__init__()
        if not 0 < std < torch.inf:
            raise ParameterError(f"std is a standard deviation and must be finite and > 0, got {std}")
        start = torch.tensor(std, dtype=torch.float64)
        rho = start + torch.log(-torch.expm1(-start))  # the inverse of softplus
        self.mean = nn.Parameter(mean.detach().clone())
        self.rho = nn.Parameter(torch.full_like(self.mean, rho.item()))

    @property
    def std(self) -> Tensor:
        """softplus(rho) > 0, in the shape of the weights."""
        return functional.softplus(self.rho)

    def shift(self, generator: torch.Generator) -> Tensor:
        """Return s e: a draw without the mean.

        Args:
            generator: where e is drawn from.
        """
        return self.std * normal_like(self.mean, generator)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return weights m + s e, differentiable in both.

        Args:
            generator: where e is drawn from.
        """
        return self.mean + self.shift(generator)


class MeanFieldLayer(Stochastic):
    """A layer with an affine map whose weights and biases are independent Gaussians.

    Args:
        layer: has ``weight`` and ``bias``: the means at the start.
        std: of all of them at the start.
        prior: of weights and biases.
        estimator: how outputs are drawn. Within ``drawing(..., held=True)`` it is the plain one: a member has one
            weight.

    Raises:
        ParameterError: if there is no such estimator, or std is not positive.

    Source: [blundell2015weight], section 3.2; [kingma2015local]; [wen2018flipout]
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, *, std: float, prior: Prior, estimator: Estimator) -> None:
        super().__init__()
        require_option("estimator", estimator, Estimator)
        self.weight = IndependentGaussians(layer.weight, std=std)
        self.bias = None if layer.bias is None else IndependentGaussians(layer.bias, std=std)
        self.prior, self.estimator = prior, estimator
        self.train(layer.training)

    @abstractmethod
    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return what the layer puts out for given weights."""

    @abstractmethod
    def signs(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return random signs for the inputs and for the outputs of each row."""

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs drawn by the estimator, or those of the mean weights outside ``drawing``.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if the layer trains outside ``drawing``.
        """
        generator = self.chance()
        if generator is None:
            return self._of_means(x)
        if self.held is not None or self.estimator == "plain":
            return self.affine(x, *self.kept("weights", lambda: self._weights(generator)))
        return self._local(x, generator) if self.estimator == "local" else self._flipped(x, generator)

    def kl_divergence(self) -> Tensor:
        """Return KL(q || p), summed over weights and biases, in nats, shape ().

        Raises:
            ParameterError: if the prior asks for a draw outside ``drawing``.
        """
        parts = [self.weight] if self.bias is None else [self.weight, self.bias]
        return torch.stack([self.prior.divergence(p.mean, p.std, partial(self._one, p)) for p in parts]).sum()

    def _one(self, part: IndependentGaussians) -> Tensor:
        if self.source is None:
            raise ParameterError(
                f"the divergence from a {type(self.prior).__name__} is estimated by a draw; call it within "
                "'with drawing(model, generator):', or use a GaussianPrior, for which it is exact"
            )
        return part.draw(self.source)

    def _of_means(self, x: Tensor) -> Tensor:
        return self.affine(x, self.weight.mean, None if self.bias is None else self.bias.mean)

    def _weights(self, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        return self.weight.draw(generator), None if self.bias is None else self.bias.draw(generator)

    def _local(self, x: Tensor, generator: torch.Generator) -> Tensor:
        squares = None if self.bias is None else self.bias.std.square()
        variance = self.affine(x.square(), self.weight.std.square(), squares)
        return self._of_means(x) + variance.clamp(min=LEAST).sqrt() * normal_like(variance, generator)

    def _flipped(self, x: Tensor, generator: torch.Generator) -> Tensor:
        inward, outward = self.signs(x, generator)
        shift = None if self.bias is None else self.bias.shift(generator)
        return self._of_means(x) + outward * self.affine(x * inward, self.weight.shift(generator), shift)


def random_signs(shape: tuple[int, ...], *, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return -1 and 1 with even chances.

    Args:
        shape: of the result.
        like: whose dtype and device it has.
        generator: where they are drawn from.

    Source: [wen2018flipout], section 3.1
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64, device=generator.device).random_(generator=generator)
    bits = words.view(torch.int8)[:count].reshape(shape) & 1  # one of each byte: an eighth of the draws
    return (2 * bits - 1).to(like)
