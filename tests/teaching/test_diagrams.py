"""A diagram is well-formed, says in words what it shows, and draws what it is given."""

import xml.etree.ElementTree as ET

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.teaching.diagrams import crossbar_diagram

SVG = "{http://www.w3.org/2000/svg}"
INPUTS, LEVELS = torch.tensor([1, 0, 1]), torch.tensor([[1, 3], [2, 0], [3, 3]])


def drawn(**options):
    return ET.fromstring(crossbar_diagram(INPUTS, LEVELS, **options).svg)


def test_oracle_sums_and_codes_are_those_of_the_product():
    diagram = crossbar_diagram(INPUTS, LEVELS, bits=2)
    assert "add up to 4, 6." in diagram.alt
    assert "return 3, 3: 2 saturate" in diagram.alt
    assert [t.text for t in drawn(bits=2).iter(f"{SVG}text") if t.text and t.text.startswith("of ")] == ["of 4", "of 6"]


def test_property_every_cell_and_line_is_drawn():
    tree = drawn(names=["<a>", "b"])
    assert len([r for r in tree.iter(f"{SVG}rect") if r.get("class") == "cell"]) == LEVELS.numel() + 2
    assert len([line for line in tree.iter(f"{SVG}line") if line.get("class") == "on"]) == 2
    assert len(list(tree.iter(f"{SVG}line"))) == 5
    assert "<a>" in [t.text for t in tree.iter(f"{SVG}text")]
    assert not [line for line in tree.iter(f"{SVG}line") if line.get("class") == "full"]


def test_property_it_speaks_and_follows_the_theme():
    tree, page = drawn(), crossbar_diagram(INPUTS, LEVELS)._repr_html_()
    assert tree.get("role") == "img"
    assert "2 of 3 word lines" in tree.find(f"{SVG}desc").text
    assert '[data-theme="dark"] .wl-diagram' in page
    assert "#" not in crossbar_diagram(INPUTS, LEVELS).svg, "colors come from the palette's variables"


@pytest.mark.parametrize(
    ("inputs", "levels", "options", "repair"),
    [
        (torch.ones(2), LEVELS, {}, "part of the array"),
        (torch.ones(13), torch.ones(13, 2), {}, "part of the array"),
        (INPUTS, -LEVELS, {}, "cell of its own"),
        (INPUTS, LEVELS * 0.4, {}, "whole numbers"),
        (INPUTS, LEVELS, {"bits": 0}, ">= 1 or None"),
        (INPUTS, LEVELS, {"names": ["a"]}, "2 bit lines"),
    ],
)
def test_error_says_what_to_do(inputs, levels, options, repair):
    with pytest.raises(ParameterError, match=repair):
        crossbar_diagram(inputs, levels, **options)
