"""Learning rates that fall in steps, weight decay that ends."""

import pytest
import torch
from torch import nn

from weightlore.binary.fading import Fading, coupled_adam, dropping, halving
from weightlore.errors import ParameterError
from weightlore.training import sgd


def parameter():
    return nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))


def test_oracle_adam_with_an_l2_term_by_hand():
    p = parameter()
    tuner = coupled_adam(0.1, betas=(0.0, 0.9), weight_decay=0.5)([p])
    p.grad = torch.tensor([0.3, 0.0], dtype=torch.float64)
    tuner.step()
    g = torch.tensor([0.3 + 0.5 * 1.0, 0.5 * -2.0], dtype=torch.float64)
    expected = torch.tensor([1.0, -2.0], dtype=torch.float64) - 0.1 * g / (g.square().sqrt() + 1e-8)
    torch.testing.assert_close(p.detach(), expected)


def test_property_schedules():
    assert [halving(2)(epoch) for epoch in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert [dropping((2, 3))(epoch) for epoch in range(5)] == [1, 1, 0.1, 0.01, 0.01]
    assert dropping(())(7) == 1


def test_property_weight_decay_ends():
    fading = Fading(sgd(0.1, weight_decay=0.5), halving(2), decay_epochs=2)
    tuner = fading.optimizer([parameter()])
    seen = []
    for epoch in (0, 1, 2, 3, 0):
        seen.append((fading.schedule(epoch, 4), tuner.param_groups[0]["weight_decay"]))
    assert seen == [(1, 0.5), (1, 0.5), (0.5, 0), (0.5, 0), (1, 0.5)]
    lasting = Fading(sgd(0.1, weight_decay=0.5), halving(2))
    tuner = lasting.optimizer([parameter()])
    lasting.schedule(99, 100)
    assert tuner.param_groups[0]["weight_decay"] == 0.5


def test_property_a_loaded_state_gets_the_decay_of_its_epoch():
    fading = Fading(coupled_adam(weight_decay=0.5), halving(30), decay_epochs=2)
    tuner = fading.optimizer([parameter()])
    fading.schedule(0, 4)
    state = tuner.state_dict()
    tuner.load_state_dict(state)  # replaces the groups
    fading.schedule(2, 4)
    assert tuner.param_groups[0]["weight_decay"] == 0


def test_error_numbers():
    with pytest.raises(ParameterError, match="decay_epochs counts epochs"):
        Fading(sgd(0.1), halving(1), decay_epochs=-1)
    with pytest.raises(ParameterError, match=r"give fading.optimizer to the same fit"):
        Fading(sgd(0.1), halving(1)).schedule(0, 1)
    with pytest.raises(ParameterError, match="every counts epochs"):
        halving(0)
    nan = float("nan")
    for options in ({"lr": 0.0}, {"lr": nan}, {"weight_decay": -1.0}, {"weight_decay": nan}, {"betas": (0.9, 1.0)}):
        with pytest.raises(ParameterError, match="lr must be > 0, weight_decay >= 0 and both betas"):
            coupled_adam(**options)
