"""Which calls of torch are understood, and as which operation on many copies.

A *rule* has the signature of the call it stands for, after the notes and what the call returned. It notes one or two
steps, or raises ``NotUnderstood``. What has no rule is not understood either. Dimensions of features keep their numbers
when examples move to the end and copies to the front: dimension d of (N, features...) is dimension d of
(S, features..., N).
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.stacked import operations

__all__ = ["QUERIES", "RULES", "NotUnderstood"]

Pair = int | tuple[int, ...]


class NotUnderstood(Exception):
    """A call for which there is no operation on many copies.

    Source: ours
    """


class Notes(Protocol):
    """Where a rule writes steps down."""

    def note(self, out: Tensor, operation: Callable, inputs: Iterable[Tensor], *parameters: Tensor | None) -> None:
        """Note a step that makes ``out``."""

    def same(self, out: Tensor, h: Tensor) -> None:
        """Note that ``out`` is the same value as ``h``."""


def _require(understood: bool) -> None:
    if not understood:
        raise NotUnderstood


def _pair(size: Pair) -> tuple[int, int]:
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    return sizes * 2 if len(sizes) == 1 else sizes  # type: ignore[return-value]


def _linear(notes: Notes, out: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
    _require(input.ndim == 2)
    notes.note(out, operations.affine, [input], weight, bias)


def _conv2d(
    notes: Notes,
    out: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> None:
    if isinstance(padding, str):
        raise NotUnderstood
    _require(input.ndim == 4 and groups == 1 and _pair(dilation) == (1, 1))
    kernel, stride, padding = _pair(tuple(weight.shape[2:])), _pair(stride), _pair(padding)
    if (kernel, stride, padding) != ((1, 1), (1, 1), (0, 0)):
        windows = torch.empty(len(out), weight[0].numel(), *out.shape[2:], device="meta")
        notes.note(windows, partial(operations.patches, kernel=kernel, stride=stride, padding=padding), [input])
        input = windows
    notes.note(out, operations.affine, [input], weight, bias)


def _batch_norm(
    notes: Notes,
    out: Tensor,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> None:
    _require(not training)
    operation = partial(operations.batch_norm, eps=eps)
    notes.note(out, operation, [input], weight, bias, running_mean, running_var)


def _layer_norm(
    notes: Notes,
    out: Tensor,
    input: Tensor,
    normalized_shape: tuple[int, ...],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> None:
    _require(tuple(normalized_shape) == tuple(input.shape[1:]))
    notes.note(out, partial(operations.layer_norm, eps=eps), [input], weight, bias)


def _max_pool(
    notes: Notes,
    out: Tensor,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> None:
    _require(_pair(padding) == (0, 0) and _pair(dilation) == (1, 1) and not ceil_mode and not return_indices)
    _pool(notes, out, operations.max_pool, input, kernel_size, stride)


def _average_pool(
    notes: Notes,
    out: Tensor,
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> None:
    _require(_pair(padding) == (0, 0) and not ceil_mode and divisor_override is None)
    _pool(notes, out, operations.average_pool, input, kernel_size, stride)


def _pool(notes: Notes, out: Tensor, pool: Callable, input: Tensor, kernel: Pair, stride: Pair | None) -> None:
    _require(input.ndim == 4)
    notes.note(out, partial(pool, kernel=_pair(kernel), stride=_pair(stride or kernel)), [input])


def _adaptive_average_pool(notes: Notes, out: Tensor, input: Tensor, output_size: Pair) -> None:
    _require(input.ndim == 4 and _pair(output_size) == (1, 1))
    notes.note(out, partial(torch.mean, dim=(2, 3), keepdim=True), [input])


def _mean(notes: Notes, out: Tensor, input: Tensor, dim: Pair, keepdim: bool = False) -> None:
    dims = tuple(d % input.ndim for d in ((dim,) if isinstance(dim, int) else dim))
    _require(0 not in dims)
    notes.note(out, partial(torch.mean, dim=dims, keepdim=keepdim), [input])


def _reshape(notes: Notes, out: Tensor, input: Tensor, *shape: Any, **named: Any) -> None:
    _require(out.dtype == input.dtype)  # a view may also reinterpret bits
    notes.note(out, partial(operations.flatten_to, features=tuple(out.shape[1:])), [input])


def _unchanged(notes: Notes, out: Tensor, input: Tensor, *options: Any, **named: Any) -> None:
    _require(out.dtype == input.dtype and out.device == input.device and out.shape == input.shape)
    notes.same(out, input)


def _dropout(
    notes: Notes, out: Tensor, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> None:
    _require(not training)
    notes.same(out, input)


def _elementwise(function: Callable[..., Tensor], options: tuple[str, ...] = ()) -> Callable[..., None]:
    def rule(notes: Notes, out: Tensor, input: Tensor, *given: Any, **named: Any) -> None:
        chosen = {**dict(zip((*options, "inplace"), given, strict=False)), **named}
        chosen.pop("inplace", None)  # the value may be shared by copies
        notes.note(out, partial(function, **chosen) if chosen else function, [input])

    return rule


def _binary(function: Callable[..., Tensor]) -> Callable[..., None]:
    def rule(notes: Notes, out: Tensor, input: Tensor, other: Tensor | float) -> None:
        if isinstance(other, (int, float)):
            notes.note(out, partial(function, other=other), [input])
        else:
            _require(input.shape == other.shape)  # no broadcasting: dimensions move
            notes.note(out, function, [input, other])

    return rule


_T = Tensor
_FORMS: tuple[tuple[Callable[..., None], tuple[Callable, ...]], ...] = (
    (_linear, (F.linear,)),
    (_conv2d, (F.conv2d,)),
    (_batch_norm, (F.batch_norm,)),
    (_layer_norm, (F.layer_norm,)),
    (_max_pool, (F.max_pool2d, torch.max_pool2d)),
    (_average_pool, (F.avg_pool2d,)),
    (_adaptive_average_pool, (F.adaptive_avg_pool2d,)),
    (_mean, (torch.mean, _T.mean)),
    (_reshape, (torch.flatten, _T.flatten, _T.view, _T.reshape, torch.reshape, _T.unsqueeze, _T.unflatten)),
    (_unchanged, (_T.contiguous, _T.to, _T.detach, _T.float, _T.double)),
    (_dropout, (F.dropout, F.dropout1d, F.dropout2d)),
    (_elementwise(torch.relu), (F.relu, torch.relu, _T.relu, F.relu_, torch.relu_, _T.relu_)),
    (_elementwise(torch.tanh), (torch.tanh, _T.tanh, F.tanh)),
    (_elementwise(torch.sigmoid), (torch.sigmoid, _T.sigmoid, F.sigmoid)),
    (_elementwise(F.gelu, ("approximate",)), (F.gelu,)),
    (_elementwise(F.silu), (F.silu,)),
    (_elementwise(F.softplus, ("beta", "threshold")), (F.softplus,)),
    (_elementwise(F.leaky_relu, ("negative_slope",)), (F.leaky_relu,)),
    (_elementwise(F.elu, ("alpha",)), (F.elu,)),
    (_binary(torch.add), (torch.add, _T.add, _T.add_, _T.__add__, _T.__iadd__)),
    (_binary(torch.sub), (torch.sub, _T.sub, _T.sub_, _T.__sub__, _T.__isub__)),
    (_binary(torch.mul), (torch.mul, _T.mul, _T.mul_, _T.__mul__, _T.__imul__)),
)

RULES: dict[Callable, Callable[..., None]] = {call: rule for rule, calls in _FORMS for call in calls}
"""For every call that is understood, the rule that notes it."""

QUERIES: frozenset[Any] = frozenset(
    {_T.dim, _T.size, _T.numel, _T.__len__, _T.is_floating_point}
    | {getattr(_T, name).__get__ for name in ("shape", "ndim", "dtype", "device", "is_cuda", "requires_grad")}
)
"""Calls that ask for the form of a tensor and compute nothing."""
