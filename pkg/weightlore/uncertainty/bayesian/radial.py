"""A layer whose weights lie as near to their means as one Gaussian number does, however many they are.

Draws of many independent Gaussians lie in a thin shell, sqrt(D) standard deviations from the mean, and none is near it.
A radial draw takes a direction, and how far along it from one Gaussian number:

    w = m + s (e / |e|) |r|,   e ~ N(0, 1) for each of D weights, r ~ N(0, 1) for all

    RadialLinear    such a layer: one draw for its weights, one for its biases
    radial_like     (e / |e|) |r|
    radial_kl       the divergence from a Gaussian prior, exact
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.uncertainty.bayesian.drawing import Stochastic, normal_like
from weightlore.uncertainty.bayesian.mean_field import IndependentGaussians
from weightlore.uncertainty.bayesian.priors import STANDARD, GaussianPrior, gaussian_kl

__all__ = ["RadialLinear", "radial_kl", "radial_like"]

EULER = 0.5772156649015329


class RadialLinear(Stochastic):
    """A fully connected layer with radial draws of its weights; one draw serves all rows of a batch.

    Args:
        layer: its weights are the means at the start; copied.
        spread: the standard deviation of every weight starts at spread / sqrt(in), > 0; s is sqrt(D) as large.
        prior: of weights and biases.

    Raises:
        ParameterError: if spread is not positive.

    Example:
        >>> from weightlore.uncertainty.bayesian import drawing
        >>> layer = RadialLinear(nn.Linear(4, 3))
        >>> with drawing(layer, torch.Generator().manual_seed(0)):
        ...     layer(torch.ones(5, 4)).shape
        torch.Size([5, 3])

    Source: [farquhar2020radial], the radial posterior, over all weights of a layer; biases apart are ours
    """

    def __init__(self, layer: nn.Linear, *, spread: float = 0.05, prior: GaussianPrior = STANDARD) -> None:
        super().__init__()
        start = spread * layer.out_features**0.5
        self.weight = IndependentGaussians(layer.weight, std=start)
        bias = layer._parameters["bias"]
        self.bias = None if bias is None else IndependentGaussians(bias, std=start * layer.in_features**-0.5)
        self.prior = prior
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs of drawn weights, shape (N, ..., out), or of the means outside ``drawing``.

        Args:
            x: inputs, shape (N, ..., in).

        Raises:
            ParameterError: if the layer trains outside ``drawing``.
        """
        generator = self.chance()
        if generator is None:
            return functional.linear(x, self.weight.mean, None if self.bias is None else self.bias.mean)
        return functional.linear(x, *self.kept("weights", lambda: self.draw(generator)))

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return weights (out, in) and biases (out,), or ``None``.

        Args:
            generator: where they are drawn from.
        """
        return _drawn(self.weight, generator), None if self.bias is None else _drawn(self.bias, generator)

    def kl_divergence(self) -> Tensor:
        """Return KL(q || p), summed over weights and biases, in nats, shape ()."""
        parts = [self.weight] if self.bias is None else [self.weight, self.bias]
        return torch.stack([radial_kl(part.mean, part.std, prior=self.prior) for part in parts]).sum()


def radial_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random direction times the size of one Gaussian number: (e / |e|) |r|.

    Args:
        like: whose shape, dtype and device the result has; its D entries are one vector.
        generator: where it is drawn from.

    Source: [farquhar2020radial]
    """
    e, r = normal_like(like, generator), normal_like(like.new_empty(()), generator)
    return e / torch.linalg.vector_norm(e) * r.abs()


def radial_kl(mean: Tensor, std: Tensor, *, prior: GaussianPrior) -> Tensor:
    """Return the divergence of a radial posterior from a Gaussian prior, in nats.

        KL = sum [ln(s_p / s) + (s^2 / D + (m - m_p)^2) / (2 s_p^2)] + D/2 ln 2 pi - H
        H = ln(2 pi^(D/2) / Gamma(D/2)) - (D - 1)/2 (gamma + ln 2) + 1/2 ln(pi e / 2)

    H is the entropy of (e / |e|) |r|: of the sphere, of the growth of spheres, of |r|; gamma is Euler's constant. For
    D = 1 this is ``gaussian_kl``.

    Args:
        mean: m, any shape with D entries.
        std: s > 0, of that shape.
        prior: N(m_p, s_p^2) for every weight.

    Returns:
        KL(q || p), summed, shape (), differentiable.

    Raises:
        ParameterError: if shapes differ.

    Example:
        >>> radial_kl(torch.tensor([1.0]), torch.tensor([1.0]), prior=GaussianPrior(1.0))
        tensor(0.5000)

    Source: [farquhar2020radial], objective; entropy and expectation in closed form are ours
    """
    count = mean.numel()
    sphere = math.log(2) + count / 2 * math.log(math.pi) - math.lgamma(count / 2)
    entropy = sphere - (count - 1) / 2 * (EULER + math.log(2)) + (math.log(math.pi / 2) + 1) / 2
    normal = count / 2 * (math.log(2 * math.pi) + 1)  # entropy of D Gaussian numbers, which gaussian_kl has
    narrower = (1 - 1 / count) * std.square().sum() / (2 * prior.std**2)  # E x^2 = 1 / D where a Gaussian has 1
    return gaussian_kl(mean, std, prior_mean=prior.mean, prior_std=prior.std) - narrower + normal - entropy


def _drawn(part: IndependentGaussians, generator: torch.Generator) -> Tensor:
    return part.mean + part.std * radial_like(part.mean, generator)
