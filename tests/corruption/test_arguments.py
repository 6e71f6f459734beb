"""Arguments of a wrong kind are named where they are given, before anything is computed."""

import numpy as np
import pytest
import torch
from corruption_cases import data, net

from weightlore.corruption import (
    Budget,
    asam_step,
    ascent,
    averaged_step,
    awp_step,
    closed_form,
    cosine_density,
    expected_best,
    expected_change,
    first_order_gain,
    fit_resistant,
    indicator,
    largest,
    measure,
    project,
    projected_ascent,
    random,
    random_support,
    random_trials,
    rescale,
    resistant_step,
    sam_step,
)
from weightlore.errors import ParameterError

B, VECTOR = Budget(0.1), torch.tensor([1.0, -2.0, 3.0])


def seeded():
    return torch.Generator().manual_seed(1)


TAKING_A_BUDGET = {
    "closed_form": lambda budget: closed_form(VECTOR, budget),
    "first_order_gain": lambda budget: first_order_gain(VECTOR, budget),
    "project": lambda budget: project(VECTOR, budget),
    "ascent": lambda budget: ascent(lambda a: a, VECTOR, budget, steps=1),
    "projected_ascent": lambda budget: projected_ascent(net(), data(), budget),
    "indicator": lambda budget: indicator(net(), data(), budget),
    "random": lambda budget: random(5, budget, generator=seeded()),
    "random_trials": lambda budget: random_trials(net(), data(), budget, generator=seeded(), trials=2),
    "expected_change": lambda budget: expected_change(1.0, 5, budget),
    "resistant_step": lambda budget: resistant_step(budget),
    "fit_resistant": lambda budget: fit_resistant(net(), data(), budget, generator=seeded()),
}
TAKING_A_COUNT = {
    "steps of ascent": ("steps", lambda n: ascent(lambda a: a, VECTOR, B, steps=n)),
    "steps of projected_ascent": ("steps", lambda n: projected_ascent(net(), data(), B, steps=n)),
    "steps of indicator": ("steps", lambda n: indicator(net(), data(), B, steps=n)),
    "steps of resistant_step": ("steps", lambda n: resistant_step(B, steps=n)),
    "n of largest": ("n", lambda n: largest(VECTOR, n)),
    "n of random_support": ("n", lambda n: random_support(5, n, generator=seeded())),
    "size of random_support": ("size", lambda n: random_support(n, 1, generator=seeded())),
    "size of random": ("size", lambda n: random(n, B, generator=seeded())),
    "trials of random": ("trials", lambda n: random(5, B, generator=seeded(), trials=n)),
    "trials of random_trials": ("trials", lambda n: random_trials(net(), data(), B, generator=seeded(), trials=n)),
    "batch_size of measure": ("batch_size", lambda n: measure(net(), data(), batch_size=n)),
}
TAKING_A_NUMBER = {
    "alpha": ("alpha", lambda value: resistant_step(B, alpha=value)),
    "alpha of averaged_step": ("alpha", lambda value: averaged_step(lambda passes: [], alpha=value)),
    "rho": ("rho", lambda value: sam_step(value)),
    "rho of asam_step": ("rho", lambda value: asam_step(value)),
    "eta": ("eta", lambda value: asam_step(0.1, eta=value)),
    "gamma": ("gamma", lambda value: awp_step(value)),
    "c": ("c", lambda value: rescale(net(), "0", value)),
    "size of a density": ("size", lambda value: cosine_density(VECTOR / 4, value)),
    "trials of expected_best": ("trials", lambda value: expected_best(value, 5)),
}


@pytest.mark.parametrize("call", TAKING_A_BUDGET.values(), ids=TAKING_A_BUDGET)
@pytest.mark.parametrize("wrong", [0.1, "large", None, Budget])
def test_error_no_budget(call, wrong):
    with pytest.raises(ParameterError, match=r"must be a Budget, got .* use Budget\(epsilon\)"):
        call(wrong)


@pytest.mark.parametrize(("name", "call"), TAKING_A_COUNT.values(), ids=TAKING_A_COUNT)
@pytest.mark.parametrize("wrong", [2.0, "2", True, [1]])
def test_error_no_count(name, call, wrong):
    with pytest.raises(ParameterError, match=f"{name} must be an integer, got .* of type {type(wrong).__name__}"):
        call(wrong)


@pytest.mark.parametrize(("name", "call"), TAKING_A_NUMBER.values(), ids=TAKING_A_NUMBER)
@pytest.mark.parametrize("wrong", ["0.5", [0.5], False])
def test_error_no_number(name, call, wrong):
    with pytest.raises(ParameterError, match=f"{name} must be a number, got .* of type {type(wrong).__name__}"):
        call(wrong)


@pytest.mark.parametrize("wrong", [None, 3.0, torch.tensor(1.0)])
def test_error_no_vector_to_project(wrong):
    with pytest.raises(ParameterError, match=r"tensor of shape \(P,\)"):
        project(wrong, B)


def test_property_numbers_of_numpy_are_numbers():
    assert len(largest(VECTOR, np.int64(2))) == 2
    assert random(np.int32(5), Budget(np.float32(0.5)), generator=seeded(), trials=np.int64(3)).shape == (3, 5)
    resistant_step(B, alpha=np.float64(0.5), steps=np.int64(2))
