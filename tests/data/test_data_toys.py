"""Toy sets: what is said to be the truth is the truth."""

import math

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from weightlore.data import heteroscedastic_sine, sine_mean, sine_noise, stripe_angles, stripes, two_moons
from weightlore.errors import ParameterError

SETS = (two_moons, stripes, heteroscedastic_sine)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("draw", SETS)
def test_property_the_generator_decides_all_and_nothing_global_moves(draw):
    before = torch.get_rng_state()
    first, second, other = draw(50, generator=seeded(1)), draw(50, generator=seeded(1)), draw(50, generator=seeded(2))
    assert torch.equal(first.x, second.x)
    assert torch.equal(first.y, second.y)
    assert not torch.equal(first.x, other.x)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.x.dtype == torch.float64


@pytest.mark.parametrize("draw", SETS)
def test_limit_a_single_example(draw):
    assert len(draw(1, generator=seeded())) == 1


@pytest.mark.parametrize("draw", SETS)
def test_error_no_examples_or_impossible_noise(draw):
    with pytest.raises(ParameterError, match="n is a number of examples and must be >= 1, got 0"):
        draw(0, generator=seeded())
    for noise in (-0.1, math.nan, math.inf):
        with pytest.raises(ParameterError, match="standard deviation and must be finite and >= 0"):
            draw(5, noise=noise, generator=seeded())


def test_oracle_moons_without_noise_lie_on_their_half_circles():
    data = two_moons(400, noise=0.0, generator=seeded())
    upper, lower = data.x[data.y == 0], data.x[data.y == 1]
    assert len(upper) == len(lower) == 200
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(200, dtype=torch.float64))
    torch.testing.assert_close((lower - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(200, dtype=torch.float64))
    assert (upper[:, 1] >= 0).all()
    assert (lower[:, 1] <= 0.5).all()


def test_property_moons_noise_has_the_given_size():
    clean, dirty = (two_moons(4000, noise=noise, generator=seeded()) for noise in (0.0, 0.2))
    difference = dirty.x - clean.x
    assert difference.std() == pytest.approx(0.2, abs=0.01)
    assert difference.mean().abs() < 0.01


def test_property_no_line_parts_the_moons():
    data = two_moons(1000, noise=0.0, generator=seeded())
    fitted = LogisticRegression(C=1e4).fit(data.x.numpy(), data.y.numpy())
    assert 0.8 < fitted.score(data.x.numpy(), data.y.numpy()) < 0.95


def stripe_rule(images: torch.Tensor, classes: int, period: float = 4.0) -> torch.Tensor:
    """The direction whose two waves hold most of the image: what a perfect filter bank would do."""
    pixel = torch.arange(images.shape[-1], dtype=torch.float64)
    energies = []
    for angle in stripe_angles(classes):
        along = (pixel[None, :] * angle.cos() + pixel[:, None] * angle.sin()) * 2 * math.pi / period
        centered = images[:, 0] - 0.5
        energies.append((centered * along.cos()).sum((1, 2)) ** 2 + (centered * along.sin()).sum((1, 2)) ** 2)
    return torch.stack(energies, dim=1).argmax(dim=1)


@pytest.mark.parametrize(("size", "classes"), [(8, 4), (8, 2), (16, 6)])
def test_oracle_the_direction_of_the_stripes_is_the_class(size, classes):
    data = stripes(300, size=size, classes=classes, noise=0.1, generator=seeded())
    assert data.x.shape == (300, 1, size, size)
    assert (stripe_rule(data.x, classes) == data.y).double().mean() > 0.99


def test_oracle_class_zero_has_vertical_stripes():
    data = stripes(4, noise=0.0, generator=seeded())
    assert (data.x[0, 0] - data.x[0, 0, 0]).abs().max() < 1e-12  # every row alike
    assert data.x[0, 0, 0].std() > 0.2


def test_property_stripes_keep_their_range_and_turns():
    data = stripes(403, noise=0.3, generator=seeded())
    assert data.x.min() >= 0
    assert data.x.max() <= 1
    assert data.y[:8].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert torch.bincount(data.y).tolist() == [101, 101, 101, 100]


def test_property_a_single_pixel_says_nothing_about_the_stripes():
    data = stripes(8000, noise=0.0, generator=seeded())
    means = torch.stack([data.x[data.y == c].mean(dim=0) for c in range(4)])
    assert (means - 0.5).abs().max() < 4.5 * math.sqrt(0.125 / 2000)


def test_property_stripes_and_their_negative_are_one_class():
    data = stripes(200, noise=0.0, generator=seeded())
    assert torch.equal(stripe_rule(1 - data.x, 4), data.y)


def test_property_a_linear_classifier_learns_next_to_nothing_of_stripes():
    data = stripes(4000, noise=0.1, generator=seeded())
    train, test = data[:2000], data[2000:]
    fitted = LogisticRegression(max_iter=200).fit(train.x.flatten(1).numpy(), train.y.numpy())
    assert fitted.score(test.x.flatten(1).numpy(), test.y.numpy()) < 0.35  # chance is 0.25


def test_error_impossible_stripes():
    for wrong in ({"size": 1}, {"classes": 1}, {"period": 1.5}, {"period": math.nan}):
        with pytest.raises(ParameterError, match="need size, classes and period >= 2"):
            stripes(3, **wrong, generator=seeded())


def test_oracle_a_sine_without_noise_is_a_sine():
    data = heteroscedastic_sine(100, noise=0.0, generator=seeded())
    assert data.x.shape == data.y.shape == (100, 1)
    assert torch.equal(data.y, torch.sin(2 * math.pi * data.x))
    assert torch.equal(data.y, sine_mean(data.x))


def test_oracle_the_noise_is_the_known_one():
    data = heteroscedastic_sine(20_000, generator=seeded())
    residual = (data.y - sine_mean(data.x)) / sine_noise(data.x)
    assert residual.std() == pytest.approx(1.0, abs=0.02)
    near, far = data.x[:, 0] < 0.1, data.x[:, 0] > 0.9
    raw = (data.y - sine_mean(data.x))[:, 0]
    assert raw[near].std() == pytest.approx(0.0625, rel=0.1)
    assert raw[far].std() == pytest.approx(0.2875, rel=0.1)
    assert sine_noise(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0.05, 0.3])


def test_property_nothing_is_seen_in_the_gap_and_the_rest_is_even():
    x = heteroscedastic_sine(8000, gap=(0.55, 0.75), generator=seeded()).x
    assert not ((x > 0.55) & (x < 0.75)).any()
    assert x.min() < 0.01
    assert x.max() > 0.99
    assert (x < 0.55).double().mean() == pytest.approx(0.55 / 0.8, abs=0.02)


def test_limit_gaps_at_the_border():
    assert heteroscedastic_sine(500, gap=(0.0, 0.4), generator=seeded()).x.min() >= 0.4
    assert heteroscedastic_sine(500, gap=(0.6, 1.0), generator=seeded()).x.max() <= 0.6


@pytest.mark.parametrize("gap", [(0.7, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.0, 1.0)])
def test_error_impossible_gap(gap):
    with pytest.raises(ParameterError, match="interval within"):
        heteroscedastic_sine(5, gap=gap, generator=seeded())
