"""Wires against CrossSim's iterative solver: stored numbers always, CrossSim itself where its source is at hand."""

import json
import os

import pytest
import torch
from tests.crossbar.peers import wires_crosssim as peer

from weightlore.crossbar.wires import Wires, solve_wires

CROSSSIM = os.environ.get("CROSSSIM")


def ours(number, method):
    rows, columns, along, down = peer.CASES[number]
    return solve_wires(*peer.case(rows, columns), Wires(row=along, column=down, method=method))


@pytest.mark.parametrize("method", ["nodal", "transfer", "relaxation"])
@pytest.mark.parametrize("number", range(len(peer.CASES)))
def test_oracle_currents_are_those_stored_from_crosssim(number, method):
    content = json.loads(peer.STORED.read_text(encoding="utf-8"))
    theirs = torch.tensor(content["currents"][number], dtype=torch.float64)
    assert content["versions"]["CrossSim"] == "3.2.0"
    assert (ours(number, method) / theirs - 1).abs().max() < 1e-8
    cells, volts = peer.case(*peer.CASES[number][:2])
    assert (theirs.sum() / (volts @ cells).sum()) < 0.999, "the wires matter in what is compared"


@pytest.mark.skipif(not CROSSSIM, reason="CrossSim is compared live where CROSSSIM names the folder of its source")
def test_oracle_crosssim_itself_agrees():
    for number, theirs in enumerate(peer.currents(CROSSSIM)):
        assert (ours(number, "transfer") / torch.tensor(theirs, dtype=torch.float64) - 1).abs().max() < 1e-8
