"""Search over the discrete states: every combination once, from one start, and what it costs."""

from functools import partial
from itertools import product

import pytest
import torch
from tests.transfer.transfer_cases import MAKES, pair, seeded, state, task, unchanged

from weightlore.errors import ParameterError
from weightlore.networks import resnet20
from weightlore.training import evaluate
from weightlore.transfer import TransferRecipe, chosen, exhaustive, fine_tune, fit_transfer, sharing, trainable

RECIPE = TransferRecipe(epochs=3, batch_size=5, lr=0.02)


def searched(name="cnn", *, seed=3, **options):
    data, validation = task(name, 12), task(name, 21, seed=5)
    options = {"make": MAKES[name], "recipe": RECIPE, "validation": validation} | options
    return exhaustive(pair(name)[0], data, generator=seeded(seed), **options), validation


@pytest.mark.parametrize("states", [("frozen", "fine-tune"), ("random", "fine-tune", "frozen")])
def test_property_every_combination_once_and_the_best_of_them(states):
    found, validation = searched(states=states)
    assert [one.states for one in found.tried] == list(product(states, repeat=3))
    assert len(found.tried) == len(states) ** 3
    best = max(one.accuracy for one in found.tried)
    chosen_one = next(one for one in found.tried if one.states == found.states)
    assert chosen_one.accuracy == best == found.best.accuracy
    assert chosen_one.loss == min(one.loss for one in found.tried if one.accuracy == best)
    assert evaluate(found.best.network, validation).loss == chosen_one.loss
    assert chosen_one.trainable == trainable(found.best.network)
    assert found.steps == len(found.tried) * 3 * 3
    assert found.seconds > 0


def test_oracle_each_training_is_the_one_alone():
    found, validation = searched()
    for one in found.tried:
        alone = fit_transfer(
            pair("cnn")[0],
            task("cnn", 12),
            partial(chosen, states=one.states),
            make=MAKES["cnn"],
            generator=seeded(3),
            validation=validation,
            recipe=RECIPE,
        )
        assert alone.accuracy == one.accuracy
        if one.states == found.states:
            assert unchanged(alone.network, state(found.best.network))


def test_property_the_ends_are_sharing_and_fine_tuning():
    found, validation = searched(head="source")
    ends = {one.states: one for one in found.tried}
    for method, name in ((sharing, "frozen"), (fine_tune, "fine-tune")):
        alone = fit_transfer(
            pair("cnn")[0],
            task("cnn", 12),
            partial(method, head="source"),
            make=MAKES["cnn"],
            generator=seeded(3),
            recipe=RECIPE,
        )
        assert evaluate(alone.network, validation).loss == ends[(name,) * 3].loss


def test_property_the_source_is_left_and_the_generator_is_where_one_training_leaves_it():
    source = pair("mlp")[0]
    kept, generator, other = state(source), seeded(1), seeded(1)
    told = []
    options = {"make": MAKES["mlp"], "recipe": RECIPE, "validation": task("mlp", 9, seed=5)}
    exhaustive(source, task("mlp"), generator=generator, callback=told.append, **options)
    fit_transfer(source, task("mlp"), sharing, generator=other, **options)
    assert unchanged(source, kept)
    assert torch.equal(generator.get_state(), other.get_state())
    assert [one.states for one in told] == list(product(("frozen", "fine-tune"), repeat=2))


def test_limit_patience_counts_the_steps_that_were_taken():
    recipe = TransferRecipe(epochs=40, batch_size=5, lr=0.1, patience=2)
    found, _ = searched("mlp", recipe=recipe)
    assert 4 * 3 * 3 <= found.steps < 4 * 40 * 3


def test_error_too_many_or_no_states():
    make = partial(resnet20, width=2, classes=3, channels=1, dtype=torch.float64)
    with pytest.raises(ParameterError, match="make 1024 trainings, more than limit=256"):
        searched("resnet20", make=make)
    with pytest.raises(ParameterError, match="different ones"):
        searched(states=("frozen", "frozen"))
    with pytest.raises(ParameterError, match="one or more"):
        searched(states=())
    with pytest.raises(ParameterError, match="'random', 'fine-tune' or 'frozen'"):
        searched(states=("frozen", "shared"))
