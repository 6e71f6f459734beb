"""Train a spiking network: its steps unrolled, all of a layer's at once, with gradients through time.

    unroll               potentials and spikes over time, differentiable in the synapses
    SpikingClassifier    a network with its number of steps, for ``training.fit``

Layers that feed back on each other are unrolled step by step.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.spiking.encoding import Encode
from weightlore.spiking.gradients import Learning, spikes_of
from weightlore.spiking.network import Shape, SpikingLayer, SpikingNetwork, layer_shapes
from weightlore.spiking.reference import Order, advance, begin, gated, total
from weightlore.spiking.running import over_time, together
from weightlore.spiking.scan import Engine, choose_engine
from weightlore.spiking.simulation import require_input, simulate
from weightlore.spiking.surrogates import Surrogate, fast_sigmoid, firing
from weightlore.training import in_mode

__all__ = ["SpikingClassifier", "Unrolled", "unroll"]


@dataclass(frozen=True, eq=False)
class Unrolled:
    """A network over T steps, for N examples; differentiable in its synapses.

    Args:
        potential: what the last layer has accumulated after each step, shape (T, N, ...).
        emitted: what each spiking layer has emitted, zeros and ones, shape (T, N, ...); their means are firing rates.

    Source: ours
    """

    potential: Tensor
    emitted: tuple[Tensor, ...]


def unroll(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    surrogate: Surrogate | None = None,
    order: Order = "same_step",
    encode: Encode | None = None,
    generator: torch.Generator | None = None,
    detach_reset: bool = False,
    engine: Engine = "auto",
) -> Unrolled:
    """Let a network spike for T steps such that it can learn.

    Spikes are those of ``simulate``; in the backward pass their derivative is the surrogate. Memory grows with T.

    Args:
        network: in the mode in which it is; parameters of its synapses get the gradient.
        x: input, shape (N, ...), N >= 1.
        steps: T, >= 1.
        surrogate: slope in place of the derivative of a spike; ``None`` for ``fast_sigmoid()``.
        order: which spikes a layer sees, as in ``simulate``.
        encode: what enters over time, as in ``simulate``.
        generator: for ``encode``.
        detach_reset: whether resets are taken as constants by the gradient.
        engine: of the scans, as in ``simulate``.

    Returns:
        Potential and spikes over time.

    Raises:
        ParameterError: as ``simulate``, and if there is no step or no example.

    Source: [neftci2019surrogate], surrogate gradients
    """
    require_input(network, x, steps, order)
    if steps == 0 or len(x) == 0:
        raise ParameterError(f"learning needs at least one step and one example, got {steps} and {len(x)}")
    with in_mode(network, training=False), torch.no_grad():
        shapes = layer_shapes(network, x)
    learning = Learning(surrogate or fast_sigmoid(), detach_reset, choose_engine(engine, 0, x))
    entering = x[None] if encode is None else encode(x, range(steps), generator)
    run = _Unrolling(network, shapes, entering, steps, order, learning)
    for group in together(network):
        run.advance(group)
    emitted = run.emitted[1:] if network.layer(len(shapes)).neuron is not None else run.emitted[1:-1]
    return Unrolled(run.emitted[-1].cumsum(0), tuple(emitted))


class SpikingClassifier(nn.Module):
    """A spiking network with its number of steps: logits are the mean input of the last layer over time.

        f(x) = scale U_T / T

    With it ``training.fit`` and ``training.evaluate`` take a spiking network for any other.

    Args:
        network: its parameters are trained.
        steps: T, >= 1.
        surrogate: slope in place of the derivative of a spike; ``None`` for ``fast_sigmoid()``.
        scale: factor of the logits, > 0.
        order: which spikes a layer sees, as in ``simulate``.
        detach_reset: whether resets are taken as constants by the gradient.

    Raises:
        ParameterError: if there is no step, or the scale is not > 0.

    Source: [neftci2019surrogate], surrogate gradients; mean input as logits is ours
    """

    def __init__(
        self,
        network: SpikingNetwork,
        steps: int,
        *,
        surrogate: Surrogate | None = None,
        scale: float = 1.0,
        order: Order = "same_step",
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ParameterError(f"steps counts time steps and must be a whole number >= 1, got {steps!r}")
        if not scale > 0:
            raise ParameterError(f"scale is a factor of the logits and must be > 0, got {scale}")
        self.network, self.steps, self.scale = network, steps, scale
        self.surrogate, self.order, self.detach_reset = surrogate or fast_sigmoid(), order, detach_reset

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), with a gradient where gradients are on."""
        if torch.is_grad_enabled():
            found = unroll(
                self.network,
                x,
                self.steps,
                surrogate=self.surrogate,
                order=self.order,
                detach_reset=self.detach_reset,
            ).potential[-1]
        else:
            found = simulate(self.network, x, self.steps, order=self.order).potential[-1]
        return found * (self.scale / self.steps)


class _Unrolling:
    """What all sources emit over time, layer after layer; of a read-out its currents."""

    def __init__(
        self,
        network: SpikingNetwork,
        shapes: list[tuple[Shape, Shape]],
        entering: Tensor,
        steps: int,
        order: Order,
        learning: Learning,
    ) -> None:
        self.network, self.shapes, self.steps, self.order, self.learning = network, shapes, steps, order, learning
        self.emitted = [entering]

    def advance(self, group: range) -> None:
        """Go on with the next layers, which step together if there are several or one feeds itself."""
        outside = [dict(self._outside(number, group[0])) for number in group]
        if len(group) == 1 and len(outside[0]) == len(self.network.synapses(group[0])):
            layer, currents = self.network.layer(group[0]), total(outside[0].values())
            if layer.neuron is None:
                self.emitted.append(currents.expand(self.steps, *currents.shape[1:]))
            else:
                spikes = spikes_of(currents, self.steps, layer.neuron, self.learning)
                self.emitted.append(_gated_over_time(layer, spikes))
        else:
            self.emitted += self._stepped(group, outside)

    def _outside(self, number: int, first: int) -> Iterator[tuple[int, Tensor]]:
        """The currents of a layer from sources before its group, shape (T or 1, N, ...)."""
        for source, synapse in self.network.synapses(number).items():
            if source < first:
                emitted = self.emitted[source]
                if source > 0 and self.order == "synchronous":
                    emitted = torch.cat([torch.zeros_like(emitted[:1]), emitted[:-1]])
                yield source, over_time(synapse, emitted)

    def _stepped(self, group: range, outside: list[dict[int, Tensor]]) -> list[Tensor]:
        """What the layers of a group emit, step by step."""
        now, learning = begin(self.network, self.emitted[0][0], self.shapes), self.learning
        found: list[list[Tensor]] = [[] for _ in group]
        for t in range(self.steps):
            known = {
                number: {source: currents[t if len(currents) > 1 else 0] for source, currents in one.items()}
                for number, one in zip(group, outside, strict=True)
            }
            now = advance(
                self.network,
                now,
                self.emitted[0][0],
                order=self.order,
                fire=firing(learning.surrogate),
                detach_reset=learning.detach_reset,
                numbers=group,
                known=known,
            )
            for one, number in zip(found, group, strict=True):
                one.append(now.emitted[number])
        return [torch.stack(one) for one in found]


def _gated_over_time(layer: SpikingLayer, spikes: Tensor) -> Tensor:
    """What passes a layer's gate in each step; the gate itself is taken as constant by the gradient."""
    if layer.gate is None:
        return spikes
    active = spikes.detach().cumsum(0)
    return gated(layer, spikes.flatten(0, 1), active.flatten(0, 1)).unflatten(0, spikes.shape[:2])
