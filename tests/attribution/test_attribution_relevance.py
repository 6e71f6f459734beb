"""Relevance by the epsilon rule: by hand, its limit, and what is lost."""

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
    uniform,
)
from torch import nn

from weightlore.attribution import gradient, gradient_times_input, lrp_epsilon, scores
from weightlore.errors import ParameterError


def by_hand(layers, x, target, epsilon):
    """The sum over j of the rule, layer by layer, for one example."""
    activations, sums, h = [x], [], x
    for layer in layers:
        sums.append(layer.weight @ h + layer.bias)
        h = sums[-1].clamp(min=0)
        activations.append(h)
    relevance = torch.zeros_like(sums[-1])
    relevance[target] = sums[-1][target]
    for layer, a, z in zip(reversed(layers), reversed(activations[:-1]), reversed(sums), strict=True):
        stable = torch.stack([one + epsilon if one >= 0 else one - epsilon for one in z.detach()])
        relevance = torch.stack(
            [sum(a[i] * layer.weight[j, i] / stable[j] * relevance[j] for j in range(len(z))) for i in range(len(a))]
        )
    return relevance.detach()


@pytest.mark.parametrize("epsilon", [1e-9, 0.1, 3.0])
def test_oracle_the_rule_by_hand(epsilon):
    model, x = drawn(Reused()), uniform(3, 6) - 0.5
    found = lrp_epsilon(model, x, TARGET, epsilon=epsilon)
    expected = torch.stack(
        [by_hand([model.one, model.two, model.three], x[n], int(TARGET[n]), epsilon) for n in range(3)]
    )
    assert torch.allclose(found.values, expected, rtol=1e-10, atol=1e-14)
    assert torch.allclose(found.gap, expected.sum(1) - scores(model, x, TARGET), atol=1e-12)


def test_oracle_zero_counts_as_positive():
    model = nn.Linear(2, 1, bias=False).double().eval()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -1.0]]))
    x = torch.tensor([[2.0, 2.0], [3.0, 2.0], [2.0, 3.0]], dtype=torch.float64)
    found = lrp_epsilon(model, x, 0, epsilon=0.5).values
    expected = torch.tensor([[0.0, 0.0], [3 / 1.5, -2 / 1.5], [2 / -1.5 * -1, -3 / -1.5 * -1]], dtype=torch.float64)
    assert torch.allclose(found, expected)
    deep = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Sigmoid(), nn.Linear(1, 1, bias=False)).double().eval()
    with torch.no_grad():
        deep[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
        deep[2].weight.fill_(2.0)
    found = lrp_epsilon(deep, x[:1], 0, epsilon=1e-3).values  # the sum is zero and its sigmoid is not
    assert torch.allclose(found, torch.tensor([[2.0, -2.0]], dtype=torch.float64) / 1e-3 * 1.0 / 1.001, rtol=1e-12)


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", OURS)
def test_limit_small_epsilon_gives_gradient_times_input_biases_or_not(name, output):
    model, x = ours()[name]
    if name != "resnet20":
        drawn(model)
    expected = gradient_times_input(model, x, TARGET, output=output).values
    found = lrp_epsilon(model, x, TARGET, epsilon=1e-14, output=output)
    assert torch.allclose(found.values, expected, rtol=1e-6, atol=1e-9 * float(expected.abs().max()))
    assert found.output == output


@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
def test_limit_small_epsilon_with_pooling_normalization_and_in_place(pool):
    model, x = convolutional(pool, inplace=True), uniform(3, 2, 8, 8)
    expected = gradient_times_input(model, x, TARGET).values
    assert torch.allclose(lrp_epsilon(model, x, TARGET, epsilon=1e-14).values, expected, rtol=1e-8, atol=1e-12)


def test_property_without_biases_relevance_is_kept():
    layers = [
        nn.Linear(6, 8, bias=False),
        nn.Tanh(),
        nn.Linear(8, 7, bias=False),
        nn.ReLU(),
        nn.Linear(7, 3, bias=False),
    ]
    model, x = drawn(nn.Sequential(*layers)), uniform(3, 6)
    found = lrp_epsilon(model, x, TARGET, epsilon=1e-12)
    assert found.gap.abs().max() < 1e-9
    assert torch.allclose(found.values.sum(1), scores(model, x, TARGET))
    assert not torch.allclose(found.values, gradient_times_input(model, x, TARGET).values), "tanh is no ReLU"


def test_property_biases_and_epsilon_absorb_relevance():
    model, x = drawn(Reused()), uniform(3, 6)
    assert lrp_epsilon(model, x, TARGET).gap.abs().min() > 1e-3
    sizes = [lrp_epsilon(model, x, TARGET, epsilon=e).values.abs().sum() for e in (1e-3, 1.0, 100.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_property_the_gap_of_a_probability_is_against_what_started():
    model, x = ours()["mlp"]
    found = lrp_epsilon(model, x, TARGET, output="probability")
    logits = model(x).detach().requires_grad_()
    logits.softmax(1)[torch.arange(3), TARGET].sum().backward()
    started = (logits * logits.grad).sum(1).detach()
    assert torch.allclose(found.gap, found.values.sum(1) - started, atol=1e-14)


def test_property_the_winner_of_a_maximum_takes_all():
    model = nn.Sequential(nn.MaxPool1d(2), nn.Flatten()).eval()
    x = torch.tensor([[[3.0, 1.0, 5.0, 7.0]]], dtype=torch.float64)
    assert torch.allclose(lrp_epsilon(model, x, 1).values, torch.tensor([[[0.0, 0.0, 0.0, 7.0]]]).double())


def test_property_functions_in_place_and_reuse_give_the_same():
    x = uniform(3, 6)
    found = [lrp_epsilon(drawn(m), x, TARGET).values for m in (Reused(), Reused(inplace=True), Functional())]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_property_a_sum_of_two_ways_shares_the_relevance():
    class Residual(nn.Module):
        def __init__(self, inplace):
            super().__init__()
            self.layer, self.inplace = nn.Linear(6, 6), inplace

        def forward(self, x):
            h = torch.relu(self.layer(x))
            if self.inplace:
                h += x
                return h
            return x + h

    x = uniform(3, 6)
    model = drawn(Residual(inplace=False))
    h = torch.relu(model.layer(x)).detach()
    z = (x + h)[torch.arange(3), TARGET]
    a, epsilon = h[torch.arange(3), TARGET], 0.2
    share = a / (z + epsilon) * z
    inner = model.layer(x).detach()[torch.arange(3), TARGET]
    expected = (
        x
        * model.layer.weight.detach()[TARGET]
        * (share / (inner + torch.where(inner >= 0, epsilon, -epsilon)))[:, None]
    )
    expected[torch.arange(3), TARGET] += x[torch.arange(3), TARGET] / (z + epsilon) * z
    assert torch.allclose(lrp_epsilon(model, x, TARGET, epsilon=epsilon).values, expected, rtol=1e-12)
    assert torch.equal(
        lrp_epsilon(drawn(Residual(inplace=True)), x, TARGET, epsilon=epsilon).values,
        lrp_epsilon(model, x, TARGET, epsilon=epsilon).values,
    )


def test_property_two_wirings_of_one_function_differ_though_their_gradients_agree():
    class Wired(nn.Module):
        def __init__(self, detour):
            super().__init__()
            self.detour = detour

        def forward(self, x):
            return torch.relu(x + 1) - torch.relu(-x - 1) if self.detour else x + 1  # z = relu(z) - relu(-z)

    class Outer(nn.Module):
        def __init__(self, detour):
            super().__init__()
            self.inner = Wired(detour)

        def forward(self, x):
            return self.inner(x).sum(1, keepdim=True)

    x = torch.tensor([[2.0, -3.0, 0.5]], dtype=torch.float64)
    one, other = Outer(detour=False).eval(), Outer(detour=True).eval()
    assert torch.equal(one(x), other(x))
    assert torch.equal(gradient(one, x, 0).values, gradient(other, x, 0).values)
    first, second = (lrp_epsilon(model, x, 0, epsilon=0.1).values for model in (one, other))
    assert (first - second).abs().max() > 0.01


def test_property_the_network_is_left_as_it_was():
    model, x = ours()["resnet20"]
    before, logits = {key: one.clone() for key, one in model.state_dict().items()}, model(x)
    lrp_epsilon(model, x, TARGET)
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())
    assert torch.equal(model(x), logits)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_error_epsilon(epsilon):
    with pytest.raises(ParameterError, match="epsilon"):
        lrp_epsilon(drawn(Reused()), uniform(3, 6), 0, epsilon=epsilon)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda h: h * h, "'mul' as it is used here"),
        (lambda h: h.softmax(1), "'softmax'"),
        (lambda h: h.data + h, "cuts an activation off"),
        (lambda h: h.to(torch.int64) + h, "cuts an activation off"),
    ],
)
def test_error_operations_without_a_rule(function, message):
    class Odd(nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(ParameterError, match=message):
        lrp_epsilon(Odd().eval(), uniform(3, 6), 0)
