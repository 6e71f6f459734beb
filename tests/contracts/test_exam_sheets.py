"""A question on a sheet stands alone: it names nothing that only the book has, and says what its letters mean."""

import re

import pytest

from weightlore.teaching.exercises import exercises
from weightlore.teaching.variants import Exam, Question, families, variant
from weightlore.teaching.variants.exams import CHAPTERS
from weightlore.teaching.variants.sheets import as_markdown, sheet

ELSEWHERE = re.compile(
    r"\b(?:equations?|inequality|eq\.)\W+\(?\d"  # equation (4)
    r"|\w \(\d\)"  # the chain (8)
    r"|\b(?:chapter|exercise|figure|question|section|table)s? \d"
    r"|\b(?:cell|figure|formula|knob|output|picture|plot|table)s? (?:above|below)\b"
    r"|\b(?:above|below|following) (?:cell|figure|knob|notebook|plot|table)"
    r"|\b(?:knob|notebook|tutorial)s?\b"
    r"|\bour\b|\bthe same (?:again|unit|with)\b",
    re.IGNORECASE,
)
HEADING = re.compile(r"^## Question .*$", re.M)
ALL = [name for chapter in CHAPTERS for name in families(chapter)]


def elsewhere(text):
    """What a text names that stands somewhere else."""
    return [match[0] for match in ELSEWHERE.finditer(text)]


def printed(name, seed):
    """What a sheet with one question says below its heading."""
    exercise = variant(name, seed)
    text = as_markdown(sheet(Exam("0000", (Question(0, exercise, ""),))))
    return HEADING.split(text)[1].replace("\\", "")


@pytest.mark.parametrize("name", ALL)
def test_property_a_question_names_nothing_that_only_the_book_has(name):
    if families(name.partition(".")[0])[name].on_paper:
        assert [found for seed in range(3) for found in elsewhere(printed(name, seed))] == []


@pytest.mark.parametrize("name", ALL)
def test_property_a_variant_says_before_it_asks_what_the_public_exercise_says(name):
    public = next(one for one in exercises(name.partition(".")[0]) if one.id == name)
    assert variant(name, 1).given or not public.given


@pytest.mark.parametrize("name", ALL)
def test_property_a_public_exercise_on_a_sheet_names_nothing_either(name):
    public = next(one for one in exercises(name.partition(".")[0]) if one.id == name)
    assert elsewhere(f"{public.given} {public.prompt}") == []


@pytest.mark.parametrize(
    "text",
    [
        "Write equation (5) with log_3.",
        "A chain (8) of small steps",
        "By the rules of (4), floors",
        "Solve Eq. 3 for N.",
        "as in the figure above",
        "Run the cell below.",
        "the table of section 4",
        "See exercise 2.",
        "with our network",
        "pulled now, in the same unit?",
        "The same with p = inf:",
        "Turn the knob.",
    ],
)
def test_limit_a_reference_is_found(text):
    assert elsewhere(text) != []


@pytest.mark.parametrize(
    "text",
    ["What is h at (z, r) = (0, 0), (0, 1)?", "alpha = (5, 3, 3)", "softmax(2 z)", "the same force, 8 in units of U"],
)
def test_limit_numbers_in_parentheses_are_no_reference(text):
    assert elsewhere(text) == []
