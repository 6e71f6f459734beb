"""Runs inside a kernel: every figure that is shown carries its alt text in the metadata of the output."""

import atexit
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["start"]


def start() -> None:
    """Ask IPython to describe every matplotlib figure it shows, and to report time and peak memory at the end.

    Source: ours
    """
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    shell.display_formatter.mimebundle_formatter.for_type_by_name("matplotlib.figure", "Figure", _alt)
    if report := os.environ.get("WEIGHTLORE_KERNEL_REPORT"):
        atexit.register(_write, Path(report))


def _alt(figure: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    from weightlore.teaching.describe import describe

    return {}, {"image/png": {"alt": describe(figure).alt}}


def _write(report: Path) -> None:
    spent = {"seconds": time.process_time()}  # of the processor: a busy machine does not lengthen it
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent["memory_mb"] = peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    except ImportError:  # Windows counts otherwise
        pass
    report.write_text(json.dumps(spent))
