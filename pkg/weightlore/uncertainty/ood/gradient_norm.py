"""GradNorm: how strongly would an input pull at the last layer if the answer were to be uniform?

A network that knows an input has much to lose by forgetting it: the gradient is long [huang2021gradients]. In the last
layer it is an outer product, so that no backward pass is needed:

    KL(u || p), u = 1/C;   d/dW = (p - u) phi^T;   || . ||_1 = ||phi||_1 ||p - u||_1
    grad_norm_score(features, logits) = minus that norm          GradNorm(model).score
"""

from dataclasses import dataclass

from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.calibration.calibrator import require_logits
from weightlore.uncertainty.ood.reading import read

__all__ = ["GradNorm", "grad_norm_score"]


def grad_norm_score(features: Tensor, logits: Tensor) -> Tensor:
    """Return minus the length of the gradient of KL(uniform || p) in the weights of the last layer.

        -||phi||_1 ||p - 1/C||_1

    Args:
        features: phi, what goes into the last layer, shape (N, H).
        logits: shape (N, C).

    Returns:
        Shape (N,), at most 0; larger is stranger.

    Raises:
        ParameterError: if shapes do not fit or an entry is not finite.

    Example:
        >>> import torch
        >>> grad_norm_score(torch.ones(1, 3), torch.tensor([[0.0, 0.0]]))
        tensor([-0.])

    Source: [huang2021gradients]
    """
    logits = require_logits(logits)
    if features.ndim != 2 or len(features) != len(logits):
        raise ParameterError(
            f"features (N, H) belong to logits (N, C), got {tuple(features.shape)} and {tuple(logits.shape)}"
        )
    require_finite("a feature", features)
    return -features.detach().abs().sum(1) * (logits.softmax(1) - 1 / logits.shape[1]).abs().sum(1)


@dataclass(frozen=True, eq=False)
class GradNorm:
    """An input is strange if it would pull little at the last layer.

    Args:
        model: returns logits and ends in a linear layer; left as it is.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> GradNorm(healthy()).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [huang2021gradients]
    """

    model: nn.Module

    def score(self, x: Tensor) -> Tensor:
        """Return ``grad_norm_score`` of the inputs (N, ...), shape (N,)."""
        found = read(self.model, x)
        return grad_norm_score(found.features, found.logits)
