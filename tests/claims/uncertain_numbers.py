"""The numbers behind the ledger of uncertainty, measured once for each seed and stored, so that a run goes on.

    found(study, seed, group)   name -> number, from studies/uncertain/<study>.json or measured now
    stored(study, group)        seed -> name -> number, of what was measured

Groups for images: ``"methods"`` under shift, with and without a temperature; ``"confidence"`` and its repair;
``"members"``, how many; ``"bins"`` of the calibration error; ``"views"`` at test time; ``"coverage"`` of conformal
sets; ``"repairs"`` by eight calibration maps; ``"mistakes"`` and who finds them; ``"labels"`` that are asked for. A
table has the group ``"scores"``, and its standard splits for seeds. Other studies add groups of their own.

A temperature is fitted on validation images, each method's own on its pooled logits. Calibration errors have 15 bins.
"""

import json
import warnings
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from tests.claims.uncertain_study import (
    SHIFTS,
    Images,
    conditions,
    make,
    moved,
    policy,
    pooled,
    said,
    seeded,
    splits,
    views,
)
from tests.claims.uncertain_tables import Table, scores
from torch import Tensor

from weightlore.data import Split, shift
from weightlore.teaching.claims import rounded
from weightlore.training import sgd
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.active import run
from weightlore.uncertainty.augmentation import TestTimeAugmentation
from weightlore.uncertainty.calibration import (
    BayesianBinningQuantiles,
    Calibrator,
    DirichletCalibration,
    EnsembleTemperatureScaling,
    HistogramBinning,
    IsotonicCalibration,
    MatrixScaling,
    TemperatureScaling,
    VectorScaling,
    debiased_ce,
    ece_noise_floor,
    expected_calibration_error,
    find_temperature,
)
from weightlore.uncertainty.conformal import aps_scores, conformal_quantile, lac_scores, weighted_quantile
from weightlore.uncertainty.ensembles import fit_ensemble
from weightlore.uncertainty.measures import (
    disagreement,
    max_probability,
    mutual_information,
    nll_categorical,
    nll_from_logits,
    predictive_entropy,
)
from weightlore.uncertainty.ranking import auroc, mistakes

torch.set_num_threads(1)

FILES = Path(__file__).parent / "studies" / "uncertain"
METHODS = ("ensemble", "snapshots", "SWAG", "MultiSWAG", "BatchEnsemble", "MIMO", "views", "smoothed", "student")
REPAIRS: dict[str, Callable[[], Calibrator]] = {
    "temperature": TemperatureScaling,
    "vector": VectorScaling,
    "matrix": MatrixScaling,
    "Dirichlet": DirichletCalibration,
    "ensemble temperature": EnsembleTemperatureScaling,
    "histogram": HistogramBinning,
    "isotonic": IsotonicCalibration,
    "BBQ": BayesianBinningQuantiles,
}
LEVEL, RESPLITS, TILT = 0.9, 400, 10.0
FLOOR = 1e-6  # of a probability whose logarithm is taken: some maps say that a class is impossible
Numbers = dict[str, float]


def scored(z: Tensor, y: Tensor, temperature: float) -> Numbers:
    """Return how good the pooled members are, as they are and at a temperature."""
    numbers = {}
    for name, scale in (("", 1.0), (" tempered", temperature)):
        logits = pooled(z.double()) / scale
        numbers[f"nll{name}"] = float(nll_from_logits(logits, y))
        numbers[f"ece{name}"] = float(expected_calibration_error(logits.softmax(1), y))
    return numbers | {"accuracy": float((z.softmax(-1).mean(0).argmax(1) == y).double().mean())}


def heat(z: Tensor, y: Tensor) -> float:
    """The temperature of the pooled members."""
    return find_temperature(pooled(z.double()), y).value


def methods(study: Images, seed: int) -> Numbers:
    """Every method under every condition; ``single`` is the mean over the five members of the ensemble."""
    _, validation, test = splits(study)
    numbers = {}
    for method in METHODS:
        asked = said(study, seed, method)
        z = asked(validation.x)
        temperature = heat(z, validation.y)
        own = [heat(one[None], validation.y) for one in z] if method == "ensemble" else []
        numbers[f"{method}, temperature"] = temperature
        for name, x in conditions(study, seed).items():
            z = asked(x)
            numbers |= {f"{method}, {name}, {what}": n for what, n in scored(z, test.y, temperature).items()}
            if own:
                each = [scored(one[None], test.y, t) for one, t in zip(z, own, strict=True)]
                numbers |= {f"single, {name}, {what}": sum(e[what] for e in each) / len(each) for what in each[0]}
        if own:
            numbers["single, temperature"] = sum(own) / len(own)
    return numbers


def confidence(study: Images, seed: int) -> Numbers:
    """Confidence minus accuracy before and after one temperature, which may only go one way."""
    _, validation, test = splits(study)
    members = said(study, seed, "ensemble")
    cool = [heat(one[None], validation.y) for one in members(validation.x)]
    asked = {name: said(study, seed, name) for name in ("overfitted", "smoothed")}
    asked["calibrated pool"] = lambda x: members(x) / members(x).new_tensor(cool)[:, None, None]
    numbers = {}
    for name, answer in asked.items():
        before, y = pooled(answer(test.x).double()), test.y
        temperature = heat(answer(validation.x), validation.y)
        allowed = max(temperature, 1.0) if name == "overfitted" else min(temperature, 1.0)
        p = before.softmax(1)
        right = float((p.argmax(1) == y).double().mean())
        error, floor = float(expected_calibration_error(p, y)), float(ece_noise_floor(p))
        numbers |= {
            f"{name}, confidence": float(1 - max_probability(p).mean()),
            f"{name}, accuracy": right,
            f"{name}, ece": error,
            f"{name}, floor": floor,
            f"{name}, temperature": temperature,
            f"{name}, ece repaired": float(expected_calibration_error((before / allowed).softmax(1), y)),
            f"{name}, nll": float(nll_from_logits(before, y)),
            f"{name}, nll repaired": float(nll_from_logits(before / allowed, y)),
        }
    return numbers


def members(study: Images, seed: int) -> Numbers:
    """Log loss of one, five and ten members: the mean over ten choices of neighbors in a ring."""
    numbers, y = {}, splits(study)[2].y
    asked = said(study, seed, "ten")
    for name in ("clean", *(f"{kind} 3" for kind in SHIFTS)):
        z = asked(conditions(study, seed)[name]).double()
        for count in (1, 2, 5, 10):
            chosen = [[(start + i) % len(z) for i in range(count)] for start in range(len(z))]
            numbers[f"{name}, {count}"] = sum(float(nll_from_logits(pooled(z[c]), y)) for c in chosen) / len(chosen)
    return numbers


def bins(study: Images, seed: int) -> Numbers:
    """Calibration errors of one network by the number of bins, and by the number of images."""
    test, generator = splits(study)[2], seeded(seed)
    p = pooled(said(study, seed, "one")(test.x).double()).softmax(1)
    numbers = {f"{b} bins": float(expected_calibration_error(p, test.y, bins=b)) for b in (5, 10, 15, 25, 50)}
    for count in (50, 100, 200, len(test)):
        drawn = [torch.randperm(len(test), generator=generator)[:count] for _ in range(100 if count < len(test) else 1)]
        for name, error in (("ece", expected_calibration_error), ("debiased", debiased_ce)):
            found = [float(error(p[rows], test.y[rows])) for rows in drawn]
            numbers[f"{name} of {'all' if count == len(test) else count}"] = sum(found) / len(found)
        floors = [float(ece_noise_floor(p[rows])) for rows in drawn]
        numbers[f"floor of {'all' if count == len(test) else count}"] = sum(floors) / len(floors)
    return numbers


def at_test_time(study: Images, seed: int) -> Numbers:
    """A policy of views that validation images chose, and a mirror image, against the network alone."""
    _, validation, test = splits(study)
    chosen, alone = policy(study, seed), said(study, seed, "moved")
    temperature = heat(alone(validation.x), validation.y)
    many = TestTimeAugmentation(moved(study, seed), views())

    def loss(x: Tensor, y: Tensor) -> tuple[float, float]:
        plain = nll_from_logits(pooled(alone(x).double()) / temperature, y)
        return float(plain), float(nll_categorical(chosen.predict_proba(many.predict(x)).double(), y, eps=FLOOR))

    asked = {"validation": (validation.x, validation.y)}
    asked |= {name: (conditions(study, seed)[name], test.y) for name in ("clean", *(f"{kind} 3" for kind in SHIFTS))}
    numbers = {"passes": float(len(set(chosen.chosen))), "choices": float(len(chosen.chosen))}
    for name, (x, y) in asked.items():
        numbers[f"{name}, alone"], numbers[f"{name}, policy"] = loss(x, y)
    mirrored = said(study, seed, "mirrored")(test.x).double()
    return numbers | {
        "raw, alone": float(nll_from_logits(pooled(alone(test.x).double()), test.y)),
        "raw, mirrored": float(nll_from_logits(pooled(mirrored), test.y)),
    }


def coverage(study: Images, seed: int) -> Numbers:
    """Share of conformal sets that hold the true class, over many ways to split what was not trained on."""
    _, validation, test = splits(study)
    x, y = torch.cat([validation.x, test.x]), torch.cat([validation.y, test.y])
    alone, generator = said(study, seed, "one"), seeded(seed)
    p, turned = (pooled(alone(seen).double()).softmax(1) for seen in (x, shift(x, "rotation", 3)))
    entropy = predictive_entropy(p)
    weight = torch.where(entropy > entropy.quantile(0.8), TILT, 1.0).double()
    strange = {"lac": lac_scores(p), "aps": aps_scores(p, generator=generator), "rotated": lac_scores(turned)}
    own = {name: s.gather(1, y[:, None])[:, 0] for name, s in strange.items()}
    sums: Numbers = {"size": 0.0, "lac": 0.0, "aps": 0.0, "rotated": 0.0, "hard": 0.0, "right": 0.0, "wrong": 0.0}
    for _ in range(RESPLITS):
        order = torch.randperm(len(y), generator=generator)
        known, new = order[: len(y) // 2], order[len(y) // 2 :]
        hard = new[torch.multinomial(weight[new], len(new), replacement=True, generator=generator)]
        limit = conformal_quantile(own["lac"][known], level=LEVEL)
        found = {
            "size": (strange["lac"][new] <= limit).sum(1),
            "lac": own["lac"][new] <= limit,
            "aps": own["aps"][new] <= conformal_quantile(own["aps"][known], level=LEVEL),
            "rotated": own["rotated"][new] <= limit,
            "hard": own["lac"][hard] <= limit,
        }
        for name, w in (("right", weight), ("wrong", 1 / weight)):
            found[name] = own["lac"][hard] <= weighted_quantile(own["lac"][known], w[known], w[hard], level=LEVEL)
        sums = {name: total + float(found[name].double().mean()) for name, total in sums.items()}
    return {name: total / RESPLITS for name, total in sums.items()} | {"slack": 1 / (len(y) // 2 + 1)}


def repairs(study: Images, seed: int) -> Numbers:
    """What calibration maps make of the over-confident network."""
    _, validation, test = splits(study)
    asked = said(study, seed, "overfitted")
    known, new = (asked(part.x)[0].double() for part in (validation, test))
    before = new.softmax(1)
    numbers = {}
    for name, p in (
        ("none", before),
        *((name, make_it().fit(known, validation.y).predict_proba(new)) for name, make_it in REPAIRS.items()),
    ):
        numbers |= {
            f"{name}, nll": float(nll_categorical(p, test.y, eps=FLOOR)),
            f"{name}, ece": float(expected_calibration_error(p, test.y)),
            f"{name}, accuracy": float((p.argmax(1) == test.y).double().mean()),
            f"{name}, changed": float((p.argmax(1) != before.argmax(1)).double().mean()),
        }
    return numbers


def who_is_wrong(study: Images, seed: int) -> Numbers:
    """AUROC with which scores find mistakes, of clean images and of these with shifted ones; and who disagrees."""
    y, named = splits(study)[2].y, conditions(study, seed)
    asked = said(study, seed, "ensemble")
    z = {name: asked(named[name]).double() for name in ("clean", *(f"{kind} 3" for kind in SHIFTS))}
    numbers = {}
    for name, (logits, classes) in {
        "clean": (z["clean"], y),
        "mixed": (torch.cat([*z.values()], 1), y.repeat(3)),
    }.items():
        p = logits.softmax(-1)
        wrong = mistakes(p, classes)
        for score, values in (
            ("max probability", max_probability(p)),
            ("entropy", predictive_entropy(p)),
            ("mutual information", mutual_information(p)),
        ):
            numbers[f"{name}, {score}"] = float(auroc(values, wrong))
        singles = [float(auroc(max_probability(one[None]), mistakes(one[None], classes))) for one in p]
        numbers[f"{name}, single"] = sum(singles) / len(singles)
        numbers[f"{name}, error"] = float(wrong.double().mean())
    for name in ("ensemble", "snapshots"):
        answers = said(study, seed, name)(named["clean"]).softmax(-1)
        numbers[f"{name}, disagreement"] = float(disagreement(answers).double().mean())
        numbers[f"{name}, member error"] = float((answers.argmax(-1) != y).double().mean())
    return numbers


def labels(study: Images, seed: int) -> Numbers:
    """Test accuracy after labels were asked for, ten at a time, by an ensemble of five."""
    train, _, test = splits(study)

    def learn(known: Split, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        options = {"members": 5, "epochs": 60, "batch_size": 32, "optimizer": sgd(0.1, momentum=0.9)}
        grown = fit_ensemble(partial(make, study), known, generator=generator, **options)
        return lambda x: grown.predict(x).probs

    options = {"acquisitions": ("entropy", "bald"), "rounds": 8, "count": 10, "seeds": 1}
    curves = run(learn, train, test, generator=seeded(seed), **options)
    return {
        f"{name}, {count}": float(curve[0, place])
        for name, curve in curves.accuracy.items()
        for place, count in enumerate(curves.labeled.tolist())
    }


GROUPS: dict[str, Callable[[Any, int], Numbers]] = {
    "methods": methods,
    "confidence": confidence,
    "members": members,
    "bins": bins,
    "views": at_test_time,
    "coverage": coverage,
    "repairs": repairs,
    "mistakes": who_is_wrong,
    "labels": labels,
    "scores": scores,
}


@cache
def measured(study: Images | Table, seed: int, group: str) -> Numbers:
    """Return the numbers of a group, measured now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)  # few images, many bins, one seed: that is what is studied
        found_now = GROUPS[group](study, seed)
    return {name: rounded(number) for name, number in found_now.items()}


def _file(study: Images | Table) -> dict:
    path = FILES / f"{study.name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"study": study.words, "seeds": {}}


@lru_cache(maxsize=64)
def _known(study: Images | Table, group: str, changed: int) -> dict[int, Numbers]:
    return {int(seed): groups[group] for seed, groups in _file(study)["seeds"].items() if group in groups}


def stored(study: Images | Table, group: str) -> dict[int, Numbers]:
    """Return what was measured so far."""
    path = FILES / f"{study.name}.json"
    return _known(study, group, path.stat().st_mtime_ns if path.exists() else 0)


def found(study: Images | Table, seed: int, group: str) -> Numbers:
    """Return the numbers of a group, from the file or else measured now and written into it."""
    known = stored(study, group)
    if seed in known:
        return known[seed]
    numbers = measured(study, seed, group)
    file = _file(study) | {"study": study.words}
    file["seeds"].setdefault(str(seed), {})[group] = numbers
    FILES.mkdir(parents=True, exist_ok=True)
    (FILES / f"{study.name}.json").write_text(json.dumps(file, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return numbers
