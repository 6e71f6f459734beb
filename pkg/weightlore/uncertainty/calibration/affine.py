"""Vector and matrix scaling: an affine map of the logits.

    q = softmax(w * z + b)     VectorScaling      2 C numbers
    q = softmax(W z + b)       MatrixScaling      C (C + 1) numbers, with a penalty on those off the diagonal

The NLL is convex in both. The search begins at the identity, so that its end is never worse on the data it sees, up to
the penalty; on other data a matrix soon is: it has more numbers than many a validation set can bear. It is a Newton
method in a region of trust, which needs only products with the second derivative and ends where rounding does.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Affine", "MatrixScaling", "VectorScaling", "fit_matrix"]

Numbers = NDArray[np.float64]
ROUNDS, ENOUGH = 200, 10  # Newton steps, and rows for each entry of the matrix
NOTHING = 1e-6  # a mean NLL that only separated classes reach


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map of logits.

    Args:
        weight: W, shape (C, C), or w, shape (C,), float64.
        shift: b, shape (C,), float64.

    Source: [guo2017calibration], section 4.2
    """

    weight: Tensor
    shift: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """Return W z + b or w * z + b for each row of logits (N, C), float64."""
        weight, shift, z = self.weight.to(z.device), self.shift.to(z.device), z.double()
        return (z @ weight.T if weight.ndim == 2 else z * weight) + shift


class VectorScaling(Calibrator):
    """Scale and shift the logit of each class.

        q = softmax(w * z + b)

    Unlike temperature scaling it can change answers, and a number added to all logits of a row matters.

    Attributes:
        map: w and b.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
        >>> VectorScaling().fit(z, torch.tensor([0, 1, 0, 1])).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [guo2017calibration], section 4.2
    """

    def __init__(self) -> None:
        self.map: Affine | None = None

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find scales and shifts on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself; with a warning if the NLL has no minimum.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        z, y = require_pairs(logits, y)
        self.map, converged = _Loss(z, y, torch.ones(z.shape[1]), 0.0, 0.0).minimized()
        if not converged:
            _warn_unfinished(stacklevel=3)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax(w * z + b), shape (N, C), for logits of that shape."""
        return _applied(self, self.map, logits)


class MatrixScaling(Calibrator):
    """Map the logits by a matrix and a shift.

        minimize   NLL of softmax(W z + b)  +  l mean over i != j of W_ij^2  +  m mean of b_i^2

    Args:
        off_diagonal: l, >= 0.
        intercept: m, >= 0.

    Attributes:
        map: W and b.

    Raises:
        ParameterError: if a penalty is negative or not finite.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]]).repeat(10, 1)
        >>> MatrixScaling().fit(z, torch.tensor([0, 1, 0, 1]).repeat(10)).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [guo2017calibration], section 4.2, with the penalties of [kull2019dirichlet]; their default sizes are ours
    """

    def __init__(self, *, off_diagonal: float = 1.0, intercept: float = 1.0) -> None:
        _require_penalties(off_diagonal, intercept)
        self.off_diagonal, self.intercept = off_diagonal, intercept
        self.map: Affine | None = None

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find matrix and shift on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself; with a warning if N < 10 C^2 or the NLL has no minimum.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        self.map = fit_matrix(logits, y, off_diagonal=self.off_diagonal, intercept=self.intercept, stacklevel=3)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax(W z + b), shape (N, C), for logits of that shape."""
        return _applied(self, self.map, logits)


def fit_matrix(logits: Tensor, y: Tensor, *, off_diagonal: float, intercept: float, stacklevel: int = 2) -> Affine:
    """Return the affine map with the smallest penalized NLL.

        NLL of softmax(W z + b)  +  l mean over i != j of W_ij^2  +  m mean of b_i^2

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,).
        off_diagonal: l, >= 0.
        intercept: m, >= 0.
        stacklevel: whose line a warning names; 2 is the caller.

    Returns:
        W and b; with a warning if N < 10 C^2 or the NLL has no minimum.

    Raises:
        ParameterError: if logits and classes are not of that form, or a penalty is negative.

    Source: [kull2019dirichlet], off-diagonal and intercept regularization
    """
    _require_penalties(off_diagonal, intercept)
    z, y = require_pairs(logits, y)
    size, classes = z.shape
    if size < ENOUGH * classes**2:
        warnings.warn(
            f"{size} rows for {classes * (classes + 1)} numbers: a matrix for {classes} classes wants "
            f"{ENOUGH * classes**2} rows; compare with TemperatureScaling on other data",
            UncertaintyWarning,
            stacklevel=stacklevel,
        )
    found, converged = _Loss(z, y, torch.eye(classes), off_diagonal, intercept).minimized()
    if not converged:
        _warn_unfinished(stacklevel=stacklevel + 1)
    return found


class _Loss:
    """The penalized NLL of an affine map, with its derivatives; ``start`` is the identity, a matrix or its diagonal."""

    def __init__(self, z: Tensor, y: Tensor, start: Tensor, off_diagonal: float, intercept: float) -> None:
        self.z, self.y, self.start = z.double().cpu(), y.cpu()[:, None], start.double()
        classes = z.shape[1]
        off = off_diagonal / (classes * (classes - 1)) * (1 - torch.eye(classes, dtype=torch.float64))
        self.off = off if start.ndim == 2 else torch.zeros_like(self.start)
        self.intercept = intercept / classes

    def minimized(self) -> tuple[Affine, bool]:
        """Return the map with the smallest loss, and whether the search has come to an end."""
        first = torch.cat([self.start.flatten(), self.start.new_zeros(self.z.shape[1])]).numpy()
        options = {"maxiter": ROUNDS, "gtol": 1e-9}
        found = minimize(self.value, first, jac=True, hessp=self.bent, method="trust-ncg", options=options)
        return self.split(found.x), found.status != 1 and found.fun > NOTHING

    def split(self, numbers: Numbers) -> Affine:
        """Return the map that the numbers stand for."""
        theta = torch.from_numpy(np.array(numbers))
        return Affine(theta[: self.start.numel()].reshape(self.start.shape), theta[self.start.numel() :])

    def value(self, numbers: Numbers) -> tuple[float, Numbers]:
        """Return the loss and its slope."""
        at = self.split(numbers)
        f = at(self.z)
        loss = (f.logsumexp(1) - f.gather(1, self.y)[:, 0]).mean()
        loss = loss + (self.off * at.weight**2).sum() + self.intercept * at.shift.square().sum()
        wrong = f.softmax(1).scatter_add(1, self.y, torch.full_like(f[:, :1], -1))
        return float(loss), self.back(wrong, at)

    def bent(self, numbers: Numbers, along: Numbers) -> Numbers:
        """Return the second derivative times a direction: (diag q - q q^T) for each row, between two affine maps."""
        at, step = self.split(numbers), self.split(along)
        q, moved = at(self.z).softmax(1), step(self.z)
        return self.back(q * (moved - (q * moved).sum(1, keepdim=True)), step)

    def back(self, change: Tensor, at: Affine) -> Numbers:
        """Return what a change of the NLL's slope in each output (N, C) is in w and b, with that of the penalty."""
        change = change / len(self.z)
        weight = change.T @ self.z if at.weight.ndim == 2 else (change * self.z).sum(0)
        weight, shift = weight + 2 * self.off * at.weight, change.sum(0) + 2 * self.intercept * at.shift
        return torch.cat([weight.flatten(), shift]).numpy()


def _applied(calibrator: Calibrator, affine: Affine | None, logits: Tensor) -> Tensor:
    if affine is None:
        raise not_fitted(calibrator)
    z = require_logits(logits, len(affine.shift))
    return affine(z).softmax(1).to(z.dtype)


def _require_penalties(off_diagonal: float, intercept: float) -> None:
    for name, value in (("off_diagonal", off_diagonal), ("intercept", intercept)):
        if not 0 <= value < math.inf:
            raise ParameterError(f"{name} is the size of a penalty and must be a finite number >= 0, got {value}")


def _warn_unfinished(stacklevel: int) -> None:
    warnings.warn(
        f"the NLL is next to 0 or still falls after {ROUNDS} steps: where the classes can be separated it has no "
        "minimum; what was reached is kept; fit on more data, or a matrix with a penalty",
        UncertaintyWarning,
        stacklevel=stacklevel,
    )
