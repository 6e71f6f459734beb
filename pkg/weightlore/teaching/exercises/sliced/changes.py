"""What if: equal force, nothing pruned, a grid that learns."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from weightlore.bitslice import force, masked, prune
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.sliced.given import CODES, THROUGH
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.training import sgd

__all__ = ["EQUAL_FORCE", "LEARNED_STEP", "PRUNED_STEP", "VARIANTS"]

COUNTS = {3: "three", 4: "four", 6: "six", 8: "eight"}
WHICH = ("first", "second", "third", "fourth")


@dataclass(frozen=True)
class _Pull:
    """The force that every filled digit shall have, and how many digits of which bits there are."""

    wanted: int = 1
    cell_bits: int = 2
    slices: int = 4

    @property
    def base(self) -> int:
        return 2**self.cell_bits

    def weights(self, base: float, wanted: float = 1.0) -> list[float]:
        return [wanted * base**k for k in range(self.slices)]

    def undone(self) -> list[float]:
        """Weights that undo the forces of the package."""
        forces = force(self.slices * self.cell_bits, self.cell_bits)
        return [self.wanted / float(forces[self.base**k]) for k in range(self.slices)]


def _pulls(generator: torch.Generator) -> _Pull:
    cell_bits, slices = one_of(generator, ((1, 6), (1, 8), (2, 3), (2, 4)))
    return _Pull(integer(generator, 1, 20), cell_bits, slices)


def _equal_force(d: _Pull) -> Exercise:
    base, cells = d.base, "" if d == _Pull() else f"A code has {COUNTS[d.slices]} digits of base {d.base}. "
    shown = "Turn the knob of section 7 to see who is emptied." if d == _Pull() else "The low ones lose their lead."
    return Exercise(
        id="sliced.equal_force",
        prompt=f"{cells}Charge digit k with a weight of its own, the sum of lambda_k b_k. With which weights does "
        f"every filled digit pull with the same force, {d.wanted} in units of alpha / (K P step)? Answer: "
        f"{COUNTS[d.slices]} numbers, least significant first.",
        given=CODES + THROUGH,
        nudge=f"With weights, C(q) is the sum of lambda_k {base}^-k over the filled digits. Which lambda_k takes the "
        f"{base}^-k away?",
        hint=f"lambda_k {base}^-k = {d.wanted}.",
        right=f"A filled top digit now pulls as hard as a filled low one. {shown}",
        reference=d.undone,
        diagnoses=_unequal(d),
    )


def _unequal(d: _Pull) -> tuple[Diagnosis, ...]:
    other, bits = (2.0, "two bits") if d.cell_bits == 2 else (4.0, "one bit")
    less, unit = d.base ** (d.slices - 1), Diagnosis(
        "unit", f"These make every force 1; asked for is {d.wanted}.", lambda: d.weights(d.base)
    )  # fmt: skip
    return (
        Diagnosis("inverse", "These are the forces as they are; weights must undo them.",
                  lambda: d.weights(1 / d.base)),
        Diagnosis("order", "You put the most significant slice first.", lambda: d.undone()[::-1]),
        Diagnosis("base", f"A digit has {bits}, so slices differ by a factor of {d.base}.",
                  lambda: d.weights(other, d.wanted)),
        Diagnosis("no change", f"This is slice L1 as it is: the top slice is pulled {less} times less.",
                  lambda: [1.0] * d.slices),
        Diagnosis("counting", f"The forces fall by factors of {d.base}, not by equal steps.",
                  lambda: [d.wanted * (1.0 + k) for k in range(d.slices)]),
        *(() if d.wanted == 1 else (unit,)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Tuned:
    """Weights that are pruned, and the step after it."""

    theta: tuple[float, ...] = (0.30, -0.008, 0.004, -0.05)
    gradient: tuple[float, ...] = (0.2, -0.9, 0.5, 0.1)
    rate: float = 0.1
    threshold: float = 0.01

    @property
    def small(self) -> list[int]:
        return [i for i, weight in enumerate(self.theta) if abs(weight) < self.threshold]

    def moved(self, threshold: float | None = None, *, hold: bool = True, rate: float | None = None) -> list[float]:
        """Prune, then take one step of stochastic gradient descent, as fine-tuning does."""
        rate = self.rate if rate is None else rate
        model = nn.utils.skip_init(nn.Linear, len(self.theta), 1, bias=False, dtype=torch.float64)
        model.weight.data = torch.tensor([self.theta], dtype=torch.float64)
        masks = prune(model, self.threshold if threshold is None else threshold)
        optimizer = masked(sgd(abs(rate)), model, masks if hold else {})(model.parameters())
        model.weight.grad = torch.tensor([self.gradient], dtype=torch.float64) * math.copysign(1.0, rate)
        optimizer.step()
        return model.weight.detach()[0].tolist()


def _tunings(generator: torch.Generator) -> _Tuned:
    """Two of the four weights are below the threshold."""
    threshold, rate = one_of(generator, (0.01, 0.02, 0.05)), one_of(generator, (0.1, 0.2, 0.5))
    below = [share * threshold for share in several(generator, (0.2, 0.4, 0.6, 0.8), 2)]
    above = list(several(generator, (0.1, 0.15, 0.2, 0.25, 0.3, 0.4), 2))
    sizes = [round(one_of(generator, (-1, 1)) * size, 4) for size in several(generator, below + above, 4)]
    slopes = [one_of(generator, (-1, 1)) * slope / 10 for slope in several(generator, range(1, 10), 4)]
    return _Tuned(tuple(sizes), tuple(slopes), rate, threshold)


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{x:g}" for x in numbers)


def _pruned_step(d: _Tuned) -> Exercise:
    public = d == _Tuned()
    theta = "0.30, -0.008, 0.004, -0.05" if public else _listed(d.theta)
    one, other = (WHICH[i] for i in d.small)
    free = " and ".join(f"{d.moved(0.0)[i]:.4g}" for i in d.small)
    grown = "both would have changed sign and grown tenfold" if public else f"they would have come to {free}"
    return Exercise(
        id="sliced.pruned_step",
        prompt=f"Weights {theta} are pruned with the threshold {d.threshold:g}, then one step of gradient descent with "
        f"rate {d.rate:g} fine-tunes them; the gradient is {_listed(d.gradient)}. What are the weights then? "
        "Answer: four numbers.",
        nudge="Which of them are below the threshold, and what may a step do to those?",
        hint=f"The {one} and the {other} are set to zero and stay there: their gradient is multiplied with a mask of "
        "0.",
        right=f"A pruned weight fills no cell, whatever the loss says. Without pruning {grown}.",
        reference=d.moved,
        diagnoses=_untuned(d, "to more than they were" if public else "may fill cells again"),
    )


def _untuned(d: _Tuned, where: str) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("nothing pruned", f"So it goes where pruning is left out: the two small weights move, and {where}.",
                  lambda: d.moved(0.0)),
        Diagnosis("no mask",
                  "You pruned, and then let the step fill the cells again: the mask holds for the gradient too.",
                  lambda: d.moved(hold=False)),
        Diagnosis("no step", "These are the weights after pruning; the step is missing.",
                  lambda: d.moved(rate=1e-12)),
        Diagnosis("uphill", "This step climbs: theta - rate * gradient.", lambda: d.moved(rate=-d.rate)),
        Diagnosis("rate", "The gradient is not multiplied with the rate.", lambda: d.moved(rate=1.0)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Grid:
    """A step of base^(times S - 8)."""

    base: int = 2
    times: int = 1

    @property
    def power(self) -> str:
        return "S" if self.times == 1 else f"{self.times} S"

    @property
    def step(self) -> str:
        return f"{self.base}^({self.power} - 8)"

    @property
    def factor(self) -> str:
        return f"ln({self.base})" if self.times == 1 else f"{self.times} ln({self.base})"

    @property
    def growth(self) -> float:
        return self.times * math.log(self.base)

    def slope(self, q: int) -> float:
        return -self.growth * q * float(force()[q])


def _learned_step(d: _Grid) -> Exercise:
    return Exercise(
        id="sliced.learned_step",
        prompt=f"Let S in step = {d.step} be a number that is learned, with x = |W| / step in place of q. Floors "
        "let the gradient through and higher digits are held constant: what is the derivative of the "
        "sum of digits with respect to S for a weight at x = q? Answer: a function of q, a whole number from 0 to 255.",
        given=CODES,
        nudge=f"The chain rule: the digits depend on x as in (4), and x depends on S. How does |W| / {d.step}?",
        hint=f"dx/dS = -{d.factor} x, and the sum of digits has the slope C(q) in x.",
        right="Never positive, and largest for the largest weights: the penalty alone makes every grid coarser until "
        "all codes are 0. So S is left out of its gradient, or the loss must hold it.",
        reference=d.slope,
        inputs=lambda: [(q,) for q in (0, 1, 3, 4, 16, 65, 128, 255)],
        diagnoses=_unchained(d),
    )


def _unchained(d: _Grid) -> tuple[Diagnosis, ...]:
    power = f"{d.base}^S" if d.times == 1 else f"{d.base}^({d.power})"
    times = Diagnosis("power", f"S counts {d.times} times in the power, and so in the slope.",
                      lambda q: d.slope(q) / d.times)  # fmt: skip
    return (
        Diagnosis("sign", "A larger S is a coarser grid: x falls when S grows.", lambda q: -d.slope(q)),
        Diagnosis("base", f"{power} has the slope {d.factor} {power}; the logarithm is missing.",
                  lambda q: d.slope(q) / math.log(d.base)),
        Diagnosis("outer derivative", "This is the slope of x; the digits follow it with C(q) only.",
                  lambda q: -d.growth * q),
        Diagnosis("inner derivative", "This is C(q), the slope in x; x depends on S.", lambda q: float(force()[q])),
        Diagnosis("inner derivative", f"dx/dS is -{d.factor} x; the x is missing.",
                  lambda q: -d.growth * float(force()[q])),
        *(() if d.times == 1 else (times,)),
    )  # fmt: skip


EQUAL_FORCE, PRUNED_STEP, LEARNED_STEP = _equal_force(_Pull()), _pruned_step(_Tuned()), _learned_step(_Grid())

VARIANTS = {
    EQUAL_FORCE.id: Variants(_equal_force, _pulls),
    PRUNED_STEP.id: Variants(_pruned_step, _tunings),
    LEARNED_STEP.id: Variants(
        _learned_step, lambda generator: _Grid(integer(generator, 2, 12), integer(generator, 1, 5))
    ),
}
