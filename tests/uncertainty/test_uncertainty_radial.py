"""Radial networks: kernels, centers followed by hand, both losses against other ways to them, and training."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from weightlore.data import Split, two_moons
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam
from weightlore.uncertainty.deterministic import (
    DUQ,
    RBFHead,
    ResidualTrunk,
    duq,
    fit_duq,
    gradient_penalty,
    radial_loss,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def small_head(classes=3, momentum=0.75):
    return RBFHead(4, classes, size=2, length_scale=0.5, momentum=momentum, start=12.0, generator=seeded())


def test_oracle_kernel_written_out():
    head, h = small_head(), normal(5, 4)
    for i in range(5):
        for c in range(3):
            d = head.weight[c] @ h[i] - head.sums[c] / head.counts[c]
            expected = math.exp(-float((d**2).sum().detach()) / 2 / (2 * 0.5**2))
            assert float(head(h)[i, c].detach()) == pytest.approx(expected, rel=1e-12)


def test_property_kernel_is_one_at_the_center_and_never_above():
    head = RBFHead(3, 2, size=3, length_scale=0.4, generator=seeded())
    at_center = torch.linalg.solve(head.weight[1], head.centroids[1]).detach()
    kernel = head(torch.cat([at_center[None], normal(50, 3)])).detach()
    assert float(kernel[0, 1]) == pytest.approx(1.0, abs=1e-12)
    assert bool(((kernel > 0) & (kernel <= 1)).all())


def test_oracle_centers_over_three_batches_by_hand():
    head, g = small_head(momentum=0.75), 0.75
    weight = head.weight.detach()
    n, m = head.counts.tolist(), head.sums.clone()
    for seed, labels in enumerate([[0, 1, 2, 0], [0, 0, 1], [2, 1, 1, 1]]):  # the second batch has no class 2
        h, y = normal(len(labels), 4, seed=seed), torch.tensor(labels)
        before = head.centroids.clone()
        head.update(h, y)
        for c in range(3):
            n[c] = g * n[c] + (1 - g) * labels.count(c)
            total = torch.zeros(2).double()
            for row, label in zip(h, labels, strict=True):
                if label == c:
                    total = total + weight[c] @ row
            m[c] = g * m[c] + (1 - g) * total
        torch.testing.assert_close(head.centroids, m / torch.tensor(n)[:, None].double(), rtol=1e-12, atol=1e-12)
        if 2 not in labels:
            torch.testing.assert_close(head.centroids[2], before[2], rtol=1e-13, atol=0.0)


def test_oracle_loss_of_torch_and_its_gradient():
    q, y = normal(6, 4).abs(), torch.tensor([0, 1, 2, 3, 1, 1])
    onehot = functional.one_hot(y, 4).double()
    theirs = functional.binary_cross_entropy((-q).exp(), onehot, reduction="sum") / 6
    torch.testing.assert_close(radial_loss(q, y), theirs)
    assert torch.autograd.gradcheck(lambda e: radial_loss(e, y), q.requires_grad_())


def test_limit_far_examples_still_have_a_gradient_and_centers_of_others_no_infinity():
    q = torch.tensor([[5000.0, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = radial_loss(q, torch.tensor([0]))
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert float(q.grad[0, 0]) == 1.0


def test_oracle_penalty_row_by_row():
    model, x = DUQ(nn.Linear(3, 4).double(), small_head()), normal(5, 3)
    expected = []
    for row in x:
        slope = torch.func.grad(lambda v: model(v[None]).sum())(row)
        expected.append((float(slope.detach().square().sum()) - 1) ** 2)
    found = gradient_penalty(model, x)
    assert float(found.detach()) == pytest.approx(sum(expected) / 5, rel=1e-10)
    found.backward()
    assert float(model.trunk.weight.grad.abs().max()) > 0, "it is differentiable in the parameters"
    assert not x.requires_grad


def convolved(inplace):
    """A radial network over convolutions, a maximum and ReLUs."""
    layers = (nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 2, 3, padding=1))
    for i, layer in enumerate(layers):
        for p in layer.parameters():
            p.data = 0.4 * normal(*p.shape, seed=i)
    first, pool, second = layers
    trunk = nn.Sequential(first, nn.ReLU(inplace), pool, second, nn.ReLU(inplace), nn.Flatten())
    return DUQ(trunk, RBFHead(18, 3, size=4, length_scale=0.5, generator=seeded()))


@pytest.mark.parametrize("inplace", [False, True])
def test_oracle_penalty_through_a_maximum_and_its_gradient_by_differences(inplace):
    model, x = convolved(inplace), normal(2, 1, 6, 6, seed=4)
    weight, penalty = model.trunk[0].weight, gradient_penalty(model, x)
    (slope,) = torch.autograd.grad(penalty, weight)
    direction, values = normal(*weight.shape, seed=9), []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            weight += step * direction
        values.append(float(gradient_penalty(model, x).detach()))
        with torch.no_grad():
            weight -= step * direction
    assert float((slope * direction).sum()) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)
    assert abs(values[0] - values[1]) > 1e-8


def test_limit_a_first_layer_in_place_leaves_the_inputs_as_they_are():
    x, head = normal(5, 4), small_head()
    before = x.clone()
    models = [DUQ(nn.ReLU(inplace), head) for inplace in (True, False)]
    found = [float(gradient_penalty(model, x).detach()) for model in models]
    assert found[0] == found[1]
    assert torch.equal(x, before)


def test_error_of_a_slope_that_is_overwritten():
    model = DUQ(nn.Sequential(nn.Sigmoid(), nn.ReLU(inplace=True)), small_head())
    with pytest.raises(ParameterError, match="make layers with inplace=False"):
        gradient_penalty(model, normal(3, 4))


def test_property_training_learns_and_doubts_far_away():
    data = two_moons(200, noise=0.1, generator=seeded())
    trunk = ResidualTrunk(2, width=16, layers=2, generator=seeded())
    model = DUQ(trunk, RBFHead(16, 2, size=8, length_scale=0.3, momentum=0.9, generator=seeded()))
    fit_duq(model, data, generator=seeded(), epochs=15, batch_size=32, optimizer=adam(5e-3), penalty=0.1)
    assert float((model.predict_proba(data.x).labels == data.y).double().mean()) > 0.9
    far = 8 * functional.normalize(normal(50, 2), dim=1)
    assert float(model.score(far).min()) > float(model.score(data.x).median())
    assert float(model.score(far).median()) > 0.99


def test_property_centers_follow_the_updated_network_once_a_step():
    data = Split(normal(12, 2), torch.arange(12) % 2)
    model = duq(mlp((2, 3, 2), generator=seeded()), classes=2, momentum=0.5, generator=seeded())
    seen = []
    plain = model.update
    model.update = lambda x, y: (seen.append([p.detach().clone() for p in model.parameters()]), plain(x, y))[1]
    fit_duq(model, data, generator=seeded(), epochs=2, batch_size=4, penalty=0.0, schedule=None)
    assert len(seen) == 6
    assert all(torch.equal(one, other) for one, other in zip(seen[-1], model.parameters(), strict=True))
    assert all(not torch.equal(seen[i][0], seen[i + 1][0]) for i in range(5))


def test_property_kernels_are_what_the_probabilities_are_made_of():
    model, x = DUQ(nn.Identity(), small_head()), normal(4, 4)
    kernel = model(x).detach()
    torch.testing.assert_close(model.predict_proba(x).probs[0], kernel / kernel.sum(1, keepdim=True))
    torch.testing.assert_close(model.score(x), 1 - kernel.amax(1))
    assert torch.equal(model.score(1e6 * x), torch.ones(4).double())


def test_property_scores_probabilities_and_centers_are_those_of_evaluation_mode():
    model, x, y = DUQ(nn.Dropout(0.5), small_head()).train(), normal(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    plain = DUQ(nn.Identity(), small_head())
    for found in (model, plain):
        found.update(x, y)
    assert torch.equal(model.head.centroids, plain.head.centroids)
    assert torch.equal(model.score(x), plain.score(x))
    assert torch.equal(model.predict_proba(x).probs, plain.predict_proba(x).probs)
    assert all(module.training for module in model.modules())


def test_error_targets_arguments_and_places():
    head = small_head()
    with pytest.raises(ParameterError, match="class numbers"):
        head.update(normal(2, 4), torch.tensor([0.0, 1.0]))
    with pytest.raises(ParameterError, match="from 0 to 2"):
        head.update(normal(2, 4), torch.tensor([0, 3]))
    with pytest.raises(ParameterError, match="the head reads features"):
        head(normal(2, 5))
    with pytest.raises(ParameterError, match="must be finite"):
        head.update(normal(2, 4) * math.nan, torch.tensor([0, 1]))
    with pytest.raises(ParameterError, match="momentum in"):
        RBFHead(2, 2, size=1, length_scale=1.0, momentum=1.0, generator=seeded())
    with pytest.raises(ParameterError, match="length_scale"):
        RBFHead(2, 2, size=1, length_scale=0.0, generator=seeded())
    with pytest.raises(ParameterError, match="length_scale and start must be positive"):
        RBFHead(2, 2, size=1, length_scale=1.0, start=0.0, generator=seeded())
    with pytest.raises(ParameterError, match="exponents must be >= 0"):
        radial_loss(-torch.ones(1, 2), torch.tensor([0]))
    with pytest.raises(ParameterError, match="must be floating to have a slope"):
        gradient_penalty(DUQ(nn.Identity(), head), torch.ones(1, 4, dtype=torch.int64))
    with pytest.raises(ParameterError, match="penalty weighs the slope"):
        fit_duq(DUQ(nn.Identity(), head), Split(normal(2, 4), torch.tensor([0, 1])), generator=seeded(), penalty=-1.0)
