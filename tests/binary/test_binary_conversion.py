"""Converted networks: rates against activations, orders against each other, pooling in all its places."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from weightlore.binary import (
    ClipFloorShift,
    Converted,
    absorb_scales,
    absorbed_layers,
    design_violations,
    normalization_factors,
    normalized,
    on_crossbar,
    rounded_binary,
    staged,
    to_spiking,
    variant,
    with_clip_floor_shift,
    with_initial_potential,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp, resnet20, vgg15
from weightlore.spiking import Neuron, simulate

TRAIN, TEST = digits("train"), digits("test")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracy(potential):
    """Shape (T, N, C) -> (T,)."""
    return (potential.argmax(-1) == TEST.y).double().mean(-1)


def error(model, network, x, steps, **options):
    """Largest difference between the logits and what a spiking network says after T steps."""
    with torch.no_grad():
        record = simulate(network, x, steps, **options)
        return (network.logits(record)[-1] - model(x)).abs().amax()


def residual():
    model = resnet20(width=4, channels=1, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:64].reshape(-1, 1, 8, 8)
    with torch.no_grad():
        for _ in range(5):
            model(x)
    return model.eval(), x


def pooled(*behind):
    convolution = nn.Conv2d(1, 6, 3, padding=1, bias=False)
    model = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), convolution, *behind, nn.Flatten(), nn.Linear(96, 10, bias=False))
    with torch.random.fork_rng():
        generator = seeded(4)
        for parameter in model.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5)
    return model.double().eval()


@pytest.mark.parametrize("kind", ["mlp", "cnn", "biasless"])
def test_oracle_the_error_falls_as_one_over_the_steps(kind):
    model = healthy(kind)
    network = to_spiking(model, TRAIN, percentile=100)
    errors = [float(error(model, network, TEST.x[:100], steps)) for steps in (64, 256, 1024)]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2
    assert errors[2] < 0.06 * float(model(TEST.x[:100]).detach().abs().max())


@pytest.mark.parametrize("percentile", [99.9, 100])
def test_oracle_accuracy_of_the_spiking_network(percentile):
    model = healthy("biasless")
    own = float((model(TEST.x).argmax(1) == TEST.y).double().mean())
    found = accuracy(simulate(to_spiking(model, TRAIN, percentile=percentile), TEST.x, 128).potential)
    assert abs(float(found[-1]) - own) < 0.01
    assert float(found[1]) < 0.2, "after two steps nearly nothing has arrived"


def test_property_a_lower_percentile_is_faster_and_rates_fall_with_it():
    model = healthy("biasless")
    early, rates = [], []
    for percentile in (80.0, 90.0, 99.0, 99.9, 100.0):
        record = simulate(to_spiking(model, TRAIN, percentile=percentile), TEST.x, 32)
        early.append(float(accuracy(record.potential)[3]))
        rates.append(float(record.spike_counts[0].double().mean()) / 32)
    assert rates == sorted(rates, reverse=True)
    assert early[1] > 0.95
    assert early[1] > early[3] > early[4]


def test_property_rates_are_the_activations_over_their_factors():
    model = healthy("biasless")
    network = to_spiking(model, TRAIN, percentile=100)
    x = TEST.x[:80]
    record = simulate(network, x, 600)
    for counts, activations, factor in zip(record.spike_counts, model.activations(x), network.factors, strict=True):
        torch.testing.assert_close(counts.double() / 600, activations.detach() / factor, rtol=0, atol=0.03)
    first = simulate(network, TEST.x, 50).spike_counts[0].double()
    drive = normalized(staged(model), network.factors).activations(TEST.x)[0].detach()
    torch.testing.assert_close(first, (50 * drive).floor().clamp(0, 50), rtol=0, atol=1.0)
    assert float((first / 50 - drive.clamp(0, 1)).abs().max()) <= 1 / 50 + 1e-12


def test_property_counts_never_exceed_the_steps():
    record = simulate(to_spiking(healthy("cnn"), TRAIN, percentile=90), TEST.x[:50], 24)
    for counts in record.spike_counts:
        assert int(counts.min()) >= 0
        assert int(counts.max()) <= 24
    assert int(record.spike_counts[0].max()) == 24, "the percentile clips something"


def test_property_rescaling_a_layer_and_the_next_gives_the_same_spikes():
    model = healthy("biasless")
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.layers[0].weight.mul_(8.0)
        other.layers[1].weight.div_(8.0)
    one, two = (simulate(to_spiking(m, TRAIN), TEST.x[:90], 20, record=(1, 2, 3)) for m in (model, other))
    for number in (1, 2, 3):
        assert torch.equal(one.spikes[number], two.spikes[number])
    assert torch.equal(one.potential, two.potential)


@pytest.mark.parametrize("kind", ["mlp", "biasless", "cnn"])
def test_oracle_synchronous_order_is_the_same_step_order_some_steps_later(kind):
    network = to_spiking(healthy(kind), TRAIN)
    for layer in network.layers:
        for module in layer.modules():
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()  # a constant current does not wait for spikes
    delay = len(network.layers) - 1
    same = simulate(network, TEST.x[:60], 20).potential
    late = simulate(network, TEST.x[:60], 20 + delay, order="synchronous").potential
    torch.testing.assert_close(late[delay:], same, rtol=1e-12, atol=1e-12)
    assert not bool(late[:delay].any())


def test_oracle_a_residual_network_follows_its_model():
    model, x = residual()
    network = to_spiking(model, x, percentile=100)
    errors = [float(error(model, network, x[:4], steps)) for steps in (64, 256, 1024)]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2
    assert errors[2] < 0.05 * float(model(x).detach().abs().max())
    assert len(network.layers) == 20
    assert [sorted(network.synapses(n)) for n in (1, 2, 3, 20)] == [[0], [1], [1, 2], [19]]


def test_property_a_residual_network_by_a_percentile_decides_alike():
    model, x = residual()
    network = to_spiking(model, x, percentile=99.9)
    found = simulate(network, x[:32], 256).potential[-1].argmax(1)
    assert float((found == model(x[:32]).argmax(1)).double().mean()) > 0.85


def test_oracle_pooling_before_the_relu_acts_on_currents():
    model = pooled(nn.AvgPool2d(2), nn.ReLU())
    network = to_spiking(model, TRAIN, percentile=100)
    assert float(error(model, network, TEST.x[:40], 1024)) < 0.02 * float(model(TEST.x[:40]).detach().abs().max())
    assert simulate(network, TEST.x[:2], 3).spike_counts[0].shape == (2, 6, 4, 4)


def test_oracle_pooling_after_the_relu_averages_spikes_or_feeds_neurons():
    model = pooled(nn.ReLU(), nn.AvgPool2d(2))
    x = TEST.x[:60]
    rates = {}
    for pooling, shapes in (("current", [(6, 8, 8)]), ("stage", [(6, 8, 8), (6, 4, 4)])):
        network = to_spiking(model, TRAIN, percentile=100, pooling=pooling)
        record = simulate(network, x, 16)
        assert [tuple(counts.shape[1:]) for counts in record.spike_counts] == shapes
        assert float(error(model, network, x, 2048)) < 0.02 * float(model(x).detach().abs().max())
        rates[pooling] = record.spike_counts
    before = nn.functional.avg_pool2d(rates["stage"][0].double(), 2)
    assert torch.equal(rates["stage"][1].double(), before.floor()), "a second rounding"
    assert torch.equal(rates["stage"][0], rates["current"][0])


@pytest.mark.parametrize("kind", ["average_before", "average_after", "max_before", "max_after"])
def test_oracle_the_variants_that_can_spike(kind):
    options = {"image": (1, 7, 7), "stages": ((4,), (6, 6)), "hidden": 16, "dropout": 0.1}
    model = variant(kind, **options, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:64].reshape(-1, 1, 8, 8)[:, :, 1:, 1:]
    for maximum in ("gate", "or"):
        network = to_spiking(rounded_binary(model), x, percentile=100, maximum=maximum)
        found, logits = network.logits(simulate(network, x, 256))[-1], rounded_binary(model)(x)
        gap = float((found - logits).detach().abs().mean() / logits.detach().abs().mean())
        assert gap < 0.1 or (maximum == "or" and kind.startswith("max"))
        assert gap < 0.1 or gap > 0.4, "a spike of any neuron is no maximum, however many steps there are"
        absorbed = absorb_scales(network)
        assert absorbed_layers(absorbed) == (2, 3, 4)
        same = simulate(absorbed, x, 32).spike_counts[3] == simulate(network, x, 32).spike_counts[3]
        assert float(same.double().mean()) > 0.999


def test_error_the_variant_with_binary_activations():
    model = variant("xnor", image=(1, 8, 8), generator=seeded(), dtype=torch.float64)
    with pytest.raises(
        ParameterError, match=r"normalization 'entries\.1\.0' has no layer of weights directly before it"
    ):
        to_spiking(model, TRAIN)
    found = {violation.layer: violation for violation in design_violations(model)}
    assert found["entries.1.0"].fatal
    assert found["entries.1.1"].fatal
    assert "BinaryActivation" in str(found["entries.1.1"])
    assert not found["norms.0"].fatal


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_property_the_default_dtype_does_not_matter(default):
    before = torch.get_default_dtype()
    found = []
    try:
        for chosen in (default, torch.float32):
            torch.set_default_dtype(chosen)
            model = nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 10)).float()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=seeded(1), dtype=torch.float32) / 5)
            x = TRAIN.x[:50].float()
            stepped = to_spiking(with_clip_floor_shift(rounded_binary(model), x, levels=4))
            network = with_initial_potential(absorb_scales(to_spiking(rounded_binary(model), x)), 0.5)
            found.append([simulate(n, x, 9).potential for n in (stepped, network, on_crossbar(network))])
    finally:
        torch.set_default_dtype(before)
    for a, b in zip(*found, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_property_one_rounding_is_better_than_two():
    x, errors = TEST.x[:200], {}
    for name, behind in (("before", (nn.AvgPool2d(2), nn.ReLU())), ("after", (nn.ReLU(), nn.AvgPool2d(2)))):
        model = pooled(*behind)
        network = to_spiking(model, TRAIN, percentile=100, pooling="stage")
        counts = simulate(network, x, 16).spike_counts[-1]
        target = staged(model).activations(x)[0].detach() / network.factors[0]
        target = nn.functional.avg_pool2d(target, 2) if name == "after" else target
        errors[name] = float((counts / 16 - target).abs().mean())
    assert errors["before"] < 0.8 * errors["after"]


@pytest.mark.parametrize("first", [True, False])
def test_oracle_a_maximum_passes_the_most_active_neuron(first):
    model, x = pooled(*((nn.MaxPool2d(2), nn.ReLU()) if first else (nn.ReLU(), nn.MaxPool2d(2)))), TEST.x[:40]
    gated = to_spiking(model, TRAIN, percentile=100)
    either = to_spiking(model, TRAIN, percentile=100, maximum="or")
    assert torch.equal(either.factors, gated.factors)
    assert simulate(gated, x[:2], 3).spike_counts[0].shape == (2, 6, 4, 4)
    record = simulate(either, x, 256, record=(1,))
    assert record.spike_counts[0].shape == (40, 6, 8, 8)
    passed = nn.functional.max_pool2d(record.spikes[1].double().flatten(0, 1), 2).unflatten(0, (256, 40)).mean(0)
    target = nn.functional.max_pool2d(model[1](model[0](x)).clamp(min=0), 2).detach() / gated.factors[0]
    by_gate = simulate(gated, x, 256).spike_counts[0].double() / 256
    assert float((by_gate - target).abs().mean()) < 0.01
    assert float((passed - target).mean()) > 0.05, "a spike of any neuron overestimates the maximum"


def test_property_biases_are_constant_currents():
    model = mlp((64, 8, 10), generator=seeded())
    with torch.no_grad():
        model.layers[0].bias.copy_(torch.linspace(-1, 1, 8))
        model.readout.bias.copy_(torch.linspace(0, 3, 10))
    network = to_spiking(model, TRAIN, percentile=100)
    dark = simulate(network, torch.zeros(1, 64, dtype=torch.float64), 400)
    rate = dark.spike_counts[0][0].double() / 400
    torch.testing.assert_close(
        rate, model.layers[0].bias.detach().clamp(min=0) / network.factors[0], rtol=0, atol=1 / 400
    )
    assert float(error(model, network, TEST.x[:40], 2048)) < 0.01


def test_property_the_output_is_not_scaled():
    model = healthy("biasless")
    network = to_spiking(model, TRAIN)
    assert torch.equal(network.layers[-1].synapses["3"].weight, model.readout.weight)
    assert network.output_scale == float(network.factors[-1])
    assert network.layers[-1].neuron is None
    assert isinstance(network, Converted)


def test_property_the_neuron_is_the_callers():
    model = healthy("biasless")
    hard = to_spiking(model, TRAIN, neuron=Neuron(reset="zero", initial=0.25))
    assert [layer.neuron.reset for layer in hard.layers[:-1]] == ["zero"] * 3
    start = to_spiking(model, TRAIN, neuron=Neuron(initial=0.5))
    assert float(accuracy(simulate(start, TEST.x, 2).potential)[-1]) > 0.9
    plain = to_spiking(model, TRAIN)
    for layer in plain.layers[:-1]:
        layer.neuron = replace(layer.neuron, initial=0.5)
    assert torch.equal(simulate(plain, TEST.x[:9], 9).potential, simulate(start, TEST.x[:9], 9).potential)


def test_property_factors_can_be_given():
    model = healthy("cnn")
    factors = normalization_factors(model, TRAIN, percentile=99)
    one, two = to_spiking(model, factors=factors), to_spiking(model, TRAIN, percentile=99)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert torch.equal(one.factors, factors)


def test_property_the_model_stays_as_it_is():
    model, x = residual()
    model.train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    network = to_spiking(model, x)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in model.modules())


def test_property_learned_ceilings_need_no_images():
    model = nn.Sequential(nn.Linear(64, 9), ClipFloorShift(4, ceiling=0.5), nn.Linear(9, 10)).double()
    network = to_spiking(model)
    assert network.factors.tolist() == [0.5]
    assert network.layers[0].neuron.initial == 0.5
    torch.testing.assert_close(
        network.logits(simulate(network, TEST.x[:30], 4))[-1], model(TEST.x[:30]).detach(), rtol=1e-10, atol=1e-10
    )


def test_limit_a_network_without_hidden_layer():
    model = mlp((64, 10), generator=seeded())
    network = to_spiking(model, TRAIN)
    assert network.output_scale == 1.0
    logits = network.logits(simulate(network, TEST.x[:5], 3))
    torch.testing.assert_close(logits, model(TEST.x[:5]).detach().expand(3, 5, 10), rtol=1e-12, atol=1e-12)


def test_limit_no_steps():
    network = to_spiking(healthy("mlp"), TRAIN)
    record = simulate(network, TEST.x[:5], 0)
    assert network.logits(record).shape == (0, 5, 10)
    assert not bool(record.spike_counts[0].any())


def test_limit_float32_and_a_deep_network():
    model = vgg15(channels=1, width=2, size=8, generator=seeded())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    x = TRAIN.x[:32].float().reshape(-1, 1, 8, 8)
    network = to_spiking(model, x, percentile=100)
    assert len(network.layers) == 15
    record = simulate(network, x, 64)
    assert record.potential.dtype == torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "spikes"}, "pooling must be one of"),
        ({"maximum": "max"}, "maximum must be one of"),
        ({"neuron": Neuron(threshold=2.0)}, "normalized weights go with the threshold 1, got 2.0"),
        ({"percentile": 0}, r"must lie in \(0, 100\]"),
        ({"percentile": (99.0, 99.9)}, "one percentile is needed here"),
        ({"factors": torch.ones(2)}, "the 3 non-linearities need"),
    ],
)
def test_error_options(options, message):
    with pytest.raises(ParameterError, match=message):
        to_spiking(healthy("biasless"), TRAIN.x[:50], **options)


def test_error_missing_images_and_layers_that_cannot_spike():
    with pytest.raises(ParameterError, match="pass some hundred training images, or factors"):
        to_spiking(healthy("mlp"))
    with pytest.raises(ParameterError, match=r"layer '1' is a Sigmoid.*train with nn.ReLU"):
        to_spiking(nn.Sequential(nn.Linear(64, 4), nn.Sigmoid(), nn.Linear(4, 2)).double(), TRAIN)
    with pytest.raises(ParameterError, match=r"layer 'norms\.0' is a LayerNorm"):
        to_spiking(mlp(normalize=True, generator=seeded()), TRAIN)
