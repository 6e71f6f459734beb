"""What chance does: bars of the reliability curve, and the test of calibration."""

import numpy as np
import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    calibration_test,
    ece_noise_floor,
    expected_calibration_error,
    reliability_curve,
    synthetic_calibrated,
)
from weightlore.uncertainty.calibration.binning import partition
from weightlore.uncertainty.calibration.consistency import null_hits


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(size: int = 1000, seed: int = 0):
    found = synthetic_calibrated("canonical", size, generator=generator(seed))
    return found.probs, found.y


def test_oracle_bars_are_quantiles_of_the_binomial():
    from scipy.stats import binom

    p = torch.tensor([0.3, 0.9], dtype=torch.float64).repeat(200)
    y = torch.zeros(400, dtype=torch.int64)
    curve = reliability_curve(p, y, bins=5, target="binary", generator=generator(), resamples=4000)
    for place, r in ((1, 0.3), (4, 0.9)):
        low, high = binom.ppf([0.05, 0.95], 200, r) / 200
        assert curve.low[place].item() == pytest.approx(low, abs=1.01 / 200)
        assert curve.high[place].item() == pytest.approx(high, abs=1.01 / 200)
    assert curve.low.isnan().tolist() == [True, False, True, True, False]


def test_property_a_perfect_forecaster_is_within_its_bars_nine_times_in_ten():
    inside = []
    for seed in range(12):
        curve = reliability_curve(*made(seed=seed), generator=generator(seed), resamples=200)
        known = curve.counts > 0
        inside.append(((curve.low <= curve.frequency) & (curve.frequency <= curve.high))[known])
    share = torch.cat(inside).double().mean().item()
    assert 0.84 < share < 0.98


def test_property_the_curve_says_what_the_measures_say():
    p, y = made()
    for target, forecast, label in (("top", p, y), ("binary", p[:, 1], (y == 1).long())):
        curve = reliability_curve(forecast, label, bins=10, target=target)
        gaps = (curve.frequency - curve.confidence).abs().nan_to_num()
        assert (curve.counts / 1000 * gaps).sum().item() == pytest.approx(curve.error, abs=1e-7)
        assert curve.error == float(expected_calibration_error(forecast, label, bins=10, target=target))
        assert curve.floor == float(ece_noise_floor(forecast, bins=10, target=target))
        assert curve.low is None
        assert curve.high is None
        assert curve.target == target
    mass = reliability_curve(p, y, bins=8, binning="mass", generator=generator())
    assert mass.counts.tolist() == [125] * 8
    assert mass.high is not None
    assert mass.high.shape == (8,)


def test_oracle_null_hits_are_bernoulli_draws_trial_by_trial():
    p, _ = made(50)
    r = p.amax(1)
    parts = partition(r, 4)
    g, counts = generator(7), []
    for _ in range(3):
        hit = torch.rand(50, generator=g, dtype=torch.float64) < r
        counts.append([int(hit[parts.number == b].sum()) for b in range(4)])
    found = null_hits(r, parts, generator=generator(7), resamples=3)
    assert found.tolist() == counts
    assert torch.equal(null_hits(r, parts, generator=generator(7), resamples=5)[:3], found)


def test_property_p_values_of_a_perfect_forecaster_are_spread_evenly():
    found = [calibration_test(*made(400, s), generator=generator(s), resamples=99).p_value for s in range(60)]
    assert 0.35 < np.mean(found) < 0.65
    assert sum(value <= 0.2 for value in found) in range(4, 23)


def test_property_an_overconfident_forecaster_is_found_out():
    p, y = made(2000)
    sharp = (3 * p.log()).softmax(1)
    found = calibration_test(sharp, y, generator=generator(), resamples=199)
    assert found.p_value == 1 / 200
    assert found.observed > found.null.max()
    assert found.observed == expected_calibration_error(sharp, y)
    assert found.null.shape == (199,)
    assert abs(float(found.null.mean()) / float(ece_noise_floor(sharp)) - 1) < 0.2


def test_oracle_a_null_error_is_the_error_of_drawn_labels():
    p, y = made(300)
    r = p[:, 0]
    for binning in ("width", "mass"):
        for norm in (1.0, 2.0, float("inf")):
            options = {"bins": 6, "norm": norm, "binning": binning, "target": "binary"}
            found = calibration_test(r, (y == 0).long(), generator=generator(2), resamples=4, **options)
            g = generator(2)
            drawn = [(torch.rand(300, generator=g, dtype=torch.float64) < r).long() for _ in range(4)]
            expected = [float(expected_calibration_error(r, one, **options)) for one in drawn]
            assert found.null.tolist() == pytest.approx(expected, abs=1e-12)


def test_limit_an_error_that_cannot_be_exceeded_has_a_p_value_of_one():
    found = calibration_test(torch.ones(300), torch.ones(300).long(), generator=generator(), target="binary")
    assert found.p_value == 1
    assert not found.null.any()


@pytest.mark.parametrize(
    "call",
    [
        lambda p, y: calibration_test(p, y, generator=generator(), resamples=0),
        lambda p, y: reliability_curve(p, y, generator=generator(), resamples=0),
    ],
)
def test_error_no_resamples(call):
    with pytest.raises(ParameterError, match="resamples must be a whole number"):
        call(*made(300))
