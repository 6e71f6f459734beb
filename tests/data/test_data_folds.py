"""The standard splits: the same rows as in the papers that use them."""

import numpy as np
import pytest
import torch

from weightlore.data import Split, fold
from weightlore.data.folds import folds
from weightlore.errors import ParameterError

TABLES = {"concrete": 1030, "energy": 768, "kin8nm": 8192, "power_plant": 9568, "wine_quality_red": 1599, "yacht": 308}


@pytest.mark.parametrize("name", TABLES)
def test_oracle_the_splits_are_the_published_ones(mirror, name):
    with np.load(mirror / f"uci/{name}_splits.npz", allow_pickle=False) as stored:
        assert (folds(TABLES[name]) == stored["test_mask"]).all()


def test_property_a_tenth_is_for_testing_and_splits_differ():
    masks = folds(308)
    assert masks.shape == (20, 308)
    assert (masks.sum(1) == 308 - round(0.9 * 308)).all()
    assert len({mask.tobytes() for mask in masks}) == 20


def test_property_the_global_random_states_are_left():
    def state():
        return np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is what is looked at

    before = state(), torch.get_rng_state().tolist()
    folds(100)
    assert (state(), torch.get_rng_state().tolist()) == before


@pytest.mark.parametrize("k", [0, 7, 19])
def test_property_a_fold_is_its_mask(k):
    data = Split(torch.arange(100.0)[:, None], torch.arange(100.0)[:, None])
    parts, mask = fold(data, k), folds(100)[k]
    assert parts["test"].x[:, 0].tolist() == np.flatnonzero(mask).tolist()
    assert parts["train"].y[:, 0].tolist() == np.flatnonzero(~mask).tolist()


def test_error_impossible_folds():
    data = Split(torch.zeros(10, 1), torch.zeros(10, 1))
    for k in (-1, 20, 0.5):
        with pytest.raises(ParameterError, match="numbered from 0 to 19"):
            fold(data, k)
    with pytest.raises(ParameterError, match="n and count must be >= 1"):
        folds(0)
    with pytest.raises(ParameterError, match="share within 0 and 1"):
        folds(10, share=1.5)
