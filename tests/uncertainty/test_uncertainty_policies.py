"""Temperatures and greedy policies: against a bounded search, a loop, and what a path must do."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.uncertainty import augmentation as aug
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.warned import UncertaintyWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def answers(views=5, rows=30, classes=4, seed=0, size=2.0):
    y = torch.randint(classes, (rows,), generator=seeded(seed + 50))
    z = size * torch.randn(views, rows, classes, generator=seeded(seed), dtype=torch.float64)
    z[:, torch.arange(rows), y] += 1.0
    return z.softmax(-1), y


def loss(p, y, temperature):
    return float(-(p.log() / temperature).log_softmax(-1)[torch.arange(len(y)), y].mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [0.3, 1.0, 2.0, 6.0])
def test_oracle_temperatures_are_those_of_a_bounded_search(seed, size):
    p, y = answers(seed=seed, size=size)
    temperatures, losses = aug.fitted_temperatures(p, y)
    for view in range(len(p)):
        found = minimize_scalar(
            lambda u, q=p[view]: loss(q, y, math.exp(u)),
            bounds=(math.log(0.05), math.log(20)),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert -1e-6 < float(losses[view]) - found.fun < 1e-9, "it stops short of a bound, ours does not"
        assert float(temperatures[view]) == pytest.approx(math.exp(found.x), rel=1e-4)
        assert float(losses[view]) == pytest.approx(loss(p[view], y, float(temperatures[view])), rel=1e-10)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 8.0))
def test_property_a_fitted_temperature_never_raises_the_loss_and_undoes_another(seed, size):
    p, y = answers(views=2, rows=12, seed=seed, size=size)
    temperatures, losses = aug.fitted_temperatures(p, y)
    plain = torch.tensor([loss(q, y, 1.0) for q in p])
    assert bool((losses <= plain + 1e-12).all())
    heated, again = aug.fitted_temperatures((p.log() / 1.5).softmax(-1), y)
    inside = (temperatures > 0.08) & (temperatures < 13)
    torch.testing.assert_close(heated[inside], temperatures[inside] / 1.5, rtol=1e-5, atol=0)
    torch.testing.assert_close(again[inside], losses[inside], rtol=1e-7, atol=1e-9)


def test_limit_certain_flat_and_wrong():
    sure = torch.tensor([[[0.9, 0.1], [0.2, 0.8]]])
    temperature, value = aug.fitted_temperatures(sure, torch.tensor([0, 1]))
    assert float(temperature) == pytest.approx(0.05, rel=1e-6), "separable: the coldest"
    assert float(value) < 1e-6
    flat, value = aug.fitted_temperatures(torch.full((1, 3, 2), 0.5), torch.tensor([0, 1, 1]))
    assert (float(flat), float(value)) == (1.0, pytest.approx(math.log(2)))
    wrong, _ = aug.fitted_temperatures(sure, torch.tensor([1, 0]))
    assert float(wrong) == pytest.approx(20, rel=1e-6)
    zero, value = aug.fitted_temperatures(torch.tensor([[[1.0, 0.0]]]), torch.tensor([1]))
    assert math.isfinite(float(value))
    assert float(zero) == pytest.approx(20, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_oracle_the_search_is_a_loop_over_all_views(seed):
    p, y = answers(seed=seed)
    found = aug.greedy_policy_search(p, y, length=6)
    chosen, path = [], []
    while len(chosen) < 6:
        losses = [float(aug.fitted_temperatures(p[[*chosen, a]].mean(0)[None], y)[1]) for a in range(len(p))]
        best = min(range(len(p)), key=losses.__getitem__)
        if path and path[-1] - losses[best] < 1e-4:
            break
        chosen.append(best)
        path.append(losses[best])
    assert list(found.chosen) == chosen
    assert found.path.tolist() == pytest.approx(path, rel=1e-9)
    assert bool((found.path.diff() <= -1e-4).all())
    assert float(found.path[0]) == pytest.approx(float(aug.fitted_temperatures(p, y)[1].min()))


def test_property_the_policy_gives_what_it_promised():
    p, y = answers(seed=1)
    found = aug.greedy_policy_search(p, y, length=6)
    assert len(found.chosen) > 1
    said = found.predict_proba(p)
    assert float(nll_categorical(said, y).mean()) == pytest.approx(float(found.path[-1]), rel=1e-9)
    assert found.members(p).members == len(found.chosen)
    assert torch.equal(said.argmax(1), found.members(p).labels)
    assert float(found.weights.sum()) == pytest.approx(1)
    plain = aug.Policy(found.chosen, found.path, 1.0, 5)
    assert torch.equal(plain.predict_proba(p), found.members(p).mean)


def test_property_with_the_identity_among_the_views_it_is_never_worse_than_the_network():
    data = digits("validation")
    p = aug.TestTimeAugmentation(healthy(), (*aug.digit_views()[:6], aug.flipped("left_right"))).predict(data.x)
    found = aug.greedy_policy_search(p, data.y, length=5)
    assert float(found.path[-1]) <= float(aug.fitted_temperatures(p.probs[:1], data.y)[1]) + 1e-12
    assert float(found.path[-1]) <= float(nll_categorical(p.probs[0], data.y).mean())
    assert 6 not in found.chosen, "a mirrored digit is another sign"


def test_limit_views_that_are_all_alike_need_one():
    p, y = answers(views=1)
    assert aug.greedy_policy_search(p.expand(3, -1, -1), y, length=4, tolerance=0.0).chosen[0] == 0
    assert len(aug.greedy_policy_search(p.expand(3, -1, -1), y, length=4).chosen) == 1


def test_limit_a_temperature_at_its_end_warns():
    sure = torch.tensor([[[0.9, 0.1], [0.2, 0.8]]], dtype=torch.float64)
    with pytest.warns(UncertaintyWarning, match="take more validation data"):
        assert aug.greedy_policy_search(sure, torch.tensor([0, 1]), length=1).temperature == pytest.approx(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aug.greedy_policy_search(*answers(size=1.5), length=2)


def test_error_arguments():
    p, y = answers()
    for call, message in (
        (lambda: aug.greedy_policy_search(p, y, length=0), "length must be a whole number"),
        (lambda: aug.greedy_policy_search(p, y, length=2, tolerance=-1.0), "tolerance is a loss in nats"),
        (lambda: aug.greedy_policy_search(p, y[:2], length=2), "y must be class numbers"),
        (lambda: aug.Policy((0,), torch.zeros(1), 1.0, 3).members(p), "among 3 views, got the probabilities of 5"),
        (lambda: aug.fitted_temperatures(p * 2, y), "sum to 1"),
    ):
        with pytest.raises(ParameterError, match=message):
            call()
