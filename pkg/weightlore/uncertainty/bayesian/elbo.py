"""The bound on the evidence that a distribution over weights maximizes, batch by batch.

    loss = 1/B sum_i NLL_i + kl_weight KL(q || p) / num_data

    elbo_loss         this
    kl_divergence     KL(q || p) of a whole network: the sum over its layers
    elbo_step         the step that ``training.fit`` takes
    batch_shares      how the M batches of an epoch share one KL: evenly, or each half as much as the one before
    warmed            a weight that rises to 1 over the first steps

With weight 1 a batch of B examples bears KL B / num_data, so that an epoch counts KL once. A share pi_i among M batches
is the weight M pi_i.
"""

from collections.abc import Callable
from itertools import count
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts
from weightlore.training import Step, cross_entropy
from weightlore.uncertainty.bayesian.drawing import drawing

__all__ = ["BatchShares", "HasDivergence", "batch_shares", "elbo_loss", "elbo_step", "kl_divergence", "warmed"]

BatchShares = Literal["uniform", "halving"]


@runtime_checkable
class HasDivergence(Protocol):
    """A layer that knows how far its distribution is from the prior.

    Source: ours, because layers of several kinds may stand in one network
    """

    def kl_divergence(self) -> Tensor:
        """Return KL(q || p), summed over the layer's weights, in nats, shape ()."""
        ...


def kl_divergence(model: nn.Module) -> Tensor:
    """Return KL(q || p) of a network, in nats, shape (): the sum over its layers, each of them once.

    Args:
        model: with one layer or more that has a ``kl_divergence``.

    Raises:
        ParameterError: if there is none.

    Example:
        >>> from weightlore.uncertainty.bayesian import BayesLinear
        >>> layer = BayesLinear(nn.Linear(4, 3))
        >>> bool(kl_divergence(nn.Sequential(layer, nn.ReLU())) == layer.kl_divergence())
        True

    Source: [blundell2015weight], Eq. (1)
    """
    layers = [layer for layer in model.modules() if layer is not model and isinstance(layer, HasDivergence)]
    if isinstance(model, HasDivergence):
        layers = [model]
    if not layers:
        raise ParameterError(
            f"a {type(model).__name__} has no layer with a divergence from a prior; make one by variational(model)"
        )
    return torch.stack([layer.kl_divergence() for layer in layers]).sum()


def elbo_loss(nll: Tensor, kl: Tensor, *, num_data: int, kl_weight: float = 1.0) -> Tensor:
    """Return the negative evidence lower bound for each example, estimated by a batch.

        1/B sum_i NLL_i + kl_weight KL(q || p) / num_data

    Args:
        nll: mean negative log likelihood of the batch, in nats, shape ().
        kl: KL(q || p), summed over all weights, in nats, shape ().
        num_data: examples in the whole training set, not in the batch.
        kl_weight: 1 for the bound; below 1 it is a colder posterior.

    Returns:
        The loss in nats per example, shape ().

    Raises:
        ParameterError: if one is no single number, num_data is no count, or the weight is negative or not finite.

    Example:
        >>> elbo_loss(torch.tensor(2.0), torch.tensor(50.0), num_data=100)
        tensor(2.5000)

    Source: [blundell2015weight], Eq. (1), (9), divided by the number of examples
    """
    require_counts(num_data=num_data)
    if nll.shape != () or kl.shape != ():
        raise ParameterError(
            f"nll is the mean over a batch and kl the sum over weights, each of shape (), got {tuple(nll.shape)} and "
            f"{tuple(kl.shape)}; use losses.mean()"
        )
    if not 0 <= kl_weight < torch.inf:
        raise ParameterError(f"kl_weight must be >= 0 and finite, got {kl_weight}; 1 is the bound itself")
    return nll + kl * (kl_weight / num_data)


def elbo_step(nll: Step = cross_entropy, *, num_data: int, kl_weight: float | Callable[[int], float] = 1.0) -> Step:
    """Return a step of variational training for ``training.fit``: one draw of the weights, the bound's loss.

    Args:
        nll: returns the mean negative log likelihood of a batch, in nats.
        num_data: examples in the whole training set.
        kl_weight: a number, or a function of the number of the step, from 0, such as ``warmed(1000)``. Steps are
            counted from when this function was called: make one for each training.

    Returns:
        A function of model, batch and generator.

    Raises:
        ParameterError: if num_data is no count.

    Example:
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty.bayesian import variational
        >>> batch = Split(torch.zeros(2, 64, dtype=torch.float64), torch.tensor([3, 5]))
        >>> loss = elbo_step(num_data=900)(variational(healthy()), batch, torch.Generator().manual_seed(0))
        >>> loss.shape
        torch.Size([])

    Source: [blundell2015weight], section 3.4
    """
    require_counts(num_data=num_data)
    numbers = count()

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        weight = kl_weight(next(numbers)) if callable(kl_weight) else kl_weight
        with drawing(model, generator):
            return elbo_loss(nll(model, batch, generator), kl_divergence(model), num_data=num_data, kl_weight=weight)

    return step


def batch_shares(batches: int, *, kind: BatchShares = "uniform") -> Tensor:
    """Return how the batches of an epoch share the divergence: pi_i, which sum to 1.

        uniform   pi_i = 1 / M
        halving   pi_i = 2^(M - i) / (2^M - 1),   i = 1, ..., M

    The weight of batch i in ``elbo_step`` is M pi_i: ``lambda step: M * float(shares[step % M])``.

    Args:
        batches: M.
        kind: ``"halving"`` lets the prior count most while few data were seen in an epoch.

    Returns:
        Shape (M,), float64.

    Raises:
        ParameterError: if M is no count, or there is no such kind.

    Example:
        >>> batch_shares(2, kind="halving")
        tensor([0.6667, 0.3333], dtype=torch.float64)

    Source: [blundell2015weight], section 3.4
    """
    require_counts(batches=batches)
    require_option("kind", kind, BatchShares)
    if kind == "uniform":
        return torch.full((batches,), 1 / batches, dtype=torch.float64)
    halves = torch.arange(1, batches + 1, dtype=torch.float64).neg().exp2()
    return halves / (1 - 2.0**-batches)  # both sides by 2^M, which is too large for M > 1023


def warmed(steps: int) -> Callable[[int], float]:
    """Return a weight that rises to 1 along a line: (step + 1) / steps, then 1.

    Args:
        steps: after so many it stays.

    Raises:
        ParameterError: if steps is no count.

    Example:
        >>> [warmed(4)(step) for step in (0, 1, 3, 9)]
        [0.25, 0.5, 1.0, 1.0]

    Source: ours, because a divergence at full weight from the start may hold all weights at the prior
    """
    require_counts(steps=steps)
    return lambda step: min(1.0, (step + 1) / steps)
