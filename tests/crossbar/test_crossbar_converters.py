"""Converters: staircases, ranges, and what may go wrong in them."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightlore.crossbar import Adc, Crossbar, CrossbarConfig, required_bits
from weightlore.crossbar.converters import Converter, convert_sums, draw_mismatch, resolve
from weightlore.crossbar.ranges import best_range, calibrated_range, static_range, sum_histogram, worst_case_range
from weightlore.errors import ParameterError


def converted(sums: list[float], adc: Adc, greatest: float = 384.0, **drawn: object) -> list[float]:
    """What a converter of one slice makes of some sums."""
    converter = resolve(adc, (greatest,), (greatest,))
    column = torch.tensor(sums, dtype=torch.float64).reshape(1, -1, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    return convert_sums(column, converter, adc, generator=generator, **drawn).flatten().tolist()  # type: ignore[arg-type]


def test_oracle_required_bits_count_the_numbers_to_be_told_apart() -> None:
    assert [required_bits(g) for g in (0, 1, 2, 3, 4, 7, 8, 255, 256, 384)] == [1, 1, 2, 2, 3, 3, 4, 8, 9, 9]


@given(st.integers(1, 400))
def test_property_lossless_bits_are_enough_and_one_less_is_not(greatest: int) -> None:
    bits = required_bits(greatest)
    assert 2**bits - 1 >= greatest
    assert bits == 1 or 2 ** (bits - 1) - 1 < greatest


def test_oracle_the_least_step_saturates_and_changes_nothing_below() -> None:
    assert converted([0, 1, 6, 7, 8, 300], Adc(bits=3)) == [0, 1, 6, 7, 7, 7]


def test_oracle_steps_over_the_full_scale() -> None:
    adc = Adc(bits=3, step="full_scale", range="user", full_scale=77.0)
    assert converted([0, 5, 6, 16, 17, 77, 384], adc) == [0, 0, 11, 11, 22, 77, 77]
    assert converted([0, 10, 11, 21], replace(adc, rounding="floor")) == [0, 0, 11, 11]


def test_oracle_a_step_that_is_a_power_of_two_covers_the_range() -> None:
    adc = Adc(bits=3, step="power_of_two", range="user", full_scale=77.0)
    assert resolve(adc, (77.0,), (384.0,)).step == (16.0,)  # 77 / 7 = 11, rounded up
    assert resolve(replace(adc, full_scale=5.0), (5.0,), (384.0,)).step == (1.0,)


@pytest.mark.parametrize("step", ["full_scale", "power_of_two"])
def test_limit_a_slice_without_a_cell_keeps_a_step_and_converts_nothing_to_nothing(step: str) -> None:
    adc = Adc(bits=3, step=step)  # type: ignore[arg-type]
    assert resolve(adc, (0.0, 6.0), (0.0, 384.0)).step[0] > 0  # a step of zero would divide sums by it
    assert converted([0.0, 0.0], adc, greatest=0.0) == [0.0, 0.0]


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@pytest.mark.parametrize("step", ["lsb", "full_scale", "power_of_two"])
@pytest.mark.parametrize("bits", [1, 3, 6])
def test_property_staircases_are_monotone_and_leave_their_own_codes_alone(rounding: str, step: str, bits: int) -> None:
    adc = Adc(bits=bits, step=step, rounding=rounding)  # type: ignore[arg-type]
    stairs = converted([s / 4 for s in range(1600)], adc)
    assert stairs == sorted(stairs)
    assert converted(stairs, adc) == stairs
    ceiling = resolve(adc, (384.0,), (384.0,)).ceiling[0]
    assert max(stairs) <= ceiling
    assert converted([10 * ceiling], adc) == [ceiling]


def test_oracle_stochastic_rounding_is_right_on_average() -> None:
    adc = Adc(bits=3, step="full_scale", range="user", full_scale=70.0, rounding="stochastic")
    found = torch.tensor(converted([23.0] * 20_000, adc))
    assert set(found.tolist()) == {20.0, 30.0}
    assert float(found.mean()) == pytest.approx(23.0, abs=3 * 10 * (0.3 * 0.7 / 20_000) ** 0.5)


def test_oracle_offset_gain_and_noise_move_sums_in_steps() -> None:
    assert converted([3, 4], Adc(bits=6, offset=2.0)) == [5, 6]
    assert converted([10, 20], Adc(bits=6, gain=1.5)) == [15, 30]
    noisy = torch.tensor(converted([30.0] * 20_000, Adc(bits=6, noise=2.0)))
    assert float(noisy.std()) == pytest.approx((4 + 1 / 12) ** 0.5, rel=0.03)  # rounding adds a twelfth


def test_limit_without_mismatch_successive_approximation_is_the_exact_staircase() -> None:
    adc = Adc(bits=5)
    converter = resolve(adc, (384.0,), (384.0,))
    exact = draw_mismatch(converter, adc, 1, 1, generator=torch.Generator())[0]
    sums = [s / 8 for s in range(400)]
    assert converted(sums, adc, weights=exact) == converted(sums, adc)
    signed = replace(adc, subtraction="analog")
    both = [s - 20.0 for s in range(41)]
    weights = draw_mismatch(resolve(signed, (384.0,), (384.0,)), signed, 1, 1, generator=torch.Generator())[0]
    assert converted(both, signed, weights=weights) == converted(both, signed)


def test_property_mismatch_bends_the_staircase_by_its_size() -> None:
    adc = Adc(bits=8, mismatch=0.05)
    converter = resolve(adc, (384.0,), (384.0,))
    weights = draw_mismatch(converter, adc, 1, 2000, generator=torch.Generator().manual_seed(1))
    assert weights.shape == (1, 1, 2000, 8)
    relative = weights / 2.0 ** torch.arange(8) - 1
    expected = 0.05 / 2.0 ** (torch.arange(8) / 2)
    assert torch.allclose(relative.std((0, 1, 2)), expected.to(torch.float64), rtol=0.06)
    stairs = converted(list(range(256)), adc, weights=weights[0, :, :1])
    assert stairs != list(range(256))
    assert max(abs(a - b) for a, b in enumerate(stairs)) < 8


def test_oracle_worst_case_and_static_ranges_by_hand() -> None:
    config = CrossbarConfig(rows=3)
    assert worst_case_range(config, (3, 3), inputs=8) == (9.0, 9.0)
    levels = torch.tensor([[[[1, 2, 3, 0, 0, 1.0]]], [[[0, 0, 0, 3, 3, 3.0]]]])  # (K, S, O, D) = (2, 1, 1, 6)
    assert static_range(levels, config) == (6.0, 9.0)
    assert static_range(levels, replace(config, dac_bits=2)) == (18.0, 27.0)
    assert worst_case_range(replace(config, adc=Adc(placement="accumulated")), (3,), inputs=8) == (9.0 * 255,)


def test_property_static_range_bounds_the_data_and_the_data_bound_a_share_of_them() -> None:
    generator = torch.Generator().manual_seed(3)
    w = torch.randint(-255, 256, (12, 200), generator=generator)
    x = torch.randint(0, 256, (64, 200), generator=generator)
    array = Crossbar.program(w)
    counts = array.histogram(x)
    assert int(counts.sum()) == 64 * 8 * 2 * 4 * 2 * 12  # rows, digits, tiles, slices, arrays, bit lines
    static = static_range(array.levels, array.config)
    whole = calibrated_range(counts, Adc(), array.converter)
    share = calibrated_range(counts, Adc(calibration=0.9), array.converter)
    worst = worst_case_range(array.config, array.largest, 200)
    for p, m, s, most in zip(share, whole, static, worst, strict=True):
        assert p <= m <= s <= most
        assert m < most


def test_oracle_the_range_of_least_squared_error_by_brute_force() -> None:
    counts = torch.tensor([50, 9, 30, 4, 12, 0, 5, 0, 0, 0, 0, 1])
    sums = torch.repeat_interleave(torch.arange(12.0), counts)

    def error(full: float) -> float:
        step = full / 3
        return float((((sums / step) + 0.5).floor().clamp(max=3) * step - sums).square().sum())

    assert best_range(counts, 3) == min(range(1, 12), key=error)
    assert best_range(torch.tensor([7]), 3) == 1.0


def test_limit_histogram_counts_across_tiles_of_different_height() -> None:
    tiles = [torch.tensor([[[1.0, 1.2]]]), torch.tensor([[[-3.0, 0.0]]])]  # (K, S, O) = (1, 1, 2)
    assert sum_histogram(tiles, 1).tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bits": 0}, "whole numbers from 1 to 24"),
        ({"bits": (3, 2.5)}, "whole numbers from 1"),
        ({"bits": [3, 3, 3, 1]}, "a tuple with one for each slice"),
        ({"bits": True}, "got True"),
        ({"bits": 1, "subtraction": "analog"}, "from 2 to 24"),
        ({"step": "huge"}, "step must be one of lsb"),
        ({"range": "user"}, "give full_scale"),
        ({"full_scale": 3.0}, "give full_scale"),
        ({"range": "user", "full_scale": -1.0}, "positive and finite"),
        ({"calibration": 0.0}, "share in"),
        ({"noise": -1.0}, "deviations >= 0"),
        ({"gain": 0.0}, "gain positive"),
        ({"offset": float("nan")}, "offset must be finite"),
    ],
)
def test_error_converters_that_cannot_be_built(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Adc(**wrong)  # type: ignore[arg-type]


def test_error_bits_that_do_not_match_the_slices_and_missing_randomness() -> None:
    with pytest.raises(ParameterError, match="2 entries, but there are 4 slices"):
        Crossbar.program(torch.tensor([[1]]), CrossbarConfig(adc=Adc(bits=(3, 1))))
    sums, converter = torch.zeros(1, 1, 1, 1, 1), Converter((3,), (1.0,), (7,), False)
    with pytest.raises(ParameterError, match="pass generator"):
        convert_sums(sums, converter, Adc(bits=3, noise=1.0), generator=None)
    with pytest.raises(ParameterError, match="pass generator"):
        draw_mismatch(converter, Adc(bits=3, mismatch=0.1), 1, 1, generator=None)
    with pytest.raises(ParameterError, match="must be finite"):
        required_bits(float("inf"))
    with pytest.raises(ParameterError, match="calibration set is empty"):
        calibrated_range(torch.zeros(2, 1, dtype=torch.int64), Adc(), converter)
