"""The containers: what they hold, refuse and compute."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty import (
    CategoricalPrediction,
    DirichletPrediction,
    GaussianPrediction,
    IntervalPrediction,
    SetPrediction,
    UncertaintyWarning,
    dirichlet,
)
from weightlore.uncertainty.measures import expected_entropy, mutual_information, predictive_entropy

NAN, INF = math.nan, math.inf


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_alike(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_oracle_categorical_is_what_the_measures_say():
    z = normal(4, 6, 3)
    found = CategoricalPrediction.from_logits(z)
    assert torch.equal(found.probs, z.softmax(-1))
    assert found.members == 4
    assert torch.equal(found.mean, z.softmax(-1).mean(0))
    assert torch.equal(found.labels, found.mean.argmax(-1))
    assert found.labels.dtype == torch.int64
    assert torch.equal(found.entropy(), predictive_entropy(found.probs))
    assert torch.equal(found.expected_entropy(), expected_entropy(found.probs))
    assert torch.equal(found.mutual_information(), mutual_information(found.probs))
    assert_alike(found.entropy(), found.expected_entropy() + found.mutual_information())


def test_oracle_dirichlet_is_what_the_measures_say():
    found = DirichletPrediction(normal(6, 3).exp())
    assert_alike(found.mean, torch.distributions.Dirichlet(found.alpha).mean)
    assert_alike(found.differential_entropy(), torch.distributions.Dirichlet(found.alpha).entropy())
    assert_alike(found.entropy(), found.expected_entropy() + found.mutual_information())
    assert torch.equal(found.precision, dirichlet.precision(found.alpha))
    assert torch.equal(found.labels, found.alpha.argmax(-1))


@settings(max_examples=40, deadline=None)
@given(members=st.integers(1, 6), seed=st.integers(0, 10_000), far=st.sampled_from([0.0, 1.0, 1e6]))
def test_property_law_of_total_variance(members, seed, far):
    means, variances = normal(members, 5, 2, seed=seed) + far, normal(members, 5, 2, seed=seed + 1).square()
    found = GaussianPrediction.from_members(means, variances)
    assert_alike(found.mean, means.mean(0))
    assert_alike(found.variance, found.aleatoric_var + found.epistemic_var)
    torch.testing.assert_close(
        found.variance, (variances + (means - found.mean).square()).mean(0), rtol=1e-9, atol=1e-12
    )
    aleatoric, epistemic = found.parts
    assert_alike(found.std.square(), aleatoric.square() + epistemic.square())
    assert (found.aleatoric_var >= 0).all()
    assert (found.epistemic_var >= 0).all()
    assert (found.variance >= variances.mean(0)).all()
    assert found.member_means is means
    assert found.member_vars is variances


def test_oracle_moments_of_a_mixture():
    means, variances = normal(5, 3, 2), normal(5, 3, 2, seed=1).square()
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(probs=torch.full((3, 2, 5), 0.2, dtype=torch.float64)),
        torch.distributions.Normal(means.movedim(0, -1), variances.sqrt().movedim(0, -1)),
    )
    found = GaussianPrediction.from_members(means, variances)
    assert_alike(found.mean, mixture.mean)
    assert_alike(found.variance, mixture.variance)


def test_limit_one_member_knows_no_model_uncertainty():
    found = CategoricalPrediction.from_logits(normal(6, 3))
    assert found.members == 1
    with pytest.warns(UncertaintyWarning, match="one only"):
        assert not found.mutual_information().any()
    assert torch.equal(found.entropy(), found.expected_entropy())
    single = GaussianPrediction.from_members(normal(1, 3, 2), normal(1, 3, 2).square())
    assert not single.epistemic_var.any()


def test_limit_extreme_logits_and_dtypes():
    found = CategoricalPrediction.from_logits(torch.tensor([[1e30, 0.0], [-1e30, 1e30]]))
    assert found.labels.tolist() == [0, 1]
    assert found.entropy().tolist() == [0, 0]
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        assert CategoricalPrediction.from_logits(normal(2, 3, 1000).to(dtype)).probs.dtype == dtype
    ties = CategoricalPrediction(torch.full((1, 2, 4), 0.25))
    assert ties.labels.tolist() == [0, 0]


def test_limit_regions():
    found = IntervalPrediction(torch.tensor([-INF, 0.0, 1.0]), torch.tensor([INF, 2.0, 1.0]), 0.9)
    assert found.width.tolist() == [INF, 2.0, 0.0]
    sets = SetPrediction(torch.tensor([[True, False], [False, False], [True, True]]), 0.5)
    assert sets.sizes.tolist() == [1, 0, 2]


def test_property_nothing_can_be_set_and_gradients_pass():
    z = normal(2, 3, 4).requires_grad_()
    found = CategoricalPrediction.from_logits(z)
    (gradient,) = torch.autograd.grad(found.mutual_information().sum(), z)
    assert gradient.abs().sum() > 0
    with pytest.raises(FrozenInstanceError):
        found.probs = z


HALF = torch.full((1, 2, 2), 0.5)
ONES, VARS = torch.ones(3, 2), torch.ones(2, 3, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CategoricalPrediction(HALF[0]), "members first"),
        (lambda: CategoricalPrediction([[0.5, 0.5]]), "list"),
        (lambda: CategoricalPrediction(2 * HALF), "from_logits"),
        (lambda: CategoricalPrediction(HALF * NAN), "finite"),
        (lambda: CategoricalPrediction(torch.zeros(1, 0, 2)), "an entry at least"),
        (lambda: CategoricalPrediction.from_logits(torch.zeros(3)), "logits must be"),
        (lambda: CategoricalPrediction.from_logits(torch.zeros(3, 2).long()), "floating"),
        (lambda: CategoricalPrediction.from_logits(torch.tensor([[INF, 0.0]])), "finite"),
        (lambda: DirichletPrediction(torch.tensor([[0.0, 1.0]])), "must be > 0"),
        (lambda: DirichletPrediction(torch.ones(2)), r"\(N, C\)"),
        (lambda: DirichletPrediction(ONES * INF), "finite"),
        (lambda: GaussianPrediction(torch.ones(3), torch.ones(3), torch.ones(3)), r"y\[\.\.\., None\]"),
        (lambda: GaussianPrediction(ONES, -ONES, ONES), "aleatoric_var is a variance"),
        (lambda: GaussianPrediction(ONES, ONES, -ONES), "epistemic_var is a variance"),
        (lambda: GaussianPrediction(ONES, ONES[:2], ONES), "goes with the means"),
        (lambda: GaussianPrediction(ONES * NAN, ONES, ONES), "finite"),
        (lambda: GaussianPrediction(ONES, ONES, ONES, VARS), "both or neither"),
        (lambda: GaussianPrediction(ONES, ONES, ONES, VARS, VARS[:1]), "goes with the means"),
        (lambda: GaussianPrediction(ONES, ONES, ONES, VARS[:, :2], VARS), "goes with the means"),
        (lambda: GaussianPrediction(ONES, ONES, ONES, VARS, -VARS), "variance"),
        (lambda: GaussianPrediction.from_members(VARS, VARS[:1]), "goes with the means"),
        (lambda: GaussianPrediction.from_members(VARS, -VARS), "variance"),
        (lambda: GaussianPrediction.from_members(ONES, ONES), r"\(S, N, D\)"),
        (lambda: IntervalPrediction(torch.ones(2), torch.zeros(2), 0.9), "2 of 2"),
        (lambda: IntervalPrediction(torch.ones(2), torch.ones(3), 0.9), "N of each"),
        (lambda: IntervalPrediction(torch.tensor([NAN]), torch.ones(1), 0.9), "NaN"),
        (lambda: IntervalPrediction(torch.tensor([INF]), torch.tensor([INF]), 0.9), "inf below"),
        (lambda: IntervalPrediction(torch.ones(2), torch.ones(2), 1.0), "level"),
        (lambda: IntervalPrediction(torch.ones(2), torch.ones(2), 0.0), "level"),
        (lambda: SetPrediction(torch.ones(2, 2), 0.9), "booleans"),
        (lambda: SetPrediction(torch.ones(2, dtype=torch.bool), 0.9), r"\(N, C\)"),
        (lambda: SetPrediction(torch.ones(2, 2, dtype=torch.bool), NAN), "level"),
    ],
)
def test_error_of_what_a_container_cannot_hold(make, says):
    with pytest.raises(ParameterError, match=says):
        make()
