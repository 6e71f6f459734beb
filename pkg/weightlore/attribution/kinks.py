"""Where an operation of a network bends between neighboring points of a line.

What enters the operation is affine between neighboring points, so that two values tell the whole way:

    relu, abs, hardtanh, ...     u reaches a threshold:  t = (u_j - c) / (u_j - u_{j+1})
    maximum of two               u - v changes its sign
    max pooling                  the largest of some lines changes: crossings of two lines that no third lies above

t is the share of the way from point j to point j + 1. Operations that add up or move bend nowhere; all others are no
affine pieces, and an error.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.attribution.operations import Call
from weightlore.errors import ParameterError

__all__ = ["Bends", "bending", "bends", "crossings", "takeovers"]

Bends = tuple[Tensor, Tensor]
Pair = int | tuple[int, ...] | list[int]

THRESHOLDS: dict[str, tuple[float, ...]] = {
    "relu": (0.0,),
    "leaky_relu": (0.0,),
    "prelu": (0.0,),
    "abs": (0.0,),
    "absolute": (0.0,),
    "relu6": (0.0, 6.0),
    "hardsigmoid": (-3.0, 3.0),
}


def bending(call: Call) -> bool:
    """Return whether an operation bends somewhere.

    Args:
        call: an operation on something that depends on the input.

    Raises:
        ParameterError: if it is not made of affine pieces, or of pieces that are not known here.

    Source: ours
    """
    if call.name in THRESHOLDS or call.name in _BOUNDED or call.name in ("maximum", "minimum"):
        return True
    if call.name in ("max_pool1d", "max_pool2d") and call.kind == "maximum":
        return True
    if call.kind in ("sum", "moved"):
        return False
    raise ParameterError(
        f"{call.name!r}, as it is used here, is not made of affine pieces that are known: breakpoints are found for "
        "layers that add up, ReLU and its relatives, maxima of two, and max pooling in one and two dimensions; for "
        "smooth networks a quadrature with few nodes is as exact"
    )


def bends(call: Call) -> Bends:
    """Return where an operation bends, for inputs at consecutive points of a line.

    Args:
        call: a bending operation; the first dimension of its inputs counts the points.

    Returns:
        Numbers j of the intervals between points j and j + 1, and shares t of the way, both of one length.

    Source: ours
    """
    values = call.inputs[0].detach()
    if call.name in ("maximum", "minimum"):
        one, other = call.args[0], call.args[1]
        return crossings((one - other).detach())
    if call.name in ("max_pool1d", "max_pool2d"):
        return takeovers(_windows(call, values))
    found = [crossings(values - threshold) for threshold in _thresholds(call)]
    return torch.cat([one for one, _ in found]), torch.cat([other for _, other in found])


def crossings(values: Tensor) -> Bends:
    """Return where affine functions change their sign between points.

        t = u_j / (u_j - u_{j+1}),   u_j u_{j+1} < 0

    Args:
        values: u at M points, shape (M, ...).

    Returns:
        Numbers of intervals, and shares of the way.

    Example:
        >>> crossings(torch.tensor([[-1.0], [3.0], [0.0], [2.0]]))
        (tensor([0]), tensor([0.2500]))

    Source: [sotoudeh2019computing], the line of a ReLU
    """
    before, after = values[:-1].reshape(len(values) - 1, -1), values[1:].reshape(len(values) - 1, -1)
    interval, unit = torch.nonzero(((before < 0) & (after > 0)) | ((before > 0) & (after < 0)), as_tuple=True)
    start, end = before[interval, unit], after[interval, unit]
    return interval, start / (start - end)


def takeovers(windows: Tensor) -> Bends:
    """Return where the largest of some affine functions becomes another one between points.

    Args:
        windows: values at M points, shape (M, W, k): the largest of k is taken for each of W.

    Returns:
        Numbers of intervals, and shares of the way; none is missing, and a few may not be needed.

    Source: [sotoudeh2019computing], the line of a maximum
    """
    winner = windows.argmax(2)
    interval, window = torch.nonzero(winner[:-1] != winner[1:], as_tuple=True)
    start, end = windows[interval, window], windows[interval + 1, window]  # (those that change, k)
    one, other = _pairs(windows.shape[2], windows.device)
    ahead, behind = start[:, one] - start[:, other], end[:, one] - end[:, other]  # (changing, pairs)
    share = ahead / (ahead - behind)
    at = start[:, None] + share[:, :, None] * (end - start)[:, None]  # (changing, pairs, k)
    slack = 1e-6 * (start[:, one].abs() + end[:, one].abs())  # too many are harmless, too few are not
    highest = at.gather(2, one.expand(len(at), -1)[:, :, None]).squeeze(2) >= at.amax(2) - slack
    changing, pair = torch.nonzero((share > 0) & (share < 1) & highest, as_tuple=True)
    return interval[changing], share[changing, pair]


def _pairs(count: int, device: torch.device) -> Tensor:
    """Return all pairs of numbers below a count, shape (2, pairs)."""
    return torch.tensor(list(combinations(range(count), 2)), dtype=torch.int64, device=device).reshape(-1, 2).T


def _hard_range(call: Call) -> tuple[Any, ...]:
    return _argument(call, 1, "min_val", -1.0), _argument(call, 2, "max_val", 1.0)


def _clamped(call: Call) -> tuple[Any, ...]:
    return _argument(call, 1, "min", None), _argument(call, 2, "max", None)


_BOUNDED: dict[str, Callable[[Call], tuple[Any, ...]]] = {
    "hardtanh": _hard_range,
    "clamp": _clamped,
    "clip": _clamped,
    "clamp_min": lambda call: (_argument(call, 1, "min", None),),
    "clamp_max": lambda call: (_argument(call, 1, "max", None),),
}


def _thresholds(call: Call) -> tuple[Any, ...]:
    """Return where a function of one number bends; a threshold may be a tensor."""
    if call.name in THRESHOLDS:
        return THRESHOLDS[call.name]
    return tuple(one for one in _BOUNDED[call.name](call) if one is not None)


def _argument(call: Call, place: int, name: str, default: Any) -> Any:
    return call.args[place] if len(call.args) > place else call.options.get(name, default)


def _windows(call: Call, values: Tensor) -> Tensor:
    """Return what each maximum is taken of, shape (M, W, k); padding is lower than everything."""
    flat = call.name == "max_pool1d"
    lift = (lambda image: image.unsqueeze(-2)) if flat else (lambda image: image)
    image, sizes = lift(values), lift(call.at(values)).shape[-2:]
    kernel = _pair(_argument(call, 1, "kernel_size", 1), 1, flat)
    stride = _pair(_argument(call, 2, "stride", None) or kernel[-1 if flat else slice(None)], 1, flat)
    padding = _pair(_argument(call, 3, "padding", 0), 0, flat)
    dilation = _pair(_argument(call, 4, "dilation", 1), 1, flat)
    wanted = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(sizes, stride, dilation, kernel, strict=True)]
    below, right = (max(0, w - p - side) for w, p, side in zip(wanted, padding, image.shape[-2:], strict=True))
    borders, lowest = (padding[1], right, padding[0], below), torch.finfo(values.dtype).min / 4
    padded = functional.pad(image.reshape(-1, 1, *image.shape[-2:]), borders, value=lowest)
    columns = functional.unfold(padded[..., : wanted[0], : wanted[1]], kernel, dilation=dilation, stride=stride)
    return columns.transpose(1, 2).reshape(len(values), -1, columns.shape[1])


def _pair(size: Pair, lifted: int, flat: bool) -> tuple[int, int]:
    """Return a size for height and width; what has one dimension has a height of 1."""
    sizes = (size,) if isinstance(size, int) else tuple(size)
    if flat:
        return lifted, sizes[0]
    return (sizes[0], sizes[-1])
