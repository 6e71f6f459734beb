"""Near-isotonic regression: its optimality conditions, both ends of the path, and the average of it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.isotonic import IsotonicRegression

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import NearIsotonicEnsemble, from_probs, near_isotonic_path


def pairs(p):
    p = torch.as_tensor(p, dtype=torch.float64)
    return from_probs(torch.stack([1 - p, p], 1))


def ones_and_zeros(size=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.bernoulli(torch.linspace(0.1, 0.9, size), generator=generator).double()


def missed(z, t, n, penalty):
    """The smallest error in the optimality conditions n (z - t) + penalty (u_i - u_(i-1)) = 0, u a subgradient."""
    size, same = len(z), 1e-9
    if size == 1:
        return abs(float(n[0] * (z[0] - t[0])))
    falls = z[:-1] - z[1:]
    bounds = [(1, 1) if f > same else (0, 0) if f < -same else (0, 1) for f in falls]
    difference = np.zeros((size, size - 1))
    difference[np.arange(size - 1), np.arange(size - 1)] = 1
    difference[np.arange(1, size), np.arange(size - 1)] = -1
    a, b, column = penalty * difference, -(n * (z - t)), -np.ones((size, 1))
    found = linprog(
        np.append(np.zeros(size - 1), 1.0),
        A_ub=np.vstack([np.hstack([a, column]), np.hstack([-a, column])]),
        b_ub=np.concatenate([b, -b]),
        bounds=[*bounds, (0, None)],
    )
    return found.fun


@pytest.mark.parametrize("seed", [0, 1, 3, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_oracle_every_model_meets_the_optimality_conditions(seed, weighted):
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(12, generator=generator, dtype=torch.float64) if seed % 2 else ones_and_zeros(12, seed)
    n = torch.randint(1, 5, (12,), generator=generator).double() if weighted else torch.ones(12).double()
    models = list(near_isotonic_path(t, n))
    assert models[-1].groups < models[0].groups
    for model in models:
        assert missed(model.values.numpy(), t.numpy(), n.numpy(), model.penalty) < 1e-9
    for one, other in pairwise(models):
        assert one.penalty <= other.penalty
        assert one.groups > other.groups
        middle = (one.values + other.values) / 2  # values move linearly between meetings
        assert missed(middle.numpy(), t.numpy(), n.numpy(), (one.penalty + other.penalty) / 2) < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_oracle_the_path_leads_from_the_data_to_the_isotonic_regression(seed):
    t = ones_and_zeros(100, seed)
    models = list(near_isotonic_path(t))
    assert models[0].penalty == 0
    assert torch.equal(models[0].values, t)
    assert models[0].groups == 1 + int((t.diff() != 0).sum())
    expected = IsotonicRegression().fit_transform(np.arange(100), t.numpy())
    torch.testing.assert_close(models[-1].values, torch.as_tensor(expected), rtol=0, atol=1e-12)
    for model in models:
        assert model.values.mean().item() == pytest.approx(t.mean().item())
        assert len(model.values.unique_consecutive()) <= model.groups


def test_property_two_values_meet_half_way():
    first, last = near_isotonic_path(torch.tensor([1.0, 0.0]))
    assert (first.penalty, last.penalty) == (0, 0.5)
    weighted = list(near_isotonic_path(torch.tensor([1.0, 0.0]), torch.tensor([3.0, 1.0])))
    assert weighted[-1].values.tolist() == pytest.approx([0.75, 0.75])
    assert weighted[-1].penalty == pytest.approx(0.75)


def test_property_symmetric_meetings_are_one():
    models = list(near_isotonic_path(torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])))
    assert [model.groups for model in models] == [6, 4, 1] or [model.groups for model in models] == [6, 1]
    assert models[-1].values.tolist() == pytest.approx([0.5] * 6)


def test_limit_rising_and_single_values_stay():
    for t in (torch.tensor([0.0, 0.0, 0.3, 1.0]), torch.tensor([0.5]), torch.zeros(5)):
        (only,) = near_isotonic_path(t)
        assert torch.equal(only.values, t.double())
        assert only.groups == len(t.unique())


def log_likelihood(values, hits, counts):
    return (torch.xlogy(hits, values) + torch.xlogy(counts - hits, 1 - values)).sum()


def test_oracle_the_ensemble_is_the_average_weighted_by_bic():
    generator = torch.Generator().manual_seed(0)
    p = torch.randint(1, 30, (80,), generator=generator) / 31
    y = torch.bernoulli(p, generator=generator).long()
    places, number, counts = p.unique(return_inverse=True, return_counts=True)
    hits = torch.bincount(number, y.double())
    models = list(near_isotonic_path(hits / counts, counts))
    scores = torch.stack(
        [
            log_likelihood(m.values.clamp(0, 1), hits, counts) - 0.5 * m.groups * torch.tensor(80.0).double().log()
            for m in models
        ]
    )
    expected = scores.softmax(0) @ torch.stack([m.values for m in models])
    found = NearIsotonicEnsemble().fit(pairs(p), y).predict_proba(pairs(places))[:, 1]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert (found.diff() < -1e-9).any(), "near-isotonic may fall"


def test_property_much_data_ask_for_few_groups():
    p = torch.linspace(0.01, 0.99, 400)
    y = torch.bernoulli(p, generator=torch.Generator().manual_seed(1)).long()
    found = NearIsotonicEnsemble().fit(pairs(p), y).predict_proba(pairs(p))[:, 1]
    assert (found - p).abs().mean() < 0.1
    assert ((found > 0.001) & (found < 0.999)).double().mean() > 0.8, "the data themselves get no weight"


@pytest.mark.parametrize(
    ("t", "n", "message"),
    [
        (torch.zeros(0), None, "positive count for each"),
        (torch.zeros(2, 2), None, "positive count for each"),
        (torch.zeros(2), torch.ones(3), "positive count for each"),
        (torch.zeros(2), torch.tensor([1.0, 0.0]), "positive count for each"),
        (torch.tensor([float("nan")]), None, "NaN or infinite"),
    ],
)
def test_error_arguments(t, n, message):
    with pytest.raises(ParameterError, match=message):
        near_isotonic_path(t, n)
