"""A Dirichlet distribution over class probabilities for each example.

DirichletPrediction(alpha)                      concentrations (N, C)
.mean, .labels, .precision                      m (N, C), its largest class (N,), a_0 (N,)
.entropy() = .expected_entropy() + .mutual_information()     total = data + distribution, in nats, (N,)
.differential_entropy()                         of the density itself
"""

from dataclasses import dataclass

from torch import Tensor

from weightlore.uncertainty import dirichlet
from weightlore.uncertainty.measures.concentrations import require_alpha

__all__ = ["DirichletPrediction"]


@dataclass(frozen=True, eq=False)
class DirichletPrediction:
    """Concentrations for N examples: what prior networks, evidential networks and their like predict.

    Args:
        alpha: shape (N, C), > 0.

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> import torch
        >>> DirichletPrediction(torch.tensor([[1.0, 3.0]])).mean
        tensor([[0.2500, 0.7500]])

    Source: [malinin2018prior], prior networks
    """

    alpha: Tensor

    def __post_init__(self) -> None:
        require_alpha(self.alpha)

    @property
    def mean(self) -> Tensor:
        """Class probabilities, alpha / a_0, shape (N, C)."""
        return self.alpha / self.alpha.sum(-1, keepdim=True)

    @property
    def labels(self) -> Tensor:
        """The class with the largest mean, the first of them in a tie, shape (N,)."""
        return self.alpha.argmax(-1)

    @property
    def precision(self) -> Tensor:
        """a_0, the sum of the concentrations, shape (N,)."""
        return dirichlet.precision(self)

    def entropy(self) -> Tensor:
        """Return the total uncertainty H(m), shape (N,), in nats."""
        return dirichlet.total_entropy(self)

    def expected_entropy(self) -> Tensor:
        """Return the part that is left to chance, shape (N,), in nats."""
        return dirichlet.expected_entropy(self)

    def mutual_information(self) -> Tensor:
        """Return the part that is in the width of the distribution, shape (N,), in nats."""
        return dirichlet.mutual_information(self)

    def differential_entropy(self) -> Tensor:
        """Return the entropy of the density over class probabilities, shape (N,), in nats."""
        return dirichlet.differential_entropy(self)
