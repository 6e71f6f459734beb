"""What the specification's pilot found on real digits, with slack: where units help, and what a bad source does."""

from functools import cache, partial

import pytest
import torch

from weightlore.data import few_labels
from weightlore.networks import cnn
from weightlore.training import adam, evaluate, fit
from weightlore.transfer import (
    TransferRecipe,
    changed_digits,
    fit_transfer,
    scratch,
    sharing,
    shuffled_labels,
    transfer_units,
)

MAKE = partial(cnn, (16, 32), hidden=64, dtype=torch.float32)
METHODS = {
    "units": partial(transfer_units, head="source"),
    "frozen": partial(sharing, head="source"),
    "scratch": scratch,
}
SEEDS = range(5)


@cache
def accuracies(change, shuffled, labels):
    """Mean test accuracy of each method over the seeds; all of a seed share source, labels and fresh network."""
    found = {name: [] for name in METHODS}
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        pair = changed_digits(change, dtype=torch.float32)
        pair = shuffled_labels(pair, generator=generator) if shuffled else pair
        source = MAKE(generator=generator)
        fit(source, pair.source, generator=generator, epochs=12, optimizer=adam(3e-3))
        few = few_labels(pair.train, labels, generator=generator)
        for name, method in METHODS.items():
            same = torch.Generator().manual_seed(100 + seed)
            made = fit_transfer(source, few, method, make=MAKE, generator=same, recipe=TransferRecipe(epochs=120))
            found[name].append(evaluate(made.network, pair.test).accuracy)
    return {name: sum(values) / len(values) for name, values in found.items()}


@pytest.mark.slow
def test_claim_units_help_where_the_contrast_is_inverted():
    found = accuracies("inverted", False, 2)
    assert found["units"] >= found["frozen"] + 0.15
    assert found["units"] >= found["scratch"] - 0.03


@pytest.mark.slow
def test_claim_a_source_of_random_labels_does_less_harm_to_units_than_to_sharing():
    found = accuracies("rotated", True, 5)
    assert found["units"] >= found["frozen"] + 0.10
