"""Repairing confidences afterwards: one interface for every map from logits to probabilities.

A calibrator is fitted on logits that the network has not been trained on, with their classes, and then maps other
logits of the same network. The network stays as it is. What goes in are always logits: unnormalized log-probabilities.
Who has probabilities takes their logarithms first, since a softmax of probabilities is another, much flatter
prediction and no error tells of it.

    Calibrator                fit(logits, y) -> itself,  predict_proba(logits) -> (N, C),  itself(logits)
    from_probs(probs)         log p, never below log floor
    require_logits            are these logits?
    require_pairs             are these logits with their classes?
    not_fitted                the error of a calibrator that has seen nothing yet
"""

from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.measures.members import require_probs

__all__ = ["Calibrator", "from_probs", "not_fitted", "require_logits", "require_pairs"]


@runtime_checkable
class Calibrator(Protocol):
    """What every calibrator of classes offers.

    Source: ours, because methods can be compared in one loop only if they share one interface
    """

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Fit the map on logits (N, C) and their classes (N,), and return the calibrator itself."""
        ...

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities (N, C) in the dtype of the logits; rows sum to 1."""
        ...

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the same as ``predict_proba``."""
        return self.predict_proba(logits)


def from_probs(probs: Tensor, *, floor: float | None = None) -> Tensor:
    """Return log-probabilities, which every calibrator takes for logits.

        z = log max(p, floor),   softmax(z) = p wherever nothing was below the floor

    Args:
        probs: probabilities, shape (N, C), each row with sum 1; or (S, N, C) for members.
        floor: smallest probability that counts, > 0; ``None`` for the smallest normal number of the dtype.

    Returns:
        z, in the shape and dtype of the probabilities.

    Raises:
        ParameterError: if the rows are no probabilities, or the floor is no positive number of their dtype.

    Example:
        >>> from_probs(torch.tensor([[0.75, 0.25]])).softmax(1)
        tensor([[0.7500, 0.2500]])

    Source: [guo2017calibration], whose maps act on logits; the floor is ours
    """
    if not isinstance(probs, Tensor) or not probs.is_floating_point() or probs.ndim not in (2, 3) or probs.numel() == 0:
        raise ParameterError(f"probs must be a floating tensor of shape (N, C) or (S, N, C), got {_came(probs)}")
    probs = require_probs(probs.detach())
    floor = torch.finfo(probs.dtype).tiny if floor is None else floor
    if not 0 < floor < 1 or floor < torch.finfo(probs.dtype).tiny:
        raise ParameterError(f"floor must be a number of {probs.dtype} between 0 and 1, got {floor}; None will do")
    return probs.clamp(min=floor).log()


def require_logits(logits: Tensor, classes: int | None = None) -> Tensor:
    """Return the logits without their graph if they are logits of C classes.

    Args:
        logits: shape (N, C), floating, finite, N >= 1 and C >= 2.
        classes: C, where it is known.

    Raises:
        ParameterError: if they have another shape, dtype or number of classes, or are not finite.

    Source: ours
    """
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim != 2 or logits.numel() == 0:
        raise ParameterError(f"logits must be a floating tensor of shape (N, C) with N >= 1, got {_came(logits)}")
    if logits.shape[1] < 2:
        raise ParameterError(
            "logits need a column for each class, at least two, got shape "
            f"{tuple(logits.shape)}; the logit s of a single output stands for the two columns 0 and s"
        )
    if classes is not None and logits.shape[1] != classes:
        raise ParameterError(
            f"this calibrator was fitted on {classes} classes, got logits of {logits.shape[1]}; fit anew"
        )
    logits = logits.detach()
    if not bool(torch.isfinite(logits).all()):
        require_finite("logits (probabilities of 0 go through from_probs)", logits)
    return logits


def require_pairs(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and classes if they belong together.

    Args:
        logits: shape (N, C), as ``require_logits``.
        y: class numbers, shape (N,), of an integer dtype.

    Returns:
        The logits without their graph, and the classes as int64 on the same device.

    Raises:
        ParameterError: if one of them is of another form, or their lengths differ.

    Source: ours
    """
    logits = require_logits(logits)
    if not isinstance(y, Tensor) or y.ndim != 1 or y.is_floating_point() or y.dtype in (torch.bool, torch.complex64):
        raise ParameterError(f"y must be class numbers of shape (N,), an integer tensor, got {_came(y)}")
    if len(y) != len(logits):
        raise ParameterError(
            f"every row of logits has one class, got {len(logits)} rows and {len(y)} classes; match them"
        )
    require_labels(y, logits.shape[1])
    return logits, y.to(logits.device, torch.int64)


def not_fitted(calibrator: object) -> ParameterError:
    """Return the error to raise where a calibrator is asked before it was fitted.

    Args:
        calibrator: that was asked.

    Example:
        >>> not_fitted("text")
        ParameterError('this str has not been fitted; call fit(logits, y) on held-out data first')

    Source: ours
    """
    return ParameterError(
        f"this {type(calibrator).__name__} has not been fitted; call fit(logits, y) on held-out data first"
    )


def _came(value: object) -> str:
    return f"{tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
