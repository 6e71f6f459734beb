"""A training run on disk, so that an interrupted one goes on as if nothing had happened.

A checkpoint holds all that the next epoch depends on: parameters and buffers, the optimizer's memory, the generator's
state and the history, besides the best parameters so far where early stopping watches. It is written to a neighboring
file first and then moved into place, so that an interruption while writing leaves the last whole one.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.errors import DataError, ParameterError

__all__ = ["Progress", "restore", "save"]

FORMAT = 1


@dataclass
class Progress:
    """What a run has seen so far; the epochs add to it.

    Args:
        train_loss: mean loss of each finished epoch.
        validation_loss: the same on the validation data, if there are any.
        validation_accuracy: likewise.
        best: the state of the model at the lowest validation loss, where early stopping watches.

    Source: ours
    """

    train_loss: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]
    best: dict[str, Tensor] | None = None

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """Number, from 0, of the epoch with the lowest validation loss, the first of equals."""
        return min(range(self.epochs), key=self.validation_loss.__getitem__)


def save(
    path: Path,
    settings: dict[str, Any],
    seen: Progress,
    model: nn.Module,
    optimizer: Optimizer,
    generator: torch.Generator,
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: the file; its folder is made when it does not exist.
        settings: what a run must share with this one to be its continuation.
        seen: the finished epochs.
        model: its parameters and buffers are written.
        optimizer: its memory is written.
        generator: its state is written.

    Source: ours
    """
    content = {
        "format": FORMAT,
        "settings": settings,
        "seen": asdict(seen),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def restore(
    path: Path, settings: dict[str, Any], model: nn.Module, optimizer: Optimizer, generator: torch.Generator
) -> Progress:
    """Bring model, optimizer and generator into the state of a checkpoint and return what the run had seen.

    Args:
        path: the file.
        settings: as given to ``save``; they must be equal.
        model: of the same architecture.
        optimizer: of the same kind, over the model's parameters.
        generator: on the same device.

    Raises:
        DataError: if the file cannot be read as a checkpoint.
        ParameterError: if it belongs to a run with other settings.

    Source: ours
    """
    content = _read(path, next(model.parameters()).device)
    different = [name for name, value in settings.items() if content["settings"].get(name) != value]
    if different:
        told = ", ".join(f"{name} {content['settings'].get(name)!r} -> {settings[name]!r}" for name in different)
        raise ParameterError(
            f"the checkpoint {path} belongs to another run ({told}); give the settings of that run, "
            "or another path, or delete the file to start afresh"
        )
    try:
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        generator.set_state(content["generator"].cpu())
        return Progress(**content["seen"])
    except Exception as error:
        raise _unreadable(path, error) from error


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        known = content["format"] == FORMAT and {"settings", "seen", "model", "optimizer", "generator"} <= set(content)
    except Exception as error:  # torch raises a dozen kinds for a broken file
        raise _unreadable(path, error) from error
    if not known:
        raise DataError(f"the checkpoint {path} is not of format {FORMAT}; delete it to start afresh")
    return content


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = (str(error).splitlines() or ["no reason given"])[0]
    return DataError(
        f"the checkpoint {path} cannot be read ({type(error).__name__}: {reason}); "
        "delete it to start afresh, or restore it from a copy"
    )
