"""One network with S inputs and S outputs, which holds S independent members.

A network has room for more than one answer. In training its S inputs are different examples and each head must answer
for its own; so that members inside can only be independent. In a test all inputs are the same x.

    MIMO(network, S)                   (x, ..., x) -> S times C logits
    mimo_cross_entropy(repetition)     the step that shuffles the inputs

    train: (x_1, ..., x_S) -> (z_1, ..., z_S), each x_s another row;     test: x_1 = ... = x_S = x
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import Step
from weightlore.uncertainty.ensembles.joint import JointEnsemble

__all__ = ["MIMO", "mimo_cross_entropy"]


class MIMO(JointEnsemble):
    """A network that reads S examples at once and answers for each; one member is the plain network.

    Args:
        network: reads (N, S D), or (N, S channels, height, width), and returns (N, S C): the logits of member 0 first.
        members: S.

    Raises:
        ParameterError: if S is no whole number of at least 1.

    Example:
        >>> MIMO(nn.Linear(3 * 64, 3 * 10), 3).predict(torch.zeros(5, 64)).probs.shape
        torch.Size([3, 5, 10])

    Source: [havasi2021mimo]
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        require_counts(members=members)
        self.network, self.members = network, members

    def member_logits(self, x: Tensor) -> Tensor:
        """Return the logits of every member when all inputs are x, shape (S, N, C).

        Args:
            x: inputs, shape (N, D) or (N, channels, height, width).

        Raises:
            ParameterError: if the network does not return a multiple of S numbers.
        """
        return self.answers(x.unsqueeze(0).expand(self.members, *x.shape))

    def answers(self, inputs: Tensor) -> Tensor:
        """Return the logits of each member for its own inputs, shape (S, N, C).

        Args:
            inputs: shape (S, N, ...), those of member s in place s.

        Raises:
            ParameterError: if there are not S inputs, or the network does not return a multiple of S numbers.
        """
        if len(inputs) != self.members:
            raise ParameterError(f"there are {self.members} members, got inputs for {len(inputs)}")
        z = self.network(inputs.transpose(0, 1).flatten(1, 2))  # members side by side in the channels
        if z.ndim != 2 or z.shape[1] % self.members:
            raise ParameterError(
                f"the network must return {self.members} times C logits in each row, got shape {tuple(z.shape)}; give "
                "it that many outputs"
            )
        return z.unflatten(1, (self.members, -1)).transpose(0, 1)


def mimo_cross_entropy(repetition: float = 0.0) -> Step:
    """Return the step that trains a ``MIMO`` network on shuffled inputs.

        loss = -1/N sum_i sum_s ln p_s(y_{i,s} | x_{i,1}, ..., x_{i,S})

    Member 0 sees the batch in its order, every other member in an order of its own. With the probability
    ``repetition`` a place is filled with the same example for all, which lets members help one another: 1 trains one
    network with S heads.

    Args:
        repetition: probability, in [0, 1], that all members see the same example.

    Returns:
        The step, for ``training.fit``; with one member the plain cross-entropy.

    Raises:
        ParameterError: if the probability is out of range, or (from the step) the model is no ``MIMO``.

    Source: [havasi2021mimo], training objective and input repetition
    """
    if not 0 <= repetition <= 1:
        raise ParameterError(f"repetition is a probability and must be in [0, 1], got {repetition}")

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        if not isinstance(model, MIMO):
            raise ParameterError(f"mimo_cross_entropy trains a MIMO network, got a {type(model).__name__}")
        rows = _orders(model.members, len(batch), repetition, generator).to(batch.x.device)  # (S, N)
        z, y = model.answers(batch.x[rows]), batch.y[rows]
        require_labels(y, z.shape[-1])
        return functional.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="sum") / len(batch)

    return step


def _orders(members: int, rows: int, repetition: float, generator: torch.Generator) -> Tensor:
    """Draw which row each member sees at each place, shape (S, N)."""
    given = torch.arange(rows, device=generator.device)
    if members == 1:
        return given[None]
    same = torch.rand(rows, generator=generator, device=generator.device, dtype=torch.float64) < repetition
    others = [torch.randperm(rows, generator=generator, device=generator.device) for _ in range(members - 1)]
    return torch.stack([given, *(torch.where(same, given, order) for order in others)])
