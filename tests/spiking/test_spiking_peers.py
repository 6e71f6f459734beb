"""The same weights and inputs give the same spikes in other packages: stored always, live where they are installed."""

import json

import pytest
import torch
from tests.spiking.peers import spikes_of_peers as peers

from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

CONTENT = json.loads(peers.STORED.read_text(encoding="utf-8"))
STRICT = ("snntorch", "norse")  # they fire above the threshold, not at it
STORED = [
    (name, label, network) for name in peers.PEERS for label in CONTENT["spikes"][name] for network in peers.NETWORKS
]
SAME = [one for one in STORED if not (one[0] in STRICT and one[1] == "meeting")]


def neuron(label):
    kind = peers.KINDS[label]
    return Neuron(threshold=kind.threshold, reset="zero" if kind.hard else "subtract", leak=kind.leak)


def ours(label, network, **how):
    synapses, x = peers.case(network)
    spiking = SpikingNetwork([SpikingLayer(synapse, neuron(label)) for synapse in synapses])
    found = simulate(spiking, x, peers.STEPS, record=range(1, len(synapses) + 1), **how)
    return [found.spikes[number] for number in sorted(found.spikes)]


def live(name, label, network):
    return peers.trains(network, peers.PEERS[name](peers.KINDS[label]))


@pytest.mark.parametrize("how", [{"engine": "torch"}, {"engine": "torch", "chunk": 5}, {"engine": "numba"}], ids=str)
@pytest.mark.parametrize(("name", "label", "network"), SAME)
def test_oracle_spikes_are_those_stored_from_others(name, label, network, how):
    if how["engine"] == "numba":
        pytest.importorskip("numba")
    assert peers.summary(ours(label, network, **how)) == CONTENT["spikes"][name][label][network]


def test_property_each_stored_spike_count_is_of_the_version_that_the_extra_names():
    assert set(CONTENT["versions"]) == set(peers.PEERS)
    assert {(label, network) for _, label, network in SAME} == {(a, b) for a in peers.KINDS for b in peers.NETWORKS}


@pytest.mark.parametrize("network", peers.NETWORKS)
def test_property_the_kinds_differ_in_what_is_compared(network):
    found = [peers.summary(ours(label, network)) for label in peers.KINDS]
    assert all(found[i] != found[j] for i in range(len(found)) for j in range(i))


@pytest.mark.parametrize("network", peers.NETWORKS)
def test_limit_where_a_potential_meets_the_threshold_snntorch_goes_another_way(network):
    stored = CONTENT["spikes"]
    assert peers.summary(ours("meeting", network)) != stored["snntorch"]["meeting"][network]
    assert stored["spikingjelly"]["meeting"][network] == stored["sinabs"]["meeting"][network]


@pytest.mark.parametrize(("name", "label", "network"), SAME)
def test_oracle_the_package_itself_agrees(name, label, network):
    pytest.importorskip(name, reason=f"{name} is compared live where it is installed: make peers")
    for mine, theirs in zip(ours(label, network), live(name, label, network), strict=True):
        assert torch.equal(mine, theirs != 0)
