"""One training on several devices: each process takes its share of every batch, and all take the same step.

    Processes()        this process alone
    together(devices)  this process among several, started by Lightning Fabric (extra "scale")

Processes hold the same parameters. Each computes the gradient of its share, they are averaged before the optimizer
moves, and so the parameters stay the same everywhere.
"""

import importlib
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.errors import MissingExtra, ParameterError
from weightlore.training import MakeOptimizer

__all__ = ["Processes", "together"]

Value = TypeVar("Value")


class Processes:
    """This process among those that train together; alone, every exchange gives back what came.

    Args:
        fabric: a launched ``lightning.fabric.Fabric``; ``None`` for one process alone.
        device: where the one alone computes; with Fabric its device counts.

    Source: ours
    """

    def __init__(self, fabric: Any | None = None, *, device: torch.device | str = "cpu") -> None:
        self.fabric = fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.count: int = 1 if fabric is None else fabric.world_size
        self.device = torch.device(device) if fabric is None else fabric.device

    @property
    def share(self) -> slice:
        """Which entries of a batch are this process's."""
        return slice(self.rank, None, self.count)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean over all processes."""
        return value if self.fabric is None else self.fabric.all_reduce(value, reduce_op="mean")

    def total(self, number: int) -> int:
        """Return the sum over all processes."""
        return round(float(self.mean(torch.tensor(float(number), device=self.device))) * self.count)

    def agreed(self, value: Value) -> Value:
        """Return what the first process has."""
        return value if self.fabric is None else self.fabric.broadcast(value)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.fabric is not None:
            self.fabric.barrier()

    def precision(self) -> AbstractContextManager[Any]:
        """Return the block in which forward passes have the precision that Fabric was asked for."""
        return nullcontext() if self.fabric is None else self.fabric.autocast()

    def averaging(self, optimizer: MakeOptimizer) -> MakeOptimizer:
        """Return a maker of the same optimizer that averages gradients over the processes before each step."""

        def make(parameters: Iterable[nn.Parameter]) -> Optimizer:
            known = list(parameters)
            made = optimizer(known)
            if self.count > 1:
                made.register_step_pre_hook(lambda *_: self._average(known))
            return made

        return make

    def _average(self, parameters: list[nn.Parameter]) -> None:
        """Average all gradients in one exchange; where one is missing it counts as zero."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        joined = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for p, part in zip(parameters, joined.split([p.numel() for p in parameters]), strict=True):
            p.grad = part.view_as(p).clone()


def together(
    devices: int, *, accelerator: str = "auto", strategy: str = "ddp", precision: str | None = None
) -> Processes:
    """Start so many processes and return this one's place among them.

    With the default strategy the script that calls this runs once in each process, from its first line.

    Args:
        devices: how many, >= 1.
        accelerator: ``"cpu"``, ``"cuda"`` or what else Fabric knows.
        strategy: how Fabric starts processes.
        precision: of forward passes, as Fabric calls it, for example ``"bf16-mixed"``; ``None`` for that of the model.

    Returns:
        What ``train_recipe`` takes.

    Raises:
        ParameterError: if ``devices`` is below 1.
        MissingExtra: if Lightning is not installed.

    Example:
        >>> processes = together(8, accelerator="cuda")  # doctest: +SKIP

    Source: ours
    """
    if devices < 1:
        raise ParameterError(f"devices counts processes and must be >= 1, got {devices}")
    try:
        fabric = importlib.import_module("lightning.fabric").Fabric
    except ImportError as error:
        raise MissingExtra("lightning", "scale") from error
    launched = fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
    launched.launch()
    return Processes(launched)
