"""The indicator: Taylor slope, what is measured, groups, and where the gradient comes from."""

import copy
import itertools
import math

import pytest
import torch
from corruption_cases import data, net
from torch import nn

from weightlore.corruption import Budget, closed_form, indicator, indicators, loss_gradient, measure, random
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import flatten, replaced


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, math.inf])
@pytest.mark.parametrize("n", [None, 5])
def test_oracle_taylor_slope_is_one(p, n):
    model, split = net(), data()
    relative = []
    for halving in range(5):
        epsilon = 0.01 / 2**halving
        found = indicator(model, split, Budget(epsilon, p=p, n=n))
        relative.append(abs(found.measured - found.first_order) / epsilon)
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(relative)]
    assert all(abs(slope - 1) < 0.1 for slope in slopes)


def test_oracle_measured_is_the_loss_of_the_replaced_model():
    model, split = net("batchnorm").eval(), data()
    found = indicator(model, split, Budget(0.7), group="0")
    before = float(nn.functional.cross_entropy(model(split.x), split.y).detach())
    with replaced(model, flatten(model, "0") + found.corruption.vector, "0"):
        output = model(split.x)
    assert found.loss_before == pytest.approx(before)
    assert found.measured == pytest.approx(float(nn.functional.cross_entropy(output, split.y).detach()) - before)
    assert found.accuracy_after == pytest.approx(float((output.argmax(1) == split.y).double().mean()))


def test_property_steps_of_one_is_the_closed_form_and_more_do_more_harm():
    model, split, budget = net(), data(), Budget(2.0)
    one, ten = indicator(model, split, budget), indicator(model, split, budget, steps=10)
    assert torch.equal(one.corruption.vector, closed_form(loss_gradient(model, split), budget).vector)
    assert one.first_order == ten.first_order
    assert ten.measured > one.measured


def test_property_gradient_from_other_data():
    model, split, other, budget = net(), data(), data(seed=9), Budget(0.5)
    found = indicator(model, split, budget, gradient_data=other)
    a = closed_form(loss_gradient(model, other), budget)
    assert torch.equal(found.corruption.vector, a.vector)
    assert found.first_order == float(a.first_order_gain)
    assert found.loss_after == measure(model, split, corruption=a.vector).loss
    assert found.loss_before == measure(model, split).loss


def test_property_one_row_for_each_layer_or_group():
    model, split, budget = net("batchnorm"), data(), Budget(0.5, n=5)
    rows = indicators(model, split, budget)
    assert list(rows) == ["0", "1", "3"]
    assert [len(row.corruption.vector) for row in rows.values()] == [25, 10, 18]
    for name, row in rows.items():
        alone = indicator(model, split, budget, group=name)
        assert (row.first_order, row.loss_after, row.accuracy_after) == (
            alone.first_order,
            alone.loss_after,
            alone.accuracy_after,
        )
    kinds = indicators(model, split, budget, groups={"gains": "norm", "all": None})
    assert list(kinds) == ["gains", "all"]
    assert kinds["all"].first_order >= kinds["gains"].first_order


def test_limit_a_layer_that_holds_parameters_beside_layers():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.scale = nn.Linear(4, 3).double(), nn.Parameter(torch.ones(1).double())

        def forward(self, x):
            return self.scale * self.inner(x)

    rows = indicators(Scaled(), data(), Budget(0.1))
    assert {name: len(row.corruption.vector) for name, row in rows.items()} == {"": 1, "inner": 15}


def test_limit_zero_epsilon_and_zero_gradient():
    model, split = net(), data()
    assert indicator(model, split, Budget(0.0)).measured == 0
    flat = indicator(model, split, Budget(1.0), loss=lambda output, y: 0 * output.sum())
    assert flat.corruption.degenerate
    assert flat.first_order == flat.measured == 0


def test_property_nothing_of_the_callers_is_changed():
    model, split = net("batchnorm").train(), data()
    state, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    indicators(model, split, Budget(0.5), steps=2, gradient_data=data(seed=9))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize(
    ("budget", "kind"),
    [
        (Budget(1.0), "sphere"),
        (Budget(0.5, n=100), "sphere"),
        (Budget(0.05, p=math.inf), "vertex"),
        (Budget(0.5, p=math.inf, n=100), "vertex"),
        (Budget(1.0, p=1.0), "sphere"),
    ],
)
def test_property_trained_network_gradient_beats_a_hundred_draws(budget, kind, generator):
    model, split = healthy("mlp"), digits("test")
    found = indicator(model, split, budget)
    drawn = random(len(flatten(model)), budget, generator=generator, trials=100, kind=kind)
    assert found.measured > max(measure(model, split, corruption=a).loss - found.loss_before for a in drawn)


def test_property_a_fitted_training_set_says_little():
    """The gradient of the data that the network was fitted to vanishes, and its direction is nearly harmless."""
    model, train, test = healthy("mlp"), digits("train"), digits("test")
    fitted = indicator(model, test, Budget(1.0), gradient_data=train)
    held_out = indicator(model, test, Budget(1.0))
    assert fitted.first_order < 0.1 * held_out.first_order
    assert fitted.measured < 0.5 * held_out.measured


def test_error_indicator():
    model, split = net(), data()
    with pytest.raises(ParameterError, match="steps counts gradients"):
        indicator(model, split, Budget(1.0), steps=0)
    with pytest.raises(ParameterError, match="is empty"):
        indicator(model, split, Budget(1.0), group="norm")
    spoilt = type(split)(split.x.clone(), split.y)
    spoilt.x[3, 1] = math.nan
    for arguments in ((split, {"gradient_data": spoilt}), (spoilt, {"gradient_data": split})):
        with pytest.raises(ParameterError, match="the inputs of data must be finite, but 1 of its 92"):
            indicator(model, arguments[0], Budget(1.0), **arguments[1])
