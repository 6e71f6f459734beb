"""An ensemble as one network, for whatever asks a network: its gradient, its parameters, its layers.

    PooledNetwork(members)    logits are the logarithm of the members' mean probability

``DeepEnsemble`` answers without gradients and keeps what each member says. Here the answer is one, as of any other
network, and it can be differentiated: in the input, to be explained, and in all parameters, to be harmed or tuned.
"""

import copy
from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["PooledNetwork"]


class PooledNetwork(nn.Module):
    """Networks of one task that answer with one voice.

        f(x)_c = ln 1/S sum_s softmax(f_s(x))_c

    The softmax of these logits is the mean probability. They are normalized: their exponentials add up to 1.

    Args:
        members: S classifiers, S >= 1, that return logits of one shape (N, C); they are copied.

    Raises:
        ParameterError: if there is no member, or one is no network.

    Example:
        >>> net = nn.Linear(4, 3)
        >>> torch.allclose(PooledNetwork([net, net])(torch.ones(2, 4)), net(torch.ones(2, 4)).log_softmax(1))
        True

    Source: [lakshminarayanan2017ensembles], the mean of the members' probabilities; as one network it is ours
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        odd = [type(member).__name__ for member in members if not isinstance(member, nn.Module)]
        if odd or not len(members):
            raise ParameterError(
                f"one or more networks (nn.Module) are pooled, got {odd or 'none'}; give the members of an ensemble"
            )
        self.members = nn.ModuleList(copy.deepcopy(member) for member in members)
        self.train(all(member.training for member in members))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the mean probability, shape (N, C), of the input x, shape (N, ...)."""
        told = torch.stack([member(x).log_softmax(-1) for member in self.members])  # (S, N, C)
        return told.logsumexp(0) - log(len(told))
