"""Calibration beside four libraries, on the data of the peers' tests."""

import numpy as np
import torch
from tests.uncertainty import test_uncertainty_calibration_peers as data
from tests.uncertainty import test_uncertainty_posthoc_peers as maps
from tests.uncertainty.peers.case import Case

from weightlore.uncertainty import calibration as ours
from weightlore.uncertainty.ranking import auprc, auroc

P, Y, ONE, MEAN, STD, OBSERVED = data.P, data.Y, data.ONE, data.MEAN, data.STD, data.OBSERVED
EXACT = 1e-9
PHANTOM = (torch.tensor([0.95, 1.0]), torch.tensor([1, 0]))
TWO = (P[:, :2] / P[:, :2].sum(1, keepdim=True), torch.arange(600) % 2)
WIDTH = (
    "its ACE is the mean gap of the top label over the bins of equal width that are not empty; ours takes all classes "
    "in bins of equal mass"
)
TWO_LABELS = (
    "labels of two different values are a binary problem there, of column 1; ours goes by the columns, and takes the "
    "top label"
)
LAST = "a confidence of exactly 1 gets a bin of its own there, beyond the last; 1 belongs to our last bin"
BIC = "its binnings of equal width are ranked by BIC; ours are of equal mass, ranked by the evidence of the paper"
PATH = "its path ends beside the isotonic regression, ours in it"
SMALL_STEPS = "its slopes are differences of 1e-8, so that float32 leaves the temperature at 1; ours are exact"
TOP_MASS = "its adaptive error is that of the top label in bins of equal mass; ours takes all classes"


def netcal(name, *args, bins=15):
    import netcal.metrics

    measure = getattr(netcal.metrics, name)
    return (measure() if name == "MMCE" else measure(bins=bins)).measure(*args)


def mapped(name):
    calibrator = maps.theirs(name)()
    calibrator.fit(*maps.two())
    return calibrator.transform(maps.AT)


def mapped_many(name):
    calibrator, (p, y) = maps.theirs(name)(), maps.three()
    calibrator.fit(p, y)
    return calibrator.transform(p)[:2]


def in_float32():
    calibrator, (p, y) = maps.theirs("temperature")(), maps.three()
    calibrator.fit(p.astype(np.float32), y)
    return 1 / calibrator.temperature


def end_of_path():
    from netcal.binning import NearIsotonicRegression

    p, y = (values[:40] for values in maps.two())
    one = NearIsotonicRegression(quick_init=False)
    one.fit(p, y)
    last = one
    while (following := last.get_next_model()) is not None:
        last = following
    return np.unique(np.round(np.ravel(last.transform(np.sort(p))), 9))


def own_end_of_path():
    p, y = (values[:40] for values in maps.two())
    return list(ours.near_isotonic_path(torch.as_tensor(y[p.argsort()]).double()))[-1].values.unique()


def own_float32():
    p, y = maps.three()
    logits = maps.logits(p.astype(np.float32))
    return ours.TemperatureScaling().fit(logits, torch.as_tensor(y)).temperature


def torchmetric(name, *args, **options):
    from torchmetrics.functional import classification

    return getattr(classification, name)(*args, **options)


def uncertain_metric(name, *args, **options):
    from torch_uncertainty import metrics

    metric = getattr(metrics, name)(**options)
    metric.update(*args)
    return metric.compute()


def toolbox(name, *args, **options):
    from uncertainty_toolbox import metrics_calibration

    return getattr(metrics_calibration, name)(*(a.numpy() for a in args), **options)


MEASURES = [
    Case(
        "netcal",
        "ECE",
        "C3",
        "top label, 15 bins",
        lambda: ours.expected_calibration_error(P, Y),
        lambda: netcal("ECE", P.numpy(), Y.numpy()),
        EXACT,
    ),
    Case(
        "netcal",
        "ECE",
        "C3",
        "binary",
        lambda: ours.expected_calibration_error(*ONE, target="binary"),
        lambda: netcal("ECE", *(t.numpy() for t in ONE)),
        EXACT,
    ),
    Case(
        "netcal",
        "ECE",
        "C3",
        "two columns, top label",
        lambda: ours.expected_calibration_error(*TWO),
        lambda: netcal("ECE", *(t.numpy() for t in TWO)),
        EXACT,
        TWO_LABELS,
    ),
    Case(
        "netcal",
        "MCE",
        "C4",
        "top label, 15 bins",
        lambda: ours.maximum_calibration_error(P, Y),
        lambda: netcal("MCE", P.numpy(), Y.numpy()),
        EXACT,
    ),
    Case(
        "netcal",
        "MMCE",
        "C10",
        "kernel error",
        lambda: ours.mmce(P, Y),
        lambda: netcal("MMCE", P.numpy(), Y.numpy()),
        EXACT,
    ),
    Case(
        "netcal",
        "ACE",
        "C6",
        "adaptive error",
        lambda: ours.adaptive_calibration_error(P, Y),
        lambda: netcal("ACE", P.numpy(), Y.numpy()),
        EXACT,
        WIDTH,
    ),
    Case(
        "netcal",
        "UCE",
        "C15",
        "variances, 10 bins",
        lambda: ours.uce((MEAN, STD), OBSERVED, bins=10),
        lambda: netcal("UCE", (MEAN.numpy(), STD.numpy()), OBSERVED.numpy(), bins=10),
        EXACT,
    ),
    Case(
        "netcal",
        "ENCE",
        "C15",
        "standard deviations, 10 bins",
        lambda: ours.ence((MEAN, STD), OBSERVED, bins=10),
        lambda: netcal("ENCE", (MEAN.numpy(), STD.numpy()), OBSERVED.numpy(), bins=10),
        EXACT,
        "its bins are of equal width of the standard deviation, ours of equal mass",
    ),
    *(
        Case(
            "torchmetrics",
            "multiclass_calibration_error",
            row,
            f"norm {norm}, float32",
            lambda n=norm: ours.expected_calibration_error(P, Y, norm=data.NORMS[n]),
            lambda n=norm: torchmetric("multiclass_calibration_error", P, Y, num_classes=4, n_bins=15, norm=n),
            1e-6,
        )
        for norm, row in (("l1", "C3"), ("l2", "C3"), ("max", "C4"))
    ),
    *(
        Case(
            "torchmetrics",
            "binary_calibration_error",
            row,
            f"norm {norm}",
            lambda n=norm: ours.expected_calibration_error(*ONE, norm=data.NORMS[n], target="binary"),
            lambda n=norm: torchmetric("binary_calibration_error", *ONE, n_bins=15, norm=n),
            1e-9,
        )
        for norm, row in (("l1", "C3"), ("l2", "C3"), ("max", "C4"))
    ),
    Case(
        "torchmetrics",
        "binary_calibration_error",
        "C3",
        "a confidence of exactly 1",
        lambda: ours.expected_calibration_error(*PHANTOM, bins=10, target="binary"),
        lambda: torchmetric("binary_calibration_error", *PHANTOM, n_bins=10),
        1e-6,
        LAST,
    ),
    Case(
        "torchmetrics",
        "binary_auroc",
        "M13",
        "area over a ranking",
        lambda: auroc(ONE[0], ONE[1] == 1),
        lambda: torchmetric("binary_auroc", *ONE),
        1e-6,
    ),
    Case(
        "torchmetrics",
        "binary_average_precision",
        "M14",
        "average precision",
        lambda: auprc(ONE[0], ONE[1] == 1),
        lambda: torchmetric("binary_average_precision", *ONE),
        1e-6,
    ),
    Case(
        "torch-uncertainty",
        "CalibrationError",
        "C3",
        "top label, 15 bins",
        lambda: ours.expected_calibration_error(P, Y),
        lambda: uncertain_metric("CalibrationError", P, Y, task="multiclass", num_classes=4, num_bins=15),
        1e-6,
    ),
    Case(
        "torch-uncertainty",
        "AdaptiveCalibrationError",
        "C6",
        "adaptive error",
        lambda: ours.adaptive_calibration_error(P, Y),
        lambda: uncertain_metric("AdaptiveCalibrationError", P, Y, task="multiclass", num_classes=4, num_bins=15),
        1e-6,
        TOP_MASS,
    ),
    Case(
        "torch-uncertainty",
        "BrierScore",
        "C12",
        "all classes",
        lambda: ours.brier_score(P, Y),
        lambda: uncertain_metric("BrierScore", P, Y, num_classes=4),
        1e-6,
    ),
    Case(
        "uncertainty-toolbox",
        "miscalibration_area",
        "C14",
        "area between promise and share",
        lambda: ours.miscalibration_area((MEAN, STD), OBSERVED),
        lambda: toolbox("miscalibration_area", MEAN, STD, OBSERVED, prop_type="quantile"),
        1e-3,
    ),
]
MAPS = [
    *(
        Case("netcal", theirs, row, "two classes", lambda n=name: maps.ours(n), lambda n=name: mapped(n), close, reason)
        for name, theirs, row, close, reason in (
            ("histogram", "HistogramBinning", "P7", 1e-6, ""),
            ("isotonic", "IsotonicRegression", "P8", 1e-6, ""),
            ("platt", "LogisticCalibration", "P2", 3e-5, ""),
            ("beta", "BetaCalibration", "P6", 3e-5, ""),
            ("temperature", "TemperatureScaling", "P1", 3e-5, ""),
            ("quantile bins", "BBQ", "P9", 3e-5, BIC),
        )
    ),
    *(
        Case(
            "netcal",
            theirs,
            row,
            "three classes",
            lambda n=name: maps.ours_of_many(n),
            lambda n=name: mapped_many(n),
            3e-5,
        )
        for name, theirs, row in (
            ("temperature", "TemperatureScaling", "P1"),
            ("vector", "LogisticCalibration", "P3"),
            ("isotonic", "IsotonicRegression", "P8"),
        )
    ),
    Case("netcal", "TemperatureScaling", "P1", "three classes, float32", own_float32, in_float32, 1e-3, SMALL_STEPS),
]
MAPS.append(
    Case("netcal", "NearIsotonicRegression", "P10", "end of the path", own_end_of_path, end_of_path, 1e-6, PATH)
)
CASES = MEASURES + MAPS
