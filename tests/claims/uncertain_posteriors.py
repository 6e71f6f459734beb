"""The study behind the second half of the ledger of uncertainty: posteriors under shift, strange inputs, one pass.

    shifted(study, seed)    log loss of posteriors, of the network they stand around and of five networks
    strange(study, seed)    AUROC of scores against images from outside
    taught(study, seed)     networks that were told how to doubt, or shown images from outside
    evidence(study, seed)   what doubt becomes with ten times as many examples

They are groups of ``uncertain_numbers``. The plain network is the first of the ensemble of five. The settings were
fixed before anything was measured and tried once: dropout 0.2; a prior precision of 1 where evidence does not choose
it; 20 draws; networks with a loss of their own learn by Adam at 0.002. The chain alone was chosen, by the log loss on
validation images of seed 100, which no row uses: among five steps and two shares of a cycle that are without noise.
"""

from functools import lru_cache

import torch
from tests.claims.uncertain_numbers import GROUPS, Numbers
from tests.claims.uncertain_study import SHIFTS, Images, conditions, independent, make, said, seeded, splits, trained
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data import Split, fetch
from weightlore.networks.layered import built
from weightlore.parameters import flatten
from weightlore.training import adam, fit, sgd
from weightlore.uncertainty.bayesian import elbo_step, mc_dropout, predict_members, variational
from weightlore.uncertainty.calibration import outlier_exposure_loss
from weightlore.uncertainty.deterministic import (
    annealed,
    dirichlet_prior_loss,
    evidential_classification_loss,
    evidential_prediction,
    prior_prediction,
)
from weightlore.uncertainty.dirichlet import vacuity
from weightlore.uncertainty.ensembles import DeepEnsemble, fit_ensemble
from weightlore.uncertainty.judges import GradientMetrics
from weightlore.uncertainty.laplace import Laplace, tune_prior_precision
from weightlore.uncertainty.mcmc import SGHMC, CyclicalSchedule, sample_network
from weightlore.uncertainty.measures import (
    disagreement,
    max_probability,
    mutual_information,
    nll_categorical,
    predictive_entropy,
)
from weightlore.uncertainty.ood import KNN, Energy, GradNorm, Mahalanobis, MaxSoftmax
from weightlore.uncertainty.ranking import auroc
from weightlore.uncertainty.sources import unknown_inputs

torch.set_num_threads(1)

KINDS = {"photographs": "natural_patches", "permuted": "permuted_pixels", "noise": "uniform_noise"}
ASKED = ("clean", *(f"{kind} {severity}" for kind in SHIFTS for severity in (3, 5)))
DRAWS, DROP, FLOOR = 20, 0.2, 1e-6
CHAINS = {"digits": (3e-4, 0.8), "clothes": (1e-5, 0.5)}  # step at the start of a cycle, share without noise


def needs(study: Images) -> tuple[str, ...]:
    """Data sets to fetch, those from outside among them."""
    return (*study.needs, "usps", *(("cifar10-subset",) if study.data else ()))


def outside(study: Images) -> tuple[str, ...]:
    """What images from outside there are."""
    return (*KINDS, "envelopes", *(("objects",) if study.data else ()))


def unseen(study: Images) -> tuple[str, ...]:
    """Those of them that networks know nothing of which were shown permuted pixels."""
    return tuple(name for name in outside(study) if name != "permuted")


@lru_cache(maxsize=2)
def aliens(study: Images, seed: int) -> dict[str, Tensor]:
    """Images from outside, as large as test images: three kinds, digits from envelopes; for clothes, gray objects."""
    x, generator = splits(study)[2].x, seeded(9000 + seed)
    found = {name: unknown_inputs(x, kind, generator=generator) for name, kind in KINDS.items()}
    found["envelopes"] = resized(fetch("usps")["test"].x.reshape(-1, 1, 16, 16), x)
    if study.data:
        found["objects"] = resized(fetch("cifar10-subset")["train"].x.mean(1, keepdim=True), x)
    return found


def resized(images: Tensor, like: Tensor) -> Tensor:
    """As many and as large as others, if there are so many; flat, in [0, 1]."""
    side = round(like.shape[1] ** 0.5)
    images = images[: len(like)]
    small = functional.interpolate(images, size=side, mode="bilinear", antialias=True, align_corners=False)
    return small.flatten(1).to(like).clamp(0, 1)


@lru_cache(maxsize=2)
def dropped(study: Images, seed: int) -> nn.Module:
    """A network that was trained with dropout."""
    parts: list[nn.Module] = []

    def layers() -> nn.Module:
        for before, after in zip(study.sizes[:-2], study.sizes[1:-1], strict=True):
            parts.extend([nn.Linear(before, after), nn.ReLU(), nn.Dropout(DROP)])
        return nn.Sequential(*parts, nn.Linear(study.sizes[-2], study.sizes[-1]))

    model = built(layers, generator=seeded(10_000 + seed), dtype=study.dtype)
    return trained(study, model, 10_000 + seed)


@lru_cache(maxsize=2)
def drawn_weights(study: Images, seed: int) -> nn.Module:
    """A network whose weights are independent Gaussians, around the plain network at first."""
    model = variational(independent(study, seed)[0])
    step = elbo_step(num_data=len(splits(study)[0]))
    return trained(study, model, 11_000 + seed, step=step, optimizer=adam(0.002))


@lru_cache(maxsize=2)
def chain(study: Images, seed: int) -> DeepEnsemble:
    """Networks of four cycles of a sampler that begins at the plain network."""
    train, generator = splits(study)[0], seeded(12_000 + seed)
    size, explore = CHAINS[study.name]
    steps = -(-len(train) // study.batch) * study.epochs
    return sample_network(
        independent(study, seed)[0],
        train,
        lambda p: SGHMC(p, size, num_data=len(train), prior_precision=1.0, generator=generator),
        schedule=CyclicalSchedule(size, 4, explore, max(1, int(steps // 4 * (1 - explore)) // 5)),
        epochs=study.epochs,
        generator=generator,
        batch_size=study.batch,
    )


def moved(study: Images, seed: int) -> Numbers:
    """How far the networks of the chain lie apart: in weights, of the length of the plain ones, and in answers."""
    many, x = chain(study, seed), splits(study)[2].x
    theta = torch.stack([flatten(one) for one in many.members])
    p = many.predict(x).probs
    return {
        "chain, weights apart": float((theta - theta.mean(0)).norm() / len(theta) ** 0.5)
        / float(flatten(independent(study, seed)[0]).norm()),
        "chain, answers apart": float(disagreement(p).double().mean()),
        "chain, members": float(len(theta)),
    }


def laplace(study: Images, seed: int, subset: str) -> Laplace:
    """A Gaussian around the plain network, at prior precision 1."""
    structure = "full" if subset == "last_layer" else "kron"
    posterior = Laplace(independent(study, seed)[0], "classification", structure=structure, subset=subset)
    return posterior.fit(splits(study)[0])


def shifted(study: Images, seed: int) -> Numbers:
    """Log loss on clean images and under both shifts at severities 3 and 5."""
    y, plain = splits(study)[2].y, dropped(study, seed)
    last, all_layers = laplace(study, seed, "last_layer"), laplace(study, seed, "all")
    tuned = {
        "last layer": tune_prior_precision(last),
        "Kronecker": tune_prior_precision(all_layers),
    }
    said_by = {
        "plain": lambda x: said(study, seed, "one")(x).softmax(-1),
        "ensemble": lambda x: said(study, seed, "ensemble")(x).softmax(-1),
        "dropout, silent": lambda x: DeepEnsemble((plain,)).outputs(x).softmax(-1),
        "dropout": lambda x: mc_dropout(plain, x, samples=DRAWS, generator=seeded(seed)).probs,
        "variational": lambda x: (
            predict_members(drawn_weights(study, seed), x, samples=DRAWS, generator=seeded(seed)).probs
        ),
        "chain": lambda x: chain(study, seed).predict(x).probs,
        "last layer": lambda x: tuned["last layer"].predict(x).probs,
        "last layer at 1": lambda x: last.predict(x).probs,
        "Kronecker": lambda x: tuned["Kronecker"].predict(x).probs,
        "Kronecker at 1": lambda x: all_layers.predict(x).probs,
        "Kronecker, weights": lambda x: (
            tuned["Kronecker"].predict(x, kind="mc_weights", samples=DRAWS, generator=seeded(seed)).probs
        ),
    }
    numbers = {f"{name}, precision": float(one.tau.max()) for name, one in tuned.items()}
    for name in ASKED:
        x = conditions(study, seed)[name]
        for method, ask in said_by.items():
            p = ask(x).double().mean(0) if ask(x[:2]).dim() == 3 else ask(x).double()
            numbers[f"{method}, {name}"] = float(nll_categorical(p, y, eps=FLOOR))
    return numbers | moved(study, seed)


def strange(study: Images, seed: int) -> Numbers:
    """AUROC of every score against every kind of images from outside, test images being those inside."""
    train, _, test = splits(study)
    model, plain, pull = independent(study, seed)[0], dropped(study, seed), GradientMetrics(independent(study, seed)[0])
    five = said(study, seed, "ensemble")
    last = tune_prior_precision(laplace(study, seed, "last_layer"))
    column = next(i for i, name in enumerate(pull.names) if name.endswith("weight l2"))
    scores = {
        "max softmax": MaxSoftmax(model).score,
        "energy": Energy(model).score,
        "Mahalanobis": Mahalanobis().fit(model, train).score,
        "neighbors": KNN().fit(model, train).score,
        "GradNorm": GradNorm(model).score,
        "pull": lambda x: pull(x)[:, column],
        "entropy": lambda x: predictive_entropy(said(study, seed, "one")(x).softmax(-1)),
        "ensemble entropy": lambda x: predictive_entropy(five(x).softmax(-1)),
        "ensemble information": lambda x: mutual_information(five(x).softmax(-1)),
        "dropout entropy": lambda x: predictive_entropy(
            mc_dropout(plain, x, samples=DRAWS, generator=seeded(seed)).probs
        ),
        "dropout, silent": lambda x: predictive_entropy(DeepEnsemble((plain,)).outputs(x).softmax(-1)),
        "last layer entropy": lambda x: predictive_entropy(last.predict(x).probs),
    }
    return areas(scores, test.x, aliens(study, seed))


def areas(scores: dict, inside: Tensor, outside: dict[str, Tensor]) -> Numbers:
    """AUROC of scores, by the name of the score and of what is outside."""
    numbers = {}
    with torch.no_grad():
        own = {name: score(inside) for name, score in scores.items()}
        for kind, x in outside.items():
            is_outside = torch.arange(len(inside) + len(x)) >= len(inside)
            numbers |= {f"{n}, {kind}": float(auroc(torch.cat([own[n], s(x)]), is_outside)) for n, s in scores.items()}
    return numbers


def evidential(study: Images, data: Split, seed: int, epochs: int) -> nn.Module:
    """A network that says evidence; the price of wrong evidence rises over the first quarter of the training."""
    model, steps = make(study, seeded(seed)), 0
    rise = -(-len(data) // study.batch) * max(1, epochs // 4)

    def step(network: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        nonlocal steps
        steps += 1
        strength = annealed(steps - 1, rise)
        return evidential_classification_loss(network(batch.x), batch.y, risk="squared", strength=strength)

    fit(model, data, generator=seeded(seed), step=step, epochs=epochs, batch_size=study.batch, optimizer=adam(0.002))
    return model


def shown(study: Images, seed: int, kind: str, data: Split | None = None) -> nn.Module:
    """A network that sees permuted training images beside its own, as a prior network or with exposure."""
    train = splits(study)[0] if data is None else data
    outside = unknown_inputs(train.x, "permuted_pixels", generator=seeded(13_000 + seed))

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        z = model(outside[torch.randint(len(outside), (len(batch),), generator=generator)])
        if kind == "exposed":
            return outlier_exposure_loss(model(batch.x), batch.y, outside=z, weight=0.5)
        return dirichlet_prior_loss(model(batch.x), batch.y, direction="reverse", outside=z)

    optimizer = sgd(0.1, momentum=0.9) if kind == "exposed" else adam(0.002)
    model = make(study, seeded(13_000 + seed))
    return trained(study, model, 13_000 + seed, step=step, optimizer=optimizer, data=train)


def taught(study: Images, seed: int) -> Numbers:
    """AUROC of evidential and prior networks, and what exposure does to the largest probability."""
    train, _, test = splits(study)
    claims, prior, exposed = (
        evidential(study, train, 14_000 + seed, study.epochs),
        shown(study, seed, "prior"),
        shown(study, seed, "exposed"),
    )
    five, one = said(study, seed, "ensemble"), independent(study, seed)[0]
    scores = {
        "evidential": lambda x: vacuity(evidential_prediction(claims(x))),
        "prior": lambda x: prior_prediction(prior(x)).mutual_information(),
        "exposed": MaxSoftmax(exposed).score,
        "ensemble": lambda x: predictive_entropy(five(x).softmax(-1)),
    }
    strangers = {name: aliens(study, seed)[name] for name in unseen(study)}
    numbers = areas(scores, test.x, strangers)
    with torch.no_grad():
        for name, model in {"evidential": claims, "prior": prior, "exposed": exposed, "plain": one}.items():
            numbers[f"{name}, accuracy"] = float((model(test.x).argmax(1) == test.y).double().mean())
        for name, model in {"exposed": exposed, "plain": one}.items():
            for kind, x in strangers.items():
                confidence = 1 - max_probability(model(x).softmax(1))
                numbers[f"{name}, confidence, {kind}"] = float(confidence.mean())
    return numbers


def evidence(study: Images, seed: int) -> Numbers:
    """Mean vacuity of an evidential network and mutual information of five, with 100 and with 1,000 examples."""
    train, _, test = splits(study)
    numbers = {}
    for count, epochs in ((100, 320), (1000, 40)):  # 640 steps each
        few = train[torch.randperm(len(train), generator=seeded(15_000 + seed))[:count]]
        options = {"epochs": epochs, "batch_size": 64}
        five = fit_ensemble(
            lambda generator: make(study, generator),
            few,
            members=5,
            generator=seeded(seed),
            optimizer=sgd(0.1, momentum=0.9),
            **options,
        )
        claims = evidential(study, few, 15_000 + seed, epochs)
        with torch.no_grad():
            numbers[f"vacuity, {count}"] = float(vacuity(evidential_prediction(claims(test.x))).mean())
        numbers[f"information, {count}"] = float(mutual_information(five.outputs(test.x).softmax(-1)).mean())
    return numbers


GROUPS.update({"shifted": shifted, "strange": strange, "taught": taught, "evidence": evidence})
