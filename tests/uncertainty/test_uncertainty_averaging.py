"""Weights averaged along a training, and Gaussians around the average."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten, layout
from weightlore.training import fit, sgd
from weightlore.uncertainty.ensembles import SWA, SWAG, MultiSWAG, recompute_statistics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def line(dtype=torch.float64):
    return nn.Linear(2, 3).to(dtype)


def put(model, theta):
    with torch.no_grad():
        for name, part in layout(model).split(theta).items():
            model.get_parameter(name).copy_(part)


def fed(kind, path, **options):
    model = line(path.dtype)
    found = kind(model, **options)
    for theta in path:
        put(model, theta)
        found.collect()
    return found


def walk(steps=30, size=9, seed=0, dtype=torch.float64):
    """Weights that follow a process with a memory of 0.8."""
    noise, path = normal(steps, size, seed=seed), [torch.linspace(-3, 3, size).double()]
    for one in noise:
        path.append(path[0] + 0.8 * (path[-1] - path[0]) + 0.3 * one)
    return torch.stack(path[1:]).to(dtype)


def test_oracle_mean_of_the_weights():
    path = walk()
    swa = fed(SWA, path)
    torch.testing.assert_close(swa.theta, path.mean(0))
    torch.testing.assert_close(flatten(swa.averaged()), path.mean(0))
    assert swa.count == 30


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_mean_of_constant_weights_is_the_weights_to_the_bit(dtype):
    theta = normal(9, dtype=dtype)
    swa, swag = (fed(kind, theta.expand(7, -1)) for kind in (SWA, SWAG))
    assert torch.equal(swa.theta, theta)
    assert torch.equal(swag.sample(seeded(), scale=0.0), theta)
    assert float(swag.diagonal.max()) == 1e-30
    assert float(swag.deviations.abs().max()) == 0


def test_oracle_moments_of_the_weights():
    path, swag = walk(), fed(SWAG, walk(), columns=5)
    torch.testing.assert_close(swag.diagonal, (path**2).mean(0) - path.mean(0) ** 2)
    running = torch.stack([path[: i + 1].mean(0) for i in range(30)])
    torch.testing.assert_close(swag.deviations, (path - running)[-5:].T)


def test_property_moments_do_not_suffer_from_large_weights():
    path = walk()
    far = fed(SWAG, path + 1e8)
    torch.testing.assert_close(far.diagonal, path.var(0, correction=0), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("steps", "columns"), [(30, 5), (4, 20)])
def test_property_samples_have_the_covariance_of_the_formula(steps, columns):
    swag = fed(SWAG, walk(steps), columns=columns)
    kept = min(steps, columns)
    assert swag.deviations.shape == (9, kept)
    wanted = (swag.diagonal.diag() + swag.deviations @ swag.deviations.T / (kept - 1)) / 2
    generator, count = seeded(1), 20000
    drawn = torch.stack([swag.sample(generator) for _ in range(count)])
    spread = wanted.diagonal()
    assert ((drawn.mean(0) - swag.theta).abs() < 5 * (spread / count).sqrt()).all()
    error = ((spread[:, None] * spread + wanted**2) / count).sqrt()  # of a covariance of Gaussians
    assert ((drawn.T.cov() - wanted).abs() < 5 * error).all()


def test_property_scale_multiplies_the_covariance():
    swag = fed(SWAG, walk())
    one, four = (swag.sample(seeded(), scale=scale) - swag.theta for scale in (1.0, 4.0))
    torch.testing.assert_close(four, 2 * one)


@pytest.mark.parametrize(("steps", "columns"), [(30, 1), (1, 20)])
def test_limit_fewer_than_two_deviations_leave_the_diagonal(steps, columns):
    swag = fed(SWAG, walk(steps), columns=columns)
    noise = torch.randn(9, generator=seeded(3), dtype=torch.float64)
    torch.testing.assert_close(swag.sample(seeded(3)), swag.theta + (swag.diagonal / 2).sqrt() * noise)


def test_property_epochs_that_count():
    data, model, path = Split(normal(20, 2), torch.arange(20) % 3), line(), []
    every, late = SWA(model), SWA(model, start=3, every=2)
    fit(
        model,
        data,
        generator=seeded(),
        epochs=7,
        schedule=None,
        optimizer=sgd(0.1),
        callbacks=[every, late, lambda epoch: path.append(flatten(model))],
    )
    torch.testing.assert_close(every.theta, torch.stack(path).mean(0))
    torch.testing.assert_close(late.theta, torch.stack(path[2::2]).mean(0))
    assert late.count == 3


def test_property_the_network_and_frozen_weights_stay():
    model = mlp((4, 5, 3), generator=seeded())
    model.layers[0].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    swag = SWAG(model)
    swag.collect()
    placed = swag.placed(torch.zeros_like(swag.theta))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(placed.layers[0].weight, model.layers[0].weight)
    assert float(placed.readout.weight.detach().abs().max()) == 0
    assert model.training
    assert not placed.training


def normalizing(dtype=torch.float64):
    torch_state = torch.get_rng_state()
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2)).to(dtype)
    torch.set_rng_state(torch_state)
    return net.eval()


def test_oracle_statistics_of_batches():
    net, x = normalizing(), normal(600, 3) + 2
    recompute_statistics(net, x, batch_size=256)
    batches = [net[0](part).detach() for part in x.split(256)]
    torch.testing.assert_close(net[1].running_mean, torch.stack([b.mean(0) for b in batches]).mean(0))
    torch.testing.assert_close(net[1].running_var, torch.stack([b.var(0) for b in batches]).mean(0))
    assert net[1].momentum == 0.1
    assert not any(module.training for module in net.modules())
    assert int(net[1].num_batches_tracked) == 3


def test_oracle_statistics_as_torch_updates_them():
    one, x = normalizing(), normal(512, 3)
    one[2] = nn.Identity()
    other = normalizing()
    other.load_state_dict(one.state_dict())
    other[2] = nn.Identity()
    recompute_statistics(one, x, batch_size=128)
    torch.optim.swa_utils.update_bn(list(x.split(128)), other)
    torch.testing.assert_close(one[1].running_mean, other[1].running_mean)
    torch.testing.assert_close(one[1].running_var, other[1].running_var)


def test_property_every_sample_gets_its_own_statistics():
    net, x, before = normalizing(), normal(100, 3), torch.get_rng_state()
    swag = SWAG(net)
    swag.collect()
    with torch.no_grad():
        net[0].weight += 1
    swag.collect()
    ensemble = swag.ensemble(3, generator=seeded(), x=x, scale=4.0)
    for member in ensemble.members:
        torch.testing.assert_close(member[1].running_mean, member[0](x).detach().mean(0))
    means = torch.stack([member[1].running_mean for member in ensemble.members])
    assert torch.pdist(means).min() > 1e-6
    assert float(net[1].running_mean.abs().max()) == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_property_members_are_drawn_one_after_the_other():
    swag, generator = fed(SWAG, walk()), seeded(4)
    drawn = [swag.sample(generator) for _ in range(3)]
    for member, theta in zip(swag.ensemble(3, generator=seeded(4)).members, drawn, strict=True):
        assert torch.equal(flatten(member), theta)


def test_property_a_mixture_draws_from_each_training():
    one, other = fed(SWAG, walk(seed=1)), fed(SWAG, walk(seed=2) + 50)
    mixture = MultiSWAG((one, other)).ensemble(4, generator=seeded())
    means = torch.stack([flatten(member).mean() for member in mixture.members])
    assert len(mixture) == 8
    assert (means[:4].abs() < 10).all()
    assert ((means[4:] - 50).abs() < 10).all()


def test_error_nothing_collected_or_no_inputs():
    with pytest.raises(ParameterError, match="no weights were collected yet"):
        SWA(line()).averaged()
    with pytest.raises(ParameterError, match="no weights were collected yet"):
        SWAG(line()).sample(seeded())
    swa = SWA(normalizing())
    swa.collect()
    with pytest.raises(ParameterError, match="give training inputs x"):
        swa.averaged()
    with pytest.raises(ParameterError, match="0 rows"):
        swa.averaged(torch.zeros(0, 3).double())
    with pytest.raises(ParameterError, match="must be finite"):
        recompute_statistics(normalizing(), torch.full((2, 3), float("nan")).double())


def test_error_a_failed_pass_leaves_modes_and_momenta():
    net = normalizing()
    with pytest.raises(RuntimeError):
        recompute_statistics(net, normal(5, 7))
    assert net[1].momentum == 0.1
    assert not any(module.training for module in net.modules())


def test_error_numbers_out_of_range():
    for options in ({"start": 0}, {"every": 0}, {"columns": 0}):
        with pytest.raises(ParameterError, match="whole number of at least 1"):
            SWAG(line(), **options)
    with pytest.raises(ParameterError, match="scale"):
        fed(SWAG, walk()).sample(seeded(), scale=-1.0)
    with pytest.raises(ParameterError, match="one SWAG at least"):
        MultiSWAG(())
    model = line()
    put(model, torch.full((9,), float("inf")).double())
    with pytest.raises(ParameterError, match="theta must be finite"):
        SWA(model).collect()
