"""A call of every function of ``sources`` and ``active`` that draws at random; ``uncertain_draws`` gathers them."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from weightlore.data import Split, heteroscedastic_sine, sine_mean, sine_noise
from weightlore.networks import mlp
from weightlore.uncertainty import active, sources


def varied_training(generator):
    data = Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)
    options = {"varied": "order", "runs": 2, "epochs": 1, "batch_size": 3}
    make = partial(mlp, (1, 2, 2))
    return sources.training_variability(
        lambda g: make(generator=g), data, data, **options, generator=generator
    ).prediction.probs


def swept_structure(generator):
    x = torch.linspace(0, 1, 4, dtype=torch.float64)[:, None]
    draw = partial(heteroscedastic_sine, 9)
    return sources.structure_sweep(
        sources.fit_polynomial,
        [1, 2],
        x,
        draw=lambda g: draw(generator=g),
        truth=sine_mean,
        noise=sine_noise,
        repeats=2,
        generator=generator,
    ).error


def falling_part(generator):
    pool = heteroscedastic_sine(12, generator=torch.Generator().manual_seed(5))

    def learn(data, g):
        said = sources.BayesianLinearRegression(1.0, 0.1).fit(data.x, data.y).predict
        return lambda x: sources.Parts(said(x).variance, said(x).aleatoric_var, said(x).epistemic_var)

    return sources.reducibility_curve(learn, pool, pool.x, sizes=(3, 6), generator=generator).model


def curves(generator):
    pool = Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)

    def learn(data, g):
        return lambda x: (x * data.x.sum() * torch.tensor([[-1.0, 1.0]])).softmax(1)

    return active.run(learn, pool, pool, acquisitions=(), rounds=1, count=2, generator=generator).nll["random"]


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.active.acquire": lambda g: active.acquire(
        torch.full((2, 20, 3), 1 / 3, dtype=torch.float64), 5, acquisition="random", generator=g
    ),
    "uncertainty.active.run": curves,
    "uncertainty.sources.add_measurement_noise": lambda g: sources.add_measurement_noise(
        torch.zeros(5), 1.0, generator=g
    ),
    "uncertainty.sources.fit_network": lambda g: sources.fit_network(
        2, heteroscedastic_sine(6, generator=torch.Generator().manual_seed(5)), g
    )(torch.ones(3, 1, dtype=torch.float64)),
    "uncertainty.sources.fit_polynomial": lambda g: sources.fit_polynomial(
        1, heteroscedastic_sine(6, generator=torch.Generator().manual_seed(5)), g
    )(torch.ones(3, 1, dtype=torch.float64)),
    "uncertainty.sources.flip_labels": lambda g: sources.flip_labels(
        torch.zeros(50, dtype=torch.int64), 0.5, classes=9, generator=g
    ),
    "uncertainty.sources.reducibility_curve": falling_part,
    "uncertainty.sources.structure_sweep": swept_structure,
    "uncertainty.sources.training_variability": varied_training,
    "uncertainty.sources.triage_splits": lambda g: sources.triage_splits(
        "gaussian_noise", unknown=("uniform_noise",), generator=g
    ).unknown["uniform_noise"],
    "uncertainty.sources.unknown_inputs": lambda g: sources.unknown_inputs(
        torch.zeros(3, 4), "uniform_noise", generator=g
    ),
}
UNDRAWN = {"uncertainty.sources.fit_polynomial"}
