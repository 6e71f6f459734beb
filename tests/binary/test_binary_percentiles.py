"""Percentiles against those of numpy and torch, at any size and in any batches."""

import numpy as np
import pytest
import torch

from weightlore.binary import activation_percentile
from weightlore.binary.percentiles import Largest
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rectified(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype).clamp(min=0)


@pytest.mark.parametrize("percentile", [0.5, 40.0, 55.0, 90.0, 99.7, 99.9, 100.0])
@pytest.mark.parametrize("shape", [(1,), (2,), (17, 5), (300, 7, 3)])
def test_oracle_percentile_of_numpy(percentile, shape):
    values = rectified(*shape)
    found = activation_percentile(values, percentile)
    assert float(found) == pytest.approx(float(np.percentile(values.numpy(), percentile)), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oracle_percentile_of_torch(dtype):
    values = rectified(4001, dtype=dtype)
    found = activation_percentile(values, 99.0)
    assert found.dtype == dtype
    torch.testing.assert_close(found, torch.quantile(values, 0.99))


def test_limit_more_activations_than_torch_quantile_takes():
    count = 2**24 + 5
    values = torch.zeros(count)
    values[torch.arange(0, count, 3)] = torch.arange(len(range(0, count, 3)), dtype=torch.float32)
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(values, 0.999)
    for percentile in (99.9, 70.0):
        expected = np.percentile(values.numpy(), percentile, method="linear")
        assert float(activation_percentile(values, percentile)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_oracle_batches_of_any_size(size):
    values, top = rectified(997), Largest("a layer", 997, 60.0)
    for batch in values.split(size):
        top.add(batch)
    for percentile in (60.0, 75.0, 99.0, 100.0):
        assert float(top.at(percentile)) == pytest.approx(float(np.percentile(values.numpy(), percentile)), rel=1e-12)
    assert len(top.kept) == 400, "only what the lowest percentile needs is kept"


def test_limit_zeros_and_what_lies_between_them_and_the_first_number():
    values = torch.tensor([0.0, 0.0, 0.0, 4.0])
    assert [float(activation_percentile(values, p)) for p in (10, 100 * 2 / 3, 75, 100)] == pytest.approx([0, 0, 1, 4])
    assert float(activation_percentile(torch.zeros(5), 100)) == 0.0


def test_error_says_how_many_activations_are_in_the_way():
    with pytest.raises(ParameterError, match="but 2 of 4 are not"):
        activation_percentile(torch.tensor([0.0, -1.0, float("nan"), 1.0]))
    largest = Largest("second", 8, 50.0)
    largest.add(torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0]))
    with pytest.raises(ParameterError, match=r"because 87\.50 % of its activations are"):
        largest.percentile(50.0)


def test_error_activations_that_no_rate_can_follow():
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="finite and not negative, but 1 of 3 are not"):
            activation_percentile(torch.tensor([0.5, bad, 1.0]))
    for several in ((50.0, 90.0), "99", None):
        with pytest.raises(ParameterError, match="one percentile is needed here"):
            activation_percentile(torch.ones(3), several)
    for outside in (0, 101.0, True, float("nan")):
        with pytest.raises(ParameterError, match=r"must lie in \(0, 100\]"):
            activation_percentile(torch.ones(3), outside)
    with pytest.raises(ParameterError, match="got an empty tensor"):
        activation_percentile(torch.zeros(0))
    with pytest.raises(ParameterError, match="no activation of 'a layer' was seen"):
        Largest("a layer", 3, 50.0).at(50.0)
    dead = Largest("a layer", 3, 50.0)
    dead.add(torch.zeros(3))
    with pytest.raises(ParameterError, match="is dead: none of its 3 activations"):
        dead.percentile(50.0)
