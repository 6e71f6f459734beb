"""Conformal prediction beside crepes and MAPIE: live where they are installed, and their stored numbers everywhere."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from weightlore.data import Split
from weightlore.uncertainty.conformal import (
    ConformalClassifier,
    ConformalizedQuantileRegressor,
    CrossConformalRegressor,
    SplitConformalRegressor,
    aps_scores,
    raps_scores,
)

# The numbers below are what crepes 0.9.1 and MAPIE 1.6.0 return for ``tables()``, by the calls of the live tests.
STORED: dict[str, list[list[float]]] = {
    "plain": [
        [0.30149414169, -0.602241687595, -1.360140566705, -1.275393761418, -0.425917093684],
        [1.188732179269, 0.284996349985, -0.472902529126, -0.388155723839, 0.461320943895],
    ],
    "normalized": [
        [0.017094910163, -0.286307812149, -1.690320220132, -0.926611430746, -0.775355773609],
        [1.473131410796, -0.03093752546, -0.142722875699, -0.736938054511, 0.81075962382],
    ],
    "groups": [
        [0.464207578282, -0.608298977051, -1.634559360759, -1.112680324826, -0.43197438314],
        [1.026018742677, 0.291053639441, -0.198483735072, -0.550869160431, 0.467378233351],
    ],
    "quantiles": [
        [0.667732625464, -0.628138434727, -1.51202577513, -0.93028433972, -0.368464696907],
        [0.882860376259, 0.449686824064, -0.157025901497, -0.668672652358, 0.525992445282],
    ],
    "two_sided": [
        [0.67604046764, -0.619830592551, -1.503717932954, -0.921976497544, -0.360156854732],
        [0.993419245, 0.560245692804, -0.046467032756, -0.558113783617, 0.636551314023],
    ],
    "cross": [
        [-2.876221829751, -1.862169803214, -0.763824261312, 0.137830196786, 1.123778170249],
        [-1.115207853478, -0.072481867976, 0.877274710381, 1.927518132024, 2.884792146522],
    ],
    "sets": [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]],
    "classes": [[1, 1, 0, 1], [0, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], [1, 1, 1, 0]],
}


def tables():
    """Forty examples to calibrate on and five to predict, without chance."""
    i = torch.arange(45, dtype=torch.float64)
    mean, noise, scale = torch.sin(i), torch.sin(7 * i * i + 1), 0.5 + 0.4 * torch.cos(3 * i)
    y, groups = mean + noise * scale, (i % 3).long()
    spread = 0.6 + 0.3 * torch.sin(2 * i)
    lower, upper = mean - spread, mean + spread * 1.2
    probs = torch.softmax(2 * torch.sin(torch.outer(i + 1, torch.tensor([1.0, 2.0, 3.5, 5.0]).double())), 1)
    truth = ((i * 7) % 11 % 4).long()
    names = ("mean", "y", "scale", "groups", "lower", "upper", "probs", "truth")
    full = dict(zip(names, (mean, y, scale, groups, lower, upper, probs, truth), strict=True))
    return (SimpleNamespace(**{k: v[s] for k, v in full.items()}) for s in (slice(40), slice(40, 45)))


def ours(case):
    """What this package finds, by the name of the case."""
    old, new = tables()
    if case == "plain":
        found = SplitConformalRegressor(level=0.75).fit(old.mean, old.y).predict(new.mean)
    elif case == "normalized":
        found = SplitConformalRegressor(level=0.75).fit(old.mean, old.y, scale=old.scale)
        found = found.predict(new.mean, scale=new.scale)
    elif case == "groups":
        found = SplitConformalRegressor(level=0.75).fit(old.mean, old.y, groups=old.groups)
        found = found.predict(new.mean, groups=new.groups)
    elif case in ("quantiles", "two_sided"):
        one = ConformalizedQuantileRegressor(level=0.75, symmetric=case == "quantiles")
        found = one.fit(old.lower, old.upper, old.y).predict(new.lower, new.upper)
    elif case == "cross":
        found = crossed().predict(torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None])
    else:
        one = ConformalClassifier("lac", level=0.75, mondrian=case == "classes")
        return one.fit(old.probs, old.truth).predict(new.probs).sets
    return torch.stack([found.lower, found.upper])


def line(data, generator):
    """Least squares by the normal equations."""
    design = torch.cat([data.x, torch.ones_like(data.x)], 1)
    w = torch.linalg.lstsq(design, data.y[:, None]).solution[:, 0]
    return lambda x: x[:, 0] * w[0] + w[1]


def points():
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)
    return Split(x[:, None], x + torch.sin(9 * x * x))


def crossed():
    """CV+ on five folds of neighbors, as scikit-learn's KFold cuts them."""
    fitted = CrossConformalRegressor(line, level=0.75, folds=5)
    data, found = points(), []
    for out in torch.arange(30).tensor_split(5):
        kept = torch.ones(30, dtype=torch.bool)
        kept[out] = False
        learned = line(data[kept], None)
        fitted.learned.append(learned)
        found.append((data.y[out] - learned(data.x[out])).abs())
    fitted.residuals = found
    return fitted


class Given:
    """An estimator for MAPIE that returns a column of its inputs."""

    def __init__(self, column=0):
        self.column, self.fitted_, self.n_features_in_ = column, True, 3

    def fit(self, x, y):
        return self

    def predict(self, x):
        return np.asarray(x)[:, self.column]

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize("case", sorted(STORED))
def test_oracle_stored_numbers_of_the_peers(case):
    found = ours(case)
    right = torch.tensor(STORED[case], dtype=found.dtype)
    assert torch.allclose(found.double(), right.double(), atol=1e-10)


def test_oracle_crepes_live():
    crepes = pytest.importorskip("crepes")
    old, new = ({k: v.numpy() for k, v in vars(t).items()} for t in tables())
    residuals = old["y"] - old["mean"]
    found = crepes.ConformalRegressor().fit(residuals).predict_int(new["mean"], confidence=0.75)
    assert np.allclose(found.T, ours("plain"), atol=1e-10)
    found = crepes.ConformalRegressor().fit(residuals, sigmas=old["scale"])
    found = found.predict_int(new["mean"], sigmas=new["scale"], confidence=0.75)
    assert np.allclose(found.T, ours("normalized"), atol=1e-10)
    found = crepes.ConformalRegressor().fit(residuals, bins=old["groups"])
    found = found.predict_int(new["mean"], bins=new["groups"], confidence=0.75)
    assert np.allclose(found.T, ours("groups"), atol=1e-10)
    one = crepes.ConformalRegressor().fit(np.arange(1.0, 15.0)).predict_int(np.zeros(1), confidence=0.8)
    assert one[0, 1] == 13, "0.2 times 15 is rounded down to 2 there; 12 of 14 are 15 times 0.8, and enough"
    zero = torch.zeros(14, dtype=torch.float64)
    exact = SplitConformalRegressor(level=0.8).fit(zero, torch.arange(1.0, 15.0, dtype=torch.float64))
    assert float(exact.predict(zero[:1]).upper) == 12
    alphas = 1 - old["probs"][np.arange(40), old["truth"]]
    plain = crepes.ConformalClassifier().fit(alphas)
    found = plain.predict_set(1 - new["probs"], confidence=0.75, smoothing=False)
    assert (found == ours("sets").numpy()).all()
    each = crepes.ConformalClassifier().fit(alphas, bins=old["truth"])
    columns = [
        each.predict_set(1 - new["probs"][:, [c]], bins=np.full(5, c), confidence=0.75, smoothing=False)
        for c in range(4)
    ]
    found = np.concatenate(columns, 1)
    assert (found == ours("classes").numpy()).all()


def test_oracle_mapie_live():
    pytest.importorskip("mapie")
    from mapie.conformity_scores import APSConformityScore
    from mapie.regression import ConformalizedQuantileRegressor as Quantiles
    from mapie.regression import CrossConformalRegressor as Cross
    from mapie.regression import SplitConformalRegressor as Plain
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold

    old, new = tables()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x, t = (torch.stack([k.lower, k.upper, k.mean], 1).numpy() for k in (old, new))
        plain = Plain(Given(2), confidence_level=0.75, prefit=True).conformalize(x, old.y.numpy())
        assert np.allclose(plain.predict_interval(t)[1][:, :, 0].T, ours("plain"), atol=1e-10)
        for case, symmetric in (("quantiles", True), ("two_sided", False)):
            both = Quantiles([Given(0), Given(1), Given(2)], confidence_level=0.75, prefit=True)
            both.conformalize(x, old.y.numpy())
            found = both.predict_interval(t, symmetric_correction=symmetric)[1][:, :, 0].T
            assert np.allclose(found, ours(case), atol=1e-10)
        data = points()
        cross = Cross(LinearRegression(), confidence_level=0.75, method="plus", cv=KFold(5))
        cross.fit_conformalize(data.x.numpy(), data.y.numpy())
        found = cross.predict_interval(np.linspace(-2, 2, 5)[:, None])[1][:, :, 0].T
        assert np.allclose(found, ours("cross"), atol=1e-10)
        reached, place = APSConformityScore.get_true_label_cumsum_proba(
            old.truth.numpy(), old.probs.numpy(), np.arange(4)
        )
    mine = aps_scores(old.probs).gather(1, old.truth[:, None])
    assert np.allclose(mine, reached, atol=1e-12)
    mine = raps_scores(old.probs, penalty=0.1, free=2).gather(1, old.truth[:, None])
    assert np.allclose(mine[:, 0], reached[:, 0] + 0.1 * np.maximum(place - 2, 0), atol=1e-12)
