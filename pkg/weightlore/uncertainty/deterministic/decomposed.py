"""A classifier that divides what it sees of a class by how much the input looks like the training data.

    z_c = h_c(phi) / g(phi),   g = sigmoid(normalized (w . phi + b))     DecomposedConfidenceHead

h compares the features with a vector of each class, g is one number in (0, 1) for the input. Trained by the usual
cross-entropy, without examples from outside, either may serve as a score [hsu2020odin]:

    inner       h_c =  w_c . phi + b_c
    euclidean   h_c = -||phi - w_c||^2
    cosine      h_c =  w_c . phi / (||w_c|| ||phi||)
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import built, require_counts

__all__ = ["Confidence", "DecomposedConfidenceHead", "Similarity"]

Similarity = Literal["inner", "euclidean", "cosine"]
Confidence = Literal["class", "domain"]


class DecomposedConfidenceHead(nn.Module):
    """The last layer of a classifier whose logits are quotients.

        z_c = h_c(phi) / g(phi)

    Its batch normalization learns mean and variance of its input in training mode, and uses them in evaluation mode.

    Args:
        features: width H of what comes in.
        classes: C.
        similarity: what h is, see the table of the module.
        generator: where the weights are drawn from; biases are zero.
        dtype: of the parameters.

    Raises:
        ParameterError: if a size is none, or the similarity is unknown.

    Example:
        >>> head = DecomposedConfidenceHead(4, 3, similarity="cosine", generator=torch.Generator().manual_seed(0))
        >>> head(torch.eye(4, dtype=torch.float64)).shape
        torch.Size([4, 3])

    Source: [hsu2020odin], decomposed confidence
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        similarity: Similarity = "cosine",
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        require_counts(features=features, classes=classes)
        require_option("similarity", similarity, Similarity)
        self.similarity = similarity
        spread = features**-0.5
        self.centers = built(
            lambda: nn.Linear(features, classes, bias=similarity == "inner"),
            generator=generator,
            dtype=dtype,
            linear_spread=spread,
        )
        self.gate = built(lambda: nn.Linear(features, 1), generator=generator, dtype=dtype, linear_spread=spread)
        self.normalization = nn.BatchNorm1d(1, dtype=dtype)

    def forward(self, phi: Tensor) -> Tensor:
        """Return the logits z, shape (N, C).

        Args:
            phi: features, shape (N, H).

        Raises:
            ParameterError: if there is one example only in training mode, whose normalization is void.
        """
        h, g = self.parts(phi)
        return h / g[:, None]

    def parts(self, phi: Tensor) -> tuple[Tensor, Tensor]:
        """Return h, shape (N, C), and g, shape (N,).

        Args:
            phi: features, shape (N, H).

        Raises:
            ParameterError: as ``forward``.
        """
        if self.training and len(phi) < 2:
            raise ParameterError(
                f"batch normalization learns from 2 examples or more, got {len(phi)}; call eval() first"
            )
        g = self.normalization(self.gate(phi)).sigmoid()[:, 0]
        return self._similarities(phi), g.clamp(min=torch.finfo(g.dtype).eps)  # a quotient must stay finite

    def score(self, phi: Tensor, *, confidence: Confidence = "class") -> Tensor:
        """Return how unlike the training data the input is: -max_c h_c for ``"class"``, -g for ``"domain"``.

        Args:
            phi: features, shape (N, H).
            confidence: which of the two parts.

        Returns:
            Shape (N,); larger is more out-of-domain. In evaluation mode only: training would mix the examples.

        Raises:
            ParameterError: if the head is in training mode, the part is unknown, or a score is not finite.
        """
        require_option("confidence", confidence, Confidence)
        if self.training:
            raise ParameterError("scores are for evaluation mode, got training mode; call eval() first")
        h, g = self.parts(phi)
        return require_finite("a score", -(h.amax(1) if confidence == "class" else g))

    def _similarities(self, phi: Tensor) -> Tensor:
        if self.similarity == "inner":
            return self.centers(phi)
        weight = self.centers.weight
        if self.similarity == "euclidean":
            return -(phi[:, None] - weight).square().sum(-1)
        return F.normalize(phi, dim=1) @ F.normalize(weight, dim=1).T
