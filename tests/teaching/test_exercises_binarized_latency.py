"""The exercises on the race to a decision: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.spiking import early_exit, if_step
from weightlore.teaching import check
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.exercises.binarized import exits, latency

OURS = {e.id: e for part in (exits, latency) for e in vars(part).values() if isinstance(e, part.Exercise)}


def by_trial(potential, targets, loss):
    """The lowest level that keeps the promise, by trying them all from above until one breaks it."""
    full, best = (potential[-1].argmax(1) == targets).double().mean(), math.inf
    for level in potential.amax(2).unique().flip(0).tolist():
        found = early_exit(potential, "potential", level).prediction
        if float(full - (found == targets).double().mean()) > loss:
            break
        best = level
    return best


WRONG = {
    ("binarized.chosen_level", 0): lambda potential, targets, loss: -math.inf,
    ("binarized.chosen_level", 1): lambda potential, targets, loss: math.inf,
}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("binarized")}
    assert len(OURS) == 4


def test_oracle_answers_by_hand():
    assert check("binarized.pipeline", [15, 20]).verdict == "right"
    assert check("binarized.chosen_level", by_trial).verdict == "right"

    def first(potential, level):
        for step, row in enumerate(potential.tolist(), start=1):
            if max(row) >= level:
                return step
        return len(potential)

    assert check("binarized.exit_step", first).verdict == "right"
    assert check("binarized.stepped", lambda z, n: torch.floor(z * n + 0.5).clamp(0, n) / n).verdict == "right"


def test_property_no_wish_of_the_checker_is_decided_by_rounding():
    count = len(exits._races()[0][1])
    assert all(0.1 < loss * count % 1 < 0.9 for loss in exits.LOSSES if loss)
    assert len({math.floor(loss * count) for loss in exits.LOSSES}) == len(exits.LOSSES)


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("binarized.stepped", lambda z: z).verdict == "wrong"
    assert check("binarized.exit_step", 3).verdict == "wrong"


def test_oracle_a_neuron_that_starts_elsewhere_climbs_other_stairs():
    draw = latency._Stairs(2.0, 0.25)

    def simulated(z, levels):
        potential, count = torch.full_like(z, 0.25 * 2.0), torch.zeros_like(z)
        for _ in range(levels):
            potential, spikes = if_step(potential, z, threshold=2.0)
            count += spikes
        return 2.0 * count / levels

    z = torch.linspace(0.0, 2.0, 41, dtype=torch.float64) + 0.013
    assert torch.equal(draw.rate(z.clamp(max=2.0), 4), simulated(z.clamp(max=2.0), 4))


@pytest.mark.parametrize("draw", [exits._Exit("margin", 4), exits._Exit("potential", 3)])
def test_oracle_an_exit_that_waits_written_out(draw):
    def first(potential, level):
        for step, row in enumerate(potential.tolist(), start=1):
            *_, second, largest = sorted(row)
            found = largest - second if draw.rule == "margin" else largest
            if step >= draw.t_min and found >= level:
                return step
        return len(potential)

    assert judge(exits._exit_step(draw), first).verdict == "right"
