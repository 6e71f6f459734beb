"""Dropout that stays on: exact means, the rate of its error, and what must not move."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.networks.layered import Chain
from weightlore.uncertainty.bayesian import (
    DropoutDraws,
    MCDropout,
    drawing,
    dropout_noise_variance,
    mc_dropout,
    predict_members,
)
from weightlore.uncertainty.deterministic import GaussianHead


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def thin(rate=0.4, units=5, outputs=3):
    """A network with one hidden layer, small enough for all its masks."""
    torch_state = torch.get_rng_state()
    net = nn.Sequential(nn.Linear(4, units), nn.Tanh(), nn.Dropout(rate), nn.Linear(units, outputs)).double().eval()
    torch.set_rng_state(torch_state)
    for number, parameter in enumerate(net.parameters()):
        parameter.data = normal(*parameter.shape, seed=number)
    return net


def exact_mean(net, x, rate):
    """Mean of softmax over all masks, each with its probability."""
    hidden, total = net[1](net[0](x)), 0
    for mask in itertools.product((0.0, 1.0), repeat=hidden.shape[1]):
        kept = int(sum(mask))
        weight = (1 - rate) ** kept * rate ** (len(mask) - kept)
        total = total + weight * net[3](hidden * torch.tensor(mask).double() / (1 - rate)).softmax(1)
    return total.detach()


def test_oracle_the_mean_of_all_masks():
    net, x = thin(), normal(3, 4, seed=9)
    found = mc_dropout(net, x, samples=4000, generator=seeded())
    exact = exact_mean(net, x, 0.4)
    error = (found.mean - exact) / (found.probs.std(0) / math.sqrt(4000))
    assert error.abs().max() < 4


def test_property_the_error_falls_with_the_root_of_the_passes():
    net, x = thin(), normal(2, 4, seed=9)
    exact, network = exact_mean(net, x, 0.4), MCDropout(net)
    sizes = (16, 64, 256)
    errors = []
    for samples in sizes:
        probs = network.predict(x, samples=samples * 12, generator=seeded(samples)).probs
        groups = probs.unflatten(0, (12, samples)).mean(1)
        errors.append(float((groups - exact).square().mean().sqrt()))
    slope = (math.log(errors[2]) - math.log(errors[0])) / math.log(sizes[2] / sizes[0])
    assert -0.8 < slope < -0.25
    assert errors[0] > errors[1] > errors[2]


def test_oracle_masks_of_torch_have_the_same_law():
    x, layer = torch.ones(4000, 6).double(), DropoutDraws(0.3)
    with drawing(layer, seeded()):
        ours = layer(x)
    assert set(ours.unique().tolist()) == {0.0, 1 / 0.7}
    assert abs(float((ours == 0).double().mean()) - 0.3) < 4 * math.sqrt(0.21 / 24000)
    assert not torch.equal(ours[0], ours[1]) or not torch.equal(ours[1], ours[2]), "rows have masks of their own"


def test_property_channels_go_as_a_whole():
    layer, x = DropoutDraws(0.5, channels=True), torch.ones(8, 10, 4, 4)
    with drawing(layer, seeded()):
        y = layer(x)
    assert torch.equal(y, y[:, :, :1, :1].expand_as(y))
    assert 0 < int((y[:, :, 0, 0] == 0).sum()) < 80


def test_property_a_member_is_one_function():
    """Rows that are alike get the same answer, in whatever batches they come."""
    net, x = thin(), normal(1, 4).expand(7, 4)
    whole = mc_dropout(net, x, samples=5, generator=seeded())
    assert torch.equal(whole.probs, whole.probs[:, :1].expand_as(whole.probs))
    assert len(whole.probs[:, 0].unique(dim=0)) > 1
    parts = mc_dropout(net, x, samples=5, generator=seeded(), batch_size=2)
    torch.testing.assert_close(parts.probs, whole.probs, rtol=1e-12, atol=1e-14)


def test_property_a_network_built_of_such_layers_is_one_function_too():
    net, x = nn.Sequential(thin()[:2], DropoutDraws(0.5), thin()[3]).eval(), normal(7, 4)
    whole, parts = (predict_members(net, x, samples=5, generator=seeded(), batch_size=n).probs for n in (7, 2))
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-14)
    assert len(whole[:, 0].unique(dim=0)) > 1


def test_property_one_layer_in_two_places_draws_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return torch.cat([self.drop(x), self.drop(x)], 1)

    found = mc_dropout(Twice(), torch.ones(3, 40), samples=2, generator=seeded(), noise_variance=1.0, batch_size=2)
    means = found.member_means
    assert not torch.equal(means[..., :40], means[..., 40:])
    assert torch.equal(means[:, :1].expand_as(means), means)


def test_limit_nothing_is_dropped():
    net, x = thin(rate=0.0), normal(6, 4)
    found = mc_dropout(net, x, samples=4, generator=seeded())
    assert torch.equal(found.probs[0], net(x).softmax(1))
    assert float(found.mutual_information().abs().max()) < 1e-12


def test_limit_everything_is_dropped():
    net, x = thin(rate=1.0), normal(6, 4)
    found = mc_dropout(net, x, samples=2, generator=seeded())
    torch.testing.assert_close(found.probs, net[3].bias.softmax(0).expand(2, 6, 3))


@pytest.mark.parametrize("training", [True, False])
def test_property_normalization_stays_and_the_model_is_left_alone(training):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(0.5), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 10)
    )
    model.double().train(training)[1].eval()
    x = digits("validation").x[:20].reshape(-1, 1, 8, 8)
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    state = torch.get_rng_state()
    found = mc_dropout(model, x, samples=6, generator=seeded())
    alone = mc_dropout(model, x[:1], samples=6, generator=seeded())
    torch.testing.assert_close(alone.probs[:, 0], found.probs[:, 0], rtol=1e-10, atol=1e-12)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in model.parameters())
    assert type(model[2]) is nn.Dropout2d


def test_property_networks_of_ours():
    x = digits("validation").x[:9]
    convolution = cnn((4, 4), hidden=8, generator=seeded())
    convolution.nonlinear[0] = nn.Sequential(nn.ReLU(), nn.Dropout2d(0.5))
    layers = [nn.Linear(64, 8), nn.Linear(8, 8)]
    chain = Chain(layers, nn.Linear(8, 10), inputs=(64,), dropout=(0.0, 0.5)).double()
    for net in (chain, convolution):
        found = mc_dropout(net, x, samples=8, generator=seeded())
        assert found.probs.shape == (8, 9, 10)
        assert float(found.mutual_information().min()) > 0
        outside = MCDropout(net.eval())(x)
        assert torch.equal(outside, net(x)), "outside a prediction nothing is dropped"


def test_property_regression_adds_the_noise():
    net, x = thin(outputs=1), normal(5, 4)
    found = mc_dropout(net, x, samples=50, generator=seeded(), noise_variance=0.7)
    torch.testing.assert_close(found.variance, found.member_means.var(0, correction=0) + 0.7)
    head = nn.Sequential(nn.Dropout(0.5), GaussianHead(4, normal(9, 1), generator=seeded()))
    told = mc_dropout(head, x, samples=8, generator=seeded())
    assert told.aleatoric_var.shape == (5, 1)
    assert float(told.epistemic_var.min()) > 0


def test_oracle_noise_by_hand():
    tau = (1 - 0.2) * 3.0**2 / (2 * 50 * 1e-3)
    assert dropout_noise_variance(rate=0.2, length_scale=3.0, num_data=50, weight_decay=1e-3) == pytest.approx(1 / tau)


def test_error_what_cannot_draw():
    with pytest.raises(ParameterError, match="has none of them"):
        mc_dropout(mlp((64, 4, 10), generator=seeded()), digits("validation").x[:2], samples=2, generator=seeded())
    with pytest.raises(ParameterError, match="has AlphaDropout"):
        MCDropout(nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.5)))
    with pytest.raises(ParameterError, match=r"in \[0, 1\]"):
        DropoutDraws(1.5)
    with pytest.raises(ParameterError, match="drawing"):
        MCDropout(thin().train())(normal(2, 4))
    with pytest.raises(ParameterError, match="samples"):
        mc_dropout(thin(), normal(2, 4), samples=0, generator=seeded())


@pytest.mark.parametrize("change", [{"rate": 1.0}, {"length_scale": 0.0}, {"weight_decay": 0.0}, {"num_data": 0}])
def test_error_noise_of_nothing(change):
    given = {"rate": 0.5, "length_scale": 1.0, "num_data": 10, "weight_decay": 0.1} | change
    with pytest.raises(ParameterError, match=next(iter(change))):
        dropout_noise_variance(**given)
