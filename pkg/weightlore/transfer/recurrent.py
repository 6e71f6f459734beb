"""Transfer between recurrent networks: a unit at each layer, in each direction, at every step (our formulation).

    source stream   its own recursion on the same inputs; its layer j+1 reads its layer j
    target stream   its cells propose a state, the unit blends it with the source's, and the blend is what the cell
                    remembers, what the next layer reads and, at the end, what the readout reads

It is not a blend of two finished networks: what was fused feeds back. With all z = 0 the states are the source's, with
all z = 1 and r = 0 the target's, bit for bit. Networks are those of ``weightlore.networks.recurrent`` and ``sequence``;
where two vocabularies differ, ``translated`` brings the source to the target's.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from itertools import product
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Recurrent
from weightlore.training.evaluation import require_fitting
from weightlore.transfer.adapters import Adapter
from weightlore.transfer.gates import require_choice
from weightlore.transfer.layers import private
from weightlore.transfer.network import MakeAdapter, MakeUnit
from weightlore.transfer.recurrence import Bound, Fused, fused, non_linearity
from weightlore.transfer.source_states import require_aligned, require_same_steps, require_steps, source_states
from weightlore.transfer.unit import PTU

__all__ = ["Memory", "PTURecurrent"]

Memory = Literal["hidden", "both"]
WAYS = ("", "_reverse")


class PTURecurrent(nn.Module):
    """A recurrent target network whose states are blended with those of a source network, step by step.

    Both networks are copied; what was given stays as it is. The source is in eval mode for ever, also after
    ``train()``. Parameters are named ``source...``, ``target...``, ``units.0.gates.weight``, ``units.0_reverse...``
    (backwards) and ``adapters.0.weight``. ``cached`` and ``gate_table`` take it as they take a ``PTUNet``; at padding,
    gates then stand at their mean over the words of the sequence, so that means over steps are means over words.

    Args:
        source: the trained network.
        target: the network for the new task: freshly drawn, or a copy of the source.
        example: some inputs of the new task, from which shapes are found out (and principal directions).
        unit: makes each unit; its phi is tanh for a plain cell, and nothing for GRU and LSTM.
        adapter: makes each adapter, from the source's hidden size to the target's.
        memory: of an LSTM: ``"hidden"`` blends the states and leaves the memory to the target, ``"both"`` blends the
            memories by the same z; the source must then be an LSTM too.
        clamp: whether the candidates of GRU and LSTM are held within [-1, 1], where their own states are.
        pairs: for layers of the target their partner in the source; a layer without carries no unit. ``None`` pairs
            equal numbers.
        joint: whether the source's parameters are trained too.
        source_input: what is done to the input before the source reads it.
        target_input: likewise for the target.
        generator: of what units and adapters draw.

    Raises:
        ParameterError: if the networks cannot be aligned; the message says what does not fit and what to do.

    Source: [zhang2019ptu], abstract, in our formulation: how the unit enters recurrent networks could not be read
    """

    def __init__(
        self,
        source: Recurrent,
        target: Recurrent,
        example: Tensor,
        *,
        unit: MakeUnit = PTU,
        adapter: MakeAdapter = Adapter,
        memory: Memory = "hidden",
        clamp: bool = False,
        pairs: Mapping[int, int] | None = None,
        joint: bool = False,
        source_input: Callable[[Tensor], Tensor] | None = None,
        target_input: Callable[[Tensor], Tensor] | None = None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        require_choice("memory", memory, get_args(Memory))
        self.pairs = require_aligned(source, target, pairs, one_input=source_input is None and target_input is None)
        _require_cells(source, target, memory, clamp)
        self.source: Recurrent = private(source, frozen=not joint)  # type: ignore[assignment]
        self.target: Recurrent = private(target, frozen=False)  # type: ignore[assignment]
        self.source_input, self.target_input = source_input or nn.Identity(), target_input or nn.Identity()
        self.memory, self.joint = memory, joint
        self.units, self.adapters = nn.ModuleDict(), nn.ModuleDict()
        self.train(target.training)
        require_fitting(self.target, Split(example, torch.zeros(len(example))), "example")
        with torch.no_grad():
            said, marks = self._said(example), self.words(example)
        require_steps(marks[..., None])
        require_same_steps(self.source.read(self.source_input(example))[1][..., 0] > 0, marks)
        phi = non_linearity(target.cells(0)[0], clamp=clamp)
        for name, states in said.items():
            seen = states[marks][:, 0]  # (words, H_S)
            self.adapters[name] = adapter(seen, (len(seen), target.hidden), generator=generator)
            self.units[name] = unit(target.hidden, phi, spatial=False, generator=generator, dtype=states.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C).

        Args:
            x: tokens (N, T), or vectors (N, T, D) or (N, T, D + 1) with the mark of steps last.

        Raises:
            ParameterError: if the networks cannot read x, or a sequence has no step.
        """
        return self.fused(x, self.sources(x))

    def sources(self, x: Tensor) -> list[Tensor]:
        """Return what the source has to say to each unit, before what is learned of the adapters.

        For a frozen source it depends on x alone, so that it can be computed once: see ``cached``.

        Returns:
            For each unit, lowest layer first and forwards before backwards: states, and memories where they are
            blended, shape (N, T, 1 or 2, width).
        """
        with nullcontext() if self.joint else torch.no_grad():
            return [_each(self.adapters[name].prepared, part) for name, part in self._said(x).items()]  # type: ignore[arg-type]

    def fused(self, x: Tensor, sources: list[Tensor]) -> Tensor:
        """Return the logits, given what the source has to say; packed tokens come as floating numbers."""
        last = list(self.walks(x, sources).values())[-self._ways :]
        return self.target.head(_joined(last, torch.ones_like(last[0].states[..., :1])))

    def walks(self, x: Tensor, sources: list[Tensor] | None = None) -> dict[str, Fused]:
        """Return states and gates at every step, for each layer forwards (``"0"``) and backwards (``"0_reverse"``).

        Args:
            x: as for ``forward``.
            sources: what the source says of x; ``None`` asks it.
        """
        sources, h = self.sources(x) if sources is None else sources, self._read(x)
        said = dict(zip(self.units, sources, strict=True))
        walks: dict[str, Fused] = {}
        for l in range(self.target.num_layers):  # noqa: E741
            a = self.target.pre(l, h)
            if l == 0:
                require_steps(a[..., -1:])
            layer = self._layer(l, a, said)
            walks.update(layer)
            h = _joined(layer.values(), a[..., -1:])
        return walks

    def words(self, x: Tensor) -> Tensor:
        """Return which steps are words, shape (N, T), bool."""
        return self.target.read(self._read(x))[1][..., 0] > 0

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the fused states of the L layers, (N, T, directions H + 1), the mark of words as last feature."""
        marks, walks = self.target.read(self._read(x))[1], list(self.walks(x).values())
        return [_joined(walks[place : place + self._ways], marks) for place in range(0, len(walks), self._ways)]

    def forward_source(self, x: Tensor) -> Tensor:
        """Return the logits of the source task, of its own inputs x as the source reads them."""
        with nullcontext() if self.joint else torch.no_grad():
            return self.source(x)

    def force(self, z: float | None = None, r: float | None = None, *, layers: Iterable[int] | None = None) -> None:
        """Put numbers in the place of the gates of some units; see ``PTU.force``.

        Args:
            z: update gate, in [0, 1]; ``None`` sets it free.
            r: reuse gate, likewise.
            layers: of the target, both directions; ``None`` for all units.

        Raises:
            ParameterError: if a number is outside of [0, 1], or a layer carries no unit.
        """
        chosen = list(self.pairs if layers is None else layers)
        for l in chosen:  # noqa: E741
            if l not in self.pairs:
                raise ParameterError(f"layer {l} carries no unit; those with one are {', '.join(map(str, self.pairs))}")
        for l, way in product(chosen, WAYS[: self._ways]):  # noqa: E741
            self.units[f"{l}{way}"].force(z, r)  # type: ignore[operator]

    def train(self, mode: bool = True) -> "PTURecurrent":
        """Put the target stream into train or eval mode; the source stays in eval mode."""
        super().train(mode)
        self.source.eval()
        return self

    def _read(self, x: Tensor) -> Tensor:
        """Return what the target reads; tokens that were packed beside measured numbers are whole numbers again."""
        if x.is_floating_point() and isinstance(self.target.embedding, nn.Embedding) and x.ndim == 2:
            x = x.long()
        return self.target_input(x)

    @property
    def _ways(self) -> int:
        """How many directions are read in."""
        return len(self.target.cells(0))

    def _said(self, x: Tensor) -> dict[str, Tensor]:
        """Return states, and memories where they are blended, of each unit's partner, shape (N, T, 1 or 2, H_S)."""
        partners, memories = sorted(set(self.pairs.values())), self.memory == "both"
        found = source_states(self.source, self.source_input(x), partners, memories=memories)
        return {f"{l}{way}": part for l, n in self.pairs.items() for way, part in zip(WAYS, found[n], strict=False)}  # noqa: E741

    def _layer(self, l: int, a: Tensor, said: dict[str, Tensor]) -> dict[str, Fused]:  # noqa: E741
        """Return the walks of one layer, given what its inputs add to the gates of its cells."""
        words, found = a[..., -1:] > 0, {}
        for cell, driven, way in zip(self.target.cells(l), a[..., :-1].chunk(self._ways, dim=-1), WAYS, strict=False):
            name, reverse = f"{l}{way}", way == WAYS[1]
            if name not in self.units:
                found[name] = Fused(cell(driven, words, reverse), (), ())
                continue
            unit: PTU = self.units[name]  # type: ignore[assignment]
            p = _each(self.adapters[name].finished, said[name]).unbind(2)  # type: ignore[arg-type]
            memories = p[1] if self.memory == "both" else None
            found[name] = fused(cell, Bound(unit, p[0]), driven, words, memories=memories, reverse=reverse)
            if unit.heard is not None:
                z, r = (found[name].gate(which, words).transpose(1, 2) for which in ("update", "reuse"))
                unit.heard.append((z, r))  # (N, H, T)
        return found


def _joined(walks: Iterable[Fused], marks: Tensor) -> Tensor:
    """Return the states of one layer in all directions, and the marks."""
    return torch.cat([*(walk.states for walk in walks), marks], dim=-1)


def _each(adapted: Callable[[Tensor], Tensor], part: Tensor) -> Tensor:
    """Apply an adapter to each vector of (N, T, 1 or 2, width)."""
    return adapted(part.flatten(0, 2)).unflatten(0, part.shape[:3])


def _require_cells(source: Recurrent, target: Recurrent, memory: Memory, clamp: bool) -> None:
    kinds = source.cells(0)[0].kind, target.cells(0)[0].kind
    if memory == "both" and kinds != ("lstm", "lstm"):
        raise ParameterError(
            f"memory='both' blends the memories of two LSTM, got a source of kind {kinds[0]!r} and a target of kind "
            f"{kinds[1]!r}; use memory='hidden'"
        )
    if clamp and kinds[1] == "rnn":
        raise ParameterError("clamp=True is for GRU and LSTM; the tanh of a plain cell holds candidates within [-1, 1]")
