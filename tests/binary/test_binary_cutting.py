"""Stages: what a model computes, cut at its non-linearities."""

import copy

import pytest
import torch
from torch import nn

from weightlore.binary import ClipFloorShift, staged
from weightlore.binary.stages import Stage, Staged
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import Chain, cnn, healthy, mlp, resnet20, vgg11, vgg15


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def trained_statistics(model, x):
    """Random gains and statistics, so that folding them changes something."""
    generator = seeded(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            with torch.no_grad():
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator, dtype=x.dtype))
                module.bias.copy_(torch.randn(module.bias.shape, generator=generator, dtype=x.dtype))
    with torch.no_grad():
        model.train()
        model(x)
    return model.eval()


def images(count=5, channels=1, size=8, seed=3):
    return torch.randn(count, channels, size, size, generator=seeded(seed), dtype=torch.float64)


def convolutional(*behind, channels=4, side=4):
    """A small sequence: a convolution, what stands behind it, a readout."""
    return (
        nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), *behind, nn.Flatten(), nn.Linear(channels * side * side, 3))
        .double()
        .eval()
    )


MODELS = {
    "mlp": lambda: mlp((64, 20, 10, 10), generator=seeded()),
    "linear": lambda: mlp((64, 10), generator=seeded()),
    "cnn": lambda: cnn(generator=seeded()),
    "vgg11": lambda: vgg11(channels=1, width=4, size=8, generator=seeded(), dtype=torch.float64),
    "vgg15": lambda: vgg15(channels=1, width=2, size=9, generator=seeded(), dtype=torch.float64),
    "resnet": lambda: resnet20(channels=1, width=3, generator=seeded(), dtype=torch.float64),
    "pool before": lambda: convolutional(nn.BatchNorm2d(4), nn.AvgPool2d(2), nn.ReLU()),
    "pool before norm": lambda: convolutional(nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.ReLU()),
    "pool after": lambda: convolutional(nn.ReLU(), nn.Dropout(0.3), nn.AvgPool2d(2)),
    "maximum before": lambda: convolutional(nn.MaxPool2d(2), nn.ReLU()),
    "maximum after": lambda: convolutional(nn.ReLU(), nn.MaxPool2d(2)),
    "two layers between": lambda: convolutional(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2), nn.ReLU()),
    "rectified input": lambda: nn.Sequential(nn.ReLU(), *convolutional(nn.AvgPool2d(2), nn.ReLU())).double(),
    "rectified twice": lambda: convolutional(nn.ReLU(), nn.AvgPool2d(2), nn.ReLU()),
    "maximum of the input": lambda: nn.Sequential(nn.MaxPool2d(2), *convolutional(nn.ReLU())).double(),
    "nested": lambda: convolutional(nn.Sequential(nn.AvgPool2d(2), nn.Sequential(nn.ReLU(), nn.Identity()))),
    "one relu at two places": lambda: convolutional(relu := nn.ReLU(), nn.Conv2d(4, 4, 1), relu, nn.AvgPool2d(2)),
    "steps": lambda: convolutional(nn.AvgPool2d(2), ClipFloorShift(4, ceiling=0.7)),
}


@pytest.mark.parametrize("name", MODELS)
def test_oracle_stages_compute_what_the_model_does(name):
    model = MODELS[name]()
    size = 9 if name == "vgg15" else 8
    x = images(size=size)
    x = x.flatten(1) if name in ("mlp", "linear") else x
    model = trained_statistics(model, x)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    found = staged(model)
    torch.testing.assert_close(found(x), model(x), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d | nn.Dropout) for module in found.modules())


@pytest.mark.parametrize("name", ["mlp", "cnn", "vgg15"])
def test_oracle_activations_are_those_of_the_model(name):
    model = trained_statistics(MODELS[name](), x := images(size=9 if name == "vgg15" else 8))
    found, expected = staged(model).activations(x), model.activations(x)
    assert len(found) == len(staged(model)) == model.num_layers
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_oracle_residual_activations_are_those_of_every_relu_in_order():
    model = trained_statistics(MODELS["resnet"](), x := images())
    seen = []
    hooks = [m.register_forward_hook(lambda _m, _x, y: seen.append(y)) for m in model.modules() if type(m) is nn.ReLU]
    model(x)
    for hook in hooks:
        hook.remove()
    found = staged(model)
    assert len(found) == len(seen) == 19
    for a, b in zip(found.activations(x), seen, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    sources = [sorted(stage.sources) for stage in found.all]
    assert sources[:4] == [[0], [1], [1, 2], [3]]
    assert sources[-1] == [19]


def test_property_plain_layers_stay_plain():
    stages = staged(healthy("biasless")).all
    assert [type(m).__name__ for s in stages[1:] for m in s.sources.values()] == ["Linear"] * 3
    assert [type(m).__name__ for m in stages[0].sources[0]] == ["Flatten", "Linear"]
    assert [stage.name for stage in stages] == ["nonlinear.0", "nonlinear.1", "nonlinear.2", "readout"]


def test_property_flat_images_and_images_are_read_alike():
    model = cnn(generator=seeded())
    x = digits("validation").x[:4]
    assert torch.equal(staged(model)(x), staged(model)(x.reshape(-1, 1, 8, 8)))


def test_property_stages_of_stages_are_a_copy():
    once = staged(healthy())
    again = staged(once)
    assert torch.equal(once(digits().x[:3]), again(digits().x[:3]))
    assert again is not once


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(2, 2), "a Chain, a Residual or an nn.Sequential can be made to spike, got a Linear"),
        (convolutional(nn.Tanh()), "layer '1' is a Tanh, which has no spiking form here; a firing rate follows a ReLU"),
        (convolutional(nn.LayerNorm(8)), "layer '1' is a LayerNorm.*depends on the example"),
        (convolutional(nn.GroupNorm(2, 4)), "GroupNorm.*depends on the example"),
        (convolutional(nn.PReLU()), "PReLU.*train the network without it"),
        (convolutional(nn.ReLU(), nn.BatchNorm2d(4)), "normalization '2' has no layer of weights directly before it"),
        (convolutional(nn.MaxPool2d(2), nn.BatchNorm2d(4), nn.ReLU()), "put it between a layer and its pooling"),
        (convolutional(nn.AvgPool2d(2, padding=1), nn.BatchNorm2d(4)), "normalization '2'"),
        (convolutional(nn.MaxPool2d(2)), "between a maximum over windows and '3' there is no ReLU"),
        (convolutional(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.ReLU()), "between a maximum over windows and '2'"),
        (convolutional(nn.ReLU(), nn.AvgPool2d(2), nn.MaxPool2d(2)), "'3' stands behind another pooling"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "ends in '1' without a layer of weights"),
        (nn.Sequential(), "without a layer of weights"),
        (nn.Sequential(nn.Linear(4, 4), nn.MaxPool2d(2)), "between a maximum over windows and the readout"),
    ],
)
def test_error_layers_without_a_spiking_form(model, message):
    with pytest.raises(ParameterError, match=message):
        staged(model)


def test_error_other_parts_of_a_residual_network():
    model = resnet20(width=2, generator=seeded())
    model.blocks[3] = nn.Identity()
    with pytest.raises(ParameterError, match=r"layer 'blocks.3' is a Identity"):
        staged(model)
    for name in ("nonlinear.0", "nonlinear.4", "blocks.2.relu"):
        model = resnet20(width=2, generator=seeded())
        model.set_submodule(name, nn.GELU())
        with pytest.raises(ParameterError, match=f"layer '{name}' is a GELU"):
            staged(model)


def test_error_stages_that_are_no_network():
    layer = nn.Linear(2, 2)
    with pytest.raises(ParameterError, match="must end in a readout"):
        Staged([Stage("a", {0: layer}, nn.ReLU())])
    with pytest.raises(ParameterError, match="must end in a readout"):
        Staged([Stage("a", {0: layer}, None), Stage("b", {1: layer}, None)])


def test_limit_a_chain_that_does_more_is_still_cut_where_its_parts_say_so():
    model = copy.deepcopy(healthy("mlp"))
    assert isinstance(model, Chain)
    model.nonlinear[0] = nn.Sequential(nn.ReLU(), nn.Dropout(0.9))
    x = digits().x[:5]
    torch.testing.assert_close(staged(model)(x), healthy("mlp")(x), rtol=1e-12, atol=1e-12)
