"""The operations of a network, one by one while it runs, so that a rule can stand in for each.

Guided backpropagation, DeepLIFT and relevance propagation change how some operations pass a signal back. Operations are
caught as torch calls them, so that modules and functions, in place or not, a module used once or twice are all seen;
the network itself is not touched. Each operation on something that depends on the input is of one kind:

    sum           linear, convolution, batch normalization, average pooling, mean, +, -, times a constant
    elementwise   relu, tanh, sigmoid, softplus, ...
    maximum       max pooling
    moved         flatten, reshape, cat, indexing, padding, dropout in eval mode, ...

What has no kind (a product of two activations, softmax, layer normalization, attention) is an error in the methods that
need one, and never passed over.

    Ruled(rule)      while it is open, rule(call) gives the result of every such operation
    visits(model)    while it is open, which module runs, and for how many times
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from weightlore.errors import ParameterError

__all__ = ["Call", "Kind", "Rule", "Ruled", "Visits", "unruled", "visits"]

Kind: TypeAlias = Literal["sum", "elementwise", "maximum", "moved"]

ADDITIONS = {"mean", "sum", "add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "neg"}
PRODUCTS = {  # add up, if at most one factor depends on the input
    *("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *("mul", "rmul", "imul", "multiply", "div", "truediv", "itruediv", "true_divide", "batch_norm"),
    *("matmul", "rmatmul", "mm", "addmm", "bmm", "einsum"),
}
ELEMENTWISE = {
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardtanh", "hardswish"),
    *("tanh", "sigmoid", "hardsigmoid", "softplus", "softsign", "tanhshrink", "log_sigmoid", "logsigmoid"),
}
MAXIMA = {f"{adaptive}max_pool{dimensions}d" for adaptive in ("", "adaptive_") for dimensions in (1, 2, 3)}
MOVED = {
    *("flatten", "reshape", "view", "view_as", "reshape_as", "unflatten", "squeeze", "unsqueeze", "permute"),
    *("transpose", "t", "movedim", "getitem", "select", "narrow", "chunk", "split", "unbind", "cat", "concat", "stack"),
    *("expand", "expand_as", "repeat", "contiguous", "clone", "pad", "dropout", "dropout2d", "dropout1d", "dropout3d"),
    *("alpha_dropout", "feature_alpha_dropout", "to", "float", "double", "flip", "roll", "get"),
}
ASKED = {
    *("size", "dim", "numel", "nelement", "len", "stride", "is_floating_point", "is_contiguous", "get_device"),
    *("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty", "repr"),
    *("is_complex", "data_ptr", "storage_offset", "ndimension", "hash"),
}


@dataclass(frozen=True)
class Call:
    """One call of an operation on something that depends on the input.

    Args:
        function: what torch was about to call.
        args: its positional arguments.
        options: its named arguments.

    Source: ours
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]

    @cached_property
    def name(self) -> str:
        """The operation's name in one spelling: ``relu_`` is ``relu``, ``__add__`` is ``add``."""
        return str(getattr(self.function, "__name__", self.function)).strip("_")

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments that depend on the network's input."""
        return tuple({id(one): one for one in _dependent([*self.args, *self.options.values()])}.values())

    @property
    def kind(self) -> Kind | None:
        """What kind of operation it is; ``None`` if it has none."""
        alone = len(list(_dependent([*self.args, *self.options.values()]))) == 1
        if self.name in MOVED | PRODUCTS and self.options.get("training"):
            return None
        if self.name in MOVED:
            return "moved"
        if self.name in ADDITIONS:
            return "sum"
        if self.name in PRODUCTS:
            return "sum" if alone and ("div" not in self.name or self.args[0] is self.inputs[0]) else None
        if self.name in ELEMENTWISE | MAXIMA and alone and not self.options.get("return_indices"):
            return "maximum" if self.name in MAXIMA else "elementwise"
        return None

    @property
    def in_place(self) -> bool:
        """Whether the result is written over the first argument."""
        name = str(getattr(self.function, "__name__", ""))
        spelled = name.endswith("_") and not name.endswith("__")
        return spelled or name.startswith("__i") or bool(self.options.get("inplace"))

    def direct(self) -> Any:
        """Return what torch would have returned."""
        return self.function(*self.args, **self.options)

    def moved(self) -> Any:
        """Return what torch would have returned, if that still depends on the input.

        Raises:
            ParameterError: if it is cut off, as by ``x.data`` or by conversion to whole numbers.
        """
        result = self.direct()
        if isinstance(result, Tensor) and not result.requires_grad:
            raise ParameterError(f"{self.name!r} cuts an activation off from the input, so that nothing passes back")
        return result

    def at(self, *inputs: Tensor) -> Tensor:
        """Return the operation's result for other inputs, which are left as they are.

        Args:
            inputs: in the order of ``self.inputs``, in the same shapes.
        """
        copies = [one.clone() if self.in_place else one for one in inputs]
        swap = {id(old): new for old, new in zip(self.inputs, copies, strict=True)}
        return self.function(*_swapped(self.args, swap), **_swapped(self.options, swap))

    def written(self, result: Tensor) -> Tensor:
        """Return the result, written over the first argument where the operation works in place."""
        return self.args[0].copy_(result) if self.in_place else result


Rule: TypeAlias = Callable[[Call], Any]


class Ruled(TorchFunctionMode):
    """Let a rule give the result of every operation on something that depends on the network's input.

    What depends on the input is what requires a gradient: parameters must be frozen, and the input not. Inside the rule
    operations are torch's own.

    Args:
        rule: from a call to its result.

    Source: ours
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return the rule's result, or torch's own where nothing depends on the input."""
        call = Call(func, args, kwargs or {})
        if call.name in ASKED or not call.inputs:
            return call.direct()
        return self.rule(call)


@dataclass
class Visits:
    """Which module runs, and how often each has been called.

    Args:
        running: the modules that run now, the innermost last.
        counts: calls of each module so far.

    Source: ours
    """

    running: list[nn.Module] = field(default_factory=list)
    counts: Counter[nn.Module] = field(default_factory=Counter)

    def enter(self, module: nn.Module, _: Any) -> None:
        """A module begins."""
        self.running.append(module)
        self.counts[module] += 1

    def leave(self, module: nn.Module, _: Any, __: Any) -> None:
        """A module has ended."""
        self.running.pop()


@contextmanager
def visits(model: nn.Module) -> Iterator[Visits]:
    """Watch which module of a model runs, and how often; afterwards its hooks are as before.

    Args:
        model: any module.

    Source: ours
    """
    seen = Visits()
    modules = list(model.modules())
    handles = [module.register_forward_pre_hook(seen.enter) for module in modules]
    handles += [module.register_forward_hook(seen.leave) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def unruled(call: Call, method: str) -> ParameterError:
    """Return the error for an operation that a method has no rule for.

    Args:
        call: the operation.
        method: the method's name, for the message.

    Source: ours
    """
    return ParameterError(
        f"{method} has no rule for {call.name!r} as it is used here: it knows layers that add up "
        "(linear, convolution, batch normalization in eval mode, average pooling, +), elementwise non-linearities, max "
        "pooling and reshaping; write the network with these, or use a method that needs the gradient only"
    )


def _dependent(values: list[Any] | tuple[Any, ...]) -> Iterator[Tensor]:
    """The tensors among arguments that require a gradient, as often as they stand there."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _dependent(value)
        elif isinstance(value, Tensor) and value.requires_grad:
            yield value


def _swapped(value: Any, swap: dict[int, Tensor]) -> Any:
    """The same arguments with other tensors in them."""
    if isinstance(value, Tensor):
        return swap.get(id(value), value)
    if isinstance(value, list | tuple):
        return type(value)(_swapped(one, swap) for one in value)
    if isinstance(value, dict):
        return {name: _swapped(one, swap) for name, one in value.items()}
    return value
