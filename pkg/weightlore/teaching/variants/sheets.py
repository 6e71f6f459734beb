"""Write an exam down: a sheet of questions to hand out, and a key that is kept, as Markdown and as a page to print.

hand_out/exam.md, exam.html      questions only
key_private/key.md, key.html     the answers, how one gets there, and the mistakes that are worth half
"""

import html
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import nn

from weightlore.errors import ParameterError
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants.exams import CHAPTERS, Argument, Exam, Question
from weightlore.teaching.variants.seeds import outside

__all__ = ["Block", "as_markdown", "as_page", "key", "sheet", "shown", "write_exam"]

POINTS, ARGUED, SHOWN = 2, 4, 24  # points of a question and of an argument; numbers of an answer
STYLE = (
    "body{font-family:Georgia,serif;max-width:42em;margin:2em auto;padding:0 1em;line-height:1.5}"
    "h2{margin-top:2em;break-after:avoid}code,pre{font-size:0.9em}pre{white-space:pre-wrap}"
    ".space{height:8em}@media print{body{margin:0;max-width:none}}"
)


class Block(NamedTuple):
    """A piece of a sheet: a heading, a paragraph, an item of a list, code, or space for an answer.

    Source: ours
    """

    kind: Literal["title", "heading", "text", "item", "code", "space"]
    text: str = ""


def sheet(exam: Exam) -> list[Block]:
    """Return the questions of an exam, without anything that is private.

    Args:
        exam: as it was drawn.

    Source: ours
    """
    about = [
        Block("title", _title("Exam", exam)),
        Block("text", "Name:"),
        Block(
            "text",
            f"{_points(exam)} Behind the word Answer stands the form of the answer. Give numbers to three digits; "
            "roots, powers and fractions may stay. Where the answer is a function, write it in Python, with torch at "
            "hand, or as a formula. log and ln are natural, if no base is given. Show how you got there.",
        ),
    ]
    asked = [_asked(one.exercise) for one in exam.questions]
    argued = [[Block("text", one.reason.question)] for one in exam.arguments]
    return [*about, *_numbered(exam, [[*body, Block("space")] for body in (*asked, *argued)])]


def key(exam: Exam) -> list[Block]:
    """Return the answers of an exam, computed by the package, with what each mistake would give.

    Args:
        exam: as it was drawn.

    Source: ours
    """
    about = [
        Block("title", _title("Answer key", exam)),
        Block(
            "text",
            f"Private. {POINTS} points for a right answer, {POINTS // 2} for one that a listed mistake explains, or "
            "for a right way with a slip; questions that ask for reasons have a rubric. The checker takes the same "
            "answers: weightlore.teaching.exercises.judge(exercise, answer).",
        ),
    ]
    return [*about, *_numbered(exam, [*map(_answered, exam.questions), *map(_argued, exam.arguments)])]


def write_exam(exam: Exam, folder: Path | str) -> list[Path]:
    """Write sheet and key into two folders, so that the one can be handed out without the other.

    Args:
        exam: as it was drawn.
        folder: a new or empty one, in no repository.

    Returns:
        The four files.

    Raises:
        ParameterError: if the folder lies in a repository or holds something already.

    Source: ours
    """
    place = outside(folder, "The key of an exam")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ParameterError(f"{folder} is there already and is no empty folder; name a new one")
    written = []
    for inside, name, blocks in (("hand_out", "exam", sheet(exam)), ("key_private", "key", key(exam))):
        (place / inside).mkdir(parents=True, mode=0o700)
        for ending, text in (("md", as_markdown(blocks)), ("html", as_page(blocks))):
            path = place / inside / f"{name}.{ending}"
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def as_markdown(blocks: Iterable[Block]) -> str:
    """Return a sheet as Markdown; signs that Markdown would take for its own are escaped.

    Args:
        blocks: the pieces, in order.

    Source: ours
    """
    before = {"title": "# ", "heading": "## ", "item": "- "}
    lines = []
    for kind, text in blocks:
        if kind == "code":
            lines.append(f"```text\n{text}\n```")
        elif kind == "space":
            lines.append("<br>\n" * 3)
        else:
            lines.append(
                before.get(kind, "") + _outside_code(text, lambda part: re.sub(r"([\\*_<>|#\[\]])", r"\\\1", part))
            )
    return "\n\n".join(lines) + "\n"


def as_page(blocks: Sequence[Block]) -> str:
    """Return a sheet as a page that needs nothing else, to be printed.

    Args:
        blocks: the pieces, in order.

    Source: ours
    """
    tags = {"title": "h1", "heading": "h2", "text": "p", "code": "pre", "item": "li"}
    lines = []
    for kind, text in blocks:
        said = html.escape(text) if kind == "code" else re.sub(r"`(.*?)`", r"<code>\1</code>", html.escape(text))
        lines.append('<div class="space"></div>' if kind == "space" else f"<{tags[kind]}>{said}</{tags[kind]}>")
    body = re.sub(r"((?:<li>.*?</li>\n?)+)", r"<ul>\n\1</ul>\n", "\n".join(lines) + "\n", flags=re.S)
    title = html.escape(blocks[0].text)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change the parts of a text that are not between backticks."""
    return "".join(part if part.startswith("`") else change(part) for part in re.split(r"(`[^`]*`)", text))


def _title(what: str, exam: Exam) -> str:
    *others, last = (f"{number} ({CHAPTERS[number]})" for number in exam.chapters)
    chapters = f"chapters {', '.join(others)} and {last}" if others else f"chapter {last}"
    return f"{what} {exam.mark}: {chapters}"


def _points(exam: Exam) -> str:
    """How many questions of how many points there are, and the sum."""
    counts = [(len(exam.questions), POINTS), (len(exam.arguments), ARGUED)]
    parts = [f"{count} question{'s' if count > 1 else ''} of {points} points" for count, points in counts if count]
    return f"{' and '.join(parts)}, {sum(count * points for count, points in counts)} points in all."


def _numbered(exam: Exam, bodies: Iterable[list[Block]]) -> list[Block]:
    """Put what belongs to each question below its heading, numbered from 1; those that ask for reasons come last."""
    every: tuple[Question | Argument, ...] = (*exam.questions, *exam.arguments)
    heads = [_head(number, one) for number, one in enumerate(every, start=1)]
    return [block for head, body in zip(heads, bodies, strict=True) for block in (Block("heading", head), *body)]


def _head(number: int, question: Question | Argument) -> str:
    points = ARGUED if isinstance(question, Argument) else POINTS
    return f"Question {number} (chapter {question.chapter}, {points} points)"


def _asked(exercise: Exercise) -> list[Block]:
    return [Block("text", text) for text in (exercise.given, exercise.prompt) if text]


def _answered(question: Question) -> list[Block]:
    exercise = question.exercise
    instead = f"It asks another question than the book, because {question.instead}."
    return [
        *_asked(exercise),
        Block("text", "Answer" + (", one of several that are right:" if exercise.accept else ":")),
        *_values(exercise, exercise.reference),
        Block("text", f"How: {exercise.hint}"),
        Block("text", f"Then: {exercise.right}"),
        *([Block("text", instead)] if question.instead else []),
        Block("text", "Mistakes:"),
        *(Block("item", _mistake(exercise, diagnosis)) for diagnosis in exercise.diagnoses),
        Block("text", f"Exercise `{exercise.id}`."),
    ]


def _argued(one: Argument) -> list[Block]:
    return [
        Block("text", one.reason.question),
        Block("text", f"Model answer: {one.reason.answer}"),
        Block("text", "Graded by hand:"),
        *(Block("item", line) for line in one.reason.rubric.lines(ARGUED)),
    ]


def _values(exercise: Exercise, answer: Any) -> list[Block]:
    """The right answer; of a function, what it returns for each input."""
    inputs = exercise.inputs()
    if not inputs:
        return [Block("code", shown(answer()))]
    names = [", ".join(shown(argument) for argument in arguments) for arguments in inputs]
    found = [shown(answer(*arguments)) for arguments in inputs]
    return [Block("code", "\n".join(f"({name}) -> {value}" for name, value in zip(names, found, strict=True)))]


def _mistake(exercise: Exercise, diagnosis: Diagnosis) -> str:
    said = f"{diagnosis.name}: {diagnosis.says}"
    return said if diagnosis.wrong is None or exercise.inputs() else f"{said} It gives `{shown(diagnosis.wrong())}`."


def shown(value: Any) -> str:
    """Return numbers to four digits, and of anything else what it is.

    Args:
        value: an answer, or an argument of a function that is asked for.

    Source: ours
    """
    if isinstance(value, nn.Module):
        return f"a {type(value).__name__}"
    if callable(value) and not hasattr(value, "shape"):
        return "a function"
    numbers, trouble = as_numbers(value)
    if trouble:
        return str(value)
    if numbers.size > SHOWN:
        return f"an array of shape {numbers.shape}, its mean {numbers.mean():.4g}"
    return _written(numbers.tolist())


def _written(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return f"{value:.0f}" if value == round(value, 0) and abs(value) < 1e15 else f"{value:.4g}"
