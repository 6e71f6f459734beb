"""Any loss kept below a bound, not only the loss of missing: conformal risk control.

    risk_control    smallest setting of a knob at which the expected loss of the next example is at most ``risk``
    Controlled      what it found

The knob makes answers more cautious, so that no example's loss rises with it: a threshold on a score, the share of a
mask that is filled. With the loss 1[y not in the set] this is split conformal prediction.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Controlled", "risk_control"]


@dataclass(frozen=True)
class Controlled:
    """A setting that keeps the expected loss below a bound.

    Args:
        setting: of the knob; infinite if none of those tried keeps it.
        index: its place among those tried; ``None`` if none keeps it.
        bound: n/(n+1) mean loss + largest/(n+1) there, at most the risk that was asked for; ``largest`` if none.

    Source: ours
    """

    setting: float
    index: int | None
    bound: float


def risk_control(losses: Tensor, settings: Tensor, *, risk: float, largest: float = 1.0) -> Controlled:
    """Return the smallest setting at which the expected loss of one more example is at most ``risk``.

        min { s : n/(n+1) mean loss(s) + largest/(n+1) <= risk }

    Args:
        losses: of n examples that were not trained on, for each of M settings, shape (n, M), in [0, largest]; no row
            may rise.
        settings: of the knob, rising = more cautious, shape (M,).
        risk: what the expected loss may be, > 0.
        largest: B, an upper bound of any loss.

    Returns:
        What was found. If no setting will do, ``setting`` is infinite, with a warning: the promise is not made.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, a loss is out of range or rises, or a number is
            out of range.

    Example:
        >>> losses = torch.tensor([[1.0, 0.0, 0.0]] * 5 + [[1.0, 1.0, 0.0]] * 4)
        >>> risk_control(losses, torch.tensor([0.1, 0.2, 0.3]), risk=0.5).index
        1

    Source: [angelopoulos2024risk], conformal risk control
    """
    _require(losses, settings, risk, largest)
    count = len(losses)
    bounds = (losses.detach().double().sum(0) + largest) / (count + 1)
    keeps = (bounds <= risk * (1 + 1e-12)).nonzero()
    if len(keeps):
        index = int(keeps[0, 0])
        return Controlled(float(settings[index]), index, float(bounds[index]))
    warnings.warn(
        f"none of {len(settings)} settings keeps the risk at {risk:g}; the most cautious reaches "
        f"{float(bounds[-1]):.3g}; add a setting that loses nothing, or examples: n + 1 >= largest / risk is needed",
        UncertaintyWarning,
        stacklevel=2,
    )
    return Controlled(torch.inf, None, largest)


def _require(losses: Tensor, settings: Tensor, risk: float, largest: float) -> None:
    if losses.ndim != 2 or not losses.numel() or not losses.is_floating_point():
        raise ParameterError(
            f"losses must be floating, shape (n, M) with n, M >= 1, got {tuple(losses.shape)}, {losses.dtype}"
        )
    if settings.shape != losses.shape[1:] or bool((require_finite("a setting", settings).diff() <= 0).any()):
        raise ParameterError(
            f"settings must be {losses.shape[1]} rising numbers, one for each column of the losses, got "
            f"{settings.tolist()}"
        )
    if not 0 < largest < torch.inf or not 0 < risk < torch.inf:
        raise ParameterError(f"risk and largest must be finite numbers > 0, got {risk} and {largest}")
    low, high = require_finite("a loss", losses).aminmax()
    if float(low) < 0 or float(high) > largest:
        raise ParameterError(
            f"losses must be in [0, {largest:g}], got {float(low):g} to {float(high):g}; say largest=..."
        )
    if bool((losses.diff(dim=1) > 0).any()):
        raise ParameterError(
            "a loss rises with the setting, so that more caution could cost more; order the settings the other way, or "
            "take the largest loss of all more cautious settings"
        )
