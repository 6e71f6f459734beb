"""Two networks joined: special cases of the whole network bit for bit, a source that nothing moves, and alignment."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, mlp, resnet20, vgg11
from weightlore.parameters import flatten
from weightlore.training import adam, cross_entropy, evaluate, fit
from weightlore.transfer import PTU, Adapter, InputFormat, PTUNet, gate_names, transfer_step

KINDS = ("scalar", "channel", "channel-diag", "channel-pooled", "dense")
FORMS = {
    "mlp": (lambda g: mlp((12, 7, 6, 3), generator=g), (12,)),
    "mlp normalized": (lambda g: mlp((12, 7, 6, 3), normalize=True, generator=g), (12,)),
    "cnn": (lambda g: cnn((3, 4), image=(2, 8, 8), hidden=5, classes=3, generator=g), (2, 8, 8)),
    "resnet20": (lambda g: resnet20(width=2, classes=3, generator=g, dtype=torch.float64), (3, 8, 8)),
    "vgg11": (lambda g: vgg11(width=2, classes=3, generator=g, dtype=torch.float64), (3, 32, 32)),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(form, seed):
    model = FORMS[form][0](seeded(seed))
    draws = seeded(seed + 50)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draws, dtype=parameter.dtype))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand(buffer.shape, generator=draws, dtype=buffer.dtype))
    return model.eval()


def batch(form, count=6, seed=7):
    x = torch.rand((count, *FORMS[form][1]), generator=seeded(seed), dtype=torch.float64)
    return Split(x, torch.arange(count) % 3)


def scrambled(net, seed=3):
    """Random numbers in all that the units learn, so that nothing holds by chance."""
    draws = seeded(seed)
    with torch.no_grad():
        for parameter in net.units.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=draws, dtype=parameter.dtype))
    return net


def joined(form="cnn", kind="dense", **options):
    source, target = network(form, 1), network(form, 2)
    net = PTUNet(source, target, batch(form).x, unit=partial(PTU, gate=kind), generator=seeded(), **options)
    return source, target, scrambled(net)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_property_shut_gates_are_the_sources_features_bit_for_bit(form, kind):
    source, target, net = joined(form, kind)
    x = batch(form).x
    free = net(x)
    net.force(z=0.0)
    assert torch.equal(net(x), target.head(source.activations(x)[-1]))
    assert all(torch.equal(one, other) for one, other in zip(net.activations(x), source.activations(x), strict=True))
    net.force()
    assert torch.equal(net(x), free)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_property_open_gates_without_reuse_are_the_target_bit_for_bit(form, kind):
    _, target, net = joined(form, kind)
    x = batch(form).x
    assert not torch.equal(net(x), target(x))
    net.force(z=1.0, r=0.0)
    assert torch.equal(net(x), target(x))
    assert torch.equal(net.train()(x), target.train()(x)) or form == "vgg11"  # dropout draws


@pytest.mark.parametrize("form", ["mlp", "cnn", "resnet20"])
def test_property_the_first_k_layers_shared(form):
    source, target, net = joined(form)
    x, depth = batch(form).x, target.num_layers
    seen = source.activations(x)
    for k in range(depth + 1):
        net.force(z=0.0, layers=range(k))
        net.force(z=1.0, r=0.0, layers=range(k, depth))
        h = x if k == 0 else seen[k - 1]
        for layer in range(k, depth):
            h = target.phi(layer)(target.pre(layer, h))
        assert torch.equal(net(x), target.head(h))


@pytest.mark.parametrize("form", ["mlp", "cnn", "resnet20"])
def test_property_both_gates_open_are_a_progressive_column(form):
    source, target, net = joined(form)
    x, h = batch(form).x, batch(form).x
    for layer, s in enumerate(source.activations(x)):
        matrix = net.units[str(layer)].inject
        lateral = nn.functional.conv2d(s, matrix[:, :, None, None]) if s.ndim == 4 else nn.functional.linear(s, matrix)
        h = torch.relu(target.pre(layer, h) + lateral)
    net.force(z=1.0, r=1.0)
    assert torch.equal(net(x), target.head(h))


def test_property_side_tuning_and_a_linear_blend():
    source, target, net = joined("mlp")
    x = batch("mlp").x
    net.force(z=1.0, r=0.0)
    net.force(z=0.25, r=0.0, layers=[1])
    last = 0.75 * source.activations(x)[-1] + 0.25 * target.activations(x)[-1]
    assert torch.equal(net(x), target.head(last))


@pytest.mark.parametrize("form", ["cnn", "resnet20"])
def test_property_forced_open_it_trains_like_plain_fine_tuning(form):
    source = network(form, 1)
    net = PTUNet(source, source, batch(form).x, unit=partial(PTU, gate="dense"), generator=seeded())
    scrambled(net)
    given = {name: p.detach().clone() for name, p in net.units.named_parameters()}
    net.force(z=1.0, r=0.0)
    plain, data = copy.deepcopy(source), batch(form, count=24)
    for model in (net, plain):
        fit(model, data, generator=seeded(5), epochs=5, batch_size=12, optimizer=adam(3e-3))
    torch.testing.assert_close(flatten(net.target), flatten(plain), rtol=0, atol=1e-6)
    assert not torch.equal(flatten(plain), flatten(source))
    assert all(torch.equal(p, given[name]) for name, p in net.units.named_parameters())


def test_property_forced_open_injection_gets_zero_gradient_and_gates_none():
    *_, net = joined("cnn")
    net.force(z=1.0, r=0.0)
    cross_entropy(net, batch("cnn"), seeded()).backward()
    for unit in net.units.values():
        assert not unit.inject.grad.any()
        assert all(p.grad is None for p in unit.gates.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["mlp", "cnn", "resnet20"])
def test_property_equal_streams_agree_whatever_the_gates(form, kind):
    source = network(form, 1)
    net = scrambled(PTUNet(source, source, batch(form).x, unit=partial(PTU, gate=kind), generator=seeded()))
    with torch.no_grad():
        for unit in net.units.values():
            unit.inject.zero_()
    x = batch(form).x
    torch.testing.assert_close(net(x), source(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_property_at_a_copy_the_gates_are_dead_and_wake_after_a_step(bias):
    source = healthy("cnn")
    data = digits("train")[:64]
    data = Split(1 - data.x, data.y)
    net = PTUNet(source, source, data.x, unit=partial(PTU, bias_update=bias), generator=seeded())

    def gradients():
        net.zero_grad()
        cross_entropy(net, data, seeded()).backward()
        return {name: net.get_parameter(name).grad.abs().max().item() for name in gate_names(net)}

    start = gradients()
    assert len(start) == 6
    assert max(start.values()) == 0.0
    assert all(bool(unit.inject.grad.any()) for unit in net.units.values())
    tuner = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        tuner.step()
        woken = gradients()
    assert max(woken.values()) > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_property_nothing_moves_a_frozen_source(kind):
    source, target, net = joined("resnet20", kind)
    given = [{n: t.clone() for n, t in m.state_dict().items()} for m in (source, target, net.source)]
    data = batch("resnet20", 12)
    fit(net, data, generator=seeded(), epochs=2, batch_size=6, optimizer=adam(1e-2))
    net.train()
    assert not any(module.training for module in net.source.modules())
    net(data.x)
    for model, before in zip((source, target, net.source), given, strict=True):
        assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in net.source.parameters())
    assert all(p.requires_grad for p in source.parameters())
    assert not torch.equal(flatten(net.target), flatten(target))
    assert any("running" in n and not torch.equal(b, target.state_dict()[n]) for n, b in net.target.named_buffers())


def test_property_modes_of_the_given_networks_stay_and_the_joined_one_takes_the_targets():
    source, target = network("cnn", 1).train(), network("cnn", 2).train()
    net = PTUNet(source, target, batch("cnn").x, generator=seeded())
    assert source.training
    assert net.target.training
    assert not net.source.training
    assert not PTUNet(source, target.eval(), batch("cnn").x, generator=seeded()).target.training


def test_property_a_joint_source_is_trained_in_eval_mode():
    source, target = network("resnet20", 1), network("resnet20", 2)
    net = PTUNet(source, target, batch("resnet20").x, joint=True, generator=seeded())
    theirs = {n: t.clone() for n, t in net.source.named_buffers()}
    step = transfer_step(joint=batch("resnet20", 9, seed=8), share=0.5, batch_size=4)
    fit(net, batch("resnet20", 12), step=step, generator=seeded(), epochs=2, batch_size=6, optimizer=adam(1e-2))
    assert not net.source.training
    assert not torch.equal(flatten(net.source), flatten(source))
    assert all(torch.equal(t, theirs[n]) for n, t in net.source.named_buffers())


def test_oracle_the_joint_loss():
    source, target = network("cnn", 1), network("cnn", 2)
    net = PTUNet(source, target, batch("cnn").x, joint=True, generator=seeded())
    theirs, ours = batch("cnn", 9, seed=8), batch("cnn")
    found = transfer_step(joint=theirs, share=0.5, batch_size=5)(net, ours, seeded(4))
    rows = torch.randint(9, (5,), generator=seeded(4))
    of_source = nn.functional.cross_entropy(source(theirs.x[rows]), theirs.y[rows])
    expected = nn.functional.cross_entropy(net(ours.x), ours.y) + 0.5 * of_source
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=0)
    gradient = torch.autograd.grad(found, next(net.source.parameters()))[0]
    assert bool(gradient.any())


def test_property_the_same_seed_gives_the_same_network_and_states_go_round():
    nets = [joined("cnn")[2] for _ in range(2)]
    x = batch("cnn").x
    assert torch.equal(nets[0](x), nets[1](x))
    other = PTUNet(network("cnn", 3), network("cnn", 4), x, generator=seeded(9))
    assert not torch.equal(other(x), nets[0](x))
    other.load_state_dict(nets[0].state_dict())
    assert torch.equal(other(x), nets[0](x))
    histories = [fit(n, batch("cnn", 12), generator=seeded(2), epochs=2, optimizer=adam(1e-2)) for n in nets]
    assert histories[0] == histories[1]
    assert torch.equal(nets[0](x), nets[1](x))


def test_oracle_gradients_of_a_small_network_by_differences():
    source, target = (mlp((3, 2, 2, 2), generator=seeded(s)) for s in (1, 2))
    net = scrambled(PTUNet(source, target, torch.rand(4, 3).double(), generator=seeded()))
    x = torch.rand(2, 3, generator=seeded(5), dtype=torch.float64)
    named = {n: p for n, p in net.named_parameters() if p.requires_grad}

    def run(*values):
        return torch.func.functional_call(net, dict(zip(named, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, tuple(named.values()))


def test_property_other_widths_sizes_and_depths():
    source = cnn((6, 5), image=(1, 16, 16), hidden=9, classes=4, generator=seeded(1))
    target = cnn((3, 8), image=(1, 8, 8), hidden=9, classes=3, generator=seeded(2))
    x = torch.rand(7, 1, 8, 8, generator=seeded(3), dtype=torch.float64)
    fixed = partial(Adapter, learn=False)
    net = PTUNet(source, target, x, source_input=InputFormat(size=(16, 16)), adapter=fixed, generator=seeded())
    assert net(x).shape == (7, 3)
    net.force(z=0.0)
    seen = source.activations(InputFormat(size=(16, 16))(x))
    assert torch.equal(net(x), target.head(seen[-1]))
    pooled = nn.functional.adaptive_avg_pool2d(seen[0], 8)
    assert torch.equal(net.activations(x)[0], pooled[:, :3])
    assert [len(list(a.parameters())) for a in net.adapters.values()] == [0, 0, 0]
    learned = PTUNet(source, target, x, source_input=InputFormat(size=(16, 16)), generator=seeded())
    assert [len(list(a.parameters())) for a in learned.adapters.values()] == [1, 1, 0]
    cross_entropy(learned, Split(x, torch.arange(7) % 3), seeded()).backward()
    assert bool(learned.adapters["0"].weight.grad.any())


def test_property_a_map_between_depths():
    source, target = mlp((12, 9, 8, 7, 3), generator=seeded(1)), mlp((12, 7, 6, 3), generator=seeded(2))
    x = batch("mlp").x
    net = PTUNet(source, target, x, pairs={0: 2}, generator=seeded())
    assert list(net.units) == ["0"]
    net.force(z=0.0)
    h = source.activations(x)[2]
    assert torch.equal(net.activations(x)[0], h)
    assert torch.equal(net(x), target.head(torch.relu(target.pre(1, h))))
    below = PTUNet(source, target, x, pairs={1: 0}, generator=seeded())
    assert below.adapters["1"].weight.shape == (6, 9)
    assert torch.equal(below.activations(x)[0], target.activations(x)[0])


def test_property_a_source_layer_that_nobody_asks_for_is_not_computed():
    source, target = mlp((12, 9, 8, 7, 3), generator=seeded(1)), mlp((12, 7, 6, 3), generator=seeded(2))
    with torch.no_grad():
        source.layers[2].weight.fill_(float("nan"))
    net = PTUNet(source, target, batch("mlp").x, pairs={0: 1}, generator=seeded())
    assert torch.isfinite(net(batch("mlp").x)).all()


def test_property_an_output_unit_blends_logits():
    source, target, net = joined("mlp", output_unit=True)
    x = batch("mlp").x
    assert list(net.units) == ["0", "1", "output"]
    net.force(z=0.0)
    assert torch.equal(net(x), source(x))
    net.force(z=1.0, r=0.0)
    assert torch.equal(net(x), target(x))
    net.force(z=0.5, r=0.0, layers=["output"])
    assert torch.equal(net(x), 0.5 * source(x) + 0.5 * target(x))
    alone = PTUNet(source, target, x, pairs={}, output_unit=True, generator=seeded())
    assert list(alone.units) == ["output"]
    assert sum(p.numel() for p in alone.units.parameters()) == 5 * 9 + 6


def test_property_dropout_is_the_targets_alone():
    net = joined("vgg11")[2].train()
    x = batch("vgg11").x
    sources = [net.sources(x) for _ in range(2)]
    assert all(torch.equal(one, other) for one, other in zip(*sources, strict=True))
    torch.manual_seed(0)
    assert not torch.equal(net(x), net(x))


def test_property_each_stream_reads_its_own_format():
    color = cnn((3,), image=(3, 8, 8), hidden=5, classes=3, generator=seeded(1))
    grey = cnn((3,), image=(1, 8, 8), hidden=5, classes=3, generator=seeded(2))
    x = torch.rand(4, 1, 8, 8, generator=seeded(3), dtype=torch.float64)
    theirs, ours = InputFormat(channels=3, mean=[0.1, 0.2, 0.3], spread=0.5), InputFormat(mean=0.4)
    net = PTUNet(color, grey, x, source_input=theirs, target_input=ours, generator=seeded())
    net.force(z=0.0)
    shown = (x.repeat(1, 3, 1, 1) - torch.tensor([0.1, 0.2, 0.3])[:, None, None].double()) / 0.5
    torch.testing.assert_close(net(x), grey.head(color.activations(shown)[-1]), rtol=1e-6, atol=1e-6)
    net.force(z=1.0, r=0.0)
    assert torch.equal(net(x), grey(x - 0.4))


def test_property_it_learns_and_can_be_evaluated():
    source, data = healthy("cnn"), digits("train")[:200]
    data, test = (Split(1 - s.x, s.y) for s in (data, digits("validation")))
    net = PTUNet(source, source, data.x, unit=partial(PTU, gate="channel"), generator=seeded())
    before = evaluate(net, test).accuracy
    history = fit(net, data, generator=seeded(), epochs=20, batch_size=20, optimizer=adam(1e-2), validation=test)
    assert history.train_loss[-1] < history.train_loss[0]
    assert evaluate(net, test).accuracy > before + 0.2


def small(*sizes, seed=0, **options):
    return mlp(sizes or (12, 7, 6, 3), generator=seeded(seed), **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: PTUNet(small(12, 7, 3), small(), x, generator=seeded()),
            r"1 layers and the target 2.*pairs=\{1: 0\}",
        ),
        (lambda x: PTUNet(small(), small(), x, pairs={2: 0}, generator=seeded()), r"target \(0 to 1\).*got 2: 0"),
        (lambda x: PTUNet(small(), small(), x, pairs={}, generator=seeded()), "no layer would carry a unit"),
        (
            lambda x: PTUNet(small(9, 7, 6, 3), small(), x, generator=seeded()),
            "source cannot read the example.*source_input",
        ),
        (lambda x: PTUNet(small(), small(9, 7, 6, 3), x, generator=seeded()), "target cannot read the example"),
        (
            lambda x: PTUNet(
                cnn((2,), image=(1, 4, 3), hidden=3, generator=seeded()), small(), x, pairs={0: 0}, generator=seeded()
            ),
            "cannot be aligned at layer 0 of the target.*pair layers of one kind",
        ),
        (
            lambda x: PTUNet(small(), small(12, 7, 6, 4), x, output_unit=True, generator=seeded()),
            "same classes, got 3 from the source and 4",
        ),
        (lambda x: PTUNet(small(dtype=torch.float32), small(), x, generator=seeded()), "must compute in one dtype"),
        (lambda x: PTUNet(small(), small(), x.float(), generator=seeded()), "the model computes in torch.float64"),
        (lambda x: PTUNet(small(), small(), x[:0], generator=seeded()), "at least one example"),
        (lambda x: PTUNet(nn.Linear(3, 3), small(), x, generator=seeded()), "need num_layers, pre, phi"),
        (lambda x: PTUNet(small(), nn.Linear(3, 3), x, generator=seeded()), "need num_layers, pre, phi"),
        (lambda x: joined("mlp")[2].force(z=2.0), "to a number from 0 to 1"),
        (lambda x: joined("mlp")[2].force(z=0.5, layers=[5]), "layer 5 carries no unit; those with one are 0, 1"),
        (lambda x: joined("mlp")[2].force(z=0.5, layers=["output"]), "layer output carries no unit"),
    ],
)
def test_error_what_cannot_be_aligned(call, message):
    with pytest.raises(ParameterError, match=message):
        call(batch("mlp").x)


def test_error_a_target_that_works_in_place():
    target = small()
    target.nonlinear[1] = nn.ReLU(inplace=True)
    with pytest.raises(ParameterError, match="inplace=False"):
        PTUNet(small(), target, batch("mlp").x, generator=seeded())
