"""Networks whose layers are random, fine-tuned or frozen."""

from itertools import product

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, NAMES, inputs, pair, seeded, state, task, unchanged
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import Chain, Layered, cnn, mlp
from weightlore.training import fit, sgd
from weightlore.transfer import in_states
from weightlore.transfer.layers import layers


def joined(source, fresh, states, x, head="new"):
    return in_states(source, fresh, states, example=x[:2], head=head)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("head", ["new", "source"])
def test_property_all_frozen_is_the_source_below_a_readout(name, head):
    source, fresh = pair(name)
    x = inputs(name)
    made = joined(source, fresh, ["frozen"] * source.num_layers, x, head)
    expected = (source if head == "source" else fresh).head(source.activations(x)[-1])
    assert torch.equal(made.train()(x), expected)  # frozen layers keep their statistics also in train mode
    assert torch.equal(made.head(made.activations(x)[-1]), expected)
    readout = set(layers(source, x[:2])[-1].parameters)
    assert {n for n, p in made.network.named_parameters() if p.requires_grad} == readout


@pytest.mark.parametrize("name", NAMES)
def test_property_all_random_is_the_fresh_network_and_all_fine_tuned_the_source(name):
    source, fresh = pair(name)
    x, count = inputs(name), source.num_layers
    assert torch.equal(joined(source, fresh, ["random"] * count, x).eval()(x), fresh(x))
    assert torch.equal(joined(source, fresh, ["fine-tune"] * count, x, "source").eval()(x), source(x))
    assert all(p.requires_grad for p in joined(source, fresh, ["fine-tune"] * count, x).parameters())


def written_out(source, fresh, states, x):
    """A chain in states, written out: each layer by the network it comes from."""
    h = x
    for place, chosen in enumerate(states):
        origin = fresh if chosen == "random" else source
        h = origin.phi(place)(origin.pre(place, h))
    return fresh.head(h)


@pytest.mark.parametrize("states", list(product(["random", "fine-tune", "frozen"], repeat=3)))
def test_oracle_every_combination_written_out(states):
    source, fresh = pair("cnn")
    x = inputs("cnn")
    made = joined(source, fresh, states, x)
    assert torch.equal(made(x), written_out(source, fresh, states, x))
    trained = {int(n.split(".")[2]) for n, p in made.named_parameters() if p.requires_grad and "layers" in n}
    assert trained == {place for place, chosen in enumerate(states) if chosen != "frozen"}


@pytest.mark.parametrize("name", NAMES)
def test_property_training_moves_what_is_not_frozen_and_neither_of_the_given(name):
    source, fresh = pair(name)
    kept = state(source), state(fresh)
    data = task(name)
    states = ["frozen"] + ["fine-tune"] * (source.num_layers - 1)
    made = joined(source, fresh, states, data.x)
    start = state(made.network)
    fit(made, data, generator=seeded(3), epochs=2, optimizer=sgd(0.1))
    assert unchanged(source, kept[0])
    assert unchanged(fresh, kept[1])
    first, *others, readout = layers(source, data.x[:2])
    buffers = {n for n, _ in made.network.named_buffers() if n.rpartition(".")[0] in first.modules}
    after = made.network.state_dict()
    assert all(torch.equal(after[n], start[n]) for n in [*first.parameters, *buffers])
    assert all(not torch.equal(after[n], start[n]) for n in [*readout.parameters])
    if others:
        assert any(not torch.equal(after[n], start[n]) for layer in others for n in layer.parameters)


def test_property_normalization_of_trained_layers_goes_on_and_of_frozen_ones_stays():
    source, fresh = pair("resnet20")
    made = joined(source, fresh, ["frozen"] * 4 + ["fine-tune"] * 6, inputs("resnet20")).train()
    modes = {name: m.training for name, m in made.network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert not any(modes[f"blocks.{block}.norm1"] for block in range(3))
    assert not modes["stem_norm"]
    assert all(modes[f"blocks.{block}.norm1"] for block in range(3, 9))
    assert modes["blocks.3.shortcut.1"]


def test_property_frozen_layers_do_not_drop():
    drops = [nn.Linear(6, 50), nn.Linear(50, 50)]
    source = Chain([d.double() for d in drops], nn.Linear(50, 3).double(), inputs=(6,), dropout=[0.5, 0.5])
    made = joined(source, source, ["frozen", "fine-tune"], inputs("mlp")).train()
    first, second = made.activations(inputs("mlp"))
    assert torch.equal(first, source.eval().activations(inputs("mlp"))[0])
    assert (second == 0).double().mean() > 0.6


def test_property_it_can_be_taken_apart_saved_and_copied():
    source, fresh = pair("cnn")
    x = inputs("cnn")
    made = joined(source, fresh, ["frozen", "random", "fine-tune"], x)
    assert isinstance(made, Layered)
    assert torch.equal(made.pre(0, x), source.pre(0, x))
    again = joined(*pair("cnn", seeds=(4, 5)), ["frozen", "random", "fine-tune"], x)
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(x), made(x))
    chained = in_states(made, again, ["frozen"] * 3, example=x[:2])
    assert torch.equal(chained(x), again.head(made.activations(x)[-1]))


def test_limit_other_classes_and_other_widths_where_random():
    source, _ = pair("cnn")
    x = inputs("cnn")
    other = cnn((3, 4), hidden=7, classes=5, generator=seeded())
    assert joined(source, other, ["frozen", "fine-tune", "random"], x)(x).shape == (12, 5)


@pytest.mark.parametrize(
    ("fresh", "states", "head", "message"),
    [
        (MAKES["mlp"], ["frozen"], "new", "each of the 2 layers"),
        (MAKES["mlp"], ["frozen", "shared"], "new", "'random', 'fine-tune' or 'frozen'"),
        (MAKES["mlp"], ["frozen", "random"], "old", "'new' or 'source'"),
        (lambda generator: mlp((6, 5, 7, 3), generator=generator), ["frozen", "frozen"], "new", "leave this layer"),
        (lambda generator: mlp((6, 5, 4, 2), generator=generator), ["frozen", "frozen"], "source", "head='new'"),
        (lambda generator: mlp((6, 5, 4, 4, 3), generator=generator), ["frozen", "frozen"], "new", "got 2 and 3"),
        (lambda generator: mlp((6, 5, 4, 3), bias=False, generator=generator), ["frozen"] * 2, "new", "same function"),
        (
            lambda generator: mlp((6, 5, 4, 3), generator=generator, dtype=torch.float32),
            ["frozen"] * 2,
            "new",
            "one dtype",
        ),
    ],
)
def test_error_what_cannot_be_joined(fresh, states, head, message):
    source, _ = pair("mlp")
    with pytest.raises(ParameterError, match=message):
        joined(source, fresh(generator=seeded()), states, inputs("mlp"), head)
