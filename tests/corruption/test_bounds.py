"""The error bound and the exact optimum on quadratics; the largest curvature against a dense Hessian."""

import math

import pytest
import torch
from corruption_cases import data, net
from scipy import optimize
from torch import nn

from weightlore.corruption import (
    Budget,
    closed_form,
    curvature,
    error_bound,
    hessian_vector,
    indicator,
    loss_gradient,
    quadratic_optimum,
    random,
)
from weightlore.errors import ParameterError


def quadratic(size, generator, shift=0.0):
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix = root @ root.T / size - shift * torch.eye(size, dtype=torch.float64)
    return torch.randn(size, generator=generator, dtype=torch.float64), matrix


def change(a, slope, matrix):
    return a @ slope + ((a @ matrix) * a).sum(dim=-1) / 2


@pytest.mark.parametrize("epsilon", [1e-3, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("shift", [0.0, 1.0, 10.0])  # convex, indefinite, concave
def test_oracle_optimum_beats_draws_and_meets_its_conditions(epsilon, shift, generator):
    slope, matrix = quadratic(6, generator, shift)
    found = quadratic_optimum(slope, matrix, epsilon)
    a = found.vector
    assert float(a.norm()) == pytest.approx(epsilon, rel=1e-12)
    torch.testing.assert_close(found.multiplier * a - matrix @ a, slope, rtol=1e-7, atol=1e-7)
    assert found.multiplier >= float(torch.linalg.eigvalsh(matrix)[-1])
    assert float(found.value) == pytest.approx(float(change(a, slope, matrix)))
    drawn = random(6, Budget(epsilon), generator=generator, trials=20_000)
    assert float(change(drawn, slope, matrix).max()) <= float(found.value)


def test_oracle_optimum_by_angle(generator):
    slope, matrix = quadratic(2, generator, 0.5)

    def loss(angle):
        a = 0.8 * torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
        return -float(change(a, slope, matrix))

    starts = torch.linspace(0, 2 * math.pi, 17)
    best = min(optimize.minimize_scalar(loss, bracket=(float(s), float(s) + 0.1)).fun for s in starts)
    assert float(quadratic_optimum(slope, matrix, 0.8).value) == pytest.approx(-best, rel=1e-9)


@pytest.mark.parametrize("slope", [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.3, 1e-15]])
def test_limit_hard_case(slope, generator):
    """No slope along the top eigenvector: the rest of the length goes along it."""
    slope, matrix = torch.tensor(slope, dtype=torch.float64), torch.diag(torch.tensor([0.0, 1.0, 3.0])).double()
    found = quadratic_optimum(slope, matrix, 1.0)
    assert float(found.vector.norm()) == pytest.approx(1)
    assert found.multiplier == pytest.approx(3)
    drawn = random(3, Budget(1.0), generator=generator, trials=50_000)
    assert float(change(drawn, slope, matrix).max()) <= float(found.value) + 1e-12
    inner = slope[:2] / (3 - torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(found.vector[:2], inner.double(), rtol=1e-9, atol=1e-12)


def test_limit_no_curvature_is_the_closed_form(generator):
    slope, _ = quadratic(5, generator)
    flat = quadratic_optimum(slope, torch.zeros(5, 5).double(), 0.7)
    torch.testing.assert_close(flat.vector, closed_form(slope, Budget(0.7)).vector)
    still = quadratic_optimum(slope, torch.eye(5).double(), 0.0)
    assert not still.vector.any()
    assert float(still.value) == 0


@pytest.mark.parametrize("epsilon", [1e-3, 0.01, 0.1, 1.0])
def test_oracle_ratio_of_the_optimum_is_within_the_bound(epsilon, generator):
    slope, matrix = quadratic(8, generator)
    bound = error_bound(slope, Budget(epsilon), smoothness=float(torch.linalg.eigvalsh(matrix)[-1]))
    guess = float(change(closed_form(slope, Budget(epsilon)).vector, slope, matrix))
    ratio = float(quadratic_optimum(slope, matrix, epsilon).value) / guess
    assert 1 <= ratio <= bound.ratio_convex  # A is positive semi-definite
    assert bound.ratio_convex <= bound.ratio


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 4.0, math.inf])
@pytest.mark.parametrize("n", [None, 3])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_property_second_order_and_ratio_for_every_norm(p, n, shift, generator):
    slope, matrix = quadratic(8, generator, shift)
    beta = float(torch.linalg.eigvalsh(matrix).abs().max())
    budget = Budget(0.05, p=p, n=n)
    bound = error_bound(slope, budget, smoothness=beta)
    a = random(8, budget, generator=generator, trials=20_000)
    assert float((change(a, slope, matrix) - a @ slope).abs().max()) <= bound.error
    guess = float(change(closed_form(slope, budget).vector, slope, matrix))
    assert float(change(a, slope, matrix).max()) / guess <= bound.ratio
    assert bound.r <= bound.r_from_norm * (1 + 1e-12)


def test_oracle_bound_by_hand():
    bound = error_bound(torch.tensor([3.0, -4.0, 1.0]), Budget(0.1, p=math.inf, n=2), smoothness=5.0)
    assert bound.error == pytest.approx(5 * 2 * 0.1**2 / 2)
    assert bound.r == pytest.approx(5 * 2 * 0.1 / (2 * 7))
    assert bound.ratio == pytest.approx((1 + bound.r) / (1 - bound.r))
    assert bound.r_from_norm == pytest.approx(5 * math.sqrt(2 * 3) * 0.1 / (2 * math.sqrt(26)))


def test_property_ratio_tends_to_one_linearly_in_epsilon(generator):
    slope, _ = quadratic(8, generator)
    r = [error_bound(slope, Budget(epsilon), smoothness=2.0).r for epsilon in (0.1, 0.05, 0.0)]
    assert r[0] == pytest.approx(2 * r[1])
    assert r[2] == 0


def test_limit_bound_is_vacuous_without_a_gradient():
    bound = error_bound(torch.zeros(4), Budget(0.1), smoothness=1.0)
    assert bound.r == bound.ratio == bound.ratio_convex == bound.r_from_norm == math.inf
    assert bound.error == pytest.approx(0.005)
    far = error_bound(torch.ones(4), Budget(100.0), smoothness=1.0)
    assert far.ratio == math.inf
    assert far.ratio_convex < math.inf


def test_oracle_curvature_is_the_largest_eigenvalue(generator):
    model, split = net(), data()
    hessian = torch.stack([hessian_vector(model, split, row) for row in torch.eye(43).double()])
    expected = float(torch.linalg.eigvalsh(hessian).abs().max())
    assert curvature(model, split, generator=generator) == pytest.approx(expected, rel=1e-4)
    part = float(torch.linalg.eigvalsh(hessian[-3:, -3:]).abs().max())
    assert curvature(model, split, generator=generator, group="2.bias") == pytest.approx(part, rel=1e-4)


@pytest.mark.parametrize("size", [1, 2])
def test_limit_curvature_of_one_or_two_parameters(size, generator):
    model = nn.Linear(1, 1, bias=size == 2).double()
    x = torch.tensor([[1.0], [2.0]]).double()
    split = type(data())(x, torch.zeros(2, 1).double())
    design = torch.cat([x, torch.ones(2, 1).double()], dim=1)[:, :size]
    expected = float(torch.linalg.eigvalsh(design.T @ design)[-1])
    found = curvature(model, split, generator=generator, loss=nn.functional.mse_loss)
    assert found == pytest.approx(expected)


def test_property_curvature_explains_the_first_order_error():
    model, split, budget = net(), data(), Budget(1e-3)
    beta = curvature(model, split, generator=torch.Generator().manual_seed(0))
    found = indicator(model, split, budget)
    bound = error_bound(loss_gradient(model, split), budget, smoothness=1.01 * beta)
    assert abs(found.measured - found.first_order) <= bound.error


def test_error_bounds():
    matrix = torch.eye(2).double()
    for smoothness in (-1.0, math.nan, math.inf):
        with pytest.raises(ParameterError, match="smoothness is a Lipschitz constant"):
            error_bound(torch.ones(2), Budget(1.0), smoothness=smoothness)
    with pytest.raises(ParameterError, match="gradient must be finite"):
        error_bound(torch.tensor([1.0, math.inf]), Budget(1.0), smoothness=1.0)
    with pytest.raises(ParameterError, match=r"shapes \(P,\) and \(P, P\), got \(3,\) and \(2, 2\)"):
        quadratic_optimum(torch.ones(3), matrix, 1.0)
    for skewed in ([[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.5], [0.4999, 1.0]]):
        with pytest.raises(ParameterError, match="must be symmetric"):
            quadratic_optimum(torch.ones(2), torch.tensor(skewed), 1.0)
    with pytest.raises(ParameterError, match="hessian must be finite"):
        quadratic_optimum(torch.ones(2), matrix * math.nan, 1.0)
    with pytest.raises(ParameterError, match="epsilon is a size"):
        quadratic_optimum(torch.ones(2), matrix, -1.0)
