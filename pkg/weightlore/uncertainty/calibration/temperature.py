"""Temperature scaling: divide all logits by one number.

    q = softmax(z / T)                      TemperatureScaling
    T = argmin of the mean NLL              find_temperature

The NLL is convex in s = 1/T, with first and second derivative from the moments of the logits under q:

    dNLL/ds = mean( E_q z - z_y ),   d2NLL/ds2 = mean( Var_q z )

so that Newton's method needs a handful of passes over the data. No answer changes, since the order of the classes in a
row stays; which of two *rows* is surer may change. Where every row is answered correctly, the NLL falls for ever as
T -> 0: there is nothing to learn from such data, and T = 1 is kept.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Temperature", "TemperatureScaling", "find_temperature"]

LOWEST, HIGHEST = 0.05, 20.0
FEW = 5000  # rows below which a first estimate on a tenth of them saves nothing
ROUNDS = 100


@dataclass(frozen=True)
class Temperature:
    """The temperature with the smallest NLL, and whether it is one.

    Args:
        value: T, > 0.
        at_bound: whether the NLL still falls at this end of the range.

    Source: ours
    """

    value: float
    at_bound: bool


class TemperatureScaling(Calibrator):
    """Divide all logits by the temperature that is best on held-out data.

        q = softmax(z / T)

    T > 1 softens an over-confident network, T < 1 sharpens an under-confident one.

    Args:
        bounds: lowest and highest T, around 1.
        allow_extreme: whether to keep the lowest T where the NLL still falls there, as it does on rows that are all
            answered correctly; by default T = 1 is taken instead. Either way there is a warning.

    Attributes:
        temperature: T.
        at_bound: whether the NLL still fell at an end of the range.

    Raises:
        ParameterError: if the bounds are not two numbers around 1.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> TemperatureScaling().fit(z, torch.tensor([0, 0, 1])).predict_proba(z[:1])
        tensor([[0.6667, 0.3333]])

    Source: [guo2017calibration], section 4.2; the bounds and what happens at them are ours
    """

    def __init__(self, *, bounds: tuple[float, float] = (LOWEST, HIGHEST), allow_extreme: bool = False) -> None:
        _require_bounds(bounds)
        self.bounds, self.allow_extreme = bounds, allow_extreme
        self.temperature, self.at_bound = math.nan, False

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find the temperature on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        found = find_temperature(logits, y, bounds=self.bounds)
        extreme = found.at_bound and found.value < 1 and not self.allow_extreme
        self.temperature, self.at_bound = 1.0 if extreme else found.value, found.at_bound
        if found.at_bound:
            warnings.warn(_said(found.value, self.temperature), UncertaintyWarning, stacklevel=2)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax(z / T), shape (N, C), for logits of that shape."""
        if math.isnan(self.temperature):
            raise not_fitted(self)
        return torch.softmax(require_logits(logits) / self.temperature, -1)

    def __repr__(self) -> str:
        told = "not fitted" if math.isnan(self.temperature) else f"T={self.temperature:.4g}"
        return f"TemperatureScaling({told}{', at its bound' if self.at_bound else ''})"


def find_temperature(logits: Tensor, y: Tensor, *, bounds: tuple[float, float] = (LOWEST, HIGHEST)) -> Temperature:
    """Return the temperature with the smallest mean NLL.

        T = argmin over [lowest, highest] of mean( logsumexp(z / T) - z_y / T )

    Newton's method in s = 1/T, kept between the points where the slope is known to be negative and positive; with many
    rows it begins on a tenth of them and ends on all. The NLL at the result is never above that at T = 1.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,).
        bounds: lowest and highest T, around 1.

    Returns:
        T, exact to about the rounding of the dtype; 1 where no row has two different logits.

    Raises:
        ParameterError: if logits and classes are not of that form, or the bounds are not two numbers around 1.

    Source: [guo2017calibration], section 4.2; Newton's method in 1/T is ours, because the NLL is convex there
    """
    _require_bounds(bounds)
    z, y = require_pairs(logits, y)
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    z = z - z.amax(1, keepdim=True)
    right = z.gather(1, y[:, None])
    if not bool((z != 0).any()):
        return Temperature(1.0, at_bound=False)
    if not bool((right != 0).any()):  # every class is the largest of its row: the NLL falls for ever as T -> 0
        return Temperature(bounds[0], at_bound=True)
    start = 1.0
    if len(z) >= FEW:
        start = _newton(z[::10].contiguous(), _mean(right[::10]), start, bounds)[0]
    s, at_bound = _newton(z, _mean(right), start, bounds)
    if not at_bound and _nll(z, _mean(right), 1.0) <= _nll(z, _mean(right), s):
        s = 1.0
    return Temperature(min(max(1 / s, bounds[0]), bounds[1]), at_bound)


def _newton(z: Tensor, right: float, s: float, bounds: tuple[float, float]) -> tuple[float, bool]:
    """Return the minimum of the NLL in s = 1/T, and whether it is an end of the range."""
    lowest, highest = 1 / bounds[1], 1 / bounds[0]
    below, above, tolerance = 0.0, math.inf, torch.finfo(z.dtype).eps ** 0.5
    for _ in range(ROUNDS):
        slope, curvature = _derivatives(z, right, s)
        if slope == 0:
            return s, False
        below, above = (below, s) if slope > 0 else (s, above)
        if (slope < 0 and s >= highest) or (slope > 0 and s <= lowest):
            return s, True
        there = s - slope / curvature if curvature > 0 else s - math.copysign(3 * s, slope)
        there = min(max(there, s / 4, lowest), highest)
        if not below < there < above:
            there = (below * above) ** 0.5
        if abs(there - s) <= tolerance * s:  # Newton's error is squared in each step
            return there, False
        s = there
    return s, False


def _derivatives(z: Tensor, right: float, s: float) -> tuple[float, float]:
    """Return the slope of the NLL in s and its curvature; sums over classes are products with ones, which are fast."""
    ones = z.new_ones(z.shape[1])
    e = torch.exp(z * s)
    total = e @ ones
    first = (e.mul_(z) @ ones).div_(total)
    second = (e.mul_(z) @ ones).div_(total)
    return _mean(first) - right, _mean(second.sub_(first.square_()))


def _nll(z: Tensor, right: float, s: float) -> float:
    return _mean((torch.exp(z * s) @ z.new_ones(z.shape[1])).log_()) - s * right


def _mean(values: Tensor) -> float:
    return float(values.mean(dtype=torch.float64))


def _require_bounds(bounds: tuple[float, float]) -> None:
    if len(bounds) != 2 or not 0 < bounds[0] < 1 < bounds[1] < math.inf:
        raise ParameterError(
            f"bounds are the lowest and the highest temperature, 0 < lowest < 1 < highest, got {bounds}"
        )


def _said(found: float, kept: float) -> str:
    if found < 1:
        return (
            f"the NLL still falls at the lowest temperature, {found:g}, as it does where (nearly) every row is "
            f"answered correctly; T = {kept:g} is kept; fit on more data, with errors in them"
        )
    return (
        f"the NLL still falls at the highest temperature, {found:g}: these logits say hardly anything of the classes; "
        "look whether they belong together"
    )
