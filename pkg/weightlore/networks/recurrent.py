"""Recurrent networks that read sequences, of tokens or of measured vectors: plain, GRU and LSTM.

    recurrent(kind, vocabulary=...)    reads tokens (N, T); a token is a whole number, 0 is padding
    sequence(kind, inputs=D)           reads vectors (N, T, D), or (N, T, D + 1) with the mark of steps as last feature

At padding the state stays as it is, so that the state after the last step is the state after the last word, however
long the sentence; a step of measured vectors is a word too.

    a_t = W_ih x_t + b_ih                         pre, affine, all steps at once
    h_t = tanh(a_t + W_hh h_{t-1} + b_hh)         phi, step by step (GRU and LSTM with gates)

Which steps are words must be known to every layer, so that each ``pre`` and ``phi`` carries it as the last feature.
"""

from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.cells import GATES, Cell, CellKind
from weightlore.networks.layered import built, require_counts, walked
from weightlore.networks.reading import read_tokens, read_vectors

__all__ = ["Recurrent", "recurrent", "sequence"]


class Recurrent(nn.Module):
    """An embedding of tokens, recurrent layers, and a linear readout of the last state.

    Parameters are named ``embedding.weight``, ``layers.0.weight_ih``, ..., ``reverse.0.weight_ih``, ... (in both
    directions), ``readout.bias``; groups are ``"embedding"``, ``"layers"``, ``"bias"``, or for the recurrent weights
    ``lambda name, parameter: "weight_hh" in name``.

    Args:
        kind: of the cells.
        vocabulary: number of tokens, padding among them; ``None`` where steps are vectors, which nothing embeds.
        embedding: features of a token, or D, those of a vector.
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
        vocabulary: int | None,
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
        self.inputs, self.hidden = embedding, hidden
        self.embedding = nn.Identity() if vocabulary is None else nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.layers = nn.ModuleList(Cell(kind, inputs, hidden, normalize) for inputs in widths)
        self.reverse = nn.ModuleList(Cell(kind, inputs, hidden, normalize) for inputs in widths if bidirectional)
        self.readout = nn.Linear(width, classes)

    @property
    def num_layers(self) -> int:
        """L, the number of recurrent layers."""
        return len(self.layers)

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return what the inputs of layer l add to its gates; for l = 0 the input is read first, tokens embedded.

        Args:
            l: number of the layer, 0 to L-1.
            h: output of the layer before, or the network's input x for l = 0.

        Returns:
            Shape (N, T, directions G H + 1); the last feature is 1 at words and 0 at padding.

        Raises:
            ParameterError: if x are no tokens of the vocabulary, or no vectors of D features.
        """
        inputs, words = self.read(h) if l == 0 else (h[..., :-1], h[..., -1:])
        return torch.cat([*(cell.drive(inputs) for cell in self.cells(l)), words], dim=-1)

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the recurrence of layer l: from (N, T, directions G H + 1) to states (N, T, directions H + 1)."""
        return partial(self._recur, l)

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the states of the L layers, the mark of words as last feature, for the input x."""
        return walked(self, x)

    def cells(self, l: int) -> list[Cell]:  # noqa: E741
        """Return the cell of layer l that reads forwards, and the one that reads backwards where there is one."""
        return [self.layers[l], *([self.reverse[l]] if len(self.reverse) else [])]  # type: ignore[list-item]

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the first layer reads at each step, and which steps are words.

        Args:
            x: tokens (N, T), int64; or vectors (N, T, D), or (N, T, D + 1) with 1 for a step and 0 for padding last.

        Returns:
            Inputs (N, T, D), and marks (N, T, 1) of their dtype, 1 at words and 0 at padding.

        Raises:
            ParameterError: if x are no tokens of the vocabulary, or no vectors of D features.
        """
        embedding = self.embedding
        return read_tokens(x, embedding) if isinstance(embedding, nn.Embedding) else read_vectors(x, self.inputs)

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, shape (N, C), from the state after the last word, and after the first going backwards."""
        forward, backward = h[:, -1, :-1], h[:, 0, :-1]
        hidden = forward.shape[-1] // len(self.cells(0))
        return self.readout(torch.cat([forward[:, :hidden], backward[:, hidden:]], dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), of tokens (N, T), int64, or of vectors (N, T, D)."""
        return self.head(self.activations(x)[-1])

    def _recur(self, l: int, a: Tensor) -> Tensor:  # noqa: E741
        cells, words = self.cells(l), a[..., -1:]
        driven = a[..., :-1].chunk(len(cells), dim=-1)
        both = (cell(part, words > 0, way) for cell, part, way in zip(cells, driven, (False, True), strict=False))
        return torch.cat([*both, words], dim=-1)


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
    require_counts(vocabulary=vocabulary, embedding=embedding)
    if vocabulary < 2:
        raise ParameterError("a vocabulary holds padding and at least one word, so at least 2 tokens, got 1")
    sizes = {"hidden": hidden, "classes": classes, "layers": layers}
    make = partial(Recurrent, vocabulary=vocabulary, embedding=embedding, bidirectional=bidirectional)
    return _made(partial(make, normalize=normalize), kind, sizes, generator, dtype)


def sequence(
    kind: CellKind,
    *,
    inputs: int,
    hidden: int,
    classes: int,
    layers: int = 1,
    bidirectional: bool = False,
    normalize: bool = False,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Recurrent:
    """Return a recurrent classifier of sequences of vectors, such as the rows of an image.

    The readout is drawn as ``built`` says, then the weights of the cells uniformly within 1 / sqrt(H).

    Args:
        kind: ``"rnn"`` (tanh), ``"gru"`` or ``"lstm"``.
        inputs: D, features of a step.
        hidden: H, features of a state.
        classes: C.
        layers: L.
        bidirectional: whether each layer also reads backwards.
        normalize: whether the inputs of the gates are layer-normalized.
        generator: where the parameters are drawn from.
        dtype: floating dtype of the parameters.

    Returns:
        The network; it reads vectors (N, T, D). Where sequences differ in length they come as (N, T, D + 1): the last
        feature is 1 at a step and 0 at padding, which changes nothing, wherever it stands, as long as it is finite.

    Raises:
        ParameterError: if there is no such kind, or a size is not a whole number of at least 1.

    Source: [hochreiter1997lstm], [cho2014gru], [ba2016layernorm]; holding the state at padding is ours
    """
    require_counts(inputs=inputs)
    sizes = {"hidden": hidden, "classes": classes, "layers": layers}
    make = partial(Recurrent, vocabulary=None, embedding=inputs, bidirectional=bidirectional, normalize=normalize)
    return _made(make, kind, sizes, generator, dtype)


def _made(
    make: Callable[..., Recurrent],
    kind: CellKind,
    sizes: dict[str, int],
    generator: torch.Generator,
    dtype: torch.dtype,
) -> Recurrent:
    """Make the network and draw its parameters."""
    if kind not in get_args(CellKind):
        raise ParameterError(f"the kinds of recurrent cells are {', '.join(map(repr, GATES))}, got {kind!r}")
    require_counts(**sizes)
    model = built(partial(make, kind, **sizes), generator=generator, dtype=dtype)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "weight_ih" in name or "weight_hh" in name:
                uniform = torch.rand(parameter.shape, generator=generator, dtype=dtype, device=generator.device)
                parameter.copy_((2 * uniform - 1) / sizes["hidden"] ** 0.5)
    return model
