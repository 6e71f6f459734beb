"""Gradients that a step finds itself: as ``backward`` leaves them, whichever way they are taken."""

import math

import pytest
import torch
from torch import nn

from weightlore.corruption import Budget, resistant_step
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import cross_entropy, fit
from weightlore.training.given import Given, GivenStep


def parameters():
    return [nn.Parameter(torch.full((2,), float(k))) for k in range(3)]


def given(owners, factor=1.0):
    gradients = [None if k == 1 else factor * torch.tensor([1.0, k + 0.1]) for k in range(len(owners))]
    return Given(torch.tensor(0.5), owners, gradients)


def network():
    return mlp((64, 8, 10), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("before", [None, 0.3])
def test_oracle_left_gradients_are_those_of_backward(before):
    left, followed = parameters(), parameters()
    for owners in (left, followed):
        for parameter in owners if before else []:
            parameter.grad = torch.full((2,), before)
    given(left).leave()
    given(followed).connected().backward()
    for mine, other in zip(left, followed, strict=True):
        assert (mine.grad is None) == (other.grad is None)
        assert mine.grad is None or torch.equal(mine.grad, other.grad)


def test_property_gradients_are_handed_over_not_copied():
    owners = parameters()
    found = given(owners)
    found.leave()
    assert [p.grad for p in owners] == list(found.gradients)
    assert owners[0].grad is found.gradients[0]


def test_property_a_factor_on_the_loss_scales_the_gradients():
    owners = parameters()
    (3 * given(owners).connected()).backward()
    torch.testing.assert_close(owners[2].grad, torch.tensor([3.0, 6.3]))


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_property_hooks_of_parameters_are_called(register):
    owners, seen = parameters(), []
    getattr(owners[2], register)(lambda tensor: seen.append(tensor.shape))
    given(owners).leave()
    assert seen == [(2,)]
    torch.testing.assert_close(owners[2].grad, torch.tensor([1.0, 2.1]))


def test_oracle_fit_takes_them_as_it_takes_a_loss():
    """The same step twice: known to the loop for what it is, and hidden in a function."""
    step, models, losses = resistant_step(Budget(0.2), steps=2), [network(), network()], []
    for model, taken in zip(models, (step, lambda *arguments: step(*arguments)), strict=True):
        options = {"generator": torch.Generator().manual_seed(2), "epochs": 2}
        losses.append(fit(model, digits("train")[:200], step=taken, **options).train_loss)
    assert isinstance(step, GivenStep)
    assert torch.equal(flatten(models[0]), flatten(models[1]))
    assert losses[0] == losses[1]


def test_property_such_a_step_may_be_the_base_of_another():
    inner, data = resistant_step(Budget(0.2)), digits("train")[:40]
    found = []
    for base in (inner, cross_entropy):
        model = network()
        resistant_step(Budget(0.1), base=base)(model, data, torch.Generator()).backward()
        found.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert found[0].norm() > 0
    assert not torch.equal(*found)


def test_property_gradients_that_the_step_set_are_kept():
    def find(model, batch, generator):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        owners = list(model.parameters())
        return Given(torch.tensor(1.0), owners, [torch.ones_like(p) for p in owners])

    model, options = network(), {"epochs": 1, "batch_size": 40, "schedule": None}
    theta = flatten(model)
    fit(model, digits("train")[:40], step=GivenStep(find), generator=torch.Generator(), **options)
    torch.testing.assert_close(flatten(model), theta - 0.1 * 2)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_error_a_loss_that_is_no_number_is_named_before_its_gradients_are_taken(loss):
    def find(model, batch, generator):
        owners = list(model.parameters())
        return Given(torch.tensor(loss), owners, [torch.ones_like(p) for p in owners])

    model = network()
    theta = flatten(model)
    with pytest.raises(ParameterError, match="learning rate"):
        fit(model, digits("train")[:40], step=GivenStep(find), generator=torch.Generator(), epochs=1)
    assert torch.equal(flatten(model), theta)
