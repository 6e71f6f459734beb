"""Cross-stitch: after each layer, both networks go on with a learned mixture of what both have.

    h_T = w_TT t + w_TS s        what the target's next layer reads
    h_S = w_SS s + w_ST t        what the source's next layer reads; only where both are trained

With a frozen source the stitching goes one way, and s is what the source alone would have.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.training import Step, cross_entropy
from weightlore.transfer.columns import TwoStreams, features, spread, with_features
from weightlore.transfer.steps import source_loss

__all__ = ["CrossStitch", "Per", "joint_step"]

Per = Literal["layer", "channel"]


class CrossStitch(TwoStreams):
    """Two networks that go on with mixtures of their activations, by learned weights of any size and sign.

    Args:
        source: the trained network.
        target: the network to train.
        example: at least one input, shape (N, ...).
        joint: whether the source is trained too and reads mixtures itself; else it is frozen and goes on alone.
        per: whether a layer has one pair of weights, or each of its channels.
        start: weights at the start, of a network's own activation and of the other's.

    Raises:
        ParameterError: if the layers do not fit, or ``per`` is none of the two.

    Source: [misra2016crossstitch], Eq. (1); the frozen source is ours
    """

    def __init__(
        self,
        source: Layered,
        target: Layered,
        *,
        example: Tensor,
        joint: bool = False,
        per: Per = "layer",
        start: tuple[float, float] = (0.9, 0.1),
    ) -> None:
        super().__init__(source, target, example=example, joint=joint)
        if per not in get_args(Per):
            raise ParameterError(f"per is 'layer' or 'channel', got {per!r}")
        rows = [start, start[::-1]] if joint else [start]  # of the target and of the source: weights of t and s
        first = next(self.target.parameters())
        self.weights = nn.ParameterList(
            nn.Parameter(first.new_tensor(rows)[:, :, None].repeat(1, 1, width if per == "channel" else 1))
            for width in self.widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C)."""
        return self.ours.head(self._stitched(x)[0])

    def forward_source(self, x: Tensor) -> Tensor:
        """Return the logits of the source task, with stitching where both networks are trained."""
        return self.theirs.head(self._stitched(x)[1])

    def _stitched(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last activations of target and source."""
        alone = None if self.joint else self.seen(x)
        h, s = x, x
        for l, weights in enumerate(self.weights):  # noqa: E741
            t = self.ours.phi(l)(self.ours.pre(l, h))
            s = self.theirs.phi(l)(self.theirs.pre(l, s)) if alone is None else alone[l]
            mixed = [self._mixed(t, s, row) for row in weights]
            h, s = mixed[0], mixed[1] if self.joint else s
        return h, s

    def _mixed(self, t: Tensor, s: Tensor, row: Tensor) -> Tensor:
        ours, theirs = features(t, self.marked), features(s, self.marked)
        of_t, of_s = (spread(weight, ours, self.marked) for weight in row)
        return with_features(t, of_t * ours + of_s * theirs, self.marked)


def joint_step(source_data: Split, *, share: float = 1.0, batch_size: int = 64) -> Step:
    """Return a step that lowers the loss of both tasks: L_T + share * L_S, each on a batch of its own.

    Args:
        source_data: examples of the source task.
        share: weight of the source's loss, >= 0.
        batch_size: examples of the source per step, drawn with repetition from the step's generator.

    Returns:
        A step for a ``CrossStitch`` with ``joint=True``.

    Raises:
        ParameterError: if the share is negative or not finite, there is no source example, or batch_size is below 1.

    Source: [misra2016crossstitch], section 4: both tasks are trained at once
    """
    if not 0 <= share < float("inf") or not len(source_data) or batch_size < 1:
        raise ParameterError(
            f"a joint step needs share >= 0, source examples and batch_size >= 1, got {share}, {len(source_data)} "
            f"examples and {batch_size}"
        )

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        if not isinstance(model, CrossStitch):
            raise ParameterError(f"the joint step trains a CrossStitch, got a {type(model).__name__}")
        of_source = source_loss(model.forward_source, source_data, batch_size, generator)
        return cross_entropy(model, batch, generator) + share * of_source

    return step
