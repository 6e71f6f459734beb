"""Cells: levels and conductances, the common mode and what its four treatments do."""

import itertools
import math

import pytest
import torch

from weightlore.crossbar.cells import (
    ISAAC_CELLS,
    PCM_CELLS,
    RERAM_MILO_CELLS,
    RERAM_WAN_CELLS,
    Cells,
    bitline_currents,
    decoded,
    full_scale,
)
from weightlore.crossbar.programming import ProportionalNoise
from weightlore.errors import ParameterError

MODES = ("ideal", "digital", "dummy_column", "uncorrected")
RATIOS = (0.0, 1.0, 22.0, 80.0)  # g_min, of a g_max of 100


def a_product(generator, cell_bits=2, lines=5, words=37, batch=4):
    levels = torch.randint(2**cell_bits, (lines, words), generator=generator)
    inputs = torch.randint(2, (batch, words), generator=generator).double()
    return levels, inputs, inputs @ levels.double().T


@pytest.mark.parametrize("cell_bits", [1, 2, 4])
@pytest.mark.parametrize("g_min", RATIOS)
def test_oracle_levels_are_evenly_spaced_conductances(cell_bits, g_min):
    cells, levels = Cells(g_min, 100.0), torch.arange(2**cell_bits)
    expected = torch.linspace(g_min, 100.0, 2**cell_bits, dtype=torch.float64)
    torch.testing.assert_close(cells.conductance(levels, cell_bits), expected)
    torch.testing.assert_close(cells.levels(expected, cell_bits), levels.double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("g_min", "mode"), list(itertools.product(RATIOS, ("ideal", "digital"))))
def test_oracle_finite_ratio_is_exact_with_correction(g_min, mode, generator):
    cells = Cells(g_min, 100.0, common_mode=mode)
    levels, inputs, sums = a_product(generator)
    currents = bitline_currents(inputs, cells.conductance(levels, 2), voltage=0.3)
    found = decoded(currents, inputs, cells, cell_bits=2, voltage=0.3)
    torch.testing.assert_close(found, sums, atol=1e-9, rtol=0)
    assert torch.equal(found.round(), sums)


@pytest.mark.parametrize("g_min", RATIOS)
def test_oracle_without_correction_sums_move_by_the_common_mode(g_min, generator):
    """Against cells without one, by g_min / step times the sum of inputs."""
    cells = Cells(g_min, 100.0, common_mode="uncorrected")
    levels, inputs, sums = a_product(generator)
    found = decoded(bitline_currents(inputs, cells.conductance(levels, 2)), inputs, cells, cell_bits=2)
    moved = g_min * 3 / (100 - g_min) * inputs.sum(-1, keepdim=True).expand_as(sums)
    torch.testing.assert_close(found - sums, moved, atol=1e-9, rtol=0)


def test_oracle_dummy_column_takes_the_common_mode_away(generator):
    cells = Cells(10.0, 100.0, common_mode="dummy_column")
    levels, inputs, sums = a_product(generator)
    dummy = bitline_currents(inputs, cells.conductance(torch.zeros(1, 37), 2).double())[..., 0]
    currents = bitline_currents(inputs, cells.conductance(levels, 2))
    torch.testing.assert_close(decoded(currents, inputs, cells, cell_bits=2, dummy=dummy), sums, atol=1e-9, rtol=0)
    worse = decoded(currents, inputs, cells, cell_bits=2, dummy=1.1 * dummy)
    torch.testing.assert_close(sums - worse, 0.1 * 10 / 30 * inputs.sum(-1, keepdim=True).expand_as(sums))


@pytest.mark.parametrize("mode", MODES)
def test_oracle_full_scale_is_the_greatest_sum(mode):
    """All cells and inputs at their largest, with what of the common mode is not removed before the converter."""
    cells = Cells(20.0, 100.0, common_mode=mode)
    conductance = cells.conductance(torch.full((1, 128), 3), 2)
    inputs = torch.full((128,), 3.0, dtype=torch.float64)
    total = float(bitline_currents(inputs, conductance, voltage=0.2)) / (0.2 * cells.step(2))
    removed = 0.0 if mode in ("digital", "uncorrected") else 20 / cells.step(2) * 384
    assert full_scale(cells, cell_bits=2, rows=128, largest_digit=3) == pytest.approx(total - removed)


def test_property_finite_ratio_costs_resolution():
    """With 9 bits over the full scale, a step of the converter grows past one level as the ratio falls."""
    scales = [full_scale(Cells(g, 100.0, common_mode="digital"), cell_bits=2, rows=128) for g in RATIOS]
    assert scales == sorted(scales)
    bits = [math.ceil(math.log2(1 + s)) for s in scales]
    assert bits == [9, 9, 9, 11]
    ideal = {full_scale(Cells(g, 100.0), cell_bits=2, rows=128) for g in RATIOS}
    assert ideal == {384.0}


@pytest.mark.parametrize(("clamp", "window"), [("physical", (0.0, math.inf)), ("window", (10.0, 60.0))])
def test_property_window_follows_the_rule_of_the_clamp(clamp, window):
    assert Cells(10.0, 60.0, clamp=clamp).window == window


def test_property_presets_have_the_ranges_of_their_sources():
    assert (Cells().g_min, Cells().g_max) == (0.0, 100.0)
    assert (PCM_CELLS.g_min, PCM_CELLS.g_max) == (0.0, 25.0)
    assert RERAM_MILO_CELLS.g_max / RERAM_MILO_CELLS.g_min == 4.5
    assert (ISAAC_CELLS.g_max, ISAAC_CELLS.g_min) == (1e6 / 2_000, 1e6 / 2_000_000)  # uS of 2 kOhm and 2 MOhm
    for cells in (PCM_CELLS, RERAM_MILO_CELLS, RERAM_WAN_CELLS):  # noise was measured on the range of the cells
        assert cells.programming.g_max == cells.g_max
    assert PCM_CELLS.drift.g_max == PCM_CELLS.reading.g_max == PCM_CELLS.g_max


def test_property_nothing_of_the_callers_changes(generator):
    levels, inputs, _ = a_product(generator)
    before = levels.clone(), inputs.clone()
    cells = Cells(5.0, 50.0)
    decoded(bitline_currents(inputs, cells.conductance(levels, 2)), inputs, cells, cell_bits=2)
    assert torch.equal(levels, before[0])
    assert torch.equal(inputs, before[1])
    assert cells.conductance(levels.float(), 2).dtype == torch.float32


def test_limit_no_cells_and_no_readings():
    cells = Cells(5.0, 50.0)
    assert cells.conductance(torch.zeros(0, 4), 2).shape == (0, 4)
    inputs = torch.zeros(0, 4, dtype=torch.float64)
    currents = bitline_currents(inputs, cells.conductance(torch.ones(3, 4, dtype=torch.int64), 2))
    assert decoded(currents, inputs, cells, cell_bits=2).shape == (0, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cells(5.0, 5.0), "g_min < g_max"),
        (lambda: Cells(-1.0, 5.0), "g_min < g_max"),
        (lambda: Cells(0.0, math.nan), "g_min < g_max"),
        (lambda: Cells(0.0, math.inf), "g_min < g_max"),
        (lambda: Cells(common_mode="analog"), "common_mode must be one of"),
        (lambda: Cells(clamp="none"), "'physical' or 'window'"),
        (lambda: Cells(reading=ProportionalNoise(0.1, "lognormal")), "kind='linear'"),
        (lambda: Cells().step(0), "cell_bits must be a whole number"),
        (lambda: Cells().conductance(torch.tensor([4]), 2), "holds 0 to 3"),
        (lambda: Cells().conductance(torch.tensor([-1]), 2), "holds 0 to 3"),
        (lambda: Cells().conductance(torch.tensor([math.nan]), 2), "levels must be finite"),
        (lambda: full_scale(Cells(), cell_bits=2, rows=0), "is the array empty"),
    ],
)
def test_error_cells_say_what_is_wrong(make, says):
    with pytest.raises(ParameterError, match=says):
        make()


def test_error_a_dummy_column_is_given_where_there_is_one():
    current, inputs = torch.ones(1), torch.ones(1)
    with pytest.raises(ParameterError, match="needs the current of a dummy column"):
        decoded(current, inputs, Cells(common_mode="dummy_column"), cell_bits=2)
    with pytest.raises(ParameterError, match="takes no current of a dummy column"):
        decoded(current, inputs, Cells(), cell_bits=2, dummy=torch.ones(()))
