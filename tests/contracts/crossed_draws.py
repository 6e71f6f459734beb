"""A call of every function of ``crossed`` that draws at random; ``test_randomness`` tries each."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore import crossed
from weightlore.networks import healthy

EPOCHS = 3
PREPARED = ("binarized", "ensembled", "left_alone", "narrowed", "resistant", "sliced", "struck", "transferred")
ASKED = ("adapted", "chipped", "shaken", "tells_apart")


def prepared(name: str) -> Callable[[torch.Generator], Tensor]:
    """Theta of a network that had a fate."""

    def run(generator: torch.Generator) -> Tensor:
        network = getattr(crossed, name)(generator=generator, epochs=EPOCHS)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    return run


def asked(name: str) -> Callable[[torch.Generator], Tensor]:
    """The answer of the healthy network."""
    return lambda generator: torch.tensor(getattr(crossed, name)(healthy(), generator=generator))


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    **{f"crossed.{name}": prepared(name) for name in PREPARED},
    **{f"crossed.{name}": asked(name) for name in ASKED},
    "crossed.prepare": lambda g: torch.cat(
        [p.detach().flatten() for p in crossed.prepare("healthy", generator=g, epochs=EPOCHS).parameters()]
    ),
    "crossed.ask": lambda g: torch.tensor(crossed.ask("shaken", healthy(), healthy(), generator=g)),
    "crossed.cross": lambda g: torch.tensor(crossed.cross("struck", "surprised", generator=g, epochs=EPOCHS).value),
}
