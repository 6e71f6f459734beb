"""Temperatures by range of confidence, and smooth maps whose values are binned."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    BinwiseTemperature,
    PlattScaling,
    ScalingBinning,
    find_temperature,
    from_probs,
)
from weightlore.uncertainty.warned import UncertaintyWarning


def sample(size=600, classes=4, seed=0):
    """Over-confident where sure, under-confident where not."""
    generator = torch.Generator().manual_seed(seed)
    true = 2 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    y = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    sure = true.softmax(1).amax(1, keepdim=True) > 0.7
    return torch.where(sure, 3 * true, 0.5 * true), y


def pairs(p):
    p = torch.as_tensor(p, dtype=torch.float64)
    return from_probs(torch.stack([1 - p, p], 1))


def test_oracle_each_bin_has_its_own_temperature():
    z, y = sample()
    found = BinwiseTemperature(bins=3).fit(z, y)
    order = z.softmax(1).amax(1).argsort()
    parts = [order[:200], order[200:400], order[400:]]
    expected = [find_temperature(z[part], y[part]).value for part in parts]
    assert found.temperatures.tolist() == pytest.approx(expected, rel=1e-9)
    assert expected[0] < 1 < expected[1]
    for part, temperature in zip(parts, expected, strict=True):
        torch.testing.assert_close(found.predict_proba(z[part]), (z[part] / temperature).softmax(1))


def test_property_more_temperatures_fit_no_worse():
    z, y = sample()
    nll = [cross_entropy(BinwiseTemperature(bins=b).fit(z, y).predict_proba(z).log(), y).item() for b in (1, 2, 4)]
    assert nll[2] <= nll[1] + 1e-12
    assert nll[1] <= nll[0] + 1e-12
    assert nll[0] <= cross_entropy(z, y).item()
    one = BinwiseTemperature(bins=1).fit(z, y).temperatures.item()
    assert one == pytest.approx(find_temperature(z, y).value, rel=1e-12)


def test_limit_a_bin_without_errors_keeps_temperature_one():
    z = torch.tensor([[0.0, 1.0], [0.0, 1.1], [0.0, 5.0], [0.0, 6.0]])
    with pytest.warns(UncertaintyWarning, match="1 of 2 bins") as caught:
        found = BinwiseTemperature(bins=2).fit(z, torch.tensor([0, 1, 1, 1]))
    assert found.temperatures[1] == 1
    assert [one.filename for one in caught] == [__file__]


def test_limit_equal_confidences_share_a_bin():
    z, y = torch.tensor([[0.0, 1.0]]).repeat(9, 1), (torch.arange(9) % 3 > 0).long()
    found = BinwiseTemperature(bins=5).fit(z, y)
    assert len(found.temperatures) == 1
    assert len(found.edges) == 0


def test_oracle_scaling_then_binning_by_hand():
    z, y = sample(60, 2)
    found = ScalingBinning(bins=2).fit(z, y)
    curve = PlattScaling().fit(z[::3], y[::3])
    g = curve.predict_proba(z)[:, 1]
    second, third = g[1::3].sort().values, g[2::3]
    edge = (second[9] + second[10]) / 2
    low, high = third[third < edge].mean(), third[third >= edge].mean()
    torch.testing.assert_close(found.predict_proba(z)[:, 1], torch.where(g < edge, low, high), rtol=1e-9, atol=0)


def test_property_few_values_with_the_mean_of_the_curve():
    z, y = sample(900, 2)
    found = ScalingBinning(bins=6, split=False).fit(z, y).predict_proba(z)[:, 1]
    smooth = PlattScaling().fit(z, y).predict_proba(z)[:, 1]
    assert len(found.unique()) == 6
    assert found.mean().item() == pytest.approx(smooth.mean().item(), rel=1e-10)
    assert ((found - smooth).abs() < 0.2).all()
    order = smooth.argsort()
    assert (found[order].diff() >= 0).all()


def test_limit_a_bin_that_no_third_row_falls_into_keeps_the_mean_of_the_second():
    p = torch.tensor([0.2, 0.2, 0.1, 0.8, 0.8, 0.1, 0.3, 0.25, 0.1, 0.7, 0.75, 0.1])
    y = torch.tensor([0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0])
    found = ScalingBinning(bins=2).fit(pairs(p), y).predict_proba(pairs([0.1, 0.9]))[:, 1]
    g = PlattScaling().fit(pairs(p[::3]), y[::3]).predict_proba(pairs(p))[:, 1]
    assert found.tolist() == pytest.approx([g[2].item(), g[[4, 10]].mean().item()])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BinwiseTemperature(bins=0), "at least 1"),
        (lambda: ScalingBinning(bins=0), "at least 1"),
        (lambda: ScalingBinning().fit(torch.zeros(2, 2), torch.tensor([0, 1])), "three rows at least"),
        (lambda: ScalingBinning().fit(torch.zeros(6, 2), torch.tensor([0, 1, 1, 0, 1, 1])), "fit on more data"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
