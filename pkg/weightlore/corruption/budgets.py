"""Corrupt a parameter vector as badly as a budget allows.

A *budget* says how far (``epsilon``, in the Lp norm) and how many (``n``) parameters may move. To first order the loss
changes by ``a . g``; the corruption that maximizes it has a closed form [sun2021corruption].

    S(budget) = { a : ||a||_p = epsilon, ||a||_0 <= n }    what a budget allows
    gain(a)   = a . g                                      loss increase to first order
    max gain  = epsilon * ||top_n(g)||_q                   first_order_gain,  1/p + 1/q = 1
    a_hat     = argmax of gain over S                      closed_form

Everything here is a pure function of flat vectors; ``attacks`` applies it to a network.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.corruption.arguments import is_real, require_whole
from weightlore.errors import ParameterError, require_finite

__all__ = ["Budget", "Corruption", "closed_form", "first_order_gain", "largest", "require_budget"]


@dataclass(frozen=True)
class Budget:
    """How far and how many parameters a corruption may move.

    Args:
        epsilon: size of the corruption in the Lp norm, >= 0 and finite, in the unit of the parameters.
        p: order of the norm, >= 1 or ``inf``. 2 shares one energy among all touched parameters, ``inf`` lets each of
            them move by epsilon, 1 is spent on a single one.
        n: at most this many parameters move, >= 1; ``None`` for all. More than there are means all.

    Raises:
        ParameterError: if a value is outside its range or not a number of its kind.

    Example:
        >>> Budget(epsilon=0.5, n=3)
        Budget(epsilon=0.5, p=2.0, n=3)

    Source: [sun2021corruption], constraint set
    """

    epsilon: float
    p: float = 2.0
    n: int | None = None

    def __post_init__(self) -> None:
        if not is_real(self.epsilon) or not 0 <= self.epsilon < math.inf:
            raise ParameterError(f"epsilon is a size and must be a finite number >= 0, got {self.epsilon!r}")
        if not is_real(self.p) or not self.p >= 1:
            raise ParameterError(f"p is the order of a norm and must be a number >= 1 or inf, got {self.p!r}")
        if self.n is None:
            return
        require_whole("n, unless None,", self.n)
        if self.n < 1:
            raise ParameterError(f"n counts parameters and must be >= 1 (None for all), got {self.n}")

    @property
    def dual(self) -> float:
        """Order q of the dual norm, 1/p + 1/q = 1."""
        if self.p == 1:
            return math.inf
        return 1.0 if self.p == math.inf else self.p / (self.p - 1)

    def count(self, size: int) -> int:
        """Return how many of ``size`` parameters may move: n, and at most all of them."""
        return size if self.n is None else min(int(self.n), size)


def require_budget(value: object) -> None:
    """Check that an argument is a budget.

    Args:
        value: what came.

    Raises:
        ParameterError: if it is not.

    Source: ours
    """
    if not isinstance(value, Budget):
        raise ParameterError(
            f"budget must be a Budget, got {value!r} of type {type(value).__name__}; use Budget(epsilon)"
        )


@dataclass(frozen=True)
class Corruption:
    """A change of theta, and what it gains to first order.

    Args:
        vector: the change, shape (P,), in the unit of the parameters.
        first_order_gain: loss increase to first order, shape (), in the unit of the loss.
        degenerate: whether the gradient is zero: every corruption gains nothing to first order, and the vector is zero.

    Source: ours
    """

    vector: Tensor
    first_order_gain: Tensor
    degenerate: bool


def largest(vector: Tensor, n: int) -> Tensor:
    """Return where the n entries of largest magnitude are, ties going to the lowest index.

    Args:
        vector: shape (P,).
        n: how many, 1 <= n <= P.

    Returns:
        Indices, shape (n,), exactly n and each once, in no particular order.

    Raises:
        ParameterError: if the vector is not a finite vector, or n is out of range.

    Example:
        >>> largest(torch.tensor([1.0, -3.0, 1.0, 2.0]), 3).sort().values
        tensor([0, 1, 3])

    Source: ours, because keeping every entry that ties with the n-th can touch more than n parameters
    """
    _require_gradient("the vector", vector)
    require_whole("n", n)
    if not 1 <= n <= len(vector):
        raise ParameterError(f"n must be between 1 and the {len(vector)} entries of the vector, got {n}")
    return _largest(vector.detach().abs(), n)


def first_order_gain(gradient: Tensor, budget: Budget) -> Tensor:
    """Return the loss increase that the best corruption reaches to first order.

    By Hölder's inequality it is epsilon times the dual norm of the n largest gradient entries:

        gain = epsilon * || top_n(g) ||_q ,   1/p + 1/q = 1

    Args:
        gradient: gradient of the loss, shape (P,), loss units per parameter unit.
        budget: how far and how many parameters may move.

    Returns:
        The gain, shape (), in the unit of the loss; differentiable in the gradient.

    Raises:
        ParameterError: if the gradient is not a finite vector.

    Example:
        >>> first_order_gain(torch.tensor([3.0, -4.0, 1.0]), Budget(epsilon=0.1, n=2))
        tensor(0.5000)

    Source: [sun2021corruption], closed-form solution; the proof by Hölder is ours
    """
    require_budget(budget)
    top = _require_gradient("the gradient", gradient)
    count = budget.count(len(gradient))
    if top == 0 or budget.epsilon == 0:
        return gradient.detach().new_zeros(())
    kept = gradient if count == len(gradient) else gradient[_largest(gradient.detach().abs(), count)]
    return (budget.epsilon * top * _norm(_scaled(kept, top), budget.dual)).to(gradient.dtype)


def closed_form(gradient: Tensor, budget: Budget) -> Corruption:
    """Return the corruption that increases the loss most to first order.

    With h = top_n(g), the n entries of largest magnitude (ties to the lowest index), and zero elsewhere:

        a_hat = epsilon * sign(h) |h|^(1/(p-1)) / || |h|^(1/(p-1)) ||_p

    For p = 2 this is epsilon h / ||h||_2, for p = inf epsilon sign(h), and for p = 1 all of epsilon goes to the single
    largest entry. Magnitudes are divided by the largest one before the power, so that p close to 1 does not overflow.

    Args:
        gradient: gradient of the loss, shape (P,), loss units per parameter unit; taken as a constant.
        budget: how far and how many parameters may move.

    Returns:
        The corruption, of the gradient's dtype and device. Where fewer than n entries differ from zero only those
        move. A zero gradient has no best direction: the vector is zero and ``degenerate`` is set.

    Raises:
        ParameterError: if the gradient is not a finite vector.

    Example:
        >>> closed_form(torch.tensor([3.0, -1.0, 2.0]), Budget(epsilon=1.0, p=torch.inf, n=2)).vector
        tensor([1., 0., 1.])

    Source: [sun2021corruption], closed-form solution
    """
    gradient = gradient.detach() if isinstance(gradient, Tensor) else gradient
    require_budget(budget)
    top = _require_gradient("the gradient", gradient)
    if top == 0 or budget.epsilon == 0:
        return Corruption(torch.zeros_like(gradient), gradient.new_zeros(()), degenerate=top == 0)
    count = 1 if budget.p == 1 else budget.count(len(gradient))
    if count == len(gradient):
        vector, length = _best(gradient, top, budget)
    else:
        kept = _largest(gradient.abs(), count)
        part, length = _best(gradient[kept], top, budget)
        vector = torch.zeros_like(gradient).index_copy_(0, kept, part)
    return Corruption(vector, (budget.epsilon * top * length).to(gradient.dtype), degenerate=False)


def _best(h: Tensor, top: float, budget: Budget) -> tuple[Tensor, Tensor]:
    """Return epsilon sign(h) |h|^(q-1) / || |h|^(q-1) ||_p, in the dtype of h, and ||h/top||_q."""
    share, q = _scaled(h, top), budget.dual
    length = _norm(share, q)
    if budget.p in (1, math.inf):
        return h.sign().mul_(budget.epsilon), length
    if q == 2:
        return share.mul_(length.reciprocal().mul_(budget.epsilon)).to(h.dtype), length
    size = budget.epsilon / length ** (q - 1)  # || |h|^(q-1) ||_p = ||h||_q^(q-1)
    vector = share.abs().pow_(q - 1).mul_(share.sign())  # an entry of zero stays, also as q -> 1
    return vector.mul_(size).to(h.dtype), length


def _norm(share: Tensor, q: float) -> Tensor:
    """Return ||share||_q, where the largest magnitude is 1."""
    if q == math.inf:
        return share.abs().amax()
    if q == 2:
        return (share * share).sum().sqrt()  # a sum is pairwise; vector_norm loses 4 digits of float32 at 10^7 entries
    return share.abs().sum() if q == 1 else share.abs().pow(q).sum() ** (1 / q)


def _scaled(h: Tensor, top: float) -> Tensor:
    """Divide by the largest magnitude; at least float32, since sums of many half-precision squares overflow."""
    return h.to(torch.promote_types(h.dtype, torch.float32)) / top


def _largest(magnitude: Tensor, n: int) -> Tensor:
    """Indices of the n largest magnitudes: those above the n-th, then the first of those that equal it."""
    if n == 1:
        return magnitude.argmax().reshape(1)  # the first of several
    if n == len(magnitude):
        return torch.arange(n, device=magnitude.device)
    values, indices = torch.topk(magnitude, n, sorted=False)
    threshold = values.amin()
    above, tie = values > threshold, magnitude == threshold
    room = n - int(torch.count_nonzero(above))
    if int(torch.count_nonzero(tie)) == room:
        return indices
    return torch.cat([indices[above], tie.nonzero().squeeze(1)[:room]])


def _require_gradient(what: str, vector: Tensor) -> float:
    """Check that a tensor is a non-empty finite floating vector; return its largest magnitude, found in one pass."""
    if not isinstance(vector, Tensor) or vector.ndim != 1 or not vector.dtype.is_floating_point:
        came = f"{vector.dtype} of shape {tuple(vector.shape)}" if isinstance(vector, Tensor) else type(vector).__name__
        raise ParameterError(f"{what} must be a floating tensor of shape (P,), got {came}; flatten it first")
    if len(vector) == 0:
        raise ParameterError(f"{what} is empty; choose a group with at least one parameter")
    if vector.is_meta:
        raise ParameterError(f"{what} is on the meta device and has no values; move the model to a real device")
    low, high = (float(end) for end in torch.aminmax(vector.detach()))  # NaN and infinities reach the ends
    if not (math.isfinite(low) and math.isfinite(high)):
        require_finite(what, vector)
    return max(-low, high)
