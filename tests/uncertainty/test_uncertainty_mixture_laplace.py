"""A mixture of Laplace approximations: the mean of its parts, and the moments that a mixture has."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty.ensembles import MixtureLaplace, anchored_loss
from weightlore.uncertainty.laplace import Laplace


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(classes: int) -> Split:
    x = torch.randn(30, 4, generator=seeded(9), dtype=torch.float64)
    y = torch.randint(0, classes, (30,), generator=seeded(8)) if classes > 1 else x[:, :1].sin()
    return Split(x, y)


def part(seed: int, classes: int = 3) -> Laplace:
    net = mlp((4, 5, classes), generator=seeded(seed))
    likelihood = "classification" if classes > 1 else "regression"
    noise = {} if classes > 1 else {"noise_variance": 0.1}
    return Laplace(net, likelihood, structure="full", **noise).fit(data(classes))


def test_oracle_members_are_the_parts():
    parts = [part(seed) for seed in range(3)]
    said = MixtureLaplace(parts).predict(data(3).x)
    assert said.members == len(MixtureLaplace(parts)) == 3
    for s, one in enumerate(parts):
        assert torch.equal(said.probs[s], one.predict(data(3).x).probs[0])


def test_oracle_draws_stand_side_by_side():
    mixture = MixtureLaplace([part(0), part(1)])
    said = mixture.predict(data(3).x, link="mc", samples=7, generator=seeded())
    generator = seeded()
    own = [one.predict(data(3).x, link="mc", samples=7, generator=generator).probs for one in mixture.parts]
    assert torch.equal(said.probs, torch.cat(own))


def test_oracle_moments_are_those_of_a_sample_of_the_mixture():
    parts = [part(seed, classes=1) for seed in range(3)]
    x = data(1).x[:2]
    said, own = MixtureLaplace(parts).predict(x), [one.predict(x) for one in parts]
    noise = torch.randn(3, 100_000, 2, 1, generator=seeded(), dtype=torch.float64)
    drawn = torch.cat([one.mean + one.std * noise[s] for s, one in enumerate(own)])
    assert torch.allclose(drawn.mean(0), said.mean, atol=0.02)
    assert torch.allclose(drawn.var(0), said.variance, rtol=0.02)
    assert torch.allclose(said.aleatoric_var, torch.full_like(said.mean, 0.1))


def test_limit_one_part_is_itself():
    one = part(0, classes=1)
    said, own = MixtureLaplace([one]).predict(data(1).x), one.predict(data(1).x)
    assert torch.equal(said.mean, own.mean)
    assert torch.equal(said.variance, own.variance)


def test_oracle_an_anchor_at_zero_is_the_prior_of_the_parts():
    # n times the anchored loss is the negative log joint, whose curvature is the precision of a part.
    lesson, net, tau = data(3), nn.Linear(4, 3, dtype=torch.float64), 2.0
    part = Laplace(net, "classification", structure="full", prior_precision=tau).fit(lesson)

    def joint(theta):
        weight, bias = theta[:12].view(3, 4), theta[12:]
        loss = nn.functional.cross_entropy(lesson.x @ weight.T + bias, lesson.y)
        return 30 * anchored_loss(loss, theta, torch.zeros_like(theta), ratio=tau / 2, num_data=30)

    precision = torch.autograd.functional.hessian(joint, part.mode)
    assert torch.allclose(part.posterior.variance(), torch.linalg.inv(precision).diagonal(), rtol=1e-9)


def test_error_what_is_no_mixture():
    with pytest.raises(ParameterError, match="one Laplace approximation at least"):
        MixtureLaplace([])
    with pytest.raises(ParameterError, match="one Laplace approximation at least"):
        MixtureLaplace([nn.Linear(2, 2)])
    with pytest.raises(ParameterError, match="fit\\(data\\)"):
        MixtureLaplace([Laplace(nn.Linear(4, 3), "classification")])
    with pytest.raises(ParameterError, match="one likelihood"):
        MixtureLaplace([part(0), part(1, classes=1)])
    with pytest.raises(ParameterError, match=r"one number of outputs, got \[2, 3\]"):
        MixtureLaplace([part(0), part(1, classes=2)]).predict(data(3).x)
    with pytest.raises(ParameterError, match="Dirichlet"):
        MixtureLaplace([part(0)]).predict(data(3).x, link="bridge")
