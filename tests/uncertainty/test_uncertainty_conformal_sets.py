"""Conformal sets of classes: scores by hand, coverage over many splits, sets nested in the level."""

import math
from itertools import pairwise

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal import ConformalClassifier, aps_scores, lac_scores, raps_scores
from weightlore.uncertainty.predictions import CategoricalPrediction
from weightlore.uncertainty.warned import UncertaintyWarning

KINDS = {
    "lac": {},
    "aps": {"randomized": True},
    "raps": {"randomized": True, "penalty": 0.05, "free": 1},
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(count, classes=4, seed=0, sharp=1.5):
    """Probabilities that are right, and classes drawn from them."""
    generator = seeded(seed)
    probs = (sharp * torch.randn(count, classes, generator=generator, dtype=torch.float64)).softmax(1)
    return probs, torch.multinomial(probs, 1, generator=generator)[:, 0]


def draw(kind, seed=0):
    return {"generator": seeded(seed)} if KINDS[kind].get("randomized") else {}


def test_oracle_scores_class_by_class():
    probs, _ = drawn(50)
    u = torch.rand(50, 1, generator=seeded(3), dtype=torch.float64)[:, 0]
    plain, random = aps_scores(probs), aps_scores(probs, generator=seeded(3))
    penalized = raps_scores(probs, penalty=0.2, free=2, generator=seeded(3))
    for i in range(50):
        for c in range(4):
            p = probs[i]
            before = float(p[p > p[c]].sum())
            rank = int((p > p[c]).sum()) + 1
            assert float(plain[i, c]) == pytest.approx(before + float(p[c]), abs=1e-12)
            exact = before + (1 - float(u[i])) * float(p[c])
            assert float(random[i, c]) == pytest.approx(exact, abs=1e-12)
            assert float(penalized[i, c]) == pytest.approx(exact + 0.2 * max(rank - 2, 0), abs=1e-12)
    assert torch.equal(lac_scores(probs), 1 - probs)


def test_limit_ties_go_to_the_smaller_class_and_members_are_averaged():
    assert aps_scores(torch.tensor([[0.25, 0.5, 0.25]])).tolist() == [[0.75, 0.5, 1.0]]
    members = torch.stack([drawn(6)[0], drawn(6, seed=1)[0]])
    for score in (lac_scores, aps_scores):
        assert torch.allclose(score(CategoricalPrediction(members)), score(members.mean(0)), atol=1e-15)
    assert aps_scores(members.float()).dtype == torch.float32


def test_limit_sums_do_not_pass_one_by_rounding():
    probs, _ = drawn(2000, classes=9)
    assert float(probs.sort(1, descending=True).values.cumsum(1).max()) > 1
    assert float(aps_scores(probs).max()) == 1


def test_property_raps_without_a_penalty_is_aps():
    probs, y = drawn(200)
    same = raps_scores(probs, penalty=0.0, free=3, generator=seeded(1))
    assert torch.equal(same, aps_scores(probs, generator=seeded(1)))
    aps = ConformalClassifier("aps", level=0.8).fit(probs, y)
    raps = ConformalClassifier("raps", level=0.8, penalty=0.0, free=0).fit(probs, y)
    assert torch.equal(aps.predict(probs).sets, raps.predict(probs).sets)
    strict = ConformalClassifier("raps", level=0.8, penalty=0.5, free=2)
    assert torch.equal(strict.scores(probs), raps_scores(probs, penalty=0.5, free=2))
    assert int(strict.fit(probs, y).predict(probs).sizes.max()) < int(aps.predict(probs).sizes.max())


@pytest.mark.parametrize("kind", KINDS)
def test_property_coverage_over_many_splits(kind):
    level, n, m = 0.8, 24, 20
    probs, y = drawn(2000 * (n + m), sharp=1.0)
    shares = []
    generator = seeded(7)
    given = {"generator": generator} if KINDS[kind].get("randomized") else {}
    for p, t in zip(probs.split(n + m), y.split(n + m), strict=True):
        fitted = ConformalClassifier(kind, level=level, **KINDS[kind]).fit(p[:n], t[:n], **given)
        shares.append(fitted.predict(p[n:], **given).sets.gather(1, t[n:, None]).double().mean())
    found = torch.stack(shares)
    error = float(found.std() / math.sqrt(len(found)))
    assert level - 3 * error <= float(found.mean()) <= level + 1 / (n + 1) + 3 * error


def test_property_adaptive_sets_without_chance_cover_at_least_as_much():
    probs, y = drawn(3000, sharp=2.0)
    fitted = ConformalClassifier("aps", level=0.8).fit(probs[:1000], y[:1000])
    assert float(fitted.predict(probs[1000:]).sets.gather(1, y[1000:, None]).double().mean()) > 0.77


@pytest.mark.parametrize("kind", KINDS)
def test_property_sets_are_nested_in_the_level(kind):
    probs, y = drawn(400)
    sets = []
    for level in (0.5, 0.7, 0.9, 0.99):
        fitted = ConformalClassifier(kind, level=level, **KINDS[kind]).fit(probs, y, **draw(kind))
        sets.append(fitted.predict(probs, **draw(kind, 1)).sets)
    for smaller, larger in pairwise(sets):
        assert bool((smaller <= larger).all())
        assert int(smaller.sum()) < int(larger.sum())


def test_property_a_set_is_a_beginning_of_the_ranking():
    probs, y = drawn(300)
    for kind, options in KINDS.items():
        sets = (
            ConformalClassifier(kind, level=0.8, **options)
            .fit(probs, y, **draw(kind))
            .predict(probs, **draw(kind, 1))
            .sets
        )
        order = probs.argsort(1, descending=True)
        assert bool((sets.gather(1, order).to(torch.int8).diff(dim=1) <= 0).all())


def test_property_each_class_is_covered_with_thresholds_of_its_own():
    probs, y = drawn(8000, sharp=1.0)
    probs = (probs * torch.tensor([1.0, 0.3, 1.0, 2.0]).double()) ** 2
    probs = probs / probs.sum(1, keepdim=True)  # wrong, and more so for some classes
    shares = {}
    for mondrian in (False, True):
        fitted = ConformalClassifier("lac", level=0.8, mondrian=mondrian).fit(probs[:4000], y[:4000])
        hit = fitted.predict(probs[4000:]).sets.gather(1, y[4000:, None])[:, 0].double()
        shares[mondrian] = [float(hit[y[4000:] == c].mean()) for c in range(4)]
    assert shares[True] == pytest.approx([0.8] * 4, abs=0.05)
    assert min(shares[False]) < 0.65


def test_limit_a_class_that_was_never_seen_is_in_every_set():
    probs, y = drawn(100, seed=2)
    fitted = ConformalClassifier("lac", level=0.8, mondrian=True).fit(probs[y != 2], y[y != 2])
    assert bool(fitted.predict(probs).sets[:, 2].all())
    few = torch.cat([y[:60].clamp(max=1), torch.tensor([2])])
    with pytest.warns(UncertaintyWarning, match="1 of 3 groups"):
        fitted = ConformalClassifier("lac", level=0.8, mondrian=True).fit(probs[:61], few)
    assert bool(fitted.predict(probs).sets[:, 2:].all())


def test_limit_too_few_examples_fill_the_sets():
    probs, y = drawn(9, seed=1)
    with pytest.warns(UncertaintyWarning, match="19 are needed"):
        fitted = ConformalClassifier("aps", level=0.95).fit(probs, y)
    assert fitted.predict(probs).sizes.tolist() == [4] * 9


def test_limit_empty_sets_and_how_to_have_none():
    sure = torch.tensor([[0.9, 0.1]]).double().expand(20, 2)
    y = torch.zeros(20, dtype=torch.int64)
    unsure = torch.tensor([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]]).double()
    fitted = ConformalClassifier("lac", level=0.8).fit(sure, y)
    assert fitted.predict(unsure).sizes.tolist() == [0, 0, 0], "stranger than anything seen"
    fitted = ConformalClassifier("lac", level=0.8, nonempty=True).fit(sure, y)
    assert fitted.predict(unsure).sets.tolist() == [[True, False], [False, True], [True, False]]


def test_property_groups_have_thresholds_of_their_own():
    probs, y = drawn(600)
    groups = torch.arange(600) % 2
    fitted = ConformalClassifier("lac", level=0.8).fit(probs, y, groups=groups)
    found = fitted.predict(probs, groups=groups).sets
    for group in (0, 1):
        rows = groups == group
        alone = ConformalClassifier("lac", level=0.8).fit(probs[rows], y[rows]).predict(probs[rows])
        assert torch.equal(alone.sets, found[rows])


def test_error_options_that_belong_to_another_score():
    with pytest.raises(ParameterError, match="one of 'lac', 'aps', 'raps'"):
        ConformalClassifier("thr", level=0.9)
    with pytest.raises(ParameterError, match='belong to "raps"'):
        ConformalClassifier("aps", level=0.9, penalty=0.1)
    with pytest.raises(ParameterError, match='belong to "raps"'):
        ConformalClassifier("raps", level=0.9, penalty=0.1)
    with pytest.raises(ParameterError, match="draws nothing"):
        ConformalClassifier("lac", level=0.9, randomized=True)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        ConformalClassifier("lac", level=1.0)
    with pytest.raises(ParameterError, match="penalty must be"):
        raps_scores(drawn(3)[0], penalty=-0.1, free=1)


def test_error_what_is_missing_or_in_vain():
    probs, y = drawn(30)
    one = ConformalClassifier("aps", level=0.8)
    with pytest.raises(ParameterError, match="call fit"):
        one.predict(probs)
    with pytest.raises(ParameterError, match="generator"):
        one.fit(probs, y, generator=seeded())
    with pytest.raises(ParameterError, match="generator"):
        ConformalClassifier("aps", level=0.8, randomized=True).fit(probs, y)
    with pytest.raises(ParameterError, match="classes are the groups"):
        ConformalClassifier("lac", level=0.8, mondrian=True).fit(probs, y, groups=y)
    with pytest.raises(ParameterError, match="class numbers"):
        one.fit(probs, y[:4])
    with pytest.raises(ParameterError, match="sum to 1"):
        one.fit(2 * probs, y)
