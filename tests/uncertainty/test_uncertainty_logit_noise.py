"""Noise on logits: against quadrature, without noise, and its draws."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from weightlore.errors import ParameterError
from weightlore.uncertainty.deterministic import HeteroscedasticSoftmaxHead, logit_noise_log_probs, logit_noise_nll


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def test_oracle_two_classes_by_quadrature():
    """The difference of two noisy logits is one Gaussian, whose mean sigmoid is an integral over a line."""
    logits, spread = torch.tensor([[1.0, -0.5], [0.0, 3.0]]).double(), torch.tensor([[2.0, 1.0], [0.5, 4.0]]).double()
    nodes, weights = (torch.as_tensor(v) for v in np.polynomial.hermite_e.hermegauss(80))
    gap, width = logits[:, 0] - logits[:, 1], spread.square().sum(1).sqrt()
    exact = ((gap[:, None] + width[:, None] * nodes).sigmoid() * weights).sum(1) / math.sqrt(2 * math.pi)
    found = logit_noise_log_probs((logits, spread), samples=100_000, generator=seeded()).exp()
    torch.testing.assert_close(found[:, 0], exact, atol=5e-3, rtol=0)
    torch.testing.assert_close(found.sum(1), torch.ones(2).double())


def test_oracle_the_mean_of_softmaxes_draw_by_draw():
    logits, spread = normal(3, 4), normal(3, 4, seed=1).exp()
    g = seeded(7)
    mean = sum((logits + spread * torch.randn(3, 4, generator=g, dtype=torch.float64)).softmax(1) for _ in range(5)) / 5
    found = logit_noise_log_probs((logits, spread), samples=5, generator=seeded(7))
    torch.testing.assert_close(found.exp(), mean)
    y = torch.tensor([3, 0, 1])
    loss = logit_noise_nll((logits, spread), y, samples=5, generator=seeded(7))
    torch.testing.assert_close(loss, -mean.gather(1, y[:, None]).log().mean())


def test_property_without_noise_it_is_the_cross_entropy():
    logits, y = normal(5, 3), torch.tensor([0, 1, 2, 0, 1])
    loss = logit_noise_nll((logits, torch.zeros(5, 3).double()), y, samples=4, generator=seeded())
    torch.testing.assert_close(loss, F.cross_entropy(logits, y))


def test_property_noise_makes_a_wrong_label_cheaper_and_a_right_one_dearer():
    logits = torch.tensor([[4.0, 0.0]]).double()
    for label, cheaper in ((1, True), (0, False)):
        losses = [
            float(
                logit_noise_nll(
                    (logits, s * torch.ones(1, 2).double()), torch.tensor([label]), samples=2000, generator=seeded()
                )
            )
            for s in (0.0, 4.0)
        ]
        assert (losses[1] < losses[0]) == cheaper


def test_property_logits_far_apart_stay_finite():
    logits = torch.tensor([[2000.0, -2000.0]])
    found = logit_noise_log_probs((logits, torch.ones(1, 2)), samples=3, generator=seeded())
    assert torch.isfinite(found).all()
    assert found.dtype == torch.float32


def test_oracle_gradients_by_finite_differences():
    logits, raw, y = normal(3, 4).requires_grad_(), normal(3, 4, seed=1).requires_grad_(), torch.tensor([3, 0, 1])
    assert torch.autograd.gradcheck(
        lambda z, r: logit_noise_nll((z, F.softplus(r)), y, samples=3, generator=seeded()), (logits, raw)
    )


def test_property_the_head_gives_logits_and_spreads_of_its_generator():
    one, other, third = (HeteroscedasticSoftmaxHead(5, 3, generator=seeded(s)) for s in (0, 0, 1))
    h = normal(4, 5)
    logits, spread = one(h)
    assert logits.shape == spread.shape == (4, 3)
    assert spread.min() > 0
    assert torch.equal(logits, other(h)[0])
    assert not torch.equal(logits, third(h)[0])
    assert torch.equal(torch.cat([logits, spread.expm1().log()], 1).round(decimals=9), one.readout(h).round(decimals=9))


def test_error_of_what_does_not_fit():
    z, y = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(ParameterError, match=r"need one shape \(N, C\)"):
        logit_noise_log_probs((z, torch.zeros(2, 1)), samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="a standard deviation must be >= 0, got -1"):
        logit_noise_log_probs((z, z - 1), samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="a deviation must be finite"):
        logit_noise_log_probs((z, z * math.nan), samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="samples must be a whole number"):
        logit_noise_log_probs((z, z), samples=0, generator=seeded())
    with pytest.raises(ParameterError, match="y must be class numbers"):
        logit_noise_nll((z, z), y[:1], samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="from 0 to 2"):
        logit_noise_nll((z, z), y + 2, samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="classes must be"):
        HeteroscedasticSoftmaxHead(3, 0, generator=seeded())
