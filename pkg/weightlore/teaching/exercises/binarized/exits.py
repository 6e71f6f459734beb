"""When a network may decide: the step of an exit, and the level that is chosen for it."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.spiking import choose_level, early_exit, evidence
from weightlore.spiking.exits import Rule
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["CHOSEN_LEVEL", "EXIT_STEP", "VARIANTS"]

DECIDED = (
    "An example is decided at the first step, counted from 1, at which its evidence is the level or more. "
    "Evidence of the rule *potential* is the largest class potential, that of *margin* the largest less the second."
)

LOSSES = (0.0, 0.02, 0.06)  # of 60 examples: none, one, three, and never a whole number, which rounding would decide


@dataclass(frozen=True)
class _Exit:
    """What evidence is, and before which step nothing is decided."""

    rule: Rule = "potential"
    t_min: int = 1

    @property
    def public(self) -> bool:
        return self == _Exit()

    @property
    def other(self) -> Rule:
        return "margin" if self.rule == "potential" else "potential"

    @property
    def what(self) -> str:
        if self.rule == "potential":
            return "largest potential" if self.public else "largest class potential"
        return "lead of the largest potential over the second"

    @property
    def written(self) -> str:
        return "" if self.t_min == 1 else f", if nothing is decided before step {self.t_min}"

    def step(self, potential: Tensor, level: float) -> int:
        return int(early_exit(potential[:, None], self.rule, level, self.t_min).steps)

    def passing(self, potential: Tensor, level: float) -> list[int]:
        """Numbers of the steps at which the level is passed, from 0."""
        found = evidence(potential[:, None], self.rule)[:, 0] >= level
        return [t for t in found.nonzero().flatten().tolist() if t + 1 >= self.t_min]

    def kept(self, potential: Tensor, targets: Tensor, level: float) -> tuple[float, float]:
        """Accuracy lost against all steps, and mean steps."""
        found = early_exit(potential, self.rule, level, self.t_min)
        full = (potential[-1].argmax(1) == targets).double().mean()
        return float(full - (found.prediction == targets).double().mean()), float(found.steps.double().mean())

    def chosen(self, potential: Tensor, targets: Tensor, loss: float) -> float:
        return choose_level(potential, targets, self.rule, loss=loss, t_min=self.t_min).exit.level


def _exits(generator: torch.Generator, most: int) -> _Exit:
    return _Exit(one_of(generator, ("potential", "margin")), integer(generator, 1, most))


def _courses() -> list[tuple[Tensor, float]]:
    """Potentials of three classes over six steps, and levels: passed, met exactly, left again, never passed."""
    course = torch.tensor([[0, 0, 0], [1, 0, 2], [1, 3, 4], [5, 2, 3], [2, 4, 3], [6, 4, 3]], dtype=torch.float64)
    return [(course, 3.5), (course, 5.0), (course, 1.0), (course, 9.0)]


def _longer_courses() -> list[tuple[Tensor, float]]:
    """Eight steps, at which margins come and go as well."""
    rows = [[3, 0, 1], [1, 0, 2], [4, 1, 4], [5, 2, 3], [2, 4, 3], [6, 3, 2], [5, 6, 4], [7, 5, 4]]
    course = torch.tensor(rows, dtype=torch.float64)
    return [(course, level) for level in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0)]


def _exit_step(d: _Exit) -> Exercise:
    look = "largest class potential" if d.rule == "potential" else d.what
    best = "maximum over classes" if d.rule == "potential" else "lead"
    first = "first step" if d.t_min == 1 else f"first step from step {d.t_min} on"
    return Exercise(
        id="binarized.exit_step",
        prompt=f"At which step is an example decided by the rule *{d.rule}*{d.written}? Answer: a function of "
        "(potential, level), a tensor of shape (T, C) and a number, that returns a number of steps, T where the level "
        "is never reached.",
        given=DECIDED,
        nudge=f"Look at the {look} after each step. Steps are counted from 1.",
        hint=f"The {first} with a {best} of at least the level; if there is none, all T steps were used.",
        right=f"And once it has passed, a {'potential' if d.rule == 'potential' else 'lead'} may fall below the level "
        "again: the first time counts.",
        reference=d.step,
        inputs=_courses if d.public else _longer_courses,
        diagnoses=(*_other_steps(d), *_too_early(d)),
    )


def _other_steps(d: _Exit) -> tuple[Diagnosis, ...]:
    counts = "only the largest potential counts" if d.rule == "potential" else "the lead over the second counts"
    return (
        Diagnosis("counting", "You count from 0; after the first step one step has been used.",
                  lambda u, level: (d.passing(u, level) or [len(u)])[0]),
        Diagnosis("reaching", "To reach the level is enough: greater or equal.",
                  lambda u, level: d.step(u, level + 1e-9)),
        Diagnosis("first time", "You took the last step that passes; nobody waits for it.",
                  lambda u, level: (d.passing(u, level) or [len(u) - 1])[-1] + 1),
        Diagnosis(d.other, f"That is the rule *{d.other}*; here {counts}.", _Exit(d.other, d.t_min).step),
        Diagnosis("never", "Where the level is never reached, all T steps have been used.",
                  lambda u, level: (d.passing(u, level) or [-1])[0] + 1),
    )  # fmt: skip


def _too_early(d: _Exit) -> tuple[Diagnosis, ...]:
    early = Diagnosis("t_min", f"Before step {d.t_min} nothing is decided, whatever is reached.", _Exit(d.rule).step)
    return () if d.t_min == 1 else (early,)


@functools.cache
def _races() -> tuple[tuple[Tensor, Tensor], ...]:
    """Made-up potentials on held-out data, shape (T, N, C), and targets: the truth grows fastest, amid noise."""
    made = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        targets = torch.randint(4, (60,), generator=generator)
        drift = 0.5 * nn.functional.one_hot(targets, 4) + torch.randn(
            20, 60, 4, generator=generator, dtype=torch.float64
        )
        made.append((drift.cumsum(0), targets))
    return tuple(made)


@functools.cache
def _fewest(d: _Exit) -> tuple[float, ...]:
    """The mean steps of the best levels, for each race and loss."""
    return tuple(d.kept(u, y, d.chosen(u, y, loss))[1] for u, y in _races() for loss in LOSSES)


def _found(answer: Callable[..., Any], d: _Exit) -> list[tuple[float, float]]:
    """By how much a function breaks the promise, and how many steps it takes, for each race and loss."""
    kept = []
    for u, y in _races():
        for loss in LOSSES:
            lost, steps = d.kept(u, y, float(answer(u.clone(), y.clone(), loss)))
            kept.append((lost - loss, steps))
    return kept


def _chooses_well(answer: object, d: _Exit) -> bool:
    """Whether a function keeps the promise, and does not wait much longer than needed."""
    if not callable(answer):
        return False
    return all(
        excess <= 1e-9 and steps <= 1.02 * fewest
        for (excess, steps), fewest in zip(_found(answer, d), _fewest(d), strict=True)
    )


def _promise(answer: object, d: _Exit) -> float:
    """By how much a function breaks the promise, at worst."""
    return max(excess for excess, _ in _found(answer, d)) if callable(answer) else math.nan


def _chosen_level(d: _Exit) -> Exercise:
    t_min = "" if d.t_min == 1 else f", {d.t_min}"
    return Exercise(
        id="binarized.chosen_level",
        prompt="Choose the level of an early exit on held-out data, so that at most a share `loss` of the examples is "
        f"lost against all T steps, and stop as early as you can{d.written}. Answer: a function of (potential, "
        f"targets, loss), with shapes (T, N, C) and (N,), that returns a level for the rule *{d.rule}*.",
        given=DECIDED
        + " Held-out examples have potentials after each of T steps; without a decision it is the last step "
        "that answers.",
        nudge="Which levels make a difference at all? Try them, from high to low.",
        hint=f"Candidates are the values of the {d.what}. `early_exit(potential, '{d.rule}', level{t_min})` says what "
        "a level does; keep the lowest one whose accuracy is good enough.",
        right="On these data the promise is kept by construction; on others it is a hope, which test data judge.",
        reference=d.chosen,
        inputs=lambda: [(*race, loss) for race in _races() for loss in LOSSES],
        accept=lambda answer: _chooses_well(answer, d),
        diagnoses=(
            Diagnosis("promise", "More is lost than allowed. Compare with the accuracy after all T steps.",
                      matches=lambda a: _promise(a, d) > 1e-9),
            Diagnosis("patience", "The promise is kept, but a lower level keeps it, too, and stops earlier.",
                      matches=lambda a: _promise(a, d) <= 1e-9),
        ),
    )  # fmt: skip


EXIT_STEP, CHOSEN_LEVEL = _exit_step(_Exit()), _chosen_level(_Exit())

VARIANTS = {
    EXIT_STEP.id: Variants(_exit_step, functools.partial(_exits, most=7)),
    CHOSEN_LEVEL.id: Variants(_chosen_level, functools.partial(_exits, most=10)),
}
