"""Which part of an uncertainty more data take away, and which they leave.

    reducibility_curve    trains on more and more examples and splits the uncertainty each time
    log_slope             how a curve falls on doubly logarithmic paper: -1 where it falls like 1 / n

The model part should fall, the data part should stay. For methods that only claim to tell them apart it does not
[meinert2023evidential].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.sources.decomposition import Parts

__all__ = ["Learn", "ReducibilityCurve", "log_slope", "reducibility_curve"]

Learn = Callable[[Split, torch.Generator], Callable[[Tensor], Parts]]
"""Learns from examples and returns what splits the uncertainty at inputs."""


@dataclass(frozen=True, eq=False)
class ReducibilityCurve:
    """Both parts of the uncertainty against the number of examples.

    Args:
        sizes: n, shape (Q,), int64.
        data: data part, mean over the inputs, shape (R, Q), float64.
        model: model part, likewise.

    Source: [kendall2017uncertainties], Sec. 5.3
    """

    sizes: Tensor
    data: Tensor
    model: Tensor


def reducibility_curve(
    learn: Learn,
    pool: Split,
    x: Tensor,
    *,
    sizes: Sequence[int],
    repeats: int = 1,
    generator: torch.Generator,
) -> ReducibilityCurve:
    """Learn from more and more examples of a pool and split the uncertainty at fixed inputs each time.

    Every repeat puts the pool into another order; a smaller training set is the beginning of a larger one.

    Args:
        learn: called with n examples and a generator, in the same state for every n of a repeat; what it returns is
            called with x and returns ``Parts``, such as ``decompose_entropy`` makes.
        pool: examples to learn from.
        x: inputs at which the uncertainty is split, shape (N, ...).
        sizes: Q training set sizes, each from 1 to the size of the pool.
        repeats: R, >= 1.
        generator: source of all randomness.

    Returns:
        Both parts, for each repeat and size.

    Raises:
        ParameterError: if a size or the number of repeats is out of range, or a part is not finite.

    Example:
        >>> from weightlore.uncertainty.sources import decompose_variance
        >>> def learn(data, generator):
        ...     means = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1) / len(data)
        ...     return lambda x: decompose_variance(means, torch.ones(2, 1, 1))
        >>> pool = Split(torch.zeros(20, 1), torch.zeros(20, 1))
        >>> reducibility_curve(learn, pool, torch.zeros(1, 1), sizes=(5, 10), generator=torch.Generator()).model
        tensor([[0.0400, 0.0100]], dtype=torch.float64)

    Source: [kendall2017uncertainties], Sec. 5.3; [gawlikowski2023uncertainty], reducible and irreducible uncertainty
    """
    if not sizes or min(sizes) < 1 or max(sizes) > len(pool) or repeats < 1:
        raise ParameterError(
            f"sizes are numbers of examples from 1 to {len(pool)}, the size of the pool, and repeats >= 1; got "
            f"{list(sizes)} and {repeats}"
        )
    data, model = torch.zeros(2, repeats, len(sizes), dtype=torch.float64)
    for repeat in range(repeats):
        order = torch.randperm(len(pool), generator=generator, device=generator.device).to(pool.x.device)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for place, n in enumerate(sizes):
            parts = learn(pool[order[:n]], torch.Generator().manual_seed(seed))(x)
            data[repeat, place] = require_finite("the data part", parts.data).double().mean()
            model[repeat, place] = require_finite("the model part", parts.model).double().mean()
    return ReducibilityCurve(torch.tensor(list(sizes)), data, model)


def log_slope(sizes: Tensor, values: Tensor) -> Tensor:
    """Return the slope of the least-squares line through ln values against ln sizes.

    Args:
        sizes: n, shape (Q,), > 0, at least two different ones.
        values: shape (..., Q), > 0.

    Returns:
        One slope for each curve, shape (...), float64.

    Raises:
        ParameterError: if shapes do not fit, or a number is not positive and finite.

    Example:
        >>> round(float(log_slope(torch.tensor([1.0, 10.0, 100.0]), torch.tensor([5.0, 0.5, 0.05]))), 3)
        -1.0

    Source: ours, because a power law is a straight line there
    """
    if sizes.ndim != 1 or values.shape[-1:] != sizes.shape or len(sizes.unique()) < 2:
        raise ParameterError(
            f"sizes (Q,), two different ones at least, and values (..., Q) go together, got {tuple(sizes.shape)} and "
            f"{tuple(values.shape)}"
        )
    if not bool((sizes > 0).all()) or not bool((values > 0).all()):
        raise ParameterError("a logarithm needs numbers > 0, but a size or a value is not; leave it out of the curve")
    across = require_finite("sizes", sizes.double()).log()
    across = across - across.mean()
    return (require_finite("values", values.double()).log() * across).sum(-1) / across.square().sum()
