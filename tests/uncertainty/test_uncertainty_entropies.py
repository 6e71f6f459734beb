"""Entropies and divergences of members: against loops over the definitions, and what holds for any probabilities."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, UncertaintyWarning
from weightlore.uncertainty.measures import (
    expected_entropy,
    expected_kl,
    expected_pairwise_kl,
    margin,
    max_probability,
    mean_of,
    members_of,
    mutual_information,
    predictive_entropy,
)

TOTAL = (predictive_entropy, expected_entropy)
SPREAD = (mutual_information, expected_kl, expected_pairwise_kl)
NAN = float("nan")


def drawn(members=4, examples=6, classes=3, seed=0, spread=2.0, dtype=torch.float64):
    """Class probabilities of members, (S, N, C)."""
    z = torch.randn(members, examples, classes, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (spread * z).softmax(-1)


def kl(p, q):
    """The definition, class by class, in plain floats."""
    return sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True) if a > 0)


def entropy(p):
    return -sum(a * math.log(a) for a in p.tolist() if a > 0)


def by_hand(p, function):
    """A function of the members (S, C) of each example."""
    return torch.tensor([function(p[:, n]) for n in range(p.shape[1])], dtype=torch.float64)


def assert_alike(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_oracle_definitions_one_by_one():
    p = drawn()
    assert_alike(predictive_entropy(p), by_hand(p, lambda q: entropy(q.mean(0))))
    assert_alike(expected_entropy(p), by_hand(p, lambda q: sum(map(entropy, q)) / len(q)))
    assert_alike(mutual_information(p), by_hand(p, lambda q: sum(kl(s, q.mean(0)) for s in q) / len(q)))
    assert_alike(expected_kl(p), by_hand(p, lambda q: sum(kl(q.mean(0), s) for s in q) / len(q)))
    assert_alike(expected_pairwise_kl(p), by_hand(p, lambda q: sum(kl(s, t) for s in q for t in q) / len(q) ** 2))
    assert_alike(max_probability(p), by_hand(p, lambda q: 1 - max(q.mean(0).tolist())))
    assert_alike(margin(p), by_hand(p, lambda q: sorted(q.mean(0).tolist())[-1] - sorted(q.mean(0).tolist())[-2]))


def test_oracle_entropy_of_torch():
    p = drawn(members=1, spread=4.0)
    assert_alike(predictive_entropy(p), torch.distributions.Categorical(probs=p[0]).entropy())


def test_oracle_pairs_of_different_members():
    p = drawn(members=3)
    pairs = by_hand(p, lambda q: sum(kl(q[s], q[t]) for s in range(3) for t in range(3) if s != t) / 6)
    assert_alike(expected_pairwise_kl(p) * 3 / 2, pairs)


@settings(max_examples=60, deadline=None)
@given(
    members=st.integers(2, 6),
    classes=st.integers(2, 6),
    seed=st.integers(0, 10_000),
    spread=st.sampled_from([0.0, 1e-6, 0.1, 1.0, 10.0, 100.0, 2000.0]),
)
def test_property_parts_add_up_within_their_bounds(members, classes, seed, spread):
    p = drawn(members, 5, classes, seed, spread)
    total, data, model = predictive_entropy(p), expected_entropy(p), mutual_information(p)
    assert_alike(total, data + model)
    assert (data >= 0).all()
    assert (model >= 0).all()
    assert (total >= 0).all()
    assert (total <= math.log(classes) + 1e-12).all()
    assert (model <= math.log(min(members, classes)) + 1e-12).all()
    raw = (torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(-1).mean(0)
    assert (raw > -1e-12).all(), "what is clamped is rounding"
    pairwise, backwards = expected_pairwise_kl(p), expected_kl(p)
    assert torch.equal(pairwise.isinf(), backwards.isinf())
    finite = pairwise.isfinite()
    assert_alike(pairwise[finite], (model + backwards)[finite])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_property_order_of_members_and_classes_does_not_matter(seed):
    p = drawn(seed=seed)
    shuffle = torch.Generator().manual_seed(seed)
    members, classes = (torch.randperm(n, generator=shuffle) for n in (4, 3))
    for measure in (*TOTAL, *SPREAD, max_probability, margin):
        assert_alike(measure(p[members][..., classes]), measure(p))


def test_property_a_prediction_serves_as_well_as_its_tensor():
    prediction = CategoricalPrediction(drawn())
    for measure in (*TOTAL, *SPREAD, max_probability, margin):
        assert torch.equal(measure(prediction), measure(prediction.probs))
        assert measure(prediction).shape == (6,)


def test_property_another_base_rescales():
    p = drawn()
    for measure in (*TOTAL, *SPREAD):
        assert_alike(measure(p, base=2), measure(p) / math.log(2))
        assert_alike(measure(p, base=0.5), -measure(p) / math.log(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_property_the_dtype_stays(dtype):
    p = drawn().to(dtype)
    for measure in (*TOTAL, *SPREAD, max_probability, margin):
        assert measure(p).dtype == dtype
        torch.testing.assert_close(measure(p).double(), measure(drawn()), rtol=3e-2, atol=3e-3)


def test_property_near_agreement_keeps_its_digits():
    p = torch.tensor([[[0.5 + 1e-9, 0.5 - 1e-9]], [[0.5 - 1e-9, 0.5 + 1e-9]]], dtype=torch.float64)
    assert float(mutual_information(p)) == pytest.approx(2e-18, rel=1e-2)
    assert float(predictive_entropy(p) - expected_entropy(p)) == pytest.approx(0, abs=1e-15), "what a difference leaves"


@pytest.mark.parametrize("p", [drawn(members=1), drawn(members=1, spread=3000.0), torch.eye(3, dtype=torch.float64)])
def test_limit_one_member_disagrees_with_nobody(p):
    for measure in SPREAD:
        with pytest.warns(UncertaintyWarning, match="one only"):
            assert torch.equal(measure(p), torch.zeros(p.shape[-2], dtype=torch.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for measure in TOTAL:
            assert measure(p).isfinite().all()


@pytest.mark.parametrize("members", [2, 5])
def test_limit_equal_members_agree(members):
    p = drawn(members=1, spread=5.0).expand(members, -1, -1)
    for measure in SPREAD:
        assert (measure(p) >= 0).all()
        torch.testing.assert_close(measure(p), torch.zeros(6, dtype=torch.float64), atol=1e-14, rtol=0)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_limit_uniform_sure_and_all_different(classes):
    sure, flat = torch.eye(classes, dtype=torch.float64), torch.full((1, classes), 1 / classes, dtype=torch.float64)
    assert predictive_entropy(sure).tolist() == [0.0] * classes
    assert not predictive_entropy(sure).signbit().any()
    assert_alike(predictive_entropy(flat), torch.tensor([math.log(classes)], dtype=torch.float64))
    assert float(max_probability(flat)) == pytest.approx(1 - 1 / classes, rel=1e-12)
    assert margin(sure).tolist() == [1.0] * classes
    everyone_else = sure[:, None]  # each member is sure of another class
    assert_alike(mutual_information(everyone_else), torch.tensor([math.log(classes)], dtype=torch.float64))
    assert float(expected_entropy(everyone_else)) == 0


def test_limit_infinite_where_a_member_excludes_what_another_expects():
    p = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [1.0, 0.0]]], dtype=torch.float64)
    for measure in (expected_kl, expected_pairwise_kl):
        assert measure(p).tolist() == [math.inf, 0.0]
        assert measure(p, smoothing=1e-3).isfinite().all()
        assert_alike(measure(p, smoothing=1.0), torch.zeros(2, dtype=torch.float64))
    three = torch.cat([p, p[:, :1]], 1)  # as many examples as there are not classes
    assert_alike(expected_kl(three, smoothing=0.1), expected_kl(0.9 * three + 0.05))
    assert mutual_information(p).isfinite().all()


def test_limit_the_smallest_numbers():
    p = torch.tensor([[[1.0, 0.0]], [[1.0, 5e-324]]], dtype=torch.float64)
    for measure in (*TOTAL, mutual_information):
        assert measure(p).tolist() == pytest.approx([0.0], abs=1e-300)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_property_gradients_of_logits_are_finite(scale):
    z = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    z = (scale * z).requires_grad_()
    for measure in (*TOTAL, mutual_information):
        (gradient,) = torch.autograd.grad(measure(z.softmax(-1)).sum(), z)
        assert gradient.isfinite().all(), measure
        assert (gradient.sum(-1).abs() < 1e-12).all(), "a shift of all logits changes nothing"
    (gradient,) = torch.autograd.grad(expected_kl(z.softmax(-1), smoothing=1e-3).sum(), z)
    assert gradient.isfinite().all()


def test_oracle_gradients_by_differences():
    z = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    for measure in (*TOTAL, *SPREAD):
        assert torch.autograd.gradcheck(lambda z, measure=measure: measure(z.softmax(-1)), z)


def test_property_nothing_of_the_caller_changes():
    p = drawn()
    before = p.clone()
    for measure in (*TOTAL, *SPREAD, max_probability, margin):
        measure(p)
    assert torch.equal(p, before)
    assert members_of(p) is p
    assert torch.equal(mean_of(p), p.mean(0))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.rand(3), "shape"),
        (torch.rand(2, 3, 4, 5, 6), "segmentation"),
        ([[0.5, 0.5]], "list"),
        (torch.ones(2, 2, dtype=torch.int64), "floating"),
        (torch.rand(0, 3), "an entry at least"),
        (torch.tensor([[0.5, NAN]]), "finite"),
        (torch.tensor([[0.5, math.inf]]), "finite"),
        (torch.tensor([[1.5, -0.5]]), "from_logits"),
        (torch.tensor([[0.5, 0.6]]), "from_logits"),
    ],
)
def test_error_of_what_are_no_probabilities(bad, says):
    for measure in (*TOTAL, *SPREAD, max_probability, margin):
        with pytest.raises(ParameterError, match=says):
            measure(bad)


@pytest.mark.parametrize(
    ("dtype", "fits", "off"),
    [
        (torch.float64, 5e-7, 2e-6),
        (torch.float32, 5e-5, 2e-4),
        (torch.float16, 5e-3, 2e-2),
        (torch.bfloat16, 0.0, 4e-2),
    ],
)
def test_error_of_rows_that_are_off_by_more_than_rounding(dtype, fits, off):
    assert members_of(torch.tensor([[0.25, 0.75 + fits]], dtype=torch.float64).to(dtype)).dtype == dtype
    with pytest.raises(ParameterError, match="off by"):
        members_of(torch.tensor([[0.25, 0.75 + off]], dtype=torch.float64).to(dtype))


def test_error_of_options():
    p = drawn()
    for base in (0, 1, -2, NAN, math.inf):
        with pytest.raises(ParameterError, match="nats"):
            predictive_entropy(p, base=base)
    for smoothing in (-0.1, 1.1, NAN):
        with pytest.raises(ParameterError, match="from 0 to 1"):
            expected_kl(p, smoothing=smoothing)
    with pytest.raises(ParameterError, match="two classes"):
        margin(torch.ones(2, 1))
