"""Scales in the thresholds: the same spikes, exactly where arithmetic is exact, and ties elsewhere."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from weightlore.binary import Converted, absorb_scales, absorbed_layers, scale_and_sign, to_spiking
from weightlore.binary.currents import Scaled, Shifted
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, resnet20
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

TRAIN, TEST = digits("train"), digits("test")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def signs(*shape, seed=0, dtype=torch.float64):
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype) * 2 - 1


def two_valued_(layer, seed=0, scale=None):
    """Give a layer weights of alpha times +-1, alpha random or given."""
    weight = layer.weight
    generator = seeded(seed)
    alpha = torch.rand(len(weight), generator=generator, dtype=weight.dtype) + 0.5 if scale is None else scale
    alpha = torch.as_tensor(alpha, dtype=weight.dtype).expand(len(weight)) / weight[0].numel() ** 0.5
    with torch.no_grad():
        weight.copy_(signs(*weight.shape, seed=seed, dtype=weight.dtype) * alpha.reshape(-1, *[1] * (weight.ndim - 1)))
    return layer


def binary_digits():
    """The bias-free network with its two middle layers rounded to signs, which keeps four digits of five."""
    model = healthy("biasless")
    with torch.no_grad():
        for layer in model.layers[1:]:
            alpha = layer.weight.abs().mean(1, keepdim=True)
            layer.weight.copy_(torch.where(layer.weight >= 0, alpha, -alpha))
    return model


def spikes_of(network, x, steps):
    numbers = tuple(n for n in range(1, len(network.layers) + 1) if network.layers[n - 1].neuron is not None)
    return simulate(network, x, steps, record=numbers).spikes


def two_layers(dtype, alpha, seed=0):
    """Random spikes into one binary layer: rates differ, currents are sums of +-alpha."""
    layer = nn.Linear(50, 40, bias=False, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(signs(40, 50, seed=seed, dtype=dtype) * torch.as_tensor(alpha, dtype=dtype))
    return SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(layer, Neuron())])


def test_oracle_scale_and_sign():
    weight = torch.tensor([[0.5, -0.5], [0.0, 0.0], [-2.0, -2.0]])
    alpha, found = scale_and_sign(weight)
    assert alpha.tolist() == [0.5, 0.0, 2.0]
    assert found.tolist() == [[1, -1], [0, 0], [-1, -1]]
    assert scale_and_sign(torch.tensor([[0.5, -0.25]])) is None
    assert scale_and_sign(torch.zeros(2, 3)) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_oracle_scales_that_are_powers_of_two_give_the_same_spikes(dtype, reset):
    generator = seeded(3)
    alpha = 2.0 ** torch.randint(-4, 1, (40, 1), generator=generator).to(dtype)
    network = two_layers(dtype, alpha)
    network.layers[1].neuron = Neuron(threshold=2.0, reset=reset, initial=0.25)
    found = absorb_scales(network)
    x = torch.rand(64, 50, generator=generator, dtype=torch.float64).to(dtype)
    one, two = spikes_of(network, x, 40), spikes_of(found, x, 40)
    assert bool(one[2].any())
    assert torch.equal(one[2], two[2])
    assert absorbed_layers(found) == (2,)
    assert absorbed_layers(network) == ((2,) if bool((alpha == 1).all()) else ())
    assert torch.equal(found.layers[1].neuron.threshold, 2.0 / alpha.reshape(-1))
    assert torch.equal(found.layers[1].neuron.initial, 0.25 / alpha.reshape(-1))
    assert set(found.layers[1].synapses["before"].weight.unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(("dtype", "slack"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_property_other_scales_differ_only_where_a_potential_ties_with_its_threshold(dtype, slack):
    network = two_layers(dtype, 0.1)
    found = absorb_scales(network)
    x = (torch.randint(0, 9, (64, 50), generator=seeded(1)) / 8).to(dtype)
    record = simulate(network, x, 32, record=(2,))
    other = simulate(found, x, 32, record=(2,))
    differs = record.spikes[2] != other.spikes[2]
    assert bool(differs.any()), "0.1 has no exact form, and ten of them tie with 1"
    first = differs & (differs.cumsum(0) == 1)
    whole = other.potentials[2].double() + other.spikes[2] * 10.0  # before the reset, in weights: nearly whole numbers
    assert float((whole[first] - 10.0).abs().max()) < 10 * slack * 32
    count = record.spikes[2].cumsum(0) - other.spikes[2].cumsum(0)
    assert int(count.abs().max()) == 1, "a spike comes one step early or late, none is lost for good"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_random_scales_tie_nowhere(dtype):
    alpha = torch.rand(40, 1, generator=seeded(2), dtype=torch.float64) / 5 + 0.03
    network = two_layers(dtype, alpha.to(dtype))
    x = torch.rand(64, 50, generator=seeded(1), dtype=torch.float64).to(dtype)
    one, two = spikes_of(network, x, 32), spikes_of(absorb_scales(network), x, 32)
    assert bool(one[2].any())
    assert torch.equal(one[2], two[2])


def test_oracle_digits_through_two_binary_layers():
    network = to_spiking(binary_digits(), TRAIN)
    found = absorb_scales(network)
    assert isinstance(found, Converted)
    assert absorbed_layers(found) == (2, 3)
    one, two = (simulate(n, TEST.x, 24, record=(1, 2, 3)) for n in (network, found))
    assert all(torch.equal(one.spikes[n], two.spikes[n]) for n in (1, 2, 3))
    assert torch.equal(one.potential, two.potential)
    own = (simulate(network, TEST.x, 64).potential[-1].argmax(1) == TEST.y).double().mean()
    assert float(own) > 0.6


@pytest.mark.parametrize("place", ["behind", "before", "both"])
@pytest.mark.parametrize("bias", [True, False])
def test_oracle_average_pooling_is_a_factor_of_the_threshold(place, bias):
    convolution = two_valued_(nn.Conv2d(3, 8, 3, padding=1, bias=bias, dtype=torch.float64), scale=27**0.5 / 4)
    if bias:
        with torch.no_grad():
            convolution.bias.copy_(torch.randint(-3, 4, (8,), generator=seeded(9)) / 8)
    pools = {"behind": [[], [nn.AvgPool2d(2)]], "before": [[nn.AvgPool2d(2)], []], "both": [[nn.AvgPool2d(2)]] * 2}
    before, behind = pools[place]
    layer = SpikingLayer(nn.Sequential(*before, convolution, *behind), Neuron(initial=0.5))
    network = SpikingNetwork([SpikingLayer(nn.Identity()), layer])
    found = absorb_scales(network)
    area = 16 if place == "both" else 4
    assert found.layers[1].neuron.threshold.reshape(-1).tolist() == [area * 4.0] * 8
    assert found.layers[1].neuron.threshold.shape == (8, 1, 1)
    x = torch.rand(16, 3, 8, 8, generator=seeded(), dtype=torch.float64)
    one, two = spikes_of(network, x, 30), spikes_of(found, x, 30)
    assert 0.02 < float(one[2].double().mean()) < 0.98
    assert torch.equal(one[2], two[2])
    inputs = found.layers[1].synapses["before"][: 1 if place == "behind" else 2](x.gt(0.5).double())
    assert bool((inputs == inputs.round()).all()) or bias, "sums of spikes, times +-1, are whole numbers"


def test_property_windows_that_are_cut_keep_their_averages():
    convolution = two_valued_(nn.Conv2d(2, 4, 3, padding=1, bias=False, dtype=torch.float64))
    layer = SpikingLayer(nn.Sequential(convolution, nn.AvgPool2d(2, ceil_mode=True)))
    network = SpikingNetwork([SpikingLayer(nn.Identity()), layer])
    found = absorb_scales(network)
    assert isinstance(found.layers[1].synapses["before"][1], nn.AvgPool2d)
    assert found.layers[1].synapses["before"][1].divisor_override is None
    x = torch.rand(8, 2, 7, 7, generator=seeded(), dtype=torch.float64)
    assert torch.equal(spikes_of(network, x, 20)[2], spikes_of(found, x, 20)[2])


def test_oracle_constants_and_factors_move_too():
    layer = two_valued_(nn.Linear(6, 5, dtype=torch.float64), scale=6**0.5 / 8)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.5, -0.25, 0.125, 0.0, 1.0]))
    synapse = nn.Sequential(nn.Flatten(), Scaled(0.5), layer, Shifted(torch.tensor(0.0625, dtype=torch.float64)))
    network = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(synapse)])
    found = absorb_scales(network)
    x = torch.rand(30, 6, generator=seeded(), dtype=torch.float64)
    assert torch.equal(spikes_of(network, x, 40)[2], spikes_of(found, x, 40)[2])
    assert found.layers[1].neuron.threshold.tolist() == [16.0] * 5
    parts = list(found.layers[1].synapses["before"])
    assert [type(p) for p in parts] == [nn.Flatten, nn.Linear, Shifted]
    assert parts[2].amount.tolist() == [1.0] * 5


def test_limit_dead_outputs_stay_dead():
    layer = two_valued_(nn.Linear(6, 4, bias=False, dtype=torch.float64))
    with torch.no_grad():
        layer.weight[2] = 0.0
    network = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(layer)])
    found = absorb_scales(network)
    assert not bool(found.layers[1].synapses["before"].weight[2].any())
    assert float(found.layers[1].neuron.threshold[2]) == 1.0
    x = torch.rand(30, 6, generator=seeded(), dtype=torch.float64)
    record = simulate(found, x, 20)
    assert not bool(record.spike_counts[1][:, 2].any())
    assert absorbed_layers(found) == (2,)


def test_property_other_layers_and_the_network_stay_as_they_are():
    network = to_spiking(binary_digits(), TRAIN)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = absorb_scales(network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert network.layers[1].neuron.threshold == 1.0
    assert torch.equal(found.layers[0].synapses["0"][1].weight, network.layers[0].synapses["0"][1].weight)
    assert torch.equal(found.layers[3].synapses["3"].weight, network.layers[3].synapses["3"].weight)
    again = absorb_scales(found)
    assert torch.equal(spikes_of(again, TEST.x[:9], 9)[3], spikes_of(found, TEST.x[:9], 9)[3])


def test_property_layers_of_several_sources_keep_their_scales():
    model = resnet20(width=2, channels=1, generator=seeded(), dtype=torch.float64)
    for block in model.blocks:
        for layer in (block.conv1, block.conv2):
            two_valued_(layer)
    x = TRAIN.x[:40].reshape(-1, 1, 8, 8)
    with torch.no_grad():
        model(x)
    network = to_spiking(model.eval(), x)
    found = absorb_scales(network)
    assert absorbed_layers(found) == tuple(range(2, 20, 2)), "the first convolution of each block"
    one, two = (simulate(n, x[:8], 24, record=(2, 18)) for n in (network, found))
    assert all(torch.equal(one.spikes[n], two.spikes[n]) for n in (2, 18))


def test_error_nothing_to_absorb_and_bounds():
    with pytest.raises(ParameterError, match="no layer has weights of two values per output"):
        absorb_scales(to_spiking(healthy("biasless"), TRAIN))
    network = two_layers(torch.float64, 0.5)
    network.layers[1].neuron = replace(network.layers[1].neuron, lowest=-1.0)
    with pytest.raises(ParameterError, match=r"layer 2 bounds its potentials by -1\.0"):
        absorb_scales(network)
    for synapse in (
        nn.Sequential(Scaled(-1.0), two_valued_(nn.Linear(4, 4, bias=False))),
        nn.Sequential(two_valued_(nn.Linear(4, 4)), nn.Tanh()),
        nn.Sequential(two_valued_(nn.Linear(4, 4)), two_valued_(nn.Linear(4, 4))),
        nn.Sequential(Shifted(1.0), two_valued_(nn.Linear(4, 4))),
    ):
        with pytest.raises(ParameterError, match="no layer has weights"):
            absorb_scales(SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(synapse)]))
