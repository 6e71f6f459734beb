"""Concentrations of Dirichlet distributions: what every measure of the Dirichlet module takes.

HasAlpha           an object with ``alpha``, such as a ``DirichletPrediction``
Concentrations     a tensor (N, C), or such an object
alpha_of           -> the tensor (N, C) in float64, checked
"""

import warnings
from typing import Any, Protocol

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["SMALLEST", "Concentrations", "HasAlpha", "alpha_of", "require_alpha"]

SMALLEST = 1e-6


class HasAlpha(Protocol):
    """An object that holds concentrations.

    Source: ours, because measures take raw tensors and containers alike
    """

    @property
    def alpha(self) -> Tensor:
        """Concentrations, shape (N, C), > 0."""
        ...


Concentrations = Tensor | HasAlpha


def require_alpha(alpha: Tensor) -> Tensor:
    """Return the tensor if it holds concentrations.

    Args:
        alpha: shape (N, C).

    Raises:
        ParameterError: if it has another shape, is not floating, an entry is not > 0, or a sum is not finite.

    Source: ours
    """
    if not isinstance(alpha, Tensor) or not alpha.is_floating_point() or alpha.ndim != 2 or alpha.numel() == 0:
        came = f"{tuple(alpha.shape)}, {alpha.dtype}" if isinstance(alpha, Tensor) else type(alpha).__name__
        raise ParameterError(f"concentrations must be a floating tensor of shape (N, C), got {came}")
    require_finite("a concentration", alpha)
    require_finite("a sum of concentrations", alpha.sum(-1, dtype=torch.float64))
    if not float(low := alpha.detach().min()) > 0:
        raise ParameterError(
            f"concentrations must be > 0, got {low:g}; of logits take exp(z), of evidence take evidence + 1"
        )
    return alpha


def alpha_of(alpha: Concentrations) -> Tensor:
    """Return the concentrations in float64, at least 1e-6.

    Args:
        alpha: concentrations, shape (N, C), > 0; or an object that holds them as ``alpha``.

    Returns:
        Shape (N, C), float64, with their gradient; entries below 1e-6 are set to it, with a warning.

    Raises:
        ParameterError: if the shape is another, or an entry is not finite or not > 0.

    Example:
        >>> alpha_of(torch.tensor([[1.0, 2.0]]))
        tensor([[1., 2.]], dtype=torch.float64)

    Source: ours, because digammas of float32 lose what the measures are about
    """
    found: Any = getattr(alpha, "alpha", alpha)
    given = require_alpha(found).double()
    if (small := int((given.detach() < SMALLEST).sum())) > 0:
        warnings.warn(
            f"{small} concentrations are below {SMALLEST:g} and count as {SMALLEST:g}; such a Dirichlet puts all its "
            "mass on single classes, look at the logits that made it",
            UncertaintyWarning,
            stacklevel=3,
        )
    return given.clamp(min=SMALLEST)
