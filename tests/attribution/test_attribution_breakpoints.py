"""Exact integrated gradients: closed forms, quadrature with many nodes, and breakpoints found by brute force."""

import pytest
import torch
from tests.attribution.attribution_networks import (
    TARGET,
    Functional,
    Reused,
    convolutional,
    drawn,
    ours,
    seeded,
    uniform,
)
from torch import nn
from torch.nn import functional

from weightlore.attribution import gradient_times_input
from weightlore.attribution.breakpoints import breakpoints, exact_integrated_gradients
from weightlore.attribution.integrated import integrated_gradients
from weightlore.attribution.kinks import crossings, takeovers
from weightlore.attribution.paths import path_gradients
from weightlore.attribution.toys import Formula
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy


def row(*numbers):
    return torch.tensor([numbers], dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def test_oracle_one_hidden_layer_in_closed_form():
    w, c, v = normal(40, 6), normal(40, seed=1), normal(40, seed=2)
    x, b = normal(5, 6, seed=3), normal(5, 6, seed=4)
    slope, start = (x - b) @ w.T, b @ w.T + c  # u = start + a slope
    bend = (-start / slope).clamp(0, 1)
    active = torch.where(slope > 0, 1 - bend, bend)  # length of the path on which the unit is active
    wanted = (x - b) * ((v * active) @ w)
    model = Formula(lambda z: torch.relu(z @ w.T + c) @ v)
    found = exact_integrated_gradients(model, x, 0, baseline=b)
    assert torch.allclose(found.values, wanted, rtol=0, atol=1e-12)
    assert bool((found.gap.abs() < 1e-12).all())
    for n, places in enumerate(breakpoints(model, x, baseline=b)):
        inside = bend[n][(bend[n] > 0) & (bend[n] < 1)].sort().values
        assert torch.allclose(places, torch.cat([row(0.0)[0], inside, row(1.0)[0]]), rtol=0, atol=1e-12)


def test_oracle_toy_functions():
    clipped = Formula(lambda z: 1 - torch.relu(1 - z[:, 0]))
    assert exact_integrated_gradients(clipped, row(2.0), 0, baseline=0.0).values.tolist() == [[1.0]]
    assert breakpoints(clipped, row(2.0), baseline=0.0)[0].tolist() == [0, 0.5, 1]
    nested = Formula(lambda z: torch.relu(torch.relu(z[:, 0]) - 1 - torch.relu(z[:, 1])))
    found = exact_integrated_gradients(nested, row(3.0, 1.0), 0, baseline=0.0)
    assert torch.allclose(found.values, row(1.5, -0.5), atol=1e-14)
    assert (found.gap.abs() < 1e-14, found.output) == (True, "logit")


SMALL = {
    "batch norm": lambda: (convolutional(), uniform(3, 2, 8, 8)),
    "max pooling": lambda: (convolutional(nn.MaxPool2d, inplace=True), uniform(3, 2, 8, 8)),
    "reused": lambda: (drawn(Reused(inplace=True)), normal(3, 6)),
    "functional": lambda: (drawn(Functional("method")), normal(3, 6)),
}


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20", *SMALL])
def test_oracle_quadrature_with_many_nodes_comes_to_it(name):
    model, x = SMALL[name]() if name in SMALL else ours()[name]
    deep = name == "resnet20"
    x = x[:1, :, :8, :8] if deep else x
    target, b = TARGET[: len(x)], uniform(*x.shape, seed=7)
    found = exact_integrated_gradients(model, x, target, baseline=b)
    scale = float(found.values.abs().max())
    assert scale > 0
    assert float(found.gap.abs().max()) < 1e-12 * max(1.0, scale)
    errors = []
    for nodes in (5, 300) if deep else (20, 2000):
        rough = integrated_gradients(model, x, target, baseline=b, rule="midpoint", nodes=nodes)
        errors.append(float((rough.values - found.values).abs().max()) / scale)
    assert errors[1] < (0.05 if deep else 2e-3)
    assert errors[1] < errors[0] / 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg11", "vgg15"])
def test_property_completeness_of_deep_networks(name):
    model, x = ours()[name]
    found = exact_integrated_gradients(model, x[:1], 2, baseline=uniform(*x[:1].shape, seed=7))
    assert float(found.gap.abs().max()) < 1e-12
    assert bool(found.values.any())


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_property_completeness_on_the_digits(kind):
    test = digits("test")[:10]
    found = exact_integrated_gradients(healthy(kind), test.x, test.y, baseline=0.0)
    assert bool((found.gap.abs() < 1e-12).all())
    assert bool((found.values[test.x == 0] == 0).all())


@pytest.mark.parametrize(("pool", "seen"), [(nn.AvgPool2d, 0.5), (nn.MaxPool2d, 0.1)])
def test_property_the_gradient_is_constant_on_every_piece_and_changes_at_breakpoints(pool, seen):
    model, x = convolutional(pool), uniform(1, 2, 8, 8)
    places = breakpoints(model, x, baseline=-0.5)[0]
    assert len(places) > 10
    shares = torch.tensor([0.01, 0.5, 0.99], dtype=torch.float64)
    inside = (places[:-1, None] + shares * places.diff()[:, None]).flatten()
    h = path_gradients(model, x, 1, baseline=-0.5, places=inside).flatten(1).view(len(places) - 1, 3, -1)
    assert float((h - h[:, 1:2]).abs().max()) < 1e-13
    changes = (h[1:, 1] - h[:-1, 1]).abs().amax(1) > 1e-13
    assert float(changes.double().mean()) > seen  # what does not reach the logit bends unseen


def test_property_without_biases_from_zero_there_is_one_piece():
    x = digits("test").x[:4]
    model = healthy("biasless")
    assert [one.tolist() for one in breakpoints(model, x, baseline=0.0)] == [[0, 1]] * 4
    product = gradient_times_input(model, x, 3).values
    assert torch.allclose(exact_integrated_gradients(model, x, 3, baseline=0.0).values, product, atol=1e-13)


PIECES = {
    "abs": lambda z: z.abs(),
    "leaky": lambda z: functional.leaky_relu(z, 0.2),
    "in place": lambda z: functional.leaky_relu_(z + 0, 0.2),
    "prelu": lambda z: functional.prelu(z, torch.tensor([0.3], dtype=torch.float64)),
    "relu6": lambda z: functional.relu6(8 * z),
    "hardtanh": lambda z: functional.hardtanh(z, -0.3, 0.6),
    "hardtanh, default": lambda z: functional.hardtanh(2 * z),
    "hardsigmoid": lambda z: functional.hardsigmoid(4 * z),
    "clamp": lambda z: z.clamp(-0.2, 0.5),
    "clamp, one side": lambda z: torch.clamp(z, max=0.1),
    "clamp by tensors": lambda z: z.clamp(torch.full_like(z, -0.1).detach(), torch.full_like(z, 0.4).detach()),
    "clamp_min": lambda z: z.clamp_min(0.2),
    "maximum": lambda z: torch.maximum(z, z.flip(1)),
    "minimum": lambda z: torch.minimum(z, torch.full((1, 12), 0.1, dtype=torch.float64)),
    "max_pool1d": lambda z: functional.max_pool1d(z[:, None], 3, 2, padding=1),
    "max_pool1d, rounded up": lambda z: functional.max_pool1d(z[:, None], 5, ceil_mode=True),
    "max_pool2d": lambda z: functional.max_pool2d(z.view(-1, 1, 3, 4), 2),
    "max_pool2d, overlapping": lambda z: functional.max_pool2d(z.view(-1, 1, 3, 4), 3, 1, 1),
    "max_pool2d, rounded up": lambda z: functional.max_pool2d(z.view(-1, 1, 3, 4), 2, ceil_mode=True),
    "max_pool2d, dilated": lambda z: functional.max_pool2d(z.view(-1, 1, 3, 4), (2, 2), (1, 1), dilation=(2, 1)),
    "max_pool2d, one": lambda z: functional.max_pool2d(z.view(-1, 1, 3, 4), 1),
}


@pytest.mark.parametrize("piece", PIECES)
def test_oracle_every_bending_operation_against_brute_force(piece):
    one, two = normal(12, 5), normal(60, seed=1)

    def function(z):
        u = PIECES[piece](z @ one.T).flatten(1)
        return u @ two[: u.shape[1]]

    model, x, b = Formula(function), normal(4, 5, seed=2), normal(4, 5, seed=3)
    found = exact_integrated_gradients(model, x, 0, baseline=b)
    assert bool((found.gap.abs() < (1e-6 if piece == "hardsigmoid" else 1e-12)).all())  # its slope is float32 in torch
    count, dense = 0, torch.linspace(0, 1, 20001, dtype=torch.float64)
    for n, places in enumerate(breakpoints(model, x, baseline=b)):
        line = function(b[n] + dense[:, None] * (x[n] - b[n]))
        bent = dense[1:-1][line.diff(n=2).abs() > 1e-9]
        distance = (bent[:, None] - places).abs().amin(1)
        assert not bool((distance > 6e-5).any())
        count += len(bent)
    assert (count == 0) == (piece == "max_pool2d, one")


def test_oracle_crossings_and_takeovers_on_lines():
    interval, share = crossings(torch.tensor([[-1.0, 2.0], [3.0, 0.0], [0.0, -2.0]]))
    assert (interval.tolist(), share.tolist()) == ([0], [0.25])
    lines = torch.tensor([[[0.0, 4.0, 3.5]], [[4.0, 0.0, 3.5]]])  # the third is highest in the middle
    interval, share = takeovers(lines)
    assert interval.tolist() == [0, 0]
    assert sorted(share.tolist()) == [0.125, 0.875]
    assert takeovers(torch.tensor([[[0.0, 4.0, 1.0]], [[4.0, 0.0, 1.0]]]))[1].tolist() == [0.5]
    assert len(takeovers(torch.zeros(3, 2, 4))[0]) == 0


@pytest.mark.parametrize("chunk", [2, 3, 17])
def test_property_the_chunk_changes_nothing_but_rounding(chunk):
    model, x = convolutional(nn.MaxPool2d), uniform(2, 2, 8, 8)
    one, other = (breakpoints(model, x, baseline=0.0, chunk=size) for size in (None, chunk))
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)
    exact, parts = (exact_integrated_gradients(model, x, 1, baseline=0.0, chunk=size) for size in (None, chunk))
    assert torch.allclose(exact.values, parts.values, atol=1e-14)


def test_limit_an_input_that_is_its_baseline_and_one_that_partly_is():
    model, x = convolutional(), uniform(2, 2, 8, 8)
    b = torch.cat([x[:1], x[1:].clone().mul_(torch.arange(2).view(1, 2, 1, 1))])
    found = exact_integrated_gradients(model, x, 1, baseline=b)
    assert breakpoints(model, x, baseline=b)[0].tolist() == [0, 1]
    assert not bool(found.values[0].any())
    assert not bool(found.values[1, 1].any())
    assert bool(found.values[1, 0].any())
    assert bool((found.gap.abs() < 1e-13).all())


def test_limit_equal_pixels_under_a_maximum():
    model = convolutional(nn.MaxPool2d)
    x = torch.full((1, 2, 8, 8), 0.7, dtype=torch.float64)
    found = exact_integrated_gradients(model, x, 1, baseline=0.0)
    assert float(found.gap.abs().max()) < 1e-13


def test_limit_float32():
    model, x = convolutional(nn.MaxPool2d), uniform(2, 2, 8, 8)
    exact = exact_integrated_gradients(model, x, 1, baseline=0.0).values
    single = exact_integrated_gradients(model.float(), x.float(), 1, baseline=0.0)
    assert single.values.dtype == torch.float32
    assert float((single.values - exact).abs().max()) < 1e-5 * float(exact.abs().max()) + 1e-6


def test_property_nothing_of_the_model_changes_and_gradients_may_be_off():
    model, x = convolutional(inplace=True), uniform(1, 2, 8, 8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected = exact_integrated_gradients(model, x, 1, baseline=0.0).values
    with torch.inference_mode():
        assert torch.equal(exact_integrated_gradients(model, x, 1, baseline=0.0).values, expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda z: z.tanh().sum(1), "tanh"),
        (lambda z: (z * z).sum(1), "mul"),
        (lambda z: z.softmax(1)[:, 0], "softmax"),
        (lambda z: functional.adaptive_max_pool1d(z[:, None], 2).flatten(1).sum(1), "adaptive_max_pool1d"),
    ],
)
def test_error_networks_that_are_not_made_of_affine_pieces(function, name):
    with pytest.raises(ParameterError, match=f"'{name}', as it is used here, is not made of affine pieces"):
        breakpoints(Formula(function), row(1.0, 2.0, 3.0), baseline=0.0)


def test_error_arguments():
    model, x = convolutional(), uniform(2, 2, 8, 8)
    with pytest.raises(ParameterError, match="shaped like x"):
        breakpoints(model, x, baseline=x[:, :1])
    with pytest.raises(ParameterError, match="eval mode"):
        exact_integrated_gradients(convolutional().train(), x, 1, baseline=0.0)
