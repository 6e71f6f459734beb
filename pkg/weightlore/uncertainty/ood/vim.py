"""ViM: one more class, for what the features of the training data never do.

Features of training data fill few directions. What an input has outside of them becomes the logit of a class of its
own, scaled so that it is on the training data as large as the largest logit on average [wang2022vim]:

    phi' = phi - o,  o = -W^+ b                 the origin at which all logits are zero
    R    = directions beyond the first k principal ones of phi' (second moment, training data)
    z_0  = a ||R^T phi'||,   a = mean max_c z_c / mean ||R^T phi'||
    score = z_0 - ln sum_c exp(z_c)             the log odds of the virtual class
"""

import warnings
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.networks.readouts import readout_of
from weightlore.uncertainty.ood.reading import not_fitted, read
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Residual", "ViM"]


@dataclass(frozen=True, eq=False)
class Residual:
    """The directions of features that training data do not fill.

    Args:
        origin: o, shape (H,), float64.
        directions: R, orthonormal columns, shape (H, H - k).
        scale: a, logits per length.

    Source: [wang2022vim]
    """

    origin: Tensor
    directions: Tensor
    scale: float

    def lengths(self, features: Tensor) -> Tensor:
        """Return ||R^T (phi - o)|| of features (N, H), shape (N,), float64."""
        return ((features.double() - self.origin) @ self.directions).norm(dim=1)


class ViM:
    """An input is strange if it has much that training data lack, compared with its logits.

        score = a ||R^T (phi - o)|| - ln sum_c exp(z_c);   its sigmoid is the probability of the virtual class

    Args:
        dimensions: k, how many principal directions count as filled, 1 to H - 1; ``None`` for half of them.

    Raises:
        ParameterError: if k is no whole number >= 1.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> ViM().fit(healthy(), digits("train")).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [wang2022vim]; half of the directions as a default is ours
    """

    def __init__(self, dimensions: int | None = None) -> None:
        if dimensions is not None:
            require_counts(dimensions=dimensions)
        self.dimensions = dimensions
        self.model: nn.Module | None = None
        self.residual: Residual | None = None

    def fit(self, model: nn.Module, data: Split) -> Self:
        """Find the directions that the training data do not fill, and return the detector.

        Warns with ``UncertaintyWarning`` where the largest logits are negative on average: the virtual logit then falls
        with what training data lack.

        Args:
            model: returns logits and ends in a linear layer; left as it is.
            data: N training inputs; their classes do not count.

        Raises:
            ParameterError: if k leaves no direction, the training data have nothing in those that are left, or
                something is not finite.
        """
        last, found = readout_of(model), read(model, data.x)
        width, logits = found.features.shape[1], found.logits.double()
        filled = width // 2 if self.dimensions is None else self.dimensions
        if not 1 <= filled < width:
            raise ParameterError(f"of {width} directions 1 to {width - 1} may count as filled, got {filled}")
        bias = logits.new_zeros(logits.shape[1]) if last.bias is None else last.bias.detach().double()
        origin = -torch.linalg.pinv(last.weight.detach().double()) @ bias
        moved = found.features.double() - origin
        directions = torch.linalg.eigh(moved.T @ moved / len(moved)).eigenvectors[:, : width - filled]  # rising
        length, largest = float((moved @ directions).norm(dim=1).mean()), float(logits.amax(1).mean())
        if not length > 1e-9 * float(moved.norm(dim=1).mean()):
            raise ParameterError(
                f"the training data have nothing outside their first {filled} directions, got a mean length of "
                f"{length:g}; use fewer dimensions"
            )
        if largest <= 0:
            warnings.warn(
                f"the largest logit is {largest:.3g} on average, so that what is strange lowers the virtual logit; "
                "ViM means networks whose largest logits are positive",
                UncertaintyWarning,
                stacklevel=2,
            )
        self.model, self.residual = model, Residual(origin, directions, largest / length)
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the log odds of the virtual class for inputs (N, ...), shape (N,), in the dtype of the logits.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the detector has not been fitted, or x is empty or not finite.
        """
        if self.model is None or self.residual is None:
            raise not_fitted(self)
        found = read(self.model, x)
        virtual = self.residual.scale * self.residual.lengths(found.features)
        return (virtual - found.logits.double().logsumexp(1)).to(found.logits.dtype)
