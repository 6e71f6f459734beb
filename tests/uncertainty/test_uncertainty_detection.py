"""Detection by a score: against scikit-learn and against every pair and threshold, with ties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from weightlore.errors import ParameterError
from weightlore.uncertainty.predictions import CategoricalPrediction
from weightlore.uncertainty.ranking import (
    auprc,
    auroc,
    detection_curve,
    detection_error,
    detection_report,
    fpr_at_tpr,
    misclassification_report,
    mistakes,
    rising,
)

MEASURES = [auroc, auprc, fpr_at_tpr, detection_error]


def cases(count=200, seed=0, values=7, dtype=torch.float64):
    """Scores with many ties, and marks that go with them more often than not."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, values, (count,), generator=generator).to(dtype) * 2 / values - 1
    positive = scores + 1.5 * torch.randn(count, generator=generator, dtype=dtype) > 0.5
    return scores, positive


def by_pairs(scores, positive):
    one, other = scores[positive][:, None], scores[~positive]
    return ((one > other).double() + (one == other).double() / 2).mean()


def by_thresholds(scores, positive):
    """True- and false-positive rate at every threshold, rejecting nothing first."""
    rejects = [scores >= t for t in (math.inf, *scores.unique().flip(0).tolist())]
    return torch.tensor([[float(r[positive].double().mean()), float(r[~positive].double().mean())] for r in rejects]).T


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("values", [2, 7, 10**6])
def test_oracle_areas_are_those_of_scikit_learn_with_ties(seed, values):
    scores, positive = cases(seed=seed, values=values)
    assert float(auroc(scores, positive)) == pytest.approx(metrics.roc_auc_score(positive, scores), abs=1e-12)
    assert float(auprc(scores, positive)) == pytest.approx(metrics.average_precision_score(positive, scores), abs=1e-12)
    assert float(auprc(-scores, ~positive)) == pytest.approx(
        metrics.average_precision_score(~positive, -scores), abs=1e-12
    )
    assert torch.allclose(auroc(scores, positive), by_pairs(scores, positive), atol=1e-12)


@pytest.mark.parametrize("values", [7, 10**6])
def test_oracle_curve_is_that_of_scikit_learn(values):
    scores, positive = cases(values=values)
    curve = detection_curve(scores, positive)
    false, true, threshold = metrics.roc_curve(positive, scores, drop_intermediate=False)
    for mine, theirs in (
        (curve.false_positive_rate, false),
        (curve.true_positive_rate, true),
        (curve.threshold, threshold),
    ):
        assert torch.allclose(mine, torch.as_tensor(theirs.copy()), atol=1e-12)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores, drop_intermediate=False)
    assert torch.allclose(curve.precision, torch.as_tensor(precision[::-1].copy()), atol=1e-12)
    assert torch.allclose(curve.true_positive_rate, torch.as_tensor(recall[::-1].copy()), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_oracle_thresholds_one_by_one(seed):
    scores, positive = cases(seed=seed)
    true, false = by_thresholds(scores, positive).double()
    for wanted in (0.3, 0.8, 0.95, 1.0):
        assert float(fpr_at_tpr(scores, positive, tpr=wanted)) == pytest.approx(
            float(false[true >= wanted].min()), abs=1e-6
        )
    for share in (0.0, 0.2, 0.5, 1.0):
        right = float((share * (1 - true) + (1 - share) * false).min())
        assert float(detection_error(scores, positive, share=share)) == pytest.approx(right, abs=1e-6)
    first = int((true >= 0.8).nonzero()[0, 0])
    right = 0.5 * (1 - true[first]) + 0.5 * false[first]
    assert float(detection_error(scores, positive, tpr=0.8)) == pytest.approx(float(right), abs=1e-6)


def test_oracle_stored_numbers_of_torchmetrics():
    # torchmetrics 1.9.0, on float32 scores 0.1 0.4 0.4 0.8 0.8 0.8 0.9 and labels 0 0 1 0 1 1 1:
    # torchmetrics.functional.classification.binary_auroc(scores, y), binary_average_precision(scores, y)
    scores = torch.tensor([0.1, 0.4, 0.4, 0.8, 0.8, 0.8, 0.9])
    positive = torch.tensor([0, 0, 1, 0, 1, 1, 1]) == 1
    assert float(auroc(scores, positive)) == pytest.approx(0.7916667, abs=1e-6)
    assert float(auprc(scores, positive)) == pytest.approx(0.7916667, abs=1e-6)


def test_oracle_torchmetrics_counts_ties_as_we_do():
    peer = pytest.importorskip("torchmetrics.functional.classification")
    for seed in range(3):
        scores, positive = cases(seed=seed)
        shares = (scores + 1) / 2  # torchmetrics takes scores outside of [0, 1] for logits
        assert float(auroc(shares, positive)) == pytest.approx(
            float(peer.binary_auroc(shares, positive.long())), abs=1e-6
        )
        right = float(peer.binary_average_precision(shares, positive.long()))
        assert float(auprc(shares, positive)) == pytest.approx(right, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30))
def test_property_auroc_of_the_negated_score_is_the_rest(pairs):
    scores = torch.tensor([float(s) for s, _ in pairs], dtype=torch.float64)
    positive = torch.tensor([mark for _, mark in pairs])
    if 0 < int(positive.sum()) < len(positive):
        area = auroc(scores, positive)
        assert torch.allclose(area + auroc(-scores, positive), torch.ones((), dtype=torch.float64), atol=1e-12)
        assert torch.equal(area, auroc(scores.exp() * 3 - 1, positive)), "a rising map changes no rank"
        assert torch.allclose(area, by_pairs(scores, positive), atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_property_order_of_examples_and_rising_maps_change_nothing(measure):
    scores, positive = cases()
    shuffled = torch.randperm(len(scores), generator=torch.Generator().manual_seed(1))
    right = measure(scores, positive)
    assert torch.equal(measure(scores[shuffled], positive[shuffled]), right)
    assert torch.equal(measure((scores / 2).exp(), positive), right)


def test_limit_a_constant_score_knows_nothing():
    _, positive = cases()
    scores = torch.full((len(positive),), 0.3, dtype=torch.float64)
    share = float(positive.double().mean())
    report = detection_report(scores, positive)
    assert report.auroc == 0.5
    assert report.auprc_positive == pytest.approx(share, abs=1e-15) == report.prevalence
    assert report.auprc_negative == pytest.approx(1 - share, abs=1e-15)
    assert (report.fpr_at_95_tpr, report.detection_error) == (1.0, 0.5)


def test_limit_a_perfect_score_and_its_opposite():
    positive = torch.tensor([False, True, True, False])
    scores = torch.tensor([0.1, 0.5, 0.9, 0.2])
    best = detection_report(scores, positive)
    assert (best.auroc, best.auprc_positive, best.auprc_negative) == (1.0, 1.0, 1.0)
    assert (best.fpr_at_95_tpr, best.detection_error) == (0.0, 0.0)
    worst = detection_report(-scores, positive)
    assert (worst.auroc, worst.fpr_at_95_tpr, worst.detection_error) == (0.0, 1.0, 0.5)


def test_limit_95_of_100_are_95_percent():
    scores = torch.arange(200, dtype=torch.float64)
    positive = scores >= 100
    scores[100:105] = -1 - torch.arange(5.0, dtype=torch.float64)  # five positives below everything
    assert float(fpr_at_tpr(scores, positive)) == 0.0
    assert float(fpr_at_tpr(scores, positive, tpr=0.951)) == 1.0


def test_limit_infinite_scores_are_ranked_and_half_precision_is_exact():
    positive = torch.tensor([True, True, False, False])
    assert float(auroc(torch.tensor([math.inf, 1.0, 1.0, -math.inf]), positive)) == 0.875
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        scores, marks = cases(dtype=dtype)
        assert auroc(scores, marks).dtype == dtype
        assert torch.equal(auroc(scores, marks), auroc(scores.double(), marks).to(dtype))
    assert float(auroc(torch.tensor([0.0, -0.0]), torch.tensor([True, False]))) == 0.5


def test_limit_blocks_of_equal_scores():
    found = rising(torch.tensor([2.0, 1.0, 2.0, 2.0, 3.0]))
    assert found.ends.tolist() == [1, 4, 5]
    assert found.sizes.tolist() == [1, 3, 1]
    assert found.sums(torch.tensor([1, 10, 2, 3, 5])).tolist() == [10, 16, 21]
    assert rising(torch.tensor([1.0])).ends.tolist() == [1]


def test_limit_a_score_with_a_graph_is_read():
    scores = torch.tensor([0.1, 0.7], requires_grad=True)
    assert not auroc(scores, torch.tensor([False, True])).requires_grad


def test_property_mistakes_are_found_by_the_largest_probability():
    probs = torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [[0.7, 0.3], [0.2, 0.8], [0.4, 0.6]]])
    y = torch.tensor([0, 0, 1])
    assert mistakes(probs, y).tolist() == [False, True, False]
    assert mistakes(probs.mean(0), y).tolist() == [False, True, False]
    assert mistakes(torch.tensor([[0.5, 0.5]]), torch.tensor([0])).tolist() == [False], "a tie is the first class"
    report = misclassification_report(CategoricalPrediction(probs), y)
    assert report == detection_report(1 - probs.mean(0).amax(-1), torch.tensor([False, True, False]))
    assert report.auroc == 1.0
    other = misclassification_report(probs, y, scores=torch.tensor([0.5, 0.1, 0.2]))
    assert other.auroc == 0.0
    assert other.prevalence == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", [*MEASURES, detection_curve, detection_report])
def test_error_an_empty_set_is_named(measure):
    scores = torch.tensor([0.1, 0.2])
    with pytest.raises(ParameterError, match="the positive set is empty"):
        measure(scores, torch.tensor([False, False]))
    with pytest.raises(ParameterError, match="the negative set is empty"):
        measure(scores, torch.tensor([True, True]))


@pytest.mark.parametrize("measure", [*MEASURES, detection_curve, detection_report])
def test_error_what_is_no_score_or_mark(measure):
    marks = torch.tensor([True, False])
    with pytest.raises(ParameterError, match="1 of 2 are NaN"):
        measure(torch.tensor([math.nan, 1.0]), marks)
    with pytest.raises(ParameterError, match="floating"):
        measure(torch.tensor([1, 2]), marks)
    with pytest.raises(ParameterError, match="N >= 1"):
        measure(torch.zeros(0), marks[:0])
    with pytest.raises(ParameterError, match="compare first"):
        measure(torch.tensor([0.0, 1.0]), torch.tensor([0, 1]))
    with pytest.raises(ParameterError, match="one for each of 2 scores"):
        measure(torch.tensor([0.0, 1.0]), torch.tensor([True]))


def test_error_shares_out_of_range():
    scores, positive = cases()
    with pytest.raises(ParameterError, match=r"share .* in \[0, 1\]"):
        detection_error(scores, positive, share=1.5)
    for tpr in (0.0, 1.1, math.nan):
        with pytest.raises(ParameterError, match=r"tpr .* in \(0, 1\]"):
            fpr_at_tpr(scores, positive, tpr=tpr)
    with pytest.raises(ParameterError, match="class numbers"):
        mistakes(torch.tensor([[0.5, 0.5]]), torch.tensor([0, 1]))
