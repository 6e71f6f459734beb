"""Recalibrated distributions of numbers: the map of levels, its inverse, and the factor of the deviations."""

import pytest
import torch
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression

from weightlore.errors import ParameterError
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.calibration import IsotonicCDF, StdScaling, gaussian_levels

Q = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)


def forecasts(size=2000, outputs=1, factor=1.0, seed=0):
    """Gaussian forecasts whose standard deviations are too small by a factor, and targets."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    mean, std = torch.randn(size, outputs, **draw), torch.rand(size, outputs, **draw) + 0.2
    y = mean + std * torch.randn(size, outputs, **draw)
    variance = (std / factor) ** 2
    return GaussianPrediction(mean, 0.75 * variance, 0.25 * variance), y


def coverage(quantiles, y):
    return (y <= quantiles).double().mean((1, 2))


def test_oracle_levels():
    prediction, y = forecasts(50, 2)
    expected = norm.cdf(y.numpy(), prediction.mean.numpy(), prediction.std.numpy())
    torch.testing.assert_close(gaussian_levels(prediction, y), torch.as_tensor(expected))


def test_oracle_the_map_is_the_isotonic_regression_of_shares():
    levels = torch.tensor([0.2, 0.2, 0.35, 0.5, 0.9], dtype=torch.float64)
    shares = torch.tensor([0.4, 0.4, 0.6, 0.8, 1.0])
    x, t = torch.cat([torch.tensor([0.0, 1.0]), levels]), torch.cat([torch.tensor([0.0, 1.0]), shares])
    oracle = IsotonicRegression(out_of_bounds="clip").fit(x, t)
    at = torch.linspace(0, 1, 101, dtype=torch.float64)
    found = IsotonicCDF().fit(levels)(at)
    torch.testing.assert_close(found, torch.as_tensor(oracle.predict(at)).double(), rtol=1e-6, atol=1e-6)
    assert found[[0, -1]].tolist() == [0, 1]


def test_property_the_map_never_falls_and_the_inverse_is_the_smallest_level_that_reaches():
    prediction, y = forecasts(40)
    repair = IsotonicCDF().fit(gaussian_levels(prediction, y))
    at = torch.linspace(0, 1, 2001, dtype=torch.float64)
    assert (repair(at).diff() >= 0).all()
    back = repair.inverse(at)
    assert (back.diff() >= 0).all()
    torch.testing.assert_close(repair(back), at, rtol=0, atol=1e-12)
    assert (repair((back - 1e-9).clamp(min=0)) <= at).all()
    flat = IsotonicCDF().fit(torch.tensor([0.3, 0.6], dtype=torch.float64))
    assert flat.inverse(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([0, 0.3, 0.6])


def test_property_a_calibrated_forecaster_stays_within_noise():
    prediction, y = forecasts()
    repair = IsotonicCDF().fit(gaussian_levels(prediction, y))
    noise = (Q * (1 - Q) / 2000).sqrt()
    assert ((repair(Q) - Q).abs() < 5 * noise).all()
    assert StdScaling().fit(prediction, y).scale.item() == pytest.approx(1, abs=5 / (2 * 2000) ** 0.5)


def test_property_an_over_confident_forecaster_is_repaired_on_other_data():
    prediction, y = forecasts(factor=2.5)
    fresh, truth = forecasts(factor=2.5, seed=1)
    before = (coverage(fresh.mean + fresh.std * torch.special.ndtri(Q)[:, None, None], truth) - Q).abs()
    repair = IsotonicCDF().fit(gaussian_levels(prediction, y))
    after = (coverage(repair.quantile(fresh, Q), truth) - Q).abs()
    assert before.mean() > 0.08
    assert after.mean() < 0.03
    scaled = StdScaling().fit(prediction, y)(fresh)
    stretched = (coverage(scaled.mean + scaled.std * torch.special.ndtri(Q)[:, None, None], truth) - Q).abs()
    assert stretched.mean() < 0.02
    skewed = truth + fresh.std * (truth > fresh.mean)  # what a common factor cannot repair
    bent = IsotonicCDF().fit(gaussian_levels(fresh, skewed))
    assert (coverage(bent.quantile(fresh, Q), skewed) - Q).abs().max() < 1e-2


def test_limit_targets_beyond_every_forecast_leave_a_jump():
    levels = torch.tensor([0.0, 0.0, 0.5, 1.0], dtype=torch.float64)
    repair = IsotonicCDF().fit(levels)
    assert repair(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx([0.5, 0.75, 1.0])
    assert repair.inverse(torch.tensor([0.25, 0.5, 1.0])).tolist() == pytest.approx([0.0, 0.0, 1.0])
    one = GaussianPrediction(torch.zeros(1, 1), torch.ones(1, 1), torch.zeros(1, 1))
    assert repair.quantile(one, torch.tensor([0.25, 0.75, 1.0])).flatten().tolist() == [-torch.inf, 0.0, torch.inf]


def test_limit_a_single_level():
    repair = IsotonicCDF().fit(torch.tensor([0.25]))
    assert repair(torch.tensor([0.125, 0.25, 0.7])).tolist() == pytest.approx([0.5, 1, 1])
    assert repair.inverse(torch.tensor([0.5])).tolist() == [0.125]


def gaussian_nll(prediction, y):
    return -torch.distributions.Normal(prediction.mean, prediction.std).log_prob(y).mean(0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_oracle_the_factor_has_the_largest_likelihood_of_a_grid(outputs):
    prediction, y = forecasts(300, outputs, factor=1.7)
    fitted = StdScaling().fit(prediction, y)
    assert fitted.scale.shape == (outputs,)
    best = gaussian_nll(fitted(prediction), y)
    for factor in torch.linspace(0.5, 3, 101).tolist():
        v = factor**2 * prediction.variance
        assert (best <= gaussian_nll(GaussianPrediction(prediction.mean, v, 0 * v), y) + 1e-12).all()
    s = torch.ones(outputs, dtype=torch.float64, requires_grad=True)
    scaled = torch.distributions.Normal(prediction.mean, s * fitted.scale * prediction.std).log_prob(y).mean(0).sum()
    assert torch.autograd.grad(scaled, s)[0].abs().max() < 1e-10


def test_property_the_parts_keep_their_proportion_and_members_go_along():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(5, 20, 2, generator=generator, dtype=torch.float64)
    variances = torch.rand(5, 20, 2, generator=generator, dtype=torch.float64) + 0.1
    prediction = GaussianPrediction.from_members(means, variances)
    y = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    fitted = StdScaling().fit(prediction, y)
    scaled = fitted(prediction)
    assert torch.equal(scaled.mean, prediction.mean)
    torch.testing.assert_close(scaled.aleatoric_var / scaled.variance, prediction.aleatoric_var / prediction.variance)
    torch.testing.assert_close(scaled.std, fitted.scale * prediction.std)
    again = GaussianPrediction.from_members(scaled.member_means, scaled.member_vars)
    torch.testing.assert_close(again.mean, scaled.mean)
    torch.testing.assert_close(again.epistemic_var, scaled.epistemic_var)
    torch.testing.assert_close(again.aleatoric_var, scaled.aleatoric_var)
    assert StdScaling().fit(scaled, y).scale.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: StdScaling().fit(p, y[:, 0]), r"one output is y\[:, None\]"),
        (lambda p, y: StdScaling().fit(p, y / 0), "NaN or infinite"),
        (lambda p, y: StdScaling().fit(p, p.mean), "hit exactly"),
        (lambda p, y: StdScaling()(p), "not been fitted"),
        (lambda p, y: StdScaling().fit(p, y)(forecasts(5, 2)[0]), "1 outputs, got forecasts of 2"),
        (lambda p, y: gaussian_levels(GaussianPrediction(p.mean, 0 * y, 0 * y), y), "variances must be > 0"),
        (lambda p, y: IsotonicCDF().fit(y), r"pass F\(y\), not y"),
        (lambda p, y: IsotonicCDF().fit(torch.zeros(0)), "floating tensor of probabilities"),
        (lambda p, y: IsotonicCDF()(torch.zeros(1)), "not been fitted"),
        (lambda p, y: IsotonicCDF().inverse(torch.zeros(1)), "not been fitted"),
        (lambda p, y: IsotonicCDF().fit(torch.zeros(1)).inverse(torch.full((1,), 1.1)), "q are probabilities"),
        (lambda p, y: IsotonicCDF().fit(torch.zeros(1)).quantile(p, torch.tensor(0.5)), r"one level is q\[None\]"),
    ],
)
def test_error_arguments(call, message):
    prediction, y = forecasts(10)
    with pytest.raises(ParameterError, match=message):
        call(prediction, y)
