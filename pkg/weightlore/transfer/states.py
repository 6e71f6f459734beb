"""A target network each of whose layers is in one of three states: random, fine-tune or frozen.

    random      own weights, freshly drawn, trained
    fine-tune   own weights, copied from the source, trained
    frozen      the source's weights, not trained, in eval mode for ever

These are the choices by hand that a transfer unit is meant to replace. A network of L layers has 3^L of them. Departs
from a unit whose gate is shut: a frozen layer reads the layer below it, whatever state that is in; the two are the same
where all layers below are frozen too.
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.transfer.layers import Layer, layers, private

__all__ = ["HeadStart", "InStates", "State", "in_states"]

State = Literal["random", "fine-tune", "frozen"]
HeadStart = Literal["new", "source"]


class InStates(nn.Module):
    """A network with frozen layers, which stay in eval mode whatever mode the others are in.

    It can be taken apart into layers like the network it holds.

    Args:
        network: whose parameters are trained where they require a gradient.
        states: of its L layers.
        asleep: names of the modules of the frozen layers.

    Source: [zhang2019ptu], the states "random", "fine-tune" and "frozen"; the wrapper is ours
    """

    def __init__(self, network: nn.Module, states: tuple[State, ...], asleep: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.states, self.asleep = network, states, asleep
        self.train(network.training)

    @property
    def num_layers(self) -> int:
        """L, the number of layers before the readout."""
        return self._layered.num_layers

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return the input of the non-linearity of layer l, given the output h of the layer before (or x)."""
        return self._layered.pre(l, h)

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the non-linearity of layer l."""
        return self._layered.phi(l)

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the L layers."""
        return self._layered.activations(x)

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, given the output of the last layer."""
        return self._layered.head(h)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C)."""
        return self.network(x)

    def train(self, mode: bool = True) -> "InStates":
        """Put the trained layers into train or eval mode; frozen ones stay in eval mode."""
        super().train(mode)
        for name in self.asleep:
            self.network.get_submodule(name).eval()
        return self

    @property
    def _layered(self) -> Layered:
        return self.network  # type: ignore[return-value]


def in_states(
    source: Layered, fresh: Layered, states: Sequence[State], *, example: Tensor, head: HeadStart = "new"
) -> InStates:
    """Return a target network with each layer in a state of its own; both given networks are left as they are.

    Args:
        source: the trained network.
        fresh: a freshly drawn network of the same form; its readout may have other classes.
        states: one for each of the L layers.
        example: at least one input, from which is found out which parameter belongs to which layer.
        head: whether the readout is the fresh one, or starts as a copy of the source's. It is always trained.

    Returns:
        A network that shares no memory with either.

    Raises:
        ParameterError: if there is not one known state per layer, or what should be taken from the source does not fit.

    Source: [zhang2019ptu], the states "random", "fine-tune" and "frozen"
    """
    _require_states(source, states, head)
    made, given = private(fresh, frozen=False), private(source, frozen=True)
    _require_dtype(given, made)
    ours, theirs = layers(fresh, example[:2]), layers(source, example[:2])
    if len(ours) != len(theirs):
        raise ParameterError(
            f"source and fresh network must have the same layers, got {len(theirs) - 1} and {len(ours) - 1}"
        )
    taken = [place for place, state in enumerate(states) if state != "random"]
    for place in taken + ([len(states)] if head == "source" else []):
        _take(made, given, ours[place], theirs[place], place)
    frozen = [ours[place] for place, state in enumerate(states) if state == "frozen"]
    for name in (name for layer in frozen for name in layer.parameters):
        made.get_parameter(name).requires_grad_(False)
    return InStates(made, tuple(states), tuple(name for layer in frozen for name in layer.modules))


def _take(made: nn.Module, given: nn.Module, ours: Layer, theirs: Layer, place: int) -> None:
    """Copy parameters and buffers of one layer."""
    names = [*ours.parameters, *_buffers(made, ours)]
    if names != [*theirs.parameters, *_buffers(given, theirs)]:
        raise ParameterError(
            f"layer {place} of the source has {list(theirs.parameters)}, that of the fresh network has "
            f"{list(ours.parameters)}; make the fresh network by the same function as the source"
        )
    there, here = given.state_dict(keep_vars=True), made.state_dict(keep_vars=True)
    for name in names:
        if there[name].shape != here[name].shape:
            raise ParameterError(
                f"{name} has shape {tuple(there[name].shape)} in the source and {tuple(here[name].shape)} in the fresh "
                "network; use the same widths, or leave this layer random (the readout: head='new')"
            )
        with torch.no_grad():
            here[name].copy_(there[name])


def _buffers(network: nn.Module, layer: Layer) -> list[str]:
    """Return the names of the buffers that the modules of a layer keep."""
    names = (f"{m}.{b}" for m in layer.modules for b, _ in network.get_submodule(m).named_buffers(recurse=False))
    return [name for name in dict.fromkeys(names) if name in network.state_dict()]


def _require_dtype(given: nn.Module, made: nn.Module) -> None:
    dtypes = [next(network.parameters()).dtype for network in (given, made)]
    if dtypes[0] != dtypes[1]:
        raise ParameterError(
            f"source and fresh network must compute in one dtype, got {dtypes[0]} and {dtypes[1]}; convert one"
        )


def _require_states(source: Layered, states: Sequence[State], head: HeadStart) -> None:
    unknown = [state for state in states if state not in get_args(State)]
    if unknown or len(states) != source.num_layers:
        raise ParameterError(
            f"states must name 'random', 'fine-tune' or 'frozen' for each of the {source.num_layers} layers, "
            f"got {tuple(states)}"
        )
    if head not in get_args(HeadStart):
        raise ParameterError(f"head is 'new' or 'source', got {head!r}")
