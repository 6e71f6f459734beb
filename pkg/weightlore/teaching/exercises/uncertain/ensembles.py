"""Ensembles: what members cost, what their mean gains, when a snapshot is taken, and which member to add."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.diversity import log_ambiguity
from weightlore.uncertainty.ensembles import batch_ensemble, combine, cyclic_cosine
from weightlore.uncertainty.measures import nll_categorical

__all__ = ["ADD_ONE", "MEAN_GAIN", "OWN_NUMBERS", "RESTARTS"]

SIZES = (64, 32, 10)


def _own() -> int:
    """Count what four members have beside the network that they share."""
    generator = torch.Generator().manual_seed(0)
    plain = mlp(SIZES, generator=generator)
    shared = batch_ensemble(plain, members=4, generator=generator)
    inside, alone = (sum(p.numel() for p in model.parameters()) for model in (shared, plain))
    return inside - alone


OWN_NUMBERS = Exercise(
    id="uncertain.own_numbers",
    prompt="How many parameters do the four members of a BatchEnsemble add to a network 64-32-10? Answer: a whole "
    "number.",
    nudge="A member has two vectors in each layer. How long are they?",
    hint="r is as long as the layer's output, s as its input; two layers, four members, and biases are shared.",
    right="Four whole networks would have added three times 2,410.",
    reference=_own,
    diagnoses=(
        Diagnosis("one member", "This is what one member adds; there are four.", lambda: 138),
        Diagnosis("three", "All four members have vectors of their own, the first one, too.", lambda: 3 * 138),
        Diagnosis("outputs", "You counted r alone; the inputs have factors as well.", lambda: 4 * (32 + 10)),
        Diagnosis("inputs", "You counted s alone; the outputs have factors as well.", lambda: 4 * (64 + 32)),
        Diagnosis("hidden once", "The hidden units are outputs of one layer and inputs of the next: count them twice.",
                  lambda: 4 * sum(SIZES)),
        Diagnosis("biases", "The members share the biases.", lambda: 4 * (138 + 42)),
        Diagnosis("whole", "These are three more whole networks.", lambda: 3 * 2410),
    ),
)  # fmt: skip


def _answers() -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    found = []
    for members, rows in ((5, 40), (3, 25)):
        z = 2 * torch.randn(members, rows, 10, generator=drawn, dtype=torch.float64)
        found.append((z.softmax(2), torch.randint(10, (rows,), generator=drawn)))
    return found


def _of_true(p: Tensor, y: Tensor) -> Tensor:
    return p[:, torch.arange(len(y)), y]


def _gain(p: Tensor, y: Tensor) -> float:
    return log_ambiguity(p, y).gain


MEAN_GAIN = Exercise(
    id="uncertain.mean_gain",
    prompt="What do members gain in log loss when their probabilities are averaged? Answer: a function of (p, y), p of "
    "shape (S, N, C), y of shape (N,), that returns the gain in nats, mean over pictures.",
    nudge="One number is the mean of losses, the other the loss of a mean.",
    hint="Take the probabilities of the true classes, (S, N). ln of their mean, less the mean of their ln.",
    right="It is never negative: the logarithm is concave.",
    reference=_gain,
    inputs=_answers,
    diagnoses=(
        Diagnosis("sign", "The gain is what the members lose more: it is positive.", lambda p, y: -_gain(p, y)),
        Diagnosis("sum", "You added over the pictures; take their mean.", lambda p, y: len(y) * _gain(p, y)),
        Diagnosis("together", "This is the loss of the mean alone; how much smaller is it than that of the members?",
                  lambda p, y: log_ambiguity(p, y).ensemble),
        Diagnosis("apart", "This is the loss of the members on average; take off that of the mean.",
                  lambda p, y: log_ambiguity(p, y).members),
        Diagnosis("geometric", "You averaged logarithms and normalized; here probabilities are averaged.",
                  lambda p, y: log_ambiguity(p, y).members - float(nll_categorical(combine(p, rule="geometric"), y))),
        Diagnosis("best", "Compare with the members on average, not with the best of them.",
                  lambda p, y: float((-_of_true(p, y).log().mean(1)).min()) - log_ambiguity(p, y).ensemble),
        Diagnosis("bits", "This is in bits; use the natural logarithm.", lambda p, y: _gain(p, y) / math.log(2)),
    ),
)  # fmt: skip


def _steps() -> list[tuple[int, int, int]]:
    return [(1, 100, 5), (7, 100, 5), (20, 100, 5), (21, 100, 5), (50, 60, 3)]


def _cosine(turn: float) -> float:
    return (math.cos(math.pi * turn) + 1) / 2


RESTARTS = Exercise(
    id="uncertain.restarts",
    prompt="Write the learning rate of snapshots, in units of the largest. Answer: a function of "
    "(step, steps, cycles), step counted from 1, cycles a divisor of steps, that returns a number.",
    nudge="How far into its cycle is a step, and what is that at the first step of each?",
    hint="c = steps / cycles; how far: ((step - 1) mod c) / c; then half of cos(pi how far) + 1.",
    right="At step 21 of 100 with five cycles it is 1 again.",
    reference=lambda step, steps, cycles: cyclic_cosine(step, steps, cycles),
    inputs=_steps,
    diagnoses=(
        Diagnosis("from zero", "Steps are counted from 1: the first has the full rate.",
                  lambda step, steps, cycles: _cosine(step % (steps // cycles) / (steps // cycles))),
        Diagnosis("no restart", "This falls once in the whole training; it must start again with each cycle.",
                  lambda step, steps, cycles: _cosine((step - 1) / steps)),
        Diagnosis("whole wave", "A cycle goes from 1 to nearly 0: half a wave, pi and not 2 pi.",
                  lambda step, steps, cycles: _cosine(2 * ((step - 1) % (steps // cycles)) / (steps // cycles))),
        Diagnosis("rises", "It rises within a cycle; snapshots are taken where the rate is low.",
                  lambda step, steps, cycles: 1 - cyclic_cosine(step, steps, cycles)),
        Diagnosis("twice", "The cosine plus one goes up to 2; halve it.",
                  lambda step, steps, cycles: 2 * cyclic_cosine(step, steps, cycles)),
        Diagnosis("cycles", "A cycle has steps / cycles steps, not cycles.",
                  lambda step, steps, cycles: _cosine((step - 1) % cycles / cycles)),
    ),
)  # fmt: skip


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
