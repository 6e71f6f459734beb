"""Text: sentences become the same numbers on every machine."""

import pytest
import torch

from weightlore.data import Text, encode, tokenize, vocabulary
from weightlore.data.text import PADDING, UNKNOWN
from weightlore.errors import ParameterError


def some_text() -> Text:
    return Text(("a good film", "a bad film !", "", "Good"), torch.tensor([1, 0, 0, 1]))


def test_oracle_words_and_marks():
    assert tokenize("It isn't good, at ALL!") == ["it", "isn't", "good", ",", "at", "all", "!"]
    assert tokenize("ca n't -- 7.5") == ["ca", "n't", "-", "-", "7", ".", "5"]
    assert tokenize("  ") == []


def test_oracle_the_vocabulary_counts():
    words = vocabulary(["b a b", "c b", "a d"])
    assert words == {"b": 2, "a": 3, "c": 4, "d": 5}
    assert list(vocabulary(["b a b", "c b", "a d"], size=2)) == ["b", "a"]
    assert list(vocabulary(["b a b", "c b", "a d"], at_least=2)) == ["b", "a"]


def test_property_the_vocabulary_does_not_depend_on_the_order_of_sentences():
    sentences = ["z y x", "y w", "a b c y"]
    assert vocabulary(sentences) == vocabulary(sentences[::-1])


def test_oracle_encoding_pads_cuts_and_marks_the_unknown():
    words = {"a": 2, "good": 3}
    numbers = encode(["a good a", "", "good good good good good", "strange a"], words, 4)
    assert numbers.tolist() == [[2, 3, 2, 0], [0, 0, 0, 0], [3, 3, 3, 3], [1, 2, 0, 0]]
    assert numbers.dtype == torch.int64
    assert (PADDING, UNKNOWN) == (0, 1)


def test_property_what_is_encoded_can_be_read_back():
    sentences = ["a good film", "a bad film !"]
    words = vocabulary(sentences)
    back = {number: word for word, number in words.items()}
    rows = encode(sentences, words, 6).tolist()
    assert [" ".join(back[number] for number in row if number) for row in rows] == sentences
    assert encode(sentences, words, 6).max() < len(words) + 2


def test_limit_no_sentences():
    assert encode([], {}, 3).shape == (0, 3)
    assert vocabulary([]) == {}


def test_property_rows_of_a_text_stay_together():
    text = some_text()
    assert len(text) == 4
    assert text[1].sentences == ("a bad film !",)
    assert text[[3, 0]].sentences == ("Good", "a good film")
    assert text[[3, 0]].y.tolist() == [1, 1]
    assert text[text.y == 1].sentences == ("a good film", "Good")
    assert repr(text[:2]) == "Text(N=2)"
    split = text.encode({"good": 2}, 3)
    assert split.x.tolist() == [[1, 2, 1], [1, 1, 1], [0, 0, 0], [2, 0, 0]]
    assert split.y.tolist() == [1, 0, 0, 1]


def test_error_the_message_says_what_to_do():
    with pytest.raises(ParameterError, match="put it in a list"):
        encode("a sentence", {}, 3)
    with pytest.raises(ParameterError, match="must be >= 1, got 0"):
        encode(["a"], {}, 0)
    with pytest.raises(ParameterError, match="counts and must be >= 1"):
        vocabulary(["a"], size=0)
    with pytest.raises(ParameterError, match="counts and must be >= 1"):
        vocabulary(["a"], at_least=0)
    with pytest.raises(ParameterError, match=r"2 sentences need as many labels, got \(3,\)"):
        Text(("a", "b"), torch.zeros(3, dtype=torch.int64))
