"""Pairs of tasks on sentences: is it praise or not, of one kind of thing and of another.

Each set has its own vocabulary, as it would if a network had been trained years ago: what the source network knows is
brought to the target's words by ``translated``.

    pair = sentence_pair(all_sentences("mr"), all_sentences("cr"), generator=g)     movies -> cameras and phones
    network = recurrent("gru", vocabulary=pair.source_rows, ...)                    trained on pair.source
    source = pair.read(network)                               reads pair.train, pair.validation and pair.test
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from weightlore.data import Split, Text, fetch, tokenize, vocabulary
from weightlore.errors import ParameterError
from weightlore.networks import Recurrent
from weightlore.transfer.vocabularies import translated

__all__ = ["SentencePair", "all_sentences", "sentence_pair"]


@dataclass(frozen=True)
class SentencePair:
    """A source task and a target task on sentences, each in its own vocabulary.

    Args:
        source: sentences to train the source network on, x of shape (N, T), int64, in the source's numbers.
        train: of the target, in its own numbers; few labels are drawn from it.
        validation: of the target, for choices.
        test: of the target.
        source_words: word -> number of the source.
        words: word -> number of the target, from its train sentences; their labels are not looked at.

    Source: ours
    """

    source: Split
    train: Split
    validation: Split
    test: Split
    source_words: Mapping[str, int]
    words: Mapping[str, int]

    @property
    def source_rows(self) -> int:
        """Rows of the embedding of a network for the source."""
        return len(self.source_words) + 2

    @property
    def rows(self) -> int:
        """Rows of the embedding of a network for the target."""
        return len(self.words) + 2

    def read(self, network: Recurrent, *, generator: torch.Generator | None = None) -> Recurrent:
        """Return a copy of a network of the source that reads the target's sentences; see ``translated``."""
        return translated(network, self.source_words, self.words, generator=generator)


def sentence_pair(
    source: Text, target: Text, *, length: int = 30, size: int = 3000, generator: torch.Generator
) -> SentencePair:
    """Return two sets of sentences as source and target.

    The sentences of the target are shuffled and divided: three fifths to train, one fifth each to validate and to test.
    The source gives all its sentences. Those without a word are left out.

    Args:
        source: what the source network learns, such as ``all_sentences("mr")``.
        target: what is to be learned from few labels.
        length: T, words of a sentence; longer ones are cut.
        size: at most this many words in each vocabulary, the most frequent ones.
        generator: shuffles the target.

    Raises:
        ParameterError: if more than one in a hundred of the target's sentences are also the source's, which would then
            know the answers; or the target has fewer than five sentences; or a number is below 1.

    Source: [mou2016transferable], who transfer between sets of sentences; the pairs are ours
    """
    theirs, ours = _with_words(source), _with_words(target)
    _require_pair(theirs, ours)
    ours = ours[torch.randperm(len(ours), generator=generator, device=generator.device)]
    first, second = 3 * len(ours) // 5, 4 * len(ours) // 5
    source_words = vocabulary(theirs.sentences, size=size)
    words = vocabulary(ours[:first].sentences, size=size)
    train, validation, test = (
        ours[rows].encode(words, length) for rows in (slice(first), slice(first, second), slice(second, None))
    )
    return SentencePair(theirs.encode(source_words, length), train, validation, test, source_words, words)


def all_sentences(name: str) -> Text:
    """Return all sentences of a set that can be fetched, of whichever part.

    Args:
        name: ``"mr"``, ``"cr"``, ``"sst2"``, ``"sls-imdb"``, ``"sls-amazon"`` or ``"sls-yelp"``.

    Raises:
        ParameterError: if the set holds no sentences.
        DataError: if it cannot be had.

    Source: ours, because which part is for what is decided by ``sentence_pair``
    """
    parts = list(fetch(name).values())
    if not all(isinstance(part, Text) for part in parts):
        raise ParameterError(f"{name!r} holds no sentences; sets that do are 'mr', 'cr', 'sst2' and 'sls-...'")
    return Text(tuple(s for part in parts for s in part.sentences), torch.cat([part.y for part in parts]))


def _with_words(text: Text) -> Text:
    return text[[row for row, sentence in enumerate(text.sentences) if tokenize(sentence)]]


def _require_pair(source: Text, target: Text) -> None:
    if not len(source) or len(target) < 5:
        raise ParameterError(
            f"a pair needs sentences to learn from and at least 5 to divide, got {len(source)} and {len(target)}"
        )
    known = {tuple(tokenize(sentence)) for sentence in source.sentences}
    shared = sum(tuple(tokenize(sentence)) in known for sentence in target.sentences)
    if shared > len(target) / 100:
        raise ParameterError(
            f"source and target share {shared} of the target's {len(target)} sentences, so that the source would know "
            "answers; take sets of different origin (SST-2 is part of MR)"
        )
