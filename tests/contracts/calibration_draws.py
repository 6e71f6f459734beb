"""Calls of what draws among the measures and losses of calibration; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.data import Split, digits
from weightlore.uncertainty import calibration


def judged() -> tuple[Tensor, Tensor]:
    """Forecasts of three hundred examples with three classes, and classes."""
    z = torch.linspace(-3, 3, 900, dtype=torch.float64).sin().reshape(300, 3) * 2
    return z.softmax(1), torch.arange(300) % 3


def bars(generator: torch.Generator) -> Tensor:
    curve = calibration.reliability_curve(*judged(), generator=generator, resamples=30)
    assert curve.low is not None
    return curve.low.nan_to_num(nan=9.0)


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.calibration.augmix_batch": lambda g: calibration.augmix_batch(digits("test").x[:4], generator=g),
    "uncertainty.calibration.calibration_test": lambda g: (
        calibration.calibration_test(*judged(), generator=g, resamples=3).null
    ),
    "uncertainty.calibration.mixup_batch": lambda g: (
        calibration.mixup_batch(Split(judged()[0], judged()[1]), alpha=0.5, generator=g).x
    ),
    "uncertainty.calibration.reliability_curve": bars,
    "uncertainty.calibration.synthetic_calibrated": lambda g: (
        calibration.synthetic_calibrated("classwise", 5, generator=g).truth
    ),
}
