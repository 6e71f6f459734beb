"""Small functions by hand, and one function in two wirings."""

import pytest
import torch
from tests.attribution.attribution_networks import uniform

from weightlore.attribution import (
    breakpoints,
    deep_lift,
    exact_integrated_gradients,
    gradient,
    integrated_gradients,
    scores,
)
from weightlore.attribution.toys import quadratic, saturated, two_relus, two_relus_rewired
from weightlore.errors import ParameterError

POINT = torch.tensor([[3.0, 1.0]], dtype=torch.float64)


def test_oracle_values_by_hand():
    assert saturated()(torch.tensor([[-1.0], [0.5], [2.0]])).tolist() == [[-1.0], [0.5], [1.0]]
    assert quadratic(torch.tensor([[2.0, 1.0], [1.0, 0.0]]))(torch.tensor([[1.0, 3.0]])).tolist() == [[4.0]]
    for model in (two_relus(), two_relus_rewired()):
        assert model(POINT).tolist() == [[1.0]]
        assert not model.training


def test_property_two_wirings_are_one_function_for_gradients_and_integrals():
    x = 6 * uniform(200, 2) - 2
    one, other = two_relus(), two_relus_rewired()
    assert torch.allclose(one(x), other(x), atol=1e-15)
    assert bool((one(x) > 0).any())
    assert torch.equal(gradient(one, x, 0).values, gradient(other, x, 0).values)
    exact = [exact_integrated_gradients(model, x, 0, baseline=0.0).values for model in (one, other)]
    assert torch.allclose(*exact, atol=1e-14)
    rough = [integrated_gradients(model, x, 0, baseline=0.0, nodes=30).values for model in (one, other)]
    assert torch.equal(*rough)


def test_limit_differences_that_follow_the_wiring_are_not_the_same_for_both():
    one, other = (deep_lift(model, POINT, 0) for model in (two_relus(), two_relus_rewired()))
    assert torch.allclose(one.values, torch.tensor([[1.5, -0.5]], dtype=torch.float64), atol=1e-14)
    assert torch.allclose(other.values, torch.tensor([[2.0, -1.0]], dtype=torch.float64), atol=1e-14)
    for found in (one, other):  # both are complete
        assert abs(float(found.gap)) < 1e-14
    assert scores(two_relus(), POINT, 0).tolist() == [1.0]


def test_oracle_breakpoints_of_the_toys():
    assert breakpoints(saturated(), torch.tensor([[2.0]], dtype=torch.float64), baseline=0.0)[0].tolist() == [0, 0.5, 1]
    assert breakpoints(two_relus(), POINT, baseline=0.0)[0].tolist() == [0, 0.5, 1]
    third = breakpoints(two_relus_rewired(), POINT, baseline=0.0)[0]
    assert torch.allclose(third, torch.tensor([0, 1 / 3, 1 / 2, 1], dtype=torch.float64), atol=1e-15)


@pytest.mark.parametrize("q", [torch.eye(2)[:1], torch.tensor([[0.0, 1.0], [0.5, 0.0]]), torch.eye(3)[0]])
def test_error_a_quadratic_form_is_symmetric(q):
    with pytest.raises(ParameterError, match="q must be a symmetric matrix"):
        quadratic(q)
