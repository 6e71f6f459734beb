"""Ensemble temperature scaling: a mixture of the sharpened, the given and the uniform prediction.

    q = w_1 softmax(z / T) + w_2 softmax(z) + w_3 / C,   w >= 0, sum w = 1      EnsembleTemperatureScaling

First T, by temperature scaling, then the weights: the likelihood is concave in them (simplex_weights). Each part grows
with the logit, so that no answer changes. On the data of the fit the NLL is never above that of temperature scaling
alone, which is the corner w = (1, 0, 0).
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs
from weightlore.uncertainty.calibration.temperature import TemperatureScaling

__all__ = ["EnsembleTemperatureScaling", "simplex_weights"]

ROUNDS = 200


class EnsembleTemperatureScaling(Calibrator):
    """Mix the scaled, the given and the uniform prediction.

        q = w_1 softmax(z / T) + w_2 softmax(z) + w_3 / C

    Args:
        scaling: how T is found.

    Attributes:
        scaling: with T.
        weights: w, shape (3,), float64, on the simplex.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> EnsembleTemperatureScaling().fit(z, torch.tensor([0, 0, 1])).predict_proba(z[:1])
        tensor([[0.6667, 0.3333]])

    Source: [zhang2020mixnmatch], ensemble temperature scaling; T first and then the weights
    """

    def __init__(self, *, scaling: TemperatureScaling | None = None) -> None:
        self.scaling = scaling or TemperatureScaling()
        self.weights = torch.empty(0, dtype=torch.float64)

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find the temperature and the weights on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        z, y = require_pairs(logits, y)
        self.scaling.fit(z, y)
        parts = [part.gather(-1, y[:, None])[:, 0] for part in self._parts(z)]
        self.weights = simplex_weights(torch.stack(parts, 1))
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return the mixture, shape (N, C), for logits of that shape and in their dtype."""
        if not len(self.weights):
            raise not_fitted(self)
        z = require_logits(logits)
        parts = zip(self.weights.tolist(), self._parts(z), strict=True)
        return torch.stack([weight * part for weight, part in parts]).sum(0).to(z.dtype)

    def _parts(self, z: Tensor) -> list[Tensor]:
        z = z.double()
        return [self.scaling.predict_proba(z), z.softmax(1), torch.full_like(z, 1 / z.shape[1])]


def simplex_weights(likelihoods: Tensor) -> Tensor:
    """Return the mixture weights with the largest likelihood.

        w = argmax over w >= 0, sum w = 1 of mean_n log sum_m w_m p_nm

    The objective is concave; sequential quadratic programming finds the face of the simplex, then steps of expectation
    maximization, none of which lowers the likelihood, finish.

    Args:
        likelihoods: p, what each of M parts gives to the class of each of N examples, shape (N, M), >= 0.

    Returns:
        w, shape (M,), float64; never worse than the first part alone.

    Raises:
        ParameterError: if an entry is negative or not finite, or no part allows some example.

    Example:
        >>> simplex_weights(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        tensor([0.6667, 0.3333], dtype=torch.float64)

    Source: [zhang2020mixnmatch], weights on the simplex; the way to find them is ours
    """
    p = require_finite("likelihoods", likelihoods.detach()).double().cpu()
    if p.ndim != 2 or not p.numel() or float(p.min()) < 0 or bool((p.amax(1) == 0).any()):
        raise ParameterError(
            "likelihoods (N, M) must be >= 0, and for each example one of them > 0, got shape "
            f"{tuple(p.shape)} with {int((p <= 0).sum())} entries that are not"
        )
    p = p / p.amax(1, keepdim=True)
    size = p.shape[1]

    def objective(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mixture = (p @ torch.from_numpy(w)).clamp(min=1e-300)
        return -float(mixture.log().mean()), -(p / mixture[:, None]).mean(0).numpy()

    on_simplex = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    start, ends = np.full(size, 1 / size), [(0, 1)] * size
    options = {"maxiter": ROUNDS, "ftol": 1e-13}
    found = minimize(objective, start, jac=True, method="SLSQP", bounds=ends, constraints=on_simplex, options=options)
    w = torch.from_numpy(np.clip(found.x, 1e-12, 1)) if np.isfinite(found.x).all() else torch.from_numpy(start)
    w = _risen(p, w / w.sum())
    first = torch.eye(size, dtype=torch.float64)[0]
    return w if objective(w.numpy())[0] < objective(first.numpy())[0] else first


def _risen(p: Tensor, w: Tensor) -> Tensor:
    """Return weights after steps of expectation maximization; what is driven out counts as zero."""
    for _ in range(ROUNDS):
        w = w * (p / (p @ w).clamp(min=1e-300)[:, None]).mean(0)
    w = torch.where(w < 1e-9, 0.0, w)
    return w / w.sum()
