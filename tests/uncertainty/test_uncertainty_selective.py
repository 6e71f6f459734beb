"""Risk over coverage and sparsification: against every order of ties, closed forms and a stored peer."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty.ranking import (
    augrc,
    aurc,
    auroc,
    ause,
    excess_aurc,
    optimal_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
    sparsification_curve,
    summed_losses,
)

AREAS = [aurc, excess_aurc, augrc, prediction_rejection_ratio]


def cases(count=120, seed=0, values=6, dtype=torch.float64):
    """Scores with ties, and losses of any size that go with them."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, values, (count,), generator=generator).to(dtype) * 3 / values
    losses = (scores + torch.randn(count, generator=generator, dtype=dtype)).abs()
    return scores, losses


def over_all_orders(scores, losses):
    """Mean risk at every coverage over all orders that break ties, by trying them all."""
    order = torch.tensor(list(itertools.permutations(range(len(scores)))))
    rising = order[(scores[order].diff(dim=1) >= 0).all(1)]
    return (losses.double()[rising].cumsum(1) / torch.arange(1, len(scores) + 1)).mean(0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=6))
def test_oracle_risk_is_the_mean_over_all_orders_of_ties(pairs):
    scores, losses = torch.tensor(pairs, dtype=torch.float64).T
    right = over_all_orders(scores, losses)
    curve = risk_coverage_curve(scores, losses)
    assert torch.allclose(curve.risk, right, atol=1e-12)
    assert torch.allclose(aurc(scores, losses), right.mean(), atol=1e-12)
    assert torch.allclose(curve.coverage, torch.arange(1, len(pairs) + 1, dtype=torch.float64) / len(pairs))


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_oracle_closed_optimum_is_that_of_the_sorted_losses(n):
    for k in range(n + 1):
        wrong = torch.arange(n) < k
        best = (torch.arange(1, n + 1) - (n - k)).clamp(min=0).double() / torch.arange(1, n + 1)
        assert torch.allclose(optimal_aurc(wrong), best.mean(), atol=1e-12)
        assert torch.allclose(optimal_aurc(wrong.double()), best.mean(), atol=1e-12)
        assert torch.allclose(excess_aurc(wrong.double(), wrong), torch.zeros((), dtype=torch.float64), atol=1e-12)


def test_oracle_optimum_of_many_is_that_of_the_paper():
    wrong = torch.arange(10**6) < 2 * 10**5
    rate = 0.2
    assert float(optimal_aurc(wrong)) == pytest.approx(rate + (1 - rate) * math.log(1 - rate), abs=1e-6)


def test_oracle_stored_numbers_of_the_areas():
    # by hand: four predictions, the second most certain one wrong; C = 0 1 1 1
    scores, wrong = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64), torch.tensor([False, True, False, False])
    assert float(aurc(scores, wrong)) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert float(optimal_aurc(wrong)) == pytest.approx(1 / 4 / 4)
    assert float(augrc(scores, wrong)) == pytest.approx((0 + 1 + 1 + 1 / 2) / 16)
    assert float(prediction_rejection_ratio(scores, wrong)) == pytest.approx((1 / 8 - 2.5 / 16) / (1 / 8 - 1 / 32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("values", [2, 6, 10**6])
def test_oracle_joint_risk_of_mistakes_is_the_auroc(seed, values):
    scores, losses = cases(seed=seed, values=values)
    wrong = losses > losses.median()
    rate, area = wrong.double().mean(), auroc(scores, wrong)
    assert torch.allclose(augrc(scores, wrong), (1 - area) * rate * (1 - rate) + rate**2 / 2, atol=1e-12)
    assert torch.allclose(prediction_rejection_ratio(scores, wrong), 2 * area - 1, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_oracle_sparsification_one_removal_at_a_time(seed):
    scores, errors = cases(seed=seed, values=10**6)
    curve = sparsification_curve(scores, errors)
    for gone in (0, 1, 40, 119):
        kept = scores.argsort(descending=True)[gone:]
        assert float(curve.error[gone]) == pytest.approx(float(errors[kept].mean()), abs=1e-12)
        best = errors.sort(descending=True).values[gone:]
        assert float(curve.oracle[gone]) == pytest.approx(float(best.mean()), abs=1e-12)
        assert float(curve.removed[gone]) == gone / 120
    gap = curve.error - curve.oracle
    by_hand = ((gap[1:] + gap[:-1]) / 2 / 120).sum()
    assert torch.allclose(ause(scores, errors), by_hand, atol=1e-12)
    assert torch.allclose(ause(scores, errors, normalized=True), by_hand / errors.mean(), atol=1e-12)


@pytest.mark.parametrize("measure", [*AREAS, ause])
def test_property_order_of_examples_is_nothing_and_ties_are_counted_once(measure):
    scores, losses = cases()
    right = measure(scores, losses)
    for seed in range(5):
        shuffled = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
        assert torch.allclose(measure(scores[shuffled], losses[shuffled]), right, atol=1e-12)
    assert torch.allclose(measure(scores.exp(), losses), right, atol=1e-14), "a rising map changes no rank"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.floats(0, 5)), min_size=1, max_size=25))
def test_property_no_ranking_beats_the_best_one(pairs):
    scores, errors = torch.tensor(pairs, dtype=torch.float64).T
    assert float(ause(scores, errors)) >= -1e-12
    assert abs(float(ause(errors, errors))) <= 1e-12
    assert float(excess_aurc(scores, errors)) >= -1e-12
    assert abs(float(excess_aurc(errors, errors))) <= 1e-12
    if float(errors.max() - errors.min()) > 1e-6:
        assert float(prediction_rejection_ratio(scores, errors)) <= 1 + 1e-9
        assert float(prediction_rejection_ratio(errors, errors)) == pytest.approx(1)


def test_limit_a_constant_score_is_the_random_ranking():
    _, losses = cases()
    scores = torch.zeros(len(losses), dtype=torch.float64)
    mean = losses.mean()
    assert torch.allclose(risk_coverage_curve(scores, losses).risk, mean.expand(len(losses)))
    assert torch.allclose(aurc(scores, losses), mean)
    assert torch.allclose(augrc(scores, losses), mean / 2)
    assert abs(float(prediction_rejection_ratio(scores, losses))) < 1e-12


def test_limit_one_prediction_all_right_all_wrong():
    one = torch.tensor([0.5])
    for wrong in (torch.tensor([True]), torch.tensor([False])):
        assert float(aurc(one, wrong)) == float(wrong)
        assert float(excess_aurc(one, wrong)) == 0
        assert float(augrc(one, wrong)) == float(wrong) / 2
        assert float(ause(one, wrong)) == 0
    scores = torch.tensor([0.1, 0.2, 0.2])
    assert float(aurc(scores, torch.zeros(3, dtype=torch.bool))) == 0
    assert float(aurc(scores, torch.ones(3, dtype=torch.bool))) == 1
    assert float(excess_aurc(scores, torch.ones(3, dtype=torch.bool))) == 0


def test_limit_dtypes_stay_and_sums_do_not_overflow():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        scores, losses = cases(dtype=torch.float64)
        area = aurc(scores.to(dtype), losses)
        assert area.dtype == dtype
        assert torch.equal(area, aurc(scores, losses).to(dtype))
    large = torch.full((1000,), 60000.0, dtype=torch.float16)
    assert float(aurc(torch.arange(1000.0), large)) == pytest.approx(60000.0, rel=1e-3)
    assert torch.equal(
        summed_losses(torch.tensor([3.0, math.inf]), torch.tensor([True, True])), torch.tensor([1.0, 2.0]).double()
    )


@pytest.mark.parametrize("measure", [*AREAS, ause, risk_coverage_curve, sparsification_curve])
def test_error_what_is_no_score_or_loss(measure):
    scores = torch.tensor([0.1, 0.2])
    with pytest.raises(ParameterError, match="NaN"):
        measure(torch.tensor([math.nan, 1.0]), torch.tensor([0.0, 1.0]))
    with pytest.raises(ParameterError, match="finite"):
        measure(scores, torch.tensor([math.inf, 1.0]))
    with pytest.raises(ParameterError, match=">= 0"):
        measure(scores, torch.tensor([-1.0, 1.0]))
    with pytest.raises(ParameterError, match="for each of 2 scores"):
        measure(scores, torch.tensor([1.0]))
    with pytest.raises(ParameterError, match="floating"):
        measure(torch.tensor([1, 2]), torch.tensor([1.0, 2.0]))


def test_error_nothing_to_win_and_nothing_to_divide_by():
    scores = torch.tensor([0.1, 0.2])
    with pytest.raises(ParameterError, match="no ranking is better"):
        prediction_rejection_ratio(scores, torch.tensor([2.0, 2.0]))
    with pytest.raises(ParameterError, match="normalized=False"):
        ause(scores, torch.zeros(2), normalized=True)
    with pytest.raises(ParameterError, match="losses"):
        optimal_aurc(torch.zeros(0))
