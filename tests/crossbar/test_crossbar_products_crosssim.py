"""Bit-sliced products against CrossSim's: stored numbers always, CrossSim itself where its source is at hand."""

import json
import os

import pytest
import torch
from tests.crossbar.peers import products_crosssim as peer

from weightlore.crossbar import Adc, Crossbar, CrossbarConfig

CROSSSIM = os.environ.get("CROSSSIM")
CONVERTERS = {
    "ideal": Adc(),
    "converted": Adc(bits=3, step="full_scale", range="user", full_scale=peer.FULL_SCALE),
}


def ours(number, kind, engine="auto"):
    w, x = peer.case(*peer.SHAPES[number])
    return Crossbar.program(w, CrossbarConfig(rows=128, adc=CONVERTERS[kind]))(x, engine=engine)


@pytest.mark.parametrize("engine", ["reference", "torch"])
@pytest.mark.parametrize("kind", CONVERTERS)
@pytest.mark.parametrize("number", range(len(peer.SHAPES)))
def test_oracle_integers_are_those_stored_from_crosssim(number, kind, engine):
    content = json.loads(peer.STORED.read_text(encoding="utf-8"))
    theirs = torch.tensor(content[kind][number], dtype=torch.float64)
    assert content["versions"]["CrossSim"] == "3.2.0"
    assert (theirs - theirs.round()).abs().max() < 1e-6, "whole numbers, up to rounding"
    assert torch.equal(ours(number, kind, engine), theirs.round())


def test_property_the_converters_matter_in_what_is_compared():
    assert all(not torch.equal(ours(n, "ideal"), ours(n, "converted")) for n in range(len(peer.SHAPES)))


@pytest.mark.skipif(not CROSSSIM, reason="CrossSim is compared live where CROSSSIM names the folder of its source")
@pytest.mark.parametrize("kind", CONVERTERS)
def test_oracle_crosssim_itself_agrees(kind):
    full_scale = peer.FULL_SCALE if kind == "converted" else None
    for number, theirs in enumerate(peer.products(CROSSSIM, full_scale)):
        assert torch.equal(ours(number, kind), torch.tensor(theirs, dtype=torch.float64).round())
