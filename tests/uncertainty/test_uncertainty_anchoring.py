"""Members pulled towards draws of the prior, and training on the worst neighbors."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import sgd
from weightlore.uncertainty.ensembles import (
    anchored_loss,
    anchored_step,
    draw_anchors,
    fgsm_augmented_loss,
    fgsm_examples,
    fgsm_step,
    fit_ensemble,
)
from weightlore.uncertainty.ensembles.lessons import loss_of


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def small(generator):
    return mlp((4, 6, 3), generator=generator)


def batch(n=12):
    return Split(normal(n, 4, seed=8), torch.arange(n) % 3)


NOISE, PRIOR, N, P = 0.5, 2.0, 25, 3


def minimizers(anchors, x, targets):
    """The theta of each member, by one Newton step on the quadratic anchored loss."""

    def loss(theta, anchor, y):
        return anchored_loss(((x @ theta - y) ** 2).mean(), theta, anchor, ratio=NOISE / PRIOR, num_data=N)

    start = torch.zeros(P).double().requires_grad_()
    (slope,) = torch.autograd.grad(loss(start, anchors[0], targets[0]), start, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(one, start, retain_graph=True)[0] for one in slope])
    gradients = torch.stack(
        [torch.autograd.grad(loss(start, a, y), start)[0] for a, y in zip(anchors, targets, strict=True)]
    )
    return -torch.linalg.solve(hessian, gradients.T).T


def test_oracle_anchored_linear_members_are_samples_of_the_exact_posterior():
    members, x = 4000, normal(N, P, seed=1)
    y = x @ torch.tensor([1.0, -2.0, 0.5]).double() + NOISE**0.5 * normal(N, seed=2)
    anchors = draw_anchors(nn.Linear(P, 1, bias=False).double(), members, prior_std=PRIOR**0.5, generator=seeded(3))
    found = minimizers(anchors, x, y + NOISE**0.5 * normal(members, N, seed=4))
    covariance = torch.linalg.inv(x.T @ x / NOISE + torch.eye(P).double() / PRIOR)
    mean = covariance @ x.T @ y / NOISE
    spread = covariance.diagonal()
    assert ((found.mean(0) - mean).abs() < 5 * (spread / members).sqrt()).all()
    assert ((found.T.cov().diagonal() / spread - 1).abs() < 0.1).all()
    error = ((spread[:, None] * spread + covariance**2) / members).sqrt()
    assert ((found.T.cov() - covariance).abs() < 5 * error).all()


def test_property_without_perturbed_targets_members_are_too_sure():
    x, members = normal(N, P, seed=1), 2000
    anchors = draw_anchors(nn.Linear(P, 1, bias=False).double(), members, prior_std=PRIOR**0.5, generator=seeded(3))
    found = minimizers(anchors, x, normal(1, N).expand(members, -1))
    covariance = torch.linalg.inv(x.T @ x / NOISE + torch.eye(P).double() / PRIOR)
    assert (found.T.cov().diagonal() < 0.5 * covariance.diagonal()).all()


def test_oracle_pull_by_hand():
    theta, anchor = torch.tensor([1.0, 2.0]).double(), torch.tensor([0.0, 5.0]).double()
    each = torch.tensor([2.0, 4.0]).double()
    assert float(anchored_loss(torch.tensor(3.0).double(), theta, anchor, ratio=0.5, num_data=10)) == 3 + 0.5
    assert float(anchored_loss(torch.tensor(3.0).double(), theta, anchor, ratio=each, num_data=10)) == pytest.approx(
        6.8
    )


def test_property_at_the_anchor_there_is_no_pull():
    theta = normal(7).requires_grad_()
    loss = anchored_loss((theta**2).sum(), theta, theta.detach(), ratio=3.0, num_data=5)
    assert loss == (theta**2).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, theta)[0], 2 * theta.detach())


def test_property_anchors_have_the_spread_of_the_prior_and_fewer_are_the_first():
    model = nn.Linear(40, 50)
    std = torch.linspace(0.1, 2, 2050)
    anchors = draw_anchors(model, 30, prior_std=std, generator=seeded())
    assert anchors.dtype == torch.float32
    scaled = (anchors / std).double()
    assert abs(float(scaled.mean())) < 5 / scaled.numel() ** 0.5
    assert abs(float(scaled.std()) - 1) < 5 / (2 * scaled.numel()) ** 0.5
    assert torch.equal(draw_anchors(model, 2, prior_std=std, generator=seeded()), anchors[:2])


def test_property_a_strong_pull_brings_each_member_to_its_anchor():
    anchors = draw_anchors(small(seeded()), 2, prior_std=1.0, generator=seeded(5))
    steps = [anchored_step(anchor, ratio=1e3, num_data=12) for anchor in anchors]
    ensemble = fit_ensemble(
        small, batch(), members=2, generator=seeded(), step=steps, epochs=60, optimizer=sgd(0.003), schedule=None
    )
    for member, anchor in zip(ensemble.members, anchors, strict=True):
        assert float((flatten(member) - anchor).abs().max()) < 0.05


def test_error_pulls_that_do_not_fit():
    one, theta = torch.tensor(1.0), torch.zeros(3)
    with pytest.raises(ParameterError, match=r"one shape \(P,\)"):
        anchored_loss(one, theta, torch.zeros(4), ratio=1.0, num_data=1)
    with pytest.raises(ParameterError, match="num_data must be a whole number"):
        anchored_loss(one, theta, theta, ratio=1.0, num_data=0)
    for ratio in (-1.0, float("nan"), torch.ones(2)):
        with pytest.raises(ParameterError, match="ratio must be finite"):
            anchored_loss(one, theta, theta, ratio=ratio, num_data=1)
    for std in (0.0, torch.ones(2)):
        with pytest.raises(ParameterError, match="prior_std must be finite and > 0"):
            draw_anchors(nn.Linear(2, 2), 3, prior_std=std, generator=seeded())


def test_oracle_worst_neighbors_of_a_linear_classifier():
    """The loss falls with the margin y w.x, so the worst step is -epsilon y sign(w), which costs epsilon |w|_1."""
    w = torch.tensor([1.0, -2.0, 0.5]).double()
    model = nn.Linear(3, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.stack([0 * w, w]))
    x, y = normal(6, 3), torch.tensor([0, 1, 0, 1, 1, 0])
    sign = 2.0 * y.double() - 1
    moved = fgsm_examples(model, x, y, epsilon=0.1)
    torch.testing.assert_close(moved, x - 0.1 * sign[:, None] * w.sign())
    margins = sign * (x @ w)
    wanted = (-margins).exp().log1p().mean() + (-(margins - 0.1 * w.abs().sum())).exp().log1p().mean()
    torch.testing.assert_close(fgsm_augmented_loss(model, x, y, epsilon=0.1), wanted)


def test_property_zero_epsilon_is_twice_the_loss_and_a_small_one_never_lowers_it():
    model, data = small(seeded()), batch()
    plain = loss_of(model(data.x), data.y)
    torch.testing.assert_close(fgsm_augmented_loss(model, data.x, data.y, epsilon=0.0), 2 * plain)
    assert fgsm_augmented_loss(model, data.x, data.y, epsilon=1e-4) > 2 * plain


def test_property_epsilon_for_each_input():
    data, size = batch(), torch.tensor([0.0, 0.1, 0.2, 0.0]).double()
    moved = fgsm_examples(small(seeded()), data.x, data.y, epsilon=size) - data.x
    torch.testing.assert_close(moved.abs(), size.expand(12, -1))


def test_property_the_neighbors_are_held_constant_and_the_model_is_left():
    model, data = small(seeded()), batch()
    x = data.x.clone()
    loss = fgsm_augmented_loss(model, data.x, data.y, epsilon=0.3)
    found = torch.autograd.grad(loss, list(model.parameters()))
    moved = fgsm_examples(model, data.x, data.y, epsilon=0.3)
    again = loss_of(model(data.x), data.y) + loss_of(model(moved), data.y)
    for one, other in zip(found, torch.autograd.grad(again, list(model.parameters())), strict=True):
        torch.testing.assert_close(one, other)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(data.x, x)
    assert not data.x.requires_grad


def test_property_training_on_neighbors_makes_answers_smooth():
    data = batch(60)
    plain, smooth = (
        fit_ensemble(small, data, members=2, generator=seeded(), step=step, epochs=30, optimizer=sgd(0.1))
        for step in (fgsm_step(0.0), fgsm_step(0.5))
    )

    def rise(ensemble):
        losses = []
        for member in ensemble.members:
            moved = fgsm_examples(member, data.x, data.y, epsilon=0.5)
            losses.append(loss_of(member(moved), data.y) - loss_of(member(data.x), data.y))
        return float(sum(losses).detach())

    assert rise(smooth) < 0.8 * rise(plain)


def test_error_neighbors_that_cannot_be_had():
    model, data = small(seeded()), batch()
    with pytest.raises(ParameterError, match="floating dtype"):
        fgsm_examples(model, data.y[:, None], data.y, epsilon=0.1)
    for epsilon in (-0.1, float("nan"), float("inf"), torch.tensor([0.1, -0.1, 0.0, 0.0])):
        with pytest.raises(ParameterError, match="epsilon is a size"):
            fgsm_augmented_loss(model, data.x, data.y, epsilon=epsilon)
