"""An exam: the same for the same seed, a sheet without answers, a key with them, and nothing where it could leak."""

import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from weightlore.cli import main
from weightlore.errors import ParameterError
from weightlore.teaching.exercises import Diagnosis, Exercise, judge
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants import Exam, Question, class_seed, exam, families, reasons, variant, write_exam
from weightlore.teaching.variants.exams import CHAPTERS, chapter_named
from weightlore.teaching.variants.sheets import Block, as_markdown, as_page, key, sheet, shown

ROOT = Path(__file__).parents[2]
TEXT = "one-of-a-test-0123456789"
SEED = 20261130


@pytest.fixture
def seed(tmp_path):
    path = tmp_path / "private" / "class.seed"
    path.parent.mkdir()
    path.write_text("weightlore-class-seed" + f": {TEXT}\n", encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["exam", *map(str, arguments)])


class Tags(HTMLParser):
    """The open tags, to see that each is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_property_the_same_seed_gives_the_same_exam():
    one, other = (exam(SEED, ("1", "2"), 4) for _ in range(2))
    assert one.mark == other.mark
    assert [q.exercise.prompt for q in one.questions] == [q.exercise.prompt for q in other.questions]
    different = exam(SEED + 1, ("1", "2"), 4)
    assert [q.exercise.prompt for q in one.questions] != [q.exercise.prompt for q in different.questions]


def test_property_questions_are_shared_among_the_chapters_in_their_order():
    found = exam(SEED, ("2", "corrupted", "1"), 5)
    assert [q.chapter for q in found.questions] == [1, 1, 1, 2, 2]
    assert found.chapters == (1, 2)
    assert len({q.exercise.id for q in found.questions}) == 5
    assert len(exam(SEED, ("1",)).questions) == 3


def test_property_an_exam_has_other_numbers_than_the_homework():
    for question in exam(SEED, ("1",), 5).questions:
        homework = variant(question.exercise.id.partition("@")[0], SEED)
        assert question.exercise.id != homework.id


def test_property_answers_fit_a_sheet_of_paper():
    found = exam(SEED, ("0",))
    assert {q.exercise.id.partition("@")[0] for q in found.questions} == {"healthy.count", "healthy.rescale"}
    with pytest.raises(ParameterError, match="has 2 exercises that fit a sheet of paper, 3 were asked for"):
        exam(SEED, ("0",), 3)
    for question in found.questions:
        exercise = question.exercise
        assert exercise.inputs() or as_numbers(exercise.reference())[0].size <= 24


def test_property_the_key_has_the_answers_and_the_sheet_has_none():
    found = exam(SEED, ("1", "2"), 8)
    asked, answered = as_markdown(sheet(found)), as_markdown(key(found))
    for question in found.questions:
        exercise = question.exercise
        prompt = as_markdown([Block("text", exercise.prompt)]).strip()
        assert prompt in asked
        assert prompt in answered
        assert f"Exercise `{exercise.id}`." in answered
        assert exercise.id not in asked
        assert as_markdown([Block("text", f"How: {exercise.hint}")]).strip() in answered
        for text in (exercise.hint, exercise.right, *(d.says for d in exercise.diagnoses)):
            assert as_markdown([Block("text", text)]).strip() not in asked
    assert found.mark in asked
    assert found.mark in answered


def test_property_what_the_tutorial_has_said_stands_on_sheet_and_key():
    exercise = variant("transferred.corners", SEED)
    one = Exam("0000", (Question(2, exercise, ""),))
    for blocks in (sheet(one), key(one)):
        said = [block.text for block in blocks]
        assert said.index(exercise.given) == said.index(exercise.prompt) - 1
    assert "" not in {block.text for block in sheet(one) if block.kind != "space"}


def test_property_questions_that_ask_for_reasons_have_a_rubric_on_the_key_alone():
    found = exam(SEED, ("3", "5"), 2, arguments=2)
    assert [a.chapter for a in found.arguments] == sorted(a.chapter for a in found.arguments)
    asked, answered = ["\n".join(b.text for b in blocks) for blocks in (sheet(found), key(found))]
    assert "2 questions of 2 points and 2 questions of 4 points, 12 points in all." in asked
    for argument in found.arguments:
        reason = argument.reason
        assert reason.question in asked
        assert reason.question in answered
        assert f"Model answer: {reason.answer}" in answered
        assert reason.answer not in asked
        for line in (f"4 points: {reason.rubric.full}", f"2 points: {reason.rubric.half}", "0 points: "):
            assert line in answered
            assert line not in asked
    assert found.mark != exam(SEED, ("3", "5"), 2).mark
    assert found.arguments == exam(SEED, ("3", "5"), 2, arguments=2).arguments


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_property_every_chapter_has_a_question_that_asks_for_reasons(chapter):
    for reason in reasons(chapter):
        assert reason.question.endswith("?") or reason.question.endswith(".")
        assert len({reason.rubric.full, reason.rubric.half, reason.rubric.none, reason.answer}) == 4
    assert reasons(chapter)


def test_error_more_arguments_than_there_are():
    with pytest.raises(ParameterError, match="corrupted: 1 questions ask for reasons, 2 were asked for"):
        exam(SEED, ("1",), 1, arguments=2)


def test_property_a_title_names_its_chapters():
    titles = [sheet(exam(SEED, chapters, len(chapters)))[0].text for chapters in (("1",), ("1", "7"), ("1", "2", "7"))]
    assert [title.partition(": ")[2] for title in titles] == [
        "chapter 1 (corrupted)",
        "chapters 1 (corrupted) and 7 (crossed)",
        "chapters 1 (corrupted), 2 (transferred) and 7 (crossed)",
    ]


def test_oracle_an_answer_copied_from_the_key_is_right():
    exercise = variant("corrupted.worst_norm", SEED)
    text = as_markdown(key(Exam("0000", (Question(1, exercise, "why not"),))))
    numbers = re.search(r"```text\n\[(.*)\]\n```", text)[1].split(", ")
    assert judge(exercise, [float(x) for x in numbers]).verdict == "right"
    assert "It asks another question than the book, because why not." in text


def test_property_a_page_is_closed_escaped_and_needs_nothing_else():
    found = exam(SEED, ("1", "2"), 6)
    for blocks in (sheet(found), key(found)):
        page, tags = as_page(blocks), Tags()
        tags.feed(page)
        assert tags.open == []
        assert not {"script", "link", "img"} & set(tags.seen)
        assert "http" not in page
    assert "&lt;b&gt; <code>a * b</code>" in as_page([Block("title", "t"), Block("text", "<b> `a * b`")])
    assert as_page([Block("title", "t"), Block("item", "a"), Block("item", "b")]).count("<ul>") == 1


def test_property_markdown_keeps_signs_that_mean_something_to_it():
    text = as_markdown([Block("title", "t"), Block("text", "w_p * p + |x| < [1] and `a_b * c`"), Block("item", "a_b")])
    assert r"w\_p \* p + \|x\| \< \[1\] and `a_b * c`" in text
    assert "\n- a\\_b\n" in text


def test_property_numbers_are_shown_to_four_digits_and_the_rest_by_name():
    assert shown(torch.tensor([1.0, 0.123456, -2e23])) == "[1, 0.1235, -2e+23]"
    assert shown([[1, 0], [0, 1]]) == "[[1, 0], [0, 1]]"
    assert shown(float("inf")) == "inf"
    assert shown(torch.zeros(6570)) == "an array of shape (6570,), its mean 0"
    assert shown(torch.nn.Linear(1, 1)) == "a Linear"
    assert shown(abs) == "a function"
    assert shown("word") == "word"


def test_property_a_mistake_is_listed_with_what_it_gives():
    slip = Diagnosis("sign", "Turn it.", lambda: -3.0)
    exercise = Exercise("a.b@1234", "How many? Answer: a number.", "n", "h", "r", lambda: 3.0, (slip,))
    text = as_markdown(key(Exam("0000", (Question(0, exercise, ""),))))
    assert "- sign: Turn it. It gives `-3`." in text
    assert "another question" not in text


def test_property_the_command_writes_two_folders_and_not_the_seed(seed, tmp_path):
    out = tmp_path / "new"
    found = run("--seed", seed, "--chapters", "1", "2", "--questions", "4", "--out", out)
    assert found.exit_code == 0, found.output
    files = {path.relative_to(out).as_posix(): path.read_text("utf-8") for path in out.rglob("*.*")}
    assert sorted(files) == ["hand_out/exam.html", "hand_out/exam.md", "key_private/key.html", "key_private/key.md"]
    assert "Hand out the folder hand_out alone" in found.output
    number = str(class_seed(seed))
    assert not any(TEXT in text or number in text for text in [*files.values(), found.output])
    assert files["hand_out/exam.md"].count("## Question") == 4
    assert stat.S_IMODE((out / "key_private").stat().st_mode) == 0o700


def test_property_without_a_folder_it_lies_beside_the_seed(seed):
    assert run("--seed", seed, "--chapters", "corrupted", "--questions", "1").exit_code == 0
    assert [path.name for path in seed.parent.glob("exam-*/*")].count("key_private") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--chapters", "8"], "no exam; there are 0 healthy, 1 corrupted"),
        (["--chapters", "1", "9"], "chapter '9' has no exercises"),
        (["--chapters", "-1"], "chapter '-1' has no exercises"),
        (["--chapters", "1", "--arguments", "9"], "questions ask for reasons, 9 were asked for"),
        (["--chapters", "shattered"], "no exam"),
        (["--chapters", "1", "2", "--questions", "1"], "2 chapters need as many questions"),
        (["--chapters", "1", "--questions", "90"], "ask for fewer questions"),
        (["--chapters", "1", "--out", str(ROOT / "exam")], "lies in the repository"),
        (["--chapters", "1", "--out", str(ROOT / "_build" / "exam")], "lies in the repository"),
    ],
)
def test_error_the_command_says_what_to_do(seed, arguments, says):
    found = run("--seed", seed, *arguments)
    assert found.exit_code == 1
    assert says in found.output
    assert TEXT not in found.output
    assert not list(seed.parent.glob("exam*"))


def test_error_a_seed_in_the_repository_or_none(tmp_path):
    assert "lies in the repository" in run("--seed", ROOT / "class.seed", "--chapters", "1").output
    assert "secrets.token_hex" in run("--seed", tmp_path / "no.seed", "--chapters", "1").output


def test_error_a_folder_that_is_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ParameterError, match="name a new one"):
        write_exam(exam(SEED, ("1",), 1), tmp_path)
    with pytest.raises(ParameterError, match="name a new one"):
        write_exam(exam(SEED, ("1",), 1), tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_error_a_chapter_without_variants_has_no_exam(monkeypatch):
    monkeypatch.setattr("weightlore.teaching.variants.exams.families", lambda chapter: {})
    with pytest.raises(ParameterError, match=r"chapter 5 \(sliced\) have no variants"):
        exam(SEED, ("5",))


def test_limit_no_chapter():
    with pytest.raises(ParameterError, match="one chapter at least"):
        exam(SEED, ())
    assert [chapter_named(str(i)) for i in range(8)] == list(CHAPTERS)
    assert all(isinstance(families(chapter), dict) for chapter in CHAPTERS)
