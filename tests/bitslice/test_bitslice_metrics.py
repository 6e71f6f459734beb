"""Digits that are not zero, sums of bitlines and the bits that count them: by loops, and by integer products."""

import math
from itertools import pairwise

import pytest
import torch

from weightlore.bitslice import (
    FixedPoint,
    bitline_loads,
    nonzero_ratios,
    predicted_bits,
    quantize,
    required_bits,
    saving,
)
from weightlore.crossbar.digits import slice_digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def codes(*shape, seed=0, most=255):
    return torch.randint(-most, most + 1, shape, generator=seeded(seed))


@pytest.mark.parametrize("cell_bits", [1, 2, 4, 8])
def test_oracle_ratios_count_digits(cell_bits):
    code = codes(37, 11) * (codes(37, 11, seed=1) > 0)
    found = nonzero_ratios(code, cell_bits=cell_bits)
    digits = slice_digits(code.abs(), cell_bits)
    expected = [100 * sum(map(bool, plane.flatten().tolist())) / code.numel() for plane in digits]
    assert found.slices.tolist() == pytest.approx(expected)
    assert found.mean == pytest.approx(sum(expected) / len(expected))
    assert found.weight == pytest.approx(100 * float((code != 0).double().mean()))
    assert found.size == code.numel()


def test_property_slices_are_within_the_weights_and_unite_to_them():
    code = codes(500) // codes(500, seed=3).abs().clamp(min=1)
    found, digits = nonzero_ratios(code), slice_digits(code.abs())
    assert found.slices.max() <= found.weight
    assert found.mean <= found.weight
    assert torch.equal((digits != 0).any(0), code != 0)


def test_property_models_tensors_and_lists_are_counted_alike():
    model = FixedPoint(mlp((64, 8, 10), generator=seeded()))
    parts = list(model.codes().values())
    joined = torch.cat([q.code.flatten() for q in parts])
    for given in (model, parts, [q.code for q in parts], joined, joined.to(torch.int16)):
        found = nonzero_ratios(given)
        assert torch.equal(found.slices, nonzero_ratios(joined).slices)
        assert found.size == 610
    assert nonzero_ratios(torch.tensor([256])).slices.tolist() == [0, 0, 0, 100]


@pytest.mark.parametrize("rows", [1, 5, 16, 64])
def test_oracle_loads_by_loops(rows):
    code = codes(3, 16)
    found = bitline_loads(code, rows=rows)
    assert found.shape == (4, 2, math.ceil(16 / rows), 3)
    for k in range(4):
        for sign in (0, 1):
            for tile in range(found.shape[2]):
                for n in range(3):
                    part = code[n, tile * rows : (tile + 1) * rows].tolist()
                    signed = [q if sign == 0 else -q for q in part]
                    assert found[k, sign, tile, n] == sum(max(q, 0) // 4**k % 4 for q in signed)
    convolution = codes(3, 4, 2, 2, seed=5)
    assert torch.equal(bitline_loads(convolution, rows=8), bitline_loads(convolution.flatten(1), rows=8))


def test_oracle_products_by_slices_are_the_integer_product():
    code, x = codes(5, 300), torch.randint(0, 256, (7, 300), generator=seeded(2))
    rows, total = 128, torch.zeros(7, 5, dtype=torch.int64)
    for sign in (1, -1):
        digits = slice_digits((sign * code).clamp(min=0))
        for tile in range(0, 300, rows):
            for k in range(4):
                for bit in range(8):
                    line = (x[:, tile : tile + rows] >> bit & 1) @ digits[k][:, tile : tile + rows].T
                    total += sign * 4**k * 2**bit * line
    assert torch.equal(total, x @ code.T)


def test_property_loads_bound_every_product_and_lossless_bits_are_needed():
    code = codes(6, 200)
    loads = bitline_loads(code, rows=128)
    bits = required_bits(loads)
    assert torch.equal(bits, torch.tensor([math.ceil(math.log2(1 + int(plane.max()))) for plane in loads]))
    worst = torch.full((1, 128), 3)
    load = bitline_loads(torch.full((1, 128), 255), rows=128)[:, 0]
    assert load.unique().tolist() == [128 * 3] == [int(worst.sum())]
    assert required_bits(load).tolist() == [9] * 4
    assert torch.equal(load.clamp(max=2**9 - 1), load)
    assert not torch.equal(load.clamp(max=2**8 - 1), load), "one bit less loses the worst case"


@pytest.mark.parametrize("seed", range(5))
def test_property_more_rows_or_larger_digits_never_need_fewer_bits(seed):
    code = codes(4, 96, seed=seed)
    bits = [required_bits(bitline_loads(code, rows=rows)) for rows in (1, 2, 4, 8, 16, 32, 96)]
    assert all(bool((b >= a).all()) for a, b in pairwise(bits))
    larger = torch.where(code.abs() % 4 < 3, code + code.sign(), code)
    assert bool((required_bits(bitline_loads(larger)) >= required_bits(bitline_loads(code))).all())


def test_oracle_prediction_is_mean_and_spread_of_a_simulated_bitline():
    density, active, rows = 0.1, 0.4, 128
    draws = torch.rand(20_000, rows, generator=seeded(), dtype=torch.float64)
    sizes = torch.randint(1, 4, draws.shape, generator=seeded(1)).double()
    sums = (sizes * (draws < density * active)).sum(1)
    found = predicted_bits(density, rows=rows, active=active, first=2.0, second=14 / 3)
    assert found.mean == pytest.approx(float(sums.mean()), rel=0.01)
    assert found.spread == pytest.approx(float(sums.std()), rel=0.02)
    assert found.bits == math.ceil(math.log2(1 + found.mean + 3 * found.spread))


def test_property_the_predictions_that_link_density_to_converters():
    assert round(predicted_bits(0.025).mean, 1) == 1.6
    assert predicted_bits(0.025, z=1.5).bits <= 3
    assert round(predicted_bits(0.0025).mean, 2) == 0.16
    assert round(predicted_bits(0.07).mean, 1) == 4.6
    assert predicted_bits(0.07).bits > 3
    assert predicted_bits(0.0).bits == 0


def test_oracle_savings_of_the_capacitor_array():
    assert [round(saving(n).energy, 1) for n in (1, 2, 3, 4, 8)] == [28.4, 21.3, 14.2, 8.9, 1.0]
    assert [round(saving(n).time, 2) for n in (1, 2, 3, 4, 8)] == [8.0, 4.0, 2.67, 2.0, 1.0]


def test_limit_a_code_one_too_large_flows_as_the_largest():
    for sign in (1, -1):
        assert torch.equal(bitline_loads(torch.tensor([[256 * sign]])), bitline_loads(torch.tensor([[255 * sign]])))


def test_limit_empty_bitlines():
    loads = bitline_loads(torch.zeros(2, 3, dtype=torch.int64))
    assert loads.shape == (4, 2, 1, 2)
    assert required_bits(loads).tolist() == [0] * 4
    assert nonzero_ratios(quantize(torch.zeros(4))).mean == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nonzero_ratios([]), "no codes to count"),
        (lambda: nonzero_ratios(torch.zeros(0, dtype=torch.int64)), "no codes to count"),
        (lambda: nonzero_ratios(torch.zeros(2)), r"quantize\(w\)\.code makes them"),
        (lambda: nonzero_ratios(torch.tensor([300])), "end at 255, got 300"),
        (lambda: nonzero_ratios(torch.tensor([3]), cell_bits=5), "must divide"),
        (lambda: bitline_loads(torch.tensor([1, 2])), "a matrix"),
        (lambda: bitline_loads(codes(2, 2), rows=0), "rows counts those of a tile"),
        (lambda: required_bits(torch.tensor([-1])), "integers >= 0"),
        (lambda: required_bits(torch.tensor([1.0])), "integers >= 0"),
        (lambda: predicted_bits(1.5), r"shares in \[0, 1\]"),
        (lambda: predicted_bits(0.5, first=2.0, second=1.0), r"second >= first\^2"),
        (lambda: saving(0), "whole number of bits"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
