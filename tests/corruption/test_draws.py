"""Random corruption: on the budget, of the stated law, trial by trial, and nothing but the generator moves."""

import itertools
import math

import pytest
import torch
from scipy import stats

from weightlore.corruption import Budget, random, random_support
from weightlore.errors import ParameterError

LAWS = (
    (1.0, "sphere"),
    (1.5, "sphere"),
    (2.0, "sphere"),
    (4.0, "sphere"),
    (1000.0, "sphere"),
    (math.inf, "sphere"),
    (math.inf, "surface"),
    (math.inf, "vertex"),
    (2.0, "gaussian"),
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [2, 3, 50])
def test_oracle_cosine_follows_the_beta_law(size, generator):
    gradient = torch.randn(size, generator=generator, dtype=torch.float64)
    a = random(size, Budget(0.3), generator=generator, trials=20_000)
    share = (a @ gradient / (0.3 * gradient.norm())) ** 2
    assert stats.kstest(share.numpy(), stats.beta(0.5, (size - 1) / 2).cdf).pvalue > 0.01


@pytest.mark.parametrize("p", [1.0, 1.5, 4.0, 20.0])
def test_oracle_cone_measure(p, generator):
    """On the cone measure |a_1|^p is Beta(1/p, (n-1)/p), and the signs are fair."""
    a = random(5, Budget(1.0, p=p), generator=generator, trials=20_000)
    assert stats.kstest((a[:, 2].abs() ** p).numpy(), stats.beta(1 / p, 4 / p).cdf).pvalue > 0.01
    assert stats.binomtest(int((a[:, 2] > 0).sum()), 20_000).pvalue > 0.01


@pytest.mark.parametrize("kind", ["surface", "sphere"])
def test_oracle_surface_of_the_cube(kind, generator):
    a = random(4, Budget(2.0, p=math.inf), generator=generator, trials=20_000, kind=kind)
    face = a.abs() == 2
    assert bool((face.sum(dim=1) == 1).all())
    assert stats.chisquare(face.sum(dim=0).numpy()).pvalue > 0.01
    assert stats.binomtest(int((a[face] > 0).sum()), 20_000).pvalue > 0.01
    assert stats.kstest(a[~face].numpy(), stats.uniform(-2, 4).cdf).pvalue > 0.01


def test_oracle_vertices_are_all_as_likely(generator):
    a = random(3, Budget(0.5, p=math.inf), generator=generator, trials=8_000, kind="vertex")
    assert bool((a.abs() == 0.5).all())
    vertex = ((a > 0) * torch.tensor([1, 2, 4])).sum(dim=1)
    assert stats.chisquare(torch.bincount(vertex, minlength=8).numpy()).pvalue > 0.01


def test_oracle_gaussian_is_not_normalized(generator):
    a = random(400, Budget(0.1), generator=generator, trials=50, kind="gaussian")
    assert stats.kstest(a.flatten().numpy(), stats.norm(0, 0.1).cdf).pvalue > 0.01
    assert float(a.norm(dim=1).mean()) == pytest.approx(0.1 * math.sqrt(400), rel=0.02)


@pytest.mark.parametrize(("size", "n"), [(5, 2), (12, 2), (12, 3)])  # by permutation, and filled up
def test_oracle_supports_are_all_as_likely(size, n, generator):
    subsets = dict.fromkeys(itertools.combinations(range(size), n), 0)
    for _ in range(40 * len(subsets)):
        subsets[tuple(sorted(random_support(size, n, generator=generator).tolist()))] += 1
    assert stats.chisquare(list(subsets.values())).pvalue > 0.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("p", "kind"), LAWS)
@pytest.mark.parametrize("n", [None, 1, 2, 9, 30, 100])
def test_property_on_the_budget(p, kind, n, dtype):
    a = random(30, Budget(0.7, p=p, n=n), generator=seeded(), trials=40, kind=kind, dtype=dtype)
    assert a.shape == (40, 30)
    assert a.dtype == dtype
    if dtype != torch.bfloat16 and p < 1000:  # where entries do not vanish by rounding, exactly n move
        assert bool(((a != 0).sum(dim=1) == min(n or 30, 30)).all())
    if kind != "gaussian":
        size = torch.linalg.vector_norm(a.double(), ord=p, dim=1)
        torch.testing.assert_close(size, torch.full_like(size, 0.7), rtol=4 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize(("p", "kind"), LAWS)
@pytest.mark.parametrize("size", [7, 40])  # torch fills fewer than 16 entries by another rule
@pytest.mark.parametrize("n", [None, 1, 5])
def test_property_ten_at_once_are_ten_one_by_one(p, kind, size, n):
    budget, together, alone = Budget(0.7, p=p, n=n), seeded(3), seeded(3)
    at_once = random(size, budget, generator=together, trials=10, kind=kind)
    first = random(size, budget, generator=alone, trials=4, kind=kind)
    rest = [random(size, budget, generator=alone, kind=kind) for _ in range(6)]
    assert torch.equal(at_once, torch.cat([first, torch.stack(rest)]))
    assert torch.equal(together.get_state(), alone.get_state())


def test_property_only_the_generator_moves():
    before, generator = torch.get_rng_state(), seeded()
    state = generator.get_state()
    for p, kind in LAWS:
        random(9, Budget(1.0, p=p, n=3), generator=generator, kind=kind)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(("p", "kind"), LAWS)
def test_limit_one_parameter_zero_epsilon_no_trial(p, kind):
    one = random(1, Budget(0.5, p=p), generator=seeded(), trials=20, kind=kind)
    assert one.shape == (20, 1)
    assert kind == "gaussian" or set(one.flatten().tolist()) == {-0.5, 0.5}
    assert not random(5, Budget(0.0, p=p), generator=seeded(), kind=kind).any()
    assert random(5, Budget(1.0, p=p), generator=seeded(), kind=kind, trials=0).shape == (0, 5)
    assert random(5, Budget(1.0, p=p), generator=seeded(), kind=kind).shape == (5,)


def test_limit_few_of_very_many():
    support = random_support(10**12, 5, generator=seeded())
    assert len(support.unique()) == 5


@pytest.mark.parametrize(
    ("size", "budget", "arguments", "message"),
    [
        (0, Budget(1.0), {}, "size counts parameters"),
        (3, Budget(1.0), {"trials": -1}, "trials counts draws"),
        (3, Budget(1.0), {"dtype": torch.int64}, "dtype must be floating"),
        (3, Budget(1.0), {"kind": "cube"}, "kind must be one of"),
        (3, Budget(1.0), {"kind": "vertex"}, "is for p=inf, got p=2.0"),
        (3, Budget(1.0, p=1), {"kind": "surface"}, "is for p=inf, got p=1"),
    ],
)
def test_error_draws(size, budget, arguments, message, generator):
    with pytest.raises(ParameterError, match=message):
        random(size, budget, generator=generator, **arguments)


@pytest.mark.parametrize("n", [0, 4])
def test_error_support_out_of_range(n, generator):
    with pytest.raises(ParameterError, match="between 1 and the 3 parameters"):
        random_support(3, n, generator=generator)
