"""The board of chapter 3: an entropy in two parts, honesty and its noise, a temperature, and a promise by rank."""

import math

import torch

from weightlore.teaching.boards.drawing import blackboard, stroke, words
from weightlore.teaching.diagrams import Diagram
from weightlore.uncertainty.measures import expected_entropy, mutual_information

__all__ = ["uncertain_board"]

DAYS = {"Monday": ((0.5, 0.5), (0.5, 0.5)), "Tuesday": ((1.0, 0.0), (0.0, 1.0)), "Wednesday": ((1.0, 0.0), (1.0, 0.0))}
HALF = "\N{VULGAR FRACTION ONE HALF}"
SHARE = 0.9  # how often the honest forecaster of the second step is right
PUPILS, LEFT_OUT = 19, 2


def by_chance(right: float, examples: int) -> float:
    """Return how far off the share of right answers is on average, if nothing but chance is at work.

    Args:
        right: probability of a right answer.
        examples: how many answers.

    Source: ours, the mean absolute deviation of the normal approximation
    """
    return math.sqrt(2 * right * (1 - right) / (math.pi * examples))


def uncertain_board() -> Diagram:
    """Draw the board of chapter 3 as it looks at the end of the class.

    Source: ours
    """
    many, few = by_chance(SHARE, 540), by_chance(SHARE, 36)
    kept = PUPILS + 1 - LEFT_OUT
    parts = [
        words(14, 30, "H(mean) = mean H + I", "s1"),
        words(466, 30, "I = mean KL(p_{s}, mean)", "small", "end"),
        *[part for row, day in enumerate(DAYS) for part in _day(day, 62 + 28 * row)],
        words(466, 118, "and wrong", "small s2", "end"),
        words(14, 164, "honest, off by chance:", "s1"),
        words(14, 194, "\N{SQUARE ROOT}(2 r (1 \N{MINUS SIGN} r) / (\N{GREEK SMALL LETTER PI} n))"),
        words(466, 180, f"r = {SHARE}, n = 540:  {many:.3f}", "small", "end"),
        words(466, 204, f"n = 36:  {few:.3f}", "small", "end"),
        words(14, 244, "repair:  q = softmax(z / T)", "s1"),
        words(14, 274, "slope in 1/T:  mean(\N{GREEK CAPITAL LETTER SIGMA} q z \N{MINUS SIGN} z_{y})"),
        words(14, 300, "never wrong: T falls for ever", "small"),
        words(14, 344, "promise by rank:", "s1"),
        words(466, 344, f"{PUPILS} + 1 pupils: {kept}/{PUPILS + 1}", "small", "end"),
        *_pupils(),
        words(14, 430, "P(s \N{LESS-THAN OR EQUAL TO} r-th of n) = r/(n + 1)"),
        words(14, 458, "one of n + 1, if nobody turns the page", "small"),
    ]
    alt = (
        "Above, total entropy is expected entropy plus mutual information, the mean divergence from the mean. "
        "Monday, both forecasters say one half: ln 2, ln 2, 0. Tuesday, one is certain of rain, one of sun: ln 2, "
        "0, ln 2. Wednesday, both are certain of the same: 0, 0, 0, and wrong. Then honesty: by chance alone a "
        f"share is off by the root of 2 r (1 - r) over pi n, for r = 0.9 {many:.3f} with 540 answers, {few:.3f} "
        "with 36. The repair divides logits by T; its slope is the expected logit less the one that came. Last, "
        f"the promise by rank: {PUPILS} pupils and a new one in a row by height, {LEFT_OUT} of {PUPILS + 1} places "
        "are colored; the score is at most the r-th smallest of n with probability r over n + 1."
    )
    return blackboard("The board of chapter 3", parts, 474, alt)


def _day(day: str, y: float) -> list[str]:
    p = torch.tensor(DAYS[day], dtype=torch.float64)[:, None]  # (S, 1, C)
    data, model = float(expected_entropy(p)[0]), float(mutual_information(p)[0])
    named = ["ln 2" if value > 0.5 else "0" for value in (data + model, data, model)]
    said = [f"({HALF}, {HALF})" if a == b else f"({a:g}, {b:g})" for a, b in DAYS[day]]
    return [
        words(14, y, day, "small"),
        words(110, y, said[0], "small"),
        words(170, y, said[1], "small"),
        words(380, y, f"{named[0]} = {named[1]} + {named[2]}", anchor="end"),
    ]


def _pupils() -> list[str]:
    parts = [stroke([(14, 400), (466, 400)])]
    for place in range(PUPILS + 1):
        x, tall = 24 + 22.5 * place, 14 + 1.6 * place
        kind = "s2" if place >= PUPILS + 1 - LEFT_OUT else "s0"
        parts.append(stroke([(x, 400), (x, 400 - tall)], kind, thick=True))
    return parts
