"""A board is well-formed, says in words what stands on it, follows the theme, and can be read on a phone."""

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from weightlore.errors import ParameterError
from weightlore.teaching.boards import board, drawn_chapters
from weightlore.teaching.boards.drawing import LARGE, SMALL, WIDTH, blackboard, box, curve, stroke, words

SVG = "{http://www.w3.org/2000/svg}"
PHONE = 312  # pixels that a page leaves to a drawing where the screen is 360 wide
FONT = FontProperties(family="DejaVu Sans")  # wider than what most systems show


def extent(element):
    """Where a text begins and ends, and its baseline."""
    kind, said = element.get("class"), "".join(element.itertext()).replace("\u200b", "")
    size = SMALL if "small" in kind else LARGE
    wide = TextPath((0, 0), said, size=size, prop=FONT).get_extents().width
    left = float(element.get("x")) - wide * (0.5 if "middle" in kind else 1.0 if "end" in kind else 0.0)
    return left, left + wide, float(element.get("y")), size, said


@pytest.mark.parametrize("chapter", drawn_chapters())
def test_property_it_speaks_and_follows_the_theme(chapter):
    drawn = board(chapter)
    tree = ET.fromstring(drawn.svg)
    assert tree.get("role") == "img"
    assert tree.find(f"{SVG}title").text == f"The board of chapter {chapter[0]}"
    assert len(tree.find(f"{SVG}desc").text.split()) >= 40, "whoever cannot see it gets the board in words"
    assert not re.search(r"#[0-9a-f]{3}", drawn.svg), "colors come from the palette's variables"


@pytest.mark.parametrize("chapter", drawn_chapters())
def test_property_it_is_legible_on_a_phone_and_nothing_sticks_out(chapter):
    tree = ET.fromstring(board(chapter).svg)
    _, _, wide, high = map(float, tree.get("viewBox").split())
    assert wide == WIDTH
    assert SMALL * PHONE / WIDTH >= 9, "pixels of the small text on a phone"
    for element in tree.iter(f"{SVG}text"):
        left, right, base, size, said = extent(element)
        assert 0 <= left < right <= wide, f"{said!r} reaches from {left:.0f} to {right:.0f}"
        assert size <= base <= high - 4, f"{said!r} stands at {base:.0f} of {high:.0f}"


@pytest.mark.parametrize("chapter", drawn_chapters())
def test_property_no_two_words_lie_on_each_other(chapter):
    found = [extent(element) for element in ET.fromstring(board(chapter).svg).iter(f"{SVG}text")]
    for number, (left, right, base, size, said) in enumerate(found):
        for other in found[number + 1 :]:
            beside = left >= other[1] or other[0] >= right
            assert beside or abs(base - other[2]) >= 0.8 * min(size, other[3]), f"{said!r} lies on {other[4]!r}"


def test_oracle_an_index_comes_back_to_the_line():
    tree = ET.fromstring(words(0, 20, "W_{1}x^{2} < 3"))
    assert "".join(tree.itertext()).replace("\u200b", "") == "W1x2 < 3"
    small = [0.75 * float(t.get("dy")[:-2]) for t in tree if t.get("class") == "index"]
    back = [float(t.get("dy")[:-2]) for t in tree if t.get("class") is None]
    assert [a + b for a, b in zip(small, back, strict=True)] == pytest.approx([0, 0])


def test_oracle_a_curve_goes_through_its_values():
    drawn = curve(lambda t: t**2, (0, 2), (0, 4), (10, 20, 100, 50))
    points = [tuple(map(float, p.split())) for p in re.search(r'd="M([^"]+)"', drawn)[1].split("L")]
    assert points[0] == (10, 70)
    assert points[60] == (60, 57.5)
    assert points[-1] == (110, 20)


def test_limit_a_curve_beyond_its_place_stays_at_the_rim():
    drawn = curve(lambda t: 10 * t, (0, 1), (0, 1), (0, 0, 10, 10))
    assert drawn.count(" 0.0") >= 100


def test_error_kinds_and_chapters_are_known():
    with pytest.raises(ParameterError, match="kinds small, s0"):
        box(0, 0, 20, "a", "loud")
    with pytest.raises(ParameterError, match="kinds small, s0"):
        stroke([(0, 0), (1, 1)], "loud")
    with pytest.raises(ParameterError, match="the names are Delta"):
        words(0, 20, r"\thet")
    with pytest.raises(ParameterError, match="drawn for 0_healthy"):
        board("9_lost")
    assert blackboard("A", [], 10, "b").alt == "b"
