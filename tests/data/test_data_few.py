"""A few labels of each class."""

import pytest
import torch

from weightlore.data import Split, digits, few_labels
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_property_k_of_each_class_without_repetition(k):
    data = digits("train")
    numbered = Split(torch.arange(len(data)), data.y)
    few = few_labels(numbered, k, generator=seeded())
    assert few.y.bincount().tolist() == [k] * 10
    assert len(few.x.unique()) == 10 * k
    assert torch.equal(data.y[few.x], few.y)


def test_property_fewer_are_among_more():
    data = Split(torch.arange(1077), digits("train").y)
    few, more = (few_labels(data, k, generator=seeded(3)) for k in (2, 5))
    assert set(few.x.tolist()) < set(more.x.tolist())


def test_oracle_every_example_is_drawn_equally_often():
    data = Split(torch.arange(20), torch.arange(20) % 2)
    generator = seeded()
    draws = torch.cat([few_labels(data, 3, generator=generator).x for _ in range(2000)])
    counts = draws.bincount(minlength=20)  # expected 600, standard deviation 20.5
    assert ((counts - 600).abs() < 82).all()


def test_limit_all_of_them_and_classes_with_gaps():
    data = Split(torch.arange(4), torch.tensor([7, 2, 7, 2]))
    every = few_labels(data, 2, generator=seeded())
    assert every.y.tolist() == [2, 2, 7, 7]
    assert sorted(every.x.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("data", "k", "message"),
    [
        (Split(torch.zeros(3, 2), torch.tensor([0, 1, 1])), 2, "class 0"),
        (Split(torch.zeros(3, 2), torch.tensor([0, 1, 1])), 0, "between 1 and 1"),
        (Split(torch.zeros(3, 2), torch.zeros(3, 1)), 1, "class numbers"),
        (Split(torch.zeros(3, 2), torch.zeros(3)), 1, "class numbers"),
        (Split(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)), 1, "N >= 1"),
    ],
)
def test_error_says_what_to_do(data, k, message):
    with pytest.raises(ParameterError, match=message):
        few_labels(data, k, generator=seeded())
