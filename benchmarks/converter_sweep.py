"""Four slices at eight resolutions, one layer at a time, against one simulated inference of the same images."""

import torch
from torch import Tensor

from benchmarks.race import Race
from weightlore.crossbar import Adc, CrossbarConfig, convert, sweep
from weightlore.data import Split
from weightlore.networks import mlp

IMAGES = 10_000


def races() -> list[Race]:
    generator = torch.Generator().manual_seed(0)
    model = mlp((784, 100, 10), generator=generator, dtype=torch.float32)
    drawn = torch.rand(IMAGES, 784, generator=generator) * (torch.rand(IMAGES, 784, generator=generator) < 0.5)
    images = Split(drawn, torch.randint(0, 10, (IMAGES,), generator=generator))
    hardware = convert(model, CrossbarConfig(adc=Adc(bits=3)), calibrate=drawn[:500], engine="torch")

    @torch.no_grad()
    def inference() -> Tensor:
        return torch.cat([hardware(part) for part in drawn.split(1000)])

    return [
        Race(
            name="784-100-10",
            what=f"{IMAGES:,} images, 784-100-10: 2 layers, 4 slices, 8 resolutions; the inference by 3 bits, torch",
            contestants={"sweep": lambda: sweep(hardware, images), "one inference": inference},
            candidate="sweep",
            reference="sweep",
            tolerance=1.0,  # the two compute different things; tests hold each entry of a sweep to a run of its own
            compared=lambda result: torch.zeros(1),
            targets={"one inference": 0.25},
        )
    ]
