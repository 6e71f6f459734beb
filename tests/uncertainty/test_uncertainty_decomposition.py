"""Decompositions: the parts add up, and each is what it says."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, UncertaintyWarning
from weightlore.uncertainty.sources import (
    GaussianClasses,
    decompose_entropy,
    decompose_three_way,
    decompose_variance,
    gaussian_ring,
)

SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 5), st.integers(2, 6))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(SHAPES, st.integers(0, 99), st.sampled_from([0.1, 1.0, 30.0]))
@settings(max_examples=40, deadline=None)
def test_property_entropies_add_up_and_none_is_negative(shape, seed, sharpness):
    parts = decompose_entropy((sharpness * normal(*shape, seed=seed)).softmax(-1))
    torch.testing.assert_close(parts.data + parts.model, parts.total, atol=1e-10, rtol=0)
    assert min(float(part.min()) for part in (parts.total, parts.data, parts.model)) >= 0
    assert (parts.model <= math.log(min(shape[0], shape[2])) + 1e-10).all()


@given(SHAPES, st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_property_variances_add_up_to_that_of_the_mixture(shape, seed):
    means, variances = 100 + normal(*shape, seed=seed), normal(*shape, seed=seed + 1).exp()
    parts = decompose_variance(means, variances)
    mixture = (variances + means.square()).mean(0) - means.mean(0).square()
    torch.testing.assert_close(parts.total, mixture, atol=1e-9, rtol=0)
    torch.testing.assert_close(parts.data + parts.model, parts.total, atol=1e-10, rtol=0)
    assert (parts.data >= 0).all()
    assert (parts.model >= 0).all()


@given(SHAPES, st.integers(0, 99), st.sampled_from([-3.0, 0.0, 5.0]))
@settings(max_examples=40, deadline=None)
def test_property_three_parts_add_up_and_none_is_negative(shape, seed, size):
    parts = decompose_three_way((size + 2 * normal(*shape, seed=seed)).exp())
    torch.testing.assert_close(parts.data + parts.distributional + parts.model, parts.total, atol=1e-10, rtol=0)
    assert min(float(part.min()) for part in (parts.data, parts.distributional, parts.model)) >= 0


def test_oracle_three_parts_by_sampling():
    alpha = torch.tensor([[[1.0, 2.0, 4.0]], [[6.0, 2.0, 0.5]]], dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        q = torch.distributions.Dirichlet(alpha).sample((200_000,))  # (draws, S, 1, C)
    inner = torch.distributions.Categorical(q).entropy()  # (draws, S, 1)
    means = torch.distributions.Categorical(alpha / alpha.sum(-1, keepdim=True)).entropy().mean()
    parts = decompose_three_way(alpha)
    error = 5 * float(inner.std()) / math.sqrt(inner.numel())
    assert float(parts.data) == pytest.approx(float(inner.mean()), abs=error)
    assert float(parts.distributional) == pytest.approx(float(means - inner.mean()), abs=error)
    assert float(parts.model) == pytest.approx(float(parts.total - means), abs=1e-12)


def test_property_three_levels_come_down_to_two():
    p = normal(4, 5, 3).softmax(-1)
    sharp, two = decompose_three_way(1e9 * p), decompose_entropy(p)
    torch.testing.assert_close(sharp.data, two.data, atol=1e-8, rtol=0)
    torch.testing.assert_close(sharp.model, two.model, atol=1e-10, rtol=0)
    assert sharp.distributional.max() < 1e-8
    alike = decompose_three_way(normal(1, 5, 3).exp().expand(4, 5, 3))
    assert alike.model.max() < 1e-14
    assert alike.distributional.min() > 0.01


def test_property_each_part_has_its_cause():
    corner = torch.eye(3, dtype=torch.float64)[:, None]  # three sure members that contradict one another
    parts = decompose_entropy(CategoricalPrediction(corner))
    assert float(parts.data) == 0
    assert float(parts.model) == pytest.approx(math.log(3))
    uniform = decompose_entropy(torch.full((4, 1, 3), 1 / 3, dtype=torch.float64))
    assert float(uniform.model) == 0
    assert float(uniform.data) == pytest.approx(math.log(3))


def test_oracle_members_that_know_the_truth_have_its_entropy_and_no_other():
    task = gaussian_ring(4, radius=1.0)
    x = normal(30, 2)
    parts = decompose_entropy(task.posterior(x).expand(3, 30, 4))
    torch.testing.assert_close(parts.data, task.data_uncertainty(x), atol=1e-10, rtol=0)
    assert parts.model.max() < 1e-14
    shaken = [
        GaussianClasses(task.means + 0.3 * normal(4, 2, seed=s), task.covariances, task.weights) for s in (1, 2, 3)
    ]
    unsure = decompose_entropy(torch.stack([other.posterior(x) for other in shaken]))
    assert unsure.model.min() > 0


def test_limit_one_member_has_no_model_part_and_never_nan():
    p = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
    with pytest.warns(UncertaintyWarning, match="one only"):
        parts = decompose_entropy(p)
    assert parts.model.tolist() == [0, 0]
    assert torch.equal(parts.total, parts.data)
    assert decompose_variance(torch.ones(1, 2, 1), torch.ones(1, 2, 1)).model.tolist() == [[0], [0]]
    alone = decompose_three_way(torch.tensor([[1.0, 3.0]]))
    assert alone.model.tolist() == [0]
    assert torch.equal(alone.total.isnan(), torch.tensor([False]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: decompose_entropy(torch.ones(2, 3, 2)), "sum to 1"),
        (lambda: decompose_variance(torch.ones(2, 3, 1), -torch.ones(2, 3, 1)), "must be >= 0"),
        (lambda: decompose_variance(torch.ones(2, 3, 1), torch.ones(2, 3, 2)), "shape"),
        (lambda: decompose_variance(torch.ones(3, 1), torch.ones(3, 1)), r"shape \(S, N, D\)"),
        (
            lambda: decompose_three_way(torch.ones(3)),
            r"concentrations \(S, N, C\), or \(N, C\) for one member, got \(3,\)",
        ),
        (lambda: decompose_three_way(torch.zeros(2, 1, 3)), "> 0"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
