"""The oldest chain: propose a step at random, and take it as often as the density says.

    q' = q + scale * N(0, I),   taken with probability min(1, p(q') / p(q)),   else the chain stays

    random_walk_metropolis(target, start, samples=, scale=, generator=)

It needs no gradients, and is the reference against which quicker chains are tried on few parameters.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.drawing import normal_like
from weightlore.uncertainty.mcmc.targets import Chains, Target, require_start

__all__ = ["random_walk_metropolis"]


def random_walk_metropolis(
    target: Target,
    start: Tensor,
    *,
    samples: int,
    scale: float | Tensor,
    generator: torch.Generator,
    warmup: int = 0,
    every: int = 1,
) -> Chains:
    """Draw from a density by accepted and rejected random steps.

        a = min(1, exp(log p(q') - log p(q)))

    Args:
        target: the log density of positions (C, P).
        start: where the chains begin, shape (C, P).
        samples: S, draws of each chain, >= 1.
        scale: standard deviation of a proposal, > 0, one number or one for each parameter (P,).
        generator: of proposals and decisions.
        warmup: steps that are made first and not kept, >= 0.
        every: steps from one draw to the next, >= 1.

    Returns:
        The draws; a proposal whose density is not finite is never taken.

    Raises:
        ParameterError: if a number is out of range, or a chain cannot begin where it should.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> normal = lambda q: -q.square().sum(1) / 2
        >>> random_walk_metropolis(normal, torch.zeros(2, 3), samples=5, scale=1.0, generator=g).draws.shape
        torch.Size([5, 2, 3])

    Source: [metropolis1953equation]; [hastings1970monte], for a proposal that is as likely back as forth
    """
    require_counts(samples=samples, every=every)
    _require_warmup(warmup)
    position = require_start(target, start)
    width = _width(scale, position)
    with torch.no_grad():
        value = target(position)
        kept, taken = [], torch.zeros_like(value, dtype=torch.float32)
        lost = torch.zeros_like(value, dtype=torch.int64)
        for step in range(warmup + samples * every):
            proposal = position + width * normal_like(position, generator)
            level = torch.rand(len(position), generator=generator, dtype=position.dtype, device=generator.device)
            new = target(proposal)
            accept = new.isfinite() & (level.to(position.device).log() < new - value)
            position = torch.where(accept[:, None], proposal, position)
            value = torch.where(accept, new, value)
            if step >= warmup:
                taken, lost = taken + accept, lost + ~new.isfinite()
                if (step - warmup + 1) % every == 0:
                    kept.append(position)
    return Chains(torch.stack(kept), taken / (samples * every), float(width.max()), lost)


def _width(scale: float | Tensor, position: Tensor) -> Tensor:
    width = torch.as_tensor(scale, dtype=position.dtype, device=position.device)
    if width.shape not in ((), position.shape[1:]) or not bool((width.isfinite() & (width > 0)).all()):
        raise ParameterError(f"scale must be finite and > 0, one number or {position.shape[1]} of them, got {scale}")
    return width


def _require_warmup(warmup: int) -> None:
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise ParameterError(f"warmup must be a whole number of steps >= 0, got {warmup!r}")
