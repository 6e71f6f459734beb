"""Views of an image whose answer is an image: turn the answer back before comparing.

A network that labels every pixel moves its answer along with the image. So a view must be invertible, and its inverse
is applied to the answer; then every pixel has A answers, and a spread.

    Spatial(name, apply, invert)      such a view
    quarter_turns(), dihedral()       4 turns; the 8 turns and mirrorings of a square
    rolled(rows, columns)             moved by whole pixels, what leaves at one side comes in at the other
    SpatialTTA(model, views)          .predict(x): a DensePrediction

    p_a = g_a^-1( softmax f(g_a(x)) ),   spread = 1/A sum_a || p_a - pbar ||^2, pixel by pixel
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.augmentation.averaging import answer
from weightlore.uncertainty.measures.members import require_probs

__all__ = ["DensePrediction", "Spatial", "SpatialTTA", "dihedral", "quarter_turns", "rolled"]


@dataclass(frozen=True)
class Spatial:
    """An invertible view of images.

    Args:
        name: for tables and figures.
        apply: from maps (..., H, W) to maps; it only moves pixels.
        invert: brings the pixels back: ``invert(apply(x)) = x``.

    Source: [wang2019aleatoric], invertible transformations
    """

    name: str
    apply: Callable[[Tensor], Tensor]
    invert: Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class DensePrediction:
    """Class probabilities for every pixel by S members; ``segmentation.pixel_maps`` takes its ``probs``.

    Args:
        probs: shape (S, N, C, H, W), sums over C are 1.

    Raises:
        ParameterError: if the tensor has another shape, or holds no probabilities.

    Source: [wang2019aleatoric]
    """

    probs: Tensor

    def __post_init__(self) -> None:
        if self.probs.ndim != 5:
            raise ParameterError(f"probs must have shape (S, N, C, H, W), got {tuple(self.probs.shape)}")
        require_probs(self.probs, axis=2)

    @property
    def mean(self) -> Tensor:
        """pbar, shape (N, C, H, W)."""
        return self.probs.mean(0)

    @property
    def labels(self) -> Tensor:
        """Class with the largest mean, shape (N, H, W)."""
        return self.mean.argmax(1)

    @property
    def spread(self) -> Tensor:
        """Mean squared distance of the members from their mean, shape (N, H, W), in [0, 1]."""
        return (self.probs - self.mean).square().sum(2).mean(0)

    def vote_entropy(self) -> Tensor:
        """Return the entropy of the members' votes, shape (N, H, W), in nats."""
        votes = torch.zeros_like(self.probs).scatter_(2, self.probs.argmax(2, keepdim=True), 1.0).mean(0)
        return torch.special.entr(votes).sum(1)


@dataclass(frozen=True, eq=False)
class SpatialTTA:
    """A network of pixels that is asked about the image and its invertible views.

    Args:
        model: returns logits (N, C, H, W) for images (N, channels, H, W).
        views: invertible; the identity is put in front if no view of that name is among them.

    Raises:
        ParameterError: if something among the views is no ``Spatial``.

    Example:
        >>> model = torch.nn.Conv2d(1, 3, 3, padding=1)
        >>> SpatialTTA(model, quarter_turns()).predict(torch.zeros(2, 1, 8, 8)).spread.shape
        torch.Size([2, 8, 8])

    Source: [wang2019aleatoric]
    """

    model: Callable[[Tensor], Tensor]
    views: tuple[Spatial, ...]

    def __post_init__(self) -> None:
        odd = [type(view).__name__ for view in self.views if not isinstance(view, Spatial)]
        if odd:
            raise ParameterError(f"views of pixels are Spatial, with an inverse, got {odd[0]}")
        given = any(view.name == "identity" for view in self.views)
        object.__setattr__(self, "views", tuple(self.views) if given else (rolled(0, 0), *self.views))

    def predict(self, x: Tensor) -> DensePrediction:
        """Return what the network says of every pixel, view by view, turned back.

        Args:
            x: images, shape (N, channels, H, W).

        Raises:
            ParameterError: if x is no finite image, or an answer does not fit it.
        """
        if x.ndim != 4 or x.numel() == 0:
            raise ParameterError(f"x holds images (N, channels, H, W), at least one pixel, got {tuple(x.shape)}")
        require_finite("x", x)
        return DensePrediction(torch.stack([self._seen(view, x) for view in self.views]))

    def _seen(self, view: Spatial, x: Tensor) -> Tensor:
        moved = view.apply(x)
        z = answer(self.model, moved)
        if not isinstance(z, Tensor) or z.ndim != 4 or z.shape[2:] != moved.shape[2:] or len(z) != len(x):
            came = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise ParameterError(f"the model must return logits (N, C, H, W) for {tuple(moved.shape)}, got {came}")
        return view.invert(require_finite("a logit", z).softmax(1))


def quarter_turns() -> tuple[Spatial, ...]:
    """Return the turns by 0, 90, 180 and 270 degrees, counterclockwise, the identity first.

    Source: [wang2019aleatoric]
    """
    return tuple(_moved(turns, mirrored=False) for turns in range(4))


def dihedral() -> tuple[Spatial, ...]:
    """Return the eight symmetries of a square, four turns and their mirrorings, the identity first.

    Source: [wang2019aleatoric], flips and turns
    """
    return tuple(_moved(turns, mirrored=mirrored) for mirrored in (False, True) for turns in range(4))


def rolled(rows: int, columns: int) -> Spatial:
    """Return the view that is moved by whole pixels; what leaves at one side comes in at the other, so none is lost.

    Args:
        rows: downwards, negative for upwards.
        columns: to the right, negative for the left; (0, 0) is the identity.

    Source: ours, because a shift that fills with zeros has no inverse at the border
    """
    return Spatial(
        f"roll {rows:+d} {columns:+d}" if rows or columns else "identity",
        lambda x: x.roll((rows, columns), (-2, -1)),
        lambda x: x.roll((-rows, -columns), (-2, -1)),
    )


def _moved(turns: int, *, mirrored: bool) -> Spatial:
    """Return the view that is mirrored left to right, or not, and then turned."""
    name = " ".join([*(["mirror"] if mirrored else []), *([f"turn {90 * turns}"] if turns else [])]) or "identity"
    flip = [-1] if mirrored else []
    return Spatial(
        name,
        lambda x: x.flip(flip).rot90(turns, (-2, -1)),
        lambda x: x.rot90(-turns, (-2, -1)).flip(flip),
    )
