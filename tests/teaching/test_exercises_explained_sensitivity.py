"""The exercises on sensitivity to the parameters: answers by hand, and what is particular to them."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from weightlore.attribution import mean_path_gradient, rank_similarity
from weightlore.networks import mlp
from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.explained import corrections, sensitivity, useless

PARTS = (sensitivity, corrections, useless)
OURS = {e.id: e for part in PARTS for e in vars(part).values() if isinstance(e, part.Exercise)}


def test_property_the_notebook_has_six():
    assert set(OURS) <= {exercise.id for exercise in exercises("explained")}
    assert len(OURS) == 6


def test_oracle_answers_by_hand():
    assert check("explained.opposite", [-1, 1]).verdict == "right"
    assert check("explained.still_trained", [3328, 1248, 80, 0]).verdict == "right"
    assert check("explained.unmasked", lambda p, r: 1 - (1 - p**3) / (1 - p) ** 3 * (1 - r)).verdict == "right"
    formula = lambda p, u, v: 12 * p * (1 - p) * (u - 0.5) * (v - 0.5) / (1 - p**3)  # noqa: E731
    assert check("explained.skewed", formula).verdict == "right"


def test_oracle_the_skewed_correlation_is_that_of_drawn_maps():
    draw = np.random.default_rng(0)
    found = []
    for _ in range(100):
        pair = draw.random((2, 2000)) * np.where(draw.random((2, 2000)) < [[0.3], [0.9]], -1, 1)
        pair[:, :1000] = 0
        found.append(spearmanr(*pair).statistic)
    assert np.mean(found) == pytest.approx(float(corrections.SKEWED.reference(0.5, 0.3, 0.9)), abs=0.01)


def test_oracle_without_the_factor_the_mean_path_gradient_is_left():
    model = mlp((6, 5, 3), generator=torch.Generator().manual_seed(1)).eval()
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    baseline = torch.full((6,), 0.5, dtype=torch.float64)
    gradient = mean_path_gradient(model, x, 1, baseline=baseline, nodes=20)
    found = corrections.WITHOUT_FACTOR.reference(gradient * (x - baseline), x, baseline)
    assert torch.allclose(found, gradient)


def test_oracle_what_useless_methods_score():
    x = torch.zeros(1, 400, dtype=torch.float64)

    def score(first, second):
        return float(rank_similarity(first, second, sign="signed", mask="all"))

    def noise(seed):
        return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    assert abs(score(noise(0), noise(1))) < 0.15
    assert score(noise(0), noise(0)) == pytest.approx(1.0)
    assert check("explained.useless", [[1, 0, 0], [0, 1, 1]]).verdict == "right"


def test_limit_an_answer_that_raises_or_divides_by_zero_is_a_wrong_answer():
    assert check("explained.without_factor", lambda values, x, baseline: values / (x - baseline)).verdict == "wrong"
    assert check("explained.unmasked", lambda p: p).verdict == "wrong"
    assert check("explained.opposite", 1).verdict == "wrong"
