"""Ideal arrays against a perfect tile of aihwkit: stored numbers always, aihwkit itself where it is installed."""

import json

import pytest
import torch
from tests.crossbar.peers import perfect_aihwkit as peer
from tests.crossbar.peers.products_crosssim import SHAPES, case

from weightlore.crossbar import Adc, Crossbar, CrossbarConfig

CASES = range(len(SHAPES))
ENCODINGS = ("differential", "offset", "twos_complement", "signed_digit")


def ours(number, encoding="differential", **options):
    weights, inputs = case(*SHAPES[number])
    return Crossbar.program(weights, CrossbarConfig(encoding=encoding, **options))(inputs)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("number", CASES)
def test_oracle_ideal_arrays_multiply_as_the_perfect_tile_stored(number, encoding):
    content = json.loads(peer.STORED.read_text(encoding="utf-8"))
    assert content["versions"]["aihwkit"] == "1.1.0"
    assert torch.equal(ours(number, encoding), torch.tensor(content["products"][number], dtype=torch.float64))


@pytest.mark.parametrize("number", CASES)
def test_property_arrays_that_are_not_ideal_differ_from_the_perfect_tile(number):
    stored = json.loads(peer.STORED.read_text(encoding="utf-8"))["products"][number]
    assert not torch.equal(ours(number, adc=Adc(bits=3)), torch.tensor(stored, dtype=torch.float64))


def test_oracle_the_perfect_tile_itself_agrees():
    pytest.importorskip("aihwkit.nn", reason="aihwkit is not installed")
    state = torch.get_rng_state()
    for number in CASES:
        assert torch.equal(ours(number), peer.product(*case(*SHAPES[number])).double())
    assert torch.equal(torch.get_rng_state(), state)
