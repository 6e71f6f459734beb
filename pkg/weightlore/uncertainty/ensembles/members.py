"""Several networks that answer together.

    DeepEnsemble(members)     networks of one task, alike or not
    .predict(x)               class probabilities of each, or the Gaussian with the moments of their mixture
    .outputs(x)               what each says itself: logits (S, N, C), or means and variances (S, N, D)

A member that returns one tensor classifies, and the tensor holds logits; one that returns a pair regresses, and the
pair holds means and variances, as ``GaussianHead`` gives them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["DeepEnsemble", "Outputs", "output_of"]

Outputs = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class DeepEnsemble:
    """Networks of one task; they need not be alike.

        p(y | x) = 1/S sum_s p(y | x, theta_s)

    Args:
        members: S networks, S >= 1. They are used in evaluation mode and left as they are.

    Raises:
        ParameterError: if there is no member, or one is no module.

    Example:
        >>> net = nn.Linear(4, 3)
        >>> DeepEnsemble((net, net)).predict(torch.zeros(5, 4)).probs.shape
        torch.Size([2, 5, 3])

    Source: [hansen1990ensembles]; [lakshminarayanan2017ensembles], with the mean and variance of a mixture for
        regression
    """

    members: tuple[nn.Module, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        odd = [type(member).__name__ for member in self.members if not isinstance(member, nn.Module)]
        if not self.members or odd:
            raise ParameterError(
                f"an ensemble has at least one member and each is a network (nn.Module), got {odd or 'none'}"
            )

    def __len__(self) -> int:
        """S, how many members there are."""
        return len(self.members)

    def predict(self, x: Tensor, *, batch_size: int = 1000) -> CategoricalPrediction | GaussianPrediction:
        """Return what the members say of N examples, without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.
            batch_size: examples per pass.

        Raises:
            ParameterError: if x is empty or not finite, or the outputs are not finite or do not fit one another.
        """
        outputs = self.outputs(x, batch_size=batch_size)
        if isinstance(outputs, Tensor):
            return CategoricalPrediction.from_logits(outputs)
        return GaussianPrediction.from_members(*outputs)

    def outputs(self, x: Tensor, *, batch_size: int = 1000) -> Outputs:
        """Return logits (S, N, C), or means and variances, each (S, N, D), without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.
            batch_size: examples per pass; the result does not depend on it beyond rounding.

        Raises:
            ParameterError: if x is empty or not finite, or the outputs of members do not fit one another.
        """
        if len(x) == 0 or batch_size < 1:
            raise ParameterError(
                f"a prediction needs an example and a batch_size of 1 or more, got {len(x)}, {batch_size}"
            )
        require_finite("x", x)
        found = [output_of(member, x, batch_size) for member in self.members]
        first = [_parts(one) for one in found]
        if any([part.shape for part in parts] != [part.shape for part in first[0]] for parts in first):
            raise ParameterError(
                f"members must say the same kind of thing, got outputs of shapes "
                f"{[tuple(part.shape) for parts in first for part in parts]}; did they learn different tasks?"
            )
        stacked = tuple(torch.stack(parts) for parts in zip(*first, strict=True))
        return stacked[0] if isinstance(found[0], Tensor) else (stacked[0], stacked[1])


def output_of(member: nn.Module, x: Tensor, batch_size: int = 1000) -> Outputs:
    """Return the output of one network in evaluation mode, without gradients: logits, or mean and variance.

    Args:
        member: any module; left as it is.
        x: inputs, shape (N, ...).
        batch_size: examples per pass.

    Raises:
        ParameterError: if the output is neither logits (N, C) nor two tensors (N, D).

    Source: ours
    """
    with in_mode(member, training=False), torch.no_grad():
        found = [member(rows) for rows in x.split(batch_size)]
    parts = [torch.cat(blocks) for blocks in zip(*map(_parts, found), strict=True)]
    return parts[0] if isinstance(found[0], Tensor) else (parts[0], parts[1])


def _parts(output: Outputs) -> tuple[Tensor, ...]:
    """Return the output as one or two tensors of shape (N, ...)."""
    parts = (output,) if isinstance(output, Tensor) else output
    fit = isinstance(parts, tuple) and len(parts) in (1, 2) and all(isinstance(p, Tensor) for p in parts)
    if not fit or any(part.ndim != 2 for part in parts):
        came = [tuple(p.shape) if isinstance(p, Tensor) else type(p).__name__ for p in parts] if fit else type(output)
        raise ParameterError(
            f"a member returns logits of shape (N, C), or a pair of mean and variance of shape (N, D), got {came}"
        )
    return parts
