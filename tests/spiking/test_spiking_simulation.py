"""Many steps at once, in chunks and blocks, by either engine: the loop over steps, spike for spike."""

import math
from itertools import product

import pytest
import torch
from torch import nn

from weightlore.errors import MissingExtra, ParameterError
from weightlore.spiking import (
    Exit,
    Neuron,
    SpikingLayer,
    SpikingNetwork,
    compiled,
    early_exit,
    evidence,
    scan,
    simulate,
    simulation,
    step_by_step,
)
from weightlore.spiking.network import layer_shapes
from weightlore.spiking.running import together

ENGINES = ["torch", pytest.param("numba", marks=pytest.mark.skipif(not compiled.available(), reason="numba is absent"))]
NEURONS = {
    "plain": Neuron(),
    "zero": Neuron(reset="zero"),
    "leaky": Neuron(leak=0.5, initial=0.25),
    "bounded": Neuron(lowest=-0.5, threshold=0.75),
    "resting": Neuron(refractory=2),
    "resting zero": Neuron(refractory=1, reset="zero", lowest=-0.25, leak=0.75, threshold=1.5),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dyadic(module, seed=0, low=-10, high=11):
    """The module with weights that are multiples of 1/16: every sum of spikes is exact."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            draw = torch.randint(low, high, parameter.shape, generator=generator)
            parameter.copy_(draw.to(parameter.dtype) / 16)
    return module


def inputs(*shape, seed=1, dtype=torch.float64):
    return (torch.randint(-4, 17, shape, generator=seeded(seed)) / 16).to(dtype)


def linear(a, b):
    return nn.Linear(a, b, bias=False)


def convolution(a, b):
    return nn.Conv2d(a, b, 3, padding=1, bias=False)


def deep(neuron=None):
    by_number = Neuron() if neuron is None else neuron
    layers = [
        SpikingLayer(linear(6, 9), by_number),
        SpikingLayer(linear(9, 7), by_number),
        SpikingLayer(linear(7, 5), None),
    ]
    return SpikingNetwork(layers)


def images(neuron=None):
    """Convolutions with a threshold by channel, pooled currents, a gate, a skip, and a spiking last layer."""
    by_channel = Neuron(threshold=torch.tensor([0.5, 1.0, 1.5, 2.0]).reshape(4, 1, 1)) if neuron is None else neuron
    end = Neuron() if neuron is None else neuron
    flat = nn.Sequential(nn.Flatten(), linear(16, 3))
    return SpikingNetwork(
        [
            SpikingLayer(convolution(2, 4), by_channel),
            SpikingLayer({1: nn.Sequential(convolution(4, 4), nn.AvgPool2d(2)), 0: nn.Conv2d(2, 4, 2, 2)}, by_channel),
            SpikingLayer({2: convolution(4, 4), 1: nn.AvgPool2d(2)}, end, gate=nn.MaxPool2d(2)),
            SpikingLayer(flat, end),
        ]
    )


def circular(neuron=None):
    """A layer that feeds itself, two that feed each other, and plain ones around."""
    neuron = Neuron() if neuron is None else neuron
    return SpikingNetwork(
        [
            SpikingLayer(linear(6, 8), neuron),
            SpikingLayer({1: linear(8, 8), 2: linear(8, 8)}, neuron),
            SpikingLayer({2: linear(8, 7), 4: linear(6, 7), 0: linear(6, 7)}, neuron),
            SpikingLayer({3: linear(7, 6), 1: linear(8, 6)}, neuron),
            SpikingLayer(linear(6, 5), None),
        ]
    )


MAKERS = {"deep": (deep, (6,)), "images": (images, (2, 8, 8)), "circular": (circular, (6,))}


def made(kind, neuron=None, dtype=torch.float64):
    make, shape = MAKERS[kind]
    return dyadic(make(neuron).to(dtype)), shape


def assert_same(found, expected):
    assert torch.equal(found.potential, expected.potential)
    for name in ("spikes", "potentials"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one)
    assert len(found.spike_counts) == len(expected.spike_counts)
    assert all(torch.equal(a, b) for a, b in zip(found.spike_counts, expected.spike_counts, strict=True))
    assert torch.equal(found.steps, expected.steps)
    assert (found.input_counts is None) == (expected.input_counts is None)
    if found.input_counts is not None:
        assert torch.equal(found.input_counts, expected.input_counts)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("order", ["same_step", "synchronous"])
@pytest.mark.parametrize("kind", MAKERS)
def test_oracle_chunks_are_the_loop_spike_for_spike(kind, order, dtype, engine):
    network, shape = made(kind, dtype=dtype)
    x = inputs(5, *shape, dtype=dtype)
    record = tuple(range(1, len(network.layers) + 1))
    expected = step_by_step(network, x, 21, order=order, record=record)
    assert all(counts.sum() > 0 for counts in expected.spike_counts)
    for chunk in (None, 1, 4, 21, 50):
        found = simulate(network, x, 21, order=order, record=record, chunk=chunk, engine=engine)
        assert_same(found, expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "kind"), list(product(NEURONS, MAKERS)))
def test_oracle_every_kind_of_neuron(name, kind, engine):
    network, shape = made(kind, NEURONS[name])
    x = inputs(4, *shape)
    record = tuple(range(1, len(network.layers) + 1))
    expected = step_by_step(network, x, 17, record=record)
    assert expected.spike_counts[0].sum() > 0
    assert_same(simulate(network, x, 17, record=record, chunk=5, engine=engine), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oracle_weights_and_thresholds_of_any_value(engine, dtype):
    neurons = [
        Neuron(threshold=0.3, leak=0.97),
        Neuron(threshold=torch.rand(7, generator=seeded(3)) + 0.2, initial=0.1),
    ]
    layers = [
        SpikingLayer(linear(6, 9), neurons[0]),
        SpikingLayer(linear(9, 7), neurons[1]),
        SpikingLayer(linear(7, 4)),
    ]
    network = SpikingNetwork(layers).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(4)))
    x = torch.rand(5, 6, generator=seeded(5)).to(dtype)
    expected = step_by_step(network, x, 40, record=(1, 2, 3))
    found = simulate(network, x, 40, record=(1, 2, 3), engine=engine, chunk=7)
    assert torch.equal(found.potentials[1], expected.potentials[1]), "its currents are one and the same product"
    assert all(torch.equal(a, b) for a, b in zip(found.spike_counts, expected.spike_counts, strict=True))
    torch.testing.assert_close(found.potentials[2], expected.potentials[2], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not compiled.available(), reason="numba is absent")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", MAKERS)
def test_property_the_engine_asked_for_is_the_one_that_scans(kind, dtype, monkeypatch):
    network, shape = made(kind, dtype=dtype)
    scanned, original = [], compiled.compiled_scan
    monkeypatch.setattr(compiled, "compiled_scan", lambda *a, **k: scanned.append(a) or original(*a, **k))
    for record in ((), (1, 2)):
        simulate(network, inputs(4, *shape, dtype=dtype), 6, chunk=3, engine="torch", record=record)
        assert scanned == []
        simulate(network, inputs(4, *shape, dtype=dtype), 6, chunk=3, engine="numba", record=record)
        calls = {"deep": 2 * 2, "images": 2 * 4, "circular": 2 * (1 + 3 + 3 + 3)}[kind]
        assert len(scanned) == calls, "every layer in every chunk, or in every step where layers step together"
        scanned.clear()


def test_property_which_engine_is_chosen(monkeypatch):
    x = torch.zeros(2, 3)
    for available, loaded, updates, expected in [
        (True, True, 1, "numba"),
        (True, False, 1, "torch"),
        (True, False, scan.WORTH_COMPILING, "numba"),
        (False, False, 10**12, "torch"),
    ]:
        monkeypatch.setattr(compiled, "available", lambda available=available: available)
        monkeypatch.setattr(compiled, "loaded", lambda loaded=loaded: loaded)
        assert scan.choose_engine("auto", updates, x) == expected
        assert scan.choose_engine("torch", updates, x) == "torch"
        assert scan.choose_engine("auto", updates, x.half()) == "torch"
    monkeypatch.setattr(compiled, "available", lambda: True)
    assert scan.choose_engine("numba", 1, x) == "numba"
    with pytest.raises(
        ParameterError, match="computes in float32 and float64 on the CPU, got torch.bfloat16".replace(".", r"\.")
    ):
        scan.choose_engine("numba", 1, x.bfloat16())


@pytest.mark.parametrize("kind", MAKERS)
def test_property_neither_blocks_nor_batch_mates_change_anything(kind, monkeypatch):
    network, shape = made(kind)
    x = inputs(7, *shape)
    whole = simulate(network, x, 15, record=(1, 2))
    monkeypatch.setattr(simulation, "ROOM", 800)
    rows, size = simulation.chunk_sizes(layer_shapes(network, x), x, 15)
    assert rows < 7 or size < 15
    assert_same(simulate(network, x, 15, record=(1, 2)), whole)
    level = evidence(whole.potential).median().item()
    parts = simulate(network, x, 15, record=(1, 2), exit=Exit("potential", level))
    monkeypatch.undo()
    assert_same(parts, simulate(network, x, 15, record=(1, 2), exit=Exit("potential", level)))
    assert parts.steps.unique().numel() > 1
    alone = simulate(network, x[3:4], 15, record=(1, 2))
    assert torch.equal(alone.potential[:, 0], whole.potential[:, 3])
    assert torch.equal(alone.spikes[1][:, 0], whole.spikes[1][:, 3])


def test_property_only_layers_in_a_circle_step_together():
    assert together(circular()) == [range(1, 2), range(2, 3), range(3, 5), range(5, 6)]
    assert together(deep()) == [range(n, n + 1) for n in (1, 2, 3)]
    back = SpikingNetwork(
        [
            SpikingLayer({0: linear(2, 2), 2: linear(2, 2)}),
            SpikingLayer({1: linear(2, 2), 3: linear(2, 2)}),
            SpikingLayer(linear(2, 2)),
        ]
    )
    assert together(back) == [range(1, 4)]


def test_property_memory_of_a_chunk_does_not_grow_with_time():
    network, shape = made("deep")
    x = inputs(4, *shape)
    shapes = layer_shapes(network, x)
    many = inputs(10**6, 6)
    assert simulation.chunk_sizes(shapes, x, 10**6)[1] == simulation.chunk_sizes(shapes, x, 10**7)[1] < 10**6
    rows, size = simulation.chunk_sizes(shapes, many, 100)
    assert rows * size * 9 * 8 <= simulation.ROOM
    assert simulation.chunk_sizes(shapes, many, 100, whole=True)[0] == 10**6
    assert simulation.chunk_sizes(shapes, x, 100, watched=True) == (4, simulation.EXIT_STEPS)
    assert simulation.chunk_sizes(shapes, x, 3, chunk=64) == (4, 3)


@pytest.mark.parametrize("rule", ["potential", "margin", "confidence"])
@pytest.mark.parametrize("kind", MAKERS)
def test_oracle_an_exit_on_the_way_is_the_exit_afterwards(kind, rule):
    network, shape = made(kind)
    x = inputs(9, *shape)
    record = tuple(range(1, len(network.layers) + 1))
    whole = simulate(network, x, 24, record=record)
    level = evidence(whole.potential, rule).median().item()
    chosen = Exit(rule, level, t_min=2)
    decided = early_exit(whole.potential, rule, level, 2)
    assert decided.steps.unique().numel() > 1
    for chunk in (1, 5, None):
        found = simulate(network, x, 24, record=record, exit=chosen, chunk=chunk)
        assert torch.equal(found.steps, decided.steps)
        again = early_exit(found.potential, rule, level, 2)
        assert torch.equal(again.steps, decided.steps)
        assert torch.equal(again.prediction, decided.prediction)
        for n, steps in enumerate(decided.steps.tolist()):
            assert torch.equal(found.potential[:steps, n], whole.potential[:steps, n])
            assert (found.potential[steps:, n] == whole.potential[steps - 1, n]).all()
            assert torch.equal(found.spikes[1][:steps, n], whole.spikes[1][:steps, n])
            assert not found.spikes[1][steps:, n].any()
            assert torch.equal(found.spike_counts[0][n], whole.spikes[1][:steps, n].sum(0).int())
            assert (found.potentials[1][steps:, n] == whole.potentials[1][steps - 1, n]).all()


def test_property_who_is_finished_is_not_computed_any_further():
    rows = []

    class Counting(nn.Identity):
        def forward(self, x):
            rows.append(len(x))
            return x

    network = SpikingNetwork([SpikingLayer(nn.Identity()), SpikingLayer(Counting(), None)]).double()
    x = torch.tensor([[1.0, 0.0], [0.5, 0.0], [0.125, 0.0]], dtype=torch.float64)
    found = simulate(network, x, 64, exit=Exit("potential", 4.0), chunk=4)
    assert found.steps.tolist() == [4, 8, 32]
    assert rows[1:] == [4 * 3, 4 * 2, *[4] * 6], "one for its shape, then chunks of those who are left"
    never = simulate(network, x, 64, exit=Exit("potential", math.inf))
    assert_same(never, simulate(network, x, 64))
    first = simulate(network, x, 64, exit=Exit("potential", -math.inf, t_min=3))
    assert first.steps.tolist() == [3, 3, 3]


@pytest.mark.parametrize("engine", ENGINES)
def test_property_what_is_drawn_depends_neither_on_chunks_nor_on_who_is_finished(engine):
    def noise(x, steps, generator):
        return torch.stack([torch.rand(x.shape, generator=generator, dtype=x.dtype).round(decimals=1) for _ in steps])

    network, shape = made("deep")
    x = inputs(6, *shape)
    results = [
        simulate(network, x, 20, encode=noise, generator=seeded(7), chunk=chunk, exit=out, engine=engine, record=(1,))
        for chunk, out in [(None, None), (3, None), (1, Exit("potential", math.inf))]
    ]
    for other in results[1:]:
        assert_same(other, results[0])
    early = simulate(network, x, 20, encode=noise, generator=seeded(7), exit=Exit("potential", 2.0), chunk=2)
    for n, steps in enumerate(early.steps.tolist()):
        assert torch.equal(early.potential[:steps, n], results[0].potential[:steps, n])
    assert early.steps.unique().numel() > 1


def test_limit_nothing_to_do():
    network, shape = made("images")
    for examples, steps in [(0, 5), (3, 0), (0, 0)]:
        found = simulate(network, inputs(examples, *shape), steps, record=(1, 3), exit=Exit("potential", 1.0))
        assert found.potential.shape == (steps, examples, 3)
        assert found.spikes[3].shape == (steps, examples, 4, 2, 2)
        assert found.potentials[3].shape == (steps, examples, 4, 4, 4)
        assert found.steps.tolist() == [steps] * examples


def test_error_what_cannot_be_simulated(monkeypatch):
    network, shape = made("deep")
    x = inputs(3, *shape)
    for options, message in [
        ({"chunk": 0}, "chunk counts steps"),
        ({"order": "later"}, "order must be one of"),
        ({"engine": "c"}, "engine must be one of"),
        ({"limit": 10}, "more than the limit"),
        ({"encode": lambda x, steps, generator: x}, "encode must return what enters in 4 steps"),
        ({"encode": lambda x, steps, generator: x.expand(4, *x.shape) / 0}, "what encode returns must be finite"),
    ]:
        with pytest.raises(ParameterError, match=message):
            simulate(network, x, 4, **options)
    with pytest.raises(ParameterError, match="but the input is torch.float32".replace(".", r"\.")):
        simulate(network, x.float(), 4)
    with pytest.raises(ParameterError, match="a floating tensor of shape"):
        simulate(network, x.long(), 4)
    with pytest.raises(ParameterError, match="one value per class"):
        simulate(SpikingNetwork([SpikingLayer(nn.Identity())]), inputs(2, 2, 3), 4, exit=Exit("potential", 1.0))
    with torch.no_grad():
        network.layers[0].synapses["before"].weight[0, 0] = math.nan
    with pytest.raises(ParameterError, match="of the network must be finite"):
        simulate(network, x, 4)
    monkeypatch.setattr(compiled, "available", lambda: False)
    with pytest.raises(MissingExtra, match="fast"):
        simulate(made("deep")[0], x, 4, engine="numba")
    assert simulate(made("deep")[0], x, 4, engine="auto").potential.any()
