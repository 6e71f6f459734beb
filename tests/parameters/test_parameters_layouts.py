"""Layouts: the order of theta, and cutting it into parameters and back."""

from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from parameters_cases import Scaled, Tied, network

from weightlore.errors import ParameterError
from weightlore.parameters import ParameterLayout, flatten, layout


def test_oracle_slots_follow_named_parameters():
    model = network()
    found = layout(model)
    assert found.names == tuple(name for name, _ in model.named_parameters())
    assert found.size == sum(parameter.numel() for parameter in model.parameters()) == 12 + 4 + 4 + 4 + 8 + 2
    assert [slot.start for slot in found.slots] == [0, 12, 16, 20, 24, 32]
    assert all(one.stop == other.start for one, other in pairwise(found.slots))
    assert found.slots[-1].stop == found.size
    assert [slot.kind for slot in found.slots] == ["weight", "bias", "norm", "bias", "weight", "bias"]
    assert [slot.layer for slot in found.slots] == ["0", "0", "1", "1", "3", "3"]
    assert repr(found).startswith("ParameterLayout(P=34: 0.weight (4, 3), 0.bias (4,), 1.weight (4,)")


def test_property_tied_weights_count_once_and_a_shared_layer_too():
    assert layout(Tied()).names == ("encoder.weight", "decoder.bias")
    assert flatten(Tied()).shape == (20,)


def test_property_buffers_never_count():
    model = network()
    with torch.no_grad():
        model[1].running_mean.fill_(123.0)
    assert not (flatten(model) == 123.0).any()
    assert "offset" not in layout(Scaled(), frozen=True).names


def test_property_a_parameter_at_the_root_belongs_to_no_layer():
    slot = layout(Scaled()).slots[0]
    assert (slot.name, slot.layer, slot.kind, slot.size) == ("scale", "", "weight", 1)


@given(lead=st.lists(st.integers(0, 3), max_size=3), seed=st.integers(0, 99))
def test_property_split_keeps_leading_dimensions_and_gives_views(lead, seed):
    found = layout(network())
    theta = torch.rand((*lead, 34), generator=torch.Generator().manual_seed(seed))
    parts = found.split(theta)
    assert tuple(parts) == found.names
    for slot in found.slots:
        assert parts[slot.name].shape == (*lead, *slot.shape)
        assert torch.equal(parts[slot.name].flatten(len(lead)), theta[..., slot.start : slot.stop])
        assert parts[slot.name].untyped_storage().data_ptr() == theta.untyped_storage().data_ptr()


def test_property_join_inverts_split_and_is_differentiable():
    found = layout(network())
    theta = torch.rand(34, dtype=torch.float64, requires_grad=True)
    joined = found.join(found.split(theta))
    assert torch.equal(joined, theta)
    assert torch.equal(torch.autograd.grad(joined.square().sum(), theta)[0], 2 * theta)


@pytest.mark.parametrize("shape", [(), (33,), (34, 1), (35,), (0,)])
def test_error_split_of_another_length(shape):
    with pytest.raises(ParameterError, match=r"P=34 entries, got shape .*was it flattened with the same group\?"):
        layout(network()).split(torch.zeros(shape))


def test_error_join_with_a_missing_or_misshapen_parameter():
    found, parts = layout(network()), dict(network().named_parameters())
    with pytest.raises(ParameterError, match=r"'3.weight' must have shape \(2, 4\), got shape \(4, 2\)"):
        found.join({**parts, "3.weight": parts["3.weight"].T})
    parts.pop("1.bias")
    with pytest.raises(ParameterError, match=r"'1.bias' must have shape \(4,\), got nothing"):
        found.join(parts)


def test_limit_a_layout_without_slots_is_empty():
    assert ParameterLayout(()).size == 0
    assert ParameterLayout(()).split(torch.zeros(0)) == {}


def test_property_frozen_parameters_do_not_count_unless_asked_for():
    model = network()
    first = next(iter(layout(model).names))
    model.get_parameter(first).requires_grad_(False)
    assert first not in layout(model).names
    assert first in layout(model, frozen=True).names


def test_property_a_slot_cannot_be_changed():
    slot = layout(network()).slots[0]
    with pytest.raises(FrozenInstanceError):
        slot.start = 1
