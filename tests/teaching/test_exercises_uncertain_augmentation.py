"""The exercises on views: answers by hand, and what is particular to them."""

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.uncertain import augmentation

OURS = {e.id: e for e in vars(augmentation).values() if isinstance(e, augmentation.Exercise)}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 4


def next_view(probs, y, chosen):
    losses = []
    for candidate in range(len(probs)):
        mean = torch.stack([probs[number] for number in [*chosen, candidate]]).mean(0)
        losses.append(torch.nn.functional.nll_loss(mean.log(), y))
    return int(torch.stack(losses).argmin())


def next_view_by_logarithms(probs, y, chosen):
    losses = []
    for candidate in range(len(probs)):
        mean = torch.stack([probs[number].log() for number in [*chosen, candidate]]).mean(0)
        losses.append(torch.nn.functional.cross_entropy(mean, y))
    return int(torch.stack(losses).argmin())


def test_oracle_a_mean_of_logarithms_is_recognized():
    reply = check("uncertain.next_view", next_view_by_logarithms)
    assert reply.verdict == "wrong"
    assert "logs" in str(reply)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("cost_of_views", [16, 0]),
        ("same_class", [1, 0, 0, 1, 1]),
        ("turn_back", lambda probs: torch.stack([torch.rot90(p, -k, (1, 2)) for k, p in enumerate(probs)]).mean(0)),
        ("next_view", next_view),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.turn_back", lambda: 0).verdict == "wrong"
    assert check("uncertain.next_view", lambda *w: None).verdict == "wrong"
