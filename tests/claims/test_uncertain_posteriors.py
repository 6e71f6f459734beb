"""The second half of the ledger of uncertainty counts right; nothing is trained but a few steps."""

import pytest
import torch
from tests.claims import claims_uncertain_second as second
from tests.claims.uncertain_posteriors import areas, needs, outside, resized, unseen
from tests.claims.uncertain_study import CLOTHES, DIGITS


@pytest.fixture
def told(monkeypatch):
    """Stored numbers of five seeds."""
    numbers: dict = {seed: {} for seed in second.SEEDS[DIGITS.name]}
    monkeypatch.setattr(second, "found", lambda study, seed, group: numbers[seed])
    monkeypatch.setattr(second, "stored", lambda study, group: numbers)
    return numbers


def test_oracle_gaps_are_means_over_conditions(told):
    told[0].update({"a, x": 1.0, "a, y": 2.0, "b, x": 0.5, "b, y": 0.5})
    assert second.mean_gap(DIGITS, "shifted", "a", "b", ("x", "y"), 0) == {"value": 1.0, "x": 0.5, "y": 1.5}


def test_oracle_a_method_that_strays_further_than_the_ensemble(told):
    for seed, numbers in told.items():
        numbers.update({f"evidential, {kind}": 0.1 * seed for kind in unseen(DIGITS)})
        numbers.update({f"ensemble, {kind}": 0.9 for kind in unseen(DIGITS)})
    assert second.spread(DIGITS, "evidential", 4)["value"] == pytest.approx(0.2)
    assert second.spread(DIGITS, "evidential", 2)["value"] == pytest.approx(0.0)


def test_oracle_what_is_left_of_doubt(told):
    told[0].update({"vacuity, 100": 0.2, "vacuity, 1000": 0.3, "information, 100": 0.1, "information, 1000": 0.02})
    assert second.shrunk(0)["value"] == pytest.approx(1.5)
    assert second.slower(0)["value"] == pytest.approx(1.3)


def test_oracle_areas_of_a_perfect_and_a_reversed_score():
    scores = {"sum": lambda x: x.sum(1), "minus": lambda x: -x.sum(1)}
    numbers = areas(scores, torch.zeros(3, 2), {"ones": torch.ones(4, 2)})
    assert numbers == {"sum, ones": 1.0, "minus, ones": 0.0}


def test_oracle_how_far_a_chain_lies_apart(told):
    told[0].update({"chain, weights apart": 0.3, "chain, answers apart": 0.1})
    assert second.apart(DIGITS, 0) == {"value": 0.3, "answers": 0.1}


def test_property_clothes_have_one_more_kind_outside():
    assert set(outside(CLOTHES)) - set(outside(DIGITS)) == {"objects"}
    assert "permuted" in outside(DIGITS)
    assert "permuted" not in unseen(DIGITS)
    assert set(needs(CLOTHES)) - set(needs(DIGITS)) == {"fashion-mnist", "cifar10-subset"}


def test_limit_images_from_outside_become_as_large_as_those_inside():
    images, like = torch.full((9, 1, 16, 16), 0.5), torch.zeros(4, 784, dtype=torch.float64)
    small = resized(images, like)
    assert small.dtype == torch.float64
    torch.testing.assert_close(small, torch.full((4, 784), 0.5, dtype=torch.float64))
    assert len(resized(images[:3], like)) == 3
