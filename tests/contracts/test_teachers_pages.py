"""Contract: a lecturer who has never seen the book finds everything for a class on the chapter's page."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from tests.contracts.files import ROOT, notebooks

from weightlore.teaching.boards import drawn_chapters
from weightlore.teaching.variants import families

HEADINGS = (
    "Fifty minutes",
    "Ninety minutes",
    "The board at the end",
    "Before each knob",
    "What they will believe, and the sentence that dissolves it",
    "Rubric",
    "Three exam questions",
    "More questions",
    "The order of the slides",
)
OPTIONAL = {"More questions"}
CHAPTERS = sorted({path.parent.name for path in notebooks()})


def sections(page: str) -> dict[str, str]:
    """The text below each heading of the second rank, in order."""
    parts = re.split(r"^## (.*)$", page, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables(text: str) -> list[list[list[str]]]:
    """Tables as rows of cells, the row with the names first, without the line below it."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            found.append([])
        inside = True
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not all(set(cell) <= set("-:") for cell in cells):
            found[-1].append(cells)
    return found


def plan_faults(text: str, total: int) -> list[str]:
    """What is wrong with the plans of a section: each table of minutes goes from 0 to the end without a hole."""
    plans = [table for table in tables(text) if table[0][0] == "minutes"]
    faults = [] if plans else ["no table whose first column is called minutes"]
    for plan in plans:
        at = 0
        for row in plan[1:]:
            match = re.fullmatch(r"(\d+)-(\d+)", row[0])
            if not match or int(match[1]) != at or int(match[2]) <= at:
                faults.append(f"{row[0]!r} does not go on from minute {at}")
                break
            at = int(match[2])
        else:
            if at != total:
                faults.append(f"ends at minute {at} of {total}")
    return faults


def knobs(path: Path) -> int:
    """How many knobs a notebook has."""
    cells = nbformat.read(path, as_version=4).cells
    return sum("knob" in cell.metadata.get("tags", []) for cell in cells)


def knob_faults(text: str, wanted: dict[str, int]) -> list[str]:
    """What is wrong with the questions: below a heading with a link to each notebook, one row for each of its knobs."""
    asked: dict[str, int] = {}
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        link = re.search(r"\(\.\./\.\./tutorials/([\w/]+)\.ipynb\)", part.splitlines()[0])
        if link:
            rows = [row for table in tables(part) for row in table[1:]]
            asked[link[1]] = sum(all(row) for row in rows)
    return [f"{name}: {asked.get(name)} of {count} knobs" for name, count in wanted.items() if asked.get(name) != count]


def exam_faults(text: str) -> list[str]:
    """What is wrong with the exam: three questions, **1.** to **3.**, and a model answer after each."""
    marks = re.findall(r"^(?:\*\*(\d)\.|\*(Model answer)\.\*)", text, flags=re.M)
    found = [number or answer for number, answer in marks]
    wanted = ["1", "Model answer", "2", "Model answer", "3", "Model answer"]
    return [] if found == wanted else [f"found {found}"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_property_a_chapter_has_everything_for_a_class(chapter):
    page = (ROOT / "book" / "instructors" / f"{chapter}.md").read_text("utf-8")
    found = sections(page)
    assert [h for h in HEADINGS if h in found or h not in OPTIONAL] == list(found)
    assert plan_faults(found["Fifty minutes"], 50) == []
    assert plan_faults(found["Ninety minutes"], 90) == []
    assert f"<!-- generated: board {chapter} -->" in found["The board at the end"]
    assert chapter in drawn_chapters()
    own = [path for path in notebooks() if path.parent.name == chapter]
    assert [p.name for p in own if f"(../../tutorials/{chapter}/{p.name})" not in page] == []
    wanted = {f"{chapter}/{path.stem}": count for path in own if (count := knobs(path))}
    assert knob_faults(found["Before each knob"], wanted) == []
    assert exam_faults(found["Three exam questions"]) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_property_tables_say_what_is_in_them(chapter):
    found = sections((ROOT / "book" / "instructors" / f"{chapter}.md").read_text("utf-8"))
    beliefs = tables(found["What they will believe, and the sentence that dissolves it"])[0]
    assert beliefs[0] == ["misconception", "sentence"]
    assert len(beliefs) > 5
    assert tables(found["Rubric"])[0][0][1:] == ["not yet", "solid", "strong"]
    order = tables(found["The order of the slides"])[0]
    assert order[0][-2:] == ["50", "90"]
    for column in (-2, -1):
        turns = [int(row[column]) for row in order[1:] if row[column]]
        assert turns == list(range(1, len(turns) + 1)), f"the turns of the {order[0][column]} minutes"
        assert turns


def unknown(names: list[str], said: str) -> list[str]:
    """Names, or knobs with a comma between them, that a notebook does not have."""
    known = said.lower()
    return [
        name for name in names if name.lower() not in known and not all(n in known for n in name.lower().split(", "))
    ]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_property_knobs_and_slides_are_called_as_in_the_notebooks(chapter):
    found = sections((ROOT / "book" / "instructors" / f"{chapter}.md").read_text("utf-8"))
    cells = [nbformat.read(p, as_version=4).cells for p in notebooks() if p.parent.name == chapter]
    said = re.sub(r"\s+", " ", re.sub(r"[*`]", "", "\n".join(cell.source for own in cells for cell in own)))
    knobs = [row[0] for table in tables(found["Before each knob"]) for row in table[1:]]
    order = [row[-3] for table in tables(found["The order of the slides"]) for row in table[1:]]
    assert unknown([name for text in [*knobs, *order] for name in re.findall(r"\*([^*]+)\*", text)], said) == []
    assert len(order) > 5


def minute(clock: str) -> int:
    """Minutes since midnight."""
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


@pytest.mark.parametrize(("course", "weeks"), [("Five weeks", 5), ("Ten weeks", 10)])
def test_property_a_course_goes_through_every_chapter_and_asks_what_has_variants(course, weeks):
    classes, homes = tables(sections((ROOT / "book" / "instructors" / "courses.md").read_text("utf-8"))[course])
    numbers = [str(week + 1) for week in range(weeks)]
    assert [row[0] for row in classes[1:]] == [row[0] for row in homes[1:]] == numbers
    asked = {int(number) for row in classes[1:] for number in row[1].split(", ")}
    assert asked == {int(path.parent.name[0]) for path in notebooks()}
    for (week, chapters, *_), (_, _, home, _) in zip(classes[1:], homes[1:], strict=True):
        names = [re.fullmatch(r"`(\w+)\.\w+`", name.strip()) for name in home.split(",") if "`" in name]
        given = {path.parent.name[2:] for path in notebooks() if path.parent.name[0] in chapters.split(", ")}
        assert all(names)
        assert {match[1] for match in names if match} <= given, f"week {week} asks what it has not taught"
        assert all(match[0].strip("`") in families(match[1]) for match in names if match)
        assert names or week == numbers[-1]


def test_property_a_day_has_no_hole():
    (table,) = tables(sections((ROOT / "book" / "instructors" / "courses.md").read_text("utf-8"))["One day"])
    times = [tuple(map(minute, row[0].split("-"))) for row in table[1:]]
    assert all(end == start for (_, end), (start, _) in pairwise(times))
    for (start, end), row in zip(times, table[1:], strict=True):
        length = re.search(r"(50|90) minutes", row[2])
        assert end > start
        assert not length or end - start == int(length[1])


PLAN = "| minutes | what |\n|---|---|\n| 0-20 | a |\n| 20-50 | b |\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAN, []),
        (PLAN + "\n" + PLAN, []),
        ("No table.", ["no table whose first column is called minutes"]),
        (PLAN.replace("20-50", "20-45"), ["ends at minute 45 of 50"]),
        (PLAN.replace("20-50", "25-50"), ["'25-50' does not go on from minute 20"]),
        (PLAN + "\n" + PLAN.replace("0-20", "soon"), ["'soon' does not go on from minute 0"]),
    ],
)
def test_error_a_plan_with_a_hole_is_found(text, fault):
    assert plan_faults(text, 50) == fault


def test_error_a_forgotten_knob_is_found():
    text = "### [A](../../tutorials/1_a/b.ipynb)\n\n| ask | see |\n|---|---|\n| p(a \\| b)? | this |\n| x | |\n"
    assert knob_faults(text, {"1_a/b": 1}) == []
    assert knob_faults(text, {"1_a/b": 2, "1_a/c": 1}) == ["1_a/b: 1 of 2 knobs", "1_a/c: None of 1 knobs"]


def test_error_a_name_that_no_notebook_has_is_found():
    assert unknown(["Epochs, bias", "Bias", "Rows"], 'Knob("epochs"), "bias"') == ["Rows"]


def test_error_a_question_without_an_answer_is_found():
    text = "".join(f"**{n}.** What?\n\n*Model answer.* This.\n\n" for n in (1, 2, 3))
    assert exam_faults(text) == []
    assert exam_faults(text.replace("*Model answer.* This.\n\n**3.", "**3.")) != []
    assert exam_faults(text.replace("**3.**", "**2.**")) != []
