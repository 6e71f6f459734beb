"""Closed forms of Dirichlet distributions: by draws, by scipy and torch, and by many digits where numbers are large.

``EXACT`` was made with mpmath 1.3.0 at 60 digits from the textbook forms, with their cancellations:

    a0 = sum(a); H = -sum(x/a0 * log(x/a0)); E = sum(x/a0 * (psi(0, a0+1) - psi(0, x+1))); I = H - E
    D = sum(loggamma(x)) - loggamma(a0) + (a0 - C) * psi(0, a0) - sum((x - 1) * psi(0, x))
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from weightlore.errors import ParameterError
from weightlore.uncertainty import DirichletPrediction, UncertaintyWarning
from weightlore.uncertainty.dirichlet import (
    differential_entropy,
    dissonance,
    expected_entropy,
    kl_divergence,
    mutual_information,
    precision,
    total_entropy,
    vacuity,
)
from weightlore.uncertainty.measures import alpha_of

MEASURES = (precision, total_entropy, expected_entropy, mutual_information, differential_entropy)
# concentrations -> expected entropy, mutual information, differential entropy
EXACT = {
    (0.5, 0.5): (0.38629436111989063, 0.3068528194400547, -0.24156447527049044),
    (1.0, 2.0, 3.0): (0.8666666666666667, 0.14473759804068506, -1.2443445622221008),
    (0.001, 5.0, 100.0): (0.18689821098445783, 0.00466368200657412, -999.8361946109188),
    (1000000.0, 2000000.0, 3000000.0): (1.0114040980407082, 1.6666664351851852e-07, -14.561152818900034),
    (1000000000.0, 0.5, 40.0): (7.317208976333753e-07, 8.627353391647526e-10, -38.100929170944255),
    (5000000000.0, 5000000000.0): (0.6931471805099453, 4.99999999975e-11, -10.787134112375501),
    (1000000000000.0, 3000000000000.0, 2000000000000.0, 1.0): (
        1.0114042647120165,
        2.3713072251634854e-13,
        -56.799443573132805,
    ),
}


def drawn(examples=8, classes=4, seed=0, low=-2.0, high=4.0):
    generator = torch.Generator().manual_seed(seed)
    return (low + (high - low) * torch.rand(examples, classes, generator=generator, dtype=torch.float64)).exp()


def assert_alike(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_oracle_torch_and_scipy():
    a, b = drawn(), drawn(seed=1)
    one, other = torch.distributions.Dirichlet(a), torch.distributions.Dirichlet(b)
    assert_alike(differential_entropy(a), one.entropy())
    assert_alike(kl_divergence(a, b), torch.distributions.kl_divergence(one, other))
    assert_alike(differential_entropy(a), torch.tensor([stats.dirichlet(row.numpy()).entropy() for row in a]))
    assert_alike(total_entropy(a), torch.distributions.Categorical(probs=one.mean).entropy())
    assert_alike(precision(a), a.sum(-1))


@pytest.mark.parametrize("alpha", EXACT)
def test_oracle_sixty_digits(alpha):
    expected, model, density = EXACT[alpha]
    a = torch.tensor([alpha], dtype=torch.float64)
    assert float(expected_entropy(a)) == pytest.approx(expected, rel=1e-12)
    assert float(mutual_information(a)) == pytest.approx(model, rel=1e-10)
    assert float(differential_entropy(a)) == pytest.approx(density, rel=1e-12, abs=1e-12)


def test_oracle_draws():
    draws, rounding = 200_000, 1e-12
    for row in torch.tensor([[0.3, 0.6, 0.2], [1.0, 1.0, 1.0], [5.0, 2.0, 9.0]], dtype=torch.float64):
        seeded = torch.Generator().manual_seed(3)
        gamma = torch._standard_gamma(row.expand(draws, -1), generator=seeded).clamp(min=1e-300)
        p = gamma / gamma.sum(-1, keepdim=True)
        entropy = torch.special.entr(p).sum(-1)
        density = -torch.distributions.Dirichlet(row).log_prob(p.clamp(min=1e-300))
        for found, sample in ((expected_entropy(row[None]), entropy), (differential_entropy(row[None]), density)):
            assert abs(float(found) - float(sample.mean())) < 5 * float(sample.std()) / math.sqrt(draws) + rounding
        information = float(torch.special.entr(p.mean(0)).sum() - entropy.mean())
        assert abs(float(mutual_information(row[None])) - information) < 5 * float(entropy.std()) / math.sqrt(draws)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 8),
    high=st.sampled_from([0.0, 3.0, 10.0, 25.0]),
)
def test_property_parts_add_up_within_their_bounds(seed, classes, high):
    a = drawn(5, classes, seed, low=-4.0, high=high)
    total, data, model = total_entropy(a), expected_entropy(a), mutual_information(a)
    torch.testing.assert_close(total, data + model, rtol=1e-10, atol=1e-10)
    assert (model >= 0).all()
    assert (data >= 0).all()
    assert (total <= math.log(classes) + 1e-12).all()
    flat = torch.ones(1, classes, dtype=torch.float64)
    assert (differential_entropy(a) <= differential_entropy(flat) + 1e-9).all(), "the flat one is widest"
    shuffle = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    for measure in MEASURES:
        assert_alike(measure(a[:, shuffle]), measure(a))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_limit_flat(classes):
    flat = torch.ones(1, classes, dtype=torch.float64)
    assert float(differential_entropy(flat)) == pytest.approx(-math.lgamma(classes), rel=1e-12, abs=1e-14)
    assert float(total_entropy(flat)) == pytest.approx(math.log(classes), rel=1e-14)
    assert float(expected_entropy(flat)) == pytest.approx(sum(1 / i for i in range(2, classes + 1)), rel=1e-13)
    assert float(vacuity(flat)) == 1
    assert float(dissonance(flat)) == 0
    assert float(kl_divergence(flat, flat)) == 0


def test_limit_information_falls_like_the_series_as_precision_grows():
    mean = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    found = torch.cat([mutual_information(mean * 10.0**k) for k in range(16)])
    assert (found.diff() < 0).all()
    for k in range(6, 16):
        assert float(found[k]) == pytest.approx(2 / (2 * 10.0**k), rel=1e-5)
    ratio = torch.cat([mutual_information(mean * 10.0**k) * 10.0**k for k in range(8, 16)])
    assert ((ratio - 1).abs() < 1e-7).all(), "no noise where a difference of entropies would have only that"


def test_limit_the_largest_numbers():
    a = torch.tensor([[8e307, 8e307], [1e-6, 1e308]], dtype=torch.float64)
    for measure in MEASURES:
        assert measure(a).isfinite().all()
    assert float(mutual_information(a)[0]) == pytest.approx(3.125e-309, rel=1e-6)


def test_limit_one_class_large_and_one_small():
    a = torch.tensor([[1e9, 0.5]], dtype=torch.float64)
    series = 1 / (2 * float(precision(a)))
    assert float(mutual_information(a)) != pytest.approx(series, rel=0.1), "the series is for large classes only"


@pytest.mark.parametrize("x", [29.999999, 30.0, 30.000001])
def test_property_no_step_where_the_series_begins(x):
    a = torch.tensor([[x, 2 * x]], dtype=torch.float64)
    assert_alike(differential_entropy(a), torch.distributions.Dirichlet(a).entropy())
    assert float(mutual_information(a)) == pytest.approx(float(total_entropy(a) - expected_entropy(a)), rel=1e-11)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), high=st.sampled_from([0.0, 4.0, 20.0]))
def test_property_divergence_is_zero_only_at_the_target(seed, high):
    a, b = drawn(5, 3, seed, high=high), drawn(5, 3, seed + 1, high=high)
    assert (kl_divergence(a, b) > 0).all()
    assert not kl_divergence(a, a).any()
    flat = torch.ones(1, 3, dtype=torch.float64)
    assert_alike(kl_divergence(a, flat), -math.lgamma(3) - differential_entropy(a))
    torch.testing.assert_close(kl_divergence(a, b[:1]), kl_divergence(a, b[:1].expand(5, -1)), rtol=0, atol=0)


def test_limit_divergence_of_large_concentrations():
    a = torch.tensor([[1e8, 2e8]], dtype=torch.float64)
    b = a * (1 + 1e-4)
    # sum_k (b-a)^2 / 2a - (b0-a0)^2 / 2a0 is 0 for a common factor; what is left is (C-1)/2 (f - 1 - ln f), f = b/a
    f = 1 + 1e-4
    assert float(kl_divergence(a, b)) == pytest.approx(0.5 * (f - 1 - math.log(f)), rel=1e-3)


def test_oracle_gradients_by_differences():
    a = torch.tensor([[0.4, 3.0, 45.0], [28.0, 31.0, 1.5]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([[2.0, 40.0, 0.3]], dtype=torch.float64, requires_grad=True)
    for measure in MEASURES:
        assert torch.autograd.gradcheck(measure, a)
    assert torch.autograd.gradcheck(kl_divergence, (a, b))
    assert torch.autograd.gradcheck(dissonance, a.detach().clamp(min=1.1).requires_grad_())


def test_oracle_dissonance_pair_by_pair():
    a = 1 + drawn(classes=4)
    for row, found in zip(a.tolist(), dissonance(a).tolist(), strict=True):
        b = [(x - 1) / sum(row) for x in row]
        expected = 0.0
        for k in range(4):
            others = [j for j in range(4) if j != k]
            balance = sum(b[j] * (1 - abs(b[j] - b[k]) / (b[j] + b[k])) for j in others)
            expected += b[k] * balance / sum(b[j] for j in others)
        assert found == pytest.approx(expected, rel=1e-12)


def test_property_belief_and_vacuity_share_one():
    a = 1 + drawn(50, 3)
    assert ((vacuity(a) > 0) & (vacuity(a) <= 1)).all()
    assert (dissonance(a) >= 0).all()
    assert (dissonance(a) <= 1 - vacuity(a) + 1e-12).all()
    assert_alike(vacuity(a) + ((a - 1) / a.sum(-1, keepdim=True)).sum(-1), torch.ones(50, dtype=torch.float64))
    balanced = torch.tensor([[1001.0, 1001.0, 1001.0]])
    assert float(dissonance(balanced)) == pytest.approx(1 - float(vacuity(balanced)), rel=1e-6)
    assert not dissonance(torch.tensor([[7.0, 1.0, 1.0], [1.0, 1.0, 1.0]])).any()


def test_property_containers_dtypes_and_callers():
    a = 1 + drawn()
    before = a.clone()
    for measure in (*MEASURES, vacuity, dissonance):
        assert torch.equal(measure(DirichletPrediction(a)), measure(a))
        assert measure(a.float()).dtype == torch.float32
        torch.testing.assert_close(measure(a.float()).double(), measure(a), rtol=1e-5, atol=1e-6)
    assert torch.equal(a, before)


def test_limit_tiny_concentrations_are_lifted_with_a_warning():
    a = torch.tensor([[1e-9, 2.0]], dtype=torch.float64)
    with pytest.warns(UncertaintyWarning, match="1 concentrations are below 1e-06"):
        assert alpha_of(a).tolist() == [[1e-6, 2.0]]
    for measure in MEASURES:
        with pytest.warns(UncertaintyWarning):
            assert measure(a).isfinite().all()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.tensor([[0.0, 1.0]]), "must be > 0"),
        (torch.tensor([[-1.0, 1.0]]), "evidence"),
        (torch.tensor([[math.nan, 1.0]]), "finite"),
        (torch.tensor([[math.inf, 1.0]]), "finite"),
        (torch.tensor([[1e308, 1e308]], dtype=torch.float64), "a sum of concentrations must be finite"),
        (torch.ones(3), r"\(N, C\)"),
        (torch.ones(2, 2, dtype=torch.int64), "floating"),
        ([[1.0, 2.0]], "list"),
    ],
)
def test_error_of_what_are_no_concentrations(bad, says):
    for measure in (*MEASURES, vacuity, dissonance, lambda a: kl_divergence(a, torch.ones(1, 2))):
        with pytest.raises(ParameterError, match=says):
            measure(bad)


def test_error_of_evidence_below_zero_and_shapes():
    for measure in (vacuity, dissonance):
        with pytest.raises(ParameterError, match="must be >= 1"):
            measure(torch.tensor([[0.5, 2.0]]))
    for beta in (torch.ones(2, 2), torch.ones(3, 3)):
        with pytest.raises(ParameterError, match="one for all"):
            kl_divergence(torch.ones(3, 2), beta)
