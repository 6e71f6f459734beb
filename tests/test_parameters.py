from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from weightlore.errors import ParameterError
from weightlore.parameters import ParameterLayout, call, flatten, kind_of, layout, places_of, replaced


class Tied(nn.Module):
    """Encoder and decoder share one weight; one layer is registered twice."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4, bias=False).double()
        self.decoder = nn.Linear(4, 4).double()
        self.decoder.weight = self.encoder.weight
        self.again = self.decoder

    def forward(self, x):
        return self.again(torch.tanh(self.decoder(torch.tanh(self.encoder(x)))))


class Scaled(nn.Module):
    """A parameter at the root, a buffer, and a frozen parameter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.register_buffer("offset", torch.ones(3, dtype=torch.float64))
        self.inner = nn.Linear(3, 2).double()
        self.inner.bias.requires_grad_(False)

    def forward(self, x):
        return self.inner(self.scale * x + self.offset)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()


X = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)


def bits(model):
    """All parameters and buffers, bit by bit: NaN equals NaN, and -0.0 is not 0.0."""
    return {name: tensor.numpy(force=True).tobytes() for name, tensor in model.state_dict().items()}


# layout


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


def test_property_frozen_parameters_count_by_choice():
    assert layout(Scaled()).names == ("scale", "inner.weight")
    assert layout(Scaled(), frozen=True).names == ("scale", "inner.weight", "inner.bias")
    assert layout(Scaled(), "bias", frozen=True).size == 2


def test_property_a_parameter_at_the_root_belongs_to_no_layer():
    slot = layout(Scaled()).slots[0]
    assert (slot.name, slot.layer, slot.kind, slot.size) == ("scale", "", "weight", 1)


GROUPS = [
    (None, (0, 1, 2, 3, 4, 5)),
    ("weight", (0, 4)),
    ("bias", (1, 3, 5)),
    ("norm", (2,)),
    ("3", (4, 5)),
    ("3.bias", (5,)),
    (lambda name, parameter: parameter.ndim == 2 and name.startswith("0"), (0,)),
]


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


# flatten, split, join


def test_property_flatten_is_a_detached_copy():
    for model in (nn.Linear(3, 2, bias=False), network()):
        theta = flatten(model)
        before = bits(model)
        assert not theta.requires_grad
        theta.fill_(7.0)
        assert bits(model) == before


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


# replaced


@pytest.mark.parametrize(("group", "members"), GROUPS)
def test_property_replaced_puts_theta_in_and_every_bit_back(group, members):
    model = network().eval()
    with torch.no_grad():
        model[3].weight[0, 0] = -0.0
    before, theta = bits(model), torch.randn_like(flatten(model, group))
    with replaced(model, theta, group) as inside:
        assert inside is model
        assert torch.equal(flatten(model, group), theta)
        during = bits(model)
        touched = {layout(model).names[member] for member in members}
        assert {name for name in before if during[name] != before[name]} == touched
    assert bits(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_property_replaced_restores_after_an_exception(error):
    model = network()
    before = bits(model)
    with pytest.raises(error), replaced(model, torch.full((34,), float("nan"), dtype=torch.float64)):
        fail(model, error)
    assert bits(model) == before


def fail(model, error):
    with torch.no_grad():
        model[0].weight.add_(1.0)  # whatever happens inside is undone
    raise error


def test_property_replaced_may_be_nested():
    model, theta = network(), torch.zeros(34, dtype=torch.float64)
    before = bits(model)
    with replaced(model, theta):
        with replaced(model, theta[:16] + 1, "0"):
            assert flatten(model).sum() == 16
        assert not flatten(model).any()
    assert bits(model) == before


def test_property_replaced_keeps_gradients_flags_and_identity():
    model = network()
    model(X).sum().backward()
    kept = [(p, p.grad.clone(), p.requires_grad) for p in model.parameters()]
    with replaced(model, flatten(model) + 1):
        assert all(p is old for p, (old, _, _) in zip(model.parameters(), kept, strict=True))
    for parameter, (old, gradient, flag) in zip(model.parameters(), kept, strict=True):
        assert parameter is old
        assert torch.equal(parameter.grad, gradient)
        assert parameter.requires_grad == flag


def test_property_replaced_reaches_tied_and_frozen_parameters():
    tied = Tied()
    with replaced(tied, torch.ones(20, dtype=torch.float64)):
        assert tied.decoder.weight is tied.encoder.weight
        assert (tied.decoder.weight == 1).all()
    scaled = Scaled()
    bias = scaled.inner.bias.clone()
    with replaced(scaled, torch.zeros(9, dtype=torch.float64), frozen=True):
        assert not scaled.inner.bias.any()
    assert torch.equal(scaled.inner.bias, bias)
    assert not scaled.inner.bias.requires_grad


BAD = [
    (torch.zeros(33, dtype=torch.float64), "P=34 entries"),
    (torch.zeros(1, 34, dtype=torch.float64), r"one vector of shape \(P,\), got shape \(1, 34\); for many use vmap"),
    (torch.zeros((), dtype=torch.float64), "one vector"),
    (torch.zeros(34), r"torch.float64 on cpu .* got torch.float32 on cpu; use theta.to\(dtype=torch.float64"),
    (torch.zeros(34, dtype=torch.int64), "got torch.int64"),
    (torch.zeros(34, dtype=torch.float64, device="meta"), "on meta; use theta.to"),
]


@pytest.mark.parametrize(("theta", "said"), BAD)
def test_error_a_theta_that_does_not_fit_leaves_the_model(theta, said):
    model = network()
    before = bits(model)
    with pytest.raises(ParameterError, match=said), replaced(model, theta):
        pytest.fail("the body must not run")
    with pytest.raises(ParameterError, match=said):
        call(model, theta, X)
    assert bits(model) == before


# call


@pytest.mark.parametrize(("group", "members"), GROUPS)
def test_oracle_call_equals_replaced(group, members):
    model = network().eval()
    theta = torch.randn_like(flatten(model, group))
    with replaced(model, theta, group):
        expected = model(X)
    assert torch.equal(call(model, theta, X, group), expected)


@pytest.mark.parametrize("build", [Tied, Scaled])
def test_oracle_call_with_tied_root_and_frozen_parameters(build):
    model, x = build(), X.repeat(1, 2)[:, : 4 if build is Tied else 3]
    theta = flatten(model, frozen=True) + 0.5
    with replaced(model, theta, frozen=True):
        expected = model(x)
    assert torch.equal(call(model, theta, x, frozen=True), expected)


def test_oracle_call_is_differentiable_in_theta():
    for model, x in ((network().eval(), X), (Tied(), X.repeat(1, 2)[:, :4])):
        theta = flatten(model).requires_grad_()
        found = torch.autograd.grad(call(model, theta, x).square().sum(), theta)[0]
        expected = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
        torch.testing.assert_close(found, torch.cat([gradient.flatten() for gradient in expected]))
        assert torch.autograd.gradcheck(lambda t, model=model, x=x: call(model, t, x), theta)
        assert all(parameter.grad is None for parameter in model.parameters())


def test_property_call_leaves_running_statistics_and_the_mode():
    model = network().train()
    before = bits(model)
    out = call(model, flatten(model), X)
    assert bits(model) == before
    assert model.training
    assert torch.equal(out, model(X))  # batch statistics, as the model itself in train mode
    assert bits(model) != before


def test_property_call_keeps_tied_weights_tied_and_shared_layers_whole():
    model, x = Tied(), X.repeat(1, 2)[:, :4]
    kept, before = dict(model.named_parameters(remove_duplicate=False)), bits(model)
    call(model, flatten(model) + 1, x)
    now = dict(model.named_parameters(remove_duplicate=False))
    assert now.keys() == kept.keys()
    assert all(now[name] is kept[name] for name in kept)
    assert bits(model) == before


def test_property_places_name_each_tied_place_and_each_module_once():
    parts = {"encoder.weight": torch.ones(4, 4), "decoder.bias": torch.zeros(4)}
    places = places_of(Tied(), parts)
    assert set(places) == {"encoder.weight", "decoder.weight", "decoder.bias"}
    assert places["encoder.weight"] is places["decoder.weight"] is parts["encoder.weight"]
    scaled = Scaled()
    found = places_of(scaled, {"scale": torch.zeros(())})
    assert set(found) == {"scale", "offset"}
    assert torch.equal(found["offset"], scaled.offset)
    assert found["offset"] is not scaled.offset


def test_property_call_under_vmap_is_a_loop():
    model = network().eval()
    thetas = torch.randn(6, 34, dtype=torch.float64)
    many = torch.func.vmap(lambda theta: call(model, theta, X))(thetas)
    torch.testing.assert_close(many, torch.stack([call(model, theta, X) for theta in thetas]))


# what cannot be a vector


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
