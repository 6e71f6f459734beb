"""A network cut at its non-linearities: the form in which it can be normalized, and made to spike.

Stage l adds up affine maps of what earlier stages emit, and rectifies the sum:

    a^l = relu(sum over sources k of  W^{l,k} a^k + b^l),    a^0 = x,    logits = W^L a^{L-1} + b^L

Average pooling is part of a map. A maximum over windows is taken before or after rectifying, which gives the same; it
is kept beside the map, because it is not linear. ``cutting.staged`` makes stages from a model.
"""

from collections.abc import Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Stage", "Staged"]


class Stage(nn.Module):
    """One non-linearity and the maps before it; the last stage has only maps.

    Args:
        name: of the non-linearity in the model, or of the readout.
        synapses: from the number of a source (0 the input, k the stage number k, counted from 1) to an affine map.
        activation: what rectifies, ``None`` for the readout.
        gate: maximum over windows of the stage's output, or ``None``.
        gate_first: whether the maximum stands before the non-linearity.

    Source: ours
    """

    def __init__(
        self,
        name: str,
        synapses: Mapping[int, nn.Module],
        activation: nn.Module | None,
        *,
        gate: nn.MaxPool2d | None = None,
        gate_first: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.gate_first = name, gate_first
        self.synapses = nn.ModuleDict({str(source): module for source, module in synapses.items()})
        self.activation, self.gate = activation, gate

    @property
    def sources(self) -> dict[int, nn.Module]:
        """The maps, by the number of their source."""
        return {int(source): module for source, module in self.synapses.items()}

    def current(self, emitted: Sequence[Tensor]) -> Tensor:
        """Return what the non-linearity gets.

        Args:
            emitted: the input x, then the outputs of the stages so far.
        """
        return reduce(torch.add, (module(emitted[source]) for source, module in self.sources.items()))

    def forward(self, emitted: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the activations, and what the stage emits: the maxima of their windows where there is a gate.

        Args:
            emitted: the input x, then the outputs of the stages so far.
        """
        a = self.current(emitted)
        if self.gate is not None and self.gate_first:
            a = self.gate(a)
        a = a if self.activation is None else self.activation(a)
        return a, a if self.gate is None or self.gate_first else self.gate(a)


class Staged(nn.Module):
    """A feed-forward network as a list of stages, the readout last.

    Args:
        stages: L stages with a non-linearity, and a readout without.

    Raises:
        ParameterError: if the last stage, and no other, is not a readout.

    Source: ours
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        ends = [stage.activation is None for stage in stages]
        if not ends or ends != [False] * (len(ends) - 1) + [True]:
            raise ParameterError(
                "stages must end in a readout without non-linearity, and have a non-linearity before that; "
                f"got {['readout' if end else 'rectified' for end in ends]}"
            )
        self.stages = nn.ModuleList(stages)

    def __len__(self) -> int:
        """L, the number of non-linearities."""
        return len(self.stages) - 1

    @property
    def all(self) -> list[Stage]:
        """The stages, the readout last."""
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    @property
    def hidden(self) -> list[Stage]:
        """The L stages with a non-linearity."""
        return self.all[:-1]

    def walked(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the activations of the L stages, and the logits of shape (N, C).

        Args:
            x: shape (N, ...).
        """
        emitted, activations = [x], []
        for stage in self.all:
            activation, output = stage(emitted)
            activations.append(activation)
            emitted.append(output)
        return activations[:-1], activations[-1]

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the activations of the L stages for the input x."""
        return self.walked(x)[0]

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), of the input x, shape (N, ...)."""
        return self.walked(x)[1]
