"""Race several ways of doing the same work, so that the ratio of their times holds on a noisy machine.

All contestants run in one process on one thread. Each is first compared with a reference: a fast wrong answer does not
start. Then they run in rounds, each once a round, in an order that rotates; a ratio is taken within every round, and
the median over the rounds is reported. A contestant's turn is one run, or as many as fill ten milliseconds, so that
what it finds in the caches is its own. Time is the processor time of the process, so that other work on the machine
counts only through the caches that are shared. Peak memory is that of one further run.
"""

import ctypes
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import torch

import weightlore

RESULTS = Path(__file__).parent / "results"
TURN = 0.01  # seconds
Contestant = Callable[[], Any]


@dataclass(frozen=True)
class Race:
    """Some ways of doing the same work.

    Args:
        name: of the race, unique within its workload.
        what: the work, in a sentence.
        contestants: name -> function without arguments.
        candidate: the contestant of this package.
        reference: the contestant whose result is right.
        tolerance: largest difference from the reference, relative to its largest entry.
        compared: makes what is compared of a contestant's result.
        targets: contestant -> how many times the candidate's time it must take at least (above 1 where the candidate
            is to be faster, below 1 where it may be slower).
    """

    name: str
    what: str
    contestants: dict[str, Contestant]
    candidate: str
    reference: str
    tolerance: float
    compared: Callable[[Any], Any] = torch.as_tensor
    targets: dict[str, float] = field(default_factory=dict)


def run(workload: str, races: list[Race], rounds: int) -> bool:
    """Run the races of a workload, print a table each, write them to a file, and say whether every target is met."""
    torch.set_num_threads(1)
    times = []
    for race in races:
        _check(race)
        times.append(_times(race.contestants, rounds))
    outcomes = [_outcome(race, taken) for race, taken in zip(races, times, strict=True)]  # peaks only after all times
    for race, outcome in zip(races, outcomes, strict=True):
        _show(workload, race, outcome)
    content = {"workload": workload, "machine": machine(), "versions": versions(), "rounds": rounds, "races": outcomes}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{workload}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return all(entry["met"] is not False for outcome in outcomes for entry in outcome["contestants"].values())


def _check(race: Race) -> None:
    found = {name: race.compared(contestant()).double() for name, contestant in race.contestants.items()}
    right = found[race.reference]
    scale = right.abs().max().item()
    for name, result in found.items():
        difference = (result - right).abs().max().item()
        if not difference <= race.tolerance * scale:
            raise SystemExit(f"{race.name}: {name} differs from {race.reference} by {difference:.3g} of {scale:.3g}")


def _times(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    names, times = list(contestants), {name: [] for name in contestants}
    runs = {name: ceil(TURN / max(_time(contestant, 1), TURN / 100)) for name, contestant in contestants.items()}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            gc.collect()
            times[name].append(_time(contestants[name], runs[name]))
    return times


def _time(contestant: Contestant, runs: int) -> float:
    """Return the seconds of processor time that one run takes, on average over some in a row."""
    start = time.process_time()
    for _ in range(runs):
        contestant()
    return (time.process_time() - start) / runs


def _outcome(race: Race, times: dict[str, list[float]]) -> dict[str, Any]:
    entries = {}
    for name, contestant in race.contestants.items():
        ratios = [mine / candidate for mine, candidate in zip(times[name], times[race.candidate], strict=True)]
        ratio, target = statistics.median(ratios), race.targets.get(name)
        entries[name] = {
            "ratio": round(ratio, 2),
            "lowest": round(min(ratios), 2),
            "highest": round(max(ratios), 2),
            "median_ms": round(1e3 * statistics.median(times[name]), 2),
            "peak_mb": _peak(contestant),
            "target": target,
            "met": None if target is None else ratio >= target,
        }
    return {"name": race.name, "what": race.what, "candidate": race.candidate, "contestants": entries}


def _peak(contestant: Contestant) -> float | None:
    """Return the resident memory in MB that a run adds at its peak, or None where the system does not tell."""
    gc.collect()
    try:
        library = ctypes.CDLL(None)
        library.mallopt(
            -3, 128 * 1024
        )  # large blocks go back to the system at once, which takes time: no races after it
        library.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # start counting the peak anew
        before = _resident_peak()
        contestant()
        return round(_resident_peak() - before, 1)
    except (OSError, AttributeError):
        return None


def _resident_peak() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _show(workload: str, race: Race, outcome: dict[str, Any]) -> None:
    print(f"\n{workload} / {race.name}: {race.what}")
    print(f"  {'':28}{'times the candidate':>22}{'target':>9}{'ms':>10}{'peak MB':>9}")
    for name, entry in outcome["contestants"].items():
        spread = f"{entry['ratio']:.2f} ({entry['lowest']:.2f}-{entry['highest']:.2f})"
        target = "" if entry["target"] is None else f"{'ok' if entry['met'] else 'MISSED'} {entry['target']:g}"
        memory = "" if entry["peak_mb"] is None else f"{entry['peak_mb']:.0f}"
        star = "*" if name == race.candidate else " "
        print(f" {star}{name:28}{spread:>22}{target:>9}{entry['median_ms']:>10.1f}{memory:>9}", flush=True)


def machine() -> dict[str, str]:
    """Return what kind of processor this is; nothing that names the machine."""
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    instructions = torch.backends.cpu.get_cpu_capability()
    return {"processor": name, "instructions": instructions, "system": platform.system(), "threads": "1"}


def versions() -> dict[str, str]:
    """Return the versions that a time depends on."""
    return {
        "weightlore": weightlore.__version__,
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
    }
