"""How members are right and wrong together: by counting, and the gains that follow."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, GaussianPrediction, UncertaintyWarning
from weightlore.uncertainty.diversity import (
    ambiguity,
    disagreement,
    double_fault,
    log_ambiguity,
    pair_shares,
    q_statistic,
)
from weightlore.uncertainty.measures import nll_categorical, predictive_variance

MEASURES = (disagreement, q_statistic, double_fault)


def drawn(members=4, examples=60, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(members, examples, classes, generator=generator, dtype=torch.float64)
    y = torch.randint(0, classes, (examples,), generator=generator)
    return (z + torch.nn.functional.one_hot(y, classes)).softmax(-1), y


def answering(right):
    """Members of which it is known on which examples they are right."""
    right = torch.tensor(right, dtype=torch.float64)
    return torch.stack([0.2 + 0.6 * right, 0.8 - 0.6 * right], dim=-1), torch.zeros(right.shape[1], dtype=torch.int64)


def test_oracle_pairs_by_counting():
    p, y = drawn()
    right = (p.argmax(-1) == y).tolist()
    shares = pair_shares(p, y)
    q, disagreeing, failing = [], [], []
    for i, (a, b) in enumerate(combinations(range(4), 2)):
        n = [sum((x, z) == pair for x, z in zip(right[a], right[b], strict=True)) / 60 for pair in
             ((True, True), (True, False), (False, True), (False, False))]  # fmt: skip
        assert (int(shares.first[i]), int(shares.second[i])) == (a, b)
        found = (shares.both_right[i], shares.first_right[i], shares.second_right[i], shares.both_wrong[i])
        assert [float(x) for x in found] == pytest.approx(n, abs=1e-15)
        q.append((n[0] * n[3] - n[1] * n[2]) / (n[0] * n[3] + n[1] * n[2]))
        disagreeing.append(n[1] + n[2])
        failing.append(n[3])
    assert q_statistic(p, y) == pytest.approx(sum(q) / 6, rel=1e-12)
    assert disagreement(p, y) == pytest.approx(sum(disagreeing) / 6, rel=1e-12)
    assert double_fault(p, y) == pytest.approx(sum(failing) / 6, rel=1e-12)


def test_limit_the_same_opposite_and_independent_members():
    same, opposite = [[1, 1, 0, 0]] * 2, [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert [m(*answering(same)) for m in MEASURES] == [0.0, 1.0, 0.5]
    assert [m(*answering(opposite)) for m in MEASURES] == [1.0, -1.0, 0.0]
    assert [m(*answering([[1, 1, 0, 0], [1, 0, 1, 0]])) for m in MEASURES] == [0.5, 0.0, 0.25]


def test_limit_members_that_are_always_right_have_no_q():
    with pytest.warns(UncertaintyWarning, match="no pair"):
        assert math.isnan(q_statistic(*answering([[1, 1], [1, 1]])))
    assert q_statistic(*answering([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]])) == 1.0, "pairs without a Q are left out"


@settings(max_examples=40, deadline=None)
@given(members=st.integers(2, 6), seed=st.integers(0, 10_000))
def test_property_shares_sum_to_one_and_order_does_not_matter(members, seed):
    p, y = drawn(members, seed=seed)
    shares = pair_shares(p, y)
    total = shares.both_right + shares.first_right + shares.second_right + shares.both_wrong
    torch.testing.assert_close(total, torch.ones(members * (members - 1) // 2, dtype=torch.float64))
    order = torch.randperm(members, generator=torch.Generator().manual_seed(seed))
    for measure in MEASURES:
        assert measure(p[order], y) == pytest.approx(measure(CategoricalPrediction(p), y), rel=1e-10)
    error = (p.argmax(-1) != y).double().mean()
    assert disagreement(p, y) / 2 + double_fault(p, y) == pytest.approx(float(error), rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(members=st.integers(1, 6), seed=st.integers(0, 10_000), far=st.sampled_from([0.0, 1.0, 1e4]))
def test_property_members_minus_ensemble_is_the_scatter(members, seed, far):
    generator = torch.Generator().manual_seed(seed)
    means = far + torch.randn(members, 7, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    found = ambiguity(means, y)
    assert found.members - found.ensemble == pytest.approx(found.gain, abs=1e-10 * max(1, far**2))
    assert found.gain >= 0
    assert found.members == pytest.approx(float((means - y).square().mean()), rel=1e-12)
    epistemic = GaussianPrediction.from_members(means, torch.ones_like(means)).epistemic_var
    assert found.gain == pytest.approx(float(epistemic.mean()), rel=1e-9)


def test_property_the_squared_loss_of_probabilities_is_brier():
    p, y = drawn()
    truth = torch.nn.functional.one_hot(y, 3).double()
    found = ambiguity(p, truth)
    brier = (p - truth).square().sum(-1).mean(1)  # of each member
    of_mean = float((p.mean(0) - truth).square().sum(-1).mean())
    assert 3 * found.ensemble == pytest.approx(of_mean, rel=1e-12)
    assert of_mean < float(brier.mean())
    assert 3 * found.gain == pytest.approx(float(predictive_variance(p).mean()), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(members=st.integers(1, 6), seed=st.integers(0, 10_000))
def test_property_jensen_for_the_log_loss(members, seed):
    p, y = drawn(members, seed=seed)
    found = log_ambiguity(p, y)
    assert found.gain >= 0
    assert found.members - found.ensemble == pytest.approx(found.gain, abs=1e-10)
    assert found.ensemble == pytest.approx(float(nll_categorical(p, y)), rel=1e-12)
    each = [float(nll_categorical(member, y)) for member in p]
    assert found.members == pytest.approx(sum(each) / members, rel=1e-12)


def test_limit_a_member_that_excluded_what_came():
    p = torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]])
    found = log_ambiguity(p, torch.tensor([0]))
    assert (found.members, found.gain) == (math.inf, math.inf)
    assert found.ensemble == pytest.approx(math.log(2))
    with pytest.raises(ParameterError, match="smooth"):
        log_ambiguity(torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]]), torch.tensor([0]))


def test_property_nothing_of_the_caller_changes():
    p, y = drawn()
    before = p.clone(), y.clone()
    for measure in (*MEASURES, log_ambiguity):
        measure(p, y)
    assert torch.equal(p, before[0])
    assert torch.equal(y, before[1])


def test_error_of_members_classes_and_shapes():
    p, y = drawn()
    for measure in (*MEASURES, pair_shares):
        with pytest.raises(ParameterError, match="two or more"):
            measure(p[:1], y)
    for measure in (*MEASURES, log_ambiguity):
        with pytest.raises(ParameterError, match="int64"):
            measure(p, y[:-1])
        with pytest.raises(ParameterError, match="0 to 2"):
            measure(p, y - 1)
        with pytest.raises(ParameterError, match="from_logits"):
            measure(p.log(), y)
    means = torch.zeros(2, 3, 1)
    for bad in (torch.zeros(3), torch.zeros(2, 1)):
        with pytest.raises(ParameterError, match=r"y\[:, None\]"):
            ambiguity(means, bad)
    with pytest.raises(ParameterError, match="finite"):
        ambiguity(means, torch.full((3, 1), math.nan))
    with pytest.raises(ParameterError, match="floating"):
        ambiguity(means.long(), torch.zeros(3, 1))
