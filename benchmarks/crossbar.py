"""Bit slices on a crossbar, each sum through its own 3-bit converter: against CrossSim and against the bare products.

The work is the same for our engines and for CrossSim: 8-bit inputs bit by bit, 8-bit weights with a sign as 2-bit cells
on two arrays, tiles of up to 128 rows, ``round(min(sum, 77) / 11) * 11`` on every bit line. The bound
is what the sums cost as one plain float32 product, with nothing converted. CrossSim is raced where the environment
variable ``CROSSSIM`` names the folder of its source, and left out by name elsewhere.
"""

import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import crossbar_crosssim
from benchmarks.race import Race
from weightlore.crossbar import Adc, Crossbar, CrossbarConfig
from weightlore.crossbar.compiled import available

ROWS, TOP, STEP = 128, 7, 11
Layers = list[tuple[Tensor, Tensor]]


def races() -> list[Race]:
    if not os.environ.get("CROSSSIM"):
        print("  CrossSim is left out: set CROSSSIM to the folder of its source", flush=True)
    mlp, conv = _mlp(), _conv()
    found = [_race("mlp", mlp, 3.8, "torch"), _race("conv", conv, 5.0, "torch")]
    if available():
        found += [_race("mlp, compiled", mlp, 7.0, "numba"), _race("conv, compiled", conv, 7.0, "numba")]
    found += [_exact("nothing saturates, mlp", mlp), _exact("nothing saturates, conv", conv)]
    return [*found, *(_sparse(engine) for engine in ("torch", "numba") if engine == "torch" or available())]


def _weights(generator: torch.Generator, outputs: int, inputs: int) -> Tensor:
    values = torch.randn(outputs, inputs, generator=generator)
    return (values / values.abs().max() * 255).round().to(torch.int16)


def _inputs(generator: torch.Generator, rows: int, inputs: int) -> Tensor:
    values = torch.randn(rows, inputs, generator=generator).clamp(min=0)
    return (values / values.max() * 255).round().to(torch.uint8)


def _mlp() -> Layers:
    g = torch.Generator().manual_seed(0)
    weights = [_weights(g, *shape) for shape in ((512, 784), (512, 512), (10, 512))]
    return [(w, _inputs(g, 256, w.shape[1])) for w in weights]


def _conv() -> Layers:
    g = torch.Generator().manual_seed(0)
    weights = _weights(g, 64, 576)
    images = _inputs(g, 32, 64 * 16 * 16).view(32, 64, 16, 16)
    patches = F.unfold(images.float(), 3, padding=1).transpose(1, 2)
    return [(weights, patches.reshape(-1, 576).to(torch.uint8).contiguous())]


def tile_rows(inputs: int) -> int:
    """Equal tiles where the inputs divide evenly, else full ones."""
    tiles = -(-inputs // ROWS)
    return inputs // tiles if inputs % tiles == 0 else ROWS


def _ours(layers: Layers, engine: str, adc: Adc) -> Callable[[], list[Tensor]]:
    arrays = [Crossbar.program(w, CrossbarConfig(rows=tile_rows(w.shape[1]), adc=adc)) for w, _ in layers]
    return lambda: [array(x, engine=engine) for array, (_, x) in zip(arrays, layers, strict=True)]


def _bound(layers: Layers) -> Callable[[], list[Tensor]]:
    """All input bits, slices and arrays in one float32 product per layer, without a converter; at most 4096 rows."""
    work = []
    for w, x in layers:
        planes = torch.rand(8 * len(x) if len(x) <= 512 else len(x), w.shape[1]).round()
        work.append((planes, torch.rand(w.shape[1], 8 * len(w)), 1 if len(x) <= 512 else 8))
    outs = [torch.empty(len(planes), lines.shape[1]) for planes, lines, _ in work]

    def run() -> list[Tensor]:
        for (planes, lines, times), out in zip(work, outs, strict=True):
            for _ in range(times):
                torch.mm(planes, lines, out=out)
        return outs

    return run


def _race(name: str, layers: Layers, target: float, engine: str) -> Race:
    adc = Adc(bits=3, step="full_scale", range="user", full_scale=float(TOP * STEP))
    right = torch.cat([y.flatten() for y in _ours(layers, "reference", adc)()])
    bare = "plane products"
    contestants: dict[str, Callable[[], list[Tensor]]] = {engine: _ours(layers, engine, adc), bare: _bound(layers)}
    targets = {bare: 0.952 if engine == "torch" else 1.667}
    if folder := os.environ.get("CROSSSIM"):
        contestants["CrossSim"] = crossbar_crosssim.product(folder, layers, [tile_rows(w.shape[1]) for w, _ in layers])
        targets["CrossSim"] = target

    def compared(found: list[Tensor]) -> Tensor:
        # The bare products have no result to compare: other sizes, nothing converted.
        flat = torch.cat([y.flatten() for y in found])
        return flat.double() if flat.shape == right.shape else right

    return Race(
        name=name,
        what=f"{name.split(',')[0]}, engine {engine}: every sum converted, equal to the long way bit for bit"
        " (the bare products convert nothing; CrossSim 3.2.0 where it is named)",
        contestants=contestants,
        candidate=engine,
        reference=engine,
        tolerance=1e-9,
        compared=compared,
        targets=targets,
    )


def _exact(name: str, layers: Layers) -> Race:
    dense = [(w.float().T.contiguous(), x.float()) for w, x in layers]
    doubles = [(w.double().T.contiguous(), x) for w, x in layers]
    return Race(
        name=name,
        what="converters that lose nothing: from 8-bit codes to whole numbers, against the float32 product of prepared"
        " floats and the float64 product of the codes",
        contestants={
            "auto": _ours(layers, "auto", Adc()),
            "float32 product": lambda: [x @ w for w, x in dense],
            "float64 product of codes": lambda: [x.double() @ w for w, x in doubles],
        },
        candidate="auto",
        reference="float64 product of codes",
        tolerance=1e-6,
        compared=lambda found: torch.cat([y.flatten() for y in found]),
        targets={"float32 product": 0.5},
    )


def _sparse(engine: str) -> Race:
    """The same layer with ever fewer weights: 4-bit converters with steps of one level."""
    g = torch.Generator().manual_seed(1)
    w, x = torch.randint(-255, 256, (512, 784), generator=g), _inputs(g, 256, 784)
    chosen = torch.rand(w.shape, generator=g)
    layers = {d: [((w * (chosen < d)).to(torch.int16), x)] for d in (1.0, 0.3, 0.1, 0.05, 0.02, 0.01)}
    contestants = {f"density {d:g}": _ours(one, engine, Adc(bits=4)) for d, one in layers.items()}
    for d, run in contestants.items():
        long = _ours(layers[float(d.split()[1])], "reference", Adc(bits=4))
        assert torch.equal(run()[0], long()[0]), d
    return Race(
        name=f"sparse, {engine}",
        what="a layer 784-512, 256 inputs, 4-bit converters, with that share of its weights left",
        contestants=contestants,
        candidate="density 0.01",
        reference="density 0.01",
        tolerance=0.0,
        compared=lambda found: torch.ones(1),
        targets={"density 1": 2.0},
    )
