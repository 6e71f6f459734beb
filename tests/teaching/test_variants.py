"""Every exercise has variants: other numbers for a class, with answers, diagnoses and a prompt of their own."""

import re
from dataclasses import replace
from functools import cache

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.teaching.exercises import Diagnosis, Exercise, exercises, judge
from weightlore.teaching.exercises.general import as_numbers, close
from weightlore.teaching.variants import Variants, families, faults, variant
from weightlore.teaching.variants.fairness import reference

CHAPTERS = ("healthy", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized", "crossed")
PUBLIC = {exercise.id: exercise for chapter in CHAPTERS for exercise in exercises(chapter)}
VARIED = [name for chapter in CHAPTERS for name in families(chapter)]
WHOLE = tuple(chapter for chapter in CHAPTERS if chapter != "uncertain")  # none of their exercises is without variants
SEEDS, DISTINCT = range(20), 5
LEAST = 12  # fair variants of an exercise, so that neighbors seldom have the same
FEW = {"sliced.recoding": "four bases, and the least or the most significant digit first, less the book's own"}


@cache
def variants(name):
    return [variant(name, seed) for seed in SEEDS]


@cache
def answers(name):
    """The right answers of the variants; those of functions on the same inputs, where these fit."""
    found = variants(name)
    inputs = found[0].inputs()
    return [[as_numbers(exercise.reference(*arguments))[0] for arguments in inputs or [()]] for exercise in found]


def same(a, b, tolerance):
    return all(close(x, y, tolerance) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", VARIED)
def test_property_twenty_seeds_give_five_answers_and_more(name):
    different = []
    for answer in answers(name):
        if not any(same(answer, other, PUBLIC[name].tolerance) for other in different):
            different.append(answer)
    assert len(different) >= DISTINCT


def fair_draws(name, enough=LEAST, most=600):
    """How many different fair exercises a family draws, counted up to enough."""
    family, generator = families(name.partition(".")[0])[name], torch.Generator().manual_seed(1)
    seen = {}
    for _ in range(most):
        if sum(seen.values()) >= enough:
            break
        exercise = family.build(family.drawn(generator))
        if exercise.prompt not in seen:
            seen[exercise.prompt] = not faults(exercise, PUBLIC[name])
    return sum(seen.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIED)
def test_property_a_family_has_twelve_fair_variants_or_a_reason(name):
    assert (fair_draws(name) < LEAST) == (name in FEW)


def test_limit_fewer_fair_variants_are_noticed():
    assert fair_draws("sliced.recoding", most=100) < LEAST <= fair_draws("corrupted.normalized")


@pytest.mark.parametrize("name", VARIED)
def test_property_variants_are_fair(name):
    assert [line for exercise in variants(name) for line in faults(exercise, PUBLIC[name])] == []


@pytest.mark.parametrize("name", VARIED)
def test_property_the_answer_of_one_variant_is_wrong_for_another_where_they_differ(name):
    one, *others = variants(name)
    judged = [judge(other, reference(one)).verdict for other in others]
    assert "wrong" in judged
    assert "unanswered" not in judged


@pytest.mark.parametrize("name", VARIED)
def test_property_the_prompt_tells_variants_apart(name):
    found = variants(name)
    prompts = {exercise.prompt for exercise in found}
    assert len(prompts) >= DISTINCT
    assert PUBLIC[name].prompt not in prompts
    for one, answer in zip(found, answers(name), strict=True):
        twins = [a for e, a in zip(found, answers(name), strict=True) if e.prompt == one.prompt]
        assert all(same(answer, other, one.tolerance) for other in twins), "equal prompts have equal answers"


@pytest.mark.parametrize("name", VARIED)
def test_property_a_variant_is_a_whole_exercise(name):
    for exercise in variants(name):
        assert re.fullmatch(rf"{re.escape(name)}@[0-9a-f]{{4}}", exercise.id)
        assert "Answer:" in exercise.prompt
        assert all(text.strip() for text in (exercise.nudge, exercise.hint, exercise.right))
        assert len(exercise.diagnoses) >= 2


@pytest.mark.parametrize("name", VARIED)
def test_property_the_same_seed_gives_the_same_variant(name):
    one, other = variants(name)[3], variant(name, 3)
    assert [one.id, one.prompt, one.hint, one.right] == [other.id, other.prompt, other.hint, other.right]
    assert len({exercise.id for exercise in variants(name)}) == len(SEEDS)


@pytest.mark.parametrize("chapter", WHOLE)
def test_property_every_exercise_of_a_chapter_has_variants(chapter):
    assert list(families(chapter)) == [exercise.id for exercise in exercises(chapter)]


def test_property_drawing_leaves_the_global_state():
    before = torch.get_rng_state()
    variant("corrupted.by_hand", 7)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "seed", "mark", "says"),
    [
        ("corrupted.by_hand", 1, "9102", "g = (3, -6, -9, 8), n = 2, p = 2 and epsilon = 3."),
        ("healthy.count", 3, "9e85", "64-50-24-10"),
        ("transferred.awake", 2, "97d4", "reuse gates, U, the target's layers, the readout, update gates?"),
    ],
)
def test_oracle_these_numbers_come_on_every_machine(name, seed, mark, says):
    exercise = variant(name, seed)
    assert exercise.id == f"{name}@{mark}"
    assert says in exercise.prompt


def test_oracle_a_variant_by_hand():
    exercise = variant("corrupted.by_hand", 0)
    g, n, epsilon = re.search(r"g = \((.*)\), n = (\d), p = 2 and epsilon = ([\d.]+)\.", exercise.prompt).groups()
    g = [float(x) for x in g.split(", ")]
    kept = sorted(map(abs, g))[-int(n) :]
    h = [x if abs(x) in kept else 0.0 for x in g]
    length = sum(x * x for x in h) ** 0.5
    assert judge(exercise, [float(epsilon) * x / length for x in h]).verdict == "right"


PLAIN = Exercise("a.b", "How many? Answer: a number.", "n", "h", "r", lambda: 3.0)


@pytest.mark.parametrize(("wrong", "fair"), [([4.0], True), ([4.0, 4.0], False), ([3.0], False)])
def test_property_an_ambiguous_mistake_is_found(wrong, fair):
    marks = tuple(Diagnosis("m", f"mistake {i}", lambda value=value: value) for i, value in enumerate(wrong))
    found = faults(replace(PLAIN, diagnoses=marks), replace(PLAIN, reference=lambda: 5.0))
    assert [bool(found), all("is answered with" in line for line in found)] == [not fair, True]


def test_property_a_public_answer_and_one_without_numbers_are_found():
    assert faults(PLAIN, PLAIN) == ["the public answer is right"]
    assert "its answer is not a number" in faults(replace(PLAIN, reference=lambda: float("nan")), PLAIN)


def test_error_no_variants_of_what_is_not_there():
    with pytest.raises(ParameterError, match=r"corrupted\.by_hand"):
        variant("corrupted.nothing", 1)
    with pytest.raises(ParameterError, match="healthy"):
        variant("nowhere.nothing", 1)


def test_error_a_family_without_a_fair_draw_says_what_is_wrong(monkeypatch):
    from weightlore.teaching.exercises.corrupted import by_hand

    stuck = Variants(lambda _: by_hand.BY_HAND, lambda _: None)
    monkeypatch.setitem(by_hand.VARIANTS, "corrupted.by_hand", stuck)
    with pytest.raises(ParameterError, match="the public answer is right"):
        variant("corrupted.by_hand", 1)
