"""Measure every comparison with the libraries that are installed, and keep what was found.

    python -m tests.uncertainty.peers.compare

What belongs to a library that is not installed stays as it was.
"""

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tests.uncertainty.peers import calibrating, detecting, inferring
from tests.uncertainty.peers.case import Case, difference, flat, installed

STORED = Path(__file__).parents[3] / "book" / "libraries" / "agreements.json"
CASES = [*calibrating.CASES, *inferring.CASES, *detecting.CASES]


def stored() -> dict[str, dict[str, Any]]:
    """What was measured, by the names of the comparisons."""
    rows = json.loads(STORED.read_text("utf-8")) if STORED.exists() else []
    return {f"{row['library']}/{row['function']}/{row['what']}": row for row in rows}


def measured(case: Case) -> dict[str, Any]:
    """The two sides of a comparison, and what follows."""
    ours, theirs = flat(case.ours()), flat(case.theirs())
    return {
        "library": case.library,
        "version": installed(case.library),
        "function": case.function,
        "row": case.row,
        "what": case.what,
        "ours": ours,
        "theirs": theirs,
        "difference": difference(ours, theirs),
        "close": case.close,
        "verdict": case.verdict,
        "reason": case.reason,
    }


def main(cases: Iterable[Case] = CASES) -> None:
    """Write the file anew."""
    torch.set_num_threads(1)
    known, rows = stored(), []
    for case in cases:
        if installed(case.library) is None:
            rows += [known[case.name]] if case.name in known else []
            continue
        rows.append(measured(case))
        print(f"{rows[-1]['verdict']:8} {rows[-1]['difference']:.2e}  {case.name}")
    STORED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
