"""Operations as torch calls them: their kinds, in place, and which module runs."""

import pytest
import torch
from tests.attribution.attribution_networks import OURS, Reused, drawn, ours, uniform
from torch import nn
from torch.nn import functional as F

from weightlore.attribution import Ruled, frozen
from weightlore.attribution.operations import unruled, visits

KINDS = {
    "sum": [
        lambda h: h + h,
        lambda h: 1 - h,
        lambda h: h.mean(1),
        lambda h: 2 * h,
        lambda h: h / 3,
        lambda h: -h,
        lambda h: h @ torch.ones(4, 2).double(),
        lambda h: F.linear(h, torch.ones(2, 4).double()),
        lambda h: F.conv1d(h[:, None], torch.ones(1, 1, 2).double()),
        lambda h: F.avg_pool1d(h[:, None], 2),
        lambda h: F.adaptive_avg_pool1d(h[:, None], 2),
        lambda h: F.batch_norm(h, torch.zeros(4).double(), torch.ones(4).double()),
        lambda h: h.clone().add_(1),
        lambda h: h.clone().mul_(2),
        lambda h: h.sub(h * 2),
    ],
    "elementwise": [
        torch.relu,
        torch.Tensor.sigmoid,
        F.softplus,
        F.gelu,
        F.silu,
        nn.ELU(),
        nn.LeakyReLU(0.1),
        nn.Tanh(),
        nn.Hardtanh(),
        nn.LogSigmoid(),
        nn.ReLU(inplace=True),
        lambda h: torch.relu_(h * 1),
    ],
    "maximum": [lambda h: F.max_pool1d(h[:, None], 2), lambda h: F.adaptive_max_pool1d(h[:, None], 2)],
    "moved": [
        lambda h: h.flatten(),
        lambda h: h.view(-1),
        lambda h: h.T,
        lambda h: h[:, 1:],
        lambda h: torch.cat([h, h]),
        lambda h: F.dropout(h, 0.5, training=False),
        lambda h: F.pad(h, (1, 1)),
    ],
    None: [
        lambda h: h * h,
        lambda h: h / h,
        lambda h: 1 / h,
        lambda h: h @ h.T,
        lambda h: F.linear(h, h),
        lambda h: F.linear(torch.ones(2, 4).double(), torch.ones(3, 4).double(), h[0, :3]) / h[0, 0],
        lambda h: h.softmax(1),
        lambda h: h**2,
        lambda h: F.layer_norm(h, (4,)),
        lambda h: h.detach(),
        lambda h: h > 0,
        lambda h: h.clamp(min=0),
        lambda h: F.dropout(h, 0.5, training=True),
        lambda h: F.batch_norm(h, None, None, training=True),
        lambda h: F.max_pool1d(h[:, None], 2, return_indices=True),
    ],
}
CASES = [(kind, place) for kind, functions in KINDS.items() for place in range(len(functions))]


def kinds_of(function, h):
    """The kind of every operation that the function calls on what depends on h, and its result."""
    seen = []

    def rule(call):
        seen.append(call)
        return call.direct()

    with Ruled(rule):
        result = function(h)
    return seen, result


@pytest.mark.parametrize(("kind", "place"), CASES)
def test_property_every_operation_has_its_kind(kind, place):
    function = KINDS[kind][place]
    h = uniform(6, 4).requires_grad_()
    calls, result = kinds_of(function, h.clone())
    assert calls[-1].kind == kind
    if isinstance(result, torch.Tensor) and kind is not None:
        torch.manual_seed(0)
        assert torch.equal(result, function(h.clone()))


@pytest.mark.parametrize(("kind", "place"), [case for case in CASES if case[0] in ("sum", "elementwise", "maximum")])
def test_property_an_operation_can_be_called_at_other_inputs(kind, place):
    function = KINDS[kind][place]
    calls, result = kinds_of(function, uniform(6, 4).requires_grad_().clone())
    last = calls[-1]
    other = [uniform(*one.shape, seed=7) for one in last.inputs]
    before = [one.clone() for one in other]
    found = last.at(*other)
    assert found.shape == result.shape
    assert not torch.equal(found, result)
    assert all(torch.equal(a, b) for a, b in zip(other, before, strict=True)), "also where it works in place"


def test_property_only_what_depends_on_the_input_is_seen():
    h = uniform(6, 4)
    assert kinds_of(lambda h: h.relu() + 1, h)[0] == []
    model, x = ours()["mlp"]
    with frozen(model):
        assert kinds_of(model, x)[0] == []
        assert len(kinds_of(model, x.clone().requires_grad_())[0]) > 5


@pytest.mark.parametrize("name", OURS)
def test_property_every_operation_of_the_packages_networks_has_a_kind(name):
    model, x = ours()[name]
    with frozen(model):
        calls, result = kinds_of(model, x.clone().requires_grad_())
        assert {call.kind for call in calls} == {"sum", "elementwise", "moved"}
    assert torch.equal(result, model(x))


def test_property_in_place_is_written_where_the_caller_reads_it():
    def doubled(h):
        kept = h * 1
        torch.relu_(kept)
        return kept

    h = (uniform(6, 4) - 0.5).requires_grad_()
    with Ruled(lambda call: call.written(call.at(*call.inputs) * 2) if call.name == "relu" else call.direct()):
        result = doubled(h)
    assert torch.equal(result, 2 * h.relu())


def test_property_who_runs_and_how_often():
    model = drawn(Reused())
    order = []
    with visits(model) as seen, frozen(model):

        def rule(call):
            order.append((type(seen.running[-1]).__name__, seen.counts[seen.running[-1]], call.name))
            return call.direct()

        with Ruled(rule):
            model(uniform(2, 6).requires_grad_())
    twice = [("Linear", 1, "linear"), ("ReLU", 1, "relu"), ("Linear", 1, "linear"), ("ReLU", 2, "relu")]
    assert order == [*twice, ("Linear", 1, "linear")]
    assert seen.running == []
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_error_an_operation_without_a_rule_is_named():
    calls, _ = kinds_of(lambda h: h.softmax(1), uniform(2, 3).requires_grad_())
    assert "no rule for 'softmax'" in str(unruled(calls[-1], "A method"))
