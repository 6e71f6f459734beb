"""Networks on crossbars: the same numbers as quantized layers in torch, and the gradient of those."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightlore.bitslice import FixedPoint
from weightlore.crossbar import (
    Adc,
    Cells,
    Crossbar,
    CrossbarConfig,
    CrossbarLayer,
    clipped_inputs,
    convert,
    crossbar_layers,
    report,
    sweep,
)
from weightlore.crossbar.programming import AbsoluteNoise
from weightlore.crossbar.scales import codes_of, step_for
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20, vgg11
from weightlore.training import evaluate

NOISY = CrossbarConfig(cells=Cells(2.0, 100.0, programming=AbsoluteNoise(3.0)))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def values(*shape: int, seed: int = 0, low: float = 0.0) -> Tensor:
    return low + (1 - low) * torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def settled(layer: nn.Module) -> nn.Module:
    """The layer with parameters from a generator of our own, in float64."""
    layer, random = layer.to(torch.float64), seeded(1)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape, generator=random, dtype=torch.float64) / 4)
    return layer


def on_grid(x: Tensor, largest: float, bits: int = 8) -> Tensor:
    step = step_for(largest, bits)
    return codes_of(x, step, bits) * step


def quantized(layer: nn.Linear | nn.Conv2d, x: Tensor, largest: float) -> Tensor:
    """What the layer gives with weights and inputs on their grids, by torch alone."""
    copied = copy.deepcopy(layer)
    with torch.no_grad():
        copied.weight.copy_(on_grid(layer.weight, float(layer.weight.abs().max())))
        if layer.bias is None:
            return copied(on_grid(x, largest))
        copied.bias.zero_()
        bias = layer.bias if isinstance(layer, nn.Linear) else layer.bias[:, None, None]
        return copied(on_grid(x, largest)) + bias


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_oracle_a_linear_layer_is_the_quantized_one(bias: bool, low: float) -> None:
    layer, x = settled(nn.Linear(200, 7, bias=bias)), values(5, 200, low=low)
    hardware = convert(layer, CrossbarConfig(), calibrate=x)
    assert isinstance(hardware, CrossbarLayer)
    assert torch.equal(hardware(x), quantized(layer, x, float(x.abs().max())))  # type: ignore[arg-type]


CONVOLUTIONS = {
    "plain": nn.Conv2d(3, 4, 3),
    "stride and padding": nn.Conv2d(3, 4, 3, stride=2, padding=1),
    "not square": nn.Conv2d(3, 4, (1, 3), stride=(1, 2), padding=(2, 1)),
    "dilation": nn.Conv2d(3, 4, 3, dilation=2, padding=2, bias=False),
    "groups": nn.Conv2d(4, 6, 3, groups=2, padding=1),
    "depthwise": nn.Conv2d(4, 4, 3, groups=4),
    "1x1": nn.Conv2d(3, 4, 1),
    "same": nn.Conv2d(3, 4, (2, 3), padding="same"),
    "reflect": nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    "circular": nn.Conv2d(3, 4, 3, padding=(1, 2), padding_mode="circular"),
    "replicate": nn.Conv2d(3, 4, 3, padding=2, padding_mode="replicate"),
}


@pytest.mark.parametrize("signed", ["none", "offset", "two_pass"])
@pytest.mark.parametrize("layer", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_oracle_a_convolution_is_the_quantized_one(layer: nn.Conv2d, signed: str) -> None:
    x = values(2, layer.in_channels, 7, 6, low=0.0 if signed == "none" else -1.0)
    layer = settled(copy.deepcopy(layer))  # type: ignore[assignment]
    config = CrossbarConfig(rows=16, signed_input=signed)  # type: ignore[arg-type]
    assert torch.equal(convert(layer, config, calibrate=x)(x), quantized(layer, x, float(x.abs().max())))


def test_property_the_source_model_is_left_as_it_was() -> None:
    model, x = healthy("cnn"), digits("train").x[:40]
    state, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    rng, hooks = torch.get_rng_state(), [len(m._forward_pre_hooks) for m in model.modules()]
    hardware = convert(model, NOISY, calibrate=x, generator=seeded())
    hardware.train()
    hardware(x).sum().backward()
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert [len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_oracle_the_gradient_is_that_of_the_quantized_layer(kind: str) -> None:
    layer = settled(nn.Linear(6, 3) if kind == "linear" else nn.Conv2d(2, 3, 3, padding=1, stride=2))
    x = values(4, 6) if kind == "linear" else values(4, 2, 5, 5)
    hardware = convert(layer, CrossbarConfig(rows=8, adc=Adc(bits=2)), calibrate=x).train()
    largest, through = float(x.abs().max()), x.clone().requires_grad_()
    out = hardware(through)
    weights = torch.randn(out.shape, generator=seeded(5), dtype=torch.float64)
    (out * weights).sum().backward()
    grid = copy.deepcopy(layer)
    with torch.no_grad():
        grid.weight.copy_(on_grid(layer.weight, float(layer.weight.abs().max())))
    straight = on_grid(x, largest).requires_grad_()
    dense = grid(straight)
    assert not torch.equal(dense, out)  # the hardware saturates, the gradient passes
    (dense * weights).sum().backward()
    torch.testing.assert_close(through.grad, straight.grad)
    torch.testing.assert_close(hardware.weight.grad, grid.weight.grad)
    torch.testing.assert_close(hardware.bias.grad, grid.bias.grad)


def test_property_no_gradient_beyond_the_range() -> None:
    layer = settled(nn.Linear(6, 3))
    hardware = convert(layer, calibrate=values(4, 6))
    x = torch.tensor([[0.5, 3.0, 0.1, -2.0, 0.2, 0.9]], dtype=torch.float64, requires_grad=True)
    (hardware(x) * torch.tensor([1.0, 2.1, 3.3])).sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).tolist() == [[True, False, True, False, True, True]]


def test_property_training_programs_the_crossbar_anew() -> None:
    layer, x = settled(nn.Linear(20, 3)), values(8, 20)
    hardware = convert(layer, calibrate=x).train()
    before, chip = hardware(x).detach(), hardware.chips[0]
    hardware(x)
    assert hardware.chips[0] is chip  # the codes have not changed
    tuner = torch.optim.SGD(hardware.parameters(), lr=0.005)
    hardware(x).square().sum().backward()
    tuner.step()
    after = hardware(x).detach()
    assert hardware.chips[0] is not chip
    assert after.square().sum() < before.square().sum()
    written = copy.deepcopy(layer)
    written.load_state_dict({"weight": hardware.weight, "bias": hardware.bias})
    assert torch.equal(after, quantized(written, x, float(x.abs().max())))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["mlp", "cnn", "biasless"])
def test_property_a_healthy_network_stays_healthy_in_eight_bits(model) -> None:  # type: ignore[no-untyped-def]
    network, test = healthy(model), digits("test")
    hardware = convert(network, calibrate=digits("train"))
    assert abs(evaluate(hardware, test).accuracy - evaluate(network, test).accuracy) <= 0.01
    dense = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(crossbar_layers(hardware)) == len(dense)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "vgg11", "resnet20"])
def test_oracle_ideal_arrays_follow_every_network_of_ours(kind: str) -> None:
    make = {
        "mlp": lambda: mlp(generator=seeded()),
        "cnn": lambda: cnn(generator=seeded()),
        "vgg11": lambda: vgg11(width=4, generator=seeded(), dtype=torch.float64),
        "resnet20": lambda: resnet20(width=4, generator=seeded(), dtype=torch.float64),
    }
    network = make[kind]().eval()
    x = values(2, 64) if kind in ("mlp", "cnn") else values(2, 3, 32, 32)
    with torch.no_grad():
        expected, found = network(x), convert(network, CrossbarConfig(weight_bits=12, input_bits=12), calibrate=x)(x)
    assert float((found - expected).abs().max()) < 0.02 * float(expected.abs().max())


def test_property_a_network_in_fixed_point_moves_as_it_is() -> None:
    fixed, x = FixedPoint(healthy("mlp")), digits("test").x[:50]
    plain = fixed.plain()
    hardware = convert(plain, calibrate=digits("train"))
    codes = {name: found.code for name, found in fixed.codes().items()}
    for name, layer in crossbar_layers(hardware).items():
        chip = layer.chips[0]
        assert isinstance(chip, Crossbar)
        assert torch.equal(chip.codes, codes[f"{name}.weight"].to(torch.int64))
    assert (hardware(x).argmax(-1) == plain(x).argmax(-1)).double().mean() > 0.97


def test_property_a_shared_layer_stays_shared() -> None:
    one = settled(nn.Linear(6, 6))
    hardware = convert(nn.Sequential(one, nn.ReLU(), one), calibrate=values(3, 6))
    assert len(crossbar_layers(hardware)) == 1
    assert hardware[0] is hardware[2]


def test_property_what_is_skipped_stays_digital() -> None:
    model, x = healthy("mlp"), digits("train").x[:20]
    names = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    hardware = convert(model, calibrate=x, skip=[names[-1]])
    assert list(crossbar_layers(hardware)) == names[:-1]
    assert isinstance(hardware.get_submodule(names[-1]), nn.Linear)


def test_oracle_inputs_beyond_the_range_are_counted() -> None:
    hardware = convert(settled(nn.Linear(4, 2)), calibrate=torch.ones(1, 4, dtype=torch.float64))
    assert clipped_inputs(hardware) == {"": 0}
    hardware(torch.tensor([[0.3, 1.0, 1.5, 7.0], [2.0, 0.0, 0.0, 1.0]], dtype=torch.float64))
    assert clipped_inputs(hardware) == {"": 3}
    hardware(torch.tensor([[0.3, 1.0, 1.5, 0.0]], dtype=torch.float64))
    assert clipped_inputs(hardware) == {"": 4}


def test_oracle_inputs_below_zero_are_counted_where_none_was() -> None:
    hardware = convert(settled(nn.Linear(4, 2)), calibrate=torch.ones(1, 4, dtype=torch.float64))
    x = torch.tensor([[-0.3, 0.0, 1.0, -7.0]], dtype=torch.float64)
    assert torch.equal(hardware(x), hardware(x.clamp(min=0)))
    assert clipped_inputs(hardware) == {"": 2}
    signed = convert(settled(nn.Linear(4, 2)), calibrate=torch.tensor([[1.0, -1.0, 0.5, 0.0]], dtype=torch.float64))
    signed(torch.tensor([[-0.3, -1.0, -1.5, 2.0]], dtype=torch.float64))
    assert clipped_inputs(signed) == {"": 2}


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_error_inputs_that_are_no_numbers(bad: float) -> None:
    hardware = convert(settled(nn.Linear(4, 2)), calibrate=values(3, 4))
    with pytest.raises(ParameterError, match="inputs of a layer on a crossbar must be finite, but 1 of its 4"):
        hardware(torch.tensor([[0.1, bad, 0.2, 0.3]], dtype=torch.float64))
    assert clipped_inputs(hardware) == {"": 0}


@pytest.mark.parametrize("config", [NOISY, CrossbarConfig(adc=Adc(bits=3, step="full_scale", range="calibrated"))])
def test_property_a_saved_network_keeps_its_chips(config: CrossbarConfig) -> None:
    model, x = healthy("mlp"), digits("train").x[:30]
    first = convert(model, config, calibrate=x, generator=seeded(0))
    second = convert(model, config, calibrate=x / 2, generator=seeded(1))
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))
    assert torch.equal(pickle.loads(pickle.dumps(first))(x), first(x))


def test_limit_an_empty_batch() -> None:
    hardware = convert(healthy("mlp"), calibrate=digits("train"))
    assert hardware(torch.zeros(0, 64, dtype=torch.float64)).shape == (0, 10)


def test_error_layers_that_have_no_form_on_a_crossbar_are_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.GRU(4, 4))
    with pytest.raises(ParameterError, match=r"layer '1' is a GRU.*skip=\['1'\]"):
        convert(model, calibrate=torch.ones(2, 4))
    with pytest.raises(ParameterError, match=r"no nn\.Linear or nn\.Conv2d"):
        convert(nn.ReLU(), calibrate=torch.ones(2, 4))
    with pytest.raises(ParameterError, match="skip names 'readout2'"):
        convert(healthy("mlp"), calibrate=digits("train"), skip=["readout2"])


def test_error_a_calibration_set_that_says_nothing() -> None:
    empty = digits("train")[torch.zeros(0, dtype=torch.int64)]
    for calibrate in (empty, empty.x):
        with pytest.raises(ParameterError, match="calibration set is empty"):
            convert(healthy("mlp"), calibrate=calibrate)
    with pytest.raises(ParameterError, match="calibration inputs"):
        convert(healthy("mlp"), calibrate=torch.full((2, 64), float("nan"), dtype=torch.float64))


def test_error_data_of_another_width() -> None:
    linear, conv = settled(nn.Linear(64, 5)), settled(nn.Conv2d(2, 1, 3))
    for model, x, wide, words in (
        (linear, values(3, 64), values(3, 63), r"reads 64 inputs in the last dimension, got shape \(3, 63\)"),
        (conv, values(1, 2, 5, 5), values(1, 3, 5, 5), r"reads 2 channels in dimension 1, got shape \(1, 3, 5, 5\)"),
    ):
        hardware = convert(model, calibrate=x.abs())
        before = {name: tensor.clone() for name, tensor in hardware.state_dict().items()}
        for attempt in (
            lambda model=model, wide=wide: convert(model, calibrate=wide),
            lambda hardware=hardware, wide=wide: hardware(wide),
            lambda hardware=hardware, wide=wide: report(hardware, wide),
            lambda hardware=hardware, wide=wide: sweep(hardware, Split(wide, torch.zeros(len(wide)))),
        ):
            with pytest.raises(ParameterError, match=words):
                attempt()
        assert all(torch.equal(before[name], tensor) for name, tensor in hardware.state_dict().items())


def test_error_a_layer_that_is_never_called() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    with pytest.raises(ParameterError, match="'idle' is never called"):
        convert(Idle(), calibrate=torch.ones(1, 4))


def test_error_a_generator_is_asked_for_and_a_convolution_wants_images() -> None:
    with pytest.raises(ParameterError, match="generator"):
        convert(healthy("mlp"), NOISY, calibrate=digits("train"))
    hardware = convert(settled(nn.Conv2d(1, 1, 3)), calibrate=values(1, 1, 5, 5))
    with pytest.raises(ParameterError, match="batches"):
        hardware(values(1, 5, 5))
    with pytest.raises(ParameterError, match="convert it first"):
        crossbar_layers(healthy("mlp"))


def test_oracle_the_dense_path_is_torchs() -> None:
    layer, x = settled(nn.Conv2d(2, 3, 3, padding=1)), values(2, 2, 4, 4)
    hardware = convert(layer, calibrate=Split(x, torch.zeros(2)))
    weight = on_grid(layer.weight.detach(), float(layer.weight.detach().abs().max()))  # type: ignore[operator]
    expected = F.conv2d(on_grid(x, float(x.max())), weight, None, padding=1)
    assert torch.equal(hardware(x), expected + layer.bias[:, None, None])  # type: ignore[index]
