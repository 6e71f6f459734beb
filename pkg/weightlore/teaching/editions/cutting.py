"""Cut the tutorials of a clone, and put the editions where they can be handed out.

cut(root, "student", folder)                     every tutorial, in the folders of its chapter
assign(root, course, "fragile", ["1_corrupted/vulnerability"])    a graded assignment for nbgrader
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from weightlore.errors import MissingExtra, ParameterError, require_option
from weightlore.teaching.editions.course import write_course
from weightlore.teaching.editions.elsewhere import Elsewhere
from weightlore.teaching.editions.instructor import exercise_named, instructor
from weightlore.teaching.editions.open_questions import open_questions
from weightlore.teaching.editions.reveal import write_slides
from weightlore.teaching.editions.sheets import questions, sheet
from weightlore.teaching.editions.slides import slides
from weightlore.teaching.editions.student import student
from weightlore.teaching.exercises import Exercise
from weightlore.teaching.notebooks import Notebook
from weightlore.teaching.variants import class_seed, variant
from weightlore.teaching.variants.seeds import outside

try:
    import nbformat
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["Edition", "assign", "cut", "tutorials"]

Edition = Literal["student", "instructor", "slides"]


def tutorials(root: Path, names: Sequence[str] = ()) -> dict[str, Notebook]:
    """Return tutorials of a clone.

    Args:
        root: the clone.
        names: such as ``"1_corrupted"`` for a chapter or ``"1_corrupted/resistance"``, with or without ``.ipynb``; all
            if empty.

    Returns:
        Each by its folder and file, in the order of the chapters.

    Raises:
        ParameterError: if a name is none of a tutorial; the message lists those that are.

    Source: ours
    """
    paths = sorted(path for path in (root / "tutorials").glob("*/*.ipynb"))
    known = {path.relative_to(root / "tutorials").as_posix(): path for path in paths}
    wanted = [name.removeprefix("tutorials/").removesuffix(".ipynb").rstrip("/") for name in names]
    places = {name: {name.removesuffix(".ipynb"), name.partition("/")[0]} for name in known}
    for name in wanted:
        if not any(name in place for place in places.values()):
            there = ", ".join(known).replace(".ipynb", "")
            raise ParameterError(f"no tutorial is called {name!r}; there are {there}")
    chosen = [name for name in known if not wanted or places[name] & set(wanted)]
    return {name: nbformat.read(known[name], as_version=4) for name in chosen}


def cut(root: Path, edition: Edition, folder: Path, *, names: Sequence[str] = ()) -> list[Path]:
    """Cut an edition of tutorials and write it.

    Args:
        root: the clone.
        edition: ``"student"``, ``"instructor"`` or ``"slides"``.
        folder: where to, but not among the tutorials; files of the same names are replaced, others stay.
        names: as for ``tutorials``.

    Returns:
        The files that can be opened.

    Raises:
        ParameterError: if the tags of a tutorial contradict each other, or the folder is that of the tutorials; nothing
            is written then.
        DataError: if slides are asked for and the JavaScript of others was not fetched yet.

    Source: ours
    """
    require_option("edition", edition, Edition)
    if folder.resolve().is_relative_to((root / "tutorials").resolve()):
        raise ParameterError(f"{folder} is where the tutorials lie, which the edition is cut from; name another folder")
    elsewhere, chosen = Elsewhere(root), tutorials(root, names)
    made = {name: _made(root, edition, name, notebook, elsewhere) for name, notebook in chosen.items()}
    if edition == "slides":
        return write_slides(made, folder, static=root / "book" / "_static")
    for name, notebook in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / name)
    return [folder / name for name in made]


def assign(
    root: Path,
    course: Path,
    assignment: str,
    *,
    names: Sequence[str],
    only: Collection[str] = (),
    seed_file: Path | None = None,
    share: float = 0.5,
) -> list[Path]:
    """Write a graded assignment into the folder of a course, one sheet for each tutorial.

    Args:
        root: the clone.
        course: the folder of nbgrader; for a class with a private seed it lies outside of every repository.
        assignment: its name.
        names: of tutorials, as for ``tutorials``.
        only: the ids of the exercises that are asked; empty for all.
        seed_file: of the class; ``None`` to ask the exercises of the book, whose solutions are public.
        share: of the points for a mistake that has a name.

    Returns:
        The files written.

    Raises:
        ParameterError: if a tutorial or an exercise is not there, an exercise has no variants, or the folder cannot be
            used.

    Source: ours
    """
    exercise_of: Callable[[str], Exercise] = exercise_named
    if seed_file is not None:
        outside(course, "The course of a class with a private seed")
        exercise_of = partial(variant, seed=class_seed(seed_file))
    chosen = tutorials(root, names)
    there = {
        name: [*questions(notebook), *(one.id for one in open_questions(notebook, name))]
        for name, notebook in chosen.items()
    }
    if absent := set(only).difference(*there.values()):
        raise ParameterError(f"no exercise {', '.join(sorted(absent))} in {', '.join(chosen)}; correct its id")
    made = {}
    for name, notebook in chosen.items():
        here = [found for found in there[name] if found in only]
        if here or not only:
            key = name.removesuffix(".ipynb").partition("/")[2]
            made[key] = sheet(notebook, name, exercise_of=exercise_of, only=here, share=share)
    return write_course(course, assignment, made, seed_file=seed_file)


def _made(root: Path, edition: Edition, name: str, notebook: Notebook, elsewhere: Elsewhere) -> Notebook:
    if edition == "slides":
        return slides(notebook, name, elsewhere=elsewhere)
    if edition == "student":
        return student(notebook, name, elsewhere=elsewhere)
    page = root / "book" / "instructors" / f"{name.partition('/')[0]}.md"
    text = page.read_text("utf-8") if page.exists() else ""
    return instructor(notebook, name, elsewhere=elsewhere, page=text)
