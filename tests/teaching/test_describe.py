"""Words and tables say what was plotted, and change with it."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from weightlore.errors import ParameterError
from weightlore.teaching import describe
from weightlore.teaching.describe import MOST_ROWS, trend


class Cells(HTMLParser):
    """The tables of a page as lists of rows."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        self.inside = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.tables[-1][-1].append(data)


def axes(**labels):
    drawn = Figure().subplots()
    drawn.set(**labels)
    return drawn


def test_property_lines_share_a_table_and_have_a_sentence_each():
    ax = axes(title="Two ways down", xlabel="epsilon", ylabel="accuracy")
    ax.plot([0, 1, 2], [1, 0.5, 0.25], label="worst")
    ax.plot([0, 1, 2], [1, 1, 1], label="random")
    told = describe(ax.figure)
    assert told.alt == (
        "Two ways down. accuracy against epsilon. worst falls from 1 at 0 to 0.25 at 2. "
        "random constant at 1 from 0 to 2."
    )
    assert Cells(told.table).tables == [
        [["epsilon", "worst", "random"], ["0", "1", "1"], ["1", "0.5", "1"], ["2", "0.25", "1"]]
    ]
    assert told.table.startswith('<details class="wl-table"><summary>Data</summary>')
    assert told._repr_html_() == told.table


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([1, 2, 3], "rises from 1 at 0 to 3 at 2"),
        ([3, 2, 2], "falls from 3 at 0 to 2 at 2"),
        ([1, 3, 2], "goes from 1 at 0 to 2 at 2, lowest 1 at 0, highest 3 at 1"),
        ([np.nan, 3, np.nan], "3 at 1"),
        ([np.nan] * 3, "no values"),
        ([2, np.nan, 2], "constant at 2 from 0 to 2"),
    ],
)
def test_oracle_trends(y, words):
    assert trend(["0", "1", "2"], np.array(y, dtype=float)) == words


def test_property_words_follow_the_data():
    def alt(values):
        ax = axes(title="T")
        ax.plot(values)
        return describe(ax).alt

    assert alt([1, 2]) != alt([1, 3])
    assert alt([1, 2]) != alt([2, 1])


def test_property_reference_lines_bands_and_logarithms():
    ax = axes(xlabel="x", ylabel="y", xscale="log")
    ax.plot([1, 10], [1, 2], label="a")
    ax.axhline(0.1, label="chance")
    ax.axvline(3)
    ax.fill_between([1, 10], [0, 1], [2, 3], label="spread")
    alt = describe(ax).alt
    for words in (
        "The x axis is logarithmic.",
        "A horizontal line, chance, at 0.1.",
        "A vertical line, curve 3, at 3.",
        "A shaded band, spread, spans x 1 to 10 and y 0 to 3.",
    ):
        assert words in alt


def test_property_bars_and_their_names():
    ax = axes(title="Bars", ylabel="accuracy")
    ax.bar(["copy", "tune"], [0.2, 0.9])
    told = describe(ax)
    assert "copy 0.2, tune 0.9" in told.alt
    assert Cells(told.table).tables[0][1:] == [["copy", "0.2"], ["tune", "0.9"]]


def test_property_horizontal_and_many_bars():
    ax = axes()
    ax.barh([1, 3], [5, 6])
    assert "1 5, 3 6" in describe(ax).alt
    ax = axes()
    ax.bar(np.arange(9) * 2, np.arange(9.0))
    assert "9 bars, bars, from 0 at 0 to 8 at 16" in describe(ax).alt


def test_property_histogram_names_its_highest_bin():
    ax = axes(xlabel="value")
    counts, edges, _ = ax.hist([0, 0.1, 0.2, 1, 2, 3, 4], bins=4)
    told = describe(ax)
    assert "Histogram bars of 4 bins over 0 to 4, highest 3 in the bin 0 to 1" in told.alt
    assert Cells(told.table).tables[0][1] == [f"{edges[0]:g}", f"{edges[1]:g}", f"{counts[0]:g}"]


def test_property_a_histogram_drawn_by_its_steps_is_told_too():
    ax = axes(xlabel="value")
    counts, edges, _ = ax.hist([0, 0.1, 0.2, 1, 2, 3, 4], bins=4, histtype="step", label="measured")
    told = describe(ax)
    assert "measured, an outline, x from 0 to 4, y from 0 to 3, highest at 0" in told.alt
    heights = {row[1] for row in Cells(told.table).tables[0][1:]}
    assert {f"{count:g}" for count in counts} <= heights
    assert Cells(told.table).tables[0][0] == ["value", "measured"]
    assert edges[-1] == 4


def test_property_rounding_is_not_told_as_a_number():
    ax = axes()
    ax.plot([1e-17, 1, 2], [1, -2e-16, 1], label="a")
    assert "a goes from 1 at 0 to 1 at 2, lowest 0 at 1, highest 1 at 0" in describe(ax).alt
    ax = axes(yscale="log")
    ax.plot([1, 2], [1e-17, 1], label="a")
    assert "a rises from 1e-17 at 1 to 1 at 2" in describe(ax).alt
    ax = axes()
    ax.plot([0, 1], [0, np.inf], label="a")
    assert "a rises from 0 at 0 to infinity at 1" in describe(ax).alt


def test_property_points_and_curves_that_turn_back_say_where_they_lie():
    ax, turn = axes(), np.linspace(0, 2 * np.pi, 73)
    ax.plot(np.cos(turn), np.sin(turn), label="circle")
    ax.plot([0, 2, 1], [0, 1, 3], label="hook")
    ax.plot(0.5, -1, "o")
    told = describe(ax).alt
    assert "circle, a closed curve, x from -1 to 1, y from -1 to 1." in told
    assert "hook, a curve, x from 0 to 2, y from 0 to 3." in told
    assert "A point at 0.5, -1." in told


def test_property_scatter_says_extent_and_correlation():
    ax = axes(xlabel="x", ylabel="y")
    ax.scatter([0, 1, 2], [2, 4, 6.0], label="ranks")
    assert "3 points, ranks, x from 0 to 2, y from 2 to 6, correlation 1.00" in describe(ax).alt


def test_property_images_and_meshes():
    values = np.array([[1.0, 2.0], [np.nan, -5.0]])
    for draw in ("imshow", "pcolormesh"):
        ax = axes(title="Map")
        getattr(ax, draw)(values)
        told = describe(ax)
        assert "2 rows and 2 columns, values from -5 (row 1, column 1) to 2 (row 0, column 1)" in told.alt
        assert Cells(told.table).tables[0][2] == ["1", "missing", "-5"]
    ax = axes()
    ax.imshow(np.zeros((4, 5, 3)))
    assert "A picture of 4 by 5 pixels" in describe(ax).alt


def test_property_error_bars_keep_their_name():
    ax = axes()
    ax.errorbar([0, 1], [1, 2], yerr=[0.1, 0.1], label="mean")
    assert "mean rises from 1 at 0 to 2 at 1" in describe(ax).alt


def test_property_panels_are_numbered_and_color_bars_left_out():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    figure.suptitle("Both")
    left.plot([1, 2])
    figure.colorbar(right.imshow(np.eye(2)), ax=right)
    alt = describe(figure).alt
    assert alt.startswith("Both. Panel 1 of 2:")
    assert "Panel 2 of 2: Image" in alt
    assert "Panel 3" not in alt


def test_limit_long_series_are_thinned_and_say_so():
    ax = axes(title="Long")
    ax.plot(np.arange(1000), np.arange(1000) ** 2)
    table = describe(ax).table
    rows = Cells(table).tables[0]
    assert len(rows) == MOST_ROWS + 1
    assert (rows[1][0], rows[-1][0]) == ("0", "999")
    assert f"({MOST_ROWS} of 1000 rows)" in table


def test_property_names_are_escaped():
    ax = axes(title="<b>")
    ax.plot([1, 2], label="<script>")
    assert "<script>" not in describe(ax).table
    assert not re.search("<b>", describe(ax).table)


def test_error_nothing_to_describe():
    with pytest.raises(ParameterError, match="after plotting"):
        describe(Figure())
    with pytest.raises(ParameterError, match="got str"):
        describe("figure")


def test_property_a_notebooks_pictures_carry_their_words():
    from IPython.core.formatters import DisplayFormatter

    from weightlore.teaching.showing import describe_pictures

    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    describe_pictures(shell)
    ax = axes(title="Down")
    ax.plot([2, 1], label="a")
    data, metadata = shell.display_formatter.format(ax.figure)
    told = describe(ax.figure)
    assert metadata["image/png"] == {"alt": told.alt, "table": told.table}
    assert data["image/png"]
