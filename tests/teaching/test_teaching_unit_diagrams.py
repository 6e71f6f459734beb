"""The diagram of a transfer unit draws shares as widths and says them in words."""

import re
import xml.etree.ElementTree as ET

import pytest

from weightlore.errors import ParameterError
from weightlore.teaching.unit_diagrams import unit_diagram

SVG = "{http://www.w3.org/2000/svg}"


def lines(z, r):
    """Kind and width of each line, in the order in which they are drawn."""
    paths = ET.fromstring(unit_diagram(z, r).svg).iter(f"{SVG}path")
    return [(p.get("class"), float(re.search(r"stroke-width:([\d.]+)", p.get("style")).group(1))) for p in paths]


def test_oracle_widths_are_shares():
    widths = [width for _, width in lines(0.25, 0.5)]
    assert widths == [6.0, 6.0, 1 + 5 * 0.5, 1 + 5 * 0.75, 1 + 5 * 0.25, 6.0]


@pytest.mark.parametrize(("z", "r", "idle"), [(0.0, 1.0, {4}), (1.0, 0.0, {2, 3}), (1.0, 1.0, {3}), (0.5, 0.5, set())])
def test_limit_at_a_corner_what_carries_nothing_is_idle(z, r, idle):
    assert {place for place, (kind, _) in enumerate(lines(z, r)) if kind == "idle"} == idle


def test_property_it_speaks_and_follows_the_theme():
    diagram = unit_diagram(0.25, 0.5)
    tree = ET.fromstring(diagram.svg)
    texts = [t.text for t in tree.iter(f"{SVG}text")]
    assert {"p", "a", "c", "h", "U", "z = 0.25", "r = 0.5", "1 \N{MINUS SIGN} z = 0.75"} <= set(texts)
    assert "h is 0.75 of p and 0.25 of c" in tree.find(f"{SVG}desc").text
    assert "#" not in diagram.svg, "colors come from the palette's variables"


@pytest.mark.parametrize("gates", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_error_a_gate_is_a_share(gates):
    with pytest.raises(ParameterError, match="from 0 to 1"):
        unit_diagram(*gates)
