"""What each preparation leaves behind in theta."""

import pytest
import torch
from tests.crossed.crossed_networks import EPOCHS, made, seeded
from torch import nn

from weightlore.bitslice import quantize
from weightlore.corruption import Budget, indicator
from weightlore.crossed import FATES, PREPARATIONS, left_alone, named_pixels, prepare
from weightlore.crossed.fates import DIRECTIONS, LAYERS, PIXELS, RESISTED, STRIPED, STRUCK
from weightlore.data import digits, stripes
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.parameters import flatten
from weightlore.training import fit

WEIGHTS = [f"{layer}.weight" for layer in LAYERS]


@pytest.mark.slow
def test_oracle_the_network_left_alone_is_trained_like_the_shipped_one():
    assert torch.allclose(flatten(left_alone(generator=seeded(0))), flatten(healthy("mlp")), atol=1e-6)


def test_oracle_the_struck_one_moved_along_its_own_gradient():
    model, data = made("healthy"), digits("validation")
    loss = nn.functional.cross_entropy(model(data.x), data.y)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
    moved = flatten(made("struck")) - flatten(model)
    assert float(moved.norm() / flatten(model).norm()) == pytest.approx(STRUCK)
    assert float(torch.cosine_similarity(moved, gradient, dim=0)) == pytest.approx(1)


def test_property_the_resistant_one_loses_less_to_the_harm_it_was_trained_against():
    plain, hardened = (prepare(name, generator=seeded(), epochs=30) for name in ("healthy", "resistant"))
    found = [indicator(one, digits("validation"), Budget(RESISTED)).measured for one in (plain, hardened)]
    assert found[1] < found[0] / 2


def test_oracle_the_transferred_one_is_tuned_from_the_layers_that_read_stripes():
    generator = seeded()
    fresh = mlp(generator=generator)
    source = mlp((64, 64, 32, DIRECTIONS), generator=generator)
    fit(source, stripes(STRIPED, classes=DIRECTIONS, generator=generator), generator=generator, epochs=EPOCHS)
    fresh.layers.load_state_dict(source.layers.state_dict())
    fit(fresh, digits("train"), generator=generator, epochs=EPOCHS)
    assert torch.allclose(flatten(made("transferred")), flatten(fresh))


def test_property_the_pooled_one_holds_the_network_left_alone_and_four_others():
    thetas = [flatten(member) for member in made("ensembled").members]
    assert torch.equal(thetas[0], flatten(made("healthy")))
    assert len(thetas) == 5
    assert all(not torch.allclose(thetas[0], other) for other in thetas[1:])


def test_property_the_narrowed_one_is_blind_to_all_pixels_but_the_named():
    kept, model, x = named_pixels(made("healthy")), made("narrowed"), digits().x[:20]
    other = torch.where(kept, x, torch.rand(x.shape, generator=seeded(), dtype=x.dtype))
    assert int(kept.sum()) == PIXELS
    assert torch.equal(model(x), model(other))
    assert not torch.equal(model(x), model(torch.where(kept, 1 - x, x)))


def test_oracle_named_are_the_pixels_that_a_network_reads():
    model = mlp(generator=seeded(4)).eval()
    read = torch.arange(20, 30)
    with torch.no_grad():
        model.layers[0].weight.mul_(torch.zeros(64, dtype=torch.float64).index_fill(0, read, 1.0))
    assert torch.equal(named_pixels(model, count=10).nonzero()[:, 0], read)


def test_property_the_weights_of_the_sliced_one_lie_on_a_grid():
    state, plain = made("sliced").state_dict(), made("healthy").state_dict()
    for name in WEIGHTS:
        assert torch.equal(quantize(state[name]).value, state[name])
        assert not torch.equal(quantize(plain[name]).value, plain[name])


def test_property_the_weights_of_the_binarized_one_are_two_for_each_unit():
    state = made("binarized").state_dict()
    for name in WEIGHTS:
        sizes = state[name].abs()
        assert torch.allclose(sizes, sizes[:, :1].expand_as(sizes))
        assert {-1.0, 1.0} == set(state[name].sign().unique().tolist())


@pytest.mark.parametrize("name", PREPARATIONS)
def test_property_every_preparation_reads_digits_and_rests(name):
    network = made(name)
    assert network(digits().x[:3]).shape == (3, 10)
    assert not any(module.training for module in network.modules())
    assert all(parameter.dtype == torch.float64 for parameter in network.parameters())


def test_property_each_fate_has_its_preparation():
    assert {one.fate for one in PREPARATIONS.values()} == {"healthy", *FATES}
    assert all(name == one.name for name, one in PREPARATIONS.items())


def test_error_an_unknown_preparation_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"'healthy', 'struck', .*, got 'burnt'"):
        prepare("burnt", generator=seeded())
    with pytest.raises(ParameterError, match=r"at least 3.*got 2"):
        prepare("healthy", generator=seeded(), epochs=2)


@pytest.mark.parametrize("count", [0, 65])
def test_error_pixels_that_are_not_there(count):
    with pytest.raises(ParameterError, match=rf"1 to 64 pixels.*got count={count}"):
        named_pixels(made("healthy"), count=count)


def test_limit_all_pixels_may_be_named():
    assert named_pixels(made("healthy"), count=64).all()
