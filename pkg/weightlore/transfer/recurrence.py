"""The transfer unit at every step of a recurrent layer (our formulation).

The source's states p_t = P s_t are known for all steps before the first one is taken, since its recursion reads no
fused state. At step t the cell proposes a state from the input and from what was fused before, and the unit blends:

    plain cell      a_t = W x_t + R h_{t-1} + b          phi = tanh
    GRU, LSTM       a_t = the cell's next state          phi = identity, or clamped to [-1, 1]
    h_t = (1 - z_t) p_t + z_t phi(a_t + U (r_t p_t))     h_0 = 0

An LSTM's memory stays the target's, or is blended by the same gate: m_t = (1 - z_t) P m^S_t + z_t m^T_t. At padding
everything stays as it is. Parameters are shared over time; gates differ from step to step and example to example.

    Bound(unit, p)       a unit and the source's states: what depends on them alone is computed once, for all steps
    fused(cell, ...)     the walk of a cell whose states are blended; gives Fused(states, z, r)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.networks.cells import Cell
from weightlore.transfer.unit import PTU

__all__ = ["Bound", "Fused", "Gate", "fused", "non_linearity"]

Gate = Tensor | float


@dataclass(frozen=True)
class Fused:
    """What a walk through the steps gives.

    Args:
        states: fused, shape (N, T, H).
        update: z of each step, T tensors that broadcast to (N, H), or numbers where it is forced.
        reuse: r of each step, likewise.

    Source: ours
    """

    states: Tensor
    update: tuple[Gate, ...]
    reuse: tuple[Gate, ...]

    def gate(self, which: Literal["update", "reuse"], words: Tensor | None = None) -> Tensor:
        """Return a gate at every step, shape (N, T, H).

        Args:
            which: of the two.
            words: which steps are words, shape (N, T, 1), bool, at least one in each sequence: the others then get the
                mean of their sequence, so that means over steps are means over words.
        """
        like = self.states[:, 0]
        gates = [g if isinstance(g, Tensor) else like.new_tensor(g) for g in getattr(self, which)]
        every = torch.stack([g.expand(like.shape) for g in gates], dim=1)
        if words is None:
            return every
        mean = torch.where(words, every, 0.0).sum(1, keepdim=True) / words.sum(1, keepdim=True)
        return torch.where(words, every, mean)


class Bound:
    """A transfer unit together with the source's states of all steps.

    ``bound(t, a)`` is ``unit(p[:, t], a)``, to rounding. What the gates make of the source is computed for all steps at
    once, and so is what is let in where the reuse gate looks at nothing.

    Args:
        unit: for vectors, not for images.
        p: the source's states, adapted, shape (N, T, C).

    Source: ours, because a step should cost little more than that of the cell
    """

    def __init__(self, unit: PTU, p: Tensor) -> None:
        self.unit, self.p = unit, p.unbind(1)
        self.z: Gate | None = unit.forced[0]
        self.r: Gate | None = unit.forced[1] if unit.inject is not None else 0.0
        self.shut = isinstance(self.r, float) and self.r == 0.0  # nothing of the source is let in
        if unit.gates.kind in ("scalar", "channel"):
            self._decide(unit.gates(p[:, 0], p[:, 0]))
        self.of_p: Sequence[Tensor] = ()
        self.of_t = p.new_empty(0)
        if self.z is None or self.r is None:
            self.of_p, self.of_t = self._looked(p)
        self.let_in = () if self.r is None or self.shut else _times(unit.inject, self.r * p).unbind(1)
        self.inject = unit.inject.t() if unit.inject is not None and unit.inject.ndim == 2 else None

    def __call__(self, t: int, a: Tensor) -> tuple[Tensor, Gate, Gate]:
        """Return the fused state h (N, C) of step t and the gates z and r, given the target's a (N, C)."""
        said = self.unit.phi(a)
        z, r = self._values(t, said)
        c = said if self.shut and self.unit.carry is None else self.unit.phi(self._candidate(t, a, said, r))
        return torch.lerp(self.p[t], c, z), z, r  # (1 - z) p + z c, exact at z = 0, at z = 1 and where c is p

    def _decide(self, logits: Sequence[Tensor]) -> None:
        """Take gates that look at nothing for all steps, where nothing is forced."""
        self.z = self.unit.squash(logits[0]) if self.z is None else self.z
        self.r = self.unit.squash(logits[1]) if self.r is None else self.r

    def _looked(self, p: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Return what the gates' logits get from the source, T tensors (N, gates C), and their weights for the target.

        Views of a weight are taken here, once, since each has a gradient of its own.
        """
        gates = self.unit.gates
        if gates.kind == "channel-diag":
            of_p, of_t = gates.weight.unbind()
            return (of_p * p.repeat(1, 1, gates.count) + gates.bias).unbind(1), of_t
        of_p, of_t = gates.weight.split(gates.channels, dim=1)
        return nn.functional.linear(p, of_p, gates.bias).unbind(1), of_t.t()

    def _values(self, t: int, said: Tensor) -> tuple[Gate, Gate]:
        if self.z is not None and self.r is not None:
            return self.z, self.r
        count = self.unit.gates.count
        if self.of_t.ndim == 1:
            logits = self.of_p[t] + self.of_t * said.repeat(1, count)
        else:
            logits = torch.addmm(self.of_p[t], said, self.of_t)
        found = self.unit.squash(logits).chunk(count, dim=1)
        return found[0] if self.z is None else self.z, found[1] if self.r is None else self.r

    def _candidate(self, t: int, a: Tensor, said: Tensor, r: Gate) -> Tensor:
        """Return what phi makes the candidate of: the target's input, and what of the source is let in."""
        unit, base = self.unit, a
        if unit.carry is not None:
            base = nn.functional.linear(said, unit.carry, unit.carry_bias)
        if self.shut:
            return base
        if self.let_in:
            return base + self.let_in[t]
        if self.inject is not None:
            return torch.addmm(base, r * self.p[t], self.inject)
        return base + _times(unit.inject, r * self.p[t])


def _times(inject: Tensor | None, part: Tensor) -> Tensor:
    """Return U times what is let in, along the channels; without U that is nothing."""
    if inject is None:
        return torch.zeros_like(part)
    return inject * part if inject.ndim == 1 else nn.functional.linear(part, inject)


def fused(
    cell: Cell, bound: Bound, driven: Tensor, words: Tensor, *, memories: Tensor | None = None, reverse: bool = False
) -> Fused:
    """Walk a cell through the steps, each of its states blended with the source's.

    Args:
        cell: the target's.
        bound: unit and source's states (N, T, H); its phi is that of ``non_linearity``.
        driven: what the inputs add to the cell's gates, shape (N, T, G H).
        words: which steps are words, shape (N, T, 1), bool; the others leave state and memory as they are.
        memories: of the source's LSTM, adapted, shape (N, T, H), to be blended by the same z; ``None`` keeps the
            target's memory.
        reverse: whether to go from the last step to the first.

    Returns:
        States and gates of all steps, in the order of the steps.

    Source: [zhang2019ptu], abstract, in our formulation: how the unit enters recurrent networks could not be read
    """
    h = m = driven.new_zeros(len(driven), cell.hidden)
    theirs = None if memories is None else memories.unbind(1)
    driven_, words_, steps = driven.unbind(1), words.unbind(1), range(driven.shape[1])
    found: list[tuple[Tensor, Gate, Gate]] = []
    for t in reversed(steps) if reverse else steps:
        if cell.kind == "rnn":
            a, memory = driven_[t] + cell.recur(h), m
        else:
            a, memory = cell.step(driven_[t], h, m)
        after, z, r = bound(t, a)
        if theirs is not None:
            memory = torch.lerp(theirs[t], memory, z)
        h = torch.where(words_[t], after, h)
        m = torch.where(words_[t], memory, m) if cell.kind == "lstm" else m
        found.append((h, z, r))
    states, update, reuse = zip(*(found[::-1] if reverse else found), strict=True)
    return Fused(torch.stack(states, dim=1), update, reuse)


def non_linearity(cell: Cell, *, clamp: bool = False) -> nn.Module:
    """Return the phi of a unit that blends the states of a cell.

    Args:
        cell: plain: tanh. GRU and LSTM propose finished states: nothing, or a clamp.
        clamp: whether the candidates of GRU and LSTM are held within [-1, 1], where their own states are.

    Source: ours, because a finished state must not be squashed twice
    """
    if cell.kind == "rnn":
        return nn.Tanh()
    return nn.Hardtanh() if clamp else nn.Identity()
