"""ECE and its kin: bins with fixed edges, chance and its floor, and what is judged."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    Bins,
    debiased_ce,
    ece_noise_floor,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_curve,
    synthetic_calibrated,
)
from weightlore.uncertainty.calibration.binning import bin_numbers, mass_ends, partition
from weightlore.uncertainty.calibration.forecasts import Judged, confidence_of, forecast_of, judged, two_classes
from weightlore.uncertainty.calibration.gaps import binned, distance
from weightlore.uncertainty.predictions import CategoricalPrediction
from weightlore.uncertainty.warned import UncertaintyWarning

quiet = pytest.mark.filterwarnings("ignore::weightlore.uncertainty.warned.UncertaintyWarning")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def forecasts(size: int = 400, classes: int = 4, seed: int = 0, dtype=torch.float64):
    g = generator(seed)
    p = (2 * torch.randn(size, classes, generator=g, dtype=torch.float64)).softmax(1)
    return p.to(dtype), torch.randint(classes, (size,), generator=g)


def by_hand(r, c, bins, norm=1):
    """The definition, example by example."""
    inside = [[] for _ in range(bins)]
    for confidence, hit in zip(r.tolist(), c.tolist(), strict=True):
        place = max(j for j in range(bins) if confidence >= j / bins)
        inside[place].append((confidence, float(hit)))
    gaps = [abs(sum(h - q for q, h in b)) / len(b) for b in inside if b]
    if norm == math.inf:
        return max(gaps)
    weights = [len(b) / len(r) for b in inside if b]
    return sum(w * g**norm for w, g in zip(weights, gaps, strict=True)) ** (1 / norm)


@quiet
def test_property_bins_are_fifteen_where_nothing_is_said():
    p, y = forecasts()
    for error in (expected_calibration_error, maximum_calibration_error, debiased_ce):
        assert error(p, y) == error(p, y, bins=15) != error(p, y, bins=16)
    assert ece_noise_floor(p) == ece_noise_floor(p, bins=15) != ece_noise_floor(p, bins=16)


@quiet
@pytest.mark.parametrize("bins", [1, 2, 10, 15, 49])
@pytest.mark.parametrize("norm", [1, 2, 3.5, math.inf])
def test_oracle_ece_by_the_definition(bins, norm):
    p, y = forecasts()
    r, c = p.max(1).values, p.argmax(1) == y
    found = expected_calibration_error(p, y, bins=bins, norm=norm)
    assert found.item() == pytest.approx(by_hand(r, c, bins, norm), abs=1e-12)
    binary = expected_calibration_error(p[:, 1], (y == 1).long(), bins=bins, norm=norm, target="binary")
    assert binary.item() == pytest.approx(by_hand(p[:, 1], y == 1, bins, norm), abs=1e-12)
    if norm == math.inf:
        assert maximum_calibration_error(p, y, bins=bins) == found


@pytest.mark.parametrize("bins", [1, 3, 7, 10, 15, 49, 100, 107])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_an_edge_belongs_to_the_bin_above_it(bins, dtype):
    edges = (torch.arange(bins + 1, dtype=torch.float64) / bins).to(dtype)
    assert bin_numbers(edges, bins).tolist() == [*range(bins), bins - 1]
    below = torch.nextafter(edges[1:-1], torch.zeros((), dtype=dtype))
    assert bin_numbers(below, bins).tolist() == list(range(bins - 1))
    assert bin_numbers(torch.tensor([1 + 1e-6], dtype=dtype), bins).item() == bins - 1


def test_oracle_bin_numbers_are_those_of_numpy():
    values = torch.rand(20_000, generator=generator(), dtype=torch.float64)
    for bins in (2, 15, 33):
        expected = np.digitize(values.numpy(), (np.arange(bins + 1) / bins)[1:-1])
        assert bin_numbers(values, bins).tolist() == expected.tolist()


def test_property_confidences_of_exactly_one_and_zero():
    with pytest.warns(UncertaintyWarning, match="fewer than 20"):
        found = expected_calibration_error(torch.tensor([0.95, 1.0]), torch.tensor([1, 0]), bins=10, target="binary")
    assert found.item() == pytest.approx(0.475, abs=1e-7)
    of = Judged(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    assert binned(of, 10).counts.tolist() == [1, *([0] * 8), 1]
    assert binned(of, 10).gaps.tolist() == [0.0] * 10


def test_property_the_error_of_a_perfect_forecaster_falls_and_stays_near_its_floor():
    found = []
    for size in (200, 2_000, 20_000):
        made = synthetic_calibrated("canonical", size, generator=generator(size), classes=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UncertaintyWarning)
            error = expected_calibration_error(made.probs, made.y)
        floor = ece_noise_floor(made.probs)
        assert error < 3 * floor
        assert error > floor / 3
        found.append(float(error))
    assert found == sorted(found, reverse=True)


def test_property_the_floor_is_the_mean_error_under_the_null():
    made = synthetic_calibrated("canonical", 1500, generator=generator(5), classes=3)
    for binning in ("width", "mass"):
        floor, g, errors = float(ece_noise_floor(made.probs, binning=binning)), generator(6), []
        for _ in range(60):
            y = torch.multinomial(made.probs, 1, generator=g)[:, 0]
            errors.append(float(expected_calibration_error(made.probs, y, binning=binning)))
        assert np.mean(errors) == pytest.approx(floor, rel=0.12)
    assert ece_noise_floor(torch.full((400,), 0.5), target="binary").item() == pytest.approx(
        math.sqrt(0.5 / (math.pi * 400)), rel=1e-6
    )


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 12))
def test_property_merged_bins_err_no_more_and_the_worst_bin_no_less(seed, size, bins):
    g = generator(seed)
    of = Judged(torch.rand(size, generator=g, dtype=torch.float64), torch.rand(size, generator=g) < 0.4)
    fine, coarse, single = (binned(of, b) for b in (2 * bins, bins, 1))
    assert coarse.distance() <= fine.distance() + 1e-12
    assert single.distance() <= coarse.distance() + 1e-12
    assert single.distance().item() == pytest.approx(abs(float(of.hit.double().mean() - of.confidence.mean())))
    assert fine.distance() <= fine.distance(2.0) + 1e-12 <= fine.distance(math.inf) + 2e-12


@pytest.mark.parametrize(("size", "right", "expected"), [(4, 2, 1 / 16 - 1 / 12), (2, 1, 1 / 16 - 1 / 4), (1, 1, 0.0)])
def test_oracle_the_debiased_error_of_one_bin_by_hand(size, right, expected):
    p = torch.tensor([[0.75, 0.25]]).repeat(size, 1)
    y = torch.tensor([0] * right + [1] * (size - right))
    assert debiased_ce(p, y).item() == pytest.approx(expected, abs=1e-7)


def test_property_the_debiased_error_of_a_perfect_forecaster_is_zero_on_average():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(300, 1, generator=generator, dtype=torch.float64) * 0.5 + 0.5
    p = torch.cat([p, 1 - p], 1)
    draws = [debiased_ce(p, (torch.rand(300, generator=generator) > p[:, 0]).long()).item() for _ in range(300)]
    spread = torch.tensor(draws).std().item() / len(draws) ** 0.5
    assert abs(sum(draws) / len(draws)) < 4 * spread
    assert min(draws) < 0 < max(draws)


@quiet
@pytest.mark.parametrize("hit", [True, False])
@pytest.mark.parametrize("size", [1, 7])
def test_limit_one_example_all_right_all_wrong(hit, size):
    p = torch.tensor([[0.1, 0.7, 0.2]]).repeat(size, 1)
    y = torch.full((size,), 1 if hit else 0)
    for measure in (expected_calibration_error, maximum_calibration_error):
        for binning in ("width", "mass"):
            assert measure(p, y, binning=binning).item() == pytest.approx(0.3 if hit else 0.7)
    assert math.isfinite(ece_noise_floor(p))
    assert debiased_ce(p, y).item() == pytest.approx(0.0 if size == 1 else 0.09 if hit else 0.49)
    assert reliability_curve(p, y).counts.sum() == size


def test_property_bins_of_equal_mass_never_part_equals():
    values = torch.tensor([0.1, 0.2, 0.2, 0.2, 0.2, 0.7, 0.8, 0.9])
    ends, parts = mass_ends(values, 4)
    assert ends.tolist() == [5, 6, 8]
    assert parts.tolist() == [2, 1, 1]
    assert mass_ends(torch.full((9,), 0.3), 5)[0].tolist() == [9]
    assert mass_ends(torch.arange(10.0), 3)[0].tolist() == [4, 7, 10]  # as numpy.array_split
    assert mass_ends(torch.arange(2.0), 5)[1].tolist() == [1, 4]


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 9))
def test_property_a_partition_of_equal_mass(seed, size, bins):
    values = torch.randint(0, 30, (size,), generator=generator(seed)).double() / 30
    parts = partition(values, bins, "mass")
    assert parts.weights.sum().item() == pytest.approx(1)
    assert torch.equal(torch.bincount(parts.number, minlength=len(parts.counts)), parts.counts)
    assert len(parts.edges) == len(parts.counts) + 1 <= bins + 1
    order = values.argsort()
    assert (parts.number[order].diff() >= 0).all(), "larger confidences are in later bins"
    for value in values.unique():
        assert len(parts.number[values == value].unique()) == 1
    inside = parts.number[:, None] == torch.arange(len(parts.counts))
    for b in range(len(parts.counts)):
        assert parts.edges[b] <= values[inside[:, b]].min()
        assert values[inside[:, b]].max() <= parts.edges[b + 1]


def test_oracle_ece_with_equal_mass_is_numpys_split():
    p, y = forecasts(401)
    r, c = p.max(1).values, (p.argmax(1) == y).double()
    order = r.argsort()
    split = np.array_split(torch.stack([r[order], c[order]], 1).numpy(), 10)
    expected = np.mean([abs(part[:, 0].mean() - part[:, 1].mean()) for part in split])
    assert expected_calibration_error(p, y, bins=10, binning="mass").item() == pytest.approx(expected, abs=1e-12)


def test_property_the_first_of_equals_is_the_prediction():
    p = torch.tensor([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.2, 0.7]])
    assert judged(p, torch.tensor([0, 2, 2])).hit.tolist() == [True, False, True]
    assert judged(p, torch.tensor([1, 1, 0])).hit.tolist() == [False, True, False]
    wide = torch.full((5, 100), 0.01, dtype=torch.float64)
    assert judged(wide, torch.tensor([0, 1, 2, 0, 4])).hit.tolist() == [True, False, False, True, False]


@pytest.mark.parametrize("classes", [1, 2, 10, 31, 32, 33, 1000])
def test_oracle_hits_are_those_of_argmax_whatever_the_number_of_classes(classes):
    p, y = forecasts(300, classes)
    of = judged(p, y)
    assert torch.equal(of.confidence, p.max(1).values)
    assert torch.equal(of.hit, p.argmax(1) == y)


def test_property_members_are_averaged_and_containers_taken():
    members = torch.stack([forecasts(seed=s)[0] for s in range(3)])
    y = forecasts()[1]
    whole = expected_calibration_error(members.mean(0), y)
    assert expected_calibration_error(members, y) == whole
    assert expected_calibration_error(CategoricalPrediction(members), y) == whole
    assert torch.equal(forecast_of(members[:1]), members[0])
    assert torch.equal(confidence_of(members), members.mean(0).amax(1))


def test_property_the_target_is_named_not_guessed():
    p, y = forecasts(400, 2)
    binary = expected_calibration_error(p, y, target="binary")
    assert binary == expected_calibration_error(p[:, 1], y, target="binary")
    assert binary != expected_calibration_error(p, y)
    assert torch.equal(two_classes(p[:, 1]), torch.stack([1 - p[:, 1], p[:, 1]], 1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_property_answers_in_the_dtype_of_the_caller_without_a_graph(dtype):
    p, y = forecasts(dtype=dtype)
    p.requires_grad_()
    for found in (expected_calibration_error(p, y), maximum_calibration_error(p, y), debiased_ce(p, y)):
        assert found.dtype == dtype
        assert not found.requires_grad
    assert ece_noise_floor(p).dtype == dtype


@quiet
@pytest.mark.parametrize("shape", [(1, 3), (5, 1), (1, 1), (40, 3), (3, 40), (2, 7, 4)])
def test_property_what_the_caller_gave_stays(shape):
    p = torch.rand(shape, generator=generator(), dtype=torch.float64)
    p = p / p.sum(-1, keepdim=True)
    y = torch.zeros(shape[-2], dtype=torch.int64)
    kept = p.clone()
    for measure in (expected_calibration_error, maximum_calibration_error, debiased_ce, reliability_curve):
        measure(p, y)
        measure(p, y, binning="mass")
    assert torch.equal(p, kept)


def test_property_half_a_million_rows_of_one_value_count_right():
    p = torch.full((60_000, 2), 0.5)
    p[:, 0] += 0.25
    p[:, 1] -= 0.25
    y = (torch.arange(60_000) % 4 == 0).long()
    assert expected_calibration_error(p, y).item() == pytest.approx(0, abs=1e-7)


def test_limit_empty_bins_are_nan_in_the_curve_and_nothing_in_a_sum():
    found = binned(Judged(torch.tensor([0.05, 0.95]), torch.tensor([True, True])), 3)
    assert found.frequency.isnan().tolist() == [False, True, False]
    assert found.confidence.isnan().tolist() == [False, True, False]
    assert found.distance().item() == pytest.approx(0.5)
    assert isinstance(found, Bins)
    assert distance(torch.tensor([0.5, -1.0]), torch.tensor([0.75, 0.25]), 2.0).item() == pytest.approx(
        math.sqrt(0.75 * 0.25 + 0.25)
    )


def test_limit_a_warning_where_bins_hold_few_and_none_where_they_hold_enough():
    p, y = forecasts(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected_calibration_error(p, y)
        reliability_curve(p, y)
    with pytest.warns(UncertaintyWarning, match="at most 14 bins") as caught:
        expected_calibration_error(p[:299], y[:299])
    assert caught[0].filename == __file__
    with pytest.warns(UncertaintyWarning) as caught:
        reliability_curve(p[:20], y[:20])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: expected_calibration_error(p * 2, y), "sum to 1"),
        (lambda p, y: expected_calibration_error(p - 0.5, y), "must be >= 0"),
        (lambda p, y: expected_calibration_error(p * float("nan"), y), "NaN or infinite"),
        (lambda p, y: expected_calibration_error(p.long(), y), "must be a floating tensor"),
        (lambda p, y: expected_calibration_error(p[:0], y[:0]), "an entry at least"),
        (lambda p, y: expected_calibration_error(p, y[:3]), r"shape \(8,\)"),
        (lambda p, y: expected_calibration_error(p, y.int()), "int64"),
        (lambda p, y: expected_calibration_error(p, y + 3), "from 0 to 2"),
        (lambda p, y: expected_calibration_error(p, y, bins=0), "whole number of at least 1"),
        (lambda p, y: expected_calibration_error(p, y, norm=0.5), ">= 1 or inf"),
        (lambda p, y: expected_calibration_error(p, y, binning="equal"), "'width', 'mass'"),
        (lambda p, y: expected_calibration_error(p, y, target="all"), "'top', 'binary'"),
        (lambda p, y: expected_calibration_error(p, y, target="binary"), "got 3 classes"),
        (lambda p, y: expected_calibration_error(p[:, 0], y), 'say target="binary"'),
        (lambda p, y: expected_calibration_error(p[:, 0] + 1, y, target="binary"), "sigmoid"),
        (lambda p, y: expected_calibration_error(p[:, 0], y, target="binary"), "from 0 to 1"),
        (lambda p, y: expected_calibration_error(y.clamp(max=1), y, target="binary"), "floating and between 0 and 1"),
        (lambda p, y: ece_noise_floor(p[:, 0]), 'say target="binary"'),
        (lambda p, y: mass_ends(p[:, 0], 0), "whole number of at least 1"),
        (lambda p, y: partition(p[:, 0], 2, "even"), "'width', 'mass'"),
    ],
)
@quiet
def test_error_arguments(call, message):
    p, y = forecasts(8, 3)
    y[0] = 2
    with pytest.raises(ParameterError, match=message):
        call(p, y)
