"""A long table of similarities: one row for each image, method, network and way of comparing.

    Study       columns of equal length
    .select     the rows that have the asked values
    .summarize  mean over images and networks, and both spreads

Images share the random network that they are explained with, so they are no independent repetitions: the spread of the
mean from network to network is what tells how sure a mean is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from weightlore.errors import ParameterError

__all__ = ["Study", "Summary"]


@dataclass(frozen=True)
class Summary:
    """What the rows of one method, step and way of comparing say.

    Args:
        method: of attribution.
        step: of the randomization, or name of the compared network.
        measure: ``"rank"``, or the name of another measure.
        sign: what was ranked; empty for other measures.
        mask: which pixels counted; empty for other measures.
        mean: over the networks, of their mean over the images where the similarity is defined.
        image_spread: standard deviation over the images of one network, mean over the networks.
        network_spread: standard deviation of the networks' means (divided by their number minus 1); NaN for one.
        networks: how many networks have a mean.
        images: how many rows have a similarity.
        undefined: how many have none: maps that are constant, or too few pixels.
        accuracy: of the compared networks, mean, in [0, 1].

    Source: ours
    """

    method: str
    step: str
    measure: str
    sign: str
    mask: str
    mean: float
    image_spread: float
    network_spread: float
    networks: int
    images: int
    undefined: int
    accuracy: float


@dataclass(frozen=True, eq=False)
class Study:
    """Similarities of the maps of a network and of others, as columns of R rows.

    Args:
        method: name of the attribution method, shape (R,), text.
        step: block that the randomization has reached, or name of the compared network, shape (R,), text.
        draw: number of the random network, from 0, shape (R,), integer.
        image: number of the image, from 0, shape (R,), integer.
        measure: ``"rank"`` for rank correlation, else the name of the measure, shape (R,), text.
        sign: what was ranked, shape (R,), text; empty for other measures.
        mask: which pixels counted, shape (R,), text; empty for other measures.
        value: the similarity, shape (R,), float64; NaN where it is not defined.
        accuracy: of the compared network on the data, shape (R,), in [0, 1].

    Raises:
        ParameterError: if the columns differ in length.

    Source: ours
    """

    method: np.ndarray
    step: np.ndarray
    draw: np.ndarray
    image: np.ndarray
    measure: np.ndarray
    sign: np.ndarray
    mask: np.ndarray
    value: np.ndarray
    accuracy: np.ndarray

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns().items()}
        if len(set(lengths.values())) > 1:
            raise ParameterError(f"the columns of a table must be of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.value)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns by name, as other libraries make their tables from."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def select(
        self,
        *,
        method: str | None = None,
        step: str | None = None,
        draw: int | None = None,
        image: int | None = None,
        measure: str | None = None,
        sign: str | None = None,
        mask: str | None = None,
    ) -> "Study":
        """Return the rows that have all of these values; ``None`` lets a column have any.

        Raises:
            ParameterError: if a column never has the value.
        """
        asked = {"method": method, "step": step, "draw": draw, "image": image}
        asked |= {"measure": measure, "sign": sign, "mask": mask}
        keep = np.ones(len(self), dtype=bool)
        for name, value in asked.items():
            if value is None:
                continue
            column = getattr(self, name)
            if not (column == value).any():
                known = ", ".join(repr(v.item()) for v in np.unique(column)[:20])
                raise ParameterError(f"no row has {name} {value!r}; there are {known}")
            keep &= column == value
        return self._rows(keep)

    def summarize(self) -> tuple[Summary, ...]:
        """Return mean and spreads for each method, step and way of comparing, in the order of the rows."""
        return tuple(_summary(key, rows) for key, rows in self._groups())

    @property
    def undefined(self) -> int:
        """How many rows have no similarity."""
        return int(np.isnan(self.value).sum())

    def __add__(self, other: "Study") -> "Study":
        """Return the rows of both, these first: a study and its controls in one table."""
        mine, theirs = self.columns(), other.columns()
        return Study(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})

    def __repr__(self) -> str:
        return f"Study({len(self)} rows, {self.undefined} of them undefined)"

    def _groups(self) -> Iterator[tuple[tuple[str, ...], "Study"]]:
        keys = np.stack([self.method, self.step, self.measure, self.sign, self.mask])
        _, first, which = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        for group in np.argsort(first):
            yield tuple(str(part) for part in keys[:, first[group]]), self._rows(which.reshape(-1) == group)

    def _rows(self, keep: np.ndarray) -> "Study":
        chosen: dict[str, Any] = {name: column[keep] for name, column in self.columns().items()}
        return replace(self, **chosen)


def _summary(key: tuple[str, ...], rows: Study) -> Summary:
    """Average over images first, then over networks."""
    draws = [rows.value[rows.draw == draw] for draw in np.unique(rows.draw)]
    known = [values[~np.isnan(values)] for values in draws]
    means = np.array([values.mean() for values in known if len(values)])
    spreads = [values.std() for values in known if len(values)]
    accuracy = np.mean([rows.accuracy[rows.draw == draw][0] for draw in np.unique(rows.draw)])
    method, step, measure, sign, mask = key
    return Summary(
        method=method,
        step=step,
        measure=measure,
        sign=sign,
        mask=mask,
        mean=float(means.mean()) if len(means) else np.nan,
        image_spread=float(np.mean(spreads)) if len(means) else np.nan,
        network_spread=float(means.std(ddof=1)) if len(means) > 1 else np.nan,
        networks=len(means),
        images=sum(map(len, known)),
        undefined=rows.undefined,
        accuracy=float(accuracy),
    )
