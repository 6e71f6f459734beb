"""Gaussian-process calibration: peak and curvature by autograd, the evidence by integration, draws by their moments."""

import math

import pytest
import torch
from scipy.integrate import quad
from torch.nn.functional import cross_entropy

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import GPCalibration
from weightlore.uncertainty.calibration.gaussian_process import latent_posterior


def overconfident(size=200, classes=3, seed=0, factor=3.0):
    generator = torch.Generator().manual_seed(seed)
    z = 1.5 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    return factor * z, torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]


def loss(posterior, z, y, a):
    return cross_entropy(posterior.curve(z, a), y, reduction="sum") + a @ a / 2


def test_oracle_peak_and_curvature_by_autograd():
    z, y = overconfident()
    found = latent_posterior(z, y, torch.linspace(-8, 8, 6).double(), size=2.0, length=4.0)
    a = found.mean.clone().requires_grad_()
    assert torch.autograd.grad(loss(found, z, y, a), a)[0].abs().max() < 1e-8
    hessian = torch.autograd.functional.hessian(lambda weights: loss(found, z, y, weights), found.mean)
    torch.testing.assert_close(found.precision, hessian, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("size", [0.5, 3.0])
def test_oracle_evidence_by_integration_over_one_weight(size):
    z, y = overconfident(150)
    found = latent_posterior(z, y, torch.tensor([1.0]).double(), size=size, length=3.0)

    def density(w):
        a = torch.tensor([w], dtype=torch.float64)
        return math.exp(float(loss(found, z, y, found.mean) - loss(found, z, y, a)))

    mass = quad(density, found.mean.item() - 2, found.mean.item() + 2, limit=200)[0] / math.sqrt(2 * math.pi)
    exact = math.log(mass) - float(loss(found, z, y, found.mean))
    assert found.log_evidence == pytest.approx(exact, abs=0.05)


def test_oracle_the_curve_is_the_regression_of_the_kernel():
    """f(u) - u at the inducing logits is L a, and elsewhere k(z, u) K^-1 times that."""
    z, y = overconfident()
    u = torch.tensor([-4.0, 0.0, 5.0]).double()
    found = latent_posterior(z, y, u, size=1.5, length=2.0)
    kernel = 1.5**2 * torch.exp(-((u[:, None] - u) ** 2) / 8)
    at = torch.linspace(-9, 9, 31).double()
    to = 1.5**2 * torch.exp(-((at[:, None] - u) ** 2) / 8)
    expected = at + to @ torch.linalg.solve(kernel, found.curve(u) - u)
    torch.testing.assert_close(found.curve(at), expected, rtol=1e-5, atol=1e-5)


def test_property_far_from_the_data_the_curve_is_the_identity():
    z, y = overconfident()
    posterior = GPCalibration(length=2.0).fit(z, y).posterior
    far = torch.tensor([-1e3, 1e3]).double()
    assert torch.equal(posterior.curve(far), far)
    assert (posterior.curve(z) - z).abs().max() > 0.5


def test_property_the_grid_has_the_largest_evidence():
    z, y = overconfident()
    best = GPCalibration().fit(z, y).posterior
    spread = z.std(correction=0).item()
    for size in (0.1, 0.3, 1.0, 3.0):
        for length in (0.3, 1.0, 3.0, 10.0):
            other = GPCalibration(size=size * spread, length=length * spread).fit(z, y).posterior
            assert other.log_evidence <= best.log_evidence + 1e-9


def test_property_a_calibrated_network_stays():
    z, y = overconfident(2000, factor=1.0)
    fresh = overconfident(500, seed=1, factor=1.0)[0]
    fitted = GPCalibration().fit(z, y)
    assert (fitted.predict_proba(fresh) - fresh.softmax(1)).abs().max() < 0.06
    over = GPCalibration().fit(3 * z, y)
    assert (over.predict_proba(3 * fresh) - fresh.softmax(1)).abs().mean() < 0.03


def test_property_draws_have_the_moments_of_the_posterior():
    z, y = overconfident(100)
    fitted, at = GPCalibration(inducing=3, size=2.0, length=5.0).fit(z, y), z[:2]
    members = fitted.draw(at, samples=4000, generator=torch.Generator().manual_seed(0))
    assert members.shape == (4000, 2, 3)
    odds = members[..., 0].log() - members[..., 1].log()
    p = fitted.posterior
    features = torch.stack([p.curve(at, one) - at for one in torch.eye(3).double()], -1)
    contrast = features[:, 0] - features[:, 1]
    variance = (contrast * torch.linalg.solve(p.precision, contrast.T).T).sum(1)
    mean = p.curve(at)[:, 0] - p.curve(at)[:, 1]
    assert ((odds.mean(0) - mean).abs() < 5 * (variance / 4000).sqrt()).all()
    assert ((odds.var(0) / variance - 1).abs() < 5 * math.sqrt(2 / 4000)).all()


def test_property_draws_come_one_after_the_other():
    z, y = overconfident(100)
    fitted = GPCalibration(size=1.0, length=5.0).fit(z, y)
    chance = torch.get_rng_state()
    three, five = (fitted.draw(z, samples=s, generator=torch.Generator().manual_seed(7)) for s in (3, 5))
    assert torch.equal(three, five[:3])
    assert not torch.equal(five[0], five[1])
    assert torch.equal(torch.get_rng_state(), chance)
    assert fitted.draw(z.float(), samples=1, generator=torch.Generator()).dtype == torch.float32


def test_limit_equal_logits():
    z = torch.zeros(6, 3, dtype=torch.float64)
    p = GPCalibration().fit(z, torch.arange(6) % 3).predict_proba(z)
    torch.testing.assert_close(p, torch.full((6, 3), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GPCalibration(inducing=11), "at most 10"),
        (lambda: GPCalibration(inducing=0), "at least 1"),
        (lambda: GPCalibration(size=0.0), "size is in the unit of logits"),
        (lambda: GPCalibration(length=math.inf), "length is in the unit of logits"),
        (lambda: GPCalibration().draw(torch.zeros(1, 2), samples=1, generator=torch.Generator()), "not been fitted"),
        (lambda: GPCalibration().draw(torch.zeros(1, 2), samples=0, generator=torch.Generator()), "at least 1"),
        (
            lambda: latent_posterior(
                torch.zeros(1, 2).double(), torch.tensor([0]), torch.zeros(2).double(), size=1, length=1
            ),
            "must be distinct",
        ),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
