"""A loss that asks for even probabilities on examples of no class, so that a network is sure inside only.

mean -ln p_y + weight mean over outside of -1/C sum_c ln p_c        outlier_exposure_loss
"""

import torch.nn.functional as F
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.calibration.calibrator import require_pairs

__all__ = ["outlier_exposure_loss"]


def outlier_exposure_loss(logits: Tensor, y: Tensor, *, outside: Tensor, weight: float) -> Tensor:
    """Return the cross-entropy, and on examples from outside the cross-entropy with the uniform distribution.

        1/N sum_i -ln p_i,y + weight 1/M sum_j -1/C sum_c ln p_jc

    The second term is KL(uniform || p) + ln C: least, ln C, where the network is undecided. What is outside, and how
    near, is a choice; on what is unlike both kinds of examples nothing is promised.

    Args:
        logits: of examples inside, shape (N, C).
        y: their class numbers, shape (N,), int64.
        outside: logits of examples from outside, of the same network, shape (M, C).
        weight: of the second term, >= 0; 0 for the cross-entropy, bit for bit.

    Returns:
        The loss in nats, shape (), differentiable.

    Raises:
        ParameterError: if these are no logits and class numbers, shapes do not fit, or weight is out of range.

    Example:
        >>> import torch
        >>> outlier_exposure_loss(torch.zeros(1, 2), torch.tensor([0]), outside=torch.zeros(3, 2), weight=1.0)
        tensor(1.3863)

    Source: [hendrycks2019exposure], for classifiers; [lee2018confidence], as a divergence to the uniform distribution
    """
    if not 0 <= weight < float("inf"):
        raise ParameterError(f"weight must be finite and at least 0, got {weight!r}; 0 is the cross-entropy")
    _, y = require_pairs(logits, y)
    fits = isinstance(outside, Tensor) and outside.ndim == 2 and outside.shape[1] == logits.shape[1]
    if not fits or len(outside) == 0:
        came = tuple(outside.shape) if isinstance(outside, Tensor) else type(outside).__name__
        raise ParameterError(
            f"logits from outside need shape (M, {logits.shape[1]}), those of the same network, got {came}; without "
            "examples from outside take the plain cross-entropy"
        )
    require_finite("a logit from outside", outside)
    return F.cross_entropy(logits, y) - weight * F.log_softmax(outside, 1).mean()
