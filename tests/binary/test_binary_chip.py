"""Binary layers on crossbars: the same spikes when ideal, and what noise, faults and wires do."""

import pytest
import torch
from torch import nn

from weightlore.binary import absorb_scales, on_crossbar, spike_on_chip, to_spiking
from weightlore.binary.arrays import BinaryArray
from weightlore.crossbar import Cells, CrossbarConfig, Faults
from weightlore.crossbar.cells import ISAAC_CELLS, PCM_CELLS
from weightlore.crossbar.programming import AbsoluteNoise, ProportionalNoise
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

TRAIN, TEST = digits("train"), digits("test")
BOTH = pytest.mark.parametrize("encoding", ["differential", "reference"])
IDEAL = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def signs_(layer, seed=0):
    with torch.no_grad():
        drawn = torch.randint(0, 2, layer.weight.shape, generator=seeded(seed))
        layer.weight.copy_(drawn * 2 - 1)
    return layer


def spikes(*shape, seed=1, dtype=torch.float64):
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype)


def binary_network():
    model = healthy("biasless")
    with torch.no_grad():
        for layer in model.layers[1:]:
            alpha = layer.weight.abs().mean(1, keepdim=True)
            layer.weight.copy_(torch.where(layer.weight >= 0, alpha, -alpha))
    return absorb_scales(to_spiking(model, TRAIN))


@BOTH
def test_oracle_digits_spike_on_ideal_arrays_as_in_the_simulator(encoding):
    network = binary_network()
    chip = on_crossbar(network, encoding=encoding, cells=ISAAC_CELLS)
    one, two = (simulate(n, TEST.x[:200], 24, record=(1, 2, 3)) for n in (network, chip))
    assert bool(one.spikes[3].any())
    assert all(torch.equal(one.spikes[n], two.spikes[n]) for n in (1, 2, 3))
    assert torch.equal(one.potential, two.potential)
    assert [isinstance(m, BinaryArray) for m in chip.layers[1].modules()].count(True) == 1
    assert not any(isinstance(m, BinaryArray) for m in chip.layers[0].modules())
    assert isinstance(network.layers[1].synapses["1"], nn.Linear)


@BOTH
def test_oracle_pooled_convolutions_spike_alike(encoding):
    convolution = signs_(nn.Conv2d(3, 8, 3, padding=1, bias=False).double())
    pool = nn.AvgPool2d(2, divisor_override=1)
    layers = [SpikingLayer(nn.Identity())]
    layers.append(SpikingLayer(nn.Sequential(convolution, pool), Neuron(threshold=9.5)))
    second = signs_(nn.Conv2d(8, 4, 3, padding=1, bias=False).double(), seed=5)
    layers.append(SpikingLayer(nn.Sequential(pool, second), Neuron(threshold=torch.full((4, 1, 1), 7.0))))
    network = SpikingNetwork(layers)
    chip = on_crossbar(network, encoding=encoding)
    x = torch.rand(10, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    one, two = (simulate(n, x, 20, record=(2, 3)) for n in (network, chip))
    assert bool(one.spikes[3].any())
    assert torch.equal(one.spikes[2], two.spikes[2])
    assert torch.equal(one.spikes[3], two.spikes[3])


@BOTH
def test_property_programming_noise_is_drawn_once_and_the_same_for_a_seed(encoding):
    cells = Cells(1.0, 100.0, programming=AbsoluteNoise(3.0))
    network = binary_network()
    chips = [on_crossbar(network, encoding=encoding, cells=cells, generator=seeded(s)) for s in (0, 0, 1)]
    weights = [chip.layers[1].synapses["1"].weight for chip in chips]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    one, two = (simulate(chip, TEST.x[:20], 12).potential for chip in chips[:2])
    assert torch.equal(one, two)
    wrong = (weights[0][0] - network.layers[1].synapses["1"].weight.detach()).std()
    lines = 2**0.5 if encoding == "differential" else 2 * 2**0.5
    assert float(wrong) == pytest.approx(lines * 3 / 99, rel=0.3), "two cells a weight; a reference counts twice"


def test_property_more_faults_do_more_harm():
    network, accuracy = binary_network(), []
    for share in (0.0, 0.05, 0.5):
        chip = on_crossbar(network, faults=Faults(off=share), generator=seeded())
        found = simulate(chip, TEST.x, 32).potential[-1].argmax(1)
        accuracy.append(float((found == TEST.y).double().mean()))
    assert accuracy[0] > accuracy[2] + 0.1
    assert abs(accuracy[1] - accuracy[0]) < abs(accuracy[2] - accuracy[0])


@BOTH
def test_property_fluctuating_cells_are_drawn_from_the_generator(encoding):
    cells = Cells(1.0, 100.0, reading=ProportionalNoise(0.05))
    network = binary_network()
    chip = on_crossbar(network, encoding=encoding, cells=cells)
    state = torch.random.get_rng_state()
    runs = [spike_on_chip(chip, TEST.x[:30], 16, generator=seeded(s), record=(2,)) for s in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(runs[0].potential, runs[1].potential)
    assert not torch.equal(runs[0].potential, runs[2].potential)
    assert runs[0].spikes[2].shape == (16, 30, 128)
    quiet = spike_on_chip(network, TEST.x[:30], 16, generator=seeded(), record=(2,))
    agree = (quiet.spikes[2] == runs[0].spikes[2]).double().mean()
    assert 0.85 < float(agree) < 1.0


def test_property_drift_needs_an_age():
    network = binary_network()
    chip = on_crossbar(network, cells=PCM_CELLS, age=86400.0, generator=seeded())
    young = on_crossbar(network, cells=PCM_CELLS, generator=seeded())
    old, new = (c.layers[1].synapses["1"].weight.abs().mean() for c in (chip, young))
    assert float(old) < 0.9 * float(new)
    found = spike_on_chip(chip, TEST.x[:50], 32, generator=seeded()).potential[-1].argmax(1)
    assert found.shape == (50,)


def test_property_chosen_layers():
    network = binary_network()
    chip = on_crossbar(network, layers=(3,))
    assert isinstance(chip.layers[1].synapses["1"], nn.Linear)
    assert isinstance(chip.layers[2].synapses["2"], BinaryArray)


def test_error_what_does_not_fit():
    network = binary_network()
    with pytest.raises(ParameterError, match="encoding must be one of"):
        on_crossbar(network, encoding="offset")
    for layers in ((1,), (), (4,)):
        with pytest.raises(ParameterError, match=r"that read spikes are \[2, 3\], asked for were"):
            on_crossbar(network, layers=layers)
    with pytest.raises(ParameterError, match="absorb_scales first"):
        on_crossbar(to_spiking(healthy("biasless"), TRAIN))
    with pytest.raises(ParameterError, match="pass generator="):
        on_crossbar(network, faults=Faults(off=0.1))
    averaged = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), signs_(nn.Conv2d(3, 4, 1, bias=False).double()))
    cut = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(averaged)])
    with pytest.raises(ParameterError, match=r"that read spikes are \[\]"):
        on_crossbar(cut)
    noisy = on_crossbar(network, cells=Cells(reading=AbsoluteNoise(1.0)))
    with pytest.raises(ParameterError, match="simulate with spike_on_chip"):
        simulate(noisy, TEST.x[:2], 3)
