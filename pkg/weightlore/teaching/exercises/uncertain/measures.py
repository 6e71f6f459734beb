"""What a cloud of networks does not know, and how the parts are read off it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty import dirichlet, measures

__all__ = ["SAME_TOTAL", "TWO_ONE_ONE", "VARIANTS", "VOTES"]

NEAR = 0.005  # nats


def _members(answer: Any) -> Tensor:
    """Return a learner's table as probabilities of two members for one input, shape (2, 1, 2)."""
    return torch.as_tensor(np.asarray(answer, dtype=np.float64))[:, None]


def _are_rows(answer: Any) -> bool:
    p = _members(answer)
    return bool((p >= 0).all()) and float((p.sum(-1) - 1).abs().max()) < 1e-3


def _is_fair(answer: Any) -> bool:
    return _are_rows(answer) and float((_members(answer).mean(0) - 0.5).abs().max()) < 1e-3


def _shared(answer: Any) -> float:
    p = _members(answer)
    return float(measures.mutual_information(p / p.sum(-1, keepdim=True)))


def _two(wanted: float) -> list[list[float]]:
    """Two members with mean (1/2, 1/2) and the wanted mutual information, by halving."""
    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        found = _shared([[0.5 + middle, 0.5 - middle], [0.5 - middle, 0.5 + middle]])
        low, high = (middle, high) if found < wanted else (low, middle)
    return [[0.5 + low, 0.5 - low], [0.5 - low, 0.5 + low]]


def _same_total(wanted: float) -> Exercise:
    return Exercise(
        id="uncertain.same_total",
        prompt="Two networks, two classes. What do they say if their mean is (0.5, 0.5) and their mutual information "
        f"is {wanted:g} nats, to {NEAR:g}? Answer: two rows of two probabilities, one row for each network.",
        given="Mutual information of label and network: the entropy of the mean less the mean of the entropies.",
        nudge="The mean fixes the total, ln 2. Which entropy must each of the two networks have on average?",
        hint="By symmetry they say (1/2 + d, 1/2 - d) and the reverse. Each has the entropy "
        f"ln 2 - {wanted:g}; try values of d.",
        right="With d = 0 they agree that it is a coin, with d = 1/2 each is certain: one total, and every share "
        "between.",
        reference=lambda: _two(wanted),
        accept=lambda answer: _is_fair(answer) and abs(_shared(answer) - wanted) <= NEAR,
        diagnoses=(
            Diagnosis("probabilities", "Each row is what one network says, and must sum to 1 with nothing below 0.",
                      matches=lambda answer: not _are_rows(answer)),
            Diagnosis("the mean", "The mean of your two rows is not (0.5, 0.5).",
                      matches=lambda answer: not _is_fair(answer)),
            Diagnosis("no disagreement", "Your two networks say the same; then the whole entropy is expected, and they "
                      "share no information.", matches=lambda answer: _shared(answer) < 1e-9),
            *_other_amounts(wanted),
        ),
    )  # fmt: skip


def _other_amounts(wanted: float) -> tuple[Diagnosis, ...]:
    bits = wanted * math.log(2)
    return (
        Diagnosis("bits", f"Yours is {wanted:g} in bits, which is {bits:.3f} in nats.",
                  matches=lambda answer: abs(_shared(answer) - bits) <= NEAR),
        Diagnosis("the other part", f"Yours leaves {wanted:g} nats to the expected entropy; the other part was asked "
                  "for.", matches=lambda answer: abs(math.log(2) - _shared(answer) - wanted) <= NEAR),
        Diagnosis("too far apart", "The networks differ too much.",
                  matches=lambda answer: _shared(answer) > wanted + NEAR),
        Diagnosis("too close", "The networks differ too little.",
                  matches=lambda answer: _shared(answer) < wanted - NEAR),
    )  # fmt: skip


@dataclass(frozen=True)
class _Alpha:
    """A Dirichlet distribution with parameters (a, b, b)."""

    a: int = 2
    b: int = 1

    @property
    def alpha(self) -> Tensor:
        return torch.tensor([[self.a, self.b, self.b]], dtype=torch.float64)

    @property
    def total(self) -> int:
        return self.a + 2 * self.b

    @property
    def mean(self) -> tuple[Fraction, Fraction]:
        return Fraction(self.a, self.total), Fraction(self.b, self.total)

    def steps(self, alpha: int) -> str:
        """Return psi(a_0 + 1) - psi(alpha + 1) as a sum."""
        return " + ".join(f"1/{k}" for k in range(alpha + 1, self.total + 1))

    def expected(self) -> Fraction:
        """Return the expected entropy, a sum of fractions."""
        first, other = (sum(Fraction(1, k) for k in range(a + 1, self.total + 1)) for a in (self.a, self.b))
        return self.mean[0] * first + 2 * self.mean[1] * other

    def parts(self) -> list[float]:
        entropies = dirichlet.total_entropy, dirichlet.expected_entropy, dirichlet.mutual_information
        return [float(entropy(self.alpha)) for entropy in entropies]

    def by_psi(self, up: float, down: float, *, equal: bool = False) -> list[float]:
        """The three parts if psi were taken at a_0 + up and alpha + down, or classes were weighed alike."""
        alpha, total = self.alpha, self.parts()[0]
        weights = torch.full_like(alpha, 1 / 3) if equal else alpha / alpha.sum()
        expected = float((weights * (torch.digamma(alpha.sum() + up) - torch.digamma(alpha + down))).sum())
        return [total, expected, total - expected]


def _two_one_one(d: _Alpha) -> Exercise:
    (first, other), psi = d.mean, f"psi({d.total + 1})"
    upper, lower = f"{psi} - psi({d.a + 1})", f"{psi} - psi({d.b + 1})"
    share = "four fifths" if d == _Alpha() else f"{100 * d.parts()[1] / d.parts()[0]:.0f} %"
    return Exercise(
        id="uncertain.two_one_one",
        prompt=f"For alpha = ({d.a}, {d.b}, {d.b}): the total entropy, the expected entropy and the "
        "mutual information, by hand. For whole numbers psi(n + 1) - psi(k + 1) = 1/(k + 1) + ... + 1/n. Answer: three "
        "numbers, in nats.",
        given="A Dirichlet with concentrations alpha, whose sum is a_0, has the mean m = alpha / a_0 and the expected "
        "entropy psi(a_0 + 1) - sum_c m_c psi(alpha_c + 1). The total is the entropy of the mean.",
        nudge=f"The mean is ({first}, {other}, {other}) and a_0 = {d.total}. What is {upper}, what {lower}?",
        hint=f"{upper} = {d.steps(d.a)} and {lower} = {d.steps(d.b)}; weigh them with the mean.",
        right=f"The expected entropy is {d.expected()}: {share} of what is not known stay unknown however much is "
        "learned.",
        reference=d.parts,
        diagnoses=(
            Diagnosis("psi", "You took psi(a_0) - psi(alpha_c), without the + 1 in both.", lambda: d.by_psi(0, 0)),
            Diagnosis("psi", "You took psi(a_0) with psi(alpha_c + 1); both have + 1.", lambda: d.by_psi(0, 1)),
            Diagnosis("psi", "You took psi(a_0 + 1) with psi(alpha_c); both have + 1.", lambda: d.by_psi(1, 0)),
            Diagnosis("bits", "These are bits; the natural logarithm gives nats.",
                      lambda: [part / math.log(2) for part in d.parts()]),
            Diagnosis("order", "The expected entropy comes second, the mutual information third.",
                      lambda: [d.parts()[i] for i in (0, 2, 1)]),
            Diagnosis("weights", "You averaged over the classes with equal weights; the mean "
                      f"({first}, {other}, {other}) weighs them.", lambda: d.by_psi(1, 1, equal=True)),
        ),
    )  # fmt: skip


def _some_probs() -> list[tuple[Tensor]]:
    one = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], dtype=torch.float64)
    other = torch.tensor([[0.1, 0.9], [0.55, 0.45], [0.2, 0.8]], dtype=torch.float64)
    third = torch.tensor([[0.45, 0.55], [0.7, 0.3], [0.95, 0.05]], dtype=torch.float64)
    drawn = [torch.rand(7, n, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 3 for n in (5, 40)]
    return [(torch.stack([one, other, third]),), *((p / p.sum(-1, keepdim=True),) for p in drawn)]


def _against_the_mean(p: Tensor) -> Tensor:
    return 1 - (p.argmax(2) == p.mean(0).argmax(1)).double().mean(0)


@dataclass(frozen=True)
class _Board:
    """A network that has more votes than the others, by its place."""

    member: int = 0
    times: int = 1

    def of(self, score: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Return a score of all votes, those of one network repeated."""
        return lambda p: score(torch.cat([p, *[p[self.member : self.member + 1]] * (self.times - 1)]))


def _votes(d: _Board) -> Exercise:
    even, ratio = d.times == 1, d.of(measures.variation_ratio)
    total, who = ("S", "networks") if even else (f"S + {d.times - 1}", "votes")
    board = "" if even else f"Network p[{d.member}] has {d.times} votes, each other network one. "
    asked = "networks that do not vote" if even else "votes that are not"
    count = "This is a number of networks" if even else "This is a number of votes"
    alike = () if even else (
        Diagnosis("one vote each", f"Network p[{d.member}] has {d.times} votes.", measures.variation_ratio),
    )  # fmt: skip
    return Exercise(
        id="uncertain.votes",
        prompt=f"{board}The variation ratio of an input is the share of the {asked} for the class with most votes. "
        "Answer: a function of p, shape (S, N, C), that returns shape (N,).",
        nudge="What is a network's vote? And for each input: how many votes does each class get?",
        hint="p.argmax(2) are the votes, (S, N). Count them class by class, take the largest count, divide by "
        f"{total}.",
        right="Two inputs with the same votes are the same to it, however sure the voters are: hence its many ties.",
        reference=ratio,
        inputs=_some_probs,
        diagnoses=(
            Diagnosis("majority", "This is the share that votes with the majority; the others were asked for.",
                      lambda p: 1 - ratio(p)),
            Diagnosis("the mean", "You compared the votes with the largest class of the mean. The class with most "
                      "votes may be another one.", d.of(_against_the_mean)),
            *_not_counted(d),
            Diagnosis("pairs", f"This is the share of pairs that disagree; asked for were {who}.",
                      d.of(measures.disagreement)),
            Diagnosis("count", f"{count}; divide by {total}.", lambda p: (len(p) + d.times - 1) * ratio(p)),
            *alike,
        ),
    )  # fmt: skip


def _not_counted(d: _Board) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("no votes", "This is 1 minus the largest mean probability; nobody has voted.",
                  d.of(measures.max_probability)),
        Diagnosis("no votes", "You averaged the largest probability of each network; a vote counts as one.",
                  d.of(lambda p: 1 - p.amax(2).mean(0))),
    )  # fmt: skip


SAME_TOTAL, TWO_ONE_ONE, VOTES = _same_total(0.1), _two_one_one(_Alpha()), _votes(_Board())

VARIANTS = {
    SAME_TOTAL.id: Variants(
        _same_total,
        lambda generator: one_of(generator, (0.05, 0.07, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.45, 0.5, 0.55, 0.6)),
    ),
    TWO_ONE_ONE.id: Variants(
        _two_one_one, lambda generator: _Alpha(integer(generator, 1, 6), integer(generator, 1, 4))
    ),
    VOTES.id: Variants(_votes, lambda generator: _Board(integer(generator, 0, 2), integer(generator, 2, 8))),
}
