"""Theta out of a network and into it: the parameters are afterwards as they were, bit for bit."""

import pytest
import torch
from parameters_cases import GROUPS, Scaled, Tied, X, bits, network
from torch import nn

from weightlore.errors import ParameterError
from weightlore.parameters import call, flatten, layout, places_of, replaced


def test_property_flatten_is_a_detached_copy():
    for model in (nn.Linear(3, 2, bias=False), network()):
        theta = flatten(model)
        before = bits(model)
        assert not theta.requires_grad
        theta.fill_(7.0)
        assert bits(model) == before


@pytest.mark.parametrize(("group", "members"), GROUPS)
def test_property_replaced_puts_theta_in_and_every_bit_back(group, members):
    model = network().eval()
    with torch.no_grad():
        model[3].weight[0, 0] = -0.0
    before, theta = bits(model), torch.randn_like(flatten(model, group))
    with replaced(model, theta, group) as inside:
        assert inside is model
        assert torch.equal(flatten(model, group), theta)
        during = bits(model)
        touched = {layout(model).names[member] for member in members}
        assert {name for name in before if during[name] != before[name]} == touched
    assert bits(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_property_replaced_restores_after_an_exception(error):
    model = network()
    before = bits(model)
    with pytest.raises(error), replaced(model, torch.full((34,), float("nan"), dtype=torch.float64)):
        fail(model, error)
    assert bits(model) == before


def fail(model, error):
    with torch.no_grad():
        model[0].weight.add_(1.0)  # whatever happens inside is undone
    raise error


def test_property_replaced_may_be_nested():
    model, theta = network(), torch.zeros(34, dtype=torch.float64)
    before = bits(model)
    with replaced(model, theta):
        with replaced(model, theta[:16] + 1, "0"):
            assert flatten(model).sum() == 16
        assert not flatten(model).any()
    assert bits(model) == before


def test_property_replaced_keeps_gradients_flags_and_identity():
    model = network()
    model(X).sum().backward()
    kept = [(p, p.grad.clone(), p.requires_grad) for p in model.parameters()]
    with replaced(model, flatten(model) + 1):
        assert all(p is old for p, (old, _, _) in zip(model.parameters(), kept, strict=True))
    for parameter, (old, gradient, flag) in zip(model.parameters(), kept, strict=True):
        assert parameter is old
        assert torch.equal(parameter.grad, gradient)
        assert parameter.requires_grad == flag


def test_property_replaced_reaches_tied_and_frozen_parameters():
    tied = Tied()
    with replaced(tied, torch.ones(20, dtype=torch.float64)):
        assert tied.decoder.weight is tied.encoder.weight
        assert (tied.decoder.weight == 1).all()
    scaled = Scaled()
    bias = scaled.inner.bias.clone()
    with replaced(scaled, torch.zeros(9, dtype=torch.float64), frozen=True):
        assert not scaled.inner.bias.any()
    assert torch.equal(scaled.inner.bias, bias)
    assert not scaled.inner.bias.requires_grad


BAD = [
    (torch.zeros(33, dtype=torch.float64), "P=34 entries"),
    (torch.zeros(1, 34, dtype=torch.float64), r"one vector of shape \(P,\), got shape \(1, 34\); for many use vmap"),
    (torch.zeros((), dtype=torch.float64), "one vector"),
    (torch.zeros(34), r"torch.float64 on cpu .* got torch.float32 on cpu; use theta.to\(dtype=torch.float64"),
    (torch.zeros(34, dtype=torch.int64), "got torch.int64"),
    (torch.zeros(34, dtype=torch.float64, device="meta"), "on meta; use theta.to"),
]


@pytest.mark.parametrize(("theta", "said"), BAD)
def test_error_a_theta_that_does_not_fit_leaves_the_model(theta, said):
    model = network()
    before = bits(model)
    with pytest.raises(ParameterError, match=said), replaced(model, theta):
        pytest.fail("the body must not run")
    with pytest.raises(ParameterError, match=said):
        call(model, theta, X)
    assert bits(model) == before


@pytest.mark.parametrize(("group", "members"), GROUPS)
def test_oracle_call_equals_replaced(group, members):
    model = network().eval()
    theta = torch.randn_like(flatten(model, group))
    with replaced(model, theta, group):
        expected = model(X)
    assert torch.equal(call(model, theta, X, group), expected)


@pytest.mark.parametrize("build", [Tied, Scaled])
def test_oracle_call_with_tied_root_and_frozen_parameters(build):
    model, x = build(), X.repeat(1, 2)[:, : 4 if build is Tied else 3]
    theta = flatten(model, frozen=True) + 0.5
    with replaced(model, theta, frozen=True):
        expected = model(x)
    assert torch.equal(call(model, theta, x, frozen=True), expected)


def test_oracle_call_is_differentiable_in_theta():
    for model, x in ((network().eval(), X), (Tied(), X.repeat(1, 2)[:, :4])):
        theta = flatten(model).requires_grad_()
        found = torch.autograd.grad(call(model, theta, x).square().sum(), theta)[0]
        expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
        torch.testing.assert_close(found, torch.cat([gradient.flatten() for gradient in expected]))
        assert torch.autograd.gradcheck(lambda t, model=model, x=x: call(model, t, x), theta)
        assert all(parameter.grad is None for parameter in model.parameters())


def test_property_call_leaves_running_statistics_and_the_mode():
    model = network().train()
    before = bits(model)
    out = call(model, flatten(model), X)
    assert bits(model) == before
    assert model.training
    assert torch.equal(out, model(X))  # batch statistics, as the model itself in train mode
    assert bits(model) != before


def test_property_call_keeps_tied_weights_tied_and_shared_layers_whole():
    model, x = Tied(), X.repeat(1, 2)[:, :4]
    kept, before = dict(model.named_parameters(remove_duplicate=False)), bits(model)
    call(model, flatten(model) + 1, x)
    now = dict(model.named_parameters(remove_duplicate=False))
    assert now.keys() == kept.keys()
    assert all(now[name] is kept[name] for name in kept)
    assert bits(model) == before


def test_property_places_name_each_tied_place_and_each_module_once():
    parts = {"encoder.weight": torch.ones(4, 4), "decoder.bias": torch.zeros(4)}
    places = places_of(Tied(), parts)
    assert set(places) == {"encoder.weight", "decoder.weight", "decoder.bias"}
    assert places["encoder.weight"] is places["decoder.weight"] is parts["encoder.weight"]
    scaled = Scaled()
    found = places_of(scaled, {"scale": torch.zeros(())})
    assert set(found) == {"scale", "offset"}
    assert torch.equal(found["offset"], scaled.offset)
    assert found["offset"] is not scaled.offset


def test_property_call_under_vmap_is_a_loop():
    model = network().eval()
    thetas = torch.randn(6, 34, dtype=torch.float64)
    many = torch.func.vmap(lambda theta: call(model, theta, X))(thetas)
    torch.testing.assert_close(many, torch.stack([call(model, theta, X) for theta in thetas]))
