"""What a recurrent network reads at each step, and which steps there are.

read_tokens(x, embedding)    whole numbers (N, T): rows of the embedding; 0 is padding
read_vectors(x, D)           measured vectors (N, T, D), or with the mark of steps as one feature more
"""

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["read_tokens", "read_vectors"]


def read_tokens(x: Tensor, embedding: nn.Embedding) -> tuple[Tensor, Tensor]:
    """Return embedded tokens, and which of them are words.

    Args:
        x: shape (N, T), T >= 1, of an integer dtype.
        embedding: V rows of D features.

    Returns:
        Shape (N, T, D), and marks (N, T, 1) of the embedding's dtype, 1 at words and 0 at padding.

    Raises:
        ParameterError: if x are no tokens of the vocabulary.

    Source: ours
    """
    if x.ndim != 2 or x.is_floating_point() or x.shape[1] == 0:
        raise ParameterError(
            f"the network reads tokens of shape (N, T), T >= 1, int64, got {tuple(x.shape)}, {x.dtype}; put sentences "
            "in rows, and leave empty ones out"
        )
    try:
        embedded: Tensor = embedding(x)
    except IndexError as error:
        raise ParameterError(
            f"tokens must be between 0 and {embedding.num_embeddings - 1}, got {int(x.min())} to {int(x.max())}; "
            "map words that the vocabulary does not know to one token"
        ) from error
    return embedded, (x != 0).to(embedded.dtype).unsqueeze(-1)


def read_vectors(x: Tensor, inputs: int) -> tuple[Tensor, Tensor]:
    """Return measured vectors, and which steps they are.

    Args:
        x: shape (N, T, D), T >= 1, floating; or (N, T, D + 1), with 1 for a step and 0 for padding as last feature.
        inputs: D.

    Returns:
        Shape (N, T, D), and marks (N, T, 1), 1 at steps and 0 at padding.

    Raises:
        ParameterError: if x has another form, or marks are neither 0 nor 1.

    Source: ours
    """
    wide = x.ndim == 3 and x.is_floating_point() and x.shape[1] > 0
    if not wide or x.shape[2] not in (inputs, inputs + 1):
        raise ParameterError(
            f"the network reads vectors of shape (N, T, {inputs}), T >= 1, floating, or {inputs + 1} features with 1 "
            f"for a step and 0 for padding as the last, got {tuple(x.shape)}, {x.dtype}; leave empty sequences out"
        )
    marks = x[..., inputs:] if x.shape[2] > inputs else x.new_ones(*x.shape[:2], 1)
    if not bool(((marks == 0) | (marks == 1)).all()):
        low, high = torch.aminmax(marks)
        raise ParameterError(
            f"the last of {inputs + 1} features marks steps by 1 and padding by 0, got {float(low):g} to "
            f"{float(high):g}; give vectors of {inputs} features if there is no padding"
        )
    return x[..., :inputs], marks
