"""Read noise: one draw per output equals one per cell in distribution; the sizes of known noises."""

import json
import math

import pytest
import torch
from scipy import stats
from tests.crossbar.peers import device_presets

from weightlore.crossbar.programming import AbsoluteNoise, PolynomialNoise, ProportionalNoise
from weightlore.crossbar.reading import FloorNoise, PcmReadNoise, joined, read_currents, read_variance
from weightlore.errors import ParameterError

STORED = json.loads(device_presets.STORED.read_text())
READINGS = 20_000
NOISES = {
    "absolute": AbsoluteNoise(1.5),
    "proportional": ProportionalNoise(0.05),
    "polynomial": PolynomialNoise((0.2, 1.0, 2.0), 25.0),
    "pcm": PcmReadNoise(seconds=3600.0),
    "floor": FloorNoise(bandwidth=1e11),
}


def an_array(generator, lines=3, words=17):
    conductance = 25 * torch.rand(lines, words, generator=generator, dtype=torch.float64)
    inputs = torch.randint(4, (words,), generator=generator).double()  # digits of two bits: x^2 is not x
    return conductance, inputs


def cell_by_cell(inputs, conductance, noise, generator, voltage):
    """A draw for every cell and reading, as the physics has it; shape (READINGS, N)."""
    normal = torch.randn(READINGS, *conductance.shape, generator=generator, dtype=conductance.dtype)
    return voltage * (noise.moved(conductance, normal) @ inputs)


@pytest.mark.parametrize("name", NOISES)
def test_oracle_one_draw_per_output_is_one_per_cell_in_distribution(name, generator):
    conductance, inputs = an_array(generator)
    noise = NOISES[name]
    slow = cell_by_cell(inputs, conductance, noise, generator, 0.3)
    fast = read_currents(inputs.expand(READINGS, -1), conductance, noise, generator=generator, voltage=0.3)
    spread = read_variance(inputs, conductance, noise, voltage=0.3).sqrt()
    for way in (slow, fast):
        error = spread / math.sqrt(READINGS)
        assert bool(((way.mean(0) - 0.3 * conductance @ inputs).abs() < 3 * error).all())
        assert bool(((way.std(0) - spread).abs() < 3 * error / math.sqrt(2)).all())
    for line in range(3):
        assert stats.ks_2samp(slow[:, line].numpy(), fast[:, line].numpy()).pvalue > 0.01


def test_oracle_outputs_are_independent_of_each_other(generator):
    conductance, inputs = an_array(generator)
    noise = NOISES["absolute"]
    readings = read_currents(inputs.expand(READINGS, -1), conductance, noise, generator=generator)
    correlation = torch.corrcoef(readings.T)[torch.triu_indices(3, 3, 1).unbind()]
    assert bool((correlation.abs() < 3 / math.sqrt(READINGS)).all())


def test_oracle_variance_counts_squared_inputs():
    conductance = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    inputs = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    found = read_variance(inputs, conductance, ProportionalNoise(0.1), voltage=0.5)
    assert float(found) == pytest.approx(0.25 * (9 * 0.1**2 + 1 * 0.2**2))


def check_pcm(curves):
    """Compare our 1/f noise with that of aihwkit."""
    grid = torch.tensor(curves["pcm_grid"], dtype=torch.float64)
    for seconds, sigma in zip(curves["seconds"], curves["pcm_read_sigma"], strict=True):
        torch.testing.assert_close(PcmReadNoise(seconds=seconds).sigma(grid).tolist(), sigma, rtol=1e-9, atol=1e-9)


def test_oracle_pcm_noise_equals_that_stored_of_aihwkit():
    check_pcm(STORED["aihwkit"])


def test_oracle_pcm_noise_equals_that_of_aihwkit_itself():
    pytest.importorskip("aihwkit.inference.noise.pcm", reason="aihwkit is not installed")
    check_pcm(device_presets.aihwkit_curves())


def test_oracle_floor_is_johnson_and_shot_noise():
    """A cell of 100 uS at 0.2 V in 1 MHz: 1.29 nA of Johnson noise, 2.53 nA of shot noise."""
    cell = torch.tensor([[100.0]], dtype=torch.float64)
    amperes = 1e-6 * float(read_variance(torch.ones(1, 1, dtype=torch.float64), cell, FloorNoise(1e6)).sqrt())
    johnson = 4 * 1.380649e-23 * 300 * 100e-6 * 1e6
    shot = 2 * 1.602176634e-19 * (0.2 * 100e-6) * 1e6
    assert amperes == pytest.approx(math.sqrt(johnson + shot), rel=1e-12)
    assert math.sqrt(johnson) == pytest.approx(1.29e-9, rel=0.01)
    assert math.sqrt(shot) == pytest.approx(2.53e-9, rel=0.01)


def test_oracle_joined_noises_add_their_variances():
    grid = torch.linspace(0, 25, 6, dtype=torch.float64)
    both = joined(AbsoluteNoise(3.0), ProportionalNoise(0.2))
    torch.testing.assert_close(both.sigma(grid), torch.sqrt(9 + (0.2 * grid) ** 2))
    torch.testing.assert_close(both.moved(grid, torch.ones(6)), grid + both.sigma(grid))


@pytest.mark.parametrize("noise", [None, AbsoluteNoise(0.0)])
def test_property_without_noise_the_current_is_ohms(noise, generator):
    conductance, inputs = an_array(generator)
    found = read_currents(inputs, conductance, noise, generator=generator, voltage=0.2)
    assert torch.equal(found, 0.2 * (inputs @ conductance.T))


def test_property_same_seed_same_reading_other_seed_other_reading(generator):
    conductance, inputs = an_array(generator)
    read = [
        read_currents(inputs, conductance, AbsoluteNoise(1.0), generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(read[0], read[1])
    assert not bool((read[0] == read[2]).any())


def test_property_rows_without_input_add_no_noise(generator):
    conductance, inputs = an_array(generator)
    silent = read_variance(torch.zeros_like(inputs), conductance, AbsoluteNoise(5.0))
    assert torch.equal(silent, torch.zeros(3, dtype=torch.float64))


def test_limit_no_readings(generator):
    conductance, _ = an_array(generator)
    empty = torch.zeros(0, 17, dtype=torch.float64)
    assert read_currents(empty, conductance, AbsoluteNoise(1.0), generator=generator).shape == (0, 3)


def test_limit_cells_that_do_not_conduct_hold_still():
    for noise in (PcmReadNoise(), FloorNoise(1e6), ProportionalNoise(0.1)):
        assert float(noise.sigma(torch.zeros(1))) == 0.0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PcmReadNoise(g_max=0.0), "g_max > 0 uS"),
        (lambda: PcmReadNoise(seconds=1e-9), "read_time <= seconds"),
        (lambda: FloorNoise(0.0), "bandwidth > 0 Hz"),
        (lambda: FloorNoise(1e6, voltage=0.0), "voltage > 0 V"),
        (lambda: FloorNoise(1e6, temperature=-1.0), "temperature >= 0 K"),
        (lambda: joined(), "needs at least one"),
    ],
)
def test_error_noise_says_what_is_wrong(make, says):
    with pytest.raises(ParameterError, match=says):
        make()


@pytest.mark.parametrize(
    ("inputs", "conductance", "noise", "says"),
    [
        (torch.ones(3), torch.ones(2, 4), AbsoluteNoise(1.0), "same D and dtype"),
        (torch.ones(4).double(), torch.ones(2, 4), AbsoluteNoise(1.0), "same D and dtype"),
        (torch.ones(4), torch.ones(4), AbsoluteNoise(1.0), "same D and dtype"),
        (torch.full((4,), math.inf), torch.ones(2, 4), AbsoluteNoise(1.0), "inputs must be finite"),
        (torch.ones(4), -torch.ones(2, 4), AbsoluteNoise(1.0), "takes a cell of its own"),
        (torch.ones(4), torch.ones(2, 4), ProportionalNoise(0.1, "lognormal"), "kind='linear'"),
    ],
)
def test_error_readings_say_what_does_not_fit(inputs, conductance, noise, says, generator):
    with pytest.raises(ParameterError, match=says):
        read_currents(inputs, conductance, noise, generator=generator)
