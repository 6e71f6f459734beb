"""Say where a stored notebook and a fresh execution of it differ, in everything that a reader sees.

Text must be the same to the letter. Pictures, numbers in the state of a widget and numbers in alt texts may differ by
what another processor's rounding can do, and by no more.

    compare(stored, fresh)   one line for each difference, none if the reader sees the truth
"""

import base64
import io
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from weightlore.errors import MissingExtra
from weightlore.teaching.figures.packing import unpack
from weightlore.teaching.notebooks import STATE, Notebook, alt_text, canonical

try:
    from PIL import Image
except ImportError as error:
    raise MissingExtra("PIL", "book") from error

__all__ = ["compare"]

PICTURES = ("image/png", "image/jpeg")
LEVELS, SHARE, MEAN = 32, 1e-3, 0.5  # a pixel counts as changed at 32 of 255; so many may be; mean change of all
RELATIVE = 1e-4  # of the largest number in the same array
NUMBER = re.compile(r"[-−+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,16}\b")
PNG = b"\x89PNG"


class Block(NamedTuple):
    """Numbers from the buffer of a widget, and the step of their quantization, 0 for exact ones."""

    values: np.ndarray
    step: float


def compare(stored: Notebook, fresh: Notebook) -> list[str]:
    """Return the differences between a stored notebook and a fresh execution of it.

    Args:
        stored: the notebook as it lies in the repository.
        fresh: the same notebook, as ``execute`` returns it.

    Returns:
        One line for each difference, with the number of the cell; empty if there is none.

    Source: ours
    """
    stored, fresh = canonical(stored), canonical(fresh)
    pairs = list(zip(stored.cells, fresh.cells, strict=False))
    found = [] if len(stored.cells) == len(fresh.cells) else ["the numbers of cells differ"]
    for number, (old, new) in enumerate(pairs, start=1):
        if old.source != new.source:
            found.append(f"cell {number}: the source differs")
        elif old.cell_type == "code":
            found += [f"cell {number}: {line}" for line in _cell(old, new)]
    return found + [f"widgets: {line}" for line in _states(_state(stored), _state(fresh))]


def _cell(old: Notebook, new: Notebook) -> Iterator[str]:
    if old.execution_count is None and old.source.strip():
        yield "was never executed"
    before, after = _outputs(old), _outputs(new)
    if [kind for kind, _ in before] != [kind for kind, _ in after]:
        yield f"outputs were {[kind for kind, _ in before]}, are now {[kind for kind, _ in after]}"
        return
    for (kind, a), (_, b) in zip(before, after, strict=True):
        if difference := _picture(a, b) if kind in PICTURES else _text(a, b):
            yield f"{kind} {difference}"
    if alt_text(new):
        for kept in (old.metadata.get("mystnb", {}).get("image", {}).get("alt", ""), alt_text(old)):
            if not _close_text(kept, alt_text(new)):
                yield f"the alt text was {kept!r}, is now {alt_text(new)!r}"


def _outputs(cell: Notebook) -> list[tuple[str, Any]]:
    """Return what a cell shows as (kind, content)."""
    shown: list[tuple[str, Any]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append((output.name, output.text))
        elif output.output_type == "error":
            shown.append(("error", f"{output.ename}: {output.evalue}"))
        else:
            shown += sorted(output.data.items())
    return shown


def _text(old: Any, new: Any) -> str:
    a, b = (ADDRESS.sub("ADDRESS", x if isinstance(x, str) else json.dumps(x, sort_keys=True)) for x in (old, new))
    return "" if a == b else f"was {_short(a, b)!r}, is now {_short(b, a)!r}"


def _short(text: str, other: str) -> str:
    """Return the part of a text around its first difference from the other."""
    at = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    return text[max(0, at - 40) : at + 60]


def _picture(old: str, new: str) -> str:
    return _changed_pixels(base64.b64decode(old), base64.b64decode(new))


def _changed_pixels(old: bytes, new: bytes) -> str:
    a, b = (np.asarray(Image.open(io.BytesIO(x)).convert("RGBA"), float) for x in (old, new))
    if a.shape != b.shape:
        return f"was {a.shape[1]} x {a.shape[0]} pixels, is now {b.shape[1]} x {b.shape[0]}"
    change = np.abs(a - b).max(axis=-1)
    share = float((change > LEVELS).mean())
    return f"differs in {share:.2%} of its pixels" if share > SHARE or change.mean() > MEAN else ""


def _state(notebook: Notebook) -> dict[str, Any]:
    return dict(notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {}))


def _states(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    if missing := sorted(new.keys() - old.keys()):
        yield f"the state of {len(missing)} of {len(new)} is not stored"
    if extra := sorted(old.keys() - new.keys()):
        yield f"the state of {len(extra)} is stored, but nothing makes them"
    for model in sorted(old.keys() & new.keys()):
        name = f"{new[model]['model_name']} {int(model, 16)}"
        if old[model]["model_name"] != new[model]["model_name"]:
            yield f"{name} was a {old[model]['model_name']}"
            continue
        yield from (f"{line} of {name} differs" for line in _record(old[model], new[model]))


def _record(old: Any, new: Any) -> Iterator[str]:
    """Yield what differs in the state of one widget: plain values first, then what its buffers hold."""
    try:
        before, after = _opened(old), _opened(new)
    except (ValueError, KeyError):
        yield "a buffer that cannot be read"
        return
    for key in sorted(before.keys() | after.keys()):
        if not _same(before.get(key), after.get(key)):
            yield repr(key)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Block) and isinstance(b, Block):
        return a.values.shape == b.values.shape and _close_array(a.values, b.values, max(a.step, b.step))
    if isinstance(a, bytes) and isinstance(b, bytes):
        return a == b or (a.startswith(PNG) and b.startswith(PNG) and not _changed_pixels(a, b))
    return _close(a, b)


def _opened(record: Any) -> dict[str, Any]:
    """Return the state of a widget with the blocks of its buffer as arrays (numbers) and bytes (pictures)."""
    content = dict(record["state"])
    buffers = {buffer["path"][-1]: base64.b64decode(buffer["data"]) for buffer in record.get("buffers", [])}
    if "spec" in content and "data" in buffers:
        data = buffers.pop("data")
        found: dict[str, Any] = {}
        content["spec"] = _without_blocks(content["spec"], data, "spec", found)
        content |= found
    return content | buffers


def _without_blocks(spec: Any, data: bytes, name: str, found: dict[str, Any]) -> Any:
    """Return a description without its blocks, which go to ``found`` under their paths."""
    if isinstance(spec, dict) and {"o", "t", "h"} <= spec.keys():
        whole = spec["t"] == 32 or float(spec["b"]).is_integer()
        found[name] = Block(unpack(spec, data), 0.0 if whole else spec["b"])
        return None
    if isinstance(spec, dict) and spec.keys() == {"o", "n"}:
        found[name] = data[spec["o"] : spec["o"] + spec["n"]]
        return None
    if isinstance(spec, dict):
        return {key: _without_blocks(part, data, f"{name}.{key}", found) for key, part in spec.items()}
    if isinstance(spec, list):
        return [_without_blocks(part, data, f"{name}.{i}", found) for i, part in enumerate(spec)]
    return spec


def _close_array(a: np.ndarray, b: np.ndarray, step: float) -> bool:
    """Return whether arrays agree to a relative error of the largest number, or to one step of their quantization."""
    scale = float(np.nanmax(np.abs(a), initial=0.0, where=np.isfinite(a)))
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=max(RELATIVE * scale, 1.01 * step), equal_nan=True))


def _close(a: Any, b: Any) -> bool:
    """Return whether two pieces of state are the same but for the last digits of numbers that are not whole."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_close(x, y) for x, y in zip(a, b, strict=True))
    if all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)):
        return a == b or (float in (type(a), type(b)) and math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-9))
    return type(a) is type(b) and bool(a == b)


def _close_text(a: str, b: str) -> bool:
    """Return whether two texts are the same but for a unit in the last digit of their numbers."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(NUMBER.findall(a), NUMBER.findall(b), strict=True)
    return all(math.isclose(*(float(x.replace("−", "-")) for x in pair), rel_tol=0.02, abs_tol=1e-9) for pair in pairs)
