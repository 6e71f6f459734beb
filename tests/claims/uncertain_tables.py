"""Regression on the UCI tables in their twenty standard splits: one Gaussian network, and five of them.

    TABLES                 name -> a table
    scores(table, split)   name -> number: how good one network is, on average over five, and how good the five are

Columns are standardized by the train rows. Networks have one hidden layer of 50 units and say a mean and a variance;
the five are one Gaussian with the moments of their mixture. The number of epochs was chosen among two, by the log loss
of single networks on the last tenth of the train rows of split 0.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from weightlore.data import Split, fetch, fold
from weightlore.networks.layered import built
from weightlore.training import adam
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.deterministic import GaussianHead
from weightlore.uncertainty.ensembles import fit_ensemble
from weightlore.uncertainty.regression import crps_gaussian, mpiw, nll_gaussian, picp

torch.set_num_threads(1)

HIDDEN, MEMBERS, BATCH, RATE, NORMAL = 50, 5, 100, 0.01, 1.959964


@dataclass(frozen=True, repr=False)
class Table:
    """A table to regress.

    Args:
        name: of the file.
        data: set to fetch.
        title: for sentences.
        epochs: of training.
    """

    name: str
    data: str
    title: str
    epochs: int

    def __repr__(self) -> str:
        return f"Table({self.name!r})"

    @property
    def words(self) -> str:
        """What is trained, for the setting of a row."""
        return (
            f"{self.title}, the 20 standard splits; 50 hidden units, Gaussian head, {self.epochs} epochs of Adam at "
            f"{RATE:g}, batches of {BATCH}"
        )


TABLES = {
    table.name: table
    for table in (
        Table("concrete", "uci-concrete", "Concrete", 150),
        Table("energy", "uci-energy", "Energy", 100),
        Table("kin8nm", "uci-kin8nm", "Kin8nm", 30),
        Table("power-plant", "uci-power-plant", "Power plant", 20),
        Table("wine-quality", "uci-wine-quality-red", "Red wine", 20),
        Table("yacht", "uci-yacht", "Yacht", 200),
    )
}


@lru_cache(maxsize=2)
def rows(table: Table) -> Split:
    """The whole table, float64."""
    return fetch(table.data)["all"].to(dtype=torch.float64)


def standardized(train: Split, *others: Split) -> list[Split]:
    """Columns at mean 0 and spread 1 over the train rows; targets as they are."""
    mean, spread = train.x.mean(0), train.x.std(0, correction=0)
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    return [Split((part.x - mean) / spread, part.y) for part in (train, *others)]


def fitted(table: Table, train: Split, generator: torch.Generator) -> object:
    """Five networks."""

    def make(own: torch.Generator) -> nn.Module:
        first = built(lambda: nn.Linear(train.x.shape[1], HIDDEN), generator=own, dtype=train.x.dtype)
        return nn.Sequential(first, nn.ReLU(), GaussianHead(HIDDEN, train.y, generator=own))

    options = {"epochs": table.epochs, "batch_size": BATCH, "optimizer": adam(RATE)}
    return fit_ensemble(make, train, members=MEMBERS, generator=generator, **options)


def judged(prediction: GaussianPrediction, y: Tensor) -> dict[str, float]:
    """Root mean squared error, log loss, CRPS, and coverage and width of intervals at 95 %."""
    half = NORMAL * prediction.std
    ends = ((prediction.mean - half)[:, 0], (prediction.mean + half)[:, 0])
    return {
        "rmse": float((prediction.mean - y).square().mean().sqrt()),
        "nll": float(nll_gaussian(prediction, y).mean()),
        "crps": float(crps_gaussian(prediction, y).mean()),
        "picp": float(picp(ends, y[:, 0]).mean()),
        "mpiw": float(mpiw(ends).mean()),
    }


def scores(table: Table, split: int) -> dict[str, float]:
    """Scores of one network, the mean over the five, and of the five together."""
    parts = fold(rows(table), split)
    train, test = standardized(parts["train"], parts["test"])
    means, variances = fitted(table, train, torch.Generator().manual_seed(split)).outputs(test.x)
    together = judged(GaussianPrediction.from_members(means, variances), test.y)
    alone = [
        judged(GaussianPrediction.from_members(m[None], v[None]), test.y) for m, v in zip(means, variances, strict=True)
    ]
    singles = {f"single, {name}": sum(one[name] for one in alone) / MEMBERS for name in together}
    missed = sum(abs(one["picp"] - 0.95) for one in alone) / MEMBERS
    numbers = singles | {f"ensemble, {name}": value for name, value in together.items()}
    return numbers | {"single, off": missed, "ensemble, off": abs(together["picp"] - 0.95)}
