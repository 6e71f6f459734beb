"""What a network believes about its weights, and how one observation changes it.

Every weight has a mean and a variance; two Gamma densities say how precise the targets are and how precise the prior
of the weights is. An observation multiplies the beliefs by a likelihood, and what comes out is replaced by beliefs of
the same kind with the same moments: assumed density filtering [hernandez2015pbp].

    WeightBeliefs           means and variances layer by layer, with .noise and .prior
    initial_beliefs         the prior, with means off zero so that units differ
    propagated(b, x)        mean and variance of the output, without the noise
    assimilated(b, x, y)    the beliefs after one observation
    reweighed(b)            the factors of the prior anew, by one sweep of expectation propagation

    a = W [z, 1] / sqrt(in + 1),   z' = max(0, a),   y ~ N(a_last, 1 / noise)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.moments import (
    GammaFactor,
    gaussian_log_density,
    linear_moments,
    matched_gaussian,
    relu_moments,
)

__all__ = ["WeightBeliefs", "assimilated", "initial_beliefs", "propagated", "reweighed"]


@dataclass(frozen=True, eq=False)
class WeightBeliefs:
    """Independent Gaussians over the weights of a network of ReLU layers with one output.

    Args:
        means: one matrix for each layer, shape (out, in + 1), float64; the last column belongs to the bias.
        variances: likewise, > 0.
        noise: belief about the precision of targets.
        prior: belief about the precision of weights.
        sites: what the prior's factor of each weight has contributed: to the precision of the weight, to the shape
            and to the rate of ``prior``; shape (3, P).

    Source: [hernandez2015pbp], the approximate posterior
    """

    means: tuple[Tensor, ...]
    variances: tuple[Tensor, ...]
    noise: GammaFactor
    prior: GammaFactor
    sites: Tensor


def initial_beliefs(
    sizes: Sequence[int], *, noise: GammaFactor, prior: GammaFactor, generator: torch.Generator
) -> WeightBeliefs:
    """Return the beliefs before any observation.

    Variances are the prior's expected one. Means of zero would keep all units of a layer alike for ever: where there
    is a hidden layer they are drawn, with variance 1 / (in + 1).

    Args:
        sizes: of inputs, hidden layers and output; the last is 1.
        noise: belief about the precision of targets.
        prior: belief about the precision of weights.
        generator: where the means are drawn from.

    Raises:
        ParameterError: if a size is no whole number of at least 1.

    Example:
        >>> one = GammaFactor(6.0, 6.0)
        >>> beliefs = initial_beliefs((3, 5, 1), noise=one, prior=one, generator=torch.Generator().manual_seed(0))
        >>> [tuple(m.shape) for m in beliefs.means]
        [(5, 4), (1, 6)]

    Source: [hernandez2015pbp], initialization
    """
    for size in sizes:
        require_counts(size=size)
    shapes = [(out, into + 1) for into, out in pairwise(sizes)]
    means = tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device) / math.sqrt(shape[1])
        if len(shapes) > 1
        else torch.zeros(shape, dtype=torch.float64)
        for shape in shapes
    )
    variances = tuple(torch.full_like(mean, prior.variance) for mean in means)
    sites = torch.zeros(3, sum(mean.numel() for mean in means), dtype=torch.float64)
    sites[0] = 1 / prior.variance
    return WeightBeliefs(means, variances, noise, prior, sites)


def propagated(beliefs: WeightBeliefs, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the network's output, without the noise, each of shape (N,).

    Args:
        beliefs: about the weights.
        x: inputs, shape (N, D), float64.

    Source: [hernandez2015pbp], the forward pass
    """
    mean, variance = x, torch.zeros_like(x)
    for layer, (weight, spread) in enumerate(zip(beliefs.means, beliefs.variances, strict=True)):
        if layer > 0:
            mean, variance = relu_moments(mean, variance)
        mean = torch.cat([mean, torch.ones_like(mean[:, :1])], 1)
        variance = torch.cat([variance, torch.zeros_like(variance[:, :1])], 1)
        mean, variance = linear_moments(mean, variance, weight=weight, spread=spread)
        mean, variance = mean / math.sqrt(weight.shape[1]), variance / weight.shape[1]
    return mean[:, 0], variance[:, 0]


def assimilated(beliefs: WeightBeliefs, x: Tensor, y: Tensor) -> WeightBeliefs:
    """Return the beliefs after one observation.

        ln Z = ln N(y; m, noise.variance + v),   m and v as propagated

    The slopes of ln Z come from automatic differentiation. For a network without hidden layer the new means and
    variances are those of the exact posterior; they leave out its correlations.

    Args:
        beliefs: before it.
        x: its input, shape (D,), float64.
        y: its target, shape (), float64.

    Source: [hernandez2015pbp], update by one likelihood factor
    """
    layers = len(beliefs.means)
    leaves = [p.detach().requires_grad_() for p in (*beliefs.means, *beliefs.variances)]
    open_beliefs = replace(beliefs, means=tuple(leaves[:layers]), variances=tuple(leaves[layers:]))
    with torch.enable_grad():
        mean, variance = propagated(open_beliefs, x[None])
        log_z = gaussian_log_density(y, mean, variance + beliefs.noise.variance).sum()
    slopes = torch.autograd.grad(log_z, leaves)
    pairs = [
        matched_gaussian(m.detach(), v.detach(), by_mean=dm, by_variance=dv)
        for m, v, dm, dv in zip(leaves[:layers], leaves[layers:], slopes[:layers], slopes[layers:], strict=True)
    ]
    off, width = float(y - mean.detach()[0]), float(variance.detach()[0])
    noise = beliefs.noise.matched(_seen(off, width))
    means, variances = (tuple(part) for part in zip(*pairs, strict=True))
    return replace(beliefs, means=means, variances=variances, noise=noise)


def reweighed(beliefs: WeightBeliefs) -> WeightBeliefs:
    """Return the beliefs with the prior's factors taken out and put in again, weight by weight.

    Without its own factor a weight is N(m, v), and the belief about the precision of weights Gamma(shape, rate):

        ln Z = ln N(0; m, rate/(shape - 1) + v)

    The product of N(m, v) and N(0, rate/(shape - 1)) is the new belief about the weight; the moments of the precision
    follow from Z. A factor that leaves no density when taken out, or finds none when
    put in, stays.

    Args:
        beliefs: about the weights.

    Source: [hernandez2015pbp], expectation propagation for the factors of the prior
    """
    means = torch.cat([m.flatten() for m in beliefs.means]).tolist()
    variances = torch.cat([v.flatten() for v in beliefs.variances]).tolist()
    sites, prior = beliefs.sites.T.tolist(), beliefs.prior
    for i, (precision, shape, rate) in enumerate(sites):
        left = 1 / variances[i] - precision
        if left <= 1e-9 * precision or prior.shape - shape <= 1 or prior.rate - rate <= 0:
            continue
        without, v = GammaFactor(prior.shape - shape, prior.rate - rate), 1 / left
        weighted = means[i] / variances[i]  # precision times mean, to which a factor around zero adds nothing
        found = without.matched(_seen(v * weighted, v))
        if found == without:  # no density came out: the factor stays as it was
            continue
        prior = found
        sites[i] = [1 / without.variance, prior.shape - without.shape, prior.rate - without.rate]
        variances[i] = 1 / (left + sites[i][0])
        means[i] = variances[i] * weighted
    return WeightBeliefs(
        _as(means, beliefs.means),
        _as(variances, beliefs.means),
        beliefs.noise,
        prior,
        beliefs.sites.new_tensor(sites).T,
    )


def _seen(off: float, width: float) -> Callable[[GammaFactor], float]:
    """Return ln N(off; 0, belief.variance + width) as a function of the belief."""

    def log_z(belief: GammaFactor) -> float:
        variance = belief.variance + width
        return -(math.log(2 * math.pi * variance) + off**2 / variance) / 2

    return log_z


def _as(values: list[float], like: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Cut a list into tensors of the shapes of others."""
    parts = like[0].new_tensor(values).split([tensor.numel() for tensor in like])
    return tuple(part.reshape(tensor.shape) for part, tensor in zip(parts, like, strict=True))
