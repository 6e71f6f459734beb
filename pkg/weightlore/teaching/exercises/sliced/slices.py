"""Weights as digits, the force of slice L1 on them, and digits with a sign."""

from collections.abc import Callable, Sequence

import torch

from weightlore.bitslice import digit_sum, digits_of, force, slice_l1_by_autograd
from weightlore.crossbar import signed_digits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["DETACH", "DIGITS", "FORCE", "RECODING", "UPHILL"]

WEIGHT = 39  # 2 * 16 + 1 * 4 + 3


def _digits(q: int) -> list[int]:
    return digits_of()[:, q].tolist()


DIGITS = Exercise(
    id="sliced.digits",
    prompt=f"Write {WEIGHT} in base 4, the least significant digit first, as the slices are numbered. Answer: four "
    "digits.",
    nudge="The first digit is what is left after dividing by 4. Then go on with the quotient.",
    hint="39 = 9 * 4 + 3, then 9 = 2 * 4 + 1, then 2 = 0 * 4 + 2.",
    right="Three of the four cells conduct, and all of them on one bit line of each pair: the one of its sign.",
    reference=lambda: _digits(WEIGHT),
    diagnoses=(
        Diagnosis("order", "You put the most significant digit first.", lambda: _digits(WEIGHT)[::-1]),
        Diagnosis(
            "bits",
            "These are bits 0 to 3. A cell holds two bits, a digit from 0 to 3.",
            lambda: [WEIGHT >> k & 1 for k in range(4)],
        ),
        Diagnosis(
            "weights of digits",
            "You multiplied each digit by its power of 4. A cell does not know which slice it is in.",
            lambda: [d * 4**k for k, d in enumerate(_digits(WEIGHT))],
        ),
        Diagnosis(
            "signed",
            "This is 40 - 1, with a digit that is negative. A fine idea for exercise 5; here digits go from 0 to 3.",
            lambda: _signed(WEIGHT)[:4],
        ),
    ),
)


def _force(q: int) -> float:
    return float(force()[q])


def _over(term: Callable[[int, int], float]) -> Callable[[int], float]:
    """Return the sum of a term of (k, digit) over the digits of q."""
    return lambda q: sum(term(k, d) for k, d in enumerate(_digits(q)))


FORCE = Exercise(
    id="sliced.force",
    prompt="With which force C(q) is a code q pulled to zero, in units of alpha / (K P step)? Differentiate the sum of "
    "digits with respect to q, where floors let the gradient through and higher digits are held constant. Answer: a "
    "function of q, a whole number from 0 to 255.",
    nudge="Digit k is the floor of (q - higher digits) / 4^k. What is its derivative, if the floor counts as none?",
    hint="Each digit contributes 4^-k, but only if it is not zero: the derivative of |b| at b = 0 is taken as 0.",
    right="So the lowest digit decides: as long as it is not zero, the force is at least 1, otherwise at most 21/64.",
    reference=_force,
    inputs=lambda: [(q,) for q in (0, 1, 3, 4, 5, 16, 39, 64, 65, 128, 255)],
    diagnoses=(
        Diagnosis("sum", "This is the sum of the digits itself and not its slope.", lambda q: float(digit_sum()[q])),
        Diagnosis(
            "size",
            "You weighted each slope with its digit. |b| has slope 1 at b = 3 as at b = 1.",
            _over(lambda k, d: d / 4**k),
        ),
        Diagnosis(
            "inner derivative",
            "You counted the digits that are not zero. Each one moves 4^k times more slowly than q.",
            _over(lambda k, d: float(d != 0)),
        ),
        Diagnosis(
            "inverse",
            "The powers stand upside down: a high digit needs a long way to change.",
            _over(lambda k, d: 4.0**k * (d != 0)),
        ),
        Diagnosis(
            "order",
            "You counted the slices from the top; k = 0 is the least significant.",
            _over(lambda k, d: 4.0 ** (k - 3) * (d != 0)),
        ),
        Diagnosis("no detach", "This is what remains without the detach.", lambda q: float(q >= 64) / 64),
        Diagnosis(
            "zero digits",
            "You counted digits that are zero as well: the slope of |b| at b = 0 is taken as 0.",
            lambda q: 85 / 64,
        ),
        Diagnosis("mean", "You divided by K = 4; that is already in the unit.", lambda q: _force(q) / 4),
    ),
)

CODES = (3.0, 65.0, 252.0)


def _pulls(detach: bool) -> list[float]:
    """Return the gradient at three codes, by autograd, for unit steps."""
    codes = torch.tensor(CODES, dtype=torch.float64, requires_grad=True)
    slice_l1_by_autograd(codes, 4.0 * len(CODES), exponent=8, detach=detach).backward()
    return [] if codes.grad is None else codes.grad.tolist()


DETACH = Exercise(
    id="sliced.detach",
    prompt="Remove the detach: let the gradient pass through the higher digits too. With which force are the codes 3, "
    "65 and 252 pulled now, in the same unit? Answer: three numbers.",
    nudge="Write b_2 = (q - 64 b_3) / 16 with b_3 = q / 64, as the gradient sees it. What is left of q?",
    hint="As the gradient sees it, q - 64 (q / 64) is zero: every digit below the highest gets no gradient at all.",
    right="Codes below 64 are never pushed, where most weights are: the penalty is charged, but nobody can lower it.",
    reference=lambda: _pulls(False),
    diagnoses=(
        Diagnosis("detached", "This is the force with the detach.", lambda: _pulls(True)),
        Diagnosis(
            "lowest digit",
            "The top digit's share is 1/64 and not 1: it changes once in 64 codes.",
            lambda: [0.0, 1.0, 1.0],
        ),
        Diagnosis(
            "base",
            "The top digit is digit 3, so its slope is 4^-3.",
            matches=lambda a: _two_alike(a) and abs(64 * float(a[1]) - 1) > 0.05,  # nearer is rounded
        ),
        Diagnosis("nothing left", "One digit is still formed without any higher one.", lambda: [0.0, 0.0, 0.0]),
        Diagnosis(
            "everywhere", "A weight whose top digit is zero gets nothing: |b| has no slope at 0.", lambda: [1 / 64] * 3
        ),
    ),
    tolerance=1e-6,
)


def _two_alike(answer: Sequence[float]) -> bool:
    first, second, third = (float(a) for a in answer)
    return first == 0 and second == third and second > 0


def _rises() -> int:
    return int((digit_sum()[1:256] < digit_sum()[:255]).sum())


UPHILL = Exercise(
    id="sliced.uphill",
    prompt="A code goes down by one, from q to q - 1. For how many of the codes 1 to 255 does the sum of the digits "
    "rise? Answer: a whole number.",
    nudge="Try q = 4. What happens to the digits when one has to be borrowed?",
    hint="The sum rises whenever the lowest digit is zero: count the multiples of 4 from 4 to 252.",
    right="A quarter of all steps towards zero is uphill, by 2, 5 or 8. There the force is weak, and weights collect.",
    reference=_rises,
    diagnoses=(
        Diagnosis("zero counted", "Zero is a multiple of 4, but no code to step down from.", lambda: 64),
        Diagnosis("opposite", "That many steps lower the sum.", lambda: 255 - _rises()),
        Diagnosis("only one border", "You left out the multiples of 16: there the sum rises by 5 or 8.", lambda: 48),
        Diagnosis("only one border", "These are multiples of 16 alone; a borrow at any digit counts.", lambda: 15),
        Diagnosis("only one border", "These are multiples of 64 alone; a borrow at any digit counts.", lambda: 3),
    ),
    tolerance=1e-6,
)


def _signed(q: int) -> list[int]:
    return signed_digits(torch.tensor(q)).tolist()


def _read(answer: Callable[[int], Sequence[int]], q: int) -> list[int]:
    return [int(d) for d in torch.as_tensor(answer(q)).tolist()]


def _value(digits: Sequence[int]) -> int:
    return sum(d * 4**k for k, d in enumerate(digits))


def _size(digits: Sequence[int]) -> int:
    return sum(abs(d) for d in digits)


def _within(digits: Sequence[int]) -> bool:
    return len(digits) <= 5 and all(-2 <= d <= 2 for d in digits)


def _each(answer: Callable[[int], Sequence[int]]) -> list[tuple[int, list[int]]]:
    return [(q, _read(answer, q)) for q in range(256)]


RECODING = Exercise(
    id="sliced.recoding",
    prompt="Write the codes 0 to 255 with digits from -2 to 2, least significant first, so that the sizes of the "
    "digits add up to as little as possible: 63 = 64 - 1 has a sum of 2 instead of 9. Answer: a function of q that "
    "returns five digits.",
    nudge="A 3 is 4 - 1: write -1 and add one to the next digit. And the 2?",
    hint="A 3 becomes -1 and carries one. A 2 may stay, or become -2 and carry one: that pays where the next digit "
    "is 3, as in 14 = 16 - 2.",
    right="Over all codes the sum falls from 6 to 4.1 and is shared by two bit lines. But not fewer cells are filled: "
    "3.2 for each code instead of 3. What gets sparse depends on what you count.",
    reference=_signed,
    inputs=lambda: [(q,) for q in (0, 3, 12, 14, 39, 63, 191, 255)],
    accept=lambda f: all(_within(d) and _value(d) == q and _size(d) <= _size(_signed(q)) for q, d in _each(f)),
    diagnoses=(
        Diagnosis(
            "plain",
            "These are the plain digits, with 3 among them.",
            matches=lambda f: all(_value(d) == q and d[:4] == _digits(q) for q, d in _each(f)),
        ),
        Diagnosis(
            "order",
            "Read from the other end these add up: the least significant digit comes first.",
            matches=lambda f: all(_value(d[::-1]) == q for q, d in _each(f)),
        ),
        Diagnosis(
            "carry",
            "Your digits are not q any more. Where a 3 becomes -1, one has to be carried to the next digit.",
            matches=lambda f: any(_value(d) != q for q, d in _each(f)),
        ),
        Diagnosis(
            "range",
            "The digits add up, but some are beyond 2, or there are more than five.",
            matches=lambda f: any(not _within(d) for _, d in _each(f)),
        ),
        Diagnosis(
            "too much",
            "These are right but for some codes, such as 14: there a 2 had better become -2 and carry one.",
            matches=lambda f: any(_size(d) > _size(_signed(q)) for q, d in _each(f)),
        ),
    ),
)
