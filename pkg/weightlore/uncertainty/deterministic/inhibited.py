"""A softmax that need not give all its probability away: a constant logit keeps what no class has evidence for.

    p_c = exp(z_c) / (exp(constant) + sum_k exp(z_k))        InhibitedSoftmax, log_probs
    certainty = sum_c p_c = sigmoid(logsumexp_c z_c - constant)

A plain softmax sees differences of logits only; this one also sees how large they are [mozejko2018inhibited].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.calibrator import require_pairs
from weightlore.uncertainty.measures.members import logits_of
from weightlore.uncertainty.predictions.categorical import CategoricalPrediction

__all__ = ["InhibitedSoftmax"]


class InhibitedSoftmax:
    """The softmax with one more logit, which is constant and stands for no class.

    The network keeps its C logits; train it by ``loss``. Its readout should have no bias, and bounded features, or
    large logits cost it nothing anywhere.

    Args:
        constant: the additional logit.

    Raises:
        ParameterError: if it is not finite.

    Example:
        >>> InhibitedSoftmax(0.0).certainty(torch.tensor([[0.0, 0.0], [9.0, 0.0]]))
        tensor([0.6667, 0.9999])

    Source: [mozejko2018inhibited], inhibited softmax; the loss in two parts with a weight is ours
    """

    def __init__(self, constant: float = 1.0) -> None:
        if not math.isfinite(constant):
            raise ParameterError(f"the constant logit must be finite, got {constant!r}; larger wants more evidence")
        self.constant = float(constant)

    def log_probs(self, logits: Tensor) -> Tensor:
        """Return the logarithms of the probabilities of the C classes, which sum to less than 1.

        Args:
            logits: shape (N, C).

        Returns:
            Shape (N, C), differentiable.

        Raises:
            ParameterError: if these are no logits.
        """
        return F.log_softmax(self._extended(logits), 1)[:, :-1]

    def certainty(self, logits: Tensor) -> Tensor:
        """Return the probability that has gone to classes, sum_c p_c, shape (N,), in (0, 1).

        Args:
            logits: shape (N, C).

        Raises:
            ParameterError: if these are no logits.
        """
        return self._log_certainty(logits).exp()

    def score(self, logits: Tensor) -> Tensor:
        """Return what the constant kept, 1 - certainty, shape (N,): larger is more out-of-domain.

            sigmoid(constant - logsumexp_c z_c)

        Args:
            logits: shape (N, C).

        Raises:
            ParameterError: if these are no logits.
        """
        return torch.sigmoid(self.constant - self._energy(logits))

    def prediction(self, logits: Tensor) -> CategoricalPrediction:
        """Return the probabilities of the classes given that it is one of them: those of the plain softmax.

        Args:
            logits: shape (N, C).

        Raises:
            ParameterError: if these are no logits.
        """
        return CategoricalPrediction.from_logits(logits)

    def loss(self, logits: Tensor, y: Tensor, *, evidence_weight: float = 1.0) -> Tensor:
        """Return the cross-entropy of a plain softmax and a price for certainty that is missing.

            1/N sum_i [ -ln softmax(z_i)_y - evidence_weight ln certainty_i ]

        With weight 1 it is the cross-entropy of the inhibited softmax, -ln p_y.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,), int64.
            evidence_weight: >= 0; the larger, the more evidence is asked of examples inside.

        Returns:
            The loss in nats, shape (), differentiable.

        Raises:
            ParameterError: if these are no logits and class numbers, or the weight is out of range.
        """
        # The price is what the cross-entropy of an inhibited softmax has beyond that of a plain one.
        if not 0 <= evidence_weight < math.inf:
            raise ParameterError(f"evidence_weight must be finite and at least 0, got {evidence_weight!r}")
        _, y = require_pairs(logits, y)
        return F.cross_entropy(logits, y) - evidence_weight * self._log_certainty(logits).mean()

    def _energy(self, logits: Tensor) -> Tensor:
        logits_of(logits)
        return self._rows(logits).logsumexp(1)

    def _log_certainty(self, logits: Tensor) -> Tensor:
        return F.logsigmoid(self._energy(logits) - self.constant)

    def _extended(self, logits: Tensor) -> Tensor:
        logits_of(logits)
        return F.pad(self._rows(logits), (0, 1), value=self.constant)  # (N, C + 1)

    @staticmethod
    def _rows(logits: Tensor) -> Tensor:
        if logits.ndim != 2:
            raise ParameterError(f"one network has logits of shape (N, C), got {tuple(logits.shape)}; take one member")
        return logits
