"""One procedure for all methods, and fine-tuning with its variants, against loops written by hand."""

from functools import partial

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, inputs, pair, seeded, state, task, unchanged
from torch import nn

from weightlore.data import Split, digits, few_labels
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.transfer import (
    Plan,
    Setting,
    TransferRecipe,
    chosen,
    concat,
    cross_stitch,
    fine_tune,
    fit_transfer,
    l2_sp,
    progressive,
    reinitialized,
    scratch,
    share_first,
    sharing,
    side_tuning,
    trainable,
)
from weightlore.transfer.fitting import _optimizer, spawned

METHODS = {
    "scratch": scratch,
    "sharing": sharing,
    "share first": partial(share_first, k=1),
    "fine-tune": fine_tune,
    "fine-tune head": partial(fine_tune, head="source"),
    "reinitialized": partial(reinitialized, k=1),
    "l2-sp": l2_sp,
    "stitch": cross_stitch,
    "progressive": progressive,
    "side": side_tuning,
    "concat": concat,
}
SHORT = TransferRecipe(epochs=2, batch_size=5, clip=5.0)


def fitted(name, method, *, seed=3, recipe=SHORT, source=None, **options):
    source = pair(name)[0] if source is None else source
    return fit_transfer(source, task(name), method, make=MAKES[name], generator=seeded(seed), recipe=recipe, **options)


def by_hand(network, data, *, lr=0.01, decay=0.01, epochs=3, seed=3, penalty=lambda: 0.0):
    """Full-batch AdamW, written out: moments, corrections and decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    network.train()
    for t in range(1, epochs + 1):
        loss = nn.functional.cross_entropy(network(data.x), data.y) + penalty()
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
                p.mul_(1 - lr * decay)
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g * g)
                p.sub_(lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
    return network.eval()


def fresh_of(name, seed=3):
    """The fresh network that a run with this seed starts from."""
    return MAKES[name](generator=spawned(seeded(seed)))


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20", "sequence"])
def test_oracle_fine_tuning_by_hand(name):
    source, _ = pair(name)
    recipe = TransferRecipe(epochs=3, lr=0.01)
    found = fitted(name, fine_tune, source=source, recipe=recipe).network
    network, fresh = pair(name)[0], fresh_of(name)
    network.readout = fresh.readout
    by_hand(network, task(name))
    x = inputs(name, 5, seed=8)
    torch.testing.assert_close(found(x), network(x), rtol=0, atol=1e-7)
    assert not torch.allclose(found(x), source(x), atol=1e-2)


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20", "sequence"])
def test_oracle_sharing_by_hand_is_a_readout_on_fixed_features(name):
    source, _ = pair(name)
    found = fitted(name, sharing, source=source, recipe=TransferRecipe(epochs=3, lr=0.01)).network
    network, fresh = pair(name)[0], fresh_of(name)
    network.readout = nn.Identity()
    with torch.no_grad():
        known = network.eval()(task(name).x)
    readout = by_hand(fresh.readout, Split(known, task(name).y))
    x = inputs(name, 5, seed=8)
    torch.testing.assert_close(found(x), readout(network(x)), rtol=0, atol=1e-9)


def test_oracle_share_first_and_reinitialized_by_hand():
    x, recipe = inputs("cnn", 5, seed=8), TransferRecipe(epochs=3, lr=0.01)
    for k in range(4):
        shared, fresh = pair("cnn")[0], fresh_of("cnn")
        again, other = fresh_of("cnn"), pair("cnn")[0]
        shared.readout = fresh.readout
        for place in range(k):
            shared.layers[place].requires_grad_(False)
            again.layers[place] = other.layers[place]
        for method, network in ((share_first, shared), (reinitialized, again)):
            found = fitted("cnn", partial(method, k=k), recipe=recipe).network
            torch.testing.assert_close(found(x), by_hand(network, task("cnn"))(x), rtol=0, atol=1e-7)


def test_oracle_the_penalty_towards_the_source_by_hand():
    recipe = TransferRecipe(epochs=3, lr=0.01)
    found = fitted("cnn", partial(l2_sp, strength=0.7, head_strength=0.2), recipe=recipe).network
    network, source = pair("cnn")
    network.readout, source = fresh_of("cnn").readout, pair("cnn")[0]

    def penalty():
        pairs = zip(network.layers.parameters(), source.layers.parameters(), strict=True)
        held = sum((w - w0.detach()).square().sum() for w, w0 in pairs)
        return 0.35 * held + 0.1 * sum(w.square().sum() for w in network.readout.parameters())

    by_hand(network, task("cnn"), decay=0.0, penalty=penalty)
    x = inputs("cnn", 5, seed=8)
    torch.testing.assert_close(found(x), network(x), rtol=0, atol=1e-7)


def test_limit_the_penalty_from_nothing_to_everything():
    source = pair("cnn")[0]
    recipe = TransferRecipe(epochs=60, lr=3e-3, weight_decay=0.0)
    near, far, plain = (
        fitted("cnn", method, source=source, recipe=recipe).network.network
        for method in (partial(l2_sp, strength=1e4), partial(l2_sp, strength=0.0, head_strength=0.0), fine_tune)
    )
    assert unchanged(far, state(plain))

    def distance(network):
        pairs = zip(network.layers.parameters(), source.layers.parameters(), strict=True)
        return float(sum((w - w0).square().sum() for w, w0 in pairs).detach() ** 0.5)

    assert distance(near) < 0.05 * distance(far)


@pytest.mark.parametrize("name", ["cnn", "resnet20", "gru"])
@pytest.mark.parametrize("method", METHODS)
def test_property_source_is_left_and_the_seed_decides(name, method):
    source = pair(name)[0].train()
    kept, data = state(source), task(name)
    one, same, other = (fitted(name, METHODS[method], seed=seed, source=source) for seed in (3, 3, 4))
    assert unchanged(source, kept)
    assert all(module.training for module in source.modules())
    assert all(p.grad is None and p.requires_grad for p in source.parameters())
    assert torch.equal(data.x, task(name).x)
    assert unchanged(one.network, state(same.network))
    assert one.history == same.history
    assert not unchanged(other.network, state(one.network))
    assert one.trainable == trainable(one.network) > 0
    assert one.accuracy is None
    assert not one.network.training


def test_property_all_methods_see_the_same_fresh_network_and_the_same_batches():
    seen = {}

    def spying(method, name):
        def planned(setting: Setting) -> Plan:
            plan = method(setting)
            torch.rand(3, generator=setting.generator)

            def step(model, batch, generator):
                seen.setdefault(name, [state(setting.fresh)]).append(batch.x)
                return plan.step(model, batch, generator)

            return Plan(plan.network, step, plan.gates, plan.decay)

        return planned

    for name, method in METHODS.items():
        fitted("cnn", spying(method, name))
    first = seen.pop("scratch")
    assert len(first) == 1 + 2 * 3
    for others in seen.values():
        assert all(torch.equal(others[0][n], tensor) for n, tensor in first[0].items())
        assert all(torch.equal(a, b) for a, b in zip(others[1:], first[1:], strict=True))


def test_property_the_generator_advances_alike_whatever_the_method():
    left = []
    for method in (scratch, partial(concat, hidden=3), partial(cross_stitch, joint=task("mlp"))):
        generator = seeded(1)
        fit_transfer(pair("mlp")[0], task("mlp"), method, make=MAKES["mlp"], generator=generator, recipe=SHORT)
        left.append(generator.get_state())
    assert torch.equal(left[0], left[1])
    assert torch.equal(left[0], left[2])


def test_property_counts_of_trained_parameters():
    def count(method):
        return fitted("cnn", method).trainable

    readout, whole = 5 * 3 + 3, trainable(MAKES["cnn"](generator=seeded()))
    first = 3 * 9 + 3
    assert count(sharing) == readout
    assert count(partial(share_first, k=1)) == count(partial(share_first, k=1, above="random")) == whole - first
    assert count(scratch) == count(fine_tune) == count(l2_sp) == count(partial(reinitialized, k=2)) == whole
    assert count(cross_stitch) == whole + 3 * 2
    assert count(partial(cross_stitch, per="channel")) == whole + 2 * (3 + 4 + 5)
    assert count(progressive) == whole + 3 * 3 + 4 * 4 + 5 * 5
    assert count(side_tuning) == whole + 1
    assert count(partial(side_tuning, blends="every")) == whole + 3
    assert count(concat) == whole + 5 * 3
    assert count(partial(cross_stitch, joint=task("cnn"))) == 2 * whole + 3 * 4


def test_property_share_first_from_end_to_end():
    everything, nothing = (fitted("cnn", partial(share_first, k=k)).network for k in (3, 0))
    assert unchanged(everything, state(fitted("cnn", sharing).network))
    assert unchanged(nothing, state(fitted("cnn", fine_tune).network))
    assert unchanged(fitted("cnn", partial(reinitialized, k=0)).network, state(fitted("cnn", scratch).network))
    assert unchanged(fitted("cnn", partial(reinitialized, k=3)).network, state(fitted("cnn", fine_tune).network))
    mixed = fitted("cnn", partial(chosen, states=["frozen", "random", "random"])).network
    assert unchanged(fitted("cnn", partial(share_first, k=1, above="random")).network, state(mixed))


def optimizer_for(plan, recipe):
    return _optimizer(plan, recipe)([p for p in plan.network.parameters() if p.requires_grad])


def test_property_gates_have_their_own_rate_and_no_decay():
    recipe = TransferRecipe(lr=1e-3, gate_factor=10.0, weight_decay=0.5)
    plan = side_tuning(Setting(*pair("mlp"), inputs("mlp", 2), seeded()))

    def groups(plan):
        return [(len(g["params"]), g["lr"], g["weight_decay"]) for g in optimizer_for(plan, recipe).param_groups]

    assert groups(plan) == [(6, 1e-3, 0.5), (1, 1e-2, 0.0)]
    assert groups(Plan(plan.network, gates=plan.gates, decay=False)) == [(6, 1e-3, 0.0), (1, 1e-2, 0.0)]
    assert groups(Plan(plan.network)) == [(7, 1e-3, 0.5)]


@pytest.mark.parametrize("bound", [0.5, None])
def test_oracle_the_gradient_is_bounded_as_a_whole(bound):
    plan = fine_tune(Setting(*pair("mlp"), inputs("mlp", 2), seeded()))
    tuner = optimizer_for(plan, TransferRecipe(clip=bound))
    every = list(plan.network.parameters())
    for place, p in enumerate(every):
        p.grad = torch.full_like(p, place + 1.0)
    given = torch.cat([p.grad.flatten() for p in every])
    tuner.step()
    found = torch.cat([p.grad.flatten() for p in every])
    torch.testing.assert_close(found, given if bound is None else bound * given / given.norm(), rtol=1e-6, atol=0)


def test_property_patience_goes_back_to_the_best_and_accuracy_is_that_of_the_validation_data():
    train, validation = (digits(part, images=True) for part in ("train", "validation"))
    few = few_labels(train, 1, generator=seeded())
    make = partial(mlp, (64, 8, 10))
    recipe = TransferRecipe(epochs=80, lr=0.02, patience=5)
    found = fit_transfer(
        make(generator=seeded()), few, scratch, make=make, generator=seeded(1), validation=validation, recipe=recipe
    )
    assert found.history.stopped == "patience"
    accuracies = found.history.validation_accuracy
    assert found.accuracy == accuracies[found.history.best_epoch - 1]
    assert found.accuracy == (found.network(validation.x).argmax(1) == validation.y).double().mean()


def test_limit_other_classes_in_the_target():
    make = partial(mlp, (6, 5, 4, 7))
    data = Split(inputs("mlp", 14), torch.arange(14) % 7)
    for method in (*METHODS.values(),):
        if method is not METHODS["fine-tune head"]:
            found = fit_transfer(pair("mlp")[0], data, method, make=make, generator=seeded(), recipe=SHORT)
            assert found.network(data.x).shape == (14, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be"),
        ({"gate_factor": -1.0}, "gate_factor must be"),
        ({"clip": 0.0}, "clip must be"),
        ({"weight_decay": float("nan")}, "weight_decay must be"),
    ],
)
def test_error_a_recipe_out_of_range(options, message):
    with pytest.raises(ParameterError, match=message):
        TransferRecipe(**options)


def test_error_methods_that_do_not_fit():
    with pytest.raises(ParameterError, match="between 0 and 3, got 4"):
        fitted("cnn", partial(share_first, k=4))
    with pytest.raises(ParameterError, match="between 0 and 3, got -1"):
        fitted("cnn", partial(reinitialized, k=-1))
    with pytest.raises(ParameterError, match="head_strength must be"):
        fitted("cnn", partial(l2_sp, head_strength=-1.0))
    with pytest.raises(ParameterError, match="strength must be"):
        fitted("cnn", partial(l2_sp, strength=float("inf")))
    with pytest.raises(ParameterError, match="got a Linear"):
        fit_transfer(nn.Linear(6, 3), task("mlp"), scratch, make=MAKES["mlp"], generator=seeded())
    with pytest.raises(ParameterError, match="class numbers from 0 to 2"):
        fit_transfer(
            pair("mlp")[0], task("mlp", classes=4), fine_tune, make=MAKES["mlp"], generator=seeded(), recipe=SHORT
        )
