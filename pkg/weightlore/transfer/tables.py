"""What the gates of a trained transfer network do, as numbers.

    gate_table(net, data)        mean gates by layer, channel and class
    gate_statistics(net, x)      mean, spread and extremes by layer
    GateRecord(net, x)           the same after each epoch of a training, as a callback

Gates tell how useful two streams at hand are relative to each other, and no absolute transferability: a copy and a
fresh target beside one source have very different gates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Epoch, in_mode
from weightlore.training.evaluation import require_classes, require_fitting
from weightlore.transfer.steps import Heard, listening

__all__ = ["GateRecord", "GateStatistics", "GateTable", "gate_statistics", "gate_table"]


@dataclass(frozen=True)
class GateTable:
    """Mean gates of each unit, by channel and class.

    Args:
        units: names of the units, lowest layer first.
        update: z of each unit, shape (channels, C), in [0, 1]; NaN for a class without examples.
        reuse: r likewise.
        count: examples of each class, shape (C,).

    Source: ours
    """

    units: tuple[str, ...]
    update: tuple[Tensor, ...]
    reuse: tuple[Tensor, ...]
    count: Tensor

    def rows(self) -> list[tuple[str, int, int, float, float]]:
        """Return the table in long form: unit, channel, class, z, r."""
        found = []
        for name, z, r in zip(self.units, self.update, self.reuse, strict=True):
            for channel in range(len(z)):
                for label in range(z.shape[1]):
                    found.append((name, channel, label, float(z[channel, label]), float(r[channel, label])))
        return found

    def by_unit(self) -> dict[str, tuple[float, float]]:
        """Return mean z and mean r of each unit over its channels, and over classes as often as they occur."""
        share = self.count.double() / self.count.sum()

        def mean(gate: Tensor) -> float:
            return float((gate.double().nan_to_num() * share).sum(1).mean())

        return {name: (mean(z), mean(r)) for name, z, r in zip(self.units, self.update, self.reuse, strict=True)}


@dataclass(frozen=True)
class GateStatistics:
    """How one gate of one unit is distributed over examples, channels and places.

    Args:
        unit: its name in the network.
        gate: ``"update"`` or ``"reuse"``.
        mean: in [0, 1].
        spread: standard deviation.
        lowest: least value.
        highest: greatest value.
        shut: share of values below 0.1.
        open: share of values above 0.9.

    Source: ours
    """

    unit: str
    gate: str
    mean: float
    spread: float
    lowest: float
    highest: float
    shut: float
    open: float


class GateRecord:
    """A callback for ``training.fit`` that keeps the statistics of the gates, before training and after each epoch.

    Args:
        net: with transfer units.
        x: inputs on which the gates are looked at; none of them is trained on by this.

    Raises:
        ParameterError: as ``gate_statistics``.

    Source: ours
    """

    def __init__(self, net: nn.Module, x: Tensor) -> None:
        self.net, self.x = net, x
        self.epochs: list[tuple[GateStatistics, ...]] = [gate_statistics(net, x)]

    def __call__(self, epoch: Epoch) -> None:
        """Keep the statistics after an epoch."""
        self.epochs.append(gate_statistics(self.net, self.x))

    def means(self, unit: str, gate: str = "update") -> list[float]:
        """Return the mean of one gate of one unit, before training and after each epoch."""
        return [one.mean for epoch in self.epochs for one in epoch if (one.unit, one.gate) == (unit, gate)]


def gate_table(net: nn.Module, data: Split, *, batch_size: int = 256) -> GateTable:
    """Return the mean gates of each unit by channel and class, in eval mode.

        table[l][k, c] = mean of z_l over the examples of class c and the places of channel k

    Args:
        net: with transfer units; left as it is.
        data: N examples with class numbers.
        batch_size: examples per forward pass.

    Returns:
        One entry per unit.

    Raises:
        ParameterError: if the network has no unit, or the data do not fit.

    Source: ours, because which gates the paper shows is not known
    """
    require_fitting(net, data)
    require_classes(data)
    _require_units(net)
    classes = int(data.y.max()) + 1
    count = torch.bincount(data.y, minlength=classes)
    sums: dict[str, list[Tensor]] = {}
    for x, y in zip(data.x.split(batch_size), data.y.split(batch_size), strict=True):
        for name, gates in _heard(net, x).items():
            picked = nn.functional.one_hot(y, classes).to(gates[0].dtype)
            added = [gate.flatten(2).mean(2).T @ picked if gate.ndim > 2 else gate.T @ picked for gate in gates]
            sums[name] = [a + b for a, b in zip(sums.get(name, [torch.zeros(()), torch.zeros(())]), added, strict=True)]
    means = {name: [total / count for total in totals] for name, totals in sums.items()}
    units = tuple(means)
    return GateTable(units, tuple(means[n][0] for n in units), tuple(means[n][1] for n in units), count)


def gate_statistics(net: nn.Module, x: Tensor) -> tuple[GateStatistics, ...]:
    """Return how each gate is distributed over examples, channels and places, in eval mode.

    Args:
        net: with transfer units; left as it is.
        x: inputs, shape (N, ...), N >= 1, in one forward pass.

    Returns:
        Update and reuse gate of each unit, lowest layer first.

    Raises:
        ParameterError: if the network has no unit, or x does not fit.

    Source: ours
    """
    require_fitting(net, Split(x, x.new_zeros(len(x), dtype=torch.int64)), "x")
    _require_units(net)
    found = []
    for name, gates in _heard(net, x).items():
        for gate, values in zip(("update", "reuse"), gates, strict=True):
            spread = float(values.std(correction=0))
            ends = float(values.min()), float(values.max())
            shares = float((values < 0.1).double().mean()), float((values > 0.9).double().mean())
            found.append(GateStatistics(name, gate, float(values.mean()), spread, *ends, *shares))
    return tuple(found)


def _heard(net: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return z and r of every unit that the network calls, each of the shape of an activation."""
    with in_mode(net, training=False), torch.no_grad(), listening(net) as heard:
        net(x)
    return {name: _joined(heard, name) for name in heard if heard[name]}


def _joined(heard: Heard, name: str) -> tuple[Tensor, Tensor]:
    """Return the gates of a unit; one that is called more than once (at several steps) adds a last dimension."""
    calls = heard[name]
    if len(calls) == 1:
        return calls[0]
    return torch.stack([z for z, _ in calls], dim=-1), torch.stack([r for _, r in calls], dim=-1)


def _require_units(net: nn.Module) -> None:
    with listening(net) as heard:
        if not heard:
            raise ParameterError(
                f"a {type(net).__name__} has no transfer units, whose gates could be looked at; use a PTUNet"
            )
