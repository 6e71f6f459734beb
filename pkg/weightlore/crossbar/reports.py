"""What a network on crossbars looks like from the bit lines, and what it costs.

    found = report(hardware, data, cost=Cost("isaac"))
    print(found)                     two tables; the second names the cost model
    found.layers[0].saturated        share of the sums above each converter's ceiling

Everything is told layer by layer and slice by slice, the least significant slice first. Energy and time are those of
one example; area is that of all arrays.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from weightlore.crossbar.arrays import Crossbar
from weightlore.crossbar.conversion import crossbar_layers
from weightlore.crossbar.converters import required_bits
from weightlore.crossbar.cost import MOST_BITS, Bill, Cost, Counts, counts
from weightlore.crossbar.encodings import encode
from weightlore.crossbar.layers import CrossbarLayer
from weightlore.crossbar.ranges import largest_input, static_range
from weightlore.crossbar.reference import read_tiles
from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode

__all__ = ["LayerReport", "Report", "layer_counts", "report"]


@dataclass(frozen=True)
class LayerReport:
    """One layer, as its bit lines see it.

    Args:
        name: of the layer.
        outputs: rows of its weight matrix, all groups together.
        inputs: columns of its weight matrix, of one group.
        vectors: input vectors, or patches, that one example brings.
        density: share of the weights' digits that are not zero, K numbers.
        load: greatest sum of levels on a bit line, K numbers; what a converter meets with all inputs at 1.
        static_bits: resolution that loses nothing with these weights, whatever the inputs.
        seen_bits: resolution that loses nothing on these data.
        adc_bits: resolution of the converters.
        saturated: share of the sums above the greatest code, on these data.
        clipped: share of the inputs beyond the calibrated range, on these data.
        conversions: of each slice, for one example; a slice without any level is left out.
        bill: of one example.

    Source: ours
    """

    name: str
    outputs: int
    inputs: int
    vectors: float
    density: tuple[float, ...]
    load: tuple[float, ...]
    static_bits: tuple[int, ...]
    seen_bits: tuple[int, ...]
    adc_bits: tuple[int, ...]
    saturated: tuple[float, ...]
    clipped: float
    conversions: tuple[int, ...]
    bill: Bill


@dataclass(frozen=True)
class Report:
    """All layers of a network on crossbars; ``str`` makes a table of it.

    Args:
        layers: one after the other.
        cost: the model of the converters by which energy, time and area were told.
        examples: how many the data were.

    Source: ours
    """

    layers: tuple[LayerReport, ...]
    cost: Cost
    examples: int

    @property
    def total(self) -> Bill:
        """The bill of all layers: energies, times and areas added up."""
        return sum((layer.bill for layer in self.layers[1:]), self.layers[0].bill)

    @property
    def conversions(self) -> int:
        """How many conversions an example takes."""
        return sum(sum(layer.conversions) for layer in self.layers)

    def __str__(self) -> str:
        lines = _table([_LINES, *(row for layer in self.layers for row in _line_rows(layer))])
        bills = [_bill_row(layer.name, sum(layer.conversions), layer.bill) for layer in self.layers]
        costs = _table([_COSTS, *bills, _bill_row("all", self.conversions, self.total)])
        noun = "example" if self.examples == 1 else "examples"
        model = f"converters after {self.cost.model!r}, their area after {self.cost.area_model!r}"
        above = f"bit lines on {self.examples} {noun}, slice 0 the least significant:"
        return "\n".join([above, *lines, "", f"cost of one example, {model}:", *costs])


_LINES = ("layer", "slice", "non-zero", "load", "bits: static", "seen", "used", "saturated", "clipped inputs")
_COSTS = ("layer", "conversions", "nJ", "in converters", "us", "mm^2", "in converters", "digital / crossbar nJ")


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, columns set right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _line_rows(layer: LayerReport) -> Iterator[tuple[str, ...]]:
    for k, bits in enumerate(layer.adc_bits):
        share, above = f"{layer.density[k]:.2%}", f"{layer.saturated[k]:.3%}"
        found = (f"{layer.load[k]:g}", str(layer.static_bits[k]), str(layer.seen_bits[k]), str(bits), above)
        first, clipped = (layer.name, f"{layer.clipped:.2%}") if k == 0 else ("", "")
        yield (first, str(k), share, *found, clipped)


def _bill_row(name: str, conversions: int, bill: Bill) -> tuple[str, ...]:
    energy, area = (
        (f"{bill.energy / 1e3:.4g}", f"{bill.adc_energy_share:.0%}"),
        (f"{bill.area / 1e6:.4g}", f"{bill.adc_area_share:.0%}"),
    )
    return (name, str(conversions), *energy, f"{bill.latency * 1e6:.4g}", *area, f"{bill.digital_ratio:.3g}")


def report(hardware: nn.Module, data: Split | Tensor, *, cost: Cost | None = None, chunk: int = 250) -> Report:
    """Return what the layers of a network on crossbars do with data, and what that costs.

    Args:
        hardware: from ``convert``; it is left as it is, its generator and its count of clipped inputs too.
        data: N examples, or their inputs, shape (N, ...).
        cost: model of the converters; ``None`` for ISAAC's.
        chunk: examples at once.

    Returns:
        The report. Where readings fluctuate, its sums are drawn with a generator of its own, the same each time.

    Raises:
        ParameterError: if there are no data or they are not finite, no layer is on a crossbar, or a layer is never
            called.

    Source: ours; slice density and required resolution are those of [zhang2019bitslice]
    """
    inputs = require_finite("data", data.x if isinstance(data, Split) else data)
    if not len(inputs) or chunk < 1:
        raise ParameterError(
            f"a report needs data; give at least one example, and chunks from 1 up; got {len(inputs)} and {chunk}"
        )
    hardware = copy.deepcopy(hardware)
    tallies = {name: _Tally(layer) for name, layer in crossbar_layers(hardware).items()}
    hooks = [tally.layer.register_forward_pre_hook(tally.read) for tally in tallies.values()]
    with torch.no_grad(), in_mode(hardware, training=False):
        for part in inputs.split(chunk):
            hardware(part)
    for hook in hooks:
        hook.remove()
    cost = cost or Cost()
    layers = tuple(tally.told(name, len(inputs), cost) for name, tally in tallies.items())
    return Report(layers, cost, len(inputs))


def layer_counts(array: Crossbar, vectors: int) -> Counts:
    """Count what an array does with a number of input vectors.

    Signed inputs in two passes count twice; bit lines that are subtracted before conversion share a converter; a slice
    in which no cell has a level needs none.

    Args:
        array: as it is programmed.
        vectors: inputs, or patches, that go through.

    Returns:
        The counts.

    Raises:
        ParameterError: if the number of vectors is not an integer >= 0, or the converters have more bits than the cost
            models know.

    Source: ours
    """
    config, polarities = array.config, array.levels.shape[-3]
    if max(array.converter.bits) > MOST_BITS:
        raise ParameterError(
            f"the cost models know converters of up to {MOST_BITS} bits, these have {array.converter.bits}; "
            "give them fewer, with adc=Adc(bits=...)"
        )
    passes = 2 if config.signed_input == "two_pass" else 1
    used = array.levels.movedim(-4, 0).flatten(1).any(1).tolist()
    counted = counts(
        array.codes.shape[1],
        len(array.codes),
        tuple(bits if one else 0 for bits, one in zip(array.converter.bits, used, strict=True)),
        vectors=vectors * passes,
        digits=config.input_digits,
        polarities=polarities,
        rows=config.rows,
        columns=config.columns,
        accumulate=config.adc.placement == "accumulated",
    )
    counted = replace(counted, macs=counted.macs // passes)
    if config.adc.subtraction == "digital":
        return counted
    halved = {name: tuple(n // 2 for n in getattr(counted, name)) for name in ("conversions", "converters")}
    return replace(
        counted,
        conversions=halved["conversions"],
        converters=halved["converters"],
        shift_adds=sum(halved["conversions"]),
    )


class _Tally:
    """What is counted while inputs go through a layer."""

    def __init__(self, layer: CrossbarLayer) -> None:
        self.layer, self.arrays = layer, [chip for chip in layer.chips if isinstance(chip, Crossbar)]
        slices = len(self.arrays[0].largest)
        self.above, self.sums = torch.zeros(slices, dtype=torch.int64), 0
        self.greatest = torch.zeros(slices, dtype=torch.float64)
        self.vectors, self.inputs, self.before = 0, 0, int(layer.clipped)
        self.generator = torch.Generator().manual_seed(0)

    def read(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """Look at the sums that these inputs cause."""
        self.inputs += arguments[0].numel()
        for i, (array, codes) in enumerate(zip(self.arrays, self.layer.input_codes(arguments[0]), strict=True)):
            vectors = codes.reshape(-1, codes.shape[-1]).to(torch.int64)
            self.vectors += len(vectors) if i == 0 else 0
            converter = array.converter
            most = torch.tensor([c + s / 2 for c, s in zip(converter.ceiling, converter.step, strict=True)])
            for part, _factor in array.passes(vectors):
                for reading in read_tiles(array.programmed, part, generator=self.generator):
                    sums = reading.sums.abs().movedim(-3, 0).flatten(1)  # (K, ...)
                    self.greatest = torch.maximum(self.greatest, sums.amax(1))
                    self.above += (sums > most.unsqueeze(1)).sum(1)
                    self.sums += sums.shape[1]

    def told(self, name: str, examples: int, cost: Cost) -> LayerReport:
        """Return what was counted, for one example."""
        if not self.vectors:
            raise ParameterError(f"layer {name!r} is never called by the model; convert it with skip=[{name!r}]")
        array, config = self.arrays[0], self.arrays[0].config
        per_example, signed = self.vectors // examples, config.adc.subtraction == "analog"
        counted = [layer_counts(one, per_example) for one in self.arrays]
        bills = [cost.bill(one) for one in counted]
        bill = replace(sum(bills[1:], bills[0]), latency=max(one.latency for one in bills))  # groups work side by side
        ranges = [static_range(one.levels, one.config) for one in self.arrays]
        static = [max(column) for column in zip(*ranges, strict=True)]
        return LayerReport(
            name=name,
            outputs=sum(len(one.codes) for one in self.arrays),
            inputs=array.codes.shape[1],
            vectors=self.vectors / examples,
            density=_density(self.arrays),
            load=tuple(most / largest_input(config) for most in static),
            static_bits=tuple(required_bits(most) + signed for most in static),
            seen_bits=tuple(required_bits(float(most)) + signed for most in self.greatest),
            adc_bits=array.converter.bits,
            saturated=tuple((self.above / self.sums).tolist()),
            clipped=(int(self.layer.clipped) - self.before) / self.inputs,
            conversions=tuple(map(sum, zip(*(one.conversions for one in counted), strict=True))),
            bill=bill,
        )


def _density(arrays: list[Crossbar]) -> tuple[float, ...]:
    """Share of non-zero digits of each slice, of the weights that were meant."""
    shares = []
    for array in arrays:
        config = array.config
        digits = encode(array.codes, config.encoding, bits=config.weight_bits, cell_bits=config.cell_bits).digits
        shares.append(digits.any(1).flatten(1).to(torch.float64).mean(1))
    return tuple(torch.stack(shares).mean(0).tolist())
