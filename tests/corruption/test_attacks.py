"""Projected ascent: inside the budget at every step, one step is the closed form, more usually climb higher."""

import math

import pytest
import torch
from corruption_cases import data, net
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.corruption import Budget, ascent, closed_form, loss_gradient, measure, project, projected_ascent
from weightlore.errors import ParameterError

BUDGETS = [Budget(0.4, p=p, n=n) for p in (1.0, 1.5, 2.0, 3.0, math.inf) for n in (None, 1, 6, 1000)]


def size(vector, p):
    top = float(vector.abs().amax()) or 1.0
    return top * float(torch.linalg.vector_norm(vector / top, ord=p))  # 3^1000 overflows


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-3), min_size=1, max_size=10),
    st.sampled_from([1.0, 1.5, 2.0, 4.0, 1000.0, math.inf]),
    st.floats(0, 10).filter(lambda e: e == 0 or e > 1e-290),  # no room is left below to be exact in
    st.integers(1, 12),
)
def test_property_projection(values, p, epsilon, n):
    vector, budget = torch.tensor(values, dtype=torch.float64), Budget(epsilon, p=p, n=n)
    inside = project(vector, budget)
    assert size(inside, p) <= epsilon * (1 + 1e-9)
    assert int((inside != 0).sum()) <= n
    torch.testing.assert_close(project(inside, budget), inside, rtol=1e-9, atol=0)
    assert torch.equal(vector, torch.tensor(values, dtype=torch.float64))
    if size(vector, p) <= epsilon * (1 - 1e-9) and n >= len(values):
        assert torch.equal(inside, vector)


@pytest.mark.parametrize("p", [2.0, math.inf])
@pytest.mark.parametrize("n", [None, 2])
def test_oracle_projection_is_the_nearest_point(p, n, generator):
    vector, budget = torch.tensor([0.9, -0.3, 0.5, 0.1], dtype=torch.float64), Budget(0.6, p=p, n=n)
    nearest = float((project(vector, budget) - vector).norm())
    points = project(vector, budget) + 0.1 * torch.randn(20_000, 4, generator=generator, dtype=torch.float64)
    others = torch.stack([project(point, budget) for point in points[:2000]])
    assert float((others - vector).norm(dim=1).min()) >= nearest - 1e-12


@pytest.mark.parametrize("budget", BUDGETS, ids=repr)
def test_property_one_step_is_the_closed_form(budget):
    model, split = net(), data()
    expected = closed_form(loss_gradient(model, split), budget)
    found = projected_ascent(model, split, budget, steps=1)
    torch.testing.assert_close(found.vector, expected.vector, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(found.first_order_gain, expected.first_order_gain)


@pytest.mark.parametrize("budget", BUDGETS, ids=repr)
def test_property_every_step_is_inside_the_budget(budget):
    model, split = net(), data()
    start = torch.zeros(43, dtype=torch.float64)
    path = list(ascent(lambda a: loss_gradient(model, split, corruption=a), start, budget, steps=7))
    assert len(path) == 7
    for a in path:
        assert size(a, budget.p) <= 0.4 * (1 + 1e-12)
        assert int((a != 0).sum()) <= budget.count(43)
    assert torch.equal(path[-1], projected_ascent(model, split, budget, steps=7).vector)
    assert not start.any()


def test_oracle_ascent_written_out():
    """The recurrence for p=2 and p=inf on all parameters, step by step."""
    model, split, steps, epsilon = net(), data(), 4, 0.8
    for p in (2.0, math.inf):
        a = torch.zeros(43, dtype=torch.float64)
        for _ in range(steps):
            g = loss_gradient(model, split, corruption=a)
            a = a + 1.5 * epsilon / steps * (g / g.norm() if p == 2 else g.sign())
            a = a * min(1.0, epsilon / float(a.norm())) if p == 2 else a.clamp(-epsilon, epsilon)
        found = projected_ascent(model, split, Budget(epsilon, p=p), steps=steps).vector
        torch.testing.assert_close(found, a, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("n", [None, 6])
def test_oracle_more_steps_climb_higher_here(n):
    model, split, budget = net(), data(), Budget(3.0, n=n)
    losses = []
    for steps in (1, 3, 10):
        a = projected_ascent(model, split, budget, steps=steps).vector
        losses.append(measure(model, split, corruption=a).loss)
    assert losses[0] < losses[1]
    assert losses[0] < losses[2]


def test_property_a_group_moves_alone():
    model, split = net(), data()
    found = projected_ascent(model, split, Budget(0.5), steps=3, group="bias")
    assert found.vector.shape == (8,)
    assert not found.degenerate


def test_limit_zero_gradient_stays_and_is_flagged():
    model, split = net(), data()
    flat = projected_ascent(model, split, Budget(1.0), steps=4, loss=lambda output, y: 0 * output.sum())
    assert flat.degenerate
    assert not flat.vector.any()
    assert float(flat.first_order_gain) == 0
    still = projected_ascent(model, split, Budget(0.0), steps=4)
    assert not still.degenerate
    assert not still.vector.any()


def test_error_ascent():
    model, split = net(), data()
    with pytest.raises(ParameterError, match="steps counts gradients"):
        projected_ascent(model, split, Budget(1.0), steps=0)
    with pytest.raises(ParameterError, match="the gradient must be finite"):
        projected_ascent(model, split, Budget(1.0), steps=2, loss=lambda output, y: output.sum() / 0)
    with pytest.raises(ParameterError, match="the vector must be finite"):
        project(torch.tensor([1.0, math.nan]), Budget(1.0))
    with pytest.raises(ParameterError, match="steps counts gradients"):  # at once, not at the first value
        ascent(lambda a: a, torch.zeros(2), Budget(1.0), steps=0)
