"""Sharpness-aware steps: reference implementations that perturb in place, invariance under rescaling."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.corruption import Budget, asam_step, awp_step, rescale, resistant_step, sam_step
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.parameters import flatten
from weightlore.training import cross_entropy, fit, sgd


def network(seed=1):
    return mlp((64, 12, 8, 10), generator=torch.Generator().manual_seed(seed))


def batch(count=40):
    return digits("train")[:count]


def seeded(seed=5):
    return torch.Generator().manual_seed(seed)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def reference(model, data, moves):
    """Gradients at a perturbed copy, written with in-place additions and a second backward pass."""
    twin = copy.deepcopy(model)
    F.cross_entropy(twin(data.x), data.y).backward()
    moved = moves({name: (p.detach().clone(), p.grad.clone()) for name, p in twin.named_parameters()})
    with torch.no_grad():
        for name, p in twin.named_parameters():
            p.add_(moved[name])
    return gradients(twin, F.cross_entropy(twin(data.x), data.y))


def sam_moves(rho):
    def moves(found):
        length = torch.sqrt(sum((g**2).sum() for _, g in found.values()))
        return {name: rho * g / length for name, (_, g) in found.items()}

    return moves


def asam_moves(rho, eta):
    def moves(found):
        length = torch.sqrt(sum((((w.abs() + eta) * g) ** 2).sum() for w, g in found.values()))
        return {name: rho * (w.abs() + eta) ** 2 * g / length for name, (w, g) in found.items()}

    return moves


def awp_moves(gamma):
    def moves(found):
        steps = {name: gamma * w.norm() * g / g.norm() for name, (w, g) in found.items()}
        return {name: step if name.endswith("weight") else torch.zeros_like(step) for name, step in steps.items()}

    return moves


STEPS = {
    "sam": (sam_step(0.3), sam_moves(0.3)),
    "asam": (asam_step(0.5), asam_moves(0.5, 0.0)),
    "asam with eta": (asam_step(0.5, eta=0.01), asam_moves(0.5, 0.01)),
    "awp": (awp_step(0.02), awp_moves(0.02)),
}


@pytest.mark.parametrize("name", STEPS)
def test_oracle_equals_a_reference_that_perturbs_in_place(name):
    step, moves = STEPS[name]
    model, data = network(), batch()
    found, expected = gradients(model, step(model, data, seeded())), reference(model, data, moves)
    for parameter, gradient in expected.items():
        torch.testing.assert_close(found[parameter], gradient, rtol=1e-9, atol=1e-12)


def test_oracle_training_with_sam_equals_the_reference_loop():
    """Five steps of momentum: perturb, second gradient, restore, update."""
    model, data = network(), batch(60)
    twin = copy.deepcopy(model)
    options = {"generator": seeded(), "epochs": 5, "batch_size": 60, "schedule": None}
    fit(model, data, step=sam_step(0.2), optimizer=sgd(0.1, momentum=0.9), **options)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        found = reference(twin, data, sam_moves(0.2))
        for name, parameter in twin.named_parameters():
            parameter.grad = found[name]
        optimizer.step()
    torch.testing.assert_close(flatten(model), flatten(twin), rtol=1e-9, atol=1e-11)


def test_oracle_sam_is_resistant_training_with_alpha_one():
    model, data = network(), batch()
    sam = gradients(model, sam_step(0.3)(model, data, seeded()))
    resistant = gradients(model, resistant_step(Budget(0.3), alpha=1.0)(model, data, seeded()))
    assert all(torch.equal(sam[name], resistant[name]) for name in sam)


def test_oracle_asam_is_sam_where_all_parameters_are_equally_large():
    model, data = network(), batch()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.where(torch.randn(parameter.shape, generator=seeded()) > 0, 0.25, -0.25))
    asam = gradients(model, asam_step(0.8)(model, data, seeded()))
    sam = gradients(model, sam_step(0.25 * 0.8)(model, data, seeded()))
    assert all(float(gradient.abs().max()) > 0 for gradient in sam.values())
    for name in sam:
        torch.testing.assert_close(asam[name], sam[name], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("group", ["layers.0.weight", "readout.weight"])
def test_oracle_awp_is_sam_on_a_single_tensor(group):
    model, data = network(), batch()
    awp = gradients(model, awp_step(0.05, group=group)(model, data, seeded()))
    sam = gradients(model, sam_step(0.05 * float(flatten(model, group).norm()), group=group)(model, data, seeded()))
    for name in sam:
        torch.testing.assert_close(awp[name], sam[name], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("step", [sam_step(0.0), asam_step(0.0), awp_step(0.0)])
def test_limit_size_zero_is_the_base_step(step):
    assert step is cross_entropy


@pytest.mark.parametrize("make", [sam_step, asam_step, awp_step])
def test_limit_zero_gradient_is_a_plain_step(make):
    def flat_loss(model, data, generator):
        return cross_entropy(model, data, generator) * 0 + 1

    model, data = network(), batch()
    found = gradients(model, make(0.5, base=flat_loss)(model, data, seeded()))
    assert all(float(g.abs().sum()) == 0 for g in found.values())


def test_limit_asam_leaves_zeros_unless_eta_moves_them():
    model, data = network(), batch()  # biases start at zero
    clean, seen = flatten(model, "bias"), []

    def watching(model, data, generator):
        seen.append(flatten(model, "bias"))
        return cross_entropy(model, data, generator)

    asam_step(0.5, base=watching)(model, data, seeded())
    asam_step(0.5, eta=0.1, base=watching)(model, data, seeded())
    assert float(clean.abs().sum()) == 0
    assert torch.equal(seen[1], clean)
    assert float(seen[3].abs().sum()) > 0


@pytest.mark.parametrize("c", [0.25, 3.0])
@pytest.mark.parametrize("layer", ["layers.0", "layers.1"])
def test_property_asam_does_not_see_a_rescaling_and_sam_does(layer, c):
    model, data = network(), batch()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=seeded(), dtype=parameter.dtype))
    other = rescale(model, layer, c)
    losses = {
        name: [float(step(net, data, seeded()).detach()) for net in (model, other)]
        for name, step in {"sam": sam_step(0.3), "asam": asam_step(0.3), "awp": awp_step(0.05)}.items()
    }
    assert losses["asam"][0] == pytest.approx(losses["asam"][1], rel=1e-9)
    assert losses["awp"][0] == pytest.approx(losses["awp"][1], rel=1e-9)
    assert losses["sam"][0] != pytest.approx(losses["sam"][1], rel=1e-3)


def test_property_awp_moves_every_tensor_by_its_share():
    model, data, seen = network(), batch(), []

    def watching(model, data, generator):
        seen.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return cross_entropy(model, data, generator)

    awp_step(0.02, base=watching)(model, data, seeded())
    for name in seen[0]:
        share = float((seen[1][name] - seen[0][name]).norm() / seen[0][name].norm().clamp_min(1e-300))
        assert share == pytest.approx(0.02 if name.endswith("weight") else 0.0, rel=1e-9)


@pytest.mark.parametrize("build", [network, lambda: cnn(generator=torch.Generator().manual_seed(1))])
@pytest.mark.parametrize("c", [4.0, 0.3])
def test_property_rescaling_keeps_the_function_and_changes_theta(build, c):
    model, data = build(), batch()
    before = flatten(model)
    for layer in ("layers.0", "layers.1"):
        other = rescale(model, layer, c)
        torch.testing.assert_close(other(data.x), model(data.x), rtol=1e-12, atol=1e-12)
        assert not torch.equal(flatten(other), before)
    assert torch.equal(flatten(model), before)


def test_limit_rescaling_by_a_power_of_two_is_exact_and_by_one_nothing():
    model, data = network(), batch()
    assert torch.equal(rescale(model, "layers.0", 8.0)(data.x), model(data.x))
    assert torch.equal(flatten(rescale(model, "layers.0", 1.0)), flatten(model))


def test_error_rescaling_what_cannot_be():
    model = network()
    with pytest.raises(ParameterError, match="positive"):
        rescale(model, "layers.0", -1.0)
    with pytest.raises(ParameterError, match="positive"):
        rescale(model, "layers.0", math.inf)
    with pytest.raises(ParameterError, match=r"one of \['layers.0', 'layers.1'\]"):
        rescale(model, "readout", 2.0)
    with pytest.raises(ParameterError, match="one of"):
        rescale(model, "nowhere", 2.0)
    for closed in (nn.Tanh(), nn.LayerNorm(5), nn.BatchNorm1d(5)):
        with pytest.raises(ParameterError, match="holds 1"):
            rescale(nn.Sequential(nn.Linear(3, 5), closed, nn.Linear(5, 2)), "0", 2.0)


@pytest.mark.parametrize("make", [sam_step, asam_step, awp_step, lambda size: asam_step(0.1, eta=size)])
@pytest.mark.parametrize("size", [-0.1, math.nan, math.inf])
def test_error_sizes_must_be_finite_and_not_negative(make, size):
    with pytest.raises(ParameterError, match="finite"):
        make(size)
