"""Chapter 6, energy: what spikes cost beside one forward pass of the network that they came from.

Arithmetic only, at 45 nm: 4.6 pJ for a multiplication with its addition, 0.9 pJ for an addition, in 32-bit floating
point. Memory, control and the smaller adders of one-bit weights are left out. The paper's own figures are not known.
"""

from functools import partial

import torch
from tests.claims.binary_study import DIGITS, STUDIES, Study, converted, fact, splits
from tests.claims.claims_binarized import claim
from tests.claims.claims_latency import KINDS, LOST, enough, potentials

from weightlore.spiking import Cost, choose_level, energy, operations, simulate
from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

NAMES = ("at the exit", "mean steps", "at fixed steps", "fixed steps", "break-even steps")


def cheaper(study: Study, kind: str, seed: int) -> list[float]:
    """Energy of the forward pass over that of the spikes with early exit and at fixed steps, and the break-even."""
    _, validation, test = splits(study)
    test, network = test[torch.arange(study.raced)], converted(study, seed, kind)
    held, _ = potentials(study, kind, seed)
    fixed = enough((held.argmax(2) == validation.y).double().mean(1))
    level = choose_level(held, validation.y, "potential", loss=LOST).exit
    found = []
    for steps, exit in ((study.steps, level), (fixed, None)):
        record = simulate(network, test.x, steps, exit=exit)
        counted = operations(network, record, test.x)
        cost = energy(counted)
        mean = float(record.steps.double().mean())
        found += [cost.dense / float(cost.spiking.mean()), mean]
    once = Cost().mac * float(counted.multiplications.mean())
    return [*found, fixed * (cost.dense - once) / (float(cost.spiking.mean()) - once)]


def ratio(study: Study, kind: str, name: str, seed: int) -> dict[str, float]:
    """One of the ratios, and all else."""
    numbers = fact(study, f"{seed} {kind} energy", partial(cheaper, study, kind, seed))
    found = dict(zip(NAMES, numbers, strict=True))
    return {"value": found[name]} | found


def row(study: Study, kind: str, name: str) -> Claim:
    """Return the claim on one ratio."""
    place = "when it exits early" if name == "at the exit" else "after a fixed number of steps"
    return claim(
        f"energy-{'exit' if name == 'at the exit' else 'fixed'}-{kind}",
        study,
        f"A spiking network with {KINDS[kind]} takes less energy for its arithmetic {place} than one forward pass.",
        "additions of 0.9 pJ for each weight that a spike meets and for the constant current, first layer multiplied "
        "once, 4.6 pJ a multiplication with its addition; exit by potential, level and fixed steps chosen on "
        f"validation images to lose at most half a point; first {study.raced} test images; energy of the forward pass "
        "over that of the spikes; wanted above 1",
        partial(ratio, study, kind, name),
        unit="factor",
        verdict=beyond(1.0),
        tolerance=0.5,
        fast=study is DIGITS and kind == "binary" and name == "at the exit",
    )


CLAIMS = [row(study, kind, name) for study in STUDIES.values() for kind in KINDS for name in NAMES[:3:2]]
