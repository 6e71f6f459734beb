"""Layers that drop weights: moments in closed form, one mask a pass, and the layer itself at both ends."""

import itertools
import math

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import adam, fit
from weightlore.uncertainty.bayesian import (
    DropConnectConv2d,
    DropConnectLinear,
    applied,
    drawing,
    drawn_step,
    drop_connect,
    predict_members,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def linear(inputs=3, outputs=2):
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs).double().eval()
    layer.weight.data, layer.bias.data = normal(outputs, inputs), normal(outputs, seed=1)
    return layer


def convolution(groups=1):
    layer = nn.utils.skip_init(nn.Conv2d, 2, 4, 3, stride=2, padding=1, groups=groups).double().eval()
    layer.weight.data, layer.bias.data = normal(*layer.weight.shape), normal(4, seed=1)
    return layer


def test_oracle_mean_and_variance_of_a_dropped_linear_layer():
    layer, x, keep = linear(), normal(4, 3, seed=2), 0.6
    dropped = DropConnectLinear(layer, keep=keep)
    with torch.no_grad(), drawing(dropped, seeded()):
        y = torch.stack([dropped(x) for _ in range(6000)])
    variance = (1 / keep - 1) * x.square() @ layer.weight.square().T
    assert ((y.mean(0) - layer(x)) / (variance / 6000).sqrt()).abs().max() < 4
    assert ((y.var(0) - variance) / variance).abs().max() < 0.1


def test_oracle_the_mean_of_all_masks():
    layer, x, keep = linear(2, 2), normal(3, 2, seed=2), 0.7
    exact = 0
    for mask in itertools.product((0.0, 1.0), repeat=4):
        weight = layer.weight * torch.tensor(mask).double().reshape(2, 2) / keep
        exact = exact + keep ** sum(mask) * (1 - keep) ** (4 - sum(mask)) * (x @ weight.T + layer.bias).softmax(1)
    found = predict_members(DropConnectLinear(layer, keep=keep), x, samples=3000, generator=seeded())
    assert ((found.mean - exact) / (found.probs.std(0) / math.sqrt(3000))).abs().max() < 4


@pytest.mark.parametrize("groups", [1, 2])
def test_oracle_a_dropped_convolution_is_a_convolution_with_fewer_weights(groups):
    layer, x = convolution(groups), normal(5, 2, 6, 6, seed=2)
    dropped = DropConnectConv2d(layer, keep=0.5)
    impulse = torch.zeros(1, 2, 6, 6).double()
    with drawing(dropped, seeded(), held=True):
        y, base = dropped(x), dropped(impulse)
        kernel = torch.autograd.functional.jacobian(lambda image: dropped(image)[0, :, 1, 1], impulse)[:, 0]
    assert torch.equal(base, layer.bias[None, :, None, None].expand_as(base)), "the bias stays"
    ratios = (kernel[:, :, 1:4, 1:4].reshape(4, groups, 2 // groups, 3, 3)).sum(1) / layer.weight
    assert set(ratios.detach().round(decimals=9).unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(y, applied(layer, x, layer.weight * ratios, bias=layer.bias))


@pytest.mark.parametrize(
    "made", [lambda k: DropConnectLinear(linear(), keep=k), lambda k: DropConnectConv2d(convolution(), keep=k)]
)
def test_limit_all_weights_stay_and_outside_it_is_the_layer(made):
    x = normal(3, 3) if isinstance(made(1.0), DropConnectLinear) else normal(3, 2, 6, 6)
    whole, half = made(1.0), made(0.5)
    assert torch.equal(half(x), half.layer(x))
    with drawing(whole, seeded()):
        assert torch.equal(whole(x), whole.layer(x))
    with pytest.raises(ParameterError, match="drawing"):
        half.train()(x)


def test_property_one_mask_for_all_rows_of_a_pass_and_a_new_one_for_the_next():
    dropped, x = DropConnectLinear(linear(), keep=0.5), torch.ones(6, 3).double()
    with drawing(dropped, seeded()):
        first, second = dropped(x), dropped(x)
    assert torch.equal(first, first[:1].expand_as(first))
    assert not torch.equal(first, second)
    with drawing(dropped, seeded(), held=True):
        assert torch.equal(dropped(x), dropped(x))


def test_property_networks_learn_and_answer():
    batch = digits("train")[:200]
    for make in (lambda: mlp((64, 16, 10), generator=seeded()), lambda: cnn((8, 8), hidden=16, generator=seeded())):
        model = make()
        net, before = drop_connect(model, keep=0.8), [p.clone() for p in model.parameters()]
        history = fit(net, batch, step=drawn_step(), optimizer=adam(0.02), epochs=20, batch_size=50, generator=seeded())
        assert history.train_loss[-1] < 0.9 * history.train_loss[0]
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        found = predict_members(net, batch.x[:8], samples=4, generator=seeded(), batch_size=3)
        again = predict_members(net, batch.x[:8], samples=4, generator=seeded())
        torch.testing.assert_close(found.probs, again.probs, rtol=1e-10, atol=1e-12)
        assert float(found.mutual_information().min()) > 0


@pytest.mark.parametrize("keep", [0.0, 1.5, math.nan])
def test_error_a_share_that_is_none(keep):
    with pytest.raises(ParameterError, match="keep is the share"):
        drop_connect(nn.Sequential(linear()), keep=keep)


def test_error_nothing_to_drop():
    with pytest.raises(ParameterError, match=r"nn\.Linear and nn\.Conv2d"):
        drop_connect(nn.ReLU(), keep=0.5)
