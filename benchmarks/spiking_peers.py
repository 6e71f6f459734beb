"""The same spiking networks in snntorch, norse, spikingjelly and sinabs, each used as its own guide uses it.

A *case* is a chain of layers with integrate-and-fire neurons of threshold 1 behind each convolution and each fully
connected layer, a constant input, and a number of steps; the result is how often each output neuron has spiked.

The packages do not agree on what a spike leaves behind, so each is held against a plain loop with its own rule:

    subtracted    the threshold is taken away at once: spikingjelly, sinabs, and this package
    zeroed        nothing is left: norse, which has no other rule for these neurons
    delayed       taken away at once, and before the next comparison again for what still exceeds the threshold; a
                  current that then falls short is not followed by a spike: snntorch
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch import Tensor, nn

Rule = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Counting = Callable[[], Tensor]


@dataclass(frozen=True)
class Case:
    """Layers with a neuron behind each that has weights, a constant input (N, ...), and T."""

    layers: nn.Sequential
    x: Tensor
    steps: int


Peer = tuple[Callable[[Case], Counting], Rule]


def mlp(steps: int) -> Case:
    """784-512-10, 128 inputs."""
    layers = nn.Sequential(nn.Linear(784, 512, bias=False), nn.Linear(512, 10, bias=False))
    return _balanced(layers, (128, 784), steps)


def convolution(steps: int) -> Case:
    """Four convolutions and two average poolings on 32 images of 3x32x32."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 64), (64, 64), (64, 128), (128, 128)):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        layers += [nn.AvgPool2d(2)] if inputs == outputs else []
    layers += [nn.Flatten(), nn.Linear(128 * 64, 10, bias=False)]
    return _balanced(nn.Sequential(*layers), (32, 3, 32, 32), steps)


def fires(layer: nn.Module) -> bool:
    """Whether a neuron stands behind the layer."""
    return isinstance(layer, nn.Conv2d | nn.Linear)


def _balanced(layers: nn.Sequential, shape: tuple[int, ...], steps: int) -> Case:
    """Draw weights and scale each layer so that one output in a hundred exceeds 1, as a conversion would."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(shape, generator=generator)
    with torch.no_grad():
        now = x
        for layer in layers:
            if fires(layer):
                layer.weight.uniform_(-1, 1, generator=generator)
                layer.weight.div_(torch.quantile(layer(now).flatten()[:1000000].clamp(min=0), 0.99))
            now = layer(now).clamp(0, 1) if fires(layer) else layer(now)
    return Case(layers, x, steps)


def subtracted(potential: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and potential after one step."""
    reached = potential + current
    spikes = (reached >= 1).to(current.dtype)
    return spikes, reached - spikes


def zeroed(potential: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and potential after one step."""
    reached = potential + current
    spikes = (reached > 1).to(current.dtype)
    return spikes, (1 - spikes) * reached


def delayed(potential: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
    """Return spikes and potential after one step."""
    early = (potential > 1).to(current.dtype)
    reached = potential + current - early
    spikes = (reached > 1).to(current.dtype)
    return spikes, reached - (spikes - early)


def counted(case: Case, rule: Rule) -> Tensor:
    """How often each output neuron spikes, in a plain loop."""
    potentials = [torch.zeros(()) for _ in case.layers]
    total = torch.zeros(())
    with torch.no_grad():
        for _ in range(case.steps):
            now = case.x
            for i, layer in enumerate(case.layers):
                now = layer(now)
                if fires(layer):
                    now, potentials[i] = rule(potentials[i], now)
            total = total + now
    return total


def snntorch(case: Case) -> Counting:
    import snntorch
    from snntorch import utils

    def neuron() -> nn.Module:
        return snntorch.Leaky(beta=1.0, init_hidden=True, reset_mechanism="subtract", reset_delay=False)

    network = _interleaved(case, lambda layer: layer, neuron)

    def run() -> Tensor:
        utils.reset(network)
        return sum((network(case.x) for _ in range(case.steps)), torch.zeros(()))

    return run


def norse(case: Case) -> Counting:
    import norse.torch as package

    def neuron() -> nn.Module:
        return package.IAFCell(package.IAFParameters(torch.tensor(1.0), torch.tensor(0.0)))

    network = package.SequentialState(*_interleaved(case, lambda layer: layer, neuron))

    def run() -> Tensor:
        state, total = None, torch.zeros(())
        for _ in range(case.steps):
            spikes, state = network(case.x, state)
            total = total + spikes
        return total

    return run


def spikingjelly(case: Case) -> Counting:
    """All steps of a layer at once, in the package's own multi-step mode."""
    from spikingjelly.activation_based import functional, layer, neuron

    def node() -> nn.Module:
        return neuron.IFNode(v_reset=None, step_mode="m")

    network = _interleaved(case, layer.SeqToANNContainer, node)
    entering = case.x.expand(case.steps, *case.x.shape)

    def run() -> Tensor:
        functional.reset_net(network)
        return network(entering).sum(0)

    return run


def sinabs(case: Case) -> Counting:
    """All steps of a layer at once, time folded into the batch by the package."""
    from sinabs.activation import SingleSpike
    from sinabs.layers import IAFSqueeze

    examples = len(case.x)
    network = _interleaved(case, lambda one: one, lambda: IAFSqueeze(batch_size=examples, spike_fn=SingleSpike))
    entering = case.x[:, None].expand(examples, case.steps, *case.x.shape[1:]).flatten(0, 1)

    def run() -> Tensor:
        for module in network:
            if isinstance(module, IAFSqueeze):
                module.reset_states()
        return network(entering).view(examples, case.steps, -1).sum(1)

    return run


def _interleaved(case: Case, wrap: Callable[[nn.Module], nn.Module], neuron: Callable[[], nn.Module]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for layer in case.layers:
        modules += [wrap(layer), neuron()] if fires(layer) else [wrap(layer)]
    return nn.Sequential(*modules)


PEERS: dict[str, Peer] = {
    "snntorch": (snntorch, delayed),
    "norse": (norse, zeroed),
    "spikingjelly": (spikingjelly, subtracted),
    "sinabs": (sinabs, subtracted),
}


def versions(peers: Iterable[str]) -> str:
    """The peers with their versions, for what a race says."""
    return "".join(f"; {name} {version(name)}" for name in peers)


def installed() -> dict[str, Peer]:
    """The peers that are here; the others are named."""
    missing = [name for name in PEERS if find_spec(name) is None]
    if missing:
        print(f"  {', '.join(missing)} left out: not installed (make peers)", flush=True)
    return {name: peer for name, peer in PEERS.items() if name not in missing}
