"""Bayesian linear regression: the reference is right."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.linear_model import BayesianRidge, Ridge

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.sources import BayesianLinearRegression, maximize_evidence, with_bias


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def line(n: int = 30, *, outputs: int = 1, noise: float = 0.3, seed: int = 0) -> Split:
    g = seeded(seed)
    x = torch.randn(n, 3, generator=g, dtype=torch.float64)
    theta = torch.randn(3, outputs, generator=g, dtype=torch.float64)
    return Split(x, x @ theta + noise * torch.randn(n, outputs, generator=g, dtype=torch.float64))


def test_oracle_the_mean_is_ridge_regression():
    data = line(outputs=2)
    model = BayesianLinearRegression(2.0, 0.09).fit(data.x, data.y)
    ridge = Ridge(alpha=2.0 * 0.09, fit_intercept=False).fit(data.x.numpy(), data.y.numpy())
    torch.testing.assert_close(model.mean, torch.tensor(ridge.coef_).T, atol=1e-10, rtol=0)
    torch.testing.assert_close(
        model.precision @ model.covariance, torch.eye(3, dtype=torch.float64), atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("tau", [0.7, torch.tensor([0.1, 1.0, 10.0])])
def test_oracle_the_posterior_is_the_conditional_of_a_joint_gaussian(tau):
    data, s2 = line(8), 0.2
    prior = torch.diag(1 / torch.as_tensor(tau, dtype=torch.float64).expand(3))
    marginal = data.x @ prior @ data.x.T + s2 * torch.eye(8, dtype=torch.float64)
    gain = prior @ data.x.T @ torch.linalg.inv(marginal)
    model = BayesianLinearRegression(tau, s2).fit(data.x, data.y)
    torch.testing.assert_close(model.mean, gain @ data.y, atol=1e-10, rtol=0)
    torch.testing.assert_close(model.covariance, prior - gain @ data.x @ prior, atol=1e-10, rtol=0)
    expected = multivariate_normal(cov=marginal.numpy()).logpdf(data.y[:, 0].numpy())
    assert float(model.log_evidence()) == pytest.approx(expected, abs=1e-9)


def test_oracle_one_by_one_is_all_at_once():
    data, model = line(6), BayesianLinearRegression(1.5, 0.3)
    whole = model.fit(data.x, data.y).log_evidence()
    steps = torch.distributions.Normal(torch.zeros(1, 1), (0.3 + data.x[:1].square().sum() / 1.5).sqrt()).log_prob(
        data.y[:1]
    )
    for n in range(1, 6):
        said = model.fit(data.x[:n], data.y[:n]).predict(data.x[n : n + 1])
        steps = steps + torch.distributions.Normal(said.mean, said.std).log_prob(data.y[n : n + 1])
    assert float(whole) == pytest.approx(float(steps), abs=1e-10)


def test_oracle_prediction_and_samples():
    data, new = line(outputs=2), line(5, seed=1).x
    model = BayesianLinearRegression(1.0, 0.09).fit(data.x, data.y)
    said = model.predict(new)
    torch.testing.assert_close(said.mean, new @ model.mean)
    assert said.aleatoric_var.unique().tolist() == [0.09]
    torch.testing.assert_close(model.function_covariance(new), new @ model.covariance @ new.T, atol=1e-12, rtol=0)
    torch.testing.assert_close(said.epistemic_var[:, 1], model.function_covariance(new).diagonal(), atol=1e-12, rtol=0)
    theta = model.sample(40_000, generator=seeded())  # (S, D, O)
    spread = model.covariance.diagonal().sqrt()
    assert ((theta.mean(0) - model.mean).abs() < 5 * spread[:, None] / 200).all()
    for output in range(2):
        found = torch.cov(theta[:, :, output].T)
        assert ((found - model.covariance).abs() < 8 * torch.outer(spread, spread) / 200).all()
    across = torch.corrcoef(torch.stack([theta[:, 0, 0], theta[:, 0, 1]]))[0, 1]
    assert abs(float(across)) < 5 / 200, "outputs are independent"


def test_property_evidence_adds_over_outputs():
    data = line(outputs=2)
    both = BayesianLinearRegression(1.0, 0.1).fit(data.x, data.y).log_evidence()
    single = [BayesianLinearRegression(1.0, 0.1).fit(data.x, data.y[:, [o]]).log_evidence() for o in (0, 1)]
    assert float(both) == pytest.approx(float(sum(single)), abs=1e-10)


def test_property_dtype_of_the_caller_and_no_change_of_the_data():
    data = line().to(dtype=torch.float32)
    before = data.x.clone()
    model = BayesianLinearRegression(1.0, 0.1).fit(data.x, data.y)
    data.x.mul_(2)
    said = model.predict(before)
    assert said.mean.dtype == said.epistemic_var.dtype == torch.float32
    assert model.mean.dtype == torch.float64
    assert torch.equal(said.mean, BayesianLinearRegression(1.0, 0.1).fit(before, data.y).predict(before).mean)


def test_oracle_evidence_is_maximized_as_scikit_learn_does():
    data = line(60, seed=2)
    model = maximize_evidence(data.x, data.y)
    ridge = BayesianRidge(alpha_1=0, alpha_2=0, lambda_1=0, lambda_2=0, fit_intercept=False, tol=1e-12, max_iter=5000)
    ridge.fit(data.x.numpy(), data.y[:, 0].numpy())
    assert model.noise_variance == pytest.approx(1 / ridge.alpha_, rel=1e-4)
    assert float(model.prior_precision) == pytest.approx(ridge.lambda_, rel=1e-4)


def test_property_no_neighbor_has_more_evidence():
    data = line(40, outputs=2, seed=3)
    model = maximize_evidence(data.x, data.y)
    tau, s2, best = float(model.prior_precision), model.noise_variance, model.log_evidence()
    for a, b in [(1.02, 1), (0.98, 1), (1, 1.02), (1, 0.98), (1.01, 1.01), (0.99, 1.01)]:
        assert BayesianLinearRegression(a * tau, b * s2).fit(data.x, data.y).log_evidence() < best


def test_property_noise_and_prior_are_recovered():
    g = seeded(4)
    x = torch.randn(4000, 300, generator=g, dtype=torch.float64)
    theta = torch.randn(300, 1, generator=g, dtype=torch.float64) / 2  # tau = 4
    y = x @ theta + 0.5 * torch.randn(4000, 1, generator=g, dtype=torch.float64)
    model = maximize_evidence(x, y)
    assert model.noise_variance == pytest.approx(0.25, rel=5 * math.sqrt(2 / 3700))
    assert float(model.prior_precision) == pytest.approx(4.0, rel=5 * math.sqrt(2 / 300))


def test_limit_one_row_and_more_columns_than_rows():
    one = BayesianLinearRegression(1.0, 1.0).fit(torch.ones(1, 1), torch.ones(1, 1))
    assert float(one.mean) == pytest.approx(0.5)
    wide = BayesianLinearRegression(1.0, 0.1).fit(line(2).x, line(2).y)
    assert bool(wide.covariance.isfinite().all())
    assert torch.equal(with_bias(torch.zeros(2, 1)), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


def test_limit_data_that_say_nothing_bring_a_warning():
    x = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])  # orthogonal to x
    with pytest.warns(UncertaintyWarning, match="the data say nothing about the parameters"):
        model = maximize_evidence(x, y)
    assert abs(float(model.mean)) < 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BayesianLinearRegression(0.0, 1.0), "finite and > 0, got 0.0 and 1.0"),
        (lambda: BayesianLinearRegression(1.0, -1.0), "finite and > 0"),
        (lambda: BayesianLinearRegression(torch.ones(2, 2), 1.0), "one number, or one for each input"),
        (lambda: BayesianLinearRegression(1.0, 1.0).predict(torch.ones(1, 1)), r"call fit\(x, y\) first"),
        (lambda: BayesianLinearRegression(1.0, 1.0).log_evidence(), r"call fit\(x, y\) first"),
        (
            lambda: BayesianLinearRegression(1.0, 1.0).fit(torch.ones(2, 1), torch.ones(2)),
            r"one column is y\[:, None\]",
        ),
        (lambda: BayesianLinearRegression(1.0, 1.0).fit(torch.ones(2, 1), torch.ones(3, 1)), "go together"),
        (lambda: BayesianLinearRegression(torch.ones(2), 1.0).fit(torch.ones(2, 3), torch.ones(2, 1)), "go together"),
        (lambda: BayesianLinearRegression(1.0, 1.0).fit(torch.ones(2, 1) / 0, torch.ones(2, 1)), "NaN or infinite"),
        (lambda: fitted().predict(torch.ones(2, 4)), r"must have 3 columns, shape \(N, 3\), got \(2, 4\)"),
        (lambda: fitted().sample(0, generator=seeded()), "must be >= 1, got 0"),
        (lambda: maximize_evidence(line(3).x, line(3).y), "there is no noise to estimate"),
        (lambda: maximize_evidence(torch.ones(4, 1), torch.zeros(4, 1)), "there is no noise to estimate"),
        (lambda: maximize_evidence(line(noise=0.0).x, line(noise=0.0).y), "there is no noise to estimate"),
        (lambda: with_bias(torch.ones(3)), r"one column is x\[:, None\]"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def fitted() -> BayesianLinearRegression:
    return BayesianLinearRegression(1.0, 0.1).fit(line().x, line().y)
