"""The control: a readout on the last activations of both networks, with as many trained parameters as a transfer unit.

A transfer unit owns more parameters than a fine-tuned network and works partly like an ensemble of two. Whoever
compares must give the same to a network without gates: this one.

    f = W2 relu(W1 [source features, target features] + b1) + b2      with a hidden layer of m units
    f = W [source features, target features] + b                      without

    matched_units   m for a number of trained parameters
"""

from collections import OrderedDict
from typing import cast

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.networks.layered import built, require_counts
from weightlore.transfer.columns import TwoStreams
from weightlore.transfer.layers import require_layered

__all__ = ["Concatenated", "matched_units"]


class Concatenated(TwoStreams):
    """A frozen source and a target on the same input, each on its own, with a readout on the features of both.

    Features are what a network's own readout reads. The readouts that the networks came with are dropped.

    Args:
        source: the trained network.
        target: the network to train.
        classes: C of the target task.
        example: at least one input, shape (N, ...).
        hidden: units of a hidden layer before the new readout, 0 for none.
        generator: where the new layers are drawn from.

    Raises:
        ParameterError: if a network has no linear ``readout``, the layers do not fit, or hidden is negative.

    Source: ours, because without such a control a better accuracy may come from more parameters
    """

    def __init__(
        self,
        source: Layered,
        target: Layered,
        *,
        classes: int,
        example: Tensor,
        hidden: int = 0,
        generator: torch.Generator,
    ) -> None:
        super().__init__(source, target, example=example)
        width = sum(_without_readout(network) for network in (self.source, self.target))
        require_counts(classes=classes)
        if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 0:
            raise ParameterError(f"hidden counts units and must be a whole number of at least 0, got {hidden!r}")
        first = next(self.target.parameters())
        sizes = [width, hidden, classes] if hidden else [width, classes]
        self.joined = built(lambda: _stack(sizes), generator=generator, dtype=first.dtype).to(first.device)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C)."""
        with torch.no_grad():
            theirs = self.source(x)
        return cast(Tensor, self.joined(torch.cat([theirs, self.target(x)], dim=1)))


def matched_units(count: int, *, source: Layered, target: Layered, classes: int) -> int:
    """Return how many hidden units give the control as many trained parameters as asked for, to the nearest unit.

        count = layers of the target + m (F + 1) + C (m + 1),   F features of both networks

    Args:
        count: of trained parameters, such as ``trainable(unit_network)``.
        source: the trained network.
        target: the network to train.
        classes: C of the target task.

    Returns:
        m, at least 1. The difference that is left is at most (F + 1 + C) / 2 parameters: print both numbers.

    Raises:
        ParameterError: if one unit is too much already: the control would have more parameters than what it controls.

    Source: ours
    """
    features = _readout(source).in_features + _readout(target).in_features
    readout = sum(p.numel() for p in _readout(target).parameters())
    layers = sum(p.numel() for p in require_layered(target).parameters()) - readout
    units = (count - layers - classes) / (features + 1 + classes)
    if units < 0.5:
        least = layers + features + 1 + 2 * classes
        raise ParameterError(
            f"{count} parameters are fewer than the {least} of the target's layers and one hidden unit; "
            "use hidden=0, and say that the control has more"
        )
    return max(1, round(units))


def _stack(sizes: list[int]) -> nn.Sequential:
    """Return one linear layer, or two with ReLU between."""
    parts: list[tuple[str, nn.Module]] = [("readout", nn.Linear(sizes[-2], sizes[-1]))]
    if len(sizes) > 2:
        parts = [("hidden", nn.Linear(sizes[0], sizes[1])), ("relu", nn.ReLU()), *parts]
    return nn.Sequential(OrderedDict(parts))


def _readout(network: Layered | nn.Module) -> nn.Linear:
    found = getattr(network, "readout", None)
    if not isinstance(found, nn.Linear):
        raise ParameterError(
            f"features of two networks are joined before their linear readouts, which a {type(network).__name__} does "
            "not have under the name of readout; use a network of weightlore.networks"
        )
    return found


def _without_readout(network: nn.Module) -> int:
    """Take the readout off and return how many features it read."""
    width = _readout(network).in_features
    network.readout = nn.Identity()
    return width
