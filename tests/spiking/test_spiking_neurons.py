"""One time step of a neuron: rates against their closed form, conservation, and what a neuron may be."""

import math

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.spiking import Neuron, if_step, leak_for, lif_step
from weightlore.spiking.neurons import Constants
from weightlore.spiking.scan import Trace
from weightlore.spiking.stepping import neuron_step

ALL_Z = torch.linspace(-0.5, 1.5, 257, dtype=torch.float64)  # multiples of 1/128: sums are exact


def run(currents, neuron):
    """Spikes (T, ...) and potentials (T, ...) of a population, by the public step."""
    constants = Constants.of(neuron, tuple(currents.shape[2:]), currents)
    state, spikes, potentials = constants.state(neuron, currents.shape[1:]), [], []
    for current in currents:
        state, fired = neuron_step(state, current, neuron, constants=constants)
        spikes.append(fired)
        potentials.append(state.potential)
    return torch.stack(spikes), torch.stack(potentials)


def constant(z, steps, neuron=None):
    return run(z.expand(steps, 1, -1), neuron or Neuron())


@pytest.mark.parametrize("steps", [4, 8, 16, 64])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_oracle_rate_of_a_constant_current_is_a_staircase(steps, start):
    spikes, _ = constant(ALL_Z, steps, Neuron(initial=start))
    rate = spikes.mean(0)[0]
    assert torch.equal(rate, (torch.floor(steps * ALL_Z + start) / steps).clamp(0, 1))
    error = (rate - ALL_Z.clamp(0, 1)).abs().max()
    assert error <= 1 / (2 * steps) if start else error < 1 / steps


def test_oracle_hard_reset_fires_every_time_its_current_has_filled_up():
    z = torch.tensor([0.6], dtype=torch.float64)
    for steps in range(2, 40, 2):
        assert constant(z, steps, Neuron(reset="zero"))[0].mean() == 0.5
    assert constant(z, 5, Neuron(reset="zero"))[0].mean() == 0.4
    many = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    rate = constant(many, 20000, Neuron(reset="zero"))[0].mean(0)[0]
    torch.testing.assert_close(rate, 1 / torch.ceil(1 / many), rtol=0, atol=1e-3)
    assert (rate - many).mean().item() == pytest.approx(1.5 - math.pi**2 / 6, abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_property_nothing_is_lost_with_reset_by_subtraction(seed, generator):
    currents = torch.randint(-64, 96, (50, 3, 7), generator=generator.manual_seed(seed)).double() / 64
    neuron = Neuron(initial=0.25)
    spikes, potentials = run(currents, neuron)
    assert torch.equal(potentials[-1], 0.25 + currents.sum(0) - spikes.sum(0))
    assert spikes.sum() > 0


def test_property_no_spike_below_zero_and_one_per_step_above_one():
    spikes, potentials = constant(torch.tensor([-0.25, 1.5], dtype=torch.float64), 16)
    assert spikes.sum(0).tolist() == [[0, 16]]
    assert potentials[:, 0, 0].tolist() == [-0.25 * t for t in range(1, 17)]
    assert potentials[:, 0, 1].tolist() == [0.5 * t for t in range(1, 17)]


def test_property_the_order_of_currents_decides_who_fires():
    up = torch.tensor([1.0, 1.0, -1.0, -1.0])
    both = torch.stack([up, -up], dim=1).reshape(4, 1, 2)
    assert run(both, Neuron())[0].sum(0).tolist() == [[2, 0]]


def test_property_a_leak_forgets():
    spikes, potentials = constant(torch.tensor([0.25], dtype=torch.float64), 200, Neuron(leak=0.5))
    assert spikes.sum() == 0
    assert potentials[-1].item() == pytest.approx(0.5)
    assert constant(torch.tensor([0.25]), 200)[0].sum() == 50
    assert leak_for(20.0, 1.0) == math.exp(-1 / 20)
    assert leak_for(math.inf) == 1


@pytest.mark.parametrize("rest", [0, 1, 3])
def test_property_rest_after_a_spike(rest):
    spikes, potentials = constant(torch.tensor([1.5], dtype=torch.float64), 16, Neuron(refractory=rest))
    assert spikes.flatten().nonzero().flatten().tolist() == list(range(0, 16, rest + 1))
    assert potentials[rest].item() == 0.5, "current is ignored while a neuron rests"
    assert potentials[-1].item() == 0.5 * len(range(0, 16, rest + 1))


def test_property_a_bound_below_limits_what_must_be_made_up_for():
    currents = torch.cat([-torch.ones(10), torch.ones(4)]).reshape(14, 1, 1)
    spikes, potentials = run(currents, Neuron(lowest=-1.5))
    assert potentials.min() == -1.5
    assert spikes.sum() == 2
    assert run(currents, Neuron())[0].sum() == 0


@pytest.mark.parametrize(("threshold", "unit"), [(1.0, True), (2.0, False), ([1.0, 1.0], True), ([1.0, 2.0], False)])
def test_property_constants_say_whether_all_thresholds_are_one(threshold, unit):
    neuron, like = Neuron(threshold=torch.tensor(threshold)), torch.zeros(2)
    assert Constants.of(neuron, (2,), like).unit is unit


def test_property_what_holds_tensors_equals_itself_alone():
    assert Neuron() != Neuron()
    assert Trace(torch.zeros(1)) != Trace(torch.zeros(1))
    one, other = (Constants.of(Neuron(), (2,), torch.zeros(2)) for _ in range(2))
    assert one != other


def test_property_thresholds_by_channel():
    current = torch.full((8, 2, 3, 2, 2), 0.5)
    threshold = torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1)
    spikes, _ = run(current, Neuron(threshold=threshold))
    assert spikes.sum(0)[0, :, 0, 0].tolist() == [8, 4, 2]


def test_oracle_pure_steps_are_the_general_one(generator):
    potential = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    current = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    for reset in ("subtract", "zero"):
        after, fired = lif_step(potential, current, leak=0.75, threshold=0.5, reset=reset)
        reached = 0.75 * potential + current
        assert torch.equal(fired, (reached >= 0.5).double())
        left = reached - 0.5 * fired if reset == "subtract" else reached * (1 - fired)
        assert torch.equal(after, left)
        assert fired.any()
    assert torch.equal(if_step(potential, current)[0], lif_step(potential, current, leak=1.0)[0])


def test_limit_a_threshold_that_is_met_exactly_fires():
    assert if_step(torch.zeros(1), torch.ones(1))[1].item() == 1
    short = torch.nextafter(torch.ones(1), torch.zeros(1))
    assert if_step(torch.zeros(1), short)[1].item() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 0.0}, "a threshold must be > 0, got 0"),
        ({"threshold": torch.tensor([1.0, -1.0])}, "a threshold must be > 0, got -1"),
        ({"threshold": math.nan}, "threshold must be a finite"),
        ({"threshold": "1"}, "threshold must be a number, got str"),
        ({"threshold": torch.ones(2, requires_grad=True)}, "detach it first"),
        ({"reset": "hard"}, "reset must be one of"),
        ({"initial": math.inf}, "initial must be a finite"),
        ({"leak": 0.0}, "in \\(0, 1\\], got 0"),
        ({"leak": 1.5}, "in \\(0, 1\\], got 1.5"),
        ({"leak": torch.ones(2)}, "leak must be a number"),
        ({"refractory": -1}, "a whole number >= 0, got -1"),
        ({"refractory": 1.5}, "a whole number >= 0, got 1.5"),
        ({"lowest": 0.5}, "lowest must be finite and <= 0"),
        ({"lowest": -math.inf}, "lowest must be finite"),
        ({"lowest": -1.0, "initial": -2.0}, "initial must not be below lowest"),
    ],
)
def test_error_a_neuron_that_cannot_be(values, message):
    with pytest.raises(ParameterError, match=message):
        Neuron(**values)


def test_error_numbers_that_do_not_fit():
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ParameterError, match="does not broadcast against one example's potential of shape"):
        Constants.of(Neuron(threshold=torch.ones(3)), (3, 4, 4), x)
    with pytest.raises(ParameterError, match="where it became 0"):
        Constants.of(Neuron(threshold=1e-60), (3, 4, 4), x)
    with pytest.raises(ParameterError, match="durations > 0, got 0"):
        leak_for(0.0)
    with pytest.raises(ParameterError, match="make it shorter"):
        leak_for(1e-9)
