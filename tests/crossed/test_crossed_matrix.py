"""Pairs of fates, and one experiment of each kind."""

import pytest
import torch
from tests.crossed.crossed_networks import EPOCHS, seeded

from weightlore.crossed import (
    FATES,
    PAIRS,
    PREPARATIONS,
    QUESTIONS,
    WITHOUT_SENSE,
    Crossing,
    agrees,
    attacked,
    cross,
    experiments,
    prepare,
)
from weightlore.errors import ParameterError


def seeds(seed):
    return torch.randint(2**62, (3,), generator=seeded(seed)).tolist()


def test_property_all_thirty_pairs_have_an_experiment():
    assert [(pair.first, pair.second) for pair in PAIRS] == [(a, b) for a in FATES for b in FATES if a != b]
    assert len(PAIRS) == 30
    assert all(pair.experiments for pair in PAIRS)
    for pair in PAIRS:
        for first, second in pair.experiments:
            assert (PREPARATIONS[first].fate, QUESTIONS[second].fate) == (pair.first, pair.second)


def test_property_what_says_nothing_has_a_reason_and_is_in_no_pair():
    asked = {one for pair in PAIRS for one in pair.experiments}
    assert not asked & set(WITHOUT_SENSE)
    for (first, second), reason in WITHOUT_SENSE.items():
        assert first in PREPARATIONS
        assert second in QUESTIONS
        assert len(reason) > 20


def test_oracle_a_crossing_is_two_preparations_and_two_answers():
    found = cross("narrowed", "attacked", generator=seeded(7), epochs=EPOCHS)
    seed, *_ = seeds(7)
    network, healthy = (prepare(name, generator=seeded(seed), epochs=EPOCHS) for name in ("narrowed", "healthy"))
    assert found == Crossing("narrowed", "attacked", attacked(network), attacked(healthy))
    assert found.gain == pytest.approx(found.value - found.control)


def test_oracle_explanations_are_compared_beside_another_healthy_network():
    found = cross("struck", "agrees-signed", generator=seeded(7), epochs=EPOCHS)
    seed, other, _ = seeds(7)
    healthy, second = (prepare("healthy", generator=seeded(s), epochs=EPOCHS) for s in (seed, other))
    assert found.control == agrees(second, healthy, sign="signed") < found.value


def test_limit_the_healthy_network_gains_nothing_over_itself():
    assert cross("healthy", "surprised", generator=seeded(1), epochs=EPOCHS).gain == 0


def test_property_a_generator_advances_alike_whatever_is_crossed():
    states = []
    for first, second in (("struck", "nonzero"), ("ensembled", "tells-apart")):
        generator = seeded(5)
        cross(first, second, generator=generator, epochs=EPOCHS)
        states.append(generator.get_state())
    assert torch.equal(*states)


@pytest.mark.parametrize("name", QUESTIONS)
def test_property_a_gain_is_better_in_the_direction_of_the_question(name):
    question = QUESTIONS[name]
    assert question.name == name
    assert question.gain(2.0, 2.0) == 0
    assert (question.gain(3.0, 2.0) > 0) == (question.better == "larger")
    assert Crossing("struck", name, 3.0, 2.0).gain == question.gain(3.0, 2.0)


def test_error_what_cannot_be_crossed_is_said():
    with pytest.raises(ParameterError, match=r"a weight of one bit needs one cell.*choose another question"):
        cross("binarized", "nonzero", generator=seeded())
    with pytest.raises(ParameterError, match="a question is one of"):
        cross("binarized", "corrupted", generator=seeded())
    with pytest.raises(ParameterError, match="a preparation is one of"):
        cross("corrupted", "attacked", generator=seeded())
    with pytest.raises(ParameterError, match=r"a fate is one of 'corrupted', .*, got 'struck'"):
        experiments("struck", "sliced")
