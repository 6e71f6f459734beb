"""A network of sentences reads another vocabulary.

The numbers of words differ from one set of sentences to the next. Both streams of a transfer read the target's numbers,
once the source has been translated:

    number in the target's vocabulary      row of the embedding
    0, padding                             0
    1, unknown                             the source's row 1
    a word that both know                  the source's row of that word
    a word of the target alone             the source's row 1 (``translated``), or drawn (with a generator)

The first is how the frozen source reads new sentences, the second how the target starts.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from weightlore.data.text import PADDING, UNKNOWN
from weightlore.errors import ParameterError
from weightlore.networks import Recurrent

__all__ = ["translated", "translation"]


def translation(source_words: Mapping[str, int], target_words: Mapping[str, int]) -> Tensor:
    """Return the source's number of each word of the target's vocabulary.

    Args:
        source_words: word -> number, as ``weightlore.data.vocabulary`` gives it, from 2 on.
        target_words: likewise.

    Returns:
        Shape (V,), int64, V = the largest number of the target + 1: 0 at 0, and 1 at 1, at words that the source does
        not know, and at numbers that no word has. ``translation(...)[x]`` are target tokens in the source's numbers.

    Raises:
        ParameterError: if a vocabulary is empty, or numbers a word 0 or 1.

    Example:
        >>> translation({"a": 2, "b": 3}, {"b": 2, "c": 3, "a": 4})
        tensor([0, 1, 3, 1, 2])

    Source: [mou2016transferable] for words that both know; unknown ones are ours
    """
    for whose, words in (("source", source_words), ("target", target_words)):
        if not words or min(words.values()) <= UNKNOWN:
            raise ParameterError(
                f"the {whose}'s vocabulary must number at least one word, from 2 on (0 is padding, 1 unknown), got "
                f"{len(words)} words; make it by weightlore.data.vocabulary"
            )
    numbers = torch.full((max(target_words.values()) + 1,), UNKNOWN, dtype=torch.int64)
    numbers[PADDING] = PADDING
    for word, number in target_words.items():
        numbers[number] = source_words.get(word, UNKNOWN)
    return numbers


def translated(
    network: Recurrent,
    source_words: Mapping[str, int],
    target_words: Mapping[str, int],
    *,
    generator: torch.Generator | None = None,
) -> Recurrent:
    """Return a copy of a network that reads the target's vocabulary.

    Args:
        network: reads tokens of the source's vocabulary; left as it is.
        source_words: word -> number, the vocabulary that the network was trained on.
        target_words: word -> number, that of the sentences it shall read.
        generator: where the rows of words that the source does not know are drawn from, normal with mean 0 and the
            root mean square of the source's rows; ``None`` reads them as the source reads unknown words. The result
            then gives, bit for bit, what the network gives for ``translation(source_words, target_words)[x]``.

    Returns:
        The copy, with an embedding of V rows; all else is the same.

    Raises:
        ParameterError: if the network reads no tokens, or has fewer rows than its vocabulary has numbers.

    Source: [mou2016transferable] for rows that both share; the rest is ours
    """
    numbers, rows = translation(source_words, target_words), _rows(network, source_words)
    table = rows[numbers]
    alone = (numbers == UNKNOWN).nonzero().squeeze(1)[1:]  # the first is the unknown word itself
    if generator is not None:
        noise = torch.randn(len(alone), rows.shape[1], generator=generator, dtype=rows.dtype, device=generator.device)
        table[alone] = noise.to(rows.device) * rows[UNKNOWN:].square().mean().sqrt()
    made = copy.deepcopy(network)
    made.zero_grad()
    embedding = made.get_submodule("embedding")  # keeps the law by which it was drawn
    embedding.weight = nn.Parameter(table, requires_grad=made.get_parameter("embedding.weight").requires_grad)
    embedding.num_embeddings = len(table)  # type: ignore[assignment]
    return made


def _rows(network: Recurrent, words: Mapping[str, int]) -> Tensor:
    """Return the embedding, shape (V, D)."""
    if not isinstance(network, Recurrent) or not isinstance(network.embedding, nn.Embedding):
        raise ParameterError(
            "only a network that reads tokens has a vocabulary, as weightlore.networks.recurrent makes it; "
            f"got a {type(network).__name__}"
        )
    rows = network.embedding.weight.detach()
    if len(rows) <= max(words.values()):
        raise ParameterError(
            f"the source's vocabulary goes up to {max(words.values())}, but its network has an embedding of "
            f"{len(rows)} rows; give the vocabulary that the network was trained on"
        )
    return rows
