"""The source's activations of a whole data set, computed once.

A frozen source says the same about an example in every epoch. ``cached`` asks it once and lays what it said beside the
input, so that a step costs little more than one of the target alone. Only for data that are not augmented.

    fast, (train, validation) = cached(net, train, validation)
    fit(fast, train, validation=validation, ...)                  trains net, as fit(net, ...) to rounding
"""

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import in_mode
from weightlore.training.evaluation import require_fitting
from weightlore.transfer.network import PTUNet
from weightlore.transfer.recurrent import PTURecurrent

__all__ = ["CachedPTUNet", "cached"]


class CachedPTUNet(nn.Module):
    """A transfer network that reads packed rows: an input, and beside it what the source says of it.

    It shares all parameters with the network it was made from, so that training the one trains the other.

    Args:
        net: with a frozen source.
        example: at least one input of the target task, shape (N, ...).

    Raises:
        ParameterError: if the source is trained jointly, or the inputs are of another dtype than the network.

    Source: ours, because a frozen source need not be asked twice
    """

    def __init__(self, net: PTUNet | PTURecurrent, example: Tensor) -> None:
        super().__init__()
        if net.joint:
            raise ParameterError(
                "a trained source says something else after every step; only joint=False can be cached"
            )
        self.net = net
        with torch.no_grad():
            parts = [example[:1], *net.sources(example[:1])]
        self.shapes = [tuple(part.shape[1:]) for part in parts]
        self.sizes = [part[0].numel() for part in parts]

    def forward(self, packed: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C), of packed rows (N, width)."""
        if packed.ndim != 2 or packed.shape[1] != sum(self.sizes):
            raise ParameterError(
                f"packed rows have shape (N, {sum(self.sizes)}), got {tuple(packed.shape)}; use pack(data), or the "
                "network itself for plain inputs"
            )
        x, *sources = (
            part.unflatten(1, shape) if len(shape) > 1 else part
            for part, shape in zip(packed.split(self.sizes, dim=1), self.shapes, strict=True)
        )
        return self.net.fused(x, sources)

    def pack(self, data: Split, *, batch_size: int = 1000) -> Split:
        """Return the data with packed rows for inputs.

        Args:
            data: N examples of the target task.
            batch_size: examples per pass through the source.

        Returns:
            The same targets; inputs of shape (N, width).

        Raises:
            ParameterError: if the data do not fit the network.
        """
        require_fitting(self.net, data)
        rows = []
        with in_mode(self.net, training=False), torch.no_grad():
            for x in data.x.split(batch_size):
                rows.append(torch.cat([part.flatten(1) for part in (x, *self.net.sources(x))], dim=1))
        return Split(torch.cat(rows), data.y)


def cached(net: PTUNet | PTURecurrent, *data: Split) -> tuple[CachedPTUNet, tuple[Split, ...]]:
    """Return a faster form of a transfer network and the data that it reads.

    Args:
        net: with a frozen source.
        data: at least one data set of the target task.

    Returns:
        The network, which shares its parameters with the one given, and each data set packed.

    Raises:
        ParameterError: if the source is trained jointly, or there are no data.

    Source: ours, because a frozen source need not be asked twice
    """
    if not data or not all(len(split) for split in data):
        raise ParameterError(
            f"there must be data to ask the source about, got {len(data)} data sets, some of them empty"
        )
    fast = CachedPTUNet(net, data[0].x)
    return fast, tuple(fast.pack(split) for split in data)
