"""The checker: what it says to no answer, to mistakes of any kind, and to what raises."""

import math

import numpy as np
import pytest
import torch

from weightlore.corruption import cosine_tail
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import flatten, layout
from weightlore.teaching import check
from weightlore.teaching.exercises import exercises

CHAPTERS = ("healthy", "corrupted")
ALL = {exercise.id: exercise for chapter in CHAPTERS for exercise in exercises(chapter)}


def changed(name, change):
    """Theta of the healthy network after a change of one parameter."""
    parts = dict(layout(healthy()).split(flatten(healthy())))
    parts[name] = change(parts[name])
    return layout(healthy()).join(parts)


def rescaled():
    parts = dict(layout(healthy()).split(flatten(healthy())))
    for name, factor in (("layers.0.weight", 2), ("layers.0.bias", 2), ("layers.1.weight", 0.5)):
        parts[name] = parts[name] * factor
    return layout(healthy()).join(parts)


def half():
    return ALL["healthy.half"].reference()


# Wrong answers to the diagnoses that look at a property of the answer: exercise, index of the diagnosis, answer.
MADE = {
    ("healthy.permute", 0): lambda: flatten(healthy()),
    ("healthy.permute", 1): rescaled,
    ("healthy.permute", 2): lambda: flatten(healthy()) + 1,
    ("healthy.permute", 3): lambda: changed("layers.0.weight", lambda w: w.flip(1)),
    ("healthy.permute", 4): lambda: changed("layers.0.weight", lambda w: w.flip(0)),
    ("healthy.permute", 5): lambda: _without_bias(),
    ("healthy.permute", 6): lambda: changed("layers.1.weight", lambda w: w.flip(1)),
    ("healthy.half", 1): lambda: half() / float(flatten(healthy()).norm()),
    ("healthy.half", 2): lambda: half() / math.sqrt(6570),
    ("healthy.half", 3): lambda: half() ** 2,
    ("healthy.half", 0): lambda: -1.0,
    ("healthy.half", 4): lambda: half() / 2,
    ("healthy.half", 5): lambda: half() * 2,
    ("corrupted.lottery", 0): lambda: 6e-24,
    ("corrupted.lottery", 1): lambda: 23,
    ("corrupted.lottery", 2): lambda: math.exp(50),
    ("corrupted.lottery", 3): lambda: 100,
    ("corrupted.lottery", 4): lambda: 1e15,
    ("corrupted.lottery", 5): lambda: 1e30,
    ("corrupted.normalized", 0): lambda: lambda a, theta: torch.tensor(1.0),
    ("corrupted.normalized", 1): lambda: lambda a, theta: a.norm(),
    ("corrupted.normalized", 2): lambda: lambda a, theta: a.norm() / theta.norm(),
    ("corrupted.normalized", 3): lambda: lambda a, theta: (a * theta).norm(),
    ("corrupted.normalized", 4): lambda: lambda a, theta: (a / theta).norm() ** 2,
    ("corrupted.too_far", 6): lambda: [-0.6, -0.8, -0.95, -0.3],
}


def _without_bias():
    parts = dict(layout(healthy()).split(flatten(healthy())))
    parts["layers.0.weight"] = parts["layers.0.weight"].flip(0)
    parts["layers.1.weight"] = parts["layers.1.weight"].flip(1)
    return layout(healthy()).join(parts)


WRONG = {key: make() for key, make in MADE.items()}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("answer", [None, ...])
def test_limit_no_answer_is_a_nudge(name, answer):
    reply = check(name, answer)
    assert (reply.verdict, reply.says) == ("unanswered", ALL[name].nudge)
    assert "Answer:" in ALL[name].prompt, "the prompt says what form the answer has"


@pytest.mark.parametrize(
    ("answer", "diagnosis"),
    [
        ([-3.0, 0.0, -2.0], "sign"),
        ([3.0, 0.0, -2.0], "sign"),
        ([2.0, 0.0, 3.0], "order"),
        ([6.0, 0.0, 4.0], "scale"),
        ([3.05, 0.0, 2.0], "rounding"),
        ([2.5, 0.0, 2.0], "clipping"),
        ([4.0, 1.0, 3.0], "offset"),
        ([3.0, 2.0], "shape"),
        ([[3.0, 0.0, 2.0]], "shape"),
        (3.0, "shape"),
        ([3.0, math.nan, 2.0], "not a number"),
        ("(3, 0, 2)", "type"),
        ([[3.0], [2.0, 1.0]], "shape"),
        (True, "type"),
    ],
)
def test_property_mistakes_that_any_answer_can_have_are_named(answer, diagnosis):
    size = math.sqrt(13)
    if isinstance(answer, list) and not isinstance(answer[0], list) and not isinstance(answer, str):
        answer = [x / size for x in answer]
    if answer == [[3.0, 0.0, 2.0]]:
        answer = [[x / size for x in answer[0]]]
    reply = check("corrupted.by_hand", answer)
    assert (reply.verdict, reply.diagnosis) == ("wrong", diagnosis)


def test_property_an_answer_may_be_a_list_an_array_or_a_tensor():
    right = [3 / math.sqrt(13), 0.0, 2 / math.sqrt(13)]
    for answer in (right, tuple(right), np.array(right, np.float32), torch.tensor(right, requires_grad=True)):
        assert check("corrupted.by_hand", answer).verdict == "right"


def test_property_a_wrong_answer_without_a_name_gets_the_hint():
    assert check("corrupted.by_hand", [0.1, 0.7, -0.3]).says == ALL["corrupted.by_hand"].hint
    assert check("corrupted.by_hand", [0.4, 0.4, 0.4]).says == ALL["corrupted.by_hand"].hint, "not clipped to one value"


def test_property_other_right_answers_are_taken():
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    parts = dict(layout(healthy()).split(flatten(healthy())))
    parts |= {"layers.1.weight": parts["layers.1.weight"][order], "layers.1.bias": parts["layers.1.bias"][order]}
    parts["readout.weight"] = parts["readout.weight"][:, order]
    assert check("healthy.permute", layout(healthy()).join(parts)).verdict == "right"
    assert check("corrupted.normalized", lambda a, theta: (a / theta).abs().max()).verdict == "right"
    assert check("corrupted.lottery", 2e23).verdict == "right"


def test_error_what_a_learner_writes_never_raises():
    reply = check("corrupted.hoelder", lambda g, p: g[99])
    assert (reply.verdict, reply.diagnosis) == ("wrong", "exception")
    assert "IndexError" in reply.says
    assert check("corrupted.hoelder", 3.0).diagnosis == "no function"


def test_error_an_unknown_exercise_lists_the_known():
    with pytest.raises(ParameterError, match=r"corrupted\.by_hand"):
        check("corrupted.nothing")
    with pytest.raises(ParameterError, match="healthy"):
        check("nowhere.nothing")


def test_property_a_reply_is_announced_and_its_text_is_escaped():
    page = check("corrupted.hoelder", 3.0)._repr_html_()
    assert 'role="status"' in page
    assert "&lt;" in page
    assert "1 < p" not in page
    assert str(check("corrupted.by_hand")).startswith("To begin with:")


def test_oracle_a_unit_that_is_off_gives_no_advice():
    assert ALL["corrupted.too_far"].reference() == pytest.approx([-0.6, -0.8, -0.95, 0.0])
    assert check("corrupted.too_far", [-0.6, -0.8, -0.95, 0]).verdict == "right"
    assert check("corrupted.too_far", [0.6, 0.8, 0.95, 0.0]).diagnosis == "sign"


def test_oracle_the_lottery_is_the_inverse_of_the_tail():
    assert ALL["corrupted.lottery"].reference() == pytest.approx(1 / float(cosine_tail(0.1, 10_000)))


def test_property_a_function_is_judged_by_the_shape_and_size_of_what_it_returns():
    right = ALL["corrupted.hoelder"].reference
    assert check("corrupted.hoelder", lambda g, p: right(g, p)[:1]).diagnosis == "shape"
    assert check("corrupted.hoelder", lambda g, p: right(g, p).unsqueeze(0)).diagnosis == "shape"
    rounded = check("corrupted.hoelder", lambda g, p: 1.02 * right(g, p))
    assert rounded.diagnosis == "scale"
    assert "looks rounded" in rounded.says
    assert "Which norm" in check("corrupted.hoelder", lambda g, p: 4 * right(g, p)).says
