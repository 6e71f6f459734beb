"""Weights of views: the plain mean at the start, a convex optimum after."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty import augmentation as aug
from weightlore.uncertainty.measures import nll_categorical


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def answers(views=4, rows=60, classes=3, seed=0):
    y = torch.randint(classes, (rows,), generator=seeded(seed + 50))
    z = torch.randn(views, rows, classes, generator=seeded(seed), dtype=torch.float64)
    for view in range(views):
        z[view, torch.arange(rows), y] += 0.7 * view
    return z.softmax(-1), y


def nll(p, y):
    return float(nll_categorical(p, y).mean())


@pytest.mark.parametrize("classes", [None, 3])
def test_property_untrained_it_is_the_plain_mean(classes):
    p, _ = answers()
    mix = aug.LearnedAggregation(4, classes)
    torch.testing.assert_close(mix.predict_proba(p), p.mean(0), rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(mix.weights, torch.full_like(mix.weights, 0.25), rtol=1e-14, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_oracle_one_weight_for_each_view_is_a_convex_optimum(seed):
    p, y = answers(seed=seed)
    mix = aug.LearnedAggregation(4).fit(CategoricalPrediction(p), y)
    picked = p[:, torch.arange(60), y].numpy()
    found = minimize(
        lambda w: -np.log(w @ picked).mean(),
        [0.25] * 4,
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12},
    )
    assert nll(mix.predict_proba(p), y) == pytest.approx(found.fun, abs=1e-6)
    assert float(mix.weights.sum()) == pytest.approx(1)
    assert mix.weights.argmax() == 3


def test_property_more_freedom_fits_the_validation_data_better():
    p, y = answers()
    one = nll(aug.LearnedAggregation(4).fit(p, y).predict_proba(p), y)
    many = nll(aug.LearnedAggregation(4, 3).fit(p, y).predict_proba(p), y)
    assert many <= one + 1e-6
    assert one <= nll(p.mean(0), y)


def test_oracle_weights_of_classes_by_hand():
    p, y = answers()
    mix = aug.LearnedAggregation(4, 3).fit(p, y, steps=5)
    raw = (mix.weights[:, None, :] * p).sum(0)
    torch.testing.assert_close(mix.predict_proba(p), raw / raw.sum(1, keepdim=True), rtol=1e-12, atol=0)
    assert mix.weights.shape == (4, 3)
    assert bool((mix.weights >= 0).all())
    assert float(mix.weights.mean()) == pytest.approx(0.25)


def test_property_weights_of_classes_help_where_views_know_different_classes():
    y = torch.arange(90) % 3
    truth = torch.nn.functional.one_hot(y, 3).double()
    uniform = torch.full((90, 3), 1 / 3, dtype=torch.float64)
    zero = torch.where((y == 0)[:, None], 0.9 * truth + 0.1 / 3, uniform)  # knows class 0 only
    rest = torch.where((y != 0)[:, None], 0.9 * truth + 0.1 / 3, uniform)
    p = torch.stack([zero, rest])
    one, many = aug.LearnedAggregation(2).fit(p, y), aug.LearnedAggregation(2, 3).fit(p, y)
    assert nll(many.predict_proba(p), y) < nll(one.predict_proba(p), y) - 0.02
    assert not torch.allclose(many.weights[:, 0], many.weights[:, 1])
    torch.testing.assert_close(many.weights[:, 1], many.weights[:, 2], rtol=1e-3, atol=1e-6)


def test_property_fitting_again_starts_anew_and_dtype_is_the_callers():
    p, y = answers()
    once = aug.LearnedAggregation(4).fit(p, y)
    twice = aug.LearnedAggregation(4).fit(*answers(seed=7)).fit(p, y)
    assert torch.equal(once.weights, twice.weights)
    assert once.predict_proba(p.float()).dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(aug.LearnedAggregation(4).fit(p, y).weights, once.weights)


def test_limit_one_view_and_certain_answers():
    p, y = answers(views=1)
    torch.testing.assert_close(aug.LearnedAggregation(1).fit(p, y).predict_proba(p), p[0], rtol=1e-12, atol=1e-15)
    wrong = torch.nn.functional.one_hot((y + 1) % 3, 3).double()
    mix = aug.LearnedAggregation(2).fit(torch.stack([wrong, p[0]]), y)
    assert float(mix.weights[1]) > 0.99
    alone = aug.LearnedAggregation(1, 3).fit(wrong[None], y)
    assert bool(alone.weights.isfinite().all())


def test_error_arguments():
    p, y = answers()
    for call, message in (
        (lambda: aug.LearnedAggregation(0), "views must be a whole number"),
        (lambda: aug.LearnedAggregation(4, 0), "classes must be a whole number"),
        (lambda: aug.LearnedAggregation(3).fit(p, y), "weights of 3 views and any number of classes"),
        (lambda: aug.LearnedAggregation(4, 2).predict_proba(p), "4 views and 2 classes"),
        (lambda: aug.LearnedAggregation(4).fit(p, y[:3]), "y must be class numbers"),
        (lambda: aug.LearnedAggregation(4).fit(p, y, steps=0), "steps must be a whole number"),
    ):
        with pytest.raises(ParameterError, match=message):
            call()
