"""Mean and variance of what random corruptions do, for every norm, number of parameters and law.

Signs are fair and supports uniform, so only the mean square s of a touched entry enters (epsilon = 1):

    s = E[a_i^2 | i is touched]       mean_square(n, p, kind)            1/n for p = 2
    rms of a . g / best gain          random_efficiency(g, budget)       the share of the optimum that chance gains
    E[loss change]                    expected_change(trace, ...)        epsilon^2 tr(H) / (2P) for p = 2
    tr(H) from loss changes           trace_estimate(changes, ...)
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special
from torch import Tensor

from weightlore.corruption.arguments import require_real
from weightlore.corruption.budgets import Budget, first_order_gain, require_budget
from weightlore.corruption.draws import RandomKind, require_kind
from weightlore.errors import ParameterError, require_finite

__all__ = ["TraceEstimate", "expected_change", "mean_square", "random_efficiency", "trace_estimate"]


def mean_square(n: int, p: float, kind: RandomKind = "sphere") -> float:
    """Return the mean square of one touched entry of a random corruption of size 1.

        sphere   Gamma(3/p) Gamma(n/p) / (Gamma(1/p) Gamma((n+2)/p))     1/n for p = 2, (1 + 2/n)/3 for p = inf
        vertex   1
        gaussian 1

    Args:
        n: number of touched parameters, >= 1.
        p: order of the norm, >= 1 or inf.
        kind: the law, as in ``random``.

    Raises:
        ParameterError: if n < 1, p < 1 or the kind does not fit.

    Example:
        >>> mean_square(4, 2.0)
        0.25

    Source: ours, because the norm of exp(-|x|^p) is independent of its direction
    """
    require_kind(Budget(1.0, p=p, n=n), kind)
    if kind in ("vertex", "gaussian"):
        return 1.0
    if p == math.inf:
        return (1 + 2 / n) / 3
    if p == 2:
        return 1 / n
    logs = special.gammaln(np.array([3 / p, n / p, 1 / p, (n + 2) / p]))
    return float(np.exp(logs[0] + logs[1] - logs[2] - logs[3]))


def random_efficiency(gradient: Tensor, budget: Budget, kind: RandomKind = "sphere") -> float:
    """Return the share of the first-order optimum that a random corruption gains, root mean square.

    The gain of a random corruption has mean 0 and, since signs are fair and supports uniform, the variance

        E[(a . g)^2] = epsilon^2 s n/P ||g||_2^2 ,   s = mean_square(n, p, kind)

    For p = 2 that is epsilon^2 ||g||^2 / P whatever n; the optimum is epsilon ||top_n(g)||_q.

    Args:
        gradient: gradient of the loss, shape (P,).
        budget: how far and how many parameters may move.
        kind: the law, as in ``random``.

    Returns:
        The share, in [0, 1] except for "gaussian"; NaN-free: 0 for a zero gradient or a zero epsilon.

    Raises:
        ParameterError: if the gradient is not a finite vector, or the kind does not fit.

    Source: ours
    """
    best = float(first_order_gain(gradient.double(), budget))
    if best == 0:
        return 0.0
    n, size = budget.count(len(gradient)), len(gradient)
    spread = math.sqrt(mean_square(n, budget.p, kind) * n / size) * float(gradient.double().norm())
    return budget.epsilon * spread / best


def expected_change(trace: float, size: int, budget: Budget, kind: RandomKind = "sphere") -> float:
    """Return the mean loss change of a random corruption, to second order.

        E[loss change] = epsilon^2 s n / (2P) tr(H) ,   s = mean_square(n, p, kind)

    which is epsilon^2 tr(H) / (2P) for p = 2, whatever n: of second order in epsilon, where the worst is of first.

    Args:
        trace: trace of the Hessian of the loss, loss units per squared parameter unit.
        size: number of parameters P.
        budget: how far and how many parameters may move.
        kind: the law, as in ``random``.

    Returns:
        The mean change, in the unit of the loss; exact where the loss is quadratic.

    Raises:
        ParameterError: if size < 1, or the kind does not fit.

    Source: [sun2021corruption], theorem on random corruption; other norms and n are ours
    """
    require_budget(budget)
    require_real("size", size)
    if size < 1:
        raise ParameterError(f"size counts parameters and must be >= 1, got {size}")
    n = budget.count(size)
    return budget.epsilon**2 * mean_square(n, budget.p, kind) * n / (2 * size) * trace


@dataclass(frozen=True)
class TraceEstimate:
    """Trace of the Hessian as random corruptions see it.

    Args:
        value: the estimate, loss units per squared parameter unit.
        error: its standard error, of the same unit.

    Source: ours
    """

    value: float
    error: float


def trace_estimate(changes: Tensor, size: int, budget: Budget, kind: RandomKind = "sphere") -> TraceEstimate:
    """Estimate the trace of the Hessian from the loss changes of random corruptions.

    The inverse of ``expected_change``. Higher orders are taken for curvature: choose epsilon small, yet not so small
    that the first-order gains, of mean zero, drown the second order in noise. Pairs (a, -a) cancel them.

    Args:
        changes: loss changes of independent draws, shape (S,), S >= 2.
        size: number of parameters P.
        budget: the budget of the draws, epsilon > 0.
        kind: the law of the draws, as in ``random``.

    Returns:
        The estimate and its standard error.

    Raises:
        ParameterError: if there are fewer than two changes, one is not finite, or epsilon is 0.

    Source: ours
    """
    if changes.ndim != 1 or len(changes) < 2:
        raise ParameterError(f"changes must be a vector of at least two trials, got shape {tuple(changes.shape)}")
    unit = expected_change(1.0, size, budget, kind)
    if unit == 0:
        raise ParameterError("epsilon must be > 0: draws of size zero say nothing of curvature")
    trace = require_finite("changes", changes).double() / unit
    return TraceEstimate(float(trace.mean()), float(trace.std()) / math.sqrt(len(trace)))
