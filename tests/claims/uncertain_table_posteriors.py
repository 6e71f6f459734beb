"""Posteriors on the UCI tables: what four methods make of one network of the size that the study of tables trains.

    posterior_scores(table, split)   name -> number: how good each is, and how far the draws of the chain lie apart
    METHODS                          their names

Dropout that stays on and weights that are independent Gaussians have the network of ``uncertain_tables``, which says
mean and variance. A Laplace approximation and a chain begin at a network that says a mean only, with one noise for the
table; the largest evidence chooses noise and prior. A chain around a network that says its variance flew off on some of
the tables with every step that moved it: where a variance is tiny, the density is too steep.

Settings were chosen on the last tenth of the train rows of split 0, by the mean log loss over six tables of
standardized targets: dropout of 0.05 or 0.2; the decay of the mean's weights, of none and 0.1; the step of the chain
among six, each of them within a factor of about three of the next, of which the largest was the best. The mean trains
twice as long as one network of the table, which was better than as long. So it was for variational networks (0.05
instead of 0.10 nats), whose steps are the dearest: they train as long as one network, and might be better.
"""

from dataclasses import dataclass

import torch
from tests.claims.uncertain_numbers import GROUPS, Numbers
from tests.claims.uncertain_tables import BATCH, HIDDEN, RATE, Table, judged, rows, standardized
from torch import Tensor, nn

from weightlore.data import Split, fold
from weightlore.networks.layered import built
from weightlore.parameters import flatten
from weightlore.training import Step, adam, fit
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.bayesian import elbo_step, mc_dropout, predict_members, variational
from weightlore.uncertainty.deterministic import GaussianHead, gaussian_nll
from weightlore.uncertainty.ensembles import DeepEnsemble
from weightlore.uncertainty.laplace import Laplace, log_marginal_likelihood, tune_prior_precision
from weightlore.uncertainty.mcmc import SGHMC, ConstantSchedule, sample_network, split_rhat

torch.set_num_threads(1)

METHODS = ("dropout", "variational", "laplace", "chain")
DRAWS, DROP = 50, 0.05
LONGER = {"dropout": 1, "variational": 1, "laplace": 2, "chain": 2}  # times as long as one network of the table
DECAY, STEP, BURN = 0.1, 0.1, 0.2
NOISES, PRIORS = (1.0, 1.5, 2.5, 4.0), tuple(10.0 ** (k / 2) for k in range(-6, 9))


def log_loss(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Log loss of a network that says mean and variance."""
    return gaussian_nll(model(batch.x), batch.y)


def half_square(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Half the squared error of a network that says a mean."""
    return (model(batch.x) - batch.y).square().mean() / 2


def hidden(train: Split, generator: torch.Generator) -> list[nn.Module]:
    """The layer before the head."""
    first = built(lambda: nn.Linear(train.x.shape[1], HIDDEN), generator=generator, dtype=train.x.dtype)
    return [first, nn.ReLU()]


def headed(train: Split, generator: torch.Generator, rate: float = 0.0) -> nn.Module:
    """The untrained network of the study of tables, with dropout before its head if a rate is given."""
    between = [nn.Dropout(rate)] if rate else []
    return nn.Sequential(*hidden(train, generator), *between, GaussianHead(HIDDEN, train.y, generator=generator))


def trained(
    model: nn.Module,
    table: Table,
    train: Split,
    generator: torch.Generator,
    *,
    step: Step,
    longer: int,
    decay: float = 0.0,
) -> nn.Module:
    """Train as the study of tables does, ``longer`` times as long."""
    options = {"epochs": longer * table.epochs, "batch_size": BATCH, "optimizer": adam(RATE, weight_decay=decay)}
    fit(model, train, generator=generator, step=step, **options)
    return model


@dataclass(frozen=True)
class Mean:
    """A network that says a mean of standardized targets, and the Gaussian around it with the largest evidence.

    Args:
        model: trained.
        data: the train rows, targets standardized.
        posterior: with the chosen noise and prior.
        location: of the targets.
        scale: of the targets.
    """

    model: nn.Module
    data: Split
    posterior: Laplace
    location: Tensor
    scale: Tensor

    @property
    def noise(self) -> float:
        """Variance of a standardized target."""
        return self.posterior.terms.noise_variance

    def scaled(self, p: GaussianPrediction) -> GaussianPrediction:
        """A prediction in the unit of the targets."""
        return GaussianPrediction(
            self.location + self.scale * p.mean, self.scale**2 * p.aleatoric_var, self.scale**2 * p.epistemic_var
        )


def mean_network(table: Table, train: Split, generator: torch.Generator) -> Mean:
    """Train the mean; choose noise and prior by evidence, the noise as a multiple of the error on the train rows."""
    location, scale = train.y.mean(0), train.y.std(0, correction=0)
    data = Split(train.x, (train.y - location) / scale)
    last = built(lambda: nn.Linear(HIDDEN, 1), generator=generator, dtype=data.x.dtype)
    model = nn.Sequential(*hidden(data, generator), last)
    trained(model, table, data, generator, step=half_square, longer=LONGER["laplace"], decay=DECAY)
    with torch.no_grad():
        error = 2 * float(half_square(model, data, generator))
    found = [
        tune_prior_precision(
            Laplace(model, "regression", structure="full", noise_variance=more * error).fit(data), grid=PRIORS
        )
        for more in NOISES
    ]
    return Mean(model, data, max(found, key=log_marginal_likelihood), location, scale)


def chain(table: Table, mean: Mean, generator: torch.Generator, size: float = STEP) -> DeepEnsemble:
    """Networks that a chain draws from the posterior of the mean, which begins at the trained one.

    A step follows the gradient of the mean squared error at the rate ``size``, with friction 0.1.
    """
    epochs, count = LONGER["chain"] * table.epochs, len(mean.data)
    steps, e = epochs * -(-count // BATCH), size * mean.noise / count

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        return half_square(model, batch, generator) / mean.noise

    return sample_network(
        mean.model,
        mean.data,
        lambda p: SGHMC(p, e, num_data=count, prior_precision=1.0, generator=generator),
        schedule=ConstantSchedule(e, BURN, max(1, int(steps * (1 - BURN)) // DRAWS)),
        epochs=epochs,
        generator=generator,
        step=step,
        batch_size=BATCH,
    )


def asked(table: Table, train: Split, x: Tensor, split: int) -> tuple[dict[str, GaussianPrediction], Numbers]:
    """What each method says of inputs; and how far the draws of the chain lie apart."""
    chance = {method: torch.Generator().manual_seed(1000 * (1 + i) + split) for i, method in enumerate(METHODS)}
    thinned = headed(train, chance["dropout"], DROP)
    trained(thinned, table, train, chance["dropout"], step=log_loss, longer=LONGER["dropout"])
    drawn = variational(headed(train, chance["variational"]))
    bound = elbo_step(log_loss, num_data=len(train))
    trained(drawn, table, train, chance["variational"], step=bound, longer=LONGER["variational"])
    mean = mean_network(table, train, chance["laplace"])
    many = chain(table, mean, chance["chain"])
    means = many.outputs(x)
    said = {
        "dropout": mc_dropout(thinned, x, samples=DRAWS, generator=chance["dropout"]),
        "variational": predict_members(drawn, x, samples=DRAWS, generator=chance["variational"]),
        "laplace": mean.scaled(mean.posterior.predict(x)),
        "chain": mean.scaled(GaussianPrediction.from_members(means, torch.full_like(means, mean.noise))),
    }
    return said, apart(many, mean, means) | {"noise": mean.noise, "precision": float(mean.posterior.tau.max())}


def apart(many: DeepEnsemble, mean: Mean, outputs: Tensor) -> Numbers:
    """How far draws lie apart, as a share of the length of the trained weights, and whether halves of a chain agree."""
    theta = torch.stack([flatten(one) for one in many.members])
    length = float(flatten(mean.model).norm())
    return {
        "chain, weights apart": float((theta - theta.mean(0)).square().sum(1).mean().sqrt()) / length,
        "chain, rhat": float(split_rhat(outputs[:, None, :, 0]).median()),
    }


def posterior_scores(table: Table, split: int) -> Numbers:
    """Scores of every method on the test rows of a split."""
    parts = fold(rows(table), split)
    train, test = standardized(parts["train"], parts["test"])
    said, numbers = asked(table, train, test.x, split)
    for method, prediction in said.items():
        numbers |= {f"{method}, {name}": value for name, value in judged(prediction, test.y).items()}
        numbers[f"{method}, share"] = float((prediction.epistemic_var / prediction.variance).mean())
    return numbers


GROUPS["posteriors"] = posterior_scores
