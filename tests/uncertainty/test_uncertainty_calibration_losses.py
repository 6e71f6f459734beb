"""Losses against too sure networks: each is the cross-entropy at zero, and has the gradient of its formula."""

import math

import pytest
import torch
from torch.nn import functional

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    Mixed,
    avuc_loss,
    brier_loss,
    brier_score,
    confidence_penalty,
    dca_penalty,
    expected_calibration_error,
    focal_loss,
    label_smoothing_loss,
    mixup_batch,
    mixup_loss,
    sample_gamma,
    soft_ece_loss,
)


def batch(size: int = 37, classes: int = 5, seed: int = 0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(size, classes, generator=g, dtype=dtype)
    return z, torch.randint(classes, (size,), generator=g)


ZERO = {
    "smoothing": lambda z, y: label_smoothing_loss(z, y, smoothing=0),
    "focal": lambda z, y: focal_loss(z, y, gamma=0),
    "focal, gamma from the example": lambda z, y: focal_loss(z, y, gamma=torch.zeros_like),
    "penalty": lambda z, y: confidence_penalty(z, y, beta=0),
    "mixup": lambda z, y: mixup_loss(z, mixup_batch(Split(z, y), alpha=0, generator=torch.Generator())),
}


@pytest.mark.parametrize("name", ZERO)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_at_zero_each_is_the_cross_entropy_bit_for_bit(name, dtype):
    for size in (1, 37, 1000):
        z, y = batch(size, dtype=dtype)
        z[0] = torch.tensor([90.0, 0, -90, 0, 0])
        y[0] = 0
        assert torch.equal(ZERO[name](z, y), functional.cross_entropy(z, y))


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
def test_oracle_smoothing_is_torchs(smoothing):
    z, y = batch()
    expected = functional.cross_entropy(z, y, label_smoothing=smoothing)
    assert label_smoothing_loss(z, y, smoothing=smoothing).item() == pytest.approx(expected.item(), rel=1e-14)


def test_oracle_focal_example_by_example():
    z, y = batch()
    p = z.softmax(1).gather(1, y[:, None])[:, 0]
    for gamma, each in ((2.0, torch.full((37,), 2.0)), (sample_gamma, sample_gamma(p))):
        expected = (-((1 - p) ** each) * p.log()).mean()
        assert focal_loss(z, y, gamma=gamma).item() == pytest.approx(expected.item(), rel=1e-12)
    assert sample_gamma(torch.tensor([0.19, 0.2, 0.9])).tolist() == [5, 3, 3]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_limit_a_sure_example_has_a_finite_gradient(gamma):
    z = torch.tensor([[900.0, 0.0], [0.0, 900.0], [0.3, 0.1]], requires_grad=True)
    loss = focal_loss(z, torch.tensor([0, 0, 1]), gamma=gamma)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, z)[0]).all()


def test_property_the_gradients_are_those_of_the_formulas():
    z, y = batch(9)
    losses = [
        lambda a: label_smoothing_loss(a, y, smoothing=0.2),
        lambda a: focal_loss(a, y, gamma=3.0),
        lambda a: confidence_penalty(a, y, beta=0.3),
        lambda a: brier_loss(a, y),
        lambda a: dca_penalty(a, y),
        lambda a: soft_ece_loss(a, y, bins=6, temperature=0.05),
        lambda a: avuc_loss(a, y, threshold=0.8),
    ]
    for loss in losses:
        assert torch.autograd.gradcheck(loss, (z.clone().requires_grad_(),))


def test_oracle_confidence_penalty():
    z, y = batch()
    entropy = torch.distributions.Categorical(logits=z).entropy().mean()
    expected = functional.cross_entropy(z, y) - 0.4 * entropy
    assert confidence_penalty(z, y, beta=0.4).item() == pytest.approx(expected.item(), rel=1e-13)
    sure = torch.tensor([[800.0, 0.0]])
    assert confidence_penalty(sure, torch.tensor([0]), beta=1.0) == 0


def test_oracle_brier_loss_is_the_score():
    z, y = batch()
    assert brier_loss(z, y).item() == pytest.approx(brier_score(z.softmax(1), y).item(), rel=1e-13)


def test_oracle_difference_of_confidence_and_accuracy_is_the_ece_of_one_bin():
    z, y = batch()
    expected = expected_calibration_error(z.softmax(1), y, bins=1)
    assert dca_penalty(z, y).item() == pytest.approx(expected.item(), rel=1e-12)


def test_oracle_avuc_from_its_four_counts():
    z, y = batch(200)
    r, label = z.softmax(1).max(1)
    u = torch.distributions.Categorical(logits=z).entropy()
    counts = dict.fromkeys(("AC", "AU", "IC", "IU"), 0.0)
    for i in range(200):
        accurate, certain = bool(label[i] == y[i]), bool(u[i] <= 0.7)
        weight = (r[i] if accurate else 1 - r[i]) * (1 - u[i].tanh() if certain else u[i].tanh())
        counts[("A" if accurate else "I") + ("C" if certain else "U")] += float(weight)
    assert all(counts.values())
    expected = math.log(1 + (counts["AU"] + counts["IC"]) / (counts["AC"] + counts["IU"]))
    assert avuc_loss(z, y, threshold=0.7).item() == pytest.approx(expected, rel=1e-12)


def test_limit_avuc_where_nothing_or_everything_is_as_it_should_be():
    z = torch.tensor([[5.0, 0.0]], requires_grad=True)
    assert avuc_loss(z, torch.tensor([0]), threshold=0.5) == 0
    worst = avuc_loss(z, torch.tensor([1]), threshold=0.5)
    assert 5 < worst < math.inf
    assert torch.isfinite(torch.autograd.grad(worst, z)[0]).all()


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0])
def test_oracle_soft_bins_become_hard_when_cold(norm):
    z, _ = batch(400)
    y = torch.multinomial(z.softmax(1), 1, generator=torch.Generator().manual_seed(3))[:, 0]  # gaps of both signs
    hard = expected_calibration_error(z.softmax(1), y, norm=norm)
    assert soft_ece_loss(z, y, temperature=1e-7, norm=norm).item() == pytest.approx(hard.item(), abs=1e-3)
    assert abs(soft_ece_loss(z, y, temperature=0.01, norm=norm).item() - hard.item()) > 1e-3
    warm = soft_ece_loss(z, y, temperature=1e6, norm=norm)
    assert warm.item() == pytest.approx(dca_penalty(z, y).item(), abs=1e-5)


def test_oracle_soft_bins_by_the_definition():
    z, y = batch(20)
    r, c = z.softmax(1).max(1).values, (z.argmax(1) == y).double()
    middle = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    total = 0.0
    g = torch.stack([(-((q - middle) ** 2) / 0.02).softmax(0) for q in r])
    for b in range(4):
        mass = g[:, b].sum()
        total += mass / 20 * ((g[:, b] * c).sum() / mass - (g[:, b] * r).sum() / mass) ** 2
    found = soft_ece_loss(z, y, bins=4, temperature=0.02)
    assert found.item() == pytest.approx(float(total) ** 0.5, rel=1e-12)


def test_limit_a_perfect_batch_has_no_gradient_and_no_nan():
    z = torch.tensor([[900.0, 0.0]], requires_grad=True)
    for loss in (soft_ece_loss(z, torch.tensor([0])), dca_penalty(z, torch.tensor([0]))):
        assert loss == 0
        assert not torch.autograd.grad(loss, z)[0].any()


def test_property_mixed_examples_lie_between_two():
    g = torch.Generator().manual_seed(1)
    x, y = torch.arange(12.0).reshape(6, 2), torch.arange(6)
    mixed = mixup_batch(Split(x, y), alpha=1.0, generator=g)
    assert isinstance(mixed, Mixed)
    assert 0 < mixed.weight < 1
    assert sorted(mixed.other.tolist()) == list(range(6))
    assert torch.equal(mixed.x, mixed.weight * x + (1 - mixed.weight) * x[mixed.other])
    assert x.tolist() == torch.arange(12.0).reshape(6, 2).tolist()


def test_oracle_shares_are_beta():
    from scipy.stats import beta, kstest

    g = torch.Generator().manual_seed(2)
    one = Split(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64))
    for alpha in (0.2, 1.0, 3.0):
        found = [mixup_batch(one, alpha=alpha, generator=g).weight for _ in range(400)]
        assert kstest(found, beta(alpha, alpha).cdf).pvalue > 0.01


def test_oracle_mixup_loss_is_the_cross_entropy_with_soft_targets():
    z, y = batch()
    other = y.flip(0)
    target = 0.3 * functional.one_hot(y, 5).double() + 0.7 * functional.one_hot(other, 5).double()
    expected = functional.cross_entropy(z, target)
    assert mixup_loss(z, Mixed(z, y, other, 0.3)).item() == pytest.approx(expected.item(), rel=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z, y: label_smoothing_loss(z, y, smoothing=1.1), "between 0 and 1, got 1.1; 0 is the cross-entropy"),
        (lambda z, y: label_smoothing_loss(z, y, smoothing=-0.1), "between 0 and 1"),
        (lambda z, y: focal_loss(z, y, gamma=-1.0), "finite number >= 0"),
        (lambda z, y: focal_loss(z, y, gamma=math.inf), "finite number >= 0"),
        (lambda z, y: focal_loss(z, y, gamma=lambda p: p[:3]), "one for each of 37 examples"),
        (lambda z, y: confidence_penalty(z, y, beta=-1), "at least 0"),
        (lambda z, y: confidence_penalty(z, y, beta=math.inf), "at least 0"),
        (lambda z, y: brier_loss(z, y + 1), "class numbers from 0 to 4"),
        (lambda z, y: brier_loss(z / 0, y), "NaN or infinite"),
        (lambda z, y: dca_penalty(z[:3], y), "one class"),
        (lambda z, y: avuc_loss(z, y, threshold=-0.1), "entropy in nats"),
        (lambda z, y: avuc_loss(z, y, threshold=math.nan), "entropy in nats"),
        (lambda z, y: soft_ece_loss(z, y, temperature=0.0), "temperature must be a finite number > 0"),
        (lambda z, y: soft_ece_loss(z, y, norm=0.5), "norm must be a finite number >= 1"),
        (lambda z, y: soft_ece_loss(z, y, norm=math.inf), "norm must be a finite number >= 1"),
        (lambda z, y: soft_ece_loss(z, y, bins=0), "whole number"),
        (lambda z, y: mixup_batch(Split(z.long(), y), alpha=1, generator=torch.Generator()), "must be floating"),
        (lambda z, y: mixup_batch(Split(z, y), alpha=-1, generator=torch.Generator()), "0 mixes nothing"),
        (lambda z, y: mixup_loss(z[:5], Mixed(z, y, y, 0.5)), "one class"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*batch())
