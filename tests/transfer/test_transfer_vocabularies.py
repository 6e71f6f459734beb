"""A network of sentences that reads another vocabulary."""

import pytest
import torch

from weightlore.data import encode, vocabulary
from weightlore.errors import ParameterError
from weightlore.networks import recurrent, sequence
from weightlore.transfer import translated, translation

MOVIES = ("a good film", "a bad film , a bad plot", "good plot")
PHONES = ("a good phone", "bad phone , the battery", "the film on it")
SOURCE, TARGET = vocabulary(MOVIES), vocabulary(PHONES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def reader(kind="gru", dtype=torch.float32):
    rows = len(SOURCE) + 2
    return recurrent(kind, vocabulary=rows, embedding=4, hidden=5, classes=2, generator=seeded(), dtype=dtype)


def test_oracle_translated_tokens_are_those_that_the_source_makes_of_the_sentences():
    numbers = translation(SOURCE, TARGET)
    assert len(numbers) == len(TARGET) + 2
    assert torch.equal(numbers[encode(PHONES, TARGET, 7)], encode(PHONES, SOURCE, 7))
    assert numbers[:2].tolist() == [0, 1]
    assert (numbers == 1).sum() == 1 + len(set(TARGET) - set(SOURCE))


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_property_the_translated_source_gives_its_own_states_bit_for_bit(kind):
    network = reader(kind)
    given = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = translated(network, SOURCE, TARGET)
    x, y = encode(PHONES, TARGET, 7), encode(PHONES, SOURCE, 7)
    assert torch.equal(found.activations(x)[0], network.activations(y)[0])
    assert torch.equal(found(x), network(y))
    assert all(torch.equal(given[name], tensor) for name, tensor in network.state_dict().items())
    with torch.no_grad():
        found.layers[0].weight_ih.zero_()
        found.embedding.weight.zero_()
    assert all(torch.equal(given[name], tensor) for name, tensor in network.state_dict().items())


def test_property_words_that_both_know_share_rows_and_the_others_are_drawn():
    network = reader(dtype=torch.float64)
    made = translated(network, SOURCE, TARGET, generator=seeded(1))
    rows, numbers = made.embedding.weight, translation(SOURCE, TARGET)
    alone = [number for word, number in TARGET.items() if word not in SOURCE]
    common = [number for word, number in TARGET.items() if word in SOURCE]
    assert len(alone) == 5
    assert torch.equal(rows[common], network.embedding.weight[numbers[common]])
    assert torch.equal(rows[:2], network.embedding.weight[:2])
    assert not (rows[alone] == network.embedding.weight[1]).any()
    again = translated(network, SOURCE, TARGET, generator=seeded(1)).embedding.weight
    other = translated(network, SOURCE, TARGET, generator=seeded(2)).embedding.weight
    assert torch.equal(rows, again)
    assert not (rows[alone] == other[alone]).any()


def test_property_drawn_rows_are_of_the_size_of_the_sources():
    words = {str(number): number for number in range(2, 2002)}
    others = {f"new {number}": number for number in range(2, 2002)}
    network = recurrent("rnn", vocabulary=2002, embedding=8, hidden=2, classes=2, generator=seeded())
    with torch.no_grad():
        network.embedding.weight.mul_(0.3)
    rows = translated(network, words, others, generator=seeded(1)).embedding.weight[2:].detach()
    assert abs(float(rows.square().mean().sqrt()) - 0.3) < 0.01
    assert abs(float(rows.mean())) < 0.01


def test_property_padding_gets_no_gradient_and_frozen_stays_frozen():
    made = translated(reader(), SOURCE, TARGET, generator=seeded())
    made(encode(PHONES, TARGET, 9)).sum().backward()
    assert not made.embedding.weight.grad[0].any()
    assert made.embedding.weight.grad[2:].any()
    frozen = reader().requires_grad_(False)
    assert not any(p.requires_grad for p in translated(frozen, SOURCE, TARGET).parameters())


def test_limit_the_same_vocabulary_and_one_with_gaps():
    network = reader()
    assert torch.equal(
        translated(network, SOURCE, SOURCE, generator=seeded()).embedding.weight, network.embedding.weight
    )
    assert translation(SOURCE, {"good": 5}).tolist() == [0, 1, 1, 1, 1, SOURCE["good"]]


def test_error_vocabularies():
    with pytest.raises(ParameterError, match="target's vocabulary must number at least one word, from 2 on"):
        translation(SOURCE, {})
    with pytest.raises(ParameterError, match=r"source's vocabulary .* make it by weightlore\.data\.vocabulary"):
        translation({"a": 1}, TARGET)
    with pytest.raises(ParameterError, match="goes up to 99, but its network has an embedding of"):
        translated(reader(), SOURCE | {"z": 99}, TARGET)
    with pytest.raises(ParameterError, match="only a network that reads tokens"):
        translated(sequence("rnn", inputs=2, hidden=2, classes=2, generator=seeded()), SOURCE, TARGET)
