"""Bayesian binning into quantiles: the evidence by integration, single binnings, and the weights."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.special import betaln
from scipy.stats import beta as beta_law

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    BayesianBinningQuantiles,
    HistogramBinning,
    from_probs,
    log_evidence,
)
from weightlore.uncertainty.calibration.quantile_bins import candidates


def pairs(p):
    p = torch.as_tensor(p, dtype=torch.float64)
    return from_probs(torch.stack([1 - p, p], 1))


def sample(size=200, classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    return z, torch.multinomial((z / 2).softmax(1), 1, generator=generator)[:, 0]


def test_oracle_evidence_is_the_integral_over_frequencies():
    hits, counts, middles = torch.tensor([3, 0, 7]), torch.tensor([5, 4, 7]), torch.tensor([0.3, 0.1, 0.8])
    expected = 0.0
    for m, n, c in zip(hits.tolist(), counts.tolist(), middles.double().tolist(), strict=True):
        a, b = 6 / 3 * c, 6 / 3 * (1 - c)

        def integrand(f, m=m, n=n, a=a, b=b):
            return f**m * (1 - f) ** (n - m) * beta_law.pdf(f, a, b)

        expected += math.log(quad(integrand, 0, 1, limit=200)[0])
        assert betaln(m + a, n - m + b) - betaln(a, b) == pytest.approx(math.log(quad(integrand, 0, 1)[0]), abs=1e-6)
    assert log_evidence(hits, counts, middles, strength=6.0).item() == pytest.approx(expected, abs=1e-6)


def test_oracle_evidence_is_the_chain_of_predictions():
    """Hits one after the other: each is foretold with (m + a) / (n + N'/B)."""
    a, b, product, m, n = 0.6, 1.4, 1.0, 0, 0
    for hit in [1, 1, 0, 1, 0, 0, 1]:
        forecast = (m + a) / (n + a + b)
        product *= forecast if hit else 1 - forecast
        m, n = m + hit, n + 1
    found = log_evidence(torch.tensor([4]), torch.tensor([7]), torch.tensor([0.3]), strength=2.0)
    assert found.exp().item() == pytest.approx(product, rel=1e-7)


@pytest.mark.parametrize("bins", [1, 3, 8])
def test_property_one_candidate_is_a_smoothed_histogram(bins):
    z, y = sample()
    found = BayesianBinningQuantiles(bins=[bins], strength=1e-9).fit(z, y)
    plain = HistogramBinning(bins=bins, binning="mass").fit(z, y)
    torch.testing.assert_close(found.predict_proba(z), plain.predict_proba(z), rtol=0, atol=1e-8)
    assert [weights.tolist() for weights in found.weights] == [[1.0]]
    smoothed = BayesianBinningQuantiles(bins=[1], strength=2.0).fit(z, y).predict_proba(z)[0, 1].item()
    assert smoothed == pytest.approx((y.sum().item() + 1) / 202)


def test_property_the_mixture_is_the_weighted_sum_of_its_binnings():
    z, y = sample()
    found = BayesianBinningQuantiles(bins=[2, 3, 9]).fit(z, y)
    single = [BayesianBinningQuantiles(bins=[one]).fit(z, y).predict_proba(z) for one in (2, 3, 9)]
    expected = sum(w * p for w, p in zip(found.weights[0], single, strict=True))
    torch.testing.assert_close(found.predict_proba(z), expected, rtol=1e-10, atol=1e-12)


def test_oracle_weights_are_a_softmax_of_the_evidence():
    z, y = sample(90)
    p, order = z.softmax(1)[:, 1].sort()
    scores = []
    for bins in (1, 3):
        size = 90 // bins
        inner = [(p[size * j - 1] + p[size * j]).item() / 2 for j in range(1, bins)]
        edges = torch.tensor([0.0, *inner, 1.0], dtype=torch.float64)
        hits = y[order].reshape(bins, size).sum(1)
        scores.append(log_evidence(hits, torch.full((bins,), size), (edges[1:] + edges[:-1]) / 2))
    found = BayesianBinningQuantiles(bins=[1, 3]).fit(z, y).weights[0]
    torch.testing.assert_close(found, torch.stack(scores).softmax(0), rtol=1e-10, atol=0)


@pytest.mark.parametrize("classes", [2, 4])
def test_property_weights_sum_to_one_for_each_map(classes):
    z, y = sample(classes=classes)
    found = BayesianBinningQuantiles().fit(z, y)
    assert len(found.weights) == len(found.maps) == (1 if classes == 2 else classes)
    for weights in found.weights:
        assert weights.sum().item() == pytest.approx(1)
    found.fit(z, y)
    assert len(found.weights) == len(found.maps), "a second fit starts anew"


def test_property_more_structure_gets_more_bins():
    p = torch.linspace(0.01, 0.99, 300)
    flat = torch.arange(300) % 2
    step = ((p > 0.3) & (p < 0.7)).long()
    one, other = (BayesianBinningQuantiles(bins=[1, 10]).fit(pairs(p), y).weights[0] for y in (flat, step))
    assert one[0] > 0.99
    assert other[1] > 0.99


def test_oracle_candidates_by_the_formula():
    for size in (1, 4, 5, 10, 100, 999, 1000, 12345):
        root = size ** (1 / 3)
        fitting = [
            b for b in range(1, size + 1) if max(1, root / 10) <= b + 1e-9 and b - 1e-9 <= min(size / 5, 10 * root)
        ]
        assert list(candidates(size)) == (fitting or [1])


def test_limit_equal_confidences_make_one_binning():
    found = BayesianBinningQuantiles().fit(pairs([0.4] * 50), torch.arange(50) % 2)
    assert [weights.tolist() for weights in found.weights] == [[1.0]]
    assert found.predict_proba(pairs([0.9]))[0, 1].item() == pytest.approx(26 / 52)


def test_limit_confidences_of_zero_and_one():
    p = torch.tensor([0.0] * 30 + [1.0] * 30)
    found = BayesianBinningQuantiles().fit(pairs(p), (p > 0).long()).predict_proba(pairs([0.0, 1.0]))[:, 1]
    assert found[0] < 0.05
    assert found[1] > 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BayesianBinningQuantiles(bins=[]), "None means the paper's range"),
        (lambda: BayesianBinningQuantiles(bins=[0]), "at least 1"),
        (lambda: BayesianBinningQuantiles(strength=0.0), "finite number > 0"),
        (lambda: BayesianBinningQuantiles(strength=math.inf), "finite number > 0"),
        (lambda: candidates(0), "at least 1"),
        (lambda: log_evidence(torch.ones(1), torch.ones(1), torch.ones(1)), "strictly between 0 and 1"),
        (lambda: log_evidence(torch.ones(2), torch.ones(1), 0.5 * torch.ones(1)), "one of each"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
