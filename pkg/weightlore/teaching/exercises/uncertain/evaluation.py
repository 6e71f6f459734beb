"""Comparing methods: pairs, what is kept, what fits into a time, and an outside set that is not clean."""

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.ranking import auroc

__all__ = ["AREA_BY_PAIRS", "KEPT_ERROR", "MEMBERS_IN_TIME", "UNCLEAN_OUTSIDE"]

INSIDE, OUTSIDE = (1.0, 2.0, 3.0, 4.0, 5.0), (3.0, 6.0)


def _area() -> float:
    scores = torch.tensor(INSIDE + OUTSIDE)
    return float(auroc(scores, torch.arange(7) >= len(INSIDE)))


AREA_BY_PAIRS = Exercise(
    id="uncertain.area_by_pairs",
    prompt="Inside inputs have the scores 1, 2, 3, 4, 5, outside ones 3 and 6. What is the AUROC? Answer: a number.",
    nudge="Count pairs of an outside and an inside input.",
    hint="Ten pairs. A pair in which the outside score is larger counts 1, a tie counts one half.",
    right="(5 + 2 + 1/2) / 10.",
    reference=_area,
    diagnoses=(
        Diagnosis("ties lost", "The tie 3 against 3 counts one half, not nothing.", lambda: 0.7),
        Diagnosis("ties won", "The tie 3 against 3 counts one half, not one.", lambda: 0.8),
        Diagnosis("turned", "This is the share of pairs in which the inside input has the larger score.", lambda: 0.25),
    ),
)


def _cases() -> list[tuple[Tensor, Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    shares = ((10, 0.5), (25, 0.8), (40, 0.1), (7, 1.0))
    return [
        (torch.rand(n, generator=drawn, dtype=torch.float64), torch.rand(n, generator=drawn) < 0.4, share)
        for n, share in shares
    ]


def _kept(uncertainty: Tensor, wrong: Tensor, share: float) -> float:
    return float(wrong[uncertainty.argsort()[: round(share * len(wrong))]].double().mean())


KEPT_ERROR = Exercise(
    id="uncertain.kept_error",
    prompt="Write the error rate among the surest share of the examples. Answer: a function of (uncertainty, wrong, "
    "share), shapes (N,), that keeps the round(share * N) surest and returns a number.",
    nudge="Which end of the order do you keep?",
    hint="uncertainty.argsort() puts the surest first; take the first round(share * N) of wrong and their mean.",
    right="With a share of 1 it is the error rate of all.",
    reference=_kept,
    inputs=_cases,
    diagnoses=(
        Diagnosis("other end", "You kept the least sure ones.", lambda u, wrong, share: _kept(-u, wrong, share)),
        Diagnosis("right ones", "This is the share of right answers among them.",
                  lambda u, wrong, share: 1 - _kept(u, wrong, share)),
        Diagnosis("of all", "Divide by the number of examples that are kept, not by N.",
                  lambda u, wrong, share: _kept(u, wrong, share) * round(share * len(wrong)) / len(wrong)),
        Diagnosis("nothing put aside", "This is the error rate of all examples.",
                  lambda u, wrong, share: float(wrong.double().mean())),
    ),
)  # fmt: skip

MEMBERS_IN_TIME = Exercise(
    id="uncertain.members_in_time",
    prompt="An answer must come within 10 ms and one pass takes 1.5 ms. How many members may an ensemble have that are "
    "asked one after the other? Answer: a whole number.",
    nudge="Part of a member is of no use.",
    hint="The largest whole M with 1.5 M <= 10.",
    right="Six passes take 9 ms.",
    reference=lambda: int(10 // 1.5),
    diagnoses=(
        Diagnosis("rounded up", "Seven passes take 10.5 ms.", lambda: 7),
        Diagnosis("product", "Divide the time you have by that of a pass.", lambda: 15),
    ),
)

UNCLEAN_OUTSIDE = Exercise(
    id="uncertain.unclean_outside",
    prompt="A share m of an outside set are ordinary digits. What AUROC does a detector get that gives every truly "
    "outside input a higher score than every digit? Answer: a function of m.",
    nudge="What happens in a pair of two digits?",
    hint="With probability 1 - m the outside input of a pair is truly outside and wins; otherwise it is a coin.",
    right="With m = 0.1 the best possible is 0.95.",
    reference=lambda m: 1 - m / 2,
    inputs=lambda: [(0.0,), (0.1,), (0.5,), (1.0,)],
    diagnoses=(
        Diagnosis(
            "always lost", "A digit called outside wins against another digit half of the time.", lambda m: 1 - m
        ),
        Diagnosis("both sides", "Only one of the two in a pair is from the outside set.", lambda m: 1 - m + m * m / 2),
        Diagnosis("half", "With m = 0 nothing is wrong and the area is 1.", lambda m: (1 - m) / 2),
    ),
)
