"""The smooth and the efficient randomization tests."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from weightlore.attribution import (
    Attribution,
    compare_networks,
    entropy_rise,
    gradient,
    gradient_times_input,
    histogram_entropy,
    randomize,
    sensitivity_study,
    smooth_grad,
    smoothed,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=12):
    return digits("test", images=True)[:count]


@given(st.integers(0, 50), st.integers(1, 120), st.integers(1, 90))
def test_oracle_entropy_is_that_of_the_histogram(seed, bins, pixels):
    maps = torch.randn(3, pixels, generator=seeded(seed), dtype=torch.float64)
    expected = [entropy(np.histogram(row, bins=bins)[0]) for row in maps.numpy()]
    assert histogram_entropy(maps, bins).tolist() == pytest.approx(expected, abs=1e-12)


def test_limit_entropy_of_constant_maps_and_of_one_value_a_bin():
    assert histogram_entropy(torch.full((2, 9), 3.0)).tolist() == [0, 0]
    even = torch.arange(8, dtype=torch.float64)[None]
    assert histogram_entropy(even, 8).item() == pytest.approx(np.log(8))
    assert histogram_entropy(even, 1).item() == 0


def test_property_entropy_sees_neither_scale_nor_shift():
    maps = torch.randn(4, 1, 8, 8, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(histogram_entropy(8 * maps), histogram_entropy(maps))
    torch.testing.assert_close(histogram_entropy(-maps), histogram_entropy(maps))


def test_oracle_a_smoothed_gradient_is_the_smooth_gradient():
    model, x = healthy("cnn"), images().x
    method = smoothed(gradient, samples=7, level=0.2, generator=seeded(5))
    seed = int(torch.randint(2**62, (), generator=seeded(5)))
    expected = smooth_grad(model, x, 3, samples=7, level=0.2, generator=seeded(seed)).values
    torch.testing.assert_close(method(model, x, torch.full((12,), 3)).values, expected)


def test_limit_without_noise_nothing_changes():
    model, x = healthy("cnn"), images().x
    method = smoothed(gradient_times_input, samples=2, level=0.0, generator=seeded())
    torch.testing.assert_close(
        method(model, x, torch.zeros(12, dtype=torch.int64)).values, gradient_times_input(model, x, 0).values
    )


def test_property_a_study_of_a_smoothed_method_keeps_its_identity_control():
    model, method = healthy("cnn"), smoothed(gradient, samples=4, generator=seeded())
    control = compare_networks(model, images(), {"smooth": method}, others={"itself": [model]})
    assert control.value.tolist() == [1.0] * len(control)


def test_property_smoothing_makes_every_pixel_differ_from_black_so_that_the_background_no_longer_ties():
    model, data = healthy("cnn"), images(60)
    methods = {"plain": gradient_times_input, "smooth": smoothed(gradient_times_input, samples=10, generator=seeded())}
    study = sensitivity_study(model, data, methods, scheme="full", signs=("abs",), masks=("all",), generator=seeded())
    plain, smooth = (found.mean for found in study.summarize())
    assert plain > 0.85
    assert smooth < plain - 0.1


def test_oracle_the_rise_is_that_of_the_entropies_of_both_networks():
    model, x = healthy("cnn"), images().x
    classes = model(x).argmax(1)
    found = entropy_rise(model, x, gradient, target=classes, draws=2, bins=10, generator=seeded())
    generator = seeded()
    for draw in range(2):
        (copy,) = randomize(model, scheme="full", generator=generator)
        before, after = (histogram_entropy(gradient(m, x, classes).values, 10) for m in (model, copy.model))
        torch.testing.assert_close(found.rise[draw], after / before - 1)
        assert torch.equal(found.after[draw], after)
    assert torch.equal(found.before, before)
    assert found.undefined == 0


def test_limit_maps_without_entropy_have_no_rise_and_are_counted():
    def blank(model, x, classes):
        return Attribution(torch.zeros_like(x), None, "logit")

    found = entropy_rise(healthy("cnn"), images().x, blank, target=0, draws=3, generator=seeded())
    assert found.rise.isnan().all()
    assert found.undefined == 36


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: histogram_entropy(torch.zeros(3)), "a row for each image"),
        (lambda: histogram_entropy(torch.zeros(3, 3), 0), "bins must be"),
        (lambda: histogram_entropy(torch.zeros(3, 3) / 0), "a map must be finite"),
        (lambda: smoothed(gradient, samples=0, generator=seeded()), "samples must be"),
        (lambda: smoothed(gradient, level=-1.0, generator=seeded()), "level is the noise"),
        (
            lambda: entropy_rise(healthy(), digits("test").x[:2], gradient, target=0, draws=0, generator=seeded()),
            "draws",
        ),
        (lambda: entropy_rise(healthy().train(), digits("test").x[:2], gradient, target=0, generator=seeded()), "eval"),
    ],
)
def test_error_what_cannot_be_measured(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
