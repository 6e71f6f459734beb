"""Smaller ensembles: each rule in plain numbers, and who is kept."""

import math

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.ensembles import margin_scores, prune_ensemble, select_greedily
from weightlore.uncertainty.ensembles.selection import path_of


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pool(members=6, rows=25, classes=3, seed=0):
    p = (2 * torch.randn(members, rows, classes, generator=seeded(seed), dtype=torch.float64)).softmax(-1)
    return p, torch.randint(classes, (rows,), generator=seeded(seed + 100))


@pytest.mark.parametrize("seed", range(3))
def test_oracle_margin_scores_in_plain_numbers(seed):
    p, y = pool(seed=seed)
    said, members = p.argmax(-1).tolist(), len(p)
    expected = []
    for s in range(members):
        score = 0.0
        for i, label in enumerate(y.tolist()):
            if said[s][i] != label:
                continue
            votes = [sum(said[t][i] == c for t in range(members)) for c in range(3)]
            margin = (votes[label] - max(v for c, v in enumerate(votes) if c != label)) / members
            score -= 0.3 * math.log(max(abs(margin), 1 / members)) + 0.7 * math.log(votes[label] / members)
        expected.append(score)
    assert margin_scores(p, y, share=0.3).tolist() == pytest.approx(expected, rel=1e-12)
    assert bool((margin_scores(p, y) >= 0).all())


@pytest.mark.parametrize("seed", range(3))
def test_oracle_complementarity_in_plain_numbers(seed):
    p, y = pool(seed=seed)
    right = (p.argmax(-1) == y).tolist()
    order = []
    for _ in range(5):
        wrong = [not order or int(p[order].mean(0)[i].argmax()) != int(y[i]) for i in range(len(y))]
        gains = {s: sum(r and w for r, w in zip(right[s], wrong, strict=True)) for s in range(6) if s not in order}
        order.append(max(gains, key=lambda s: (gains[s], -s)))
    found = prune_ensemble(p, y, size=5, criterion="complementarity")
    assert list(found.chosen) == order
    torch.testing.assert_close(found.path, path_of(p, y, tuple(order)), rtol=1e-12, atol=0)


def test_property_greedy_is_forward_selection_without_replacement():
    p, y = pool()
    found, expected = prune_ensemble(p, y, size=4), select_greedily(p, y, members=4, replacement=False)
    assert found.chosen == expected.chosen
    assert bool((found.path.diff() <= 0).all())
    assert prune_ensemble(p, y, size=1).chosen == select_greedily(p, y, members=1).chosen


@pytest.mark.parametrize("criterion", ["complementarity", "margin"])
def test_property_an_order_has_the_size_and_a_longer_one_begins_with_it(criterion):
    p, y = pool()
    orders = [prune_ensemble(p, y, size=size, criterion=criterion).chosen for size in range(1, 7)]
    assert [len(order) for order in orders] == [1, 2, 3, 4, 5, 6]
    assert all(orders[-1][: len(order)] == order for order in orders)
    assert sorted(orders[-1]) == list(range(6))


def test_property_who_is_right_where_others_are_wrong_is_kept():
    """Five members that know the first half, one that knows the second: no criterion leaves that one out of two."""
    y = torch.zeros(10, dtype=torch.int64)
    knows = torch.tensor([[0.9, 0.1]] * 5 + [[0.4, 0.6]] * 5, dtype=torch.float64)
    p = torch.stack([knows] * 5 + [knows.flip(0)])
    for criterion in ("greedy", "complementarity", "margin"):
        assert 5 in prune_ensemble(p, y, size=2, criterion=criterion).chosen, criterion
    assert margin_scores(p, y)[5] > margin_scores(p, y)[0]


def test_limit_one_member_and_perfect_members():
    p, y = pool(1)
    for criterion in ("greedy", "complementarity", "margin"):
        assert prune_ensemble(p, y, size=1, criterion=criterion).chosen == (0,)
    sure = torch.eye(3, dtype=torch.float64)[y].expand(4, -1, -1)
    assert margin_scores(sure, y).tolist() == [0, 0, 0, 0]
    assert prune_ensemble(sure, y, size=3, criterion="margin").chosen == (0, 1, 2)
    assert prune_ensemble(sure, y, size=3, criterion="complementarity").chosen == (0, 1, 2)
    assert margin_scores(sure, (y + 1) % 3).tolist() == [0, 0, 0, 0], "nobody is right"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be a whole number"),
        ({"size": 7}, "has 6 members, got size=7"),
        ({"size": 2, "criterion": "random"}, "criterion is one of 'greedy', 'complementarity', 'margin'"),
    ],
)
def test_error_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        prune_ensemble(*pool(), **options)
    with pytest.raises(ParameterError, match="share weighs the margin"):
        margin_scores(*pool(), share=2.0)
    with pytest.raises(ParameterError, match="y must be class numbers"):
        margin_scores(pool()[0], pool()[1][:2])
