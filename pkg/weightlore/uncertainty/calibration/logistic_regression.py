"""Logistic regression with a handful of features: Newton's method, to the last digit.

    p = sigmoid(x . w),   w = argmin of the mean cross-entropy with targets t in [0, 1]      logistic

With few features a step costs two passes over the data, and half a dozen steps end where rounding does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from weightlore.errors import ParameterError, require_finite

__all__ = ["Fit", "logistic"]

ROUNDS, HALVINGS = 30, 40  # where the examples can be separated each step gains a factor e and 30 do not end it
NEAR, THERE = 1e-10, 1e-26  # twice the loss that a step promises


@dataclass(frozen=True, eq=False)
class Fit:
    """What a regression found.

    Args:
        weights: shape (D,), float64.
        loss: mean cross-entropy, in nats.
        converged: whether a minimum was reached. None exists where the two kinds of examples can be separated.

    Source: ours
    """

    weights: Tensor
    loss: float
    converged: bool


def logistic(x: Tensor, targets: Tensor) -> Fit:
    """Return the weights of an unpenalized logistic regression.

        w = argmin of 1/N sum_n [ log(1 + exp(x_n . w)) - t_n x_n . w ]

    Newton's method; a step is halved until the loss falls.

    Args:
        x: features, shape (N, D); a column of ones for an intercept.
        targets: t, shape (N,), in [0, 1]; need not be 0 or 1.

    Returns:
        Weights, loss and whether they have converged.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a target is no share.

    Example:
        >>> x = torch.ones(4, 1)
        >>> logistic(x, torch.tensor([1.0, 1.0, 1.0, 0.0])).weights.sigmoid()
        tensor([0.7500], dtype=torch.float64)

    Source: [platt1999probabilistic], who fits two weights; Newton's method is textbook
    """
    x, targets = require_finite("features", x.detach()).double(), require_finite("targets", targets.detach()).double()
    if x.ndim != 2 or targets.shape != x.shape[:1] or not len(x) or not bool(((targets >= 0) & (targets <= 1)).all()):
        raise ParameterError(
            f"features (N, D) and one target in [0, 1] for each row are needed, got {tuple(x.shape)} and "
            f"{tuple(targets.shape)}"
        )
    w = x.new_zeros(x.shape[1])
    loss = cross_entropy(x @ w, targets)
    for _ in range(ROUNDS):
        p = (x @ w).sigmoid()
        slope = x.T @ (p - targets) / len(x)
        curvature = x.T @ (x * (p * (1 - p))[:, None]) / len(x)
        step = torch.linalg.lstsq(curvature, slope, driver="gelsd").solution
        if (promised := float(slope @ step)) <= NEAR:  # the loss is flat to rounding, the weights are not yet
            w = w - step
            if promised <= THERE:
                return Fit(w, float(cross_entropy(x @ w, targets)), converged=True)
        else:
            w, loss = _shortened(x, targets, w, loss, step)
    return Fit(w, float(cross_entropy(x @ w, targets)), converged=False)


def _shortened(x: Tensor, targets: Tensor, w: Tensor, loss: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Take a step, or as much of it as lets the loss fall."""
    for _ in range(HALVINGS):
        there = cross_entropy(x @ (w - step), targets)
        if there < loss:
            return w - step, there
        step = step / 2
    return w, loss
