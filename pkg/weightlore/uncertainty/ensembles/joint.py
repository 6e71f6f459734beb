"""Several members in one network, which share most of its parameters.

Training S networks costs S times as much as one. The methods of this kind let members share: factors of one weight
matrix (``batch_ensemble``), parts of one hidden layer (``masks``), one network with S inputs and outputs (``mimo``), or
the first layers (``heads``). Whatever they share, they speak alike:

    JointEnsemble.member_logits(x)       logits of every member, (S, N, C)
    JointEnsemble(x)                     log of their mean probability, (N, C): logits of the ensemble
    JointEnsemble.predict(x)             a CategoricalPrediction
    member_cross_entropy                 the step that teaches all members the same batch

    log pbar = logsumexp_s log_softmax(z_s) - ln S
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["JointEnsemble", "logits_of_members", "member_cross_entropy"]


class JointEnsemble(nn.Module, ABC):
    """A network with S members inside; a kind of it says how its members see x, in ``member_logits``.

    Its output are logits too, whose softmax is the mean probability of the members, so that ``training.evaluate`` and
    whatever else judges a network judges the ensemble.

    Source: [gawlikowski2023uncertainty], ensembles that share parameters; the interface is ours
    """

    @abstractmethod
    def member_logits(self, x: Tensor) -> Tensor:
        """Return the logits of every member, shape (S, N, C).

        Args:
            x: inputs, shape (N, ...).
        """

    def forward(self, x: Tensor) -> Tensor:
        """Return the log of the mean probability of the members, shape (N, C).

        Args:
            x: inputs, shape (N, ...).
        """
        z = self.member_logits(x)
        return z.log_softmax(-1).logsumexp(0) - math.log(len(z))

    def predict(self, x: Tensor, *, batch_size: int = 1000) -> CategoricalPrediction:
        """Return what the members say of x, in eval mode and without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.
            batch_size: examples per pass; the result does not depend on it beyond rounding.

        Raises:
            ParameterError: if x is empty or not finite, or a logit is not finite.
        """
        if len(x) == 0 or batch_size < 1:
            raise ParameterError(
                f"x must hold at least one example and batch_size be 1 or more, got {tuple(x.shape)}, {batch_size}"
            )
        require_finite("x", x)
        with in_mode(self, training=False), torch.no_grad():
            return CategoricalPrediction.from_logits(
                torch.cat([self.member_logits(rows) for rows in x.split(batch_size)], 1)
            )


def member_cross_entropy(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the mean cross-entropy of the members on the same batch: a step for ``training.fit``.

        loss = -1/(S N) sum_s sum_i ln p_s(y_i | x_i)

    It is not the cross-entropy of their mean, which would let one member be wrong where the others are right.

    Args:
        model: a ``JointEnsemble``.
        batch: inputs and class numbers.
        generator: not used.

    Returns:
        The loss, shape (), in nats.

    Raises:
        ParameterError: if the model has no members inside, or a target is no class number of its outputs.

    Example:
        >>> from weightlore.uncertainty.ensembles import SubEnsemble
        >>> joint = SubEnsemble(nn.Linear(4, 8), [nn.Linear(8, 3), nn.Linear(8, 3)])
        >>> batch = Split(torch.zeros(5, 4), torch.zeros(5, dtype=torch.int64))
        >>> member_cross_entropy(joint, batch, torch.Generator()).shape
        torch.Size([])

    Source: ours, because members that are scored alone stay different
    """
    z = logits_of_members(model, batch.x)
    require_labels(batch.y, z.shape[-1])
    return functional.cross_entropy(z.flatten(0, 1), batch.y.repeat(len(z)))


def logits_of_members(model: nn.Module, x: Tensor) -> Tensor:
    """Return the logits of the members of a network that has some, shape (S, N, C), with gradients.

    Args:
        model: a ``JointEnsemble``.
        x: inputs, shape (N, ...).

    Raises:
        ParameterError: if the network is of another kind.

    Source: ours
    """
    if not isinstance(model, JointEnsemble):
        raise ParameterError(
            f"this needs a network with members inside (a JointEnsemble, such as MIMO or a SubEnsemble), got a "
            f"{type(model).__name__}; separate networks are trained by fit_ensemble"
        )
    z: Tensor = model.member_logits(x)
    return z
