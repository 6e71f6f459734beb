"""Count what a network of spikes computes, and what that costs.

A spike makes every weight it meets be added once (an accumulation, AC); a forward pass of the network without spikes
multiplies and adds once per weight and input (MAC). Constant input current is multiplied once, then added every step.

    fan_out          how many weights a spike of each neuron of a source meets
    operations       accumulations and multiplications of a simulation, and of one forward pass without spikes
    energy           what they cost
    break_even       how many spikes per neuron cost as much as one forward pass
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.spiking.network import Shape, SpikingNetwork, layer_shapes
from weightlore.spiking.records import Record
from weightlore.training import in_mode

__all__ = ["Cost", "Energy", "Operations", "break_even", "energy", "fan_out", "operations"]

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLED = (nn.AvgPool2d, nn.MaxPool2d)


@dataclass(frozen=True)
class Cost:
    """Energy of one operation.

    Args:
        mac: of a multiplication with its addition, > 0, in pJ: 32-bit floating point at 45 nm takes 3.7 and 0.9.
        ac: of an addition alone, > 0, in pJ.

    Raises:
        ParameterError: if a value is not finite and > 0.

    Source: [horowitz2014energy], energy of arithmetic at 45 nm
    """

    mac: float = 4.6
    ac: float = 0.9

    def __post_init__(self) -> None:
        for name, value in (("mac", self.mac), ("ac", self.ac)):
            if not 0 < value < math.inf:
                raise ParameterError(f"{name} is an energy in pJ and must be finite and > 0, got {value}")


@dataclass(frozen=True, eq=False)
class Operations:
    """What a simulation computed for each example.

    Args:
        accumulations: additions of weights and of constant current, shape (N,), float64.
        multiplications: with their addition, for the input current, shape (N,), float64.
        spikes: emitted by all layers, shape (N,), int64.
        dense: multiplications of one forward pass without spikes, for one example.

    Source: ours
    """

    accumulations: Tensor
    multiplications: Tensor
    spikes: Tensor
    dense: int


@dataclass(frozen=True, eq=False)
class Energy:
    """What a simulation costs, next to one forward pass without spikes.

    Args:
        spiking: shape (N,), in pJ.
        dense: in pJ.

    Source: ours
    """

    spiking: Tensor
    dense: float


def fan_out(synapse: nn.Module, shape: Shape) -> Tensor:
    """Return how many weights a spike of each neuron of a source meets.

    Average and maximum pooling before the weights pass each spike on to every window that it is in (for a maximum this
    counts two spikes in one window twice). Without weights, as in a shortcut, a spike is one addition. Weights that
    happen to be zero count.

    Args:
        synapse: a module, or an ``nn.Sequential``: at most one fully connected or convolutional layer, and modules
            without parameters that pool, or pass each number on to one place.
        shape: of what the source emits for one example.

    Returns:
        Whole numbers, of that shape, float64.

    Raises:
        ParameterError: if the synapse holds something else that has parameters.

    Source: [lu2020binary], operations by spikes and fan-out; pooling and borders are ours
    """
    parts = _parts(synapse)
    weighted = [place for place, part in enumerate(parts) if isinstance(part, WEIGHTED)]
    if len(weighted) > 1:
        raise ParameterError(f"a synapse has at most one layer of weights, got {len(weighted)} in {parts}; split it")
    met = [torch.zeros(1, *shape, dtype=torch.float64).requires_grad_()]
    parts = parts[: weighted[0] + 1] if weighted else parts
    with torch.enable_grad():
        passed = []
        for part in parts:
            passed.append(_counting(part)(met[-1]))
            met.append(passed[-1].detach().requires_grad_())
        found = torch.ones_like(met[-1])
        for entering, leaving, part in zip(reversed(met[:-1]), reversed(passed), reversed(parts), strict=True):
            several = isinstance(part, (*WEIGHTED, *POOLED))
            found = _pulled_back(found, entering, leaving, several=several)
    return found[0].detach()


def operations(network: SpikingNetwork, record: Record, x: Tensor) -> Operations:
    """Return what a simulation computed.

        AC = sum over layers of spikes * fan-out  + T * (neurons that constant current enters)
        MAC = weights met by the input, once      (encoded input: its events count as spikes instead)

    Args:
        network: that was simulated.
        record: what came of it; with an early exit only the steps until then count.
        x: the input of the simulation, shape (N, ...).

    Returns:
        Accumulations, multiplications and spikes of each example, and the multiplications of a forward pass.

    Raises:
        ParameterError: if record and input do not belong together, or as ``fan_out``.

    Source: [lu2020binary], operations by spikes and fan-out
    """
    with in_mode(network, training=False), torch.no_grad():
        shapes = layer_shapes(network, x)
    _require_pair(record, x, shapes)
    emitted = [tuple(x.shape[1:]), *(after for _, after in shapes)]
    events = [record.input_counts, *record.spike_counts]
    steps = record.steps.double().cpu()
    added, multiplied, dense = torch.zeros_like(steps), torch.zeros_like(steps), 0
    for number in range(1, len(emitted)):
        for source, synapse in network.synapses(number).items():
            met, counts = fan_out(synapse, emitted[source]), events[source]
            dense += int(met.sum())
            if counts is None:
                multiplied += met.sum() * (steps > 0)
                added += steps * math.prod(shapes[number - 1][0])
            else:
                added += (counts.double().cpu() * met).flatten(1).sum(1)
    spikes = torch.stack([counts.flatten(1).sum(1).cpu() for counts in record.spike_counts] or [steps.long() * 0]).sum(
        0
    )
    return Operations(added, multiplied, spikes, dense)


def energy(counted: Operations, cost: Cost | None = None) -> Energy:
    """Return what operations cost.

        spiking = mac MAC + ac AC,   dense = mac (MAC of a forward pass)

    Memory, leak and comparison with a threshold are not counted.

    Args:
        counted: from ``operations``.
        cost: of one operation; ``None`` for 45 nm.

    Source: [horowitz2014energy], energy of arithmetic at 45 nm
    """
    cost = cost or Cost()
    return Energy(cost.mac * counted.multiplications + cost.ac * counted.accumulations, cost.mac * counted.dense)


def break_even(cost: Cost | None = None) -> float:
    """Return how many spikes per neuron, T times the mean rate, cost as much as one forward pass.

        mac / ac

    Args:
        cost: of one operation; ``None`` for 45 nm.

    Example:
        >>> round(break_even(), 2)
        5.11

    Source: [horowitz2014energy], energy of arithmetic at 45 nm
    """
    cost = cost or Cost()
    return cost.mac / cost.ac


def _parts(synapse: nn.Module) -> list[nn.Module]:
    if not isinstance(synapse, nn.Sequential):
        return [synapse]
    return [part for child in synapse for part in _parts(child)]


def _counting(part: nn.Module) -> nn.Module:
    """Return a module in which every number that is passed on counts 1."""
    if isinstance(part, WEIGHTED):
        ones = copy.deepcopy(part).double()
        nn.init.ones_(ones.weight)
        ones.bias = None
        return ones
    if isinstance(part, nn.MaxPool2d) and part.dilation not in (1, (1, 1)):
        raise ParameterError(f"the spikes in a window with gaps are not counted, got dilation {part.dilation}; use 1")
    if isinstance(part, POOLED):
        return nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode, divisor_override=1)
    if any(True for _ in part.parameters()) or any(True for _ in part.buffers()):
        raise ParameterError(
            f"a {type(part).__name__} has parameters, but is neither fully connected nor convolutional; write the "
            "synapse as an nn.Sequential, and fold normalization into its weights"
        )
    return part


def _pulled_back(found: Tensor, entering: Tensor, leaving: Tensor, *, several: bool) -> Tensor:
    """What each number that enters meets, from what those that leave meet; a factor on the way does not count."""
    (met,) = torch.autograd.grad(leaving, entering, found, retain_graph=True)
    if several:
        return met
    (factor,) = torch.autograd.grad(leaving, entering, torch.ones_like(found))
    return torch.where(factor == 0, 0.0, met / factor).round()


def _require_pair(record: Record, x: Tensor, shapes: list[tuple[Shape, Shape]]) -> None:
    spiking = [tuple(counts.shape) for counts in record.spike_counts]
    expected = [(len(x), *after) for _, after in shapes[: len(spiking)]]
    if spiking != expected or len(spiking) < len(shapes) - 1 or len(record.steps) != len(x):
        raise ParameterError(
            f"the record must be that of this network and input, with counts {expected}, got {spiking}; simulate again"
        )
