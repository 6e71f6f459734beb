"""Rules of binarization: the paper's and BinaryConnect, in place and by chance."""

import math

import pytest
import torch

from weightlore.binary.rules import PlainSign, ScaledSign
from weightlore.binary.weights import binarize, binary_gradient, project_
from weightlore.errors import ParameterError


def normal(*shape, seed=0, spread=1.0):
    return spread * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(4, 6), (3, 2, 3, 3)])
@pytest.mark.parametrize(
    "rule", [ScaledSign(), ScaledSign(center=False, limit=0.7), ScaledSign(limit=None, rescale=None)]
)
def test_oracle_scaled_sign_is_made_of_the_three_functions(shape, rule):
    w, g = normal(*shape), normal(*shape, seed=1)
    projected = project_(w.clone(), center=rule.center, limit=rule.limit)
    latent = w.clone()
    assert rule.project_(latent) is latent
    assert torch.equal(latent, projected)
    scale, signs = binarize(projected)
    value = rule.binarize_(latent.clone(), None)
    torch.testing.assert_close(value, scale.view(-1, *[1] * (w.ndim - 1)) * signs, rtol=1e-15, atol=0)
    assert all(len(row.unique()) <= 2 for row in value.flatten(1))
    expected = binary_gradient(projected, g, center=rule.center, rescale=rule.rescale, limit=None)
    assert torch.equal(rule.gradient(projected, g), expected)


def test_oracle_plain_sign_is_one_number_for_all():
    w = normal(5, 8)
    for rule, unit in ((PlainSign(unit=1.0), 1.0), (PlainSign(), math.sqrt(2 / 8))):
        latent = rule.project_(w.clone())
        assert torch.equal(latent, w.clamp(-unit, unit))
        value = rule.binarize_(latent.clone(), torch.Generator())
        assert torch.equal(value, torch.where(w >= 0, unit, -unit).double())
        g = normal(5, 8, seed=1)
        assert rule.gradient(latent, g) is g


def test_property_stochastic_signs_have_the_probability_of_the_hard_sigmoid():
    rule, generator = PlainSign(unit=0.5, stochastic=True), torch.Generator().manual_seed(3)
    w = torch.tensor([[-0.5, -0.25, 0.0, 0.125, 0.5]], dtype=torch.float64)
    draws = torch.stack([rule.binarize_(w.clone(), generator) for _ in range(20000)])
    assert set(draws.unique().tolist()) == {-0.5, 0.5}
    share = (draws > 0).double().mean(0)
    torch.testing.assert_close(share, (w / 0.5 + 1) / 2, rtol=0, atol=0.015)
    assert share[0, 4] == 1
    settled = rule.binarize_(w.clone(), None)
    assert settled.tolist() == [[-0.5, -0.5, 0.5, 0.5, 0.5]]


def test_property_the_same_generator_draws_the_same_signs():
    rule, w = PlainSign(stochastic=True), normal(20, 30, spread=0.1)
    one, other = (rule.binarize_(w.clone(), torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, rule.binarize_(w.clone(), torch.Generator().manual_seed(2)))


def test_error_rules():
    with pytest.raises(ParameterError, match=r"'2.weight' of shape .* has one input channel"):
        ScaledSign().check(torch.ones(3, 1), "'2.weight'")
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        for make in (lambda x: ScaledSign(limit=x), lambda x: ScaledSign(rescale=x), lambda x: PlainSign(unit=x)):
            with pytest.raises(ParameterError, match="must be a finite number > 0"):
                make(bad)


def test_limit_one_input_channel_without_centering():
    w = torch.tensor([[0.5], [-2.0]], dtype=torch.float64)
    for rule in (ScaledSign(center=False), PlainSign(unit=1.0)):
        rule.check(w, "w")
        latent = rule.project_(w.clone())
        assert latent.tolist() == [[0.5], [-1.0]]
        assert rule.gradient(latent, torch.ones_like(w)).ne(0).all()
