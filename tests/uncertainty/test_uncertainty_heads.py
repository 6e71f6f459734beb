"""One trunk, many heads: against the network that was cut, and what stays frozen."""

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp
from weightlore.training import evaluate, fit, sgd
from weightlore.uncertainty.ensembles import (
    MaskedLinear,
    SubEnsemble,
    masked_ensemble,
    member_cross_entropy,
    sub_ensemble,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("kind", ["cnn", "mlp", "normalized"])
def test_oracle_head_zero_is_the_network_itself_wherever_it_is_cut(depth, kind):
    net = {
        "cnn": lambda: cnn((3, 4), hidden=5, generator=seeded()),
        "mlp": lambda: mlp((64, 8, 7, 6, 10), generator=seeded()),
        "normalized": lambda: mlp((64, 8, 7, 6, 10), normalize=True, generator=seeded()),
    }[kind]()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    joint = sub_ensemble(net, depth, members=3, generator=seeded(1))
    x = digits("validation", images=True).x[:5]
    z = joint.member_logits(x)
    torch.testing.assert_close(z[0], net(x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(z[2], joint.heads[2](joint.trunk(x)), rtol=0, atol=0)
    assert not torch.allclose(z[1], z[2])
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    total = sum(p.numel() for p in net.parameters())
    head = sum(p.numel() for p in joint.heads[0].parameters())
    assert sum(p.numel() for p in joint.parameters()) == total + 2 * head


def test_property_heads_that_learn_together_are_heads_that_learn_alone():
    data, net = digits("train")[:120], mlp((64, 8, 6, 10), generator=seeded())
    joint = sub_ensemble(net, 1, members=3, generator=seeded(1))
    again = sub_ensemble(net, 1, members=3, generator=seeded(1))
    single = SubEnsemble(again.trunk, [again.heads[2]], frozen=True)
    options = {"step": member_cross_entropy, "epochs": 2, "batch_size": 20}
    fit(joint, data, optimizer=sgd(0.3), generator=seeded(), **options)
    fit(single, data, optimizer=sgd(0.1), generator=seeded(), **options)
    for one, other in zip(joint.heads[2].parameters(), single.heads[0].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_property_a_frozen_trunk_stays_bit_for_bit_also_its_statistics():
    trunk = nn.Sequential(nn.Linear(64, 8, dtype=torch.float64), nn.BatchNorm1d(8, dtype=torch.float64), nn.ReLU())
    joint = SubEnsemble(trunk, [nn.Linear(8, 10, dtype=torch.float64) for _ in range(2)], frozen=True)
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    fit(joint, digits("train")[:60], step=member_cross_entropy, epochs=1, generator=seeded())
    assert all(torch.equal(before[name], tensor) for name, tensor in trunk.state_dict().items())
    joint.train()
    assert not trunk.training
    assert joint.heads.training
    assert SubEnsemble(trunk, [nn.Linear(8, 10)]).train().trunk.training


def test_property_fitted_heads_are_as_good_as_the_network():
    joint = sub_ensemble(healthy(), 1, members=3, generator=seeded())
    fit(joint, digits("train"), step=member_cross_entropy, epochs=8, generator=seeded())
    assert evaluate(joint, digits("validation")).accuracy > 0.93
    assert joint.members == joint.predict(digits("validation").x).members == 3


def test_property_what_a_member_costs():
    net = mlp((64, 8, 6, 10), generator=seeded())
    masked = masked_ensemble(net, members=3, generator=seeded())
    heads = sub_ensemble(net, 1, members=3, generator=seeded())
    count = {model: sum(p.numel() for p in model.parameters()) for model in (net, masked, heads)}
    assert any(isinstance(layer, MaskedLinear) for layer in masked.modules())
    assert count[masked] == count[net], "masks are drawn, not learned"
    assert count[heads] == count[net] + 2 * ((8 + 1) * 6 + (6 + 1) * 10)
    assert masked.predict(digits("test").x[:2]).members == heads.predict(digits("test").x[:2]).members == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SubEnsemble(nn.Identity(), []), "at least one head, got none"),
        (lambda: sub_ensemble(nn.Linear(3, 2), 1, members=2, generator=seeded()), "can be cut, got a Linear"),
        (lambda: sub_ensemble(healthy(), 3, members=2, generator=seeded()), "1 to 2 layers, got depth=3"),
        (lambda: sub_ensemble(healthy(), 0, members=2, generator=seeded()), "depth must be a whole number"),
        (lambda: sub_ensemble(healthy(), 1, members=0, generator=seeded()), "members must be a whole number"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
