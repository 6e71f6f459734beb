"""The training of an ensemble on disk, so that an interrupted one goes on as if nothing had happened.

    put_down(path, stack, tuner, ...)    the stacked parameters, the optimizer's memory and the generators' states
    take_up(path, stack, tuner, ...)     the same, into members that have just been made

The files are those of ``training.checkpoint``: written whole or not at all, and refused when they are another run's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.training.checkpoint import Progress, restore, save
from weightlore.uncertainty.ensembles.runners import Stack

__all__ = ["put_down", "take_up"]


def put_down(
    path: Path,
    stack: Stack,
    tuner: Optimizer,
    *,
    generators: Sequence[torch.Generator],
    settings: dict[str, Any],
    seen: Progress,
) -> None:
    """Write how far the training is.

    Args:
        path: the file; its folder is made when it does not exist.
        stack: of the members.
        tuner: optimizer over the stack.
        generators: one for each member.
        settings: what a run must share with this one to be its continuation.
        seen: the finished epochs.

    Source: ours
    """
    save(path, _told(settings, stack), seen, _Held(stack), tuner, _as_one(generators))


def take_up(
    path: Path, stack: Stack, tuner: Optimizer, *, generators: Sequence[torch.Generator], settings: dict[str, Any]
) -> Progress:
    """Bring everything into the state of the file and return the finished epochs; none if there is no file.

    Args:
        path: the file.
        stack: of members of the same architecture.
        tuner: of the same kind.
        generators: as many.
        settings: as given to ``put_down``.

    Raises:
        DataError: if the file cannot be read.
        ParameterError: if it belongs to another run.

    Source: ours
    """
    if not path.exists():
        return Progress([], [], [])
    return restore(path, _told(settings, stack), _Held(stack), tuner, _as_one(generators))


class _Held(nn.Module):
    """The stack as a module, whose names may have no dots."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        for name, parameter in stack.parameters.items():
            self.register_parameter(name.replace(".", "/"), parameter)
        for name, buffer in stack.buffers.items():
            self.register_buffer(name.replace(".", "/"), buffer)


class _Generators:
    """Several generators that hand out and take their states together."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self.generators = generators

    def get_state(self) -> Tensor:
        return torch.stack([generator.get_state() for generator in self.generators])

    def set_state(self, states: Tensor) -> None:
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state.clone())  # torch reads the bytes of a view from their storage's start


def _as_one(generators: Sequence[torch.Generator]) -> torch.Generator:
    return cast(torch.Generator, _Generators(generators))  # a checkpoint asks for its state only


def _told(settings: dict[str, Any], stack: Stack) -> dict[str, Any]:
    names = [f"{name} {tuple(p.shape)} {p.dtype}" for name, p in stack.parameters.items()]
    return {**settings, "members": len(stack.members), "parameters": names}
