"""Acquisition: the examples with the largest score, and batches that do not ask the same twice."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, UncertaintyWarning
from weightlore.uncertainty.active import acquire, batch_bald, run
from weightlore.uncertainty.active.batches import AT_ONCE
from weightlore.uncertainty.measures import margin, mutual_information, predictive_entropy, variation_ratio

ALL = ("random", "entropy", "margin", "variation_ratio", "bald", "batch_bald")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0, sharpness: float = 2.0) -> torch.Tensor:
    return (sharpness * torch.randn(shape, generator=seeded(seed), dtype=torch.float64)).softmax(-1)


def joint_information(p: torch.Tensor, rows: list[int]) -> float:
    """By adding up over every combination of labels."""
    S, _, C = p.shape
    total = 0.0
    for labels in itertools.product(range(C), repeat=len(rows)):
        chance = torch.stack([p[:, i, c] for i, c in zip(rows, labels, strict=True)]).prod(0)
        mean = float(chance.mean())
        total += sum(float(q) * math.log(float(q) / mean) for q in chance if q > 0) / S
    return total


@pytest.mark.parametrize(
    ("acquisition", "score"),
    [
        ("entropy", predictive_entropy),
        ("margin", lambda p: -margin(p)),
        ("variation_ratio", variation_ratio),
        ("bald", mutual_information),
    ],
)
def test_oracle_the_largest_scores_come_first(acquisition, score):
    p = drawn(7, 40, 3)
    rows = acquire(p, 12, acquisition=acquisition, generator=seeded())
    scores = score(p)
    assert torch.equal(scores[rows], scores.sort(descending=True).values[:12])
    assert len(rows.unique()) == 12
    assert torch.equal(rows, acquire(CategoricalPrediction(p), 12, acquisition=acquisition, generator=seeded()))


@pytest.mark.parametrize("acquisition", ["entropy", "margin", "variation_ratio", "bald", "batch_bald"])
def test_property_ties_are_broken_by_the_generator(acquisition):
    p = drawn(4, 1, 3).expand(4, 30, 3)
    firsts = [int(acquire(p, 1, acquisition=acquisition, generator=seeded(s))) for s in range(12)]
    assert len(set(firsts)) > 5
    same = acquire(p, 3, acquisition=acquisition, generator=seeded(7))
    assert torch.equal(same, acquire(p, 3, acquisition=acquisition, generator=seeded(7)))


def test_property_the_random_choice_ignores_the_members_and_misses_nobody():
    p = drawn(3, 6, 2)
    counts = torch.zeros(6)
    for seed in range(600):
        rows = acquire(p, 2, acquisition="random", generator=seeded(seed))
        assert len(rows.unique()) == 2
        counts[rows] += 1
    assert (counts - 200).abs().max() < 5 * math.sqrt(600 * (1 / 3) * (2 / 3))
    assert torch.equal(
        acquire(p, 3, acquisition="random", generator=seeded(1)),
        acquire(drawn(5, 6, 4), 3, acquisition="random", generator=seeded(1)),
    )


@pytest.mark.parametrize("acquisition", ALL)
def test_property_the_generator_moves_alike_whatever_is_acquired(acquisition):
    one, other = seeded(), seeded()
    acquire(drawn(3, 9, 2), 2, acquisition=acquisition, generator=one)
    torch.randperm(9, generator=other)
    assert torch.equal(one.get_state(), other.get_state())


@pytest.mark.parametrize("acquisition", ALL)
def test_limit_the_whole_pool(acquisition):
    rows = acquire(drawn(3, 4, 2), 4, acquisition=acquisition, generator=seeded())
    assert rows.sort().values.tolist() == [0, 1, 2, 3]
    assert acquire(drawn(3, 1, 2), 1, acquisition=acquisition, generator=seeded()).tolist() == [0]


def test_limit_one_member_has_nobody_to_contradict():
    p = drawn(1, 20, 3)
    with pytest.warns(UncertaintyWarning, match="one only"):
        rows = acquire(p, 5, acquisition="bald", generator=seeded())
    assert torch.equal(rows, acquire(p, 5, acquisition="random", generator=seeded()))


@given(st.integers(0, 99), st.integers(2, 4), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_oracle_the_information_of_a_batch_over_all_combinations(seed, C, count):
    p = drawn(3, 5, C, seed=seed)
    batch = batch_bald(p, count)
    rows = batch.rows.tolist()
    for b in range(1, count + 1):
        assert float(batch.information[b - 1]) == pytest.approx(joint_information(p, rows[:b]), abs=1e-10)
    others = [i for i in range(5) if i not in rows[:-1]]
    best = max(joint_information(p, [*rows[:-1], i]) for i in others)
    assert float(batch.information[-1]) == pytest.approx(best, abs=1e-10)


@given(st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_property_steps_of_information_shrink_and_stay_below_their_sum(seed):
    p = drawn(6, 12, 3, seed=seed)
    batch = batch_bald(p, 5)
    gains = torch.diff(batch.information, prepend=torch.zeros(1, dtype=torch.float64))
    assert (gains >= -1e-12).all()
    assert (gains.diff() <= 1e-10).all()
    assert batch.information[-1] <= mutual_information(p)[batch.rows].sum() + 1e-10
    assert batch.information[-1] <= math.log(6) + 1e-10, "no more than which member it is"


def test_property_one_question_is_bald():
    p = drawn(6, 30, 4)
    assert int(batch_bald(p, 1).rows) == int(mutual_information(p).argmax())
    assert float(batch_bald(p, 1).information) == pytest.approx(float(mutual_information(p).max()), abs=1e-12)


def test_property_copies_are_not_asked_twice():
    one = torch.tensor([[0.99, 0.01], [0.99, 0.01], [0.01, 0.99], [0.01, 0.99]])  # (S, C), parts the members in halves
    other = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])  # parts them the other way
    p = torch.stack([one, one, one, other], dim=1).double()
    assert set(acquire(p, 3, acquisition="bald", generator=seeded()).tolist()) == {0, 1, 2}
    rows = acquire(p, 2, acquisition="batch_bald", generator=seeded()).tolist()
    assert 3 in rows


def test_oracle_blocks_change_nothing(monkeypatch):
    p = drawn(5, 50, 10)
    whole = batch_bald(p, 3)
    monkeypatch.setattr("weightlore.uncertainty.active.batches.AT_ONCE", 3000)
    assert AT_ONCE > 3000
    parts = batch_bald(p, 3)
    assert torch.equal(whole.rows, parts.rows)
    torch.testing.assert_close(whole.information, parts.information, atol=1e-12, rtol=0)


def test_limit_sure_members_and_the_largest_batch():
    certain = torch.eye(2, dtype=torch.float64)[:, None].expand(2, 3, 2)
    batch = batch_bald(certain, 2)
    assert batch.information.tolist() == pytest.approx([math.log(2), math.log(2)])
    assert len(batch_bald(drawn(2, 6, 10), 5).rows) == 5
    assert batch_bald(drawn(1, 6, 3), 2).information.tolist() == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: acquire(p, 0, generator=seeded()), "from 1 to 9, the size of the pool, got 0"),
        (lambda p: acquire(p, 10, generator=seeded()), "from 1 to 9"),
        (lambda p: acquire(p, 1, acquisition="best", generator=seeded()), "acquisition is one of 'random'"),
        (lambda p: acquire(p + 1, 1, generator=seeded()), "sum to 1"),
        (lambda p: batch_bald(p, 10), "from 1 to 9"),
        (lambda p: batch_bald(drawn(2, 9, 11), 5), r"got 5 and 11\^5; ask for fewer at once"),
        (lambda p: batch_bald(p[0, 0], 1), r"shape \(S, N, C\)"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(drawn(3, 9, 2))


def test_property_every_acquisition_can_be_run():
    from weightlore.data import Split

    pool = Split(torch.arange(12, dtype=torch.float64)[:, None], torch.arange(12) % 2)
    learn = lambda data, generator: lambda x: drawn(3, len(x), 2)  # noqa: E731
    curves = run(learn, pool, pool, acquisitions=ALL, rounds=2, count=2, per_class=1, generator=seeded())
    assert list(curves.accuracy) == list(ALL)
