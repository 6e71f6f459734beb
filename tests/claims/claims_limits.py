"""Chapter 1, corruption: how far the closed form is from the worst corruption, where we depart, and what was not tried.

The bounds are tested on networks with tanh in the place of ReLU, whose gradient is Lipschitz. For each network epsilon
is set so that r = 1/4 for p = 2, with beta the largest curvature at theta; no other number was chosen.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from tests.claims.claims_corrupted import CHAPTER, DIGITS, FIVE, PAPER, TWENTY, digit_reader, smooth_reader, within
from torch import Tensor, nn

from weightlore.corruption import (
    Budget,
    closed_form,
    curvature,
    error_bound,
    loss_gradient,
    measure,
    project,
    projected_ascent,
    random,
)
from weightlore.data import Split, digits
from weightlore.errors import DataError
from weightlore.parameters import flatten, replaced
from weightlore.stacked import evaluate_thetas
from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

SPREAD = 100  # parameters that a corruption in the L-infinity norm moves
SMOOTH = f"{DIGITS}, tanh for ReLU; epsilon such that r = 1/4 for p = 2, n = P"


@lru_cache(maxsize=5)
def smooth(seed: int) -> tuple[nn.Module, Tensor, float, float]:
    """A smooth network, its gradient and curvature on the test images, and the epsilon of r = 1/4."""
    model = smooth_reader(seed)
    gradient, beta = loss_gradient(model, digits()), steepness(model, digits(), [])
    return model, gradient, beta, float(gradient.norm()) / (2 * beta)


def steepness(model: nn.Module, data: Split, places: list[Tensor]) -> float:
    """The largest curvature at theta and at some corruptions: an estimate of beta from below."""
    theta, found = flatten(model), []
    for place in [torch.zeros_like(theta), *places]:
        with replaced(model, theta + place):
            found.append(curvature(model, data, generator=torch.Generator().manual_seed(0)))
    return max(found)


def rise(model: nn.Module, data: Split, corruption: Tensor) -> float:
    """How much the loss rises."""
    return measure(model, data, corruption=corruption).loss - measure(model, data).loss


def worst(model: nn.Module, data: Split, budget: Budget) -> Tensor:
    """The corruption that is the closed form of the gradient at itself, as the worst one is; by iteration."""
    a = torch.zeros_like(flatten(model))
    for _ in range(30):
        a = closed_form(loss_gradient(model, data, corruption=a), budget).vector
    return a


def first_order_error(seed: int) -> dict[str, float]:
    """The largest error of the first-order estimate over what the bound allows, for two norms."""
    model, gradient, _, epsilon = smooth(seed)
    theta, shares = flatten(model), {}
    for name, budget in (("p = 2", Budget(epsilon)), ("p = inf", Budget(epsilon / SPREAD**0.5, p=torch.inf, n=SPREAD))):
        best = closed_form(gradient, budget).vector
        drawn = random(len(theta), budget, generator=torch.Generator().manual_seed(seed), trials=100)
        tried = torch.cat([best[None], drawn])
        changes = evaluate_thetas(model, theta + tried, digits()).loss - measure(model, digits()).loss
        beta = steepness(model, digits(), [best, drawn[0]])
        allowed = error_bound(gradient, budget, smoothness=beta).error
        shares[name] = float((changes - tried @ gradient).abs().max()) / allowed
    return {"value": max(shares.values())} | shares


def excess(seed: int, share: float) -> float:
    """By which part the worst loss change is above that of the closed form, at a share of epsilon."""
    model, gradient, _, epsilon = smooth(seed)
    budget = Budget(share * epsilon)
    found = rise(model, digits(), worst(model, digits(), budget))
    return found / rise(model, digits(), closed_form(gradient, budget).vector) - 1


def used_up(seed: int) -> dict[str, float]:
    """The excess of the worst loss change over what the bound (1 + r)/(1 - r) allows."""
    model, gradient, _, epsilon = smooth(seed)
    budget = Budget(epsilon)
    beta = steepness(model, digits(), [worst(model, digits(), budget)])
    bound, found = error_bound(gradient, budget, smoothness=beta), excess(seed, 1.0)
    return {"value": found / (bound.ratio - 1), "ratio": 1 + found, "bound": bound.ratio, "r": bound.r}


def order(share: float, seed: int) -> dict[str, float]:
    """The power of epsilon with which the excess falls when a share of epsilon is halved."""
    whole, half = excess(seed, share), excess(seed, share / 2)
    return {"value": float(torch.tensor(whole / half).log2()), "whole": whole, "half": half}


def fitted(seed: int) -> dict[str, float]:
    """The r of the training images at an epsilon that has r = 1/4 on the test images."""
    model, gradient, beta, epsilon = smooth(seed)
    train = loss_gradient(model, digits("train"))
    found = error_bound(train, Budget(epsilon), smoothness=steepness(model, digits("train"), []))
    test = error_bound(gradient, Budget(epsilon), smoothness=beta)
    return {"value": found.r, "test images": test.r}


def literal(model: nn.Module, data: Split, budget: Budget, steps: int) -> Tensor:
    """The multi-step attack to the letter: a step along the whole gradient, of which the n largest entries are kept."""
    a, whole = torch.zeros_like(flatten(model)), Budget(1.0, p=budget.p)
    for _ in range(steps):
        direction = closed_form(loss_gradient(model, data, corruption=a), whole).vector
        a = project(a + 1.5 * budget.epsilon / steps * direction, budget)
    return a


def departure(epsilon: float, p: float, seed: int) -> dict[str, float]:
    """By how many powers of two our direction raises the loss more than the paper's, on one network."""
    model, budget = digit_reader(seed), Budget(epsilon, p=p, n=100)
    ours, theirs = projected_ascent(model, digits(), budget).vector, literal(model, digits(), budget, 10)
    rises = [max(rise(model, digits(), a), 1e-9) for a in (ours, theirs)]
    length = float(torch.linalg.vector_norm(theirs, p)) / epsilon
    value = float(torch.tensor(rises[0] / rises[1]).log2())
    return {"value": value, "ours": rises[0], "to the letter": rises[1], "length to the letter": length}


def bounds(id: str, statement: str, setting: str, measure: object, verdict: object, **more: object) -> Claim:
    """Return a claim on the closed form of smooth networks."""
    known = {"whose": "ours", "unit": "ratio", "tolerance": 1e-2} | more
    return Claim(
        id=f"bound-{id}",
        chapter=CHAPTER,
        statement=statement,
        source=PAPER,
        setting=f"{SMOOTH}; {setting}",
        measure=measure,
        seeds=FIVE,
        verdict=verdict,
        **known,
    )


def directed(name: str, epsilon: float, p: float) -> Claim:
    """Return the claim that our direction in the multi-step attack is the better one."""
    return Claim(
        id=f"departure-direction-{name}",
        chapter=CHAPTER,
        statement="Where few parameters may move, steps along the n largest entries of the gradient, our departure, do "
        "more damage than steps along all of them of which the n largest are kept, the paper's.",
        source="zhang2021multistep",
        whose="ours",
        setting=f"{DIGITS}; p = {p:g}, epsilon = {epsilon}, n = 100, 10 steps, ties to the lowest index; log2 of the "
        "loss change of ours over that of the paper's, paired",
        measure=partial(departure, epsilon, p),
        seeds=TWENTY,
        verdict=beyond(0.0),
        unit="log2",
        tolerance=2e-2,
    )


def absent(name: str) -> Callable[[int], float]:
    """Return the measurement that waits for data."""

    def wait(seed: int) -> float:
        raise DataError(f"{name} is not among the data sets that the package fetches; nothing was measured")

    return wait


def untried(id: str, statement: str, setting: str, needs: str, **more: object) -> Claim:
    """Return a claim that was not tried: its row says what it needs."""
    known = {"source": PAPER, "whose": "paper"} | more
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        setting=f"not tried; {setting}",
        measure=absent(needs),
        seeds=(0,),
        verdict=beyond(0.0),
        unit="accuracy",
        needs=(needs,),
        **known,
    )


READ = {"source": "tobiaslee2021paramcorruption", "whose": "other"}
LINEAR = "small classifier of linear layers on MNIST"
IMAGENET = "ResNet-34 on ImageNet, development set, of which the paper shows a figure"

CLAIMS = [
    bounds(
        "first-order-error",
        "A loss change differs from its first-order estimate by at most beta c^2 epsilon^2 / 2.",
        "beta: largest curvature at theta and at two corruptions; largest error of the closed form and of 100 draws "
        "over the bound, for p = 2, n = P, and for p = inf, n = 100 with the same c epsilon; wanted below 1",
        first_order_error,
        beyond(1.0, below=True),
    ),
    bounds(
        "ratio",
        "The worst loss change is at most (1 + r)/(1 - r) times that of the closed form.",
        "p = 2, n = P; beta: largest curvature at theta and at the worst corruption found; ratio - 1 over what the "
        "bound allows, wanted below 1",
        used_up,
        beyond(1.0, below=True),
    ),
    bounds(
        "order",
        "The worst loss change over that of the closed form tends to 1 at least linearly in epsilon.",
        "p = 2, n = P; power of epsilon with which ratio - 1 falls when epsilon is halved, wanted above 0.9",
        partial(order, 1.0),
        beyond(0.9),
        whose="paper",
        unit="power",
    ),
    bounds(
        "order-quadratic",
        "For p = 2 and n = P it even tends to 1 quadratically: turning the closed form a little costs no first order.",
        "the power as above, at an eighth of that epsilon (at the whole of it a trial network, seed 999, gave 1.7), "
        "wanted between 1.8 and 2.2",
        partial(order, 0.125),
        within(1.8, 2.2),
        unit="power",
    ),
    bounds(
        "vacuous-when-fitted",
        "On a fitted training set the gradient vanishes and the bound says nothing: r is above 1.",
        "r of the training images at that epsilon, wanted above 1",
        fitted,
        beyond(1.0),
        unit="r",
    ),
    directed("l2", 1.0, 2.0),
    directed("linf", 0.5, torch.inf),
    untried(
        "reimplementation-random-mnist",
        "Random noise on every weight costs accuracy only when it is large, in a public re-implementation.",
        f"{LINEAR}; noise of epsilon per weight, not scaled to a length, at epsilon = 0.01, 0.1, 1 and 100",
        "mnist",
        paper_number="96.23 % clean; 96.26, 83.71, 11.26 and 10.64 %",
        **READ,
    ),
    untried(
        "reimplementation-gradient-mnist",
        "Corruption along the gradient destroys the network, in a public re-implementation.",
        f"{LINEAR}; p = 2, one pass over the training set with learning rate 1, at epsilon = 0.1, 1 and 100",
        "mnist",
        paper_number="96.23 % clean; 95.89, 31.52 and 8.92 %",
        **READ,
    ),
    untried(
        "reimplementation-gradient-slow-mnist",
        "With small steps epsilon = 100 does no more damage than epsilon = 1, in a public re-implementation.",
        f"{LINEAR}; p = 2, one pass over the training set with learning rate 0.001, at epsilon = 0.1, 1 and 100",
        "mnist",
        paper_number="96.23 % clean; 94.57, 66.72 and 66.72 %",
        **READ,
    ),
    untried(
        "reimplementation-resistant-mnist",
        "Resistant training raises the accuracy under attack, in a public re-implementation.",
        "small classifier on MNIST, 8 epochs, attack with epsilon = 1; resistant training with epsilon = 0.0001",
        "mnist",
        paper_number="plain 98.14 to 84.08 %, resistant 98.16 to 91.22 %",
        **READ,
    ),
    untried(
        "random-harmless-imagenet-resnet34",
        "Random corruption of trained weights is almost harmless.",
        IMAGENET,
        "imagenet",
    ),
    untried(
        "gradient-destroys-imagenet-resnet34",
        "A corruption of the same size along the gradient causes a large drop.",
        IMAGENET,
        "imagenet",
    ),
]
