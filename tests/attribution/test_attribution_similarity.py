"""Rank correlation of maps: against SciPy, under what leaves it unchanged, and where it is not defined."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from weightlore.attribution import active_pixels, average, mid_ranks, rank_similarity, reduce_channels
from weightlore.attribution.ranks import correlations, ranked
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def tied(*shape, seed=0):
    """Maps with many equal values."""
    return torch.randint(-3, 4, shape, generator=seeded(seed)).double()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def ranks_of_scipy(values):
    """As SciPy has them for finite numbers; before 1.14 it takes a row with both infinities for one without ranks."""
    return rankdata(np.nan_to_num(values.double().numpy(), posinf=1e300, neginf=-1e300), axis=-1)


def images(*shape, seed=7):
    """Images of which half the pixels equal the baseline 0."""
    return torch.randint(0, 2, shape, generator=seeded(seed)).double()


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=40))
def test_oracle_mid_ranks_are_those_of_scipy(values):
    assert mid_ranks(torch.tensor(values, dtype=torch.float64)).tolist() == rankdata(values).tolist()


def test_limit_mid_ranks_of_batches_infinities_and_nothing():
    values = tied(3, 4, 9)
    values[0, 0, 0], values[1, 1, 1] = torch.inf, -torch.inf
    assert np.array_equal(mid_ranks(values).numpy(), ranks_of_scipy(values))
    assert mid_ranks(torch.zeros(2, 0)).shape == (2, 0)
    assert mid_ranks(torch.tensor([0.0, -0.0])).tolist() == [1.5, 1.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_oracle_ranks_are_the_same_in_every_precision(dtype):
    values = torch.cat([tied(50, 30), normal(50, 30).half().double() * 1e-4], dim=1)
    values[0, :6] = torch.tensor([-0.0, 0.0, torch.inf, -torch.inf, 6e-8, -6e-8])  # the last two are subnormal in half
    values = values.to(dtype)
    assert np.array_equal(mid_ranks(values).numpy(), ranks_of_scipy(values))


def test_oracle_ranks_of_numbers_that_differ_by_one_bit():
    some = torch.randint(-(2**31), 2**31, (40, 20), generator=seeded()).to(torch.int32)
    values = torch.stack([some, some + 1, some ^ (-(2**31))]).view(torch.float32).permute(1, 0, 2).reshape(40, 60)
    values = values.where(values.isfinite(), 1.0)
    assert np.array_equal(mid_ranks(values).numpy(), ranks_of_scipy(values))


@pytest.mark.parametrize("sign", ["signed", "abs", "pos"])
@pytest.mark.parametrize("mask", ["all", "active"])
@pytest.mark.parametrize("channels", ["sum", "abs_sum", "mean", "none"])
def test_oracle_every_choice_is_scipys_correlation_of_the_pixels_it_says(sign, mask, channels):
    a, b, x = tied(20, 3, 5, 4), normal(20, 3, 5, 4, seed=1), images(20, 3, 5, 4)
    x[:, :, 0] = 0.0  # a row that equals the baseline in all channels
    found = rank_similarity(a, b, sign=sign, mask=mask, x=x, baseline=0.0, channels=channels)
    reduced = {"sum": lambda m: m.sum(0), "abs_sum": lambda m: m.abs().sum(0), "mean": lambda m: m.mean(0)}
    ranked = {"signed": lambda v: v, "abs": torch.abs, "pos": lambda v: v.clamp(min=0)}[sign]
    for n in range(20):
        one, other = (ranked(reduced.get(channels, lambda m: m)(maps[n])) for maps in (a, b))
        keep = torch.ones_like(one, dtype=torch.bool)
        if mask == "active":
            keep = x[n] != 0 if channels == "none" else (x[n] != 0).any(0)
        assert found[n].item() == pytest.approx(spearmanr(one[keep], other[keep])[0], abs=1e-12)


@pytest.mark.parametrize("mask", ["all", "active"])
def test_property_a_map_is_like_itself_and_unlike_its_negative(mask):
    a, x = normal(5, 1, 6, 6), images(5, 1, 6, 6)
    choice = {"mask": mask, "x": x, "baseline": 0.0}
    assert rank_similarity(a, a, sign="signed", **choice).eq(1).all()
    assert rank_similarity(a, -a, sign="signed", **choice).eq(-1).all()
    assert rank_similarity(a, -a, sign="abs", **choice).eq(1).all()


@given(st.floats(0.01, 100.0), st.integers(0, 20))
def test_property_scale_and_rising_functions_change_nothing(scale, seed):
    a, b = normal(3, 12, seed=seed), normal(3, 12, seed=seed + 1)
    before = rank_similarity(a, b, sign="signed", mask="all")
    assert torch.equal(rank_similarity(scale * a, b.exp(), sign="signed", mask="all"), before)
    assert torch.equal(rank_similarity(b, a, sign="signed", mask="all"), before)
    size = rank_similarity(a, b, sign="abs", mask="all")
    assert torch.equal(rank_similarity(-scale * a, b * b.abs(), sign="abs", mask="all"), size)


def test_property_pixels_left_out_have_no_say():
    a, b, x = normal(4, 1, 6, 6), normal(4, 1, 6, 6, seed=1), images(4, 1, 6, 6)
    choice = {"sign": "signed", "mask": "active", "x": x, "baseline": 0.0}
    assert torch.equal(
        rank_similarity(a, b, **choice), rank_similarity(a.where(x != 0, 99.0), b.where(x != 0, -7.0), **choice)
    )


def test_property_an_image_is_compared_as_if_it_were_alone():
    a, b, x = tied(6, 2, 4, 4), normal(6, 2, 4, 4), images(6, 2, 4, 4)
    choice = {"sign": "abs", "mask": "active"}
    together = rank_similarity(a, b, x=x, baseline=0.0, **choice)
    alone = torch.cat([rank_similarity(a[[n]], b[[n]], x=x[[n]], baseline=0.0, **choice) for n in range(6)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("mask", ["all", "active"])
def test_oracle_correlations_in_the_order_of_values_are_those_pixel_by_pixel(mask, monkeypatch):
    a, b, x = tied(30, 5, 4), tied(30, 5, 4, seed=1), images(30, 5, 4)
    a[3], b[4], x[5] = 1.0, 2.0, 0.0
    keep = x != 0 if mask == "active" else None
    (expected,) = (one.correlation(other) for one, other in zip(ranked(a, [keep]), ranked(b, [keep]), strict=True))
    for cached in (1, 45, 10**6):  # one row at a time, two, all
        monkeypatch.setattr("weightlore.attribution.ranks.CACHED", cached)
        (found,) = correlations(ranked(a, [keep]), b)
        assert torch.equal(found.nan_to_num(nan=9.0), expected.nan_to_num(nan=9.0))
    assert expected.isnan().sum() == (3 if mask == "active" else 2)


def test_limit_constant_maps_and_few_pixels_are_nan_and_counted():
    a, b, x = normal(5, 9), normal(5, 9, seed=1), torch.ones(5, 9, dtype=torch.float64)
    a[1] = 2.0
    b[2] = 0.0
    x[3, 2:] = 0.0  # two active pixels
    x[4] = 0.0  # none
    found = rank_similarity(a, b, sign="signed", mask="active", x=x, baseline=0.0)
    assert found.isnan().tolist() == [False, True, True, True, True]
    a[0, 0] = a[0].min() - 1
    x[0, 1:] = 0.0
    x[0, :3] = 1.0  # three active pixels are enough
    assert rank_similarity(a, b, sign="signed", mask="active", x=x, baseline=0.0)[0].isfinite()
    counted = average(found)
    assert (counted.defined, counted.undefined) == (1, 4)
    assert counted.mean == found[0].item()
    nothing = average(found[1:])
    assert np.isnan(nothing.mean)
    assert (nothing.defined, nothing.undefined) == (0, 4)


def test_limit_a_map_without_negative_values_has_no_positive_part_to_tell():
    a = -normal(2, 9).abs()
    assert rank_similarity(a, a, sign="pos", mask="all").isnan().all()


@pytest.mark.parametrize("baseline", [0.5, torch.full((2, 3, 3), 0.5), torch.full((1, 2, 3, 3), 0.5)])
def test_limit_a_baseline_is_a_number_one_image_or_one_each(baseline):
    x = torch.full((4, 2, 3, 3), 0.5)
    x[:, 1, 0, 0] = 0.7
    expected = torch.zeros(4, 3, 3, dtype=torch.bool)
    expected[:, 0, 0] = True
    assert torch.equal(active_pixels(x, baseline), expected)
    assert torch.equal(active_pixels(x, torch.full_like(x, 0.5)), expected)
    assert active_pixels(x, baseline, channels="none").sum() == 4


def test_property_channels_are_reduced_before_the_sign_is_dropped():
    a = torch.tensor([[[[1.0, -2.0]], [[-1.0, 3.0]]]])
    assert reduce_channels(a).tolist() == [[[0.0, 1.0]]]
    assert reduce_channels(a, "abs_sum").tolist() == [[[2.0, 5.0]]]
    assert reduce_channels(a, "mean").tolist() == [[[0.0, 0.5]]]
    assert reduce_channels(a, "none") is a
    assert reduce_channels(-a[0, 0], "abs_sum").tolist() == [[1.0, 2.0]]


def test_property_maps_stay_as_they_were():
    a, b, x = tied(3, 1, 4, 4), normal(3, 1, 4, 4), images(3, 1, 4, 4)
    copies = [t.clone() for t in (a, b, x)]
    rank_similarity(a, b, sign="abs", mask="active", x=x, baseline=0.0, channels="abs_sum")
    assert all(torch.equal(one, other) for one, other in zip((a, b, x), copies, strict=True))


GOOD = {"sign": "signed", "mask": "all"}
MAPS = torch.rand(2, 1, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_similarity(MAPS, MAPS[:1], **GOOD), "one shape"),
        (lambda: rank_similarity(MAPS, MAPS, sign="absolute", mask="all"), "sign is one of 'signed', 'abs', 'pos'"),
        (lambda: rank_similarity(MAPS, MAPS, sign="abs", mask="ink"), "mask is one of"),
        (lambda: rank_similarity(MAPS, MAPS, sign="abs", mask="active", x=MAPS), "give both"),
        (lambda: rank_similarity(MAPS, MAPS, channels="max", **GOOD), "channels is one of"),
        (lambda: rank_similarity(MAPS[:, 0], MAPS[:, 0], **GOOD), "insert the channel"),
        (lambda: rank_similarity(MAPS * torch.nan, MAPS, **GOOD), "a map must be finite"),
        (lambda: rank_similarity(MAPS.long(), MAPS.long(), **GOOD), "floating tensor"),
        (lambda: reduce_channels(torch.zeros(0, 4)), "a row for each image"),
        (lambda: active_pixels(MAPS, torch.zeros(2, 2)), "baseline is a number, one image of shape"),
        (lambda: active_pixels(MAPS, torch.nan), "the baseline must be finite"),
        (lambda: active_pixels(MAPS / 0 * 0, 0.0), "x must be finite"),
        (lambda: mid_ranks(torch.tensor([1.0, torch.nan])), "NaN has no rank"),
        (lambda: ranked(MAPS, [MAPS[:1] > 0]), "in one shape"),
        (lambda: correlations(ranked(MAPS, [None]), MAPS[:1]), "one shape"),
        (lambda: average(torch.tensor([])), "at least one"),
        (lambda: average(torch.tensor([torch.inf])), "1 of them infinite"),
    ],
)
def test_error_what_cannot_be_compared(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
