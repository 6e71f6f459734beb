"""Ensembles: what members learn, and what they say together."""

import copy

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import adam, fit, sgd
from weightlore.uncertainty import CategoricalPrediction, GaussianPrediction
from weightlore.uncertainty.deterministic import GaussianHead
from weightlore.uncertainty.ensembles import DeepEnsemble, fit_ensemble


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(n=60, classes=3, seed=1):
    y = torch.arange(n) % classes
    x = torch.randn(n, 4, generator=seeded(seed), dtype=torch.float64)
    x[:, :classes] += 2 * nn.functional.one_hot(y, classes)
    return Split(x, y)


def line(n=40, seed=2):
    x = torch.linspace(-1, 1, n, dtype=torch.float64)[:, None]
    return Split(x, 3 + 2 * x + 0.1 * torch.randn(n, 1, generator=seeded(seed), dtype=torch.float64))


def small(generator):
    return mlp((4, 8, 3), generator=generator)


def regressor(y):
    def make(generator):
        trunk = mlp((1, 8, 8), generator=generator)
        return nn.Sequential(trunk, nn.Tanh(), GaussianHead(8, y, generator=generator))

    return make


class Fixed(nn.Module):
    def __init__(self, *output):
        super().__init__()
        self.output = output

    def forward(self, x):
        parts = tuple(part.expand(len(x), -1) for part in self.output)
        return parts[0] if len(parts) == 1 else parts


def test_oracle_probabilities_are_those_of_the_members():
    x, nets = blobs().x, tuple(small(seeded(s)) for s in range(3))
    found = DeepEnsemble(nets).predict(x)
    assert isinstance(found, CategoricalPrediction)
    wanted = torch.stack([net(x).softmax(-1) for net in nets])
    assert torch.equal(found.probs, wanted)
    torch.testing.assert_close(found.mean, sum(net(x).softmax(-1) for net in nets) / 3)


def test_oracle_moments_of_the_mixture_of_gaussians():
    means, variances = torch.tensor([0.0, 4.0, 5.0]).double(), torch.tensor([1.0, 2.0, 9.0]).double()
    nets = [Fixed(m.reshape(1, 1), v.reshape(1, 1)) for m, v in zip(means, variances, strict=True)]
    found = DeepEnsemble(tuple(nets)).predict(torch.zeros(2, 1).double())
    assert isinstance(found, GaussianPrediction)
    torch.testing.assert_close(found.mean, torch.full((2, 1), 3.0).double())
    second = (variances + means**2).mean() - means.mean() ** 2
    torch.testing.assert_close(found.variance, second.expand(2, 1))
    assert torch.equal(found.member_means[:, 0, 0], means)


def test_property_a_member_is_what_it_would_be_alone():
    data = blobs()
    ensemble = fit_ensemble(small, data, members=3, generator=seeded(5), epochs=3, batch_size=16)
    seeds = [int(torch.randint(2**62, (), generator=source)) for source in [seeded(5)] for _ in range(3)]
    for member, seed in zip(ensemble.members, seeds, strict=True):
        own = seeded(seed)
        torch.randint(2**62, (), generator=own)
        alone = small(own)
        fit(alone, data, generator=own, epochs=3, batch_size=16)
        torch.testing.assert_close(flatten(member), flatten(alone), rtol=1e-10, atol=1e-12)


def test_property_fewer_members_are_the_first_ones():
    many, few = (
        fit_ensemble(small, blobs(), members=s, generator=seeded(), epochs=2, batch_size=16).members for s in (4, 2)
    )
    for one, other in zip(many, few, strict=False):
        torch.testing.assert_close(flatten(one), flatten(other), rtol=1e-10, atol=1e-12)


def test_property_members_differ_and_are_ready_for_use():
    ensemble = fit_ensemble(small, blobs(), members=3, generator=seeded(), epochs=2)
    thetas = torch.stack([flatten(member) for member in ensemble.members])
    assert len(ensemble) == 3
    assert torch.cdist(thetas, thetas)[0, 1:].min() > 0.1
    assert not any(module.training for member in ensemble.members for module in member.modules())


def test_property_modules_that_draw_from_the_global_state_are_seeded_for_the_call():
    def make(generator):
        return nn.Linear(4, 3).double()

    before = torch.get_rng_state()
    one, other = (fit_ensemble(make, blobs(), members=2, generator=seeded(), epochs=1).members for _ in range(2))
    assert torch.equal(flatten(one[0]), flatten(other[0]))
    assert not torch.equal(flatten(one[0]), flatten(one[1]))
    assert torch.equal(torch.get_rng_state(), before)


def test_property_prediction_does_not_depend_on_blocks_and_leaves_members_alone():
    nets = tuple(nn.Sequential(small(seeded(s)), nn.Dropout(0.5)) for s in range(2))
    modes, kept = [net.training for net in nets], [copy.deepcopy(net.state_dict()) for net in nets]
    whole, parts = (DeepEnsemble(nets).predict(blobs().x, batch_size=size) for size in (1000, 7))
    torch.testing.assert_close(whole.probs, parts.probs)
    assert [net.training for net in nets] == modes
    assert all(
        torch.equal(a, b)
        for net, old in zip(nets, kept, strict=True)
        for a, b in zip(net.state_dict().values(), old.values(), strict=True)
    )


def test_property_regression_members_learn_mean_and_noise():
    data = line()
    ensemble = fit_ensemble(
        regressor(data.y), data, members=3, generator=seeded(), epochs=150, optimizer=adam(0.02), batch_size=20
    )
    found = ensemble.predict(data.x)
    assert (found.mean - (3 + 2 * data.x)).abs().mean() < 0.1
    assert 0.04 < found.aleatoric_var.sqrt().mean() < 0.2


def test_property_epochs_of_all_members_count_through():
    seen = []
    fit_ensemble(small, blobs(), members=2, generator=seeded(), epochs=3, callbacks=iter([seen.append]))
    assert [epoch.number for epoch in seen] == list(range(1, len(seen) + 1))
    assert [epoch.last for epoch in seen] == [False] * (len(seen) - 1) + [True]
    assert {epoch.epochs for epoch in seen} == {len(seen)}


def test_property_each_member_can_have_its_own_data_step_and_views():
    far = Split(blobs().x + 100, blobs().y)
    seen = {0: [], 1: []}

    def step(number):
        def loss(member, batch, generator):
            seen[number].append(float(batch.x.mean()))
            return nn.functional.cross_entropy(member(batch.x), batch.y)

        return loss

    def lower(x, generator):
        return x - 1000

    fit_ensemble(
        small,
        [blobs(), far],
        members=2,
        generator=seeded(),
        step=[step(0), step(1)],
        augment=[lower, lambda x, generator: x],
        epochs=1,
        optimizer=sgd(1e-9),
    )
    assert max(seen[0]) < -900
    assert min(seen[1]) > 90


def test_limit_one_member():
    assert len(fit_ensemble(small, blobs(), members=1, generator=seeded(), epochs=1)) == 1


@pytest.mark.parametrize("members", [0, True, 2.0])
def test_error_members_must_be_counted(members):
    with pytest.raises(ParameterError, match="whole number of at least 1"):
        fit_ensemble(small, blobs(), members=members, generator=seeded())


def test_error_arguments_that_do_not_fit():
    options = {"members": 2, "generator": seeded(), "epochs": 1}
    with pytest.raises(ParameterError, match="one for each of 2 members"):
        fit_ensemble(small, [blobs()] * 3, **options)
    with pytest.raises(ParameterError, match="not both"):
        fit_ensemble(small, blobs(), step=lambda m, b, g: m(b.x).sum(), loss=lambda o, y: o.sum(), **options)
    with pytest.raises(ParameterError, match="make_member returns a network"):
        fit_ensemble(lambda generator: 3, blobs(), **options)


def test_error_members_that_say_different_things():
    x = torch.zeros(2, 4).double()
    with pytest.raises(ParameterError, match="at least one member"):
        DeepEnsemble(())
    with pytest.raises(ParameterError, match="at least one member"):
        DeepEnsemble((small(seeded()), 3))
    with pytest.raises(ParameterError, match="same kind of thing"):
        DeepEnsemble((small(seeded()), mlp((4, 2), generator=seeded()))).predict(x)
    with pytest.raises(ParameterError, match="logits of shape"):
        DeepEnsemble((nn.Sequential(small(seeded()), nn.Unflatten(1, (1, 3))),)).predict(x)
    with pytest.raises(ParameterError, match="an example"):
        DeepEnsemble((small(seeded()),)).predict(x[:0])
    with pytest.raises(ParameterError, match="must be finite"):
        DeepEnsemble((small(seeded()),)).predict(x.fill_(float("nan")))
