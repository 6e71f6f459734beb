"""The cell that installs the package on Colab, where nothing is installed, and does nothing anywhere else.

INSTALL                  the code of the cell
with_install(notebook)   the notebook with the cell before all other code
"""

import copy

from weightlore.errors import MissingExtra
from weightlore.teaching.notebooks import Notebook

try:
    from nbformat.v4 import new_code_cell
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["INSTALL", "INSTALL_TAGS", "with_install"]

INSTALL = """import sys  # Colab has not this package yet; everywhere else this cell does nothing

if "google.colab" in sys.modules:
    get_ipython().run_line_magic("pip", "install -q 'weightlore[book] @ git+https://github.com/weightlore/weightlore'")
    sys.modules["google.colab"].output.enable_custom_widget_manager()  # for the figures with knobs"""
INSTALL_TAGS = ["install", "remove-cell"]


def with_install(notebook: Notebook) -> Notebook:
    """Return a tutorial that begins with the cell for Colab; the book leaves this cell out.

    Args:
        notebook: nbformat 4, executed or not; left as it is. Where it has such a cell, that one is replaced.

    Returns:
        A new notebook, its cells numbered anew if any was executed. Where there is no other code, the cell is the last.

    Source: ours
    """
    result = copy.deepcopy(notebook)
    others = [cell for cell in result.cells if "install" not in cell.metadata.get("tags", [])]
    first = next((i for i, cell in enumerate(others) if cell.cell_type == "code"), len(others))
    cell = new_code_cell(INSTALL, metadata={"tags": list(INSTALL_TAGS)}, id="install")
    result.cells = [*others[:first], cell, *others[first:]]
    code = [one for one in result.cells if one.cell_type == "code"]
    for count, one in enumerate(code, start=1):
        one.execution_count = count if any(other.execution_count for other in code) else None
        for output in one.outputs:
            if output.output_type == "execute_result":
                output.execution_count = one.execution_count
    return result
