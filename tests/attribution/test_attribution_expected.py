"""Several paths to one input: their means, their gaps, and the zeros that noise removes."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, convolutional, drawn, seeded, uniform
from torch import nn

from weightlore.attribution import gradient, scores, smooth_grad
from weightlore.attribution.expected import (
    averaged_integrated_gradients,
    expected_gradients,
    smooth_integrated_gradients,
)
from weightlore.attribution.integrated import integrated_gradients
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy


def smooth():
    return convolutional(nn.AvgPool2d, nn.Softplus), uniform(3, 2, 8, 8)


def test_oracle_the_average_over_baselines():
    model, x = smooth()
    starts = [0.0, uniform(3, 2, 8, 8, seed=1), uniform(2, 8, 8, seed=2)]
    found = averaged_integrated_gradients(model, x, TARGET, baselines=starts, nodes=12)
    each = [integrated_gradients(model, x, TARGET, baseline=b, nodes=12).values for b in starts]
    assert torch.allclose(found.values, sum(each) / 3, atol=1e-14)
    full = [torch.zeros_like(x), starts[1], starts[2].expand_as(x)]
    wanted = scores(model, x, TARGET) - sum(scores(model, b, TARGET) for b in full) / 3
    assert torch.allclose(found.gap, found.values.flatten(1).sum(1) - wanted, atol=1e-12)
    assert bool((found.gap.abs() < 1e-7).all())


def test_oracle_of_one_baseline_is_integrated_gradients():
    model, x = smooth()
    b = uniform(1, 3, 2, 8, 8, seed=1)
    found = averaged_integrated_gradients(model, x, TARGET, baselines=b, rule="trapezoid", nodes=4)
    alone = integrated_gradients(model, x, TARGET, baseline=b[0], rule="trapezoid", nodes=4)
    assert torch.equal(found.values, alone.values)
    assert torch.equal(found.gap, alone.gap)


def test_oracle_smoothing_by_hand():
    model, x = smooth()
    found = smooth_integrated_gradients(model, x, TARGET, baseline=0.2, generator=seeded(5), samples=4, nodes=12)
    generator = seeded(5)
    spread = 0.15 * (x.flatten(1).amax(1) - x.flatten(1).amin(1)).view(3, 1, 1, 1)
    noisy = [x + spread * torch.randn(x.shape, generator=generator, dtype=x.dtype) for _ in range(4)]
    each = [integrated_gradients(model, one, TARGET, baseline=0.2, nodes=12).values for one in noisy]
    assert torch.allclose(found.values, sum(each) / 4, atol=1e-14)
    start = scores(model, torch.full_like(x, 0.2), TARGET)
    wanted = sum(scores(model, one, TARGET) for one in noisy) / 4 - start
    assert torch.allclose(found.gap, found.values.flatten(1).sum(1) - wanted, atol=1e-12)


def test_limit_no_noise_smooths_nothing():
    model, x = smooth()
    for level, inputs in ((0.0, x), (0.15, torch.full_like(x, 0.5))):
        found = smooth_integrated_gradients(
            model, inputs, TARGET, baseline=0.0, generator=seeded(), samples=3, level=level, nodes=5
        )
        alone = integrated_gradients(model, inputs, TARGET, baseline=0.0, nodes=5)
        assert torch.allclose(found.values, alone.values, atol=1e-14)


def test_property_noise_removes_the_zeros_of_the_background():
    x, model = digits("test").x[:5], healthy()
    plain = integrated_gradients(model, x, 3, baseline=0.0, nodes=8).values
    smoothed = smooth_integrated_gradients(model, x, 3, baseline=0.0, generator=seeded(), samples=3, nodes=8).values
    assert float((plain == 0).double().mean()) > 0.4
    assert not bool((smoothed == 0).any())


def test_oracle_expected_gradients_of_a_linear_model():
    model, x, references = drawn(nn.Linear(5, 3)), uniform(3, 5), uniform(40, 5, seed=2)
    found = expected_gradients(model, x, TARGET, references=references, generator=seeded(), samples=4000)
    exact = (x - references.mean(0)) * model.weight.detach()[TARGET]
    assert torch.allclose(found.values, exact, atol=0.03)
    assert torch.allclose(found.gap, (found.values - exact).sum(1), atol=1e-12)


def test_oracle_expected_gradients_come_to_the_average_over_the_references():
    model, x = smooth()
    references = uniform(6, 2, 8, 8, seed=3)
    exact = averaged_integrated_gradients(model, x, TARGET, baselines=references, nodes=12)
    scale = float(exact.values.abs().max())
    errors = []
    for samples in (100, 1600):
        found = expected_gradients(model, x, TARGET, references=references, generator=seeded(1), samples=samples)
        errors.append(float((found.values - exact.values).pow(2).mean().sqrt()) / scale)
        wanted = scores(model, x, TARGET) - torch.stack([scores(model, references, int(c)).mean() for c in TARGET])
        assert torch.allclose(found.gap, found.values.flatten(1).sum(1) - wanted, atol=1e-12)
    assert errors[1] < 0.02
    assert 2 < errors[0] / errors[1] < 8


def test_oracle_one_sample_by_hand():
    model, x = smooth()
    references, generator = uniform(6, 2, 8, 8, seed=3), seeded(4)
    chosen = references[torch.randint(6, (3,), generator=generator)]
    place = torch.rand(3, generator=generator, dtype=torch.float64).view(3, 1, 1, 1)
    by_hand = (x - chosen) * gradient(model, chosen + place * (x - chosen), TARGET).values
    found = expected_gradients(model, x, TARGET, references=references, generator=seeded(4), samples=1)
    assert torch.allclose(found.values, by_hand, atol=1e-13)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_property_draws_do_not_depend_on_the_chunk(chunk):
    model, x = smooth()
    references = uniform(6, 2, 8, 8, seed=3)
    runs = [
        (expected_gradients, {"references": references, "samples": 7}),
        (smooth_integrated_gradients, {"baseline": 0.0, "samples": 2, "nodes": 3}),
    ]
    for method, how in runs:
        one, other = (method(model, x, TARGET, generator=seeded(8), chunk=size, **how).values for size in (None, chunk))
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-14)


def test_property_smoothing_draws_the_noise_that_smooth_grad_draws():
    model, x = drawn(nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))), uniform(3, 5)
    one, other = seeded(3), seeded(3)
    smooth_integrated_gradients(model, x, TARGET, baseline=0.0, generator=one, samples=6, nodes=2)
    smooth_grad(model, x, TARGET, generator=other, samples=6)
    assert torch.equal(one.get_state(), other.get_state())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, g: averaged_integrated_gradients(m, x, 0, baselines=[]), "at least one baseline, got none"),
        (lambda m, x, g: averaged_integrated_gradients(m, x, 0, baselines=[x[:2]]), "the baseline must be a number"),
        (
            lambda m, x, g: smooth_integrated_gradients(m, x, 0, baseline=0.0, generator=g, samples=0),
            "samples must be a whole number",
        ),
        (
            lambda m, x, g: smooth_integrated_gradients(m, x, 0, baseline=0.0, generator=g, level=-1.0),
            "level is the noise",
        ),
        (
            lambda m, x, g: expected_gradients(m, x, 0, references=x[:, :3], generator=g),
            r"shaped like examples of x, \(M, 4\)",
        ),
        (lambda m, x, g: expected_gradients(m, x, 0, references=x[:0], generator=g), r"got \(0, 4\)"),
        (lambda m, x, g: expected_gradients(m, x, 0, references=x / 0, generator=g), "the references must be finite"),
        (
            lambda m, x, g: expected_gradients(m, x, 0, references=x, generator=g, samples=0),
            "samples must be a whole number",
        ),
    ],
)
def test_error_arguments(call, message):
    model = drawn(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)))
    with pytest.raises(ParameterError, match=message):
        call(model, uniform(3, 4) + 0.1, seeded())
