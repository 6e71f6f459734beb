"""The Brier score and its five parts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import brier_decomposition, brier_score


def forecasts(size: int = 200, classes: int = 3, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    p = (2 * torch.randn(size, classes, generator=g, dtype=torch.float64)).softmax(1)
    return p, torch.randint(classes, (size,), generator=g)


@given(st.integers(0, 9999), st.integers(1, 60), st.integers(2, 5), st.integers(1, 8), st.booleans())
def test_property_five_parts_add_up_to_the_score(seed, size, classes, bins, half):
    p, y = forecasts(size, classes, seed)
    for groups in ("vector", "class"):
        for asked in (None, bins):
            parts = brier_decomposition(p, y, bins=asked, groups=groups, half=half)
            assert parts.score == pytest.approx(float(brier_score(p, y, half=half)), abs=1e-10)
            assert min(parts.reliability, parts.resolution, parts.uncertainty, parts.within_variance) >= 0


@pytest.mark.parametrize("groups", ["vector", "class"])
def test_property_three_parts_are_enough_where_a_bin_holds_one_forecast(groups):
    p, y = forecasts(500)
    p = p[torch.arange(500) % 6]  # six forecasts
    parts = brier_decomposition(p, y, groups=groups)
    assert parts.within_variance == pytest.approx(0, abs=1e-24)
    assert parts.within_covariance == pytest.approx(0, abs=1e-12)
    three = parts.reliability - parts.resolution + parts.uncertainty
    assert three == pytest.approx(float(brier_score(p, y)), abs=1e-12)
    assert parts.reliability > 0.01


def test_property_frequencies_as_forecasts_are_reliable():
    p, y = forecasts(300)
    cell = torch.arange(300) % 4
    honest = torch.stack([torch.nn.functional.one_hot(y[cell == k], 3).double().mean(0) for k in range(4)])[cell]
    parts = brier_decomposition(honest, y)
    assert parts.reliability == pytest.approx(0, abs=1e-12)
    assert parts.resolution > 0
    assert parts.score < brier_decomposition(p, y).score


def test_property_a_useless_honest_forecaster_resolves_nothing():
    y = torch.arange(300) % 3
    parts = brier_decomposition(torch.full((300, 3), 1 / 3, dtype=torch.float64), y)
    assert parts.reliability == pytest.approx(0, abs=1e-12)
    assert parts.resolution == pytest.approx(0, abs=1e-12)
    assert parts.uncertainty == pytest.approx(2 / 3)


def test_oracle_parts_by_the_definition():
    p, y = forecasts(150, 2)
    f, o = p[:, 1], (y == 1).double()
    number = (f * 5).long()
    rel = res = wbv = wbc = 0.0
    for b in number.unique():
        inside = number == b
        share, a, r = inside.double().mean(), o[inside].mean(), f[inside].mean()
        rel += share * (r - a) ** 2
        res += share * (a - o.mean()) ** 2
        wbv += ((f - r)[inside] ** 2).sum() / 150
        wbc += 2 * ((f - r) * (o - a))[inside].sum() / 150
    parts = brier_decomposition(f, y, bins=5, groups="class", half=True)
    # class 0 of (1 - f, f) has the mirrored bins, which hold the same examples unless f is on an edge
    found = (parts.reliability, parts.resolution, parts.within_variance, parts.within_covariance)
    assert found == pytest.approx([float(v) for v in (rel, res, wbv, wbc)], abs=1e-12)
    assert parts.uncertainty == pytest.approx(float(o.mean() * (1 - o.mean())))
    assert found == pytest.approx(
        (lambda q: (q.reliability, q.resolution, q.within_variance, q.within_covariance))(
            brier_decomposition(f, y, bins=5, half=True)
        )
    )


def test_oracle_half_is_the_binary_convention_of_scikit_learn():
    p, y = forecasts(100, 2)
    expected = brier_score_loss(y.numpy(), p[:, 1].numpy())
    assert brier_score(p[:, 1], y, half=True).item() == pytest.approx(expected, abs=1e-15)
    assert brier_score(p, y, half=True).item() == pytest.approx(expected, abs=1e-15)
    assert brier_score(p, y).item() == pytest.approx(2 * expected, abs=1e-15)


def test_limit_worst_best_and_one():
    wrong, right = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    y = torch.tensor([0])
    assert brier_score(wrong, y) == 2
    assert brier_score(right, y) == 0
    assert brier_score(right, y).dtype == torch.float32
    assert brier_decomposition(wrong, y).score == 2
    assert brier_score(torch.stack([wrong, right]), y) == 0.5  # members are averaged


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: brier_score(p * 2, y), "sum to 1"),
        (lambda p, y: brier_score(p, y + 3), "from 0 to 2"),
        (lambda p, y: brier_decomposition(p, y, groups="row"), "'vector', 'class'"),
        (lambda p, y: brier_decomposition(p, y, bins=0), "whole number"),
        (lambda p, y: brier_score(p[:, 0] + 1, y), "between 0 and 1"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*forecasts())
