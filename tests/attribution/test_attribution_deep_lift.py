"""DeepLIFT, rescale rule: by hand, complete for every layer it knows, and no layer passed over."""

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

from weightlore.attribution import deep_lift, gradient, gradient_times_input, scores
from weightlore.errors import ParameterError
from weightlore.networks import mlp

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.ReLU6)


class Wired(nn.Module):
    """The function relu(relu(x1) - 1 - relu(x2)), wired as it stands or as relu(relu(x1 - 1) - relu(x2))."""

    def __init__(self, early: bool) -> None:
        super().__init__()
        self.early = early
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.eval()

    def forward(self, x):
        a, b, c = self.relus
        one, two = x[:, :1], x[:, 1:]
        return c(a(one - 1) - b(two)) if self.early else c(a(one) - 1 - b(two))


def by_hand(layers, x, b, target, phi):
    """Multipliers of a fully connected network, written out."""
    h, h_b, quotients = x, b, []
    for layer in layers[:-1]:
        z, z_b = (one @ layer.weight.T + layer.bias for one in (h, h_b))
        h, h_b = phi(z), phi(z_b)
        quotients.append((h - h_b) / (z - z_b))
    multiplier = layers[-1].weight[target]
    for layer, quotient in zip(reversed(layers[:-1]), reversed(quotients), strict=True):
        multiplier = (multiplier * quotient) @ layer.weight
    return (multiplier * (x - b)).detach()


@pytest.mark.parametrize("phi", [torch.relu, torch.tanh, nn.functional.softplus])
def test_oracle_multipliers_by_hand(phi):
    class Plain(Reused):
        def forward(self, x):
            return self.three(phi(self.two(phi(self.one(x)))))

    model, x, b = drawn(Plain()), uniform(3, 6) - 0.5, uniform(3, 6, seed=1)
    expected = by_hand([model.one, model.two, model.three], x, b, TARGET, phi)
    found = deep_lift(model, x, TARGET, baseline=b)
    assert torch.allclose(found.values, expected, rtol=1e-12, atol=1e-15)
    assert found.gap.abs().max() < 1e-14


def test_oracle_a_linear_model_gives_weights_times_difference():
    model, x = nn.Linear(5, 3).double().eval(), uniform(3, 5)
    assert torch.allclose(deep_lift(model, x, TARGET, baseline=0.25).values, model.weight[TARGET] * (x - 0.25))


def test_oracle_where_the_gradient_saturates_the_difference_does_not():
    class Saturated(nn.Module):
        def forward(self, x):
            return 1 - torch.relu(1 - x)

    x = torch.tensor([[2.0]], dtype=torch.float64)
    assert deep_lift(Saturated().eval(), x, 0).values.item() == 1
    assert gradient(Saturated().eval(), x, 0).values.item() == 0


@pytest.mark.parametrize("x", [[3.0, 1.0, 0.0, 2.0], [0.5, 2.5, 0.1, 0.0], [2.0, 2.0, 2.0, 2.0], [0.2, 0.1, 0.0, 0.0]])
def test_oracle_max_pooling_by_hand(x):
    model = nn.Sequential(nn.MaxPool1d(2), nn.Flatten(0, 1)).eval()
    x, b = torch.tensor([[x]], dtype=torch.float64), torch.tensor([[[1.0, 2.0, 0.3, 0.2]]], dtype=torch.float64)
    found = deep_lift(model, x[0][None], 0, baseline=b).values[0, 0]
    y, y_b = x[0, 0, :2].max(), b[0, 0, :2].max()
    winner = x[0, 0, :2].argmax() if y >= y_b else b[0, 0, :2].argmax()
    expected = torch.zeros(4, dtype=torch.float64)
    expected[winner] = y - y_b
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_property_complete_for_every_activation_and_pooling(activation, pool, output):
    model, x, b = convolutional(pool, activation), uniform(3, 2, 8, 8), uniform(3, 2, 8, 8, seed=1)
    found = deep_lift(model, x, TARGET, baseline=b, output=output)
    difference = scores(model, x, TARGET, output) - scores(model, b, TARGET, output)
    assert torch.allclose(found.values.flatten(1).sum(1), difference, rtol=1e-11, atol=1e-14)
    assert torch.allclose(found.gap, torch.zeros(3, dtype=torch.float64), atol=1e-14)
    assert difference.abs().min() > 1e-6


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", OURS)
def test_property_complete_for_the_packages_networks_which_stay_as_they_were(name, output):
    model, x = ours()[name]
    before = {key: one.clone() for key, one in model.state_dict().items()}
    found = deep_lift(model, x, TARGET, baseline=0.5, output=output)
    difference = scores(model, x, TARGET, output) - scores(model, torch.full_like(x, 0.5), TARGET, output)
    assert torch.allclose(found.values.flatten(1).sum(1), difference, rtol=1e-9, atol=1e-15)
    assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("window", [{"kernel_size": 3, "stride": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_property_complete_where_windows_overlap(window):
    layers = [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(**window), nn.Conv2d(4, 5, 2), nn.AdaptiveAvgPool2d(1)]
    model = drawn(nn.Sequential(*layers, nn.Flatten()))
    found = deep_lift(model, uniform(3, 2, 8, 8), TARGET, baseline=uniform(3, 2, 8, 8, seed=1))
    assert found.gap.abs().max() < 1e-14


def test_property_the_other_way_round_changes_the_sign():
    model, x, b = convolutional(), uniform(3, 2, 8, 8), uniform(3, 2, 8, 8, seed=1)
    there, back = deep_lift(model, x, TARGET, baseline=b), deep_lift(model, b, TARGET, baseline=x)
    assert torch.allclose(there.values, -back.values, rtol=1e-9, atol=1e-14)


def test_property_functions_are_seen_as_modules_are():
    found = [deep_lift(drawn(Functional(name)), uniform(3, 6), TARGET).values for name in ("F", "torch", "in place")]
    model = drawn(Functional())
    apart = nn.Sequential(model.one, nn.ReLU(inplace=True), model.two, nn.ReLU(), model.three).eval()
    found.append(deep_lift(apart, uniform(3, 6), TARGET).values)
    assert all(torch.equal(one, found[0]) for one in found)
    assert not torch.allclose(found[0], gradient_times_input(model, uniform(3, 6), TARGET).values)


def test_property_two_wirings_of_one_function_differ_though_their_gradients_agree():
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    late, early = Wired(early=False), Wired(early=True)
    many = 4 * uniform(200, 2)
    assert torch.allclose(late(many), early(many), atol=1e-15)
    assert torch.equal(gradient(late, x, 0).values, gradient(early, x, 0).values)
    first, second = (deep_lift(model, x, 0) for model in (late, early))
    assert first.values.tolist() == [[1.5, -0.5]]
    assert second.values.tolist() == [[2.0, -1.0]]
    assert (first.gap.item(), second.gap.item()) == (0.0, 0.0), "both are complete"


def test_property_where_input_and_baseline_agree_nothing_is_attributed():
    model, x = convolutional(nn.MaxPool2d), uniform(3, 2, 8, 8)
    b = x.clone()
    b[:, :, :4] = 0.0
    assert torch.count_nonzero(deep_lift(model, x, TARGET, baseline=b).values[:, :, 4:]) == 0


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("pool", [nn.AvgPool2d, nn.MaxPool2d])
def test_limit_at_the_baseline_multipliers_are_the_gradient(pool, output):
    model, x = convolutional(pool, nn.Softplus), uniform(3, 2, 8, 8)
    step = 1e-6 * uniform(3, 2, 8, 8, seed=2)
    slope = gradient(model, x, TARGET, output=output).values
    near = deep_lift(model, x + step, TARGET, baseline=x, output=output, tolerance=1e-12)
    assert torch.allclose(near.values, slope * step, rtol=1e-3, atol=1e-13)
    for tolerance in (0.0, 1e-10):
        same = deep_lift(model, x, TARGET, baseline=x, output=output, tolerance=tolerance)
        assert torch.equal(same.values, torch.zeros_like(x))
    forced = deep_lift(model, x + step, TARGET, baseline=x, output=output, tolerance=1.0)
    assert torch.allclose(forced.values, gradient(model, x + step, TARGET, output=output).values * step, rtol=1e-3)


def test_limit_a_probability_that_is_almost_one_stays_complete():
    model = mlp((6, 5, 4), generator=seeded()).eval()
    with torch.no_grad():
        model.readout.weight.mul_(300)
    x = uniform(3, 6)
    found = deep_lift(model, x, TARGET, output="probability")
    assert bool(torch.isfinite(found.values).all())
    assert found.gap.abs().max() < 1e-12


def test_limit_baselines_of_three_shapes():
    model, x = convolutional(), uniform(3, 2, 8, 8)
    found = [
        deep_lift(model, x, 1, baseline=b).values for b in (0.5, torch.full_like(x, 0.5), torch.full_like(x[0], 0.5))
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("model", [Reused(), Reused(inplace=True)])
def test_error_one_relu_at_two_places(model):
    model = drawn(model)
    with pytest.raises(ParameterError, match="ReLU is one module that runs more than once"):
        deep_lift(model, uniform(3, 6), TARGET)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.Softmax(1), "softmax"),
        (nn.LayerNorm(5), "layer_norm"),
        (nn.PReLU(), "prelu"),
        (nn.LPPool1d(2, 5), "lp_pool1d"),
    ],
)
def test_error_an_operation_without_a_rule(layer, name):
    with pytest.raises(ParameterError, match=f"DeepLIFT has no rule for '{name}'"):
        deep_lift(drawn(nn.Sequential(nn.Linear(6, 5), layer)), uniform(3, 6), 0)


def test_error_a_way_that_depends_on_the_input():
    class Parted(nn.Module):
        def forward(self, x):
            return torch.relu(x) if float(uniform(1)) + x.shape[0] < 0 or self.first() else torch.tanh(x)

        def first(self):
            self.calls = getattr(self, "calls", 0) + 1
            return self.calls == 1

    with pytest.raises(ParameterError, match="another way for x"):
        deep_lift(Parted().eval(), uniform(3, 6), 0)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (torch.zeros(2, 6, dtype=torch.float64), "shaped like x"),
        (torch.zeros(3, 5, dtype=torch.float64), "shaped like x"),
        (torch.zeros(3, 6), "torch.float64"),
        (float("nan"), "the baseline must be finite"),
    ],
)
def test_error_baselines_that_cannot_be_used(baseline, message):
    with pytest.raises(ParameterError, match=message):
        deep_lift(drawn(Functional()), uniform(3, 6), TARGET, baseline=baseline)


def test_error_options():
    with pytest.raises(ParameterError, match="tolerance"):
        deep_lift(drawn(Functional()), uniform(3, 6), TARGET, tolerance=-1.0)
