"""What the families of uncertainty cost: training and predicting with each, against one plain network.

All learn the same digits with the same MLP for as many epochs, and predict the same test set. The candidate is the
plain network, so that a ratio is what a method costs in its units. ``keep`` writes the ratios where the package finds
them, with how many numbers each method must store.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.race import RESULTS, Race, machine, versions
from weightlore.data import Split, digits, shift
from weightlore.networks import mlp
from weightlore.networks.layered import built
from weightlore.training import adam, fit
from weightlore.uncertainty import CategoricalPrediction, evaluate
from weightlore.uncertainty.bayesian import elbo_step, mc_dropout, predict_members, variational
from weightlore.uncertainty.deterministic import evidential_classification_loss, evidential_prediction, fit_sngp, sngp
from weightlore.uncertainty.ensembles import DeepEnsemble, fit_ensemble, fit_snapshots
from weightlore.uncertainty.laplace import Laplace
from weightlore.uncertainty.mcmc import SGHMC, CyclicalSchedule, sample_network
from weightlore.uncertainty.ood import Mahalanobis

PLAIN, EPOCHS, MEMBERS, SAMPLES, COSINES, KEPT = "one network", 6, 5, 20, 128, 10
TRAIN, TEST = digits("train"), digits("test")
Predict = Callable[[Tensor], Tensor]


def races() -> list[Race]:
    trained = {name: make() for name, make in METHODS.items()}
    right = torch.ones(())
    return [
        Race(
            name="training",
            what=f"MLP 64-64-32-10 on {len(TRAIN)} digits, {EPOCHS} epochs of batches of 64 with Adam, float64",
            contestants={name: partial(_after, make, right) for name, make in METHODS.items()},
            candidate=PLAIN,
            reference=PLAIN,
            tolerance=0.0,
        ),
        Race(
            name="prediction",
            what=f"{len(TEST)} digits; {SAMPLES} samples where a method draws, {MEMBERS} members or views, "
            f"{KEPT} networks of a chain",
            contestants={name: partial(_after, partial(predict, TEST.x), right) for name, predict in trained.items()},
            candidate=PLAIN,
            reference=PLAIN,
            tolerance=0.0,
        ),
    ]


def keep() -> None:
    """Write the ratios of the last run into the package."""
    numbers = stored()
    found = {
        race["name"]: race["contestants"]
        for race in json.loads((RESULTS / "family_costs.json").read_text(encoding="utf-8"))["races"]
    }
    rows = [
        {
            "method": name,
            "training": found["training"][name]["ratio"],
            "prediction": found["prediction"][name]["ratio"],
            "stored": round(numbers[name], 2),
        }
        for name in METHODS
    ]
    content = {"benchmark": "family_costs", "machine": machine(), "versions": versions(), "rows": rows}
    target = Path(evaluate.__file__).with_name("costs.json")
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def stored() -> dict[str, float]:
    """Return how many numbers each method keeps, in units of the plain network's parameters."""
    shapes = [(64, 64), (32, 64), (10, 32)]
    one = sum(o * (i + 1) for o, i in shapes)
    factors = sum(o * o + (i + 1) ** 2 for o, i in shapes)
    last = 10 * 33
    return {
        PLAIN: 1.0,
        "views": 1.0,
        "Mahalanobis": 1 + (10 * 32 + 32 * 33 / 2) / one,
        "evidential": 1.0,
        "Gaussian process at the end": (one - last + COSINES * (32 + 1 + 10) + COSINES * (COSINES + 1) / 2) / one,
        "dropout that stays on": 1.0,
        "variational": 2.0,
        "chain": float(KEPT),
        "Laplace, last layer": 1 + last * (last + 1) / 2 / one,
        "Laplace, Kronecker": 1 + factors / one,
        "snapshots of one long training": float(MEMBERS),
        "ensemble": float(MEMBERS),
    }


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _made(generator: torch.Generator) -> nn.Module:
    return mlp(generator=generator)


def _dropping() -> nn.Module:
    def layers() -> nn.Module:
        first, second = ((nn.Linear(i, o), nn.ReLU(), nn.Dropout(0.2)) for i, o in ((64, 64), (64, 32)))
        return nn.Sequential(*first, *second, nn.Linear(32, 10))

    return built(layers, generator=_generator(), dtype=torch.float64)


def _trained(net: nn.Module, step: object = None) -> nn.Module:
    options = {} if step is None else {"step": step}
    fit(net, TRAIN, generator=_generator(), epochs=EPOCHS, optimizer=adam(1e-3), schedule=None, **options)  # type: ignore[arg-type]
    return net.eval()


@torch.no_grad()
def _softmax(net: nn.Module, x: Tensor) -> Tensor:
    return net(x).softmax(1)


def _plain() -> Predict:
    return partial(_softmax, _trained(_made(_generator())))


def _views() -> Predict:
    net = _trained(_made(_generator()))
    return lambda x: torch.stack([_softmax(net, shift(x, "rotation", s)) for s in range(MEMBERS)]).mean(0)


def _mahalanobis() -> Predict:
    return Mahalanobis().fit(_trained(_made(_generator())), TRAIN).score


def _evidential() -> Predict:
    def step(net: nn.Module, batch: Split, _: torch.Generator) -> Tensor:
        return evidential_classification_loss(net(batch.x), batch.y, risk="squared", strength=1.0)

    net = _trained(_made(_generator()), step)
    return lambda x: evidential_prediction(net(x).detach()).mean


def _process() -> Predict:
    start, drawn = _made(_generator()), _generator()
    net = sngp(start, TRAIN.x, outputs=10, bound=6.0, length_scale=4.0, count=COSINES, generator=drawn)
    fit_sngp(net, TRAIN, generator=_generator(), epochs=EPOCHS, optimizer=adam(1e-3), schedule=None)
    return lambda x: _mean(net.predict_proba(x))


def _dropped() -> Predict:
    net = _trained(_dropping())
    return lambda x: _mean(mc_dropout(net, x, samples=SAMPLES, generator=_generator()))


def _variational() -> Predict:
    net = _trained(variational(_made(_generator())), elbo_step(num_data=len(TRAIN)))
    return lambda x: _mean(predict_members(net, x, samples=SAMPLES, generator=_generator()))


def _chain() -> Predict:
    net, generator = _trained(_made(_generator())), _generator()
    found = sample_network(
        net,
        TRAIN,
        lambda p: SGHMC(p, 3e-4, num_data=len(TRAIN), prior_precision=1.0, generator=generator),
        schedule=CyclicalSchedule(3e-4, 2, explore=0.6, every=4),
        epochs=EPOCHS,
        generator=generator,
    )
    if len(found) != KEPT:
        raise SystemExit(f"a chain of {KEPT} networks expected, got {len(found)}")
    return lambda x: _mean(found.predict(x))


def _laplace(subset: str, structure: str) -> Predict:
    found = Laplace(_trained(_made(_generator())), "classification", subset=subset, structure=structure).fit(TRAIN)  # type: ignore[arg-type]
    return lambda x: _mean(found.predict(x))


def _snapshots() -> Predict:
    found = fit_snapshots(_made(_generator()), TRAIN, generator=_generator(), cycles=MEMBERS, cycle_epochs=EPOCHS)
    return lambda x: _mean(found.predict(x))


def _ensemble() -> Predict:
    found: DeepEnsemble = fit_ensemble(
        _made, TRAIN, members=MEMBERS, generator=_generator(), epochs=EPOCHS, optimizer=adam(1e-3), schedule=None
    )
    return lambda x: _mean(found.predict(x))


def _mean(said: object) -> Tensor:
    if not isinstance(said, CategoricalPrediction):
        raise SystemExit(f"class probabilities expected, got {type(said).__name__}")
    return said.mean


METHODS: dict[str, Callable[[], Predict]] = {
    PLAIN: _plain,
    "views": _views,
    "Mahalanobis": _mahalanobis,
    "evidential": _evidential,
    "Gaussian process at the end": _process,
    "dropout that stays on": _dropped,
    "variational": _variational,
    "chain": _chain,
    "Laplace, last layer": partial(_laplace, "last_layer", "full"),
    "Laplace, Kronecker": partial(_laplace, "all", "kron"),
    "snapshots of one long training": _snapshots,
    "ensemble": _ensemble,
}


def _after(work: Callable[[], object], right: Tensor) -> Tensor:
    """Do work whose result is not compared: the methods say different things."""
    work()
    return right
