"""A diagram is well-formed, says in words what it shows, and draws what it is given."""

import xml.etree.ElementTree as ET

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.spiking import if_step
from weightlore.teaching.diagrams import crossbar_diagram, spiking_diagram

SVG = "{http://www.w3.org/2000/svg}"
SPIKES, SIGNS = torch.tensor([1, 0, 1, 1]), torch.tensor([[1, -1, 1], [1, 1, -1], [1, -1, -1], [1, 1, -1]])
BEFORE, THRESHOLD = torch.tensor([0.5, 2.0, 0.0]), torch.tensor([3.0, 1.0, 2.5])
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


def test_oracle_a_spiking_step_is_that_of_the_neurons():
    current = SPIKES.double() @ SIGNS.double()
    left, spikes = if_step(BEFORE.double(), current, threshold=THRESHOLD.double())
    shown = left + spikes * THRESHOLD
    alt = spiking_diagram(SPIKES, SIGNS, THRESHOLD, potential=BEFORE).alt
    assert f"charge: {', '.join(f'{q:g}' for q in current.tolist())}." in alt
    assert f"become {', '.join(f'{u:g}' for u in shown.tolist())}, thresholds are 3, 1, 2.5." in alt
    assert spikes.tolist() == [1, 1, 0]
    assert alt.endswith("Neurons 1, 2 fire.")


def test_property_a_spiking_step_shows_every_number():
    tree = ET.fromstring(spiking_diagram(SPIKES, SIGNS, THRESHOLD, potential=BEFORE).svg)
    texts = [t.text for t in tree.iter(f"{SVG}text")]
    assert {"+3", "-1", "3.5", "1", "reference", "threshold"} <= set(texts)
    assert len([line for line in tree.iter(f"{SVG}line") if line.get("class") == "full"]) == 2
    assert len([r for r in tree.iter(f"{SVG}rect") if r.get("class") == "cell"]) == 4 * 4 + 1  # one neuron is silent
    assert "3 spiking neurons" in tree.find(f"{SVG}title").text
    assert "#" not in spiking_diagram(SPIKES, SIGNS, THRESHOLD).svg


def test_limit_nobody_fires_or_one_does():
    assert spiking_diagram(0 * SPIKES, SIGNS, THRESHOLD).alt.endswith("No neuron fires.")
    assert spiking_diagram(SPIKES, SIGNS, THRESHOLD).alt.endswith("Neuron 1 fires.")


@pytest.mark.parametrize(
    ("spikes", "signs", "threshold", "potential", "repair"),
    [
        (2 * SPIKES, SIGNS, THRESHOLD, None, "0 or 1"),
        (SPIKES, 0.5 * SIGNS, THRESHOLD, None, "absorb the scales"),
        (SPIKES, SIGNS, THRESHOLD[:2], None, "each of 3 neurons"),
        (SPIKES, SIGNS, THRESHOLD, BEFORE[:2], "each of 3 neurons"),
        (SPIKES, SIGNS, 0 * THRESHOLD, None, "> 0"),
        (SPIKES[:3], SIGNS, THRESHOLD, None, "part of the array"),
        (torch.ones(4), torch.ones(4, 12), torch.ones(12), None, "part of the array"),
    ],
)
def test_error_a_spiking_step_says_what_to_do(spikes, signs, threshold, potential, repair):
    with pytest.raises(ParameterError, match=repair):
        spiking_diagram(spikes, signs, threshold, potential=potential)
