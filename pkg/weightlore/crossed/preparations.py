"""The preparations by name, and which fate each of them is.

FATES                   the six, in the order of the chapters
PREPARATIONS            name -> Preparation: the healthy network, and seven that had a fate, two of them the first
prepare(name, ...)      the network
preparation_of(name)    what is known of it
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from weightlore.crossed.fates import (
    EPOCHS,
    binarized,
    ensembled,
    left_alone,
    narrowed,
    resistant,
    sliced,
    struck,
    transferred,
)
from weightlore.errors import ParameterError, require_option

__all__ = ["FATES", "PREPARATIONS", "Make", "Preparation", "preparation_of", "prepare"]

FATES = ("corrupted", "transferred", "uncertain", "explained", "sliced", "binarized")


class Make(Protocol):
    """Makes a network that had a fate, such as ``left_alone``.

    Source: ours
    """

    def __call__(self, *, generator: torch.Generator, epochs: int = EPOCHS) -> nn.Module:
        """Return the network."""
        ...


@dataclass(frozen=True)
class Preparation:
    """What happens to a network before it is asked.

    Args:
        name: unique among the preparations.
        fate: which of the six it is; ``"healthy"`` for none.
        words: what happened to it, as they follow "a network".
        make: makes the network.

    Source: ours
    """

    name: str
    fate: str
    words: str
    make: Make


PREPARATIONS: dict[str, Preparation] = {
    one.name: one
    for one in (
        Preparation("healthy", "healthy", "trained on digits and left alone", left_alone),
        Preparation("struck", "corrupted", "moved by 2 % of its length along its own gradient", struck),
        Preparation("resistant", "corrupted", "trained against corruptions of size 0.8", resistant),
        Preparation("transferred", "transferred", "trained on stripes, then tuned to digits", transferred),
        Preparation("ensembled", "uncertain", "pooled with four others by their mean probability", ensembled),
        Preparation("narrowed", "explained", "trained on the 20 pixels that an explanation named", narrowed),
        Preparation("sliced", "sliced", "trained in fixed point with the slice penalty, in three phases", sliced),
        Preparation("binarized", "binarized", "trained with weights of one bit in all layers", binarized),
    )
}


def prepare(name: str, *, generator: torch.Generator, epochs: int = EPOCHS) -> nn.Module:
    """Return a network that had a fate.

    Args:
        name: of the preparation, a key of ``PREPARATIONS``.
        generator: draws all that is drawn. Generators of one state give networks of one origin: the same initial
            weights and order of examples, whatever the preparation.
        epochs: how long the healthy network is trained, and the others in proportion; at least 3.

    Raises:
        ParameterError: if there is no such preparation, or epochs is below 3.

    Source: ours
    """
    made = preparation_of(name)
    if epochs < 3:
        raise ParameterError(f"epochs must be at least 3, for three phases of training, got {epochs}")
    return made.make(generator=generator, epochs=epochs)


def preparation_of(name: str) -> Preparation:
    """Return a preparation by its name.

    Args:
        name: a key of ``PREPARATIONS``.

    Raises:
        ParameterError: if there is no such preparation; the message lists them.

    Source: ours
    """
    require_option("a preparation", name, PREPARATIONS)
    return PREPARATIONS[name]
