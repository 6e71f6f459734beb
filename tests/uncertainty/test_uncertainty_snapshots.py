"""Learning rates in cycles, and members from one training."""

import math

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import fit, sgd
from weightlore.uncertainty.ensembles import (
    FastGeometricEnsemble,
    SnapshotEnsemble,
    cyclic_cosine,
    fit_fast_geometric,
    fit_snapshots,
    per_step,
    triangular,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(n=48):
    y = torch.arange(n) % 3
    x = torch.randn(n, 4, generator=seeded(1), dtype=torch.float64)
    x[:, :3] += 2 * nn.functional.one_hot(y, 3)
    return Split(x, y)


def small(seed=0):
    return mlp((4, 8, 3), generator=seeded(seed))


def test_oracle_cosine_of_the_paper():
    steps, cycles, lr = 47, 5, 0.3
    for t in range(1, steps + 1):
        length = math.ceil(steps / cycles)
        wanted = lr / 2 * (math.cos(math.pi * math.fmod(t - 1, length) / length) + 1)
        assert cyclic_cosine(t, steps, cycles, lr=lr) == pytest.approx(wanted, rel=1e-12)


def test_property_cosine_starts_again_at_the_top_and_ends_near_zero():
    rates = [cyclic_cosine(t, 400, 4, lr=0.2) for t in range(1, 401)]
    tops = [number for number, rate in enumerate(rates) if rate == 0.2]
    assert tops == [0, 100, 200, 300]
    assert all(rates[top + 99] < 0.2 * 0.001 for top in tops)
    assert all(
        one > other
        for top in tops
        for one, other in zip(rates[top : top + 99], rates[top + 1 : top + 100], strict=True)
    )


def test_oracle_triangle():
    rates = [triangular(i, 8, high=1.0, low=0.2) for i in range(1, 17)]
    down, up = [0.8, 0.6, 0.4, 0.2], [0.4, 0.6, 0.8, 1.0]
    assert rates == pytest.approx(2 * (down + up))


def test_property_rates_are_set_before_every_step():
    seen, told = [], []
    maker = per_step(sgd(0.5), lambda t: 1 / t, after=told.append)

    def made(parameters):
        tuner = maker(parameters)
        tuner.register_step_pre_hook(lambda tuner, args, kwargs: seen.append(tuner.param_groups[0]["lr"]))
        return tuner

    fit(small(), blobs(), generator=seeded(), epochs=2, batch_size=16, optimizer=made, schedule=None)
    assert seen == pytest.approx([0.5 / t for t in range(1, 7)])
    assert told == list(range(1, 7))


def test_oracle_snapshots_are_the_network_at_the_ends_of_the_cycles():
    model, copies = small(), []
    found = fit_snapshots(model, blobs(), generator=seeded(3), cycles=3, cycle_epochs=2, batch_size=20)
    other = small()
    steps = 3 * 2 * 3
    fit(
        other,
        blobs(),
        generator=seeded(3),
        epochs=6,
        batch_size=20,
        optimizer=per_step(sgd(0.1, momentum=0.9), lambda t: cyclic_cosine(t, steps, 3)),
        schedule=None,
        callbacks=[lambda epoch: copies.append(flatten(other))],
    )
    assert isinstance(found, SnapshotEnsemble)
    assert len(found) == 3
    for member, theta in zip(found.members, copies[1::2], strict=True):
        assert torch.equal(flatten(member), theta)
    assert torch.equal(flatten(found.members[-1]), flatten(model))
    assert not any(module.training for member in found.members for module in member.modules())


def test_property_snapshots_differ_and_stay_when_training_goes_on():
    model = small()
    found = fit_snapshots(model, blobs(), generator=seeded(), cycles=2, cycle_epochs=2, batch_size=16)
    before = [flatten(member) for member in found.members]
    fit(model, blobs(), generator=seeded(), epochs=1)
    assert all(torch.equal(flatten(member), theta) for member, theta in zip(found.members, before, strict=True))
    assert not torch.equal(*before)
    assert found.predict(blobs().x).members == 2


def test_property_the_last_snapshots():
    members = tuple(small(s) for s in range(4))
    assert SnapshotEnsemble(members).last(3).members == members[1:]
    assert SnapshotEnsemble(members).last(4).members == members
    for count in (0, 5):
        with pytest.raises(ParameterError, match=r"last 5|at least 1"):
            SnapshotEnsemble(members).last(count)


def test_oracle_fast_geometric_members_are_taken_in_the_middle_of_the_cycles():
    model, thetas = small(), []
    found = fit_fast_geometric(
        model, blobs(), generator=seeded(2), members=3, cycle_epochs=2, batch_size=16, lowest=0.1
    )
    other = small()
    maker = per_step(
        sgd(0.05, momentum=0.9),
        lambda t: triangular(t, 6, high=1.0, low=0.1),
        after=lambda t: thetas.append(flatten(other)),
    )
    fit(other, blobs(), generator=seeded(2), epochs=6, batch_size=16, optimizer=maker, schedule=None)
    assert isinstance(found, FastGeometricEnsemble)
    for member, theta in zip(found.members, thetas[2::6], strict=True):
        assert torch.equal(flatten(member), theta)


def test_limit_one_cycle_of_one_epoch():
    assert len(fit_snapshots(small(), blobs(), generator=seeded(), cycles=1, cycle_epochs=1)) == 1


def test_error_rates_and_counts_out_of_range():
    with pytest.raises(ParameterError, match="counted from 1 to 4"):
        cyclic_cosine(5, 4, 2)
    with pytest.raises(ParameterError, match="step must be a whole number"):
        cyclic_cosine(0, 4, 2)
    with pytest.raises(ParameterError, match="even number of steps, got 3"):
        triangular(1, 3, high=1.0, low=0.5)
    with pytest.raises(ParameterError, match="0 < low <= high"):
        triangular(1, 4, high=0.1, low=0.5)
    with pytest.raises(ParameterError, match="even number of steps, got 3"):
        fit_fast_geometric(small(), blobs(), generator=seeded(), cycle_epochs=1, batch_size=16)
    with pytest.raises(ParameterError, match="cycles must be a whole number"):
        fit_snapshots(small(), blobs(), generator=seeded(), cycles=0)
