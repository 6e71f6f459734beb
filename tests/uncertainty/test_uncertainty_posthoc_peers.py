"""Calibrators beside those of netcal: stored numbers that are always compared, and netcal itself where it is installed.

Stored with netcal 1.4.0, numpy 2.4, for the data below, by

    calibrator.fit(P[:, 1], Y); calibrator.transform(AT)            two classes
    calibrator.fit(P, Y); calibrator.transform(P)[:2]               three classes

Where the two disagree, and why:

* its Bayesian binning ranks binnings of equal width by BIC, where the paper has the evidence of binnings of equal mass;
* its near-isotonic path does not end in the isotonic regression (0.7222 where five of seven are hits);
* its binning of equal mass can be fitted but not applied;
* its scaling methods take slopes by differences of 1e-8: given float32 they stay where they begin, a temperature of 1.
"""

import numpy as np
import pytest
import torch

from weightlore.uncertainty.calibration import (
    BayesianBinningQuantiles,
    BetaCalibration,
    HistogramBinning,
    IsotonicCalibration,
    PlattScaling,
    TemperatureScaling,
    VectorScaling,
    from_probs,
    near_isotonic_path,
)

ROOTS = np.array([0.6180339887498949, 0.41421356237309515, 0.7320508075688772])
AT = np.array([0.05, 0.15, 0.35, 0.55, 0.75, 0.95])
STORED = {
    "histogram": [0.0, 0.041667, 0.166667, 0.347826, 0.64, 0.956522],
    "isotonic": [0.0, 0.0, 0.12622, 0.333333, 0.590909, 1.0],
    "platt": [0.007302, 0.036541, 0.146834, 0.343367, 0.638547, 0.955704],
    "beta": [0.004918, 0.031288, 0.145932, 0.35211, 0.642244, 0.947043],
    "temperature": [0.030401, 0.115092, 0.325647, 0.558721, 0.784465, 0.969599],
    "quantile bins": [0.019487, 0.021421, 0.218269, 0.391992, 0.552229, 0.834668],
}
MANY = {
    "temperature": [[0.345637, 0.130696, 0.523666], [0.037541, 0.774781, 0.187678]],
    "vector": [[0.32673, 0.083616, 0.589654], [0.101198, 0.813966, 0.084836]],
    "histogram": [[0.124321, 0.074499, 0.80118], [0.083226, 0.752593, 0.164181]],
    "isotonic": [[0.125089, 0.064148, 0.810763], [0.067429, 0.809143, 0.123429]],
}
# NearIsotonicRegression(): fit on the first 40 rows, then get_next_model until there is none
LAST_NEAR_ISOTONIC = [0.0, 0.3333, 0.5, 0.7222, 1.0]
OURS = {
    "histogram": lambda: HistogramBinning(bins=10),
    "isotonic": IsotonicCalibration,
    "platt": lambda: PlattScaling(smoothed=False),
    "beta": BetaCalibration,
    "temperature": TemperatureScaling,
    "quantile bins": BayesianBinningQuantiles,
    "vector": VectorScaling,
}
TOLERANCE = {"quantile bins": 0.12}  # the documented disagreement; all others agree to what float32 can tell


def two():
    """Probabilities of class 1 and classes, spread evenly by multiples of irrational numbers."""
    n = np.arange(1, 241)
    p = (n * ROOTS[0]) % 1
    return p, ((n * ROOTS[1]) % 1 < p**2 * (1.5 - 0.5 * p)).astype(int)


def three():
    n = np.arange(1, 241)
    p = ((n[:, None] * ROOTS) % 1 + 0.02) ** 2
    p = p / p.sum(1, keepdims=True)
    return p, np.where(n % 5 == 0, n % 3, p.argmax(1))


def logits(p):
    p = torch.as_tensor(p)
    return from_probs(torch.stack([1 - p, p], 1) if p.ndim == 1 else p)


def ours(name):
    p, y = two()
    return OURS[name]().fit(logits(p), torch.as_tensor(y)).predict_proba(logits(AT))[:, 1].numpy()


def ours_of_many(name):
    p, y = three()
    make = (lambda: HistogramBinning(bins=5)) if name == "histogram" else OURS[name]
    return make().fit(logits(p), torch.as_tensor(y)).predict_proba(logits(p))[:2].numpy()


@pytest.mark.parametrize("name", STORED)
def test_oracle_netcal_stored(name):
    assert ours(name) == pytest.approx(STORED[name], abs=TOLERANCE.get(name, 3e-5))
    assert np.corrcoef(ours(name), STORED[name])[0, 1] > 0.99


@pytest.mark.parametrize("name", MANY)
def test_oracle_netcal_stored_for_three_classes(name):
    np.testing.assert_allclose(ours_of_many(name), MANY[name], rtol=0, atol=3e-5)


def theirs(name):
    """The calibrator of netcal; it tells of its progress on the console."""
    netcal = pytest.importorskip("netcal")
    from netcal import binning, scaling

    assert netcal.__version__
    return {
        "histogram": lambda: binning.HistogramBinning(10),
        "isotonic": binning.IsotonicRegression,
        "platt": scaling.LogisticCalibration,
        "beta": scaling.BetaCalibration,
        "temperature": scaling.TemperatureScaling,
        "quantile bins": binning.BBQ,
        "vector": scaling.LogisticCalibration,
    }[name]


@pytest.mark.parametrize("name", STORED)
def test_oracle_netcal_live(name):
    calibrator = theirs(name)()
    calibrator.fit(*two())
    assert ours(name) == pytest.approx(np.ravel(calibrator.transform(AT)), abs=TOLERANCE.get(name, 3e-5))


@pytest.mark.parametrize("name", ["temperature", "vector", "isotonic"])
def test_oracle_netcal_live_for_three_classes(name):
    calibrator, (p, y) = theirs(name)(), three()
    calibrator.fit(p, y)
    np.testing.assert_allclose(ours_of_many(name), calibrator.transform(p)[:2], rtol=0, atol=3e-5)


def test_oracle_netcal_live_stays_at_temperature_one_in_float32():
    calibrator, (p, y) = theirs("temperature")(), three()
    calibrator.fit(p.astype(np.float32), y)
    assert np.ravel(calibrator.temperature).tolist() == pytest.approx([1], abs=1e-3)
    found = TemperatureScaling().fit(logits(p.astype(np.float32)), torch.as_tensor(y))
    assert found.temperature == pytest.approx(1 / 1.263483, rel=1e-4)


def test_oracle_the_end_of_the_near_isotonic_path_is_not_that_of_netcal():
    p, y = (values[:40] for values in two())
    ends = list(near_isotonic_path(torch.as_tensor(y[p.argsort()]).double()))[-1].values.unique().tolist()
    assert ends == pytest.approx([0, 1 / 3, 1 / 2, 5 / 7, 1])
    assert ends != pytest.approx(LAST_NEAR_ISOTONIC, abs=1e-3)
