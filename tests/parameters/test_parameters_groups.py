"""Groups: which parameters belong to one, and what is no group."""

import pytest
import torch
from parameters_cases import GROUPS, Scaled, network
from torch import nn

from weightlore.errors import ParameterError
from weightlore.parameters import flatten, kind_of, layout


def test_property_frozen_parameters_count_by_choice():
    assert layout(Scaled()).names == ("scale", "inner.weight")
    assert layout(Scaled(), frozen=True).names == ("scale", "inner.weight", "inner.bias")
    assert layout(Scaled(), "bias", frozen=True).size == 2


@pytest.mark.parametrize(("group", "members"), GROUPS)
def test_property_groups_by_kind_layer_name_and_predicate(group, members):
    model = network()
    names = layout(model).names
    assert layout(model, group).names == tuple(names[member] for member in members)
    whole = layout(model).split(flatten(model))
    assert torch.equal(flatten(model, group), torch.cat([whole[names[member]].flatten() for member in members]))


def test_property_a_layer_does_not_match_a_longer_name():
    model = nn.ModuleDict({"a": nn.Linear(1, 1), "ab": nn.Linear(1, 1), "a_b": nn.Linear(1, 1)})
    assert layout(model, "a").names == ("a.weight", "a.bias")


class NormalizedLinear(nn.Linear):
    """Not a normalization layer, whatever its name begins with."""


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        (nn.Linear(1, 1), "weight", "weight"),
        (nn.Embedding(2, 2), "weight", "weight"),
        (nn.LSTM(1, 1), "weight_hh_l0", "weight"),
        (nn.LSTM(1, 1), "bias_hh_l0", "bias"),
        (nn.MultiheadAttention(2, 1), "in_proj_bias", "bias"),
        (nn.MultiheadAttention(2, 1), "in_proj_weight", "weight"),
        (nn.PReLU(), "weight", "weight"),
        (NormalizedLinear(1, 1), "weight", "weight"),
        *((norm, "weight", "norm") for norm in (nn.LayerNorm(2), nn.GroupNorm(1, 2), nn.RMSNorm(2))),
        *((norm(2, affine=True), "weight", "norm") for norm in (nn.BatchNorm1d, nn.BatchNorm3d, nn.InstanceNorm2d)),
        (nn.LayerNorm(2), "bias", "bias"),
    ],
)
def test_property_kinds(module, name, kind):
    assert kind_of(module, name) == kind


@pytest.mark.parametrize("group", ["nothing", "0.", "", lambda name, parameter: False])
def test_error_an_empty_group_lists_what_there_is(group):
    said = r"is empty; choose None, a kind of \('weight', 'bias', 'norm'\), a layer of \['0', '1', '3'\], a predicate"
    for action in (layout, flatten):
        with pytest.raises(ParameterError, match=said):
            action(network(), group)


def test_error_a_model_with_everything_frozen_points_to_the_choice():
    with pytest.raises(ParameterError, match="frozen=True if its parameters do not require gradients"):
        flatten(network().requires_grad_(False))


@pytest.mark.parametrize("group", [3, ["0"], ("weight",)])
def test_error_what_is_no_group(group):
    with pytest.raises(ParameterError, match="a group is None, a kind, a name or a predicate"):
        layout(network(), group)


def test_error_an_integer_model_and_mixed_dtypes():
    integer = nn.Linear(2, 2, bias=False)
    integer.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
    with pytest.raises(ParameterError, match=r"one floating dtype on one device, got .*int64.*model.double\(\)"):
        flatten(integer, frozen=True)
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(ParameterError, match=r"torch.float32.*torch.float64"):
        layout(mixed)
    assert layout(mixed, "1").size == 6
    scattered = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta"))
    with pytest.raises(ParameterError, match="on one device"):
        flatten(scattered)


def test_error_a_model_without_parameters():
    with pytest.raises(ParameterError, match="the group None is empty"):
        layout(nn.ReLU())
