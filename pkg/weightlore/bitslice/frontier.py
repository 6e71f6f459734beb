"""Accuracy against empty slices, over strengths and seeds: one point per method proves little.

    frontier(make, data, ...)       pre-train once per seed, prune, fine-tune with every method and strength
    pareto(points)                  the points that no other beats in both accuracy and density
    density_at(points, accuracy)    density between neighboring points of the front
    chosen(points, method, ...)     the strength that validation data would choose

All methods of a seed start from the same pruned network and see the same batches, so that differences are paired.
Epochs and strengths are selected on validation data; test accuracy is written down and never looked at here.
"""

import copy
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from weightlore.bitslice.charging import Penalty, l1_penalty
from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.metrics import bitline_loads, nonzero_ratios
from weightlore.bitslice.phases import Phase, Recipe, fit_phase
from weightlore.bitslice.pruning import prune
from weightlore.data import Split
from weightlore.errors import DataError, ParameterError
from weightlore.training import evaluate

__all__ = ["Point", "chosen", "density_at", "frontier", "pareto"]

FORMAT = 1
Method = Callable[[float], Penalty | None]


@dataclass(frozen=True)
class Point:
    """One fine-tuned network.

    Args:
        method: its name.
        strength: alpha.
        seed: of the network and of the order of the batches.
        epoch: the selected one, from 1; 0 for the pruned network that was not fine-tuned.
        validation_accuracy: in [0, 1].
        test_accuracy: likewise, ``None`` where no test data were given.
        slices: non-zero digits of each slice in percent, least significant first.
        weight: non-zero codes in percent.
        largest_loads: the fullest bitline of each slice over all weight matrices.

    Source: ours
    """

    method: str
    strength: float
    seed: int
    epoch: int
    validation_accuracy: float
    test_accuracy: float | None
    slices: tuple[float, ...]
    weight: float
    largest_loads: tuple[int, ...]

    @property
    def density(self) -> float:
        """Non-zero digits in percent, mean over the slices."""
        return fmean(self.slices)


def frontier(
    make: Callable[[torch.Generator], FixedPoint],
    data: Split,
    methods: Mapping[str, tuple[Method, Sequence[float]]],
    *,
    validation: Split,
    seeds: Sequence[int],
    recipe: Recipe | None = None,
    test: Split | None = None,
    rows: int = 128,
    file: str | os.PathLike[str] | None = None,
    progress: Callable[[Point], None] | None = None,
) -> tuple[Point, ...]:
    """Return one point for each seed, method and strength, and one for each pruned network.

    With a file every finished point is written at once, and unfinished trainings keep a checkpoint in a folder beside
    it; the same call goes on where it was stopped, and a call with more strengths or seeds adds to what is there.

    Args:
        make: a network from a generator.
        data: N examples to train on.
        methods: name -> (from a strength to a penalty, strengths): ``{"slice": (slice_l1_penalty, (0.1, 0.5))}``.
        validation: for the selection of epochs.
        seeds: one network each.
        recipe: epochs, strength of the pre-training, threshold and optimizer.
        test: written down, never used to select.
        rows: R, rows of a tile, for the loads.
        file: JSON, to write to and to resume from; ``None`` keeps nothing.
        progress: called with every new point.

    Returns:
        Points, seed by seed; the pruned network's method is ``"pruned"``.

    Raises:
        ParameterError: if the file belongs to other settings, or as ``fit_phase``.
        DataError: if the file cannot be read.

    Source: ours, because one operating point for each method can mislead
    """
    if not seeds or not methods:
        raise ParameterError(f"seeds and methods must hold at least one entry, got {list(seeds)} and {list(methods)}")
    study = _Study(
        make, data, validation, test, recipe or Recipe(), rows, None if file is None else Path(file), progress
    )
    for seed in seeds:
        asked: list[tuple[str, float, Method | None]] = [("pruned", 0.0, None)]
        asked += [(name, float(a), method) for name, (method, strengths) in methods.items() for a in strengths]
        for name, strength, method in asked:
            study.add(seed, name, strength, method)
    wanted = {name: {float(a) for a in strengths} for name, (_, strengths) in methods.items()} | {"pruned": {0.0}}
    return tuple(p for p in study.points if p.seed in seeds and p.strength in wanted.get(p.method, ()))


def pareto(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return the points that no other beats, by rising density.

    A point beats another if it is at least as accurate on validation data and at most as dense, and better in one.

    Args:
        points: of one method and one seed, or of several.

    Returns:
        The front; accuracy rises with density along it.

    Source: ours
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.density, -p.validation_accuracy)):
        if not front or point.validation_accuracy > front[-1].validation_accuracy:
            front.append(point)
    return tuple(front)


def density_at(points: Iterable[Point], accuracy: float, *, slice_number: int | None = None) -> float | None:
    """Return the density that a method needs for an accuracy, between two neighboring points of its front.

    Args:
        points: of one method.
        accuracy: on validation data, in [0, 1].
        slice_number: k for the density of one slice, ``None`` for the mean.

    Returns:
        Non-zero digits in percent, or ``None`` where the accuracy lies outside of the front.

    Source: ours, because methods can only be compared at equal accuracy
    """
    front = pareto(points)

    def density(point: Point) -> float:
        return point.density if slice_number is None else point.slices[slice_number]

    for below, above in zip(front, (*front[1:], *front[-1:]), strict=True):
        low, high = below.validation_accuracy, above.validation_accuracy
        if low <= accuracy <= high:
            share = (accuracy - low) / (high - low) if high > low else 0.0
            return density(below) + share * (density(above) - density(below))
    return None


def chosen(points: Iterable[Point], method: str, *, lost: float = 0.005) -> float | None:
    """Return the strength with the fewest non-zero digits that loses little validation accuracy.

    Accuracy and density are means over the seeds; the loss is counted from the most accurate strength of all methods.

    Args:
        points: as ``frontier`` returns them.
        method: its name.
        lost: share of the validation examples that may be lost, >= 0.

    Returns:
        The strength, or ``None`` where every one loses more.

    Raises:
        ParameterError: if there is no point of the method, or lost is negative.

    Source: ours
    """
    if not lost >= 0:
        raise ParameterError(f"lost is a share of validation examples and must be >= 0, got {lost}")
    groups: dict[tuple[str, float], list[Point]] = {}
    for point in points:
        groups.setdefault((point.method, point.strength), []).append(point)
    if not any(name == method for name, _ in groups):
        raise ParameterError(f"there is no point of method {method!r}, only of {sorted({n for n, _ in groups})}")
    accuracy = {key: fmean(p.validation_accuracy for p in group) for key, group in groups.items()}
    enough = [key for key in groups if key[0] == method and accuracy[key] >= max(accuracy.values()) - lost - 1e-12]
    return min(enough, key=lambda key: fmean(p.density for p in groups[key]))[1] if enough else None


class _Study:
    """The points so far, the file that keeps them, and the pruned network of the current seed."""

    def __init__(
        self,
        make: Callable[[torch.Generator], FixedPoint],
        data: Split,
        validation: Split,
        test: Split | None,
        recipe: Recipe,
        rows: int,
        file: Path | None,
        progress: Callable[[Point], None] | None,
    ) -> None:
        self.make, self.data, self.validation, self.test = make, data, validation, test
        self.recipe, self.rows, self.file, self.progress = recipe, rows, file, progress
        self.seed: int | None = None
        self.settings = _settings(make, data, validation, test, recipe, rows)
        self.points = [] if file is None else _read(file, self.settings)

    def add(self, seed: int, name: str, strength: float, method: Method | None) -> None:
        """Fine-tune one network, unless its point is there."""
        if any((p.seed, p.method, p.strength) == (seed, name, strength) for p in self.points):
            return
        model, masks = self._pruned(seed)
        if method is None:
            point = self._point(seed, name, strength, model, None)
        else:
            path = self._path(seed, f"{name}-{strength!r}.pt")
            phase = fit_phase(
                model,
                self.data,
                method(strength),
                validation=self.validation,
                generator=torch.Generator().manual_seed(seed + 1),
                epochs=self.recipe.finetune_epochs,
                recipe=self.recipe,
                masks=masks,
                checkpoint=path,
            )
            point = self._point(seed, name, strength, model, phase)
        self._keep(point)
        if method is not None and path is not None:
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.best").unlink(missing_ok=True)
        if self.progress is not None:
            self.progress(point)

    def _pruned(self, seed: int) -> tuple[FixedPoint, dict[str, Tensor]]:
        """Return a copy of the pre-trained and pruned network of a seed, and its masks."""
        if self.seed != seed:
            generator = torch.Generator().manual_seed(seed)
            self.start = self.make(generator)
            fit_phase(
                self.start,
                self.data,
                l1_penalty(self.recipe.pretrain_strength),
                validation=self.validation,
                generator=generator,
                epochs=self.recipe.pretrain_epochs,
                recipe=self.recipe,
                checkpoint=self._path(seed, "pretrain.pt"),
            )
            self.masks = prune(self.start, self.recipe.threshold)
            self.seed = seed
        return copy.deepcopy(self.start), self.masks

    def _point(self, seed: int, name: str, strength: float, model: FixedPoint, phase: Phase | None) -> Point:
        ratios = nonzero_ratios(model)
        return Point(
            method=name,
            strength=strength,
            seed=seed,
            epoch=0 if phase is None else phase.epoch,
            validation_accuracy=evaluate(model, self.validation).accuracy,
            test_accuracy=None if self.test is None else evaluate(model, self.test).accuracy,
            slices=tuple(ratios.slices.tolist()),
            weight=ratios.weight,
            largest_loads=_largest_loads(model, self.rows),
        )

    def _path(self, seed: int, name: str) -> Path | None:
        return None if self.file is None else self.file.with_suffix("") / f"seed-{seed}" / name

    def _keep(self, point: Point) -> None:
        self.points.append(point)
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            content = {"format": FORMAT, "settings": self.settings, "points": [asdict(p) for p in self.points]}
            partial = self.file.with_name(f"{self.file.name}.partial")
            partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            partial.replace(self.file)


def _largest_loads(model: FixedPoint, rows: int) -> tuple[int, ...]:
    """Return the fullest bitline of each slice over all weight matrices."""
    matrices = [q.code for q in model.codes().values() if q.code.ndim > 1]
    loads = [
        bitline_loads(code, rows=rows, bits=model.bits, cell_bits=model.cell_bits).flatten(1).amax(1)
        for code in matrices
    ]
    return tuple(torch.stack(loads).amax(0).tolist()) if loads else ()


def _settings(
    make: Callable[[torch.Generator], FixedPoint],
    data: Split,
    validation: Split,
    test: Split | None,
    recipe: Recipe,
    rows: int,
) -> dict[str, Any]:
    """Return what points in one file must share, as far as it can be written down."""
    model = make(torch.Generator().manual_seed(0))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "bits": [model.bits, model.cell_bits],
        "examples": [len(data), len(validation), 0 if test is None else len(test)],
        **recipe.settings(),
        "rows": rows,
    }


def _read(file: Path, settings: dict[str, Any]) -> list[Point]:
    if not file.exists():
        return []
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        points = [
            Point(**{**p, "slices": tuple(p["slices"]), "largest_loads": tuple(p["largest_loads"])})
            for p in content["points"]
        ]
        known = content["settings"] if content["format"] == FORMAT else {}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} holds no frontier ({type(error).__name__}); delete it to start afresh") from error
    different = [f"{n} {known.get(n)} -> {value}" for n, value in settings.items() if known.get(n) != value]
    if different:
        raise ParameterError(
            f"{file} belongs to a study with other settings ({', '.join(different)}); "
            "give another file, or those settings"
        )
    return points
