"""Reports: counted again by brute force, and added up."""

import copy

import pytest
import torch
from torch import nn

from weightlore.crossbar import Adc, Cells, Cost, Crossbar, CrossbarConfig, convert, crossbar_layers, report
from weightlore.crossbar.programming import AbsoluteNoise
from weightlore.crossbar.reports import layer_counts
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy

WEIGHT = [[255, -3, 67, 64, 0], [1, -1, 16, 0, -80]]  # codes where the step is 1/256
INPUTS = [[255, 0, 3, 1, 128], [0, 0, 0, 0, 0], [255, 255, 255, 255, 255]]


def toy(config: CrossbarConfig) -> nn.Module:
    layer = nn.Linear(5, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(WEIGHT) / 256)
    return convert(nn.Sequential(layer), config, calibrate=torch.tensor(INPUTS, dtype=torch.float64) / 256)


def test_oracle_bit_lines_counted_one_by_one() -> None:
    found = report(toy(CrossbarConfig(rows=3, adc=Adc(bits=2))), torch.tensor(INPUTS, dtype=torch.float64) / 256)
    layer = found.layers[0]
    density, load, seen, above, sums = [0] * 4, [0] * 4, [0] * 4, [0] * 4, 0
    for k in range(4):
        density[k] = sum((abs(w) >> (2 * k)) % 4 > 0 for row in WEIGHT for w in row)
        for row in WEIGHT:
            for sign in (1, -1):
                digits_of = [(max(sign * w, 0) >> (2 * k)) % 4 for w in row]
                for tile in (slice(0, 3), slice(3, 5)):
                    load[k] = max(load[k], sum(digits_of[tile]))
                    for x in INPUTS:
                        for bit in range(8):
                            total = sum(d * ((v >> bit) % 2) for d, v in zip(digits_of[tile], x[tile], strict=True))
                            seen[k], above[k], sums = max(seen[k], total), above[k] + (total > 3), sums + (k == 0)
    assert layer.density == tuple(d / 10 for d in density)
    assert layer.load == tuple(load)
    assert layer.static_bits == tuple(max(1, most.bit_length()) for most in load)
    assert layer.seen_bits == tuple(max(1, most.bit_length()) for most in seen)
    assert layer.saturated == pytest.approx([a / sums for a in above])
    assert any(layer.saturated)
    assert layer.adc_bits == (2, 2, 2, 2)
    assert (layer.outputs, layer.inputs, layer.vectors, layer.clipped) == (2, 5, 1.0, 0.0)
    assert layer.conversions == (8 * 2 * 2 * 2,) * 4  # input digits, tiles, polarities, outputs


def test_oracle_the_bill_is_that_of_the_counts() -> None:
    hardware, cost = convert(healthy("cnn"), calibrate=digits("train").x[:20]), Cost("puma")
    found = report(hardware, digits("test").x[:5], cost=cost)
    places = [64, 16, 1, 1]  # of the kernels, two of them after pooling
    for layer, vectors, module in zip(found.layers, places, crossbar_layers(hardware).values(), strict=True):
        chip = module.chips[0]
        assert isinstance(chip, Crossbar)
        assert layer.vectors == vectors
        assert layer.bill == cost.bill(layer_counts(chip, vectors))
    assert found.total.energy == pytest.approx(sum(layer.bill.energy for layer in found.layers))
    assert found.total.area == pytest.approx(sum(layer.bill.area for layer in found.layers))
    assert found.total.latency == pytest.approx(sum(layer.bill.latency for layer in found.layers))
    assert found.conversions == sum(sum(layer.conversions) for layer in found.layers)


def test_oracle_signed_inputs_are_read_twice_and_pairs_subtracted_before_share_converters() -> None:
    w = torch.tensor(WEIGHT)
    plain = layer_counts(Crossbar.program(w), 3)
    twice = layer_counts(Crossbar.program(w, CrossbarConfig(signed_input="two_pass")), 3)
    shared = layer_counts(Crossbar.program(w, CrossbarConfig(adc=Adc(subtraction="analog"))), 3)
    assert twice.conversions == tuple(2 * n for n in plain.conversions)
    assert twice.macs == plain.macs == 30
    assert shared.conversions == tuple(n // 2 for n in plain.conversions)
    assert shared.converters == tuple(n // 2 for n in plain.converters)
    assert shared.arrays == plain.arrays
    gathered = layer_counts(Crossbar.program(w, CrossbarConfig(adc=Adc(placement="accumulated"))), 3)
    assert gathered.conversions == tuple(n // 8 for n in plain.conversions)


def test_property_groups_share_time_and_add_up_in_all_else() -> None:
    x = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer = nn.Conv2d(4, 6, 3, groups=2).to(torch.float64)
    grouped = report(convert(layer, calibrate=x), x).layers[0]
    assert (grouped.outputs, grouped.inputs, grouped.vectors) == (6, 18, 9.0)
    one = report(convert(nn.Conv2d(2, 3, 3).to(torch.float64), calibrate=x[:, :2]), x[:, :2]).layers[0]
    assert grouped.bill.latency == one.bill.latency
    assert sum(grouped.conversions) == 2 * sum(one.conversions)


def test_property_chunks_do_not_matter_and_nothing_changes() -> None:
    config = CrossbarConfig(adc=Adc(bits=3), cells=Cells(2.0, 100.0, reading=AbsoluteNoise(1.0)))
    generator = torch.Generator().manual_seed(0)
    hardware = convert(healthy("mlp"), config, calibrate=digits("train").x / 2, generator=generator)
    drawn, state = generator.get_state(), copy.deepcopy(hardware.state_dict())
    first = report(hardware, digits("test"))
    assert report(hardware, digits("test")) == first
    assert torch.equal(generator.get_state(), drawn)
    assert all(torch.equal(state[name], value) for name, value in hardware.state_dict().items())
    assert first.layers[0].clipped > 0
    exact = convert(healthy("mlp"), calibrate=digits("train"))
    assert report(exact, digits("test"), chunk=7) == report(exact, digits("test").x)


def test_limit_slices_of_zeros_need_no_converter() -> None:
    layer = nn.Linear(4, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(192 / 256)
    x = torch.ones(1, 4, dtype=torch.float64)
    found = report(convert(layer, calibrate=x), x).layers[0]
    assert found.density == (0.0, 0.0, 0.0, 1.0)
    assert [n > 0 for n in found.conversions] == [False, False, False, True]


def test_property_the_table_names_the_cost_model_and_every_layer() -> None:
    hardware = convert(healthy("mlp"), calibrate=digits("train"))
    text = str(report(hardware, digits("test").x[:1], cost=Cost("cdac")))
    assert "'cdac'" in text
    assert "1 example," in text
    assert all(text.count(name) == 2 for name in crossbar_layers(hardware))
    assert all(line == line.rstrip() for line in text.splitlines())


def test_error_converters_that_no_cost_model_knows() -> None:
    x = torch.rand(2, 128, generator=torch.Generator().manual_seed(0))
    wide = convert(nn.Linear(128, 2), CrossbarConfig(adc=Adc(placement="accumulated")), calibrate=x)
    with pytest.raises(ParameterError, match=r"up to 16 bits, these have .17, 17, 17, 17.; give them fewer"):
        report(wide, x)


def test_error_no_data_and_no_crossbar() -> None:
    hardware = convert(healthy("mlp"), calibrate=digits("train"))
    with pytest.raises(ParameterError, match="at least one example"):
        report(hardware, digits("test").x[:0])
    with pytest.raises(ParameterError, match="data"):
        report(hardware, digits("test").x * float("inf"))
    with pytest.raises(ParameterError, match="chunks from 1 up"):
        report(hardware, digits("test"), chunk=0)
    with pytest.raises(ParameterError, match="convert it first"):
        report(healthy("mlp"), digits("test"))
