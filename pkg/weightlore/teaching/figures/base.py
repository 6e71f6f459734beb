"""What all figures with knobs share: state, position, picture for a page without JavaScript.

A figure is a widget whose results were computed beforehand. They travel in its state, and the browser draws the slice
that the knobs select; so it works in Jupyter and in a page without a kernel. In Jupyter the position is also a trait of
the Python object: ``figure.observe(handler, "i0")`` or ``figure.on_turn(handler)``.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.describe import describe
from weightlore.teaching.figures.knob import Knob
from weightlore.teaching.figures.packing import require_budget
from weightlore.teaching.pictures import picture_context, png_bytes
from weightlore.teaching.style import css_variables

try:
    import anywidget
    import traitlets as t
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra((error.name or "anywidget").split(".")[0], "book") from error

__all__ = ["Figure", "KnobFigure", "Knobs"]

_HERE = Path(__file__).parent

Knobs = Mapping[str, Sequence[Any]] | Iterable[Knob]


def module(kind: str) -> str:
    """Return the JavaScript of a kind of figure: what it draws, then what all share, without comments.

    Args:
        kind: name of the file of this kind, empty for the shared part alone.

    Source: ours
    """
    texts = [(_HERE / f"{name}.js").read_text(encoding="utf-8") for name in (kind, "figure") if name]
    lines = (line.strip() for text in texts for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"


def style_sheet() -> str:
    """Return the CSS of all figures, colors included.

    Source: ours
    """
    return css_variables() + (_HERE / "figure.css").read_text(encoding="utf-8")


class KnobFigure(anywidget.AnyWidget):
    """A figure over at most four knobs; use ``CurveFigure``, ``ImageFigure`` or ``Flipbook``.

    Attributes:
        i0, i1, i2, i3: place of each knob's value, from 0; the browser and Python both write them.
        mark: place along the curve or image at which values are read.
        controls: whether the figure shows its own sliders; switch off to steer it from other widgets through ``i0``.

    Source: ours
    """

    _css = style_sheet()
    spec = t.Dict().tag(sync=True)
    data = t.Bytes().tag(sync=True)
    i0 = t.Int(0, min=0).tag(sync=True)
    i1 = t.Int(0, min=0).tag(sync=True)
    i2 = t.Int(0, min=0).tag(sync=True)
    i3 = t.Int(0, min=0).tag(sync=True)
    mark = t.Int(0, min=0).tag(sync=True)
    controls = t.Bool(True).tag(sync=True)

    def __init__(
        self, spec: dict[str, Any], data: bytes, knobs: tuple[Knob, ...], *, mark: int = 0, controls: bool = True
    ) -> None:
        spec = {**spec, "knobs": [{"label": k.label, "values": k.shown()} for k in knobs]}
        require_budget(
            f"{type(self).__name__} {spec['title']!r}",
            {"data": 4 * ((len(data) + 2) // 3), "description": len(json.dumps(spec).encode())},
        )
        start = {f"i{d}": k.index(k.start) for d, k in enumerate(knobs) if k.start is not None}
        self._knobs = knobs
        super().__init__(spec=spec, data=data, mark=mark, controls=controls, **start)

    @t.validate("i0", "i1", "i2", "i3")
    def _inside(self, proposal: Any) -> int:
        place = int(proposal["trait"].name[1])
        most = len(self._knobs[place].values) - 1 if place < len(self._knobs) else 0
        return min(proposal["value"], most)

    @property
    def position(self) -> dict[str, Any]:
        """The value of every knob now, by its label."""
        return {k.label: k.values[i] for k, i in zip(self._knobs, self._places({}), strict=True)}

    def turn(self, position: Mapping[str, Any]) -> None:
        """Turn knobs to values, as a reader would.

        Args:
            position: ``{label: value}``; a number selects the nearest value, knobs not named stay.

        Raises:
            ParameterError: if there is no such knob, or no such word among its values.

        Source: ours
        """
        places = self._places(position)
        with self.hold_trait_notifications():
            for d, place in enumerate(places):
                setattr(self, f"i{d}", place)

    def on_turn(self, handler: Callable[["KnobFigure"], None]) -> None:
        """Call ``handler(figure)`` whenever a knob was turned, in the browser or by ``turn``.

        Args:
            handler: gets the figure; read ``position`` and ``values_at()`` there.

        Source: ours
        """
        self.observe(lambda _: handler(self), names=[f"i{d}" for d in range(len(self._knobs))])

    def _places(self, position: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the places of all knobs at a position; knobs not named stay where they are."""
        labels = [k.label for k in self._knobs]
        if unknown := set(position) - set(labels):
            raise ParameterError(
                f"no knob is called {sorted(unknown)[0]!r}; the knobs are {', '.join(labels) or 'none'}"
            )
        now = (self.i0, self.i1, self.i2, self.i3)
        return tuple(k.index(position[k.label]) if k.label in position else now[d] for d, k in enumerate(self._knobs))

    def _where(self) -> str:
        """Return the position in words."""
        words = [f"{k.label} {k.shown()[i]}" for k, i in zip(self._knobs, self._places({}), strict=True)]
        return ", ".join(words)

    def _draw(self) -> Figure:
        """Return the figure as it stands, drawn by matplotlib; each kind of figure has its own."""
        raise NotImplementedError

    def picture(self) -> Figure:
        """Return the figure at its position as a matplotlib figure.

        Source: ours
        """
        with picture_context():
            return self._draw()

    def alt(self) -> str:
        """Return the alternative text of the picture, made from the numbers.

        Source: ours
        """
        words = describe(self.picture()).alt
        return f"{words} Drawn at {self._where()}." if self._knobs else words

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec['title']!r}, {self._where()})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        """Return the live view and, for readers without JavaScript, a picture with alternative text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        with picture_context():
            png = base64.b64encode(png_bytes(self._draw())).decode()
        return (
            {**data, "image/png": png, "text/plain": repr(self)},
            {**metadata, "image/png": {"alt": self.alt()}},
        )


def at_places(values: np.ndarray, places: tuple[int, ...]) -> np.ndarray:
    """Return the slice of an array at knob places; an axis of length 1 is the same everywhere.

    Args:
        values: one axis per knob, then the axes of the slice.
        places: one place per knob.

    Source: ours
    """
    return values[tuple(i if values.shape[d] > 1 else 0 for d, i in enumerate(places))]


def over_knobs(what: str, values: np.ndarray, knobs: tuple[Knob, ...], inner: tuple[int, ...]) -> np.ndarray:
    """Return values with one axis per knob before the inner ones, or say which shape was expected.

    Args:
        what: how the caller calls the values.
        values: of the inner shape (the same at every position), or with one axis per knob (its length, or 1) before.
        knobs: the knobs.
        inner: the shape at one position.

    Raises:
        ParameterError: for another shape; the message says which one the knobs ask for.

    Source: ours
    """
    if values.shape == inner:
        return values.reshape((1,) * len(knobs) + inner)
    want = tuple(len(k.values) for k in knobs) + inner
    fits = values.ndim == len(want) and values.shape[len(knobs) :] == inner
    if not fits or any(n not in (1, m) for n, m in zip(values.shape, want, strict=True)):
        names = ", ".join(f"{k.label} ({len(k.values)})" for k in knobs)
        raise ParameterError(
            f"{what} has shape {values.shape}, expected {want}: one axis per knob [{names}], each of that length or 1, "
            f"then {inner}"
        )
    return values


def flat_notes(notes: Any, knobs: tuple[Knob, ...]) -> list[str] | None:
    """Return one sentence per position in the order of the state, or nothing.

    Args:
        notes: nested sequences of sentences, one level per knob, or one sentence for all positions.
        knobs: the knobs.

    Raises:
        ParameterError: if there is not one sentence per position.

    Source: ours
    """
    if notes is None:
        return None
    shape = tuple(len(k.values) for k in knobs)
    array = (
        np.broadcast_to(np.asarray(notes, dtype=object), shape) if isinstance(notes, str) else np.asarray(notes, object)
    )
    if array.shape != shape:
        raise ParameterError(f"notes has shape {array.shape}, expected one sentence per knob position, {shape}")
    return [str(note) for note in array.ravel()]
