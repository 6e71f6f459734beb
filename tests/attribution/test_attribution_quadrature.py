"""Rules of quadrature: their weights, what they integrate exactly, and how fast their errors fall."""

from typing import get_args

import numpy as np
import pytest
import torch

from weightlore.attribution.quadrature import Rule, quadrature, refinement
from weightlore.errors import ParameterError

RULES = get_args(Rule)
COUNTS = (1, 2, 3, 5, 50, 1000)


def applied(function, rule, nodes):
    points = quadrature(rule, nodes)
    return float((points.weights * function(points.nodes)).sum())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nodes", COUNTS)
def test_property_nodes_lie_on_the_path_in_order_and_weights_add_up_to_one(rule, nodes):
    points = quadrature(rule, nodes)
    assert len(points) == nodes + (rule == "trapezoid") == len(points.weights)
    assert points.nodes.dtype == points.weights.dtype == torch.float64
    assert abs(float(points.weights.sum()) - 1) < 1e-12
    assert bool((points.weights > 0).all())
    assert bool((points.nodes.diff() > 0).all())
    assert 0 <= float(points.nodes[0]) <= float(points.nodes[-1]) <= 1


def test_oracle_the_table_of_nodes():
    assert quadrature("left", 4).nodes.tolist() == [0, 0.25, 0.5, 0.75]
    assert quadrature("right", 4).nodes.tolist() == [0.25, 0.5, 0.75, 1]
    assert quadrature("midpoint", 4).nodes.tolist() == [0.125, 0.375, 0.625, 0.875]
    assert quadrature("trapezoid", 4).nodes.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert quadrature("trapezoid", 4).weights.tolist() == [0.125, 0.25, 0.25, 0.25, 0.125]
    assert quadrature("inclusive_mean", 5).nodes.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert quadrature("inclusive_mean", 5).weights.tolist() == [0.2] * 5
    assert quadrature("trapezoid", 1).nodes.tolist() == [0, 1]
    assert quadrature("gauss_legendre", 1).nodes.tolist() == [0.5]
    assert torch.equal(quadrature().nodes, quadrature("gauss_legendre", 50).nodes)


@pytest.mark.parametrize("nodes", [1, 2, 5, 16, 64])
def test_oracle_gauss_legendre_is_that_of_numpy_and_exact_up_to_degree_2n_minus_1(nodes):
    roots, weights = np.polynomial.legendre.leggauss(nodes)
    points = quadrature("gauss_legendre", nodes)
    assert np.abs(points.nodes.numpy() - (1 + roots) / 2).max() < 1e-14
    assert np.abs(points.weights.numpy() - weights / 2).max() < 1e-14
    for degree in range(2 * nodes):
        assert applied(lambda a, k=degree: a**k, "gauss_legendre", nodes) == pytest.approx(1 / (degree + 1), rel=1e-13)
    if nodes < 16:
        degree = 2 * nodes
        assert abs(applied(lambda a: a**degree, "gauss_legendre", nodes) * (degree + 1) - 1) > 1e-6


@pytest.mark.parametrize(
    ("rule", "slope", "order"),
    [("left", -1 / 2, 1), ("right", 1 / 2, 1), ("midpoint", -1 / 24, 2), ("trapezoid", 1 / 12, 2)],
)
def test_oracle_leading_errors_for_a_smooth_integrand(rule, slope, order):
    rise = np.e - 1  # of exp and of its derivative, from 0 to 1
    for nodes in (64, 128):
        error = applied(torch.exp, rule, nodes) - rise
        assert error == pytest.approx(slope * rise / nodes**order, rel=0.01)


@pytest.mark.parametrize("rule", ["left", "right", "midpoint", "trapezoid"])
@pytest.mark.parametrize("seed", range(5))
def test_property_errors_for_a_step_function_are_bounded_by_its_variation(rule, seed):
    generator = torch.Generator().manual_seed(seed)
    cuts = torch.rand(7, generator=generator, dtype=torch.float64).sort().values
    levels = torch.randn(8, generator=generator, dtype=torch.float64)
    exact = float((levels * torch.cat([cuts[:1], cuts.diff(), 1 - cuts[-1:]])).sum())
    variation = float(levels.diff().abs().sum())
    for nodes in (1, 3, 10, 37, 100):
        error = abs(applied(lambda a: levels[torch.searchsorted(cuts, a)], rule, nodes) - exact)
        assert error <= variation / nodes * (0.5 if rule in ("midpoint", "trapezoid") else 1.0) + 1e-15


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("nodes", [1, 2, 7])
def test_property_a_refinement_makes_the_rule_with_twice_the_nodes(rule, nodes):
    new, kept = refinement(rule, nodes)
    result = kept * applied(torch.exp, rule, nodes) + float((new.weights * new.nodes.exp()).sum())
    assert result == pytest.approx(applied(torch.exp, rule, 2 * nodes), rel=1e-14)
    assert len(new) == (nodes if rule in ("left", "right", "trapezoid") else 2 * nodes)


@pytest.mark.parametrize("nodes", [0, -3, 2.0, True, None])
def test_error_nodes_must_be_counted(nodes):
    with pytest.raises(ParameterError, match="nodes must be a whole number of at least 1"):
        quadrature("left", nodes)


def test_error_no_such_rule():
    with pytest.raises(ParameterError, match=r"rule is one of 'left', .* got 'simpson'"):
        quadrature("simpson", 3)
