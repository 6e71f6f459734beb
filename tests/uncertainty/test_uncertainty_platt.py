"""Platt scaling and beta calibration: scikit-learn's regression, the constrained optimum by brute force, limits."""

import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import BetaCalibration, PlattScaling, log_odds, smoothed_targets
from weightlore.uncertainty.calibration.logistic_regression import logistic
from weightlore.uncertainty.warned import UncertaintyWarning


def binary(size=300, seed=0, slope=0.4, shift=0.7):
    """Log-odds of two classes that are too steep, as logits (N, 2), and classes."""
    generator = torch.Generator().manual_seed(seed)
    odds = 2 * torch.randn(size, generator=generator, dtype=torch.float64)
    y = torch.bernoulli((slope * odds + shift).sigmoid(), generator=generator).long()
    return torch.stack([0.3 * odds, 1.3 * odds], 1), y


def many(size=400, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    return 2 * z, torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]


def regression(x, t, features=False):
    fitted = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000).fit(x if features else x[:, None], t)
    return [*fitted.coef_[0], *fitted.intercept_]


def test_oracle_platt_is_the_unpenalized_regression_of_scikit_learn():
    z, y = binary()
    found = PlattScaling(smoothed=False).fit(z, y)
    assert found.weights[0].tolist() == pytest.approx(regression(z[:, 1] - z[:, 0], y), rel=1e-5)
    z, y = many()
    found = PlattScaling(smoothed=False).fit(z, y)
    for k in range(4):
        assert found.weights[k].tolist() == pytest.approx(regression(log_odds(z)[:, k], y == k), rel=1e-4)


def test_oracle_smoothed_targets_are_copies_with_both_answers():
    z, y = binary(40)
    odds, t = z[:, 1] - z[:, 0], smoothed_targets(y == 1)
    x, weights = torch.cat([odds, odds])[:, None], torch.cat([t, 1 - t])
    both = torch.cat([torch.ones(40), torch.zeros(40)])
    fitted = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000).fit(x, both, sample_weight=weights)
    found = PlattScaling().fit(z, y).weights[0]
    assert found.tolist() == pytest.approx([fitted.coef_[0, 0], fitted.intercept_[0]], rel=1e-5)


def test_property_smoothed_targets():
    hit = torch.tensor([True, False, False, False])
    assert smoothed_targets(hit).tolist() == [2 / 3, 0.2, 0.2, 0.2]
    assert smoothed_targets(~hit).tolist() == pytest.approx([1 / 3, 0.8, 0.8, 0.8])


@pytest.mark.parametrize("kind", [PlattScaling, BetaCalibration])
def test_property_mean_of_the_map_is_the_share_of_the_class(kind):
    z, y = binary()
    fitted = PlattScaling(smoothed=False) if kind is PlattScaling else BetaCalibration()
    p = fitted.fit(z, y).predict_proba(z)
    assert p[:, 1].mean().item() == pytest.approx(y.double().mean().item(), rel=1e-9)


def test_oracle_logistic_slope_vanishes_and_soft_targets_are_met():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    t = torch.rand(200, generator=generator, dtype=torch.float64)
    found = logistic(x, t)
    assert found.converged
    assert (x.T @ ((x @ found.weights).sigmoid() - t)).abs().max() < 1e-10
    assert found.loss == pytest.approx(binary_cross_entropy_with_logits(x @ found.weights, t).item())
    exact = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(logistic(x, (x @ exact).sigmoid()).weights, exact, rtol=1e-9, atol=1e-9)


def test_oracle_logistic_from_far_away():
    x = torch.tensor([[1e4], [-1e4], [2e4], [1e4]], dtype=torch.float64)
    t = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    w = torch.linspace(-0.01, 0.01, 200001, dtype=torch.float64)
    losses = binary_cross_entropy_with_logits(w[:, None] * x[:, 0], t.expand(len(w), -1), reduction="none").mean(1)
    assert logistic(x, t).weights.item() == pytest.approx(w[losses.argmin()].item(), abs=2e-7)


def beta_loss(weights, p, hit):
    a, b, c = weights
    return binary_cross_entropy_with_logits(a * p.log() - b * (1 - p).log() + c, hit.double()).item()


@pytest.mark.parametrize("case", ["free", "one at zero", "both at zero"])
def test_oracle_beta_is_the_constrained_optimum(case):
    z, y = binary(200)
    p = z.softmax(1)[:, 1]
    if case == "one at zero":
        generator = torch.Generator().manual_seed(2)
        y = torch.bernoulli(torch.where(p < 0.5, 1.9 * p + 0.02, 0.97 - 0.5 * (p - 0.5)), generator=generator).long()
    if case == "both at zero":
        y = 1 - y
    found = BetaCalibration().fit(z, y).weights[0]
    assert bool((found[:2] >= 0).all())
    assert (found[:2] == 0).sum() == {"free": 0, "one at zero": 1, "both at zero": 2}[case]
    bounds = [(0, None), (0, None), (None, None)]
    other = minimize(beta_loss, [1, 1, 0], args=(p, y), bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9})
    assert beta_loss(found.tolist(), p, y) <= other.fun + 1e-10
    assert found.tolist() == pytest.approx(list(other.x), abs=2e-3)


def test_property_beta_contains_the_identity_and_platt():
    z, y = binary(20000, slope=1.0, shift=0.0)
    weights = BetaCalibration().fit(z, y).weights[0]
    assert weights.tolist() == pytest.approx([1, 1, 0], abs=0.15)
    z, y = binary()
    beta, platt = BetaCalibration().fit(z, y), PlattScaling(smoothed=False).fit(z, y)
    losses = [cross_entropy(one.predict_proba(z).log(), y).item() for one in (beta, platt)]
    assert losses[0] <= losses[1] + 1e-12


def test_property_the_map_of_two_classes_is_the_same_from_either_side():
    z, y = binary()
    for kind in (PlattScaling, BetaCalibration):
        one, other = kind().fit(z, y).predict_proba(z), kind().fit(z.flip(1), 1 - y).predict_proba(z.flip(1))
        torch.testing.assert_close(one, other.flip(1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [PlattScaling, BetaCalibration])
def test_error_one_class(kind):
    z, _ = binary(10)
    with pytest.raises(ParameterError, match="got 0 of a class among 10; fit on more data"):
        kind().fit(z, torch.zeros(10, dtype=torch.int64))
    with pytest.raises(ParameterError, match="TemperatureScaling"):
        kind().fit(torch.zeros(4, 3), torch.tensor([0, 1, 0, 1]))


def test_limit_separable_data_have_a_minimum_with_smoothed_targets_only():
    z = torch.tensor([[0.0, 2.0], [0.0, 1.0], [0.0, -1.0], [0.0, -2.0]])
    y = torch.tensor([1, 1, 0, 0])
    assert torch.isfinite(PlattScaling().fit(z, y).weights).all()
    with pytest.warns(UncertaintyWarning, match="smoothed=True"):
        steep = PlattScaling(smoothed=False).fit(z, y)
    assert steep.predict_proba(z)[0, 1] > 0.999
    with pytest.warns(UncertaintyWarning, match="separated"):
        assert BetaCalibration().fit(z, y).predict_proba(z)[0, 1] > 0.999


def test_limit_one_tie_between_the_classes_is_as_good_as_separable():
    odds = torch.tensor([-2.0, -1.0, 0.0, 0.0, 1.0])
    assert not logistic(torch.stack([odds, torch.ones(5)], 1), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0])).converged


def test_limit_a_constant_score_gives_the_share():
    z, y = torch.tensor([[0.0, 1.0]]).repeat(5, 1), torch.tensor([1, 1, 1, 0, 0])
    for fitted in (PlattScaling(smoothed=False).fit(z, y), BetaCalibration().fit(z, y)):
        assert fitted.predict_proba(z)[0, 1].item() == pytest.approx(0.6, rel=1e-6)


def test_limit_sure_answers():
    z = torch.tensor([[0.0, 800.0], [0.0, 800.0], [800.0, 0.0], [800.0, 0.0]], dtype=torch.float64)
    y = torch.tensor([1, 0, 0, 1])
    for fitted in (PlattScaling(smoothed=False).fit(z, y), BetaCalibration().fit(z, y)):
        torch.testing.assert_close(fitted.predict_proba(z), torch.full((4, 2), 0.5, dtype=torch.float64))


@pytest.mark.parametrize(
    ("x", "t"),
    [(torch.ones(3), torch.ones(3)), (torch.ones(3, 1), torch.ones(2)), (torch.ones(3, 1), 2 * torch.ones(3))],
)
def test_error_logistic(x, t):
    with pytest.raises(ParameterError, match=r"one target in \[0, 1\] for each row"):
        logistic(x, t)
