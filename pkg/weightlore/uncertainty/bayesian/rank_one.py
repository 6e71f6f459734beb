"""A layer with one weight matrix, scaled at random along its rows and columns.

    W_s = W o (a b^T),   a, b independent Gaussians, W learned as a number

Only out + in numbers are random, so that each row of a batch may have a draw of its own at the cost of two scalings:

    y = a o (W (b o x)) + bias

    Rank1Linear    such a layer
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.uncertainty.bayesian.drawing import Stochastic, normal_like
from weightlore.uncertainty.bayesian.mean_field import IndependentGaussians
from weightlore.uncertainty.bayesian.priors import GaussianPrior, gaussian_kl

__all__ = ["Rank1Linear"]

AROUND_ONE = GaussianPrior(0.1, mean=1.0)


class Rank1Linear(Stochastic):
    """A fully connected layer whose weight matrix is times an outer product of random factors.

    Every row of a batch draws its own a and b; within ``drawing(..., held=True)`` all rows share them. The divergence
    counts a and b alone: for W and the bias use weight decay.

    Args:
        layer: W and bias at the start; copied.
        std: standard deviation of the factors at the start, > 0; their means start at 1.
        prior: of the factors.

    Raises:
        ParameterError: if std is not positive.

    Example:
        >>> from weightlore.uncertainty.bayesian import drawing
        >>> layer = Rank1Linear(nn.Linear(4, 3))
        >>> with drawing(layer, torch.Generator().manual_seed(0)):
        ...     layer(torch.ones(5, 4)).shape
        torch.Size([5, 3])

    Source: [dusenberry2020rank], rank-1 parameterization with Gaussian factors; one Gaussian, no mixture of several
    """

    def __init__(self, layer: nn.Linear, *, std: float = 0.05, prior: GaussianPrior = AROUND_ONE) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())
        bias = layer._parameters["bias"]
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.a = IndependentGaussians(torch.ones_like(self.weight[:, 0]), std=std)
        self.b = IndependentGaussians(torch.ones_like(self.weight[0]), std=std)
        self.prior = prior
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return drawn outputs, shape (N, ..., out), or those of the mean factors outside ``drawing``.

        Args:
            x: inputs, shape (N, ..., in).

        Raises:
            ParameterError: if the layer trains outside ``drawing``.
        """
        generator = self.chance()
        if generator is None:
            factors: tuple[Tensor, Tensor] = (self.a.mean, self.b.mean)
        elif self.held is not None:
            factors = self.kept("factors", lambda: (self.a.draw(generator), self.b.draw(generator)))
        else:
            factors = _each(self.a, x, generator), _each(self.b, x, generator)
        a, b = factors
        y = a * functional.linear(b * x, self.weight)
        return y if self.bias is None else y + self.bias

    def kl_divergence(self) -> Tensor:
        """Return KL(q || p), summed over a and b, in nats, shape ()."""
        prior = {"prior_mean": self.prior.mean, "prior_std": self.prior.std}
        return gaussian_kl(self.a.mean, self.a.std, **prior) + gaussian_kl(self.b.mean, self.b.std, **prior)


def _each(factors: IndependentGaussians, x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw factors for each row of x, shape (N, ..., size)."""
    like = factors.mean.expand(*x.shape[:-1], -1)
    return factors.mean + factors.std * normal_like(like, generator)
