"""Show the stored rows of a chapter's claims: in a notebook, on a page, in a terminal.

ledger(chapter)   the rows; nothing is measured and nothing decided here
"""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightlore.errors import DataError

__all__ = ["Ledger", "chapters", "ledger"]

WHOSE = {"paper": "the paper", "other": "another's", "ours": "ours"}
HEAD = ("claim", "whose", "paper's number", "our setting", "our number", "verdict")


@dataclass(frozen=True)
class Ledger:
    """The rows of one chapter.

    Args:
        chapter: such as ``"1_corrupted"``.
        rows: one mapping per claim, as ``claims.row`` makes it.

    Source: ours
    """

    chapter: str
    rows: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        """Number of claims."""
        return len(self.rows)

    def __getitem__(self, claim: str) -> Mapping[str, Any]:
        """Return the row of a claim.

        Args:
            claim: its id.

        Raises:
            KeyError: if the chapter has no such claim.
        """
        found = {row["id"]: row for row in self.rows}
        return found[claim]

    def only(self, *ids: str) -> "Ledger":
        """Return the ledger of some claims, in the order asked for.

        Args:
            ids: ids of claims.

        Raises:
            KeyError: if the chapter has no such claim.
        """
        return Ledger(self.chapter, tuple(self[claim] for claim in ids))

    def counts(self) -> dict[str, int]:
        """Return how many claims have each verdict."""
        verdicts = [row["verdict"] for row in self.rows]
        return {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}

    def __repr__(self) -> str:
        lines = [f"Ledger of chapter {self.chapter}, {len(self)} claims"]
        for row in self.rows:
            statement, whose, paper, _, number, verdict = _cells(row)
            lines.append(f"- {statement} ({whose}) Paper: {paper}. Ours: {number}. {verdict}.")
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        for row in self.rows:
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(row)) + " |")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in HEAD)
        body = ""
        for row in self.rows:
            first, *others = (html.escape(cell) for cell in _cells(row))
            cells = zip(HEAD[1:], others, strict=True)  # on a phone a row is a card, and each cell says what it is
            body += f'<tr><th scope="row">{first}</th>'
            body += "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in cells) + "</tr>"
        caption = f"What was claimed and what we found, chapter {html.escape(self.chapter)}"
        rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'<table class="wl-ledger"><caption>{caption}</caption>{rows}</table>'


def ledger(chapter: str, *, folder: Path | str | None = None) -> Ledger:
    """Return the stored rows of a chapter's claims.

    Args:
        chapter: such as ``"1_corrupted"``.
        folder: where the ledgers lie; ``None`` for those of this repository, or those shipped with the package.

    Raises:
        DataError: if there is no ledger of that name; the message lists those there are.

    Source: ours
    """
    path = _folder(folder) / f"{chapter}.json"
    if not path.exists():
        raise DataError(
            f"there is no ledger {chapter!r}, only {list(chapters(folder=folder))}; `make claims` writes it"
        )
    return Ledger(chapter, tuple(json.loads(path.read_text(encoding="utf-8"))["rows"]))


def chapters(*, folder: Path | str | None = None) -> tuple[str, ...]:
    """Return the names of the chapters that have a ledger.

    Args:
        folder: as in ``ledger``.

    Source: ours
    """
    return tuple(path.stem for path in sorted(_folder(folder).glob("*.json")))


def _folder(folder: Path | str | None) -> Path:
    package = Path(__file__).resolve().parents[1]
    repository = package.parents[1] / "book" / "ledger"
    return Path(folder) if folder is not None else repository if repository.is_dir() else package / "ledger"


def _cells(row: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    """Return a row as the reader sees it, in the order of ``HEAD``."""
    paper = "unknown" if row["paper_number"] is None else row["paper_number"]
    if row["whose"] == "ours" and row["paper_number"] is None:
        paper = "none, the claim is ours"
    source = f"{WHOSE[row['whose']]} [{row['source']}]"
    return row["statement"], source, paper, row["setting"], _number(row), row["verdict"]


def _number(row: Mapping[str, Any]) -> str:
    if row["mean"] is None:
        return f"needs {', '.join(row['needs'])}" if row["needs"] else "none yet"
    unit = f" {row['unit']}" if row["unit"] else ""
    done = len(row["values"])
    text = f"{row['mean']:.3g}{unit}"
    if row["interval"] is not None:
        low, high = row["interval"]
        text += f" (95 % interval {low:.3g} to {high:.3g}, spread {row['spread']:.2g}, {done} seeds)"
    if row.get("effect") is not None:
        low, high = row["together"]
        text += f"; effect {row['effect']:.2g}, among {row['comparisons']} comparisons {low:.3g} to {high:.3g}"
    return text if done == row["seeds"] else f"{text}, {done} of {row['seeds']} seeds so far"
