"""Contract 3: chance comes from the caller's generator alone, and leaves everything else as it was."""

import importlib
import inspect
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tests.contracts import crossed_draws, house, uncertain_draws
from tests.contracts.files import package

from weightlore import attribution, binary, bitslice, corruption, crossbar, data, networks, spiking, training, transfer
from weightlore.corruption import Budget
from weightlore.crossbar.programming import AbsoluteNoise
from weightlore.data import Split, digits
from weightlore.networks import mlp

EXEMPT = {
    "pkg/weightlore/data/folds.py: np.random.RandomState": "draws the published splits again, with a state of its own"
}


@pytest.mark.parametrize("path", package())
def test_property_every_draw_names_its_generator(path):
    found = house.hidden_randomness(path, package()[path])
    assert [line for line in found if not line.startswith(tuple(EXEMPT))] == []


@pytest.mark.parametrize(
    "text",
    [
        "import random",
        "from numpy.random import default_rng",
        "torch.manual_seed(0)",
        "np.random.seed(0)",
        "np.random.default_rng(0).normal()",
        "torch.randn(3)",
        "torch.randperm(3, device='cpu')",
        "x.normal_()",
        "torch.rand_like(x)",
        "torch.set_rng_state(state)",
        "torch.random.manual_seed(0)",
    ],
)
def test_property_hidden_chance_is_found(text):
    assert house.hidden_randomness("pkg/weightlore/x.py", text)


def test_limit_explicit_chance_passes():
    good = "torch.randn(3, generator=g)\nx.normal_(generator=g)\nrandom(3, budget, generator=g)\nmodel.requires_grad_()"
    assert house.hidden_randomness("pkg/weightlore/x.py", good) == []
    fork = "old = torch.get_rng_state()\ntorch.set_rng_state(new)\ntorch.set_rng_state(old)"
    assert house.hidden_randomness("pkg/weightlore/x.py", fork) == []


def small() -> tuple[torch.nn.Module, Split]:
    return mlp((64, 4, 10), generator=torch.Generator().manual_seed(5)), digits("validation")[:32]


def parameters(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def fitted(generator):
    model, batch = small()
    training.fit(model, batch, generator=generator, epochs=1, batch_size=8)
    return parameters(model)


def fitted_resistant(generator):
    model, batch = small()
    corruption.fit_resistant(model, batch, Budget(0.1), generator=generator, epochs=1, batch_size=8)
    return parameters(model)


def fitted_phase(generator):
    model, batch = small()
    fixed = bitslice.FixedPoint(model)
    bitslice.fit_phase(fixed, batch, None, validation=batch, generator=generator, epochs=1)
    return parameters(fixed)


def fitted_three_phases(generator):
    model, batch = small()
    fixed = bitslice.FixedPoint(model)
    recipe = bitslice.Recipe(pretrain_epochs=1, finetune_epochs=1)
    bitslice.fit_three_phases(
        fixed, batch, bitslice.slice_l1_penalty(0.5), validation=batch, generator=generator, recipe=recipe
    )
    return parameters(fixed)


def noisy() -> crossbar.CrossbarConfig:
    """A crossbar with chance in programming and in reading."""
    noise = AbsoluteNoise(20.0)
    return crossbar.CrossbarConfig(cells=crossbar.Cells(programming=noise, reading=noise))


def products(generator):
    weights, inputs = torch.arange(-8, 8).reshape(2, 8), torch.arange(24).reshape(3, 8)
    return crossbar.matmul(inputs, weights, noisy(), generator=generator)


def converted(generator):
    model, batch = small()
    return crossbar.convert(model, noisy(), calibrate=batch, generator=generator)(batch.x)


def spiking_network() -> binary.Converted:
    """A trained network that spikes."""
    model, batch = small()
    return binary.to_spiking(model, batch, percentile=100.0)


def fitted_binary(generator):
    layers = networks.mlp((64, 6, 6, 10), bias=False, generator=torch.Generator().manual_seed(5))
    recipe = binary.BinaryRecipe(epochs=1, batch_size=8)
    return parameters(binary.fit_binary(layers, small()[1], generator=generator, recipe=recipe).network)


def fitted_steps(generator):
    model, batch = small()
    return parameters(
        binary.fit_clip_floor_shift(model, batch, levels=2, generator=generator, epochs=1, batch_size=8).network
    )


def tuned(generator):
    fitted = binary.fine_tune(spiking_network(), small()[1], steps=4, generator=generator, epochs=1, batch_size=8)
    return parameters(fitted.network)


def tuned_binary(generator):
    model = networks.mlp((64, 6, 6, 10), bias=False, generator=torch.Generator().manual_seed(5))
    network = binary.to_spiking(model, small()[1], percentile=100.0)
    recipe = binary.BinaryRecipe(epochs=1, batch_size=8)
    fitted = binary.fine_tune_binary(network, small()[1], steps=4, generator=generator, recipe=recipe)
    return parameters(fitted.network)


def chip(reading: bool) -> tuple[spiking.SpikingNetwork, crossbar.Cells]:
    """A network with scales in its thresholds, and noisy cells for it."""
    model = networks.mlp((64, 16, 16, 10), bias=False, generator=torch.Generator().manual_seed(5))
    network = binary.to_spiking(binary.rounded_binary(model), digits("validation")[:32], percentile=99.0)
    noise = AbsoluteNoise(20.0)
    cells = crossbar.Cells(programming=None if reading else noise, reading=noise if reading else None)
    return binary.absorb_scales(network), cells


def on_cells(generator):
    network, cells = chip(reading=False)
    placed = binary.on_crossbar(network, cells=cells, generator=generator)
    return spiking.simulate(placed, small()[1].x, 12).spike_counts[1]


def read_by_chance(generator):
    network, cells = chip(reading=True)
    placed = binary.on_crossbar(network, cells=cells, generator=torch.Generator().manual_seed(0))
    return binary.spike_on_chip(placed, small()[1].x, 12, generator=generator).spike_counts[1]


def small_recipe(real: bool = True) -> binary.PaperRecipe:
    recipe = binary.paper_recipe("cifar100", binary=not real)
    return replace(recipe, classes=3, size=12, batch_size=8, epochs=1, normalization_images=9)


def colored() -> tuple[torch.nn.Module, Split]:
    """A small network for colored images, and some of them."""
    x = torch.rand(24, 3, 12, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    make = torch.Generator().manual_seed(5)
    network = networks.cnn((4, 5), image=(3, 12, 12), hidden=8, classes=3, generator=make)
    return network, Split(x, torch.arange(24) % 3)


def trained_recipe(generator):
    model, images = colored()
    return parameters(binary.train_recipe(small_recipe(), model, images, generator=generator).network)


def converted_recipe(generator):
    model, images = colored()
    return binary.convert_recipe(small_recipe(), model, images, generator=generator, count=6).factors


def attributed(method, **options):
    """An attribution by a method that draws."""
    return lambda g: method(small()[0].eval(), small()[1].x[:2], 3, generator=g, **options).values


def brought(search):
    """A network brought to a few digits by a method that draws, or by a search."""

    def run(generator):
        source, few = small()
        recipe, make = transfer.TransferRecipe(epochs=1, batch_size=8), partial(mlp, (64, 4, 10))
        options = {"make": make, "generator": generator, "validation": few, "recipe": recipe}
        if search:
            return parameters(transfer.exhaustive(source, few, **options).best.network)
        return parameters(transfer.fit_transfer(source, few, transfer.transfer_units, **options).network)

    return run


def sentences(word: str) -> data.Text:
    """Forty sentences, half of them praise."""
    return data.Text(tuple(f"{word} number {n} is good" for n in range(40)), torch.arange(40) % 2)


def in_other_words(generator):
    given = torch.Generator().manual_seed(5)
    network = networks.recurrent("gru", vocabulary=4, embedding=3, hidden=2, classes=2, generator=given)
    words = {"good": 2, "bad": 3}, {"good": 2, "fine": 3}
    return transfer.translated(network, *words, generator=generator).embedding.weight.detach()


CASES = {
    "attribution.expected_gradients": attributed(
        attribution.expected_gradients, references=small()[1].x[2:5], samples=3
    ),
    "attribution.gaussian_noise": lambda g: attribution.gaussian_noise(small()[1].x, generator=g),
    "attribution.noisy_gradients": lambda g: torch.stack(
        list(attribution.noisy_gradients(small()[0].eval(), small()[1].x[:2], 3, generator=g, samples=3))
    ),
    "attribution.entropy_rise": lambda g: (
        attribution.entropy_rise(
            networks.healthy(), small()[1].x[:4], attribution.gradient, target=3, draws=2, generator=g
        ).after
    ),
    "attribution.fit_permuted": lambda g: parameters(
        attribution.fit_permuted(small()[0], small()[1], generator=g, epochs=1).model
    ),
    "attribution.permuted_labels": lambda g: attribution.permuted_labels(small()[1], generator=g).y,
    "attribution.smoothed": lambda g: (
        attribution.smoothed(attribution.gradient, samples=2, generator=g)(
            networks.healthy(), small()[1].x[:4], torch.full((4,), 3)
        ).values
    ),
    "attribution.randomize": lambda g: torch.cat(
        [parameters(copy.model) for copy in attribution.randomize(small()[0], generator=g)]
    ),
    "attribution.reinitialize": lambda g: parameters(attribution.reinitialize(small()[0], ["readout"], generator=g)),
    "attribution.sensitivity_study": lambda g: torch.tensor(
        attribution.sensitivity_study(
            small()[0].eval(), small()[1], {"gradient": attribution.gradient}, draws=2, generator=g
        ).value
    ).nan_to_num(nan=9.0),
    "attribution.smooth_grad": attributed(attribution.smooth_grad, samples=3),
    "attribution.smooth_grad_squared": attributed(attribution.smooth_grad_squared, samples=3),
    "attribution.smooth_integrated_gradients": attributed(
        attribution.smooth_integrated_gradients, baseline=0.0, samples=2, nodes=3
    ),
    "attribution.uniform_noise": lambda g: attribution.uniform_noise(small()[1].x, generator=g),
    "attribution.var_grad": attributed(attribution.var_grad, samples=3),
    "binary.convert_recipe": converted_recipe,
    "binary.fine_tune": tuned,
    "binary.fine_tune_binary": tuned_binary,
    "binary.fit_binary": fitted_binary,
    "binary.fit_clip_floor_shift": fitted_steps,
    "binary.on_crossbar": on_cells,
    "binary.spike_on_chip": read_by_chance,
    "binary.train_recipe": trained_recipe,
    "binary.variant": lambda g: parameters(binary.variant("average_before", image=(1, 8, 8), generator=g)),
    "spiking.constant": lambda g: spiking.constant(digits("test").x[:2], range(3), g),
    "spiking.poisson": lambda g: spiking.poisson(digits("test").x[:2], range(3), g),
    "spiking.simulate": lambda g: (
        spiking.simulate(spiking_network(), digits("test").x[:5], 9, encode=spiking.poisson, generator=g).potential
    ),
    "spiking.unroll": lambda g: spiking.unroll(
        spiking_network(), digits("test").x[:5], 9, encode=spiking.poisson, generator=g
    ).potential.detach(),
    "data.shift": lambda g: data.shift(digits("test").x[:3], "gaussian_noise", 3, generator=g),
    "data.few_labels": lambda g: data.few_labels(digits("train"), 3, generator=g).x,
    "data.heteroscedastic_sine": lambda g: data.heteroscedastic_sine(20, generator=g).y,
    "data.natural_patches": lambda g: data.natural_patches(3, generator=g),
    "data.stripes": lambda g: data.stripes(5, generator=g).x,
    "data.two_moons": lambda g: data.two_moons(20, generator=g).x,
    "networks.cnn": lambda g: parameters(networks.cnn(generator=g)),
    "networks.mlp": lambda g: parameters(networks.mlp(generator=g)),
    "networks.recurrent": lambda g: parameters(
        networks.recurrent("gru", vocabulary=9, embedding=4, hidden=3, classes=2, generator=g)
    ),
    "networks.resnet20": lambda g: parameters(networks.resnet20(width=2, generator=g)),
    "networks.sequence": lambda g: parameters(networks.sequence("gru", inputs=4, hidden=3, classes=2, generator=g)),
    "networks.vgg11": lambda g: parameters(networks.vgg11(width=2, generator=g)),
    "networks.vgg15": lambda g: parameters(networks.vgg15(width=2, generator=g)),
    "training.cross_entropy": lambda g: training.cross_entropy(*small(), g),
    "training.fit": fitted,
    "corruption.curvature": lambda g: torch.tensor(corruption.curvature(*small(), generator=g)),
    "corruption.random": lambda g: corruption.random(50, Budget(1.0, n=7), generator=g, trials=3),
    "corruption.random_support": lambda g: corruption.random_support(50, 5, generator=g),
    "corruption.random_trials": lambda g: corruption.random_trials(*small(), Budget(1.0), trials=3, generator=g).loss,
    "corruption.fit_resistant": fitted_resistant,
    "bitslice.fit_phase": fitted_phase,
    "bitslice.fit_three_phases": fitted_three_phases,
    "crossbar.convert": converted,
    "crossbar.matmul": products,
    "transfer.changed_digits": lambda g: transfer.changed_digits("noisy", generator=g).test.x,
    "transfer.exhaustive": brought(search=True),
    "transfer.fit_transfer": brought(search=False),
    "transfer.orthogonal": lambda g: transfer.orthogonal(3, 5, generator=g),
    "transfer.paired": lambda g: torch.tensor(
        transfer.paired(torch.linspace(0, 1, 9) ** 2, torch.zeros(9), generator=g).bootstrap
    ),
    "transfer.sentence_pair": lambda g: (
        transfer.sentence_pair(sentences("film"), sentences("phone"), generator=g).train.y
    ),
    "transfer.shuffled_labels": lambda g: (
        transfer.shuffled_labels(transfer.changed_digits("inverted"), generator=g).source.y
    ),
    "transfer.translated": in_other_words,
    "transfer.turned_patches": lambda g: transfer.turned_patches(9, generator=g).source.x,
    "corruption.resistant_gradients": lambda g: (
        corruption.resistant_gradients(*small(), Budget(0.1), generator=g).gradient
    ),
}
CASES |= uncertain_draws.CASES | crossed_draws.CASES
PARTS = (
    *("data", "networks", "training", "corruption", "bitslice", "crossbar", "spiking", "binary", "attribution"),
    *("transfer", "crossed", *uncertain_draws.PARTS),
)
UNDRAWN = {
    "training.cross_entropy",
    "corruption.resistant_gradients",
    "spiking.constant",
    *uncertain_draws.UNDRAWN,
}  # take a generator for steps that draw


def drawing() -> set[str]:
    """Every public function that takes a generator."""
    found = set()
    for part in PARTS:
        for name, thing in vars(importlib.import_module(f"weightlore.{part}")).items():
            if inspect.isfunction(thing) and "generator" in inspect.signature(thing).parameters:
                found.add(f"{part}.{name}")
    return found


def test_property_every_function_that_draws_is_tried_here():
    assert drawing() == set(CASES)


def states() -> list:
    return [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]  # noqa: NPY002


@pytest.mark.parametrize("name", CASES)
def test_property_the_same_generator_gives_the_same_bits_and_nothing_else_moves(name):
    before = states()
    one, other = (CASES[name](torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, other)
    assert states() == before
    if name not in UNDRAWN:
        different = CASES[name](torch.Generator().manual_seed(4))
        assert name == "corruption.curvature" or not torch.equal(one, different)


def test_property_draws_do_not_depend_on_how_many_are_asked_for_at_once():
    many = corruption.random(40, Budget(1.0, n=6), generator=torch.Generator().manual_seed(1), trials=5)
    generator = torch.Generator().manual_seed(1)
    single = torch.stack([corruption.random(40, Budget(1.0, n=6), generator=generator) for _ in range(5)])
    assert torch.equal(many, single)
