"""Layers of rank one apart: against plain layers with the members' weights, and what they cost."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import evaluate, fit, sgd
from weightlore.uncertainty.ensembles import (
    BatchedMembers,
    BatchEnsembleConv2d,
    BatchEnsembleLinear,
    batch_ensemble,
    dealt_cross_entropy,
    member_cross_entropy,
    sgd_sparing_factors,
    with_layers,
)
from weightlore.uncertainty.ensembles.batched import scaled_by_member


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def linear(inputs=5, outputs=3, bias=True):
    layer = nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed))
    return layer


def conv(groups=1, padding_mode="zeros", bias=True):
    layer = nn.Conv2d(
        4, 6, 3, padding=1, stride=2, groups=groups, padding_mode=padding_mode, bias=bias, dtype=torch.float64
    )
    with torch.no_grad():
        for seed, parameter in enumerate(layer.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed))
    return layer


@pytest.mark.parametrize("start", ["sign", "normal"])
@pytest.mark.parametrize("bias", [True, False])
def test_oracle_each_member_is_a_dense_layer_with_its_product_of_factors(start, bias):
    layer, x = linear(bias=bias), normal(4, 5, seed=9)
    found = BatchEnsembleLinear(layer, 3, generator=seeded(), start=start)
    together = found(x.repeat(3, 1)).reshape(3, 4, 3)
    for m in range(3):
        weight = layer.weight * torch.outer(found.r[m], found.s[m])
        expected = functional.linear(x, weight, layer.bias)
        torch.testing.assert_close(together[m], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.member(m)(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_oracle_each_member_is_a_convolution_with_its_product_of_factors(groups, padding_mode):
    layer, x = conv(groups, padding_mode), normal(2, 4, 7, 7, seed=9)
    found = BatchEnsembleConv2d(layer, 3, generator=seeded(), start="normal")
    together = found(x.repeat(3, 1, 1, 1)).unflatten(0, (3, 2))
    for m in range(3):
        torch.testing.assert_close(together[m], found.member(m)(x), rtol=1e-12, atol=1e-12)
    if groups == 1 and padding_mode == "zeros":
        weight = layer.weight * found.r[1][:, None, None, None] * found.s[1][:, None, None]
        expected = functional.conv2d(x, weight, layer.bias, stride=2, padding=1)
        torch.testing.assert_close(together[1], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [linear, conv])
def test_property_factors_of_one_give_the_base_layer(make):
    layer = make()
    kind = BatchEnsembleLinear if isinstance(layer, nn.Linear) else BatchEnsembleConv2d
    found = kind(layer, 2, generator=seeded())
    with torch.no_grad():
        found.r.fill_(1), found.s.fill_(1)
    x = normal(6, 5) if isinstance(layer, nn.Linear) else normal(6, 4, 5, 5)
    torch.testing.assert_close(found(x), layer(x), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("members", [1, 2, 7])
def test_property_a_member_costs_its_inputs_and_outputs(members):
    net = mlp((8, 6, 4, 3), generator=seeded())
    joint = batch_ensemble(net, members=members, generator=seeded())
    plain, found = (sum(p.numel() for p in model.parameters()) for model in (net, joint))
    assert found - plain == members * ((8 + 6) + (6 + 4) + (4 + 3))


def test_property_starts():
    sign = BatchEnsembleLinear(linear(400, 300), 4, generator=seeded())
    assert set(sign.r.unique().tolist()) == set(sign.s.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(sign.s.detach().mean())) < 5 / 1600**0.5
    drawn = BatchEnsembleLinear(linear(400, 300), 4, generator=seeded(), start="normal").s.detach()
    assert abs(float(drawn.mean()) - 1) < 5 * 0.5 / 1600**0.5
    assert abs(float(drawn.std()) - 0.5) < 5 * 0.5 / 3200**0.5


@pytest.mark.parametrize(
    "network", [mlp((64, 7, 5, 10), generator=seeded()), cnn((3, 4), hidden=6, generator=seeded())]
)
def test_oracle_a_network_of_them_is_its_members_side_by_side(network):
    joint = batch_ensemble(network, members=3, generator=seeded(), start="normal").eval()
    x = digits("validation", images=True).x[:5]
    together = joint.member_logits(x)
    kinds = (BatchEnsembleLinear, BatchEnsembleConv2d)
    for m in range(3):
        alone = with_layers(joint.network, lambda _, layer, m=m: layer.member(m) if isinstance(layer, kinds) else None)
        assert not any(isinstance(module, kinds) for module in alone.modules())
        torch.testing.assert_close(together[m], alone(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("rows", "owners"), [(4, [0, 0, 1, 1]), (5, [0, 0, 0, 1, 1]), (1, [0]), (0, [])])
def test_limit_rows_are_dealt_out_in_order_also_where_they_do_not_divide(rows, owners):
    factors = torch.tensor([[1.0, 1.0], [2.0, 3.0]])
    assert torch.equal(scaled_by_member(torch.ones(rows, 2), factors), factors[owners])
    assert torch.equal(scaled_by_member(torch.ones(rows, 2, 3, 1), factors)[:, :, 2, 0], factors[owners])


def test_property_the_network_is_copied_and_a_layer_in_two_places_stays_one():
    layer = linear(4, 4)
    twice = nn.Sequential(layer, nn.ReLU(), layer)
    before = copy.deepcopy(twice.state_dict())
    joint = batch_ensemble(twice, members=2, generator=seeded())
    assert joint.network[0] is joint.network[2]
    assert isinstance(joint.network[0], BatchEnsembleLinear)
    assert all(torch.equal(before[name], tensor) for name, tensor in twice.state_dict().items())
    assert joint.network[0].layer.weight is not layer.weight
    assert isinstance(batch_ensemble(layer, members=2, generator=seeded()).network, BatchEnsembleLinear)


def test_property_it_learns_and_members_differ():
    data = digits("train")[:300]
    joint = batch_ensemble(mlp((64, 24, 10), generator=seeded()), members=3, generator=seeded())
    fit(joint, data, step=dealt_cross_entropy, epochs=12, batch_size=50, generator=seeded())
    assert evaluate(joint, digits("validation")).accuracy > 0.8
    said = joint.predict(digits("validation").x)
    assert said.members == 3
    assert float(said.mutual_information().mean()) > 1e-3
    torch.testing.assert_close(joint(digits("validation").x).exp(), said.mean, rtol=1e-10, atol=1e-12)
    parts = joint.predict(digits("validation").x, batch_size=7)
    torch.testing.assert_close(parts.probs, said.probs, rtol=1e-10, atol=1e-12)


def test_oracle_steps():
    joint = batch_ensemble(mlp((4, 3, 2), generator=seeded()), members=2, generator=seeded(), start="normal")
    batch = Split(normal(6, 4), torch.tensor([0, 1, 1, 0, 1, 0]))
    z = joint.member_logits(batch.x)
    dealt = torch.cat([z[0, :3], z[1, 3:]]).log_softmax(-1)
    expected = -dealt[torch.arange(6), batch.y].mean()
    torch.testing.assert_close(dealt_cross_entropy(joint, batch, seeded()), expected, rtol=1e-12, atol=0)
    every = -torch.stack([z[m].log_softmax(-1)[torch.arange(6), batch.y] for m in range(2)]).mean()
    torch.testing.assert_close(member_cross_entropy(joint, batch, seeded()), every, rtol=1e-12, atol=0)


def test_property_weight_decay_spares_the_factors():
    joint = batch_ensemble(mlp((4, 3, 2), generator=seeded()), members=2, generator=seeded())
    tuner = sgd_sparing_factors(joint, 0.1, momentum=0.0, weight_decay=0.5)(joint.parameters())
    before = {name: p.detach().clone() for name, p in joint.named_parameters()}
    for p in joint.parameters():
        p.grad = torch.zeros_like(p)
    tuner.step()
    for name, p in joint.named_parameters():
        kept = 1.0 if name.endswith((".r", ".s")) else 0.95
        torch.testing.assert_close(p.detach(), kept * before[name], rtol=1e-14, atol=0)
    decayed, spared = sgd(0.1, weight_decay=0.5), sgd_sparing_factors(joint, 0.1, weight_decay=0.5)
    assert len(decayed(joint.parameters()).param_groups) == 1
    assert [group["weight_decay"] for group in spared(joint.parameters()).param_groups] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BatchEnsembleLinear(linear(), 0, generator=seeded()), "members must be a whole number of at least 1"),
        (lambda: BatchEnsembleLinear(linear(), 2, generator=seeded(), start="one"), "start is one of 'sign', 'normal'"),
        (lambda: BatchEnsembleLinear(linear(), 2, generator=seeded())(torch.zeros(2, 3, 5)), "flatten them first"),
        (lambda: batch_ensemble(nn.ReLU(), members=2, generator=seeded()), "no layer of the kind"),
        (lambda: sgd_sparing_factors(linear(), 0.1), "no factors to spare; make it by batch_ensemble"),
        (
            lambda: sgd_sparing_factors(batch_ensemble(linear(), members=2, generator=seeded()), -1.0),
            "lr must be in",
        ),
        (lambda: dealt_cross_entropy(linear(), digits()[:2], seeded()), "use member_cross_entropy"),
        (lambda: member_cross_entropy(linear(), digits()[:2], seeded()), "a JointEnsemble, such as MIMO"),
        (lambda: BatchedMembers(linear(), 0), "members must be a whole number"),
        (
            lambda: dealt_cross_entropy(
                batch_ensemble(linear(), members=2, generator=seeded()),
                Split(normal(9, 5), torch.full((9,), 3)),
                seeded(),
            ),
            "class numbers from 0 to 2",
        ),
        (
            lambda: member_cross_entropy(
                batch_ensemble(linear(), members=2, generator=seeded()),
                Split(normal(2, 5), torch.tensor([0, 3])),
                seeded(),
            ),
            "class numbers from 0 to 2",
        ),
        (lambda: batch_ensemble(linear(), members=2, generator=seeded()).predict(torch.zeros(0, 5)), "at least one"),
        (
            lambda: batch_ensemble(linear(), members=2, generator=seeded()).predict(normal(1, 5), batch_size=0),
            "batch_size be 1 or more",
        ),
        (
            lambda: batch_ensemble(linear(), members=2, generator=seeded()).predict(torch.full((1, 5), torch.nan)),
            "NaN or infinite",
        ),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
