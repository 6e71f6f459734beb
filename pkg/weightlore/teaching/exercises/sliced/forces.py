"""With which force slice L1 pulls on a code, what is left of it without the detach, and which steps go uphill."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from weightlore.bitslice import digit_sum, digits_of, force, slice_l1_by_autograd
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.exercises.sliced.given import CODES, THROUGH
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["DETACH", "FORCE", "UPHILL", "VARIANTS"]

Charges = tuple[float, ...] | None


def _force(charges: Charges) -> Exercise:
    """With a weight for each digit, or with none."""
    charged = "" if charges is None else f" Digit k is charged with lambda_k b_k, lambda = {_row(charges)}."
    each = "4^-k" if charges is None else "lambda_k 4^-k"
    return Exercise(
        id="sliced.force",
        prompt="With which force C(q) is a code q pulled to zero, in units of alpha / (K P step)?"
        f"{charged} Differentiate the sum of digits with respect to q, where floors let the gradient through and "
        "higher digits are held constant. Answer: a function of q, a whole number from 0 to 255.",
        given=CODES,
        nudge="Digit k is the floor of (q - higher digits) / 4^k. What is its derivative, if the floor counts as none?",
        hint=f"Each digit contributes {each}, but only if it is not zero: the derivative of |b| at b = 0 is taken as "
        "0.",
        right=_decides(charges),
        reference=lambda q: float(force(weights=charges)[q]),
        inputs=lambda: [(q,) for q in (0, 1, 3, 4, 5, 16, 39, 64, 65, 128, 255)],
        diagnoses=(*_slopes(charges), *_uncharged(charges)),
    )


def _row(numbers: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{x:g}" for x in numbers) + ")"


def _decides(charges: Charges) -> str:
    if charges is None:
        return (
            "So the lowest digit decides: as long as it is not zero, the force is at least 1, otherwise at most 21/64."
        )
    most = 64 * float(force(weights=charges)[252])
    return f"With a lowest digit that is not zero the force is at least {charges[0]:g}, without it at most {most:g}/64."


def _over(charges: Charges, term: Callable[[int, int], float]) -> Callable[[int], float]:
    """Return the sum of a term of (k, digit) over the digits of q, each with its weight."""
    weights = charges or (1.0,) * 4
    return lambda q: sum(weights[k] * term(k, d) for k, d in enumerate(digits_of()[:, q].tolist()))


def _slopes(charges: Charges) -> tuple[Diagnosis, ...]:
    told: tuple[tuple[str, str, Callable[[int, int], float]], ...] = (
        ("sum", "This is the sum of the digits itself and not its slope.", lambda k, d: d),
        ("size", "You weighted each slope with its digit. |b| has slope 1 at b = 3 as at b = 1.",
         lambda k, d: d / 4**k),
        ("inner derivative", "You counted the digits that are not zero. Each one moves 4^k times more slowly than q.",
         lambda k, d: float(d != 0)),
        ("inverse", "The powers stand upside down: a high digit needs a long way to change.",
         lambda k, d: 4.0**k * (d != 0)),
        ("order", "You counted the slices from the top; k = 0 is the least significant.",
         lambda k, d: 4.0 ** (k - 3) * (d != 0)),
        ("no detach", "This is what remains without the detach.", lambda k, d: float(k == 3 and d != 0) / 64),
        ("zero digits", "You counted digits that are zero as well: the slope of |b| at b = 0 is taken as 0.",
         lambda k, d: 0.25**k),
        ("mean", "You divided by K = 4; that is already in the unit.", lambda k, d: 0.25**k * (d != 0) / 4),
    )  # fmt: skip
    return tuple(Diagnosis(name, says, _over(charges, term)) for name, says, term in told)


def _uncharged(charges: Charges) -> tuple[Diagnosis, ...]:
    plain = Diagnosis("charge", "This is the force if every digit is charged alike; lambda_k is missing.",
                      lambda q: float(force()[q]))  # fmt: skip
    return () if charges is None else (plain,)


@dataclass(frozen=True)
class _Pulled:
    """Codes, and the bits of a cell."""

    codes: tuple[int, ...] = (3, 65, 252)
    cell_bits: int = 2

    @property
    def slices(self) -> int:
        return 8 // self.cell_bits

    @property
    def border(self) -> int:
        """The first code with a top digit."""
        return 2 ** (8 - self.cell_bits)

    @property
    def top(self) -> list[float]:
        return [float(q >= self.border) for q in self.codes]

    def pulls(self, *, detach: bool) -> list[float]:
        """Return the gradient at the codes, by autograd, for unit steps."""
        codes, size = torch.tensor(self.codes, dtype=torch.float64, requires_grad=True), self.slices * len(self.codes)
        slice_l1_by_autograd(codes, float(size), cell_bits=self.cell_bits, exponent=8, detach=detach).backward()
        return [] if codes.grad is None else codes.grad.tolist()

    def other_slope(self, answer: object) -> bool:
        """Whether the right codes are pulled alike, but with another force; what is nearer than 5 % is rounded."""
        found = as_numbers(answer)[0]
        sizes = found[[one > 0 for one in self.top]]
        pulled = (found > 0).tolist() == [one > 0 for one in self.top]
        return pulled and bool((sizes == sizes[0]).all()) and abs(self.border * float(sizes[0]) - 1) > 0.05


def _some_pulled(generator: torch.Generator) -> _Pulled:
    cell_bits = one_of(generator, (1, 2, 4))
    border = 2 ** (8 - cell_bits)
    below, above = integer(generator, 1, border - 1), integer(generator, border, 255)
    return _Pulled(several(generator, (below, above, integer(generator, 1, 255)), 3), cell_bits)


def _detach(d: _Pulled) -> Exercise:
    first, second, third = d.codes
    cells = "" if d.cell_bits == 2 else f"Cells hold {_bits(d.cell_bits)}. "
    top, rest = d.slices - 1, f"q - {d.border} b_{d.slices - 1}"
    rest = f"({rest}) / {d.border // 2**d.cell_bits}" if d.slices > 2 else rest
    return Exercise(
        id="sliced.detach",
        prompt=f"{cells}Remove the detach: let the gradient pass through the higher digits too. With which force are "
        f"the codes {first}, {second} and {third} pulled now, in units of alpha / (K P step)? Answer: three numbers.",
        given=CODES + THROUGH,
        nudge=f"Write b_{top - 1} = {rest} with b_{top} = q / {d.border}, as the gradient sees it. What is left of q?",
        hint=f"As the gradient sees it, q - {d.border} (q / {d.border}) is zero: every digit below the highest gets no "
        "gradient at all.",
        right=f"Codes below {d.border} are never pushed, where most weights are: the penalty is charged, but nobody "
        "can lower it.",
        reference=lambda: d.pulls(detach=False),
        diagnoses=_undetached(d),
        tolerance=1e-6,
    )


def _bits(count: int) -> str:
    return "one bit" if count == 1 else f"{count} bits"


def _undetached(d: _Pulled) -> tuple[Diagnosis, ...]:
    top, border, base = d.slices - 1, d.border, 2**d.cell_bits
    return (
        Diagnosis("detached", "This is the force with the detach.", lambda: d.pulls(detach=True)),
        Diagnosis("lowest digit",
                  f"The top digit's share is 1/{border} and not 1: it changes once in {border} codes.", lambda: d.top),
        Diagnosis("base", f"The top digit is digit {top}, so its slope is {base}^-{top}.", matches=d.other_slope),
        Diagnosis("nothing left", "One digit is still formed without any higher one.", lambda: [0.0] * 3),
        Diagnosis("everywhere", "A weight whose top digit is zero gets nothing: |b| has no slope at 0.",
                  lambda: [1 / border] * 3),
    )  # fmt: skip


@dataclass(frozen=True)
class _Walk:
    """Down to zero from a code, in digits of some bits."""

    last: int = 255
    cell_bits: int = 2

    @property
    def base(self) -> int:
        return 2**self.cell_bits

    def rises(self) -> int:
        sums = digit_sum(self.cell_bits * (4 if self.cell_bits == 2 else 3), self.cell_bits)
        return int((sums[1 : self.last + 1] < sums[: self.last]).sum())

    def multiples(self, power: int) -> int:
        return self.last // self.base**power


def _walks(generator: torch.Generator) -> _Walk:
    cell_bits = integer(generator, 2, 3)
    return _Walk(integer(generator, 80, 250) * (cell_bits - 1), cell_bits)


def _uphill(d: _Walk) -> Exercise:
    greatest, ups = d.multiples(1) * d.base, [k * (d.base - 1) - 1 for k in (1, 2, 3) if d.multiples(k)]
    said = ", ".join(map(str, ups[:-1])) + f" or {ups[-1]}"
    share = {4: "A quarter", 8: "An eighth"}[d.base]
    return Exercise(
        id="sliced.uphill",
        prompt=f"A code, written with digits of base {d.base}, goes down by one, from q to q - 1. For how many of the "
        f"codes 1 to {d.last} does the sum of the digits rise? Answer: a whole number.",
        nudge=f"Try q = {d.base}. What happens to the digits when one has to be borrowed?",
        hint=f"The sum rises whenever the lowest digit is zero: count the multiples of {d.base} from {d.base} to "
        f"{greatest}.",
        right=f"{share} of all steps towards zero is uphill, by {said}. There the force is weak, and weights collect.",
        reference=d.rises,
        diagnoses=(
            Diagnosis("zero counted", f"Zero is a multiple of {d.base}, but no code to step down from.",
                      lambda: d.multiples(1) + 1),
            Diagnosis("opposite", "That many steps lower the sum.", lambda: d.last - d.rises()),
            *_borders(d, said.partition(", ")[2] or str(ups[1])),
        ),
        tolerance=1e-6,
    )  # fmt: skip


def _borders(d: _Walk, more: str) -> tuple[Diagnosis, ...]:
    """Which of the multiples are counted; ``more`` is by how much the sum rises at those of the squared base."""
    square = d.base**2
    left_out = Diagnosis("only one border", f"You left out the multiples of {square}: there the sum rises by {more}.",
                         lambda: d.multiples(1) - d.multiples(2))  # fmt: skip
    alone = tuple(
        Diagnosis("only one border", f"These are multiples of {d.base**k} alone; a borrow at any digit counts.",
                  lambda k=k: d.multiples(k))
        for k in (2, 3)
        if d.multiples(k)
    )  # fmt: skip
    return left_out, *alone


FORCE, DETACH, UPHILL = _force(None), _detach(_Pulled()), _uphill(_Walk())

VARIANTS = {
    FORCE.id: Variants(_force, lambda generator: tuple(map(float, several(generator, range(1, 6), 4)))),
    DETACH.id: Variants(_detach, _some_pulled),
    UPHILL.id: Variants(_uphill, _walks),
}
