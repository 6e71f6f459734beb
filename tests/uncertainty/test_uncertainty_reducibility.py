"""Reducibility: on a model whose posterior is known the one part falls like 1/n, the other stays."""

import math

import pytest
import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import (
    BayesianLinearRegression,
    Parts,
    decompose_variance,
    log_slope,
    maximize_evidence,
    reducibility_curve,
)
from weightlore.uncertainty.sources.decomposition import Parts as SameParts

SIZES = (20, 40, 80, 160, 320, 640)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pool(n: int = 640, noise: float = 0.5) -> Split:
    g = seeded(1)
    x = torch.randn(n, 4, generator=g, dtype=torch.float64)
    theta = torch.tensor([[1.0], [-1.0], [0.5], [2.0]], dtype=torch.float64)
    return Split(x, x @ theta + noise * torch.randn(n, 1, generator=g, dtype=torch.float64))


def parts_of(model: BayesianLinearRegression):
    def parts(x: torch.Tensor) -> Parts:
        said = model.predict(x)
        return Parts(said.variance, said.aleatoric_var, said.epistemic_var)

    return parts


def known(data: Split, generator: torch.Generator):
    return parts_of(BayesianLinearRegression(1.0, 0.25).fit(data.x, data.y))


def estimated(data: Split, generator: torch.Generator):
    return parts_of(maximize_evidence(data.x, data.y))


@pytest.mark.parametrize("learn", [known, estimated])
def test_property_the_model_part_falls_like_one_over_n_and_the_data_part_stays(learn):
    curve = reducibility_curve(learn, pool(), pool(30).x, sizes=SIZES, repeats=12, generator=seeded())
    model = float(log_slope(curve.sizes, curve.model.mean(0)))
    assert -1.1 <= model <= -0.9
    slopes = log_slope(curve.sizes, curve.data)
    assert abs(float(slopes.mean())) <= 5 * float(slopes.std()) / math.sqrt(12) + 1e-12, "the noise does not trend"
    assert float(curve.data.mean()) == pytest.approx(0.25, rel=0.1)


def test_oracle_means_over_the_inputs_of_nested_training_sets():
    seen: list[Split] = []

    def learn(data: Split, generator: torch.Generator):
        seen.append(data)
        means = torch.stack([data.x[:1], data.x[:1] + 2])  # (S, 1, D)
        return lambda x: decompose_variance(means, torch.full_like(means, len(data)))

    curve = reducibility_curve(learn, pool(), pool(5).x, sizes=(3, 7), repeats=2, generator=seeded())
    assert curve.sizes.tolist() == [3, 7]
    assert curve.data.tolist() == [[3, 7], [3, 7]]
    torch.testing.assert_close(curve.model, torch.ones(2, 2, dtype=torch.float64))
    assert [len(data) for data in seen] == [3, 7, 3, 7]
    assert torch.equal(seen[0].x, seen[1].x[:3])
    assert not torch.equal(seen[0].x, seen[2].x), "another order in each repeat"


def test_property_every_size_of_a_repeat_gets_the_same_generator_state():
    draws = []

    def learn(data: Split, generator: torch.Generator):
        draws.append(float(torch.rand((), generator=generator)))
        return known(data, generator)

    reducibility_curve(learn, pool(), pool(5).x, sizes=(3, 7), repeats=2, generator=seeded())
    assert draws[0] == draws[1] != draws[2] == draws[3]


def test_oracle_slope_of_a_power_law():
    n = torch.tensor([10, 20, 40, 90])
    values = torch.stack([3 * n.double() ** -1.5, n.double() ** 0.5, torch.full((4,), 2.0, dtype=torch.float64)])
    torch.testing.assert_close(log_slope(n, values), torch.tensor([-1.5, 0.5, 0.0], dtype=torch.float64))
    assert SameParts is Parts


def test_limit_one_size_of_one():
    curve = reducibility_curve(known, pool(), pool(5).x, sizes=(1,), generator=seeded())
    assert curve.model.shape == (1, 1)
    prior = pool(5).x.square().sum(1).mean()
    assert 0 < float(curve.model) < float(prior)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curve_of(sizes=()), r"from 1 to 640, the size of the pool, .* got \[\] and 1"),
        (lambda: curve_of(sizes=(0, 3)), "from 1 to 640"),
        (lambda: curve_of(sizes=(641,)), "from 1 to 640"),
        (lambda: curve_of(repeats=0), "repeats >= 1"),
        (lambda: curve_of(learn=lambda d, g: lambda x: Parts(x, x / 0, x)), "the data part must be finite"),
        (lambda: log_slope(torch.ones(3), torch.ones(3)), "two different ones at least"),
        (lambda: log_slope(torch.tensor([1.0, 2.0]), torch.ones(3)), "go together"),
        (lambda: log_slope(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])), "leave it out of the curve"),
        (lambda: log_slope(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0])), "leave it out of the curve"),
        (lambda: log_slope(torch.tensor([1.0, 2.0]), torch.tensor([1.0, math.inf])), "values must be finite"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def curve_of(learn=known, sizes=(3,), repeats=1):
    return reducibility_curve(learn, pool(), pool(5).x, sizes=sizes, repeats=repeats, generator=seeded())
