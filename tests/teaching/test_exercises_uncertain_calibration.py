"""The exercises on calibration: answers by hand, and what is particular to them."""

import math

import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import Exercise, exercises
from weightlore.teaching.exercises.uncertain import calibration, repairs

OURS = {e.id: e for part in (calibration, repairs) for e in vars(part).values() if isinstance(e, Exercise)}


def test_property_the_notebook_has_six():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 6


def test_oracle_answers_by_hand():
    assert check("uncertain.binned_error", 0.5 * 0.3 + 0.5 * 0.4).verdict == "right"
    assert check("uncertain.noise_floor", lambda r, e: 2 * r * (1 - r) / (math.pi * e**2)).verdict == "right"
    assert check("uncertain.constant_parts", [0, 0, 0.9]).verdict == "right"
    assert check("uncertain.stretch", lambda m, v, y: ((y - m) ** 2 / v).mean().sqrt()).verdict == "right"
    assert check("uncertain.two_experts", lambda a, b: a * b / (a * b + (1 - a) * (1 - b))).verdict == "right"

    def slope(z, y, s):
        q = (s * z).softmax(1)
        return ((q * z).sum(1) - z[torch.arange(len(z)), y]).mean()

    assert check("uncertain.temperature_slope", slope).verdict == "right"


def test_property_both_experts_are_calibrated_when_the_answer_holds():
    """Experts who see signals that are independent given the event: each is honest, and the mean is not sure enough."""
    generator, n = torch.Generator().manual_seed(0), 200_000
    event = torch.rand(n, generator=generator) < 0.5
    tells = (torch.rand(2, n, generator=generator) < 0.8) == event  # each signal is right eight times in ten
    both = tells.all(0)
    assert [abs(float(event[told].double().mean()) - 0.8) < 0.01 for told in tells] == [True, True]
    assert abs(float(event[both].double().mean()) - repairs.TWO_EXPERTS.reference(0.8, 0.8)) < 0.01


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.stretch", lambda m, v: m).verdict == "wrong"
    assert check("uncertain.two_experts", 0.94).verdict == "wrong"
