"""Certificates: gradient descent arrives at the closed form, and what is new is seen."""

import math
import warnings

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.deterministic import OrthonormalCertificates, certificate_loss
from weightlore.uncertainty.warned import UncertaintyWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def features(n=400, scales=(3.0, 2.0, 1.0, 0.5, 0.3, 0.1)):
    """Correlated features away from zero."""
    d = len(scales)
    turn = torch.linalg.qr(normal(d, d, seed=5)).Q
    return normal(n, d) * torch.tensor(scales).double() @ turn + 4.0


def largest_angle(a, b):
    """Largest principal angle between the spans of two bases, by the sine, which small angles need."""
    one, other = (torch.linalg.qr(m).Q for m in (a, b))
    return float(torch.linalg.matrix_norm(other - one @ (one.T @ other), 2).clamp(max=1).arcsin())


@pytest.mark.parametrize("penalty", [1.0, 10.0])
def test_oracle_descent_on_the_loss_ends_where_the_closed_form_is(penalty):
    phi = features()
    centered = phi - phi.mean(0)
    start = 0.5 * normal(6, 3, seed=9)
    free = start.clone().requires_grad_()
    steps = torch.optim.LBFGS(
        [free], max_iter=500, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def closure():
        steps.zero_grad()
        value = certificate_loss(free, centered, penalty=penalty)
        value.backward()
        return value

    steps.step(closure)
    found = OrthonormalCertificates(3, penalty=penalty).fit(phi)
    assert largest_angle(free.detach(), found.certificates) < 1e-3
    lowest = certificate_loss(found.certificates, centered, penalty=penalty)
    torch.testing.assert_close(lowest, certificate_loss(free.detach(), centered, penalty=penalty))
    torch.testing.assert_close(found.score(phi), ((phi - phi.mean(0)) @ free.detach()).square().sum(1))


def test_oracle_the_limit_is_the_span_of_least_variance():
    """By singular values of the features themselves."""
    phi = features()
    found = OrthonormalCertificates(2).fit(phi)
    rows = torch.linalg.svd(phi - phi.mean(0)).Vh
    assert largest_angle(rows[-2:].T, found.certificates) < 1e-6
    torch.testing.assert_close(found.certificates.T @ found.certificates, torch.eye(2).double())
    near = OrthonormalCertificates(2, penalty=1e9).fit(phi)
    torch.testing.assert_close(near.score(phi), found.score(phi))


def test_property_the_mean_score_is_the_sum_of_the_least_eigenvalues():
    phi = features()
    values = torch.linalg.eigvalsh(torch.cov(phi.T, correction=0))
    torch.testing.assert_close(OrthonormalCertificates(3).fit(phi).score(phi).mean(), values[:3].sum())


def test_property_a_weak_penalty_gives_up_directions_that_vary():
    phi = features()
    found = OrthonormalCertificates(3, penalty=0.01).fit(phi)
    lengths = found.certificates.norm(dim=0)
    assert lengths[0] > 0.5
    assert lengths[2] == 0


def test_property_what_is_new_has_the_larger_score():
    phi, new = features(), 4 + 3 * normal(400, 6, seed=8)
    found = OrthonormalCertificates(3).fit(phi)
    assert float(found.score(new).median()) > 10 * float(found.score(phi).median())


def test_property_shifts_and_turns_of_the_features_change_nothing():
    phi, other = features(), features(50)
    turn = torch.linalg.qr(normal(6, 6, seed=3)).Q
    one = OrthonormalCertificates(3).fit(phi).score(other)
    torch.testing.assert_close(OrthonormalCertificates(3).fit(phi @ turn - 7).score(other @ turn - 7), one)


def test_property_scores_keep_the_dtype_and_features_stay_as_they_are():
    phi = features().float().requires_grad_()
    before = phi.detach().clone()
    found = OrthonormalCertificates(3).fit(phi).score(phi)
    assert found.dtype == torch.float32
    assert torch.equal(phi.detach(), before)
    assert phi.grad is None


def test_limit_fewer_examples_than_features_are_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OrthonormalCertificates(3).fit(features())
    with pytest.warns(UncertaintyWarning, match="eigenvalues 1 and 2 of the features are both"):
        OrthonormalCertificates(1).fit(features(4))
    with pytest.warns(UncertaintyWarning, match="arbitrary"):
        OrthonormalCertificates(1).fit(torch.ones(4, 3))


def test_error_of_sizes_and_features():
    with pytest.raises(ParameterError, match="fewer than the 6 features, got 6"):
        OrthonormalCertificates(6).fit(features())
    with pytest.raises(ParameterError, match="call fit"):
        OrthonormalCertificates(2).score(features())
    with pytest.raises(ParameterError, match="need 6 columns as in fit"):
        OrthonormalCertificates(2).fit(features()).score(torch.zeros(2, 5))
    with pytest.raises(ParameterError, match="a feature must be finite"):
        OrthonormalCertificates(1).fit(torch.full((4, 3), math.nan))
    with pytest.raises(ParameterError, match=r"rows of shape \(N, H\)"):
        OrthonormalCertificates(1).fit(torch.zeros(4))
    with pytest.raises(ParameterError, match="count must be"):
        OrthonormalCertificates(0)
    with pytest.raises(ParameterError, match="penalty must be finite and above 0"):
        OrthonormalCertificates(1, penalty=0.0)
    with pytest.raises(ParameterError, match="penalty must be finite and above 0"):
        certificate_loss(torch.eye(3)[:, :1], torch.zeros(2, 3), penalty=math.inf)
    with pytest.raises(ParameterError, match="must share H"):
        certificate_loss(torch.eye(2), torch.zeros(2, 3), penalty=1.0)
