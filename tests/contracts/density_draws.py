"""Calls of what draws at random in distance-aware heads; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.uncertainty import deterministic

DATA = Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)
PART = "uncertainty.deterministic"


def given() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def network() -> nn.Module:
    return mlp((1, 3, 2), generator=given())


def radial(generator: torch.Generator) -> deterministic.DUQ:
    return deterministic.duq(network(), classes=2, size=2, generator=generator)


def process(generator: torch.Generator) -> deterministic.SNGP:
    return deterministic.sngp(
        network(), DATA.x[:1], outputs=2, bound=0.9, length_scale=1.0, count=5, generator=generator
    )


def fitted_radial(generator):
    model = radial(given())
    deterministic.fit_duq(model, DATA, generator=generator, epochs=1, batch_size=5)
    return model(DATA.x).detach()


def fitted_process(generator):
    model = process(given())
    deterministic.fit_sngp(model, DATA, generator=generator, epochs=1, batch_size=5)
    return model.score(DATA.x)


def first_direction(layer: nn.Module) -> Tensor:
    return layer.get_buffer("parametrizations.weight.0.v").clone()


def plain(layer: nn.Module) -> nn.Module:
    """The layer with whole numbers for weights, so that nothing of it is drawn."""
    for parameter in layer.parameters():
        parameter.data = torch.arange(parameter.numel(), dtype=torch.float64).square().reshape(parameter.shape).sin()
    return layer


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    f"{PART}.duq": lambda g: radial(g)(DATA.x).detach(),
    f"{PART}.fit_duq": fitted_radial,
    f"{PART}.fit_sngp": fitted_process,
    f"{PART}.posterior_network": lambda g: deterministic.posterior_network(network(), DATA.y, classes=2, generator=g)(
        DATA.x
    ).detach(),
    f"{PART}.sngp": lambda g: process(g)(DATA.x).detach(),
    f"{PART}.spectral_norm_conv2d": lambda g: first_direction(
        deterministic.spectral_norm_conv2d(
            plain(nn.utils.skip_init(nn.Conv2d, 1, 2, 3)), 0.5, image=(9, 9), generator=g
        )
    ),
    f"{PART}.spectral_norm_linear": lambda g: first_direction(
        deterministic.spectral_norm_linear(plain(nn.utils.skip_init(nn.Linear, 6, 5)), 0.5, generator=g)
    ),
    f"{PART}.with_bounds": lambda g: first_direction(
        deterministic.with_bounds(
            mlp((6, 5, 4, 2), generator=given()), torch.zeros(1, 6).double(), bound=0.5, generator=g
        ).get_submodule("layers.1")
    ),
}
UNDRAWN: set[str] = set()
