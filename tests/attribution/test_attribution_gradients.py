"""Gradient and gradient times input."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, drawn, ours, seeded, uniform
from torch import nn

from weightlore.attribution import gradient, gradient_times_input, scores
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp


def test_oracle_a_linear_model_has_its_weights_as_gradient():
    model = nn.Linear(5, 3).double().eval()
    x = uniform(3, 5)
    found = gradient(model, x, TARGET)
    assert torch.equal(found.values, model.weight.detach()[TARGET])
    assert torch.equal(gradient_times_input(model, x, TARGET).values, x * model.weight.detach()[TARGET])
    assert (found.gap, found.output) == (None, "logit")


def test_oracle_where_the_function_is_flat_the_gradient_is_zero():
    class Saturated(nn.Module):
        def forward(self, x):
            return 1 - torch.relu(1 - x)

    x = torch.tensor([[2.0], [0.5]], dtype=torch.float64)
    assert gradient(Saturated().eval(), x, 0).values.tolist() == [[0.0], [1.0]]


def test_property_without_biases_gradient_times_input_is_complete():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10, bias=False)
    )
    for one, x in (
        (mlp((64, 16, 12, 10), bias=False, generator=seeded()), uniform(3, 64)),
        (model, uniform(3, 1, 8, 8)),
    ):
        drawn(one)
        assert torch.allclose(gradient_times_input(one, x, TARGET).values.flatten(1).sum(1), scores(one, x, TARGET))


def test_property_with_biases_it_is_not():
    model, x = drawn(cnn(generator=seeded())), uniform(3, 1, 8, 8)
    gap = gradient_times_input(model, x, TARGET).values.flatten(1).sum(1) - scores(model, x, TARGET)
    assert bool((gap.abs() > 0.01).all())


@pytest.mark.parametrize("method", [gradient, gradient_times_input])
def test_property_values_are_signed_detached_and_shaped_like_the_input(method):
    model, x = ours()["cnn"]
    found = method(model, x.clone().requires_grad_(), TARGET, output="probability")
    assert (found.values.shape, found.values.requires_grad, found.output) == (x.shape, False, "probability")
    assert bool((found.values < 0).any() & (found.values > 0).any())


def test_limit_a_sure_network_has_no_gradient_of_probability_left():
    model = nn.Linear(2, 2).double().eval()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1000.0, 0.0], [0.0, 0.0]]))
    x = uniform(1, 2) + 1
    assert gradient(model, x, 0, output="probability").values.abs().max() < 1e-100
    assert gradient(model, x, 0).values[0, 0] == 1000


@pytest.mark.parametrize("method", [gradient, gradient_times_input])
def test_error_a_network_in_training_mode(method):
    with pytest.raises(ParameterError, match="must be in eval mode"):
        method(cnn(generator=seeded()), uniform(1, 1, 8, 8), 0)
