"""Pictures made beforehand, one at each position of the knobs."""

import io
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weightlore.errors import ParameterError
from weightlore.teaching.describe import describe
from weightlore.teaching.figures.base import Figure, KnobFigure, Knobs, flat_notes, module
from weightlore.teaching.figures.knob import Knob, as_knobs
from weightlore.teaching.figures.packing import Packer
from weightlore.teaching.pictures import png_bytes

__all__ = ["Flipbook"]


class Flipbook(KnobFigure):
    """Any pictures, one at each position of at most four knobs.

    Prefer ``CurveFigure`` and ``ImageFigure`` where they can draw it: they are sharper, smaller and can be read out.

    Args:
        frames: a function from a position ``{label: value}`` to a frame, or frames nested with one level per knob. A
            frame is a matplotlib figure (drawn in the current style), an array (H, W) or (H, W, 3) of uint8 (a small
            one is enlarged without blur), or the bytes of a PNG or WebP picture. Equal frames travel once.
        knobs: ``{label: values}``, or a sequence of ``Knob(label, values, unit="", start=None)``.
        title: a sentence that states the finding.
        words: what is seen, one sentence per frame: nested with one level per knob, or a function of the position. May
            be left out where all frames are matplotlib figures: they are described from their data.
        dpi: dots per inch at which matplotlib figures are drawn.
        colors: size of the picture's own palette; fewer is smaller.
        controls: whether the figure shows its own sliders.

    Raises:
        ParameterError: for missing words, frames of different sizes, or more than 100 kB; the message says how large.

    Example::

        def draw(position):
            figure, axes = plt.subplots()
            axes.scatter(...)
            plt.close(figure)
            return figure

        Flipbook(draw, {"epoch": [0, 1, 5, 20]}, title="The boundary bends where the points are")

    Source: ours
    """

    _esm = module("flipbook")

    def __init__(
        self,
        frames: Any,
        knobs: Knobs,
        *,
        title: str,
        words: Any = None,
        dpi: int = 100,
        colors: int = 32,
        controls: bool = True,
    ) -> None:
        turned = as_knobs(knobs)
        given = _at_all("frames", frames, turned)
        told = _told(words, given, turned)
        encoded = [_webp(_image(frame, dpi, colors)) for frame in given]
        sizes = {size for _, size in encoded}
        if len(sizes) > 1:
            raise ParameterError(f"all frames must have one size, got {sorted(sizes)}; give the figures one figsize")
        self._size = sizes.pop()
        self._kept = list(dict.fromkeys(content for content, _ in encoded))
        order = [self._kept.index(content) for content, _ in encoded]
        packer = Packer()
        wide, high = self._shown(given[0])
        spec = {
            "kind": "flipbook",
            "title": title,
            "format": "webp",
            "frames": [{**packer.add_bytes(content), "w": wide, "h": high} for content in self._kept],
            "order": order,
            "words": told,
            "pixels": (wide, high) != self._size,
            "notes": None,
        }
        super().__init__(spec, packer.data, turned, controls=controls)

    def _shown(self, frame: Any) -> tuple[int, int]:
        """Return width and height on the page: small arrays are enlarged to about 280 pixels."""
        grow = max(1, 280 // max(self._size)) if isinstance(frame, np.ndarray) else 1
        return self._size[0] * grow, self._size[1] * grow

    def _frame(self, position: Mapping[str, Any]) -> int:
        place = np.ravel_multi_index(self._places(position), [len(k.values) for k in self._knobs]) if self._knobs else 0
        return int(place)

    def values_at(self, position: Mapping[str, Any] | None = None) -> np.ndarray:
        """Return the frame at a position as pixels.

        Args:
            position: ``{label: value}``; knobs not named are taken where they stand now.

        Returns:
            Pixels, shape (H, W, 3), uint8.

        Source: ours
        """
        from PIL import Image

        content = self._kept[self.spec["order"][self._frame(position or {})]]
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def alt(self) -> str:
        """Return the alternative text of the picture: the title and the words of the frame.

        Source: ours
        """
        return f"{self.spec['title']}. {self.spec['words'][self._frame({})]} Drawn at {self._where()}."

    def _draw(self) -> Figure:
        pixels = self.values_at()
        figure = Figure(figsize=(pixels.shape[1] / 100, pixels.shape[0] / 100), frameon=False)
        figure.set_layout_engine("none")
        if self.spec["pixels"]:
            figure.set_size_inches(self.spec["frames"][0]["w"] / 100, self.spec["frames"][0]["h"] / 100)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        image = axes.imshow(pixels, interpolation="nearest", aspect="auto")
        image.set_gid("frame")
        return figure


def _positions(knobs: tuple[Knob, ...]) -> list[dict[str, Any]]:
    return [
        dict(zip([k.label for k in knobs], values, strict=True))
        for values in itertools.product(*[k.values for k in knobs])
    ]


def _at_all(what: str, given: Any, knobs: tuple[Knob, ...]) -> list[Any]:
    """Return one thing per position, in the order of the state, from a function or nested sequences."""
    if isinstance(given, Callable):  # type: ignore[arg-type]
        return [given(position) for position in _positions(knobs)]
    level = [given]
    for knob in knobs:
        if any(isinstance(part, str | bytes | Figure) or len(part) != len(knob.values) for part in level):
            raise ParameterError(
                f"{what} must be nested with one level per knob; level {knob.label!r} needs {len(knob.values)} entries"
            )
        level = [entry for part in level for entry in part]
    return level


def _told(words: Any, frames: list[Any], knobs: tuple[Knob, ...]) -> list[str]:
    """Return the words of every frame, described from its data where none are given."""
    if words is not None:
        return [str(w) for w in _at_all("words", words, knobs)] if callable(words) else flat_notes(words, knobs) or []
    if not all(isinstance(frame, Figure) for frame in frames):
        raise ParameterError("words are missing: only matplotlib figures can be described from their data; give words=")
    return [describe(frame).alt for frame in frames]


def _image(frame: Any, dpi: int, colors: int) -> Any:
    """Return a frame as a Pillow image."""
    from PIL import Image

    if isinstance(frame, Figure):
        frame = png_bytes(frame, dpi=dpi, colors=colors)
    if isinstance(frame, bytes):
        return Image.open(io.BytesIO(frame)).convert("RGB")
    array = np.asarray(frame)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise ParameterError(
            f"a frame is a matplotlib figure, bytes of a picture, or uint8 of shape (H, W) or (H, W, 3); "
            f"got {type(frame).__name__} with shape {array.shape} and dtype {array.dtype}"
        )
    return Image.fromarray(array).convert("RGB")


def _webp(image: Any) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as WebP without loss, and its (width, height)."""
    out = io.BytesIO()
    image.save(out, format="webp", lossless=True, quality=100, method=6)
    return out.getvalue(), image.size
