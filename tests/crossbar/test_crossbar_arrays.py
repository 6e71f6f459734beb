"""Arrays: exact where nothing is lost, wrong exactly where the hardware is, and the same chip every time."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from weightlore.crossbar import Adc, Cells, Crossbar, CrossbarConfig, Faults, Wires, matmul, required_bits
from weightlore.crossbar.bitlines import input_planes, tile_sums
from weightlore.crossbar.drift import PowerLawDrift
from weightlore.crossbar.encodings import encode
from weightlore.crossbar.programming import AbsoluteNoise, ProportionalNoise
from weightlore.crossbar.ranges import static_range
from weightlore.crossbar.reference import read_tiles
from weightlore.errors import ParameterError

ENCODINGS = ("differential", "offset", "twos_complement", "signed_digit")
NOISY_CELLS = Cells(5.0, 100.0, programming=AbsoluteNoise(2.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(rows: int, inputs: int, outputs: int, *, signed: bool = False, bits: int = 8) -> tuple[Tensor, Tensor]:
    """Random inputs (B, D) and weights (O, D)."""
    random, most = seeded(rows + 10 * inputs + 100 * outputs), 2**bits
    x = torch.randint(1 - most if signed else 0, most, (rows, inputs), generator=random)
    return x, torch.randint(1 - most, most, (outputs, inputs), generator=random)


def dense(x: Tensor, w: Tensor) -> Tensor:
    return (x @ w.T).to(torch.float64)


def by_hand(x: Tensor, w: Tensor, *, rows: int, bits: int) -> Tensor:
    """Differential 2-bit slices, bit-serial 8-bit inputs, each sum cut at 2**bits - 1, loop after loop."""
    y = torch.zeros(len(x), len(w), dtype=torch.int64)
    for start in range(0, x.shape[1], rows):
        for plane in range(8):
            bit = (x[:, start : start + rows] >> plane) & 1
            for k in range(4):
                for sign in (1, -1):
                    digit = ((sign * w[:, start : start + rows]).clamp(min=0) >> (2 * k)) & 3
                    y += sign * 2 ** (plane + 2 * k) * (bit @ digit.T).clamp(max=2**bits - 1)
    return y.to(torch.float64)


@pytest.mark.parametrize("rows", [1, 5, 64, 128])
@pytest.mark.parametrize("dac_bits", [1, 2, 4])
@pytest.mark.parametrize("cell_bits", [1, 2, 4])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_oracle_nothing_is_lost_with_lossless_converters(encoding, cell_bits, dac_bits, rows) -> None:  # type: ignore[no-untyped-def]
    config = CrossbarConfig(rows=rows, cell_bits=cell_bits, dac_bits=dac_bits, encoding=encoding)
    x, w = codes(3, 70, 4)
    x[0], w[0], w[1] = 255, 255, -255  # all lines at their greatest
    array = Crossbar.program(w, config)
    assert torch.equal(array(x), dense(x, w))
    assert torch.equal(array(x, engine="reference"), dense(x, w))


@pytest.mark.parametrize("signed_input", ["offset", "two_pass"])
@pytest.mark.parametrize("placement", ["digit", "accumulated"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_oracle_signed_inputs_both_ways_and_both_placements(encoding, placement, signed_input) -> None:  # type: ignore[no-untyped-def]
    adc = Adc(placement=placement)
    config = CrossbarConfig(rows=32, encoding=encoding, signed_input=signed_input, adc=adc, dac_bits=2)
    x, w = codes(5, 70, 3, signed=True)
    x[0], x[1] = 255, -255
    for engine in ("auto", "reference"):
        assert torch.equal(Crossbar.program(w, config)(x, engine=engine), dense(x, w))


@pytest.mark.parametrize("encoding", ["differential", "signed_digit"])
@pytest.mark.parametrize("placement", ["digit", "accumulated"])
def test_oracle_subtraction_before_conversion(encoding, placement) -> None:  # type: ignore[no-untyped-def]
    adc = Adc(subtraction="analog", placement=placement)
    x, w = codes(5, 70, 3)
    w[0], w[1], x[0] = 255, -255, 255
    assert torch.equal(matmul(x, w, CrossbarConfig(rows=32, encoding=encoding, adc=adc)), dense(x, w))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_property_any_size_is_exact(data: st.DataObject) -> None:
    bits, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    config = CrossbarConfig(
        rows=data.draw(st.integers(1, 40)),
        cell_bits=data.draw(st.integers(1, 8)),
        weight_bits=bits,
        input_bits=width,
        dac_bits=data.draw(st.integers(1, 8)),
        encoding=data.draw(st.sampled_from(ENCODINGS)),
    )
    size, random = data.draw(st.integers(1, 50)), seeded(data.draw(st.integers(0, 99)))
    x = torch.randint(0, 2**width, (data.draw(st.integers(1, 4)), size), generator=random)
    w = torch.randint(1 - 2**bits, 2**bits, (data.draw(st.integers(1, 4)), size), generator=random)
    assert torch.equal(matmul(x, w, config), dense(x, w))


@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(4, 3, 1), (1, 1, 1), (2, 129, 2), (3, 128, 7)])
def test_limit_few_inputs_one_output_and_a_tile_that_is_not_full(rows: int, inputs: int, outputs: int) -> None:
    x, w = codes(rows, inputs, outputs)
    assert torch.equal(matmul(x, w), dense(x, w))


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_limit_an_empty_batch_gives_an_empty_product(engine) -> None:  # type: ignore[no-untyped-def]
    _, w = codes(1, 9, 4)
    assert Crossbar.program(w)(torch.zeros(0, 9), engine=engine).shape == (0, 4)
    assert Crossbar.program(w)(torch.zeros(2, 0, 9), engine=engine).shape == (2, 0, 4)
    assert Crossbar.program(w, n_chips=2)(torch.zeros(0, 9), engine=engine).shape == (2, 0, 4)


def test_property_leading_dimensions_are_kept() -> None:
    x, w = codes(6, 9, 4)
    assert torch.equal(matmul(x.reshape(2, 3, 9), w), dense(x, w).reshape(2, 3, 4))
    assert torch.equal(matmul(x[0], w), dense(x, w)[0])


@pytest.mark.parametrize("cell_bits", [1, 2])
@pytest.mark.parametrize("dac_bits", [1, 2])
def test_limit_one_bit_less_fails_exactly_where_a_sum_exceeds_the_ceiling(cell_bits: int, dac_bits: int) -> None:
    config = CrossbarConfig(rows=64, cell_bits=cell_bits, dac_bits=dac_bits)
    worst = required_bits(64 * (2**dac_bits - 1) * (2**cell_bits - 1))
    x, w = codes(4, 64, 3)
    x[0], w[0] = 255, 255
    lossless = Crossbar.program(w, replace(config, adc=Adc(bits=worst)))
    assert torch.equal(lossless(x), dense(x, w))
    short = Crossbar.program(w, replace(config, adc=Adc(bits=worst - 1)))
    sums = torch.cat([reading.sums for reading in read_tiles(short.programmed, x)])  # (I, B, K, S, O)
    above = (sums > 2 ** (worst - 1) - 1).any(0).any(1).any(1)  # (B, O)
    assert torch.equal(short(x) != dense(x, w), above)
    assert above[0, 0]
    assert not above.all()


@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_oracle_saturation_as_written_out_by_hand(bits: int) -> None:
    x, w = codes(6, 75, 5)
    array = Crossbar.program(w, CrossbarConfig(rows=32, adc=Adc(bits=bits)))
    for engine in ("auto", "torch", "reference"):
        assert torch.equal(array(x, engine=engine), by_hand(x, w, rows=32, bits=bits))


ADCS = {
    "lsb": Adc(bits=4),
    "per slice": Adc(bits=(5, 4, 3, 1)),
    "full scale": Adc(bits=4, step="full_scale"),
    "power of two, static": Adc(bits=3, step="power_of_two", range="static"),
    "floor": Adc(bits=5, step="full_scale", rounding="floor"),
    "offset and gain": Adc(bits=5, offset=0.7, gain=1.1),
    "lifted": Adc(bits=5, offset=2.0),
    "accumulated": Adc(bits=6, placement="accumulated"),
    "accumulated, coarse": Adc(bits=9, placement="accumulated", step="full_scale"),
    "lossless": Adc(),
}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("adc", ADCS.values(), ids=ADCS)
def test_property_leaving_work_out_changes_no_bit(adc: Adc, sparse: bool) -> None:
    x, w = codes(9, 150, 6)
    if sparse:
        x, w = x * (x % 5 == 0), w % 7 * (w % 3 == 0)
    array = Crossbar.program(w, CrossbarConfig(rows=64, adc=adc))
    assert array.foldable
    assert torch.equal(array(x), array(x, engine="reference"))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("dac_bits", [1, 3, 8])
def test_property_leaving_work_out_changes_no_bit_in_any_encoding(encoding, dac_bits: int) -> None:  # type: ignore[no-untyped-def]
    slices = len(encode(torch.zeros(1, 1), encoding).scale)
    adc = Adc(bits=tuple(4 + dac_bits - (k > 1) for k in range(slices)))
    config = CrossbarConfig(rows=48, encoding=encoding, dac_bits=dac_bits, signed_input="two_pass", adc=adc)
    x, w = codes(9, 100, 6, signed=True)
    array = Crossbar.program(w, config)
    assert torch.equal(array(x, engine="torch"), array(x, engine="reference"))
    assert not torch.equal(array(x), dense(x, w))  # something does saturate


EVERYTHING = CrossbarConfig(rows=40, adc=Adc(bits=6, mismatch=0.03), cells=NOISY_CELLS, faults=Faults(off=0.05))


@pytest.mark.parametrize("n_chips", [None, 2])
@pytest.mark.parametrize("config", [CrossbarConfig(rows=40, adc=Adc(bits=4)), EVERYTHING], ids=["exact", "drawn"])
def test_property_neither_chunk_nor_neighbors_change_a_result(config: CrossbarConfig, n_chips: int | None) -> None:
    x, w = codes(11, 90, 5)
    array = Crossbar.program(w, config, generator=seeded(), n_chips=n_chips)
    whole = array(x)
    for engine in ("auto", "torch", "reference"):
        assert torch.equal(array(x, chunk=3, engine=engine), whole)
    assert torch.equal(array(x[4:5]), whole[..., 4:5, :])
    assert torch.equal(array(x.flip(0)), whole.flip(-2))
    crowd = torch.cat([torch.full_like(x, 255), x])
    assert torch.equal(array(crowd)[..., 11:, :], whole)


@pytest.mark.parametrize("n_chips", [None, 2])
def test_property_a_fluctuating_array_does_not_depend_on_the_chunk(n_chips: int | None) -> None:
    cells = Cells(0.0, 100.0, reading=AbsoluteNoise(3.0))
    x, w = codes(300, 20, 2)
    array = Crossbar.program(w, CrossbarConfig(rows=16, cells=cells), generator=seeded(), n_chips=n_chips)
    results = [array(x, generator=seeded(1), chunk=chunk) for chunk in (None, 1, 7)]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], array(x, generator=seeded(2)))


def test_property_the_range_is_never_that_of_the_batch() -> None:
    x, w = codes(6, 60, 4)
    for rule in ("worst_case", "static", "calibrated"):
        adc = Adc(bits=4, step="full_scale", range=rule)  # type: ignore[arg-type]
        array = Crossbar.program(w, CrossbarConfig(adc=adc), calibration=x)
        step = array.converter.step
        assert torch.equal(array(x // 16), torch.cat([array(row // 16).unsqueeze(0) for row in x]))
        array(torch.full_like(x, 255))
        assert array.converter.step == step


def test_property_a_chip_is_the_same_however_many_there_are() -> None:
    x, w = codes(4, 90, 5)
    one, two, three = (Crossbar.program(w, EVERYTHING, generator=seeded(3), n_chips=n) for n in (None, 2, 3))
    assert torch.equal(three.levels[0], one.levels)
    assert torch.equal(three(x)[0], one(x))
    assert torch.equal(three(x)[:2], two(x))
    assert not torch.equal(three(x)[0], three(x)[1])


def test_property_the_same_seed_is_the_same_chip() -> None:
    _, w = codes(1, 30, 5)
    first, again, other = (Crossbar.program(w, EVERYTHING, generator=seeded(s)).levels for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_oracle_flipped_bit_lines_need_half_the_range() -> None:
    x, w = codes(5, 128, 4)
    w[0], w[1], x[0] = 255, -255, 255
    plain = Crossbar.program(w, CrossbarConfig(encoding="offset"))
    flipped = Crossbar.program(w, CrossbarConfig(encoding="offset", flip=True))
    assert torch.equal(flipped(x), dense(x, w))
    assert flipped.converter.bits == tuple(bits - 1 for bits in plain.converter.bits)
    short = Crossbar.program(w, CrossbarConfig(encoding="offset", adc=Adc(bits=flipped.converter.bits)))
    assert not torch.equal(short(x), dense(x, w))  # without the flip that many bits are too few


def test_oracle_a_tile_adds_digits_of_inputs_times_levels_of_cells() -> None:
    x, _ = codes(3, 6, 1)
    planes, count = input_planes(x, bits=8, dac_bits=2)
    assert planes.shape == (4, 3, 6)
    assert torch.equal(torch.einsum("i,ibr->br", count, planes), x.double())
    levels = torch.randint(4, (4, 2, 5, 6), generator=seeded()).double()  # (K, S, O, R)
    sums = torch.einsum("ibr,ksor->ibkso", planes, levels)
    assert torch.equal(tile_sums(planes, levels), sums)
    assert torch.equal(tile_sums(planes, levels, subtract=True), sums[:, :, :, :1] - sums[:, :, :, 1:])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_limit_zero_weights_and_zero_inputs_give_zero(encoding) -> None:  # type: ignore[no-untyped-def]
    x, w = codes(3, 20, 4)
    config = CrossbarConfig(encoding=encoding)
    assert not Crossbar.program(torch.zeros_like(w), config)(x).any()
    assert not Crossbar.program(w, config)(torch.zeros_like(x)).any()


def test_property_static_bounds_hold_what_data_bring() -> None:
    x, w = codes(20, 100, 6)
    array = Crossbar.program(w, CrossbarConfig(rows=50))
    counts = array.histogram(x)
    seen = [int(row.nonzero().max()) for row in counts]
    bound = static_range(array.levels, array.config)
    adc = Adc(bits=6, step="full_scale", range="calibrated", calibration=0.9)
    short = Crossbar.program(w, CrossbarConfig(rows=50, adc=adc), calibration=x).converter.ceiling
    for k in range(4):
        assert bound[k] >= seen[k] >= short[k] - 1e-3
    sizes = [max(static_range(array.levels, CrossbarConfig(rows=rows))) for rows in (10, 20, 50, 100)]
    assert sizes == sorted(sizes)
    thinner = Crossbar.program(w * (w % 3 == 0)).levels
    assert max(static_range(thinner, array.config)) <= max(bound)


@pytest.mark.parametrize("common_mode", ["ideal", "digital", "dummy_column"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_oracle_a_finite_on_off_ratio_costs_nothing_where_it_is_corrected(encoding, common_mode) -> None:  # type: ignore[no-untyped-def]
    cells = Cells(10.0, 100.0, common_mode=common_mode)  # a third of a level
    x, w = codes(5, 70, 3)
    config = CrossbarConfig(rows=32, encoding=encoding, cells=cells)
    product = Crossbar.program(w, config)(x)
    if common_mode == "digital":  # whole steps stand for sums that are not whole
        config = replace(config, cells=replace(cells, g_min=25.0))  # one level: sums are whole again
        product = Crossbar.program(w, config)(x)
    torch.testing.assert_close(product, dense(x, w), rtol=0, atol=1e-6)


def test_oracle_what_is_not_corrected_shifts_every_output() -> None:
    cells = Cells(25.0, 100.0, common_mode="uncorrected")  # the pedestal is one level
    x, w = codes(5, 70, 3)
    array = Crossbar.program(w, CrossbarConfig(rows=32, encoding="offset", cells=cells))
    scales = sum(4**k for k in range(5))
    shift = (cells.pedestal(2) * scales * x.sum(1, keepdim=True)).to(torch.float64)
    torch.testing.assert_close(array(x), dense(x, w) + shift, rtol=0, atol=1e-6)
    pair = Crossbar.program(w, CrossbarConfig(rows=32, cells=cells))  # two arrays shift alike, and are subtracted
    torch.testing.assert_close(pair(x), dense(x, w), rtol=0, atol=1e-6)
    assert array.converter.bits[0] > Crossbar.program(w, CrossbarConfig(rows=32, encoding="offset")).converter.bits[0]


@pytest.mark.parametrize("adc", [Adc(offset=2.0), Adc(gain=1.3)], ids=["offset", "gain"])
def test_property_the_digital_correction_does_not_know_the_errors_of_the_converter(adc: Adc) -> None:
    cells = Cells(25.0, 100.0, common_mode="digital")  # the pedestal is one level
    x, w = codes(5, 70, 3)
    config = CrossbarConfig(rows=32, encoding="offset", cells=cells, adc=adc)
    lifted = replace(config, cells=replace(cells, common_mode="uncorrected"))
    pedestal = sum(4**k for k in range(5)) * x.sum(1, keepdim=True).to(torch.float64)  # one level for each driven row
    found = Crossbar.program(w, config)(x)
    torch.testing.assert_close(found, Crossbar.program(w, lifted)(x) - pedestal, rtol=0, atol=1e-6)
    assert not torch.equal(found, dense(x, w))  # the converter's errors stay


def test_oracle_read_noise_of_a_line_is_that_of_its_cells() -> None:
    cells = Cells(0.0, 90.0, reading=ProportionalNoise(0.1))  # 30 uS a level
    w, x = torch.tensor([[3, 1, 0, 2, 3, 1]]), torch.tensor([1, 1, 1, 0, 1, 1]).expand(4000, 6)
    config = CrossbarConfig(cells=cells, weight_bits=2, input_bits=1)
    array = Crossbar.program(w, config, generator=seeded())
    sums = torch.cat([r.sums[0, :, 0, 0, 0] for r in read_tiles(array.programmed, x, generator=seeded(1))])
    levels = w.to(torch.float64).expand(4000, 6)
    drawn = levels * (1 + 0.1 * torch.randn(4000, 6, dtype=torch.float64, generator=seeded(2)))
    cell_by_cell = (drawn * x).sum(1)
    variance = float((0.1 * levels[0] * x[0]).square().sum())
    for sample in (sums, cell_by_cell):
        assert abs(float(sample.mean()) - 8.0) < 4 * (variance / 4000) ** 0.5
        assert abs(float(sample.var()) / variance - 1) < 4 * (2 / 4000) ** 0.5
    assert stats.ks_2samp(sums.numpy(), cell_by_cell.numpy()).pvalue > 0.001


def test_limit_no_noise_is_no_noise() -> None:
    cells = Cells(5.0, 100.0, programming=AbsoluteNoise(0.0), reading=AbsoluteNoise(0.0))
    x, w = codes(4, 40, 3)
    assert torch.equal(matmul(x, w, CrossbarConfig(cells=cells), generator=seeded()), dense(x, w))
    assert torch.equal(matmul(x, w, CrossbarConfig(faults=Faults()), generator=seeded()), dense(x, w))


def test_property_mismatched_capacitors_err_a_little_and_always_alike() -> None:
    x, w = codes(8, 60, 4)
    exact = dense(x, w)
    array = Crossbar.program(w, CrossbarConfig(adc=Adc(mismatch=0.1)), generator=seeded())
    assert torch.equal(array(x), array(x))
    assert not torch.equal(array(x), exact)
    few, many = (
        (Crossbar.program(w, CrossbarConfig(adc=Adc(mismatch=m)), generator=seeded())(x) - exact).abs().mean()
        for m in (0.005, 0.2)
    )
    assert 0 <= few < many


def test_limit_wires_without_resistance_are_no_wires() -> None:
    x, w = codes(4, 24, 3)
    losses = []
    for ohm in (1e-9, 30.0, 300.0):
        config = CrossbarConfig(rows=16, columns=8, cells=Cells(1.0, 100.0), wires=Wires(row=ohm, column=ohm))
        losses.append(float((matmul(x, w, config) - dense(x, w)).abs().mean()))
    assert losses[0] == 0
    assert 0 < losses[1] < losses[2]


def test_error_inputs_and_weights_that_do_not_fit() -> None:
    x, w = codes(2, 9, 4)
    array = Crossbar.program(w)
    for wrong, message in (
        (x + 0.5, "whole"),
        (x + 250, "255"),
        (-x - 1, "0"),
        (x * float("nan"), "input codes"),
        (x[:, :8], r"inputs must have shape \(..., 9\)"),
        (torch.tensor(3), "shape"),
    ):
        with pytest.raises(ParameterError, match=message):
            array(wrong)
    for wrong, message in ((w[:0], "matrix"), (w[0], "matrix"), (w[:, :0], "matrix"), (w * 2, "255"), (w / 2, "whole")):
        with pytest.raises(ParameterError, match=message):
            Crossbar.program(wrong)


def test_error_an_engine_that_is_not_there() -> None:
    x, w = codes(2, 9, 4)
    with pytest.raises(ParameterError, match="engine must be one of auto, reference, torch, numba, got 'cuda'"):
        Crossbar.program(w)(x, engine="cuda")  # type: ignore[arg-type]


def test_error_what_is_missing_is_named() -> None:
    x, w = codes(2, 9, 4)
    with pytest.raises(ParameterError, match="generator"):
        Crossbar.program(w, CrossbarConfig(cells=NOISY_CELLS))
    with pytest.raises(ParameterError, match="generator"):
        Crossbar.program(w, CrossbarConfig(cells=Cells(reading=AbsoluteNoise(1.0))), generator=seeded())(x)
    with pytest.raises(ParameterError, match="generator"):
        Crossbar.program(w, CrossbarConfig(adc=Adc(noise=0.5)))(x)
    with pytest.raises(ParameterError, match="calibrat"):
        Crossbar.program(w, CrossbarConfig(adc=Adc(bits=3, step="full_scale", range="calibrated")))
    with pytest.raises(ParameterError, match="calibrat"):
        Crossbar.program(w, CrossbarConfig(adc=Adc(range="calibrated")), calibration=x[:0])
    with pytest.raises(ParameterError, match="3 entries"):
        Crossbar.program(w, CrossbarConfig(adc=Adc(bits=(3, 3, 1))))
    with pytest.raises(ParameterError, match="n_chips"):
        Crossbar.program(w, n_chips=0)
    with pytest.raises(ParameterError, match="shape"):
        Crossbar.program(w).rewritten(w[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"cell_bits": 2.0},
        {"input_bits": 16},
        {"signed_input": "sign"},
        {"flip": True},
        {"encoding": "offset", "adc": Adc(subtraction="analog")},
        {"age": 3.0},
        {"rows": True},
        {"encoding": "unary"},
        {"compensate": True},
    ],
)
def test_error_a_crossbar_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(ParameterError):
        CrossbarConfig(**wrong)


def test_property_nothing_of_the_callers_changes() -> None:
    x, w = codes(4, 30, 3)
    before, state = (x.clone(), w.clone()), torch.get_rng_state()
    array = Crossbar.program(w, EVERYTHING, generator=seeded())
    levels = array.levels.clone()
    array(x)
    array.histogram(x)
    array.rewritten(w.flip(0), generator=seeded())
    assert torch.equal(x, before[0])
    assert torch.equal(w, before[1])
    assert torch.equal(array.levels, levels)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n_chips", [None, 2])
def test_property_a_saved_chip_is_the_same_chip(n_chips: int | None) -> None:
    x, w = codes(4, 90, 5)
    array = Crossbar.program(w, EVERYTHING, generator=seeded(), n_chips=n_chips)
    other = Crossbar.program(w, EVERYTHING, generator=seeded(9), n_chips=n_chips)
    assert not torch.equal(other(x), array(x))
    other.load_state_dict(array.state_dict())
    assert torch.equal(other(x), array(x))
    assert torch.equal(pickle.loads(pickle.dumps(array))(x), array(x))
    assert torch.equal(copy.deepcopy(array)(x), array(x))


def test_property_a_loaded_chip_is_read_and_not_the_plan_of_the_old_one() -> None:
    x, w = codes(4, 90, 5)
    array, other = (Crossbar.program(v, CrossbarConfig(adc=Adc(bits=3))) for v in (w, w.flip(0)))
    array(x), other(x)
    other.load_state_dict(array.state_dict())
    assert torch.equal(other(x), by_hand(x, w, rows=128, bits=3))


def test_property_a_dummy_line_is_cut_with_its_word_line() -> None:
    cells = Cells(25.0, 100.0, common_mode="dummy_column")
    _, w = codes(4, 20, 3)
    config = CrossbarConfig(cells=cells, encoding="offset", faults=Faults(dead_rows=0.3))
    levels = Crossbar.program(w, config, generator=seeded()).levels
    assert levels.min() >= 0  # the idle cell of a cut line shows no current either, so that nothing is taken off
    assert (levels == 0).all(-2).any()


def test_oracle_a_dummy_line_drifts_with_its_neighbors() -> None:
    drift = PowerLawDrift(mean=0.1)
    cells = Cells(25.0, 100.0, common_mode="dummy_column", drift=drift)
    _, w = codes(4, 20, 3)
    fresh = Crossbar.program(w, CrossbarConfig(cells=cells)).levels.to(torch.float64)
    aged = Crossbar.program(w, CrossbarConfig(cells=cells, age=2000.0), generator=seeded()).levels
    torch.testing.assert_close(aged, fresh * (2000.0 / drift.start) ** -0.1)
