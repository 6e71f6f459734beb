"""Two networks on one input: cross-stitch, progressive, side-tuning and the control, each written out by hand."""

from functools import partial

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, NAMES, inputs, pair, seeded, state, task, unchanged

from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import fit
from weightlore.transfer import PTU, concat, cross_stitch, progressive, side_tuning, trainable
from weightlore.transfer.blending import SideTuned
from weightlore.transfer.columns import Progressive
from weightlore.transfer.concatenation import Concatenated, matched_units
from weightlore.transfer.fitting import Setting
from weightlore.transfer.mixing import target_stream
from weightlore.transfer.stitching import CrossStitch, joint_step

WORDS = ("gru", "lstm", "sequence")
METHODS = {
    "stitch": cross_stitch,
    "stitch channels": partial(cross_stitch, per="channel"),
    "progressive": progressive,
    "side": side_tuning,
    "side every": partial(side_tuning, blends="every"),
    "concat": concat,
    "concat hidden": partial(concat, hidden=4),
}


def stirred(network, seed=5):
    """Move every parameter that is trained, so that nothing holds by chance."""
    generator = seeded(seed)
    with torch.no_grad():
        for p in network.parameters():
            if p.requires_grad:
                p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return network.eval()


def setting(name, **options):
    source, fresh = pair(name, **options)
    return Setting(source, fresh, inputs(name, 2), seeded(9))


def split(name, h):
    """Features and mark of an activation."""
    return (h[..., :-1], h[..., -1:]) if name in WORDS else (h, None)


def put(features, mark):
    return features if mark is None else torch.cat([features, mark], -1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("per", ["layer", "channel"])
def test_oracle_cross_stitch_one_way_written_out(name, per):
    source, fresh = pair(name)
    x = inputs(name)
    network = stirred(CrossStitch(source, fresh, example=x[:2], per=per))
    h, seen = x, source.activations(x)
    for l, weights in enumerate(network.weights):  # noqa: E741
        t, mark = split(name, network.target.phi(l)(network.target.pre(l, h)))
        s, _ = split(name, seen[l])
        shape = (-1,) if name in WORDS else (-1, *[1] * (t.ndim - 2))
        own, other = (weights[0, i].reshape(shape) for i in (0, 1))
        h = put(own * t + other * s, mark)
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-12)
    widths = [split(name, s)[0].shape[-1 if name in WORDS else 1] for s in seen]
    assert [w.numel() for w in network.weights] == [2 * (c if per == "channel" else 1) for c in widths]


def test_oracle_cross_stitch_both_ways_written_out():
    source, fresh = pair("mlp")
    x = inputs("mlp")
    network = stirred(CrossStitch(source, fresh, example=x[:2], joint=True))
    h = s = x
    for l, weights in enumerate(network.weights):  # noqa: E741
        t, u = (side.phi(l)(side.pre(l, z)) for side, z in ((network.target, h), (network.source, s)))
        (tt, ts), (st, ss) = weights[..., 0].tolist()
        h, s = tt * t + ts * u, st * t + ss * u
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-12)
    torch.testing.assert_close(network.forward_source(x), network.source.head(s), rtol=0, atol=1e-12)


def test_property_stitching_with_identity_is_both_networks_alone():
    source, fresh = pair("cnn")
    x = inputs("cnn")
    for joint in (False, True):
        network = CrossStitch(source, fresh, example=x[:2], joint=joint, start=(1.0, 0.0)).eval()
        assert torch.equal(network(x), fresh(x))
        assert torch.equal(network.forward_source(x), source(x))


@pytest.mark.parametrize("name", NAMES)
def test_oracle_progressive_beside_written_out(name):
    source, fresh = pair(name)
    x = inputs(name)
    network = stirred(Progressive(source, fresh, example=x[:2]))
    h = x
    for l, (s, lateral) in enumerate(zip(source.activations(x), network.laterals, strict=True)):  # noqa: E741
        a, mark = split(name, network.target.pre(l, h))
        matrix = lateral.weight.flatten(1)
        added = torch.einsum("oi,ni...->no..." if name not in WORDS else "oi,nti->nto", matrix, split(name, s)[0])
        h = network.target.phi(l)(put(a + added, mark))
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_oracle_progressive_beside_is_the_unit_with_open_gates(name):
    """z = 1, r = 1: the candidate with all of the source let in."""
    source, fresh = pair(name)
    x = inputs(name)
    network = stirred(Progressive(source, fresh, example=x[:2]))
    h = x
    for l, (p, lateral) in enumerate(zip(source.activations(x), network.laterals, strict=True)):  # noqa: E741
        unit = PTU(p.shape[1], network.target.phi(l), spatial=p.ndim == 4, generator=seeded())
        unit.force(z=1.0, r=1.0)
        unit.inject.data.copy_(lateral.weight.flatten(1))
        h = unit(p, network.target.pre(l, h))
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["mlp", "mlp normalized", "cnn"])
def test_oracle_progressive_from_below_is_one_wider_layer(name):
    """W h + U s is the layer with the weight [W, U] on [h, s]."""
    source, fresh = pair(name)
    x = inputs(name)
    network = stirred(Progressive(source, fresh, example=x[:2], lateral="below"))
    target, h, seen = network.target, x, [None, *source.activations(x)]
    for l in range(target.num_layers):  # noqa: E741
        a = target.pre(l, h)
        if l:
            entered = target.entries[l](seen[l])
            entered = entered.flatten(1) if target.flattens[l] else entered
            by = torch.nn.functional.linear if target.flattens[l] else partial(torch.nn.functional.conv2d, padding=1)
            a = a + by(entered, network.laterals[l].weight)
        h = target.phi(l)(a)
    torch.testing.assert_close(network(x), target.head(h), rtol=0, atol=1e-12)
    assert all(p.requires_grad for lateral in network.laterals for p in lateral.parameters())
    assert sum(p.numel() for p in network.laterals.parameters()) == sum(
        layer.weight.numel() for layer in list(target.layers)[1:]
    )


@pytest.mark.parametrize("lateral", ["same", "below"])
def test_property_a_new_column_starts_as_the_target_alone(lateral):
    source, fresh = pair("cnn")
    network = Progressive(source, fresh, example=inputs("cnn", 2), lateral=lateral).eval()
    assert torch.equal(network(inputs("cnn")), fresh(inputs("cnn")))
    network(inputs("cnn")).square().sum().backward()
    used = list(network.laterals)[0 if lateral == "same" else 1 :]
    assert all(bool((p.grad != 0).any()) for module in used for p in module.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("blends", ["last", "every"])
def test_oracle_side_tuning_written_out(name, blends):
    source, fresh = pair(name)
    x = inputs(name)
    network = stirred(SideTuned(source, fresh, example=x[:2], blends=blends, start=0.8))
    h, z = x, [1.0] * (source.num_layers - len(network.blend)) + torch.sigmoid(network.blend).tolist()
    for l, s in enumerate(source.activations(x)):  # noqa: E741
        t, mark = split(name, network.target.phi(l)(network.target.pre(l, h)))
        h = put(z[l] * t + (1 - z[l]) * split(name, s)[0], mark)
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-12)


def test_oracle_side_tuning_is_the_scalar_unit_without_injection():
    source, fresh = pair("cnn")
    x = inputs("cnn")
    network = stirred(SideTuned(source, fresh, example=x[:2], blends="every"))
    h = x
    for l, p in enumerate(source.activations(x)):  # noqa: E741
        unit = PTU(
            p.shape[1],
            network.target.phi(l),
            spatial=p.ndim == 4,
            gate="scalar",
            inject="none",
            bias_update=network.blend[l].item(),
            generator=seeded(),
        )
        h = unit(p, network.target.pre(l, h))
    torch.testing.assert_close(network(x), network.target.head(h), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hidden", [0, 4])
def test_oracle_concatenated_features_written_out(name, hidden):
    source, fresh = pair(name)
    x = inputs(name)
    options = {"classes": 5, "example": x[:2], "hidden": hidden, "generator": seeded()}
    network = stirred(Concatenated(source, fresh, **options))
    assert network(x).shape == (len(x), 5)
    read = []
    for side in (source, fresh):  # what a readout reads, found by a readout that is the identity
        width = side.readout.in_features
        kept = side.readout
        side.readout = torch.nn.Linear(width, width).double()
        side.readout.weight.data.copy_(torch.eye(width))
        side.readout.bias.data.zero_()
        read.append(side(x))
        side.readout = kept
    network = Concatenated(source, fresh, **options).eval()
    torch.testing.assert_close(network(x), network.joined(torch.cat(read, 1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20", "gru"])
@pytest.mark.parametrize("more", [40, 100, 777])
def test_property_the_control_has_as_many_parameters_to_the_nearest_unit(name, more):
    source, fresh = pair(name)
    count = trainable(fresh) + more
    units = matched_units(count, source=source, target=fresh, classes=3)
    made = [
        Concatenated(source, fresh, classes=3, example=inputs(name, 2), hidden=hidden, generator=seeded())
        for hidden in (units, units + 1, max(units - 1, 1))
    ]
    gaps = [abs(trainable(network) - count) for network in made]
    assert gaps[0] == min(gaps)
    step = source.readout.in_features + fresh.readout.in_features + 1 + 3
    assert gaps[0] <= step / 2
    told = concat(Setting(source, fresh, inputs(name, 2), seeded()), match=count)
    assert trainable(told.network) == trainable(made[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_property_source_and_fresh_network_are_left_and_all_that_is_trained_moves(name, method):
    given = setting(name)
    kept = state(given.source), state(given.fresh)
    plan = METHODS[method](given)
    network = plan.network
    assert trainable(network.source) == 0
    start, theirs = state(network), state(network.source)
    fit(network, task(name), step=plan.step, generator=seeded(), epochs=3)
    assert unchanged(given.source, kept[0])
    assert unchanged(given.fresh, kept[1])
    assert unchanged(network.source, theirs)
    assert all(p.requires_grad for p in given.source.parameters())
    moved = [not torch.equal(p, start[n]) for n, p in network.named_parameters() if p.requires_grad]
    assert sum(moved) > 0.7 * len(moved)  # a small ReLU layer may be dead
    assert all(not torch.equal(network.get_parameter(n), start[n]) for n in plan.gates)
    assert not network.train().source.training


@pytest.mark.parametrize("method", METHODS)
def test_property_a_method_is_decided_by_its_setting(method):
    one, other = (METHODS[method](setting("cnn")).network for _ in range(2))
    assert unchanged(other, state(one))
    other.load_state_dict(state(stirred(one)))
    assert torch.equal(other.eval()(inputs("cnn")), one(inputs("cnn")))


@pytest.mark.parametrize("start", ["source", "random"])
@pytest.mark.parametrize("head", ["source", "new"])
def test_property_the_target_stream_starts_where_told(start, head):
    given = setting("cnn")
    x = inputs("cnn")
    made = target_stream(given, start=start, head=head)
    layers, readout = (given.source if told == "source" else given.fresh for told in (start, head))
    assert torch.equal(made.activations(x)[-1], layers.activations(x)[-1])
    assert torch.equal(made.head(layers.activations(x)[-1]), readout.head(layers.activations(x)[-1]))
    assert trainable(made) == trainable(given.fresh)


@pytest.mark.parametrize("both", [False, True])
def test_property_stitches_start_with_a_share_of_the_own_and_the_rest_of_the_other(both):
    theirs = task("mlp", 9, seed=4) if both else None
    for weights in cross_stitch(setting("mlp"), own=0.8, joint=theirs).network.weights:
        target, *source = weights.detach().reshape(-1, 2)
        assert target.tolist() == pytest.approx([0.8, 0.2])
        assert [row.tolist() for row in source] == ([pytest.approx([0.2, 0.8])] if both else [])


def test_property_joint_training_lowers_both_losses_and_leaves_the_given_source():
    given = setting("cnn")
    kept = state(given.source)
    theirs, ours = task("cnn", 30, seed=4), task("cnn", 12)
    plan = cross_stitch(given, joint=theirs, share=0.5)

    def losses():
        network = plan.network.eval()
        with torch.no_grad():
            return [
                float(torch.nn.functional.cross_entropy(logits, data.y))
                for logits, data in ((network(ours.x), ours), (network.forward_source(theirs.x), theirs))
            ]

    before = losses()
    fit(plan.network, ours, step=plan.step, generator=seeded(), epochs=40)
    assert all(late < early for late, early in zip(losses(), before, strict=True))
    assert unchanged(given.source, kept)
    assert trainable(plan.network) > trainable(cross_stitch(given).network)


@pytest.mark.parametrize(("options", "share"), [({"share": 0.25}, 0.25), ({}, 1.0)])
def test_oracle_joint_loss_of_one_batch(options, share):
    given, theirs, ours = setting("mlp"), task("mlp", 9, seed=4), task("mlp", 6)
    plan = cross_stitch(given, joint=theirs, **options)
    network = plan.network.eval()
    loss = plan.step(network, ours, seeded(3))
    rows = torch.randint(9, (64,), generator=seeded(3))
    cross = torch.nn.functional.cross_entropy
    expected = cross(network(ours.x), ours.y) + share * cross(network.forward_source(theirs.x[rows]), theirs.y[rows])
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-14)


def other_width(generator):
    return cnn((3, 6), hidden=5, classes=3, generator=generator)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossStitch(*pair("mlp"), example=inputs("mlp"), per="unit"), "'layer' or 'channel'"),
        (lambda: CrossStitch(pair("cnn")[0], other_width(seeded()), example=inputs("cnn")), "same function"),
        (lambda: Progressive(*pair("resnet20"), example=inputs("resnet20"), lateral="below"), "lateral='same'"),
        (lambda: Progressive(*pair("mlp"), example=inputs("mlp"), lateral="above"), "'same' or 'below'"),
        (lambda: SideTuned(*pair("mlp"), example=inputs("mlp"), start=1.0), "share within 0 and 1"),
        (lambda: SideTuned(*pair("mlp"), example=inputs("mlp"), blends="first"), "'last' or 'every'"),
        (lambda: concat(setting("mlp"), hidden=-1), "at least 0"),
        (lambda: concat(setting("mlp"), hidden=3, match=500), "not both"),
        (lambda: concat(setting("mlp"), match=20), "hidden=0"),
        (lambda: target_stream(setting("mlp"), start="new", head="new"), "'source' or 'random'"),
        (lambda: joint_step(task("mlp"), share=-1.0), "share >= 0"),
        (lambda: joint_step(task("mlp")[:0]), "source examples"),
        (lambda: joint_step(task("mlp"))(MAKES["mlp"](generator=seeded()), task("mlp"), seeded()), "CrossStitch"),
        (lambda: Concatenated(torch.nn.Linear(6, 3), mlp(generator=seeded()), classes=3, example=None,
                              generator=seeded()), "Linear"),
    ],
)  # fmt: skip
def test_error_what_does_not_fit(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_limit_laterals_join_networks_of_other_widths():
    source = cnn((3, 6), hidden=5, classes=3, generator=seeded())
    _, fresh = pair("cnn")
    network = Progressive(source, fresh, example=inputs("cnn", 2)).eval()
    assert [tuple(lateral.weight.shape[:2]) for lateral in network.laterals] == [(3, 3), (4, 6), (5, 5)]
    assert torch.equal(network(inputs("cnn")), fresh(inputs("cnn")))
