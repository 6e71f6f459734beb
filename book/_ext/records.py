"""The pages that show what was measured: the ledger of claims, and the budgets and times of the notebooks.

Nothing is measured here and no number is typed here: the pages say what lies in ``book/ledger``, in the notebooks and
in ``benchmarks/results`` at the moment of the build.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["benchmarks", "ledger", "notebooks", "verdicts"]

ROOT = Path(__file__).resolve().parents[2]
LEDGERS = ROOT / "book" / "ledger"
RESULTS = ROOT / "benchmarks" / "results"
TUTORIALS = ROOT / "tutorials"
STATE = "application/vnd.jupyter.widget-state+json"

COLORS = {
    "reproduced": "success",
    "same direction": "info",
    "undecided": "secondary",
    "not reproduced": "danger",
    "not tried": "light",
}
WHOSE = {"paper": "The paper's claim", "other": "Another's claim", "ours": "Our claim, beside"}


def read(path: Path) -> Any:
    """Return what a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table that scrolls by itself where a page is narrow."""
    lines = ["| " + " | ".join(head) + " |"]
    lines.append("|" + "---|" * (lines[0].count("|") - 1))
    lines += ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join(["::::{div} wl-scroll", "", *lines, "", "::::"])


# --- ledger -------------------------------------------------------------------------------------------------------


def ledger() -> str:
    """Return every chapter's claims, each with its numbers and its verdict."""
    files = sorted(LEDGERS.glob("*.json"))
    if not files:
        return "No claim has been measured yet."
    return "\n\n".join([verdicts(), *(chapter(path) for path in files)])


def verdicts() -> str:
    """Return the count of each verdict in each chapter."""
    files = sorted(LEDGERS.glob("*.json"))
    counts = {path.stem: Counter(row["verdict"] for row in read(path)["rows"]) for path in files}
    rows = ([name, *(count[verdict] for verdict in COLORS)] for name, count in counts.items())
    return table(("chapter", *COLORS), rows) if files else "No claim has been measured yet."


def chapter(path: Path) -> str:
    """Return the claims of one chapter."""
    number, _, name = path.stem.partition("_")
    return "\n\n".join([f"## Chapter {number}: {name}", *(claim(path.stem, row) for row in read(path)["rows"])])


def claim(name: str, row: Mapping[str, Any]) -> str:
    """Return one claim as a card: the statement, whose it is, the paper's number, ours, and every seed folded below."""
    paper = plain(row["paper_number"] or "") or ("none, the claim is ours" if row["whose"] == "ours" else "unknown")
    lines = [
        f"(claim-{name}-{row['id']})=",
        ":::::::{card}",
        ":class-card: wl-claim",
        f"**{plain(row['statement'])}** {{bdg-{COLORS[row['verdict']]}}}`{row['verdict']}`",
        "",
        f"- {WHOSE[row['whose']]}: {{cite:t}}`{row['source']}`",
        f"- The paper's number: {paper}",
        f"- Our setting: {plain(row['setting'])}",
        f"- Our number: {number(row)}",
        "",
        seeds(row),
        ":::::::",
    ]
    return "\n".join(lines)


def number(row: Mapping[str, Any]) -> str:
    """Return a claim's measured mean with its interval and spread over seeds."""
    if row["mean"] is None:
        return f"none; it needs {', '.join(row['needs'])}" if row["needs"] else "none yet"
    text = f"**{row['mean']:g}** {row['unit']}".rstrip()
    if row["interval"] is not None:
        low, high = row["interval"]
        text += f" over {len(row['values'])} seeds (95 % interval {low:g} to {high:g}, spread {row['spread']:g})"
    if row.get("effect") is not None:
        low, high = row["together"]
        text += f"; effect size {row['effect']:g}; {low:g} to {high:g} if all {row['comparisons']} comparisons count"
    missing = row["seeds"] - len(row["values"])
    return f"{text}; {missing} of {row['seeds']} seeds are still to be run" if missing else text


def seeds(row: Mapping[str, Any]) -> str:
    """Return the measurements of a claim, one row a seed, folded."""
    values = row["values"]
    if not values:
        return ""
    names = list(dict.fromkeys(name for numbers in values.values() for name in numbers))
    rows = ([seed, *(f"{numbers[n]:g}" if n in numbers else "" for n in names)] for seed, numbers in values.items())
    return "\n".join(["::::::{dropdown} Every measurement", table(("seed", *names), rows), "::::::"])


# --- status -------------------------------------------------------------------------------------------------------


def notebooks() -> str:
    """Return what each notebook promised and what was measured."""
    head = ("notebook", "minutes to read", "seconds declared", "seconds measured", "MB declared", "kB of file")
    head += ("kB of widget data", "code cells", "exercises")
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    found = sorted(TUTORIALS.glob("[0-9]*/*.ipynb"))
    paths = [path for path in found if path.relative_to(ROOT).with_suffix("").as_posix() in contents]
    return table(head, map(notebook, paths)) if paths else "No notebook is stored yet."


def notebook(path: Path) -> list[Any]:
    """Return one notebook's row of the status page."""
    stored = read(path)
    declared = stored["metadata"].get("weightlore", {})
    state = stored["metadata"].get("widgets", {}).get(STATE, {}).get("state", {})
    data = sum(len(buffer["data"]) for record in state.values() for buffer in record.get("buffers", []))
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    exercises = sum("exercise" in cell["metadata"].get("tags", []) for cell in stored["cells"])
    measured = declared.get("measured", {}).get("seconds")
    return [
        f"[{path.stem}](/{path.relative_to(ROOT).as_posix()})",
        declared.get("minutes", "not declared"),
        declared.get("seconds", "not declared"),
        "not measured" if measured is None else f"{measured:.0f}",
        declared.get("memory_mb", "not declared"),
        f"{path.stat().st_size / 1000:.0f}",
        f"{data / 1000:.0f}",
        len(code),
        exercises,
    ]


def benchmarks() -> str:
    """Return what was measured against peers, one table for each workload."""
    parts = [workload(read(path)) for path in sorted(RESULTS.glob("*.json"))]
    return "\n\n".join(parts) if parts else "Nothing was measured yet; `make bench` does."


def workload(result: Mapping[str, Any]) -> str:
    """Return the races of one workload: how many times as long as ours each contestant took."""
    machine = ", ".join(f"{key} {value}" for key, value in (result["machine"] | result["versions"]).items())
    head = ("race", "contestant", "ratio", "over the rounds", "median ms", "peak MB", "target")
    rows = [lap(race, name, numbers) for race in result["races"] for name, numbers in race["contestants"].items()]
    what = [f"- *{race['name']}*: {plain(race['what'])}; ours is `{race['candidate']}`" for race in result["races"]]
    parts = [f"### {result['workload']}", "\n".join(what), table(head, rows)]
    return "\n\n".join([*parts, f"{result['rounds']} rounds; {plain(machine)}."])


def lap(race: Mapping[str, Any], name: str, numbers: Mapping[str, Any]) -> list[str]:
    """Return one row of a workload's table."""
    target = "" if numbers["target"] is None else f"{numbers['target']:g}, {'met' if numbers['met'] else 'missed'}"
    spread = f"{numbers['lowest']:g} to {numbers['highest']:g}"
    values = [numbers[key] for key in ("ratio", "median_ms", "peak_mb")]
    measured = ["" if value is None else f"{value:g}" for value in values]
    return [race["name"], plain(name), measured[0], spread, *measured[1:], target]


def plain(text: str) -> str:
    """Return text in which nothing is markup."""
    return re.sub(r"([\\`*_<>|$\[\]{}~])", r"\\\1", text)
