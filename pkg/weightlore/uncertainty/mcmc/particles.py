"""Particles that move together until they stand for a density: no draws, no chance.

    phi(x_i) = 1/S sum_j [ k(x_j, x_i) g(x_j) + grad_{x_j} k(x_j, x_i) ],   k(x, x') = exp(-|x - x'|^2 / h)

    svgd(target, start, steps=, step_size=)                  the particles afterwards
    stein_direction(particles, gradients, bandwidth=)        phi

The first term climbs the density, the second keeps the particles apart. One particle climbs to a mode.
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.mcmc.targets import Target, require_positive, require_start, value_and_gradient

__all__ = ["stein_direction", "svgd"]


def stein_direction(particles: Tensor, gradients: Tensor, *, bandwidth: float | None = None) -> Tensor:
    """Return the direction that brings the particles to a density fastest, within the reach of a kernel.

        phi(x_i) = 1/S sum_j [ k(x_j, x_i) g_j + (2/h) (x_i - x_j) k(x_j, x_i) ]

    Args:
        particles: x, shape (S, P).
        gradients: g, of the log density at each, shape (S, P).
        bandwidth: h > 0, in squared units of the particles; ``None`` for med^2 / ln S, med the median of the distances
            between two of them.

    Returns:
        Shape (S, P).

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or the bandwidth is not positive.

    Example:
        >>> stein_direction(torch.zeros(1, 2), torch.ones(1, 2))
        tensor([[1., 1.]])

    Source: [liu2016svgd], Eq. (8) and the median heuristic of its experiments
    """
    if particles.ndim != 2 or particles.numel() == 0 or particles.shape != gradients.shape:
        raise ParameterError(
            f"particles and gradients must share a shape (S, P), got {tuple(particles.shape)} and "
            f"{tuple(gradients.shape)}"
        )
    require_finite("a particle", particles), require_finite("a gradient of the log density", gradients)
    squares = torch.cdist(particles, particles, compute_mode="donot_use_mm_for_euclid_dist").square()
    h = _median_bandwidth(squares) if bandwidth is None else bandwidth
    require_positive(bandwidth=h)
    kernel = (-squares / h).exp()
    apart = kernel.sum(1, keepdim=True) * particles - kernel @ particles
    return (kernel @ gradients + 2 / h * apart) / len(particles)


def svgd(target: Target, start: Tensor, *, steps: int, step_size: float, bandwidth: float | None = None) -> Tensor:
    """Move particles until they stand for a density.

        x_i <- x_i + step_size phi(x_i)

    Args:
        target: the log density of positions (S, P), differentiable.
        start: where the particles begin, all different, shape (S, P).
        steps: how many moves.
        step_size: > 0, in squared units of the particles.
        bandwidth: h > 0 of the kernel; ``None`` for the median heuristic, anew at each step.

    Returns:
        The particles, shape (S, P), for ``call_stacked`` or as they are.

    Raises:
        ParameterError: if a number is out of range, or the particles fly off: the step is too large.

    Example:
        >>> svgd(lambda q: -q.square().sum(1) / 2, torch.ones(1, 1), steps=1, step_size=0.5)
        tensor([[0.5000]])

    Source: [liu2016svgd], Algorithm 1, with steps of one size instead of its AdaGrad
    """
    require_counts(steps=steps)
    require_positive(step_size=step_size)
    particles = require_start(target, start)
    for _ in range(steps):
        gradients = value_and_gradient(target, particles)[1]
        particles = particles + step_size * stein_direction(particles, gradients, bandwidth=bandwidth)
    return require_finite("the last place of a particle", particles)


def _median_bandwidth(squares: Tensor) -> float:
    """Return med^2 / ln S from squared distances; 1 where that is zero and no kernel can tell particles apart."""
    size = len(squares)
    pairs = torch.triu_indices(size, size, 1)
    if size == 1:
        return 1.0
    found = float(squares[pairs[0], pairs[1]].median()) / math.log(size)
    return found if found > 0 else 1.0
