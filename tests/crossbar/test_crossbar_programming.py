"""Noise of writing: its size and law, what the clamp does, and the presets against the simulators they come from."""

import json
import math

import pytest
import torch
from scipy import stats
from tests.crossbar.peers import device_presets

from weightlore.crossbar.programming import (
    PCM,
    RERAM_MILO,
    AbsoluteNoise,
    PolynomialNoise,
    ProportionalNoise,
    clamp_bias,
    programmed,
    reram_wan,
)
from weightlore.errors import ParameterError

STORED = json.loads(device_presets.STORED.read_text())
DRAWS = 40_000
NOISES = {
    "absolute": AbsoluteNoise(2.0),
    "linear": ProportionalNoise(0.1),
    "lognormal": ProportionalNoise(0.3, "lognormal"),
    "polynomial": PolynomialNoise((0.5, 3.0, -1.0, 0.2), 100.0),
    "pcm": PCM,
    "milo": RERAM_MILO,
    "wan": reram_wan(),
}
FREE = (-math.inf, math.inf)


def many(value, draws=DRAWS):
    return torch.full((draws // 10, 10), float(value), dtype=torch.float64)


def error_of_std(x):
    """Of the standard deviation of a sample, from its fourth moment."""
    centered = x - x.mean()
    variance = centered.square().mean()
    return float(((centered.pow(4).mean() - variance**2) / x.numel()).sqrt() / (2 * variance.sqrt()))


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("value", [6.0, 20.0])
def test_oracle_spread_is_that_of_the_model(name, value, generator):
    written = programmed(many(value), NOISES[name], generator=generator, window=FREE)
    expected = float(NOISES[name].sigma(torch.tensor(value, dtype=torch.float64)))
    assert abs(float(written.std()) - expected) < 3 * error_of_std(written)


@pytest.mark.parametrize("name", NOISES)
def test_oracle_law_is_normal_or_log_normal(name, generator):
    noise, value = NOISES[name], 20.0
    written = programmed(many(value), noise, generator=generator, window=FREE).flatten().numpy()
    if name == "lognormal":
        law = stats.lognorm(0.3, scale=value)
    else:
        law = stats.norm(value, float(noise.sigma(torch.tensor(value, dtype=torch.float64))))
    assert stats.kstest(written, law.cdf).pvalue > 0.01


@pytest.mark.parametrize(("name", "value"), [("absolute", 0.0), ("absolute", 1.5), ("absolute", 29.0), ("pcm", 0.0)])
@pytest.mark.parametrize("window", [(0.0, math.inf), (1.0, 30.0)])
def test_oracle_clamp_moves_the_mean_as_the_formula_says(name, value, window, generator):
    written = programmed(many(value), NOISES[name], generator=generator, window=window)
    bias = float(clamp_bias(torch.tensor([value], dtype=torch.float64), NOISES[name], window))
    assert abs(float(written.mean()) - value - bias) < 3 * float(written.std()) / math.sqrt(DRAWS)
    assert window[0] <= float(written.min())
    assert float(written.max()) <= window[1]


def test_oracle_zeros_are_left_above_zero():
    size = float(PCM.sigma(torch.zeros(1)))
    assert float(clamp_bias(torch.zeros(1), PCM)) == pytest.approx(size / math.sqrt(2 * math.pi))
    assert float(clamp_bias(torch.tensor([12.5]), PCM)) == pytest.approx(0.0, abs=1e-6)
    assert float(clamp_bias(torch.tensor([3.0]), AbsoluteNoise(0.0))) == 0.0


@pytest.mark.parametrize("noise", [None, AbsoluteNoise(0.0), ProportionalNoise(0.0), PolynomialNoise((0.0,), 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_without_noise_cells_hold_what_was_meant(noise, dtype, generator):
    meant = torch.rand(3, 4, 5, generator=generator, dtype=dtype) * 100
    written = programmed(meant, noise, generator=generator)
    assert torch.equal(written, meant)
    assert written.dtype == dtype
    assert written.data_ptr() != meant.data_ptr()


def test_property_same_seed_same_chip_other_seed_other_chip():
    meant, chip = many(20.0, 100), {}
    for seed in (1, 2):
        first, second = (programmed(meant, PCM, generator=torch.Generator().manual_seed(seed)) for _ in range(2))
        assert torch.equal(first, second)
        chip[seed] = first
    assert not bool((chip[1] == chip[2]).any())


def test_property_only_the_generator_moves(generator):
    meant, state = many(5.0, 100), torch.get_rng_state()
    before = meant.clone()
    programmed(meant, AbsoluteNoise(3.0), generator=generator)
    assert torch.equal(meant, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_property_other_range_same_relative_noise():
    share, other = torch.linspace(0, 1, 7), PCM.scaled(50.0)
    torch.testing.assert_close(other.sigma(50 * share) / 50, PCM.sigma(25 * share) / 25)
    assert other.g_max == 50.0


def test_property_polynomial_is_never_negative():
    assert torch.equal(
        PolynomialNoise((1.0, -2.0), 1.0).sigma(torch.tensor([0.0, 0.25, 1.0])), torch.tensor([1, 0.5, 0])
    )


def check_presets(aihwkit=None, crosssim=None):
    """Compare our presets with curves of the simulators."""
    if aihwkit is not None:
        grid = torch.tensor(aihwkit["pcm_grid"], dtype=torch.float64)
        torch.testing.assert_close(PCM.sigma(grid).tolist(), aihwkit["pcm_sigma"], rtol=1e-9, atol=1e-9)
        grid = torch.tensor(aihwkit["wan_grid"], dtype=torch.float64)
        for seconds, sigma in zip(aihwkit["wan_seconds"], aihwkit["wan_sigma"], strict=True):
            torch.testing.assert_close(reram_wan(seconds).sigma(grid).tolist(), sigma, rtol=1e-9, atol=1e-9)
    if crosssim is not None:
        grid = torch.tensor(crosssim["milo_grid"], dtype=torch.float64)
        torch.testing.assert_close(RERAM_MILO.sigma(grid).tolist(), crosssim["milo_sigma"], rtol=1e-9, atol=1e-9)


def test_oracle_presets_equal_those_stored_of_the_simulators():
    check_presets(STORED["aihwkit"], STORED["CrossSim"])


def test_oracle_presets_equal_those_of_aihwkit_itself():
    pytest.importorskip("aihwkit.inference.noise.pcm", reason="aihwkit is not installed")
    check_presets(aihwkit=device_presets.aihwkit_curves())


def test_oracle_preset_of_milo_equals_that_of_crosssim_itself():
    pytest.importorskip("simulator.devices.custom.RRAM_Milo", reason="CrossSim is not installed")
    check_presets(crosssim=device_presets.crosssim_curves())


def test_property_a_wrong_preset_is_found():
    wrong = dict(STORED["CrossSim"], milo_sigma=[s * 1.001 for s in STORED["CrossSim"]["milo_sigma"]])
    with pytest.raises(AssertionError):
        check_presets(crosssim=wrong)


def test_limit_no_cells(generator):
    assert programmed(torch.zeros(0, 3), PCM, generator=generator).shape == (0, 3)
    assert clamp_bias(torch.zeros(0, 3), PCM).shape == (0, 3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AbsoluteNoise(-1.0), "spread is the size of a noise"),
        (lambda: AbsoluteNoise(math.nan), "spread is the size of a noise"),
        (lambda: ProportionalNoise(math.inf), "spread is the size of a noise"),
        (lambda: ProportionalNoise(0.1, "log"), "'linear' or 'lognormal'"),
        (lambda: PolynomialNoise((), 1.0), "at least one finite number"),
        (lambda: PolynomialNoise((math.nan,), 1.0), "at least one finite number"),
        (lambda: PolynomialNoise((1.0,), 0.0), "g_max is the conductance of g = 1"),
        (lambda: reram_wan(60.0), "take one of these"),
    ],
)
def test_error_noise_says_what_is_wrong(make, says):
    with pytest.raises(ParameterError, match=says):
        make()


@pytest.mark.parametrize(
    ("conductance", "says"),
    [
        (torch.tensor([1, 2]), r"cells.conductance\(levels\) makes them"),
        (torch.tensor([math.nan]), "conductance must be finite"),
        (torch.tensor([-1.0]), "takes a cell of its own"),
    ],
)
def test_error_conductances_are_positive_numbers(conductance, says, generator):
    with pytest.raises(ParameterError, match=says):
        programmed(conductance, None, generator=generator)
    with pytest.raises(ParameterError, match=says):
        clamp_bias(conductance, AbsoluteNoise(1.0))
