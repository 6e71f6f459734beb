"""Batch normalization with the statistics of random batches: torch's own training pass is the oracle."""

import copy

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty.bayesian import MCBatchNorm, NormWithStatistics, drawing, mc_batch_norm


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def network():
    """A convolution and a fully connected layer, each with a normalization that has seen something."""
    net = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(108, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 10)),
    ).double()
    for number, parameter in enumerate(net.parameters()):
        parameter.data = normal(*parameter.shape, seed=number) / max(parameter[0].numel(), 1) ** 0.5
    net(images(100, start=300))
    return net.eval()


def images(count, start=0):
    return digits("train").x[start : start + count].reshape(-1, 1, 8, 8)


def data(count=64):
    return Split(images(count), digits("train").y[:count])


def test_oracle_a_batch_of_everything_is_a_training_pass():
    net, seen = network(), data(40)
    found = mc_batch_norm(net, seen.x, data=seen, batch_size=40, samples=2, generator=seeded())
    trained = copy.deepcopy(net).train()(seen.x).softmax(1)
    torch.testing.assert_close(found.probs, trained.expand(2, 40, 10).detach(), rtol=1e-9, atol=1e-12)
    assert float(found.mutual_information().max()) < 1e-12, "every such batch is the same"


def test_oracle_statistics_of_the_rows_that_were_drawn():
    """With momentum 1, torch keeps the statistics of one batch, with a variance for small samples."""
    net, seen, x = network(), data(), images(9, start=200)
    found = mc_batch_norm(net, x, data=seen, batch_size=16, samples=1, generator=seeded(3))
    rows = torch.randperm(64, generator=seeded(3))[:16]
    theirs = copy.deepcopy(net)
    for norm, count in ((theirs[1], 16 * 36), (theirs[5], 16)):
        norm.train().momentum = 1.0
        theirs(seen.x[rows])
        norm.eval()
        norm.running_var *= (count - 1) / count
    torch.testing.assert_close(found.probs[0], theirs(x).softmax(1).detach(), rtol=1e-9, atol=1e-12)


def test_property_small_batches_disagree_more():
    net, seen, x = network(), data(), images(20, start=200)
    small, large = (
        mc_batch_norm(net, x, data=seen, batch_size=size, samples=20, generator=seeded()).mutual_information().mean()
        for size in (4, 48)
    )
    assert small > 2 * large > 0


def test_property_rows_do_not_meet_and_the_model_is_left_alone():
    net, seen, x = network(), data(), images(12, start=200)
    before, state = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    members = MCBatchNorm(net, seen, batch_size=8)
    whole, parts = (members.predict(x, samples=3, generator=seeded(), batch_size=size).probs for size in (100, 5))
    torch.testing.assert_close(whole, parts, rtol=1e-10, atol=1e-12)
    assert torch.equal(members.eval()(x), net(x)), "outside a prediction the statistics are those of training"
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(isinstance(layer, NormWithStatistics) for layer in net.modules())


def test_property_a_failing_pass_leaves_no_statistics():
    members = MCBatchNorm(network(), data(), batch_size=8).eval()
    with pytest.raises(RuntimeError), drawing(members, seeded()):
        members(torch.zeros(2, 5, 8, 8).double())
    x = images(3)
    assert torch.equal(members(x), network()(x))


def test_limit_a_normalization_in_two_places_and_a_regression():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2).double()

        def forward(self, x):
            return self.norm(x.exp() + self.norm(x))

    x = normal(30, 2)
    seen = Split(x, torch.zeros(30, dtype=torch.int64))
    net = Twice().eval()
    found = mc_batch_norm(net, x, data=seen, batch_size=30, samples=1, generator=seeded(), noise_variance=0.5)
    torch.testing.assert_close(found.mean, copy.deepcopy(net).train()(x).detach())
    assert torch.equal(found.aleatoric_var, torch.full_like(found.mean, 0.5))


def test_error_batches_and_networks_that_do_not_fit():
    for size in (1, 65):
        with pytest.raises(ParameterError, match="from 2, for a variance, to the 64"):
            MCBatchNorm(network(), data(), batch_size=size)
    with pytest.raises(ParameterError, match="no batch normalization"):
        MCBatchNorm(mlp((64, 4, 10), generator=seeded()), digits("train")[:20], batch_size=4)
    with pytest.raises(ParameterError, match="drawing"):
        MCBatchNorm(network(), data(), batch_size=8)(images(2))
