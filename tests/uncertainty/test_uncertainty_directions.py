"""Inputs and directions of layers: against Jacobians by autograd, on every kind of layer that they know."""

import copy
import importlib
import warnings

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import call, flatten
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.laplace.blocks import matrices_of, named
from weightlore.uncertainty.laplace.directions import directions, unit_directions


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def drawn(model, seed=0):
    model = model.double()
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


class Residual(nn.Module):
    """A block whose input goes around it, read by a head that flattens."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.second = nn.Conv2d(4, 2, (3, 1), padding="same", padding_mode="reflect", bias=False)
        self.head = nn.Linear(2 * 16, 3)

    def forward(self, x):
        x = x.reshape(len(x), 2, 4, 4)
        return self.head((x + self.second(torch.relu(self.first(x)))).flatten(1))


class Tokens(nn.Module):
    """A linear layer that reads every token of a sequence."""

    def __init__(self):
        super().__init__()
        self.each = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3, bias=False)

    def forward(self, x):
        return self.head(torch.tanh(self.each(x.reshape(len(x), 8, 4))).mean(1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.spare = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(torch.relu(self.layer(x)))


NETWORKS = {
    "one layer": (lambda: nn.Linear(32, 3), 32),
    "chain": (lambda: mlp((32, 6, 5, 3), generator=seeded()), 32),
    "without bias": (lambda: nn.Sequential(nn.Linear(32, 6, bias=False), nn.Tanh(), nn.Linear(6, 3, bias=False)), 32),
    "in place": (lambda: nn.Sequential(nn.Linear(32, 6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 3)), 32),
    "one output": (lambda: nn.Sequential(nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 1)), 32),
    "strides": (
        lambda: nn.Sequential(
            *(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 2, stride=2, dilation=1), nn.ReLU(), nn.AvgPool2d(2)),
            *(nn.Flatten(), nn.Linear(3, 3)),
        ),
        32,
    ),
    "pooled": (
        lambda: nn.Sequential(
            *(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(3, 4, 2, dilation=1, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            nn.Linear(4, 3),
        ),
        32,
    ),
    "residual": (Residual, 32),
    "tokens": (Tokens, 32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_oracle_directions_make_the_jacobian(name):
    make, width = NETWORKS[name]
    model, x = drawn(make()).eval(), normal(5, width, seed=3)
    theta = flatten(model)
    expected = torch.func.jacrev(lambda at: call(model, at, x))(theta)
    found = torch.cat([piece.jacobian() for piece in unit_directions(model, x, batch_size=2)])
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_oracle_columns_are_weights_of_the_outputs():
    model, x = drawn(Residual()).eval(), normal(5, 32, seed=3)
    v = normal(5, 3, 4, seed=4)
    units = next(unit_directions(model, x)).jacobian()
    found = directions(model, x, lambda f: v)
    torch.testing.assert_close(found.jacobian(), v.mT @ units, rtol=1e-11, atol=1e-12)
    assert torch.equal(found.outputs, model(x).detach())
    assert not found.outputs.requires_grad


def test_property_pieces_are_as_large_as_memory_allows(monkeypatch):
    model, x = drawn(Residual()).eval(), normal(40, 32, seed=3)
    whole = torch.cat([piece.jacobian() for piece in unit_directions(model, x)])
    each, made = next(unit_directions(model, x)).each, importlib.import_module(unit_directions.__module__)
    monkeypatch.setattr(made, "ENTRIES", 7 * each + 1)
    pieces = list(unit_directions(model, x))
    assert [len(piece.outputs) for piece in pieces] == [16, 7, 7, 7, 3]
    assert torch.allclose(torch.cat([piece.jacobian() for piece in pieces]), whole)
    monkeypatch.setattr(made, "ENTRIES", each - 1)
    assert [len(piece.outputs) for piece in unit_directions(model, x[:18])] == [16, 1, 1]
    assert [len(piece.outputs) for piece in unit_directions(model, x[:5], batch_size=2)][:2] == [2, 1]
    rows = mlp((32, 6, 3), generator=seeded())
    assert [len(piece.outputs) for piece in unit_directions(rows, x[:32], batch_size=30)] == [30, 2]
    several = nn.Sequential(nn.Unflatten(1, (2, 16)), nn.Linear(16, 6), nn.Flatten(), nn.Linear(12, 3)).double()
    assert [len(piece.outputs) for piece in unit_directions(several[1:], x.view(40, 2, 16)[:18])][:2] == [16, 2]


def test_property_a_group_is_covered_alone():
    model, x = drawn(mlp((6, 5, 3), generator=seeded())), normal(4, 6)
    whole, which = next(unit_directions(model, x)).jacobian(), matrices_of(model)
    start = 0
    for name in which.names:
        size = model.get_parameter(name).numel()
        if name.endswith("weight"):
            found = next(unit_directions(model, x, group=name))
            assert found.matrices.names == (name,)
            assert found.matrices.size == size
            torch.testing.assert_close(found.jacobian(), whole[..., start : start + size])
        start += size
    assert start == which.size
    assert matrices_of(model, named(which.names[2:])).names == which.names[2:]


def test_property_frozen_layers_have_no_matrix():
    model = mlp((6, 5, 3), generator=seeded())
    model.layers[0].requires_grad_(False)
    assert matrices_of(model).names == ("readout.weight", "readout.bias")
    model = model.to(torch.float32)
    found = next(unit_directions(model, normal(4, 6).to(torch.float32)))
    assert found.inputs[0].shape == (4, 1, 6)
    assert found.backward[0].dtype == torch.float32


def test_property_the_network_is_left_as_it_was():
    model = drawn(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 2)))
    model[3].eval()
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    with pytest.warns(UncertaintyWarning, match=r"1.weight, 1.bias of batch normalization"):
        list(unit_directions(model, normal(5, 4)))
    with pytest.raises(ParameterError, match="columns"):
        directions(model, normal(5, 4), lambda f: f, group="0")
    with pytest.raises(ParameterError, match="finite"):
        directions(model, normal(5, 4) * float("nan"), lambda f: f, group="0")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_property_batch_normalization_uses_its_running_statistics():
    model = drawn(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)))
    model[1].running_mean.fill_(0.3), model[1].running_var.fill_(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UncertaintyWarning)
        found = next(unit_directions(model, normal(5, 4), group=named(("0.weight", "0.bias"))))
    expected = model[2].weight * (model[1].weight / (2.0 + model[1].eps) ** 0.5)
    torch.testing.assert_close(found.backward[0][:, :, 0], expected.detach().expand(5, -1, -1))


def test_limit_a_layer_that_does_not_reach_the_outputs_sends_nothing_back():
    class Side(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.side = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            self.side(x)
            return self.main(x)

    found = next(unit_directions(drawn(Side()), normal(4, 3)))
    assert torch.count_nonzero(found.backward[1]) == 0
    assert torch.count_nonzero(found.backward[0]) > 0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3)), "requires_grad_"),
        (nn.Sequential(nn.BatchNorm1d(3)), "choose such a layer"),
        (nn.Sequential(nn.Linear(3, 3), nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3))), "no matrix"),
        (Twice(), "used twice"),
    ],
)
@pytest.mark.filterwarnings("ignore::weightlore.uncertainty.UncertaintyWarning")
def test_error_layers_that_have_no_matrix_say_what_to_do(model, words):
    with pytest.raises(ParameterError, match=words):
        list(unit_directions(model, torch.zeros(2, 3)))


def test_error_layers_that_are_tied_unused_or_halved_say_what_to_do():
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    with pytest.raises(ParameterError, match="untie"):
        matrices_of(tied)
    unused = Twice()
    unused.forward = lambda x: unused.layer(x)
    with pytest.raises(ParameterError, match="spare took no part"):
        list(unit_directions(unused, torch.zeros(2, 3)))
    with pytest.raises(ParameterError, match="without its weight"):
        matrices_of(tied, "bias")
    with pytest.raises(ParameterError, match=r"matrix \(N, C\)"):
        list(unit_directions(nn.Sequential(nn.Linear(3, 2), nn.Flatten(0)), torch.zeros(2, 3)))


def test_error_weights_used_outside_their_layer_say_what_to_do():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return torch.tanh(self.layer(x)) @ self.layer.weight

    with pytest.raises(ParameterError, match=r"layer.weight is used twice .* requires_grad_"):
        list(unit_directions(Direct(), torch.zeros(2, 3)))
    found = next(unit_directions(drawn(Residual()).eval(), normal(5, 32, seed=3)))  # a path that splits and joins
    assert torch.count_nonzero(found.backward[0]) > 0
    detached = nn.Linear(3, 3)
    detached.register_forward_hook(lambda _, __, z: z.detach())
    with pytest.raises(ParameterError, match="no_grad"):
        list(unit_directions(nn.Sequential(detached), torch.zeros(2, 3)))
