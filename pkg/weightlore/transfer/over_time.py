"""What the gates of a recurrent transfer network do in the course of a sequence.

    gates_over_time(net, x)      z and r of every unit, example, step and channel
    gate_times(net, data)        their means by step, channel and class

``gate_table`` gives means over the words of all sequences; here each step stands for itself. Steps count from the start
of a row, padding at the start included.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import in_mode
from weightlore.training.evaluation import require_classes, require_fitting
from weightlore.transfer.recurrent import PTURecurrent

__all__ = ["GateTimes", "GatesOverTime", "gate_times", "gates_over_time"]


@dataclass(frozen=True)
class GatesOverTime:
    """The gates of one forward pass.

    Args:
        units: their names in the network, lowest layer first, forwards before backwards.
        update: z of each unit, shape (N, T, H), in [0, 1].
        reuse: r likewise.
        words: which steps are words, shape (N, T), bool; elsewhere nothing is fused, and the gates mean nothing.

    Source: ours
    """

    units: tuple[str, ...]
    update: tuple[Tensor, ...]
    reuse: tuple[Tensor, ...]
    words: Tensor


@dataclass(frozen=True)
class GateTimes:
    """Mean gates of each unit, by step, channel and class.

    Args:
        units: their names in the network.
        update: mean z of each unit, shape (T, H, C), in [0, 1]; NaN where no example of the class has a word.
        reuse: mean r likewise.
        count: examples of each class that have a word at a step, shape (T, C).

    Source: ours
    """

    units: tuple[str, ...]
    update: tuple[Tensor, ...]
    reuse: tuple[Tensor, ...]
    count: Tensor

    def by_step(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return mean z and mean r of each unit at each step, over channels and examples, shape (T,) each."""
        share = self.count.double() / self.count.sum(1, keepdim=True)  # (T, C); NaN at a step without words

        def mean(gate: Tensor) -> Tensor:
            return (gate.double().mean(1).nan_to_num() * share).sum(1)

        return {name: (mean(z), mean(r)) for name, z, r in zip(self.units, self.update, self.reuse, strict=True)}


def gates_over_time(net: PTURecurrent, x: Tensor) -> GatesOverTime:
    """Return the gates of every unit at every step, in eval mode.

    Args:
        net: with recurrent units; left as it is.
        x: inputs, as the network reads them.

    Raises:
        ParameterError: if the network is no ``PTURecurrent``, or x does not fit.

    Source: ours, because gates that can move in time are what a recurrent unit adds
    """
    _require(net)
    require_fitting(net, Split(x, torch.zeros(len(x), dtype=torch.int64)), "x")
    with in_mode(net, training=False), torch.no_grad():
        words, walks = net.words(x), net.walks(x)
    found = {name: walks[name] for name in net.units}
    update = tuple(walk.gate("update") for walk in found.values())
    reuse = tuple(walk.gate("reuse") for walk in found.values())
    return GatesOverTime(tuple(f"units.{name}" for name in found), update, reuse, words)


def gate_times(net: PTURecurrent, data: Split, *, batch_size: int = 256) -> GateTimes:
    """Return the mean gates of each unit by step, channel and class, in eval mode.

        table[unit][t, k, c] = mean of z over the examples of class c that have a word at step t

    Args:
        net: with recurrent units; left as it is.
        data: N examples with class numbers.
        batch_size: examples per forward pass.

    Raises:
        ParameterError: if the network is no ``PTURecurrent``, or the data do not fit.

    Source: ours, because which gates the paper shows is not known
    """
    require_fitting(net, data)
    require_classes(data)
    classes = int(data.y.max()) + 1
    units = tuple(f"units.{name}" for name in _require(net).units)
    count, sums = torch.zeros(()), [torch.zeros(())] * (2 * len(units))
    for x, y in zip(data.x.split(batch_size), data.y.split(batch_size), strict=True):
        found, of_class = gates_over_time(net, x), nn.functional.one_hot(y, classes).double()
        mark = found.words.double()
        count = count + torch.einsum("nt,nc->tc", mark, of_class)
        every = [*found.update, *found.reuse]
        sums = [
            s + torch.einsum("nth,nt,nc->thc", g.double(), mark, of_class) for s, g in zip(sums, every, strict=True)
        ]
    means = [total / count[:, None, :] for total in sums]
    return GateTimes(units, tuple(means[: len(units)]), tuple(means[len(units) :]), count.long())


def _require(net: nn.Module) -> PTURecurrent:
    if not isinstance(net, PTURecurrent):
        raise ParameterError(
            f"gates over time are those of a PTURecurrent, got a {type(net).__name__}; a PTUNet has a gate_table"
        )
    return net
