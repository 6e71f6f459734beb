"""Noise: of the size that was asked for, and with the entropy that it must leave."""

import math

import pytest
import torch

from weightlore.data import digits, heteroscedastic_sine, sine_mean, sine_noise
from weightlore.errors import ParameterError
from weightlore.uncertainty.measures import predictive_entropy
from weightlore.uncertainty.sources import add_measurement_noise, flip_entropy, flip_labels, flipped_probabilities


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_property_noise_has_the_spread_of_each_sensor():
    x, spread = torch.zeros(20_000, 3, dtype=torch.float64), torch.tensor([0.0, 0.5, 2.0])
    noise = add_measurement_noise(x, spread, generator=seeded())
    assert not noise[:, 0].any()
    assert noise[:, 1].std() == pytest.approx(0.5, rel=5 / math.sqrt(40_000))
    assert noise[:, 2].std() == pytest.approx(2.0, rel=5 / math.sqrt(40_000))
    assert noise.mean(0).abs().max() < 5 * 2 / math.sqrt(20_000)
    assert abs(float(torch.corrcoef(noise[:, 1:].T)[0, 1])) < 5 / math.sqrt(20_000)


def test_property_measurements_keep_dtype_and_are_left_alone():
    x = digits("test").x[:20]
    before = x.clone()
    wide, narrow = (
        add_measurement_noise(x, 0.1, generator=seeded()),
        add_measurement_noise(x.float(), 0.1, generator=seeded()),
    )
    assert torch.equal(x, before)
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow, wide.float(), atol=1e-6, rtol=0)
    cut = add_measurement_noise(x, 0.5, within=(0.0, 1.0), generator=seeded())
    assert cut.min() == 0
    assert cut.max() == 1
    assert torch.equal(cut, add_measurement_noise(x, 0.5, generator=seeded()).clamp(0, 1))


def test_oracle_noise_in_the_input_of_a_line_becomes_noise_in_its_target():
    x = torch.linspace(-1, 1, 50_000, dtype=torch.float64)[:, None]
    read = add_measurement_noise(x, 0.3, generator=seeded())
    left = (2 * x - 2 * read).square().mean()
    assert left == pytest.approx((2 * 0.3) ** 2, rel=5 * math.sqrt(2 / 50_000))


def test_oracle_noise_in_the_target_is_what_a_perfect_model_leaves():
    data = heteroscedastic_sine(20_000, generator=seeded())
    left = (data.y - sine_mean(data.x)).square()
    known = sine_noise(data.x).square()
    assert abs(float((left - known).mean())) < 5 * float((left - known).std()) / math.sqrt(20_000)


@pytest.mark.parametrize("classes", [2, 5, 10])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.7])
def test_oracle_the_entropy_of_a_flipped_label(rate, classes):
    p = torch.full((classes,), rate / (classes - 1), dtype=torch.float64)
    p[0] = 1 - rate
    expected = torch.distributions.Categorical(p).entropy()
    assert flip_entropy(rate, classes) == pytest.approx(float(expected), abs=1e-12)
    certain = torch.eye(classes, dtype=torch.float64)
    flipped = flipped_probabilities(certain, rate)
    torch.testing.assert_close(predictive_entropy(flipped), expected.expand(classes), atol=1e-10, rtol=0)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_oracle_labels_are_flipped_at_the_rate_and_evenly(rate):
    y = torch.arange(4).repeat(5000)
    flipped = flip_labels(y, rate, classes=4, generator=seeded())
    error = 5 * math.sqrt(rate * (1 - rate) / len(y))
    assert abs(float((flipped != y).double().mean()) - rate) <= error
    for c in range(4):
        shares = torch.bincount(flipped[y == c], minlength=4).double() / 5000
        expected = flipped_probabilities(torch.eye(4, dtype=torch.float64)[c], rate)
        assert ((shares - expected).abs() <= 5 * (expected * (1 - expected) / 5000).sqrt()).all()


def test_property_a_higher_rate_flips_the_same_and_more():
    y = torch.arange(10).repeat(50)
    low, high = (flip_labels(y, rate, classes=10, generator=seeded()) for rate in (0.2, 0.5))
    assert torch.equal(high[low != y], low[low != y])
    assert (high != y).sum() > (low != y).sum() > 0
    assert torch.equal(y, torch.arange(10).repeat(50))


def test_limit_no_and_every_label_flipped():
    assert flip_entropy(0.0, 3) == flip_entropy(1.0, 2) == 0
    assert flip_entropy(1.0, 3) == pytest.approx(math.log(2))
    assert flip_entropy(2 / 3, 3) == pytest.approx(math.log(3))
    empty = torch.zeros(0, dtype=torch.int64)
    assert len(flip_labels(empty, 0.5, classes=2, generator=seeded())) == 0
    assert add_measurement_noise(torch.zeros(0, 3), 1.0, generator=seeded()).shape == (0, 3)
    p = torch.tensor([[0.2, 0.8]])
    assert torch.equal(flipped_probabilities(p, 0.0), p)
    torch.testing.assert_close(flipped_probabilities(p, 1.0), p.flip(1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: flip_labels(torch.tensor([0, 2]), 0.1, classes=2, generator=g), "count classes from 0"),
        (lambda g: flip_labels(torch.tensor([0.0]), 0.1, classes=2, generator=g), r"shape \(N,\) and dtype int64"),
        (lambda g: flip_labels(torch.tensor([0]), 1.1, classes=2, generator=g), "from 0 to 1, got 1.1"),
        (lambda g: flip_labels(torch.tensor([0]), math.nan, classes=2, generator=g), "from 0 to 1, got nan"),
        (lambda g: flip_labels(torch.tensor([0]), 0.1, classes=1, generator=g), "among 2 classes or more, got 1"),
        (lambda g: flipped_probabilities(torch.tensor([0.5, 0.6]), 0.1), "sum to 1"),
        (lambda g: flip_entropy(-0.1, 3), "from 0 to 1, got -0.1"),
        (lambda g: add_measurement_noise(torch.ones(2), -1.0, generator=g), "finite, >= 0"),
        (
            lambda g: add_measurement_noise(torch.ones(2), torch.ones(3), generator=g),
            r"a shape that goes with x, \(2,\)",
        ),
        (lambda g: add_measurement_noise(torch.ones(3), torch.ones(2, 3), generator=g), "a shape that goes with x"),
        (
            lambda g: add_measurement_noise(torch.ones(2, dtype=torch.int64), 1.0, generator=g),
            "a floating tensor, got torch.int64",
        ),
        (lambda g: add_measurement_noise(torch.tensor([math.nan]), 1.0, generator=g), "NaN or infinite"),
        (lambda g: add_measurement_noise(torch.ones(2), 1.0, within=(1.0, 0.0), generator=g), "its lower end first"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(seeded())
