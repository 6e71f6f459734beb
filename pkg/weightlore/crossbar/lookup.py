"""What a converter makes of every whole number, once and for all.

Where cells are exact only whole numbers arrive, and a converter that is not random makes the same of the same. So it is
a table, and the table is made by the converter itself; whatever computes faster has to give the same entries.

    code_table   sum -> code, by ``convert_sums``
    Steps        the same in one to four operations on float32 numbers, tried on every entry of the table
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar.converters import Adc, Converter, convert_sums

__all__ = ["Steps", "code_table", "steps"]


def code_table(converter: Converter, adc: Adc, slice: int, greatest: int) -> Tensor:
    """Return the codes of all whole sums up to the greatest.

    Args:
        converter: of the K slices.
        adc: its errors; not random.
        slice: which slice k.
        greatest: the greatest sum.

    Returns:
        Codes, shape (greatest + 1,), int64.

    Source: ours, by ``convert_sums``
    """
    one = Converter(converter.bits[slice : slice + 1], (converter.step[slice],), (converter.top[slice],), False)
    sums = torch.arange(greatest + 1, dtype=torch.float64).reshape(1, 1, -1)
    return (convert_sums(sums, one, adc, generator=None).flatten() / converter.step[slice]).round().to(torch.int64)


@dataclass(frozen=True)
class Steps:
    """A table of codes as arithmetic: ``clamp``, ``mul``, ``add``, and ``round`` or ``floor``, whichever are there.

    Args:
        ceiling: sums are cut off here first, ``None`` for no need.
        slope: factor of the sums, ``None`` for 1.
        lift: added before rounding down; ``None`` to round to the nearest instead.
        top: codes are kept between 0 and this, ``None`` for no need.
        table: the codes themselves, float32, where arithmetic does not give them.

    Source: ours
    """

    ceiling: float | None = None
    slope: float | None = None
    lift: float | None = None
    top: float | None = None
    table: Tensor | None = None

    def apply_(self, sums: Tensor) -> Tensor:
        """Turn whole sums into codes, in place.

        Args:
            sums: any shape, float32.

        Returns:
            The same tensor.

        Source: ours
        """
        if self.table is not None:
            return sums.copy_(self.table[sums.to(torch.int64)])
        if self.ceiling is not None:
            sums.clamp_(max=self.ceiling)
        if self.slope is not None:
            sums.mul_(self.slope)
            _ = sums.round_() if self.lift is None else sums.add_(self.lift).floor_()
        return sums if self.top is None else sums.clamp_(min=0.0, max=self.top)


def steps(codes: Tensor, slope: float, lift: float) -> Steps:
    """Return the shortest arithmetic that gives a table of codes, entry by entry.

    Args:
        codes: of the sums 0, 1, ..., shape (V,), int64, from ``code_table``.
        slope: codes per cell level.
        lift: what is added before rounding down.

    Returns:
        The arithmetic; or the table, where none gives it.

    Source: ours
    """
    top, table = int(codes[-1]), codes.to(torch.float32)
    full = float((codes == top).nonzero()[0])  # from here on the code is the last one
    ceiling = None if full == len(codes) - 1 else full
    for way in (
        Steps(ceiling),
        Steps(ceiling, slope),
        Steps(ceiling, top / full if full else slope),
        Steps(ceiling, slope, lift),
        Steps(None, slope, lift, top),
    ):
        if torch.equal(way.apply_(torch.arange(len(codes), dtype=torch.float32)), table):
            return way
    return Steps(table=table)
