import pickle
from typing import Literal

import pytest
import torch

from weightlore.errors import DataError, MissingExtra, ParameterError, require_finite, require_option


def test_property_each_error_is_also_the_builtin_that_a_caller_would_expect():
    assert issubclass(ParameterError, ValueError)
    assert issubclass(MissingExtra, ImportError)
    assert issubclass(DataError, OSError)


def test_error_missing_extra_names_library_and_command():
    error = MissingExtra("numba", "fast")
    assert "numba is not installed" in str(error)
    assert 'pip install "weightlore[fast]"' in str(error)
    assert (error.library, error.extra) == ("numba", "fast")


def test_property_errors_survive_the_way_out_of_a_worker_process():
    for error in (MissingExtra("numba", "fast"), ParameterError("too long"), DataError("gone")):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)


@pytest.mark.parametrize("tensor", [torch.zeros(0), torch.ones(2, 3), torch.arange(3), torch.tensor(True)])
def test_property_finite_tensors_are_handed_on_as_they_are(tensor):
    assert require_finite("anything", tensor) is tensor


@pytest.mark.parametrize("tensor", [torch.full((2, 3), 3e38), torch.full((4,), 6e4, dtype=torch.float16)])
def test_limit_finite_numbers_without_a_finite_sum_are_finite(tensor):
    assert not torch.isfinite(tensor.sum())
    assert require_finite("anything", tensor) is tensor


def test_error_infinities_that_cancel_are_not_finite():
    with pytest.raises(ParameterError, match=r"2 of its 3 entries"):
        require_finite("the gradient", torch.tensor([float("inf"), 1.0, -float("inf")]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_error_not_finite_counts_and_names(bad):
    tensor = torch.ones(2, 3)
    tensor[0, 1] = tensor[1, 2] = bad
    with pytest.raises(
        ParameterError, match=r"the gradient must be finite, but 2 of its 6 entries are NaN or infinite"
    ):
        require_finite("the gradient", tensor)


def test_error_an_option_lists_what_there_is():
    require_option("sides", "left", Literal["left", "right"])
    with pytest.raises(ParameterError, match=r"sides is one of 'left', 'right', got 'up'"):
        require_option("sides", "up", Literal["left", "right"])


@pytest.mark.parametrize("names", [{"left": 1, "right": 2}, ("left", "right"), ["left", "right"]])
def test_error_a_name_lists_what_there_is(names):
    require_option("a side", "right", names)
    with pytest.raises(ParameterError, match=r"a side is one of 'left', 'right', got 'up'"):
        require_option("a side", "up", names)
