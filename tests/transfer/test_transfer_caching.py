"""What a frozen source says, computed once."""

from functools import partial

import pytest
import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp, resnet20
from weightlore.parameters import flatten
from weightlore.training import adam, evaluate, fit
from weightlore.transfer import Adapter, CachedPTUNet, InputFormat, PTUNet, cached

FORMS = {
    "mlp": (lambda g: mlp((12, 7, 6, 3), generator=g), (12,), {}),
    "cnn": (lambda g: cnn((3, 4), image=(1, 8, 8), hidden=5, classes=3, generator=g), (1, 8, 8), {"output_unit": True}),
    "resnet20": (
        lambda g: resnet20(width=2, classes=3, generator=g, dtype=torch.float64),
        (3, 8, 8),
        {"pairs": {9: 8}},
    ),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def joined(form, **options):
    make, shape, more = FORMS[form]
    data = Split(torch.rand(14, *shape, generator=seeded(3), dtype=torch.float64), torch.arange(14) % 3)
    return PTUNet(make(seeded(1)), make(seeded(2)), data.x, **more, **options, generator=seeded()), data


@pytest.mark.parametrize("form", FORMS)
def test_property_packed_rows_give_the_same_logits(form):
    net, data = joined(form)
    fast, (packed, few) = cached(net, data, data[:3])
    assert packed.x.shape == (14, sum(fast.sizes))
    assert torch.equal(packed.y, data.y)
    assert torch.equal(few.x, packed.x[:3])
    net.eval()
    near = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(fast(packed.x), net(data.x), **near)
    rows = [4, 1, 7]
    torch.testing.assert_close(fast(packed[rows].x), net(data.x[rows]), **near)
    net.force(z=0.0)
    assert torch.equal(fast(packed.x), net(data.x))
    assert torch.equal(fast.pack(data, batch_size=14).x, packed.x)
    assert list(fast.parameters()) == list(net.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_property_training_is_the_same(form):
    net, data = joined(form)
    other = joined(form)[0]
    fast, (packed,) = cached(net, data)
    settings = {"epochs": 3, "batch_size": 5, "optimizer": adam(1e-2)}
    one = fit(fast, packed, generator=seeded(6), **settings, validation=packed)
    two = fit(other, data, generator=seeded(6), **settings, validation=data)
    torch.testing.assert_close(one.train_loss, two.train_loss, rtol=1e-9, atol=0)
    torch.testing.assert_close(flatten(net), flatten(other), rtol=0, atol=1e-9)
    assert evaluate(fast, packed).accuracy == evaluate(net, data).accuracy
    assert not fast.net.source.training


@pytest.mark.parametrize("learn", [False, True])
def test_property_what_is_learned_of_an_adapter_is_not_cached(learn):
    source = cnn((6, 5), image=(1, 16, 16), hidden=4, classes=3, generator=seeded(1))
    target = cnn((3, 8), image=(1, 8, 8), hidden=9, classes=3, generator=seeded(2))
    data = Split(torch.rand(9, 1, 8, 8, generator=seeded(3), dtype=torch.float64), torch.arange(9) % 3)
    wide = InputFormat(size=(16, 16))
    make = partial(Adapter, learn=learn)
    net = PTUNet(source, target, data.x, source_input=wide, adapter=make, generator=seeded()).eval()
    fast, (packed,) = cached(net, data)
    channels = (6, 5) if learn else (3, 8)
    assert fast.shapes == [(1, 8, 8), (channels[0], 8, 8), (channels[1], 4, 4), (4 if learn else 9,)]
    with torch.no_grad():
        for parameter in net.adapters.parameters():
            parameter.add_(0.1)
    torch.testing.assert_close(fast(packed.x), net(data.x), rtol=1e-12, atol=1e-12)


def test_property_modes_are_left_as_they_were():
    net, data = joined("mlp")
    net.train()
    cached(net, data)
    assert net.target.training
    assert not net.source.training


def test_error_arguments():
    net, data = joined("mlp")
    with pytest.raises(ParameterError, match="joint=False"):
        cached(joined("mlp", joint=True)[0], data)
    with pytest.raises(ParameterError, match="there must be data"):
        cached(net)
    with pytest.raises(ParameterError, match="some of them empty"):
        cached(net, data, data[:0])
    fast = CachedPTUNet(net, data.x)
    with pytest.raises(ParameterError, match=r"\(N, 25\), got \(14, 12\); use pack"):
        fast(data.x)
    with pytest.raises(ParameterError, match=r"float64.*data\.to"):
        fast.pack(data.to(dtype=torch.float32))
