"""Members trained together: each is what it would have become alone, and what cannot be together is not."""

import pytest
import torch
from torch import nn, optim

from weightlore.data import Split, digits
from weightlore.errors import DataError, ParameterError
from weightlore.networks import cnn, mlp
from weightlore.parameters import flatten
from weightlore.training import adam, cosine, sgd
from weightlore.uncertainty.deterministic import GaussianHead, gaussian_nll
from weightlore.uncertainty.ensembles import fit_ensemble
from weightlore.uncertainty.ensembles.runners import Apart, Stack, batched_runner, require_alike, vmap_runner


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


DIGITS = digits("train").to(dtype=torch.float64)[:90]
LINE = Split(torch.linspace(-1, 1, 37).double()[:, None], torch.linspace(2, 5, 37).double()[:, None] ** 2)


def plain(generator):
    return mlp((64, 12, 10), generator=generator)


def normalized(generator):
    return nn.Sequential(mlp((64, 12, 8), generator=generator), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 10)).double()


def layer_normalized(generator):
    return mlp((64, 12, 10), normalize=True, generator=generator)


def convolved(generator):
    return cnn((3,), hidden=6, generator=generator)


class Tied(nn.Module):
    def __init__(self, generator):
        super().__init__()
        self.first = mlp((64, 8), generator=generator)
        self.second = nn.Linear(8, 8).double()
        self.third = self.second
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_parameter("frozen", nn.Parameter(torch.randn(8, 10, generator=generator).double(), False))

    def forward(self, x):
        self.steps += 1
        h = self.third(self.second(self.first(x)).sin()).sin()
        return h @ self.frozen


def gaussian(generator):
    trunk = mlp((1, 8, 6), generator=generator)
    return nn.Sequential(trunk, nn.Tanh(), GaussianHead(6, LINE.y, generator=generator))


class Reading(nn.Module):
    """A recurrent member, which keeps weak references to its own weights."""

    def __init__(self, generator):
        super().__init__()
        self.recurrent, self.readout = nn.LSTM(8, 5, batch_first=True).double(), nn.Linear(5, 10).double()

    def forward(self, x):
        return self.readout(self.recurrent(x.reshape(-1, 8, 8))[0][:, -1])


def dropping(generator):
    return nn.Sequential(nn.Dropout(0.3), plain(generator))


def states(ensemble):
    return [member.state_dict() for member in ensemble.members]


def trained(make, data, engine, **options):
    given = {"members": 3, "epochs": 3, "batch_size": 16, "generator": seeded(7)} | options
    return fit_ensemble(make, data, engine=engine, **given)


def assert_same(one, other):
    for left, right in zip(states(one), states(other), strict=True):
        assert left.keys() == right.keys()
        for name in left:
            torch.testing.assert_close(left[name], right[name], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("make", "data", "engine"),
    [
        (plain, DIGITS, "batched"),
        (plain, DIGITS, "vmap"),
        (layer_normalized, DIGITS, "batched"),
        (convolved, DIGITS, "batched"),
        (convolved, DIGITS, "vmap"),
        (normalized, DIGITS, "vmap"),
        (Tied, DIGITS, "vmap"),
        (gaussian, LINE, "vmap"),
    ],
)
@pytest.mark.parametrize("optimizer", [sgd(0.05, momentum=0.9, weight_decay=1e-3), adam(0.01, weight_decay=0.01)])
def test_oracle_together_is_one_by_one(make, data, engine, optimizer):
    together, alone = (trained(make, data, one, optimizer=optimizer) for one in (engine, "loop"))
    assert_same(together, alone)
    assert not any(module.training for member in together.members for module in member.modules())
    assert all(p.grad is None for member in together.members for p in member.parameters())


@pytest.mark.parametrize("engine", ["batched", "vmap", "auto"])
def test_oracle_own_data_and_own_views_together(engine):
    def shifted(x, generator):
        return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)

    data = [DIGITS[:50], DIGITS[40:], DIGITS[20:70]]
    augment = [shifted, lambda x, generator: -x, shifted]
    together, alone = (trained(plain, data, one, augment=augment, schedule=None) for one in (engine, "loop"))
    assert_same(together, alone)


@pytest.mark.parametrize("loss", [nn.functional.cross_entropy, lambda z, y: nn.functional.multi_margin_loss(z, y)])
def test_oracle_own_losses_together(loss):
    assert_same(*(trained(plain, DIGITS, one, loss=loss) for one in ("batched", "loop")))


@pytest.mark.parametrize("loss", [gaussian_nll, lambda said, y: ((said[0] - y) ** 2 / said[1].detach()).mean()])
@pytest.mark.parametrize("column", [True, False])
def test_oracle_own_losses_of_mean_and_variance_together(loss, column):
    data = LINE if column or loss is not gaussian_nll else Split(LINE.x, LINE.y[:, 0])
    options = {"loss": loss, "optimizer": adam(0.01)}
    assert_same(*(trained(gaussian, data, one, **options) for one in ("vmap", "loop")))


def test_oracle_members_of_one_stack_do_not_depend_on_the_others():
    many, few = (trained(plain, DIGITS, "batched", members=s) for s in (4, 2))
    for left, right in zip(states(many), states(few), strict=False):
        assert all(torch.allclose(left[name], right[name], rtol=1e-10, atol=1e-12) for name in left)


@pytest.mark.parametrize(("make", "engine"), [(plain, "batched"), (plain, "vmap"), (convolved, "batched")])
def test_oracle_one_order_together_is_one_by_one(make, engine):
    together, alone, own = (
        trained(make, DIGITS, one, order=order)
        for one, order in ((engine, "shared"), ("loop", "shared"), (engine, "own"))
    )
    assert_same(together, alone)
    with pytest.raises(AssertionError):
        assert_same(together, own)


@pytest.mark.parametrize("engine", ["batched", "loop"])
def test_property_members_of_one_order_see_one_batch(engine):
    seen = []

    def kept(z, y):
        seen.append(y.tolist())
        return nn.functional.cross_entropy(z, y)

    trained(plain, DIGITS, engine, order="shared", loss=kept, epochs=1, members=2)
    half = len(seen) // 2
    first, second = (seen[::2], seen[1::2]) if engine == "batched" else (seen[:half], seen[half:])
    assert first == second
    order = [label for batch in first for label in batch]
    assert sorted(order) == sorted(DIGITS.y.tolist())
    assert order != DIGITS.y.tolist()


def test_oracle_one_order_with_own_views():
    def shifted(x, generator):
        return x + torch.randn(x.shape, generator=generator, dtype=x.dtype)

    assert_same(*(trained(plain, DIGITS, one, augment=shifted, order="shared") for one in ("batched", "loop")))


def test_property_a_step_draws_from_its_own_generator():
    drawn = []

    def step(member, batch, generator):
        drawn.append(float(torch.rand((), generator=generator)))
        return nn.functional.cross_entropy(member(batch.x), batch.y)

    trained(plain, DIGITS, "loop", step=step, order="shared", epochs=1, members=2)
    half = len(drawn) // 2
    assert drawn[:half] != drawn[half:]


def test_property_generators_end_in_one_state():
    ends = []
    for engine in ("batched", "loop"):
        kept = []

        def drawn(x, generator, kept=kept):
            kept.append(generator)
            return x

        trained(plain, DIGITS, engine, augment=drawn)
        ends.append([generator.get_state() for generator in {id(g): g for g in kept}.values()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    assert len(ends[0]) == 3


def test_property_dropout_is_trained_one_by_one():
    assert_same(trained(dropping, DIGITS, "auto"), trained(dropping, DIGITS, "loop"))
    for engine in ("batched", "vmap"):
        with pytest.raises(ParameterError, match=f"engine='{engine}' cannot be had: the network"):
            trained(dropping, DIGITS, engine)


class Counting(list):
    """Makes members of different kinds in turn."""

    def __call__(self, generator):
        self.append(0)
        kind = (nn.ReLU(), nn.ReLU6(), nn.Tanh())[len(self) % 3]
        return nn.Sequential(mlp((64, 8), generator=generator), kind, nn.Linear(8, 10).double())


def test_property_an_lstm_can_be_a_member():
    assert_same(trained(Reading, DIGITS, "auto"), trained(Reading, DIGITS, "loop"))
    require_alike([Reading(seeded()), Reading(seeded())])
    with pytest.raises(Apart, match="one architecture"):
        require_alike([Reading(seeded()), Reading(seeded()).requires_grad_(False)])


def test_property_members_of_different_kinds_are_trained_one_by_one():
    assert_same(trained(Counting(), DIGITS, "auto"), trained(Counting(), DIGITS, "loop"))
    with pytest.raises(ParameterError, match="not of one architecture"):
        trained(Counting(), DIGITS, "vmap")


def two(change):
    one, other = (nn.Sequential(plain(seeded(s)), nn.LeakyReLU(0.1)) for s in range(2))
    change(other)
    return one, other


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda net: setattr(net[1], "negative_slope", 0.2), "architecture"),
        (lambda net: net.append(nn.Identity()), "architecture"),
        (lambda net: net[0].double().float(), "architecture"),
        (lambda net: next(net.parameters()).requires_grad_(False), "architecture"),
        (lambda net: setattr(net[0], "act", torch.tanh), "architecture"),
        (lambda net: setattr(net[0], "flattens", [False]), "architecture"),
        (lambda net: net.register_forward_hook(lambda module, x, y: y + 1), "hooks"),
    ],
)
def test_property_what_differs_is_found(change, reason):
    require_alike(two(lambda net: None))
    with pytest.raises(Apart, match=reason):
        require_alike(two(change))


class Scaled(nn.Module):
    """A network with a number that no comparison of attributes sees."""

    def __init__(self, generator):
        super().__init__()
        self.net, self.kept = plain(generator), {"scale": float(torch.rand((), generator=generator))}

    def forward(self, x):
        return self.kept["scale"] * self.net(x)


def test_property_what_nobody_sees_is_found_by_comparing_outputs():
    members = [Scaled(seeded(s)) for s in range(2)]
    require_alike(members)
    with pytest.raises(Apart, match="do not give what they give alone"):
        vmap_runner(Stack(members), DIGITS.x)
    assert_same(trained(Scaled, DIGITS, "auto"), trained(Scaled, DIGITS, "loop"))


def test_property_a_probe_leaves_buffers_and_the_global_state():
    members = [normalized(seeded(s)).train() for s in range(2)]
    stack, before = Stack(members), torch.get_rng_state()
    vmap_runner(stack, DIGITS.x)
    assert float(stack.buffers["1.running_mean"].abs().max()) == 0
    assert float(members[0][1].running_mean.abs().max()) == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_oracle_runners_give_what_members_give():
    members = [plain(seeded(s)) for s in range(3)]
    xs = torch.stack([DIGITS.x[s : s + 4] for s in range(3)])
    wanted = torch.stack([member(x) for member, x in zip(members, xs, strict=True)])
    for make in (batched_runner, vmap_runner):
        torch.testing.assert_close(make(Stack(members), DIGITS.x)(xs), wanted)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_property_how_large_outputs_are_does_not_matter(size):
    members = [plain(seeded(s)).float() for s in range(2)]
    with torch.no_grad():
        for member in members:
            member.readout.weight *= size
    xs = DIGITS.x.float().expand(2, -1, -1)
    for make in (batched_runner, vmap_runner):
        assert make(Stack(members), DIGITS.x.float())(xs).shape == (2, 90, 10)


def test_property_a_runner_that_is_off_by_a_millionth_is_refused():
    members = [plain(seeded(s)) for s in range(2)]
    stack = Stack(members)
    with torch.no_grad():
        stack.parameters["readout.weight"][1] *= 1 + 1e-6
    with pytest.raises(Apart, match="do not give what they give alone"):
        batched_runner(stack, DIGITS.x)


def by_shape(parameters):
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return optim.SGD([group for group in groups if group["params"]], lr=0.1)


@pytest.mark.parametrize(
    ("optimizer", "reason"), [(by_shape, "by their shape"), (lambda p: optim.Adafactor(p, lr=0.01), "entry by entry")]
)
def test_property_optimizers_that_look_at_shapes_train_one_by_one(optimizer, reason):
    assert_same(*(trained(plain, DIGITS, one, optimizer=optimizer, schedule=cosine) for one in ("auto", "loop")))
    with pytest.raises(ParameterError, match=reason):
        trained(plain, DIGITS, "batched", optimizer=optimizer)


def test_property_convolutions_on_a_processor_are_left_to_the_loop():
    seen = []
    trained(convolved, DIGITS, "auto", callbacks=[seen.append])
    assert [epoch.epochs for epoch in seen] == [9] * 9


def test_property_callbacks_are_told_of_all_members_at_once():
    seen = []
    trained(plain, DIGITS, "batched", callbacks=[seen.append])
    assert [(epoch.number, epoch.epochs, epoch.last) for epoch in seen] == [(1, 3, False), (2, 3, False), (3, 3, True)]
    single = []
    trained(plain, DIGITS, "loop", callbacks=[single.append])
    means = [sum(single[number + 3 * s].train_loss for s in range(3)) / 3 for number in range(3)]
    assert [epoch.train_loss for epoch in seen] == pytest.approx(means, rel=1e-9)


class Stopped(Exception):
    pass


@pytest.mark.parametrize(
    ("make", "engine"), [(plain, "batched"), (normalized, "vmap"), (plain, "loop"), (dropping, "auto")]
)
def test_property_an_interrupted_training_goes_on_as_if_nothing_had_happened(make, engine, tmp_path):
    def stop(epoch):
        if epoch.number == 2:
            raise Stopped

    options = {"augment": lambda x, g: x + torch.randn(x.shape, generator=g, dtype=x.dtype), "optimizer": adam(0.01)}
    with pytest.raises(Stopped):
        trained(make, DIGITS, engine, callbacks=[stop], checkpoint=tmp_path / "kept", **options)
    told = []
    resumed = trained(make, DIGITS, engine, callbacks=[told.append], checkpoint=tmp_path / "kept", **options)
    for left, right in zip(states(resumed), states(trained(make, DIGITS, engine, **options)), strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left)
    assert told[0].number == 3
    again = trained(make, DIGITS, engine, checkpoint=str(tmp_path / "kept"), **options)
    assert torch.equal(
        torch.stack([flatten(m) for m in again.members]), torch.stack([flatten(m) for m in resumed.members])
    )


def test_property_one_order_goes_on_as_if_nothing_had_happened(tmp_path):
    def stop(epoch):
        if epoch.number == 2:
            raise Stopped

    for engine in ("batched", "loop"):
        options = {"order": "shared", "optimizer": adam(0.01), "checkpoint": tmp_path / engine}
        with pytest.raises(Stopped):
            trained(plain, DIGITS, engine, callbacks=[stop], **options)
        resumed = trained(plain, DIGITS, engine, **options)
        whole = trained(plain, DIGITS, engine, order="shared", optimizer=adam(0.01))
        for left, right in zip(states(resumed), states(whole), strict=True):
            assert all(torch.equal(left[name], right[name]) for name in left)


def test_error_one_order_of_different_sets_or_a_forgetful_checkpoint(tmp_path):
    with pytest.raises(ParameterError, match="shared by sets of one size"):
        trained(plain, [DIGITS[:20], DIGITS[:20], DIGITS[:21]], "loop", order="shared")
    with pytest.raises(ParameterError, match="these have two"):
        trained(dropping, DIGITS, "auto", order="shared", augment=lambda x, generator: x, checkpoint=tmp_path)
    with pytest.raises(ParameterError, match="order is one of"):
        trained(plain, DIGITS, "loop", order="none")


def test_error_a_checkpoint_of_another_run(tmp_path):
    trained(plain, DIGITS, "batched", checkpoint=tmp_path)
    with pytest.raises(ParameterError, match="belongs to another run"):
        trained(plain, DIGITS, "batched", members=2, checkpoint=tmp_path)
    with pytest.raises(ParameterError, match="belongs to another run"):
        trained(plain, DIGITS, "batched", epochs=9, checkpoint=tmp_path)
    with pytest.raises(ParameterError, match="belongs to another run"):
        trained(plain, DIGITS, "batched", order="shared", checkpoint=tmp_path)
    (tmp_path / "members.pt").write_bytes(b"no checkpoint")
    with pytest.raises(DataError, match="cannot be read"):
        trained(plain, DIGITS, "batched", checkpoint=tmp_path)


@pytest.mark.parametrize("engine", ["batched", "loop"])
def test_error_a_loss_that_diverges(engine):
    with pytest.raises(ParameterError, match=r"became (nan|inf).* in epoch 1 at learning rate"):
        trained(plain, DIGITS, engine, optimizer=sgd(1e200))


def test_error_arguments_that_do_not_fit():
    with pytest.raises(ParameterError, match="engine is one of 'auto', 'batched'"):
        trained(plain, DIGITS, "fast")
    with pytest.raises(ParameterError, match="a step is a function of one member"):
        trained(plain, DIGITS, "batched", step=lambda member, batch, generator: member(batch.x).sum())
    with pytest.raises(ParameterError, match="different numbers of examples"):
        trained(plain, [DIGITS[:20], DIGITS[:20], DIGITS[:21]], "vmap")
    with pytest.raises(ParameterError, match="epochs must be a whole number"):
        trained(plain, DIGITS, "batched", epochs=0)
    with pytest.raises(ParameterError, match="from 0 to 9"):
        trained(plain, Split(DIGITS.x, DIGITS.y + 1), "batched")
    with pytest.raises(ParameterError, match="targets of data must be finite"):
        trained(gaussian, Split(LINE.x, LINE.y * float("inf")), "vmap")
    with pytest.raises(ParameterError, match=r"use data\.to"):
        trained(plain, DIGITS.to(dtype=torch.float32), "batched")
