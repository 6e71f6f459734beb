"""Side-tuning: a frozen network and a small or equal one beside it, blended by one learned number.

    h = (1 - z) p + z t,   z = sigmoid(b)

At the last layer only, where the readout reads the blend, as in the original; or at every layer, each with a number of
its own.
"""

from math import log
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.transfer.columns import TwoStreams, features, with_features

__all__ = ["Blends", "SideTuned"]

Blends = Literal["last", "every"]


class SideTuned(TwoStreams):
    """A frozen source and a target on the same input, blended by one number at the last layer or at every layer.

    Args:
        source: the trained network.
        target: the network to train.
        example: at least one input, shape (N, ...).
        blends: ``"last"``, as in the original, or ``"every"`` layer.
        start: share of the target at the start, z, in (0, 1).

    Raises:
        ParameterError: if the layers do not fit or there are none, or an option is out of its range.

    Source: [zhang2020sidetuning], section 3: base and side network, learned alpha (their alpha is our 1 - z)
    """

    def __init__(
        self, source: Layered, target: Layered, *, example: Tensor, blends: Blends = "last", start: float = 0.5
    ) -> None:
        super().__init__(source, target, example=example)
        if blends not in get_args(Blends) or not 0 < start < 1 or not self.ours.num_layers:
            raise ParameterError(
                f"side-tuning blends 'last' or 'every' layer, of at least one, from a share within 0 and 1, got "
                f"{blends!r}, {self.ours.num_layers} layers and {start}"
            )
        count = self.ours.num_layers if blends == "every" else 1
        first = next(self.target.parameters())
        self.blend = nn.Parameter(first.new_full((count,), log(start / (1 - start))))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C)."""
        seen, h, z = self.seen(x), x, torch.sigmoid(self.blend)
        first = self.ours.num_layers - len(z)
        for l, p in enumerate(seen):  # noqa: E741
            h = self.ours.phi(l)(self.ours.pre(l, h))
            if l >= first:
                ours, theirs = features(h, self.marked), features(p, self.marked)
                h = with_features(h, (1 - z[l - first]) * theirs + z[l - first] * ours, self.marked)
        return self.ours.head(h)
