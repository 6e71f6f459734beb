"""Grad-CAM on any layer, and its guided version."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, Reused, convolutional, drawn, ours, uniform
from torch import nn

from weightlore.attribution import class_activation_map, grad_cam, guided_backprop, guided_grad_cam
from weightlore.errors import ParameterError

PLACES = {"cnn": "nonlinear.1", "vgg11": "layers.3", "vgg15": "pools.4", "resnet20": "blocks.4"}


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_oracle_weights_and_sum_by_hand(output):
    model, x = ours()["cnn"]
    maps = model.activations(x)[1].detach().requires_grad_()
    logits = model.head(model.phi(2)(model.pre(2, maps)))
    score = (logits if output == "logit" else logits.softmax(1))[torch.arange(3), TARGET].sum()
    (slope,) = torch.autograd.grad(score, maps)
    expected = torch.einsum("nk,nkhw->nhw", slope.mean((2, 3)), maps.detach())[:, None]
    found = class_activation_map(model, x, TARGET, layer="nonlinear.1", relu=False, output=output)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-16)
    assert torch.equal(class_activation_map(model, x, TARGET, layer="nonlinear.1", output=output), found.clamp(min=0))
    large = nn.functional.interpolate(expected.clamp(min=0), (8, 8), mode="bilinear")
    assert torch.allclose(grad_cam(model, x, TARGET, layer="nonlinear.1", output=output).values, large, atol=1e-16)


@pytest.mark.parametrize("name", PLACES)
def test_property_any_layer_by_name_or_as_module(name):
    model, x = ours()[name]
    by_name = grad_cam(model, x, TARGET, layer=PLACES[name], relu=False)
    by_module = grad_cam(model, x, TARGET, layer=model.get_submodule(PLACES[name]), relu=False)
    assert torch.equal(by_name.values, by_module.values)
    assert (by_name.values.shape, by_name.gap) == (x.shape, None)
    assert torch.equal(by_name.values, by_name.values[:, :1].expand_as(x)), "the same for all channels"
    assert not any(module._forward_hooks for module in model.modules())


def test_property_a_layer_in_place_after_it_does_not_change_the_map():
    x = uniform(3, 2, 8, 8)
    for layer in ("1", "5"):  # what a ReLU follows
        one, other = (
            class_activation_map(convolutional(inplace=way), x, TARGET, layer=layer, relu=False)
            for way in (False, True)
        )
        assert torch.equal(one, other)


def test_property_guided_is_the_product_and_zero_where_the_map_is():
    model, x = ours()["resnet20"]
    cam = grad_cam(model, x, TARGET, layer="blocks.4")
    guided = guided_grad_cam(model, x, TARGET, layer="blocks.4")
    assert torch.equal(guided.values, cam.values * guided_backprop(model, x, TARGET).values)
    assert bool((cam.values == 0).any())
    assert torch.count_nonzero(guided.values[cam.values == 0]) == 0


def test_limit_a_map_of_zeros_is_legal():
    model, x = convolutional(), uniform(3, 2, 8, 8)
    with torch.no_grad():
        model[-1].weight.copy_(-model[-1].weight.abs())
    found = grad_cam(model, x, TARGET, layer="6")
    assert torch.equal(found.values, torch.zeros_like(x))
    assert torch.equal(guided_grad_cam(model, x, TARGET, layer="6").values, torch.zeros_like(x))
    assert grad_cam(model, x, TARGET, layer="6", relu=False).values.max() < 0


@pytest.mark.parametrize(
    ("layer", "message"),
    [("nowhere", "'0', '1'"), (nn.ReLU(), "a part of the network"), (3, "a part of"), ("8", r"gives \(3, 24\)")],
)
def test_error_layers_that_cannot_be_looked_at(layer, message):
    model = convolutional()
    with pytest.raises(ParameterError, match=message):
        grad_cam(model, uniform(3, 2, 8, 8), TARGET, layer=layer)
    assert not any(module._forward_hooks for module in model.modules())


def test_error_a_layer_that_runs_twice_or_never():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.idle, self.readout = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3), nn.Linear(128, 3)

        def forward(self, x):
            return self.readout(self.conv(self.conv(x)).flatten(1))

    for layer, times in (("conv", 2), ("idle", 0)):
        with pytest.raises(ParameterError, match=f"ran {times} times"):
            grad_cam(drawn(Twice()), uniform(3, 2, 8, 8), TARGET, layer=layer)


def test_error_inputs_that_are_no_images():
    with pytest.raises(ParameterError, match="class_activation_map"):
        grad_cam(drawn(Reused()), uniform(3, 6), TARGET, layer="relu")
