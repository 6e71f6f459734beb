"""Variants of the exercises on uncertainty, answered by hand from what their prompts say."""

import math
import re

import pytest
import torch

from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.variants import families, variant

SEEDS = (0, 1, 2, 3)
NUMBER = r"-?\d+(?:\.\d+)?"


def asked(name, seed):
    """Return a variant, and the numbers in its question."""
    exercise = variant(f"uncertain.{name}", seed)
    question = exercise.prompt.split("Answer:")[0]
    return exercise, [float(x) for x in re.findall(NUMBER, re.sub(r"\((?:eq\. )?\d\)", "", question))]


def eye(size):
    return torch.eye(size, dtype=torch.float64)


def test_property_every_exercise_of_the_chapter_varies():
    assert list(families("uncertain")) == [exercise.id for exercise in exercises("uncertain")]


def two_parts(m1, m2, v1, v2):
    data, model = (v1 + v2) / 2, (m1 - m2) ** 2 / 4
    return [data + model, data, model]


def how_many_more(at, data, model, wanted):
    return next(n for n in range(1, 10**6) if data**2 + model**2 * at / n <= wanted**2 + 1e-12)


def two_one_one(*numbers):
    alpha = numbers[:3]
    total = int(sum(alpha))
    mean = [a / total for a in alpha]
    harmonic = [sum(1 / k for k in range(int(a) + 1, total + 1)) for a in alpha]
    entropy = -sum(p * math.log(p) for p in mean)
    expected = sum(p * h for p, h in zip(mean, harmonic, strict=True))
    return [entropy, expected, entropy - expected]


def area(*scores):
    inside, outside = scores[:5], scores[5:]
    return sum((o > i) + (o == i) / 2 for o in outside for i in inside) / 10


def binned(*numbers):
    first, high = numbers[:4], numbers[4]
    return lambda right: (1 - sum(first) / 4) / 2 + (high - right / 4) / 2


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("two_parts", two_parts),
        ("how_many_more", how_many_more),
        ("two_one_one", two_one_one),
        ("area_by_pairs", area),
        ("members_in_time", lambda limit, each: math.floor(limit / each)),
        ("how_many", lambda percent: next(n for n in range(1, 999) if round(n - (n + 1) * percent / 100, 9) >= 0)),
        ("kron_memory", lambda d, h, c: (d + 1) ** 2 + h**2 + (h + 1) ** 2 + c**2),
    ],
)
def test_oracle_numbers_from_the_prompt(name, answer, seed):
    exercise, numbers = asked(name, seed)
    numbers = [abs(x) for x in numbers] if name == "kron_memory" else numbers  # hyphens between the sizes
    assert judge(exercise, answer(*numbers)).verdict == "right", exercise.prompt


@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_a_binned_error_from_the_prompt(seed):
    exercise, numbers = asked("binned_error", seed)
    right = next(k for k, word in enumerate(("none", "one", "two", "three")) if f"and {word} " in exercise.prompt)
    assert judge(exercise, binned(*numbers)(right)).verdict == "right"


def flip_floor(base):
    def answer(rate, classes):
        chances = [1 - rate] + (classes - 1) * [rate / (classes - 1)]
        return -sum(p * math.log(p, base) for p in chances if p > 0)

    return answer


def too_sure(tau):
    def answer(A):
        B = A + tau * eye(len(A))
        return (B.diagonal() * torch.linalg.inv(B).diagonal()) ** -0.5

    return answer


def evidence(m):
    return lambda fit, q, H, tau: (
        fit - 0.5 * (tau * (q - m).square().sum() + (H + tau * eye(len(q))).logdet() - len(q) * math.log(tau))
    )


def known_line(times):
    def answer(x, tau, s2, new):
        A = tau * eye(x.shape[1]) + times * x.T @ x / s2
        return (new @ A.inverse() * new).sum(1)

    return answer


def together(person):
    def answer(u, wrong, share):
        kept = round(share * len(u))
        errors = wrong[u.argsort()[:kept]].sum() + person / 100 * (len(u) - kept)
        return errors / len(u)

    return answer


def restarts(low):
    def answer(step, steps, cycles):
        c = steps // cycles
        return low + (1 - low) * (math.cos(math.pi * ((step - 1) % c) / c) + 1) / 2

    return answer


def threshold(spoiled):
    def answer(scores, a):
        r = math.ceil(round((len(scores) + 1) * (1 - a), 9)) + spoiled
        return scores.sort().values[r - 1] if r <= len(scores) else math.inf

    return answer


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("too_sure", too_sure),
        ("evidence", evidence),
        ("known_line", known_line),
        ("kept_error", together),
        ("restarts", restarts),
        ("added_up", lambda share: lambda p: torch.stack([p[p > one].sum() + share * one for one in p])),
        ("unclean_outside", lambda area: lambda m: (1 - m) * area + m / 2),
        ("noise_floor", lambda bins: lambda r, e: bins * 2 * r * (1 - r) / (math.pi * e**2)),
        ("move_ends", lambda k: lambda lo, hi, y, a: threshold(0)(torch.maximum((lo - y) / k, y - hi), a)),
        (
            "forgotten",
            lambda told: lambda X, s2, tau: torch.linalg.inv(tau * eye(X.shape[1]) + told * X.T @ X / (len(X) * s2)),
        ),
        (
            "langevin",
            lambda T: lambda q, slope, z, e, tau, n: q - e / 2 * (n * slope + tau * q) + (T * e) ** 0.5 * z,
        ),
        ("same_curve", lambda k: lambda nu, b, wanted: k**2 * b * (1 + nu) / nu * wanted / (1 + wanted)),
        (
            "stretch",
            lambda n: lambda m, v, y: ((((y - m) ** 2 / v).sum() + n) / (len(y) + n)).sqrt(),
        ),
    ],
)
def test_oracle_functions_from_the_prompt(name, answer, seed):
    exercise, (first, *_) = asked(name, seed)
    assert judge(exercise, answer(first)).verdict == "right", exercise.prompt


@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_thresholds_and_units_in_words(seed):
    exercise = variant("uncertain.threshold", seed)
    spoiled = re.search(r"up to (\d+) of", exercise.prompt)
    assert judge(exercise, threshold(int(spoiled[1]) if spoiled else 1)).verdict == "right"
    exercise = variant("uncertain.flip_floor", seed)
    assert judge(exercise, flip_floor(int(re.search(r"log_(\d+)", exercise.prompt)[1]))).verdict == "right"


@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_lots_and_sides(seed):
    exercise, (size, *_) = asked("most_answers", seed)

    def most(scores, wrong, risk):
        order = scores.argsort().tolist()
        lots = range(int(size), len(order) + 1, int(size))
        kept = [k for k in lots if sum(bool(wrong[i]) for i in order[:k]) <= risk * k + 1e-12]
        return max(kept, default=0) / len(order)

    assert judge(exercise, most).verdict == "right"
    exercise = variant("uncertain.interval_fine", seed)
    below, above = (float(x) for x in re.findall(r"1/\(([\d.]+) a\)", exercise.prompt))

    def score(lower, upper, y, level):
        a = 1 - level
        return upper - lower + (lower - y).clamp(min=0) / (below * a) + (y - upper).clamp(min=0) / (above * a)

    assert judge(exercise, score).verdict == "right"


@pytest.mark.parametrize("seed", SEEDS)
def test_oracle_experts_with_another_prior(seed):
    """Bayes' rule over a table of all cases, each expert honest by himself."""
    exercise = variant("uncertain.two_experts", seed)
    words = {"twentieth": 20, "tenth": 10, "fifth": 5, "quarter": 4, "third": 3, "half": 2}
    count, part = re.search(r"prior of (\w+) (\w+)\.", exercise.prompt).groups()
    counts = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    prior = (1 + counts.index(count)) / words[part.removesuffix("s")]

    def answer(a, b):
        ratio = prior / (1 - prior) * (a / (1 - a) / (prior / (1 - prior))) * (b / (1 - b) / (prior / (1 - prior)))
        return ratio / (1 + ratio)

    assert judge(exercise, answer).verdict == "right"
