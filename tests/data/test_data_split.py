"""Split: rows stay together, whatever is asked for."""

import numpy as np
import pytest
import torch

from weightlore.data.split import Split
from weightlore.errors import ParameterError


def numbered(n: int = 5) -> Split:
    return Split(torch.arange(n, dtype=torch.float64)[:, None] * torch.ones(n, 3), torch.arange(n))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (slice(1, 3), [1, 2]),
        (2, [2]),
        (-1, [4]),
        ([3, 0, 3], [3, 0, 3]),
        ([], []),
        (np.int64(3), [3]),
        (np.array([0, 2]), [0, 2]),
        (torch.tensor(3), [3]),
        (torch.tensor([4, 1]), [4, 1]),
        (torch.tensor([True, False, False, True, False]), [0, 3]),
    ],
)
def test_property_rows_of_x_and_y_stay_together(rows, expected):
    chosen = numbered()[rows]
    assert chosen.y.tolist() == expected
    assert chosen.x[:, 0].tolist() == expected
    assert chosen.x.shape == (len(expected), 3)
    assert len(chosen) == len(expected)


def test_property_a_list_of_booleans_chooses_rows_as_a_mask():
    assert numbered()[[True, False, False, True, False]].y.tolist() == [0, 3]


def test_property_iteration_ends_and_gives_single_rows():
    assert [row.y.tolist() for row in numbered(3)] == [[0], [1], [2]]


def test_property_a_dtype_changes_numbers_but_not_class_numbers():
    classes = numbered().to(dtype=torch.float32)
    assert classes.x.dtype == torch.float32
    assert classes.y.dtype == torch.int64
    regression = Split(torch.zeros(2, 1), torch.zeros(2, 1)).to(dtype=torch.float64)
    assert regression.y.dtype == torch.float64


def test_property_a_device_moves_both():
    moved = numbered().to(device="meta")
    assert moved.x.device.type == moved.y.device.type == "meta"


def test_property_it_shows_its_shapes():
    assert repr(numbered()) == "Split(N=5: x (5, 3) float64, y (5,) int64)"


def test_error_rows_must_match():
    with pytest.raises(ParameterError, match=r"same number of rows, got shapes \(3, 2\) and \(4,\)"):
        Split(torch.zeros(3, 2), torch.zeros(4))
    with pytest.raises(ParameterError, match="same number of rows"):
        Split(torch.zeros(()), torch.zeros(()))


def test_error_a_row_that_does_not_exist():
    with pytest.raises(IndexError):
        numbered()[5]
