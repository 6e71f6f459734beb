"""The studies behind the ledger of uncertainty: which networks were trained, and what they were asked about.

All networks of a seed see the same images; an ensemble is the same network trained again from other initial weights.
Validation images choose temperatures, policies and calibration maps; test images choose nothing but, in one half, the
thresholds of conformal sets for the other.

    STUDIES                     digits, clothes
    splits(study)               training, validation and test images, flat
    conditions(study, seed)     the test images as they are and under shifts: name -> x
    said(study, seed, method)   a function from images to the logits of the members, (S, N, C)
    pooled(z)                   the logits of their mean probability

Settings were chosen on validation images of seed 100, which no row uses: the rate at which SWAG wanders among four, how
far views move an image among two, what a student sees among six. The rest was tried once and left as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from weightlore.data import Split, digits, fetch, shift
from weightlore.networks import mlp
from weightlore.training import MakeOptimizer, Step, cross_entropy, fit, sgd
from weightlore.uncertainty.augmentation import (
    Augmentation,
    Policy,
    TestTimeAugmentation,
    digit_views,
    flipped,
    greedy_policy_search,
)
from weightlore.uncertainty.calibration import label_smoothing_loss, pooled_logits
from weightlore.uncertainty.ensembles import (
    MIMO,
    SWAG,
    DeepEnsemble,
    JointEnsemble,
    MultiSWAG,
    batch_ensemble,
    distill_mean,
    fit_ensemble,
    fit_snapshots,
    member_cross_entropy,
    mimo_cross_entropy,
)

torch.set_num_threads(1)

SHIFTS, SEVERITIES = ("rotation", "gaussian_noise"), (1, 2, 3, 4, 5)
MEMBERS, PARTS, DRAWS = 10, 3, 10
RATE, WANDER = 0.1, 0.02
Said = Callable[[Tensor], Tensor]


@dataclass(frozen=True, repr=False)
class Images:
    """One kind of images and the networks that read them.

    Args:
        name: of the file.
        data: set to fetch, empty for the digits.
        words: what is trained, for the setting of a row.
        sizes: of the MLP.
        dtype: of parameters and images.
        epochs: of training; a multiple of five, for the snapshots.
        batch: examples of a step.
        long: of the over-confident network: how many examples it has, the share of wrong labels, epochs.
        seeds: one set of networks each.
    """

    name: str
    data: str
    words: str
    sizes: tuple[int, ...]
    dtype: torch.dtype
    epochs: int
    batch: int
    long: tuple[int, float, int]
    seeds: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Images({self.name!r})"  # the version of a claim holds it: the same in every process

    @property
    def needs(self) -> tuple[str, ...]:
        """Data sets to fetch."""
        return (self.data,) if self.data else ()


DIGITS = Images(
    name="digits",
    data="",
    words=f"MLP 64-128-128-10 on digits, float64, 1,077 training images, 40 epochs of SGD at {RATE:g}; 180 images for "
    "validation, 540 for the test",
    sizes=(64, 128, 128, 10),
    dtype=torch.float64,
    epochs=40,
    batch=64,
    long=(300, 0.1, 100),
    seeds=tuple(range(10)),
)
CLOTHES = Images(
    name="clothes",
    data="fashion-mnist",
    words=f"MLP 784-128-128-10 on Fashion-MNIST, float32, first 10,000 training images, 10 epochs of SGD at {RATE:g}; "
    "2,000 others for validation, 3,000 test images",
    sizes=(784, 128, 128, 10),
    dtype=torch.float32,
    epochs=10,
    batch=128,
    long=(2000, 0.0, 60),
    seeds=tuple(range(5)),
)
STUDIES = {study.name: study for study in (DIGITS, CLOTHES)}


def seeded(seed: int) -> torch.Generator:
    """Return a generator of a seed."""
    return torch.Generator().manual_seed(seed)


@lru_cache(maxsize=2)
def splits(study: Images) -> tuple[Split, Split, Split]:
    """Return training, validation and test images, flat, in [0, 1]."""
    if not study.data:
        return digits("train"), digits("validation"), digits()
    sets = {name: Split(one.x.flatten(1), one.y) for name, one in fetch(study.data).items()}
    train, test = (sets[name].to(dtype=study.dtype) for name in ("train", "test"))
    return train[torch.arange(10_000)], train[torch.arange(10_000, 12_000)], test[torch.arange(3000)]


@lru_cache(maxsize=2)
def conditions(study: Images, seed: int) -> dict[str, Tensor]:
    """Return the test images as they are, and under both shifts in five severities."""
    x = splits(study)[2].x
    shifted = {
        f"{kind} {severity}": shift(x, kind, severity, generator=seeded(5000 + 10 * seed + severity))
        for kind in SHIFTS
        for severity in SEVERITIES
    }
    return {"clean": x, **shifted}


def pooled(z: Tensor) -> Tensor:
    """Return the logits of the mean probability of members, (S, N, C) to (N, C)."""
    return pooled_logits(z)


def views() -> tuple[Augmentation, ...]:
    """The views among which a policy chooses: the sixteen that ``moved`` was trained on, and two mirrored ones."""
    return (*digit_views(pixels=0.5, degrees=10.0), flipped("left_right"), flipped("up_down"))


def make(study: Images, generator: torch.Generator) -> nn.Module:
    """An untrained network."""
    return mlp(study.sizes, generator=generator, dtype=study.dtype)


def trained(
    study: Images,
    model: nn.Module,
    seed: int,
    *,
    step: Step = cross_entropy,
    optimizer: MakeOptimizer | None = None,
    data: Split | None = None,
) -> nn.Module:
    """Train a network as all of the study are trained, on all training images or on others, and return it."""
    fit(
        model,
        splits(study)[0] if data is None else data,
        generator=seeded(seed),
        step=step,
        epochs=study.epochs,
        batch_size=study.batch,
        optimizer=optimizer or sgd(RATE, momentum=0.9),
    )
    return model


@lru_cache(maxsize=16)
def independent(study: Images, seed: int) -> tuple[nn.Module, ...]:
    """Ten networks of a seed, alike but for their initial weights and the order of their examples."""
    return fit_ensemble(
        lambda generator: make(study, generator),
        splits(study)[0],
        members=MEMBERS,
        generator=seeded(seed),
        epochs=study.epochs,
        batch_size=study.batch,
        optimizer=sgd(RATE, momentum=0.9),
    ).members


@lru_cache(maxsize=16)
def snapshots(study: Images, seed: int) -> DeepEnsemble:
    """Five copies of one network, all together as long in training as one."""
    return fit_snapshots(
        make(study, seeded(1000 + seed)),
        splits(study)[0],
        generator=seeded(1000 + seed),
        cycles=5,
        cycle_epochs=study.epochs // 5,
        batch_size=study.batch,
        optimizer=sgd(RATE, momentum=0.9),
    )


@lru_cache(maxsize=16)
def gaussians(study: Images, seed: int) -> tuple[SWAG, ...]:
    """Gaussians over weights: the first networks of the ensemble train on, half as long, at a constant rate."""
    found = []
    for number in range(PARTS):
        model = make(study, seeded(0))
        model.load_state_dict(independent(study, seed)[number].state_dict())
        swag = SWAG(model)
        fit(
            model,
            splits(study)[0],
            generator=seeded(2000 + PARTS * seed + number),
            epochs=study.epochs // 2,
            batch_size=study.batch,
            optimizer=sgd(WANDER, momentum=0.9),
            schedule=None,
            callbacks=[swag],
        )
        found.append(swag)
    return tuple(found)


@lru_cache(maxsize=32)
def joint(study: Images, seed: int, kind: str) -> JointEnsemble:
    """A network with members inside: four that share all but two vectors a layer, or two with inputs of their own."""
    generator = seeded(3000 + seed)
    if kind == "BatchEnsemble":
        model: JointEnsemble = batch_ensemble(make(study, generator), members=4, generator=generator)
        return trained(study, model, 3000 + seed, step=member_cross_entropy)
    first, *middle, last = study.sizes
    network = mlp((2 * first, *middle, 2 * last), generator=generator, dtype=study.dtype)
    return trained(study, MIMO(network, 2), 3000 + seed, step=mimo_cross_entropy(0.5))


@lru_cache(maxsize=16)
def smoothed(study: Images, seed: int) -> nn.Module:
    """A network trained with a tenth of each label spread over all classes."""

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        return label_smoothing_loss(model(batch.x), batch.y, smoothing=0.1)

    return trained(study, make(study, seeded(4000 + seed)), 4000 + seed, step=step)


@lru_cache(maxsize=16)
def overfitted(study: Images, seed: int) -> nn.Module:
    """A network that was trained for long on few images, some of them with a wrong label."""
    count, wrong, epochs = study.long
    train, generator = splits(study)[0], seeded(6000 + seed)
    chosen = train[torch.randperm(len(train), generator=generator)[:count]]
    flips = torch.rand(count, generator=generator) < wrong
    moved = (chosen.y + torch.randint(1, 10, (count,), generator=generator)) % 10
    few, model = Split(chosen.x, torch.where(flips, moved, chosen.y)), make(study, generator)
    options = {"epochs": epochs, "batch_size": study.batch, "optimizer": sgd(RATE, momentum=0.9)}
    fit(model, few, generator=generator, **options)
    return model


@lru_cache(maxsize=16)
def moved(study: Images, seed: int) -> nn.Module:
    """A network that was trained on views: one of sixteen, drawn anew for each batch."""
    seen = views()[:-2]

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        number = int(torch.randint(len(seen), (1,), generator=generator))
        return cross_entropy(model, Split(seen[number](batch.x), batch.y), generator)

    return trained(study, make(study, seeded(8000 + seed)), 8000 + seed, step=step)


@lru_cache(maxsize=16)
def student(study: Images, seed: int) -> nn.Module:
    """A network that was taught what five others say on average of the training images, with noise and without."""
    train, generator = splits(study)[0], seeded(7000 + seed)
    noisy = (train.x + 0.1 * torch.randn(train.x.shape, generator=generator, dtype=torch.float64).to(train.x)).clamp(
        0, 1
    )
    both = Split(torch.cat([train.x, noisy]), torch.cat([train.y, train.y]))
    teacher = DeepEnsemble(independent(study, seed)[:5]).predict(both.x)
    model = make(study, generator)
    distill_mean(
        model,
        teacher,
        both,
        temperature=1.0,
        generator=generator,
        epochs=study.epochs,
        batch_size=study.batch,
        optimizer=sgd(RATE, momentum=0.9),
    )
    return model


@lru_cache(maxsize=16)
def policy(study: Images, seed: int) -> Policy:
    """The views that validation images choose for the network that was trained on views, eight at most."""
    validation = splits(study)[1]
    p = TestTimeAugmentation(moved(study, seed), views()).predict(validation.x)
    return greedy_policy_search(p, validation.y, length=8)


def asked(members: Sequence[nn.Module]) -> Said:
    """Return what gives the logits of networks, (S, N, C)."""
    return DeepEnsemble(tuple(members)).outputs


def inside(model: JointEnsemble) -> Said:
    """Return what gives the logits of the members inside a network."""

    def logits(x: Tensor) -> Tensor:
        with torch.no_grad():
            return model.eval().member_logits(x)

    return logits


def viewed(model: nn.Module, chosen: Sequence[Augmentation]) -> Said:
    """Return what gives the logits of a network for views of the input, the identity only if it is among them."""

    def logits(x: Tensor) -> Tensor:
        return torch.stack([DeepEnsemble((model,)).outputs(view(x))[0] for view in chosen])

    return logits


def said(study: Images, seed: int, method: str) -> Said:
    """Return a function from images to the logits of the members of a method, (S, N, C)."""
    if method in ("one", "ensemble", "ten"):
        return asked(independent(study, seed)[: {"one": 1, "ensemble": 5, "ten": MEMBERS}[method]])
    if method == "snapshots":
        return asked(snapshots(study, seed).members)
    if method == "SWAG":
        return asked(gaussians(study, seed)[0].ensemble(DRAWS, generator=seeded(seed)).members)
    if method == "MultiSWAG":
        return asked(MultiSWAG(gaussians(study, seed)).ensemble(DRAWS, generator=seeded(seed)).members)
    if method in ("BatchEnsemble", "MIMO"):
        return inside(joint(study, seed, method))
    if method == "views":
        return viewed(moved(study, seed), [views()[i] for i in policy(study, seed).chosen])
    if method == "mirrored":
        return viewed(moved(study, seed), (views()[0], flipped("left_right")))
    makers = {"smoothed": smoothed, "overfitted": overfitted, "student": student, "moved": moved}
    return asked([makers[method](study, seed)])
