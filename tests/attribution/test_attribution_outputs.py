"""What is attributed: scores, their gradient, and everything that a method asks of model, input and class."""

import pytest
import torch
from tests.attribution.attribution_networks import OURS, TARGET, convolutional, ours, seeded, uniform
from torch import nn

from weightlore.attribution import chosen, frozen, input_gradient, require, scores
from weightlore.errors import ParameterError
from weightlore.networks import mlp

LINEAR = nn.Linear(4, 3).double().eval()


class Returning(nn.Module):
    """A network that returns what it is told."""

    def __init__(self, returned):
        super().__init__()
        self.returned = returned
        self.eval()

    def forward(self, x):
        return self.returned(x)


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_oracle_scores_are_columns_of_logits_or_of_their_softmax(output):
    model, x = ours()["cnn"]
    logits = model(x)
    expected = (logits if output == "logit" else logits.softmax(1))[torch.arange(3), TARGET]
    assert torch.equal(scores(model, x, TARGET, output), expected.detach())


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", OURS)
def test_oracle_the_gradient_of_a_batch_is_that_of_its_examples(name, output):
    model, x = ours()[name]
    found = input_gradient(model, x, TARGET, output)
    for n in range(3):
        one = x[n : n + 1].clone().requires_grad_()
        logits = model(one)
        score = (logits if output == "logit" else logits.softmax(1))[0, TARGET[n]]
        (expected,) = torch.autograd.grad(score, one)
        assert torch.allclose(found[n : n + 1], expected, rtol=1e-9, atol=1e-15)


def test_oracle_gradient_of_a_probability_is_a_competition_between_classes():
    model, x = ours()["mlp"]
    p = model(x).softmax(1).detach()
    each = torch.stack([input_gradient(model, x, c) for c in range(10)], 1)  # (N, C, D)
    own = each[torch.arange(3), TARGET]
    competition = p[torch.arange(3), TARGET, None] * (p[:, :, None] * (own[:, None] - each)).sum(1)
    assert torch.allclose(input_gradient(model, x, TARGET, "probability"), competition, rtol=1e-12)


def test_property_weights_scale_the_rows():
    model, x = ours()["mlp"]
    weights = torch.tensor([2.0, 0.0, -0.5], dtype=torch.float64)
    assert torch.allclose(input_gradient(model, x, 4, weights=weights), weights[:, None] * input_gradient(model, x, 4))


def test_property_nothing_of_the_callers_changes():
    model, x = ours()["resnet20"]
    x = x.clone().requires_grad_()
    next(model.parameters()).requires_grad_(False)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    flags = [p.requires_grad for p in model.parameters()]
    input_gradient(model, x, TARGET)
    assert x.grad is None
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_property_flags_come_back_after_an_exception():
    model = mlp((4, 3, 2), generator=seeded())
    with pytest.raises(ZeroDivisionError), frozen(model):
        1 / sum(p.requires_grad for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(ParameterError, match="classes lie"):
        input_gradient(model.eval(), uniform(2, 4), 2)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_property_gradients_are_found_where_the_caller_records_none(mode):
    model, x = ours()["mlp"]
    expected = input_gradient(model, x, 1)
    with mode():
        assert torch.equal(input_gradient(model, x * 1, 1), expected)


def test_limit_a_first_layer_in_place_leaves_the_input_alone():
    model = nn.Sequential(nn.ReLU(inplace=True), LINEAR).eval()
    x = uniform(2, 4) - 0.5
    before = x.clone()
    assert torch.allclose(input_gradient(model, x, 0), LINEAR.weight[0].detach() * (x > 0))
    assert torch.equal(x, before)


def test_limit_a_score_that_ignores_the_input_has_gradient_zero():
    assert torch.equal(input_gradient(Returning(lambda x: x[:, :2] * 0.0), uniform(3, 4), 0), torch.zeros(3, 4))


def test_limit_one_class_for_all_and_a_class_without_dimensions():
    assert require(LINEAR, uniform(3, 4), 2).tolist() == [2, 2, 2]
    assert require(LINEAR, uniform(3, 4), torch.tensor(1)).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        (uniform(4), 0, r"x\[None\]"),
        (uniform(0, 4), 0, "at least one example"),
        (torch.zeros(2, 4, dtype=torch.int64), 0, "floating"),
        (torch.zeros(2, 4), 0, r"use x.to\(torch.float64\)"),
        (torch.full((2, 4), float("nan"), dtype=torch.float64), 0, "x must be finite"),
        (uniform(2, 4), -1, "counted from 0"),
        (uniform(2, 4), 3, "between 0 and 2"),
        (uniform(2, 4), torch.tensor([0, 1, 2]), "one for each of the 2 examples"),
        (uniform(2, 4), torch.tensor([0.0, 1.0]), "int64"),
        (uniform(2, 4), True, "int64"),
        (uniform(2, 4), "2", "int64"),
    ],
)
def test_error_inputs_and_classes_that_cannot_be_used(x, target, message):
    for function in (scores, input_gradient):
        with pytest.raises(ParameterError, match=message):
            function(LINEAR, x, target)


def test_error_a_part_in_training_mode_is_named():
    model = convolutional()
    model[1].train()
    with pytest.raises(ParameterError, match=r"'1'.*call model.eval\(\)"):
        scores(model, uniform(2, 2, 8, 8), 0)
    with pytest.raises(ParameterError, match="the network itself"):
        scores(nn.Linear(4, 3).double(), uniform(2, 4), 0)


def test_error_batch_statistics_in_eval_mode():
    model = nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), LINEAR).double().eval()
    with pytest.raises(ParameterError, match="track_running_stats=True"):
        input_gradient(model, uniform(2, 4), 0)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x.sum(1), "logits of shape"),
        (lambda x: (x,), "tuple"),
        (lambda x: x[:1], r"logits of shape \(2, C\)"),
        (lambda x: x.detach(), "must not detach"),
        (lambda x: x.sign().long(), "must not detach"),
        (lambda x: (x - x).sqrt(), "NaN or infinite"),
    ],
)
def test_error_networks_that_cannot_be_used(returned, message):
    with pytest.raises(ParameterError, match=message):
        input_gradient(Returning(returned), uniform(2, 4), 0)


def test_error_a_score_that_is_not_finite():
    with pytest.raises(ParameterError, match="the score must be finite"):
        scores(Returning(lambda x: x / 0.0), uniform(2, 4), 0)


def test_error_options():
    with pytest.raises(ParameterError, match="'logit', 'probability'"):
        scores(LINEAR, uniform(2, 4), 0, "softmax")
    with pytest.raises(ParameterError, match="two classes"):
        chosen(uniform(2, 1), torch.tensor([0, 0]), "probability")
    with pytest.raises(ParameterError, match="one number an example"):
        input_gradient(LINEAR, uniform(2, 4), 0, weights=torch.ones(3))
