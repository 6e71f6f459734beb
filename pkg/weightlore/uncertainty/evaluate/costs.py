"""What methods cost, measured: times of training and of predicting, as multiples of one network's.

cost_table    one row for each method, read from a file that the benchmark ``family_costs`` has written

The file in the package is what was measured last, so that a page that shows it says the same everywhere. To measure on
another machine, run the benchmark there and give its file.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from weightlore.errors import DataError

__all__ = ["CostRow", "cost_table"]


@dataclass(frozen=True)
class CostRow:
    """What one method costs, in units of one plain network.

    Args:
        method: its name.
        training: processor time of training.
        prediction: processor time of predicting a test set.
        stored: numbers that must be kept for a prediction.

    Source: ours, measured
    """

    method: str
    training: float
    prediction: float
    stored: float


def cost_table(results: Path | None = None) -> tuple[CostRow, ...]:
    """Return the measured costs of methods.

    Args:
        results: file of the form of ``costs.json``; ``None`` for the one in the package, which the benchmark writes.

    Returns:
        One row for each method, from the cheapest prediction to the dearest.

    Raises:
        DataError: if the file is missing or is no such file.

    Example:
        >>> cost_table()[0].method
        'one network'

    Source: ours; ratios of processor time within one process, medians over rounds
    """
    source = files(__package__) / "costs.json" if results is None else results
    try:
        rows = [CostRow(**row) for row in json.loads(source.read_text(encoding="utf-8"))["rows"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"no measured costs in {results or 'the package'} ({type(error).__name__}: {error}); write them with "
            "python -m benchmarks family_costs"
        ) from error
    return tuple(sorted(rows, key=lambda row: row.prediction))
