"""Calibration errors: this package, torchmetrics and netcal, beside what cannot be avoided.

*ECE* of 50,000 forecasts with ten classes, the largest probability of each against its class, 15 bins of equal width.
*One max* finds the largest probabilities with their classes, and nothing else; *by hand* is the loop over bins that
most scripts have. *Bins* of a million confidences: equal mass needs them in order, so *a sort* is its bound. *Kernel*:
netcal makes the matrix of all pairs.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.race import Race
from weightlore.uncertainty.calibration import expected_calibration_error, mmce
from weightlore.uncertainty.calibration.binning import partition

Found = Callable[[], Tensor]
BINS = 15


def races() -> list[Race]:
    for peer in ("torchmetrics", "netcal"):
        if find_spec(peer) is None:
            print(f"  {peer} left out: not installed", flush=True)
    return [_ece(), _bins(), _kernel()]


def _ece() -> Race:
    p, y = _forecasts(50_000)
    right = _by_hand(p, y)
    contestants: dict[str, Found] = {
        "expected_calibration_error": partial(expected_calibration_error, p, y, bins=BINS),
        "by hand": partial(_by_hand, p, y),
        "one max": partial(_after, lambda: p.max(1), right),
    }
    targets = {"one max": round(1 / 1.5, 3)}
    if find_spec("torchmetrics"):
        from torchmetrics.functional.classification import multiclass_calibration_error

        contestants["torchmetrics"] = partial(multiclass_calibration_error, p, y, num_classes=10, n_bins=BINS)
        targets["torchmetrics"] = 2
    if find_spec("netcal"):
        from netcal.metrics import ECE

        contestants["netcal"] = lambda: torch.as_tensor(ECE(BINS).measure(p.numpy(), y.numpy()))
    return Race(
        name="ECE",
        what=f"50,000 forecasts of 10 classes, float32, {BINS} bins" + _peers("torchmetrics", "netcal"),
        contestants=contestants,
        candidate="expected_calibration_error",
        reference="by hand",
        tolerance=1e-3,  # of sums in float32
        targets=targets,
    )


def _bins() -> Race:
    r = torch.rand(1_000_000, generator=torch.Generator().manual_seed(2))
    right = partition(r, BINS, "mass").counts
    return Race(
        name="bins",
        what=f"1,000,000 confidences in {BINS} bins of equal mass, float32",
        contestants={
            "partition": lambda: partition(r, BINS, "mass").counts,
            "of equal width": partial(_after, lambda: partition(r, BINS), right),
            "a sort": partial(_after, r.sort, right),
        },
        candidate="partition",
        reference="a sort",
        tolerance=0.0,
        targets={"a sort": round(1 / 3, 3)},
    )


def _kernel() -> Race:
    p, y = _forecasts(3_000)
    r, c = p.max(1).values.double(), (p.argmax(1) == y).double()
    contestants: dict[str, Found] = {"mmce": partial(mmce, p, y), "all pairs": partial(_all_pairs, r, c)}
    if find_spec("netcal"):
        from netcal.metrics import MMCE

        contestants["netcal"] = lambda: torch.as_tensor(MMCE().measure(p.numpy(), y.numpy()))
    return Race(
        name="kernel",
        what="the kernel calibration error of 3,000 forecasts" + _peers("netcal"),
        contestants=contestants,
        candidate="mmce",
        reference="all pairs",
        tolerance=1e-3,  # of sums in float32
    )


def _peers(*names: str) -> str:
    here = [f"{name} {version(name)}" for name in names if find_spec(name)]
    return f"; {', '.join(here)}" if here else ""


def _forecasts(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    p = (3 * torch.randn(size, 10, generator=generator)).softmax(1)
    return p, torch.multinomial(p.sqrt(), 1, generator=generator)[:, 0]  # over-confident


def _by_hand(p: Tensor, y: Tensor) -> Tensor:
    confidence, label = p.max(1)
    hit, edges, error = (label == y).float(), torch.linspace(0, 1, BINS + 1), torch.zeros(())
    for low, high in pairwise(edges):
        inside = (confidence >= low) & ((confidence < high) | (high == 1))
        if inside.any():
            error = error + inside.float().mean() * (hit[inside].mean() - confidence[inside].mean()).abs()
    return error


def _all_pairs(r: Tensor, c: Tensor) -> Tensor:
    gap = c - r
    return (gap @ torch.exp(-(r[:, None] - r).abs() / 0.4) @ gap).sqrt() / len(r)


def _after(work: Callable[[], object], right: Tensor) -> Tensor:
    """Do a part of the work, which has no result that could be compared."""
    work()
    return right
