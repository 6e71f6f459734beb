"""Cost: counts by brute force, the anchors of four converter models, bills that add up, and the digital baseline."""

import dataclasses
import itertools
import math
import re

import pytest

from weightlore.crossbar.constants import CONSTANTS
from weightlore.crossbar.cost import Bill, Cost, counts, digital_energy
from weightlore.errors import ParameterError

MODELS = ("isaac", "cdac", "puma", "neurosim")
TOY = {"vectors": 3, "digits": 4, "polarities": 2, "rows": 5, "columns": 6, "columns_per_adc": 4}


def loops(inputs, outputs, bits, vectors, digits, polarities, rows, columns, columns_per_adc):
    """Walk over everything that happens, one event at a time."""
    found = {"drives": 0, "reads": 0, "conversions": [0] * len(bits), "arrays": set(), "adcs": set(), "macs": 0}
    row_starts, column_starts = range(0, inputs, rows), range(0, outputs, columns)
    for _, _, (k, a), p in itertools.product(range(vectors), range(digits), enumerate(bits), range(polarities)):
        if a == 0:
            continue
        for top, left in itertools.product(row_starts, column_starts):
            found["reads"] += 1
            found["arrays"].add((k, p, top, left))
            found["adcs"] |= {(k, p, top, left, c // columns_per_adc) for c in range(columns)}
            found["drives"] += len(range(top, min(top + rows, inputs)))
            found["conversions"][k] += len(range(left, min(left + columns, outputs)))
    for _ in itertools.product(range(vectors), range(inputs), range(outputs)):
        found["macs"] += 1
    return found


@pytest.mark.parametrize("bits", [(3, 3, 3, 1), (4, 0), (2,)])
@pytest.mark.parametrize(("inputs", "outputs"), [(12, 7), (5, 6), (1, 1), (11, 13)])
def test_oracle_counts_are_those_of_loops(inputs, outputs, bits):
    found, right = counts(inputs, outputs, bits, **TOY), loops(inputs, outputs, bits, **TOY)
    assert found.conversions == tuple(right["conversions"])
    assert found.shift_adds == sum(right["conversions"])
    assert (found.row_drives, found.reads, found.macs) == (right["drives"], right["reads"], right["macs"])
    assert sum(found.arrays) == len(right["arrays"])
    assert sum(found.converters) == len(right["adcs"])
    assert found.steps == 12
    assert found.conversions_in_turn == min(4, outputs)


def test_oracle_a_layer_of_the_usual_size():
    found = counts(784, 100, (8, 8, 8, 8))
    assert found.conversions == (8 * 7 * 2 * 100,) * 4
    assert found.arrays == (14,) * 4
    bill = Cost("isaac").bill(found)
    assert bill.adc_energy == pytest.approx(4 * 11200 * 1.667, rel=1e-3)
    assert bill.dac_energy == pytest.approx(8 * 784 * 8 * 0.417)
    assert bill.array_energy == pytest.approx(8 * 56 * 30)
    assert bill.add_energy == pytest.approx(44800 * 0.021)
    assert bill.latency == pytest.approx(8 * 100e-9)  # 100 columns at 1.2 GS/s are done before the array is
    assert bill.adc_area == pytest.approx(56 * 1200, rel=1e-3)
    assert bill.other_area == pytest.approx(56 * (25 + 128 * 0.166 + 60))
    assert bill.digital_energy == pytest.approx(78400 * 0.23)


def test_oracle_the_fit_follows_the_table():
    energy = {4: 0.79, 5: 0.99, 6: 1.20, 7: 1.42, 8: 1.67, 9: 1.97, 10: 2.38}
    area = {4: 361, 5: 477, 6: 627, 7: 845, 8: 1200, 9: 1828, 10: 3002}
    for bits, value in energy.items():
        assert Cost("isaac").adc_energy(bits) == pytest.approx(value, abs=0.006)
    for bits, value in area.items():
        assert Cost("isaac").adc_area(bits) == pytest.approx(value, abs=0.6)


@pytest.mark.parametrize(
    ("model", "energy", "time"),
    [
        ("isaac", 1.667, 1 / 1.2e9),
        ("cdac", 1.667, 1 / 1.2e9),
        ("puma", 200 / 128, 100e-9 / 128),
        ("neurosim", 9e-3 * (1.1294 * 8 + 8.8998), 9e-9),
    ],
)
def test_oracle_anchors_at_eight_bits(model, energy, time):
    assert Cost(model).adc_energy(8) == pytest.approx(energy, rel=1e-3)
    assert Cost(model).adc_latency(8) == pytest.approx(time, rel=1e-9)
    assert Cost(model).adc_area(8) == pytest.approx(1200, rel=1e-3)


@pytest.mark.parametrize(("model", "one", "three"), [("cdac", 28.4, 14.2), ("isaac", 8.5, 2.8), ("puma", 64.0, 7.1)])
def test_oracle_ratios_to_eight_bits(model, one, three):
    cost = Cost(model)
    assert cost.adc_energy(8) / cost.adc_energy(1) == pytest.approx(one, abs=0.06)
    assert cost.adc_energy(8) / cost.adc_energy(3) == pytest.approx(three, abs=0.06)


@pytest.mark.parametrize("model", MODELS)
def test_property_more_bits_never_cost_less(model):
    cost = Cost(model)
    energies, times, areas = ([f(b) for b in range(1, 17)] for f in (cost.adc_energy, cost.adc_latency, cost.adc_area))
    assert all(a < b for a, b in itertools.pairwise(energies)) or model == "cdac"
    assert all(a <= b for a, b in itertools.pairwise(energies))
    assert all(a <= b for a, b in itertools.pairwise(times))
    assert all(a <= b for a, b in itertools.pairwise(areas))


@pytest.mark.parametrize("model", MODELS)
def test_property_bills_add_over_layers_and_vectors(model):
    cost = Cost(model)
    one, other = counts(784, 100, (4, 4, 4, 2), vectors=5), counts(100, 10, (3, 3, 3, 1), vectors=5)
    total = cost.bill(one) + cost.bill(other)
    for name in ("energy", "area", "latency", "adc_energy", "adc_area", "digital_energy"):
        parts = getattr(cost.bill(one), name) + getattr(cost.bill(other), name)
        assert getattr(total, name) == pytest.approx(parts, rel=1e-12)
    ten = cost.bill(counts(784, 100, (4, 4, 4, 2), vectors=10))
    assert ten.energy == pytest.approx(2 * cost.bill(one).energy)
    assert ten.area == cost.bill(one).area
    assert total.model == model
    assert f"converter model '{model}'" in str(total)
    assert f"area of '{total.area_model}'" in str(total)


@pytest.mark.parametrize("model", MODELS)
def test_property_shares_are_shares(model):
    bill = Cost(model).bill(counts(300, 77, (8, 8, 8, 8)))
    assert bill.adc_energy_share * bill.energy == pytest.approx(bill.adc_energy)
    assert bill.adc_area_share * bill.area == pytest.approx(bill.adc_area)
    assert 0 < bill.adc_energy_share < 1
    assert bill.digital_ratio == pytest.approx(digital_energy(300 * 77) / bill.energy)
    less = Cost(model).bill(counts(300, 77, (3, 3, 3, 1)))
    assert less.adc_energy_share < bill.adc_energy_share


def test_property_accumulation_converts_once_per_vector():
    often, once = (counts(64, 32, (8, 8), vectors=3, digits=8, accumulate=a) for a in (False, True))
    assert [8 * n for n in once.conversions] == list(often.conversions)
    assert once.reads == often.reads
    slow = Cost("neurosim")
    assert slow.bill(once).latency < slow.bill(often).latency


def test_oracle_time_is_of_the_slower_of_array_and_converter():
    layer = counts(128, 128, (8, 3), vectors=2, digits=4)
    assert Cost("neurosim").bill(layer).latency == pytest.approx(8 * 128 * 9e-9)
    assert Cost("isaac").bill(layer).latency == pytest.approx(8 * 128 / 1.2e9)
    assert Cost("isaac").bill(
        counts(128, 128, (8, 3), vectors=2, digits=4, columns_per_adc=8)
    ).latency == pytest.approx(8e-7)


def test_oracle_heat_and_column_current():
    assert Cost("puma", temperature=400).adc_energy(5) == pytest.approx(1.13 * Cost("puma").adc_energy(5))
    loaded, bare = Cost("neurosim", column_resistance=1e4).adc_energy(7), Cost("neurosim").adc_energy(7)
    assert loaded - bare == pytest.approx(8e-9 * 0.079449 * math.exp(-2.297 * 4) * 1e12)


def test_limit_nothing_to_do_and_nothing_built():
    idle = Cost().bill(counts(10, 4, (3, 1), vectors=0))
    assert idle.energy == 0
    assert idle.adc_energy_share == 0
    assert idle.area > 0
    empty = Cost().bill(counts(10, 4, (0, 0)))
    assert (empty.energy, empty.area, empty.latency, empty.adc_area_share) == (0, 0, 0, 0)
    assert empty.digital_ratio == math.inf


def test_property_every_constant_has_unit_and_source():
    for name, constant in CONSTANTS.items():
        assert constant.value > 0, name
        assert constant.unit
        assert re.search(r"\[\w+\d{4}\w+\]", constant.source), name
    assert "45 nm" in CONSTANTS["digital_multiply_8"].source


def test_property_every_constant_is_used(monkeypatch):
    layers = [counts(300, 128, (8, 3), vectors=2, columns_per_adc=shared) for shared in (8, 128)]
    costs = [Cost(model, temperature=350.0) for model in MODELS] + [Cost("neurosim", column_resistance=1e3)]

    def outcome():
        return [dataclasses.astuple(cost.bill(layer)) for cost in costs for layer in layers]

    before, idle = outcome(), set()
    for name, constant in list(CONSTANTS.items()):
        with monkeypatch.context() as patch:
            patch.setitem(CONSTANTS, name, dataclasses.replace(constant, value=2 * constant.value))
            idle |= {name} if outcome() == before else set()
    assert idle == set()
    assert outcome() == before


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"inputs": 0}, "inputs must be an integer >= 1"),
        ({"outputs": -1}, "outputs"),
        ({"vectors": -1}, "vectors must be an integer >= 0"),
        ({"digits": 2.5}, "digits"),
        ({"rows": 0}, "rows"),
        ({"polarities": True}, "polarities"),
        ({"adc_bits": ()}, "adc_bits is empty"),
        ({"adc_bits": (3, 17)}, "<= 16"),
        ({"adc_bits": (3, -1)}, ">= 0"),
    ],
)
def test_error_counts_of_what_cannot_be(changed, words):
    settings = {"inputs": 10, "outputs": 4, "adc_bits": (3, 1)} | changed
    with pytest.raises(ParameterError, match=words):
        counts(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "raella"}, "isaac, cdac, puma, neurosim"),
        ({"temperature": 200.0}, "300 K"),
        ({"temperature": math.nan}, "300 K"),
        ({"column_resistance": 1e4}, "'neurosim' only"),
        ({"model": "neurosim", "column_resistance": 0.0}, "> 0 Ohm"),
    ],
)
def test_error_a_model_that_cannot_be(settings, words):
    with pytest.raises(ParameterError, match=words):
        Cost(**settings)


def test_error_bits_and_sums():
    for bits in (0, 17, 3.0):
        for of in (Cost().adc_energy, Cost().adc_area, Cost().adc_latency):
            with pytest.raises(ParameterError, match="bits of a converter"):
                of(bits)
    layer = counts(10, 4, (3, 1))
    with pytest.raises(ParameterError, match="'isaac' and 'puma'"):
        Cost("isaac").bill(layer) + Cost("puma").bill(layer)
    with pytest.raises(TypeError):
        Cost().bill(layer) + 1
    with pytest.raises(ParameterError, match="macs"):
        digital_energy(-1)
    assert isinstance(Cost().bill(layer), Bill)
