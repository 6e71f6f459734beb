"""Loss, gradient and Hessian at a corruption: against autograd, batch by batch, and nothing of the caller's moves."""

import copy
import math

import pytest
import torch
from corruption_cases import data, net
from torch import nn

from weightlore.corruption import at_rest, hessian_vector, loss_gradient, measure
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import flatten, replaced


class Reader(nn.Module):
    """A recurrent classifier of class numbers."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.out = nn.Embedding(7, 3), nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0][:, -1])


def autograd_gradient(model, split):
    copied = copy.deepcopy(model).eval()
    nn.functional.cross_entropy(copied(split.x), split.y).backward()
    return torch.cat([p.grad.reshape(-1) for p in copied.parameters()])


@pytest.mark.parametrize("kind", ["tanh", "batchnorm", "dropout"])
@pytest.mark.parametrize("batch_size", [1, 7, 23, 1000])
def test_oracle_gradient_is_autograd_over_all_of_the_data(kind, batch_size):
    model, split = net(kind), data()
    found = loss_gradient(model, split, batch_size=batch_size)
    torch.testing.assert_close(found, autograd_gradient(model, split), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_oracle_measure_and_gradient_at_a_corruption(batch_size, generator):
    model, split = net(), data()
    a = 0.3 * torch.randn(flatten(model).shape, generator=generator, dtype=torch.float64)
    at_a = measure(model, split, corruption=a, batch_size=batch_size)
    gradient = loss_gradient(model, split, corruption=a, batch_size=batch_size)
    with replaced(model, flatten(model) + a):
        output = model(split.x).detach()
        assert at_a.loss == pytest.approx(float(nn.functional.cross_entropy(output, split.y)), rel=1e-12)
        assert at_a.accuracy == pytest.approx(float((output.argmax(1) == split.y).double().mean()))
        torch.testing.assert_close(gradient, autograd_gradient(model, split))


def test_oracle_recurrent_network(generator):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Reader()
    split = Split(torch.randint(7, (9, 6), generator=generator), torch.randint(2, (9,), generator=generator))
    torch.testing.assert_close(loss_gradient(model, split, batch_size=4), autograd_gradient(model, split))
    assert len(loss_gradient(model, split, group="lstm")) == sum(p.numel() for p in model.lstm.parameters())


def test_oracle_hessian_vector(generator):
    model, split = net(), data()
    theta = flatten(model)

    def loss_at(vector):
        start, named = 0, {}
        for name, parameter in model.named_parameters():
            named[name] = vector[start : start + parameter.numel()].reshape(parameter.shape)
            start += parameter.numel()
        return nn.functional.cross_entropy(torch.func.functional_call(model, named, (split.x,)), split.y)

    hessian = torch.func.hessian(loss_at)(theta)
    v = torch.randn(theta.shape, generator=generator, dtype=torch.float64)
    for batch_size in (5, 1000):
        product = hessian_vector(model, split, v, batch_size=batch_size)
        torch.testing.assert_close(product, hessian @ v, rtol=1e-9, atol=1e-12)
    rows = hessian_vector(model, split, v[-3:], group="2.bias")
    torch.testing.assert_close(rows, hessian[-3:, -3:] @ v[-3:], rtol=1e-9, atol=1e-12)


def test_property_a_group_is_a_part_of_the_whole():
    model, split = net("batchnorm"), data()
    whole, start = loss_gradient(model, split), 0
    for name, parameter in model.named_parameters():
        part = loss_gradient(model, split, group=name)
        torch.testing.assert_close(part, whole[start : start + parameter.numel()])
        start += parameter.numel()


def test_property_another_loss(generator):
    model, split = net(), data()
    goal = Split(split.x, torch.randn(23, 3, generator=generator, dtype=torch.float64))
    found = measure(model, goal, loss=nn.functional.mse_loss, batch_size=10)
    assert found.loss == pytest.approx(float(nn.functional.mse_loss(model(goal.x), goal.y).detach()), rel=1e-12)
    assert math.isnan(found.accuracy)
    assert bool(loss_gradient(model, goal, loss=nn.functional.mse_loss).any())


@pytest.mark.parametrize("kind", ["tanh", "batchnorm", "dropout"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_property_nothing_of_the_callers_is_changed(kind, training, fails):
    model, split = net(kind).train(training), data()
    model[0].train(not training)  # a mixture of modes
    model[0].bias.requires_grad_(False)
    model[-1].weight.grad = torch.full_like(model[-1].weight, 7.0)
    state = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    rng = torch.get_rng_state()

    def loss(output, y):
        torch.rand(1)  # a careless loss
        if fails:
            raise RuntimeError("stop")
        return nn.functional.cross_entropy(output, y)

    a = torch.ones(len(flatten(model)), dtype=torch.float64)
    for work in (
        lambda: measure(model, split, corruption=a, loss=loss, batch_size=5),
        lambda: loss_gradient(model, split, corruption=a, loss=loss, batch_size=5),
        lambda: hessian_vector(model, split, a, loss=loss, batch_size=5),
    ):
        if fails:
            with pytest.raises(RuntimeError, match="stop"):
                work()
        else:
            work()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), rng)
    assert [p.grad is None for p in model.parameters()] == [p is not model[-1].weight for p in model.parameters()]
    assert bool((model[-1].weight.grad == 7).all())
    assert [p.requires_grad for p in model.parameters()] == [p is not model[0].bias for p in model.parameters()]
    assert torch.is_grad_enabled()
    assert bool((a == 1).all())


def test_property_gradients_exist_where_the_caller_switched_them_off():
    model, split = net(), data()
    with torch.no_grad():
        assert bool(loss_gradient(model, split).any())
        assert not torch.is_grad_enabled()


def test_property_at_rest_gives_every_module_its_mode_back():
    model = net("dropout").train()
    model[1].eval()
    with at_rest(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False, True, True]


def test_limit_unused_and_frozen_parameters():
    class Partly(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3).double(), nn.Linear(2, 2).double()

        def forward(self, x):
            return self.used(x)

    model, split = Partly(), data()
    gradient = loss_gradient(model, split)
    assert len(gradient) == 15 + 6  # without a gradient, yet parameters
    assert bool(gradient[:15].any())
    assert not gradient[15:].any()
    assert not loss_gradient(model, split, group="unused").any()
    assert not hessian_vector(model, split, torch.ones(6).double(), group="unused").any()
    model.used.weight.requires_grad_(False)
    assert len(loss_gradient(model, split)) == 3 + 6


def test_error_model_and_data_do_not_fit():
    model, split = net(), data()
    for function in (measure, loss_gradient):
        with pytest.raises(ParameterError, match="the model is on meta, the data on cpu"):
            function(copy.deepcopy(model).to("meta"), split)
        with pytest.raises(ParameterError, match=r"the model is torch.float64, the data torch.float32.*data.to\("):
            function(model, split.to(dtype=torch.float32))
        with pytest.raises(ParameterError, match="at least one example"):
            function(model, split[:0])
        with pytest.raises(ParameterError, match="batch_size counts examples"):
            function(model, split, batch_size=0)
        with pytest.raises(ParameterError, match=r"loss must return the mean over the batch.*got shape \(23,\)"):
            function(model, split, loss=lambda output, y: output.sum(dim=1))
        with pytest.raises(ParameterError, match="group 'nowhere' is empty"):
            function(model, split, group="nowhere")
        with pytest.raises(ParameterError, match=r"must have shape \(43,\), got \(3,\)"):
            function(model, split, corruption=torch.zeros(3))
    with pytest.raises(ParameterError, match=r"must have shape \(43,\), got \(3,\)"):
        hessian_vector(model, split, torch.zeros(3))


def test_error_integer_model():
    model = nn.Linear(4, 3).double()
    model.weight = nn.Parameter(torch.ones(3, 4, dtype=torch.int64), requires_grad=False)
    model.bias = nn.Parameter(torch.ones(3, dtype=torch.int64), requires_grad=False)
    with pytest.raises(ParameterError, match="is empty"):  # integers have no gradient
        loss_gradient(model, data())
