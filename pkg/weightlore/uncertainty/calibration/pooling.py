"""Calibrate an ensemble: its mean, or each member before the mean is taken.

    pool_then_calibrate     q = g( log 1/S sum_s softmax(z_s) )
    calibrate_then_pool     q = 1/S sum_s g_s(z_s)

The order matters. The mean of members that are calibrated each is under-confident wherever they disagree, since it is
flatter than they are on average; calibrated last, it is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.uncertainty.calibration.calibrator import Calibrator
from weightlore.uncertainty.calibration.temperature import TemperatureScaling

__all__ = ["CalibratedEnsemble", "Order", "calibrate_ensemble", "pooled_logits"]

Order = Literal["pool_then_calibrate", "calibrate_then_pool"]


@dataclass(frozen=True, eq=False)
class CalibratedEnsemble:
    """Calibrators of an ensemble, and the order in which they are applied.

    Args:
        calibrators: one for the pooled prediction, or S, one for each member.
        order: ``"pool_then_calibrate"`` or ``"calibrate_then_pool"``.

    Source: [rahaman2021ensembles] and [wu2021ensembles], who compare the two orders
    """

    calibrators: tuple[Calibrator, ...]
    order: Order

    def members(self, logits: Tensor) -> Tensor:
        """Return the probabilities of each member as they are averaged, shape (S, N, C); a single one after pooling."""
        z = _require_members(logits)
        if self.order == "pool_then_calibrate":
            return self.calibrators[0].predict_proba(pooled_logits(z))[None]
        if len(z) != len(self.calibrators):
            raise ParameterError(
                f"each member has its calibrator: {len(self.calibrators)} were fitted, got logits of {len(z)}; fit anew"
            )
        return torch.stack([one.predict_proba(of) for one, of in zip(self.calibrators, z, strict=True)])

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities, shape (N, C), for logits (S, N, C) of the members."""
        return self.members(logits).mean(0)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return the same as ``predict_proba``."""
        return self.predict_proba(logits)


def calibrate_ensemble(
    logits: Tensor, y: Tensor, *, order: Order, make: Callable[[], Calibrator] = TemperatureScaling
) -> CalibratedEnsemble:
    """Fit calibrators of an ensemble on held-out data.

        pool_then_calibrate     q = g( log 1/S sum_s softmax(z_s) )
        calibrate_then_pool     q = 1/S sum_s g_s(z_s)

    Args:
        logits: of S members, shape (S, N, C).
        y: class numbers, shape (N,).
        order: ``"pool_then_calibrate"`` or ``"calibrate_then_pool"``.
        make: makes an unfitted calibrator.

    Returns:
        The fitted calibrators.

    Raises:
        ParameterError: if logits and classes are not of that form, or there is no such order.

    Example:
        >>> z = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]])
        >>> calibrate_ensemble(z, torch.tensor([0, 0, 1]), order="pool_then_calibrate").predict_proba(z[:, :1])
        tensor([[0.6667, 0.3333]])

    Source: [rahaman2021ensembles], pool then calibrate; [wu2021ensembles], the other order
    """
    require_option("order", order, Order)
    z = _require_members(logits)
    targets = pooled_logits(z)[None] if order == "pool_then_calibrate" else z
    return CalibratedEnsemble(tuple(make().fit(one, y) for one in targets), order)


def pooled_logits(logits: Tensor) -> Tensor:
    """Return the logarithm of the members' mean probability, which a calibrator takes for logits.

        log 1/S sum_s softmax(z_s)

    Args:
        logits: of S members, shape (S, N, C).

    Returns:
        Shape (N, C).

    Raises:
        ParameterError: if the logits are not of that form.

    Example:
        >>> pooled_logits(torch.tensor([[[0.0, 0.0]], [[0.0, 0.0]]])).exp()
        tensor([[0.5000, 0.5000]])

    Source: [rahaman2021ensembles], linear pool
    """
    z = _require_members(logits)
    return z.log_softmax(2).logsumexp(0).sub(torch.tensor(float(len(z))).log().to(z))


def _require_members(logits: Tensor) -> Tensor:
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim != 3 or logits.numel() == 0:
        came = f"{tuple(logits.shape)}, {logits.dtype}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ParameterError(f"logits of members must be a floating tensor of shape (S, N, C), got {came}")
    return require_finite("logits (probabilities of 0 go through from_probs)", logits.detach())
