"""What a notebook does with every picture that it shows: our style, and words sent along.

use_style()            once, in the first cell
describe_pictures(ip)  alt text and table in the metadata of each picture
"""

import base64
from typing import Any

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.describe import describe
from weightlore.teaching.pictures import png_bytes
from weightlore.teaching.style import rc_parameters

try:
    import matplotlib as mpl
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

__all__ = ["describe_pictures", "use_style"]


def use_style() -> None:
    """Set matplotlib's defaults from the style file, once for a notebook.

    A picture stands on its own light card, so that it reads the same in a light and in a dark page. In a notebook every
    figure shown afterwards carries its alt text and data table in the metadata of the picture (see ``describe``).

    Source: ours
    """
    mpl.rcdefaults()  # leaves the backend as it is
    mpl.rcParams.update(rc_parameters())
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is not None:
        describe_pictures(shell)


def describe_pictures(shell: Any) -> None:
    """Send alt text and table with every figure that this notebook shows, as metadata of its picture.

    The metadata ``{"image/png": {"alt": ..., "table": ...}}`` are stored in the notebook; the book prints them.

    Args:
        shell: the running IPython shell.

    Source: ours
    """
    if "inline" in (backend := plt.get_backend()):
        plt.switch_backend(backend)  # else the backend registers its own pictures when the first figure is made
    shell.display_formatter.formatters["image/png"].for_type(Figure, _picture)


def _picture(figure: Figure) -> Any:
    """Return a figure's PNG and what it shows, in the form that IPython stores."""
    if not figure.axes:
        return None
    png = base64.b64encode(png_bytes(figure, dpi=100, colors=128)).decode()
    try:
        words = describe(figure)
    except ParameterError:
        return png
    return png, {"alt": words.alt, "table": words.table}
