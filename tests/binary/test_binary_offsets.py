"""Spikes too many and too few: each correction against a plain loop, and what it does to rates."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from weightlore.binary import (
    absorb_scales,
    rounded_binary,
    simulate_corrected,
    to_spiking,
    with_clip_floor_shift,
    with_initial_potential,
)
from weightlore.binary.offsets import corrected_start, tried
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, resnet20
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

TRAIN, TEST = digits("train"), digits("test")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(layer):
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(2), dtype=torch.float64))
    return layer


def uneven(steps=8, neurons=4000, seed=0):
    """Currents of both signs that change from step to step."""
    return torch.randn(steps, neurons, 1, generator=seeded(seed), dtype=torch.float64) * 0.8 + 0.2


def wanted(currents, start, threshold=1.0):
    """The spikes that the whole charge asks for."""
    return torch.floor((start + currents.sum(0)) / threshold).clamp(0, len(currents))


def test_oracle_a_trial_is_the_simulation():
    z = torch.randn(50, 1, generator=seeded(), dtype=torch.float64)
    network = SpikingNetwork([SpikingLayer(nn.Identity(), Neuron(threshold=0.7, initial=0.3))])
    record = simulate(network, z, 12, record=(1,))
    found = tried(z.expand(12, 50, 1), torch.full_like(z, 0.3), torch.tensor(0.7, dtype=torch.float64))
    assert torch.equal(found.spikes.bool(), record.spikes[1])
    assert torch.equal(found.left, record.potentials[1][-1])
    torch.testing.assert_close(found.reached[0], z + 0.3)


@pytest.mark.parametrize("threshold", [1.0, 0.25])
def test_oracle_every_correction_changes_the_count_by_one_towards_what_the_charge_asks_for(threshold):
    theta = torch.tensor(threshold, dtype=torch.float64)
    currents = uneven() * threshold
    start = torch.full_like(currents[0], threshold / 2)
    trial = tried(currents, start, theta)
    corrected = corrected_start(trial, start, start, theta)
    before, after = trial.spikes.sum(0), tried(currents, corrected, theta).spikes.sum(0)
    aim = wanted(currents, start, threshold)
    assert torch.equal(corrected != start, before != aim)
    moved = corrected != start
    assert 0.05 < float(moved.double().mean()) < 0.9
    assert torch.equal((after - before)[moved], (aim - before).sign()[moved])
    assert torch.equal(after[~moved], before[~moved])


def test_property_rounds_correct_more_than_one_spike():
    theta, currents = torch.tensor(1.0, dtype=torch.float64), torch.cat([uneven() + 1.5, uneven(seed=1) - 1.5])
    first = torch.full_like(currents[0], 0.5)
    start, off = first, []
    for _ in range(10):
        trial = tried(currents, start, theta)
        off.append(float((trial.spikes.sum(0) - wanted(currents, first)).abs().mean()))
        start = corrected_start(trial, start, first, theta)
    assert off[0] > 1.5
    assert all(a >= b for a, b in pairwise(off))
    assert off[-1] < 0.05 * off[0]


@pytest.mark.parametrize("kind", ["biasless", "cnn"])
def test_oracle_without_corrections_it_is_the_simulation(kind):
    network = to_spiking(healthy(kind), TRAIN)
    one, two = simulate(network, TEST.x[:50], 12), simulate_corrected(network, TEST.x[:50], 12, rounds=0)
    torch.testing.assert_close(one.potential, two.potential, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(one.spike_counts, two.spike_counts, strict=True))
    assert torch.equal(one.steps, two.steps)


def test_oracle_a_residual_network_a_gate_and_neurons_at_the_output():
    model = resnet20(width=2, channels=1, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:16].reshape(-1, 1, 8, 8)
    with torch.no_grad():
        model(x)
    residual = to_spiking(model.eval(), x)
    convolution = drawn(nn.Conv2d(1, 3, 3, bias=False))
    gate = SpikingLayer(convolution, gate=nn.MaxPool2d(2))
    spiking = SpikingLayer(nn.Sequential(nn.Flatten(), drawn(nn.Linear(27, 4))))
    for network in (residual, SpikingNetwork([gate, spiking])):
        one, two = simulate(network, x, 9), simulate_corrected(network, x, 9, rounds=0)
        torch.testing.assert_close(one.potential, two.potential, rtol=1e-12, atol=1e-12)
        assert bool(one.potential.any())
    corrected = simulate_corrected(residual, x, 9)
    assert not torch.equal(corrected.potential, simulate(residual, x, 9).potential)


def test_property_corrected_rates_are_closer_to_the_activations():
    model = with_clip_floor_shift(healthy("biasless"), TRAIN, levels=4)
    network = to_spiking(model)
    wrong = []
    for rounds in (0, 1):
        record = simulate_corrected(network, TEST.x, 4, rounds=rounds)
        rates = [n.double() * f / 4 for n, f in zip(record.spike_counts, network.factors, strict=True)]
        wrong.append(
            [float((r - a).detach().abs().mean()) for r, a in zip(rates, model.activations(TEST.x), strict=True)]
        )
    assert wrong[0][0] < 1e-12, "the first layer has nothing to correct"
    assert wrong[0][1] > 0.01
    assert wrong[0][2] > 0.05
    assert max(wrong[1]) < 1e-4, "one spike was all that was wrong"


def test_oracle_as_many_steps_as_levels_and_a_full_trial_give_the_network_that_was_trained():
    model = with_clip_floor_shift(healthy("biasless"), TRAIN, levels=8)
    network = to_spiking(model)
    error = {}
    for trial in (1, 4, 8):
        record = simulate_corrected(network, TEST.x, 8, trial_steps=trial, rounds=2)
        error[trial] = float((network.logits(record)[-1] - model(TEST.x)).detach().abs().max())
    assert error[8] < 1e-10
    assert error[4] > 1
    assert error[1] > 1


def test_property_binary_weights_are_corrected_alike_with_absorbed_scales():
    network = with_initial_potential(to_spiking(rounded_binary(healthy("biasless")), TRAIN))
    one, two = (simulate_corrected(n, TEST.x, 8) for n in (network, absorb_scales(network)))
    same = [(a == b).double().mean() for a, b in zip(one.spike_counts, two.spike_counts, strict=True)]
    assert min(map(float, same)) > 0.999


def test_property_batches_change_nothing_and_the_network_stays():
    network = with_initial_potential(to_spiking(healthy("mlp"), TRAIN))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    one, two = (simulate_corrected(network, TEST.x[:30], 6, batch_size=size) for size in (1, 100))
    torch.testing.assert_close(one.potential, two.potential, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert network.layers[0].neuron.initial == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "a whole number >= 1"),
        ({"trial_steps": 5}, "trial_steps must be at most steps = 4"),
        ({"trial_steps": 0}, "a whole number >= 1"),
        ({"rounds": -1}, "rounds a whole number >= 0"),
        ({"rounds": True}, "rounds a whole number >= 0"),
        ({"batch_size": 0}, "batch_size >= 1"),
    ],
)
def test_error_numbers(options, message):
    network = to_spiking(healthy("mlp"), TRAIN)
    with pytest.raises(ParameterError, match=message):
        simulate_corrected(network, TEST.x[:3], **({"steps": 4} | options))


@pytest.mark.parametrize("change", [{"reset": "zero"}, {"leak": 0.9}, {"refractory": 1}, {"lowest": -1.0}])
def test_error_neurons_that_lose_charge(change):
    network = to_spiking(healthy("mlp"), TRAIN)
    network.layers[1].neuron = replace(network.layers[1].neuron, **change)
    with pytest.raises(ParameterError, match="layer 2 loses charge or feeds back on itself"):
        simulate_corrected(network, TEST.x[:3], 4)


def test_error_inputs_and_recurrent_synapses():
    network = to_spiking(healthy("mlp"), TRAIN)
    with pytest.raises(ParameterError, match="the input x must be finite"):
        simulate_corrected(network, TEST.x[:3] / 0, 4)
    layer = SpikingLayer({0: nn.Linear(4, 4), 1: nn.Linear(4, 4)})
    with pytest.raises(ParameterError, match="layer 1 loses charge or feeds back"):
        simulate_corrected(SpikingNetwork([layer]), torch.ones(2, 4), 4)
