"""Two later forms of the randomization test, which do not rest on one noisy similarity.

    smoothed            a method averaged over noisy inputs; a study with it is the smooth test
    histogram_entropy   how evenly the values of a map are spread over bins
    entropy_rise        the efficient test: how much that grows when all parameters are random

A similarity punishes a method for noise that has nothing to do with parameters, so the first averages it away. The
second needs no similarity at all: a map of a random network should be more disordered [hedstrom2024fresh].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.attribution.drawing import Initial, Statistics
from weightlore.attribution.outputs import Attribution, Method, require
from weightlore.attribution.randomization import randomize
from weightlore.attribution.smoothing import noise_spread
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["EntropyRise", "Smoothed", "entropy_rise", "histogram_entropy", "smoothed"]


@dataclass(frozen=True)
class Smoothed:
    """A method of attribution averaged over noisy inputs, itself a method.

    Args:
        method: what is averaged.
        samples: S, noisy copies of each input.
        level: standard deviation of the noise as a share of the range of each input.
        seed: of the noise, the same for every network that is explained.

    Source: [hedstrom2024fresh], smooth test
    """

    method: Method
    samples: int
    level: float
    seed: int

    def __call__(self, model: nn.Module, x: Tensor, target: Tensor) -> Attribution:
        """Return the mean attribution over the noisy inputs; completeness is not kept."""
        classes, spread = require(model, x, target), noise_spread(x, self.level)
        generator = torch.Generator(x.device).manual_seed(self.seed)
        total, found = torch.zeros_like(x), None
        for _ in range(self.samples):
            noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
            found = self.method(model, x + spread * noise, classes)
            total = total + found.values
        return Attribution(total / self.samples, None, "logit" if found is None else found.output)


def smoothed(method: Method, *, generator: torch.Generator, samples: int = 50, level: float = 0.1) -> Smoothed:
    """Return a method averaged over noisy inputs, for a study that is the smooth test.

        mean_k A(x + e_k),   e_k ~ N(0, s^2),   s = level (max x - min x)

    The noise is drawn once for all: two networks are explained under the same noise, so that a network stays like
    itself. Every pixel of a noisy image differs from a black baseline, which takes the zeros of the background away.

    Args:
        method: function of (model, x, classes) that returns an ``Attribution``.
        generator: where the noise comes from.
        samples: S, at least 1.
        level: at least 0; with 0 nothing is added.

    Returns:
        The averaged method.

    Raises:
        ParameterError: if a number is out of range.

    Source: [hedstrom2024fresh], smooth test; common noise is ours, because it keeps the identity control exact
    """
    require_counts(samples=samples)
    noise_spread(torch.zeros(1, 1), level)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return Smoothed(method, samples, level, seed)


def histogram_entropy(maps: Tensor, bins: int = 100) -> Tensor:
    """Return the entropy of the histogram of each map's values.

        H = -sum_i p_i ln p_i,   p_i share of the values in bin i of equal width between the smallest and the largest

    Scaling a map by a positive number, or shifting it, changes nothing.

    Args:
        maps: shape (N, ...), finite.
        bins: B, at least 1.

    Returns:
        H, shape (N,), float64, in nats, between 0 (constant) and ln B.

    Raises:
        ParameterError: if a map is not finite, or bins out of range.

    Example:
        >>> histogram_entropy(torch.tensor([[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0]]))
        tensor([0.6931, 0.0000], dtype=torch.float64)

    Source: [hedstrom2024fresh], efficient test, discrete entropy
    """
    require_counts(bins=bins)
    if maps.ndim < 2 or maps.numel() == 0:
        raise ParameterError(f"maps must have a row for each image, (N, ...), got shape {tuple(maps.shape)}")
    values = require_finite("a map", maps).flatten(1).double()
    low, high = (end[:, None] for end in torch.aminmax(values, dim=1))
    parts = torch.arange(1, bins, dtype=torch.float64, device=maps.device) / bins
    inner = low + (high - low) * parts  # (N, B - 1) edges between the bins
    place = torch.searchsorted(inner, values, right=True).masked_fill(low == high, 0)
    counts = values.new_zeros(len(values), bins).scatter_add_(1, place, torch.ones_like(values))
    return torch.special.entr(counts / values.shape[1]).sum(1)


@dataclass(frozen=True, eq=False)
class EntropyRise:
    """How disordered maps are before and after full randomization.

    Args:
        before: entropy of the maps of the trained network, shape (N,), nats.
        after: of the random networks, shape (draws, N).
        rise: (after - before) / before, shape (draws, N); NaN where the trained network's map has no entropy.
        undefined: how many of these are NaN.

    Source: [hedstrom2024fresh], efficient test
    """

    before: Tensor
    after: Tensor
    rise: Tensor
    undefined: int


def entropy_rise(
    model: nn.Module,
    x: Tensor,
    method: Method,
    *,
    target: int | Tensor,
    generator: torch.Generator,
    draws: int = 5,
    bins: int = 100,
    init: Initial = "reset",
    statistics: Statistics = "reset",
) -> EntropyRise:
    """Return how much the entropy of maps rises when all parameters are drawn anew.

        rise = (H(A~) - H(A)) / H(A)

    Positive where the map of a random network is the more disordered one.

    Args:
        model: in eval mode; stays as it is.
        x: images, shape (N, ...).
        method: function of (model, x, classes) that returns an ``Attribution``.
        target: explained class, or one for each image, shape (N,), int64; the same for all networks.
        generator: where the random networks come from.
        draws: how many, at least 1.
        bins: of the histogram.
        init: how parameters are drawn, as in ``randomize``.
        statistics: of batch normalization, as in ``randomize``.

    Returns:
        Entropies and their relative rise, image by image and network by network.

    Raises:
        ParameterError: as ``randomize``, ``histogram_entropy`` and the method.

    Source: [hedstrom2024fresh], efficient test; several draws are ours, because one random network is one sample
    """
    require_counts(draws=draws, bins=bins)
    classes = require(model, x, target)
    before, after = histogram_entropy(method(model, x, classes).values, bins), []
    for _ in range(draws):
        (copy,) = randomize(model, scheme="full", init=init, statistics=statistics, generator=generator)
        after.append(histogram_entropy(method(copy.model, x, classes).values, bins))
    stacked = torch.stack(after)
    rise = ((stacked - before) / before).where(before > 0, torch.nan)
    return EntropyRise(before, stacked, rise, int(rise.isnan().sum()))
