"""Dirichlet calibration: matrix scaling of the logarithms of the probabilities.

    q = softmax(W log p + b)         DirichletCalibration

If the probabilities that a network gives to examples of each class follow a Dirichlet distribution, this is the exact
map. A number added to all logits of a row plays no part here, since log p does not know it; for a matrix that acts on
the logits themselves it does.
"""

from typing import Self

from torch import Tensor

from weightlore.uncertainty.calibration.affine import MatrixScaling, fit_matrix
from weightlore.uncertainty.calibration.calibrator import require_logits

__all__ = ["DirichletCalibration"]


class DirichletCalibration(MatrixScaling):
    """Map log-probabilities by a matrix and a shift.

        minimize   NLL of softmax(W log p + b)  +  l mean over i != j of W_ij^2  +  m mean of b_i^2

    Args:
        off_diagonal: l, >= 0.
        intercept: m, >= 0.

    Attributes:
        map: W and b.

    Raises:
        ParameterError: if a penalty is negative or not finite.

    Example:
        >>> import torch
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]]).repeat(10, 1)
        >>> DirichletCalibration().fit(z, torch.tensor([0, 1, 0, 1]).repeat(10)).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [kull2019dirichlet], linear parametrization and its regularization; the default sizes are ours
    """

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
        logs = require_logits(logits).double().log_softmax(1)
        self.map = fit_matrix(logs, y, off_diagonal=self.off_diagonal, intercept=self.intercept, stacklevel=3)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax(W log p + b), shape (N, C), for logits of that shape."""
        z = require_logits(logits)
        return super().predict_proba(z.double().log_softmax(1)).to(z.dtype)
