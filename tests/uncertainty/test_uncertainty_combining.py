"""From several answers to one: means, votes, weights by EM; samples for bagging."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty.ensembles import bagging_indices, combine, likelihood_weights


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def members(s=4, n=30, c=3, seed=0, dtype=torch.float64):
    return (2 * torch.randn(s, n, c, generator=seeded(seed), dtype=dtype)).softmax(-1)


def labels(n=30, c=3, seed=9):
    return torch.randint(c, (n,), generator=seeded(seed))


def nll(p, y):
    return -p[torch.arange(len(y)), y].log().mean()


def test_oracle_rules_by_hand():
    p = torch.tensor([[[0.9, 0.1, 0.0]], [[0.4, 0.6, 0.0]], [[0.4, 0.5, 0.1]]]).double()
    torch.testing.assert_close(combine(p), torch.tensor([[1.7, 1.2, 0.1]]).double() / 3)
    roots = torch.tensor([0.9 * 0.4 * 0.4, 0.1 * 0.6 * 0.5, 0.0]).double() ** (1 / 3)
    torch.testing.assert_close(combine(p, rule="geometric"), (roots / roots.sum())[None])
    torch.testing.assert_close(combine(p, rule="vote"), torch.tensor([[1.0, 2.0, 0.0]]).double() / 3)
    weights = torch.tensor([0.5, 0.0, 0.5]).double()
    torch.testing.assert_close(combine(p, rule="weighted", weights=weights), torch.tensor([[0.65, 0.3, 0.05]]).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_rules_agree_where_members_do(dtype):
    p = members(1, dtype=dtype).expand(5, -1, -1)
    torch.testing.assert_close(combine(p, rule="geometric"), p[0])
    torch.testing.assert_close(combine(p), p[0])
    torch.testing.assert_close(combine(p, rule="weighted", weights=torch.full((5,), 0.2)), p[0])
    assert torch.equal(combine(p, rule="vote").argmax(1), p[0].argmax(1))
    assert {combine(p, rule=rule).dtype for rule in ("arithmetic", "geometric", "vote")} == {dtype}


@settings(max_examples=30, deadline=None)
@given(s=st.integers(1, 6), c=st.integers(2, 5), seed=st.integers(0, 10**6))
def test_property_every_rule_gives_a_distribution_whatever_the_order_of_members(s, c, seed):
    p = members(s, 7, c, seed)
    turned = p[torch.randperm(s, generator=seeded(seed))]
    for rule in ("arithmetic", "geometric", "vote"):
        found = combine(p, rule=rule)
        torch.testing.assert_close(found.sum(1), torch.ones(7).double())
        torch.testing.assert_close(found, combine(turned, rule=rule))


def test_property_an_ensemble_is_no_worse_than_its_members_on_average():
    p, y = members(), labels()
    single = torch.stack([nll(one, y) for one in p])
    assert nll(combine(p), y) <= single.mean()
    assert nll(combine(p, rule="geometric"), y) <= single.mean() + 1e-12
    onehot = torch.nn.functional.one_hot(y, 3)
    brier = ((p - onehot) ** 2).sum(-1).mean(1)
    assert ((combine(p) - onehot) ** 2).sum(-1).mean() <= brier.mean()


def test_property_the_gain_in_brier_score_is_the_spread_of_the_members():
    p, onehot = members(), torch.nn.functional.one_hot(labels(), 3)
    gain = ((p - onehot) ** 2).sum(-1).mean() - ((combine(p) - onehot) ** 2).sum(-1).mean()
    torch.testing.assert_close(gain, ((p - p.mean(0)) ** 2).sum(-1).mean(), rtol=0, atol=1e-12)


def test_property_ties_go_to_the_smallest_class():
    p = torch.tensor([[[0.1, 0.45, 0.45]], [[0.4, 0.2, 0.4]], [[0.0, 0.5, 0.5]], [[1 / 3, 1 / 3, 1 / 3]]])
    assert combine(p, rule="vote").tolist() == [[0.5, 0.5, 0.0]]
    assert combine(p, rule="vote").argmax(1).tolist() == [0]


def test_property_containers_and_tensors_are_alike():
    p = members()
    assert torch.equal(combine(CategoricalPrediction(p)), combine(p))
    assert torch.equal(
        likelihood_weights(CategoricalPrediction(p), labels()).weights, likelihood_weights(p, labels()).weights
    )


def test_property_one_member_may_forbid_a_class():
    p = torch.tensor([[[0.0, 0.3, 0.7]], [[0.9, 0.05, 0.05]]])
    assert combine(p, rule="geometric")[0, 0] == 0
    assert combine(p)[0, 0] == pytest.approx(0.45)


@settings(max_examples=20, deadline=None)
@given(s=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_property_no_step_of_em_lowers_the_likelihood(s, seed):
    p, y = members(s, 20, 3, seed), labels(20, 3, seed + 1)
    found = likelihood_weights(p, y, steps=200)
    assert all(later <= earlier + 1e-12 for earlier, later in zip(found.nll, found.nll[1:], strict=False))
    assert found.nll[0] == pytest.approx(float(nll(combine(p), y)))
    assert found.nll[-1] == pytest.approx(float(nll(combine(p, rule="weighted", weights=found.weights), y)))


def test_oracle_weights_by_grid():
    p, y = members(2, 50, 3, seed=3), labels(50, 3, seed=4)
    y[:40] = p[0, :40].argmax(1)
    grid = torch.linspace(0, 1, 2001).double()
    losses = torch.stack([nll(w * p[0] + (1 - w) * p[1], y) for w in grid])
    found = likelihood_weights(p, y, steps=20000, tolerance=0)
    assert float(found.weights[0]) == pytest.approx(float(grid[losses.argmin()]), abs=1e-3)
    assert found.nll[-1] <= float(losses.min()) + 1e-9


def test_property_at_the_optimum_members_that_count_are_equally_likely():
    """By Karush, Kuhn and Tucker the mean of p_s(y)/mixture(y) is 1 where w_s > 0, and at most 1 elsewhere."""
    p, y = members(5, 40, 3, seed=5), labels(40, 3, seed=6)
    found = likelihood_weights(p, y, steps=100000, tolerance=1e-15)
    seen = p[:, torch.arange(40), y]
    slopes = (seen / (found.weights @ seen)).mean(1)
    assert (slopes <= 1 + 1e-4).all()
    assert (slopes[found.weights > 1e-3] > 1 - 1e-4).all()
    assert found.converged


def test_limit_one_member_and_one_step():
    p, y = members(1), labels()
    assert likelihood_weights(p, y).weights.tolist() == [1.0]
    assert likelihood_weights(p, y).converged
    short = likelihood_weights(members(3), y, steps=1, tolerance=0)
    assert len(short.nll) == 2
    assert not short.converged
    assert torch.equal(combine(p[0]), p[0])


def test_error_what_cannot_be_combined():
    p = members(2)
    with pytest.raises(ParameterError, match="rule is one of 'arithmetic'"):
        combine(p, rule="median")
    with pytest.raises(ParameterError, match="likelihood_weights finds some"):
        combine(p, rule="weighted")
    with pytest.raises(ParameterError, match="to no other"):
        combine(p, weights=torch.tensor([0.5, 0.5]))
    with pytest.raises(ParameterError, match="2 floating numbers"):
        combine(p, rule="weighted", weights=torch.ones(3) / 3)
    with pytest.raises(ParameterError, match="sum to 1"):
        combine(p, rule="weighted", weights=torch.tensor([0.5, 0.6]))
    with pytest.raises(ParameterError, match="sum to 1"):
        combine(p, rule="weighted", weights=torch.tensor([1.5, -0.5]))
    with pytest.raises(ParameterError, match="in 1 of 2 examples"):
        combine(torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]), rule="geometric")


def test_error_labels_that_do_not_fit():
    p = members(2)
    with pytest.raises(ParameterError, match="class numbers"):
        likelihood_weights(p, labels().float())
    with pytest.raises(ParameterError, match="from 0 to 2"):
        likelihood_weights(p, labels() + 1)
    with pytest.raises(ParameterError, match="tolerance"):
        likelihood_weights(p, labels(), tolerance=-1.0)
    with pytest.raises(ParameterError, match="example 1 has a class to which every member gives probability zero"):
        likelihood_weights(torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]), torch.tensor([1, 1]))


def test_property_bags_say_who_has_not_got_which():
    bags = bagging_indices(50, 6, generator=seeded(), size=40)
    assert bags.indices.shape == (6, 40)
    for rows, absent in zip(bags.indices, bags.out_of_bag, strict=True):
        assert set(rows.tolist()) == set((~absent).nonzero().flatten().tolist())


def test_property_an_example_is_left_out_as_often_as_the_law_says():
    bags = bagging_indices(200, 500, generator=seeded(1))
    share = (1 - 1 / 200) ** 200
    error = math.sqrt(share * (1 - share) / bags.out_of_bag.numel())  # draws of a bag are nearly independent
    assert abs(float(bags.out_of_bag.double().mean()) - share) < 5 * error
    counts = torch.bincount(bags.indices.flatten(), minlength=200).double()
    assert abs(float(counts.var(correction=0)) - 500) < 5 * 500 * math.sqrt(2 / 200)


def test_property_bags_of_fewer_members_are_the_first():
    many, few = (bagging_indices(9, s, generator=seeded()) for s in (5, 2))
    assert torch.equal(many.indices[:2], few.indices)


def test_property_bags_give_the_data_of_each_member():
    data = Split(torch.arange(9.0)[:, None], torch.arange(9))
    bags = bagging_indices(9, 2, generator=seeded())
    assert [part.y.tolist() for part in bags.of(data)] == bags.indices.tolist()


def test_limit_a_bag_of_one():
    bags = bagging_indices(1, 1, generator=seeded())
    assert (bags.indices.tolist(), bags.out_of_bag.tolist()) == ([[0]], [[False]])


def test_error_bags_that_cannot_be_filled():
    for examples, members, size in ((0, 1, None), (1, 0, None), (1, 1, 0), (2.0, 1, None)):
        with pytest.raises(ParameterError, match="whole number of at least 1"):
            bagging_indices(examples, members, generator=seeded(), size=size)
