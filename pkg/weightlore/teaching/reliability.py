"""The reliability diagram as a picture: what came true over what was said, with what chance would do.

reliability_picture(ax, curve)     bars, gaps to what was said, bars of consistency, counts and a title that judges
"""

from typing import Any

import torch

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.style import palette
from weightlore.uncertainty.calibration import ReliabilityCurve

try:
    from matplotlib.axes import Axes
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

__all__ = ["reliability_picture"]

THICK, NARROW = 0.01, 0.03  # of a bar of consistency; of a bin whose count is not written

AXES = {
    "top": ("confidence in the predicted class", "share of predictions that are right"),
    "binary": ("probability of class 1", "share of examples of class 1"),
}


def reliability_picture(ax: Axes, curve: ReliabilityCurve, *, counts: bool = True) -> None:
    """Draw a reliability diagram.

    Each bin that holds an example has a bar as high as its frequency. A hatched bar spans the gap to the mean
    confidence, where the frequency should be. A thick vertical line shows where 90 % of the frequencies of a perfect
    forecaster with the same confidences would be: if the bar ends within its span, the gap says nothing.

    Args:
        ax: where to draw; its title and labels are set.
        curve: from ``reliability_curve``; without a generator it has no bars of consistency, and none are drawn.
        counts: whether to write how many examples each bin holds.

    Raises:
        ParameterError: if the curve is none, or the axes are not matplotlib's.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from weightlore.uncertainty.calibration import reliability_curve
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> fig, ax = plt.subplots()
        >>> reliability_picture(ax, reliability_curve(p, torch.tensor([0, 1]), bins=2))
        >>> ax.get_xlabel()
        'confidence in the predicted class'
        >>> plt.close(fig)

    Source: ours, after the diagram of [degroot1983forecasters] with the bars of [brocker2007reliability]
    """
    if not isinstance(ax, Axes) or not isinstance(curve, ReliabilityCurve):
        raise ParameterError(
            "a reliability picture needs matplotlib's axes and a curve from reliability_curve, got "
            f"{type(ax).__name__} and {type(curve).__name__}"
        )
    known = curve.counts > 0
    left, width = curve.edges[:-1][known].tolist(), curve.edges.diff()[known].tolist()
    said, came = curve.confidence[known], curve.frequency[known]
    gap: dict[str, Any] = {
        "color": palette.color("orange"),
        "edgecolor": palette.color("orange"),
        "alpha": 0.35,
        "hatch": "//",
    }
    ends: dict[str, Any] = {"align": "edge", "width": width}
    ax.bar(left, came.tolist(), color=palette.color("blue"), alpha=0.45, label="came true", **ends)
    low, size = torch.minimum(said, came).tolist(), (said - came).abs().tolist()
    ax.bar(left, size, bottom=low, label="gap to what was said", **ends, **gap)
    ax.plot([0, 1], [0, 1], color=palette.light.muted, linestyle="--", linewidth=1, label="honest")
    if curve.low is not None and curve.high is not None:
        begin, length = curve.low[known].tolist(), (curve.high - curve.low)[known].tolist()
        ink = palette.color("ink")
        ax.bar(
            said.tolist(), length, bottom=begin, width=THICK, color=ink, label="90 % by chance"
        )  # about the diagonal
    if counts:
        _write_counts(ax, left, width, curve.counts[known].tolist())
    across, up = AXES[curve.target]
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=across, ylabel=up, title=_finding(curve))
    ax.legend(loc="upper left")


def _write_counts(ax: Axes, left: list[float], width: list[float], counts: list[int]) -> None:
    """Write upright how many examples a bin holds, where it is wide enough for that."""
    for start, room, count in zip(left, width, counts, strict=True):
        if room >= NARROW:
            style: dict[str, Any] = {
                "ha": "left",
                "va": "bottom",
                "fontsize": palette.size - 3,
                "color": palette.light.text,
            }
            ax.text(start + THICK / 2, 0.01, f"{count}", rotation=90, **style)


def _finding(curve: ReliabilityCurve) -> str:
    """Say what the picture shows: in which direction the confidences are off, and whether chance would do as much."""
    known = curve.counts > 0
    weight = (curve.counts / curve.counts.sum())[known]
    lean = float((weight * (curve.frequency - curve.confidence)[known]).sum())
    if curve.error <= 2 * curve.floor:
        verdict = "No more off than by chance"
    elif abs(lean) < curve.error / 2:
        verdict = "Off in both directions"
    else:
        verdict = "Too sure" if lean < 0 else "Not sure enough"
    return f"{verdict}: ECE {curve.error:.3f}, by chance {curve.floor:.3f}"
