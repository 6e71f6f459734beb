"""The loss of a step, the groups of the optimizer, gates that are listened to, and what gates come to mean."""

from functools import partial

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import cross_entropy, fit
from weightlore.transfer import PTU, PTUNet, gate_adam, gate_names, listening, transfer_step


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def joined(kind="dense", **options):
    source, target = (mlp((5, 6, 4, 3), generator=seeded(s)) for s in (1, 2))
    x = torch.randn(12, 5, generator=seeded(3), dtype=torch.float64)
    net = PTUNet(source, target, x, unit=partial(PTU, gate=kind), generator=seeded(), **options)
    return net, Split(x, torch.arange(12) % 3)


@pytest.mark.parametrize("kind", ["scalar", "channel", "channel-diag", "channel-pooled", "dense"])
def test_oracle_the_prior(kind):
    net, data = joined(kind)
    plain = cross_entropy(net, data, seeded())
    assert torch.equal(transfer_step()(net, data, seeded()), plain)
    p = net.source.activations(data.x)
    means, h = [], data.x
    for layer in range(2):
        a = net.target.pre(layer, h)
        z, _ = net.units[str(layer)].values(p[layer], torch.relu(a))
        means.append(z.expand(p[layer].shape).mean())
        h = net.units[str(layer)](p[layer], a)
    expected = plain + 0.3 * (means[0] + means[1]) / 2
    found = transfer_step(prior=0.3)(net, data, seeded())
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    bias = net.units["1"].gates.bias
    gradients = [torch.autograd.grad(loss, bias)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-15)


def test_property_a_forced_gate_pays_but_cannot_learn():
    net, data = joined()
    net.force(z=0.25)
    loss = transfer_step(prior=2.0)(net, data, seeded())
    torch.testing.assert_close(loss, cross_entropy(net, data, seeded()) + 0.5, rtol=1e-13, atol=0)


def test_property_gates_are_a_group_of_their_own():
    net, _ = joined()
    names = gate_names(net)
    assert names == tuple(f"units.{layer}.gates.{part}" for layer in (0, 1) for part in ("bias", "weight"))
    made = gate_adam(net, 0.01, gate_factor=5.0, weight_decay=0.1)([p for p in net.parameters() if p.requires_grad])
    others, gates = made.param_groups
    assert {id(p) for p in gates["params"]} == {id(net.get_parameter(name)) for name in names}
    assert (gates["lr"], gates["weight_decay"]) == (0.05, 0.0)
    assert (others["lr"], others["weight_decay"]) == (0.01, 0.1)
    trained = sum(p.requires_grad for p in net.parameters())
    assert len(gates["params"]) + len(others["params"]) == trained


def test_property_without_gradients_gates_stay_where_decay_moves_the_rest():
    net, _ = joined()
    with torch.no_grad():
        net.units["0"].inject.fill_(1.0)
    made = gate_adam(net, 0.01, weight_decay=0.5)([p for p in net.parameters() if p.requires_grad])
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    made.step()
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert not moved & set(gate_names(net))
    assert {"units.0.inject", "target.layers.0.weight"} <= moved


def test_property_a_network_without_units_has_one_group():
    model = mlp((5, 4, 3), generator=seeded())
    assert gate_names(model) == ()
    assert len(gate_adam(model)(model.parameters()).param_groups) == 1
    unit = PTU(3, torch.relu, generator=seeded())
    assert gate_names(unit) == ("gates.bias", "gates.weight")


def test_property_fit_takes_the_groups_and_their_schedule():
    net, data = joined("channel")
    start = net.units["0"].gates.bias.detach().clone()
    fit(net, data, generator=seeded(), epochs=3, optimizer=gate_adam(net, 1e-9, gate_factor=1e7))
    assert (net.units["0"].gates.bias - start).abs().max() > 1e-3
    given = mlp((5, 6, 4, 3), generator=seeded(2)).readout.weight
    assert (net.target.readout.weight - given).abs().max() < 1e-7


def test_property_listening_ends_with_the_block():
    net, data = joined()
    with listening(net) as heard:
        net(data.x)
        net(data.x[:5])
    net(data.x)
    assert list(heard) == ["units.0", "units.1"]
    assert [[tuple(z.shape) for z, _ in said] for said in heard.values()] == [[(12, 6), (5, 6)], [(12, 4), (5, 4)]]
    assert all(z.requires_grad for z, _ in heard["units.0"])
    with pytest.raises(ZeroDivisionError), listening(net):
        raise ZeroDivisionError
    assert all(unit.heard is None for unit in net.units.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: transfer_step(prior=-0.1), "prior must be a finite number of at least 0"),
        (lambda: transfer_step(share=float("nan")), "share must be"),
        (lambda: transfer_step(joint=joined()[1][:0]), "needs source examples"),
        (lambda: transfer_step(joint=joined()[1], batch_size=0), "batch_size >= 1"),
        (lambda: transfer_step(joint=joined()[1])(*joined(), seeded()), "joint=True"),
        (lambda: transfer_step(joint=joined()[1])(nn.Linear(5, 3).double(), joined()[1], seeded()), "got a Linear"),
        (lambda: gate_adam(joined()[0], 0.0), "lr must be a finite number above 0"),
        (lambda: gate_adam(joined()[0], gate_factor=-1.0), "gate_factor must be"),
        (lambda: gate_adam(joined()[0], weight_decay=float("inf")), "weight_decay must be"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def meaning(*, noise, prior, seed):
    """Mean z before and after training on ten labels: a linear function of the source's features, or unknown to it."""
    source, target = (mlp((8, 12, 2), generator=seeded(seed + place)) for place in (1, 2))
    x = torch.randn(10, 8, generator=seeded(seed + 3), dtype=torch.float64)
    linear = source.activations(x)[-1] @ torch.randn(12, 2, generator=seeded(seed + 4), dtype=torch.float64)
    labels = (linear - linear.mean(0)).argmax(1)
    if noise:
        labels = (x[:, 0] > 0).long()
        with torch.no_grad():
            source.layers[0].weight.copy_(3 * torch.randn(12, 8, generator=seeded(seed + 5), dtype=torch.float64))
            source.layers[0].weight[:, 0] = 0.0
    net = PTUNet(source, target, x, unit=partial(PTU, gate="channel", bias_update=0.0), generator=seeded())
    optimizer = gate_adam(net, 3e-3, gate_factor=10.0, weight_decay=0.0)
    fit(net, Split(x, labels), step=transfer_step(prior=prior), generator=seeded(), epochs=100, optimizer=optimizer)
    assert cross_entropy(net, Split(x, labels), seeded()) < 0.55
    return torch.sigmoid(net.units["0"].gates.bias[:12]).mean().item()


@pytest.mark.parametrize("seed", [0, 10, 20])
def test_property_gates_shut_where_the_source_suffices_and_open_where_it_is_noise(seed):
    assert meaning(noise=False, prior=0.5, seed=seed) < 0.45
    assert meaning(noise=True, prior=0.0, seed=seed) > 0.52
