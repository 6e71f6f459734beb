"""Conformal prediction, posteriors and scores beside four libraries, on the data of the peers' tests."""

import numpy as np
import torch
from tests.uncertainty import test_uncertainty_conformal_peers as conformal
from tests.uncertainty import test_uncertainty_laplace_peers as posteriors
from tests.uncertainty import test_uncertainty_posthoc_peers as maps
from tests.uncertainty.peers.calibrating import EXACT, MEAN, OBSERVED, ONE, P, Y
from tests.uncertainty.peers.case import Case

from weightlore.uncertainty.calibration import brier_score
from weightlore.uncertainty.conformal import SplitConformalRegressor, aps_scores
from weightlore.uncertainty.laplace import log_marginal_likelihood
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.ranking import auprc, auroc
from weightlore.uncertainty.regression import pinball_loss
from weightlore.uncertainty.sources import ExactGP, rbf_kernel

ROUNDED = "0.2 times 15 is rounded down to 2 there; 12 of 14 scores are 0.8 times 15, and enough"
POINTS = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None]
BETWEEN = torch.linspace(-0.3, 1.3, 9, dtype=torch.float64)[:, None]
STRUCTURES = {"full": "B20", "diag": "B21", "last_layer": "B25"}


def tables():
    return ({k: v.numpy() for k, v in vars(table).items()} for table in conformal.tables())


def crepes_intervals(**names):
    """Intervals of crepes; the names say which columns go by which name to fitting and to predicting."""
    from crepes import ConformalRegressor

    old, new = tables()
    fitted = ConformalRegressor().fit(old["y"] - old["mean"], **{k: old[v] for k, v in names.items()})
    return fitted.predict_int(new["mean"], confidence=0.75, **{k: new[v] for k, v in names.items()}).T


def crepes_sets():
    from crepes import ConformalClassifier

    old, new = tables()
    fitted = ConformalClassifier().fit(1 - old["probs"][np.arange(40), old["truth"]])
    return fitted.predict_set(1 - new["probs"], confidence=0.75, smoothing=False)


def crepes_fourteen():
    from crepes import ConformalRegressor

    return ConformalRegressor().fit(np.arange(1.0, 15.0)).predict_int(np.zeros(1), confidence=0.8)[0, 1]


def own_fourteen():
    zero = torch.zeros(14, dtype=torch.float64)
    found = SplitConformalRegressor(level=0.8).fit(zero, torch.arange(1.0, 15.0, dtype=torch.float64))
    return found.predict(zero[:1]).upper


def mapie_columns():
    old, new = conformal.tables()
    return *(torch.stack([k.lower, k.upper, k.mean], 1).numpy() for k in (old, new)), old.y.numpy()


def mapie_plain():
    from mapie.regression import SplitConformalRegressor as Plain

    x, t, y = mapie_columns()
    found = Plain(conformal.Given(2), confidence_level=0.75, prefit=True).conformalize(x, y)
    return found.predict_interval(t)[1][:, :, 0].T


def mapie_quantiles(symmetric):
    from mapie.regression import ConformalizedQuantileRegressor as Quantiles

    x, t, y = mapie_columns()
    both = Quantiles([conformal.Given(k) for k in range(3)], confidence_level=0.75, prefit=True).conformalize(x, y)
    return both.predict_interval(t, symmetric_correction=symmetric)[1][:, :, 0].T


def mapie_cross():
    from mapie.regression import CrossConformalRegressor as Cross
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold

    data = conformal.points()
    cross = Cross(LinearRegression(), confidence_level=0.75, method="plus", cv=KFold(5))
    cross.fit_conformalize(data.x.numpy(), data.y.numpy())
    return cross.predict_interval(np.linspace(-2, 2, 5)[:, None])[1][:, :, 0].T


def mapie_adaptive():
    from mapie.conformity_scores import APSConformityScore

    old, _ = tables()
    return APSConformityScore.get_true_label_cumsum_proba(old["truth"], old["probs"], np.arange(4))[0]


def own_adaptive():
    old, _ = conformal.tables()
    return aps_scores(old.probs).gather(1, old.truth[:, None])


def fitted(name, likelihood="classification"):
    subset, structure = ("last_layer", "full") if name == "last_layer" else ("all", name)
    return posteriors.ours(likelihood, subset, structure)


def theirs_fitted(name, likelihood="classification"):
    subset, structure = ("last_layer", "full") if name == "last_layer" else ("all", name)
    return posteriors.theirs(likelihood, subset, structure)


def own_variances(name):
    found, data = fitted(name)
    return found.functional(data.x[:3])[1].diagonal(dim1=1, dim2=2)


def their_variances(name):
    found, J = theirs_fitted(name)
    own = J[:3, :, -len(found.mean) :]
    return found.functional_variance(own).diagonal(dim1=1, dim2=2)


def scikit_metric(name, *args, **options):
    from sklearn import metrics

    return getattr(metrics, name)(*(a.numpy() for a in args), **options)


def scikit_map(made):
    import sklearn.isotonic

    p, y = maps.two()
    return getattr(sklearn.isotonic, made)(out_of_bounds="clip").fit(p, y).predict(maps.AT)


def scikit_process():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    process = GaussianProcessRegressor(ConstantKernel(1.3**2) * RBF(0.2), alpha=0.04, optimizer=None)
    process.fit(POINTS.numpy(), np.sin(6 * POINTS[:, 0].numpy()))
    return process.predict(BETWEEN.numpy(), return_cov=True)


def own_process():
    process = ExactGP(rbf_kernel(0.2, 1.3), 0.04).fit(POINTS, torch.sin(6 * POINTS))
    return process.predict(BETWEEN).mean, process.function_covariance(BETWEEN)


def own_conformal(name):
    return lambda: conformal.ours(name)


CREPES = [
    Case("crepes", "ConformalRegressor", "F1", "plain", own_conformal("plain"), crepes_intervals, EXACT),
    Case(
        "crepes",
        "ConformalRegressor",
        "F1",
        "normalized",
        own_conformal("normalized"),
        lambda: crepes_intervals(sigmas="scale"),
        EXACT,
    ),
    Case(
        "crepes",
        "ConformalRegressor",
        "F5",
        "by groups",
        own_conformal("groups"),
        lambda: crepes_intervals(bins="groups"),
        EXACT,
    ),
    Case("crepes", "ConformalRegressor", "F1", "14 scores at 0.8", own_fourteen, crepes_fourteen, EXACT, ROUNDED),
    Case("crepes", "ConformalClassifier", "F3", "sets of classes", own_conformal("sets"), crepes_sets, EXACT),
]
MAPIE = [
    Case("MAPIE", "SplitConformalRegressor", "F1", "plain", own_conformal("plain"), mapie_plain, EXACT),
    *(
        Case(
            "MAPIE",
            "ConformalizedQuantileRegressor",
            "F2",
            what,
            own_conformal(name),
            lambda s=name == "quantiles": mapie_quantiles(s),
            EXACT,
        )
        for name, what in (("quantiles", "one correction"), ("two_sided", "one for each side"))
    ),
    Case("MAPIE", "CrossConformalRegressor", "F6", "plus, 5 folds", own_conformal("cross"), mapie_cross, EXACT),
    Case("MAPIE", "APSConformityScore", "F4", "adaptive scores", own_adaptive, mapie_adaptive, EXACT),
]
LAPLACE = [
    *(
        Case(
            "laplace-torch",
            "log_marginal_likelihood",
            "B31",
            f"evidence, {name.replace('_', ' ')}",
            lambda n=name: log_marginal_likelihood(fitted(n)[0]),
            lambda n=name: theirs_fitted(n)[0].log_marginal_likelihood(),
            1e-7,
        )
        for name in STRUCTURES
    ),
    *(
        Case(
            "laplace-torch",
            "functional_variance",
            row,
            f"variances of logits, {name.replace('_', ' ')}",
            lambda n=name: own_variances(n),
            lambda n=name: their_variances(n),
            1e-7,
        )
        for name, row in STRUCTURES.items()
    ),
]
SCIKIT = [
    Case(
        "scikit-learn",
        "roc_auc_score",
        "M13",
        "area over a ranking",
        lambda: auroc(ONE[0], ONE[1] == 1),
        lambda: scikit_metric("roc_auc_score", ONE[1], ONE[0]),
        EXACT,
    ),
    Case(
        "scikit-learn",
        "average_precision_score",
        "M14",
        "average precision",
        lambda: auprc(ONE[0], ONE[1] == 1),
        lambda: scikit_metric("average_precision_score", ONE[1], ONE[0]),
        EXACT,
    ),
    Case(
        "scikit-learn",
        "brier_score_loss",
        "C12",
        "binary, by halves",
        lambda: brier_score(ONE[0], ONE[1], half=True),
        lambda: scikit_metric("brier_score_loss", ONE[1], ONE[0]),
        EXACT,
    ),
    Case(
        "scikit-learn",
        "log_loss",
        "C13",
        "four classes",
        lambda: nll_categorical(P.double()[None], Y),
        lambda: scikit_metric("log_loss", Y, P.double(), labels=range(4)),
        EXACT,
    ),
    Case(
        "scikit-learn",
        "mean_pinball_loss",
        "M24",
        "quantiles at 0.9",
        lambda: pinball_loss(MEAN, OBSERVED, 0.9),
        lambda: scikit_metric("mean_pinball_loss", OBSERVED, MEAN, alpha=0.9),
        EXACT,
    ),
    Case(
        "scikit-learn",
        "IsotonicRegression",
        "P8",
        "two classes",
        lambda: maps.ours("isotonic"),
        lambda: scikit_map("IsotonicRegression"),
        EXACT,
    ),
    Case("scikit-learn", "GaussianProcessRegressor", "S10", "means, covariances", own_process, scikit_process, EXACT),
]
CASES = CREPES + MAPIE + LAPLACE + SCIKIT
