"""Diagrams drawn by code, as SVG in the palette: they follow the theme of the page and have a title and a description.

crossbar_diagram(inputs, levels)        word lines, cells, bit lines and what arrives at the converters
spiking_diagram(spikes, signs, ...)     one step of spiking neurons on a crossbar: integrate, compare, no converter
finished(title, body, size, alt)        a drawing of one's own, such as that of ``unit_diagrams``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.teaching.style import css_variables

__all__ = ["Diagram", "crossbar_diagram", "finished", "spiking_diagram"]

MOST = 12
PITCH, LEFT, TOP = 52, 86, 44
STYLE = (
    ".wl-diagram{max-width:664px;background:var(--wl-surface);border:1px solid var(--wl-grid);border-radius:8px}"
    ".wl-diagram svg{display:block;width:100%;height:auto}"
    ".wl-diagram text{font:13px system-ui,sans-serif;fill:var(--wl-text);text-anchor:middle}"
    ".wl-diagram .idle{stroke:var(--wl-muted);stroke-width:1.5}.wl-diagram .on{stroke:var(--wl-s0);stroke-width:3}"
    ".wl-diagram .cell{fill:var(--wl-surface);stroke:var(--wl-muted)}.wl-diagram .held{fill:var(--wl-s2)}"
    ".wl-diagram .full{stroke:var(--wl-s1);stroke-width:3}.wl-diagram .small{font-size:11px;fill:var(--wl-muted)}"
)


@dataclass(frozen=True)
class Diagram:
    """A drawing that a notebook shows in the page itself.

    Args:
        svg: the drawing.
        alt: what it shows, in words.

    Source: ours
    """

    svg: str
    alt: str

    def __repr__(self) -> str:
        return f"Diagram({self.alt!r})"

    def _repr_html_(self) -> str:
        return f'<div class="wl-diagram"><style>{css_variables(".wl-diagram")}{STYLE}</style>{self.svg}</div>'


def crossbar_diagram(
    inputs: Tensor, levels: Tensor, *, bits: int | None = None, names: Sequence[str] | None = None
) -> Diagram:
    """Draw a small crossbar: inputs on word lines, levels in cells, sums at the ends of the bit lines.

        sum[c] = sum over r of inputs[r] level[r, c]

    Args:
        inputs: one digit for each word line, shape (R,), whole numbers from zero up; R at most 12.
        levels: of the cells, shape (R, C), whole numbers from zero up; C at most 12.
        bits: of the converters; sums above 2**bits - 1 are drawn as saturated. ``None`` for converters without end.
        names: of the C bit lines.

    Returns:
        The drawing.

    Raises:
        ParameterError: if shapes do not fit or are too large to read, numbers are negative, or names are not C.

    Source: ours
    """
    _require(inputs, levels, bits, names)
    sums = inputs.to(torch.int64) @ levels.to(torch.int64)
    top = None if bits is None else 2**bits - 1
    full = [top is not None and int(s) > top for s in sums]
    codes = [int(s) if top is None else min(int(s), top) for s in sums]
    alt = _words(inputs, sums, codes, full, bits)
    rows, columns = levels.shape
    wide, high = LEFT + PITCH * columns + 20, TOP + PITCH * rows + 78
    body = [*_lines(inputs, columns, full), *_cells(levels)]
    for c, (total, code) in enumerate(zip(sums, codes, strict=True)):
        x, y = LEFT + PITCH * c + PITCH // 2, TOP + PITCH * rows + 18
        box = f'<rect class="cell{" full" if full[c] else ""}" x="{x - 20}" y="{y}" width="40" height="26" rx="5"/>'
        body.append(f'{box}<text x="{x}" y="{y + 18}">{code}</text>')
        told = f"of {int(total)}" if full[c] else ""
        body.append(f'<text class="small" x="{x}" y="{y + 42}">{told}</text>')
        if names is not None:
            body.append(f'<text class="small" x="{x}" y="{TOP - 22}">{escape(names[c])}</text>')
    body.append(f'<text class="small" x="{LEFT // 2}" y="{TOP + PITCH * rows + 36}">converters</text>')
    return finished(f"A crossbar of {rows} word lines and {columns} bit lines", body, (wide, high), alt)


def spiking_diagram(spikes: Tensor, signs: Tensor, threshold: Tensor, *, potential: Tensor | None = None) -> Diagram:
    """Draw one time step of neurons with one-bit weights on a crossbar: cells of (B + 1)/2 and one line for reference.

        charge[c] = 2 sum over r of B+[r, c] s[r] - sum over r of s[r]  =  sum of B[r, c] s[r]
        u = V + charge,   a spike where u >= threshold,   V <- u - threshold there

    Args:
        spikes: on the word lines, shape (R,), zeros and ones; R at most 12.
        signs: weights B, shape (R, C), -1 and +1; C at most 11.
        threshold: of the C neurons, shape (C,), > 0, in units of one weight.
        potential: V before the step, shape (C,); ``None`` for 0.

    Returns:
        The drawing.

    Raises:
        ParameterError: if shapes do not fit or are too large to read, spikes are not 0 or 1, signs not -1 or +1, or a
            threshold is not positive.

    Source: [lu2020binary], binary weights on a crossbar; the drawing is ours
    """
    levels = torch.cat([(signs + 1) / 2, torch.ones_like(signs[:, :1])], dim=1)
    before = torch.zeros(signs.shape[1]) if potential is None else potential
    _require_spiking(spikes, signs, threshold, before)
    _require(spikes, levels, None, None)
    rows, columns = levels.shape
    sums = [int(s) for s in spikes.double() @ levels.double()]
    charge = [2 * s - sums[-1] for s in sums[:-1]]
    after = [float(v) + q for v, q in zip(before, charge, strict=True)]
    fires = [u >= float(t) for u, t in zip(after, threshold, strict=True)]
    body, bottom = [*_lines(spikes, columns, [*fires, False]), *_cells(levels)], TOP + PITCH * rows
    for x, name in ((LEFT // 2, "spikes"), (LEFT + PITCH * columns - PITCH // 2, "reference")):
        body.append(f'<text class="small" x="{x}" y="{TOP - 22}">{name}</text>')
    for row, name in enumerate(("sums", "charge", "potential", "threshold", "spike")):
        body.append(f'<text class="small" x="{LEFT // 2}" y="{bottom + 36 + 26 * row}">{name}</text>')
    for c in range(columns):
        x = LEFT + PITCH * c + PITCH // 2
        body.append(f'<text x="{x}" y="{bottom + 36}">{sums[c]}</text>')
        if c < columns - 1:
            told = (
                f"{charge[c]:+d}" if charge[c] else "0",
                f"{after[c]:g}",
                f"{float(threshold[c]):g}",
                f"{int(fires[c])}",
            )
            kind = "cell full" if fires[c] else "cell"
            body.append(f'<rect class="{kind}" x="{x - 16}" y="{bottom + 122}" width="32" height="26" rx="13"/>')
            body += [f'<text x="{x}" y="{bottom + 62 + 26 * row}">{word}</text>' for row, word in enumerate(told)]
    size = (LEFT + PITCH * columns + 20, bottom + 160)
    title = f"One step of {columns - 1} spiking neurons on a crossbar of {rows} word lines"
    return finished(title, body, size, _spoken(spikes, sums, charge, after, threshold, fires))


def finished(title: str, body: Sequence[str], size: tuple[int, int], alt: str) -> Diagram:
    """Return a drawing with its title and its description.

    Args:
        title: what it is.
        body: elements of SVG.
        size: width and height, in pixels.
        alt: what it shows, in words.

    Source: ours
    """
    head = f"<title>{escape(title)}</title><desc>{escape(alt)}</desc>"
    box = f'viewBox="0 0 {size[0]} {size[1]}" style="max-width:{size[0]}px"'
    return Diagram(f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">{head}{"".join(body)}</svg>', alt)


def _require_spiking(spikes: Tensor, signs: Tensor, threshold: Tensor, potential: Tensor) -> None:
    if not bool(((spikes == 0) | (spikes == 1)).all()) or not bool((signs.abs() == 1).all()):
        raise ParameterError("spikes are 0 or 1 and signs are -1 or +1; absorb the scales of the weights first")
    if threshold.shape != signs.shape[1:] or potential.shape != signs.shape[1:]:
        raise ParameterError(
            f"threshold and potential must be one for each of {signs.shape[1]} neurons, got "
            f"{tuple(threshold.shape)} and {tuple(potential.shape)}"
        )
    if not bool((threshold > 0).all()):
        raise ParameterError(f"a threshold must be > 0, got {float(threshold.min()):g}")


def _spoken(
    spikes: Tensor, sums: list[int], charge: list[int], after: list[float], threshold: Tensor, fires: list[bool]
) -> str:
    def listed(numbers: Sequence[float]) -> str:
        return ", ".join(f"{float(number):g}" for number in numbers)

    firing = [str(c + 1) for c, fired in enumerate(fires) if fired]
    who = f"Neuron {firing[0]} fires" if len(firing) == 1 else f"Neurons {', '.join(firing)} fire"
    return (
        f"{int(spikes.sum())} of {len(spikes)} word lines carry a spike. The bit lines add up to {listed(sums[:-1])}, "
        f"the reference line to {sums[-1]}. Twice a sum less the reference is the charge: {listed(charge)}. "
        f"Potentials become {listed(after)}, thresholds are {listed(threshold.tolist())}. "
        f"{who if firing else 'No neuron fires'}."
    )


def _require(inputs: Tensor, levels: Tensor, bits: int | None, names: Sequence[str] | None) -> None:
    if levels.dim() != 2 or inputs.shape != levels.shape[:1] or not 1 <= min(levels.shape) <= max(levels.shape) <= MOST:
        raise ParameterError(
            f"a diagram takes inputs (R,) and levels (R, C), R and C from 1 to {MOST}, got {tuple(inputs.shape)} and "
            f"{tuple(levels.shape)}; draw a part of the array"
        )
    for what, given in (("inputs", inputs), ("levels", levels)):
        if bool((given < 0).any()) or bool((given != given.round()).any() if given.is_floating_point() else False):
            raise ParameterError(f"{what} must be whole numbers from zero up; a negative weight has a cell of its own")
    if bits is not None and bits < 1:
        raise ParameterError(f"bits of a converter must be >= 1 or None, got {bits}")
    if names is not None and len(names) != levels.shape[1]:
        raise ParameterError(f"names must be one for each of {levels.shape[1]} bit lines, got {len(names)}")


def _lines(inputs: Tensor, columns: int, full: list[bool]) -> Iterator[str]:
    """Word lines with their inputs, bit lines with their ends."""
    end, bottom = LEFT + PITCH * columns, TOP + PITCH * len(inputs)
    for r, digit in enumerate(inputs):
        y = TOP + PITCH * r + PITCH // 2
        kind = "on" if int(digit) else "idle"
        yield f'<line class="{kind}" x1="{LEFT - 24}" x2="{end}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 42}" y="{y + 5}">{int(digit)}</text>'
    for c in range(columns):
        x = LEFT + PITCH * c + PITCH // 2
        kind = "full" if full[c] else "idle"
        yield f'<line class="{kind}" x1="{x}" x2="{x}" y1="{TOP - 12}" y2="{bottom + 18}"/>'


def _cells(levels: Tensor) -> Iterator[str]:
    """A square for each cell, filled by its level."""
    most = max(1, int(levels.max()))
    for r, row in enumerate(levels.tolist()):
        for c, level in enumerate(row):
            x, y = LEFT + PITCH * c + PITCH // 2, TOP + PITCH * r + PITCH // 2
            yield f'<rect class="cell" x="{x - 14}" y="{y - 14}" width="28" height="28" rx="4"/>'
            if level:
                side = 28 * (level / most) ** 0.5
                place = f'x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" width="{side:.1f}" height="{side:.1f}"'
                yield f'<rect class="held" fill-opacity="0.35" {place} rx="4"/>'
            yield f'<text x="{x}" y="{y + 5}">{int(level)}</text>'


def _words(inputs: Tensor, sums: Tensor, codes: list[int], full: list[bool], bits: int | None) -> str:
    on = int((inputs > 0).sum())
    words = (
        f"{on} of {len(inputs)} word lines are driven; the bit lines add up to {', '.join(map(str, sums.tolist()))}."
    )
    if bits is None:
        return words
    return f"{words} Converters of {bits} bits return {', '.join(map(str, codes))}: {sum(full)} saturate."
