"""Attributions along any path: completeness alone does not choose the straight one.

    A = sum_j df/dz at (z_j + z_{j+1}) / 2  times  (z_{j+1} - z_j)      path_attribution
    sum A = f(z_S) - f(z_0)                                             up to the error of the midpoints

Every path from a baseline to the input shares the same difference out among the inputs, each in its own way. Only the
straight path treats inputs alike that the function and the two ends treat alike [sundararajan2017axiomatic].

    blur_path                   pictures that become sharper, from a blurred one to the input
    blur_integrated_gradients   the attribution along it
"""

import torch
from torch import Tensor, nn

from weightlore.attribution.baselines import gaussian_blur
from weightlore.attribution.integrated import gap_of
from weightlore.attribution.outputs import Attribution, Output, require
from weightlore.attribution.passes import constant
from weightlore.attribution.paths import Rows, along
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["blur_integrated_gradients", "blur_path", "path_attribution"]


def path_attribution(
    model: nn.Module,
    points: Tensor,
    target: int | Tensor,
    *,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return what each input contributes to the difference between the ends of a path, piece by piece.

        A = sum_j df/dz at (z_j + z_{j+1}) / 2  times  (z_{j+1} - z_j)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        points: of the path of each example, shape (S + 1, N, ...), S >= 1, from its baseline to its input.
        target: one class, or one for each example, shape (N,), int64.
        output: whether f is the logit or the probability.
        chunk: rows, examples times pieces, at once; ``None`` for what fits a cache.

    Returns:
        The attribution, shape (N, ...), in units of the score; its gap is sum A - (f(z_S) - f(z_0)), which falls as
        S^-2 where path and network are smooth.

    Raises:
        ParameterError: as ``integrated_gradients``, or if the path has fewer than two points.

    Source: [sundararajan2017axiomatic], section 4, path methods
    """
    if points.ndim < 3 or len(points) < 2:
        raise ParameterError(
            f"a path has at least two points for each example, shape (S + 1, N, ...), got {tuple(points.shape)}"
        )
    points = require_finite("the path", points.detach())
    classes, pieces, examples = require(model, points[-1], target), len(points) - 1, points.shape[1]
    network = constant(model, points[-1], output=output, chunk=chunk)
    starts, ends = points[:-1].flatten(0, 1), points[1:].flatten(0, 1)  # (S N, ...)
    piece = torch.arange(pieces * examples, device=points.device)
    half, one = (torch.full((len(piece),), size, dtype=torch.float64, device=points.device) for size in (0.5, 1.0))
    rows = Rows(piece % examples, piece, piece, half, one, piece // examples)
    values = torch.zeros_like(points[0])
    for part, gradients in along(network, ends, starts, classes, rows):
        values.index_add_(0, part.example, gradients * (ends[part.end] - starts[part.start]))
    wanted = network.scores(points[-1], classes) - network.scores(points[0], classes)
    return Attribution(values, gap_of(values, wanted), output)


def blur_path(x: Tensor, *, widest: float = 4.0, pieces: int = 50) -> Tensor:
    """Return pictures that become sharper, from a blurred one to the picture itself.

    The standard deviation of the blur falls in equal steps to zero.

    Args:
        x: images as the network reads them, shape (N, C, H, W).
        widest: standard deviation of the first blur, in pixels, > 0.
        pieces: S, at least 1.

    Returns:
        Shape (S + 1, N, C, H, W).

    Raises:
        ParameterError: if x are no images, or a number is out of range.

    Source: [xu2020scale], the path; equal steps of the standard deviation are ours
    """
    require_counts(pieces=pieces)
    if not 0 < widest < float("inf"):
        raise ParameterError(f"widest is the first blur in pixels, a finite number > 0, got {widest}")
    return torch.stack([gaussian_blur(x, widest * (pieces - step) / pieces) for step in range(pieces + 1)])


def blur_integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    widest: float = 4.0,
    pieces: int = 50,
    output: Output = "logit",
    chunk: int | None = None,
) -> Attribution:
    """Return the attribution along pictures that become sharper: no baseline has a color of its own.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: images as the network reads them, shape (N, C, H, W).
        target: one class, or one for each example, shape (N,), int64.
        widest: standard deviation of the first blur, in pixels, > 0.
        pieces: S, at least 1.
        output: whether f is the logit or the probability.
        chunk: rows at once, as for ``path_attribution``.

    Returns:
        The attribution, in units of the score; complete from the blurred picture to x, up to its gap.

    Raises:
        ParameterError: as ``blur_path`` and ``path_attribution``.

    Source: [xu2020scale]
    """
    require(model, x, target)
    return path_attribution(model, blur_path(x, widest=widest, pieces=pieces), target, output=output, chunk=chunk)
