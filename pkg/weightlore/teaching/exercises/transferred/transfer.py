"""Comparing ways of transfer: a verdict, a control, and where a source comes in."""

from functools import partial

import torch
from scipy import stats
from torch import Tensor, nn

from weightlore.networks import mlp, sequence
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
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

UNITS, LAYERS, FEATURES, CLASSES = 6858, 1344, 64, 10


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _matched() -> int:
    """The hidden units of the control for the recurrent networks of the notebook."""
    network = sequence("rnn", inputs=8, hidden=FEATURES // 2, classes=CLASSES, generator=_generator())
    return matched_units(UNITS, source=network, target=network, classes=CLASSES)


def _units(*, layers: int = LAYERS, features: int = FEATURES, bias: int = 1, readout: int = CLASSES) -> float:
    """How many units some wrong bill gives; ``readout`` counts the weights that a unit adds behind itself."""
    return (UNITS - layers - bias * CLASSES) / (features + bias + readout)


CONTROL = Exercise(
    id="transferred.control",
    prompt="A network with transfer units trains 6,858 parameters. The target's layers without its readout have 1,344; "
    "source and target have 32 features each; there are ten classes. How many hidden units does the control have that "
    "comes nearest? Answer: a whole number.",
    nudge="What does one more hidden unit add, before and behind itself?",
    hint="A unit reads 64 features and has a bias; each class reads the unit. The ten classes have biases, too.",
    right="With 73 units it trains 6,829 parameters, 29 fewer than the units. Print both numbers.",
    reference=_matched,
    tolerance=1e-4,
    diagnoses=(
        Diagnosis(
            "one network", "The control reads the features of both networks.", lambda: round(_units(features=32))
        ),
        Diagnosis(
            "layers", "The target's layers are trained, too; take them off first.", lambda: round(_units(layers=0))
        ),
        Diagnosis("behind", "Each unit adds ten weights of the readout behind it.", lambda: round(_units(readout=0))),
        Diagnosis("biases", "Units and classes have biases.", lambda: round(_units(bias=0))),
        Diagnosis("whole", "There are no parts of a unit; take the nearest whole number.", _units),
        Diagnosis("nearest", "Rounded up; one unit fewer comes nearer.", lambda: 1 + _matched()),
    ),
)


def _verdict(ours: Tensor, theirs: Tensor) -> list[float]:
    """Mean and ends of the 95 % interval, by the package."""
    found = paired(ours, theirs, generator=_generator(), resamples=1)
    return [found.mean, *found.interval]


def _ends(mean: Tensor, half: Tensor | float) -> list[float]:
    return [float(mean), float(mean - half), float(mean + half)]


def _other(ours: Tensor, theirs: Tensor, *, quantile: float = 0.975, correction: int = 1, root: float = 0.5) -> list:
    """The interval with something else in it; a quantile of 0 takes that of the normal law."""
    d = ours - theirs
    factor = 1.959964 if quantile == 0 else float(stats.t.ppf(quantile, len(d) - 1))
    return _ends(d.mean(), factor * d.std(correction=correction) / len(d) ** root)


def _unpaired(ours: Tensor, theirs: Tensor) -> list[float]:
    S = len(ours)
    half = float(stats.t.ppf(0.975, 2 * S - 2)) * ((ours.var() + theirs.var()) / S).sqrt()
    return _ends(ours.mean() - theirs.mean(), half)


def _accuracies() -> list[tuple[Tensor, Tensor]]:
    """Accuracies of two methods in five and in ten draws, easy and hard draws among them."""
    drawn = _generator()

    def normal(size: int) -> Tensor:
        return torch.randn(size, generator=drawn, dtype=torch.float64)

    hard = [0.7 + 0.05 * normal(size) for size in (5, 10)]
    return [(h + 0.02 + 0.02 * normal(len(h)), h + 0.02 * normal(len(h))) for h in hard]


VERDICT = Exercise(
    id="transferred.verdict",
    prompt="How much better is one method than another over S draws, and how sure is it? Answer: a function of "
    "(ours, theirs), accuracies of shape (S,), that returns three numbers: mean and ends of the 95 % interval.",
    nudge="Which numbers belong together? Subtract these before you do anything else.",
    hint="d = ours - theirs; half the width is the 0.975 quantile of t with S - 1 degrees, times std / sqrt(S).",
    right="For five draws the quantile is 2.78, for ten 2.26, for the normal law 1.96: few draws have to pay.",
    reference=_verdict,
    inputs=_accuracies,
    diagnoses=(
        Diagnosis(
            "unpaired", "You treated the draws as unrelated; hard draws are hard for both. Subtract first.", _unpaired
        ),
        Diagnosis("normal", "1.96 is for many draws; few have the wider t.", partial(_other, quantile=0)),
        Diagnosis(
            "one side", "This leaves 5 % out on each side; take the 0.975 quantile.", partial(_other, quantile=0.95)
        ),
        Diagnosis(
            "spread",
            "Divide by S - 1 in the variance (ddof=1): the mean is of the same draws.",
            partial(_other, correction=0),
        ),
        Diagnosis(
            "of one draw",
            "This is the spread of a draw; a mean of S draws varies less, by sqrt(S).",
            partial(_other, root=0),
        ),
        Diagnosis("S", "Divide by the root of S, not by S.", partial(_other, root=1)),
        Diagnosis("direction", "This is theirs minus ours.", lambda ours, theirs: _verdict(theirs, ours)),
    ),
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


TWO_WAYS = Exercise(
    id="transferred.two_ways",
    prompt="A source can come in by two ways. First row: do trained layers start from its weights? Second row: are "
    "activations of its frozen layers read? Answer: two rows of five numbers, 1 for yes and 0 for no, for scratch, "
    "tuned, shared, progressive (a fresh column) and units (the target starts as a copy).",
    nudge="Which of the five keep a frozen network beside or below what is trained?",
    hint="Shared trains nothing but a readout. A progressive column starts fresh. Units do both.",
    right="So tuned against scratch tells what the start is worth, progressive what the activations are.",
    reference=_ways,
    diagnoses=(
        Diagnosis(
            "rows",
            "You exchanged the rows: first the start, then what is read.",
            lambda: [[0, 0, 1, 1, 1], [0, 1, 0, 0, 1]],
        ),
        Diagnosis(
            "shared",
            "Where layers are shared they are not trained: they are read, and nothing starts from them.",
            lambda: [[0, 1, 1, 0, 1], [0, 0, 0, 1, 1]],
        ),
        Diagnosis(
            "shared start",
            "Where layers are shared nothing but a fresh readout is trained.",
            lambda: [[0, 1, 1, 0, 1], [0, 0, 1, 1, 1]],
        ),
        Diagnosis(
            "column",
            "A progressive column starts fresh; it reads the source instead.",
            lambda: [[0, 1, 0, 1, 1], [0, 0, 1, 1, 1]],
        ),
        Diagnosis(
            "units start", "Here the units' target starts as a copy.", lambda: [[0, 1, 0, 0, 0], [0, 0, 1, 1, 1]]
        ),
        Diagnosis(
            "tuned",
            "A tuned network stands alone: after the start nothing of the source is read any more.",
            lambda: [[0, 1, 0, 0, 1], [0, 1, 1, 1, 1]],
        ),
    ),
)
