"""Class probabilities of several members, and what they say together.

CategoricalPrediction(probs)                    probabilities (S, N, C)
CategoricalPrediction.from_logits(z)            softmax of logits (S, N, C) or (N, C)
.mean, .labels, .members                        pbar (N, C), its largest class (N,), S
.entropy() = .expected_entropy() + .mutual_information()     total = data + model, in nats, (N,)
"""

from dataclasses import dataclass

from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.measures.entropies import expected_entropy, mutual_information, predictive_entropy
from weightlore.uncertainty.measures.members import logits_of, require_probs

__all__ = ["CategoricalPrediction"]


@dataclass(frozen=True, eq=False)
class CategoricalPrediction:
    """Class probabilities for N examples by S members: an ensemble, samples of weights, passes or views.

    Args:
        probs: shape (S, N, C), S >= 1; rows sum to 1.

    Raises:
        ParameterError: if the tensor has another shape, or its rows are no probabilities.

    Example:
        >>> import torch
        >>> two = CategoricalPrediction(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))
        >>> two.mean, two.expected_entropy()
        (tensor([[0.5000, 0.5000]]), tensor([0.]))

    Source: ours, because one container serves every family of methods
    """

    probs: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.probs, Tensor) or self.probs.ndim != 3:
            came = tuple(self.probs.shape) if isinstance(self.probs, Tensor) else type(self.probs).__name__
            raise ParameterError(
                f"probs must have shape (S, N, C), members first, got {came}; one network is p[None], and logits go "
                "through CategoricalPrediction.from_logits"
            )
        require_probs(self.probs)

    @classmethod
    def from_logits(cls, z: Tensor) -> "CategoricalPrediction":
        """Return the prediction whose members are softmax(z).

        Args:
            z: logits, shape (S, N, C), or (N, C) for one member; floating and finite.

        Raises:
            ParameterError: if they have another shape or are not finite.
        """
        return cls(logits_of(z).softmax(-1))

    @property
    def members(self) -> int:
        """S, how many members there are."""
        return len(self.probs)

    @property
    def mean(self) -> Tensor:
        """pbar, the mean of the members, shape (N, C)."""
        return self.probs.mean(0)

    @property
    def labels(self) -> Tensor:
        """The class with the largest mean, the first of them in a tie, shape (N,)."""
        return self.mean.argmax(-1)

    def entropy(self) -> Tensor:
        """Return the total uncertainty H(pbar), shape (N,), in nats."""
        return predictive_entropy(self)

    def expected_entropy(self) -> Tensor:
        """Return the part that the members take for chance in the data, shape (N,), in nats."""
        return expected_entropy(self)

    def mutual_information(self) -> Tensor:
        """Return the part on which they disagree, shape (N,), in nats; one member gives 0 and a warning."""
        return mutual_information(self)
