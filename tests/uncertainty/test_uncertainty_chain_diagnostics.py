"""What chains are worth: effective sizes, agreement, nearness to a known Gaussian."""

import math

import pytest
import torch
from scipy.signal import lfilter
from torch.distributions import MultivariateNormal, kl_divergence

from weightlore.errors import ParameterError
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.mcmc import effective_sample_size, running_kl, split_rhat


def noise(*shape, seed: int = 0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def autoregressive(rho: float, size: int, *shape: int, seed: int = 0):
    """x_t = rho x_{t-1} + sqrt(1 - rho^2) noise, from the stationary law."""
    steps = noise(size, *shape, seed=seed)
    steps[1:] *= math.sqrt(1 - rho**2)
    return torch.as_tensor(lfilter([1.0], [1.0, -rho], steps.numpy(), axis=0).copy())


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(), (4,)])
def test_oracle_the_effective_size_of_an_autoregressive_chain(rho, shape):
    draws = autoregressive(rho, 80_000, *shape, seed=1)
    expected = draws.numel() * (1 - rho) / (1 + rho)
    assert float(effective_sample_size(draws)) == pytest.approx(expected, rel=0.15)


def test_oracle_the_effective_size_is_the_variance_of_the_mean():
    draws = autoregressive(0.7, 400, 2000, seed=2)
    worth = float(draws.var()) / float(draws.mean(0).var())
    each = torch.stack([effective_sample_size(chain) for chain in draws[:, :200].unbind(1)])
    assert float(each.mean()) == pytest.approx(worth, rel=0.15)


@pytest.mark.parametrize("last", [[], [4.5]])
def test_oracle_autocovariances_by_hand(last):
    x = torch.tensor([1.0, 2.0, 2.5, 4.0, 3.0, 3.5, *last]).double()
    n = len(x)  # of an odd number the last lag has no partner
    c = [float(((x - x.mean())[: n - t] * (x - x.mean())[t:]).sum()) / n for t in range(n)]
    rho = [1.0] + [1 - (c[0] - c[t]) * n / (n - 1) / c[0] for t in range(1, n)]
    pairs = [rho[0] + rho[1], rho[2] + rho[3], rho[4] + rho[5]]
    kept = next((i for i, pair in enumerate(pairs) if pair <= 0), 3)
    assert float(effective_sample_size(x)) == pytest.approx(n / (2 * sum(pairs[:kept]) - 1))


def test_property_chains_that_disagree_are_worth_little():
    apart = noise(500, 4) + 3 * torch.arange(4.0)
    assert float(effective_sample_size(apart)) < 20
    assert float(split_rhat(apart)) > 1.1
    assert float(split_rhat(noise(2000, 4))) == pytest.approx(1.0, abs=0.01)
    drifting = noise(500) + torch.linspace(0, 5, 500)
    assert float(split_rhat(drifting)) > 1.1, "one chain is compared with itself"


def test_oracle_split_rhat_by_hand():
    draws = torch.tensor(
        [[0.0, 1.0], [1.0, 3.0], [9.0, 9.0], [2.0, 2.0], [4.0, 5.0]]
    ).double()  # the middle row is left out
    halves = [[0.0, 1.0], [1.0, 3.0], [2.0, 4.0], [2.0, 5.0]]
    means, within = [sum(h) / 2 for h in halves], sum((h[1] - h[0]) ** 2 / 2 for h in halves) / 4
    between = sum((m - sum(means) / 4) ** 2 for m in means) / 3
    assert float(split_rhat(draws)) == pytest.approx(math.sqrt((within / 2 + between) / within))


def test_property_ranks_see_chains_of_different_width_and_forget_units():
    wide = noise(1000, 4) * torch.tensor([1.0, 1.0, 1.0, 5.0])
    assert float(split_rhat(wide)) < 1.02
    assert float(split_rhat(wide, rank_normalized=True)) > 1.1
    heavy = noise(1000, 4) / noise(1000, 4, seed=1)
    assert float(split_rhat(heavy, rank_normalized=True)) == pytest.approx(1, abs=0.01)


def test_property_each_parameter_has_its_own_answer():
    draws = torch.stack([noise(300, 2), autoregressive(0.9, 300, 2)], -1)
    for measure in (effective_sample_size, split_rhat):
        found = measure(draws)
        assert found.shape == (2,)
        for i in range(2):
            torch.testing.assert_close(found[i], measure(draws[..., i]))


def test_limit_what_never_moves_has_no_answer_and_says_so():
    draws = torch.stack([torch.ones(50, 2).double(), noise(50, 2)], -1)
    for measure in (effective_sample_size, split_rhat):
        with pytest.warns(UncertaintyWarning, match="ever move"):
            found = measure(draws)
        assert found.isnan().tolist() == [True, False]
    stuck = torch.tensor([0.0, 1.0]).expand(50, 2)
    assert float(split_rhat(stuck)) == math.inf
    assert float(effective_sample_size(stuck)) <= 2.5, "two points, however often"


def test_oracle_running_kl_is_the_divergence_of_gaussians():
    root = torch.tensor([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.2, -0.3, 0.7]]).double()
    mean, covariance = torch.tensor([1.0, 2.0, 3.0]).double(), root @ root.T
    draws = mean + noise(4000, 2, 3) @ root.T
    found = running_kl(draws, mean, covariance, at=[1, 20, 4000])
    part = draws[:20].flatten(0, 1)
    expected = kl_divergence(
        MultivariateNormal(part.mean(0), part.T.cov(correction=0)), MultivariateNormal(mean, covariance)
    )
    assert found[0] == math.inf
    assert float(found[1]) == pytest.approx(float(expected), abs=1e-9)
    assert float(found[2]) < 0.005 < float(found[1])


def test_limit_draws_on_a_line_are_infinitely_far():
    flat = noise(50)[:, None].expand(50, 2)
    assert running_kl(flat, torch.zeros(2), torch.eye(2), at=[50]).tolist() == [math.inf]
    assert running_kl(noise(50, 1), torch.zeros(1), torch.eye(1), at=[50]).isfinite().all()


@pytest.mark.parametrize(
    ("call_it", "part"),
    [
        (lambda: effective_sample_size(torch.ones(3)), "S >= 4"),
        (lambda: effective_sample_size(torch.tensor([1.0, 2.0, math.nan, 0.0])), "a draw must be finite"),
        (lambda: split_rhat(torch.ones(5, 1, 1, 1)), "S >= 4"),
        (lambda: running_kl(noise(9, 2), torch.zeros(3), torch.eye(2), at=[9]), "P=2"),
        (lambda: running_kl(noise(9, 2), torch.zeros(2), -torch.eye(2), at=[9]), "positive definite"),
        (lambda: running_kl(noise(9, 2), torch.zeros(2), torch.eye(2), at=[10]), "from 1 to 9"),
    ],
)
def test_error_the_message_says_what_to_do(call_it, part):
    with pytest.raises(ParameterError, match=part):
        call_it()
