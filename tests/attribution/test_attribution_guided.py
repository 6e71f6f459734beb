"""Guided rules for ReLU: by hand, in place, reused, and found where they are functions."""

import pytest
import torch
from tests.attribution.attribution_networks import (
    OURS,
    TARGET,
    Functional,
    Reused,
    convolutional,
    drawn,
    ours,
    seeded,
    uniform,
)
from torch import nn

from weightlore.attribution import deconvnet, gradient, guided_backprop, passed_back
from weightlore.errors import ParameterError
from weightlore.networks import mlp

RULES = {
    guided_backprop: lambda z, signal: (z > 0) * (signal > 0) * signal,
    deconvnet: lambda z, signal: (signal > 0) * signal,
}


def by_hand(layers, x, target, rule):
    """A fully connected network with ReLU, forward and backward written out."""
    h, inputs = x, []
    for layer in layers[:-1]:
        z = h @ layer.weight.T + layer.bias
        inputs.append(z)
        h = z.clamp(min=0)
    signal = layers[-1].weight[target]
    for layer, z in zip(reversed(layers[:-1]), reversed(inputs), strict=True):
        signal = rule(z, signal) @ layer.weight
    return signal.detach()


@pytest.mark.parametrize("method", RULES)
def test_oracle_both_rules_by_hand(method):
    model, x = drawn(Reused()), uniform(3, 6) - 0.5
    expected = by_hand([model.one, model.two, model.three], x, TARGET, RULES[method])
    assert torch.allclose(method(model, x, TARGET).values, expected, rtol=1e-12, atol=1e-15)
    assert not torch.allclose(expected, gradient(model, x, TARGET).values)


@pytest.mark.parametrize("method", RULES)
def test_property_in_place_gives_the_same(method):
    x = uniform(3, 2, 8, 8)
    for pool in (nn.AvgPool2d, nn.MaxPool2d):
        plain, in_place = (method(convolutional(pool, inplace=way), x, TARGET).values for way in (False, True))
        assert torch.equal(plain, in_place)
    y = uniform(3, 6)
    assert torch.equal(method(drawn(Reused()), y, TARGET).values, method(drawn(Reused(inplace=True)), y, TARGET).values)


@pytest.mark.parametrize("method", RULES)
def test_property_a_reused_module_gives_what_two_modules_give(method):
    model, x = drawn(Reused()), uniform(3, 6)
    apart = nn.Sequential(model.one, nn.ReLU(), model.two, nn.ReLU(), model.three).eval()
    assert torch.equal(method(model, x, TARGET).values, method(apart, x, TARGET).values)


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", OURS)
def test_property_the_packages_networks_are_guided_and_left_as_they_were(name, output):
    model, x = ours()[name]
    before = {key: one.clone() for key, one in model.state_dict().items()}
    logits = model(x).detach()
    found = guided_backprop(model, x, TARGET, output=output)
    assert (found.values.shape, found.gap, found.output) == (x.shape, None, output)
    assert not torch.allclose(found.values, gradient(model, x, TARGET, output=output).values)
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())
    assert torch.equal(model(x), logits)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_property_every_relu_is_passed():
    counts = {"mlp": 2, "cnn": 3, "vgg11": 10, "vgg15": 14, "resnet20": 19}
    for name, (model, x) in ours().items():
        assert passed_back(model, x, TARGET, rule=RULES[deconvnet])[1] == counts[name]


def test_property_the_rule_of_the_gradient_gives_the_gradient():
    model, x = convolutional(nn.MaxPool2d), uniform(3, 2, 8, 8)
    found, passed = passed_back(model, x, TARGET, rule=lambda active, signal: active * signal)
    assert torch.allclose(found, gradient(model, x, TARGET).values, rtol=1e-12, atol=1e-16)
    assert passed == 2


def test_limit_without_a_relu_the_rules_are_the_gradient():
    model, x = convolutional(activation=nn.Tanh), uniform(3, 2, 8, 8)
    found, passed = passed_back(model, x, TARGET, rule=RULES[guided_backprop])
    assert passed == 0
    assert torch.equal(found, gradient(model, x, TARGET).values)


@pytest.mark.parametrize("method", RULES)
def test_error_without_a_relu(method):
    with pytest.raises(ParameterError, match="calls none"):
        method(convolutional(activation=nn.Tanh), uniform(3, 2, 8, 8), TARGET)


@pytest.mark.parametrize("spelling", ["F", "torch", "in place", "method"])
@pytest.mark.parametrize("method", RULES)
def test_error_relu_as_a_function_is_found(method, spelling):
    with pytest.raises(ParameterError, match=r"make an nn.ReLU\(\)"):
        method(drawn(Functional(spelling)), uniform(3, 6), TARGET)


def test_error_one_function_among_modules_is_found_and_nothing_is_left_behind():
    class Mixed(Reused):
        def forward(self, x):
            return self.three(torch.relu(self.two(self.relu(self.one(x)))))

    model, x = drawn(Mixed()), uniform(3, 6)
    with pytest.raises(ParameterError, match="as a function"):
        guided_backprop(model, x, TARGET)
    assert all(p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert gradient(model, x, TARGET).values.abs().max() > 0


def test_error_a_network_in_training_mode():
    with pytest.raises(ParameterError, match="must be in eval mode"):
        guided_backprop(mlp((4, 3, 2), generator=seeded()), uniform(1, 4), 0)
