"""Comparing methods: pairs, what is kept, what fits into a time, and an outside set that is not clean."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.ranking import auroc

__all__ = ["AREA_BY_PAIRS", "KEPT_ERROR", "MEMBERS_IN_TIME", "UNCLEAN_OUTSIDE", "VARIANTS"]


@dataclass(frozen=True)
class _Scores:
    """Five scores of inside inputs and two of outside ones, the first of which is tied with an inside one."""

    inside: tuple[int, ...] = (1, 2, 3, 4, 5)
    outside: tuple[int, int] = (3, 6)

    def area(self) -> float:
        scores = torch.tensor([*self.inside, *self.outside], dtype=torch.float64)
        return float(auroc(scores, torch.arange(len(scores)) >= len(self.inside)))

    def won(self, score: int) -> int:
        """In how many pairs an outside input has the larger score."""
        return sum(score > other for other in self.inside)


def _scores(generator: torch.Generator) -> _Scores:
    *inside, free = several(generator, range(1, 10), 6)
    return _Scores(tuple(sorted(inside)), (one_of(generator, inside), free))


def _area_by_pairs(d: _Scores) -> Exercise:
    tied, free = d.outside
    tie, low, high = f"The tie {tied} against {tied} counts one half", min(d.outside), max(d.outside)
    plain = (d.won(tied) + d.won(free)) / 10
    return Exercise(
        id="uncertain.area_by_pairs",
        prompt=f"Inside inputs have the scores {', '.join(map(str, d.inside))}, outside ones {low} and {high}. What is "
        "the AUROC? Answer: a number.",
        nudge="Count pairs of an outside and an inside input.",
        hint="Ten pairs. A pair in which the outside score is larger counts 1, a tie counts one half.",
        right=f"({d.won(high)} + {d.won(low)} + 1/2) / 10.",
        reference=d.area,
        diagnoses=(
            Diagnosis("ties lost", f"{tie}, not nothing.", lambda: plain),
            Diagnosis("ties won", f"{tie}, not one.", lambda: plain + 0.1),
            Diagnosis("turned", "This is the share of pairs in which the inside input has the larger score.",
                      lambda: 1 - d.area()),
        ),
    )  # fmt: skip


def _cases() -> list[tuple[Tensor, Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    shares = ((10, 0.5), (25, 0.8), (40, 0.1), (7, 1.0))
    return [
        (torch.rand(n, generator=drawn, dtype=torch.float64), torch.rand(n, generator=drawn) < 0.4, share)
        for n, share in shares
    ]


def _kept(uncertainty: Tensor, wrong: Tensor, share: float) -> float:
    return float(wrong[uncertainty.argsort()[: round(share * len(wrong))]].double().mean())


def _counted(uncertainty: Tensor, wrong: Tensor, share: float) -> float:
    """The wrong answers among those that are kept, as a share of all."""
    return _kept(uncertainty, wrong, share) * _answered(wrong, share)


def _answered(wrong: Tensor, share: float) -> float:
    return round(share * len(wrong)) / len(wrong)


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
        Diagnosis("of all", "Divide by the number of examples that are kept, not by N.", _counted),
        Diagnosis("nothing put aside", "This is the error rate of all examples.",
                  lambda u, wrong, share: float(wrong.double().mean())),
    ),
)  # fmt: skip


def _together(person: float) -> Exercise:
    """The error rate of network and person, for a person who is wrong on a share of what is handed over."""

    def both(uncertainty: Tensor, wrong: Tensor, share: float) -> float:
        return _counted(uncertainty, wrong, share) + person * (1 - _answered(wrong, share))

    return Exercise(
        id="uncertain.kept_error",
        prompt="A network answers the surest share of the examples and hands the others to a person, who is wrong on "
        f"{100 * person:g} % of them. Write the error rate of both together. Answer: a function of (uncertainty, "
        "wrong, share), shapes (N,), that keeps the round(share * N) surest and returns a number.",
        nudge="Which end of the order does the network keep, and how many are left for the person?",
        hint="uncertainty.argsort() puts the surest first; add up the first round(share * N) of wrong, and "
        f"{person:g} for each of the others; divide by N.",
        right="With a share of 1 it is the error rate of the network, with 0 that of the person.",
        reference=both,
        inputs=_cases,
        diagnoses=(
            Diagnosis("other end", "The network kept the least sure ones.",
                      lambda u, wrong, share: both(-u, wrong, share)),
            Diagnosis("right ones", "This is the share of right answers.", lambda u, w, share: 1 - both(u, w, share)),
            Diagnosis("sum of rates", "You added two rates; each counts with the share of examples it is about.",
                      lambda u, wrong, share: _kept(u, wrong, share) + person),
            Diagnosis("network alone", "This is the error rate among those that are kept.", _kept),
            Diagnosis("without errors", f"The person is wrong on {100 * person:g} % of what is handed over.", _counted),
            Diagnosis("nothing handed over", "This is the error rate of the network on all examples.",
                      lambda u, wrong, share: float(wrong.double().mean())),
        ),
    )  # fmt: skip


WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class _Time:
    """How long a pass takes, in tenths of ms, and how many fit into the time that there is."""

    tenths: int = 15
    members: int = 6

    @property
    def limit(self) -> int:
        """A whole number of ms into which no more fit, as long as a pass takes over 1 ms."""
        return self.tenths * self.members // 10 + 1


def _times(generator: torch.Generator) -> _Time:
    return _Time(one_of(generator, (12, 13, 14, 16, 17, 18, 22, 23, 26, 27, 32, 35)), integer(generator, 3, 9))


def _members_in_time(d: _Time) -> Exercise:
    each = d.tenths / 10
    return Exercise(
        id="uncertain.members_in_time",
        prompt=f"An answer must come within {d.limit} ms and one pass takes {each:g} ms. How many members may an "
        "ensemble have that are asked one after the other? Answer: a whole number.",
        nudge="Part of a member is of no use.",
        hint=f"The largest whole M with {each:g} M <= {d.limit}.",
        right=f"{WORDS[d.members]} passes take {d.members * d.tenths / 10:g} ms.",
        reference=lambda: 10 * d.limit // d.tenths,
        diagnoses=(
            Diagnosis("rounded up", f"{WORDS[d.members + 1]} passes take {(d.members + 1) * d.tenths / 10:g} ms.",
                      lambda: d.members + 1),
            Diagnosis("product", "Divide the time you have by that of a pass.", lambda: d.limit * each),
        ),
    )  # fmt: skip


def _unclean_outside(area: float) -> Exercise:
    best = area == 1
    detector = "gives every truly outside input a higher score than every digit" if best else (
        f"has an AUROC of {area:g} on those that are truly outside"
    )  # fmt: skip
    wins = "wins" if best else f"wins in a share {area:g} of the cases"
    clean = () if best else (
        Diagnosis("never wrong", f"Against truly outside inputs it has {area:g}, not 1.", lambda m: 1 - m / 2),
    )  # fmt: skip
    return Exercise(
        id="uncertain.unclean_outside",
        prompt=f"A share m of an outside set are ordinary digits. What AUROC does a detector get that {detector}? "
        "Answer: a function of m.",
        nudge="What happens in a pair of two digits?",
        hint=f"With probability 1 - m the outside input of a pair is truly outside and {wins}; otherwise it is a coin.",
        right=f"With m = 0.1 {'the best possible' if best else 'it'} is {0.9 * area + 0.05:g}.",
        reference=lambda m: (1 - m) * area + m / 2,
        inputs=lambda: [(0.0,), (0.1,), (0.5,), (1.0,)],
        diagnoses=(
            Diagnosis("always lost", "A digit called outside wins against another digit half of the time.",
                      lambda m: (1 - m) * area),
            Diagnosis("both sides", "Only one of the two in a pair is from the outside set.",
                      lambda m: (1 - m) * area + m * m / 2),
            Diagnosis("half", f"With m = 0 nothing is wrong and the area is {area:g}.", lambda m: (1 - m) * area / 2),
            *clean,
        ),
    )  # fmt: skip


AREA_BY_PAIRS, MEMBERS_IN_TIME, UNCLEAN_OUTSIDE = (
    _area_by_pairs(_Scores()),
    _members_in_time(_Time()),
    _unclean_outside(1),
)

VARIANTS = {
    AREA_BY_PAIRS.id: Variants(_area_by_pairs, _scores),
    KEPT_ERROR.id: Variants(
        _together,
        lambda generator: one_of(generator, (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25)),
        "the plain rate has no number that could be another one",
    ),
    MEMBERS_IN_TIME.id: Variants(_members_in_time, _times),
    UNCLEAN_OUTSIDE.id: Variants(
        _unclean_outside,
        lambda generator: one_of(generator, (0.6, 0.65, 0.7, 0.75, 0.78, 0.8, 0.82, 0.85, 0.88, 0.9, 0.92, 0.95, 0.98)),
    ),
}
