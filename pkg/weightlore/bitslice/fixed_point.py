"""A network that computes with integers times powers of two, and can still be trained.

    FixedPoint(model)      weights, biases and activations on a grid; the floating parameters stay underneath

Each forward pass writes weights and biases of fully connected and convolutional layers on the grid of ``quantize``, and
so the network's input, the input of every non-linearity and the logits. Gradients go straight through. In training
every tensor's scale is measured anew; at evaluation all scales are those of the last training forward. Normalization is
left as it is.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.bitslice.quantizer import (
    Overflow,
    Quantized,
    exponent_of,
    largest_code,
    measured,
    quantize,
    require_widths,
    rounded,
    straight_through,
)
from weightlore.errors import ParameterError
from weightlore.parameters import Group, kind_of, layout

__all__ = ["FixedPoint", "Gridded"]

NONLINEAR = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Hardtanh)
UNKNOWN = 1 << 20  # an exponent that was never measured


class Gridded(nn.Module):
    """Activations on a grid, then another module.

    Args:
        after: what gets the rounded activations.
        bits: B of the grid.
        overflow: where the codes end, as for ``quantize``.

    Source: [zhang2019bitslice], dynamic fixed point
    """

    exponent: Tensor

    def __init__(self, after: nn.Module, bits: int, overflow: Overflow = "saturate") -> None:
        super().__init__()
        self.after, self.bits, self.overflow, self.calls = after, bits, overflow, 0
        self.register_buffer("exponent", torch.tensor(UNKNOWN))

    def forward(self, x: Tensor) -> Tensor:
        """Round x, measuring its scale in training, and hand it on."""
        self.calls += 1
        if self.calls > 1:
            raise ParameterError(
                f"one {type(self.after).__name__} is called twice in a forward pass, where two scales are needed; "
                "give each place of the model a module of its own"
            )
        if self.training:
            self.exponent.fill_(exponent_of(x))
        exponent = int(self.exponent)
        if exponent == UNKNOWN:
            raise ParameterError(
                "the scales of the activations were never measured; train the model, or call it once on data after "
                "model.train()"
            )
        return self.after(straight_through(x, self.bits, exponent, overflow=self.overflow))


class FixedPoint(nn.Module):
    """A copy of a model that computes in fixed point and is trained through the rounding.

    The floating parameters are those of ``.model``, with their names; optimizers move them, and pruning and penalties
    act on them.

    Args:
        model: any tree of modules whose parameters belong to ``nn.Linear``, ``nn.Conv2d`` and normalization layers,
            with its non-linearities as modules (``nn.ReLU()``, not ``torch.relu``); it is copied.
        bits: B, bits of the magnitude of weights and biases.
        activation_bits: the same for activations; ``None`` leaves them as they are.
        cell_bits: c, bits of a memory cell: penalties and metrics cut the codes into digits of so many bits.
        overflow: where the codes of parameters and activations end, as for ``quantize``.
        group: which of the parameters of those layers are quantized; ``None`` for weights and biases.

    Raises:
        ParameterError: if a layer is of another kind, or bits are out of range.

    Source: [zhang2019bitslice], fixed-point training
    """

    exponents: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        bits: int = 8,
        activation_bits: int | None = 8,
        cell_bits: int = 2,
        overflow: Overflow = "saturate",
        group: Group = None,
    ) -> None:
        super().__init__()
        require_widths(bits, cell_bits)
        largest_code(bits, overflow)
        self.bits, self.cell_bits, self.overflow = bits, cell_bits, overflow
        self.model = copy.deepcopy(model)
        self._names = _layers(self.model, group)
        self._owners = [(n, self.model.get_submodule(n.rpartition(".")[0]), n.rpartition(".")[2]) for n in self._names]
        self._places = _places(self.model, self._names)
        self._keeps = False
        self._latest: dict[str, tuple[int, Tensor, float]] = {}
        self._wrap(activation_bits)
        self._gridded = [module for module in self.modules() if isinstance(module, Gridded)]
        found = [exponent_of(p) for p in self.quantized().values()]
        self.register_buffer("exponents", torch.tensor(found))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, computed with parameters and activations on their grids."""
        for gridded in self._gridded:
            gridded.calls = 0
        written = self._written()
        values = {place: written[name] for place, name in self._places}
        return self.exit(torch.func.functional_call(self.model, values, (self.entry(x),), tie_weights=False))

    def quantized(self) -> dict[str, nn.Parameter]:
        """Return the floating parameters that are quantized, by their names in ``.model``."""
        return {name: getattr(owner, local) for name, owner, local in self._owners}

    def codes(self) -> dict[str, Quantized]:
        """Return the quantized parameters at the scales of evaluation, by their names in ``.model``."""
        pairs = zip(self.quantized().items(), self.exponents.tolist(), strict=True)
        return {n: quantize(p.detach(), self.bits, e, overflow=self.overflow) for (n, p), e in pairs}

    def index(self, name: str) -> tuple[Tensor, float]:
        """Return q + 2^B, int32, and the step of a parameter on the grid of the latest training forward.

        What that forward computed is used again, if the parameter has not moved since. The first question makes the
        forward passes that follow keep their codes.
        """
        self._keeps = True
        parameter = self.quantized()[name]
        version, index, step = self._latest.get(name, (-1, parameter, 0.0))
        if version == parameter._version:
            return index, step
        found = quantize(parameter.detach(), self.bits, overflow=self.overflow)
        return (found.code + 2**self.bits).to(torch.int32), found.step

    def plain(self) -> nn.Module:
        """Return a copy of the model as it was given, with parameters on the grid and activations as they come."""
        model = copy.deepcopy(self.model)
        for parent in model.modules():
            for name, child in list(parent._modules.items()):
                if isinstance(child, Gridded):
                    parent._modules[name] = child.after
        with torch.no_grad():
            known = dict(model.named_parameters())
            for name, found in self.codes().items():
                known[name].copy_(found.value)
        return model

    def _wrap(self, bits: int | None) -> None:
        """Put a grid before every non-linearity, at the entry and at the exit."""
        self.entry: nn.Module = nn.Identity()
        self.exit: nn.Module = nn.Identity()
        if bits is not None:
            require_widths(bits)
            self.entry, self.exit = (Gridded(nn.Identity(), bits, self.overflow) for _ in range(2))
            for parent in list(self.model.modules()):
                for name, child in list(parent._modules.items()):
                    if isinstance(child, NONLINEAR):
                        if getattr(child, "inplace", False):
                            child.inplace = False  # what it gets is on the grid and stays
                        parent._modules[name] = Gridded(child, bits, self.overflow)

    def _written(self) -> dict[str, Tensor]:
        """Return every parameter on its grid; in training the scales are measured."""
        parameters = self.quantized()
        if self.training:
            found = {name: measured(p) for name, p in parameters.items()}
            self.exponents.copy_(torch.tensor([exponent for _, exponent in found.values()]))
            return {name: self._rounded(name, p, *found[name]) for name, p in parameters.items()}
        pairs = zip(parameters.items(), self.exponents.tolist(), strict=True)
        return {n: quantize(p, self.bits, e, overflow=self.overflow).value for (n, p), e in pairs}

    def _rounded(self, name: str, parameter: nn.Parameter, largest: float, exponent: int) -> Tensor:
        """Return a parameter on the grid of its own scale, beyond which nothing lies; keep its codes if asked to."""
        step, most = math.ldexp(1.0, exponent - self.bits), largest_code(self.bits, self.overflow)
        fits = largest < (most + 0.5) * step
        code = rounded(parameter.detach(), step, None if fits else most)
        if self._keeps:
            self._latest[name] = parameter._version, code.to(torch.int32).add_(2**self.bits), step
        return _Replaced.apply(parameter, code.mul_(step))


class _Replaced(torch.autograd.Function):
    """Another value forward, the gradient as it comes backward."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, value: Tensor) -> Tensor:
        """Return the value."""
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient."""
        return gradients[0], None


def _layers(model: nn.Module, group: Group) -> list[str]:
    """Return the names of the parameters of fully connected and convolutional layers, and refuse other layers."""
    slots, chosen = layout(model, frozen=True).slots, set(layout(model, group, frozen=True).names)
    names = []
    for slot in slots:
        owner, local = model.get_submodule(slot.layer), slot.name.rpartition(".")[2]
        normalizes = "Norm" in type(owner).__name__ or kind_of(owner, local) == "norm"
        if isinstance(owner, nn.Linear | nn.Conv2d):
            names += [slot.name] if slot.name in chosen else []
        elif not normalizes and not isinstance(owner, nn.PReLU):
            raise ParameterError(
                f"layer {slot.layer!r} is a {type(owner).__name__}, which has no fixed-point form here; "
                "use nn.Linear, nn.Conv2d and normalization layers"
            )
    if not names:
        raise ParameterError(
            f"the group {group!r} holds no parameter of nn.Linear or nn.Conv2d; choose None or 'weight'"
        )
    return names


def _places(model: nn.Module, names: list[str]) -> list[tuple[str, str]]:
    """Return every path of the model under which a named parameter stands; a tied one has several."""
    known = {id(p): name for name, p in model.named_parameters() if name in names}
    return [
        (f"{path}.{local}" if path else local, known[id(p)])
        for path, module in model.named_modules()
        for local, p in module._parameters.items()
        if id(p) in known
    ]
