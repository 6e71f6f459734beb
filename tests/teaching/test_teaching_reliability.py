"""The picture of a reliability curve draws the numbers of the curve, and its title judges them."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.teaching import describe, palette, reliability_picture
from weightlore.uncertainty.calibration import reliability_curve, synthetic_calibrated

mpl.use("Agg")
from matplotlib.figure import Figure

MADE = synthetic_calibrated("canonical", 1500, generator=torch.Generator().manual_seed(0), classes=4)


def curve(power: float = 1.0, *, bars: bool = True, **options):
    p = (power * MADE.probs.log()).softmax(1)
    return reliability_curve(p, MADE.y, generator=torch.Generator() if bars else None, resamples=50, **options)


def drawn(of, **options):
    axes = Figure().subplots()
    reliability_picture(axes, of, **options)
    return axes


def bars(axes) -> dict[str, list]:
    return {c.get_label(): list(c.patches) for c in axes.containers}


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_oracle_bars_are_the_numbers_of_the_curve(binning):
    of = curve(2.0, bins=8, binning=binning)
    known, found = of.counts > 0, bars(drawn(of))
    assert [p.get_height() for p in found["came true"]] == of.frequency[known].tolist()
    assert [p.get_x() for p in found["came true"]] == of.edges[:-1][known].tolist()
    spans = [sorted((p.get_y(), p.get_y() + p.get_height())) for p in found["gap to what was said"]]
    expected = torch.stack([of.frequency, of.confidence], 1)[known].sort(1).values
    np.testing.assert_allclose(spans, expected.numpy(), atol=1e-12)
    chance = found["90 % by chance"]
    assert [p.get_y() for p in chance] == of.low[known].tolist()
    np.testing.assert_allclose([p.get_y() + p.get_height() for p in chance], of.high[known].numpy(), atol=1e-12)
    middle = [p.get_x() + p.get_width() / 2 for p in chance]
    np.testing.assert_allclose(middle, of.confidence[known].numpy(), atol=1e-12)


def test_property_counts_are_written_where_there_is_room():
    of = curve(bins=10)
    written = [int(t.get_text()) for t in drawn(of).texts]
    assert written == of.counts[of.counts > 0].tolist()
    assert not drawn(of, counts=False).texts
    narrow = curve(bins=15, binning="mass")
    assert len(drawn(narrow).texts) == int((narrow.edges.diff() >= 0.03).sum()) < 15


@pytest.mark.parametrize(
    ("power", "verdict"), [(1.0, "No more off than by chance"), (3.0, "Too sure"), (0.4, "Not sure enough")]
)
def test_property_the_title_says_in_which_direction(power, verdict):
    of = curve(power)
    assert drawn(of).get_title() == f"{verdict}: ECE {of.error:.3f}, by chance {of.floor:.3f}"


def test_property_the_title_tells_errors_that_cancel():
    p = torch.tensor([0.2, 0.8]).repeat(500)
    y = torch.arange(1000) % 4 // 2  # half of both
    axes = drawn(reliability_curve(p, y, target="binary"))
    assert axes.get_title().startswith("Off in both directions")
    assert axes.get_xlabel() == "probability of class 1"


def test_limit_a_curve_without_bars_of_consistency_and_one_bin():
    found = bars(drawn(curve(bars=False, bins=1)))
    assert set(found) == {"came true", "gap to what was said"}
    assert len(found["came true"]) == 1


def test_property_it_can_be_told_in_words_and_uses_the_palette():
    axes = drawn(curve(2.0))
    told = describe(axes).alt
    assert told.startswith("Too sure: ECE")
    assert "90 % by chance" in told
    colors = {mpl.colors.to_hex(p.get_facecolor()) for c in axes.containers for p in c.patches}
    assert colors == {palette.color(name) for name in ("blue", "orange", "ink")}


@pytest.mark.parametrize("call", [lambda: reliability_picture(None, curve()), lambda: drawn(0.03)])
def test_error_what_is_drawn_where(call):
    with pytest.raises(ParameterError, match="a curve from reliability_curve"):
        call()
