"""From the shape of a source's activation to that of a target's.

    resized(s, size)     other heights and widths: means of regions where there are too many, bilinear where too few
    leading(C, C_S)      the first channels as they are, zeros where there are too few
    orthogonal(C, C_S)   a random rotation, then the first channels: none is preferred, lengths are kept on average
    principal(s, C)      the directions in which the source's activations vary most on the target's data
    Adapter              both, as a module: p = P resized(s)

With a learned P, a shut update gate means frozen *up to a linear map*; with a fixed one it means frozen.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.transfer.gates import require_choice

__all__ = ["Adapter", "Start", "leading", "orthogonal", "principal", "resized"]

Start = Literal["leading", "orthogonal", "principal"]


class Adapter(nn.Module):
    """The map from a source's activation to the shape of a target's: p = P resized(s).

    Where channels, height and width agree and the start is ``"leading"``, it hands on what it gets and has nothing to
    learn.

    Args:
        s: the source's activation on some examples of the target task, shape (N, C_S) or (N, C_S, H_S, W_S).
        shape: of the target's activation, (N, C) or (N, C, H, W).
        start: P at the start: ``"leading"``, ``"orthogonal"`` or ``"principal"``. With fewer channels than the source
            has, ``"leading"`` throws features away and the others do not.
        learn: whether P is a parameter, or fixed.
        generator: of the random rotation; the other starts draw nothing.

    Raises:
        ParameterError: if one is an image and the other a vector, or ``"principal"`` has too few examples.

    Source: ours, because how the paper aligns activations is not known
    """

    def __init__(
        self,
        s: Tensor,
        shape: tuple[int, ...],
        *,
        start: Start = "leading",
        learn: bool = True,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        require_choice("start", start, get_args(Start))
        if s.ndim != len(shape) or s.ndim not in (2, 4):
            raise ParameterError(
                "an adapter maps vectors (N, C) to vectors or images (N, C, H, W) to images, got "
                f"{tuple(s.shape)} for the source and {tuple(shape)} for the target; pair layers of one kind, or leave "
                "this one without partner"
            )
        self.size, self.learn = tuple(shape[2:]), learn
        weight = None
        if start != "leading" or s.shape[1] != shape[1]:
            weight = _started(start, resized(s.detach(), self.size), shape[1], generator).to(s.device, s.dtype)
        self.weight: Tensor | None
        if weight is not None and learn:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def forward(self, s: Tensor) -> Tensor:
        """Return p in the shape of the target's activation, for s of the source's."""
        return self.finished(self.prepared(s))

    def prepared(self, s: Tensor) -> Tensor:
        """Return what can be computed once for all steps: everything before what is learned."""
        s = resized(s, self.size)
        return s if self.learn else self._mixed(s)

    def finished(self, prepared: Tensor) -> Tensor:
        """Return p from what was prepared."""
        return self._mixed(prepared) if self.learn else prepared

    def _mixed(self, s: Tensor) -> Tensor:
        if self.weight is None:
            return s
        if s.ndim == 4:
            return nn.functional.conv2d(s, self.weight[:, :, None, None])
        return nn.functional.linear(s, self.weight)

    def extra_repr(self) -> str:
        """Say the channels and whether they are learned."""
        return "same channels" if self.weight is None else f"P {tuple(self.weight.shape)}, learned={self.learn}"


def resized(s: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return images of another height and width.

    Where an image has too many rows or columns, regions are averaged (adaptive average pooling); where it has too few,
    it is interpolated linearly, each pixel standing for a square, not a point. One does not undo the other.

    Args:
        s: shape (N, C, H_S, W_S); vectors (N, C) pass as they are.
        size: H and W, or nothing for vectors.

    Returns:
        Shape (N, C, H, W).

    Raises:
        ParameterError: if a size is not a whole number of at least 1.

    Source: ours, because torch would broadcast a single row without a word
    """
    if s.ndim != 4 or tuple(s.shape[2:]) == tuple(size):
        return s
    require_counts(height=size[0], width=size[1])
    down = (min(s.shape[2], size[0]), min(s.shape[3], size[1]))
    if down != tuple(s.shape[2:]):
        s = nn.functional.adaptive_avg_pool2d(s, down)
    if down != tuple(size):
        s = nn.functional.interpolate(s, size=tuple(size), mode="bilinear", align_corners=False)
    return s


def leading(channels: int, inputs: int) -> Tensor:
    """Return the matrix that keeps the first channels and fills up with zeros.

    Args:
        channels: C of the target.
        inputs: C_S of the source.

    Returns:
        Shape (C, C_S), float64, ones on the diagonal.

    Example:
        >>> leading(3, 2).tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]

    Source: ours
    """
    require_counts(channels=channels, inputs=inputs)
    return torch.eye(channels, inputs, dtype=torch.float64)


def orthogonal(channels: int, inputs: int, *, generator: torch.Generator) -> Tensor:
    """Return a random matrix with orthonormal rows, or columns where there are more rows than columns.

    Args:
        channels: C of the target.
        inputs: C_S of the source.
        generator: where it is drawn from.

    Returns:
        Shape (C, C_S), float64, uniformly distributed among such matrices.

    Source: ours
    """
    require_counts(channels=channels, inputs=inputs)
    long, short = max(channels, inputs), min(channels, inputs)
    noise = torch.randn(long, short, generator=generator, dtype=torch.float64, device=generator.device)
    q, triangle = torch.linalg.qr(noise)
    q = q * triangle.diagonal().sign()  # without it the distribution would depend on the algorithm
    return q if channels == long else q.T.contiguous()


def principal(s: Tensor, channels: int) -> Tensor:
    """Return the directions in which activations vary most, strongest first.

        P = the leading eigenvectors of the covariance of s over examples and places

    The largest entry of each direction is positive. Where more channels are asked for than there are, zeros follow.

    Args:
        s: activations, shape (N, C_S) or (N, C_S, H, W).
        channels: C, how many directions.

    Returns:
        Shape (C, C_S), float64.

    Raises:
        ParameterError: if s is not finite, or has fewer than two places for each direction that is asked for.

    Source: ours, because principal components are older than any paper here
    """
    require_counts(channels=channels)
    samples = require_finite("activations", s).double().movedim(1, -1).reshape(-1, s.shape[1])
    directions = min(channels, s.shape[1])
    if len(samples) < 2 * directions:
        raise ParameterError(
            f"{directions} principal directions need at least {2 * directions} examples (or places in images), got "
            f"{len(samples)}; give more examples, or start with 'orthogonal'"
        )
    centered = samples - samples.mean(0)
    vectors = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :directions].T  # (directions, C_S)
    signs = vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    found = torch.zeros(channels, s.shape[1], dtype=torch.float64, device=s.device)
    found[:directions] = vectors * signs
    return found


def _started(start: Start, s: Tensor, channels: int, generator: torch.Generator) -> Tensor:
    if start == "principal":
        return principal(s, channels)
    if start == "orthogonal":
        return orthogonal(channels, s.shape[1], generator=generator)
    return leading(channels, s.shape[1])
