"""Test data that drift away from training: what every method says at every strength.

shift_benchmark     one row for every method, shift and severity
shifted_images      labeled images under the shifts of ``weightlore.data``, ready for it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from weightlore.data import Split, shift
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import brier_score, ece_noise_floor, expected_calibration_error
from weightlore.uncertainty.evaluate.selective import Predictor
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.ranking import mistakes

__all__ = ["ShiftRow", "shift_benchmark", "shifted_images"]


@dataclass(frozen=True)
class ShiftRow:
    """What one method does under one shift.

    Args:
        method: its name.
        shift: the name of the shift.
        severity: 0 for none.
        accuracy: share of right predictions.
        nll: mean negative log likelihood in nats; infinite where an observed class was said to be impossible.
        brier: mean squared distance from the observed class.
        ece: expected calibration error.
        noise_floor: what the ECE would be by chance alone; never read the one without the other.
        confidence: mean largest probability.

    Source: [ovadia2019trust], metrics over severities
    """

    method: str
    shift: str
    severity: int
    accuracy: float
    nll: float
    brier: float
    ece: float
    noise_floor: float
    confidence: float


def shift_benchmark(
    methods: Mapping[str, Predictor], shifts: Mapping[str, Mapping[int, Split]], *, bins: int = 15
) -> tuple[ShiftRow, ...]:
    """Return accuracy and honesty of every method on every shifted test set.

    Args:
        methods: name -> function from inputs (N, ...) to class probabilities of members.
        shifts: name of the shift -> severity -> the test set under it, as ``shifted_images`` makes them.
        bins: of the calibration error.

    Returns:
        One row for each method, shift and severity, in the order given.

    Raises:
        ParameterError: if there is nothing to compare, or a set is empty or has no class numbers.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty import CategoricalPrediction
        >>> one = lambda x: CategoricalPrediction.from_logits(healthy()(x).detach())
        >>> rows = shift_benchmark({"one": one}, shifted_images(digits("test"), ["rotation"], severities=(0, 5)))
        >>> rows[0].nll < rows[1].nll
        True

    Source: [ovadia2019trust]
    """
    if not methods or not shifts or not all(shifts.values()):
        raise ParameterError("a table needs a method and, for each shift, a severity; got none of one of them")
    rows = []
    for name, method in methods.items():
        for kind, sets in shifts.items():
            for severity, data in sets.items():
                if len(data) == 0:
                    raise ParameterError(f"the set {kind!r} at severity {severity} is empty")
                rows.append(_row(name, kind, severity, method, data, bins))
    return tuple(rows)


def shifted_images(
    data: Split, kinds: Sequence[str], *, severities: Sequence[int] = (0, 1, 2, 3, 4, 5), seed: int = 0
) -> dict[str, dict[int, Split]]:
    """Return a test set under shifts of images.

    Args:
        data: gray levels between 0 and 1, as ``weightlore.data.shift`` takes them, with labels.
        kinds: names of shifts.
        severities: each 0 to 5.
        seed: of what a shift draws; the same draws at every severity, so that they differ by their strength alone.

    Returns:
        Name of the shift -> severity -> the test set under it.

    Raises:
        ParameterError: as ``shift``.

    Example:
        >>> from weightlore.data import digits
        >>> sets = shifted_images(digits("test"), ["rotation", "blur"], severities=(0, 3))
        >>> list(sets), list(sets["blur"])
        (['rotation', 'blur'], [0, 3])

    Source: [hendrycks2019corruptions], severities 1 to 5
    """
    return {
        kind: {
            s: Split(shift(data.x, kind, s, generator=torch.Generator(data.x.device).manual_seed(seed)), data.y)
            for s in severities
        }
        for kind in kinds
    }


def _row(name: str, kind: str, severity: int, method: Predictor, data: Split, bins: int) -> ShiftRow:
    said = method(data.x)
    require_labels(data.y, said.mean.shape[1])
    return ShiftRow(
        name,
        kind,
        severity,
        1 - float(mistakes(said, data.y).double().mean()),
        float(nll_categorical(said, data.y)),
        float(brier_score(said, data.y)),
        float(expected_calibration_error(said, data.y, bins=bins)),
        float(ece_noise_floor(said, bins=bins)),
        float(said.mean.amax(1).mean()),
    )
