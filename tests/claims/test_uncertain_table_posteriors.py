"""Posteriors on tables and on a linear model count right; nothing is trained but a few steps."""

import pytest
import torch
from tests.claims import claims_uncertain_linear as linear
from tests.claims import claims_uncertain_table_posteriors as rows
from tests.claims.claims_uncertain_tables import SPLITS
from tests.claims.uncertain_numbers import stored
from tests.claims.uncertain_table_posteriors import METHODS, Mean, apart, chain, half_square
from tests.claims.uncertain_tables import TABLES, Table
from torch import nn

from weightlore.data import Split
from weightlore.errors import DataError
from weightlore.parameters import flatten
from weightlore.uncertainty import GaussianPrediction
from weightlore.uncertainty.ensembles import DeepEnsemble
from weightlore.uncertainty.laplace import Laplace

YACHT = TABLES["yacht"]


@pytest.fixture
def told(monkeypatch):
    """Numbers of all splits of every table: a method is at 3, five networks at 2, one at 4."""
    numbers = {
        "posteriors": {"chain, rmse": 3.0, "chain, nll": 3.0, "chain, weights apart": 0.2, "chain, rhat": 1.1},
        "scores": {f"{who}, {what}": n for who, n in (("ensemble", 2.0), ("single", 4.0)) for what in ("rmse", "nll")},
    }
    everything = {group: {split: dict(found) for split in SPLITS} for group, found in numbers.items()}
    monkeypatch.setattr(rows, "found", lambda table, split, group: everything[group][split])
    monkeypatch.setattr(rows, "stored", lambda table, group: everything[group])
    return everything


@pytest.fixture
def lines():
    """Sixty rows on a noisy line, and a network that says a mean of them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 1, generator=generator, dtype=torch.float64)
    data = Split(x, x + 0.5 * torch.randn(60, 1, generator=generator, dtype=torch.float64))
    model = nn.Linear(1, 1).double()
    with torch.no_grad():
        model.weight.fill_(1.0), model.bias.zero_()
    posterior = Laplace(model, "regression", structure="full", noise_variance=0.25).fit(data)
    return Mean(model, data, posterior, torch.tensor([5.0]), torch.tensor([2.0]))


def test_oracle_a_method_between_one_network_and_five(told):
    assert rows.behind(YACHT, "chain", "nll", 0) == {"value": 1.0, "chain": 3.0, "ensemble": 2.0, "single": 4.0}
    assert rows.over_splits("chain", "single", "rmse", 0)["value"] == pytest.approx(-0.25)
    assert rows.over_splits("chain", "ensemble", "rmse", 0)["value"] == pytest.approx(0.5)
    assert rows.over_splits("chain", "single", "nll", 0)["value"] == pytest.approx(-1.0)
    assert rows.travelled(0) == {"value": pytest.approx(0.2), "rhat": pytest.approx(1.1)}


@pytest.mark.parametrize("group", ["posteriors", "scores"])
def test_limit_a_table_counts_when_all_splits_are_there(told, group):
    del told[group][7]
    with pytest.raises(DataError, match="not measured yet for 1 of 20"):
        rows.over_splits("chain", "single", "nll", 2)


def test_oracle_a_standardized_prediction_in_the_unit_of_the_targets(lines):
    one = torch.ones(1, 1, dtype=torch.float64)
    scaled = lines.scaled(GaussianPrediction(one, 0.5 * one, 0.25 * one))
    assert (float(scaled.mean), float(scaled.aleatoric_var), float(scaled.epistemic_var)) == (7.0, 2.0, 1.0)


def test_oracle_draws_that_lie_apart():
    layers = [nn.Linear(1, 1, bias=False) for _ in range(4)]
    with torch.no_grad():
        for layer, value in zip(layers, (1.0, 3.0, 1.0, 3.0), strict=True):
            layer.weight.fill_(value)
    mean = Mean(layers[1], None, None, None, None)
    found = apart(DeepEnsemble(tuple(layers)), mean, DeepEnsemble(tuple(layers)).outputs(torch.ones(2, 1)))
    assert found["chain, weights apart"] == pytest.approx(1 / 3), "from 2, by 1, of a length of 3"
    assert found["chain, rhat"] < 1, "both halves have the same two draws"


def test_oracle_a_chain_around_a_line_is_as_wide_as_its_posterior(lines):
    many = chain(Table("lines", "", "Lines", 1500), lines, torch.Generator().manual_seed(1), 0.05)
    theta = torch.stack([flatten(one) for one in many.members])
    wide = lines.posterior.posterior.variance().sqrt()
    assert len(theta) >= 50
    assert torch.all((theta.std(0) / wide - 1).abs() < 0.35), "some fifty draws tell a spread to a tenth or so"
    assert half_square(lines.model, lines.data, torch.Generator()).detach().item() == pytest.approx(0.125, rel=0.4)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_property_stored_posteriors_are_possible(table):
    found = stored(table, "posteriors")
    assert set(found) == set(SPLITS)
    for numbers in found.values():
        assert all(0 <= numbers[f"{method}, {what}"] <= 1 for method in METHODS for what in ("picp", "share"))
        assert all(numbers[f"{method}, {what}"] > 0 for method in METHODS for what in ("rmse", "crps", "mpiw"))
        assert numbers["chain, weights apart"] > 0


def test_property_every_method_is_asked_on_every_table():
    ids = {claim.id for claim in rows.CLAIMS}
    assert len(ids) == len(rows.CLAIMS) == len(METHODS) * (2 * len(TABLES) + 4) + 1
    assert all(f"table-{method}-{table}-{what}" in ids for method in METHODS for table in TABLES for what in rows.WORDS)


def test_oracle_the_law_of_independent_gaussians_on_two_inputs():
    data = linear.table(0)
    correlation = float(torch.corrcoef(data.x.T)[0, 1])
    assert correlation == pytest.approx(linear.CORRELATION, abs=0.05)
    exact = linear.BayesianLinearRegression(1.0, linear.NOISE).fit(data.x, data.y)
    share = float((exact.precision.diagonal().rsqrt() / exact.covariance.diagonal().sqrt()).mean())
    assert share == pytest.approx((1 - correlation**2) ** 0.5, rel=0.05), "but for a prior that is weak here"


def test_oracle_the_loss_of_the_linear_model(lines):
    model, batch = lines.model, Split(torch.ones(4, 1).double(), torch.zeros(4, 1).double())
    assert linear.half_squares(model, batch, torch.Generator()).item() == pytest.approx(1 / (2 * linear.NOISE))
