"""The picture of theta: every pixel is a parameter, every fate changes what it should and nothing else."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from weightlore.bitslice import nonzero_ratios, quantize
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import flatten
from weightlore.teaching.cover import draw_cover, draw_logo, seven_strips
from weightlore.teaching.strip import GAP, strip
from weightlore.teaching.style import palette

SURFACE = np.array([int(palette.light.surface[i : i + 2], 16) for i in (1, 3, 5)])


@pytest.fixture(scope="module")
def strips():
    return seven_strips()


def net(*sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))).double()


def test_oracle_pixel_by_pixel():
    theta = torch.tensor([-1.0, 0.0, 1.0, 0.5, -0.5])
    drawn = strip(theta, height=4)
    colors = palette.rgb("diverging").astype(int)
    limit = np.quantile(theta.abs(), 0.98)
    places = [int(np.clip((v + limit) / (2 * limit) * 256, 0, 255)) for v in theta.tolist()]
    assert drawn.pixels.shape == (4, 2, 3)
    assert np.array_equal(drawn.pixels[:, 0], colors[places[:4]])
    assert np.array_equal(drawn.pixels[0, 1], colors[places[4]])
    assert (drawn.pixels[1:, 1] == SURFACE).all()  # nothing there


def test_property_layers_stand_side_by_side():
    drawn = strip(net(4, 8, 2), height=8)
    assert drawn.pixels.shape == (8, 4 + GAP + 2, 3)
    assert (drawn.pixels[:, 4 : 4 + GAP] == SURFACE).all()
    assert "48 parameters as a strip of 2 layers, as trained" in drawn.alt


def test_property_a_vector_with_its_model_is_the_model():
    model = net(4, 8, 2)
    assert np.array_equal(strip(flatten(model), model=model, height=8).pixels, strip(model, height=8).pixels)


def test_property_model_and_global_randomness_are_left_as_found():
    model, state = net(4, 8, 2), torch.get_rng_state()
    before = flatten(model).clone()
    strip(model, height=8, fate="explained", generator=torch.Generator().manual_seed(0))
    assert torch.equal(flatten(model), before)
    assert torch.equal(torch.get_rng_state(), state)


def test_property_corrupted_strikes_the_changed_columns_only():
    model = net(8, 8, 8)
    theta = flatten(model)
    after = theta.clone()
    after[[3, 5, 70]] += 1  # two in the first column, one in the first of the second layer
    drawn = strip(model, height=8, fate="corrupted", partner=after)
    plain = strip(model, height=8).pixels
    struck = [j for j in range(plain.shape[1]) if not np.array_equal(drawn.pixels[:, j], plain[:, j])]
    assert struck == [0, 8 + GAP]
    assert "with 2 of 16 columns struck, those of the 3 parameters that moved most" in drawn.alt
    everywhere = strip(model, height=8, fate="corrupted", partner=theta + torch.linspace(0, 1, 128, dtype=theta.dtype))
    assert "with 3 of 16 columns struck, those of the 20 parameters" in everywhere.alt
    assert "with 0 of 16 columns struck" in strip(model, height=8, fate="corrupted", partner=theta).alt


def test_property_explained_keeps_the_values_of_each_layer(strips):
    model, generator = net(16, 16), torch.Generator().manual_seed(1)
    drawn, plain = strip(model, height=16, fate="explained", generator=generator), strip(model, height=16)
    pixels, kept = (np.sort(s.pixels.reshape(-1, 3) @ [65536, 256, 1]) for s in (drawn, plain))
    assert np.array_equal(pixels, kept)
    assert not np.array_equal(drawn.pixels, plain.pixels)


def test_property_binarized_hidden_layers_have_two_colors():
    model = net(16, 16, 16, 16)
    drawn = strip(model, height=16, fate="binarized").pixels
    plain = strip(model, height=16).pixels
    assert len(np.unique(drawn[:, 16 + GAP : 32 + GAP].reshape(-1, 3), axis=0)) == 2
    assert np.array_equal(drawn[:, :16], plain[:, :16])
    assert np.array_equal(drawn[:, -16:], plain[:, -16:])


def test_oracle_sliced_digits():
    theta = torch.tensor([255.0] * 4 + [0.0] * 4 + [3.0 * 64] * 4 + [-1.0] * 4)  # 3333, 0000, 3000, 0001 in base 4
    drawn = strip(theta, height=4, fate="sliced").pixels
    colors = palette.rgb("sequential")
    digits = np.array([[3, 0, 3, 0], [3, 0, 0, 0], [3, 0, 0, 0], [3, 0, 0, 1]])
    places = np.clip(digits / 3 * 256, 0, 255).astype(int)
    assert np.array_equal(drawn[[0, 2, 4, 6]], colors[places])
    assert (drawn[[1, 3, 5]] == SURFACE).all()
    assert "62 % of the digits are zero" in strip(theta, height=4, fate="sliced").alt


def test_oracle_sliced_counts_what_the_quantizer_leaves():
    model = healthy("mlp")
    parts = [torch.cat([p.flatten() for p in layer.parameters()]) for layer in (*model.layers, model.readout)]
    empty = 100 - nonzero_ratios([quantize(part.detach()).code for part in parts]).mean
    assert f"{empty:.0f} % of the digits are zero" in strip(model, fate="sliced").alt


def test_property_transferred_shows_both(strips):
    model = net(16, 16)
    above = strip(model, height=24, fate="transferred", partner=torch.zeros(256, dtype=torch.float64)).pixels
    below = strip(model, height=24, fate="transferred", partner=-flatten(model)).pixels
    assert np.array_equal(above[:10], below[:10])
    assert not np.array_equal(above[14:], below[14:])
    ink = [int(palette.light.text[i : i + 2], 16) for i in (1, 3, 5)]
    assert (above[10:14, 2::6] == ink).all()


def test_property_uncertain_is_smoother():
    model = healthy("mlp")
    rough, smooth = (strip(model, fate=f).pixels.astype(float) for f in ("healthy", "uncertain"))
    assert np.abs(np.diff(smooth[:, :170], axis=1)).mean() < 0.5 * np.abs(np.diff(rough[:, :170], axis=1)).mean()


def test_property_png_and_svg_hold_the_pixels():
    drawn = strip(net(4, 8, 2), height=8, scale=2)
    png = np.asarray(Image.open(io.BytesIO(drawn.png())).convert("RGB"))
    assert np.array_equal(png[::2, ::2], drawn.pixels)
    root = ElementTree.fromstring(drawn.svg())
    assert root.find("{http://www.w3.org/2000/svg}title").text == drawn.alt
    assert root.get("role") == "img"
    data, metadata = drawn._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == drawn.alt
    assert data["image/png"]


def test_limit_constant_theta_and_tiny_height():
    assert strip(torch.zeros(3), height=4).pixels.shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fate": "lost"}, "healthy, corrupted"),
        ({"height": 6}, "multiple of 4"),
        ({"fate": "corrupted"}, r"needs partner.*\(48,\)"),
        ({"fate": "transferred", "partner": torch.zeros(3)}, r"shape \(48,\) like theta, got \(3,\)"),
        ({"fate": "explained"}, "needs a generator"),
    ],
)
def test_error_messages_carry_the_repair(options, words):
    with pytest.raises(ParameterError, match=words):
        strip(net(4, 8, 2), **options)


def test_error_vector_of_another_model_and_infinite_theta():
    with pytest.raises(ParameterError, match="has 3 parameters, but the model has 48"):
        strip(torch.zeros(3), model=net(4, 8, 2))
    with pytest.raises(ParameterError, match="finite"):
        strip(torch.tensor([1.0, float("inf")]))


def test_property_seven_fates_look_different_and_say_so(strips):
    assert list(strips) == ["healthy", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized"]
    assert len({s.pixels.tobytes() for s in strips.values()}) == 7
    assert len({s.alt for s in strips.values()}) == 7
    assert all("6,570 parameters" in s.alt for s in strips.values())


def test_property_cover_and_logo_are_the_same_twice(tmp_path):
    files = [*draw_cover(tmp_path / "a"), *draw_logo(tmp_path / "a")]
    again = [*draw_cover(tmp_path / "b"), *draw_logo(tmp_path / "b")]
    assert [f.name for f in files] == ["cover.svg", "logo.svg", "favicon.svg", "favicon.png"]
    assert [f.read_bytes() for f in files] == [f.read_bytes() for f in again]
    for file in files[:3]:
        root = ElementTree.fromstring(file.read_text())
        assert root.find("{http://www.w3.org/2000/svg}title").text
    assert Image.open(files[3]).size == (64, 64)


def parts(path):
    """The text of a drawing without its embedded pictures, and their pixels: compression differs between machines."""
    text = path.read_text()
    found = re.findall(r"data:image/png;base64,([^\"]+)", text)
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(f))).convert("RGB"), dtype=int) for f in found]
    return re.sub(r"data:image/png;base64,[^\"]+", "", text), pictures


def test_property_the_books_cover_and_icon_are_the_networks(tmp_path):
    stored = Path(__file__).parents[2] / "book" / "_static"
    for file in [*draw_cover(tmp_path), *draw_logo(tmp_path)[:2]]:
        (text, pictures), (drawn, again) = parts(stored / file.name), parts(file)
        assert text == drawn, "draw it again with weightlore.teaching.draw_cover and draw_logo"
        assert len(pictures) == len(again) == (7 if file.name == "cover.svg" else 0)
        assert all((np.abs(a - b) > 8).mean() < 0.01 for a, b in zip(pictures, again, strict=True))
