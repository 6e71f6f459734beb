"""Binary weights in crossbar cells, read by spikes: no converter before, none behind.

A spike is a pulse on a word line, so that inputs need no converter; the bit lines' currents charge a capacitor, and a
comparator fires at the threshold: integrate and compare, which is what a neuron does.

    on_crossbar(network)     the layers with weights of +-1 on arrays, all else as it was
    spike_on_chip(network)   a simulation whose cells may fluctuate from reading to reading
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from weightlore.binary.arrays import BinaryArray, BinaryEncoding
from weightlore.binary.currents import parts_of, sequence
from weightlore.binary.thresholds import absorbed_layers
from weightlore.crossbar import Cells, CrossbarConfig, Faults, Wires
from weightlore.errors import ParameterError
from weightlore.spiking import Record, SpikingLayer, SpikingNetwork
from weightlore.spiking.records import require_record
from weightlore.spiking.reference import step_by_step
from weightlore.spiking.simulation import require_input
from weightlore.training import in_mode

__all__ = ["on_crossbar", "spike_on_chip"]

Network = TypeVar("Network", bound=SpikingNetwork)


def on_crossbar(
    network: Network,
    *,
    encoding: BinaryEncoding = "differential",
    cells: Cells | None = None,
    faults: Faults | None = None,
    wires: Wires | None = None,
    rows: int = 128,
    columns: int = 128,
    age: float | None = None,
    layers: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """Return a spiking network whose layers of one-bit weights are computed by crossbars.

    Args:
        network: from ``absorb_scales``; it stays as it is.
        encoding: how a cell of one bit holds a sign: ``"differential"`` on a pair of cells, ``"reference"`` on one,
            against a bit line halfway between on and off.
        cells: conductances and noise, ``None`` for ideal ones.
        faults: broken cells and lines, ``None`` for none.
        wires: resistance of the lines, ``None`` for none.
        rows: word lines of a tile; the currents of several tiles charge the same capacitor.
        columns: bit lines of a tile.
        age: seconds since programming, where cells drift.
        layers: numbers of the layers, ``None`` for all with weights of +-1 that read spikes.
        generator: needed where something is drawn; it advances, layer by layer.

    Returns:
        A copy. With ideal parts its spikes are those of the network, all of them.

    Raises:
        ParameterError: if there is no such layer, one that is asked for has other weights or reads the input, the
            encoding has another name, or a generator is missing.

    Source: [lu2020binary], binary weights on a crossbar
    """
    if encoding not in get_args(BinaryEncoding):
        raise ParameterError(f"encoding must be one of {get_args(BinaryEncoding)}, got {encoding!r}")
    config = CrossbarConfig(
        rows=rows,
        columns=columns,
        cell_bits=1,
        weight_bits=1,
        cells=cells or Cells(),
        faults=faults,
        wires=wires,
        age=age,
    )
    found = copy.deepcopy(network)
    for number in _chosen(found, layers):
        layer = found.layer(number)
        ((name, synapse),) = layer.synapses.items()
        parts = [
            BinaryArray(part, config, encoding=encoding, generator=generator)
            if isinstance(part, nn.Linear | nn.Conv2d)
            else part
            for part in parts_of(synapse)
        ]
        layer.synapses[name] = sequence(*parts)
    return found.eval()


def spike_on_chip(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    generator: torch.Generator,
    order: Literal["same_step", "synchronous"] = "same_step",
    record: Sequence[int] = (),
) -> Record:
    """Simulate a network with crossbars step by step, every reading of a bit line with its own draw.

    Args:
        network: from ``on_crossbar``.
        x: input, shape (N, ...), constant over time.
        steps: T.
        generator: for the fluctuations; it advances.
        order: as for ``simulate``.
        record: numbers of the layers whose spikes and potentials are kept.

    Returns:
        As ``simulate``.

    Raises:
        ParameterError: as ``simulate``.

    Source: ours
    """
    require_input(network, x, steps, order)
    with _drawing(network, generator), in_mode(network, training=False):
        return step_by_step(network, x, steps, order=order, record=require_record(network, record))


@contextmanager
def _drawing(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    arrays = [module for module in network.modules() if isinstance(module, BinaryArray)]
    try:
        for array in arrays:
            array.generator = generator
        yield
    finally:
        for array in arrays:
            array.generator = None


def _chosen(network: SpikingNetwork, layers: Sequence[int] | None) -> list[int]:
    """The layers to move: all that have signs and read spikes, or those that were asked for."""
    able = [n for n in absorbed_layers(network) if 0 not in network.synapses(n) and _reads_spikes(network.layer(n))]
    if layers is None and able:
        return able
    if not layers or not set(layers) <= set(able):
        raise ParameterError(
            f"layers with weights of +-1 that read spikes are {able}, asked for were {layers}; "
            "convert a model with binary weights, and absorb_scales first"
        )
    return sorted(set(layers))


def _reads_spikes(layer: SpikingLayer) -> bool:
    """Whether whole numbers arrive at the weights: spikes, or sums of them."""
    for part in (part for synapse in layer.synapses.values() for part in parts_of(synapse)):
        if isinstance(part, nn.Linear | nn.Conv2d):
            return True
        summed = isinstance(part, nn.AvgPool2d) and part.divisor_override == 1
        if not summed and not isinstance(part, nn.Flatten | nn.Unflatten | nn.Identity | nn.MaxPool2d):
            return False
    return False
