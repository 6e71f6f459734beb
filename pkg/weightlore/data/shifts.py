"""Shifts: the same images under other circumstances, in five severities.

A network is trained on one kind of images and meets another. ``shift(x, kind, severity)`` makes the other kind from the
first: severity 0 changes nothing, 5 most. Sizes are fractions of the image's side, so that the same severity means the
same for 8x8 digits and for 32x32 photographs.

    noise       gaussian_noise  shot_noise  impulse_noise
    geometry    rotation  translation
    camera      blur  contrast  brightness  inversion  pixelate
    content     occlusion  permutation
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import ParameterError, require_finite, require_option

__all__ = ["shift", "shift_kinds", "shift_levels"]


def shift(x: Tensor, kind: str, severity: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Return the images under a shift.

    Args:
        x: gray or color images between 0 and 1, of shape (N, C, H, W), or flat gray ones of shape (N, D) with D a
            square number; left as they are.
        kind: one of ``shift_kinds()``.
        severity: 0 (nothing changes) to 5.
        generator: source of all randomness; only the kinds that draw need one. Rotations, blur, contrast, brightness,
            inversion and pixelation are the same every time. A permutation is one for all images of the call.

    Returns:
        New images of the shape and dtype of x, between 0 and 1.

    Raises:
        ParameterError: if there is no such kind or severity, a generator is missing, or x is not as described.

    Example:
        >>> shift(torch.zeros(2, 64), "brightness", 1).unique()
        tensor([0.1000])

    Source: [hendrycks2019corruptions], for kinds and severities; the choice and the levels for small images are ours.
    """
    rule = _rule(kind)
    if severity not in range(6):
        raise ParameterError(f"severity is a whole number from 0 (nothing changes) to 5, got {severity!r}")
    images = _as_images(x)
    if severity > 0 and rule.draws and generator is None:
        raise ParameterError(f"the shift {kind!r} draws at random; give it generator=torch.Generator()")
    if severity == 0 or x.numel() == 0:
        return x.detach().clone()
    shifted = rule.apply(images, rule.levels[severity - 1], generator)
    return shifted.clamp(0, 1).reshape(x.shape)


def shift_kinds() -> tuple[str, ...]:
    """Return the names of all shifts.

    Source: ours
    """
    return tuple(RULES)


def shift_levels(kind: str) -> tuple[float, ...]:
    """Return what the severities 1 to 5 of a shift mean, in the unit that the table in the source gives.

    Args:
        kind: one of ``shift_kinds()``.

    Raises:
        ParameterError: if there is no such kind.

    Source: ours
    """
    return _rule(kind).levels


def _rule(kind: str) -> "_Rule":
    require_option("kind", kind, RULES)
    return RULES[kind]


def _as_images(x: Tensor) -> Tensor:
    """Return x with four dimensions, after checking that these are images."""
    side = math.isqrt(x.shape[-1]) if x.ndim == 2 else 0
    if x.ndim != 4 and (x.ndim != 2 or side * side != x.shape[-1]):
        raise ParameterError(f"x holds images (N, C, H, W) or flat square ones (N, D), got shape {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ParameterError(
            f"x holds floating gray levels between 0 and 1, got {x.dtype}; divide by the largest level"
        )
    require_finite("x", x)
    if x.numel() and (x.min() < 0 or x.max() > 1):
        raise ParameterError(f"gray levels must lie between 0 and 1, got {float(x.min()):.3g} to {float(x.max()):.3g}")
    return x.detach().reshape(-1, 1, side, side) if x.ndim == 2 else x.detach()


def _uniform(like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Draw in double precision, so that the dtype of the images does not change what is drawn."""
    device = generator.device if generator is not None else None
    return torch.rand(shape, generator=generator, dtype=torch.float64, device=device).to(like)


def _gaussian_noise(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    device = generator.device if generator is not None else None
    return x + level * torch.randn(x.shape, generator=generator, dtype=torch.float64, device=device).to(x)


def _shot_noise(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    device = generator.device if generator is not None else None
    photons = torch.poisson(x.to(device=device, dtype=torch.float64) / level, generator=generator)
    return (photons * level).to(x)


def _impulse_noise(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    draws = _uniform(x, tuple(x.shape), generator)
    salted = torch.where(draws < level / 2, torch.ones_like(x), x)
    return torch.where(draws > 1 - level / 2, torch.zeros_like(x), salted)


def _rotation(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    angle, aspect = math.radians(level), x.shape[2] / x.shape[3]  # a grid counts in half sides, not in pixels
    turn = [[math.cos(angle), -math.sin(angle) * aspect, 0.0], [math.sin(angle) / aspect, math.cos(angle), 0.0]]
    return _resampled(x, torch.tensor(turn, dtype=x.dtype, device=x.device).expand(len(x), 2, 3))


def _translation(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    direction = 2 * math.pi * _uniform(x, (len(x),), generator)
    moves = torch.eye(2, 3, dtype=x.dtype, device=x.device).repeat(len(x), 1, 1)
    moves[:, :, 2] = 2 * level * torch.stack([direction.cos(), direction.sin()], dim=1)  # the side is 2 units long
    return _resampled(x, moves)


def _resampled(x: Tensor, moves: Tensor) -> Tensor:
    grid = functional.affine_grid(moves, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _blur(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    return _mixed(x, lambda place: torch.exp(-(((place[:, None] - place) / (level * len(place))) ** 2) / 2))


def _pixelate(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    def same_block(place: Tensor) -> Tensor:
        blocks = max(1, round((1 - level) * len(place)))
        block = (place * blocks / len(place)).floor()
        return (block[:, None] == block).to(x)

    return _mixed(x, same_block)


def _mixed(x: Tensor, weights: Callable[[Tensor], Tensor]) -> Tensor:
    """Replace rows by weighted means of rows, then columns alike; weights(places) is (H, H), of any scale."""
    by_row, by_column = (weights(torch.arange(side, dtype=x.dtype, device=x.device)) for side in x.shape[2:])
    by_row = by_row / by_row.sum(dim=1, keepdim=True)  # so that a uniform image stays as it is
    by_column = by_column / by_column.sum(dim=1, keepdim=True)
    return by_row @ x @ by_column.T


def _contrast(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (1 - level) * (x - mean)


def _brightness(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    return x + level


def _inversion(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    return (1 - level) * x + level * (1 - x)


def _occlusion(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    covered = torch.ones_like(x, dtype=torch.bool)
    for dim in (2, 3):
        side = x.shape[dim]
        length = max(1, round(level * side))
        start = (_uniform(x, (len(x),), generator) * (side - length + 1)).floor()[:, None]
        place = torch.arange(side, device=x.device)
        within = (place >= start) & (place < start + length)  # (N, H)
        covered &= within.reshape(len(x), 1, *(side if d == dim else 1 for d in (2, 3)))
    return x.masked_fill(covered, 0.0)


def _permutation(x: Tensor, level: float, generator: torch.Generator | None) -> Tensor:
    flat = x.flatten(2)
    device = generator.device if generator is not None else None
    order = torch.randperm(flat.shape[-1], generator=generator, device=device).to(x.device)
    moved = order[: max(2, round(level * len(order)))]  # these pixels go round by one place, in random order
    source = torch.arange(len(order), device=x.device)
    source[moved] = moved.roll(1)
    return flat[:, :, source].reshape(x.shape)


@dataclass(frozen=True)
class _Rule:
    apply: Callable[[Tensor, float, torch.Generator | None], Tensor]
    levels: tuple[float, float, float, float, float]
    draws: bool = False


RULES = {
    "gaussian_noise": _Rule(_gaussian_noise, (0.05, 0.1, 0.2, 0.3, 0.45), draws=True),  # standard deviation
    "shot_noise": _Rule(_shot_noise, (0.02, 0.05, 0.1, 0.2, 0.4), draws=True),  # gray level of one photon
    "impulse_noise": _Rule(_impulse_noise, (0.03, 0.07, 0.12, 0.2, 0.3), draws=True),  # share of pixels
    "rotation": _Rule(_rotation, (10.0, 20.0, 30.0, 45.0, 60.0)),  # degrees, counterclockwise
    "translation": _Rule(_translation, (0.04, 0.08, 0.125, 0.19, 0.25), draws=True),  # share of the side
    "blur": _Rule(_blur, (0.05, 0.07, 0.09, 0.13, 0.18)),  # standard deviation, share of the side
    "contrast": _Rule(_contrast, (0.25, 0.5, 0.65, 0.8, 0.9)),  # share of the contrast that is lost
    "brightness": _Rule(_brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),  # gray levels
    "inversion": _Rule(_inversion, (0.2, 0.4, 0.6, 0.8, 1.0)),  # share of the negative
    "pixelate": _Rule(_pixelate, (0.125, 0.25, 0.375, 0.5, 0.75)),  # share of rows and columns that is lost
    "occlusion": _Rule(_occlusion, (0.125, 0.25, 0.375, 0.5, 0.625), draws=True),  # side of the black square
    "permutation": _Rule(_permutation, (0.1, 0.25, 0.5, 0.75, 1.0), draws=True),  # share of pixels that move
}
