"""How far the closed form can be from the worst corruption.

The closed form is the worst corruption to first order. Where the gradient is beta-Lipschitz, the second order is at
most beta c^2 epsilon^2 / 2, and the closed form attains the worst loss change up to a factor that tends to 1:

    error_bound          the factor, from the gradient and beta
    curvature            the largest curvature of the loss at the parameters: the beta of an infinitesimal ball
    quadratic_optimum    the worst corruption itself where the loss is quadratic and p = 2
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor, nn

from weightlore.corruption.budgets import Budget, first_order_gain
from weightlore.corruption.losses import Loss, hessian_vector
from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import Group, flatten

__all__ = ["ErrorBound", "QuadraticOptimum", "curvature", "error_bound", "quadratic_optimum"]


@dataclass(frozen=True)
class ErrorBound:
    """How well the closed form is known to do.

    Args:
        error: largest difference between a loss change and its first-order estimate, in the unit of the loss.
        r: that error relative to the first-order gain of the closed form; infinite for a zero gradient.
        ratio: the worst loss change is at most this many times that of the closed form; infinite for r >= 1.
        ratio_convex: the same where the loss is convex on the budget.
        r_from_norm: a larger r that needs only ||g||_2, n and P, beta n^g(p) sqrt(P) epsilon / (2 ||g||_2).

    Source: [sun2021corruption], error bound of the closed form
    """

    error: float
    r: float
    ratio: float
    ratio_convex: float
    r_from_norm: float


def error_bound(gradient: Tensor, budget: Budget, *, smoothness: float) -> ErrorBound:
    """Bound the error of the first-order estimate, and of the closed form.

    With c = n^max(0, 1/2 - 1/p), so that ||a||_2 <= c epsilon on the budget, and h = top_n(g):

        |loss change - a . g| <= beta c^2 epsilon^2 / 2
        r = beta c^2 epsilon / (2 ||h||_q)
        1 <= worst / closed form <= (1 + r)/(1 - r) , and 1 + r where the loss is convex

    The bound says nothing where the gradient vanishes, as on a fitted training set: r is infinite.

    Args:
        gradient: gradient of the loss, shape (P,), loss units per parameter unit.
        budget: how far and how many parameters may move.
        smoothness: beta >= 0, a Lipschitz constant of the gradient on the budget, loss units per squared parameter
            unit.

    Returns:
        The bounds.

    Raises:
        ParameterError: if the gradient is not a finite vector, or the smoothness is negative or not finite.

    Source: [sun2021corruption], error bound of the closed form; re-derived here, the factor 1/2 is ours
    """
    if not 0 <= smoothness < math.inf:
        raise ParameterError(f"smoothness is a Lipschitz constant and must be finite and >= 0, got {smoothness}")
    gain = float(first_order_gain(gradient.detach().double(), Budget(1.0, p=budget.p, n=budget.n)))
    n, size = budget.count(len(gradient)), len(gradient)
    stretch = n ** max(0.0, 0.5 - 1 / budget.p)
    r = _ratio(smoothness * stretch**2 * budget.epsilon, 2 * gain)
    exponent = max(0.5 - 2 / budget.p, 1 / budget.p - 1)
    coarse = smoothness * n**exponent * math.sqrt(size) * budget.epsilon
    return ErrorBound(
        error=smoothness * (stretch * budget.epsilon) ** 2 / 2,
        r=r,
        ratio=(1 + r) / (1 - r) if r < 1 else math.inf,
        ratio_convex=1 + r,
        r_from_norm=_ratio(coarse, 2 * float(gradient.detach().double().norm())),
    )


def curvature(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    group: Group = None,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
    tolerance: float = 1e-4,
) -> float:
    """Return the largest curvature of the loss at the parameters, |lambda|_max of its Hessian, by Lanczos iteration.

    It is the smoothness beta of a ball that shrinks to a point. On a ball of finite size beta may be larger: a bound
    that uses this number is an estimate.

    Args:
        model: any module with floating-point parameters; left as it is.
        data: examples of the loss.
        generator: for the first vector of the iteration.
        group: which parameters; ``None`` for all.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once.
        tolerance: relative accuracy of the eigenvalue.

    Returns:
        The largest absolute eigenvalue, loss units per squared parameter unit.

    Raises:
        ParameterError: if data and model do not fit, or the group is empty.

    Source: ours
    """
    theta = flatten(model, group)

    def product(vector: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1))).to(theta)
        return hessian_vector(model, data, v, group=group, loss=loss, batch_size=batch_size).double().cpu().numpy()

    size = len(theta)
    if size < 3:  # Lanczos needs room; so small a Hessian is written out
        hessian = np.stack([product(column) for column in np.eye(size)])
        return float(np.abs(np.linalg.eigvalsh((hessian + hessian.T) / 2)).max())
    first = torch.randn(size, generator=generator, dtype=torch.float64, device=generator.device).cpu().numpy()
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    (value,) = eigsh(operator, k=1, which="LM", v0=first, tol=tolerance, return_eigenvectors=False)
    return float(abs(value))


@dataclass(frozen=True)
class QuadraticOptimum:
    """The worst corruption of a quadratic loss on the sphere.

    Args:
        vector: where, shape (P,), of length epsilon.
        value: loss change there, shape ().
        multiplier: Lagrange multiplier lambda of (lambda - A) a = b, at least the largest eigenvalue of A; infinite for
            epsilon = 0.

    Source: ours
    """

    vector: Tensor
    value: Tensor
    multiplier: float


def quadratic_optimum(slope: Tensor, hessian: Tensor, epsilon: float) -> QuadraticOptimum:
    """Return the corruption of length epsilon that increases a quadratic loss most, exactly.

        maximize  b . a + a . A a / 2   on   ||a||_2 = epsilon

    The trust-region problem: (lambda - A) a = b for the lambda >= lambda_max(A) that gives a its length, the root of
    the secular equation. Where b has no part along the top eigenvectors that length may not be reached (the hard
    case); the rest then goes along the top eigenvector.

    Args:
        slope: b, shape (P,), floating.
        hessian: A, symmetric, shape (P, P), of any definiteness.
        epsilon: length of the corruption, >= 0 and finite.

    Returns:
        The optimum; exact to rounding in float64, in the dtype of the slope.

    Raises:
        ParameterError: if shapes do not fit, A is not symmetric, or a value is not finite.

    Example:
        >>> quadratic_optimum(torch.tensor([1.0, 0.0]), torch.diag(torch.tensor([0.0, 3.0])), 1.0).vector
        tensor([0.3333, 0.9428])

    Source: ours, because a worst case that is known exactly shows what the closed form misses
    """
    b, matrix = _require_quadratic(slope, hessian, epsilon)
    values, basis = torch.linalg.eigh(matrix)
    along, gaps = basis.T @ b, values[-1] - values
    if epsilon == 0:
        return QuadraticOptimum(torch.zeros_like(slope), slope.new_zeros(()), math.inf)
    shift, hard = _secular_root(along.numpy(), gaps.numpy(), epsilon)
    part = along / (gaps + shift)
    if hard:
        rest = epsilon**2 - float(part[:-1] @ part[:-1])
        part[-1] = math.copysign(math.sqrt(max(rest, 0.0)), float(along[-1]))
    a = basis @ (part * (epsilon / part.norm()))
    value = b @ a + a @ matrix @ a / 2
    return QuadraticOptimum(a.to(slope), value.to(slope), float(values[-1]) + shift)


def _secular_root(along: np.ndarray, gaps: np.ndarray, epsilon: float) -> tuple[float, bool]:
    """Return lambda - lambda_max at which || along / (gaps + .) || = epsilon, and whether it is too small to find."""

    def length(shift: float) -> float:
        return float(np.linalg.norm(along / (gaps + shift)))

    high = float(np.linalg.norm(along)) / epsilon  # length(high) <= epsilon
    low = 1e-14 * (high + float(gaps.max())) or 1.0
    if length(low) <= epsilon:
        return low, True
    high *= 1 + 1e-12
    root = optimize.brentq(lambda shift: 1 / epsilon - 1 / length(shift), low, high, xtol=1e-300, rtol=1e-14)
    return float(root), False


def _require_quadratic(slope: Tensor, hessian: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Check a quadratic loss and return its slope and Hessian in float64."""
    Budget(epsilon)
    if slope.ndim != 1 or len(slope) == 0 or hessian.shape != (len(slope), len(slope)):
        raise ParameterError(
            f"slope and hessian must have shapes (P,) and (P, P), got {tuple(slope.shape)} and {tuple(hessian.shape)}"
        )
    b, matrix = (require_finite(*pair).double().cpu() for pair in (("slope", slope), ("hessian", hessian)))
    if not torch.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * float(matrix.abs().amax())):
        raise ParameterError("hessian must be symmetric; use (A + A.T) / 2, which has the same loss")
    return b, (matrix + matrix.T) / 2


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.inf
