"""Temperature scaling: golden section, invariances, what happens at the ends, and what is recovered."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, one_hot

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import TemperatureScaling, find_temperature
from weightlore.uncertainty.calibration.temperature import Temperature
from weightlore.uncertainty.warned import UncertaintyWarning


def distorted(size=400, classes=4, temperature=2.0, seed=0, spread=2.0, dtype=torch.float64):
    """Logits of a calibrated network times a temperature, and classes drawn from the calibrated probabilities."""
    generator = torch.Generator().manual_seed(seed)
    z = spread * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    y = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    return (temperature * z).to(dtype), y


def nll(z, y, temperature=1.0):
    return cross_entropy(z.double() / temperature, y).item()


def golden_section(z, y, width=1e-9):
    """The minimum over ln T, where the NLL has one valley."""
    ratio, low, high = (5**0.5 - 1) / 2, math.log(0.05), math.log(20.0)
    while high - low > width:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if nll(z, y, math.exp(left)) <= nll(z, y, math.exp(right)):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, 8.0])
@pytest.mark.parametrize("classes", [2, 7])
def test_oracle_golden_section(temperature, classes):
    z, y = distorted(classes=classes, temperature=temperature)
    assert find_temperature(z, y).value == pytest.approx(golden_section(z, y), rel=1e-6)


def test_oracle_the_slope_of_the_nll_vanishes():
    z, y = distorted()
    s = torch.tensor(1 / find_temperature(z, y).value, dtype=torch.float64, requires_grad=True)
    assert abs(torch.autograd.grad(cross_entropy(z * s, y), s)[0].item()) < 1e-12


@pytest.mark.parametrize("temperature", [0.051, 0.5, 1.0, 2.0, 3.0, 19.9])
def test_oracle_two_logits_in_closed_form(temperature):
    z = torch.tensor([[temperature * math.log(4), 0.0]], dtype=torch.float64).repeat(5, 1)  # softmax(z / T) = 4/5
    found = find_temperature(z, torch.tensor([0, 0, 0, 0, 1]))
    assert not found.at_bound
    assert found.value == pytest.approx(temperature, rel=1e-12)


@pytest.mark.parametrize(("temperature", "bound"), [(0.04, 0.05), (25.0, 20.0)])
def test_limit_two_logits_whose_temperature_is_beyond_a_bound(temperature, bound):
    z = torch.tensor([[temperature * math.log(4), 0.0]], dtype=torch.float64).repeat(5, 1)
    assert find_temperature(z, torch.tensor([0, 0, 0, 0, 1])) == Temperature(bound, at_bound=True)


def test_limit_separable_logits_so_large_that_the_slope_is_zero():
    z, y = separable()
    assert find_temperature(1e4 * z, y) == Temperature(0.05, at_bound=True)


@pytest.mark.parametrize("size", [4000, 20000])
def test_property_the_first_estimate_on_a_tenth_changes_nothing(size):
    z, y = distorted(size)
    few = distorted(200)
    order = torch.arange(size).flip(0)
    assert find_temperature(z, y).value == pytest.approx(find_temperature(z[order], y[order]).value, rel=1e-12)
    assert find_temperature(*few).value != pytest.approx(find_temperature(z, y).value, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(0.1, 10))
def test_property_never_above_temperature_one(seed, classes, temperature):
    z, y = distorted(60, classes, temperature, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)
        scaling = TemperatureScaling().fit(z, y)
    assert nll(z, y, scaling.temperature) <= nll(z, y) + 1e-13


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_answers_stay(dtype):
    z, y = distorted(temperature=5.0, dtype=dtype)
    p = TemperatureScaling().fit(z, y).predict_proba(z)
    assert torch.equal(p.argmax(1), z.argmax(1))
    assert p.dtype == dtype
    assert (p.amax(1).argsort() != z.softmax(1).amax(1).argsort()).any(), "which row is surer may change"


def test_property_constants_of_a_row_play_no_part_and_scale_is_carried_through():
    z, y = distorted()
    found = find_temperature(z, y).value
    generator = torch.Generator().manual_seed(3)
    moved = z + 10 * torch.randn(len(z), 1, generator=generator, dtype=z.dtype)
    assert find_temperature(moved, y).value == pytest.approx(found, rel=1e-10)
    for c in (0.25, 3.0):
        assert find_temperature(c * z, y).value == pytest.approx(c * found, rel=1e-10)
    order = torch.randperm(len(z), generator=generator)
    assert find_temperature(z[order], y[order]).value == pytest.approx(found, rel=1e-10)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_property_the_distortion_is_recovered(temperature):
    z, y = distorted(20000, 10, temperature, dtype=torch.float32)
    assert find_temperature(z, y).value == pytest.approx(temperature, rel=0.05)
    assert find_temperature(z, y).value == pytest.approx(find_temperature(z.double(), y).value, rel=1e-5)


def separable(dtype=torch.float64):
    y = torch.arange(12) % 3
    return 2.0 * one_hot(y, 3).to(dtype), y


def test_limit_separable_data_teach_nothing():
    z, y = separable()
    with pytest.warns(UncertaintyWarning, match="answered correctly; T = 1 is kept"):
        scaling = TemperatureScaling().fit(z, y)
    assert scaling.at_bound
    assert scaling.temperature == 1
    assert repr(scaling) == "TemperatureScaling(T=1, at its bound)"
    assert repr(TemperatureScaling()) == "TemperatureScaling(not fitted)"
    with pytest.warns(UncertaintyWarning, match="T = 0.05 is kept"):
        extreme = TemperatureScaling(allow_extreme=True).fit(z, y)
    assert extreme.at_bound
    assert extreme.temperature == 0.05


def test_limit_one_error_with_a_tiny_margin_is_nearly_separable():
    z, y = separable()
    z[0, 1] = 2.0 + 1e-6
    assert find_temperature(z, y).value == pytest.approx(golden_section(z, y), rel=1e-5)  # the valley is flat
    assert find_temperature(z / 20, y) == Temperature(0.05, at_bound=True)
    with pytest.warns(UncertaintyWarning, match="T = 1 is kept"):
        assert TemperatureScaling().fit(z / 20, y).at_bound


def test_limit_logits_that_say_the_contrary_end_at_the_other_bound():
    z, y = separable()
    with pytest.warns(UncertaintyWarning, match="hardly anything"):
        scaling = TemperatureScaling().fit(-z, y)
    assert scaling.at_bound
    assert scaling.temperature == 20
    assert find_temperature(-z, y, bounds=(0.5, 3.0)) == Temperature(3.0, at_bound=True)


@pytest.mark.parametrize("z", [torch.zeros(3, 4), torch.ones(1, 2), torch.arange(3.0)[:, None].repeat(1, 5)])
def test_limit_flat_logits(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaling = TemperatureScaling().fit(z, torch.zeros(len(z), dtype=torch.int64))
    assert scaling.temperature == 1
    assert not scaling.at_bound


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_limit_half_precision(dtype):
    z, y = distorted(dtype=dtype)
    assert find_temperature(z, y).value == pytest.approx(find_temperature(z.double(), y).value, rel=1e-4)
    assert TemperatureScaling().fit(z, y).predict_proba(z).dtype == dtype


def test_limit_huge_logits():
    z, y = distorted(temperature=1.0)
    far = 1e5 * z
    with pytest.warns(UncertaintyWarning, match="highest temperature"):
        assert TemperatureScaling().fit(far, y).temperature == 20
    assert torch.isfinite(torch.tensor(find_temperature(z / 1e6, y).value))


@pytest.mark.parametrize("bounds", [(1.0, 20.0), (0.0, 20.0), (0.05, 0.9), (0.05, math.inf), (0.05, math.nan)])
def test_error_bounds(bounds):
    with pytest.raises(ParameterError, match="lowest and the highest temperature"):
        TemperatureScaling(bounds=bounds)
