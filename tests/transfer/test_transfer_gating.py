"""Transfer units through the common procedure: with forced gates they are the baselines, also after training."""

from functools import partial

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, inputs, pair, seeded, state, task, unchanged

from weightlore.transfer import (
    PTU,
    Plan,
    Setting,
    TransferRecipe,
    concat,
    fine_tune,
    fit_transfer,
    gate_table,
    parameter_count,
    progressive,
    scratch,
    share_first,
    sharing,
    trainable,
    transfer_units,
)
from weightlore.transfer.network import PTUNet
from weightlore.transfer.recurrent import PTURecurrent

RECIPE = TransferRecipe(epochs=10, lr=0.01)
NAMES = ["mlp", "cnn", "resnet20", "gru", "lstm", "sequence"]


def fitted(name, method, *, recipe=RECIPE, **options):
    source = pair(name)[0]
    return fit_transfer(source, task(name), method, make=MAKES[name], generator=seeded(3), recipe=recipe, **options)


def forced(first, **options):
    """Units whose gates are shut in the first layers and, above, open for the target alone."""

    def method(setting: Setting) -> Plan:
        plan = transfer_units(setting, **options)
        stirred(plan.network.units)
        for place, name in enumerate(plan.network.units):
            layer = int(str(name).split("_")[0])
            shut = layer < first
            list(plan.network.units.values())[place].force(z=0.0 if shut else 1.0, r=None if shut else 0.0)
        return plan

    return method


def stirred(module):
    generator = seeded(5)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype))


@pytest.mark.parametrize("name", NAMES)
def test_oracle_open_gates_are_fine_tuning_after_ten_steps_too(name):
    units, plain = (fitted(name, method).network for method in (forced(0), fine_tune))
    x = inputs(name, 7, seed=9)
    torch.testing.assert_close(units(x), plain(x), rtol=0, atol=1e-6)
    for n, tensor in plain.network.state_dict().items():
        torch.testing.assert_close(units.target.state_dict()[n], tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_oracle_open_gates_on_a_fresh_target_are_scratch_after_ten_steps_too(name):
    units, plain = (fitted(name, method).network for method in (forced(0, start="random"), scratch))
    x = inputs(name, 7, seed=9)
    torch.testing.assert_close(units(x), plain(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "cnn", "gru", "lstm"])
def test_oracle_shut_gates_below_are_the_first_layers_shared_for_every_k(name):
    x = inputs(name, 7, seed=9)
    for k in range(pair(name)[0].num_layers + 1):
        units, plain = (fitted(name, method).network for method in (forced(k), partial(share_first, k=k)))
        torch.testing.assert_close(units(x), plain(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", ["new", "source"])
def test_oracle_shut_gates_are_sharing_bit_for_bit(name, head):
    source, fresh = pair(name)
    setting, x = Setting(source, fresh, inputs(name, 2), seeded()), inputs(name)
    units = forced(source.num_layers, head=head)(setting).network.eval()
    assert torch.equal(units(x), sharing(setting, head=head).network(x))


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20"])
def test_oracle_reuse_everything_is_a_progressive_column(name):
    source, fresh = pair(name)
    setting, x = Setting(source, fresh, inputs(name, 2), seeded()), inputs(name)
    column = progressive(setting, start="source").network.eval()
    stirred(column.laterals)
    units = transfer_units(setting).network.eval()
    for lateral, unit in zip(column.laterals, units.units.values(), strict=True):
        unit.inject.data.copy_(lateral.weight.flatten(1))
        unit.force(z=1.0, r=1.0)
    torch.testing.assert_close(units(x), column(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_property_source_left_seed_decides_and_gates_told(name):
    source = pair(name)[0]
    kept = state(source)
    options = {"make": MAKES[name], "recipe": TransferRecipe(epochs=2, batch_size=5)}
    one, same, other = (
        fit_transfer(source, task(name), transfer_units, generator=seeded(seed), **options) for seed in (3, 3, 4)
    )
    assert unchanged(source, kept)
    assert isinstance(one.network, PTURecurrent if name in ("gru", "lstm", "sequence") else PTUNet)
    assert unchanged(one.network.source, kept)
    assert unchanged(same.network, state(one.network))
    assert not unchanged(other.network, state(one.network))
    again = gate_table(one.network, task(name))
    assert one.gates.units == again.units
    assert all(torch.equal(a, b) for a, b in zip(one.gates.update, again.update, strict=True))
    assert not one.network.training


def test_property_asking_the_source_once_changes_no_number():
    def asking(setting):
        plan = transfer_units(setting)
        assert plan.cache
        return Plan(plan.network, plan.step, plan.gates)

    x = inputs("cnn", 7, seed=9)
    recipe = TransferRecipe(epochs=5, batch_size=5, patience=3)
    fast, slow = (
        fitted("cnn", method, recipe=recipe, validation=task("cnn", 9, seed=6)) for method in (transfer_units, asking)
    )
    torch.testing.assert_close(fast.network(x), slow.network(x), rtol=0, atol=1e-12)
    assert fast.accuracy == slow.accuracy
    assert fast.history.best_epoch == slow.history.best_epoch


@pytest.mark.parametrize("gate", ["scalar", "channel", "channel-diag", "channel-pooled", "dense"])
def test_property_the_control_matches_every_granularity(gate):
    units = fitted("cnn", partial(transfer_units, unit=partial(PTU, gate=gate)))
    whole = trainable(MAKES["cnn"](generator=seeded()))
    assert units.trainable == whole + sum(parameter_count(c, gate=gate) for c in (3, 4, 5))
    control = fitted("cnn", partial(concat, match=units.trainable))
    assert abs(control.trainable - units.trainable) <= (5 + 5 + 1 + 3) / 2


def test_property_joint_training_moves_a_copy_of_the_source():
    source = pair("cnn")[0]
    kept = state(source)
    method = partial(transfer_units, joint=task("cnn", 20, seed=4), share=0.5)
    found = fit_transfer(source, task("cnn"), method, make=MAKES["cnn"], generator=seeded(), recipe=RECIPE)
    assert unchanged(source, kept)
    assert not unchanged(found.network.source, kept)


def test_property_a_prior_keeps_the_gates_nearer_to_the_source():
    free, held = (
        fitted("cnn", partial(transfer_units, start="random", prior=prior), recipe=TransferRecipe(epochs=60))
        for prior in (0.0, 3.0)
    )
    means = [sum(z for z, _ in found.gates.by_unit().values()) for found in (free, held)]
    assert means[1] < means[0] - 0.1


def test_property_gates_have_their_own_rate():
    """AdamW's first step is as long as the rate, unless a gate is dead, as all are beside a copy of the source."""

    def moved(factor, start):
        recipe = TransferRecipe(epochs=1, gate_factor=factor)
        units = fitted("cnn", partial(transfer_units, start=start), recipe=recipe).network.units
        biases = torch.cat([unit.gates.bias.detach() for unit in units.values()])
        return float((biases - biases.round()).abs().max())  # they start at 2 and at 0

    assert moved(1.0, "random") == pytest.approx(3e-3, rel=0.02)
    assert moved(10.0, "random") == pytest.approx(3e-2, rel=0.02)
    assert moved(10.0, "source") < 1e-6
