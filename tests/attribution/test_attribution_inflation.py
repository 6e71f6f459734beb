"""Closed forms of inflated correlations, against simulation and measured maps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from weightlore.attribution import (
    active_correlation,
    background_share,
    bordered,
    inflated_correlation,
    rank_similarity,
    shared_factor_correlation,
    skewed_correlation,
    spearman_of_normal,
)
from weightlore.data import digits
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def background(p, *, images, pixels, seed=0):
    """Inputs of which a share p of the pixels is zero, at other places in each image."""
    places = torch.rand(images, pixels, generator=seeded(seed)).argsort(1)
    return (places >= round(p * pixels)).double()


@pytest.mark.parametrize("p", [0.3, 0.5, 0.8, 0.9])
def test_oracle_unrelated_maps_on_a_common_background_score_as_the_closed_form_says(p):
    x = background(p, images=20, pixels=4096)
    a, b = x * normal(20, 4096, seed=1), x * normal(20, 4096, seed=2)
    everything = rank_similarity(a, b, sign="abs", mask="all")
    active = rank_similarity(a, b, sign="abs", mask="active", x=x, baseline=0.0)
    share = background_share(x, 0.0)
    assert everything.mean().item() == pytest.approx(inflated_correlation(p).item(), abs=0.02)
    torch.testing.assert_close(everything, inflated_correlation(share, active), rtol=0, atol=1e-3)
    torch.testing.assert_close(everything, inflated_correlation(share, active, pixels=4096), rtol=0, atol=1e-12)
    torch.testing.assert_close(active, active_correlation(share, everything, pixels=4096), rtol=0, atol=1e-9)


def test_oracle_values_of_the_closed_form():
    """p = 0.5, 0.81 and 0.9, computed by hand from (3p) / (3p + q^2)."""
    assert inflated_correlation(torch.tensor([0.5, 0.81, 0.9])).tolist() == pytest.approx(
        [1.5 / 1.75, 2.43 / 2.4661, 2.7 / 2.71]
    )
    assert inflated_correlation(0.0, 0.3).item() == 0.3


@given(st.floats(0.0, 0.99), st.floats(-1.0, 1.0))
def test_property_two_forms_and_the_inverse_agree(p, rho):
    found = inflated_correlation(p, rho).item()
    assert found == pytest.approx(1 - (1 - p) ** 3 / (1 - p**3) * (1 - rho), abs=1e-12)
    if abs(found) <= 1:
        assert active_correlation(p, found).item() == pytest.approx(rho, abs=1e-6)


@given(st.floats(0.0, 0.99), st.integers(4, 2000))
def test_property_the_exact_form_tends_to_that_of_many_pixels(p, pixels):
    p = round(p * pixels) / pixels
    if (1 - p) * pixels > 1:
        assert inflated_correlation(p, 0.2, pixels=pixels).item() == pytest.approx(
            inflated_correlation(p, 0.2).item(), abs=4 / pixels
        )


def signs(share, *shape, seed):
    return 1.0 - 2.0 * (torch.rand(*shape, generator=seeded(seed), dtype=torch.float64) < share)


def test_oracle_maps_that_share_only_their_background_and_their_skew():
    x = background(0.81, images=300, pixels=784)
    a, b = (x * normal(300, 784, seed=s).abs() * signs(0.2, 300, 784, seed=s + 10) for s in (1, 2))
    measured = rank_similarity(a, b, sign="signed", mask="all")
    assert skewed_correlation(0.81, 0.2, 0.2).item() == pytest.approx(0.355, abs=5e-4)
    assert measured.mean().item() == pytest.approx(0.355, abs=0.03)
    balanced = x * normal(300, 784, seed=5)
    assert rank_similarity(a, balanced, sign="signed", mask="all").mean().item() == pytest.approx(0, abs=0.02)
    assert rank_similarity(a, b, sign="signed", mask="active", x=x, baseline=0.0).mean().item() < 0.02


@given(st.floats(0.0, 0.99), st.floats(0.0, 1.0))
def test_property_skew_vanishes_for_a_balanced_map_and_is_inflation_without_negative_pixels(p, u):
    assert skewed_correlation(p, u, 0.5).item() == 0
    assert skewed_correlation(p, 0.0, 0.0).item() == pytest.approx(inflated_correlation(p).item(), abs=1e-12)
    assert skewed_correlation(p, u, 0.3).item() == pytest.approx(-skewed_correlation(p, 1 - u, 0.3).item(), abs=1e-12)


def test_oracle_a_common_factor_leaves_magnitudes_correlated():
    n, shared, own = 200_000, 0.6, 1.1
    common = shared**0.5 * normal(n)
    one, other = (common + own**0.5 * normal(n, seed=s) for s in (1, 2))
    pearson = shared_factor_correlation(shared, own)
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(pearson, abs=0.01)
    assert spearmanr(one.exp(), other.exp())[0] == pytest.approx(spearman_of_normal(pearson), abs=0.01)
    third = common + 2.0**0.5 * normal(n, seed=3)
    assert np.corrcoef(one, third)[0, 1] == pytest.approx(shared_factor_correlation(shared, own, 2.0), abs=0.01)


def test_limit_a_factor_that_is_all_or_nothing():
    assert shared_factor_correlation(0.0, 1.0) == 0
    assert shared_factor_correlation(2.0, 0.0) == 1
    assert [spearman_of_normal(r) for r in (-1, 0, 1)] == pytest.approx([-1, 0, 1])


@pytest.mark.parametrize("width", [1, 2, 4])
def test_property_a_border_raises_the_correlation_of_all_pixels_and_changes_no_other(width):
    x = digits("test", images=True).x[:40]
    a, b = x * normal(*x.shape, seed=1), x * normal(*x.shape, seed=2)
    wide = [bordered(t, width) for t in (a, b, x)]
    for sign in ("signed", "abs"):
        before = rank_similarity(a, b, sign=sign, mask="active", x=x, baseline=0.0)
        assert torch.equal(rank_similarity(*wide[:2], sign=sign, mask="active", x=wide[2], baseline=0.0), before)
    inner, outer = (rank_similarity(*maps, sign="abs", mask="all") for maps in ((a, b), wide[:2]))
    assert (outer > inner).all()
    share, active = background_share(wide[2], 0.0), rank_similarity(a, b, sign="abs", mask="active", x=x, baseline=0.0)
    torch.testing.assert_close(outer, inflated_correlation(share, active, pixels=(8 + 2 * width) ** 2))


def test_limit_no_border_and_another_value():
    images = normal(2, 1, 3, 3)
    assert torch.equal(bordered(images, 0), images)
    wide = bordered(images, 1, value=0.5)
    assert wide.shape == (2, 1, 5, 5)
    assert torch.equal(bordered(images[0, 0], 1, value=0.5), wide[0, 0])
    assert wide[..., 0, :].eq(0.5).all()
    assert torch.equal(wide[..., 1:-1, 1:-1], images)
    assert background_share(bordered(torch.ones(1, 1, 2, 2), 1), 0.0).item() == 0.75


def test_limit_nothing_active():
    assert inflated_correlation(1.0).isnan()
    assert skewed_correlation(1.0, 0.2, 0.2).isnan()
    assert active_correlation(1.0, 0.5).isnan()
    assert inflated_correlation(0.0, pixels=1).isnan(), "one pixel has no rank among others"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inflated_correlation(1.1), "background must lie between 0 and 1"),
        (lambda: inflated_correlation(0.5, -1.5), "active must lie between -1 and 1"),
        (lambda: inflated_correlation(torch.nan), "background must lie"),
        (lambda: inflated_correlation(0.5, pixels=0), "pixels counts the pixels"),
        (lambda: active_correlation(1.1, 0.5), "background must lie between 0 and 1"),
        (lambda: active_correlation(0.5, 2.0), "measured must lie"),
        (lambda: skewed_correlation(0.5, 0.2, -0.1), "other_negative must lie"),
        (lambda: shared_factor_correlation(-1.0, 1.0), "variances are finite, >= 0"),
        (lambda: shared_factor_correlation(0.0, 0.0), "one is above 0"),
        (lambda: spearman_of_normal(1.5), "between -1 and 1"),
        (lambda: bordered(torch.ones(2, 2), -1), "whole number >= 0"),
        (lambda: bordered(torch.ones(2), 1), "height and width"),
    ],
)
def test_error_what_is_out_of_range(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
