"""Frontiers of accuracy against empty slices: those stored with the ledger, and those a notebook has just trained.

    stored_frontiers()        names of the studies that lie beside the ledger, in book/ledger/frontier/
    stored_frontier(name)     what was trained, in words, and its points
    Frontier.curve(method)    density and accuracy over the strengths, means over seeds
    Frontier.needed(...)      density that a method needs for an accuracy, means over seeds

Nothing is trained here. Studies with several seeds compare methods within a seed.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from weightlore.bitslice import Point, density_at
from weightlore.errors import DataError, ParameterError
from weightlore.teaching.ledgers import _folder

__all__ = ["Curve", "Frontier", "stored_frontier", "stored_frontiers"]


@dataclass(frozen=True)
class Curve:
    """One method over its strengths, means over seeds, by rising density.

    Args:
        strength: alpha of each point, shape (n,).
        density: non-zero digits in percent, shape (n,).
        accuracy: on test data, in [0, 1], shape (n,).

    Source: ours
    """

    strength: np.ndarray
    density: np.ndarray
    accuracy: np.ndarray

    def at(self, strength: float) -> tuple[float, float]:
        """Return density and accuracy of one strength.

        Raises:
            ParameterError: if it was not tried; the message lists those that were.

        Source: ours
        """
        if strength not in self.strength:
            raise ParameterError(f"strength {strength:g} was not tried, only {sorted(self.strength.tolist())}")
        place = self.strength.tolist().index(strength)
        return float(self.density[place]), float(self.accuracy[place])


@dataclass(frozen=True)
class Frontier:
    """Networks trained with several methods, strengths and seeds.

    Args:
        words: what was trained, on what, for how long.
        points: one network each, as ``bitslice.frontier`` returns them.

    Source: ours
    """

    words: str
    points: tuple[Point, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(sorted({point.seed for point in self.points}))

    def curve(self, method: str, *, slice_number: int | None = None) -> Curve:
        """Return density and test accuracy of a method over its strengths.

        Args:
            method: its name.
            slice_number: k for the density of one slice, ``None`` for the mean over the slices.

        Raises:
            ParameterError: if there is no such method, or a point lacks its test accuracy.

        Source: ours
        """
        groups: dict[float, list[Point]] = {}
        for point in self._of(method):
            groups.setdefault(point.strength, []).append(point)
        rows = sorted((_density(group, slice_number), _accuracy(group), a) for a, group in groups.items())
        density, accuracy, strength = (np.array(column) for column in zip(*rows, strict=True))
        return Curve(strength, density, accuracy)

    def needed(self, method: str, lost: float, *, slice_number: int | None = None) -> float:
        """Return the density that a method needs if so much accuracy may be lost.

        The loss counts from the best validation accuracy of the same seed, whatever the method.

        Args:
            method: its name.
            lost: share of the validation examples, >= 0.
            slice_number: as for ``curve``.

        Returns:
            Non-zero digits in percent, mean over seeds; NaN if the method's front does not reach in some seed.

        Raises:
            ParameterError: if there is no such method, or lost is negative.

        Source: ours, because methods can only be compared at equal accuracy
        """
        if not lost >= 0:
            raise ParameterError(f"lost is a share of validation examples and must be >= 0, got {lost}")
        mine, found = self._of(method), []
        for seed in self.seeds:
            best = max(point.validation_accuracy for point in self.points if point.seed == seed)
            here = [point for point in mine if point.seed == seed]
            found.append(density_at(here, best - lost, slice_number=slice_number))
        known = [one for one in found if one is not None]
        return fmean(known) if len(known) == len(found) else float("nan")

    def _of(self, method: str) -> list[Point]:
        mine = [point for point in self.points if point.method == method]
        if not mine:
            raise ParameterError(f"no method {method!r} was tried, only {sorted({p.method for p in self.points})}")
        return mine


def stored_frontier(name: str, *, folder: Path | str | None = None) -> Frontier:
    """Return a study that was trained for the ledger.

    Args:
        name: such as ``"clothes-short"``.
        folder: where the studies lie; ``None`` for those beside the ledger.

    Raises:
        DataError: if there is no study of that name, or its file cannot be read.

    Source: ours
    """
    path = _studies(folder) / f"{name}.json"
    if not path.exists():
        raise DataError(f"there is no study {name!r}, only {list(stored_frontiers(folder=folder))}; see make claims")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        points = [
            Point(**{**p, "slices": tuple(p["slices"]), "largest_loads": tuple(p["largest_loads"])})
            for p in content["points"]
        ]
        return Frontier(content["study"], tuple(points))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no frontier ({type(error).__name__}); `make claims` writes it") from error


def stored_frontiers(*, folder: Path | str | None = None) -> tuple[str, ...]:
    """Return the names of the stored studies.

    Args:
        folder: as in ``stored_frontier``.

    Source: ours
    """
    return tuple(path.stem for path in sorted(_studies(folder).glob("*.json")))


def _studies(folder: Path | str | None) -> Path:
    return Path(folder) if folder is not None else _folder(None) / "frontier"


def _density(points: list[Point], slice_number: int | None) -> float:
    return fmean(p.density if slice_number is None else p.slices[slice_number] for p in points)


def _accuracy(points: list[Point]) -> float:
    known = [p.test_accuracy for p in points if p.test_accuracy is not None]
    if len(known) < len(points):
        raise ParameterError("a point has no test accuracy; give frontier(..., test=) the test data")
    return fmean(known)
