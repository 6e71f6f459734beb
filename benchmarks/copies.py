"""Ways to evaluate many corrupted copies of a network: what people write, and what this package does."""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils.data import DataLoader, TensorDataset

from weightlore.data import Split
from weightlore.parameters import flatten, layout
from weightlore.stacked import evaluate_thetas


def deep_copies(model: nn.Module, offsets: Tensor, data: Split, group: str | None) -> Callable[[], Tensor]:
    """Copy the network, add the corruption, evaluate all examples at once."""
    where = layout(model, group)

    def run() -> Tensor:
        losses = []
        with torch.no_grad():
            for offset in offsets:
                twin = copy.deepcopy(model)
                for name, part in where.split(offset).items():
                    twin.get_parameter(name).add_(part)
                outputs = twin(data.x)
                losses.append(F.cross_entropy(outputs, data.y))
                (outputs.argmax(1) == data.y).double().mean()
        return torch.stack(losses)

    return run


def data_loader(model: nn.Module, offsets: Tensor, data: Split, group: str | None) -> Callable[[], Tensor]:
    """Copy the network, add the corruption, evaluate in batches of 100 from a data loader."""
    where, loader = layout(model, group), DataLoader(TensorDataset(data.x, data.y), batch_size=100)

    def run() -> Tensor:
        losses = []
        with torch.no_grad():
            for offset in offsets:
                twin, loss, right = copy.deepcopy(model), 0.0, 0
                for name, part in where.split(offset).items():
                    twin.get_parameter(name).add_(part)
                for x, y in loader:
                    outputs = twin(x)
                    loss += F.cross_entropy(outputs, y, reduction="sum").item()
                    right += (outputs.argmax(1) == y).sum().item()
                losses.append(loss / len(data))
        return torch.tensor(losses)

    return run


def in_place(model: nn.Module, offsets: Tensor, data: Split, group: str | None, rows: int) -> Callable[[], Tensor]:
    """Add the corruption to one network in place, evaluate, take it away: leaves rounding residue."""
    where, twin = layout(model, group), copy.deepcopy(model)

    def run() -> Tensor:
        losses = []
        with torch.no_grad():
            for offset in offsets:
                for name, part in where.split(offset).items():
                    twin.get_parameter(name).add_(part)
                loss = torch.zeros((), dtype=offsets.dtype)
                for x, y in zip(data.x.split(rows), data.y.split(rows), strict=True):
                    outputs = twin(x)
                    loss += F.cross_entropy(outputs, y, reduction="sum")
                    (outputs.argmax(1) == y).sum()
                losses.append(loss / len(data))
                for name, part in where.split(offset).items():
                    twin.get_parameter(name).sub_(part)
        return torch.stack(losses)

    return run


def vectorized(
    model: nn.Module, offsets: Tensor, data: Split, group: str | None, rows: int, copies: int
) -> Callable[[], Tensor]:
    """Let ``torch.func.vmap`` run the network over blocks of copies."""
    where, theta = layout(model, group), flatten(model, group)

    def outputs(x: Tensor, thetas: Tensor) -> Tensor:
        return vmap(lambda parameters: functional_call(model, parameters, (x,)))(where.split(thetas))

    def run() -> Tensor:
        losses = []
        with torch.no_grad():
            for block in offsets.split(copies):
                loss = torch.zeros(len(block), dtype=offsets.dtype)
                for x, y in zip(data.x.split(rows), data.y.split(rows), strict=True):
                    found = outputs(x, theta + block)
                    each = F.cross_entropy(found.flatten(0, 1), y.repeat(len(block)), reduction="none")
                    loss += each.view(len(block), -1).sum(1)
                    (found.argmax(-1) == y).sum(1)
                losses.append(loss / len(data))
        return torch.cat(losses)

    return run


def stacked(model: nn.Module, offsets: Tensor, data: Split, group: str | None) -> Callable[[], Tensor]:
    """Evaluate with this package, recording the network included."""
    return lambda: evaluate_thetas(model, flatten(model, group) + offsets, data, group=group).loss
