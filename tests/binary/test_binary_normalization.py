"""Percentiles of activations against numpy's, and what dividing by them does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from weightlore.binary import (
    ClipFloorShift,
    normalization_factors,
    normalized,
    staged,
)
from weightlore.binary.stages import Stage, Staged
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy, resnet20

TRAIN = digits("train")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("batch_size", [1, 7, 256, 5000])
def test_oracle_factors_of_all_activations_together(batch_size):
    model, x = healthy("cnn"), TRAIN.x[:60]
    expected = [np.percentile(a.detach().numpy(), 99.0) for a in model.activations(x)]
    found = normalization_factors(model, x, percentile=99.0, batch_size=batch_size)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


def test_oracle_factors_of_several_percentiles_at_once():
    percentiles = (75.0, 99.9, 90.0, 100)
    found = normalization_factors(healthy("biasless"), TRAIN, percentile=percentiles, batch_size=100)
    assert found.shape == (4, 3)
    for row, percentile in zip(found, percentiles, strict=True):
        alone = normalization_factors(healthy("biasless"), TRAIN, percentile=percentile, batch_size=100)
        assert torch.equal(row, alone)
    assert normalization_factors(healthy("biasless"), TRAIN, percentile=[99.0]).shape == (1, 3)


def test_property_factors_rise_with_the_percentile():
    found = normalization_factors(healthy("mlp"), TRAIN, percentile=(75, 80, 90, 99, 99.9, 100))
    assert bool((found.diff(dim=0) > 0).all())


def test_property_the_model_is_measured_in_eval_mode_and_left_as_it_is():
    model = resnet20(width=2, channels=1, generator=seeded(), dtype=torch.float64)
    model.blocks[1].eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = TRAIN.x[:20].reshape(-1, 1, 8, 8)
    found = normalization_factors(model, x)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(found, normalization_factors(model.eval(), x))
    dropping = nn.Sequential(nn.Linear(64, 9), nn.Dropout(0.9), nn.ReLU(), nn.Dropout(0.9), nn.Linear(9, 2)).double()
    assert torch.equal(*(normalization_factors(dropping.train(mode), TRAIN.x[:9]) for mode in (True, False)))


@pytest.mark.parametrize("kind", ["mlp", "cnn", "biasless"])
def test_property_at_the_maximum_nothing_exceeds_one_and_the_network_decides_alike(kind):
    model, x = healthy(kind), TRAIN.x
    factors = normalization_factors(model, x, percentile=100)
    found = normalized(staged(model), factors)
    for activations in found.activations(x):
        assert float(activations.detach().max()) == pytest.approx(1.0, rel=1e-12)
    torch.testing.assert_close(found(x) * factors[-1], model(x), rtol=1e-10, atol=1e-10)
    assert torch.equal(found(x).argmax(1), model(x).argmax(1))


def test_property_a_residual_network_keeps_its_logits():
    model = resnet20(width=3, channels=1, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:30].reshape(-1, 1, 8, 8)
    with torch.no_grad():
        model(x)
    factors = normalization_factors(model.eval(), x, percentile=99.0)
    assert factors.shape == (19,)
    found = normalized(staged(model), factors)
    torch.testing.assert_close(found(x) * factors[-1], model(x), rtol=1e-9, atol=1e-9)
    for a, b, factor in zip(found.activations(x), staged(model).activations(x), factors, strict=True):
        torch.testing.assert_close(a * factor, b, rtol=1e-9, atol=1e-9)


def test_property_normalizing_twice_changes_nothing():
    model, x = healthy("cnn"), TRAIN.x[:200]
    once = normalized(staged(model), normalization_factors(model, x, percentile=99.9))
    again = normalization_factors(once, x, percentile=99.9)
    torch.testing.assert_close(again, torch.ones(3, dtype=torch.float64), rtol=1e-12, atol=0)


def test_property_rescaling_a_layer_and_the_next_changes_no_normalized_weight():
    model, x = healthy("biasless"), TRAIN.x
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.layers[1].weight.mul_(4.0)
        other.layers[2].weight.div_(4.0)
    one, two = (normalized(staged(m), normalization_factors(m, x)) for m in (model, other))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)


def test_property_a_clipped_activation_is_scaled_with_its_layer():
    model = nn.Sequential(nn.Linear(64, 9), ClipFloorShift(4, ceiling=0.5), nn.Linear(9, 2)).double()
    found = normalized(staged(model), torch.tensor([0.25], dtype=torch.float64))
    torch.testing.assert_close(found(TRAIN.x[:9]) * 0.25, model(TRAIN.x[:9]), rtol=1e-12, atol=1e-12)
    assert float(found.all[0].activation.ceiling.detach()) == 2.0


def test_property_a_relu_before_the_first_weights_is_skipped():
    model = nn.Sequential(nn.ReLU(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 2)).double()
    assert normalization_factors(model, TRAIN.x[:20]).shape == (1,)


def test_limit_a_network_without_hidden_layer_has_no_factor():
    model = nn.Sequential(nn.Linear(64, 3)).double()
    found = normalization_factors(model, TRAIN.x[:5])
    assert found.shape == (0,)
    assert torch.equal(normalized(staged(model), found)(TRAIN.x[:5]), model(TRAIN.x[:5]))


def two_layers(bias=0.0, scale=1.0):
    model = nn.Sequential(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    with torch.no_grad():
        model[0].weight.mul_(scale)
        model[0].bias.fill_(bias)
    return model


def test_error_a_dead_layer_and_a_percentile_among_the_zeros():
    with pytest.raises(ParameterError, match="layer '1' is dead: none of its 100 activations is above zero"):
        normalization_factors(two_layers(-100.0), TRAIN.x[:20])
    model = healthy("biasless")
    zeros = 100 * float((model.activations(TRAIN.x)[1] == 0).double().mean())
    with pytest.raises(ParameterError, match=r"percentile 20 of layer 'nonlinear\.\d' is zero, because \d+\.\d+ %"):
        normalization_factors(model, TRAIN.x, percentile=20)
    assert zeros > 20
    assert bool((normalization_factors(model, TRAIN.x, percentile=90) > 0).all())


@pytest.mark.parametrize("percentile", [0, -1.0, 100.5, float("nan"), True, "99", (), (99.9, 0)])
def test_error_percentiles_outside_of_their_range(percentile):
    with pytest.raises(ParameterError, match=r"must lie in \(0, 100\]"):
        normalization_factors(healthy(), TRAIN.x[:5], percentile=percentile)


def test_error_activations_that_no_rate_can_follow():
    with pytest.raises(ParameterError, match="activations of '1' must be finite and not negative"):
        normalization_factors(two_layers(float("nan")), TRAIN.x[:5])
    model = two_layers()
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    with pytest.raises(ParameterError, match="the logits of the calibration images must be finite"):
        normalization_factors(model, TRAIN.x[:5])
    with pytest.raises(ParameterError, match="the weights before '2' must be finite"):
        normalized(staged(model), torch.ones(1))

    class Shifted(nn.ReLU):
        def forward(self, x):
            return super().forward(x) - 0.25

    model = nn.Sequential(nn.Linear(64, 5), Shifted(), nn.Linear(5, 2)).double()
    with pytest.raises(ParameterError, match="activations of '1' must be finite and not negative"):
        normalization_factors(model, TRAIN.x[:5])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (TRAIN.x[:0], "calibration set is empty"),
        (TRAIN.x[:4].float(), r"computes in torch.float64, but the images are torch.float32; use images.to"),
        (TRAIN.x[:4] / 0, "calibration images must be finite"),
    ],
)
def test_error_images_that_do_not_suit(images, message):
    with pytest.raises(ParameterError, match=message):
        normalization_factors(healthy(), images)


@pytest.mark.parametrize(("more", "times"), [(1.0, 1.0), (0.0, 1.0 + 1e-9)])
def test_error_a_model_that_does_more_than_its_layers(more, times):
    class Odd(nn.Sequential):
        def forward(self, x):
            return times * super().forward(x) + more

    model = Odd(nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    with pytest.raises(ParameterError, match="the Odd computes something else than its layers one after the other"):
        normalization_factors(model, TRAIN.x[:5])


@pytest.mark.parametrize("factors", [[1.0], [1.0, 0.0, 1.0], [1.0, float("inf"), 1.0], [1.0, -1.0, 1.0]])
def test_error_factors_that_are_none(factors):
    with pytest.raises(ParameterError, match="the 3 non-linearities need one positive finite factor each"):
        normalized(staged(cnn(generator=seeded())), torch.tensor(factors))


def test_property_stages_can_be_built_by_hand():
    layer = nn.Linear(3, 2).double()
    network = Staged(
        [Stage("one", {0: layer}, nn.ReLU()), Stage("out", {0: nn.Linear(3, 2).double(), 1: layer_two()}, None)]
    )
    x = torch.randn(4, 3, generator=seeded(), dtype=torch.float64)
    found = normalized(network, torch.tensor([2.0], dtype=torch.float64))
    torch.testing.assert_close(found(x) * 2.0, network(x), rtol=1e-12, atol=1e-12)


def layer_two():
    return nn.Linear(2, 2).double()
