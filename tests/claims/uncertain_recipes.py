"""The study of recipes: what becomes of a method when its network is built otherwise, or sees other examples.

    recipes(study, seed)   AUROC of methods for strange inputs, by three widths and by three halves of the examples

It is a group of ``uncertain_numbers``. Only widths, or only examples, differ between three recipes; the rest is that of
``uncertain_posteriors``, the seeds of initial weights and of batches among it. Everything was fixed before anything was
measured, and tried once.
"""

from dataclasses import replace

import torch
from tests.claims.uncertain_numbers import GROUPS, Numbers
from tests.claims.uncertain_posteriors import aliens, areas, evidential, shown, unseen
from tests.claims.uncertain_study import RATE, Images, make, seeded, splits, trained

from weightlore.data import Split
from weightlore.training import sgd
from weightlore.uncertainty.deterministic import evidential_prediction, prior_prediction
from weightlore.uncertainty.dirichlet import vacuity
from weightlore.uncertainty.ensembles import DeepEnsemble, fit_ensemble
from weightlore.uncertainty.measures import predictive_entropy
from weightlore.uncertainty.ood import MaxSoftmax

torch.set_num_threads(1)

WIDTHS = (32, 128, 512)  # of both hidden layers
KINDS = {"width": tuple(map(str, WIDTHS)), "half": ("0", "1", "2")}
WAYS = ("plain", "evidential", "prior", "ensemble")


def recipes(study: Images, seed: int) -> Numbers:
    """AUROC of every method for every strange kind, by recipe."""
    train, _, test = splits(study)
    strangers = {name: aliens(study, seed)[name] for name in unseen(study)}
    numbers = {}
    for kind, names in KINDS.items():
        for place, name in enumerate(names):
            built, data = recipe(study, train, seed, kind, place)
            for what, area in areas(asked(built, data, seed), test.x, strangers).items():
                numbers[f"{what}, {kind} {name}"] = area
    return numbers


def recipe(study: Images, train: Split, seed: int, kind: str, place: int) -> tuple[Images, Split]:
    """The study with another width, or with half of the examples."""
    if kind == "width":
        return replace(study, sizes=(study.sizes[0], WIDTHS[place], WIDTHS[place], study.sizes[-1])), train
    order = torch.randperm(len(train), generator=seeded(16_000 + 10 * seed + place))
    return study, train[order[: len(train) // 2]]


def asked(study: Images, data: Split, seed: int) -> dict:
    """The score of each method, trained on the same examples."""
    plain = trained(study, make(study, seeded(17_000 + seed)), 17_000 + seed, data=data)
    claims, prior = evidential(study, data, 14_000 + seed, study.epochs), shown(study, seed, "prior", data)
    five = many(study, data, seed)
    return {
        "plain": MaxSoftmax(plain).score,
        "evidential": lambda x: vacuity(evidential_prediction(claims(x))),
        "prior": lambda x: prior_prediction(prior(x)).mutual_information(),
        "ensemble": lambda x: predictive_entropy(five.outputs(x).softmax(-1)),
    }


def many(study: Images, data: Split, seed: int) -> DeepEnsemble:
    """Five networks."""
    return fit_ensemble(
        lambda generator: make(study, generator),
        data,
        members=5,
        generator=seeded(18_000 + seed),
        epochs=study.epochs,
        batch_size=study.batch,
        optimizer=sgd(RATE, momentum=0.9),
    )


GROUPS["recipes"] = recipes
