"""Read the seed of a class from a private file.

Solutions of the book are public, so a class that is graded needs other numbers. They come from one line of text in a
file that nobody else reads, and that lies where nothing is published.
"""

import hashlib
import re
from pathlib import Path

from weightlore.errors import ParameterError

__all__ = ["class_seed", "outside"]

HEADER, SHORTEST = "weightlore-class-seed:", 16
LINE = re.compile(rf"{HEADER}\s*(\S{{{SHORTEST},}})")
HOW = (
    f"python -c \"import secrets; print('{HEADER}', secrets.token_hex(16))\" > ~/class.seed makes one "
    "for a class; keep it for as long as its marks matter"
)


def class_seed(path: Path | str) -> int:
    """Return the seed of a class.

    Args:
        path: a file outside of every repository, with the one line ``weightlore-class-seed: TEXT``, where TEXT has at
            least 16 characters without a blank.

    Returns:
        A number of 256 bits, the same for the same text.

    Raises:
        ParameterError: if there is no such file, it cannot be read, lies in a repository, or has no such line; the
            message says how to make one, and never what is in it.

    Source: ours
    """
    file = outside(path, "The seed of a class")
    if not file.is_file():
        raise ParameterError(f"{path} is no file; the seed of a class is a line of text in one. {HOW}")
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ParameterError(f"{path} cannot be read ({error.strerror}); give yourself the right to read it") from error
    found = LINE.fullmatch(text.strip())
    if found is None:
        raise ParameterError(
            f"{path} must hold one line, {HEADER!r} and at least {SHORTEST} characters without a blank. {HOW}"
        )
    return int.from_bytes(hashlib.sha256(found[1].encode()).digest(), "big")


def outside(path: Path | str, what: str) -> Path:
    """Return where a path leads, if that is in no repository.

    Args:
        path: of a file or folder, there or not; links are followed.
        what: that lies there, for the message.

    Raises:
        ParameterError: if it lies in a clone of a repository, from which it could be published.

    Source: ours
    """
    place = Path(path).expanduser().resolve()
    for folder in (place, *place.parents):
        if (folder / ".git").exists() or (folder / "pkg" / "weightlore").is_dir():
            raise ParameterError(
                f"{what} is private, and {path} lies in the repository {folder.name}, where a commit could publish it; "
                "put it elsewhere, such as into your home folder"
            )
    return place
