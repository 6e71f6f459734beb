"""A step that looks too far: where a unit is off, no slope is left.

A network of one unit, f = relu(theta x), with the loss (f - y)^2 / 2. Its gradient is (f - y) x while the unit is on,
and 0 where it is off. The resistant step asks for the gradient at theta + epsilon g / |g|, where the loss is larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.corrupted.given import HARDENED
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["TOO_FAR"]

REACHES = (0.2, 0.6, 0.9, 1.2)  # of theta: the last look is past the place where the unit goes off


@dataclass(frozen=True)
class _Unit:
    """Where theta stands, what comes in, and what should come out."""

    theta: float = 0.5
    x: float = 1.0
    y: float = 1.0

    @property
    def epsilons(self) -> list[float]:
        return [round(reach * self.theta, 6) for reach in REACHES]

    def slope(self, theta: Tensor) -> Tensor:
        """The gradient of the loss, by autograd."""
        at = theta.detach().clone().requires_grad_()
        loss = 0.5 * (torch.relu(at * self.x) - self.y) ** 2
        (found,) = torch.autograd.grad(loss.sum(), at)
        return found

    def here(self) -> Tensor:
        return self.slope(torch.tensor([self.theta], dtype=torch.float64))

    def corruptions(self, up: float = 1.0) -> list[float]:
        """The closed form for each epsilon; ``up`` is -1 for a step that goes down."""
        return [up * float(closed_form(self.here(), Budget(epsilon)).vector) for epsilon in self.epsilons]

    def there(self, up: float = 1.0) -> list[float]:
        places = [torch.tensor([self.theta + a], dtype=torch.float64) for a in self.corruptions(up)]
        return [float(self.slope(place)) for place in places]

    def never_off(self, clipped: bool) -> list[float]:
        """The gradients of a unit that lets every slope through, with its output cut off at zero or not."""
        outputs = [(self.theta + a) * self.x for a in self.corruptions()]
        return [((max(f, 0.0) if clipped else f) - self.y) * self.x for f in outputs]


def _units(generator: torch.Generator) -> _Unit:
    return _Unit(one_of(generator, (0.4, 0.5, 0.6, 0.8)), one_of(generator, (1.0, 2.0)), one_of(generator, (2.0, 3.0)))


def _listed(numbers: Sequence[float]) -> str:
    *most, last = [f"{number:g}" for number in numbers]
    return f"{', '.join(most)} and {last}"


def _too_far(d: _Unit) -> Exercise:
    return Exercise(
        id="corrupted.too_far",
        prompt=f"One unit, f = relu(theta x) with x = {d.x:g}, has the loss (f - {d.y:g})^2 / 2 and stands at theta = "
        f"{d.theta:g}. Which gradient does the resistant step with alpha = 1 go against, for epsilon = "
        f"{_listed(d.epsilons)}? Answer: four numbers.",
        given=HARDENED + " Here theta is one number, and the slope of relu is 0 where it is off.",
        nudge="Here the loss rises towards smaller theta. Where does each epsilon lead, and is the unit still on?",
        hint=f"The gradient at theta is {float(d.here()):g}, so the look is taken at theta - epsilon. While the unit "
        f"is on, the gradient there is ((theta - epsilon) x - {d.y:g}) x.",
        right="The farther the look, the louder the advice, until the unit is off; then there is none. A network with "
        "all units of a layer off says the same to every image.",
        reference=d.there,
        diagnoses=(*_slips(d), *_units_that_stay(d)),
    )


def _slips(d: _Unit) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "plain",
            "This is the gradient at theta, four times: plain training.",
            lambda: [float(d.here())] * len(REACHES),
        ),
        Diagnosis(
            "descent",
            "You looked down the hill; the corruption goes up, along +g, and g is negative here.",
            lambda: d.there(up=-1.0),
        ),
        Diagnosis(
            "corruption",
            "These are the corruptions themselves; the step takes the gradients where they lead.",
            d.corruptions,
        ),
        Diagnosis(
            "alpha",
            "This is the mean of both gradients, alpha = 1/2.",
            lambda: [(float(d.here()) + there) / 2 for there in d.there()],
        ),
    )


def _units_that_stay(d: _Unit) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "no ReLU",
            "You let the unit go below zero; a ReLU says 0 there, and its slope is 0 as well.",
            lambda: d.never_off(clipped=False),
        ),
        Diagnosis(
            "slope of the ReLU",
            "The last output is 0, as it should be, but so is the slope of a unit that is off: nothing passes back.",
            lambda: d.never_off(clipped=True),
        ),
        Diagnosis(
            "still on",
            "At the last place the unit is off, and whatever theta does there, the loss stays: that gradient is 0.",
            matches=lambda answer: abs(float(as_numbers(answer)[0].ravel()[-1])) > 1e-9,
        ),
    )


TOO_FAR = _too_far(_Unit())

VARIANTS = {TOO_FAR.id: Variants(_too_far, _units)}
