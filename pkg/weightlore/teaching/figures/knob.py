"""A knob: a name, its values and the words for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightlore.errors import ParameterError

__all__ = ["Knob", "as_knobs", "number"]

MOST_KNOBS = 4


def number(value: float) -> str:
    """Return a number as the figures write it: at most four significant digits, no trailing zeros.

    Args:
        value: any number; NaN becomes "missing", an infinite one a word, too.

    Example:
        >>> number(0.30000000000000004), number(1e-05), number(12345.6)
        ('0.3', '1e-5', '12350')

    Source: ours
    """
    if np.isnan(value):
        return "missing"
    if np.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    digits = 3 - int(np.floor(np.log10(abs(value))))
    rounded = round(float(value), digits)
    return f"{rounded:.{max(digits, 0)}f}".rstrip("0").rstrip(".") if digits > 0 else f"{rounded:.0f}"


@dataclass(frozen=True)
class Knob:
    """Something that a reader turns.

    Args:
        label: what it is called, as printed beside the slider; also its key in ``turn`` and ``values_at``.
        values: its values in order, numbers or words, at least one.
        unit: printed after each value, for example ``"%"`` or ``" steps"`` (with its blank), empty for none.
        start: the value it shows first; ``None`` for the first one. A number selects the nearest value.

    Source: ours
    """

    label: str
    values: Sequence[Any]
    unit: str = ""
    start: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(v.item() if hasattr(v, "item") else v for v in self.values))
        if not self.values:
            raise ParameterError(f"knob {self.label!r} has no values; give at least one")
        if self.start is not None:
            self.index(self.start)

    def shown(self) -> list[str]:
        """Return the values as words, with the unit.

        Source: ours
        """
        return [(v if isinstance(v, str) else number(float(v))) + self.unit for v in self.values]

    def index(self, value: Any) -> int:
        """Return the place of a value: the equal one, or the nearest if all are numbers.

        Args:
            value: a value of the knob, or a number near one.

        Raises:
            ParameterError: if a word is not among the values.

        Source: ours
        """
        if value in self.values:
            return self.values.index(value)
        if isinstance(value, str) or any(isinstance(v, str) for v in self.values):
            raise ParameterError(f"knob {self.label!r} has no value {value!r}; it has {', '.join(self.shown())}")
        return int(np.abs(np.asarray(self.values, dtype=float) - float(value)).argmin())


def as_knobs(knobs: Mapping[str, Sequence[Any]] | Iterable[Knob]) -> tuple[Knob, ...]:
    """Return knobs from ``{label: values}`` or from ``Knob`` objects.

    Args:
        knobs: at most four, with different labels.

    Raises:
        ParameterError: for more than four or for two of one name.

    Source: ours
    """
    given = [Knob(k, v) for k, v in knobs.items()] if isinstance(knobs, Mapping) else list(knobs)
    if not all(isinstance(knob, Knob) for knob in given):
        raise ParameterError("knobs must be a mapping {label: values} or a sequence of Knob objects")
    if len(given) > MOST_KNOBS:
        raise ParameterError(f"a figure has at most {MOST_KNOBS} knobs, got {len(given)}; fix the least telling one")
    if len({knob.label for knob in given}) < len(given):
        raise ParameterError(f"two knobs have the same label: {', '.join(knob.label for knob in given)}")
    return tuple(given)
