"""Whatever is left out, packed or compiled: the result is that of the long way, bit for bit."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.crossbar import Adc, Crossbar, CrossbarConfig
from weightlore.crossbar import compiled as compiled_engine
from weightlore.crossbar.compiled import rule
from weightlore.crossbar.converters import Converter
from weightlore.crossbar.folding import fold
from weightlore.crossbar.kernel import LANES, SLACK, add_groups, group_tables, join_codes, tiles_product
from weightlore.crossbar.lookup import code_table, steps
from weightlore.errors import MissingExtra

NUMBA = importlib.util.find_spec("numba") is not None
ENGINES = ["torch", pytest.param("numba", marks=pytest.mark.skipif(not NUMBA, reason="numba: extra fast"))]


def filled(seed, outputs, inputs, config, *, density=1.0, batch=5, small=0):
    g = torch.Generator().manual_seed(seed)
    most = 2**config.weight_bits - 1
    w = torch.randint(-most, most + 1, (outputs, inputs), generator=g)
    w = w * (torch.rand(outputs, inputs, generator=g) < density)
    top = (2**config.input_bits - 1) >> small
    low = 0 if config.signed_input == "none" else -top
    return w, torch.randint(low, top + 1, (batch, inputs), generator=g)


def same(array, x, engine, chunk=None):
    return torch.equal(array(x, engine=engine, chunk=chunk), array(x, engine="reference"))


@st.composite
def cases(draw):
    config = CrossbarConfig(
        rows=draw(st.sampled_from([1, 3, 4, 17, 64, 128])),
        cell_bits=draw(st.sampled_from([1, 2, 3, 4])),
        weight_bits=draw(st.sampled_from([3, 8, 9])),
        input_bits=draw(st.sampled_from([1, 4, 8, 10])),
        dac_bits=draw(st.sampled_from([1, 2, 3, 4])),
        encoding=draw(st.sampled_from(["differential", "offset", "twos_complement", "signed_digit"])),
        signed_input=draw(st.sampled_from(["none", "offset", "two_pass"])),
        adc=draw(converters()),
    )
    sizes = draw(st.tuples(st.integers(1, 9), st.integers(1, 150), st.integers(1, 40)))
    return config, sizes, draw(st.sampled_from([1.0, 0.1, 0.0])), draw(st.integers(0, 3)), draw(st.integers(0, 999))


@st.composite
def converters(draw):
    bits = draw(st.sampled_from([1, 2, 3, 5, 8]))
    return Adc(
        bits=bits,
        step=draw(st.sampled_from(["lsb", "full_scale", "power_of_two"])),
        range=draw(st.sampled_from(["worst_case", "static"])),
        rounding=draw(st.sampled_from(["nearest", "floor"])),
        offset=draw(st.sampled_from([0.0, 0.0, 0.3, -0.7, 1.0])),
        gain=draw(st.sampled_from([1.0, 1.0, 0.9, 1.13])),
        placement=draw(st.sampled_from(["digit", "digit", "accumulated"])),
    )


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_property_any_crossbar_gives_the_same_bits(engine, case):
    config, (outputs, inputs, batch), density, small, seed = case
    w, x = filled(seed, outputs, inputs, config, density=density, batch=batch, small=small)
    array = Crossbar.program(w, config)
    assert same(array, x, engine)
    assert same(array, x, engine, chunk=7)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [(8, 3, 2, 1), (1, 9, 9, 9)])
@pytest.mark.parametrize("density", [1.0, 0.2, 0.03])
def test_property_slices_may_differ_in_their_converters(engine, bits, density):
    config = CrossbarConfig(adc=Adc(bits=bits))
    w, x = filled(1, 40, 300, config, density=density, batch=70)
    assert same(Crossbar.program(w, config), x, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_property_the_default_dtype_does_not_matter(engine):
    w, x = filled(2, 12, 200, CrossbarConfig(), batch=9)
    array, before = Crossbar.program(w, CrossbarConfig(adc=Adc(bits=(3, 3, 3, 1)))), torch.get_default_dtype()
    expected = array(x, engine=engine)
    try:
        torch.set_default_dtype(torch.float64)
        again = Crossbar.program(w, CrossbarConfig(adc=Adc(bits=(3, 3, 3, 1))))
        assert torch.equal(again(x, engine=engine), expected)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("engine", ENGINES)
def test_property_a_few_busy_columns_are_converted_alone(engine):
    config = CrossbarConfig(adc=Adc(bits=6))
    w, x = filled(2, 64, 256, config, density=0.02, batch=33)
    w[:20], w[20:25] = 3, 255
    array = Crossbar.program(w, config)
    lines = [one for tile in fold(array.programmed).tiles for one in tile.lines]
    assert any(one.output is not None and len(one.output) == 5 for one in lines)
    assert any(one.output is not None for one in lines)
    assert same(array, x, engine)


@pytest.mark.parametrize("adc", [Adc(bits=3), Adc(bits=3, step="full_scale")], ids=["lsb", "full scale"])
def test_property_bit_lines_without_a_weight_are_dropped(adc):
    w, x = filled(3, 40, 130, CrossbarConfig(adc=adc), batch=7)
    w[5:] = 0
    array = Crossbar.program(w, CrossbarConfig(adc=adc))
    plan = fold(array.programmed)
    left = {n for tile in plan.tiles for one in tile.lines if one.output is not None for n in one.output.tolist()}
    assert left == {0, 1, 2, 3, 4}
    assert all(one.output is not None for tile in plan.tiles for one in tile.lines), "none is kept for its neighbors"
    assert not array(x)[:, 5:].any()
    assert same(array, x, "torch")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell_bits", [1, 2, 4, 8])
def test_limit_full_arrays_and_inputs(engine, cell_bits):
    config = CrossbarConfig(rows=200, cell_bits=cell_bits, dac_bits=cell_bits, adc=Adc(bits=4, step="full_scale"))
    w, x = torch.full((3, 450), -255), torch.full((2, 450), 255)
    assert same(Crossbar.program(w, config), x, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_limit_sums_beyond_every_table_go_through_the_converter(engine):
    config = CrossbarConfig(rows=512, cell_bits=8, dac_bits=8, adc=Adc(bits=7, step="full_scale"))
    w, x = filled(3, 4, 700, config, batch=9)
    array = Crossbar.program(w.abs(), config)
    assert any(tile.wide for tile in fold(array.programmed).tiles)
    assert same(array, x, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_limit_no_rows_and_silent_inputs(engine):
    config = CrossbarConfig(adc=Adc(bits=3, offset=1.0))
    array = Crossbar.program(filled(4, 6, 130, config)[0], config)
    assert array(torch.zeros(0, 130), engine=engine).shape == (0, 6)
    assert same(array, torch.zeros(3, 130), engine)
    assert bool(array(torch.zeros(3, 130), engine=engine).any()) is False, "an offset on both arrays cancels"
    assert same(Crossbar.program(filled(4, 6, 130, config)[0] * 0, config), torch.zeros(3, 130), engine)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_property_nothing_saturates_and_the_product_is_exact(engine):
    config = CrossbarConfig()
    w, x = filled(5, 30, 300, config, batch=40)
    array = Crossbar.program(w, config)
    assert not any(tile.lines for tile in fold(array.programmed).tiles)
    assert torch.equal(array(x, engine=engine), (x @ w.T).double())
    deep = CrossbarConfig(weight_bits=12, input_bits=12)
    w, x = filled(6, 30, 900, deep, batch=40)
    assert torch.equal(Crossbar.program(w, deep)(x, engine=engine), (x @ w.T).double())


@pytest.mark.parametrize("engine", ENGINES)
def test_property_a_changed_chip_is_seen(engine):
    config = CrossbarConfig(adc=Adc(bits=4))
    w, x = filled(7, 8, 128, config)
    array = Crossbar.program(w.abs(), config)
    before = array(x, engine=engine)
    array.levels.mul_(0)
    assert same(array, x, engine)
    assert not torch.equal(array(x, engine=engine), before)


def test_oracle_tables_are_the_converter_and_arithmetic_is_the_table():
    for adc in (Adc(bits=3, step="full_scale"), Adc(bits=4, gain=1.2, offset=-0.4), Adc(bits=2, rounding="floor")):
        one = Converter((3, 4), (11.0, 54.857), (7, 15), signed=False)
        for k in range(2):
            table = code_table(one, adc, k, 400)
            value = torch.arange(401, dtype=torch.float64) / one.step[k]
            value = value * adc.gain + adc.offset + (0.5 if adc.rounding == "nearest" else 0.0)
            assert torch.equal(table, value.floor().clamp(0, one.top[k]).long())
            lift = adc.offset + (0.5 if adc.rounding == "nearest" else 0.0)
            way = steps(table, adc.gain / one.step[k], lift)
            assert torch.equal(way.apply_(torch.arange(401.0)), table.float())
            found = rule(table.numpy(), adc.gain / one.step[k], lift)
            if found.slope:
                lifted = (np.arange(401) << found.shift) + found.lift
                assert (np.minimum(lifted * found.slope >> 16, found.top) == table.numpy()).all()
                assert lifted.max() < 2**16


def test_limit_a_table_that_no_arithmetic_gives_is_looked_up():
    jagged = torch.tensor([0, 3, 1, 7, 2, 9])
    way = steps(jagged, 1.0, 0.5)
    assert way.table is not None
    assert torch.equal(way.apply_(torch.tensor([[5.0, 1.0], [3.0, 0.0]])), torch.tensor([[9.0, 3.0], [7.0, 0.0]]))
    assert rule(jagged.numpy(), 1.0, 0.5).slope == 0


def test_oracle_group_tables_add_up_cells():
    tables = group_tables()
    for low, high, inputs in ((0, 0, 15), (5, 15, 9), (15, 15, 15), (8, 1, 8)):
        cells = [(low >> p & 1) + 2 * (high >> p & 1) for p in range(4)]
        assert tables[low + 16 * high, inputs] == sum(c for p, c in enumerate(cells) if inputs >> p & 1)


def test_oracle_the_plain_form_of_the_inner_loops():
    g = np.random.default_rng(0)
    index, entries = g.integers(0, 16, 3 * LANES), np.array([5, 256 + 200, 512 + 77], np.uint32)
    sums, tables = np.zeros(LANES + SLACK, np.uint8), group_tables().reshape(-1)
    add_groups(sums, index, tables, entries, 0, 3)
    expected = tables[80 + index[:LANES]] + tables[3200 + index[LANES : 2 * LANES]] + tables[1232 + index[2 * LANES :]]
    assert (sums[:LANES] == expected).all()
    total = np.zeros(LANES + SLACK, np.int64)
    join_codes(total, sums, 64, 8, 1, 1, 11, 2979, 7)
    codes = np.minimum((2 * sums[:LANES].astype(int) + 11) * 2979 >> 16, 7).reshape(8, 64)
    assert (total[:64] == (codes * 2 ** np.arange(8)[:, None]).sum(0)).all()


def test_property_the_compiled_engine_in_plain_python_is_the_same(monkeypatch):
    monkeypatch.setattr(compiled_engine.kernel, "compiled", lambda: tiles_product)
    config = CrossbarConfig(rows=10, weight_bits=4, input_bits=3, adc=Adc(bits=2, step="full_scale"))
    w, x = filled(8, 2, 13, config, batch=3)
    monkeypatch.setattr(compiled_engine, "available", lambda: True)
    array = Crossbar.program(w, config)
    out = torch.zeros(3, 2, dtype=torch.float64)
    plan = fold(array.programmed).compiled
    compiled_engine.compiled_product(out, x.to(torch.uint8), plan, bits=3)
    assert torch.equal(out, array(x, engine="reference"))


@pytest.mark.skipif(not NUMBA, reason="numba: extra fast")
@pytest.mark.slow
@pytest.mark.parametrize("features", ["+sse,+sse2", "+sse,+sse2,+ssse3", "+sse,+sse2,+ssse3,+avx,+avx2"])
def test_property_processors_with_less_give_the_same_bits(features):
    program = (
        "import torch; from weightlore.crossbar import *; g = torch.Generator().manual_seed(0);"
        "c = CrossbarConfig(adc=Adc(bits=3, step='full_scale'));"
        "w = torch.randint(-255, 256, (9, 200), generator=g); x = torch.randint(0, 256, (77, 200), generator=g);"
        "a = Crossbar.program(w, c); assert torch.equal(a(x, engine='numba'), a(x, engine='reference'))"
    )
    fewer = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **fewer}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not NUMBA, reason="numba: extra fast")
def test_property_what_was_compiled_is_kept_on_disk(tmp_path):
    program = (
        "import torch; from weightlore.crossbar import Adc, Crossbar, CrossbarConfig, kernel; "
        "w, x = torch.arange(-60, 60).reshape(4, 30), torch.arange(60).reshape(2, 30); "
        "a = Crossbar.program(w, CrossbarConfig(adc=Adc(bits=2))); "
        "assert torch.equal(a(x, engine='numba'), a(x, engine='reference')); s = kernel.compiled().stats; "
        "print(sum(s.cache_hits.values()), sum(s.cache_misses.values()))"
    )
    counts = []
    for _ in range(2):
        kept = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        counts.append([int(n) for n in done.stdout.split()])
    (hits, misses), later = counts[0], counts[1]
    assert (hits, misses > 0) == (0, True), "compiled for the first time"
    assert later == [misses, 0], "the second process compiles nothing"
    assert list(tmp_path.rglob("*.nbc")), "the code lies where the environment says"


def test_error_numba_is_named_with_its_extra_where_it_is_absent(monkeypatch):
    from weightlore.crossbar import folding

    monkeypatch.setattr(folding, "available", lambda: False)
    monkeypatch.setattr(folding, "WORTH_COMPILING", 0)
    config = CrossbarConfig(adc=Adc(bits=3))
    w, x = filled(9, 6, 130, config)
    array = Crossbar.program(w, config)
    with pytest.raises(MissingExtra, match=r"weightlore\[fast\]"):
        array(x, engine="numba")
    assert same(array, x, "auto"), "auto falls back"
