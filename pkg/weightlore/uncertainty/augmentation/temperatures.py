"""The temperatures at which several predictions are as likely as they get, all at once.

    fitted_temperatures(p, y)   for each of A predictions (A, N, C): T, and the log loss at T

    p_T ~ p^(1/T);   the log loss is convex in s = 1/T, so that its derivative has one zero

Scores of different predictions can only be compared at their own temperatures [ashukha2020pitfalls]; a search that
tries many averages needs many temperatures.
"""

import torch
from torch import Tensor

from weightlore.uncertainty.measures.members import Members, members_of, require_observed

__all__ = ["fitted_temperatures"]

COLDEST, HOTTEST = 0.05, 20.0
STEPS = 100


def fitted_temperatures(p: Members, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each prediction the temperature that minimizes its log loss, and that loss.

        T = argmin -1/N sum_i ln [ p_i(y_i)^(1/T) / sum_c p_i(c)^(1/T) ],   T in [1/20, 20]

    Newton's method in s = 1/T, kept between two values where the derivative has different signs, all predictions at
    once. T = 1 is returned unless something is better.

    Args:
        p: predictions to be tempered one by one, shape (A, N, C).
        y: class numbers, shape (N,).

    Returns:
        Temperatures and losses in nats, each of shape (A,), float64.

    Raises:
        ParameterError: if p or y are no probabilities and classes.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]])
        >>> fitted_temperatures(p, torch.tensor([0, 0, 0, 1]))[0]
        tensor([2.0000], dtype=torch.float64)

    Source: [guo2017calibration], one temperature; [molchanov2020greedy], fitted anew for each average
    """
    probs = members_of(p).detach().double()
    require_observed(y, (probs.shape[1],), probs.shape[2])
    logs = probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
    index = y.expand(len(logs), -1)[:, :, None]
    low, high = torch.full_like(logs[:, 0, 0], 1 / HOTTEST), torch.full_like(logs[:, 0, 0], 1 / COLDEST)
    s = torch.ones_like(low)
    for _ in range(STEPS):
        slope, curvature = _derivatives(logs, index, s)
        low, high = torch.where(slope < 0, s, low), torch.where(slope > 0, s, high)
        step = s - slope / curvature.clamp_min(1e-300)
        new = torch.where((step > low) & (step < high), step, (low * high).sqrt())
        new = torch.where(slope == 0, s, new)
        done = bool(((new - s).abs() <= 1e-12 * s).all())
        s = new
        if done:
            break
    best, plain = _losses(logs, index, s), _losses(logs, index, torch.ones_like(s))
    better = best < plain
    return torch.where(better, 1 / s, 1.0), torch.where(better, best, plain)


def _losses(logs: Tensor, index: Tensor, s: Tensor) -> Tensor:
    """Return the mean log loss at inverse temperatures s (A,)."""
    z = s[:, None, None] * logs
    return (z.logsumexp(-1) - z.gather(2, index)[:, :, 0]).mean(1)


def _derivatives(logs: Tensor, index: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and second derivative of the loss in s, each (A,)."""
    q = (s[:, None, None] * logs).softmax(-1)
    mean = (q * logs).sum(-1)
    spread = (q * (logs - mean[:, :, None]).square()).sum(-1)
    return (mean - logs.gather(2, index)[:, :, 0]).mean(1), spread.mean(1)
