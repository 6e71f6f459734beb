"""Converted networks trained further with their spikes."""

import pytest
import torch
from torch import nn

from weightlore.binary import (
    BinaryRecipe,
    BinaryTraining,
    Converted,
    ScaledSign,
    absorb_scales,
    absorbed_layers,
    fine_tune,
    fine_tune_binary,
    fit_binary,
    normalization_factors,
    to_spiking,
    with_initial_potential,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy
from weightlore.spiking import SpikingLayer, SpikingNetwork, simulate
from weightlore.spiking.surrogates import arctan
from weightlore.spiking.unrolling import SpikingClassifier

TRAIN, TEST, HELD = digits("train"), digits("test"), digits("validation")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracy(network, steps):
    """After each of the steps."""
    return (simulate(network, TEST.x, steps).potential.argmax(-1) == TEST.y).double().mean(-1)


@pytest.fixture(scope="module")
def binary():
    """A latent network and its binary form."""
    latent = healthy("biasless")
    return latent, fit_binary(latent, TRAIN, generator=seeded(), recipe=BinaryRecipe(epochs=10)).network


def test_property_two_steps_that_saw_nothing_are_enough_after_training():
    network = to_spiking(healthy("biasless"), TRAIN)
    before = network.layers[0].synapses["0"][1].weight.detach().clone()
    fitted = fine_tune(network, TRAIN, steps=2, generator=seeded(), epochs=6)
    assert float(accuracy(network, 2)[-1]) < 0.2
    assert float(accuracy(fitted.network, 2)[-1]) > 0.9
    assert torch.equal(network.layers[0].synapses["0"][1].weight, before)
    assert isinstance(fitted.network, Converted)
    assert not fitted.network.training
    assert torch.equal(fitted.network.factors, network.factors)
    assert fitted.network.output_scale == network.output_scale
    assert [layer.neuron.threshold for layer in fitted.network.layers[:-1]] == [1.0] * 3


def test_oracle_the_loss_is_that_of_the_spiking_network():
    network = with_initial_potential(to_spiking(healthy("mlp"), TRAIN))
    data = TRAIN[:64]
    fitted = fine_tune(network, data, steps=4, generator=seeded(), epochs=1, validation=HELD)
    logits = network.logits(simulate(network, data.x, 4))[-1]
    assert fitted.history.train_loss[0] == pytest.approx(float(nn.functional.cross_entropy(logits, data.y)), rel=1e-9)
    after = fitted.network.logits(simulate(fitted.network, HELD.x, 4))[-1]
    loss = float(nn.functional.cross_entropy(after, HELD.y))
    assert fitted.history.validation_loss[0] == pytest.approx(loss, rel=1e-9)


def test_property_convolutions_biases_and_other_surrogates():
    model = cnn((4, 4), hidden=8, generator=seeded())
    network = with_initial_potential(to_spiking(model, TRAIN))
    data = TRAIN[:300]
    fitted = fine_tune(network, data, steps=2, generator=seeded(), epochs=4, surrogate=arctan(2.0))
    assert fitted.history.train_loss[-1] < fitted.history.train_loss[0]
    assert fitted.network.layers[0].synapses["0"][2].bias is not None


def test_property_training_repeats_and_resumes(tmp_path):
    network = with_initial_potential(to_spiking(healthy("mlp"), TRAIN))
    data, path = TRAIN[:200], tmp_path / "run.pt"
    runs = [fine_tune(network, data, steps=2, generator=seeded(), epochs=2, checkpoint=c) for c in (None, path, path)]
    for run in runs[1:]:
        for a, b in zip(runs[0].network.parameters(), run.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_oracle_latent_weights_start_as_the_binary_network(binary):
    latent, found = binary
    network = to_spiking(latent, factors=normalization_factors(found, TRAIN))
    start = BinaryTraining(SpikingClassifier(network, 4), rule=ScaledSign(limit=None)).deployed().network
    converted = to_spiking(found, TRAIN)
    for a, b in zip(start.parameters(), converted.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_property_binary_weights_stay_binary_and_spike_earlier(binary):
    latent, found = binary
    network = with_initial_potential(to_spiking(latent, factors=normalization_factors(found, TRAIN)))
    fitted = fine_tune_binary(
        network, TRAIN, steps=2, generator=seeded(), recipe=BinaryRecipe(epochs=8, weight_decay=0)
    )
    absorbed = absorb_scales(fitted.network)
    assert absorbed_layers(absorbed) == (2, 3)
    start = with_initial_potential(to_spiking(found, TRAIN))
    assert float(accuracy(absorbed, 1)[0]) > float(accuracy(start, 1)[0]) + 0.05
    assert float(accuracy(absorbed, 2)[1]) > 0.9
    first, second = (simulate(n, TEST.x, 2).spike_counts[2] for n in (absorbed, fitted.network))
    assert float((first == second).double().mean()) > 0.999


def test_property_a_network_with_binary_weights_can_be_trained_without_its_latent_ones(binary):
    network = with_initial_potential(to_spiking(binary[1], TRAIN))
    fitted = fine_tune_binary(network, TRAIN[:200], steps=2, generator=seeded(), recipe=BinaryRecipe(epochs=1))
    assert absorbed_layers(absorb_scales(fitted.network)) == (2, 3)
    assert len(fitted.history.train_loss) == 1


def test_error_other_networks_and_steps():
    plain = SpikingNetwork([SpikingLayer(nn.Linear(64, 10), None)])
    for train in (fine_tune, fine_tune_binary):
        with pytest.raises(ParameterError, match="only a network from to_spiking is trained here"):
            train(plain, TRAIN, steps=2, generator=seeded())
        with pytest.raises(ParameterError, match="a whole number >= 1, got 0"):
            train(to_spiking(healthy("mlp"), TRAIN), TRAIN, steps=0, generator=seeded())
