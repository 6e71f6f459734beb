"""Gradients through time: the backward scan against autograd of the plain loop, and networks that learn."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.spiking import (
    Neuron,
    SpikingClassifier,
    SpikingLayer,
    SpikingNetwork,
    arctan,
    compiled,
    fast_sigmoid,
    rectangle,
    sigmoid,
    simulate,
    surrogate_gradient,
    triangle,
    unroll,
)
from weightlore.spiking.gradients import Learning, spikes_of
from weightlore.spiking.network import layer_shapes
from weightlore.spiking.neurons import Constants
from weightlore.spiking.reference import advance, begin
from weightlore.spiking.stepping import neuron_step
from weightlore.spiking.surrogates import firing
from weightlore.training import adam, evaluate, fit

SURROGATES = {
    "fast sigmoid": fast_sigmoid(5.0),
    "sigmoid": sigmoid(),
    "arctan": arctan(),
    "triangle": triangle(1.5, 0.8),
    "rectangle": rectangle(1.3),
}
NEURONS = {
    "plain": Neuron(),
    "threshold": Neuron(threshold=torch.tensor([0.5, 0.8, 1.1, 1.4])),
    "zero": Neuron(reset="zero", threshold=0.8),
    "leaky": Neuron(leak=0.8, initial=0.3),
    "bounded": Neuron(lowest=-0.2, leak=0.9),
    "bounded at 0": Neuron(lowest=0.0, reset="zero"),
    "resting": Neuron(refractory=2, leak=0.95),
    "resting zero": Neuron(refractory=1, reset="zero", lowest=-0.3),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def looped(currents, steps, neuron, surrogate, detach_reset):
    """Spikes by the plain loop, whose graph autograd follows."""
    constants = Constants.of(neuron, tuple(currents.shape[2:]), currents)
    state, found = constants.state(neuron, currents.shape[1:]), []
    for t in range(steps):
        current = currents[t if len(currents) > 1 else 0]
        state, spikes = neuron_step(
            state, current, neuron, constants=constants, fire=firing(surrogate), detach_reset=detach_reset
        )
        found.append(spikes)
    return torch.stack(found)


def gradient(function, currents, weights, *args):
    currents = currents.clone().requires_grad_()
    spikes = function(currents, *args)
    return spikes.detach(), torch.autograd.grad((spikes * weights).sum(), currents)[0]


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize(("name", "kind"), list(product(NEURONS, SURROGATES)))
def test_oracle_the_backward_scan_is_autograd_of_the_loop(name, kind, detach):
    neuron, surrogate = NEURONS[name], SURROGATES[kind]
    for steps, constant in [(15, False), (15, True), (1, False)]:
        currents = normal(1 if constant else steps, 3, 4, seed=steps) * 0.6 + 0.25
        weights = normal(steps, 3, 4, seed=9)
        spikes, found = gradient(spikes_of, currents, weights, steps, neuron, Learning(surrogate, detach))
        same, expected = gradient(looped, currents, weights, steps, neuron, surrogate, detach)
        assert torch.equal(spikes, same)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
        assert steps == 1 or spikes.any()
        assert expected.any()


@pytest.mark.skipif(not compiled.available(), reason="numba is absent")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NEURONS)
def test_oracle_the_compiled_engine_learns_the_same(name, dtype):
    currents, weights = normal(15, 3, 4, dtype=dtype) * 0.6 + 0.25, normal(15, 3, 4, seed=9, dtype=dtype)
    found, expected = (
        gradient(spikes_of, currents, weights, 15, NEURONS[name], Learning(sigmoid(), engine=engine))
        for engine in ("numba", "torch")
    )
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[1].dtype == dtype


@pytest.mark.parametrize("name", SURROGATES)
def test_property_a_surrogate_is_a_slope_around_the_threshold(name):
    surrogate = SURROGATES[name]
    x = torch.linspace(-200, 200, 400001, dtype=torch.float64)
    given = x.clone()
    slope = surrogate(x)
    assert torch.equal(x, given)
    assert (slope >= 0).all()
    assert slope[200000] == slope.max(), "the largest slope is at the threshold"
    torch.testing.assert_close(slope, surrogate(-x), rtol=1e-12, atol=1e-14)
    area = {"fast sigmoid": 2 / 5, "sigmoid": 1, "arctan": 1, "triangle": 1.2, "rectangle": 1}[name]
    assert torch.trapezoid(slope, x).item() == pytest.approx(area, rel=5e-3)


def test_oracle_surrogates_by_their_formula():
    x = normal(100)
    torch.testing.assert_close(fast_sigmoid(3.0)(x), 1 / (1 + 3 * x.abs()) ** 2)
    torch.testing.assert_close(arctan(3.0)(x), 1.5 / (1 + (math.pi / 2 * 3 * x) ** 2))
    u = x.clone().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(torch.sigmoid(4 * u).sum(), u)[0], sigmoid(4.0)(x))
    torch.testing.assert_close(
        torch.autograd.grad((torch.arctan(math.pi / 2 * 2 * u) / math.pi).sum(), u)[0], arctan(2.0)(x)
    )
    spikes = surrogate_gradient(u, 0.25, triangle())
    assert torch.equal(spikes, (x >= 0.25).double())
    assert torch.equal(torch.autograd.grad(spikes.sum(), u)[0], triangle()(x - 0.25))


def dense(seed=0):
    network = SpikingNetwork(
        [
            SpikingLayer(nn.Linear(6, 9), Neuron(leak=0.9)),
            SpikingLayer(nn.Linear(9, 7)),
            SpikingLayer(nn.Linear(7, 3), None),
        ]
    )
    return drawn(network, seed)


def images(seed=0):
    return drawn(
        SpikingNetwork(
            [
                SpikingLayer(nn.Conv2d(1, 3, 3, padding=1), gate=nn.MaxPool2d(2)),
                SpikingLayer({1: nn.Conv2d(3, 3, 3, padding=1), 0: nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 3, 1))}),
                SpikingLayer(nn.Sequential(nn.Flatten(), nn.Linear(48, 3))),
            ]
        ),
        seed,
    )


def circular(seed=0):
    return drawn(
        SpikingNetwork(
            [
                SpikingLayer({0: nn.Linear(6, 5), 1: nn.Linear(5, 5), 2: nn.Linear(4, 5)}),
                SpikingLayer({1: nn.Linear(5, 4), 0: nn.Linear(6, 4)}, Neuron(reset="zero")),
                SpikingLayer({2: nn.Linear(4, 3), 1: nn.Linear(5, 3)}, None),
            ]
        ),
        seed,
    )


def drawn(network, seed):
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in network.double().parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.6 + 0.1)
    return network


@pytest.mark.parametrize("order", ["same_step", "synchronous"])
@pytest.mark.parametrize(("make", "shape"), [(dense, (6,)), (images, (1, 8, 8)), (circular, (6,))])
def test_oracle_a_network_unrolled_is_autograd_of_the_loop(make, shape, order):
    network, x = make(), normal(4, *shape).abs()
    with torch.no_grad():
        now = begin(network, x, layer_shapes(network, x))
    potentials = []
    for _ in range(9):
        now = advance(network, now, x, order=order, fire=firing(fast_sigmoid(5.0)))
        potentials.append(now.potential)
    potential = torch.stack(potentials)
    weights = normal(*potential.shape, seed=5)
    expected = torch.autograd.grad((potential * weights).sum(), list(network.parameters()))
    found = unroll(network, x, 9, order=order, surrogate=fast_sigmoid(5.0))
    torch.testing.assert_close(found.potential, potential, rtol=1e-12, atol=1e-12)
    gradients = torch.autograd.grad((found.potential * weights).sum(), list(network.parameters()))
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)
    assert all(one.any() for one in expected)
    simulated = simulate(network, x, 9, order=order)
    assert all(torch.equal(e.sum(0).int(), c) for e, c in zip(found.emitted, simulated.spike_counts, strict=True))


def test_property_what_enters_over_time_is_unrolled_too():
    def noise(x, steps, generator):
        return torch.stack([torch.rand(x.shape, generator=generator, dtype=x.dtype) for _ in steps])

    network, x = dense(), normal(4, 6).abs()
    found = unroll(network, x, 9, encode=noise, generator=seeded(3))
    expected = simulate(network, x, 9, encode=noise, generator=seeded(3))
    torch.testing.assert_close(found.potential, expected.potential, rtol=1e-12, atol=1e-12)
    assert len(found.emitted) == 2


def test_property_a_spiking_network_learns_as_any_other():
    x = torch.rand(200, 2, generator=seeded(1), dtype=torch.float64)
    data = Split(x, ((x[:, 0] > 0.5) ^ (x[:, 1] > 0.5)).long())
    network = drawn(SpikingNetwork([SpikingLayer(nn.Linear(2, 32)), SpikingLayer(nn.Linear(32, 2), None)]), 3)
    model = SpikingClassifier(network, 8, surrogate=sigmoid(4.0), scale=2.0)
    before = evaluate(model, data)
    history = fit(model, data, generator=seeded(2), epochs=40, optimizer=adam(0.02), batch_size=32)
    after = evaluate(model, data)
    assert before.accuracy < 0.75
    assert after.accuracy > 0.9, "not linearly separable: the hidden spikes have learned"
    assert history.train_loss[-1] < history.train_loss[0] / 2
    logits = simulate(network, x, 8).potential[-1] * 2.0 / 8
    torch.testing.assert_close(model(x), logits)
    with torch.no_grad():
        assert torch.equal(model(x), logits)


def test_error_what_cannot_be_learned():
    network, x = dense(), normal(4, 6)
    for steps, examples in [(0, 4), (3, 0)]:
        with pytest.raises(ParameterError, match="at least one step and one example"):
            unroll(network, x[:examples], steps)
    with pytest.raises(ParameterError, match="a whole number >= 1, got 0"):
        SpikingClassifier(network, 0)
    with pytest.raises(ParameterError, match="must be > 0, got -1"):
        SpikingClassifier(network, 1, scale=-1.0)
    for make in (fast_sigmoid, sigmoid, arctan, rectangle, triangle):
        with pytest.raises(ParameterError, match="of a surrogate must be a finite number > 0"):
            make(0.0)
    with pytest.raises(ParameterError, match="height of a surrogate"):
        triangle(1.0, math.inf)
