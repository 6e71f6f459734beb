"""Chapter 6, steps: how many are needed, which measures save them, and what an early exit adds.

The number of steps of a recipe is the first step at which at most one point of the network's own accuracy, measured
without spikes on the same test images, is missing. The earlier recipe is that of Diehl and others: weights normalized
by the largest activation, pixels as random spikes, reset to zero, and the output read as a count of spikes.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from tests.claims.binary_study import (
    DIGITS,
    EARLIER,
    MEASURES,
    OURS,
    STUDIES,
    Study,
    Way,
    converted,
    fact,
    run,
    splits,
    steps_needed,
    with_one,
    without,
)
from tests.claims.claims_binarized import claim

from weightlore.spiking import choose_level, early_exit
from weightlore.spiking.exits import Rule as ExitRule
from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

HALF, LOST = Way(start=0.5), 0.005
KINDS = {"real": "real weights", "binary": "binary weights"}
RULES: tuple[ExitRule, ...] = ("potential", "margin", "confidence")
TOLD = {
    "percentile": "the percentile 99.9 of the activations instead of the largest",
    "reset": "reset by subtraction instead of to zero",
    "current": "constant currents instead of random spikes as input",
    "potential": "accumulated potentials instead of spike counts as output",
}
NEEDED = "first step with at most one point less than without spikes"


def saved(study: Study, kind: str, slow: Way, fast: Way, seed: int) -> dict[str, float]:
    """Steps of one way over steps of another; where one never arrives, all its steps count."""
    (many, late), (few, soon) = (steps_needed(study, seed, kind, way) for way in (slow, fast))
    arrived = {"slow arrived": float(late), "fast arrived": float(soon)}
    return {"value": many / few, "slow": float(many), "fast": float(few)} | arrived


@lru_cache(maxsize=16)
def potentials(study: Study, kind: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the output has accumulated after each step, on validation and on test images."""
    _, validation, test = splits(study)
    network = converted(study, seed, kind)
    held, judged = (run(network, one.x, study.steps, OURS, seed).potential for one in (validation, test))
    return held, judged


def exits(study: Study, kind: str, rule: ExitRule, seed: int) -> list[float]:
    """Accuracy after all steps and with early exit, in percent, its mean steps, and the fixed steps as good.

    Level and fixed number of steps are chosen on validation images, to lose at most half a point there, and judged on
    test images.
    """
    _, validation, test = splits(study)
    held, judged = potentials(study, kind, seed)
    scale = converted(study, seed, kind).output_scale
    chosen = choose_level(held, validation.y, rule, loss=LOST, scale=scale).exit
    found = early_exit(judged, rule, chosen.level, chosen.t_min, scale=scale)
    fixed = enough((held.argmax(2) == validation.y).double().mean(1))
    full, there = (float((judged[t - 1].argmax(1) == test.y).double().mean()) for t in (study.steps, fixed))
    exited = float((found.prediction == test.y).double().mean())
    return [100 * full, 100 * exited, float(found.steps.double().mean()), float(fixed), 100 * there]


def enough(accuracies: torch.Tensor) -> int:
    """The first step from which on accuracy stays within half a point of the last."""
    worse = (accuracies < accuracies[-1] - LOST - 1e-9).nonzero()
    return int(worse.max()) + 2 if len(worse) else 1


NAMES = ("all steps", "exit", "mean steps", "fixed steps", "at fixed steps")


def exit_facts(study: Study, kind: str, rule: ExitRule, seed: int) -> dict[str, float]:
    """The same under their names."""
    found = fact(study, f"{seed} {kind} exit by {rule}", partial(exits, study, kind, rule, seed))
    return dict(zip(NAMES, found, strict=True))


def exit_loses(study: Study, kind: str, rule: ExitRule, seed: int) -> dict[str, float]:
    """Test accuracy with early exit minus that after all steps, in points."""
    found = exit_facts(study, kind, rule, seed)
    return {"value": found["exit"] - found["all steps"]} | found


def exit_saves(study: Study, kind: str, rule: ExitRule, seed: int) -> dict[str, float]:
    """Fixed steps over mean steps with early exit."""
    found = exit_facts(study, kind, rule, seed)
    return {"value": found["fixed steps"] / found["mean steps"]} | found


def falling(study: Study, kind: str, seed: int) -> dict[str, float]:
    """Mean firing rate of the first spiking layer minus that of the last, and the rates of all."""

    def find() -> list[float]:
        test = splits(study)[2][torch.arange(study.raced)]
        counts = run(converted(study, seed, kind), test.x, study.steps, OURS, seed).spike_counts
        return [float(one.double().mean()) / study.steps for one in counts]

    rates = fact(study, f"{seed} {kind} rates", find)
    return {"value": rates[0] - rates[-1]} | {f"layer {k}": rate for k, rate in enumerate(rates, start=1)}


def race(
    id: str, study: Study, statement: str, setting: str, measure: Callable[[int], object], **more: object
) -> Claim:
    """Return a claim on steps."""
    known = {"unit": "factor", "verdict": beyond(1.0), "tolerance": 3.0} | more
    setting = f"{setting}; steps: {NEEDED}, at most {study.slow}, first {study.raced} test images"
    return claim(id, study, statement, setting, measure, **known)


def tenfold(study: Study, kind: str) -> Claim:
    """Return the claim on all measures together."""
    return race(
        f"tenfold-{kind}",
        study,
        f"A network with {KINDS[kind]} takes an order of magnitude fewer steps than by the earlier recipe.",
        "steps of the earlier recipe (largest activation, random spikes, reset to zero, spike counts) over those with "
        "percentile 99.9, constant current, reset by subtraction and potentials; where the earlier never arrives the "
        "ratio is a lower bound; wanted above 10, above 1 is the same direction",
        partial(saved, study, kind, EARLIER, OURS),
        verdict=beyond(10.0, same=1.0),
        whose="paper",
        paper_number="an order of magnitude, on CIFAR-100 and ImageNet",
        fast=study is DIGITS and kind == "binary",
    )


def alone(study: Study, kind: str, measure: str) -> list[Claim]:
    """Return the claims on one measure: added to the earlier recipe, and taken out of the later one."""
    return [
        race(
            f"alone-{measure}-{kind}",
            study,
            f"Alone, {TOLD[measure]} saves steps, for {KINDS[kind]}.",
            "steps of the earlier recipe over those of the earlier recipe with this one measure",
            partial(saved, study, kind, EARLIER, with_one(measure)),
        ),
        race(
            f"without-{measure}-{kind}",
            study,
            f"Beside all other measures, {TOLD[measure]} saves steps, for {KINDS[kind]}.",
            "steps of the later recipe without this measure over those of the later recipe",
            partial(saved, study, kind, without(measure), OURS),
        ),
    ]


def half(study: Study, kind: str) -> Claim:
    """Return the claim on the initial potential."""
    return race(
        f"start-half-{kind}",
        study,
        f"Neurons that start at half their threshold save steps, for {KINDS[kind]}.",
        "steps of the later recipe with V_0 = 0 over those with V_0 = 1/2",
        partial(saved, study, kind, OURS, HALF),
        source="bu2022initial",
        whose="other",
    )


def early(study: Study, kind: str, rule: ExitRule) -> list[Claim]:
    """Return the claims on early exit."""
    how = f"rule {rule}; level chosen on {len_words(study)} validation images to lose at most half a point"
    return [
        claim(
            f"exit-{rule}-loses-little-{kind}",
            study,
            f"With early exit by {rule} at most a point of accuracy is lost, for {KINDS[kind]}.",
            f"{how}; accuracy with early exit minus that after {study.steps} steps, test images; wanted above -1 point",
            partial(exit_loses, study, kind, rule),
            verdict=beyond(-1.0),
        ),
        claim(
            f"exit-{rule}-saves-{kind}",
            study,
            f"With early exit by {rule} the mean number of steps is smaller than any fixed number as good, for "
            f"{KINDS[kind]}.",
            f"{how}, the fixed number likewise; fixed number over mean on test images; wanted above 1",
            partial(exit_saves, study, kind, rule),
            verdict=beyond(1.0),
            unit="factor",
            fast=study is DIGITS and kind == "binary" and rule == "potential",
        ),
    ]


def len_words(study: Study) -> str:
    """How many validation images a study has, in words."""
    return {"digits": "180", "clothes": "2,000", "photographs": "500"}[study.name]


def activity(study: Study, kind: str) -> Claim:
    """Return the claim on rates by depth."""
    return claim(
        f"activity-falls-{kind}",
        study,
        f"Spikes become rarer with depth, for {KINDS[kind]}.",
        f"a public note reads this in the paper's Figure 6; {study.steps} steps, percentile 99.9; mean rate of the "
        f"first spiking layer minus that of the last, first {study.raced} test images",
        partial(falling, study, kind),
        whose="paper",
        unit="spikes per step",
        tolerance=0.01,
        fast=study is DIGITS and kind == "binary",
    )


CLAIMS = [tenfold(study, kind) for study in STUDIES.values() for kind in KINDS]
CLAIMS += [row for measure in MEASURES for kind in KINDS for row in alone(DIGITS, kind, measure)]
CLAIMS += [half(study, kind) for study in STUDIES.values() for kind in KINDS]
CLAIMS += [row for kind in KINDS for rule in RULES for row in early(DIGITS, kind, rule)]
CLAIMS += [row for study in list(STUDIES.values())[1:] for kind in KINDS for row in early(study, kind, "potential")]
CLAIMS += [activity(study, kind) for study in STUDIES.values() for kind in KINDS]
