"""The exercises on attributions: answers by hand, and what is particular to them."""

import torch

from weightlore.attribution import gradient, integrated_gradients, scores
from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.explained import attributions, paths

OURS = {e.id: e for part in (attributions, paths) for e in vars(part).values() if isinstance(e, part.Exercise)}


def test_property_the_notebook_has_six():
    assert set(OURS) <= {exercise.id for exercise in exercises("explained")}
    assert len(OURS) == 6


def test_oracle_answers_by_hand():
    assert check("explained.silent", [1, 0, 1, 0, 0]).verdict == "right"
    assert check("explained.guided", lambda z, r: r * (z > 0) * (r > 0)).verdict == "right"
    assert check("explained.biasless", lambda net, x, c: x * gradient(net, x, c).values).verdict == "right"
    assert check("explained.trapezoid", lambda n: (n - 1) / n).verdict == "right"


def test_oracle_pieces_by_sorted_bends():
    def answer(weight, bias, readout, x, b):
        start, end = weight @ b + bias, weight @ x + bias
        bends = (-start / (end - start)).clamp(0, 1)
        edges = torch.cat([torch.tensor([0.0, 1.0]), bends]).unique()
        middles = (edges[1:] + edges[:-1]) / 2
        on = (torch.outer(middles, end - start) + start > 0).double()
        return (x - b) * ((edges.diff() @ (on * readout)) @ weight)

    assert check("explained.pieces", answer).verdict == "right"


def test_oracle_enough_by_counting_up():
    def answer(model, x, target):
        wanted = scores(model, x, target) - scores(model, 0 * x, target)
        for count in range(1, 100):
            found = integrated_gradients(model, x, target, baseline=0.0, rule="left", nodes=count)
            if found.gap.abs() <= wanted.abs() / 100:
                return count
        return 100

    assert check("explained.enough", answer).verdict == "right"


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("explained.pieces", lambda z: z).verdict == "wrong"
    assert check("explained.trapezoid", 0.5).verdict == "wrong"
