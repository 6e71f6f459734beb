"""Comparing ways of transfer: a verdict, a control, and where a source comes in."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from scipy import stats
from torch import Tensor, nn

from weightlore.networks import mlp, sequence
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.transfer import (
    Method,
    Plan,
    Setting,
    fine_tune,
    paired,
    progressive,
    scratch,
    sharing,
    transfer_units,
)
from weightlore.transfer.concatenation import matched_units

__all__ = ["CONTROL", "TWO_WAYS", "VERDICT"]

CLASSES = 10


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class _Bill:
    """What a network with units trains, and the features of source and target."""

    trained: int = 6858
    features: int = 32

    @property
    def layers(self) -> int:
        """Parameters of the target's layers: eight inputs a step, the state before, two biases."""
        return self.features * (8 + self.features + 2)

    def matched(self) -> int:
        """The hidden units of the control for the recurrent networks of the notebook."""
        network = sequence("rnn", inputs=8, hidden=self.features, classes=CLASSES, generator=_generator())
        return matched_units(self.trained, source=network, target=network, classes=CLASSES)

    def units(self, *, layers: int | None = None, networks: int = 2, bias: int = 1, readout: int = CLASSES) -> float:
        """How many units some wrong bill gives; ``readout`` counts the weights that a unit adds behind itself."""
        rest = self.trained - (self.layers if layers is None else layers) - bias * CLASSES
        return rest / (networks * self.features + bias + readout)

    def control(self, units: int) -> int:
        """What a control with so many units trains."""
        return self.layers + units * (2 * self.features + 1) + CLASSES * (units + 1)


def _bills(generator: torch.Generator) -> _Bill:
    plain = _Bill(0, one_of(generator, (16, 20, 24, 40, 48)))
    each = 2 * plain.features + 1 + CLASSES
    over = integer(generator, each // 8, each // 3)
    return replace(plain, trained=plain.control(integer(generator, 20, 90)) + over)


def _control(d: _Bill) -> Exercise:
    units = d.matched()
    return Exercise(
        id="transferred.control",
        prompt=f"A network with transfer units trains {d.trained:,} parameters. The target's layers without its "
        f"readout have {d.layers:,}; source and target have {d.features} features each; there are ten classes. How "
        "many hidden units does the control have that comes nearest? Answer: a whole number.",
        given="The control trains the target's layers, and one hidden layer that reads the features of source and "
        "target. Behind that layer comes its readout; hidden units and classes have biases.",
        nudge="What does one more hidden unit add, before and behind itself?",
        hint=f"A unit reads {2 * d.features} features and has a bias; each class reads the unit. The ten classes have "
        "biases, too.",
        right=f"With {units} units it trains {d.control(units):,} parameters, {d.trained - d.control(units)} fewer "
        "than the units. Print both numbers.",
        reference=d.matched,
        tolerance=1e-4,
        diagnoses=(
            Diagnosis(
                "one network", "The control reads the features of both networks.", lambda: round(d.units(networks=1))
            ),
            Diagnosis(
                "layers", "The target's layers are trained, too; take them off first.", lambda: round(d.units(layers=0))
            ),
            Diagnosis(
                "behind", "Each unit adds ten weights of the readout behind it.", lambda: round(d.units(readout=0))
            ),
            Diagnosis("biases", "Units and classes have biases.", lambda: round(d.units(bias=0))),
            Diagnosis("whole", "There are no parts of a unit; take the nearest whole number.", d.units),
            Diagnosis("nearest", "Rounded up; one unit fewer comes nearer.", lambda: 1 + units),
        ),
    )


def _interval(ours: Tensor, theirs: Tensor, confidence: float = 0.95) -> list[float]:
    """Mean and ends of the interval, by the package."""
    found = paired(ours, theirs, generator=_generator(), resamples=1, confidence=confidence)
    return [found.mean, *found.interval]


def _ends(mean: Tensor, half: Tensor | float) -> list[float]:
    return [float(mean), float(mean - half), float(mean + half)]


def _other(
    ours: Tensor, theirs: Tensor, *, quantile: float, normal: bool = False, correction: int = 1, root: float = 0.5
) -> list[float]:
    """The interval with something else in it."""
    d = ours - theirs
    factor = float(stats.norm.ppf(quantile) if normal else stats.t.ppf(quantile, len(d) - 1))
    return _ends(d.mean(), factor * d.std(correction=correction) / len(d) ** root)


def _unpaired(ours: Tensor, theirs: Tensor, *, quantile: float) -> list[float]:
    S = len(ours)
    half = float(stats.t.ppf(quantile, 2 * S - 2)) * ((ours.var() + theirs.var()) / S).sqrt()
    return _ends(ours.mean() - theirs.mean(), half)


def _accuracies() -> list[tuple[Tensor, Tensor]]:
    """Accuracies of two methods in five and in ten draws, easy and hard draws among them."""
    drawn = _generator()

    def normal(size: int) -> Tensor:
        return torch.randn(size, generator=drawn, dtype=torch.float64)

    hard = [0.7 + 0.05 * normal(size) for size in (5, 10)]
    return [(h + 0.02 + 0.02 * normal(len(h)), h + 0.02 * normal(len(h))) for h in hard]


def _verdict(confidence: float) -> Exercise:
    q = (1 + confidence) / 2
    five, ten, many = (float(x) for x in (stats.t.ppf(q, 4), stats.t.ppf(q, 9), stats.norm.ppf(q)))
    right: Callable[..., list[float]] = partial(_interval, confidence=confidence)
    return Exercise(
        id="transferred.verdict",
        prompt="How much better is one method than another over S draws, and how sure is it? Answer: a function of "
        "(ours, theirs), accuracies of shape (S,), that returns three numbers: mean and ends of the "
        f"{100 * confidence:g} % interval.",
        given="Draw s gave both methods the same pictures; differences are taken as normal.",
        nudge="Which numbers belong together? Subtract these before you do anything else.",
        hint=f"d = ours - theirs; half the width is the {q:g} quantile of t with S - 1 degrees, times std / sqrt(S).",
        right=f"For five draws the quantile is {five:.2f}, for ten {ten:.2f}, for the normal law {many:.2f}: few draws "
        "have to pay.",
        reference=right,
        inputs=_accuracies,
        diagnoses=(
            Diagnosis(
                "unpaired",
                "You treated the draws as unrelated; hard draws are hard for both. Subtract first.",
                partial(_unpaired, quantile=q),
            ),
            Diagnosis(
                "normal",
                f"{many:.2f} is for many draws; few have the wider t.",
                partial(_other, quantile=q, normal=True),
            ),
            Diagnosis(
                "one side",
                f"This leaves {100 * (1 - confidence):g} % out on each side; take the {q:g} quantile.",
                partial(_other, quantile=confidence),
            ),
            *_spreads(q),
            Diagnosis("direction", "This is theirs minus ours.", lambda ours, theirs: right(theirs, ours)),
        ),
    )


def _spreads(q: float) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "spread",
            "Divide by S - 1 in the variance (ddof=1): the mean is of the same draws.",
            partial(_other, quantile=q, correction=0),
        ),
        Diagnosis(
            "of one draw",
            "This is the spread of a draw; a mean of S draws varies less, by sqrt(S).",
            partial(_other, quantile=q, root=0),
        ),
        Diagnosis("S", "Divide by the root of S, not by S.", partial(_other, quantile=q, root=1)),
    )


WAYS: tuple[Method, ...] = (scratch, fine_tune, sharing, progressive, transfer_units)


def _starts_there(plan: Plan, setting: Setting) -> bool:
    """Whether trained layers start from the source's weights."""
    trained = [p for p in plan.network.parameters() if p.requires_grad and p.ndim == 2]
    layer = dict(setting.source.named_parameters())["layers.0.weight"]  # type: ignore[attr-defined]
    return any(p.shape == layer.shape and torch.equal(p, layer) for p in trained)


def _reads_it(plan: Plan, setting: Setting) -> bool:
    """Whether the answer changes if the frozen weights do."""
    frozen = [p for p in plan.network.parameters() if not p.requires_grad]
    with torch.no_grad():
        before = plan.network.eval()(setting.example)
        for p in frozen:
            p.mul_(0.5)
        return not torch.equal(before, plan.network(setting.example))


@cache
def _ways() -> list[list[int]]:
    source, fresh = (mlp((6, 5, 4, 3), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    x = torch.randn(8, 6, generator=_generator(), dtype=torch.float64)
    settings = [Setting(source, fresh, x, _generator()) for _ in WAYS]
    plans = [(method(setting), setting) for method, setting in zip(WAYS, settings, strict=True)]
    for plan, _ in plans:
        _wake(plan.network)
    return [[int(asks(*one)) for one in plans] for asks in (_starts_there, _reads_it)]


def _wake(network: nn.Module) -> None:
    """Open laterals that start at zero."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            if "lateral" in name or "inject" in name:
                p.fill_(0.1)


NAMES = ("scratch", "tuned", "shared", "progressive (a fresh column)", "units (the target starts as a copy)")
MISTAKES = (
    ("rows", "You exchanged the rows: first the start, then what is read.", "00111", "01001"),
    (
        "shared",
        "Where layers are shared they are not trained: they are read, and nothing starts from them.",
        "01101",
        "00011",
    ),
    ("shared start", "Where layers are shared nothing but a fresh readout is trained.", "01101", "00111"),
    ("column", "A progressive column starts fresh; it reads the source instead.", "01011", "00111"),
    ("units start", "Here the units' target starts as a copy.", "01000", "00111"),
    (
        "tuned",
        "A tuned network stands alone: after the start nothing of the source is read any more.",
        "01001",
        "01111",
    ),
)


def _two_ways(order: tuple[int, ...]) -> Exercise:
    names = [NAMES[i] for i in order]

    def ordered(*rows: list[int]) -> list[list[int]]:
        return [[row[i] for i in order] for row in rows]

    marks = [(name, says, [[int(mark) for mark in row] for row in rows]) for name, says, *rows in MISTAKES]
    return Exercise(
        id="transferred.two_ways",
        prompt="A source can come in by two ways. First row: do trained layers start from its weights? Second row: are "
        "activations of its frozen layers read? Answer: two rows of five numbers, 1 for yes and 0 for no, for "
        f"{', '.join(names[:-1])} and {names[-1]}.",
        nudge="Which of the five keep a frozen network beside or below what is trained?",
        hint="Shared trains nothing but a readout. A progressive column starts fresh. Units do both.",
        right="So tuned against scratch tells what the start is worth, progressive what the activations are.",
        reference=lambda: ordered(*_ways()),
        diagnoses=tuple(Diagnosis(name, says, lambda rows=rows: ordered(*rows)) for name, says, rows in marks),
    )


CONTROL, VERDICT, TWO_WAYS = _control(_Bill()), _verdict(0.95), _two_ways((0, 1, 2, 3, 4))

VARIANTS = {
    CONTROL.id: Variants(_control, _bills),
    VERDICT.id: Variants(
        _verdict,
        lambda generator: one_of(
            generator, (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.998, 0.999)
        ),
    ),
    TWO_WAYS.id: Variants(_two_ways, lambda generator: several(generator, range(5), 5)),
}
