"""Write the measured ratios into README.md, so that the page and the results cannot differ."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
START, END = "<!-- measured: written by python -m benchmarks -->", "<!-- end of measured -->"


def tables(results: Path = FOLDER / "results") -> str:
    """Return one table per workload, from the files of results."""
    return "\n".join(_table(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(results.glob("*.json")))


def written(page: str) -> str:
    """Return the page with the tables between its two marks."""
    before, rest = page.split(START)
    return f"{before}{START}\n\n{tables()}\n{END}{rest.split(END)[1]}"


def update() -> None:
    """Write the tables into README.md."""
    page = FOLDER / "README.md"
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


def _table(content: dict[str, Any]) -> str:
    machine, versions = content["machine"], content["versions"]
    command = content.get("command", f"python -m benchmarks {content['workload']} --rounds {content['rounds']}")
    lines = [
        f"### {content['workload']}",
        "",
        f"`{command}`: {machine['processor']}, {machine['instructions']}, "
        f"torch {versions['torch']}, Python {versions['python']}.",
        "",
        "| race | contestant | times ours (lowest-highest) | target | ms | peak MB |",
        "|---|---|---|---|---|---|",
    ]
    for race in content["races"]:
        lines += [_row(race, name, entry) for name, entry in race["contestants"].items()]
    works = [f"- *{race['name']}*: {race['what']}." for race in content["races"]]
    return "\n".join([*lines, "", *works, ""])


def _row(race: dict[str, Any], name: str, entry: dict[str, Any]) -> str:
    ours = name == race["candidate"]
    shown = f"**{name}**" if ours else name
    ratio = "1" if ours else f"{entry['ratio']:.2f} ({entry['lowest']:.2f}-{entry['highest']:.2f})"
    target = "" if entry["target"] is None else f"{'met' if entry['met'] else 'missed'}: {entry['target']:g}"
    memory = "" if entry["peak_mb"] is None else f"{entry['peak_mb']:.0f}"
    return f"| {race['name']} | {shown} | {ratio} | {target} | {entry['median_ms']:.1f} | {memory} |"
