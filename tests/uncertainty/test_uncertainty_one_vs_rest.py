"""Histogram and isotonic calibration, class against rest, and the stairs and polygons they are made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    HistogramBinning,
    IsotonicCalibration,
    from_probs,
    log_odds,
)
from weightlore.uncertainty.calibration.isotonic import isotonic_map
from weightlore.uncertainty.calibration.one_vs_rest import normalized
from weightlore.uncertainty.calibration.piecewise import Knots, Steps, mixed


def pairs(p):
    """Logits of two classes whose second one has the probability p."""
    p = torch.as_tensor(p, dtype=torch.float64)
    return from_probs(torch.stack([1 - p, p], 1))


def sample(size=200, classes=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    return z, torch.multinomial((z / 2).softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_oracle_histogram_output_is_the_frequency_of_the_bin(binning):
    z, y = sample()
    p = z.softmax(1)[:, 1].numpy()
    found = HistogramBinning(bins=7, binning=binning).fit(z, y).predict_proba(z)[:, 1].numpy()
    edges = (
        np.arange(8) / 7 if binning == "width" else np.concatenate([[0], np.sort(p)[[29, 58, 87, 116, 144, 172]], [1]])
    )
    number = np.digitize(p, edges[1:-1])
    for b in range(7):
        assert np.unique(number, return_counts=True)[1].min() > 0
        assert found[number == b] == pytest.approx(y.numpy()[number == b].mean())


def test_property_one_bin_says_the_share_and_as_many_bins_as_examples_says_the_answers():
    z, y = sample(50)
    share = y.double().mean()
    torch.testing.assert_close(HistogramBinning(bins=1).fit(z, y).predict_proba(z)[:, 1], share.expand(50))
    torch.testing.assert_close(HistogramBinning(bins=50, binning="mass").fit(z, y).predict_proba(z)[:, 1], y.double())


def test_limit_an_empty_bin_says_its_midpoint():
    fitted = HistogramBinning(bins=4).fit(pairs([0.1, 0.9, 0.95]), torch.tensor([1, 1, 0]))
    found = fitted.predict_proba(pairs([0.1, 0.3, 0.6, 0.99]))[:, 1]
    assert found.tolist() == pytest.approx([1.0, 0.375, 0.625, 0.5])


def test_limit_edges_and_ends():
    fitted = HistogramBinning(bins=2).fit(pairs([0.25, 0.5, 1.0]), torch.tensor([0, 1, 0]))
    assert fitted.predict_proba(pairs([0.0, 0.49, 0.5, 1.0]))[:, 1].tolist() == pytest.approx([0, 0, 0.5, 0.5])


def test_property_equal_confidences_are_not_parted():
    fitted = HistogramBinning(bins=3, binning="mass").fit(pairs([0.3] * 6), torch.tensor([0, 0, 0, 0, 1, 1]))
    assert fitted.predict_proba(pairs([0.1, 0.3, 0.7]))[:, 1].tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("kind", [lambda: HistogramBinning(bins=6), IsotonicCalibration])
def test_oracle_many_classes_are_two_classes_each_made_to_sum_to_one(kind):
    z, y = sample(300, 4)
    p = z.softmax(1)
    each = [kind().fit(pairs(p[:, k]), (y == k).long()).predict_proba(pairs(p[:, k]))[:, 1] for k in range(4)]
    stacked = torch.stack(each, 1)
    torch.testing.assert_close(
        kind().fit(z, y).predict_proba(z), stacked / stacked.sum(1, keepdim=True), rtol=1e-6, atol=1e-9
    )


def test_limit_a_row_of_zeros_becomes_uniform():
    assert normalized(torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 2.0]])).tolist() == [
        pytest.approx([1 / 3] * 3),
        [0, 0.5, 0.5],
    ]
    z = torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    found = HistogramBinning(bins=2).fit(z, torch.tensor([0, 1, 2, 0])).predict_proba(z[1:])
    assert torch.isfinite(found).all()


def test_oracle_isotonic_is_that_of_scikit_learn_with_ties_between_knots_and_outside():
    generator = torch.Generator().manual_seed(0)
    p = torch.randint(1, 20, (300,), generator=generator) / 25 + 0.05
    y = torch.bernoulli(p**2, generator=generator).long()
    fresh = torch.linspace(0.001, 0.999, 77)
    z, other = pairs(p), pairs(fresh)
    oracle = IsotonicRegression(out_of_bounds="clip").fit(z.softmax(1)[:, 1], y)
    found = IsotonicCalibration().fit(z, y).predict_proba(other)[:, 1]
    torch.testing.assert_close(found, torch.as_tensor(oracle.predict(other.softmax(1)[:, 1])), rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=1, max_size=30))
def test_oracle_isotonic_by_the_formula_of_maxima_and_minima(points):
    x, t = (torch.tensor(column).double() for column in zip(*points, strict=True))
    places = x.unique()
    means = torch.stack([t[x == place].mean() for place in places])
    counts = torch.stack([(x == place).sum() for place in places]).double()
    sums, sizes = (torch.cat([torch.zeros(1), v.cumsum(0)]).double() for v in (means * counts, counts))
    size = len(places)
    for i in range(size):
        over = [min((sums[b] - sums[a]) / (sizes[b] - sizes[a]) for b in range(i + 1, size + 1)) for a in range(i + 1)]
        assert isotonic_map(x, t)(places[i : i + 1]).item() == pytest.approx(max(over).item(), abs=1e-9)


def test_property_isotonic_never_falls_averages_ties_and_repeating_it_changes_nothing():
    z, y = sample(400)
    p = z.softmax(1)[:, 1]
    fitted = isotonic_map(p, y.double())
    out = fitted(p)
    assert (out[p.argsort()].diff() >= 0).all()
    torch.testing.assert_close(isotonic_map(out, y.double())(out), out, rtol=0, atol=1e-12)
    assert fitted(torch.tensor([-1.0, 2.0])).tolist() == [out.min().item(), out.max().item()]
    assert isotonic_map(torch.ones(3), torch.tensor([0.0, 1.0, 1.0]))(torch.ones(1)).item() == pytest.approx(2 / 3)


def test_oracle_log_odds():
    z, _ = sample(50, 5)
    p = z.softmax(1)
    torch.testing.assert_close(log_odds(z), (p / (1 - p)).log(), rtol=1e-9, atol=1e-9)
    two = sample(50)[0]
    torch.testing.assert_close(log_odds(two)[:, 1], two[:, 1] - two[:, 0], rtol=1e-12, atol=1e-12)


def test_limit_log_odds_of_sure_answers_are_finite_and_exact():
    z = torch.tensor([[900.0, 0.0, -5.0], [0.0, 900.0, 900.0]], dtype=torch.float64)
    found = log_odds(z)
    assert found[0, 0].item() == pytest.approx(900 - np.log1p(np.exp(-5)), rel=1e-14)
    assert found[0, 1:].tolist() == [-900, -905]
    assert found[1].tolist() == pytest.approx([-900 - np.log(2), 0, 0], abs=1e-9)


def test_oracle_knots_are_linear_interpolation():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(9, generator=generator).sort().values, torch.rand(9, generator=generator)
    at = torch.cat([torch.linspace(-0.5, 1.5, 50), x])
    expected = np.interp(at.double().numpy(), x.double().numpy(), y.double().numpy())
    torch.testing.assert_close(Knots(x, y)(at), torch.as_tensor(expected), rtol=1e-12, atol=1e-12)
    assert Knots(x, y)(at.reshape(59, 1)).shape == (59, 1)


def test_limit_knots_with_jumps_and_single_ones():
    jump = Knots(torch.tensor([0.0, 0.5, 0.5, 1.0]), torch.tensor([0.0, 0.2, 0.8, 1.0]))
    assert jump(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx([0.1, 0.8, 0.9])
    ends = Knots(torch.tensor([0.0, 0.0, 1.0, 1.0]), torch.tensor([0.0, 0.2, 0.8, 1.0]))
    assert ends(torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])).tolist() == pytest.approx([0, 0.2, 0.5, 1, 1])
    assert Knots(torch.tensor([0.3]), torch.tensor([0.7]))(torch.tensor([0.0, 0.3, 9.0])).tolist() == pytest.approx(
        [0.7] * 3
    )


def test_oracle_mixture_of_stairs():
    generator = torch.Generator().manual_seed(0)
    steps = [
        Steps(torch.rand(size, generator=generator).sort().values, torch.rand(size + 1, generator=generator))
        for size in (0, 1, 4, 9)
    ]
    weights, at = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.rand(500, generator=generator)
    at = torch.cat([at, *[one.edges.float() for one in steps]])
    expected = sum(w * one(at) for w, one in zip(weights.double(), steps, strict=True))
    torch.testing.assert_close(mixed(steps, weights)(at), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Steps(torch.zeros(2), torch.zeros(2)), "B - 1 ascending edges"),
        (lambda: Steps(torch.tensor([1.0, 0.0]), torch.zeros(3)), "ascending"),
        (lambda: Knots(torch.zeros(0), torch.zeros(0)), "at least one"),
        (lambda: Knots(torch.tensor([1.0, 0.0]), torch.zeros(2)), "ascending places"),
        (lambda: Knots(torch.tensor([float("nan")]), torch.zeros(1)), "NaN or infinite"),
        (lambda: mixed([], torch.zeros(0)), "one weight"),
        (lambda: mixed([Steps(torch.zeros(0), torch.zeros(1))], torch.zeros(2)), "one weight"),
        (lambda: HistogramBinning(bins=0), "at least 1"),
        (lambda: HistogramBinning(binning="count"), "binning is one of"),
    ],
)
def test_error_pieces(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
