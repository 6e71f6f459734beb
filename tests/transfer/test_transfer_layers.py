"""Which parameter belongs to which layer."""

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, NAMES, inputs, pair, seeded, state, unchanged
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import Chain, mlp
from weightlore.transfer.layers import layers, private, trainable


@pytest.mark.parametrize("name", NAMES)
def test_property_every_parameter_is_in_one_layer_and_the_network_is_left(name):
    source, _ = pair(name)
    kept, modes = state(source), [m.training for m in source.modules()]
    found = layers(source, inputs(name, 2))
    assert len(found) == source.num_layers + 1
    named = [parameter for layer in found for parameter in layer.parameters]
    assert sorted(named) == sorted(dict(source.named_parameters()))
    assert unchanged(source, kept)
    assert modes == [m.training for m in source.modules()]
    assert all(p.grad is None and p.requires_grad for p in source.parameters())
    assert all(not m._forward_pre_hooks for m in source.modules())


@pytest.mark.parametrize("name", NAMES)
def test_oracle_a_layer_moves_with_its_parameters_alone(name):
    """Move the parameters of one layer: with its input held, its output moves, and no other's does."""
    source, _ = pair(name)
    x, generator = inputs(name, 3), seeded(2)
    found = layers(source, x)
    with torch.no_grad():
        held = [x, *source.activations(x)]

        def outputs():
            through = [source.phi(n)(source.pre(n, held[n])) for n in range(source.num_layers)]
            return [*through, source.head(held[-1])]

        before = outputs()
        for place, layer in enumerate(found):
            kept = state(source)
            for parameter in layer.parameters:
                moved = source.get_parameter(parameter)
                moved.add_(torch.randn(moved.shape, generator=generator, dtype=moved.dtype))
            moved = [not torch.equal(a, b) for a, b in zip(before, outputs(), strict=True)]
            assert moved == [other == place for other in range(len(found))]
            source.load_state_dict(kept)


def test_property_names_of_known_networks():
    cnn, resnet, gru = (layers(MAKES[name](generator=seeded()), inputs(name, 2)) for name in ("cnn", "resnet20", "gru"))
    assert cnn[0].parameters == ("layers.0.weight", "layers.0.bias")
    assert cnn[-1].parameters == ("readout.weight", "readout.bias")
    assert "entries.1" in cnn[1].modules
    assert set(resnet[1].parameters) > {"blocks.0.conv1.weight", "blocks.0.norm2.bias"}
    assert {"blocks.0", "blocks.0.norm1"} < set(resnet[1].modules)
    assert "stem_norm" in resnet[0].modules
    assert {"embedding.weight", "layers.0.weight_hh"} < set(gru[0].parameters)


def test_limit_no_hidden_layer_and_layers_without_parameters():
    (readout,) = layers(mlp((6, 3), generator=seeded()), inputs("mlp"))
    assert readout.parameters == ("readout.weight", "readout.bias")
    bare = Chain([nn.Identity()], nn.Linear(6, 3).double(), inputs=(6,))
    assert layers(bare, inputs("mlp"))[0].parameters == ()


def test_property_a_private_copy_shares_nothing():
    source, _ = pair("cnn")
    source(inputs("cnn")).sum().backward()
    for frozen in (True, False):
        twin = private(source, frozen=frozen)
        assert {p.requires_grad for p in twin.parameters()} == {not frozen}
        assert all(p.grad is None for p in twin.parameters())
        assert not {p.data_ptr() for p in twin.parameters()} & {p.data_ptr() for p in source.parameters()}
    assert trainable(private(source, frozen=True)) == 0
    assert trainable(source) == sum(p.numel() for p in source.parameters())
    assert all(p.grad is not None for p in source.parameters())


def test_error_shared_parameters_and_networks_in_one_piece():
    tied = mlp((6, 6, 6, 3), generator=seeded())
    tied.layers[1] = tied.layers[0]
    with pytest.raises(ParameterError, match=r"layers 0 and 1 share the parameter layers\.0\.weight"):
        layers(tied, inputs("mlp"))
    with pytest.raises(ParameterError, match=r"weightlore\.networks have, got a Linear"):
        layers(nn.Linear(6, 3), inputs("mlp"))
