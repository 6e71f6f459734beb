"""The exercises on comparing ways of transfer: answers by hand, and what is particular to them."""

import numpy as np
import pytest
import torch
from scipy import stats

from weightlore.networks import sequence
from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.transferred import restraints, transfer
from weightlore.transfer import trainable

OURS = {e.id: e for part in (transfer, restraints) for e in vars(part).values() if isinstance(e, transfer.Exercise)}


def test_property_the_notebook_has_five():
    assert set(OURS) <= {exercise.id for exercise in exercises("transferred")}
    assert len(OURS) == 5


def interval(ours, theirs):
    d = (ours - theirs).numpy()
    return np.array([d.mean(), *stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))])


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("control", 73),
        ("two_ways", [[0, 1, 0, 0, 1], [0, 0, 1, 1, 1]]),
        ("verdict", interval),
        ("leash", lambda w, source, v: 0.05 * (w - source) @ (w - source) + 0.005 * v @ v),
        ("hard_gate", lambda logit: torch.clamp(1.2 / (1 + torch.exp(-logit)) - 0.1, 0, 1)),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"transferred.{name}", answer).verdict == "right"


def test_oracle_the_numbers_of_the_control_are_those_of_the_networks():
    network = sequence("rnn", inputs=8, hidden=32, classes=10, generator=torch.Generator().manual_seed(0))
    layers = trainable(network) - trainable(network.readout)
    assert f"have {layers:,};" in transfer.CONTROL.prompt
    assert f"trains {layers + 73 * 65 + 10 * 74:,} parameters" in transfer.CONTROL.right


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("transferred.verdict", lambda ours: ours).verdict == "wrong"
    assert check("transferred.leash", lambda *w: None).verdict == "wrong"
    assert check("transferred.two_ways", [1, 0]).verdict == "wrong"
