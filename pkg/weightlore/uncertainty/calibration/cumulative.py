"""Calibration without bins: how far the running sums of what was said and what came drift apart.

ks_calibration_error    the largest distance, as in the test of Kolmogorov and Smirnov
"""

import torch
from torch import Tensor

from weightlore.uncertainty.calibration.forecasts import Target, dtype_of, judged
from weightlore.uncertainty.measures.members import Members

__all__ = ["ks_calibration_error"]


def ks_calibration_error(p: Members, y: Tensor, *, target: Target = "top") -> Tensor:
    """Return the largest distance between the running sums of hits and of confidences.

        KS = max_s | 1/N sum_{i: r_i <= s} (c_i - r_i) |

    There are no bins to choose. Over- and under-confidence at neighboring confidences cancel, so that noise does too:
    the error of a perfect forecaster is below that of an ECE with several bins. It is at least |accuracy - mean r|.

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        target: likewise.

    Returns:
        KS, shape (), in [0, 1].

    Raises:
        ParameterError: as ``expected_calibration_error``.

    Example:
        >>> ks_calibration_error(torch.tensor([0.2, 0.9, 0.9]), torch.tensor([0, 1, 0]), target="binary")
        tensor(0.3333)

    Source: [gupta2021splines], KS error; equal confidences are taken together
    """
    of = judged(p, y, target=target)
    ordered, order = of.confidence.sort()
    drift = (of.hit[order].double() - ordered.double()).cumsum(0) / len(ordered)
    last = torch.cat([ordered.diff() > 0, torch.ones(1, dtype=torch.bool, device=ordered.device)])  # of its equals
    return drift[last].abs().max().to(dtype_of(p))
