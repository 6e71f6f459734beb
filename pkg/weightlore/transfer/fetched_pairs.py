"""Pairs of tasks from sets that are fetched: USPS and our digits, Fashion-MNIST and either.

    usps_pair(direction)      USPS digits and ours, in either direction
    clothes_to(target)        Fashion-MNIST -> ours or USPS

Sizes are matched by means over pixels.
"""

from typing import Literal

import torch
from torch import Tensor

from weightlore.data import Split, fetch
from weightlore.errors import ParameterError
from weightlore.transfer.domains import DomainPair, digit_parts

__all__ = ["clothes_to", "usps_pair"]


def usps_pair(
    direction: Literal["usps to digits", "digits to usps"], *, dtype: torch.dtype = torch.float64
) -> DomainPair:
    """Return USPS digits, at half their size, and ours, one as the source and the other as the target.

    Args:
        direction: which is which.
        dtype: floating dtype of the images.

    Returns:
        Images of shape (N, 1, 8, 8). Where USPS is the target, the last 1,000 of its 7,291 train images are for
        validation; the source has all train images of its set.

    Raises:
        ParameterError: if there is no such direction.
        DataError: if USPS cannot be had.

    Source: ours, because the paper's pairs are unknown; the set is [hull1994usps]
    """
    if direction == "usps to digits":
        return DomainPair(_usps(8, dtype)[0], *digit_parts(dtype))
    if direction == "digits to usps":
        return DomainPair(digit_parts(dtype)[0], *_usps_target(8, dtype))
    raise ParameterError(f"direction is 'usps to digits' or 'digits to usps', got {direction!r}")


def clothes_to(target: Literal["digits", "usps"], *, side: int = 8, dtype: torch.dtype = torch.float64) -> DomainPair:
    """Return the 60,000 train images of Fashion-MNIST, made smaller, as the source, and digits as the target.

    Args:
        target: our digits, or USPS.
        side: height and width of all images: 8, or for USPS also 16.
        dtype: floating dtype of the images.

    Returns:
        Images of shape (N, 1, side, side); each pixel is a mean over those that it stands for.

    Raises:
        ParameterError: if there is no such target, or the sizes cannot be matched.
        DataError: if a set cannot be had.

    Source: ours, because the paper's pairs are unknown; the sets are [xiao2017fashion] and [hull1994usps]
    """
    sides = {"digits": (8,), "usps": (8, 16)}
    if target not in sides or side not in sides[target]:
        raise ParameterError(
            f"targets are 'digits' with side=8 and 'usps' with side=8 or 16, got {target!r} and side={side!r}"
        )
    clothes = fetch("fashion-mnist", dtype=dtype)["train"]
    ours = digit_parts(dtype) if target == "digits" else _usps_target(side, dtype)
    return DomainPair(Split(_resized(clothes.x, side), clothes.y), *ours)


def _usps(side: int, dtype: torch.dtype) -> tuple[Split, Split]:
    parts = fetch("usps", dtype=dtype)
    train, test = (Split(_resized(parts[part].x, side), parts[part].y) for part in ("train", "test"))
    return train, test


def _usps_target(side: int, dtype: torch.dtype) -> tuple[Split, Split, Split]:
    train, test = _usps(side, dtype)
    return train[:-1000], train[-1000:], test


def _resized(x: Tensor, side: int) -> Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(x, side)
