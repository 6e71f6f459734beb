"""What enters over time: means, moments, and draws that do not depend on chunks."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.spiking import (
    SpikingLayer,
    SpikingNetwork,
    constant,
    poisson,
    simulate,
    time_to_first_spike,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_spikes_by_chance_have_the_input_for_their_mean(dtype):
    x = torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0, -0.25, -1.0]], dtype=dtype)
    drawn = poisson(x, range(20000), seeded())
    assert drawn.dtype == dtype
    assert set(drawn.unique().tolist()) == {-1.0, 0.0, 1.0}
    spread = (x.abs() * (1 - x.abs()) / 20000).sqrt()
    assert ((drawn.mean(0) - x).abs() <= 4 * spread).all()
    assert drawn[:, 0, 2].diff().abs().mean().item() == pytest.approx(0.5, abs=0.02), "steps are independent"


def test_property_draws_go_step_by_step_and_leave_the_global_state_alone():
    x = torch.rand(3, 5, generator=seeded(1))
    state = torch.get_rng_state()
    whole = poisson(x, range(12), seeded(2))
    generator = seeded(2)
    parts = [poisson(x, range(first, last), generator) for first, last in [(0, 1), (1, 8), (8, 12)]]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(torch.get_rng_state(), state)
    assert poisson(x, range(0), generator).shape == (0, 3, 5)


def test_property_the_larger_the_earlier_and_once():
    x = torch.tensor([[1.0, 0.75, 0.5, 0.25, 1e-6, 0.0]])
    spikes = time_to_first_spike(5)(x, range(9))
    assert spikes.sum(0).tolist() == [[1, 1, 1, 1, 1, 0]]
    assert spikes[:, 0, :5].argmax(0).tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(time_to_first_spike(5)(x, range(2, 4)), spikes[2:4])
    assert time_to_first_spike(1)(x, range(3)).sum(0).tolist() == [[1, 1, 1, 1, 1, 0]]


def test_oracle_constant_is_what_none_is():
    network = SpikingNetwork([SpikingLayer(nn.Linear(4, 6)), SpikingLayer(nn.Linear(6, 3), None)]).double()
    x = torch.rand(5, 4, generator=seeded(), dtype=torch.float64)
    found, expected = simulate(network, x, 14, encode=constant), simulate(network, x, 14)
    torch.testing.assert_close(found.potential, expected.potential)
    assert expected.input_counts is None
    assert torch.equal(found.input_counts, torch.full((5, 4), 14, dtype=torch.int32))


@pytest.mark.parametrize("encode", [poisson, time_to_first_spike(8)])
def test_property_the_input_is_counted_by_its_events(encode):
    network = SpikingNetwork([SpikingLayer(nn.Identity())])
    x = torch.rand(5, 4, generator=seeded())
    found = simulate(network, x, 8, encode=encode, generator=seeded(3), record=(1,))
    assert torch.equal(found.input_counts, encode(x, range(8), seeded(3)).sum(0).int())
    assert torch.equal(found.input_counts, found.spike_counts[0])


def test_error_inputs_that_are_no_probabilities_and_no_times():
    x = torch.tensor([[0.5, 1.5]])
    with pytest.raises(ParameterError, match=r"must be in \[-1, 1\] to be probabilities, got up to 1.5"):
        poisson(x, range(2), seeded())
    with pytest.raises(ParameterError, match="need generator"):
        poisson(x / 2, range(2), None)
    with pytest.raises(ParameterError, match=r"must be in \[0, 1\] to become times, got 0.5 to 1.5"):
        time_to_first_spike(4)(x, range(2))
    with pytest.raises(ParameterError, match="a whole number >= 1, got 0"):
        time_to_first_spike(0)
    for encode in (poisson, time_to_first_spike(4)):
        with pytest.raises(ParameterError, match="NaN or infinite"):
            encode(x / 0, range(2), seeded())
