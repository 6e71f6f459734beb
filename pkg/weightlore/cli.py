"""The command line: ``weightlore doctor | book | lab | data | notebooks | exam``.

Everything but click is imported when a command needs it, so that ``weightlore --help`` answers at once, also where an
extra is missing. An error of the package is one line and exit code 1, never a traceback.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import click

from weightlore import __version__

__all__ = ["main"]

REPOSITORY = "https://github.com/weightlore/weightlore"


class _OneLine(click.Group):
    """A group whose commands end an error of the package, or a forbidden file, in one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PermissionError as error:
            if error.filename is None:
                raise
            raise click.ClickException(
                f"you may not read or write {error.filename}; name another place, or change its rights"
            ) from error
        except (ImportError, OSError, ValueError) as error:
            if not _is_ours(error):
                raise
            raise click.ClickException(_say(error)) from error


def _is_ours(error: Exception) -> bool:
    """Whether the message of the error was written for the reader: an error of ours, or a library that is absent."""
    errors = sys.modules.get("weightlore.errors")
    if errors is not None and isinstance(error, errors.MissingExtra | errors.DataError | errors.ParameterError):
        return True
    return isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("weightlore")


def _say(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{text}; `weightlore doctor` says how to get it" if type(error) is ModuleNotFoundError else text


def _require(library: str, extra: str) -> None:
    try:
        import_module(library)
    except ModuleNotFoundError as error:
        from weightlore.errors import MissingExtra

        raise MissingExtra(library, extra) from error


def _clone_root(what: str) -> Path:
    from weightlore.doctor import clone

    root = clone()
    if root is None:
        raise click.ClickException(
            f"{what} lies in a clone of the repository, and this is none. "
            f"To get one: git clone {REPOSITORY} && cd weightlore && make book"
        )
    return root


@click.group(
    cls=_OneLine,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Six fates of a neural network's parameters: examine the installation, read the book, fetch data.",
)
@click.version_option(__version__, prog_name="weightlore")
def main() -> None:
    """Run the command line.

    Source: ours
    """


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, for a bug report or a script.")
def doctor(as_json: bool) -> None:
    """Say what is installed, what is missing and how to get it.

    Exit code 1 if something that the package always needs is missing; a missing extra is none.
    """
    from weightlore.doctor import diagnose

    found = diagnose()
    if as_json:
        click.echo(json.dumps(asdict(found) | {"missing": found.extras()}, indent=2))
    else:
        _echo_table(found.rows())
        for problem in found.problems:
            click.secho(problem, fg="red", err=True)
    sys.exit(1 if found.problems else 0)


@main.command()
@click.option("--serve", is_flag=True, help="Serve the book on this machine alone, until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of --serve; 0 takes a free one.")
def book(serve: bool, port: int) -> None:
    """Build the book of this clone and say where it lies."""
    root = _clone_root("The book")
    _require("jupyter_book", "book")
    _run(root, [str(root / "book/_ext/vendor.py")])
    _run(root, ["-c", "from jupyter_book.cli.main import main; main()", "build", str(root), "-q", "-W", "--keep-going"])
    pages = root / "_build/html"
    click.echo(f"The book lies at {(pages / 'index.html').as_uri()}; it can be read with the network off.")
    if serve:
        _serve(pages, port)


@main.command()
def lab() -> None:
    """Open the tutorials of this clone in JupyterLab."""
    root = _clone_root("The tutorials")
    _require("jupyterlab", "lab")
    _run(root, ["-m", "jupyterlab", str(root / "tutorials")])


@main.group()
def data() -> None:
    """List and fetch the data sets that the package does not ship."""


@data.command("list")
def data_list() -> None:
    """List the data sets that can be fetched, their licenses, and which are kept already."""
    from weightlore.data import data_folder, datasets

    folder, records = data_folder(), datasets()
    width = max(len(record.title) for record in records)
    rows = []
    for record in records:
        kept = "kept" if all((folder / file.keep).is_file() for file in record.originals) else "not fetched"
        state = kept if record.tried else f"{kept}, source untried"
        rows.append((record.name, f"{record.title:<{width}}  {state}; license: {record.license}"))
    _echo_table(rows)


@data.command("fetch")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "everything", is_flag=True, help="Fetch every set of the list; a set that fails stops no other.")
def data_fetch(names: tuple[str, ...], everything: bool) -> None:
    """Fetch data sets by name, check them against their pinned checksums and keep them.

    WEIGHTLORE_DATA names the folder they are kept in; WEIGHTLORE_DATA_MIRROR one that stands in for the network.
    """
    from weightlore.data import datasets, fetch

    if bool(names) == everything:
        raise click.UsageError("Name the sets to fetch, or say --all; `weightlore data list` knows the names.")
    failed = []
    for name in [record.name for record in datasets()] if everything else names:
        try:
            parts = fetch(name, progress=True)
        except (OSError, ValueError) as error:
            if not _is_ours(error):
                raise
            failed.append(name)
            click.echo(f"{name}: {_say(error)}", err=True)
        else:
            click.echo(f"{name}: " + ", ".join(f"{len(part)} in {title}" for title, part in parts.items()))
    if failed:
        raise click.ClickException(f"not fetched: {', '.join(failed)}")


@main.group()
def notebooks() -> None:
    """Freeze notebooks with their outputs, check them, and cut editions of them."""


@notebooks.command("freeze")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def notebooks_freeze(paths: tuple[Path, ...]) -> None:
    """Execute notebooks and store them in canonical form, with an alt text for each picture."""
    _require("nbclient", "book")
    from weightlore.teaching.notebooks import freeze

    for path in paths:
        freeze(path)
        click.echo(f"{path}: frozen")


@notebooks.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def notebooks_check(paths: tuple[Path, ...]) -> None:
    """Execute notebooks and compare text, pictures and widget data with what is stored; check the budget too.

    Exit code 1 if a reader would not see the truth, or more is spent than declared; each complaint is a line.
    """
    _require("nbclient", "book")
    complaints = {path: _complaints(path) for path in paths}
    for path, lines in complaints.items():
        click.echo(f"{path}: " + (f"{len(lines)} complaints" if lines else "as stored"))
        for line in lines:
            click.echo(f"  {line}")
    sys.exit(1 if any(complaints.values()) else 0)


@notebooks.command("edition")
@click.argument("edition", type=click.Choice(["student", "instructor", "slides"]))
@click.argument("names", nargs=-1, metavar="[TUTORIAL]...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; _build/EDITION if not given.")
def notebooks_edition(edition: Literal["student", "instructor", "slides"], names: tuple[str, ...], out: Path) -> None:
    """Cut an edition of the tutorials of this clone: without solutions, with everything, or as slides.

    TUTORIAL is a chapter or a notebook, such as 1_corrupted or 1_corrupted/resistance; all if none is named.
    """
    root = _clone_root("The tutorials")
    _require("nbformat", "book")
    from weightlore.teaching.editions import cut

    folder = out or root / "_build" / edition
    written = cut(root, edition, folder, names=names)
    click.echo(f"{len(written)} files in {folder}; the last one is {written[-1].relative_to(folder)}")


@notebooks.command("assignment")
@click.argument("assignment")
@click.argument("names", nargs=-1, required=True, metavar="TUTORIAL...")
@click.option("--course", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of nbgrader.")
@click.option(
    "--seed", type=click.Path(dir_okay=False, path_type=Path), help="Private file with the seed of the class."
)
@click.option("--only", multiple=True, metavar="ID", help="Ask this exercise, such as corrupted.by_hand; repeat.")
@click.option("--share", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="For a named mistake.")
def notebooks_assignment(
    assignment: str, names: tuple[str, ...], course: Path, seed: Path | None, only: tuple[str, ...], share: float
) -> None:
    """Make a graded assignment from the exercises of tutorials, for nbgrader to hand out and to grade.

    With --seed, each exercise has other numbers than in the book, whose solutions are public.
    """
    root = _clone_root("The tutorials")
    _require("nbgrader", "classroom")
    from weightlore.teaching.editions import assign

    written = assign(root, course, assignment, names=names, only=only, seed_file=seed, share=share)
    click.echo("\n".join(f"wrote {path}" for path in written))
    click.echo(f"Next: cd {course} && nbgrader generate_assignment {assignment} --create")


@main.command("exam")
@click.option("--seed", required=True, type=click.Path(path_type=Path), help="Private file with the seed of the class.")
@click.option("--chapters", required=True, multiple=True, metavar="N [N]...", help="Chapters, by number or name.")
@click.option("--questions", type=click.IntRange(1), help="How many; three of each chapter if not given.")
@click.option("--arguments", type=click.IntRange(0), default=0, help="How many more ask for reasons; by hand.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder; beside the file of the seed if not given.")
@click.argument("more", nargs=-1, metavar="")
def exam_drawn(
    seed: Path,
    chapters: tuple[str, ...],
    questions: int | None,
    arguments: int,
    out: Path | None,
    more: tuple[str, ...],
) -> None:
    """Draw an exam: a sheet of questions to hand out, and a key with answers that are computed.

    The same seed gives the same exam. Neither file holds the seed; no folder of a repository is written to.
    """
    _require("nbformat", "book")
    from weightlore.teaching.variants import class_seed, exam, write_exam

    found = exam(class_seed(seed), (*chapters, *more), questions, arguments=arguments)
    written = write_exam(found, out or seed.expanduser().resolve().parent / f"exam-{found.mark}")
    click.echo("\n".join(f"wrote {path}" for path in written))
    click.echo(f"Hand out the folder {written[0].parent.name} alone; {written[-1].parent.name} is yours.")


def _complaints(path: Path) -> list[str]:
    import nbformat

    from weightlore.teaching.budgets import budget
    from weightlore.teaching.comparison import compare
    from weightlore.teaching.editions import contradictions
    from weightlore.teaching.notebooks import execute

    stored, fresh = nbformat.read(path, as_version=4), execute(path)
    spent = budget(stored, seconds=fresh.metadata["weightlore"]["measured"]["seconds"])
    return [*contradictions(stored), *compare(stored, fresh), *spent]


def _run(root: Path, arguments: list[str]) -> None:
    """Run this Python in the clone; a failure ends the command with the same exit code."""
    code = subprocess.run([sys.executable, *arguments], cwd=root, check=False).returncode
    if code:
        sys.exit(code)


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing; errors are still logged."""


def _serve(pages: Path, port: int) -> None:
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(pages)))
    except OSError as error:
        raise click.ClickException(f"port {port} cannot be used ({error}); choose another with --port") from error
    with server:
        click.echo(f"Serving it at http://127.0.0.1:{server.server_port}/ for this machine alone; Ctrl-C ends.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Ended.")


def _echo_table(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        click.echo(f"{name:<{width}}  {text}")
