"""What a cloud of networks does not know, and how the parts are read off it."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty import dirichlet, measures

__all__ = ["SAME_TOTAL", "TWO_ONE_ONE", "VOTES"]

WANTED, NEAR = 0.1, 0.005  # nats


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


def _two() -> list[list[float]]:
    """Two members with mean (1/2, 1/2) and the wanted mutual information, by halving."""
    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        found = _shared([[0.5 + middle, 0.5 - middle], [0.5 - middle, 0.5 + middle]])
        low, high = (middle, high) if found < WANTED else (low, middle)
    return [[0.5 + low, 0.5 - low], [0.5 - low, 0.5 + low]]


SAME_TOTAL = Exercise(
    id="uncertain.same_total",
    prompt="Two networks, two classes. What do they say if their mean is (0.5, 0.5) and their mutual information is "
    "0.1 nats, to 0.005? Answer: two rows of two probabilities, one row for each network.",
    nudge="The mean fixes the total, ln 2. Which entropy must each of the two networks have on average?",
    hint="By symmetry they say (1/2 + d, 1/2 - d) and the reverse. Each has the entropy ln 2 - 0.1; try values of d.",
    right="With d = 0 they agree that it is a coin, with d = 1/2 each is certain: one total, and every share between.",
    reference=_two,
    accept=lambda answer: _is_fair(answer) and abs(_shared(answer) - WANTED) <= NEAR,
    diagnoses=(
        Diagnosis(
            "probabilities",
            "Each row is what one network says, and must sum to 1 with nothing below 0.",
            matches=lambda answer: not _are_rows(answer),
        ),
        Diagnosis(
            "the mean",
            "The mean of your two rows is not (0.5, 0.5).",
            matches=lambda answer: not _is_fair(answer),
        ),
        Diagnosis(
            "no disagreement",
            "Your two networks say the same; then the whole entropy is expected, and they share no information.",
            matches=lambda answer: _shared(answer) < 1e-9,
        ),
        Diagnosis(
            "bits",
            "Yours is 0.1 in bits, which is 0.069 in nats.",
            matches=lambda answer: abs(_shared(answer) - WANTED * math.log(2)) <= NEAR,
        ),
        Diagnosis(
            "the other part",
            "Yours leaves 0.1 nats to the expected entropy; the other part was asked for.",
            matches=lambda answer: abs(math.log(2) - _shared(answer) - WANTED) <= NEAR,
        ),
        Diagnosis(
            "too far apart",
            "The networks differ too much.",
            matches=lambda answer: _shared(answer) > WANTED + NEAR,
        ),
        Diagnosis(
            "too close", "The networks differ too little.", matches=lambda answer: _shared(answer) < WANTED - NEAR
        ),
    ),
)

ALPHA = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64)


def _parts() -> list[float]:
    found = dirichlet.total_entropy(ALPHA), dirichlet.expected_entropy(ALPHA), dirichlet.mutual_information(ALPHA)
    return [float(part) for part in found]


def _by_psi(up: float, down: float) -> list[float]:
    """The three parts if psi were taken at a_0 + up and alpha + down."""
    total, mean = _parts()[0], ALPHA / ALPHA.sum()
    expected = float((mean * (torch.digamma(ALPHA.sum() + up) - torch.digamma(ALPHA + down))).sum())
    return [total, expected, total - expected]


def _in_bits() -> list[float]:
    return [part / math.log(2) for part in _parts()]


TWO_ONE_ONE = Exercise(
    id="uncertain.two_one_one",
    prompt="For alpha = (2, 1, 1): the total entropy, the expected entropy by equation (3) and the mutual information, "
    "by hand. For whole numbers psi(n + 1) - psi(k + 1) = 1/(k + 1) + ... + 1/n. Answer: three numbers, in nats.",
    nudge="The mean is (1/2, 1/4, 1/4) and a_0 = 4. What is psi(5) - psi(3), what psi(5) - psi(2)?",
    hint="psi(5) - psi(3) = 1/3 + 1/4 and psi(5) - psi(2) = 1/2 + 1/3 + 1/4; weigh them with the mean.",
    right="The expected entropy is 5/6: four fifths of what is not known stay unknown however much is learned.",
    reference=_parts,
    diagnoses=(
        Diagnosis("psi", "You took psi(a_0) - psi(alpha_c), without the + 1 in both.", lambda: _by_psi(0, 0)),
        Diagnosis("psi", "You took psi(a_0) with psi(alpha_c + 1); both have + 1.", lambda: _by_psi(0, 1)),
        Diagnosis("psi", "You took psi(a_0 + 1) with psi(alpha_c); both have + 1.", lambda: _by_psi(1, 0)),
        Diagnosis("bits", "These are bits; the natural logarithm gives nats.", _in_bits),
        Diagnosis(
            "order",
            "The expected entropy comes second, the mutual information third.",
            lambda: [_parts()[i] for i in (0, 2, 1)],
        ),
        Diagnosis(
            "weights",
            "You averaged over the classes with equal weights; the mean (1/2, 1/4, 1/4) weighs them.",
            lambda: [_parts()[0], (7 / 12 + 2 * 13 / 12) / 3, _parts()[0] - (7 / 12 + 2 * 13 / 12) / 3],
        ),
    ),
)


def _some_probs() -> list[tuple[Tensor]]:
    one = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6]], dtype=torch.float64)
    other = torch.tensor([[0.1, 0.9], [0.55, 0.45], [0.2, 0.8]], dtype=torch.float64)
    third = torch.tensor([[0.45, 0.55], [0.7, 0.3], [0.95, 0.05]], dtype=torch.float64)
    drawn = torch.rand(7, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64) ** 3
    return [(torch.stack([one, other, third]),), (drawn / drawn.sum(-1, keepdim=True),)]


def _against_the_mean(p: Tensor) -> Tensor:
    return 1 - (p.argmax(2) == p.mean(0).argmax(1)).double().mean(0)


VOTES = Exercise(
    id="uncertain.votes",
    prompt="The variation ratio of an input is the share of the networks that do not vote for the class with most "
    "votes. Answer: a function of p, shape (S, N, C), that returns shape (N,).",
    nudge="What is a network's vote? And for each input: how many votes does each class get?",
    hint="p.argmax(2) are the votes, (S, N). Count them class by class, take the largest count, divide by S.",
    right="Two inputs with the same votes are the same to it, however sure the voters are: hence its many ties.",
    reference=measures.variation_ratio,
    inputs=_some_probs,
    diagnoses=(
        Diagnosis(
            "majority",
            "This is the share that votes with the majority; the others were asked for.",
            lambda p: 1 - measures.variation_ratio(p),
        ),
        Diagnosis(
            "the mean",
            "You compared the votes with the largest class of the mean. The class with most votes may be another one.",
            _against_the_mean,
        ),
        Diagnosis(
            "no votes", "This is 1 minus the largest mean probability; nobody has voted.", measures.max_probability
        ),
        Diagnosis(
            "no votes",
            "You averaged the largest probability of each network; a vote counts as one.",
            lambda p: 1 - p.amax(2).mean(0),
        ),
        Diagnosis("pairs", "This is the share of pairs that disagree; asked for were networks.", measures.disagreement),
        Diagnosis(
            "count", "This is a number of networks; divide by S.", lambda p: len(p) * measures.variation_ratio(p)
        ),
    ),
)
