"""Calibrating ensembles in both orders."""

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty.calibration import (
    HistogramBinning,
    TemperatureScaling,
    calibrate_ensemble,
    from_probs,
    pooled_logits,
)


def disagreeing(size=3000, members=4, classes=5, seed=0):
    """Members that see the truth through noise of their own: each over-confident, and they disagree."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (size,), generator=generator)
    signal = torch.nn.functional.one_hot(y, classes).double()
    noise = torch.randn(members, size, classes, generator=generator, dtype=torch.float64)
    return 4 * (signal + noise), y


def confidence_minus_accuracy(p, y):
    return (p.amax(1).mean() - (p.argmax(1) == y).double().mean()).item()


def test_oracle_pool_then_calibrate_is_a_calibrator_on_the_mean():
    z, y = disagreeing()
    found = calibrate_ensemble(z, y, order="pool_then_calibrate")
    mean = CategoricalPrediction.from_logits(z).mean
    by_hand = TemperatureScaling().fit(from_probs(mean), y)
    torch.testing.assert_close(found.predict_proba(z), by_hand.predict_proba(from_probs(mean)), rtol=1e-9, atol=1e-12)
    assert len(found.calibrators) == 1


def test_oracle_calibrate_then_pool_is_the_mean_of_calibrated_members():
    z, y = disagreeing()
    found = calibrate_ensemble(z, y, order="calibrate_then_pool")
    by_hand = torch.stack([TemperatureScaling().fit(one, y).predict_proba(one) for one in z])
    assert torch.equal(found.members(z), by_hand)
    assert torch.equal(found(z), by_hand.mean(0))
    assert CategoricalPrediction(found.members(z)).members == 4


def test_oracle_pooled_logits():
    z, _ = disagreeing(20)
    torch.testing.assert_close(pooled_logits(z).exp(), z.softmax(2).mean(0))
    far = torch.tensor([[[2000.0, 0.0]], [[2000.0, 0.0]]])
    assert pooled_logits(far).tolist() == [[0.0, -2000.0]]


def test_property_pooled_calibrated_members_are_under_confident():
    z, y = disagreeing()
    fresh, truth = disagreeing(seed=1)
    members = calibrate_ensemble(z, y, order="calibrate_then_pool")
    for p in members.members(fresh):
        assert abs(confidence_minus_accuracy(p, truth)) < 0.03
    gap = confidence_minus_accuracy(members.predict_proba(fresh), truth)
    assert gap < -0.15
    pooled = calibrate_ensemble(z, y, order="pool_then_calibrate").predict_proba(fresh)
    assert abs(confidence_minus_accuracy(pooled, truth)) < -gap / 2


@pytest.mark.parametrize("order", ["pool_then_calibrate", "calibrate_then_pool"])
def test_limit_one_member_is_calibrated_alone(order):
    z, y = disagreeing(members=1)
    found = calibrate_ensemble(z, y, order=order, make=lambda: HistogramBinning(bins=4)).predict_proba(z)
    expected = HistogramBinning(bins=4).fit(z[0], y).predict_proba(z[0])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, y: calibrate_ensemble(z, y, order="both"), "order is one of"),
        (lambda z, y: calibrate_ensemble(z[0], y, order="pool_then_calibrate"), r"of shape \(S, N, C\)"),
        (lambda z, y: calibrate_ensemble(z / 0, y, order="pool_then_calibrate"), "NaN or infinite"),
        (lambda z, y: calibrate_ensemble(z, y[:-1], order="calibrate_then_pool"), "10 rows and 9 classes"),
        (lambda z, y: calibrate_ensemble(z, y, order="calibrate_then_pool")(z[:2]), "4 were fitted, got logits of 2"),
    ],
)
def test_error_arguments(call, message):
    z, y = disagreeing(10)
    with pytest.raises(ParameterError, match=message):
        call(z, y)
