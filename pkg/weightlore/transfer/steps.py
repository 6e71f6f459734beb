"""How transfer units are trained: the loss of a step, and the parameters in two groups.

    transfer_step(prior, joint)   loss = L_T + prior mean(z) + share L_S
    source_loss(read, data, ...)  L_S, on a batch of the source's own task
    gate_adam(model, lr)          AdamW; gates without weight decay, at a rate of their own
    gates_apart(parameters, ...)  these two groups, for any optimizer
    gate_names(model)             which parameters belong to gates
    listening(model)              the gates of every forward pass, while a block lasts

Weight decay would pull gates towards half open, which means nothing; a prior on mean(z) pulls towards the source.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import MakeOptimizer, Step, cross_entropy
from weightlore.transfer.discrete import drawing_from
from weightlore.transfer.network import PTUNet
from weightlore.transfer.recurrent import PTURecurrent
from weightlore.transfer.unit import PTU

__all__ = ["Heard", "gate_adam", "gate_names", "gates_apart", "listening", "source_loss", "transfer_step"]

Heard = dict[str, list[tuple[Tensor, Tensor]]]


def transfer_step(*, prior: float = 0.0, joint: Split | None = None, share: float = 1.0, batch_size: int = 64) -> Step:
    """Return the step that trains transfer units.

        loss = L_T + prior * mean over units of mean(z) + share * L_S

    Without options it is the cross-entropy. Random gates draw from the step's generator.

    Args:
        prior: lambda, >= 0, in units of the loss: how much leaving the source costs.
        joint: examples of the source task, for a network with ``joint=True``: each step sees a batch of the target
            and then one of the source.
        share: lambda_S, weight of the source's loss, >= 0.
        batch_size: examples of the source per step, drawn with repetition.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if a number is out of its range, or there are no source examples.

    Source: ours, because the paper's training is not known; jointly trained tasks are [misra2016crossstitch]
    """
    for name, value in (("prior", prior), ("share", share)):
        if not 0 <= value < float("inf"):
            raise ParameterError(f"{name} must be a finite number of at least 0, got {value}")
    if joint is not None and (len(joint) == 0 or batch_size < 1):
        raise ParameterError(
            f"joint training needs source examples and batch_size >= 1, got {len(joint)} and {batch_size}"
        )

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        with ExitStack() as stack:
            stack.enter_context(drawing_from(model, generator))
            heard = stack.enter_context(listening(model)) if prior else {}
            loss = cross_entropy(model, batch, generator)
            means = [z.mean() for said in heard.values() for z, _ in said]
            loss = loss + prior * torch.stack(means).mean() if means else loss
            return loss if joint is None else loss + share * _of_source(model, joint, batch_size, generator)

    return step


def gate_adam(
    model: nn.Module, lr: float = 3e-3, *, gate_factor: float = 1.0, weight_decay: float = 0.01
) -> MakeOptimizer:
    """Return a maker of AdamW that treats the gates of a model apart.

        gates        learning rate lr * gate_factor, no weight decay
        all others   learning rate lr, weight decay

    Args:
        model: with transfer units.
        lr: learning rate, > 0.
        gate_factor: of the gates' learning rate, > 0; saturated gates learn slowly, 3 to 10 helps.
        weight_decay: >= 0, of all but the gates.

    Returns:
        A function from parameters to their optimizer.

    Raises:
        ParameterError: if a number is out of its range.

    Source: [kingma2015adam], with decoupled weight decay; that gates go without decay is ours
    """
    for name, value, low in (("lr", lr, 0.0), ("gate_factor", gate_factor, 0.0)):
        if not low < value < float("inf"):
            raise ParameterError(f"{name} must be a finite number above 0, got {value}")
    if not 0 <= weight_decay < float("inf"):
        raise ParameterError(f"weight_decay must be a finite number of at least 0, got {weight_decay}")
    gates = {id(model.get_parameter(name)) for name in gate_names(model)}

    def made(parameters: Iterable[nn.Parameter]) -> Optimizer:
        return AdamW(gates_apart(list(parameters), gates, lr, gate_factor, weight_decay), fused=True)

    return made


def gates_apart(
    parameters: list[nn.Parameter], gates: set[int], lr: float, gate_factor: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return the groups of parameters that an optimizer treats apart: all but the gates, and the gates.

    Args:
        parameters: of both kinds.
        gates: ``id`` of those that belong to gates.
        lr: learning rate of the others.
        gate_factor: of the gates' learning rate.
        weight_decay: of the others; gates have none.

    Returns:
        One or two groups, none of them empty.

    Source: ours
    """
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if id(p) not in gates], "lr": lr, "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) in gates], "lr": lr * gate_factor, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def gate_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the parameters that belong to gates of transfer units.

    Args:
        model: any module.

    Source: ours
    """
    units = [name for name, module in model.named_modules() if isinstance(module, PTU)]
    starts = tuple(f"{name}.gates." if name else "gates." for name in units)
    return tuple(name for name, _ in model.named_parameters() if starts and name.startswith(starts))


@contextmanager
def listening(model: nn.Module) -> Iterator[Heard]:
    """Keep the gates of every forward pass, while the block lasts.

    Args:
        model: with transfer units.

    Yields:
        For each unit, by its name in the model, one (z, r) for each time it was called, in the shape of its
        activation and with their gradients.

    Source: ours
    """
    units = {name: module for name, module in model.named_modules() if isinstance(module, PTU)}
    before = {name: unit.heard for name, unit in units.items()}
    found: Heard = {name: [] for name in units}
    try:
        for name, unit in units.items():
            unit.heard = found[name]
        yield found
    finally:
        for name, unit in units.items():
            unit.heard = before[name]


def _of_source(model: nn.Module, data: Split, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return the loss of the source task on a batch of its own."""
    if not isinstance(model, PTUNet | PTURecurrent) or not model.joint:
        raise ParameterError(
            f"joint training needs a PTUNet or PTURecurrent with joint=True, got a {type(model).__name__} without"
        )
    return source_loss(model.forward_source, data, batch_size, generator)


def source_loss(read: Callable[[Tensor], Tensor], data: Split, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return the cross-entropy of a source on a batch of its own task.

    Args:
        read: logits of the source, (N, C), from inputs.
        data: of the source's task.
        batch_size: examples, drawn with repetition.
        generator: where the rows are drawn from.

    Returns:
        Shape ().

    Source: ours
    """
    rows = torch.randint(len(data), (batch_size,), generator=generator, device=generator.device)
    drawn = data[rows.to(data.x.device)]
    return nn.functional.cross_entropy(read(drawn.x), drawn.y)
