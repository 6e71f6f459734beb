"""One step of training a variational network, for each way of drawing its outputs, against a step of the plain network.

Each contestant takes the same rows, and steps with Adam at a rate of zero. Draws are near the means, so that all have
about the same negative log likelihood, which is what is compared; the variational ones add their divergence.

*local* and *flipout* have two products where the plain network has one, so that two is their floor; what is drawn and
squared for every weight comes on top, and counts most for small batches, least for large ones. The aim of 2.2 is for
batches of 512.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.training import Step, cross_entropy
from weightlore.uncertainty.bayesian import elbo_step, variational
from weightlore.uncertainty.bayesian.mean_field import Estimator

ESTIMATORS: tuple[Estimator, ...] = ("plain", "local", "flipout")
BATCHES, AIMED, STEPS = (128, 512, 2048), 512, 3


def races() -> list[Race]:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(max(BATCHES) * STEPS, 784, generator=generator)
    data = Split(x, torch.randint(0, 10, (len(x),), generator=generator))
    network = mlp((784, 400, 400, 10), generator=generator, dtype=torch.float32)
    return [_race(network, data[: batch * STEPS], batch, estimator) for batch in BATCHES for estimator in ESTIMATORS]


def _race(network: nn.Module, data: Split, batch: int, estimator: Estimator) -> Race:
    return Race(
        name=f"batches of {batch}, {estimator}",
        what=f"{STEPS} steps, MLP 784-400-400-10, float32, batches of {batch}, with Adam",
        contestants={
            "plain network": _steps(network, data, batch, lambda nll: nll),
            estimator: _steps(
                variational(network, estimator=estimator),
                data,
                batch,
                lambda nll: elbo_step(nll, num_data=60000),
            ),
        },
        candidate=estimator,
        reference="plain network",
        tolerance=0.05,
        targets={"plain network": 1 / 2.2} if batch == AIMED else {},
    )


def _steps(model: nn.Module, data: Split, batch: int, made: Callable[[Step], Step]) -> Callable[[], Tensor]:
    tuner = torch.optim.Adam(model.parameters(), lr=0.0)
    model.train()

    def run() -> Tensor:
        seen: list[Tensor] = []

        def nll(network: nn.Module, rows: Split, generator: torch.Generator) -> Tensor:
            seen.append(cross_entropy(network, rows, generator))
            return seen[-1]

        step, generator = made(nll), torch.Generator().manual_seed(0)
        for rows in torch.arange(len(data)).split(batch):
            tuner.zero_grad()
            step(model, Split(data.x[rows], data.y[rows]), generator).backward()
            tuner.step()
        return torch.stack(seen).detach()

    return run
