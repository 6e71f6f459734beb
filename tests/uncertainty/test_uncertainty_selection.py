"""Greedy choices: against an exhaustive loop in plain numbers, and what a path must do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty.ensembles import Selection, select_greedily
from weightlore.uncertainty.ensembles.selection import path_of


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pool(members=6, rows=20, classes=3, seed=0):
    p = (2 * torch.randn(members, rows, classes, generator=seeded(seed), dtype=torch.float64)).softmax(-1)
    return p, torch.randint(classes, (rows,), generator=seeded(seed + 100))


def loss(p, y, chosen):
    """The log loss of the mean, in plain numbers."""
    rows = range(len(y))
    return -sum(math.log(sum(float(p[s, i, y[i]]) for s in chosen) / len(chosen)) for i in rows) / len(y)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_oracle_a_loop_over_all_choices(replacement, stop, seed):
    p, y = pool(seed=seed)
    found = select_greedily(p, y, members=5, replacement=replacement, stop=stop)
    chosen = []
    while len(chosen) < 5:
        open_ = [s for s in range(6) if replacement or s not in chosen]
        best = min(open_, key=lambda s: loss(p, y, [*chosen, s]))
        if stop and chosen and loss(p, y, [*chosen, best]) >= loss(p, y, chosen):
            break
        chosen.append(best)
    assert list(found.chosen) == chosen
    for k, value in enumerate(found.path.tolist(), start=1):
        assert value == pytest.approx(loss(p, y, chosen[:k]), rel=1e-12)
    torch.testing.assert_close(path_of(p, y, found.chosen), found.path, rtol=1e-12, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 1000), st.booleans())
def test_property_a_path_that_may_stop_never_rises_and_starts_with_the_best(members, size, seed, replacement):
    p, y = pool(members, seed=seed)
    found = select_greedily(p, y, members=size, replacement=replacement)
    singles = [loss(p, y, [s]) for s in range(members)]
    assert float(found.path[0]) == pytest.approx(min(singles), rel=1e-12)
    assert bool((found.path.diff() <= 0).all())
    assert 1 <= len(found.chosen) <= size
    assert replacement or len(set(found.chosen)) == len(found.chosen)
    assert float(found.path[-1]) <= min(singles) + 1e-12


def test_property_size_one_is_the_best_single_member():
    p, y = pool()
    singles = torch.tensor([loss(p, y, [s]) for s in range(6)])
    assert select_greedily(p, y, members=1).chosen == (int(singles.argmin()),)


def test_property_what_was_chosen_says_what_it_promised():
    p, y = pool()
    found = select_greedily(CategoricalPrediction(p), y, members=9)
    assert len(set(found.chosen)) < len(found.chosen), "someone was chosen twice"
    assert float(found.weights.sum()) == pytest.approx(1)
    assert found.distinct == tuple(dict.fromkeys(found.chosen))
    said = found.prediction(p)
    assert said.members == len(found.chosen)
    torch.testing.assert_close(said.mean, torch.einsum("s,snc->nc", found.weights, p), rtol=1e-12, atol=1e-14)
    picked = said.mean.gather(1, y[:, None]).log().mean()
    assert float(-picked) == pytest.approx(float(found.path[-1]), rel=1e-12)


def test_limit_equal_members_ties_and_zeros():
    p, y = pool(1)
    same = p.expand(4, -1, -1)
    assert select_greedily(same, y, members=3).chosen == (0,)
    assert select_greedily(same, y, members=3, stop=False).chosen == (0, 0, 0)
    assert select_greedily(same, y, members=9, replacement=False).chosen == (0,)
    assert select_greedily(same, y, members=4, replacement=False, stop=False).chosen == (0, 1, 2, 3)
    certain = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]])
    found = select_greedily(certain, torch.tensor([1]), members=1)
    assert found.chosen == (1,)
    assert math.isfinite(float(select_greedily(certain[:1], torch.tensor([1]), members=1).path[0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: select_greedily(p, y, members=0), "members must be a whole number of at least 1"),
        (lambda p, y: select_greedily(p, y[:3], members=1), "y must be class numbers of shape"),
        (lambda p, y: select_greedily(p * 2, y, members=1), "sum to 1"),
        (lambda p, y: select_greedily(p, y, members=7, replacement=False, stop=False), "6 members to choose from"),
        (lambda p, y: Selection((0,), torch.zeros(1), 3).prediction(p), "among 3 members, got the probabilities of 6"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*pool())
