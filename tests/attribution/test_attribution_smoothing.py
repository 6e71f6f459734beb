"""Gradients at noisy copies: mean, mean square, variance."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, ours, seeded, uniform
from torch import nn

from weightlore.attribution import (
    gradient,
    noise_spread,
    noisy_gradients,
    smooth_grad,
    smooth_grad_squared,
    var_grad,
)
from weightlore.errors import ParameterError

METHODS = (smooth_grad, smooth_grad_squared, var_grad)


def by_hand(model, x, samples, level, generator):
    """The gradients at noisy copies, one example and one copy at a time."""
    spread = [level * float(one.max() - one.min()) for one in x]
    copies = []
    for _ in range(samples):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        copies.append(
            torch.stack(
                [gradient(model, (x[n] + spread[n] * noise[n])[None], int(TARGET[n])).values[0] for n in range(len(x))]
            )
        )
    return torch.stack(copies)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_oracle_moments_of_the_gradients_by_hand(name):
    model, x = ours()[name]
    g = by_hand(model, x, 6, 0.3, seeded(3))
    expected = g.mean(0), g.square().mean(0), g.var(0, correction=0)
    for method, wanted in zip(METHODS, expected, strict=True):
        found = method(model, x, TARGET, generator=seeded(3), samples=6, level=0.3)
        assert torch.allclose(found.values, wanted, rtol=1e-9, atol=1e-14)
        assert found.gap is None


def test_oracle_a_linear_model_is_smooth_already():
    model, x = nn.Linear(5, 3).double().eval(), uniform(3, 5)
    own = model.weight.detach()[TARGET]
    assert torch.allclose(smooth_grad(model, x, TARGET, generator=seeded(), samples=7).values, own, rtol=1e-14)
    assert torch.allclose(smooth_grad_squared(model, x, TARGET, generator=seeded(), samples=7).values, own.square())
    assert var_grad(model, x, TARGET, generator=seeded(), samples=7).values.max() < 1e-30


def test_oracle_a_quadratic_has_the_variance_of_the_noise():
    class Quadratic(nn.Module):
        def forward(self, x):
            return x.square().sum(1, keepdim=True) / 2  # gradient x + e

    x = torch.tensor([[0.0, 2.0, 1.0]], dtype=torch.float64)
    found = var_grad(Quadratic().eval(), x, 0, generator=seeded(), samples=4000, level=0.15)
    assert torch.allclose(found.values, torch.full_like(x, 0.3**2), rtol=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_property_draws_do_not_depend_on_how_many_run_at_once(method):
    model, x = ours()["cnn"]
    found = [method(model, x, TARGET, generator=seeded(1), samples=7, rows=rows).values for rows in (1, 6, 8, 1000)]
    assert all(torch.allclose(one, found[0], rtol=1e-11, atol=1e-16) for one in found)


def test_property_more_samples_go_on_where_fewer_ended():
    model, x = ours()["mlp"]
    few, many = (list(noisy_gradients(model, x, TARGET, generator=seeded(), samples=s)) for s in (2, 5))
    assert all(torch.allclose(a, b, rtol=1e-12) for a, b in zip(few, many, strict=False))
    assert (len(few), len(many)) == (2, 5)


def test_property_square_is_mean_squared_plus_variance_and_never_negative():
    model, x = ours()["cnn"]
    mean, square, variance = (m(model, x, TARGET, generator=seeded(2), samples=5).values for m in METHODS)
    assert torch.allclose(square, mean.square() + variance)
    assert bool((variance >= 0).all() & (mean < 0).any())


def test_limit_without_noise_it_is_the_gradient():
    model, x = ours()["cnn"]
    plain = gradient(model, x, TARGET, output="probability").values
    for images, level in ((x, 0.0), (torch.full_like(x, 0.3), 0.5)):
        wanted = plain if level == 0 else gradient(model, images, TARGET, output="probability").values
        found = smooth_grad(model, images, TARGET, generator=seeded(), samples=3, level=level, output="probability")
        assert torch.allclose(found.values, wanted, rtol=1e-11, atol=1e-16), "constant images get no noise"
        assert found.output == "probability"


def test_limit_one_sample_has_no_variance():
    model, x = ours()["mlp"]
    assert torch.equal(var_grad(model, x, TARGET, generator=seeded(), samples=1).values, torch.zeros_like(x))


def test_limit_noise_is_in_the_units_of_each_image():
    x = torch.stack([torch.arange(4.0), 10 * torch.arange(4.0) - 7])[:, None, None]
    assert torch.allclose(noise_spread(x, 0.1), torch.tensor([0.3, 3.0]).view(2, 1, 1, 1))


@pytest.mark.parametrize("how", [{"samples": 0}, {"rows": 0}, {"level": -0.1}, {"level": float("inf")}])
def test_error_numbers_out_of_range(how):
    model, x = ours()["mlp"]
    with pytest.raises(ParameterError, match=next(iter(how))):
        smooth_grad(model, x, TARGET, generator=seeded(), **how)
