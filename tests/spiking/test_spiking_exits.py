"""Early exit: against a search example by example, and levels chosen on held-out data."""

import math

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.spiking import Exit, choose_level, early_exit, evidence

RULES = ["potential", "margin", "confidence"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def race(steps=24, examples=40, classes=5, seed=0, grid=0):
    """Potentials that grow for the right class, with noise; on a grid there are many equal ones."""
    targets = torch.randint(classes, (examples,), generator=seeded(seed))
    noise = torch.randn(steps, examples, classes, generator=seeded(seed + 1), dtype=torch.float64)
    drift = 0.35 * torch.nn.functional.one_hot(targets, classes)
    potential = (noise + drift).cumsum(0)
    return ((potential * grid).round() / grid if grid else potential), targets


def searched(potential, rule, level, t_min, scale=1.0):
    """Step and prediction of each example, one by one."""
    found = []
    for n in range(potential.shape[1]):
        stop = len(potential)
        for t in range(1, len(potential) + 1):
            u = potential[t - 1, n]
            best = u.sort(descending=True).values
            seen = {"potential": best[0], "margin": best[0] - best[1], "confidence": (scale * u / t).softmax(0).max()}
            if t >= t_min and seen[rule] >= level:
                stop = t
                break
        found.append((stop, int(potential[stop - 1, n].argmax())))
    return [list(one) for one in zip(*found, strict=True)]


@pytest.mark.parametrize("t_min", [1, 5, 24, 99])
@pytest.mark.parametrize("rule", RULES)
def test_oracle_exits_one_by_one(rule, t_min):
    potential, _ = race()
    for level in (float(evidence(potential, rule, scale=2.0).median()), math.inf, -math.inf):
        decided = early_exit(potential, rule, level, t_min, scale=2.0)
        steps, prediction = searched(potential, rule, level, t_min, scale=2.0)
        assert decided.steps.tolist() == steps
        assert decided.prediction.tolist() == prediction
    assert (decided.steps == min(t_min, 24)).all()


def test_property_never_reached_is_all_steps_and_said():
    potential, _ = race()
    decided = early_exit(potential, "potential", math.inf)
    assert decided.steps.tolist() == [24] * 40
    assert torch.equal(decided.prediction, potential[-1].argmax(1))
    assert not decided.reached.any()
    assert early_exit(potential, "potential", float(potential.amax())).reached.sum() == 1


@pytest.mark.parametrize("rule", RULES)
def test_property_a_higher_level_never_exits_earlier(rule):
    potential, _ = race()
    found = evidence(potential, rule)
    levels = torch.linspace(float(found.min()), float(found.max()) + 0.1, 30).tolist()
    steps = torch.stack([early_exit(potential, rule, level).steps for level in levels])
    assert (steps.diff(dim=0) >= 0).all()
    assert (steps <= 24).all()
    assert steps[0].sum() < steps[-1].sum()


def brute(potential, targets, rule, loss, t_min):
    """The lowest level above which none costs more, by trying every evidence there is."""
    full = (potential[-1].argmax(1) == targets).sum()
    best = math.inf
    for level in sorted(set(evidence(potential, rule)[t_min - 1 :].flatten().tolist()), reverse=True):
        right = (early_exit(potential, rule, level, t_min).prediction == targets).sum()
        if right < full - loss * len(targets) - 1e-9:
            break
        best = level
    return best


@pytest.mark.parametrize("grid", [0, 2])
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_oracle_the_level_is_the_lowest_of_all(rule, loss, grid):
    for seed, t_min in [(0, 1), (5, 4), (9, 24)]:
        potential, targets = race(seed=seed, grid=grid)
        found = choose_level(potential, targets, rule, loss=loss, t_min=t_min)
        expected = brute(potential, targets, rule, loss, t_min)
        decided = early_exit(potential, rule, found.exit.level, t_min)
        assert torch.equal(decided.steps, early_exit(potential, rule, expected, t_min).steps)
        assert found.accuracy == (decided.prediction == targets).double().mean().item()
        assert found.full_accuracy == (potential[-1].argmax(1) == targets).double().mean().item()
        assert found.accuracy >= found.full_accuracy - loss - 1e-9
        assert found.mean_steps == decided.steps.double().mean().item() <= 24


def test_property_a_wish_for_less_accuracy_saves_steps():
    potential, targets = race(steps=60, examples=400)
    found = [choose_level(potential, targets, loss=loss) for loss in (0.0, 0.02, 0.1, 1.0)]
    steps = [one.mean_steps for one in found]
    assert steps == sorted(steps, reverse=True)
    assert steps[2] < steps[0]
    assert steps[3] == 1
    assert choose_level(potential, targets) == found[0], "unless told otherwise nothing may be lost"


def test_limit_one_step_one_class_one_example():
    one = torch.tensor([[[2.0]]])
    assert early_exit(one, "potential", 1.0).steps.tolist() == [1]
    two = torch.tensor([[[1.0, 0.0]], [[2.0, 3.5]]])
    assert early_exit(two, "potential", 0.5).steps.tolist() == [1], "any step may be the first"
    assert Exit().t_min == 1
    assert evidence(two, "margin").tolist() == [[1.0], [1.5]]
    assert early_exit(one[:, :0], "potential", 1.0).steps.shape == (0,)
    assert choose_level(one, torch.tensor([0])).mean_steps == 1
    with pytest.raises(ParameterError, match="two classes or more"):
        evidence(one, "margin")
    assert evidence(one, "confidence").item() == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rule": "entropy"}, "rule must be one of"),
        ({"level": math.nan}, "level must be a number"),
        ({"t_min": 0}, "a whole number >= 1, got 0"),
        ({"scale": 0.0}, "finite and > 0, got 0"),
    ],
)
def test_error_an_exit_that_cannot_be(values, message):
    with pytest.raises(ParameterError, match=message):
        Exit(**values)
    with pytest.raises(ParameterError, match=message):
        early_exit(torch.zeros(2, 2, 2), **({"rule": "potential", "level": 1.0} | values))


def test_error_potentials_and_targets():
    potential, targets = race()
    for bad, message in [
        (potential[0], "shape \\(T, N, C\\)"),
        (potential.long(), "must be floating"),
        (potential / 0, "NaN or infinite"),
        (potential[..., :0], "no class to choose from"),
        (potential[:0], "no step to exit at"),
    ]:
        with pytest.raises(ParameterError, match=message):
            early_exit(bad, "potential", 1.0)
    with pytest.raises(ParameterError, match="on at least one example and step"):
        choose_level(potential[:, :0], targets[:0])
    with pytest.raises(ParameterError, match="targets must be 40 class numbers"):
        choose_level(potential, targets[:3])
    with pytest.raises(ParameterError, match="a share of the examples"):
        choose_level(potential, targets, loss=2.0)
