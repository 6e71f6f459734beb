"""The fixed-point grid: brute force over codes, powers of two, idempotence, symmetry, and where codes end."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightlore.bitslice import exponent_of, quantize, straight_through
from weightlore.bitslice.quantizer import largest_code, measured, require_widths, rounded
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64, spread=1.0):
    return spread * torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bits", [1, 4, 8, 12])
@pytest.mark.parametrize("overflow", ["saturate", "reference"])
def test_oracle_codes_are_the_nearest_of_all(dtype, bits, overflow):
    w = normal(300, dtype=dtype, spread=0.37)
    found = quantize(w, bits, overflow=overflow)
    grid = torch.arange(-largest_code(bits, overflow), largest_code(bits, overflow) + 1)
    assert found.step == 2.0 ** (math.ceil(math.log2(w.abs().max().item())) - bits)
    distance = (w[:, None].double() - grid * found.step).abs()
    assert torch.equal(distance.gather(1, (found.code - grid[0])[:, None])[:, 0], distance.amin(1))
    assert found.code.dtype == torch.int64


@pytest.mark.parametrize("k", range(-16, 20))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oracle_the_exponent_is_exact_beside_powers_of_two(k, dtype):
    power = torch.tensor([2.0**k], dtype=dtype)
    above, below = torch.nextafter(power, power * 2), torch.nextafter(power, power / 2)
    assert exponent_of(power) == k
    assert exponent_of(above) == k + 1
    assert exponent_of(below) == (k if k > -16 else -16)
    assert exponent_of(-power) == k
    assert measured(power)[0] == max(2.0**k, 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_value_is_code_times_step_and_near(dtype):
    w = normal(400, dtype=dtype, spread=0.02)
    found = quantize(w)
    assert torch.equal(found.value, (found.code * found.step).to(dtype))
    assert torch.equal(found.value.sign().abs(), (found.code != 0).to(dtype))
    saturated = found.code.abs() == 255
    error = (found.value - w).abs()
    assert float(error[~saturated].max()) <= found.step / 2
    assert float(error.max()) <= found.step


def test_property_rounding_is_half_to_even_and_floor_is_towards_zero():
    w = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 7.9, -7.9, 200.0])
    assert quantize(w, exponent=8).code.tolist() == [0, 2, 2, 0, -2, 8, -8, 200]
    assert quantize(w, exponent=8, rounding="floor").code.tolist() == [0, 1, 2, 0, -1, 7, -7, 200]


@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.3, 1.0, 40.0]))
def test_property_idempotent_with_frozen_scale_and_where_it_is_measured_anew(seed, spread):
    once = quantize(normal(7, seed=seed, spread=spread))
    frozen = quantize(once.value, exponent=once.exponent)
    assert torch.equal(frozen.value, once.value)
    again, largest = quantize(once.value), int(once.code.abs().max())
    if largest == 128:
        assert again.exponent == once.exponent - 1
        expected = torch.where(once.code.abs() == 128, once.code.sign() * 255 * once.step / 2, once.value)
        assert torch.equal(again.value, expected)
    else:
        assert torch.equal(again.value, once.value)


def test_property_the_exception_of_idempotence_exists():
    once = quantize(torch.tensor([128.4, 3.0]))  # 2^8 bounds it, step 1, and the largest code is 128
    assert once.code.tolist() == [128, 3]
    again = quantize(once.value)
    assert again.code.tolist() == [255, 6]
    assert again.value.tolist() == [127.5, 3.0]


@given(st.integers(0, 10_000), st.integers(-8, 30))
def test_property_scale_sign_and_order(seed, j):
    w = normal(9, seed=seed)
    found, order = quantize(w), torch.randperm(9, generator=seeded(seed))
    scaled = quantize(w * 2.0**j)
    assert torch.equal(scaled.code, found.code)
    assert torch.equal(scaled.value, found.value * 2.0**j)
    assert torch.equal(quantize(-w).code, -found.code)
    assert torch.equal(quantize(w[order]).code, found.code[order])


def test_property_the_gradient_is_that_of_a_clamp():
    w = torch.tensor([0.3, -0.9, 1.0, 1.2, -3.0], requires_grad=True)
    (quantize(w, exponent=0).value * torch.arange(1.0, 6.0)).sum().backward()
    assert w.grad.tolist() == [1.0, 2.0, 3.0, 0.0, 0.0]
    w.grad = None
    straight_through(w).sum().backward()
    assert w.grad.tolist() == [1.0] * 5
    assert torch.equal(straight_through(w, 4, 0), quantize(w, 4, 0).value)
    assert torch.equal(straight_through(w), quantize(w, 8).value)
    assert not torch.equal(straight_through(w), quantize(w, 9).value)


def test_property_a_quantized_tensor_stays_as_it_is():
    with pytest.raises(FrozenInstanceError):
        quantize(normal(3)).step = 1.0


def test_property_what_is_given_stays_and_rounded_is_the_inner_loop():
    w = normal(20)
    kept = w.clone()
    found = quantize(w, 6)
    assert torch.equal(w, kept)
    assert torch.equal(rounded(w, found.step, 63), found.code.double())
    assert torch.equal(rounded(w * 9, found.step, None), (w * 9 / found.step).round())


@pytest.mark.parametrize("w", [torch.zeros(3, 4), torch.full((5,), 1e-30), torch.zeros(0)])
def test_limit_nothing_is_quantized_with_the_smallest_scale(w):
    w = w.requires_grad_()
    found = quantize(w)
    assert found.exponent == -16
    assert found.step == 2.0**-24
    assert not found.code.any()
    found.value.sum().backward()
    assert torch.isfinite(w.grad).all()


@pytest.mark.parametrize("largest", [0.5, 1.0, 255.6 / 256, 255.5 / 256, -1.0])
def test_limit_the_largest_code(largest):
    w = torch.tensor([largest, 0.1])
    sign = 1 if largest > 0 else -1
    assert quantize(w).code[0] == 255 * sign
    assert quantize(w, overflow="reference").code[0] == 256 * sign
    assert abs(quantize(w).value[0] - largest) <= quantize(w).step


def test_limit_a_frozen_scale_clips():
    w = torch.tensor([5.0, -5.0, 0.25])
    assert quantize(w, exponent=1).code.tolist() == [255, -255, 32]
    assert quantize(w, exponent=1, overflow="reference").value.tolist() == [2.0, -2.0, 0.25]
    assert quantize(w, exponent=3).code.tolist() == [160, -160, 8]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("exponent", [None, 0])
def test_error_not_finite(bad, exponent):
    with pytest.raises(ParameterError, match="1 of its 2 entries are NaN or infinite"):
        quantize(torch.tensor([bad, 1.0]), exponent=exponent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "from 1 to 16, got 0"),
        ({"bits": 17}, "from 1 to 16, got 17"),
        ({"bits": 8.0}, "whole number"),
        ({"exponent": 1.5}, "exponent is a whole number"),
        ({"exponent": 300}, "from -100 to 100"),
        ({"rounding": "ceil"}, "'round' .nearest. or 'floor'"),
        ({"overflow": "wrap"}, "'saturate' .* or 'reference'"),
    ],
)
def test_error_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        quantize(torch.ones(2), **options)


def test_error_integers_and_widths():
    with pytest.raises(ParameterError, match=r"convert it with w\.double"):
        quantize(torch.ones(2, dtype=torch.int64))
    with pytest.raises(ParameterError, match="must divide the 8 bits"):
        require_widths(8, 3)
    assert [require_widths(8, c) for c in (1, 2, 4, 8)] == [8, 4, 2, 1]
