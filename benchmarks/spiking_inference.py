"""Integrate-and-fire networks under constant input: this package against four simulators and against plain forwards.

The work is that of a converted network: soft reset, threshold 1, the whole record of output potentials and of all spike
counts for ours, the output counts for the others. Each contestant must find, for 99.5% of the output neurons at least,
the counts of a plain loop with its own kind of reset. The bound is a forward pass per time step, without any neuron.
*By hand* is the shortest fast way that we know in plain torch, and stores nothing but the counts.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import spiking_peers
from benchmarks.race import Race
from benchmarks.spiking_peers import Case, fires, subtracted
from weightlore.spiking import SpikingLayer, SpikingNetwork, simulate
from weightlore.spiking.compiled import available
from weightlore.spiking.scan import Engine

Found = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Setting:
    """A case, how it is called, and what the issue asks for."""

    name: str
    what: str
    case: Case
    chunk: int
    channels_last: bool
    faster: float  # than every peer
    forwards: float | None  # times ours that T forwards take


def races() -> list[Race]:
    peers = spiking_peers.installed()
    mlp = Setting("mlp", "784-512-10, 128 inputs, T = 100", spiking_peers.mlp(100), 100, False, 9.0, 1 / 0.15)
    what = "four convolutions of 64 and 128 channels on 32 images 32x32, T = 64"
    convolution = Setting("convolution", what, spiking_peers.convolution(64), 4, True, 1.0, None)
    engines: list[Engine] = ["torch", "numba"] if available() else ["torch"]
    return [*(_race(mlp, [engine], peers) for engine in engines), _race(convolution, engines, peers)]


def _race(setting: Setting, engines: list[Engine], peers: dict[str, spiking_peers.Peer]) -> Race:
    case, first = setting.case, engines[0]
    soft = spiking_peers.counted(case, subtracted)
    contestants: dict[str, Callable[[], Found | None]] = {
        **{engine: _beside(_ours(case, engine), soft) for engine in engines},
        "by hand": _beside(by_hand(case, setting.chunk, setting.channels_last), soft),
        "T forwards": partial(_forwards, case),
    }
    for name, (make, rule) in peers.items():
        right = soft if rule is subtracted else spiking_peers.counted(case, rule)
        contestants[name] = _beside(make(case), right)
    targets = dict.fromkeys(peers, setting.faster)
    if setting.forwards is not None:
        targets["T forwards"] = round(setting.forwards, 2)
    return Race(
        name=f"{setting.name}, {first}",
        what=f"{setting.what}, float32{spiking_peers.versions(peers)}",
        contestants=contestants,
        candidate=first,
        reference="T forwards",
        tolerance=0.005,
        compared=agreeing,
        targets=targets,
    )


def agreeing(found: Found | None) -> Tensor:
    """Return the share of counts that are right; plain forwards have none."""
    return torch.ones(1) if found is None else (found[0] == found[1]).double().mean()[None]


def _beside(run: Callable[[], Tensor], right: Tensor) -> Callable[[], Found]:
    def both() -> Found:
        with torch.no_grad():
            return run(), right

    return both


def spiking(case: Case) -> SpikingNetwork:
    """The case in this package: what has no weights belongs to the synapse behind it."""
    layers, waiting = [], []
    for layer in case.layers:
        waiting.append(layer)
        if fires(layer):
            layers.append(SpikingLayer(nn.Sequential(*waiting)))
            waiting = []
    return SpikingNetwork(layers)


def _ours(case: Case, engine: Engine) -> Callable[[], Tensor]:
    network = spiking(case)
    return lambda: simulate(network, case.x, case.steps, engine=engine).spike_counts[-1].float()


def _forwards(case: Case) -> None:
    with torch.no_grad():
        for _ in range(case.steps):
            case.layers(case.x)


def by_hand(case: Case, chunk: int, channels_last: bool) -> Callable[[], Tensor]:
    """The first layer once, each later one for a chunk of steps at once, neurons in place."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    layers = copy.deepcopy(case.layers).to(memory_format=layout)
    entering = case.x.to(memory_format=layout)

    def run() -> Tensor:
        first = layers[0](entering)
        potentials = [torch.zeros(()) for _ in layers]
        total = torch.zeros(())
        for start in range(0, case.steps, chunk):
            steps = min(chunk, case.steps - start)
            now = first
            for i, layer in enumerate(layers):
                now = layer(now) if i else now
                if fires(layer):
                    now, potentials[i] = _scan(now, potentials[i], steps, len(case.x))
            total = total + now.view(steps, len(case.x), -1).sum(0)
        return total

    return run


def _scan(currents: Tensor, potential: Tensor, steps: int, examples: int) -> Found:
    """Return the spikes of some steps, (T N, ...), and the potential; currents may be those of one step."""
    each = currents.split(examples) if len(currents) > examples else [currents] * steps
    potential = torch.zeros_like(each[0]) if potential.ndim == 0 else potential
    layout = torch.channels_last if currents.ndim == 4 else torch.contiguous_format
    spikes = torch.empty((steps * examples, *currents.shape[1:]), memory_format=layout)
    for now, fired in zip(each, spikes.split(examples), strict=True):
        potential.add_(now)
        torch.ge(potential, 1, out=fired)
        potential.sub_(fired)
    return spikes, potential
