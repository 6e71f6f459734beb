"""Figures with knobs, the Python side: what travels, what is read back, what is refused."""

import base64
import io
import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from weightlore.errors import ParameterError
from weightlore.teaching import CurveFigure, Flipbook, ImageFigure, Knob
from weightlore.teaching.figures import values_of_state
from weightlore.teaching.figures.knob import number
from weightlore.teaching.figures.packing import BUDGET, Packer, unpack
from weightlore.teaching.pictures import png_bytes

X = np.linspace(0, 1, 11)
TURNS = np.array([1.0, 2.0, 3.0])
FALL = np.exp(-TURNS[:, None] * X)
WORDS = {"title": "It falls", "xlabel": "epsilon", "ylabel": "accuracy"}


def curve(**options):
    values = options.pop("values", {"worst": FALL})
    return CurveFigure(values, options.pop("x", X), options.pop("knobs", {"layers": [1, 2, 3]}), **{**WORDS, **options})


def tiny_png(color):
    out = io.BytesIO()
    Image.new("RGB", (4, 3), color).save(out, format="png")
    return out.getvalue()


# ---- packing


@given(
    arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)),
    st.sampled_from([8, 16]),
    st.integers(0, 40),
)
@settings(max_examples=60, deadline=None)
def test_property_codes_are_within_half_a_step(values, bits, hole):
    values[hole:] = np.nan
    packer = Packer()
    packer.add(np.array([1.0]), bits=8)  # so that the block does not start at 0
    block = packer.add(values, bits=bits)
    back = unpack(block, packer.data)
    assert np.array_equal(np.isnan(back), np.isnan(values))
    known = ~np.isnan(values)
    assert (np.abs(back - values)[known] <= 0.5001 * block["b"] + 1e-9).all()
    assert block["o"] % 4 == 0


@given(arrays.arrays(np.float64, st.integers(1, 30), elements=st.integers(-30000, 30000).map(float)))
@settings(max_examples=40, deadline=None)
def test_property_whole_numbers_travel_exactly(values):
    packer = Packer()
    assert np.array_equal(unpack(packer.add(values, bits=8), packer.data), values)


def test_oracle_bytes_of_a_block():
    packer = Packer()
    assert packer.add(np.array([3.0, 5.0, np.nan]), bits=16) == {"o": 0, "t": 8, "a": 3.0, "b": 1.0, "h": [3]}
    assert packer.data == bytes([0, 2, 255])
    block = packer.add(np.array([0.5]), bits=32)
    assert (block["o"], packer.data[4:]) == (4, np.float32(0.5).tobytes())


def test_limit_all_missing_and_constant():
    packer = Packer()
    assert np.isnan(unpack(packer.add(np.full(3, np.nan)), packer.data)).all()
    assert np.array_equal(unpack(packer.add(np.full(3, 0.7)), packer.data), np.full(3, 0.7))


def test_error_infinite_values_and_unknown_bits():
    with pytest.raises(ParameterError, match="1 infinite"):
        curve(values={"worst": np.where(FALL[2, 9] > FALL, np.inf, FALL)})
    with pytest.raises(ParameterError, match="8, 16 or 32"):
        curve(bits=12)


# ---- numbers and knobs


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (0.1 + 0.2, "0.3"),
        (12345.6, "12350"),
        (1e-5, "1e-5"),
        (-2.5e8, "-2.5e8"),
        (100.0, "100"),
        (0.9999999, "1"),
    ],
)
def test_oracle_numbers_in_words(value, words):
    assert number(value) == words
    assert number(float("nan")) == "missing"


@given(st.floats(-1e12, 1e12))
@settings(deadline=None)
def test_property_words_of_a_number_keep_four_digits(value):
    assert float(number(value)) == pytest.approx(value, rel=5.1e-4, abs=1e-300)


def test_property_knob_takes_nearest_number_and_exact_words():
    knob = Knob("rate", [0.1, 0.2, 0.4], unit=" Hz", start=0.33)
    assert knob.shown() == ["0.1 Hz", "0.2 Hz", "0.4 Hz"]
    assert (knob.index(0.33), knob.index(-9)) == (2, 0)
    assert Knob("who", ["a", "b"]).index("b") == 1


def test_error_knobs():
    with pytest.raises(ParameterError, match="it has a, b"):
        Knob("who", ["a", "b"], start="c")
    with pytest.raises(ParameterError, match="at least one"):
        Knob("none", [])
    with pytest.raises(ParameterError, match="at most 4 knobs, got 5"):
        curve(knobs={str(i): [1] for i in range(5)})
    with pytest.raises(ParameterError, match="same label"):
        curve(knobs=[Knob("a", [1]), Knob("a", [2])])
    with pytest.raises(ParameterError, match="mapping"):
        curve(knobs=["a"])


# ---- curves


def test_property_state_holds_the_curves_that_python_returns():
    figure = curve(values={"worst": FALL, "flat": np.ones(11), "few": np.where(X > 0.5, np.nan, FALL[:1])})
    stored = values_of_state(figure.spec, figure.data)
    assert np.allclose(stored["x"], X)
    for i, turn in enumerate(TURNS):
        figure.turn({"layers": turn})
        assert figure.i0 == i
        assert np.array_equal(figure.values_at()["worst"], FALL[i])
        assert np.allclose(stored["curves.0.values"][i], FALL[i], atol=1e-5)
        assert np.array_equal(figure.values_at({"layers": 1})["worst"], FALL[0])
    assert stored["curves.1.values"].shape == (1, 11)
    assert np.array_equal(np.isnan(stored["curves.2.values"][0]), X > 0.5)


def test_property_turning_tells_observers_and_clamps():
    figure, heard = curve(), []
    figure.on_turn(lambda f: heard.append(f.position))
    figure.turn({"layers": 3})
    figure.i0 = 99
    assert heard == [{"layers": 3}]
    assert figure.i0 == 2
    with pytest.raises(ParameterError, match="the knobs are layers"):
        figure.turn({"epsilon": 1})


def test_property_tensors_and_single_arrays_are_taken():
    figure = curve(values=torch.tensor(FALL, requires_grad=True))
    assert np.array_equal(figure.values_at()["accuracy"], FALL[0])


def test_property_axis_never_jumps_and_holds_everything():
    low, high = FALL - 0.3, FALL + 0.3
    figure = curve(bands={"worst": (low, high)}, references={"chance": -2.0}, lines={"half": 1.5})
    assert figure.spec["ylim"][0] < -2.0
    assert figure.spec["ylim"][1] > high.max()
    assert figure.spec["xlim"] == [0.0, 1.5]
    assert curve(ylim=(0, 1)).spec["ylim"] == [0.0, 1.0]


def test_property_bundle_has_view_picture_and_words():
    data, metadata = curve(notes=["one", "two", "three"])._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (600, 360)
    assert metadata["image/png"]["alt"].startswith("It falls. accuracy against epsilon. worst falls from 1 at 0")
    assert metadata["image/png"]["alt"].endswith("Drawn at layers 1.")
    assert data["text/plain"] == "CurveFigure('It falls', layers 1)"


def test_property_picture_is_the_same_twice_and_follows_the_knob():
    figure = curve()
    first, again = (figure._repr_mimebundle_()[0]["image/png"] for _ in range(2))
    figure.turn({"layers": 3})
    assert first == again != figure._repr_mimebundle_()[0]["image/png"]


def test_property_long_titles_are_wrapped_into_the_picture():
    figure = curve(
        title="A sentence that states a finding at such length that it must take a second line of its own"
    ).picture()
    assert png_bytes(figure)
    (axes,) = figure.axes
    place = axes._left_title.get_window_extent()
    assert place.x1 <= figure.bbox.x1
    assert place.y1 <= figure.bbox.y1
    assert place.y0 >= axes.get_window_extent().y1


@pytest.mark.parametrize(("low", "high"), [(0.1, 5.0), (0.5, 30.0), (0.2, 1000.0), (1e-3, 1.0), (2.0, 9.0)])
def test_property_names_on_a_logarithmic_axis_do_not_collide(low, high):
    figure = curve(x=np.geomspace(low, high, 11), xscale="log").picture()
    assert png_bytes(figure)  # draws
    (axes,) = figure.axes
    labels = [label for minor in (False, True) for label in axes.get_xticklabels(minor=minor) if label.get_text()]
    boxes = sorted(
        (box for label in labels if (box := label.get_window_extent()).x1 <= figure.bbox.x1), key=lambda b: b.x0
    )
    assert len(boxes) >= 2
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.parametrize("style", ["lines", "points", "bars"])
def test_property_every_style_draws_and_is_described(style):
    figure = curve(
        values={"a": FALL[:, :3], "b": FALL[:, 1:4]}, x=["copy", "tune", "fresh"], style=style, references={"r": 1}
    )
    assert "copy" in figure.alt()
    assert figure.spec["style"] == style
    assert figure.spec["ylim"][0] == (0.0 if style == "bars" else figure.spec["ylim"][0])


def test_property_a_legend_below_lies_outside_the_axes():
    figure = curve(values={"a": FALL, "b": 1 - FALL, "c": FALL / 2}, references={"r": 0.5}, legend="below").picture()
    assert png_bytes(figure)  # draws
    (axes,), (legend,) = figure.axes, figure.legends
    assert axes.get_legend() is None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c", "r"]
    place = legend.get_window_extent()
    assert place.y1 <= axes.xaxis.label.get_window_extent().y0
    assert place.x0 >= 0
    assert place.x1 <= figure.bbox.x1


def test_limit_no_knob_one_point():
    figure = CurveFigure([0.5], [2.0], {}, title="One", xlabel="x", ylabel="y")
    assert figure.position == {}
    assert figure.values_at()["y"].tolist() == [0.5]
    assert "0.5 at 2" in figure.alt()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": {"a": FALL[:2]}}, r"layers \(3\)"),
        ({"values": {str(i): FALL for i in range(7)}}, "1 to 6 curves, got 7"),
        ({"x": X[::-1]}, "increasing"),
        ({"bands": {"best": (FALL, FALL)}}, "the curves are worst"),
        ({"bands": {"worst": (FALL + 1, FALL)}}, "swap"),
        ({"xscale": "log"}, "1 of x are not"),
        ({"values": {"a": FALL - 0.5}, "yscale": "log"}, "replace them by NaN"),
        ({"yscale": "cubic"}, '"linear" or "log"'),
        ({"style": "pie"}, '"bars"'),
        ({"legend": "above"}, '"inside" or "below"'),
        ({"notes": ["one"]}, r"\(3,\)"),
        ({"values": {"a": "words"}}, "must be numbers"),
    ],
)
def test_error_messages_carry_the_repair(options, words):
    with pytest.raises(ParameterError, match=words):
        curve(**options)


def test_error_budget_names_sizes_and_repair():
    values = np.random.default_rng(0).normal(size=(50, 800))
    with pytest.raises(ParameterError, match=r"at most 100 kB .*data 1\d\d\.\d kB.*bits=8"):
        curve(values=values, x=np.arange(800), knobs={"k": range(50)})
    figure = curve(values=values, x=np.arange(800), knobs={"k": range(50)}, bits=8)
    assert len(base64.b64encode(figure.data)) + len(json.dumps(figure.spec)) <= BUDGET


def test_property_logarithmic_values_keep_their_digits():
    values = np.logspace(-9, 3, 11)
    figure = curve(values=values, yscale="log", xscale="linear")
    assert np.allclose(values_of_state(figure.spec, figure.data)["curves.0.values"].ravel(), values, rtol=1e-6)


# ---- images


def test_property_image_state_and_limits():
    maps = np.random.default_rng(1).normal(size=(2, 3, 4, 5))
    panels = {"digit": np.ones((4, 5)), "map": maps}
    figure = ImageFigure(panels, {"a": [0, 1], "b": list("xyz")}, title="T", colors={"map": "diverging"}, mark=(1, 2))
    low, high = figure.spec["panels"][1]["limits"]
    assert low == -high == -np.abs(maps).max()
    assert figure.mark == 1 * 5 + 2
    figure.turn({"a": 1, "b": "z"})
    assert np.array_equal(figure.values_at()["map"], maps[1, 2])
    stored = values_of_state(figure.spec, figure.data)["panels.1.values"]
    assert np.allclose(stored, maps, atol=1e-4)
    assert "Panel 2 of 2: map." in figure.alt()
    assert "Drawn at a 1, b z." in figure.alt()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": np.ones(3)}, "two axes"),
        ({"values": {str(i): np.ones((2, 2)) for i in range(7)}}, "1 to 6 panels"),
        ({"values": {"a": np.ones((2, 2)), "b": np.ones((3, 2))}}, r"expected \(1, 2, 2\)"),
        ({"colors": "jet"}, "sequential, diverging, gray"),
        ({"limits": (1, 0)}, "low < high"),
        ({"rows": ["one"]}, "for each of 2"),
        ({"mark": (2, 0)}, "inside"),
    ],
)
def test_error_images(options, words):
    with pytest.raises(ParameterError, match=words):
        ImageFigure(options.pop("values", np.ones((2, 2))), {"k": [1]}, title="T", **options)


# ---- flipbooks


def test_property_equal_frames_travel_once_without_loss():
    frames = [np.full((3, 4), i, np.uint8) for i in (9, 200, 9)]
    figure = Flipbook(frames, {"k": [0, 1, 2]}, title="T", words=["dark", "bright", "dark again"])
    assert len(figure.spec["frames"]) == 2
    assert (figure.values_at({"k": 1}) == 200).all()
    assert figure.values_at({"k": 2}).shape == (3, 4, 3)
    assert (figure.values_at({"k": 2}) == 9).all()
    figure.turn({"k": 1})
    assert figure.alt() == "T. bright Drawn at k 1."
    shown = Image.open(io.BytesIO(base64.b64decode(figure._repr_mimebundle_()[0]["image/png"]))).convert("RGB")
    assert shown.getpixel((50, 50)) == (200, 200, 200)


def test_property_figures_are_described_and_functions_called_in_order():
    from matplotlib.figure import Figure

    asked = []

    def draw(position):
        asked.append(tuple(position.values()))
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1], [0, position["a"]], label="line")
        return figure

    book = Flipbook(draw, {"a": [1, 2], "b": ["x", "y"]}, title="T")
    assert asked == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert "line rises from 0 at 0 to 2 at 1" in book.spec["words"][3]
    assert len(book.spec["frames"]) == 2


def test_error_flipbooks():
    frames = [tiny_png("red"), tiny_png("blue")]
    assert len(Flipbook(frames, {"k": [0, 1]}, title="T", words=["red", "blue"]).spec["frames"]) == 2
    with pytest.raises(ParameterError, match="words="):
        Flipbook(frames, {"k": [0, 1]}, title="T")
    with pytest.raises(ParameterError, match="needs 3 entries"):
        Flipbook(frames, {"k": [0, 1, 2]}, title="T", words="w")
    with pytest.raises(ParameterError, match="one size"):
        Flipbook([np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)], {"k": [0, 1]}, title="T", words="w")
    with pytest.raises(ParameterError, match="dtype float64"):
        Flipbook([np.zeros((2, 2))], {"k": [0]}, title="T", words="w")


# ---- the code that travels


@pytest.mark.parametrize("kind", [CurveFigure, ImageFigure, Flipbook])
def test_property_code_is_small_and_reaches_nothing_outside(kind):
    assert len(kind._esm) < 14_000
    assert len(kind._css) < 5_000
    for word in ("fetch(", "XMLHttpRequest", "import(", "http:", "https:", "eval("):
        assert word not in kind._esm.replace("http://www.w3.org/2000/svg", "")
        assert word not in kind._css
    assert kind._esm.count("export default") == 1
