"""Dropout with a learned rate: the law of its masks, its divergence by hand, and rates that go where they should."""

import math

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import adam, fit
from weightlore.uncertainty.bayesian import (
    ConcreteDropout,
    concrete_dropout,
    drawing,
    elbo_step,
    kl_divergence,
    predict_members,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def linear(inputs=4, outputs=3, scale=1.0):
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs).double().eval()
    layer.weight.data, layer.bias.data = scale * normal(outputs, inputs), normal(outputs, seed=1)
    return layer


def identity(units):
    layer = linear(units, units)
    layer.weight.data, layer.bias.data = torch.eye(units).double(), torch.zeros(units).double()
    return layer


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_oracle_entries_dropped_by_more_than_a_half_are_as_many_as_the_rate_says(rate):
    layer, count = ConcreteDropout(identity(10), length_scale=1.0, rate=rate), 4000
    with torch.no_grad(), drawing(layer, seeded()):
        left = layer(torch.ones(count, 10).double()) * (1 - rate)
    share = float((left < 0.5).double().mean())
    assert abs(share - rate) < 4 * math.sqrt(rate * (1 - rate) / (10 * count))


def test_limit_a_cold_mask_is_that_of_dropout():
    layer = ConcreteDropout(identity(10), length_scale=1.0, rate=0.25, temperature=1e-6)
    with torch.no_grad(), drawing(layer, seeded()):
        y = layer(torch.ones(50, 10).double())
    assert set(y.round(decimals=6).unique().tolist()) == {0.0, round(1 / 0.75, 6)}


def test_oracle_relaxed_mask_by_hand():
    layer, x = ConcreteDropout(linear(), length_scale=1.0, rate=0.3, temperature=0.2), normal(5, 4, seed=3)
    with drawing(layer, seeded(7)):
        y = layer(x)
    u = torch.rand(5, 4, generator=seeded(7), dtype=torch.float64)
    drop = torch.sigmoid((math.log(0.3) - math.log(0.7) + u.log() - (1 - u).log()) / 0.2)
    torch.testing.assert_close(y, layer.layer(x * (1 - drop) / 0.7))


def test_oracle_divergence_by_hand():
    layer = ConcreteDropout(linear(), length_scale=0.5, rate=0.2)
    entropy = -0.2 * math.log(0.2) - 0.8 * math.log(0.8)
    exact = 0.25 * layer.layer.weight.square().sum() / (2 * 0.8) - 4 * entropy
    torch.testing.assert_close(layer.kl_divergence(), exact)
    twice = nn.Sequential(layer, nn.ReLU(), ConcreteDropout(linear(3, 2), length_scale=0.5))
    torch.testing.assert_close(kl_divergence(twice), exact + twice[2].kl_divergence())
    groups = ConcreteDropout(nn.Conv2d(4, 6, 3, groups=2), length_scale=1e-9, rate=0.5)
    assert groups.kl_divergence().item() == pytest.approx(-4 * math.log(2), rel=1e-5), "D counts all channels"


def test_property_the_divergence_alone_leads_to_its_best_rate():
    layer = ConcreteDropout(linear(scale=0.8), length_scale=1.0)
    squares = float(layer.layer.weight.detach().square().sum())
    p = torch.linspace(0.001, 0.999, 9981).double()
    grid = squares / (2 * (1 - p)) - 4 * (torch.special.entr(p) + torch.special.entr(1 - p))
    tuner = torch.optim.LBFGS([layer.logit_rate], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        tuner.zero_grad()
        loss = layer.kl_divergence()
        loss.backward()
        return loss

    tuner.step(closure)
    assert layer.rate.item() == pytest.approx(float(p[grid.argmin()]), abs=2e-4)


def test_property_slopes_reach_the_rate():
    layer, x = ConcreteDropout(linear(), length_scale=1.0, rate=0.3), normal(6, 4, seed=3)

    def loss(logit):
        layer.logit_rate.data.copy_(logit.detach())
        with drawing(layer, seeded()):
            out = torch.func.functional_call(layer, {"logit_rate": logit}, (x,))
        return out.square().sum()

    assert torch.autograd.gradcheck(loss, layer.logit_rate.detach().clone().requires_grad_())


def test_property_inputs_that_say_nothing_are_dropped_more():
    """Two layers of one kind: one reads what decides the target, the other is fed noise."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.told, self.noise = (ConcreteDropout(linear(4, 1, 0.1), length_scale=0.3) for _ in range(2))

        def forward(self, x):
            return self.told(x[:, :4]) + self.noise(x[:, 4:])

    x = normal(300, 8)
    data, net = Split(x, x[:, :4].sum(1)[:, None]), Both()

    def squared(model, batch, generator):
        return 10 * (model(batch.x) - batch.y).square().mean()

    fit(
        net, data, step=elbo_step(squared, num_data=300), optimizer=adam(0.03), epochs=40, batch_size=100,
        generator=seeded(),
    )  # fmt: skip
    assert net.told.rate.item() < 0.05 < net.noise.rate.item()


def test_property_a_member_is_one_function_and_channels_go_together():
    x = digits("validation").x[:6]
    for model in (mlp((64, 8, 10), generator=seeded()), cnn((4, 4), hidden=8, generator=seeded())):
        net = concrete_dropout(model, length_scale=0.01, rate=0.4)
        whole = predict_members(net, x, samples=4, generator=seeded())
        parts = predict_members(net, x, samples=4, generator=seeded(), batch_size=4)
        torch.testing.assert_close(whole.probs, parts.probs, rtol=1e-10, atol=1e-12)
        assert float(whole.mutual_information().min()) > 0
        assert torch.equal(net.eval()(x), model.eval()(x)), "outside, nothing is dropped"
    layer = ConcreteDropout(nn.Conv2d(3, 3, 1, groups=3, bias=False), length_scale=1.0, rate=0.5)
    with torch.no_grad(), drawing(layer, seeded()):
        y = layer(torch.ones(2, 3, 4, 4))
    torch.testing.assert_close(y, y[:, :, :1, :1].expand_as(y))
    assert not torch.equal(y[0], y[1])


@pytest.mark.parametrize("change", [{"rate": 0.0}, {"rate": 1.0}, {"length_scale": 0.0}, {"temperature": math.inf}])
def test_error_arguments_out_of_range(change):
    with pytest.raises(ParameterError, match="rate must be between 0 and 1"):
        ConcreteDropout(linear(), **({"length_scale": 1.0} | change))


def test_error_training_without_a_generator():
    with pytest.raises(ParameterError, match="drawing"):
        ConcreteDropout(linear(), length_scale=1.0).train()(normal(2, 4))
    with pytest.raises(ParameterError, match=r"nn\.Linear and nn\.Conv2d"):
        concrete_dropout(nn.ReLU(), length_scale=1.0)
