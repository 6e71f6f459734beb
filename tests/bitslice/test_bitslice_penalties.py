"""Penalties on weights and digits: digit by digit, by autograd, and as the authors' code forms them."""

import pytest
import torch

from weightlore.bitslice import (
    digit_sum,
    digits_of,
    force,
    l1,
    l1_gradient,
    quantize,
    slice_l1,
    slice_l1_by_autograd,
    slice_l1_gradient,
)
from weightlore.bitslice.penalties import looked_up
from weightlore.crossbar.digits import slice_digits
from weightlore.errors import ParameterError

CODES = torch.arange(256)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64, spread=1.0):
    return spread * torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def gradient_of(function, w, *args, **options):
    w = w.detach().clone().requires_grad_()
    return torch.autograd.grad(function(w, *args, **options), w)[0]


class Through(torch.autograd.Function):
    """Round or floor whose gradient passes: an oracle of its own."""

    @staticmethod
    def forward(ctx, x, function):
        return function(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def reference(w, strength):
    """The formulas of the paper's released code, written down once more: penalty, digits (most significant first)."""
    scale = torch.ceil(torch.log2(torch.clamp(w.detach().abs().max(), min=1e-5)))
    x = Through.apply(w.abs() / 2 ** (scale - 8), torch.round)
    first = Through.apply(x / 64, torch.floor)
    second = Through.apply((x - first.detach() * 64) / 16, torch.floor)
    third = Through.apply((x - first.detach() * 64 - second.detach() * 16) / 4, torch.floor)
    fourth = x - first.detach() * 64 - second.detach() * 16 - third.detach() * 4
    digits = torch.stack([first, second, third, fourth])
    return strength * digits.abs().sum() / (4 * w.numel()), digits


def test_oracle_digits_of_every_code():
    digits = digits_of()[:, :-1]
    assert torch.equal(digits, slice_digits(CODES, 2))
    assert torch.equal((digits * 4 ** torch.arange(4)[:, None]).sum(0), CODES)
    assert digits.min() == 0
    assert digits.max() == 3
    assert digits_of()[:, -1].tolist() == [0, 0, 0, 4]


def test_oracle_digit_sum_in_legendres_form():
    sums = digit_sum()[:-1].long()
    assert torch.equal(sums, CODES - 3 * sum(CODES // 4**j for j in (1, 2, 3)))
    assert torch.equal(sums % 3, CODES % 3)
    assert sums.max() == 12
    assert digit_sum()[[0, 1, 5, 64, 255]].tolist() == [0, 1, 2, 1, 12]


@pytest.mark.parametrize("cell_bits", [1, 2, 4, 8])
def test_oracle_force_of_every_code_is_autograd_through_its_digits(cell_bits):
    w = CODES.double()
    options = {"bits": 8, "cell_bits": cell_bits, "exponent": 8}
    by_autograd = gradient_of(slice_l1_by_autograd, w, 256.0 * 8 // cell_bits, **options)
    assert torch.equal(by_autograd, force(8, cell_bits)[:-1])


def test_property_table_of_the_force():
    table = dict(enumerate(force().tolist()))
    assert table[0] == 0
    assert table[1] == 1
    assert table[4] == 0.25
    assert table[5] == 1.25
    assert table[16] == 1 / 16
    assert table[64] == table[128] == table[192] == 1 / 64
    assert table[255] == 85 / 64
    assert ((force()[:-1] >= 1) == (CODES % 4 != 0)).all()


@pytest.mark.parametrize("shape", [(64,), (16, 32), (4, 2, 2, 4)])
@pytest.mark.parametrize("overflow", ["saturate", "reference"])
def test_oracle_closed_form_is_autograd_bit_for_bit(shape, overflow):
    w = normal(*shape)
    options = {"strength": 0.5, "overflow": overflow}
    found = slice_l1_gradient(w, **options)
    assert torch.equal(found, gradient_of(slice_l1, w, **options))
    assert torch.equal(found, gradient_of(slice_l1_by_autograd, w, **options))
    assert slice_l1(w, **options).item() == slice_l1_by_autograd(w, **options).item()


def test_oracle_without_detach_only_the_top_digit_is_pushed():
    found = gradient_of(slice_l1_by_autograd, CODES.double(), 1024.0, exponent=8, detach=False)
    assert torch.equal(found, (CODES >= 64).double() / 64)
    assert not torch.equal(found, gradient_of(slice_l1_by_autograd, CODES.double(), 1024.0, exponent=8))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oracle_the_authors_formulas(seed, dtype):
    w = normal(40, 30, seed=seed, dtype=dtype, spread=0.1).requires_grad_()
    if seed == 3:
        w = torch.cat([w.detach(), torch.ones(1, 30, dtype=dtype)]).requires_grad_()  # code 256
    value, digits = reference(w, 0.5)
    expected = torch.autograd.grad(value, w)[0]
    code = quantize(w.detach(), overflow="reference").code.abs()
    assert torch.equal(digits_of()[:, code].flip(0).to(dtype), digits.detach())
    assert (code.max() == 256) == (seed == 3)
    torch.testing.assert_close(slice_l1(w, 0.5, overflow="reference"), value, rtol=1e-5, atol=0)
    torch.testing.assert_close(slice_l1_gradient(w, 0.5, overflow="reference"), expected, rtol=1e-6, atol=0)


def test_oracle_full_weight_l1():
    w = normal(5, 6)
    assert l1(w, 3.0).item() == pytest.approx(3.0 * w.abs().mean().item(), rel=1e-14)
    assert l1(w).item() == pytest.approx(w.abs().mean().item(), rel=1e-14)
    assert torch.equal(l1_gradient(w, 3.0), w.sign() * (3.0 / 30))
    assert torch.equal(gradient_of(l1, w, 3.0), l1_gradient(w, 3.0))
    assert l1(w, 3.0, size=300).item() == pytest.approx(l1(w, 3.0).item() / 10)
    assert l1_gradient(torch.zeros(2)).tolist() == [0, 0]


def test_property_the_value():
    assert slice_l1(torch.zeros(7)) == 0
    assert slice_l1(torch.full((8,), 255.0), 2.0, exponent=8).item() == 2.0 * 3
    w = normal(50)
    assert slice_l1(w).item() == slice_l1(-w).item()
    five = torch.tensor([0.0, 1.0, 5.0, 64.0, 255.0])
    assert slice_l1(five, 20.0, exponent=8).item() == 0 + 1 + 2 + 1 + 12
    assert slice_l1(five, 20.0, size=10, exponent=8).item() == 8


def test_property_the_gradient_is_zero_where_the_code_is_and_never_points_away():
    w = normal(500)
    found, code = slice_l1_gradient(w), quantize(w).code
    assert torch.equal(found == 0, code == 0)
    assert bool(((code == 0) & (w != 0)).any()), "small entries are in the sample"
    assert bool((found * w >= 0).all())


def test_property_weights_for_slices():
    w = normal(200)
    one = [slice_l1_gradient(w, slice_weights=[float(j == k) for j in range(4)]) for k in range(4)]
    torch.testing.assert_close(sum(one), slice_l1_gradient(w), rtol=1e-12, atol=0)
    equal = slice_l1_gradient(CODES.double(), 1024.0, exponent=8, slice_weights=[1, 4, 16, 64])
    assert torch.equal(equal, (digits_of()[:, :-1] != 0).sum(0).double())
    torch.testing.assert_close(one[3], gradient_of(slice_l1, w, slice_weights=[0, 0, 0, 1]), rtol=1e-14, atol=0)


def test_property_a_step_never_crosses_zero_where_it_is_small_enough():
    w = normal(400)
    gradient = slice_l1_gradient(w, 0.5)
    lr = float((w.abs() / gradient.abs().clamp(min=1e-30)).min()) * 0.99
    assert bool(((w - lr * gradient) * w >= 0).all())
    for lr in (0.1, 1e4):
        guarded = slice_l1_gradient(w, 0.5, clip_step=lr)
        assert bool(((w - lr * guarded) * w >= -1e-15).all())
    assert torch.equal(slice_l1_gradient(w, 0.5, clip_step=1e-9), gradient)
    assert not torch.equal(slice_l1_gradient(w, 0.5, clip_step=1e4), gradient)


def test_property_a_weight_beside_a_large_one_reaches_zero_in_finitely_many_steps():
    w, steps = torch.tensor([0.7, 1.0], dtype=torch.float64), 0
    while quantize(w).code[0] != 0 and steps < 5000:
        w[0] -= 1e-4 * slice_l1_gradient(w, 1.0)[0]
        steps += 1
    assert 0 < steps < 5000
    assert w[0] >= 0


def test_property_a_lone_weight_takes_its_scale_along_and_is_pushed_harder_until_it_overshoots():
    w, exponents = torch.tensor([0.7], dtype=torch.float64), []
    while w > 0 and len(exponents) < 5000:
        found = quantize(w)
        exponents.append(found.exponent)
        assert 128 <= int(found.code) <= 255
        gradient = slice_l1_gradient(w, 1.0)
        assert float(gradient) == 0.25 * 2.0 ** (8 - found.exponent) * float(force()[int(found.code)])
        last, w = w, w - 1e-4 * gradient
    assert w < 0
    assert len(set(exponents)) > 2
    assert last - 1e-4 * slice_l1_gradient(last, 1.0, clip_step=1e-4) == 0


def test_property_the_inner_loop_is_the_penalty():
    w = normal(64).requires_grad_()
    found = quantize(w.detach())
    total = looked_up(w, (found.code + 256).int(), found.step, 8, 2)
    assert total.item() == digit_sum()[found.code.abs()].sum().item()
    assert torch.equal(torch.autograd.grad(total, w)[0], slice_l1_gradient(w, 256.0))


@pytest.mark.parametrize("w", [torch.zeros(4), torch.zeros(0), torch.full((3,), 1e-9)])
def test_limit_nothing_left(w):
    assert slice_l1(w) == 0
    assert l1(w) < 1e-8
    assert not slice_l1_gradient(w).any()
    assert not gradient_of(slice_l1_by_autograd, w).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: slice_l1(w, -1.0), "finite number >= 0, got -1"),
        (lambda w: l1(w, float("nan")), "finite number >= 0"),
        (lambda w: slice_l1(w, cell_bits=3), "must divide the 8 bits"),
        (lambda w: slice_l1(w, size=0), "must be >= 1, got 0"),
        (lambda w: slice_l1(w, slice_weights=[1.0]), "needs 4 finite numbers"),
        (lambda w: slice_l1(w, slice_weights=[1, 1, 1, -1]), "needs 4 finite numbers"),
        (lambda w: slice_l1_gradient(w, clip_step=0.0), "a learning rate and must be > 0"),
        (lambda w: slice_l1(w / 0), "NaN or infinite"),
        (lambda w: l1_gradient(w / 0), "NaN or infinite"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(torch.zeros(3))
