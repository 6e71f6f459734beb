"""Chapter 1, corruption, on digits and Fashion-MNIST: what the paper claims and what became of it here.

Every network is trained from its seed; a budget is given in the L2 norm, and as a share of the length of theta where
networks of different sizes are compared. Attacks take the gradient on the images that they are measured on.
"""

from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn

from weightlore.corruption import (
    Budget,
    expected_efficiency,
    fit_resistant,
    indicator,
    loss_gradient,
    random,
    random_trials,
    rescale,
    trace_estimate,
)
from weightlore.corruption.losses import hessian_vector
from weightlore.data import Split, digits, fetch
from weightlore.networks import cnn, mlp
from weightlore.parameters import flatten
from weightlore.stacked import evaluate_thetas
from weightlore.teaching.claims import Claim, Verdict, beyond, interval
from weightlore.training import evaluate, fit

torch.set_num_threads(1)

CHAPTER, PAPER = "1_corrupted", "sun2021corruption"
FIVE, TWENTY = tuple(range(5)), tuple(range(20))
SHARE = 0.04  # epsilon as a share of ||theta||
DIGITS = "MLP 64-64-32-10 on digits, float64"
FASHION = "Fashion-MNIST, first 10,000 training images, all test images, float32"


def within(low: float, high: float) -> object:
    """Return the rule that is reproduced when the interval of the mean lies between two numbers."""

    def rule(values: np.ndarray) -> Verdict:
        below, above = interval(values)
        if low <= below and above <= high:
            return "reproduced"
        return "not reproduced" if above < low or below > high else "undecided"

    return rule


@lru_cache(maxsize=40)
def digit_reader(seed: int) -> nn.Module:
    """A digits MLP trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(generator=generator)
    fit(model, digits("train"), generator=generator)
    return model.eval()


@lru_cache(maxsize=2)
def clothes() -> tuple[Split, Split]:
    """Fashion-MNIST, 10,000 images to train on and 10,000 to test on, float32."""
    sets = fetch("fashion-mnist")
    return sets["train"][:10000].to(dtype=torch.float32), sets["test"].to(dtype=torch.float32)


@lru_cache(maxsize=12)
def clothes_reader(kind: str, seed: int) -> nn.Module:
    """A Fashion-MNIST network trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "MLP":
        model: nn.Module = mlp((784, 128, 64, 10), generator=generator, dtype=torch.float32)
    else:
        model = cnn((8, 16), image=(1, 28, 28), generator=generator, dtype=torch.float32)
    fit(model, clothes()[0], generator=generator, epochs=10)
    return model.eval()


def drop_by_chance(model: nn.Module, data: Split, seed: int, trials: int = 100) -> dict[str, float]:
    """How much accuracy the worst of many random changes costs."""
    budget = Budget(SHARE * float(flatten(model).norm()))
    found = random_trials(model, data, budget, trials=trials, generator=torch.Generator().manual_seed(seed))
    return {"value": found.base_accuracy - float(found.accuracy.min()), "accuracy": found.base_accuracy}


def drop_on_purpose(model: nn.Module, data: Split) -> dict[str, float]:
    """How much accuracy one closed-form change of the same length costs."""
    found = indicator(model, data, Budget(SHARE * float(flatten(model).norm())))
    return {"value": found.accuracy_before - found.accuracy_after, "loss": found.measured}


def pair(name: str, words: str, model: object, data: object, trials: int, needs: tuple[str, ...] = ()) -> list[Claim]:
    """Return the paper's two claims for one network."""
    setting = f"{words}; epsilon = {SHARE:.0%} of ||theta||, p = 2, n = P"
    return [
        Claim(
            id=f"random-harmless-{name}",
            chapter=CHAPTER,
            statement="Random corruption of trained weights is almost harmless.",
            source=PAPER,
            whose="paper",
            setting=f"{setting}; largest drop of test accuracy in {trials} trials, wanted below 0.01",
            measure=lambda seed: drop_by_chance(model(seed), data(), seed, trials),
            seeds=FIVE,
            verdict=beyond(0.01, same=0.05, below=True),
            unit="accuracy",
            fast=not needs,
            needs=needs,
            tolerance=2e-3,
        ),
        Claim(
            id=f"gradient-destroys-{name}",
            chapter=CHAPTER,
            statement="A corruption of the same size along the gradient causes a large drop.",
            source=PAPER,
            whose="paper",
            setting=f"{setting}; drop of test accuracy, wanted above 0.05",
            measure=lambda seed: drop_on_purpose(model(seed), data()),
            seeds=FIVE,
            verdict=beyond(0.05, same=0.01),
            unit="accuracy",
            fast=not needs,
            needs=needs,
            tolerance=2e-3,
        ),
    ]


def efficiency(seed: int) -> float:
    """Mean share of the best gain in 500 random draws, over what the theorem says."""
    model = digit_reader(seed)
    gradient = loss_gradient(model, digits())
    drawn = random(len(gradient), Budget(1.0), generator=torch.Generator().manual_seed(seed), trials=500)
    found = (drawn @ (gradient / gradient.norm())).abs().mean()
    return float(found) / expected_efficiency(len(gradient))


def smooth_reader(seed: int) -> nn.Module:
    """The digits MLP with tanh in the place of ReLU, trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(generator=generator)
    model.nonlinear = nn.ModuleList([nn.Tanh(), nn.Tanh()])
    fit(model, digits("train"), generator=generator)
    return model.eval()


def second_order(model: nn.Module, seed: int) -> dict[str, float]:
    """Trace of the Hessian from 400 pairs of random changes a and -a, over the one from 400 Hessian-vector products."""
    generator, theta, budget = torch.Generator().manual_seed(seed), flatten(model), Budget(0.1)
    drawn = random(len(theta), budget, generator=generator, trials=400)
    up, down = (evaluate_thetas(model, theta + sign * drawn, digits()).loss for sign in (1, -1))
    changes = (up + down) / 2 - evaluate(model, digits()).loss
    by_chance = trace_estimate(changes, len(theta), budget).value
    probes = torch.randn(400, len(theta), generator=generator, dtype=torch.float64)
    exact = float(torch.stack([probe @ hessian_vector(model, digits(), probe) for probe in probes]).mean())
    return {"value": by_chance / exact, "by chance": by_chance, "by derivatives": exact}


def kinks(seed: int) -> dict[str, float]:
    """How far the two traces of a ReLU network are apart, relative to the one by derivatives."""
    found = second_order(digit_reader(seed), seed)
    return found | {"value": abs(found["value"] - 1)}


def fitted_gradient(seed: int) -> dict[str, float]:
    """How much accuracy the worst direction of the fitted training images costs on the test images."""
    model = digit_reader(seed)
    found = indicator(model, digits(), Budget(1.0), gradient_data=digits("train"))
    return {"value": found.accuracy_before - found.accuracy_after, "first order": found.first_order}


def held_out_gradient(seed: int) -> float:
    """How much accuracy the worst direction of other held-out images costs on the test images."""
    found = indicator(digit_reader(seed), digits(), Budget(1.0), gradient_data=digits("validation"))
    return found.accuracy_before - found.accuracy_after


def ten_steps(seed: int) -> dict[str, float]:
    """Loss change of ten steps over that of one."""
    model, budget = digit_reader(seed), Budget(1.0)
    one, ten = indicator(model, digits(), budget), indicator(model, digits(), budget, steps=10)
    return {"value": ten.measured / one.measured, "one": one.measured, "ten": ten.measured}


def rescaled(seed: int) -> dict[str, float]:
    """Loss change after two layers are rescaled by 4 and 1/4, over that before; the function is the same."""
    model, budget = digit_reader(seed), Budget(0.3)
    other = rescale(model, "layers.0", 4.0)
    gap = float((model(digits().x) - other(digits().x)).detach().abs().max())
    before, after = indicator(model, digits(), budget).measured, indicator(other, digits(), budget).measured
    return {"value": after / before, "largest output difference": gap}


@dataclass(frozen=True)
class Attempt:
    """One measurement of resistant training.

    Args:
        name: the end of the claims' ids.
        words: the setting, for the reader.
        epsilon: of the training.
        train: rows (first, last + 1) of Fashion-MNIST's training images; ``None`` for the digits.
        test: rows of the training images that are measured on; ``None`` for the test images.
        seeds: one pair of networks for each.
    """

    name: str
    words: str
    epsilon: float
    train: tuple[int, int] | None = None
    test: tuple[int, int] | None = None
    seeds: tuple[int, ...] = TWENTY


CLOTHES = "MLP 784-64-32-10, {} of Fashion-MNIST, 15 epochs, float32"
ATTEMPTS = (
    Attempt("digits", f"{DIGITS}, 40 epochs", 0.5),
    Attempt(
        "fashion-first",
        f"First measurement, with the epsilon of the digits: {CLOTHES.format('training images 0 to 5,000')}",
        0.5,
        train=(0, 5000),
    ),
    # Of 0.02, 0.05, 0.1, 0.2 and 0.5 the largest that cost less than a point of accuracy, seed 999, on training images
    # 10,000 to 15,000; chosen when the first measurement was known.
    Attempt(
        "fashion",
        "Second measurement, epsilon chosen after the first on other images: "
        + CLOTHES.format("training images 0 to 5,000"),
        0.1,
        train=(0, 5000),
    ),
    Attempt(
        "fashion-third",
        "Third measurement, fresh images and fresh seeds, rules stated before: "
        + CLOTHES.format("training images 15,000 to 20,000 to train on and 20,000 to 30,000 to measure on"),
        0.1,
        train=(15000, 20000),
        test=(20000, 30000),
        seeds=tuple(range(20, 40)),
    ),
)


@lru_cache(maxsize=2)
def images(attempt: Attempt) -> tuple[Split, Split]:
    """What an attempt trains and measures on."""
    if attempt.train is None:
        return digits("train"), digits()
    sets = fetch("fashion-mnist")
    train = sets["train"][slice(*attempt.train)]
    test = sets["test"] if attempt.test is None else sets["train"][slice(*attempt.test)]
    return train.to(dtype=torch.float32), test.to(dtype=torch.float32)


@lru_cache(maxsize=60)
def hardened(attempt: Attempt, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """A plain and a resistant network from one seed: test accuracy, test loss, accuracy under attack."""
    return scores(attempt, seed, 0.0), scores(attempt, seed, 0.5)


def scores(attempt: Attempt, seed: int, alpha: float) -> dict[str, float]:
    """Train with a given alpha and measure."""
    generator, (train, test) = torch.Generator().manual_seed(1000 + seed), images(attempt)
    sizes, epochs = ((64, 64, 32, 10), 40) if attempt.train is None else ((784, 64, 32, 10), 15)
    model = mlp(sizes, generator=generator, dtype=train.x.dtype)
    fit_resistant(model, train, Budget(attempt.epsilon), alpha=alpha, generator=generator, epochs=epochs)
    found = indicator(model.eval(), test, Budget(1.0))
    return {"accuracy": found.accuracy_before, "loss": found.loss_before, "attacked": found.accuracy_after}


def gain(attempt: Attempt, what: str, seed: int) -> dict[str, float]:
    """Resistant minus plain."""
    plain, resistant = hardened(attempt, seed)
    return {"value": resistant[what] - plain[what], "plain": plain[what], "resistant": resistant[what]}


def resistance(attempt: Attempt) -> list[Claim]:
    """Return the claims on resistant training for one measurement."""
    common = f"{attempt.words}; alpha = 0.5, epsilon = {attempt.epsilon} against alpha = 0, paired seeds"
    robust = Claim(
        id=f"resistant-robust-{attempt.name}",
        chapter=CHAPTER,
        statement="Training against corruption makes the parameters more robust.",
        source=PAPER,
        whose="paper",
        setting=f"{common}; gain of accuracy under the closed form with epsilon = 1",
        measure=partial(gain, attempt, "attacked"),
        seeds=attempt.seeds,
        verdict=beyond(0.0),
        unit="accuracy",
        fast=attempt.train is None,
        needs=() if attempt.train is None else ("fashion-mnist",),
        tolerance=5e-3,
    )
    return [
        robust,
        replace(
            robust,
            id=f"resistant-accurate-{attempt.name}",
            statement="Training against corruption raises the accuracy of the uncorrupted network.",
            setting=f"{common}; gain of test accuracy",
            measure=partial(gain, attempt, "accuracy"),
        ),
        replace(
            robust,
            id=f"resistant-loss-{attempt.name}",
            statement="Training against corruption lowers the test loss of the uncorrupted network.",
            whose="ours",
            setting=f"{common}; change of test loss",
            measure=partial(gain, attempt, "loss"),
            verdict=beyond(0.0, below=True),
            unit="nats",
        ),
    ]


def ours(id: str, statement: str, setting: str, measure: object, verdict: object, **more: object) -> Claim:
    """Return a claim on the digits MLP, five seeds."""
    known = {"source": PAPER, "whose": "ours", "unit": "ratio", "tolerance": 2e-2} | more
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        setting=f"{DIGITS}; {setting}",
        measure=measure,
        seeds=FIVE,
        verdict=verdict,
        **known,
    )


CLAIMS = [
    *pair("digits-mlp", DIGITS, digit_reader, digits, 100),
    *pair(
        "fashion-mlp",
        f"MLP 784-128-64-10, {FASHION}",
        lambda seed: clothes_reader("MLP", seed),
        lambda: clothes()[1],
        50,
        ("fashion-mnist",),
    ),
    *pair(
        "fashion-cnn",
        f"two convolutions of 8 and 16 channels, {FASHION}",
        lambda seed: clothes_reader("CNN", seed),
        lambda: clothes()[1],
        20,
        ("fashion-mnist",),
    ),
    *(claim for attempt in ATTEMPTS for claim in resistance(attempt)),
    ours(
        "law-of-chance",
        "A random corruption attains about sqrt(2 / (pi P)) of the best first-order gain.",
        "measured mean share of 500 draws over the theorem's",
        efficiency,
        within(0.9, 1.1),
        whose="paper",
        fast=True,
    ),
    ours(
        "mean-change-second-order",
        "The mean loss change of random corruption is epsilon^2 tr(H) / (2P).",
        "tanh for ReLU; epsilon = 0.1; tr(H) from 400 pairs a and -a over tr(H) from 400 Hessian-vector products",
        lambda seed: second_order(smooth_reader(seed), seed),
        within(0.85, 1.15),
    ),
    ours(
        "kinks-count-as-curvature",
        "On a ReLU network random changes feel kinks that second derivatives miss, so the two traces differ.",
        "the two traces as above; relative difference, wanted above 0.05",
        kinks,
        beyond(0.05),
    ),
    ours(
        "fitted-gradient-blind",
        "On a fitted training set the gradient vanishes, and its worst direction is harmless on test images.",
        "epsilon = 1, gradient of the training images; drop of test accuracy, wanted below 0.01",
        fitted_gradient,
        beyond(0.01, same=0.05, below=True),
        unit="accuracy",
        fast=True,
    ),
    ours(
        "held-out-gradient-harms",
        "The gradient of other held-out images is as good as that of the test images.",
        "epsilon = 1, gradient of 180 validation images; drop of test accuracy, wanted above 0.05",
        held_out_gradient,
        beyond(0.05, same=0.01),
        unit="accuracy",
    ),
    ours(
        "several-steps-harm-more",
        "Several small steps find a worse corruption than one large step.",
        "epsilon = 1; loss change of 10 steps over that of 1",
        ten_steps,
        beyond(1.0),
        source="zhang2021multistep",
        whose="other",
        fast=True,
    ),
    ours(
        "indicator-not-invariant",
        "Rescaling two layers leaves the function as it is and changes the indicator.",
        "epsilon = 0.3; indicator after rescaling by 4 and 1/4, over before; doubled or halved at least",
        rescaled,
        lambda values: "reproduced" if abs(np.log2(values)).min() > 1 else "not reproduced",
        source="dinh2017sharp",
        whose="other",
    ),
]
