"""The closed form: brute force over all supports, feasibility, symmetries, limits, edge cases and bad input."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.corruption import Budget, closed_form, first_order_gain, largest
from weightlore.errors import ParameterError

P_VALUES = (1.0, 1.5, 2.0, 3.0, 10.0, math.inf)
GRADIENT = torch.tensor([0.3, -1.2, 0.05, 2.1, -0.7, 0.9], dtype=torch.float64)


def norm(vector, p):
    return torch.linalg.vector_norm(vector, ord=p)


def brute_force_gain(gradient, budget):
    supports = itertools.combinations(range(len(gradient)), budget.count(len(gradient)))
    return budget.epsilon * max(float(norm(gradient[list(support)], budget.dual)) for support in supports)


def feasible(trials, size, budget, generator):
    """Corruptions of exactly epsilon and n, of any law that reaches all of them."""
    x = torch.randn(trials, size, generator=generator, dtype=torch.float64) ** 3
    keys = torch.rand(trials, size, generator=generator)
    x[keys.argsort(dim=1).argsort(dim=1) >= budget.count(size)] = 0
    return budget.epsilon * x / torch.linalg.vector_norm(x, ord=budget.p, dim=1, keepdim=True)


def vectors(least=2, most=12):
    entry = st.floats(-1e3, 1e3, allow_nan=False, allow_subnormal=False)
    return st.lists(entry, min_size=least, max_size=most).map(lambda v: torch.tensor(v, dtype=torch.float64))


budgets = st.builds(
    Budget,
    epsilon=st.floats(0, 10),
    p=st.sampled_from(P_VALUES),
    n=st.one_of(st.none(), st.integers(1, 15)),
)


@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("n", [1, 2, 4, 6])
def test_oracle_closed_form_is_the_best_of_all_supports(p, n, generator):
    budget = Budget(epsilon=0.7, p=p, n=n)
    best = brute_force_gain(GRADIENT, budget)
    found = closed_form(GRADIENT, budget)
    assert float(found.vector @ GRADIENT) == pytest.approx(best, rel=1e-9)
    assert float(found.first_order_gain) == pytest.approx(best, rel=1e-12)
    gains = feasible(200_000, 6, budget, generator) @ GRADIENT
    assert float(gains.max()) <= best * (1 + 1e-12)
    assert float(gains.max()) > 0.8 * best  # the draws come near, so the comparison is not empty


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_oracle_stationary_on_the_sphere(p):
    """Lagrange: at the maximum the gradient of a.g is a multiple of the gradient of ||a||_p."""
    a = closed_form(GRADIENT, Budget(epsilon=0.4, p=p)).vector.requires_grad_()
    (normal,) = torch.autograd.grad(norm(a, p), a)
    torch.testing.assert_close(normal / normal.norm(), GRADIENT / GRADIENT.norm(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("p", P_VALUES)
def test_oracle_gain_is_differentiable(p):
    gradient = GRADIENT.clone().requires_grad_()
    (slope,) = torch.autograd.grad(first_order_gain(gradient, Budget(0.7, p=p, n=3)), gradient)
    torch.testing.assert_close(slope, closed_form(GRADIENT, Budget(0.7, p=p, n=3)).vector)  # Danskin: a_hat itself


@settings(deadline=None, max_examples=300)
@given(vectors(), budgets)
def test_property_feasible_and_inside_the_top(gradient, budget):
    found = closed_form(gradient, budget)
    a, n = found.vector, budget.count(len(gradient))
    assert bool(torch.isfinite(a).all())
    assert int((a != 0).sum()) <= n
    assert bool(((a == 0) | (a.sign() == gradient.sign())).all())
    if found.degenerate or budget.epsilon == 0:
        assert not a.any()
        return
    assert float(norm(a, budget.p)) == pytest.approx(budget.epsilon, rel=1e-6)
    smallest_kept = gradient.abs()[a != 0].min()
    assert int((gradient.abs() > smallest_kept).sum()) < n
    assert float(a @ gradient) == pytest.approx(float(found.first_order_gain), rel=1e-9)


@settings(deadline=None, max_examples=100)
@given(vectors(), budgets, st.floats(1e-3, 1e3))
def test_property_homogeneous_odd_and_linear_in_epsilon(gradient, budget, factor):
    a = closed_form(gradient, budget).vector
    torch.testing.assert_close(closed_form(factor * gradient, budget).vector, a, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(closed_form(-gradient, budget).vector, -a)
    wider = Budget(epsilon=factor * budget.epsilon, p=budget.p, n=budget.n)
    torch.testing.assert_close(closed_form(gradient, wider).vector, factor * a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", P_VALUES)
def test_property_permutation_equivariant(p, generator):
    order = torch.randperm(6, generator=generator)
    budget = Budget(0.5, p=p, n=4)
    expected = closed_form(GRADIENT, budget).vector[order]
    torch.testing.assert_close(closed_form(GRADIENT[order], budget).vector, expected, rtol=1e-13, atol=0)


@settings(deadline=None, max_examples=100)
@given(vectors(), st.floats(0, 5), st.integers(1, 11))
def test_property_gain_grows_with_n_epsilon_and_p(gradient, epsilon, n):
    for p in P_VALUES:
        gain = first_order_gain(gradient, Budget(epsilon, p=p, n=n))
        assert first_order_gain(gradient, Budget(epsilon, p=p, n=n + 1)) >= gain * (1 - 1e-12)
        assert first_order_gain(gradient, Budget(2 * epsilon, p=p, n=n)) >= gain
    gains = [float(first_order_gain(gradient, Budget(epsilon, p=p, n=n))) for p in P_VALUES]
    assert all(high >= low * (1 - 1e-12) for low, high in itertools.pairwise(gains))


def test_limit_large_p_is_infinity():
    for p in (1000.0, 1e17):  # at 1e17 the dual exponent rounds to 1
        close = closed_form(GRADIENT, Budget(1.0, p=p)).vector
        torch.testing.assert_close(close, closed_form(GRADIENT, Budget(1.0, p=math.inf)).vector, rtol=0.01, atol=0)


def test_limit_p_to_one_is_one_parameter():
    for p in (1 + 1e-3, 1 + 1e-6, 1 + 1e-15):
        close = closed_form(1e200 * GRADIENT, Budget(1.0, p=p)).vector
        torch.testing.assert_close(close, closed_form(GRADIENT, Budget(1.0, p=1)).vector)


@pytest.mark.parametrize("p", P_VALUES)
def test_limit_one_parameter_is_the_same_for_every_norm(p):
    assert closed_form(GRADIENT, Budget(0.25, p=p, n=1)).vector.tolist() == [0, 0, 0, 0.25, 0, 0]


@pytest.mark.parametrize("p", P_VALUES)
def test_limit_zero_epsilon_is_no_corruption(p):
    found = closed_form(GRADIENT, Budget(0.0, p=p))
    assert not found.vector.any()
    assert float(found.first_order_gain) == 0
    assert not found.degenerate


@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("n", [None, 1, 3])
def test_limit_zero_gradient_is_flagged_without_nan(p, n):
    found = closed_form(torch.zeros(4), Budget(1.0, p=p, n=n))
    assert found.degenerate
    assert found.vector.tolist() == [0, 0, 0, 0]
    assert float(first_order_gain(torch.zeros(4), Budget(1.0, p=p, n=n))) == 0


@pytest.mark.parametrize("p", P_VALUES)
def test_limit_n_beyond_the_group_is_all(p):
    everything = closed_form(GRADIENT, Budget(1.0, p=p))
    assert torch.equal(closed_form(GRADIENT, Budget(1.0, p=p, n=100)).vector, everything.vector)


@pytest.mark.parametrize("p", [1.5, 2.0, 1e17, math.inf])
def test_limit_zeros_of_the_gradient_stay_untouched(p):
    a = closed_form(torch.tensor([0.0, 2.0, 0.0, -2.0]), Budget(1.0, p=p, n=3)).vector
    assert (a != 0).tolist() == [False, True, False, True]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=40), st.data())
def test_property_ties_go_to_the_lowest_index(values, data):
    vector = torch.tensor(values, dtype=torch.float32)
    n = data.draw(st.integers(1, len(values)))
    expected = sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))[:n]
    assert sorted(largest(vector, n).tolist()) == sorted(expected)
    touched = closed_form(vector, Budget(1.0, p=math.inf, n=n)).vector.nonzero().squeeze(1).tolist()
    assert touched == sorted(i for i in expected if values[i] != 0)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e308])
@pytest.mark.parametrize("p", P_VALUES)
def test_limit_extreme_gradients_neither_overflow_nor_vanish(scale, p):
    gradient = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
    budget = Budget(1e-3, p=p)
    expected = closed_form(gradient, budget).vector
    torch.testing.assert_close(closed_form(scale * gradient, budget).vector, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("p", P_VALUES)
def test_property_dtype_is_kept(dtype, p):
    gradient = torch.full((100_000,), 0.5, dtype=dtype)
    found = closed_form(gradient, Budget(1.0, p=p))
    assert found.vector.dtype == found.first_order_gain.dtype == dtype
    size = float(norm(found.vector.double(), p))
    assert size == pytest.approx(1.0, rel=max(1e-9, 4 * torch.finfo(dtype).eps))


def test_property_large_float32_keeps_its_size(generator):
    gradient = torch.randn(2_000_000, generator=generator)
    a = closed_form(gradient, Budget(1.0)).vector
    assert float(norm(a.double(), 2)) == pytest.approx(1, rel=1e-6)


def test_property_the_gradient_is_left_as_it_is():
    gradient = GRADIENT.clone().requires_grad_()
    found = closed_form(gradient, Budget(1.0, p=3, n=4))
    assert torch.equal(gradient, GRADIENT)
    assert gradient.grad is None
    assert not found.vector.requires_grad


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("function", [closed_form, first_order_gain])
def test_error_gradient_not_finite(bad, function):
    gradient = GRADIENT.clone()
    gradient[2] = bad
    with pytest.raises(ParameterError, match="1 of its 6 entries are NaN or infinite"):
        function(gradient, Budget(1.0, n=2))


@pytest.mark.parametrize(
    ("gradient", "message"),
    [
        (torch.zeros(0), "empty"),
        (torch.zeros(2, 3), r"shape \(P,\), got torch.float32 of shape \(2, 3\)"),
        (torch.arange(3), "floating tensor"),
        ([1.0, 2.0], "got list"),
        (torch.zeros(3, device="meta"), "meta device"),
    ],
)
@pytest.mark.parametrize("function", [closed_form, first_order_gain])
def test_error_gradient_not_a_vector(gradient, message, function):
    with pytest.raises(ParameterError, match=message):
        function(gradient, Budget(1.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": -0.1}, "epsilon is a size"),
        ({"epsilon": math.nan}, "epsilon is a size"),
        ({"epsilon": math.inf}, "epsilon is a size"),
        ({"epsilon": "1"}, "epsilon is a size"),
        ({"epsilon": True}, "epsilon is a size"),
        ({"epsilon": 1, "p": 0.5}, "p is the order"),
        ({"epsilon": 1, "p": math.nan}, "p is the order"),
        ({"epsilon": 1, "p": None}, "p is the order"),
        ({"epsilon": 1, "n": 0}, "n counts parameters and must be >= 1"),
        ({"epsilon": 1, "n": -3}, "n counts parameters and must be >= 1"),
        ({"epsilon": 1, "n": 2.0}, "must be an integer"),
        ({"epsilon": 1, "n": True}, "must be an integer"),
    ],
)
def test_error_budget_out_of_range(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Budget(**arguments)


@pytest.mark.parametrize("n", [0, 7])
def test_error_largest_out_of_range(n):
    with pytest.raises(ParameterError, match="between 1 and the 6 entries"):
        largest(GRADIENT, n)


@pytest.mark.parametrize(("p", "q"), [(1, math.inf), (2, 2), (4, 4 / 3), (math.inf, 1)])
def test_oracle_dual_exponent(p, q):
    assert Budget(1.0, p=p).dual == q


@pytest.mark.parametrize(("largest_entry", "epsilon"), [(1.0, 0.5), (2.0, 1.0), (1.0, 1.0)])
def test_oracle_the_gain_where_a_number_is_one(largest_entry, epsilon):
    gradient = torch.tensor([largest_entry, -0.5])
    expected = epsilon * math.hypot(largest_entry, 0.5)
    assert float(first_order_gain(gradient, Budget(epsilon))) == pytest.approx(expected)
