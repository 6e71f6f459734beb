"""Let the neurons of four other packages spike, for a comparison with ours.

    python -m tests.spiking.peers.spikes_of_peers

needs them installed (``make peers``) and writes ``spikes_of_peers.json`` beside this file: how often each neuron has
spiked, and the sum of the steps in which it did, which tells when.

Weights and inputs are dyadic, so that without a leak every potential is exact in float64 and nothing depends on the
order of a sum. snntorch and norse fire above the threshold, spikingjelly and sinabs already at it: with the odd 2^-20
no potential ever meets it, and in ``meeting`` many do. A soft reset leaves less than the threshold, because currents
are small enough, except in ``meeting``: snntorch would take the threshold away once more, and find no spike where the
next current is small.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

STORED = Path(__file__).with_suffix(".json")
STEPS, EXAMPLES = 24, 4
Firing = Callable[[Tensor], Tensor]  # from currents (T, N, ...) to spikes


@dataclass(frozen=True)
class Kind:
    """A kind of neuron that several packages have."""

    hard: bool = False
    leak: float = 1.0
    threshold: float = 1 + 2.0**-20


KINDS = {
    "soft": Kind(),
    "hard": Kind(hard=True),
    "leaky, soft": Kind(leak=0.75, threshold=0.8125 + 2.0**-20),
    "leaky, hard": Kind(hard=True, leak=0.75, threshold=0.375 + 2.0**-20),
    "meeting": Kind(threshold=0.5),
}
NETWORKS = ("dense", "convolutional")


def case(network: str) -> tuple[list[nn.Module], Tensor]:
    """Synapses of two or three layers and a constant input (N, ...), without a generator and exact."""
    if network == "dense":
        synapses: list[nn.Module] = [nn.Linear(a, b, bias=False) for a, b in ((6, 9), (9, 8), (8, 3))]
        shape: tuple[int, ...] = (6,)
    else:
        pooled = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3, bias=False))
        synapses, shape = [nn.Conv2d(1, 3, 3, padding=1, bias=False), pooled], (1, 4, 4)
    for number, module in enumerate(synapses):
        for weight in module.double().parameters():
            weight.data = _weight(weight.shape, number)
    places = torch.arange(EXAMPLES * int(torch.tensor(shape).prod()), dtype=torch.float64)
    return synapses, ((37 * places + 11) % 64 / 64 - 0.125).view(EXAMPLES, *shape)


def _weight(shape: torch.Size, number: int) -> Tensor:
    """Multiples of 1/64 whose positive ones add up to at most 1 for each output."""
    places = torch.arange(shape.numel(), dtype=torch.float64).view(shape)
    drawn = (29 * places + 17 * number + 5) % 61 - 18
    positive = drawn.clamp(min=0).flatten(1).sum(1).view(-1, *[1] * (len(shape) - 1))
    return (drawn * 64 / positive).floor() / 64


def trains(network: str, firing: Firing) -> list[Tensor]:
    """The spikes of each layer, (T, N, ...), if ``firing`` is how its neurons answer their currents."""
    synapses, x = case(network)
    now, found = x.expand(STEPS, *x.shape), []
    with torch.no_grad():
        for synapse in synapses:
            now = firing(synapse(now.flatten(0, 1)).unflatten(0, (STEPS, EXAMPLES))).double()
            found.append(now)
    return found


def snntorch(kind: Kind) -> Firing:
    import snntorch

    neuron = snntorch.Leaky(
        beta=kind.leak,
        threshold=kind.threshold,
        reset_mechanism="zero" if kind.hard else "subtract",
        reset_delay=False,
    )

    def fire(currents: Tensor) -> Tensor:
        potential, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            spike, potential = neuron(current, potential)
            spikes.append(spike)
        return torch.stack(spikes)

    return fire


def spikingjelly(kind: Kind) -> Firing:
    from spikingjelly.activation_based import neuron

    reset = 0.0 if kind.hard else None

    def fire(currents: Tensor) -> Tensor:
        if kind.leak == 1:
            node = neuron.IFNode(v_threshold=kind.threshold, v_reset=reset, step_mode="m")
        else:
            constant = 1 / (1 - kind.leak)
            node = neuron.LIFNode(constant, False, v_threshold=kind.threshold, v_reset=reset, step_mode="m")
        return node.double()(currents)

    return fire


def norse(kind: Kind) -> Firing | None:
    """Integrate-and-fire with hard reset alone: its other neurons have currents that decay."""
    if not kind.hard or kind.leak != 1:
        return None
    import norse.torch as package

    numbers = [torch.tensor(value, dtype=torch.float64) for value in (kind.threshold, 0.0)]

    def fire(currents: Tensor) -> Tensor:
        cell, state, spikes = package.IAFCell(package.IAFParameters(*numbers)), None, []
        for current in currents:
            spike, state = cell(current, state)
            spikes.append(spike)
        return torch.stack(spikes)

    return fire


def sinabs(kind: Kind) -> Firing | None:
    """Integrate-and-fire alone: its leak is the exponential of a time constant, never exactly 3/4."""
    if kind.leak != 1:
        return None
    from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
    from sinabs.layers import IAF

    def fire(currents: Tensor) -> Tensor:
        threshold = torch.tensor(kind.threshold, dtype=torch.float64)
        reset = MembraneReset() if kind.hard else MembraneSubtract()
        layer = IAF(spike_threshold=threshold, spike_fn=SingleSpike, reset_fn=reset).double()
        return layer(currents.transpose(0, 1)).transpose(0, 1)

    return fire


PEERS: dict[str, Callable[[Kind], Firing | None]] = {
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "norse": norse,
    "sinabs": sinabs,
}


def summary(found: list[Tensor]) -> list[list[list[int]]]:
    """Of each layer, how often each neuron has spiked and the sum of the steps in which it did, counted from 1."""
    steps = torch.arange(1, STEPS + 1, dtype=torch.float64)
    layers = [spikes.double().flatten(1) for spikes in found]
    return [[spikes.sum(0).int().tolist(), (steps @ spikes).int().tolist()] for spikes in layers]


def everything() -> dict[str, dict[str, dict[str, list[list[list[int]]]]]]:
    """What each package finds for each kind of neuron that it has, in each network."""
    found: dict[str, dict[str, dict[str, list[list[list[int]]]]]] = {}
    for name, make in PEERS.items():
        answers = {label: make(kind) for label, kind in KINDS.items()}
        found[name] = {
            label: {network: summary(trains(network, firing)) for network in NETWORKS}
            for label, firing in answers.items()
            if firing is not None
        }
    return found


if __name__ == "__main__":
    content = {
        "script": "tests/spiking/peers/spikes_of_peers.py",
        "versions": {name: version(name) for name in PEERS},
        "spikes": everything(),
    }
    STORED.write_text(json.dumps(content) + "\n", encoding="utf-8")
