"""Pairs of sets of sentences; with the real sets where they are at hand."""

import pytest
import torch

from weightlore.data import Split, Text, encode
from weightlore.errors import ParameterError
from weightlore.networks import recurrent
from weightlore.training import adam, evaluate, fit
from weightlore.transfer import PTURecurrent, all_sentences, cached, gate_adam, sentence_pair, sentence_pairs

MOVIES = Text(("a good film", "a bad film", "", "good !"), torch.tensor([1, 0, 0, 1]))
MORE = Text(("so bad",), torch.tensor([0]))
PHONES = Text(tuple(f"phone number {word} is good" for word in "abcdefghij"), torch.arange(10) % 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_property_all_of_the_source_and_three_parts_of_the_target():
    pair = sentence_pair(MOVIES, PHONES, length=6, generator=seeded())
    kept = ["a good film", "a bad film", "good !"]  # the one without words is left out
    assert torch.equal(pair.source.x, encode(kept, pair.source_words, 6))
    assert pair.source.y.tolist() == [1, 0, 1]
    assert [len(part) for part in (pair.train, pair.validation, pair.test)] == [6, 2, 2]
    letters = {number: word for word, number in pair.words.items() if len(word) == 1}
    assert len(letters) == 6  # of the train sentences alone
    seen = {letters[int(row[2])] for row in pair.train.x}
    assert len(seen) == 6
    assert all(int(row[2]) == 1 for part in (pair.validation, pair.test) for row in part.x)
    for row, label in zip(pair.train.x, pair.train.y, strict=True):
        assert int(label) == "abcdefghij".index(letters[int(row[2])]) % 2


def test_property_the_generator_alone_divides_the_target():
    pairs = [sentence_pair(MOVIES, PHONES, length=5, generator=seeded(seed)) for seed in (1, 1, 2)]
    assert torch.equal(pairs[0].train.x, pairs[1].train.x)
    assert pairs[0].words != pairs[2].words
    few = sentence_pair(MOVIES, PHONES, length=2, size=3, generator=seeded())
    assert few.rows == few.source_rows == 5
    assert few.train.x.shape == (6, 2)


def test_property_a_network_of_the_source_reads_the_target():
    pair = sentence_pair(MOVIES, PHONES, length=5, generator=seeded())
    network = recurrent("gru", vocabulary=pair.source_rows, embedding=3, hidden=3, classes=2, generator=seeded())
    read, drawn = pair.read(network), pair.read(network, generator=seeded())
    good = pair.words["good"], pair.source_words["good"]
    phone = pair.words["phone"]
    for made in (read, drawn):
        assert made.embedding.weight.shape == (pair.rows, 3)
        assert torch.equal(made.embedding.weight[good[0]], network.embedding.weight[good[1]])
    assert torch.equal(read.embedding.weight[phone], network.embedding.weight[1])
    assert not torch.equal(drawn.embedding.weight[phone], network.embedding.weight[1])


def test_property_all_parts_of_a_set(monkeypatch):
    monkeypatch.setattr(sentence_pairs, "fetch", lambda name: {"train": MOVIES, "test": MORE})
    found = all_sentences("sst2")
    assert found.sentences == (*MOVIES.sentences, "so bad")
    assert found.y.tolist() == [1, 0, 0, 1, 0]


def test_error_sets_that_are_no_pair(monkeypatch):
    with pytest.raises(ParameterError, match=r"share 10 of the target's 10 sentences, .* different origin"):
        sentence_pair(PHONES, PHONES, generator=seeded())
    with pytest.raises(ParameterError, match="at least 5 to divide, got 10 and 3"):
        sentence_pair(PHONES, MOVIES, generator=seeded())
    with pytest.raises(ParameterError, match="got 0 and 10"):
        sentence_pair(Text(("", " "), torch.tensor([0, 1])), PHONES, generator=seeded())
    monkeypatch.setattr(sentence_pairs, "fetch", lambda name: {"train": Split(torch.zeros(1, 2), torch.zeros(1))})
    with pytest.raises(ParameterError, match="'usps' holds no sentences"):
        all_sentences("usps")


@pytest.mark.usefixtures("mirror")
def test_property_of_the_sets_of_sentences_mr_and_sst2_alone_are_no_pair():
    names = ("mr", "cr", "sls-imdb", "sls-amazon", "sls-yelp")
    for source, target in zip(names, (*names[1:], "mr"), strict=True):
        sentence_pair(all_sentences(source), all_sentences(target), generator=seeded())
    with pytest.raises(ParameterError, match=r"share \d{4} of the target's 9613 sentences"):
        sentence_pair(all_sentences("mr"), all_sentences("sst2"), generator=seeded())


def test_error_sizes():
    with pytest.raises(ParameterError, match="length is a number of words"):
        sentence_pair(MOVIES, PHONES, length=0, generator=seeded())
    with pytest.raises(ParameterError, match="size"):
        sentence_pair(MOVIES, PHONES, size=0, generator=seeded())


@pytest.mark.slow
@pytest.mark.usefixtures("mirror")
def test_claim_units_learn_to_judge_products_beside_a_network_that_knows_movies():
    g = seeded()
    pair = sentence_pair(all_sentences("mr"), all_sentences("cr"), length=20, size=2000, generator=g)
    assert [len(part) for part in (pair.source, pair.train, pair.validation, pair.test)] == [10662, 2262, 754, 755]
    network = recurrent("gru", vocabulary=pair.source_rows, embedding=16, hidden=16, classes=2, generator=g)
    fit(network, pair.source, generator=g, epochs=2, batch_size=128, optimizer=adam(1e-2))
    net = PTURecurrent(pair.read(network), pair.read(network, generator=g), pair.train.x[:50], generator=g)
    fast, (train, test) = cached(net, pair.train, pair.test)
    fit(fast, train, generator=g, epochs=4, batch_size=32, optimizer=gate_adam(net, 5e-3))
    share = max(float((pair.test.y == label).double().mean()) for label in (0, 1))
    found = evaluate(net, pair.test)
    assert found.accuracy == evaluate(fast, test).accuracy
    assert found.accuracy > share + 0.03  # five seeds: 0.05 to 0.10 above
