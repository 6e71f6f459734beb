"""What if: equal force, nothing pruned, a grid that learns, a penalty on the fullest line, more rows."""

import math

import torch
from torch import Tensor, nn

from weightlore.bitslice import force, masked, prune
from weightlore.crossbar import required_bits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.training import sgd

__all__ = ["EQUAL_FORCE", "FULLEST_LINE", "LEARNED_STEP", "PRUNED_STEP", "TALLER"]

SLICES = 4


def _weights(base: float = 4.0) -> list[float]:
    return [base**k for k in range(SLICES)]


EQUAL_FORCE = Exercise(
    id="sliced.equal_force",
    prompt="Charge digit k with a weight of its own, the sum of lambda_k b_k. With which weights does every filled "
    "digit pull with the same force, 1 in the unit of equation (4)? Answer: four numbers, least significant first.",
    nudge="With weights, C(q) is the sum of lambda_k 4^-k over the filled digits. Which lambda_k takes the 4^-k away?",
    hint="lambda_k 4^-k = 1.",
    right="A filled top digit now pulls as hard as a filled low one. Turn the knob of section 7 to see who is emptied.",
    reference=lambda: [1 / float(force()[4**k]) for k in range(SLICES)],
    diagnoses=(
        Diagnosis("inverse", "These are the forces as they are; weights must undo them.", lambda: _weights(0.25)),
        Diagnosis("order", "You put the most significant slice first.", lambda: _weights()[::-1]),
        Diagnosis("base", "A digit has two bits, so slices differ by a factor of 4.", lambda: _weights(2.0)),
        Diagnosis("no change", "This is slice L1 as it is: the top slice is pulled 64 times less.", lambda: [1.0] * 4),
        Diagnosis(
            "counting", "The forces fall by factors of 4, not by equal steps.", lambda: [1.0 + k for k in range(SLICES)]
        ),
    ),
)

THETA, GRADIENT, RATE, THRESHOLD = (0.30, -0.008, 0.004, -0.05), (0.2, -0.9, 0.5, 0.1), 0.1, 0.01


def _moved(threshold: float = THRESHOLD, *, hold: bool = True, rate: float = RATE) -> list[float]:
    """Prune, then take one step of stochastic gradient descent, as fine-tuning does."""
    model = nn.Linear(len(THETA), 1, bias=False, dtype=torch.float64)
    model.weight.data = torch.tensor([THETA], dtype=torch.float64)
    masks = prune(model, threshold)
    optimizer = masked(sgd(abs(rate)), model, masks if hold else {})(model.parameters())
    model.weight.grad = torch.tensor([GRADIENT], dtype=torch.float64) * math.copysign(1.0, rate)
    optimizer.step()
    return model.weight.detach()[0].tolist()


PRUNED_STEP = Exercise(
    id="sliced.pruned_step",
    prompt="Weights 0.30, -0.008, 0.004, -0.05 are pruned with the threshold 0.01, then one step of gradient descent "
    "with rate 0.1 fine-tunes them; the gradient is 0.2, -0.9, 0.5, 0.1. Where are they? Answer: four numbers.",
    nudge="Which of them are below the threshold, and what may a step do to those?",
    hint="The second and the third are set to zero and stay there: their gradient is multiplied with a mask of 0.",
    right="A pruned weight fills no cell, whatever the loss says. Without pruning both would have changed sign and "
    "grown tenfold.",
    reference=_moved,
    diagnoses=(
        Diagnosis(
            "nothing pruned",
            "So it goes where pruning is left out: the two small weights move, and to more than they were.",
            lambda: _moved(0.0),
        ),
        Diagnosis(
            "no mask",
            "You pruned, and then let the step fill the cells again: the mask holds for the gradient too.",
            lambda: _moved(hold=False),
        ),
        Diagnosis("no step", "These are the weights after pruning; the step is missing.", lambda: _moved(rate=1e-12)),
        Diagnosis("uphill", "This step climbs: theta - rate * gradient.", lambda: _moved(rate=-RATE)),
        Diagnosis("rate", "The gradient is not multiplied with the rate.", lambda: _moved(rate=1.0)),
    ),
)


def _slope(q: int) -> float:
    return -math.log(2.0) * q * float(force()[q])


LEARNED_STEP = Exercise(
    id="sliced.learned_step",
    prompt="Let S in step = 2^(S - 8) be a number that is learned, with x = |W| / step in place of q. By the rules of "
    "(4), floors let the gradient through and higher digits are held constant: what is the derivative of the sum of "
    "digits with respect to S for a weight at x = q? Answer: a function of q, a whole number from 0 to 255.",
    nudge="The chain rule: the digits depend on x as in (4), and x depends on S. How does |W| / 2^(S - 8)?",
    hint="dx/dS = -ln(2) x, and the sum of digits has the slope C(q) in x.",
    right="Never positive, and largest for the largest weights: the penalty alone makes every grid coarser until all "
    "codes are 0. So S is left out of its gradient, or the loss must hold it.",
    reference=_slope,
    inputs=lambda: [(q,) for q in (0, 1, 3, 4, 16, 65, 128, 255)],
    diagnoses=(
        Diagnosis("sign", "A larger S is a coarser grid: x falls when S grows.", lambda q: -_slope(q)),
        Diagnosis("base", "2^S has the slope ln(2) 2^S; the logarithm is missing.", lambda q: _slope(q) / math.log(2)),
        Diagnosis(
            "outer derivative",
            "This is the slope of x; the digits follow it with C(q) only.",
            lambda q: -math.log(2) * q,
        ),
        Diagnosis("inner derivative", "This is C(q), the slope in x; x depends on S.", lambda q: float(force()[q])),
        Diagnosis(
            "inner derivative",
            "dx/dS is -ln(2) x; the x is missing.",
            lambda q: -math.log(2) * float(force()[q]),
        ),
    ),
)


def _fullest(levels: Tensor) -> Tensor:
    return levels.sum(-1).amax(-1).sum()


def _arrays() -> list[tuple[Tensor]]:
    generator = torch.Generator().manual_seed(8)
    shapes = ((4, 5, 6), (2, 3, 9), (4, 1, 7))
    return [(torch.randint(0, 4, shape, generator=generator).double(),) for shape in shapes]


FULLEST_LINE = Exercise(
    id="sliced.fullest_line",
    prompt="A converter asks for the largest sum of its slice. Write a penalty on that: for levels of shape (slices, "
    "bit lines, rows), the sum over slices of what the fullest bit line carries with all inputs on. Answer: a function "
    "of the levels that returns one number.",
    nudge="Three dimensions, three reductions: which one is a sum because of the wire, which one a maximum?",
    hint="Sum over the rows, maximum over the bit lines, sum over the slices.",
    right="Its gradient reaches one line of each slice only; a mean over the few fullest lines reaches more. What it "
    "does to training is an open question here.",
    reference=_fullest,
    inputs=_arrays,
    diagnoses=(
        Diagnosis(
            "sum", "This is slice L1: all cells are charged alike, full lines or not.", lambda levels: levels.sum()
        ),
        Diagnosis(
            "mean", "This charges the mean line; a converter must hold the fullest.", lambda v: v.sum(-1).mean(-1).sum()
        ),
        Diagnosis(
            "all slices", "One maximum over all slices; each slice has its own converter.", lambda v: v.sum(-1).max()
        ),
        Diagnosis("cell", "This is the fullest cell; a wire adds up its cells first.", lambda v: v.amax((1, 2)).sum()),
        Diagnosis("axis", "You added up along the lines and took the fullest row.", lambda v: v.sum(1).amax(-1).sum()),
        Diagnosis("each slice", "These are the slices; add them up.", lambda v: v.sum(-1).amax(-1)),
    ),
)

LOWER, UPPER = (100, 40, 13, 3), (30, 23, 3, 3)  # levels on the two halves of a bit line, slice by slice


def _bits(loads: tuple[int, ...]) -> list[int]:
    return [required_bits(load) for load in loads]


def _more() -> list[int]:
    """Bits of the whole line minus those of its larger half."""
    whole = _bits(tuple(a + b for a, b in zip(LOWER, UPPER, strict=True)))
    return [both - half for both, half in zip(whole, _bits(LOWER), strict=True)]


TALLER = Exercise(
    id="sliced.taller",
    prompt="A bit line of 256 rows takes the place of two of 128. With all inputs on, the two halves carried 100, 40, "
    "13, 3 and 30, 23, 3, 3 levels, slice 0 first. How many bits more than the larger half needed does the whole line "
    "need, to lose nothing? Answer: four numbers.",
    nudge="What does the whole line carry, and how many bits write that down?",
    hint="130, 63, 16 and 6 levels need 8, 6, 5 and 3 bits; the larger halves needed 7, 6, 4 and 2.",
    right="At most one bit: two halves are at most twice the larger. The worst case doubles and takes exactly one, 9 "
    "to 10; given weights may take none. And half as many conversions are left.",
    reference=_more,
    diagnoses=(
        Diagnosis(
            "worst case",
            "One bit each is what the worst case takes; these lines have room left.",
            lambda: [1, 1, 1, 1],
        ),
        Diagnosis(
            "difference",
            "These are the bits of the whole line; how many more than before?",
            lambda: _bits(tuple(a + b for a, b in zip(LOWER, UPPER, strict=True))),
        ),
        Diagnosis("rounding", "16 levels are one more than four bits can say.", lambda: [1, 0, 0, 1]),
        Diagnosis("sum of bits", "You added the bits of the halves; add their levels.", lambda: _bits(UPPER)),
    ),
)
