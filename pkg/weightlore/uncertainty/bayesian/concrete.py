"""Dropout that learns how much to drop.

A mask of zeros and ones has no slope by which its rate could be learned; one of numbers between has:

    ConcreteDropout(layer, length_scale=)     a layer behind relaxed dropout, with a rate of its own
    concrete_dropout(model, length_scale=)    a network of them

    drop = sigmoid((ln p - ln(1 - p) + ln u - ln(1 - u)) / t),   u uniform
    KL = l^2 |W|^2 / (2 (1 - p)) - D H(p),   H(p) = -p ln p - (1 - p) ln(1 - p)

``elbo_step(num_data=N)`` trains it: mean negative log-likelihood plus the sum of the layers' KL over N.
"""

import copy
import math

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian.drawing import Stochastic
from weightlore.uncertainty.ensembles.batched import with_layers

__all__ = ["ConcreteDropout", "concrete_dropout"]


class ConcreteDropout(Stochastic):
    """A layer whose inputs are dropped, at a rate that is a parameter.

        y = W (x o (1 - drop) / (1 - p)) + b,   drop as in ``concrete``

    A convolution loses whole channels. Training draws a mask for each row; a prediction draws one a member, for all
    rows. The probability that an entry is dropped by more than a half is p, whatever the temperature.

    Args:
        layer: copied.
        length_scale: l > 0: the prior of the weights is N(0, 1 / l^2).
        rate: p at the start, between 0 and 1.
        temperature: t > 0; small ones make masks of almost zeros and ones, and slopes that vary more.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> layer = ConcreteDropout(nn.Linear(4, 3), length_scale=0.1, rate=0.2)
        >>> round(layer.rate.item(), 6)
        0.2

    Source: [gal2017concrete]; weights that are scaled by 1 / (1 - p) as torch's dropout scales, and a bias without
        prior, are ours
    """

    def __init__(
        self, layer: nn.Linear | nn.Conv2d, *, length_scale: float, rate: float = 0.1, temperature: float = 0.1
    ) -> None:
        super().__init__()
        if not (0 < rate < 1 and 0 < length_scale < math.inf and 0 < temperature < math.inf):
            raise ParameterError(
                "rate must be between 0 and 1, length_scale and temperature finite and > 0, got "
                f"{rate}, {length_scale}, {temperature}"
            )
        self.layer, self.length_scale, self.temperature = copy.deepcopy(layer), float(length_scale), float(temperature)
        self.logit_rate = nn.Parameter(layer.weight.new_tensor(rate).logit())
        self.train(layer.training)

    @property
    def rate(self) -> Tensor:
        """p, the share of inputs that is dropped, shape ()."""
        return self.logit_rate.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer; outside ``drawing``, in evaluation mode, that of all inputs.

        Args:
            x: rows (N, D) or images (N, D, height, width).
        """
        generator = self.chance()
        if generator is None:
            return self.layer(x)
        rows = 1 if self.held is not None else len(x)
        shape = (rows, x.shape[1], *(1 for _ in x.shape[2:]))
        odds = self.kept("odds", lambda: _log_odds(shape, x, generator))
        drop = ((self.logit_rate + odds) / self.temperature).sigmoid()
        kept: Tensor = self.layer(x * (1 - drop) / (1 - self.rate))
        return kept

    def kl_divergence(self) -> Tensor:
        """Return the divergence from the prior of the weights, in nats, shape (), up to a constant.

            l^2 |W|^2 / (2 (1 - p)) - D H(p)

        D is the number of inputs, of channels for a convolution. Without the constant it may be negative.
        """
        p, weight = self.rate, self.layer.weight
        squares = self.length_scale**2 * weight.square().sum() / (2 * (1 - p))
        inputs = weight.shape[1] * (self.layer.groups if isinstance(self.layer, nn.Conv2d) else 1)
        return squares - inputs * (torch.special.entr(p) + torch.special.entr(1 - p))


def concrete_dropout(
    model: nn.Module, *, length_scale: float, rate: float = 0.1, temperature: float = 0.1
) -> nn.Module:
    """Return a copy of a network whose fully connected and convolutional layers learn how much of their inputs to drop.

    Args:
        model: trained or not; left as it is.
        length_scale: l > 0, of the prior of the weights.
        rate: p at the start, between 0 and 1.
        temperature: t > 0.

    Returns:
        The copy. It is trained by ``elbo_step`` and asked by ``predict_members``.

    Raises:
        ParameterError: if there is no such layer, or an argument is out of range.

    Source: [gal2017concrete]
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            return None
        return ConcreteDropout(layer, length_scale=length_scale, rate=rate, temperature=temperature)

    return with_layers(model, replace)


def _log_odds(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw ln u - ln(1 - u) for uniform u, which stays away from 0 and 1."""
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return u.clamp(1e-12, 1 - 1e-12).logit().to(like)
