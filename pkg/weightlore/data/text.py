"""Sentences as numbers.

tokenize(sentence)              words and marks
vocabulary(sentences)           word -> number, the frequent ones first
encode(sentences, vocabulary)   (N, T) numbers, 0 = nothing here, 1 = a word that the vocabulary lacks
Text(sentences, y)              sentences and their labels, row by row
"""

import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.data.split import Rows, Split
from weightlore.errors import ParameterError

__all__ = ["PADDING", "UNKNOWN", "Text", "encode", "tokenize", "vocabulary"]

PADDING, UNKNOWN = 0, 1


@dataclass(frozen=True, eq=False)
class Text:
    """N sentences and their labels.

    Args:
        sentences: N strings.
        y: labels, shape (N,), int64.

    Raises:
        ParameterError: if there are more sentences than labels, or fewer.

    Source: ours
    """

    sentences: tuple[str, ...]
    y: Tensor

    def __post_init__(self) -> None:
        if self.y.shape != (len(self.sentences),):
            raise ParameterError(f"{len(self.sentences)} sentences need as many labels, got {tuple(self.y.shape)}")

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, rows: Rows) -> "Text":
        """Return some of the rows; a single number gives a Text of one row.

        Args:
            rows: as for a Split.

        Raises:
            IndexError: if a row does not exist.
        """
        chosen = Split(torch.arange(len(self)), self.y)[rows]
        return Text(tuple(self.sentences[row] for row in chosen.x.tolist()), chosen.y)

    def encode(self, words: Mapping[str, int], length: int) -> Split:
        """Return the sentences as numbers, with their labels.

        Args:
            words: a vocabulary.
            length: T, numbers per sentence.

        Returns:
            x of shape (N, T), int64; y of shape (N,), int64.
        """
        return Split(encode(self.sentences, words, length), self.y)

    def __repr__(self) -> str:
        return f"Text(N={len(self)})"


def tokenize(sentence: str) -> list[str]:
    """Return the words and the marks of a sentence, in lower case.

    Args:
        sentence: any text; apostrophes stay within their word.

    Example:
        >>> tokenize("It isn't good, at all!")
        ['it', "isn't", 'good', ',', 'at', 'all', '!']

    Source: ours
    """
    return re.findall(r"[\w']+|[^\w\s]", sentence.lower())


def vocabulary(sentences: Iterable[str], *, size: int | None = None, at_least: int = 1) -> dict[str, int]:
    """Number the words of some sentences, from 2 on; 0 and 1 mean padding and unknown.

    Args:
        sentences: the train sentences; a vocabulary made from test sentences would know too much.
        size: at most this many words; ``None`` for all.
        at_least: words that occur less often are left out, >= 1.

    Returns:
        word -> number, the most frequent word first, equally frequent ones in alphabetical order. A network needs an
        embedding of ``len(vocabulary) + 2`` rows.

    Raises:
        ParameterError: if size or at_least is below 1.

    Example:
        >>> vocabulary(["b a b", "c b"])
        {'b': 2, 'a': 3, 'c': 4}

    Source: ours
    """
    if at_least < 1 or (size is not None and size < 1):
        raise ParameterError(f"size and at_least are counts and must be >= 1, got {size} and {at_least}")
    counts = Counter(word for sentence in sentences for word in tokenize(sentence))
    ranked = sorted((word for word in counts if counts[word] >= at_least), key=lambda word: (-counts[word], word))
    return {word: number for number, word in enumerate(ranked[:size], start=2)}


def encode(sentences: Sequence[str], words: Mapping[str, int], length: int) -> Tensor:
    """Return sentences as rows of numbers.

    Args:
        sentences: N strings.
        words: a vocabulary.
        length: T; longer sentences are cut at the end, shorter ones end in zeros.

    Returns:
        Shape (N, T), int64: 0 = padding, 1 = unknown, otherwise the word's number.

    Raises:
        ParameterError: if length is below 1, or sentences is a single string.

    Example:
        >>> encode(["a good a"], {"a": 2}, length=5)
        tensor([[2, 1, 2, 0, 0]])

    Source: ours
    """
    if isinstance(sentences, str):
        raise ParameterError("sentences is a list of strings, got one string; put it in a list")
    if operator.index(length) < 1:
        raise ParameterError(f"length is a number of words and must be >= 1, got {length}")
    numbers = torch.full((len(sentences), length), PADDING, dtype=torch.int64)
    for row, sentence in enumerate(sentences):
        found = [words.get(word, UNKNOWN) for word in tokenize(sentence)[:length]]
        numbers[row, : len(found)] = torch.tensor(found, dtype=torch.int64)
    return numbers
