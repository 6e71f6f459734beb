"""Integrated gradients are those of captum, but for its trapezoid, whose weights do not add up to one."""

import json

import pytest
import torch
from tests.attribution.peers import paths_of_captum as peer
from tests.attribution.peers.gradients_of_captum import BASELINE, TARGET, case
from torch import nn

from weightlore.attribution import integrated_gradients

STORED = json.loads(peer.STORED.read_text(encoding="utf-8"))["attributions"]
CASES = [(name, rule, nodes) for name in peer.NETWORKS for rule in peer.RULES for nodes in peer.NODES]


def ours(name, rule, nodes):
    """What captum should find: its trapezoid takes N nodes, so N - 1 intervals, and gives each the weight of N."""
    model, x = case(name)
    count = nodes - 1 if rule == "trapezoid" else nodes
    values = integrated_gradients(model, x, TARGET, baseline=BASELINE, rule=rule, nodes=count).values
    return values * (nodes - 1) / nodes if rule == "trapezoid" else values


@pytest.mark.parametrize(("name", "rule", "nodes"), CASES)
def test_oracle_attributions_are_those_stored_from_captum(name, rule, nodes):
    stored = torch.tensor(STORED[name][rule][str(nodes)], dtype=torch.float64)
    assert (ours(name, rule, nodes) - stored).abs().max() < 1e-7  # captum keeps weights in float32
    assert stored.abs().max() > 1e-3


@pytest.mark.parametrize(("name", "rule", "nodes"), CASES)
@pytest.mark.filterwarnings("ignore")
def test_oracle_captum_itself_agrees(name, rule, nodes):
    pytest.importorskip("captum.attr", reason="captum is compared live where it is installed: make peers")
    assert (ours(name, rule, nodes) - peer.integrated(*case(name), rule, nodes)).abs().max() < 1e-7


@pytest.mark.parametrize("name", peer.NETWORKS)
def test_limit_the_trapezoid_of_captum_loses_one_part_in_n(name):
    model, x = case(name)
    for nodes in peer.NODES:
        stored = torch.tensor(STORED[name]["trapezoid"][str(nodes)], dtype=torch.float64)
        full = integrated_gradients(model, x, TARGET, baseline=BASELINE, rule="trapezoid", nodes=nodes - 1)
        large = full.values.abs() > 0.3 * full.values.abs().max()
        shares = stored[large] / full.values[large]
        assert len(shares) > 5
        assert (shares - (nodes - 1) / nodes).abs().max() < 1e-5


@pytest.mark.parametrize(("nodes", "share"), [(2, 0.5), (5, 0.8), (50, 0.98)])
@pytest.mark.filterwarnings("ignore")
def test_limit_on_a_line_captum_finds_a_share_of_the_difference(nodes, share):
    found = pytest.importorskip("captum.attr", reason="captum is compared live where it is installed: make peers")
    model = nn.Linear(3, 1, bias=False).double().eval()
    x = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    theirs = found.IntegratedGradients(model).attribute(x, target=0, n_steps=nodes, method="riemann_trapezoid")
    mine = integrated_gradients(model, x, 0, baseline=0.0, rule="trapezoid", nodes=nodes)
    assert torch.allclose(theirs.detach(), share * mine.values, atol=1e-6)
    assert mine.gap.abs().max() < 1e-14
