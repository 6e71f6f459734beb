"""From Gaussian logits to probabilities: against quadrature, against one another, and at the ends."""

import math

import numpy as np
import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.laplace import bridge_alpha, probit_probs, sampled_probs


def gaussian(seed: int, n: int = 6, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    m = 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    root = torch.randn(n, classes, classes, generator=generator, dtype=torch.float64)
    return m, root @ root.mT


@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0])
def test_oracle_two_classes_are_near_the_integral(spread):
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    m, v = gaussian(0, n=20, classes=2)
    v = spread * v
    difference = m[:, 0] - m[:, 1]
    deviation = (v[:, 0, 0] + v[:, 1, 1] - 2 * v[:, 0, 1]).sqrt()
    points = difference[:, None] + deviation[:, None] * torch.tensor(nodes)
    exact = (torch.sigmoid(points) * torch.tensor(weights)).sum(1) / math.sqrt(2 * math.pi)
    assert (probit_probs(m, v)[:, 0] - exact).abs().max() < 0.02


def test_property_two_classes_notice_that_their_logits_move_together():
    m = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    together = torch.full((1, 2, 2), 9.0, dtype=torch.float64)
    assert torch.allclose(probit_probs(m, together), m.softmax(1))
    assert probit_probs(m, torch.full((1, 2), 9.0, dtype=torch.float64))[0, 0] < m.softmax(1)[0, 0] - 0.1


def test_oracle_several_classes_follow_the_formula():
    m, v = gaussian(1)
    scaled = m / torch.sqrt(1 + math.pi / 8 * torch.stack([one.diag() for one in v]))
    assert torch.allclose(probit_probs(m, v), scaled.softmax(1))
    assert torch.allclose(probit_probs(m, v), probit_probs(m, torch.stack([one.diag() for one in v])))


def test_property_draws_have_the_mean_and_covariance_asked_for():
    m, v = gaussian(2, n=1, classes=3)
    probs = sampled_probs(m, v, samples=40_000, generator=torch.Generator().manual_seed(0))
    logits = probs[:, 0].log()
    differences = logits[:, :2] - logits[:, 2:]  # what a softmax keeps of logits
    contrast = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    wanted = contrast @ v[0] @ contrast.T
    assert torch.allclose(differences.mean(0), contrast @ m[0], atol=0.05)
    assert torch.allclose(differences.T.cov(), wanted, rtol=0.05, atol=0.05 * float(wanted.abs().max()))


def test_property_more_draws_come_nearer_to_the_integral():
    m, v = gaussian(3, n=40, classes=3)
    far, near, exact = (
        sampled_probs(m, v, samples=samples, generator=torch.Generator().manual_seed(samples)).mean(0)
        for samples in (20, 2000, 100_000)
    )
    ratio = ((far - exact).square().mean() / (near - exact).square().mean()).sqrt()
    assert 5 < ratio < 20  # ten in expectation


def test_limit_without_spread_every_link_is_the_softmax():
    m, _ = gaussian(4)
    nothing = torch.zeros(*m.shape, m.shape[1], dtype=torch.float64)
    drawn = sampled_probs(m, nothing, samples=3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(probit_probs(m, nothing), m.softmax(1))
    assert torch.allclose(drawn, m.softmax(1).expand_as(drawn))
    alpha = bridge_alpha(m, 1e-9 * torch.eye(4, dtype=torch.float64).expand(6, 4, 4))
    assert alpha.min() > 1e3


def test_oracle_the_bridge_recovers_its_dirichlet():
    # A Dirichlet in the basis of logits has its mode and the inverse of its curvature there as moments: with these the
    # bridge must give the Dirichlet back.
    alpha = torch.tensor([[3.0, 1.0, 6.0, 0.7]], dtype=torch.float64)
    classes = alpha.shape[1]
    m = alpha.log() - alpha.log().mean(1, keepdim=True)
    inverse = 1 / alpha
    v = torch.diag_embed(inverse) - (inverse[:, :, None] + inverse[:, None, :]) / classes
    v = v + inverse.sum(1)[:, None, None] / classes**2
    assert torch.allclose(bridge_alpha(m, v), alpha)


def test_property_the_bridge_does_not_notice_a_constant():
    m, v = gaussian(5)
    constant = torch.tensor([3.0], dtype=torch.float64)
    centering = torch.eye(4, dtype=torch.float64) - 0.25
    flat = centering @ v @ centering
    assert torch.allclose(bridge_alpha(m + constant, flat), bridge_alpha(m, flat))


def test_limit_the_bridge_survives_extreme_logits():
    m = torch.tensor([[1e4, 0.0, -1e4]], dtype=torch.float64)
    alpha = bridge_alpha(m, torch.ones(1, 3, dtype=torch.float64))
    assert alpha.isfinite().all()
    assert alpha[0, 0] > alpha[0, 1] > alpha[0, 2] > 0


def test_limit_the_bridge_counts_a_difference_beyond_thirty_as_thirty():
    far, edge = (torch.tensor([[gap, 0.0]], dtype=torch.float64) for gap in (100.0, 30.0))
    assert torch.allclose(bridge_alpha(far, torch.ones_like(far)), bridge_alpha(edge, torch.ones_like(edge)), atol=0)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_property_the_bridge_is_as_narrow_as_its_covariance_whatever_the_unit(scale):
    m, v = gaussian(5)
    assert torch.allclose(scale * bridge_alpha(m, scale * v), bridge_alpha(m, v))


def test_limit_the_dtype_is_that_of_the_mean():
    m, v = (tensor.float() for tensor in gaussian(6))
    drawn = sampled_probs(m, v, samples=2, generator=torch.Generator().manual_seed(0))
    assert {probit_probs(m, v).dtype, drawn.dtype, bridge_alpha(m, v).dtype} == {torch.float32}


@pytest.mark.parametrize("link", [probit_probs, bridge_alpha])
def test_error_odd_input_is_named(link):
    m, v = gaussian(7)
    with pytest.raises(ParameterError, match="means"):
        link(m, v[:3])
    with pytest.raises(ParameterError, match="the covariances"):
        link(m, v.clone().fill_(math.nan))
    with pytest.raises(ParameterError, match="negative"):
        link(m, -v)


def test_error_a_bridge_needs_spread():
    m, v = gaussian(8)
    with pytest.raises(ParameterError, match="divides by the variances"):
        bridge_alpha(m, torch.zeros_like(v))


def test_error_draws_need_a_count():
    m, v = gaussian(9)
    with pytest.raises(ParameterError, match="samples"):
        sampled_probs(m, v, samples=0, generator=torch.Generator().manual_seed(0))
