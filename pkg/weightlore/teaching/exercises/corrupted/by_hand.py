"""Worst corruptions by hand: a few numbers, a norm, and what n, p and epsilon do to them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form, first_order_gain
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.corrupted.given import WORST
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["BY_HAND", "BY_HAND_INF", "N_FREE"]

INF = math.inf
WORDS = {1: "one", 2: "two", 3: "three", 4: "four"}
ORDINALS = {3: "third", 4: "fourth"}


@dataclass(frozen=True)
class _Slope:
    """A gradient, how many of its entries may move, and how far."""

    g: tuple[float, ...] = (3.0, -1.0, 2.0)
    n: int = 2
    epsilon: float = 1.0

    @property
    def gradient(self) -> Tensor:
        return torch.tensor(self.g, dtype=torch.float64)

    @property
    def top(self) -> Tensor:
        """The gradient with zeros where nothing moves."""
        return torch.where(self.best(INF, self.n) != 0, self.gradient, 0.0)

    @property
    def written(self) -> str:
        return _row(self.gradient)

    @property
    def all_of(self) -> str:
        return WORDS[len(self.g)]

    @property
    def rest(self) -> str:
        one = len(self.g) - self.n == 1
        return f"the {ORDINALS[len(self.g)]} stays where it is" if one else "the others stay where they are"

    def best(self, p: float, n: int) -> Tensor:
        return closed_form(self.gradient, Budget(self.epsilon, p=p, n=n)).vector

    def gain(self, p: float, n: int) -> float:
        return float(first_order_gain(self.gradient, Budget(self.epsilon, p=p, n=n)))

    def gains(self, p: float) -> list[float]:
        return [self.gain(p, n) for n in range(1, len(self.g) + 1)]


def _row(numbers: Tensor) -> str:
    return "(" + ", ".join(f"{x:g}" for x in numbers.tolist()) + ")"


def _slopes(generator: torch.Generator) -> _Slope:
    sizes = several(generator, range(1, 10), 4)
    signs = [one_of(generator, (-1.0, 1.0)) for _ in sizes]
    g = tuple(sign * size for sign, size in zip(signs, sizes, strict=True))
    return _Slope(g, integer(generator, 2, 3), one_of(generator, (0.5, 1.0, 2.0, 3.0)))


def _by_hand(d: _Slope) -> Exercise:
    square, share = float(d.top @ d.top), d.gain(2.0, d.n) / d.gain(2.0, len(d.g))
    return Exercise(
        id="corrupted.by_hand",
        prompt=f"Compute the worst corruption for g = {d.written}, n = {d.n}, p = 2 and epsilon = {d.epsilon:g}. "
        f"Answer: {d.all_of} numbers.",
        given=WORST,
        nudge=f"Which {WORDS[d.n]} entries of g matter most? Only those may move; {d.rest}.",
        hint=f"Keep the {WORDS[d.n]} entries of g that are largest in size, then make the vector as long as epsilon.",
        right=f"And its gain, {_times(d.epsilon)}the length of {_row(d.top)}, is {100 * share:.0f} % of what all "
        f"{d.all_of} parameters could do: sparse harm is cheap.",
        reference=lambda: d.best(2, d.n),
        diagnoses=(
            Diagnosis("support", _support(d), lambda: d.best(2, len(d.g))),
            Diagnosis(
                "norm",
                f"This is h itself; its length is sqrt({square:g}) and not epsilon = {d.epsilon:g}.",
                lambda: d.top,
            ),
            *_norms(d, square),
            Diagnosis(
                "other p",
                "Equal sizes are the answer for p = inf; p = 2 shares in proportion to g.",
                lambda: d.best(INF, d.n),
            ),
            Diagnosis("other p", "All on one entry is the answer for p = 1; p = 2 shares.", lambda: d.best(1, d.n)),
        ),
    )


def _support(d: _Slope) -> str:
    return f"All {d.all_of} entries move, but n = {d.n} allows {WORDS[d.n]}."


def _times(epsilon: float) -> str:
    return "" if epsilon == 1 else "epsilon times "


def _norms(d: _Slope, square: float) -> tuple[Diagnosis, ...]:
    """What one gets by dividing by something else than the length."""
    told = {
        "You divided by the sum of the sizes, the L1 norm; p = 2 asks for the L2 norm.": float(d.top.abs().sum()),
        "You divided by the largest entry, the norm for p = inf.": float(d.top.abs().max()),
        f"You divided by the length of g, with the {_entries(d)} that {_do(d)} not move.": float(d.gradient.norm()),
        "You divided by the squared length; take the root.": square,
    }
    return tuple(Diagnosis("norm", says, lambda by=by: d.epsilon * d.top / by) for says, by in told.items())


def _entries(d: _Slope) -> str:
    return "entry" if len(d.g) - d.n == 1 else "entries"


def _do(d: _Slope) -> str:
    return "does" if len(d.g) - d.n == 1 else "do"


def _by_hand_inf(d: _Slope) -> Exercise:
    most, largest, square = d.gain(INF, d.n), float(d.top.abs().max()), d.n**0.5
    return Exercise(
        id="corrupted.by_hand_inf",
        prompt=f"Compute the worst corruption for p = inf, g = {d.written}, n = {d.n}, epsilon = {d.epsilon:g}. "
        f"Answer: {d.all_of} numbers.",
        given=WORST,
        nudge="With p = inf every chosen parameter may move by epsilon, whatever the others do. Why move one less far?",
        hint=f"Each of the {WORDS[d.n]} entries moves by the full epsilon, in the direction of its gradient.",
        right=f"The gain is {_times(d.epsilon)}the sum of sizes, {most:g}, against {d.gain(2.0, d.n):.1f} for p = 2: "
        "at equal epsilon a larger p allows longer vectors.",
        reference=lambda: d.best(INF, d.n),
        diagnoses=(
            Diagnosis("support", _support(d), lambda: d.best(INF, len(d.g))),
            Diagnosis(
                "other p",
                "This is the answer for p = 2; here no entry need share with another.",
                lambda: d.best(2, d.n),
            ),
            Diagnosis("other p", "This is the answer for p = 1.", lambda: d.best(1, d.n)),
            Diagnosis("norm", "These are entries of g; only their signs matter here.", lambda: d.top),
            Diagnosis(
                "norm",
                f"You scaled h until its largest entry is {d.epsilon:g}; each entry may be {d.epsilon:g}.",
                lambda: d.epsilon * d.top / largest,
            ),
            Diagnosis(
                "norm",
                f"You gave each entry {d.epsilon:g}/sqrt({d.n}), so that the L2 length is {d.epsilon:g}; "
                f"the largest entry has to be {d.epsilon:g}.",
                lambda: d.best(INF, d.n) / square,
            ),
        ),
    )


def _n_free(d: _Slope) -> Exercise:
    counts = ", ".join(str(n) for n in range(1, len(d.g) + 1))
    return Exercise(
        id="corrupted.n_free",
        prompt=f"Why does n not matter for p = 1? Give the gain epsilon ||top_n(g)||_q for g = {d.written}, "
        f"epsilon = {d.epsilon:g}, p = 1 and n = {counts}. Answer: {d.all_of} numbers.",
        given="top_n(g) keeps the n entries of g that are largest in size and sets the others to zero; 1/p + 1/q = 1.",
        nudge="What is the dual exponent q of p = 1, from 1/p + 1/q = 1?",
        hint="q is infinite: the dual norm is the largest entry, whether "
        + f"{', '.join(WORDS[n] for n in range(1, len(d.g)))} or {d.all_of} entries are kept.",
        right="A unit of L1 size buys most where the slope is steepest, so all of it goes there, whatever n allows.",
        reference=lambda: d.gains(1.0),
        diagnoses=(
            Diagnosis(
                "dual norm",
                "These are L1 norms of g, the gains for p = inf. Norm and dual norm are exchanged.",
                lambda: d.gains(INF),
            ),
            Diagnosis("dual norm", "These are the gains for p = 2.", lambda: d.gains(2.0)),
            Diagnosis(
                "shared",
                "You shared epsilon equally among n entries; nothing asks for that.",
                lambda: [gain / n for n, gain in enumerate(d.gains(INF), start=1)],
            ),
        ),
    )


BY_HAND, BY_HAND_INF, N_FREE = _by_hand(_Slope()), _by_hand_inf(_Slope()), _n_free(_Slope())

VARIANTS = {
    BY_HAND.id: Variants(_by_hand, _slopes),
    BY_HAND_INF.id: Variants(_by_hand_inf, _slopes),
    N_FREE.id: Variants(_n_free, _slopes),
}
