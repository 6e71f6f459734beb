"""The best temperature: this package, the usual L-BFGS, one with a line search, and netcal.

*The usual* is the recipe that most scripts have, L-BFGS on T through autograd, with enough iterations to arrive; with
its customary fifty and a small step it stops on the way. *With a line search* is the same as it should be called.
*Golden section* only looks at the loss. *One softmax* is that of all rows, and nothing else. All stop where the
temperature is known to a part in a thousand or better. netcal is given probabilities in float64: it takes slopes by
differences of 1e-8, which float32 does not see, and then stays at T = 1.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from math import exp, log

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from benchmarks.race import Race
from weightlore.uncertainty.calibration import find_temperature

Found = Callable[[], Tensor]


def races() -> list[Race]:
    if find_spec("netcal") is None:
        print("  netcal left out: not installed", flush=True)
    return [
        _race("large", 50_000, torch.float32, {"the usual L-BFGS": 20, "netcal": 1.3}),
        _race("small", 2_000, torch.float32, {}),
        _race("large, float64", 50_000, torch.float64, {}),
    ]


def _race(name: str, size: int, dtype: torch.dtype, targets: dict[str, float]) -> Race:
    z, y = _logits(size, dtype)
    contestants: dict[str, Found] = {
        "find_temperature": lambda: torch.tensor(find_temperature(z, y).value),
        "the usual L-BFGS": partial(_lbfgs, z, y, lr=0.1, iterations=200),
        "with a line search": partial(_lbfgs, z, y, lr=1.0, iterations=50, search="strong_wolfe"),
        "golden section": partial(_golden_section, z, y),
    }
    if find_spec("netcal"):
        contestants["netcal"] = _netcal(z, y)
    right = _golden_section(z, y)
    contestants["one softmax"] = partial(_after, lambda: torch.softmax(z, 1), right)
    kind = str(dtype).removeprefix("torch.")
    return Race(
        name=name,
        what=f"{size:,} rows of 10 logits, {kind}" + (f"; netcal {version('netcal')}" if find_spec("netcal") else ""),
        contestants=contestants,
        candidate="find_temperature",
        reference="golden section",
        tolerance=1e-3,
        targets={peer: least for peer, least in targets.items() if peer in contestants},
    )


def _logits(size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits that are too large for the classes drawn from them."""
    generator = torch.Generator().manual_seed(0)
    z = 2 * torch.randn(size, 10, generator=generator, dtype=torch.float64)
    y = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    return (1.7 * z).to(dtype), y


def _lbfgs(z: Tensor, y: Tensor, lr: float, iterations: int, search: str | None = None) -> Tensor:
    temperature = torch.ones(1, dtype=z.dtype, requires_grad=True)
    tuner = torch.optim.LBFGS([temperature], lr=lr, max_iter=iterations, line_search_fn=search)

    def closure() -> Tensor:
        tuner.zero_grad()
        loss = cross_entropy(z / temperature, y)
        loss.backward()
        return loss

    tuner.step(closure)
    return temperature.detach()


def _golden_section(z: Tensor, y: Tensor) -> Tensor:
    """The minimum over ln T between ln 0.05 and ln 20, to a part in ten thousand."""
    ratio, low, high = (5**0.5 - 1) / 2, log(0.05), log(20)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    losses = [float(cross_entropy(z / exp(one), y)) for one in (left, right)]
    while high - low > 1e-4:
        if losses[0] <= losses[1]:
            high, right, losses[1] = right, left, losses[0]
            left = high - ratio * (high - low)
            losses[0] = float(cross_entropy(z / exp(left), y))
        else:
            low, left, losses[0] = left, right, losses[1]
            right = low + ratio * (high - low)
            losses[1] = float(cross_entropy(z / exp(right), y))
    return torch.tensor(exp((low + high) / 2))


def _netcal(z: Tensor, y: Tensor) -> Found:
    from netcal.scaling import TemperatureScaling

    p, classes = z.double().softmax(1).numpy(), y.numpy()

    def run() -> Tensor:
        fitted = TemperatureScaling()
        fitted.fit(p, classes)
        return 1 / torch.as_tensor(fitted.temperature).ravel()[:1]

    return run


def _after(work: Callable[[], object], right: Tensor) -> Tensor:
    """Do the work and hand over what is right: a bound, not a contestant."""
    work()
    return right
