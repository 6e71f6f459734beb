"""Recurrent networks that read sequences of tokens: plain, GRU and LSTM.

A token is a whole number; 0 is padding. At padding the state stays as it is, so that the state after the last step is
the state after the last word, however long the sentence.

    a_t = W_ih x_t + b_ih                         pre, affine, all steps at once
    h_t = tanh(a_t + W_hh h_{t-1} + b_hh)         phi, step by step (GRU and LSTM with gates)

Which steps are words must be known to every layer, so that each ``pre`` and ``phi`` carries it as the last feature.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import built, require_counts, walked

__all__ = ["Cell", "CellKind", "Recurrent", "recurrent"]

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

    def step(self, a: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return state and memory after one step.

        Args:
            a: what the input adds to the gates, shape (N, G H).
            h: state, shape (N, H).
            c: memory of an LSTM, shape (N, H); the others hand it on.
        """
        b = self.norm_hh(nn.functional.linear(h, self.weight_hh)) + self.bias_hh
        if self.kind == "rnn":
            return torch.tanh(a + b), c
        if self.kind == "gru":
            reset, update = torch.sigmoid(a + b)[:, : 2 * self.hidden].chunk(2, dim=1)
            new = torch.tanh(a[:, 2 * self.hidden :] + reset * b[:, 2 * self.hidden :])
            return (1 - update) * new + update * h, c
        inward, forget, candidate, outward = (a + b).chunk(4, dim=1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(inward) * torch.tanh(candidate)
        return torch.sigmoid(outward) * torch.tanh(c), c

    def forward(self, a: Tensor, words: Tensor, reverse: bool = False) -> Tensor:
        """Return the states of all steps.

        Args:
            a: what the inputs add to the gates, shape (N, T, G H).
            words: which steps are words, shape (N, T, 1), bool; the others leave the state as it is.
            reverse: whether to go from the last step to the first.

        Returns:
            Shape (N, T, H).
        """
        h = c = a.new_zeros(len(a), self.hidden)
        states: list[Tensor] = []
        steps = list(zip(a.unbind(1), words.unbind(1), strict=True))
        for driven, word in reversed(steps) if reverse else steps:
            after, memory = self.step(driven, h, c)
            h, c = torch.where(word, after, h), torch.where(word, memory, c)
            states.append(h)
        return torch.stack(states[::-1] if reverse else states, dim=1)


class Recurrent(nn.Module):
    """An embedding of tokens, recurrent layers, and a linear readout of the last state.

    Parameters are named ``embedding.weight``, ``layers.0.weight_ih``, ..., ``reverse.0.weight_ih``, ... (in both
    directions), ``readout.bias``; groups are ``"embedding"``, ``"layers"``, ``"bias"``, or for the recurrent weights
    ``lambda name, parameter: "weight_hh" in name``.

    Args:
        kind: of the cells.
        vocabulary: number of tokens, padding among them.
        embedding: features of a token.
        hidden: features of a state.
        classes: C.
        layers: L.
        bidirectional: whether each layer also reads backwards.
        normalize: whether cells have layer normalization.

    Source: ours, of known parts
    """

    def __init__(
        self,
        kind: CellKind,
        *,
        vocabulary: int,
        embedding: int,
        hidden: int,
        classes: int,
        layers: int,
        bidirectional: bool,
        normalize: bool,
    ) -> None:
        super().__init__()
        width = hidden * (2 if bidirectional else 1)
        widths = [embedding] + [width] * (layers - 1)
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.layers = nn.ModuleList(Cell(kind, inputs, hidden, normalize) for inputs in widths)
        self.reverse = nn.ModuleList(Cell(kind, inputs, hidden, normalize) for inputs in widths if bidirectional)
        self.readout = nn.Linear(width, classes)

    @property
    def num_layers(self) -> int:
        """L, the number of recurrent layers."""
        return len(self.layers)

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return what the inputs of layer l add to its gates; for l = 0 tokens are embedded first.

        Args:
            l: number of the layer, 0 to L-1.
            h: output of the layer before, or tokens x, shape (N, T), int64, for l = 0.

        Returns:
            Shape (N, T, directions G H + 1); the last feature is 1 at words and 0 at padding.

        Raises:
            ParameterError: if x are no tokens of the vocabulary.
        """
        inputs, words = self._embed(h) if l == 0 else (h[..., :-1], h[..., -1:])
        return torch.cat([*(cell.drive(inputs) for cell in self._cells(l)), words], dim=-1)

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the recurrence of layer l: from (N, T, directions G H + 1) to states (N, T, directions H + 1)."""
        return partial(self._recur, l)

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the states of the L layers, the mark of words as last feature, for tokens x."""
        return walked(self, x)

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, shape (N, C), from the state after the last word, and after the first going backwards."""
        forward, backward = h[:, -1, :-1], h[:, 0, :-1]
        hidden = forward.shape[-1] // len(self._cells(0))
        return self.readout(torch.cat([forward[:, :hidden], backward[:, hidden:]], dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), of tokens x, shape (N, T), int64."""
        return self.head(self.activations(x)[-1])

    def _cells(self, l: int) -> list[Cell]:  # noqa: E741
        return [self.layers[l], *([self.reverse[l]] if len(self.reverse) else [])]  # type: ignore[list-item]

    def _recur(self, l: int, a: Tensor) -> Tensor:  # noqa: E741
        cells, words = self._cells(l), a[..., -1:]
        driven = a[..., :-1].chunk(len(cells), dim=-1)
        both = (cell(part, words > 0, way) for cell, part, way in zip(cells, driven, (False, True), strict=False))
        return torch.cat([*both, words], dim=-1)

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 2 or x.is_floating_point() or x.shape[1] == 0:
            raise ParameterError(
                f"the network reads tokens of shape (N, T), T >= 1, int64, got {tuple(x.shape)}, {x.dtype}"
            )
        try:
            embedded = self.embedding(x)
        except IndexError as error:
            largest = self.embedding.num_embeddings - 1
            raise ParameterError(
                f"tokens must be between 0 and {largest}, got {int(x.min())} to {int(x.max())}; "
                "map words that the vocabulary does not know to one token"
            ) from error
        return embedded, (x != 0).to(embedded.dtype).unsqueeze(-1)


def recurrent(
    kind: CellKind,
    *,
    vocabulary: int,
    embedding: int,
    hidden: int,
    classes: int,
    layers: int = 1,
    bidirectional: bool = False,
    normalize: bool = False,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Recurrent:
    """Return a recurrent classifier of token sequences.

    Embedding and readout are drawn as ``built`` says, then the weights of the cells uniformly within 1 / sqrt(H).

    Args:
        kind: ``"rnn"`` (tanh), ``"gru"`` or ``"lstm"``.
        vocabulary: number of tokens, padding (0) among them, at least 2.
        embedding: features of a token.
        hidden: H, features of a state.
        classes: C.
        layers: L, recurrent layers on top of each other.
        bidirectional: whether each layer also reads backwards; both states are then joined.
        normalize: whether the inputs of the gates are layer-normalized, with gains.
        generator: where the parameters are drawn from.
        dtype: floating dtype of the parameters.

    Returns:
        The network; it reads tokens (N, T), int64. Padding changes nothing, wherever it stands.

    Raises:
        ParameterError: if there is no such kind, or a size is not a whole number of at least 1.

    Source: [hochreiter1997lstm], [cho2014gru], [ba2016layernorm]; holding the state at padding is ours
    """
    if kind not in get_args(CellKind):
        raise ParameterError(f"the kinds of recurrent cells are {', '.join(map(repr, GATES))}, got {kind!r}")
    require_counts(vocabulary=vocabulary, embedding=embedding, hidden=hidden, classes=classes, layers=layers)
    if vocabulary < 2:
        raise ParameterError("a vocabulary holds padding and at least one word, so at least 2 tokens, got 1")
    sizes = {"vocabulary": vocabulary, "embedding": embedding, "hidden": hidden, "classes": classes, "layers": layers}
    make = partial(Recurrent, kind, **sizes, bidirectional=bidirectional, normalize=normalize)
    model = built(make, generator=generator, dtype=dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "weight_ih" in name or "weight_hh" in name:
                uniform = torch.rand(parameter.shape, generator=generator, dtype=dtype, device=generator.device)
                parameter.copy_((2 * uniform - 1) / hidden**0.5)
    return model
