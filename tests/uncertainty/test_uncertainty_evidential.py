"""Evidence: expected losses against draws and torch, the Student t, and what the likelihood cannot tell."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.deterministic import (
    NormalInverseGamma,
    NormalInverseGammaHead,
    annealed,
    evidential_classification_loss,
    evidential_prediction,
    evidential_regression_loss,
    normal_inverse_gamma_losses,
)
from weightlore.uncertainty.dirichlet import vacuity

RISKS = ("squared", "log", "digamma")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def drawn(alpha, count=200_000):
    """Class probabilities from a Dirichlet distribution, by normalized gammas."""
    gammas = torch._standard_gamma(alpha.expand(count, -1).contiguous(), generator=seeded())
    return gammas / gammas.sum(1, keepdim=True)


def test_oracle_risks_are_expectations_over_draws():
    z, y = torch.tensor([[1.0, 0.2, -1.0]]).double(), torch.tensor([1])
    p = drawn(evidential_prediction(z).alpha)
    onehot = F.one_hot(y, 3).double()
    by_draws = {
        "squared": (onehot - p).square().sum(1).mean(),
        "log": -p[:, 1].mean().log(),
        "digamma": -p[:, 1].log().mean(),
    }
    for risk in RISKS:
        found = evidential_classification_loss(z, y, risk=risk, strength=0.0)
        torch.testing.assert_close(found, by_draws[risk], rtol=0.01, atol=0)


def test_oracle_squared_risk_by_the_moments_of_torch():
    z, y = normal(7, 4), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    law = torch.distributions.Dirichlet(evidential_prediction(z, evidence=torch.exp).alpha)
    expected = ((F.one_hot(y, 4) - law.mean) ** 2 + law.variance).sum(1).mean()
    found = evidential_classification_loss(z, y, risk="squared", strength=0.0, evidence=torch.exp)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("risk", RISKS)
def test_oracle_the_price_is_the_divergence_of_torch(risk):
    z, y = normal(5, 3), torch.tensor([0, 1, 2, 0, 1])
    right = F.one_hot(y, 3).double()
    wrong = right + (1 - right) * evidential_prediction(z).alpha
    price = torch.distributions.kl_divergence(
        torch.distributions.Dirichlet(wrong), torch.distributions.Dirichlet(torch.ones(5, 3).double())
    ).mean()
    losses = [evidential_classification_loss(z, y, risk=risk, strength=s) for s in (0.0, 0.3)]
    torch.testing.assert_close(losses[1] - losses[0], 0.3 * price)


def test_property_no_price_for_evidence_of_the_right_class_alone():
    y = torch.tensor([0])
    right, wrong = torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.5]])
    options = {"risk": "log", "evidence": torch.relu}
    prices = [
        float(evidential_classification_loss(z, y, strength=1.0, **options))
        - float(evidential_classification_loss(z, y, strength=0.0, **options))
        for z in (right, wrong)
    ]
    assert prices[0] == 0
    assert prices[1] > 0.01


@pytest.mark.parametrize("risk", RISKS)
@pytest.mark.parametrize("evidence", [F.softplus, torch.exp])
def test_oracle_gradients_by_finite_differences(risk, evidence):
    z, y = normal(4, 3).requires_grad_(), torch.tensor([0, 1, 2, 2])
    loss = lambda a: evidential_classification_loss(a, y, risk=risk, strength=0.7, evidence=evidence)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (z,))


def test_property_vacuity_is_one_without_evidence_and_falls_with_it():
    z = torch.tensor([[-3.0, -3.0], [3.0, -3.0], [30.0, 30.0]])
    alone = vacuity(evidential_prediction(z, evidence=torch.relu))
    torch.testing.assert_close(alone, torch.tensor([1.0, 2 / 5, 2 / 62]))


def test_property_annealing_rises_to_one_and_stays():
    assert [annealed(epoch, 4) for epoch in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]


def test_property_float32_stays_float32():
    z = normal(3, 3, dtype=torch.float32)
    loss = evidential_classification_loss(z, torch.tensor([0, 1, 2]), risk="digamma", strength=1.0)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_error_of_evidence_and_options():
    z, y = torch.zeros(1, 3), torch.tensor([0])
    with pytest.raises(ParameterError, match=r"evidence must be finite, >= 0 and of shape \(1, 3\), got .* from -1"):
        evidential_prediction(z - 1, evidence=lambda a: a)
    with pytest.raises(ParameterError, match="evidence must be finite"):
        evidential_prediction(z + 999, evidence=torch.exp)
    with pytest.raises(ParameterError, match="evidence must be finite"):
        evidential_prediction(z, evidence=lambda a: a.sum(1))
    with pytest.raises(ParameterError, match="a logit must be finite"):
        evidential_prediction(z * math.nan)
    with pytest.raises(ParameterError, match="risk is one of"):
        evidential_classification_loss(z, y, risk="linear", strength=0.0)
    with pytest.raises(ParameterError, match="strength must be finite and at least 0"):
        evidential_classification_loss(z, y, risk="log", strength=-0.1)
    with pytest.raises(ParameterError, match="annealing takes at least 1"):
        annealed(1, 0)
    with pytest.raises(ParameterError, match="counted from 0"):
        annealed(-1, 3)


def some(n=6, d=2):
    """Distributions over mean and variance, and targets."""
    mean, nu, a, b, y = (normal(n, d, seed=s) for s in range(5))
    return NormalInverseGamma(mean, nu.exp(), 1 + a.exp(), b.exp()), y


def student(law):
    scale = (law.b * (1 + law.nu) / (law.nu * law.a)).sqrt()
    return torch.distributions.StudentT(2 * law.a, law.mean, scale)


def test_oracle_the_loss_is_the_student_density_of_torch():
    law, y = some()
    torch.testing.assert_close(normal_inverse_gamma_losses(law, y), -student(law).log_prob(y).sum(1))
    torch.testing.assert_close(evidential_regression_loss(law, y, penalty=0.0), -student(law).log_prob(y).sum(1).mean())


def test_oracle_both_variances_add_up_to_that_of_the_student():
    law, _ = some()
    torch.testing.assert_close(law.prediction.variance, student(law).variance)


def test_property_many_degrees_of_freedom_are_a_gaussian():
    one, y = torch.ones(1, 1).double(), torch.tensor([[0.7]]).double()
    law = NormalInverseGamma(0 * one, 1e9 * one, 1e7 * one, 4e7 * one)
    gaussian = torch.distributions.Normal(0.0, 2.0).log_prob(y)
    torch.testing.assert_close(normal_inverse_gamma_losses(law, y), -gaussian[:, 0], rtol=1e-6, atol=0)


@pytest.mark.parametrize("a", [10.0, 1e4, 1e6])
def test_property_float32_keeps_its_digits_where_degrees_of_freedom_are_many(a):
    parts = [torch.tensor([[value]]).double() for value in (0.3, 2.0, a, 3 * a)]
    y = torch.tensor([[1.0]]).double()
    exact = normal_inverse_gamma_losses(NormalInverseGamma(*parts), y)
    found = normal_inverse_gamma_losses(NormalInverseGamma(*(part.float() for part in parts)), y.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("factor", [0.1, 0.5, 3.0, 100.0])
def test_property_the_likelihood_cannot_tell_noise_from_doubt(factor):
    """Along b (1 + nu) / nu = constant the log loss stays, while doubt changes without bound."""
    law, y = some()
    nu = factor * law.nu
    other = NormalInverseGamma(law.mean, nu, law.a, law.b * (1 + law.nu) / law.nu * nu / (1 + nu))
    torch.testing.assert_close(
        normal_inverse_gamma_losses(other, y), normal_inverse_gamma_losses(law, y), atol=1e-9, rtol=0
    )
    doubts = [float(part.prediction.epistemic_var.log().mean()) for part in (law, other)]
    assert abs(doubts[1] - doubts[0]) > 0.2
    torch.testing.assert_close(other.prediction.variance, law.prediction.variance)


def test_oracle_the_penalty_by_its_formula():
    law, y = some()
    price = ((y - law.mean).abs() * (2 * law.nu + law.a)).sum(1).mean()
    plain, priced = (evidential_regression_loss(law, y, penalty=c) for c in (0.0, 0.2))
    torch.testing.assert_close(priced - plain, 0.2 * price)


def test_oracle_gradients_of_the_regression_loss():
    parts = [normal(3, 2, seed=s).requires_grad_() for s in range(4)]
    y = normal(3, 2, seed=9)
    loss = lambda m, n, a, b: evidential_regression_loss(  # noqa: E731
        NormalInverseGamma(m, n.exp(), 1 + a.exp(), b.exp()), y, penalty=0.3
    )
    assert torch.autograd.gradcheck(loss, parts)


def test_property_units_of_the_targets():
    y, h = normal(30, 2), normal(30, 4, seed=1)
    one, other = (NormalInverseGammaHead(4, t, generator=seeded())(h) for t in (y, 7 + 100 * y))
    torch.testing.assert_close(other.mean, 7 + 100 * one.mean)
    torch.testing.assert_close(other.prediction.variance, 1e4 * one.prediction.variance)
    assert torch.equal(other.nu, one.nu)
    shift = normal_inverse_gamma_losses(other, 7 + 100 * y) - normal_inverse_gamma_losses(one, y)
    torch.testing.assert_close(shift, torch.full((30,), 2 * math.log(100)).double())


def test_oracle_the_head_by_its_formula():
    y, h = 1 + 3 * normal(30, 2), normal(5, 4, seed=1)
    head = NormalInverseGammaHead(4, y, generator=seeded())
    said, law = head.readout(h), head(h)
    location, scale = y.mean(0), y.std(0, correction=0)
    torch.testing.assert_close(law.mean, location + scale * said[:, :2])
    torch.testing.assert_close(law.nu, (1 + said[:, 2:4].exp()).log() + 1e-6)
    torch.testing.assert_close(law.a, 1 + (1 + said[:, 4:6].exp()).log() + 1e-6)
    torch.testing.assert_close(law.b, scale**2 * ((1 + said[:, 6:].exp()).log() + 1e-6))


def test_property_the_head_stays_in_range_in_float32():
    y = torch.tensor([-1.0, 1.0])
    head = NormalInverseGammaHead(1, y, generator=seeded())
    nn.init.constant_(head.readout.weight, -1e4)
    law = head(torch.ones(1, 1))
    assert law.a.item() > 1
    assert law.nu.item() == pytest.approx(1e-6)
    assert torch.isfinite(law.prediction.variance).all()
    assert torch.isfinite(evidential_regression_loss(law, torch.zeros(1), penalty=0.1))


def test_limit_targets_without_a_second_axis():
    law, y = some(d=1)
    assert torch.equal(
        evidential_regression_loss(law, y[:, 0], penalty=0.1), evidential_regression_loss(law, y, penalty=0.1)
    )


def test_error_of_distributions_and_penalties():
    one = torch.ones(2, 1)
    with pytest.raises(ParameterError, match="a must be above 1, got 1"):
        NormalInverseGamma(one, one, one, one)
    with pytest.raises(ParameterError, match="nu must be above 0, got 0"):
        NormalInverseGamma(one, 0 * one, 2 * one, one)
    with pytest.raises(ParameterError, match="b must be above 0"):
        NormalInverseGamma(one, one, 2 * one, -one)
    with pytest.raises(ParameterError, match="need one shape"):
        NormalInverseGamma(one, torch.ones(2), 2 * one, one)
    law = NormalInverseGamma(one, one, 2 * one, one)
    with pytest.raises(ParameterError, match=r"targets need the shape \(2, 1\)"):
        normal_inverse_gamma_losses(law, torch.ones(3))
    with pytest.raises(ParameterError, match="penalty must be finite and at least 0"):
        evidential_regression_loss(law, one, penalty=-1.0)
