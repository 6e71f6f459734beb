"""The reliability diagram: what came true, over what was said.

    reliability_curve    -> ReliabilityCurve: bins with counts, mean confidence, frequency, and bars of consistency

A point below the diagonal is over-confident. How far from it a perfect forecaster would land by chance is what the bars
show [brocker2007reliability]; a point within its bar says nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.uncertainty.calibration.binned_errors import ece_noise_floor
from weightlore.uncertainty.calibration.binning import Binning, few_examples, partition
from weightlore.uncertainty.calibration.consistency import null_hits
from weightlore.uncertainty.calibration.forecasts import Target, judged
from weightlore.uncertainty.calibration.gaps import binned
from weightlore.uncertainty.measures.members import Members

__all__ = ["ReliabilityCurve", "reliability_curve"]

BAR = (0.05, 0.95)  # quantiles at which a bar of consistency ends


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """What was said and what came, with what chance would do.

    Args:
        edges: where bins begin and end, shape (B + 1,), float64.
        counts: examples in each bin, shape (B,), int64.
        confidence: mean confidence, shape (B,), float64, NaN for an empty bin.
        frequency: share that came true, likewise.
        low: where the bar of consistency begins, the 5 % quantile of the frequency if confidences were honest; shape
            (B,), NaN for an empty bin; ``None`` if no generator was given.
        high: where it ends, at 95 %.
        error: ECE with these bins.
        floor: the ECE of a perfect forecaster with these confidences.
        target: what was judged.

    Source: [degroot1983forecasters], the diagram; [brocker2007reliability], the bars
    """

    edges: Tensor
    counts: Tensor
    confidence: Tensor
    frequency: Tensor
    low: Tensor | None
    high: Tensor | None
    error: float
    floor: float
    target: Target


def reliability_curve(
    p: Members,
    y: Tensor,
    *,
    bins: int = 15,
    binning: Binning = "width",
    target: Target = "top",
    generator: torch.Generator | None = None,
    resamples: int = 1000,
) -> ReliabilityCurve:
    """Return frequency over confidence, bin by bin, with bars of consistency.

        frequency_b = 1/n_b sum_{i in b} c_i,   confidence_b = 1/n_b sum_{i in b} r_i
        bar_b = 5 % to 95 % of frequency_b with c_i ~ Bernoulli(r_i)

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        bins: likewise.
        binning: likewise.
        target: likewise.
        generator: of the labels that the bars are made from; it advances. ``None`` for a curve without bars.
        resamples: how often labels are drawn.

    Returns:
        The curve with its counts, its ECE and the noise floor of that.

    Raises:
        ParameterError: as ``expected_calibration_error``, or if resamples is not a whole number of at least 1.

    Example:
        >>> curve = reliability_curve(torch.full((400,), 0.75), torch.arange(400) % 2, bins=2, target="binary")
        >>> curve.counts, curve.frequency
        (tensor([  0, 400]), tensor([   nan, 0.5000], dtype=torch.float64))

    Source: [degroot1983forecasters], the diagram; [brocker2007reliability], the bars
    """
    of = judged(p, y, target=target)
    found = binned(of, bins, binning)
    few_examples(len(y), bins)
    low = high = None
    if generator is not None:
        parts = partition(of.confidence, bins, binning)
        hits = null_hits(of.confidence, parts, generator=generator, resamples=resamples)
        ends = torch.quantile(hits, torch.tensor(BAR, dtype=hits.dtype, device=hits.device), dim=0)
        low, high = ends / parts.counts  # (2, B), 0 / 0 where a bin is empty
    floor = ece_noise_floor(p, bins=bins, binning=binning, target=target)
    return ReliabilityCurve(
        edges=found.edges,
        counts=found.counts,
        confidence=found.confidence,
        frequency=found.frequency,
        low=low,
        high=high,
        error=float(found.distance()),
        floor=float(floor),
        target=target,
    )
