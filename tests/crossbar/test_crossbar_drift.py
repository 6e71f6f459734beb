"""Drift: the power law and its exponents, one history per cell, compensation, and aihwkit's cells after a day."""

import itertools
import json
import math

import pytest
import torch
from scipy import stats
from tests.crossbar.peers import device_presets

from weightlore.crossbar.drift import LogTimeWalk, PcmDrift, PowerLawDrift, compensation_factor, drifted
from weightlore.crossbar.programming import PCM, programmed
from weightlore.crossbar.reading import PcmReadNoise
from weightlore.errors import ParameterError

STORED = json.loads(device_presets.STORED.read_text())
MODELS = {
    "fixed": PowerLawDrift(mean=0.06),
    "spread": PowerLawDrift(mean=0.05, spread=0.02),
    "pcm": PcmDrift(),
    "walk": LogTimeWalk(spread=0.5),
}
POWER = ("fixed", "spread", "pcm")
TIMES = (20.0, 60.0, 3600.0, 86_400.0, 3e7)


def cells(generator, shape=(6, 50)):
    return 1 + 24 * torch.rand(shape, generator=generator, dtype=torch.float64)


def test_oracle_power_law():
    held = drifted(torch.tensor([10.0]), 20e4, PowerLawDrift(mean=0.05), generator=torch.Generator())
    assert float(held) == pytest.approx(10 * 10 ** (-0.05 * 4))


@pytest.mark.parametrize("name", POWER)
def test_property_at_the_first_reading_nothing_has_moved(name, generator):
    written = cells(generator)
    for seconds in (0.0, 1.0, 20.0):
        held = drifted(written, seconds, MODELS[name], generator=generator)
        assert torch.equal(held, written)
        assert held.data_ptr() != written.data_ptr()
    assert torch.equal(drifted(written, 0.0, MODELS["walk"], generator=generator), written)
    assert torch.equal(drifted(written, 1e6, None, generator=generator), written)


@pytest.mark.parametrize("name", POWER)
def test_property_conductance_falls_with_time(name, generator):
    written = cells(generator)
    drawn = MODELS[name].draw(written, generator=generator)
    assert bool((drawn >= 0).all())
    held = [MODELS[name].move(written, drawn, seconds) for seconds in TIMES]
    assert all(bool((later <= sooner).all()) for sooner, later in itertools.pairwise(held))
    assert bool((held[-1] < held[0]).any())


@pytest.mark.parametrize("name", MODELS)
def test_property_going_on_from_a_time_is_going_there_at_once(name, generator):
    model, written = MODELS[name], cells(generator)
    drawn = model.draw(written, generator=generator)
    way = model.move(model.move(written, drawn, 3600.0), drawn, 86_400.0, since=3600.0)
    torch.testing.assert_close(way, model.move(written, drawn, 86_400.0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_property_same_seed_same_history_at_any_time(name, generator):
    """The draw does not depend on the time, so two calls with one seed see one chip."""
    model, written = MODELS[name], cells(generator)
    seeded = [torch.Generator().manual_seed(s) for s in (3, 3, 4)]
    held = [drifted(written, 3600.0, model, generator=g) for g in seeded[:1]]
    drawn = model.draw(written, generator=seeded[1])
    assert torch.equal(held[0], model.move(written, drawn, 3600.0))
    if name != "fixed":
        assert not torch.equal(held[0], drifted(written, 3600.0, model, generator=seeded[2]))


def test_oracle_exponents_follow_their_law(generator):
    """|normal(0.05, 0.04)| is a folded normal law, which the plain one misses by much."""
    written = torch.ones(20_000, dtype=torch.float64)
    drawn = PowerLawDrift(mean=0.05, spread=0.04).draw(written, generator=generator).numpy()
    assert stats.kstest(drawn, stats.foldnorm(0.05 / 0.04, scale=0.04).cdf).pvalue > 0.01
    assert stats.kstest(drawn, stats.norm(0.05, 0.04).cdf).pvalue < 0.01


def test_oracle_walk_spreads_with_the_logarithm_of_time(generator):
    written = torch.full((20_000,), 50.0, dtype=torch.float64)
    for seconds, expected in ((9.0, 0.5), (99.0, 1.0), (9999.0, 2.0)):
        held = drifted(written, seconds, LogTimeWalk(spread=0.5), generator=generator)
        assert abs(float(held.std()) - expected) < 3 * expected / math.sqrt(2 * 20_000)
        assert abs(float(held.mean()) - 50) < 3 * expected / math.sqrt(20_000)
    assert float(drifted(torch.zeros(500), 1e9, LogTimeWalk(5.0), generator=generator).min()) == 0.0


def check_pcm(curves):
    """Compare our exponents and drifted conductances with those of aihwkit."""
    grid, model = torch.tensor(curves["pcm_grid"], dtype=torch.float64), PcmDrift()
    mean, spread = model.law(grid)
    for name, sign in (("low", -1), ("middle", 0), ("high", 1)):
        expected = curves[f"pcm_exponent_{name}"]
        torch.testing.assert_close((mean + sign * spread).abs().tolist(), expected, rtol=1e-9, atol=1e-12)
    for seconds, held in zip(curves["seconds"], curves["pcm_drifted"], strict=True):
        torch.testing.assert_close(model.move(grid, mean, seconds).tolist(), held, rtol=1e-9, atol=1e-12)


def test_oracle_pcm_drift_equals_that_stored_of_aihwkit():
    check_pcm(STORED["aihwkit"])


def test_oracle_pcm_drift_equals_that_of_aihwkit_itself():
    pytest.importorskip("aihwkit.inference.noise.pcm", reason="aihwkit is not installed")
    check_pcm(device_presets.aihwkit_curves())


def test_oracle_cells_after_writing_and_a_day_have_the_statistics_of_aihwkit(generator):
    """Writing, drift and 1/f noise together; two samples, so the error is that of their difference."""
    known = STORED["aihwkit_statistics"]
    draws, meant = known["draws"], torch.tensor(known["conductances"], dtype=torch.float64).repeat(known["draws"], 1)
    for seconds, (mean, std) in zip(known["seconds"], known["mean_and_std"], strict=True):
        written = programmed(meant, PCM, generator=generator)
        held = drifted(written, seconds, PcmDrift(), generator=generator, meant=meant)
        share = PcmReadNoise(seconds=seconds).sigma(written) / written.clamp(min=1e-12)  # aihwkit's Q is of before
        normal = torch.randn(held.shape, generator=generator, dtype=held.dtype)
        held = (held * (1 + share * normal)).clamp(min=0)
        error = torch.tensor(std, dtype=torch.float64) * math.sqrt(2 / draws)
        assert bool(((held.mean(0) - torch.tensor(mean)).abs() < 3 * error).all())
        kurtosis = ((held - held.mean(0)) / held.std(0)).pow(4).mean(0)
        assert bool(((held.std(0) - torch.tensor(std)).abs() < 3 * error * ((kurtosis - 1) / 4).sqrt()).all())


def test_property_law_of_the_draw_may_look_at_what_was_meant(generator):
    meant, written = torch.full((2000,), 25.0), torch.full((2000,), 1.0)
    with_meant = drifted(written, 1e6, PcmDrift(), generator=torch.Generator().manual_seed(0), meant=meant)
    without = drifted(written, 1e6, PcmDrift(), generator=torch.Generator().manual_seed(0))
    assert float(with_meant.mean()) > float(without.mean())  # large conductances drift less


def test_oracle_compensation_undoes_a_common_drift(generator):
    written = cells(generator)
    reference = torch.ones(50, dtype=torch.float64)
    held = drifted(written, 86_400.0, MODELS["fixed"], generator=generator)
    factor = compensation_factor(written @ reference, held @ reference)
    torch.testing.assert_close(factor * held, written)
    assert float(factor) == pytest.approx((86_400 / 20) ** 0.06)


def test_property_compensation_leaves_what_each_cell_does(generator):
    written, reference = cells(generator), torch.ones(50, dtype=torch.float64)
    held = drifted(written, 86_400.0, MODELS["pcm"], generator=generator)
    factor = compensation_factor(written @ reference, held @ reference)
    before, after = ((x - written).norm() / written.norm() for x in (held, factor * held))
    assert 0.01 < float(after) < float(before) / 2


def test_oracle_compensation_of_several_chips_is_that_of_each():
    before, after = torch.tensor([[4.0, -2.0], [1.0, 1.0]]), torch.tensor([[2.0, -1.0], [-1.0, 0.0]])
    assert torch.equal(compensation_factor(before, after), torch.tensor([2.0, 2.0]))


def test_property_only_the_generator_moves(generator):
    written, state = cells(generator), torch.get_rng_state()
    before = written.clone()
    for model in MODELS.values():
        drifted(written, 1e5, model, generator=generator)
    assert torch.equal(written, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", MODELS)
def test_limit_no_cells_single_precision_and_cells_at_zero(name, generator):
    assert drifted(torch.zeros(0, 3), 1e5, MODELS[name], generator=generator).shape == (0, 3)
    held = drifted(torch.zeros(2, 3), 1e5, MODELS[name], generator=generator)
    assert held.dtype == torch.float32
    assert bool((held >= 0).all())
    if name in POWER:
        assert torch.equal(held, torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PowerLawDrift(start=0.0), "start > 0 s"),
        (lambda: PowerLawDrift(mean=-0.1), "mean >= 0"),
        (lambda: PowerLawDrift(spread=math.nan), "spread >= 0"),
        (lambda: PcmDrift(g_max=0.0), "g_max > 0 uS"),
        (lambda: LogTimeWalk(spread=-1.0), "spread >= 0 uS"),
        (lambda: LogTimeWalk(unit=0.0), "unit > 0 s"),
        (lambda: drifted(torch.ones(1), -1.0, PcmDrift(), generator=torch.Generator()), "time since writing"),
        (lambda: drifted(torch.ones(1), math.inf, None, generator=torch.Generator()), "time since writing"),
        (lambda: drifted(-torch.ones(1), 1.0, None, generator=torch.Generator()), "takes a cell of its own"),
        (lambda: compensation_factor(torch.ones(2), torch.ones(3)), "read the same reference input twice"),
        (lambda: compensation_factor(torch.ones(2), torch.zeros(2)), "one that drives every row"),
        (lambda: compensation_factor(torch.ones(1), torch.tensor([math.nan])), "after must be finite"),
    ],
)
def test_error_drift_says_what_is_wrong(make, says):
    with pytest.raises(ParameterError, match=says):
        make()
