"""A judge that learns to reject: logistic regression on numbers that describe an input.

    MetaClassifier(metrics).fit(x, rejected)       .score(x) = sigmoid( w . (metrics(x) - mean) / std + b )

``metrics`` is any function from inputs to numbers, such as ``GradientMetrics(model)``. What is to be rejected is up to
the caller: mistakes of the network, or strange inputs. The judge must learn from examples that the network has not been
trained on, for on its training data a network seldom errs.
"""

from collections.abc import Callable
from typing import Self

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["MetaClassifier"]

Metrics = Callable[[Tensor], Tensor]


class MetaClassifier:
    """A logistic regression that says with which probability an input is to be rejected.

        P(reject) = sigmoid( w . m + b ),   m the metrics brought to mean 0 and spread 1

    Args:
        metrics: from inputs (N, ...) to numbers (N, M).
        penalty: weight of 1/2 ||w||^2 against the summed cross-entropy, > 0. Without it, examples that can be separated
            have no best weights; gradient metrics of one layer are also almost multiples of one another.

    Raises:
        ParameterError: if the penalty is not a finite number > 0.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> judge = MetaClassifier(lambda x: x).fit(x, torch.tensor([0, 0, 1, 1]))
        >>> judge.score(x) > 0.5
        tensor([False, False,  True,  True])

    Source: [oberdiek2018gradients], meta classification; the penalty and the standardization are ours
    """

    def __init__(self, metrics: Metrics, *, penalty: float = 1.0) -> None:
        if not 0 < penalty < float("inf"):
            raise ParameterError(
                f"penalty must be a finite number > 0, got {penalty}; a small one, 1e-6, is almost none"
            )
        self.metrics, self.penalty = metrics, penalty
        self.weights: Tensor | None = None  # of the metrics as they come, float64
        self.bias = 0.0

    def fit(self, x: Tensor, rejected: Tensor) -> Self:
        """Learn from examples, and return the judge.

        Args:
            x: inputs, shape (N, ...).
            rejected: for each, whether it is to be rejected, shape (N,), bool or 0 and 1.

        Raises:
            ParameterError: if there are no examples of both kinds, or a metric is not finite.
        """
        m, wanted = self._measured(x), rejected.reshape(-1).double()
        if rejected.shape != (len(m),) or sorted(set(wanted.tolist())) != [0.0, 1.0]:
            raise ParameterError(
                f"a judge learns from {len(m)} marks 0 or 1, some of each, got shape {tuple(rejected.shape)} with "
                f"values {sorted(set(wanted.tolist()))[:4]}; add examples of the kind that is missing"
            )
        mean, spread = m.mean(0), m.std(0, correction=0)
        constant = spread <= 1e-12 * m.abs().amax(0)  # says nothing, and its spread is rounding
        scaled = torch.where(constant, 0.0, (m - mean) / torch.where(constant, 1.0, spread))
        solver = LogisticRegression(C=1 / self.penalty, tol=1e-8, max_iter=10_000, solver="newton-cholesky")
        found = solver.fit(scaled.cpu().numpy(), wanted.cpu().numpy())
        weights = torch.as_tensor(found.coef_[0], dtype=torch.float64, device=m.device)
        self.weights = torch.where(constant, 0.0, weights / torch.where(constant, 1.0, spread))
        self.bias = float(found.intercept_[0]) - float(mean @ self.weights)
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the probability that an input is to be rejected, shape (N,), in the dtype of the metrics.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if the judge has not been fitted, or a metric is not finite.
        """
        if self.weights is None:
            raise ParameterError("this MetaClassifier has not been fitted; call fit with examples of both kinds first")
        said = self.metrics(x)
        return (self._measured(x, said) @ self.weights + self.bias).sigmoid().to(said.dtype)

    def _measured(self, x: Tensor, said: Tensor | None = None) -> Tensor:
        """Return the metrics in float64, checked."""
        m = self.metrics(x) if said is None else said
        if m.ndim != 2 or len(m) != len(x) or not m.numel():
            raise ParameterError(f"metrics must have shape ({len(x)}, M) with M >= 1, got {tuple(m.shape)}")
        return require_finite("a metric", m.detach()).double()
