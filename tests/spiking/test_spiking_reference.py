"""The loop over steps: against a loop written once more, both orders, skips, recurrence and gates."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dyadic(module, seed=0):
    """The module with weights that are multiples of 1/16: every sum of spikes is exact."""
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.randint(-8, 12, parameter.shape, generator=seeded(seed))
            parameter.copy_(draw.to(parameter.dtype) / 16)
    return module


def chain(*sizes, seed=0, neuron=None, spiking_end=False):
    layers = [SpikingLayer(nn.Linear(a, b, bias=False), neuron or Neuron()) for a, b in pairwise(sizes)]
    if not spiking_end:
        layers[-1].neuron = None
    return dyadic(SpikingNetwork(layers).double(), seed)


def inputs(*shape, seed=1):
    return torch.randint(0, 17, shape, generator=seeded(seed)).double() / 16


def by_hand(weights, x, steps, synchronous):
    """Potentials and counts of a chain with a read-out, from the equations alone."""
    v = [x.new_zeros(len(x), len(w)) for w in weights]
    s = [x, *(torch.zeros_like(one) for one in v)]
    counts, potential = [torch.zeros_like(one) for one in v[:-1]], []
    for _ in range(steps):
        old = list(s)
        for i, w in enumerate(weights):
            v[i] = v[i] + (old if synchronous else s)[i] @ w.T
            if i < len(weights) - 1:
                s[i + 1] = (v[i] >= 1).double()
                v[i] = v[i] - s[i + 1]
                counts[i] += s[i + 1]
        potential.append(v[-1].clone())
    return torch.stack(potential), counts


@pytest.mark.parametrize("order", ["same_step", "synchronous"])
def test_oracle_the_equations_written_once_more(order):
    network, x = chain(6, 9, 8, 5), inputs(7, 6)
    weights = [network.synapses(n)[n - 1].weight.detach() for n in (1, 2, 3)]
    potential, counts = by_hand(weights, x, 30, order == "synchronous")
    found = simulate(network, x, 30, order=order, record=(1, 2, 3))
    assert torch.equal(found.potential, potential)
    assert all(torch.equal(a, b.int()) for a, b in zip(found.spike_counts, counts, strict=True))
    assert torch.equal(found.spikes[2].sum(0), counts[1].long())
    assert torch.equal(found.potentials[3], found.potential)
    assert found.spike_counts[1].sum() > 0
    assert found.steps.tolist() == [30] * 7


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_property_synchronous_is_the_same_later(depth):
    network, x, hops = chain(6, *[8] * (depth - 1), 4), inputs(5, 6), depth - 1
    same = simulate(network, x, 40).potential
    later = simulate(network, x, 40 + hops, order="synchronous").potential
    assert torch.equal(later[hops:], same)
    assert not later[:hops].any()
    assert same.any()


def test_property_conservation_in_every_layer():
    network, x = chain(6, 9, 5, neuron=Neuron(initial=0.5)), inputs(4, 6)
    found = simulate(network, x, 25, record=(1,))
    fed = 25 * network.synapses(1)[0](x)
    assert torch.equal(found.potentials[1][-1], 0.5 + fed - found.spike_counts[0])
    assert all((counts <= 25).all() for counts in found.spike_counts)


def test_property_a_last_layer_that_spikes_is_read_by_its_count():
    network, x = chain(6, 9, 5, spiking_end=True), inputs(4, 6)
    found = simulate(network, x, 25, record=(2,))
    assert torch.equal(found.potential[-1], found.spike_counts[1].double())
    assert torch.equal(found.potential, found.spikes[2].cumsum(0).double())


def test_oracle_a_residual_connection_adds_its_current():
    inner, skip = dyadic(nn.Linear(6, 6, bias=False).double()), dyadic(nn.Linear(4, 6, bias=False).double(), 3)
    first = dyadic(nn.Linear(4, 6, bias=False).double(), 5)
    network = SpikingNetwork([SpikingLayer(first), SpikingLayer({1: inner, 0: skip})])
    x = inputs(3, 4)
    found = simulate(network, x, 20, record=(1, 2))
    currents = inner(found.spikes[1].double()) + skip(x)
    assert torch.equal(found.potentials[2][-1], (currents.sum(0) - found.spike_counts[1]).detach())
    identity = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer({0: nn.Identity(), 1: nn.Identity()})])
    assert simulate(identity, torch.tensor([[0.25]]), 9).spike_counts[1].tolist() == [[4]]


@pytest.mark.parametrize("order", ["same_step", "synchronous"])
def test_oracle_recurrence_arrives_one_step_later(order):
    back = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(back.weight, 0.5)
    network = SpikingNetwork([SpikingLayer({0: nn.Identity(), 1: back})])
    found = simulate(network, torch.tensor([[0.5]], dtype=torch.float64), 6, order=order, record=(1,))
    # u: 0.5, 1.0 -> spike, 0 + 0.5 + 0.5 = 1 -> spike, and so on
    assert found.spikes[1].flatten().tolist() == [False, True, True, True, True, True]
    far = SpikingNetwork([SpikingLayer({0: nn.Identity(), 2: back}), SpikingLayer(nn.Identity())])
    spikes = simulate(far, torch.tensor([[0.5]], dtype=torch.float64), 6, order=order, record=(1, 2)).spikes
    assert torch.equal(spikes[1].flatten(), torch.tensor([0, 1, 1, 1, 1, 1]).bool()) == (order == "same_step")
    assert spikes[1].sum() == (5 if order == "same_step" else 4)


def test_oracle_a_gate_passes_the_most_active_neuron_of_a_window():
    x = torch.tensor([0.25, 0.75, 0.5, 0.1, 0.0, -1.0, 0.0, 0.375]).reshape(1, 1, 2, 4)
    gated = SpikingNetwork([SpikingLayer(nn.Identity(), gate=nn.MaxPool2d(2))])
    found = simulate(gated, x, 40, record=(1,))
    assert found.spike_counts[0].tolist() == [[[[30, 20]]]]
    assert found.potentials[1].shape == (40, 1, 1, 2, 4)
    pooled = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(nn.MaxPool2d(2))])
    assert (simulate(pooled, x, 40).spike_counts[1] >= found.spike_counts[0]).all()
    assert simulate(pooled, x, 40).spike_counts[1].flatten()[1] > 20, "an OR of spikes counts too many"


def test_limit_no_steps_no_examples():
    network = chain(6, 9, 8, 5)
    found = simulate(network, inputs(3, 6), 0, record=(1, 2, 3))
    assert found.potential.shape == (0, 3, 5)
    assert found.spikes[1].shape == (0, 3, 9)
    assert [counts.sum().item() for counts in found.spike_counts] == [0, 0]
    assert simulate(network, inputs(0, 6), 4).potential.shape == (4, 0, 5)


def test_property_the_network_is_left_as_it_was():
    network = SpikingNetwork([SpikingLayer(nn.Sequential(nn.Dropout(0.9), nn.Linear(4, 3)))]).double()
    network.layers[0].eval()
    network.train(True)
    before = [p.clone() for p in network.parameters()]
    state = torch.get_rng_state()
    first = simulate(network, inputs(2, 4), 5).potential
    assert torch.equal(first, simulate(network, inputs(2, 4), 5).potential), "dropout is off"
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    with pytest.raises(ParameterError):
        simulate(network, inputs(2, 5), 5)
    assert network.layers[0].synapses["before"][0].training


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_the_default_dtype_changes_nothing(default, dtype):
    network, x = chain(6, 9, 5, neuron=Neuron(threshold=0.7, leak=0.9)).to(dtype), inputs(4, 6).to(dtype)
    expected = simulate(network, x, 12, record=(1,))
    given = torch.get_default_dtype()
    try:
        torch.set_default_dtype(default)
        found = simulate(network, x, 12, record=(1,))
    finally:
        torch.set_default_dtype(given)
    assert found.potential.dtype == found.potentials[1].dtype == dtype
    assert torch.equal(found.potential, expected.potential)
    assert torch.equal(found.potentials[1], expected.potentials[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpikingNetwork([]), "at least one SpikingLayer"),
        (lambda: SpikingNetwork([nn.Linear(2, 2)]), "at least one SpikingLayer, got \\['Linear'\\]"),
        (lambda: SpikingLayer({}), "at least one synapse"),
        (lambda: SpikingLayer({-1: nn.Identity()}), "a layer's number, 0 for the input, got -1"),
        (lambda: SpikingLayer({0: torch.ones(2)}), "a module from spikes to currents, got Tensor"),
        (lambda: SpikingLayer(nn.Identity(), 1.0), "a Neuron, or None for a read-out, got float"),
        (lambda: SpikingLayer(nn.Identity(), None, gate=nn.MaxPool2d(2)), "a read-out has none"),
        (lambda: SpikingLayer(nn.Identity(), gate=nn.AvgPool2d(2)), "a gate is an nn.MaxPool2d"),
        (lambda: SpikingNetwork([SpikingLayer(nn.Identity(), None), SpikingLayer(nn.Identity())]), "only the last"),
        (lambda: SpikingNetwork([SpikingLayer({0: nn.Identity(), 3: nn.Identity()})]), "has the source 3"),
        (lambda: SpikingNetwork([SpikingLayer({1: nn.Identity()})]), "needs a source below 1"),
        (lambda: SpikingNetwork([SpikingLayer(nn.ReLU(inplace=True))]), r"\['ReLU'\] of layer 1 work in place"),
        (
            lambda: SpikingNetwork(
                [SpikingLayer({0: nn.Identity(), 2: nn.Identity()}), SpikingLayer(nn.Identity(), None)]
            ),
            "never spikes",
        ),
    ],
)
def test_error_a_network_that_cannot_be(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_error_what_does_not_fit():
    network, x = chain(6, 9, 5), inputs(4, 6)
    for bad, message in [(inputs(4, 7), "cannot read what 0 emits"), (x / 0, "NaN or infinite")]:
        with pytest.raises(ParameterError, match=message):
            simulate(network, bad, 3)
    for steps in (-1, 2.0, True):
        with pytest.raises(ParameterError, match="a whole number from 0"):
            simulate(network, x, steps)
    with pytest.raises(ParameterError, match="numbers of layers from 1 to 2, got 3"):
        simulate(network, x, 3, record=(3,))
    with pytest.raises(ParameterError, match=r"would take .* MiB, more than the limit"):
        simulate(network, x, 1000, record=(1,), limit=1000)
    two = SpikingNetwork(
        [SpikingLayer(nn.Linear(6, 3)), SpikingLayer({0: nn.Linear(6, 2), 1: nn.Linear(3, 3)})]
    ).double()
    with pytest.raises(ParameterError, match="differ in shape by their source"):
        simulate(two, x, 3)
    with pytest.raises(ParameterError, match="a SpikingNetwork"):
        simulate(mlp((6, 5), generator=seeded()), x, 3)
