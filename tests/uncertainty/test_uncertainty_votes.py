"""Scatter of members and of the classes they name: by loops over members and pairs."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, UncertaintyWarning
from weightlore.uncertainty.measures import (
    class_variance,
    count_votes,
    disagreement,
    predictive_variance,
    variation_ratio,
)

MEASURES = (predictive_variance, variation_ratio, disagreement)


def drawn(members=5, examples=40, classes=3, seed=0, spread=1.0):
    z = torch.randn(members, examples, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (spread * z).softmax(-1)


def assert_alike(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("members", [2, 3, 5])
def test_oracle_votes_and_pairs_by_loops(members):
    p = drawn(members)
    for n in range(p.shape[1]):
        named = [max(range(3), key=p[s, n].tolist().__getitem__) for s in range(members)]
        counts = [named.count(c) for c in range(3)]
        pairs = list(combinations(named, 2))
        assert count_votes(p)[n].tolist() == counts
        assert float(variation_ratio(p)[n]) == pytest.approx(1 - max(counts) / members, abs=1e-15)
        assert float(disagreement(p)[n]) == pytest.approx(sum(a != b for a, b in pairs) / len(pairs), abs=1e-15)


def test_oracle_variance_as_the_mean_squared_distance_from_the_mean():
    p = drawn()
    mean = p.mean(0)
    assert_alike(class_variance(p), (p - mean).square().mean(0))
    assert_alike(predictive_variance(p), (p - mean).square().sum(-1).mean(0))
    assert_alike(predictive_variance(p), class_variance(p).sum(-1))
    assert_alike(predictive_variance(p), p.square().sum(-1).mean(0) - mean.square().sum(-1))


@settings(max_examples=40, deadline=None)
@given(
    members=st.integers(2, 7),
    classes=st.integers(2, 5),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.1, 1.0, 1000.0]),
)
def test_property_bounds_and_order(members, classes, seed, spread):
    p = drawn(members, 10, classes, seed, spread)
    assert (class_variance(p) <= 0.25 + 1e-12).all()
    assert (predictive_variance(p) >= 0).all()
    assert (predictive_variance(p) <= 1 - p.mean(0).square().sum(-1) + 1e-12).all()
    assert (variation_ratio(p) <= 1 - 1 / min(members, classes) + 1e-12).all()
    assert (disagreement(p) >= 0).all()
    assert (disagreement(p) <= 1).all()
    assert torch.equal(disagreement(p) == 0, variation_ratio(p) == 0), "both see agreement"
    shuffle = torch.Generator().manual_seed(seed)
    order, renamed = torch.randperm(members, generator=shuffle), torch.randperm(classes, generator=shuffle)
    for measure in MEASURES:
        assert_alike(measure(p[order][..., renamed]), measure(p))


def test_property_containers_dtypes_and_callers():
    p = drawn()
    before = p.clone()
    for measure in (*MEASURES, class_variance):
        assert torch.equal(measure(CategoricalPrediction(p)), measure(p))
        assert measure(p.float()).dtype == torch.float32
    assert torch.equal(p, before)
    assert count_votes(p).sum(-1).tolist() == [5] * 40


def test_limit_everyone_names_another_class():
    p = torch.eye(4, dtype=torch.float64)[:, None]
    assert variation_ratio(p).tolist() == [0.75]
    assert disagreement(p).tolist() == [1.0]
    assert float(predictive_variance(p)) == pytest.approx(0.75, rel=1e-14)
    assert math.isclose(float(class_variance(p)[0, 0]), 3 / 16)


def test_limit_a_tie_goes_to_the_first_class():
    assert count_votes(torch.full((2, 1, 4), 0.25)).tolist() == [[2, 0, 0, 0]]


@pytest.mark.parametrize("measure", [*MEASURES, class_variance])
def test_limit_one_member_warns_and_gives_zero(measure):
    with pytest.warns(UncertaintyWarning, match="S = 1"):
        found = measure(drawn(members=1))
    assert not found.any()
    assert len(found) == 40


@pytest.mark.parametrize("measure", [*MEASURES, class_variance, count_votes])
def test_error_of_logits(measure):
    with pytest.raises(ParameterError, match="from_logits"):
        measure(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)))
