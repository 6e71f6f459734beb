"""The studies behind the ledger of transfer: which pair of tasks, which network, and how well each method did.

All methods of a seed share the source network, the few labels, the fresh network and the order of the batches. What
takes time is stored, seed by seed, so that a run goes on where it was stopped.

    STUDIES                     name -> a network on a pair of tasks
    found(study, seed, group)   name -> number, from studies/transferred/<study>.json or measured now
    stored(study, group)        seed -> name -> number, of what was measured

Groups: ``"methods"``, the test accuracy of each method; ``"search"``, that of all discrete states tried one by one;
``"gates"``, where the gates end that start half open, with a fresh target.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import torch

from weightlore.data import Split, few_labels
from weightlore.networks import Layered, cnn, recurrent, resnet20
from weightlore.training import adam, evaluate, fit
from weightlore.transfer import (
    PTU,
    DomainPair,
    Make,
    Method,
    SentencePair,
    TransferRecipe,
    all_sentences,
    changed_digits,
    clothes_to,
    concat,
    exhaustive,
    fine_tune,
    fit_transfer,
    new_classes,
    scratch,
    sentence_pair,
    sharing,
    shuffled_labels,
    transfer_units,
    usps_pair,
)

torch.set_num_threads(1)

FILES = Path(__file__).parent / "studies" / "transferred"
CHECKPOINTS = Path(tempfile.gettempdir()) / "weightlore-transferred"
STEPS, SEEDS = 120, tuple(range(10))
METHODS: dict[str, Method] = {
    "units": transfer_units,
    "sharing": sharing,
    "fine-tuning": fine_tune,
    "scratch": scratch,
}
Pair = DomainPair | SentencePair


@dataclass(frozen=True)
class Tasks:
    """A source task and a target task.

    Args:
        words: which, for the setting of a row.
        make: seed, dtype -> the pair.
        source: name of the source task; pairs with the same name share source networks.
        labels: of each class of the target.
        sources: how many source networks there are; seeds take turns.
        epochs: of training a source network.
        needs: fetched data sets.
    """

    words: str
    make: Callable[[int, torch.dtype], Pair]
    source: str
    labels: int
    sources: int
    epochs: int
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Args:
        words: which, for the setting of a row.
        make: what the target says about its inputs and classes, as options -> network.
        dtype: of parameters and images.
        clip: bound of the gradient.
    """

    words: str
    make: Callable[..., Layered]
    dtype: torch.dtype
    clip: float | None = None


@dataclass(frozen=True, repr=False)
class Transfer:
    """A kind of network on a pair of tasks."""

    kind: str
    tasks: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.kind}-{self.tasks}"

    @property
    def words(self) -> str:
        """What was done, for the setting of a row."""
        tasks = TASKS[self.tasks]
        number = "one for each seed" if tasks.sources > 1 else "one for all seeds"
        return (
            f"our formulation; {KINDS[self.kind].words}; {tasks.words}; sources trained {tasks.epochs} epochs, "
            f"{number}; {tasks.labels} labels per class, {STEPS} steps of AdamW on all of them, every readout new"
        )

    def __repr__(self) -> str:
        return f"Transfer({self.name!r})"  # the version of a claim holds it: the same in every process


def seeded(seed: int) -> torch.Generator:
    """Return a generator of a seed."""
    return torch.Generator().manual_seed(seed)


def _changed(change: str, seed: int, dtype: torch.dtype) -> DomainPair:
    return changed_digits(change, generator=seeded(seed), dtype=dtype)


def _shuffled(seed: int, dtype: torch.dtype) -> DomainPair:
    return shuffled_labels(_changed("rotated", seed, dtype), generator=seeded(seed))


def _new(seed: int, dtype: torch.dtype) -> DomainPair:
    return new_classes(dtype=dtype)


@lru_cache(maxsize=2)
def _usps(direction: str, dtype: torch.dtype) -> DomainPair:
    return usps_pair(direction, dtype=dtype)


@lru_cache(maxsize=1)
def _clothes(dtype: torch.dtype) -> DomainPair:
    return clothes_to("usps", side=16, dtype=dtype)


@lru_cache(maxsize=2)
def _sentences(source: str, target: str) -> SentencePair:
    return sentence_pair(all_sentences(source), all_sentences(target), generator=seeded(0))


TASKS = {
    "inverted": Tasks("digits to digits of inverted contrast", partial(_changed, "inverted"), "digits", 2, 10, 12),
    "transposed": Tasks("digits to transposed digits", partial(_changed, "transposed"), "digits", 2, 10, 12),
    "rotated": Tasks("digits to digits rotated by 30 degrees", partial(_changed, "rotated"), "digits", 2, 10, 12),
    "noisy": Tasks("digits to digits with normal noise of 0.3", partial(_changed, "noisy"), "digits", 2, 10, 12),
    "shuffled": Tasks(
        "digits with shuffled labels to digits rotated by 30 degrees", _shuffled, "shuffled-digits", 2, 10, 12
    ),
    "new-classes": Tasks("digits 0 to 4 to digits 5 to 9", _new, "five-digits", 5, 10, 12),
    "usps-digits": Tasks(
        "USPS at 8x8 to digits",
        lambda seed, dtype: _usps("usps to digits", dtype),
        "usps",
        2,
        10,
        5,
        ("usps",),
    ),
    "digits-usps": Tasks(
        "digits to USPS at 8x8",
        lambda seed, dtype: _usps("digits to usps", dtype),
        "all-digits",
        2,
        10,
        12,
        ("usps",),
    ),
    "clothes-usps": Tasks(
        "Fashion-MNIST at 16x16, 60,000 images, to USPS",
        lambda seed, dtype: _clothes(dtype),
        "clothes",
        2,
        1,
        3,
        ("fashion-mnist", "usps"),
    ),
    "mr-cr": Tasks(
        "sentences on movies (MR) to sentences on cameras and players (CR)",
        lambda seed, dtype: _sentences("mr", "cr"),
        "mr",
        20,
        1,
        4,
        ("mr", "cr"),
    ),
    "mr-amazon": Tasks(
        "sentences on movies (MR) to sentences on phones (Amazon)",
        lambda seed, dtype: _sentences("mr", "sls-amazon"),
        "mr",
        20,
        1,
        4,
        ("mr", "sls-amazon"),
    ),
    "cr-mr": Tasks(
        "sentences on cameras and players (CR) to sentences on movies (MR)",
        lambda seed, dtype: _sentences("cr", "mr"),
        "cr",
        20,
        1,
        8,
        ("cr", "mr"),
    ),
}
IMAGES = [name for name in TASKS if "mr" not in name]
SENTENCES = [name for name in TASKS if "mr" in name]
WORDS = {"embedding": 32, "hidden": 32}
KINDS = {
    "cnn": Kind("CNN of 8 and 16 channels and 32 units, float64", cnn, torch.float64),
    "resnet": Kind("ResNet-20 of width 4, float32", partial(resnet20, channels=1, width=4), torch.float32),
    "gru": Kind("GRU of 32 units on 32 numbers a word", partial(recurrent, "gru", **WORDS), torch.float32, 5.0),
    "lstm": Kind("LSTM of 32 units on 32 numbers a word", partial(recurrent, "lstm", **WORDS), torch.float32, 5.0),
}
STUDIES = {
    study.name: study
    for study in (
        *(Transfer(kind, tasks) for kind in ("cnn", "resnet") for tasks in IMAGES),
        *(Transfer(kind, tasks) for kind in ("gru", "lstm") for tasks in SENTENCES),
    )
}


def makes(study: Transfer, pair: Pair, *, target: bool) -> Make:
    """Return what makes a fresh network for the target task, or for the source task."""
    make, dtype = KINDS[study.kind].make, KINDS[study.kind].dtype
    if isinstance(pair, SentencePair):
        return partial(make, vocabulary=pair.rows if target else pair.source_rows, classes=2, dtype=dtype)
    options = {"image": tuple(pair.train.x.shape[1:])} if study.kind == "cnn" else {}
    return partial(make, classes=pair.classes if target else pair.source_classes, dtype=dtype, **options)


@lru_cache(maxsize=16)
def prepared(study: Transfer, seed: int) -> tuple[Layered, Split, Pair, Make]:
    """Return the source network, as it reads the target, the few labels, the pair, and what makes a fresh network."""
    tasks, dtype = TASKS[study.tasks], KINDS[study.kind].dtype
    pair, number = tasks.make(seed, dtype), seed % tasks.sources
    generator, folder = seeded(1000 + number), CHECKPOINTS / study.kind
    source = makes(study, pair, target=False)(generator=generator)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{tasks.source}-{tasks.epochs}-{number}.pt"
    fit(source, pair.source, generator=generator, epochs=tasks.epochs, optimizer=adam(3e-3), checkpoint=path)
    few = few_labels(pair.train, tasks.labels, generator=seeded(2000 + seed))
    read = pair.read(source) if isinstance(pair, SentencePair) else source
    return read, few, pair, makes(study, pair, target=True)


def recipe(study: Transfer, few: Split) -> TransferRecipe:
    """All labels in each step."""
    return TransferRecipe(epochs=STEPS, batch_size=len(few), clip=KINDS[study.kind].clip)


@cache
def measured(study: Transfer, seed: int, group: str = "methods") -> dict[str, float]:
    """Return the numbers of a group, trained now."""
    return {"methods": _methods, "search": _search, "gates": _gates}[group](study, seed)


def _methods(study: Transfer, seed: int) -> dict[str, float]:
    source, few, pair, make = prepared(study, seed)
    numbers: dict[str, float] = {}

    def trained(name: str, method: Method) -> None:
        options = {"make": make, "generator": seeded(100 + seed), "recipe": recipe(study, few)}
        made = fit_transfer(source, few, method, **options)
        numbers[name] = evaluate(made.network, pair.test).accuracy
        numbers[f"parameters of {name}"] = made.trainable
        if made.gates is not None:
            gates = list(made.gates.by_unit().values())
            numbers["update gate"], numbers["reuse gate"] = (sum(g) / len(gates) for g in zip(*gates, strict=True))

    for name, method in METHODS.items():
        trained(name, method)
    trained("concat", partial(concat, match=int(numbers["parameters of units"])))
    return numbers


def _search(study: Transfer, seed: int) -> dict[str, float]:
    source, few, pair, make = prepared(study, seed)
    states = ("random", "fine-tune", "frozen")
    options = {"make": make, "generator": seeded(100 + seed), "recipe": recipe(study, few)}
    result = exhaustive(source, few, validation=pair.validation, states=states, **options)
    return {"search": evaluate(result.best.network, pair.test).accuracy, "trainings": len(result.tried)}


def _gates(study: Transfer, seed: int) -> dict[str, float]:
    source, few, _, make = prepared(study, seed)
    method = partial(transfer_units, start="random", unit=partial(PTU, bias_update=0.0))
    options = {"make": make, "generator": seeded(100 + seed), "recipe": recipe(study, few)}
    gates = fit_transfer(source, few, method, **options).gates.by_unit()
    return {name: z for name, (z, _) in gates.items()} | {"mean": sum(z for z, _ in gates.values()) / len(gates)}


def _file(study: Transfer) -> dict:
    path = FILES / f"{study.name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"study": study.words, "seeds": {}}


def stored(study: Transfer, group: str = "methods") -> dict[int, dict[str, float]]:
    """Return what was measured so far."""
    return {int(seed): groups[group] for seed, groups in _file(study)["seeds"].items() if group in groups}


def found(study: Transfer, seed: int, group: str = "methods") -> dict[str, float]:
    """Return the numbers of a group, from the file or else measured now and written into it."""
    known = stored(study, group)
    if seed not in known:
        known[seed] = measured(study, seed, group)
        file = _file(study) | {"study": study.words}
        file["seeds"].setdefault(str(seed), {})[group] = known[seed]
        FILES.mkdir(parents=True, exist_ok=True)
        (FILES / f"{study.name}.json").write_text(json.dumps(file, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return known[seed]
