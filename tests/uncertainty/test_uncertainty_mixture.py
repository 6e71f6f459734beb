"""Gaussian classes: Bayes' rule, and draws that follow it."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal

from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import GaussianClasses, gaussian_ring


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tilted() -> GaussianClasses:
    means = torch.tensor([[0.0, 0.0], [2.0, 1.0], [-1.0, 2.0]], dtype=torch.float64)
    root = torch.randn(3, 2, 2, generator=seeded(3), dtype=torch.float64)
    covariances = root @ root.mT + 0.3 * torch.eye(2, dtype=torch.float64)
    return GaussianClasses(means, covariances, torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64))


def test_oracle_posterior_and_density_are_scipys():
    task, x = tilted(), 3 * torch.randn(40, 2, generator=seeded(1), dtype=torch.float64)
    joint = torch.stack(
        [
            float(w) * torch.tensor(multivariate_normal(m.numpy(), v.numpy()).pdf(x.numpy()))
            for m, v, w in zip(task.means, task.covariances, task.weights, strict=True)
        ],
        dim=1,
    )
    torch.testing.assert_close(task.posterior(x), joint / joint.sum(1, keepdim=True), atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(task.log_density(x), joint.sum(1).log(), atol=1e-10, rtol=0)
    expected = torch.distributions.Categorical(task.posterior(x)).entropy()
    torch.testing.assert_close(task.data_uncertainty(x), expected, atol=1e-10, rtol=1e-8)


def test_oracle_draws_have_weights_means_and_covariances():
    task = tilted()
    data = task.draw(60_000, generator=seeded())
    shares = torch.bincount(data.y).double() / len(data)
    assert ((shares - task.weights).abs() < 5 * (task.weights * (1 - task.weights) / len(data)).sqrt()).all()
    for c in range(3):
        cloud = data.x[data.y == c]
        spread = task.covariances[c].diagonal().max().sqrt()
        assert (cloud.mean(0) - task.means[c]).abs().max() < 5 * spread / math.sqrt(len(cloud))
        assert (torch.cov(cloud.T) - task.covariances[c]).abs().max() < 8 * spread**2 / math.sqrt(len(cloud))


def test_property_the_posterior_is_calibrated_and_its_entropy_the_best_loss():
    task = tilted()
    data = task.draw(40_000, generator=seeded(5))
    p = task.posterior(data.x)
    loss = -p.gather(1, data.y[:, None])[:, 0].log()
    difference = loss - task.data_uncertainty(data.x)
    assert abs(float(difference.mean())) < 5 * float(difference.std()) / math.sqrt(len(data))
    sure = p[:, 0] > 0.8
    assert abs(float((data.y[sure] == 0).double().mean() - p[sure, 0].mean())) < 0.02


def test_property_a_ring_is_symmetric_and_unsure_in_its_middle_only():
    ring = gaussian_ring(5, radius=3.0, spread=0.5)
    torch.testing.assert_close(ring.means.norm(dim=1), torch.full((5,), 3.0, dtype=torch.float64))
    center, clouds = ring.data_uncertainty(torch.zeros(1, 2)), ring.data_uncertainty(ring.means)
    assert float(center) == pytest.approx(math.log(5))
    assert clouds.max() < 1e-4
    assert ring.log_density(torch.tensor([[50.0, 0.0]])) < -1000
    assert ring.data_uncertainty(torch.tensor([[50.0, 0.0]])) < 1e-6, "far away the best classifier is sure, too"


def test_limit_far_points_have_a_posterior():
    p = gaussian_ring(3).posterior(torch.tensor([[1e6, 0.0]], dtype=torch.float64))
    assert p.tolist() == [[1, 0, 0]]
    one = GaussianClasses(torch.zeros(1, 1), torch.ones(1, 1, 1), torch.ones(1))
    assert one.posterior(torch.tensor([[5.0]])).tolist() == [[1]]
    assert len(one.draw(1, generator=seeded())) == 1


def test_error_arguments():
    eye, half = torch.eye(2).repeat(2, 1, 1), torch.full((2,), 0.5)
    means = torch.zeros(2, 2)
    for wrong, message in [
        ((means, eye[:1], half), r"means \(C, D\), covariances \(C, D, D\) and weights \(C,\)"),
        ((torch.zeros(2), eye, half), "go|need"),
        ((means, -eye, half), "symmetric and positive definite"),
        ((means, eye + torch.tensor([[0.0, 0.5], [0.0, 0.0]]), half), "symmetric and positive definite"),
        ((means, eye, torch.ones(2)), "sum to 1"),
        ((means, eye, torch.tensor([1.0, 0.0])), "a class of weight 0 never comes"),
        ((means / 0, eye, half), "NaN or infinite"),
    ]:
        with pytest.raises(ParameterError, match=message):
            GaussianClasses(*wrong)
    with pytest.raises(ParameterError, match=r"rows of 2 numbers, shape \(N, 2\), got \(4, 3\)"):
        gaussian_ring().posterior(torch.zeros(4, 3))
    with pytest.raises(ParameterError, match="must be >= 1, got 0"):
        gaussian_ring().draw(0, generator=seeded())
    for wrong in ({"classes": 1}, {"radius": 0.0}, {"spread": math.inf}):
        with pytest.raises(ParameterError, match="2 classes or more, radius and spread > 0"):
            gaussian_ring(**wrong)
