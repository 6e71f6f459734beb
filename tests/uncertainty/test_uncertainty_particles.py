"""Particles that move together stand for a density."""

import math

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.mcmc import stein_direction, svgd


def noise(*shape, seed: int = 0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normal(q):
    return -q.square().sum(1) / 2


def test_oracle_the_direction_is_its_double_sum():
    x, g, h = noise(6, 3), noise(6, 3, seed=1), 1.7
    kernel = lambda a, b: (-(a - b).square().sum() / h).exp()  # noqa: E731
    rows = []
    for i in range(6):
        parts = [kernel(x[j], x[i]) * g[j] + torch.func.grad(kernel)(x[j], x[i]) for j in range(6)]
        rows.append(torch.stack(parts).mean(0))
    torch.testing.assert_close(stein_direction(x, g, bandwidth=h), torch.stack(rows), atol=1e-12, rtol=0)


def test_oracle_the_bandwidth_is_the_median_of_distances():
    x, g = noise(5, 2), noise(5, 2, seed=1)
    distances = torch.tensor([float((x[i] - x[j]).norm()) for i in range(5) for j in range(i)])
    # An even number of pairs: torch's median is the lower of the middle two.
    h = float(distances.sort().values[(len(distances) - 1) // 2]) ** 2 / math.log(5)
    torch.testing.assert_close(stein_direction(x, g), stein_direction(x, g, bandwidth=h), atol=1e-6, rtol=0)


def test_property_one_particle_climbs():
    target = lambda q: -(q**4).sum(1) / 4 + q.sum(1)  # noqa: E731
    start = torch.tensor([[0.5, -1.0]]).double()
    by_hand = start.clone()
    for _ in range(10):
        by_hand = by_hand + 0.1 * (1 - by_hand**3)
    torch.testing.assert_close(svgd(target, start, steps=10, step_size=0.1), by_hand, atol=1e-14, rtol=0)


def test_property_particles_find_the_moments_of_a_gaussian():
    mean, covariance = torch.tensor([1.0, -2.0]).double(), torch.tensor([[1.0, 0.5], [0.5, 0.8]]).double()
    precision = torch.linalg.inv(covariance)
    target = lambda q: -torch.einsum("sp,pr,sr->s", q - mean, precision, q - mean) / 2  # noqa: E731
    start = noise(60, 2)
    kept = start.clone()
    found = svgd(target, start, steps=600, step_size=0.5)
    torch.testing.assert_close(found.mean(0), mean, atol=0.02, rtol=0)
    torch.testing.assert_close(found.T.cov(correction=0), covariance, atol=0.15, rtol=0)
    assert torch.equal(start, kept)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    few = svgd(target, start, steps=20, step_size=0.5)
    torch.testing.assert_close(svgd(target, start[order], steps=20, step_size=0.5), few[order], atol=1e-10, rtol=0)


def test_limit_particles_in_one_place_stay_together():
    found = svgd(normal, torch.ones(3, 2).double(), steps=5, step_size=0.1)
    torch.testing.assert_close(found, torch.full((3, 2), 0.9**5).double())
    assert svgd(normal, torch.ones(2, 2), steps=1, step_size=0.1).dtype == torch.float32


@pytest.mark.parametrize(
    ("call_it", "part"),
    [
        (lambda: stein_direction(torch.ones(2, 2), torch.ones(3, 2)), "share a shape"),
        (lambda: stein_direction(torch.ones(2, 2) * math.nan, torch.ones(2, 2)), "a particle must be finite"),
        (lambda: stein_direction(torch.ones(2, 2), torch.ones(2, 2), bandwidth=0.0), "bandwidth"),
        (lambda: svgd(normal, torch.ones(2, 2), steps=0, step_size=0.1), "steps"),
        (lambda: svgd(normal, torch.ones(2, 2), steps=1, step_size=0.0), "step_size"),
        (lambda: svgd(lambda q: -(q**4).sum(1), 5 * noise(2, 2), steps=50, step_size=1.0), "finite"),
    ],
)
def test_error_the_message_says_what_to_do(call_it, part):
    with pytest.raises(ParameterError, match=part):
        call_it()
