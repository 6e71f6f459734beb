"""Bounded layers: the norm against dense matrices, the bound after training, and distances through residual layers."""

import copy

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp, resnet20
from weightlore.training import fit
from weightlore.uncertainty.deterministic import (
    ResidualTrunk,
    operator_norm,
    posterior_network,
    spectral_norm_conv2d,
    spectral_norm_linear,
    trunk_of,
    with_bounds,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def drawn(layer, seed=0):
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(normal(*parameter.shape, seed=seed))
    return layer


def bounded_layers(model):
    return [m for m in model.modules() if hasattr(m, "parametrizations")]


@pytest.mark.parametrize(
    "options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"groups": 2, "padding": 1}, {"dilation": 2}]
)
def test_oracle_norm_of_a_convolution_is_that_of_its_dense_matrix(options):
    layer = drawn(nn.Conv2d(2, 4, 3, **options))
    plain = copy.deepcopy(layer)
    dense = torch.func.jacrev(lambda v: plain._conv_forward(v[None], plain.weight, None))(torch.zeros(2, 6, 6).double())
    exact = float(torch.linalg.matrix_norm(dense.detach().reshape(-1, 72), 2))
    spectral_norm_conv2d(layer, 1e6, image=(6, 6), generator=seeded())
    assert operator_norm(layer) == pytest.approx(exact, rel=1e-3)
    assert torch.equal(layer.weight, plain.weight)
    tight = spectral_norm_conv2d(plain, 0.5 * exact, image=(6, 6), generator=seeded())
    assert operator_norm(tight) == pytest.approx(0.5 * exact, rel=0.05)


def test_oracle_norm_of_a_linear_layer():
    layer = drawn(nn.Linear(7, 5))
    exact = float(torch.linalg.svdvals(layer.weight.detach())[0])
    held = spectral_norm_linear(layer, 0.25 * exact, generator=seeded())
    assert operator_norm(held) == pytest.approx(0.25 * exact, rel=1e-2)
    assert operator_norm(held) >= 0.25 * exact * (1 - 1e-12), "one sees the norm from below, so it is never overdone"


def test_oracle_gradient_with_the_directions_held():
    layer = spectral_norm_linear(drawn(nn.Linear(4, 3)), 0.5, generator=seeded()).eval()
    bound = layer.parametrizations.weight[0]
    assert torch.autograd.gradcheck(bound, normal(3, 4, seed=5).requires_grad_())
    conv = spectral_norm_conv2d(drawn(nn.Conv2d(1, 2, 3)), 0.5, image=(4, 4), generator=seeded()).eval()
    assert torch.autograd.gradcheck(conv.parametrizations.weight[0], normal(2, 1, 3, 3, seed=5).requires_grad_())


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_property_after_training_no_layer_is_above_its_bound(scale):
    bounded = with_bounds(
        cnn((3, 4), hidden=8, generator=seeded()), digits("train").x[:1], bound=0.9, generator=seeded()
    )
    data = digits("train")[:256]
    fit(bounded, data, generator=seeded(), epochs=3, batch_size=32)
    norms = [operator_norm(layer) for layer in bounded_layers(bounded)]
    assert len(norms) == 3
    assert max(norms) <= 0.9 * 1.05
    with torch.no_grad():  # whatever the raw weights are, a few passes in training mode find the norm
        for layer in bounded_layers(bounded):
            layer.parametrizations.weight.original *= scale
        bounded.train()
        for _ in range(30):
            bounded(data.x[:2])
    assert max(operator_norm(layer) for layer in bounded_layers(bounded)) <= 0.9 * 1.05


def test_property_a_layer_below_the_bound_computes_the_same_bits():
    layer = drawn(nn.Linear(4, 3))
    expected, x = layer.weight.detach().clone(), normal(5, 4)
    said = layer(x)
    spectral_norm_linear(layer, 100.0, generator=seeded())
    assert torch.equal(layer.weight, expected)
    assert torch.equal(layer(x), said)


def test_property_directions_move_in_training_only():
    layer = spectral_norm_linear(drawn(nn.Linear(6, 5)), 0.5, generator=seeded())
    bound = layer.parametrizations.weight[0]
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(normal(5, 6, seed=9))
    before = bound.u.clone()
    layer.eval()(normal(2, 6))
    assert torch.equal(bound.u, before)
    assert operator_norm(layer) > 0, "and looking at the norm moves nothing"
    assert torch.equal(bound.u, before)
    layer.train()(normal(2, 6))
    assert not torch.equal(bound.u, before)


def test_oracle_one_power_iteration_for_each_use_in_training():
    layer = spectral_norm_linear(drawn(nn.Linear(6, 5)), 0.5, generator=seeded())
    weight = normal(5, 6, seed=9)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(weight)
    bound = layer.parametrizations.weight[0]
    for _ in range(3):
        u = bound.u.flatten().clone()
        layer.train()(normal(2, 6))
        v = nn.functional.normalize(weight.T @ u, dim=0)
        torch.testing.assert_close(bound.v[0], v)
        torch.testing.assert_close(bound.u.flatten(), nn.functional.normalize(weight @ v, dim=0))
        used = layer.eval().weight.detach()
        torch.testing.assert_close(used, weight * 0.5 / (bound.u.flatten() @ weight @ v))


def test_property_residual_layers_keep_distances_between_bounds():
    trunk = ResidualTrunk(2, width=12, layers=3, generator=seeded())
    bounded = with_bounds(trunk, torch.zeros(1, 2).double(), bound=0.3, generator=seeded()).eval()
    slack = max(operator_norm(layer) for layer in bounded_layers(bounded))
    assert slack <= 0.3 * 1.05
    x = normal(40, 2)
    with torch.no_grad():
        ratio = torch.pdist(bounded(x)) / torch.pdist(x)
        loose = torch.pdist(trunk(x)) / torch.pdist(x)
    assert float(ratio.min()) >= (1 - slack) ** 3
    assert float(ratio.max()) <= (1 + slack) ** 3
    assert float(loose.max()) > (1 + slack) ** 3, "without the bound the same trunk stretches more"


def test_property_the_network_is_left_as_it_was_and_the_readout_is_free():
    model = mlp((3, 5, 2), generator=seeded())
    before = copy.deepcopy(model.state_dict())
    bounded = with_bounds(model, torch.zeros(1, 3).double(), bound=0.1, generator=seeded())
    assert len(bounded_layers(bounded)) == 1
    assert torch.equal(bounded.readout.weight, model.readout.weight)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert model.training


def test_property_a_residual_network_is_bounded_and_copied():
    net = resnet20(width=2, channels=1, generator=seeded(), dtype=torch.float64)
    bounded = with_bounds(net, torch.zeros(1, 1, 8, 8).double(), bound=0.9, generator=seeded())
    twin = copy.deepcopy(bounded).eval()
    x = normal(2, 1, 8, 8)
    assert torch.equal(bounded.eval()(x), twin(x))
    assert len(bounded_layers(bounded)) == 21
    trunk, width = trunk_of(net)
    assert trunk(x).shape == (2, width)
    assert isinstance(net.readout, nn.Linear)


def test_property_a_readout_at_the_end_of_a_sequence_is_taken_out():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).double()
    trunk, width = trunk_of(net)
    x = normal(5, 3)
    assert width == 4
    assert torch.equal(trunk(x), net[1](net[0](x)))
    assert isinstance(net[2], nn.Linear)
    found = posterior_network(net, torch.tensor([0, 1]), classes=2, size=3, layers=1, generator=seeded())
    assert found.predict(x).alpha.shape == (5, 2)


def test_limit_a_weight_of_zero_stretches_nothing():
    layer = nn.Linear(3, 2).double()
    nn.init.zeros_(layer.weight)
    held = spectral_norm_linear(layer, 0.5, generator=seeded())
    assert float(held(normal(4, 3)).sub(layer.bias).detach().abs().max()) == 0


def test_error_what_cannot_be_bounded():
    linear = nn.Linear(3, 2)
    for bound in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ParameterError, match="positive and finite"):
            spectral_norm_linear(linear, bound, generator=seeded())
    with pytest.raises(ParameterError, match="a plain Linear can be bounded"):
        spectral_norm_linear(nn.Conv2d(1, 1, 1), 1.0, generator=seeded())
    spectral_norm_linear(linear, 1.0, generator=seeded())
    with pytest.raises(ParameterError, match="keeps its bound"):
        spectral_norm_linear(linear, 1.0, generator=seeded())
    with pytest.raises(ParameterError, match="pads with a number of zeros"):
        spectral_norm_conv2d(nn.Conv2d(1, 1, 3, padding="same"), 1.0, image=(4, 4), generator=seeded())
    with pytest.raises(ParameterError, match="cannot read images"):
        spectral_norm_conv2d(nn.Conv2d(1, 1, 3), 1.0, image=(2, 2), generator=seeded())
    with pytest.raises(ParameterError, match="bound it first"):
        operator_norm(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="beside its readout"):
        with_bounds(mlp((3, 2), generator=seeded()), torch.zeros(1, 3).double(), bound=1.0, generator=seeded())
    with pytest.raises(ParameterError, match="give a module that returns features"):
        trunk_of(nn.Linear(2, 2))
    with pytest.raises(ParameterError, match="or distances are lost"):
        ResidualTrunk(5, width=4, layers=1, generator=seeded())
