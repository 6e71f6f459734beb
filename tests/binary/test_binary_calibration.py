"""Where neurons start: against closed forms, and what it saves on digits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from weightlore.binary import (
    absorb_scales,
    rounded_binary,
    staged,
    to_spiking,
    with_calibrated_potentials,
    with_initial_potential,
    with_shifted_current,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, resnet20
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

TRAIN, TEST, HELD = digits("train"), digits("test"), digits("validation")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracy(network, steps):
    return float((simulate(network, TEST.x, steps).potential[-1].argmax(-1) == TEST.y).double().mean())


def one_neuron(threshold=1.0):
    return SpikingNetwork([SpikingLayer(nn.Identity(), Neuron(threshold=threshold))])


def distance(network, model, x, steps):
    """Mean difference between the spikes of each layer and those that activations ask for."""
    counts = simulate(network, x, steps).spike_counts
    wanted = [steps * (a / f).clamp(0, 1) for a, f in zip(staged(model).activations(x), network.factors, strict=True)]
    return [float((n - w.detach()).abs().mean()) for n, w in zip(counts, wanted, strict=True)]


@pytest.mark.parametrize("steps", [4, 8, 16, 64])
@pytest.mark.parametrize("threshold", [1.0, 0.5])
def test_oracle_half_a_threshold_rounds_to_the_nearest_rate(steps, threshold):
    z = (torch.rand(500, 1, generator=seeded(), dtype=torch.float64) * 2 - 0.5) * threshold
    expected = torch.floor(steps * z / threshold + 0.5).clamp(0, steps)
    plain = one_neuron(threshold)
    for network in (with_initial_potential(plain), with_shifted_current(plain, steps)):
        counts = simulate(network, z, steps).spike_counts[0].double()
        assert torch.equal(counts, expected)
        assert float((counts / steps - (z / threshold).clamp(0, 1)).abs().max()) <= 0.5 / steps + 1e-12
    assert plain.layers[0].neuron.initial == 0.0


def test_property_other_shares_and_thresholds_per_channel():
    threshold = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    network = with_initial_potential(one_neuron(threshold), 0.25)
    assert network.layers[0].neuron.initial.tolist() == [0.25, 0.5, 1.0]
    found = with_shifted_current(one_neuron(threshold), 8)
    assert found.layers[0].synapses["before"](torch.zeros(1, 3, dtype=torch.float64)).tolist() == [
        [0.0625, 0.125, 0.25]
    ]


def test_property_a_start_at_a_half_needs_half_the_steps():
    network = to_spiking(healthy("biasless"), TRAIN)
    started, shifted = with_initial_potential(network), with_shifted_current(network, 2)
    assert accuracy(network, 2) < 0.2
    assert accuracy(started, 2) > 0.9
    assert accuracy(shifted, 2) > 0.9
    assert accuracy(started, 64) > 0.97


@pytest.mark.parametrize("kind", ["biasless", "cnn"])
@pytest.mark.parametrize("steps", [4, 8])
def test_property_calibration_brings_counts_closer_and_means_together(kind, steps):
    model = healthy(kind)
    network = to_spiking(model, TRAIN)
    found = with_calibrated_potentials(network, model, HELD, steps=steps)
    before, after = distance(network, model, TEST.x, steps), distance(found, model, TEST.x, steps)
    assert all(b > a for b, a in zip(before, after, strict=True))
    shapes = [tuple(layer.neuron.initial.shape) for layer in found.layers[:-1]]
    assert shapes == [tuple(a.shape[1:]) for a in staged(model).activations(TEST.x[:1])]
    assert accuracy(found, 4) > accuracy(network, 4) + 0.05


def test_property_calibration_of_calibrated_starts_moves_little_more():
    model = healthy("biasless")
    network = with_initial_potential(to_spiking(model, TRAIN))
    once = with_calibrated_potentials(network, model, HELD, steps=8)
    again = with_calibrated_potentials(once, model, HELD, steps=8)
    first, second = (
        sum(
            float((b.neuron.initial - a.neuron.initial).abs().mean())
            for a, b in zip(x.layers[:3], y.layers[:3], strict=True)
        )
        for x, y in ((network, once), (once, again))
    )
    assert second < first


def test_property_binary_weights_and_absorbed_scales_are_calibrated_alike():
    model = rounded_binary(healthy("biasless"))
    network = to_spiking(model, TRAIN)
    one = with_calibrated_potentials(network, model, HELD, steps=8)
    two = with_calibrated_potentials(absorb_scales(network), model, HELD, steps=8)
    counts = [simulate(n, TEST.x, 8).spike_counts for n in (one, two)]
    assert all(torch.equal(a, b) for a, b in zip(*counts, strict=True))
    third = absorb_scales(one)
    assert torch.equal(simulate(third, TEST.x, 8).spike_counts[2], counts[0][2])


def test_property_a_residual_network_is_calibrated_and_shifted():
    model = resnet20(width=2, channels=1, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:48].reshape(-1, 1, 8, 8)
    with torch.no_grad():
        model(x)
    network = to_spiking(model.eval(), x)
    found = with_calibrated_potentials(network, model, x[:24], steps=4, batch_size=10)
    assert sum(distance(found, model, x[24:], 4)) < sum(distance(network, model, x[24:], 4))
    shifted = with_shifted_current(network, 4)
    assert sum(distance(shifted, model, x[24:], 4)) < sum(distance(network, model, x[24:], 4))


def test_property_batches_change_nothing():
    model = healthy("mlp")
    network = to_spiking(model, TRAIN)
    one, two = (with_calibrated_potentials(network, model, HELD, steps=4, batch_size=size) for size in (7, 500))
    for a, b in zip(one.layers[:-1], two.layers[:-1], strict=True):
        torch.testing.assert_close(a.neuron.initial, b.neuron.initial, rtol=1e-10, atol=1e-12)


def test_property_a_lower_bound_holds():
    model = healthy("biasless")
    network = to_spiking(model, TRAIN, neuron=Neuron(lowest=0.0, initial=0.9))
    found = with_calibrated_potentials(network, model, HELD, steps=4)
    assert min(float(layer.neuron.initial.min()) for layer in found.layers[:-1]) >= 0.0


@pytest.mark.parametrize("steps", [0, -1, 2.0, True])
def test_error_steps(steps):
    network = to_spiking(healthy("mlp"), TRAIN)
    with pytest.raises(ParameterError, match="a whole number >= 1"):
        with_shifted_current(network, steps)
    with pytest.raises(ParameterError, match="a whole number >= 1"):
        with_calibrated_potentials(network, healthy("mlp"), HELD, steps=steps)


def test_error_shares_and_networks():
    network = to_spiking(healthy("mlp"), TRAIN)
    for share in (float("nan"), float("inf"), "half", True):
        with pytest.raises(ParameterError, match="share is a part of the threshold"):
            with_initial_potential(network, share)
    network.layers[0].neuron = replace(network.layers[0].neuron, lowest=-1.0)
    with pytest.raises(ParameterError, match="must not be below lowest"):
        with_initial_potential(network, -2.0)
    with pytest.raises(ParameterError, match="each spiking layer must stand for one non-linearity"):
        with_calibrated_potentials(to_spiking(healthy("biasless"), TRAIN), healthy("mlp"), HELD, steps=4)
    pooled = to_spiking(healthy("cnn"), TRAIN, pooling="stage")
    with pytest.raises(ParameterError, match="without max pooling"):
        with_calibrated_potentials(pooled, healthy("cnn"), HELD, steps=4)
    with pytest.raises(ParameterError, match="calibration set is empty"):
        with_calibrated_potentials(network, healthy("mlp"), HELD.x[:0], steps=4)
