"""Networks that predict Dirichlet distributions: where their losses are least, and what outliers are asked to say."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from scipy.special import digamma

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import outlier_exposure_loss
from weightlore.uncertainty.deterministic import dirichlet_prior_loss, prior_prediction, representation_gap_loss
from weightlore.uncertainty.dirichlet import precision

DIRECTIONS = ("forward", "reverse")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def targets(y, classes=3, base=1.0, precision=100.0):
    return base + precision * F.one_hot(y, classes).double()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_oracle_divergences_of_torch(direction):
    z, far, y = normal(6, 3), normal(4, 3, seed=1), torch.tensor([0, 1, 2, 0, 1, 2])
    laws = [torch.distributions.Dirichlet(a) for a in (z.exp(), targets(y, base=0.5, precision=7), far.exp())]
    flat = torch.distributions.Dirichlet(torch.ones(4, 3).double())
    pairs = [(laws[1], laws[0]), (flat, laws[2])]
    pairs = pairs if direction == "forward" else [pair[::-1] for pair in pairs]
    inside, outside = (torch.distributions.kl_divergence(*pair).mean() for pair in pairs)
    options = {"direction": direction, "base": 0.5, "precision": 7.0}
    torch.testing.assert_close(dirichlet_prior_loss(z, y, **options), inside)
    found = dirichlet_prior_loss(z, y, outside=far, weight=0.3, **options)
    torch.testing.assert_close(found, inside + 0.3 * outside)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_property_the_loss_is_zero_at_the_target_only(direction):
    y = torch.tensor([0, 2, 1])
    best, flat = targets(y).log(), torch.zeros(2, 3).double()
    assert abs(float(dirichlet_prior_loss(best, y, direction=direction, outside=flat))) < 1e-12
    for row, column in ((0, 0), (0, 1), (2, 2)):
        off = best.clone()
        off[row, column] += 0.01
        assert float(dirichlet_prior_loss(off, y, direction=direction, outside=flat)) > 1e-6
    assert float(dirichlet_prior_loss(best, y, direction=direction, outside=flat + 0.01)) > 1e-6


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_limit_without_an_outside_the_term_is_left_out(direction):
    z, far, y = normal(6, 3), normal(4, 3, seed=1), torch.tensor([0, 1, 2, 0, 1, 2])
    alone = dirichlet_prior_loss(z, y, direction=direction)
    assert torch.equal(alone, dirichlet_prior_loss(z, y, direction=direction, outside=far, weight=0.0))
    assert alone < dirichlet_prior_loss(z, y, direction=direction, outside=far)
    assert "without them nothing is learned of the outside" in str(dirichlet_prior_loss.__doc__)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_oracle_gradients_by_finite_differences(direction):
    z, far = normal(4, 3).requires_grad_(), normal(3, 3, seed=1).requires_grad_()
    y = torch.tensor([0, 1, 2, 2])
    loss = lambda a, b: dirichlet_prior_loss(a, y, direction=direction, outside=b, precision=9.0)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (z, far))
    assert torch.autograd.gradcheck(lambda a, b: representation_gap_loss(a, y, outside=b), (z, far))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_oracle_one_input_with_two_labels(direction):
    """Forward training leaves almost no precision where classes overlap; reverse training keeps all of it."""
    solved = brentq(lambda a: digamma(a) - digamma(2 * a) - (digamma(101) + digamma(1)) / 2 + digamma(102), 0.01, 9)
    best = math.log(solved if direction == "forward" else 51.0)
    y = torch.tensor([0, 1])
    z = torch.full((2,), best, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(dirichlet_prior_loss(z.expand(2, 2), y, direction=direction), z)
    assert slope.abs().max() < 1e-9
    least = float(dirichlet_prior_loss(z.detach().expand(2, 2), y, direction=direction))
    for step in (-0.1, 0.1):
        assert float(dirichlet_prior_loss((z.detach() + step).expand(2, 2), y, direction=direction)) > least
    sure = float(precision(prior_prediction(z.detach()[None])))
    assert sure < 1 if direction == "forward" else sure == pytest.approx(102)


def test_property_the_mean_is_the_softmax():
    z = normal(5, 4)
    torch.testing.assert_close(prior_prediction(z).mean, z.softmax(1))


def test_property_float32_stays_float32():
    z = normal(3, 3, dtype=torch.float32)
    for direction in DIRECTIONS:
        assert dirichlet_prior_loss(z, torch.tensor([0, 1, 2]), direction=direction, outside=z).dtype == torch.float32


def test_oracle_the_gap_by_its_formula():
    z, far, y = normal(5, 4), normal(3, 4, seed=1), torch.tensor([0, 1, 2, 3, 0])
    inside = F.cross_entropy(z, y) - 0.5 * z.sigmoid().mean()
    even = torch.full((3, 4), 0.25, dtype=torch.float64)
    outside = F.cross_entropy(far, even) + 0.25 * far.sigmoid().mean()
    torch.testing.assert_close(representation_gap_loss(z, y, outside=far, weight=2.0), inside + 2 * outside)


def test_property_concentrations_outside_fall_below_one_and_stay_even():
    far, y = normal(4, 3).requires_grad_(), torch.tensor([0])
    steps = torch.optim.Adam([far], lr=0.1)
    for _ in range(150):
        steps.zero_grad()
        representation_gap_loss(torch.zeros(1, 3).double(), y, outside=far).backward()
        steps.step()
    alpha = prior_prediction(far.detach()).alpha
    assert alpha.max() < 0.5
    torch.testing.assert_close(alpha / alpha.sum(1, keepdim=True), torch.full_like(alpha, 1 / 3), atol=0.02, rtol=0)


def test_oracle_outlier_exposure_is_cross_entropy_with_even_targets():
    z, far, y = normal(5, 4), normal(3, 4, seed=1), torch.tensor([0, 1, 2, 3, 0])
    even = torch.full((3, 4), 0.25, dtype=torch.float64)
    expected = F.cross_entropy(z, y) + 0.5 * F.cross_entropy(far, even)
    torch.testing.assert_close(outlier_exposure_loss(z, y, outside=far, weight=0.5), expected)
    divergence = torch.distributions.kl_divergence(
        torch.distributions.Categorical(even), torch.distributions.Categorical(logits=far)
    ).mean()
    apart = outlier_exposure_loss(z, y, outside=far, weight=1.0) - F.cross_entropy(z, y)
    torch.testing.assert_close(apart, divergence + math.log(4))


def test_property_outliers_are_best_undecided():
    z, y = normal(2, 3), torch.tensor([0, 1])
    flat, off = torch.full((1, 3), 7.0).double(), torch.tensor([[0.0, 0.1, 0.0]]).double()
    assert outlier_exposure_loss(z, y, outside=flat, weight=1.0) < outlier_exposure_loss(z, y, outside=off, weight=1.0)
    assert torch.equal(outlier_exposure_loss(z, y, outside=off, weight=0.0), F.cross_entropy(z, y))


def test_property_any_integers_are_class_numbers():
    z, y = normal(3, 3), torch.tensor([0, 1, 2])
    for loss in (
        lambda t: dirichlet_prior_loss(z, t, direction="reverse"),
        lambda t: representation_gap_loss(z, t, outside=z),
        lambda t: outlier_exposure_loss(z, t, outside=z, weight=0.5),
    ):
        assert torch.equal(loss(y), loss(y.to(torch.int32)))


def test_error_of_options_and_numbers():
    z, y = torch.zeros(1, 3), torch.tensor([0])
    with pytest.raises(ParameterError, match="direction is one of 'forward', 'reverse'"):
        dirichlet_prior_loss(z, y, direction="backward")
    for name in ("base", "precision"):
        with pytest.raises(ParameterError, match=f"{name} must be finite and above 0"):
            dirichlet_prior_loss(z, y, direction="forward", **{name: 0.0})
    with pytest.raises(ParameterError, match="weight must be finite and at least 0"):
        dirichlet_prior_loss(z, y, direction="forward", weight=-1.0)
    with pytest.raises(ParameterError, match="weight must be finite and at least 0"):
        outlier_exposure_loss(z, y, outside=z, weight=math.inf)
    with pytest.raises(ParameterError, match="outside_push must be a finite number below 0"):
        representation_gap_loss(torch.zeros(1, 2), y, outside=torch.zeros(1, 2))
    with pytest.raises(ParameterError, match="inside_push must be finite and above 0"):
        representation_gap_loss(z, y, outside=z, inside_push=0.0)


@pytest.mark.parametrize("outside", [torch.zeros(2, 4), torch.zeros(3), torch.zeros(0, 3), [[0.0, 0.0, 0.0]], None])
def test_error_of_an_outside_of_another_network(outside):
    z, y = torch.zeros(1, 3), torch.tensor([0])
    given = torch.zeros(0) if outside is None else outside  # a prior network may be taught without
    for loss in (
        lambda: dirichlet_prior_loss(z, y, direction="forward", outside=given),
        lambda: representation_gap_loss(z, y, outside=outside),
        lambda: outlier_exposure_loss(z, y, outside=outside, weight=1.0),
    ):
        with pytest.raises(ParameterError, match=r"logits from outside need shape \(M, 3\)"):
            loss()


def test_error_of_what_is_not_finite():
    z, y, bad = torch.zeros(1, 3), torch.tensor([0]), torch.full((1, 3), math.nan)
    with pytest.raises(ParameterError, match="from 0 to 2"):
        dirichlet_prior_loss(z, y + 3, direction="forward")
    for loss in (
        lambda: dirichlet_prior_loss(z, y, direction="reverse", outside=bad),
        lambda: representation_gap_loss(z, y, outside=bad),
        lambda: outlier_exposure_loss(z, y, outside=bad, weight=0.0),
        lambda: prior_prediction(bad),
    ):
        with pytest.raises(ParameterError, match="must be finite"):
            loss()
    with pytest.raises(ParameterError, match="concentration must be finite"):
        prior_prediction(torch.full((1, 3), 1000.0))
