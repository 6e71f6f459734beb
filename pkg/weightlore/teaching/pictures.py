"""A matplotlib figure as a picture: small, the same for the same drawing, in our style.

with picture_context(): ...     draw in our style, whatever the notebook has set
png_bytes(figure)               the picture
"""

import io
from typing import Any

from weightlore.errors import MissingExtra
from weightlore.teaching.style import rc_parameters

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

__all__ = ["picture_context", "png_bytes"]


def png_bytes(figure: Figure, *, dpi: int = 100, colors: int = 64) -> bytes:
    """Return a matplotlib figure as a small PNG that is the same for the same drawing.

    The picture gets a palette of its own, which halves it; one with images or color meshes gets the largest, 256.

    Args:
        figure: the figure.
        dpi: dots per inch.
        colors: size of the palette of a line drawing.

    Source: ours
    """
    from PIL import Image

    for axes in figure.axes:
        for title in ("title", "_left_title", "_right_title"):
            getattr(axes, title).set_wrap(True)  # a sentence may be wider than the picture
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi, metadata={"Software": None})
    small = io.BytesIO()
    image = Image.open(raw).convert("RGB")
    mapped = [c for axes in figure.axes for c in (*axes.images, *axes.collections) if c.get_array() is not None]
    image = image.quantize(256 if mapped else colors, dither=Image.Dither.NONE)
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def picture_context() -> Any:
    """Return a context in which matplotlib draws in our style, whatever the notebook has set.

    Source: ours
    """
    return mpl.rc_context(rc_parameters())
