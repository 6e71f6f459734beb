"""Which member to add to those that are chosen: not the best alone, but the best company."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.ensembles import combine
from weightlore.uncertainty.measures import nll_categorical

__all__ = ["ADD_ONE", "VARIANTS"]

WORDS = {
    0.25: "a quarter", 0.5: "one half", 0.75: "three quarters", 1: "once", 1.5: "one and a half times", 2: "twice",
    2.5: "two and a half times", 3: "three times", 4: "four times", 5: "five times", 6: "six times", 8: "eight times",
    10: "ten times",
}  # fmt: skip


def _pools() -> list[tuple[Tensor, Tensor, list[int]]]:
    """Members of which the best alone, among those that are left, is not the best to add; one that is chosen is."""
    drawn, found = torch.Generator().manual_seed(2), []
    for chosen in ([0], [3, 5], [1, 4]):
        case = _pool(chosen, drawn)
        while _added(*case) in (_alone(*case), _again(*case), _shifted(*case)):
            case = _pool(chosen, drawn)
        found.append(case)
    return found


def _pool(chosen: list[int], drawn: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Draw six members for 30 pictures; those that are chosen know more."""
    y = torch.randint(4, (30,), generator=drawn)
    z = 1.5 * torch.randn(6, 30, 4, generator=drawn, dtype=torch.float64)
    skill = torch.ones(6, 1, 1, dtype=torch.float64).index_fill(0, torch.tensor(chosen), 4.0)
    return (z + skill * functional.one_hot(y, 4)).softmax(2), y, chosen


def _left(p: Tensor, chosen: list[int]) -> list[int]:
    return [i for i in range(len(p)) if i not in chosen]


def _losses(p: Tensor, y: Tensor, chosen: list[int]) -> list[float]:
    return [float(nll_categorical(combine(p[[*chosen, i]]), y)) for i in range(len(p))]


def _added(p: Tensor, y: Tensor, chosen: list[int]) -> int:
    return min(_left(p, chosen), key=_losses(p, y, chosen).__getitem__)


def _alone(p: Tensor, y: Tensor, chosen: list[int]) -> int:
    return min(_left(p, chosen), key=_losses(p, y, []).__getitem__)


def _worst(p: Tensor, y: Tensor, chosen: list[int]) -> int:
    return max(_left(p, chosen), key=_losses(p, y, chosen).__getitem__)


def _again(p: Tensor, y: Tensor, chosen: list[int]) -> int:
    return min(range(len(p)), key=_losses(p, y, chosen).__getitem__)


def _shifted(p: Tensor, y: Tensor, chosen: list[int]) -> int:
    return _left(p, chosen).index(_added(p, y, chosen))


ADD_ONE = Exercise(
    id="uncertain.add_one",
    prompt="Some members are chosen; which one is added next? Answer: a function of (p, y, chosen), p of shape "
    "(S, N, C), y of shape (N,), chosen a list of numbers, that returns the number of the member, not chosen so far, "
    "with which the log loss of the mean is smallest.",
    given="p are probabilities of S members for N pictures and C classes, y the true classes.",
    nudge="Try each of those that are left. What is compared?",
    hint="For each i that is left: the mean of p[chosen + [i]] over members, then its log loss on y.",
    right="The best alone is often not the best to add.",
    reference=_added,
    inputs=_pools,
    diagnoses=(
        Diagnosis("alone", "This one is best alone; you want the best company for those that are chosen.", _alone),
        Diagnosis("largest", "This one makes the loss largest.", _worst),
        Diagnosis("again", "It is chosen already; take one that is left.", _again),
        Diagnosis("place", "This is its place among those that are left; give its number in p.", _shifted),
    ),
)


def _weighted(times: float, p: Tensor, y: Tensor, chosen: list[int]) -> list[float]:
    """The losses of a mean in which each member, as a new one, counts otherwise than those that are chosen."""
    weights = torch.tensor([1.0] * len(chosen) + [times], dtype=p.dtype)
    weights /= weights.sum()
    return [
        float(nll_categorical(combine(p[[*chosen, i]], rule="weighted", weights=weights), y)) for i in range(len(p))
    ]


def _loss_of(choice: Callable[..., int], times: float) -> Callable[..., float]:
    """Return the loss that a choice leads to."""
    return lambda p, y, chosen: _weighted(times, p, y, chosen)[choice(p, y, chosen)]


def _among(times: float, p: Tensor, y: Tensor, chosen: list[int]) -> list[float]:
    losses = _weighted(times, p, y, chosen)
    return [losses[i] for i in _left(p, chosen)]


def _add_loss(times: float) -> Exercise:
    counts = "" if times == 1 else f", in which the new one counts {WORDS[times]},"
    once = () if times == 1 else (
        Diagnosis("once", f"The new member counts {WORDS[times]}.", lambda *of: min(_among(1.0, *of))),
    )  # fmt: skip
    return Exercise(
        id="uncertain.add_one",
        prompt="Some members are chosen; how far does the next one lead? Answer: a function of (p, y, chosen), p of "
        "shape (S, N, C), y of shape (N,), chosen a list of numbers, that returns the smallest log loss of the mean"
        f"{counts} that a member can lead to which is not chosen so far.",
        given=ADD_ONE.given,
        nudge=ADD_ONE.nudge,
        hint="For each i that is left: the mean of p[chosen + [i]] over members"
        f"{'' if times == 1 else f', the last with the weight {times:g}'}, then its log loss on y; the smallest of "
        "all.",
        right=ADD_ONE.right,
        reference=lambda *of: min(_among(times, *of)),
        inputs=_pools,
        diagnoses=(
            Diagnosis("alone", "You added the one that is best alone; another one is better company.",
                      _loss_of(_alone, times)),
            Diagnosis("largest", "This is the largest loss.", lambda *of: max(_among(times, *of))),
            Diagnosis("again", "You let a member that is chosen already come again; take one that is left.",
                      lambda *of: min(_weighted(times, *of))),
            Diagnosis("number", "This is the number of the member; asked is the log loss.", _added),
            *once,
        ),
    )  # fmt: skip


VARIANTS = {
    ADD_ONE.id: Variants(
        _add_loss,
        lambda generator: one_of(generator, tuple(WORDS)),
        "the best member is nearly always the same, whatever is counted",
    )
}
