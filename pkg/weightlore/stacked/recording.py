"""Write down what a network computes, so that it can be computed for many copies at once.

The network runs once on a few examples while every call of torch is noted. What comes out is a *program*: a list of
steps, each an operation of ``operations`` with its inputs and the names of its parameters. A network that does anything
not understood (a recurrent layer, dropout in training, control flow on values) has no program, and ``record`` says so
by returning ``None``; nothing is guessed.

    record(model, parameters, x)              a Program, or None
    program.split(names)                      the steps that all copies share, and the others
    run(steps, values, parameters)            values of the steps
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from weightlore.parameters import places_of
from weightlore.stacked.vocabulary import QUERIES, RULES, NotUnderstood

__all__ = ["Program", "Step", "record", "run"]


@dataclass(frozen=True)
class Step:
    """One operation of a network.

    Args:
        operation: called with the inputs' values, then the parameters.
        inputs: numbers of the values it takes.
        parameters: names of the parameters and buffers it takes, ``None`` for one that is absent.
        output: number of the value it makes.
        size: entries of that value per example.

    Source: ours
    """

    operation: Callable[..., Tensor]
    inputs: tuple[int, ...]
    parameters: tuple[str | None, ...]
    output: int
    size: int


@dataclass(frozen=True)
class Program:
    """What a network computes; value 0 is its input.

    Args:
        steps: in the order of computation.
        output: number of the value that the network returns.
        width: entries of the input per example.

    Source: ours
    """

    steps: tuple[Step, ...]
    output: int
    width: int

    def sizes(self) -> dict[int, int]:
        """Return the entries per example of every value, by its number."""
        return {0: self.width} | {step.output: step.size for step in self.steps}

    def split(self, names: Iterable[str]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """Return the steps that do not depend on the named parameters, and those that do.

        Args:
            names: the parameters in which copies differ.
        """
        differing = set(names)
        shared: list[Step] = []
        own: list[Step] = []
        touched: set[int] = set()
        for step in self.steps:
            differs = touched.intersection(step.inputs) or differing.intersection(step.parameters)
            (own if differs else shared).append(step)
            if differs:
                touched.add(step.output)
        return tuple(shared), tuple(own)


def run(
    steps: Iterable[Step], values: dict[int, Tensor], parameters: Mapping[str | None, Tensor | None], *, keep: set[int]
) -> None:
    """Compute the steps, adding their outputs to ``values`` and dropping those that nobody needs any more.

    Args:
        steps: in the order of computation.
        values: number -> value (S or 1, features..., N); must hold what the steps take from outside.
        parameters: name -> (S or 1, ...), and ``None`` -> ``None``.
        keep: numbers of values that are not dropped.

    Source: ours
    """
    steps = tuple(steps)
    last = {number: index for index, step in enumerate(steps) for number in step.inputs}
    for index, step in enumerate(steps):
        taken = [values[number] for number in step.inputs]
        values[step.output] = step.operation(*taken, *(parameters[name] for name in step.parameters))
        for number in step.inputs:
            if last[number] == index and number not in keep:
                values.pop(number, None)


@torch.no_grad()
def record(model: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Program | None:
    """Return what the model computes, or ``None`` if some of it is not understood.

    Args:
        model: any module, in the mode (training or evaluation) in which it is to be run; left as it is.
        parameters: name -> parameter, for all of ``model.named_parameters()``.
        x: a few examples, shape (N, ...).

    Source: ours
    """
    tensors = {**{n: b.clone() for n, b in model.named_buffers()}, **{n: p.detach() for n, p in parameters.items()}}
    x = x.clone()
    recorder = _Recorder(tensors, x)
    with recorder:
        out = torch.func.functional_call(model, places_of(model, tensors), (x,), tie_weights=False)
    return recorder.program(out)


class _Recorder(TorchFunctionMode):
    """Notes every call of torch that touches the input's descendants or the parameters."""

    def __init__(self, tensors: Mapping[str, Tensor], x: Tensor) -> None:
        super().__init__()
        self.names = {id(tensor): name for name, tensor in tensors.items()}
        self.numbers = {id(x): 0}
        self.alive: list[object] = [x, tensors]  # so that no id is used twice
        self.examples, self.width = len(x), x[0].numel()
        self.steps: list[Step] = []
        self.understood = True

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.understood and func not in QUERIES and self._touches((*args, *kwargs.values())):
            try:
                RULES[func](self, out, *args, **kwargs)
            except (KeyError, NotUnderstood, TypeError):  # no rule, a rule declines, arguments a rule does not know
                self.understood = False
        return out

    def _touches(self, arguments: Iterable[object]) -> bool:
        for a in arguments:
            if isinstance(a, (tuple, list)) and self._touches(a):
                return True
            if id(a) in self.numbers or id(a) in self.names:
                return True
        return False

    def program(self, out: object) -> Program | None:
        known = self.understood and isinstance(out, Tensor) and id(out) in self.numbers and out.ndim == 2
        return Program(tuple(self.steps), self.numbers[id(out)], self.width) if known else None

    def value(self, tensor: Tensor) -> int:
        if id(tensor) not in self.numbers:
            raise NotUnderstood
        return self.numbers[id(tensor)]

    def name(self, tensor: Tensor | None) -> str | None:
        if tensor is None:
            return None
        if id(tensor) not in self.names:
            raise NotUnderstood
        return self.names[id(tensor)]

    def same(self, out: Tensor, h: Tensor) -> None:
        """Note that ``out`` is the same value as ``h``."""
        self.alive.append(out)
        self.numbers[id(out)] = self.value(h)

    def note(self, out: Tensor, operation: Callable, inputs: Iterable[Tensor], *parameters: Tensor | None) -> None:
        """Note a step that makes ``out``."""
        inputs = tuple(inputs)
        if out.ndim < 2 or len(out) != self.examples:
            raise NotUnderstood
        step = Step(
            operation,
            tuple(self.value(h) for h in inputs),
            tuple(self.name(p) for p in parameters),
            len(self.steps) + 1,
            out.numel() // self.examples,
        )
        self.steps.append(step)
        self.alive.append(out)
        self.numbers[id(out)] = step.output
