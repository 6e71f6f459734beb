"""Operations counted against a loop over spikes and weights, and what they cost."""

import math

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.spiking import (
    Cost,
    Exit,
    SpikingLayer,
    SpikingNetwork,
    break_even,
    energy,
    fan_out,
    operations,
    poisson,
    simulate,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Scale(nn.Module):
    """A factor: it passes each number on to one place."""

    def forward(self, x):
        return x * 0.3


class Half(nn.Module):
    """A shortcut that leaves out every other pixel and adds empty channels."""

    def forward(self, x):
        return nn.functional.pad(x[..., ::2, ::2], (0, 0, 0, 0, 1, 1))


def reached(synapse, shape):
    """For each unit of the source, the number of currents that a spike of it changes, one spike after the other."""
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    base, found = synapse(zero), torch.zeros(math.prod(shape), dtype=torch.float64)
    for place in range(len(found)):
        one = zero.clone()
        one.view(-1)[place] = 1
        found[place] = (synapse(one) != base).sum()
    return found.view(shape)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(6, 4), (6,)),
        (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 5, 4)),
        (lambda: nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False), (4, 7, 7)),
        (lambda: nn.Conv2d(2, 3, 2, dilation=2), (2, 5, 5)),
        (lambda: nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(2, 3, 3, padding=1)), (2, 6, 6)),
        (lambda: nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Linear(18, 5)), (2, 5, 5)),
        (lambda: nn.Sequential(Scale(), nn.Sequential(nn.Flatten(), nn.Linear(8, 3))), (2, 2, 2)),
        (lambda: nn.Identity(), (3,)),
        (lambda: nn.Sequential(Half(), Scale()), (1, 4, 4)),
        (lambda: nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 2, 1)), (1, 4, 4)),
    ],
)
def test_oracle_spikes_one_by_one(make, shape):
    synapse = make().double()
    with torch.no_grad():
        for parameter in synapse.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=seeded()) + 0.5)
        assert torch.equal(fan_out(synapse, shape), reached(synapse, shape))


def test_property_pooled_currents_come_after_the_weights():
    convolution = nn.Conv2d(1, 2, 3, padding=1)
    inside = fan_out(nn.Sequential(convolution, nn.AvgPool2d(2)), (1, 6, 6))
    assert torch.equal(inside, fan_out(convolution, (1, 6, 6)))
    assert inside[0, 2, 2] == 18
    assert inside[0, 0, 0] == 8


def network():
    return SpikingNetwork(
        [
            SpikingLayer(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2))),
            SpikingLayer({1: nn.Conv2d(2, 2, 3, padding=1), 0: nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 1))}),
            SpikingLayer({2: nn.Sequential(nn.Flatten(), nn.Linear(18, 4)), 3: nn.Linear(4, 4)}),
            SpikingLayer(nn.Linear(4, 3), None),
        ]
    ).double()


@pytest.fixture
def case(generator):
    made = network()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5 + 0.2)
    return made, torch.rand(3, 1, 6, 6, generator=generator, dtype=torch.float64)


def test_oracle_a_loop_over_spikes_and_weights(case):
    made, x = case
    record = simulate(made, x, 12, record=(1, 2, 3))
    found = operations(made, record, x)
    added = torch.zeros(3, dtype=torch.float64)
    for n in range(3):
        for t in range(12):
            for channel, row, column in record.spikes[1][t, n].nonzero().tolist():
                rows, columns = 3 - (row in (0, 2)), 3 - (column in (0, 2))
                added[n] += 2 * rows * columns
                assert channel in (0, 1)
            added[n] += 4 * record.spikes[2][t, n].sum() + (4 + 3) * record.spikes[3][t, n].sum()
            added[n] += 18 + 18  # constant current that enters two layers of 18 neurons
    assert torch.equal(found.accumulations, added)
    dense_first = 2 * int(fan_out(nn.Conv2d(1, 1, 3, padding=1), (1, 6, 6)).sum())
    skip = 36 * 2
    assert found.multiplications.tolist() == [dense_first + skip] * 3
    second = 4 * int(fan_out(nn.Conv2d(1, 1, 3, padding=1), (1, 3, 3)).sum())
    assert found.dense == dense_first + skip + second + 18 * 4 + 16 + 12
    assert torch.equal(found.spikes, sum(counts.flatten(1).sum(1) for counts in record.spike_counts))
    assert found.spikes.sum() > 0


def test_property_energy_breaks_even_at_five_spikes_per_neuron():
    made = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(nn.Linear(4, 10), None)])
    x = torch.ones(1, 4)
    costs = []
    for steps in (4, 5, 6):
        found = operations(made, simulate(made, x, steps), x)
        costs.append(energy(found).spiking.item() - 4.6 * 4 - 0.9 * 4 * steps)
        assert found.accumulations.item() == 40 * steps + 4 * steps
    assert costs == pytest.approx([0.9 * 40 * steps for steps in (4, 5, 6)])
    assert energy(found).dense == pytest.approx(4.6 * (40 + 4))
    assert costs[1] < 4.6 * 40 < costs[2]
    assert break_even() == pytest.approx(4.6 / 0.9)
    assert break_even(Cost(mac=2.0, ac=1.0)) == 2
    assert energy(found, Cost(1.0, 1.0)).dense == 44


def test_property_events_that_enter_are_added_not_multiplied(case):
    made, x = case
    record = simulate(made, x, 8, encode=poisson, generator=seeded())
    found = operations(made, record, x)
    assert not found.multiplications.any()
    constant = operations(made, simulate(made, x, 8), x)
    assert found.dense == constant.dense
    met = fan_out(nn.Conv2d(1, 2, 3, padding=1), (1, 6, 6)) + 2
    fewer = record.input_counts.double() * met
    inner = operations(made, simulate(made, x * 0, 8, encode=poisson, generator=seeded()), x)
    assert (found.accumulations >= fewer.flatten(1).sum(1)).all()
    assert not inner.multiplications.any()


def test_property_an_early_exit_saves_operations(case):
    made, x = case
    whole, early = simulate(made, x, 30), simulate(made, x, 30, exit=Exit("potential", -math.inf, t_min=10))
    ten = simulate(made, x, 10)
    assert torch.equal(operations(made, early, x).accumulations, operations(made, ten, x).accumulations)
    assert (operations(made, early, x).accumulations < operations(made, whole, x).accumulations).all()


def test_limit_nothing_simulated(case):
    made, x = case
    found = operations(made, simulate(made, x, 0), x)
    assert not found.accumulations.any()
    assert not found.multiplications.any()
    assert operations(made, simulate(made, x[:0], 4), x[:0]).accumulations.shape == (0,)
    alone = SpikingNetwork([SpikingLayer(nn.Linear(4, 2), None)])
    assert operations(alone, simulate(alone, torch.ones(2, 4), 3), torch.ones(2, 4)).spikes.tolist() == [0, 0]


def test_error_what_cannot_be_counted(case):
    made, x = case
    with pytest.raises(ParameterError, match="at most one layer of weights, got 2"):
        fan_out(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), (2,))
    with pytest.raises(ParameterError, match="fold normalization into its weights"):
        fan_out(nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1)), (2, 3, 3))
    with pytest.raises(ParameterError, match="dilation 2"):
        fan_out(nn.MaxPool2d(2, 1, dilation=2), (1, 5, 5))
    with pytest.raises(ParameterError, match="that of this network and input"):
        operations(made, simulate(made, x, 2), x[:2])
    with pytest.raises(ParameterError, match="mac is an energy in pJ"):
        Cost(mac=0.0)
