"""An ensemble as one network: its probability is the mean, and it can be differentiated."""

import copy

import pytest
import torch
from torch import nn

from weightlore.attribution import integrated_gradients
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten, layout
from weightlore.uncertainty.ensembles import DeepEnsemble, PooledNetwork

X = torch.rand(7, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def members(count=3):
    return [mlp((4, 6, 3), generator=torch.Generator().manual_seed(seed)).eval() for seed in range(count)]


def test_oracle_its_probability_is_the_mean_of_the_ensemble():
    made = members()
    expected = DeepEnsemble(tuple(made)).predict(X).probs.mean(0)
    assert torch.allclose(PooledNetwork(made)(X).softmax(1), expected)
    assert torch.allclose(PooledNetwork(made)(X).exp().sum(1), torch.ones(7, dtype=torch.float64))


def test_oracle_its_gradient_is_that_of_the_mean_by_differences():
    pooled, step = PooledNetwork(members()), 1e-6
    x = X[:1].clone().requires_grad_()
    (slope,) = torch.autograd.grad(pooled(x)[0, 1], x)
    for place in range(4):
        move = torch.zeros_like(X[:1]).index_fill(1, torch.tensor([place]), step)
        found = (pooled(X[:1] + move)[0, 1] - pooled(X[:1] - move)[0, 1]) / (2 * step)
        assert slope[0, place] == pytest.approx(found.item(), rel=1e-6, abs=1e-9)


def test_property_it_is_explained_like_any_network():
    pooled = PooledNetwork(members())
    found = integrated_gradients(pooled, X, 1, baseline=0.0, nodes=200, output="probability")
    score = pooled(X).softmax(1)[:, 1] - pooled(torch.zeros_like(X)).softmax(1)[:, 1]
    assert torch.allclose(found.values.sum(1), score, atol=1e-3)


def test_property_members_are_copied_and_parameters_add_up():
    made = members()
    before = [copy.deepcopy(one.state_dict()) for one in made]
    pooled = PooledNetwork(made)
    with torch.no_grad():
        for parameter in pooled.parameters():
            parameter.zero_()
    assert all(torch.equal(one.state_dict()[k], b[k]) for one, b in zip(made, before, strict=True) for k in b)
    assert layout(pooled).size == 3 * len(flatten(made[0]))


def test_limit_one_member_is_itself_up_to_a_shift():
    (one,) = members(1)
    assert torch.allclose(PooledNetwork([one])(X), one(X).log_softmax(1))
    assert not PooledNetwork([one]).training
    assert PooledNetwork([one.train()]).training


def test_limit_an_answer_no_member_gives_is_no_infinity():
    sure = nn.Linear(1, 2, bias=False).double()
    with torch.no_grad():
        sure.weight.copy_(torch.tensor([[2000.0], [0.0]]))
    assert torch.isfinite(PooledNetwork([sure, sure])(torch.ones(1, 1, dtype=torch.float64))).all()


@pytest.mark.parametrize("wrong", [[], ["network"]])
def test_error_what_is_no_network_is_refused(wrong):
    with pytest.raises(ParameterError, match="give the members of an ensemble"):
        PooledNetwork(wrong)
