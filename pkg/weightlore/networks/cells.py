"""The cell of a recurrent layer: plain, GRU or LSTM.

    a_t = W_ih x_t + b_ih                         drive, all steps at once
    b_t = W_hh h_{t-1} + b_hh                     recur
    h_t = tanh(a_t + b_t)                         step (GRU and LSTM with gates)
    h_1 ... h_T                                   walk, forward

At padding state and memory stay as they are.
"""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Cell", "CellKind"]

CellKind = Literal["rnn", "gru", "lstm"]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class Cell(nn.Module):
    """What is learned of one recurrent layer, and how its state goes from step to step.

    Parameters have names, shapes and order of gates as in torch's own layers: ``weight_ih`` (G H, D), ``weight_hh``
    (G H, H), ``bias_ih`` and ``bias_hh`` (G H,), with G = 1 for a plain cell, 3 (reset, update, new) for a GRU and 4
    (input, forget, cell, output) for an LSTM.

    Args:
        kind: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        inputs: D, features of the input.
        hidden: H, features of the state.
        normalize: whether layer normalization with gains stands before both biases.

    Source: [hochreiter1997lstm] with forget gates, [cho2014gru] in torch's form, [ba2016layernorm]
    """

    def __init__(self, kind: CellKind, inputs: int, hidden: int, normalize: bool) -> None:
        super().__init__()
        self.kind, self.hidden, rows = kind, hidden, GATES[kind] * hidden
        self.weight_ih = nn.Parameter(torch.zeros(rows, inputs))
        self.weight_hh = nn.Parameter(torch.zeros(rows, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(rows))
        self.bias_hh = nn.Parameter(torch.zeros(rows))
        self.norm_ih: nn.Module = nn.LayerNorm(rows, bias=False) if normalize else nn.Identity()
        self.norm_hh: nn.Module = nn.LayerNorm(rows, bias=False) if normalize else nn.Identity()

    def drive(self, x: Tensor) -> Tensor:
        """Return what the inputs add to the gates, shape (N, T, G H), for x of shape (N, T, D)."""
        return self.norm_ih(nn.functional.linear(x, self.weight_ih)) + self.bias_ih

    def recur(self, h: Tensor) -> Tensor:
        """Return what the state adds to the gates, shape (N, G H), for h of shape (N, H)."""
        return self.norm_hh(nn.functional.linear(h, self.weight_hh)) + self.bias_hh

    def step(self, a: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return state and memory after one step.

        Args:
            a: what the input adds to the gates, shape (N, G H).
            h: state, shape (N, H).
            c: memory of an LSTM, shape (N, H); the others hand it on.
        """
        b = self.recur(h)
        if self.kind == "rnn":
            return torch.tanh(a + b), c
        if self.kind == "gru":
            reset, update = torch.sigmoid(a + b)[:, : 2 * self.hidden].chunk(2, dim=1)
            new = torch.tanh(a[:, 2 * self.hidden :] + reset * b[:, 2 * self.hidden :])
            return (1 - update) * new + update * h, c
        inward, forget, candidate, outward = (a + b).chunk(4, dim=1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(inward) * torch.tanh(candidate)
        return torch.sigmoid(outward) * torch.tanh(c), c

    def walk(self, a: Tensor, words: Tensor, reverse: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Return the states and the memories after each step, in the order of the steps.

        Args:
            a: what the inputs add to the gates, shape (N, T, G H).
            words: which steps are words, shape (N, T, 1), bool; the others leave state and memory as they are.
            reverse: whether to go from the last step to the first.

        Returns:
            T tensors (N, H) and T tensors (N, H); the memories are zero but for an LSTM.
        """
        h = c = a.new_zeros(len(a), self.hidden)
        states, memories = [], []
        steps = list(zip(a.unbind(1), words.unbind(1), strict=True))
        for driven, word in reversed(steps) if reverse else steps:
            after, memory = self.step(driven, h, c)
            h, c = torch.where(word, after, h), torch.where(word, memory, c)
            states.append(h)
            memories.append(c)
        return (states[::-1], memories[::-1]) if reverse else (states, memories)

    def forward(self, a: Tensor, words: Tensor, reverse: bool = False) -> Tensor:
        """Return the states of all steps, shape (N, T, H), with the arguments of ``walk``."""
        return torch.stack(self.walk(a, words, reverse)[0], dim=1)
