"""Randomized copies: what is drawn, what stays, and that the original is never touched."""

import pytest
import torch
from torch import nn

from weightlore.attribution import blocks, randomize, reinitialize
from weightlore.attribution.drawing import matched, permuted
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp, recurrent, resnet20, vgg15
from weightlore.parameters import flatten


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def foreign():
    """A network of another maker, with batch normalization that has seen something."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(5)
        layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
        model = nn.Sequential(*layers)
        model(torch.randn(20, 1, 8, 8) + 2)
    return model.eval()


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(model, copy):
    """The parameters and buffers in which a copy differs."""
    mine, theirs = model.state_dict(), copy.state_dict()
    return {name for name in mine if not torch.equal(mine[name], theirs[name])}


def same(one, other):
    return changed(one, other) == set()


def test_property_blocks_go_from_the_output_to_the_input():
    assert blocks(healthy("cnn")) == (("readout",), ("layers.2",), ("layers.1",), ("layers.0",))
    normalized = mlp((6, 5, 4, 3), normalize=True, generator=seeded())
    assert blocks(normalized) == (("readout",), ("layers.1", "norms.1"), ("layers.0", "norms.0"))
    residual = blocks(resnet20(width=2, generator=seeded()))
    assert residual == (("readout",), *((f"blocks.{j}",) for j in reversed(range(9))), ("stem", "stem_norm"))
    words = recurrent("gru", vocabulary=9, embedding=4, hidden=3, classes=2, bidirectional=True, generator=seeded())
    assert blocks(words) == (("readout",), ("layers.0", "reverse.0"), ("embedding",))
    assert blocks(foreign()) == (("4",), ("0", "1"))
    assert blocks(nn.Linear(3, 2)) == (("",),)


@pytest.mark.parametrize("make", [lambda: resnet20(width=2, generator=seeded()), foreign, lambda: healthy("mlp")])
def test_property_blocks_hold_every_parameter_once(make):
    model = make()
    inside = [id(p) for block in blocks(model) for name in block for p in model.get_submodule(name).parameters()]
    assert sorted(inside) == sorted(id(p) for p in model.parameters())


@pytest.mark.parametrize("scheme", ["cascading", "independent", "full", "bottom_up"])
@pytest.mark.parametrize("shared", [True, False])
def test_property_each_step_changes_its_blocks_and_nothing_else(scheme, shared):
    model = healthy("cnn")
    names = [block[0] for block in blocks(model)]
    expected = {
        "cascading": [names[: j + 1] for j in range(4)],
        "independent": [[name] for name in names],
        "full": [names],
        "bottom_up": [names[3 - j :] for j in range(4)],
    }[scheme]
    before = state(model)
    copies = randomize(model, scheme=scheme, shared_draws=shared, generator=seeded())
    for copy, random in zip(copies, expected, strict=True):
        assert {name.rpartition(".")[0] for name in changed(model, copy.model)} == set(random)
        assert [name for block in copy.blocks for name in block] == random
        assert not copy.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [copy.step for copy in copies] == {
        "cascading": names,
        "independent": names,
        "full": ["all"],
        "bottom_up": names[::-1],
    }[scheme]


@pytest.mark.parametrize("init", ["reset", "permute", "gaussian"])
@pytest.mark.parametrize("make", [lambda: healthy("cnn"), lambda: resnet20(width=2, generator=seeded(9)), foreign])
def test_property_a_cascade_ends_in_full_randomization(make, init):
    drawn = {
        scheme: randomize(make(), scheme=scheme, init=init, generator=seeded(1))
        for scheme in ("cascading", "bottom_up", "independent", "full")
    }
    (full,) = drawn["full"]
    assert same(drawn["cascading"][-1].model, full.model)
    assert same(drawn["bottom_up"][-1].model, full.model)
    assert same(drawn["cascading"][0].model, drawn["independent"][0].model)


def test_property_own_draws_differ_from_step_to_step_and_shared_ones_do_not():
    readout = lambda copies: [copy.model.readout.weight for copy in copies]  # noqa: E731
    shared = readout(randomize(healthy("cnn"), generator=seeded()))
    own = readout(randomize(healthy("cnn"), shared_draws=False, generator=seeded()))
    assert all(torch.equal(shared[0], weight) for weight in shared)
    assert not any(torch.equal(own[0], weight) for weight in own[1:])


@pytest.mark.parametrize("make", [vgg15, resnet20])
def test_oracle_a_reset_network_is_drawn_by_the_law_of_its_maker(make):
    model = make(width=4, generator=seeded())
    fresh = make(width=4, generator=seeded(1))
    (copy,) = randomize(model, scheme="full", generator=seeded(2))
    for (name, one), other in zip(copy.model.named_parameters(), fresh.parameters(), strict=True):
        assert one.std(correction=0).item() == pytest.approx(other.std(correction=0).item(), rel=0.3), name
        assert not torch.equal(one, other) or one.unique().numel() == 1


def test_oracle_a_full_reset_from_input_to_output_is_the_network_made_from_that_generator():
    model, fresh = healthy("cnn"), healthy("cnn")
    for index, layer in enumerate([*fresh.layers, fresh.readout]):
        spread = (2 / layer.weight[0].numel()) ** 0.5 if index < 3 else layer.weight[0].numel() ** -0.5
        generator = seeded(index)
        noise = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        name = f"layers.{index}" if index < 3 else "readout"
        copy = reinitialize(model, [name], generator=seeded(index)).get_submodule(name)
        assert torch.equal(copy.weight, spread * noise)
        assert not copy.bias.any()


def test_oracle_modules_of_torch_reset_themselves_under_a_seeded_fork():
    model, before = foreign(), torch.get_rng_state()
    copy = reinitialize(model, ["4"], generator=seeded(3))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=seeded(3))))
        expected = nn.Linear(144, 3)
    assert torch.equal(copy[4].weight, expected.weight)
    assert torch.equal(copy[4].bias, expected.bias)


@pytest.mark.parametrize("init", ["reset", "permute", "gaussian"])
def test_property_running_statistics_are_reset_or_kept_as_said(init):
    model = foreign()
    reset, kept = (
        reinitialize(model, [("0", "1")], init=init, statistics=s, generator=seeded()) for s in ("reset", "keep")
    )
    assert not reset[1].running_mean.any()
    assert reset[1].running_var.eq(1).all()
    assert torch.equal(kept[1].running_mean, model[1].running_mean)
    assert torch.equal(kept[1].running_var, model[1].running_var)
    assert torch.equal(reset[0].weight, kept[0].weight)


def test_property_statistics_of_norms_without_parameters_are_reset_too():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3, affine=False), nn.Linear(3, 2)).eval()
    model[1].running_mean += 1.0
    assert blocks(model) == (("2",), ("0", "1"))
    (copy,) = randomize(model, scheme="full", generator=seeded())
    assert not copy.model[1].running_mean.any()


def test_property_permuting_keeps_the_entries_and_matching_their_moments():
    values = torch.randn(40, 30, generator=seeded(), dtype=torch.float64) ** 3 + 1
    shuffled, normal = permuted(values, generator=seeded(1)), matched(values, generator=seeded(1))
    assert torch.equal(shuffled.flatten().sort().values, values.flatten().sort().values)
    assert not torch.equal(shuffled, values)
    assert normal.mean().item() == pytest.approx(values.mean().item(), abs=0.3)
    assert normal.std().item() == pytest.approx(values.std().item(), rel=0.1)
    assert matched(torch.ones(3), generator=seeded()).tolist() == [1, 1, 1]
    assert matched(torch.tensor([2.0]), generator=seeded()).tolist() == [2]


def test_property_flags_and_the_training_mode_of_the_original_stay():
    model = healthy("cnn").train()
    model.readout.weight.requires_grad_(False)
    (copy,) = randomize(model, scheme="full", init="gaussian", generator=seeded())
    assert model.training
    assert not copy.model.training
    flags = [p.requires_grad for p in model.parameters()]
    assert [p.requires_grad for p in copy.model.parameters()] == flags


def test_property_a_scheme_takes_the_same_from_the_generator_as_any_other():
    after = set()
    for scheme in ("cascading", "independent", "full", "bottom_up"):
        generator = seeded()
        randomize(healthy("cnn"), scheme=scheme, generator=generator)
        after.add(tuple(generator.get_state().tolist()))
    assert len(after) == 1


def test_property_a_module_that_owns_parameters_takes_what_lies_below_it():
    class Owner(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.inner = nn.Parameter(torch.ones(2)), nn.Linear(2, 2)

    assert blocks(nn.Sequential(Owner(), nn.Linear(2, 2))) == (("1",), ("0",))


class Bare(nn.Module):
    """Parameters without an initializer."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(5, generator=seeded()))


def test_limit_without_an_initializer_there_is_still_a_shuffle():
    copy = reinitialize(Bare(), [""], init="permute", generator=seeded())
    assert torch.equal(copy.scale.sort().values, Bare().scale.sort().values)


def spoilt():
    model = healthy("cnn")
    with torch.no_grad():
        model.readout.bias[0] = torch.nan
    return model


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: randomize(healthy("cnn"), scheme="top", generator=g), "scheme is one of"),
        (lambda g: randomize(healthy("cnn"), [], generator=g), "at least one"),
        (lambda g: randomize(healthy("cnn"), "readout", generator=g), "list of blocks"),
        (lambda g: randomize(healthy("cnn"), ["layer.0"], generator=g), "blocks of this network are readout, layers.2"),
        (lambda g: randomize(healthy("cnn"), ["pools.0"], generator=g), "no module with parameters"),
        (lambda g: randomize(healthy("cnn"), ["layers", "layers.0"], generator=g), "name each module once"),
        (lambda g: randomize(nn.Sequential(nn.ReLU()), generator=g), "nothing to randomize"),
        (lambda g: reinitialize(healthy("cnn"), ["readout"], init="zero", generator=g), "init is one of"),
        (lambda g: reinitialize(foreign(), ["1"], statistics="drop", generator=g), "statistics is one of"),
        (lambda g: reinitialize(Bare(), [""], generator=g), 'without reset_parameters.*use init="permute"'),
        (lambda g: reinitialize(spoilt(), ["readout"], init="permute", generator=g), "readout.bias must be finite"),
    ],
)
def test_error_what_cannot_be_randomized(call, message):
    with pytest.raises(ParameterError, match=message):
        call(seeded())


def test_property_the_same_generator_gives_the_same_copies():
    one, other = (randomize(foreign(), generator=seeded(4)) for _ in range(2))
    assert all(same(a.model, b.model) for a, b in zip(one, other, strict=True))
    assert not torch.equal(flatten(one[-1].model), flatten(randomize(foreign(), generator=seeded(5))[-1].model))
