"""One sign for each weight and one scale for each output: against brute force, autograd and the authors' formulas."""

import itertools

import pytest
import torch
from torch import nn

from weightlore.binary import weights
from weightlore.binary.layers import binary_layers
from weightlore.binary.weights import binarize, binary_gradient, binary_weight, project_, sign
from weightlore.errors import ParameterError

SHAPES = [(3, 5), (4, 3, 3, 3), (1, 2), (2, 7, 1, 1)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64, spread=1.0):
    return spread * torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def by_filter(alpha, weight):
    return alpha.view(-1, *[1] * (weight.ndim - 1))


def autograd_of(weight, gradient, limit=1.0):
    """Derivative of mean|W| times a sign that lets gradients through where |W| <= limit: an oracle of its own."""
    w = weight.clone().requires_grad_()
    clipped = w.clamp(-limit, limit)
    signs = clipped + (torch.where(w >= 0, 1.0, -1.0) - clipped).detach()
    value = by_filter(w.abs().flatten(1).mean(1), w) * signs
    return value.detach(), torch.autograd.grad(value, w, gradient)[0]


def authors_gradient(weight, gradient):
    """Step 7, output by output and entry by entry."""
    found = torch.zeros_like(weight)
    for o in range(len(weight)):
        w, g = weight[o].flatten(), gradient[o].flatten()
        n, i = len(w), weight.shape[1]
        for j in range(n):
            straight = w.abs().mean() * g[j] if abs(w[j]) <= 1 else 0.0
            through_scale = (1 if w[j] >= 0 else -1) / n * sum(g[m] * (1 if w[m] >= 0 else -1) for m in range(n))
            found[o].view(-1)[j] = (straight + through_scale) * (1 - 1 / i) * n
    return found


def test_property_sign_has_two_values_also_at_both_zeros():
    x = torch.tensor([-3.0, -0.0, 0.0, 1e-300, -1e-300, float("inf"), -float("inf")], dtype=torch.float64)
    assert sign(x).tolist() == [-1, 1, 1, 1, -1, 1, -1]
    assert sign(x.half()).dtype == torch.float16
    w = torch.tensor([1.0, -1.0], requires_grad=True)
    assert not sign(w).requires_grad


@pytest.mark.parametrize("shape", SHAPES)
def test_oracle_no_other_scale_and_signs_come_closer(shape):
    w = normal(*shape)
    scale, signs = binarize(w)
    assert scale.shape == shape[:1]
    assert set(signs.unique().tolist()) <= {-1.0, 1.0}
    best = (w - by_filter(scale, w) * signs).flatten(1).square().sum(1)
    n = w[0].numel()
    torch.testing.assert_close(best, w.flatten(1).square().sum(1) - n * scale**2)
    generator = seeded(1)
    for _ in range(1000):
        alpha = 2 * torch.rand(shape[0], generator=generator, dtype=w.dtype)
        pattern = torch.randint(2, shape, generator=generator).to(w.dtype) * 2 - 1
        assert bool(((w - by_filter(alpha, w) * pattern).flatten(1).square().sum(1) >= best).all())


def test_oracle_every_pattern_of_six_signs_with_its_best_scale():
    w = normal(1, 6)
    scale, signs = binarize(w)
    best = (w - scale * signs).square().sum()
    for pattern in itertools.product([-1.0, 1.0], repeat=6):
        b = torch.tensor([pattern], dtype=w.dtype)
        alpha = (w * b).sum() / 6
        assert (w - alpha * b).square().sum() >= best - 1e-12


def test_limit_zeros_give_a_dead_filter_whose_signs_are_up():
    w = normal(3, 4)
    w[1] = 0
    scale, signs = binarize(w)
    assert scale[1] == 0
    assert signs[1].tolist() == [1, 1, 1, 1]
    g = normal(3, 4, seed=1)
    found = binary_gradient(w, g, rescale=None)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[1], (g[1].sum() / 4).expand(4))  # only through the scale
    assert torch.equal(binary_weight(w)[1], torch.zeros(4, dtype=w.dtype))


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
def test_property_projection_centers_then_clamps_in_place(shape):
    w = normal(*shape, spread=0.1)
    given = w.clone()
    assert project_(w) is w
    torch.testing.assert_close(w, given - given.mean(1, keepdim=True))
    assert w.mean(1).abs().max() < 1e-15
    w = normal(*shape, spread=3.0)
    centered = w - w.mean(1, keepdim=True)
    assert torch.equal(project_(w.clone()), centered.clamp(-1, 1))
    assert torch.equal(project_(w.clone(), limit=None), centered)
    assert torch.equal(project_(w.clone(), center=False, limit=0.5), w.clamp(-0.5, 0.5))
    assert torch.equal(project_(w.clone(), center=False, limit=None), w)


def test_property_projection_moves_a_parameter_without_a_graph():
    layer = nn.Linear(4, 3)
    project_(layer.weight)
    assert layer.weight.grad_fn is None
    assert layer.weight.requires_grad


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limit", [1.0, 0.3, 100.0])
def test_oracle_gradient_is_autograd_of_scale_times_sign(shape, limit):
    w, g = normal(*shape), normal(*shape, seed=1)
    value, expected = autograd_of(w, g, limit)
    torch.testing.assert_close(binary_gradient(w, g, rescale=None, limit=limit), expected, rtol=1e-12, atol=1e-14)
    w.requires_grad_()
    found = binary_weight(w, limit=limit)
    torch.testing.assert_close(found.detach(), value, rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.autograd.grad(found, w, g)[0], expected, rtol=1e-12, atol=1e-14)
    if limit == 100.0:
        assert torch.equal(binary_gradient(w.detach(), g, limit=None), binary_gradient(w.detach(), g, limit=limit))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 3, 2)])
def test_oracle_gradient_with_its_factor_is_the_authors(shape):
    w, g = normal(*shape), normal(*shape, seed=1)
    torch.testing.assert_close(binary_gradient(w, g), authors_gradient(w, g))
    torch.testing.assert_close(binary_gradient(w, g, rescale=1e9), 1e9 * authors_gradient(w, g))
    n, i = w[0].numel(), shape[1]
    plain = binary_gradient(w, g, rescale=None)
    torch.testing.assert_close(binary_gradient(w, g, center=False), n * plain)
    torch.testing.assert_close(binary_gradient(w, g), n * (1 - 1 / i) * plain)


def test_oracle_the_factor_is_the_diagonal_of_the_centering_jacobian():
    w = normal(2, 5, 2, 2)
    jacobian = torch.autograd.functional.jacobian(lambda v: v - v.mean(1, keepdim=True), w)
    diagonal = jacobian.reshape(w.numel(), w.numel()).diagonal()
    torch.testing.assert_close(diagonal, torch.full_like(diagonal, 1 - 1 / 5))


@pytest.mark.parametrize("block", [1, 7, 40])
def test_property_blocks_do_not_change_a_bit(block, monkeypatch):
    w, g = normal(6, 3, 2, 2), normal(6, 3, 2, 2, seed=1)
    whole = binary_gradient(w, g, limit=0.5), binary_weight(w)
    monkeypatch.setattr(weights, "BLOCK", block)
    assert torch.equal(binary_gradient(w, g, limit=0.5), whole[0])
    assert torch.equal(binary_weight(w), whole[1])


def test_property_nothing_of_the_caller_changes():
    w, g = normal(3, 4), normal(3, 4, seed=1)
    kept = w.clone(), g.clone()
    binarize(w), binary_gradient(w, g), binary_weight(w), sign(w)
    assert torch.equal(w, kept[0])
    assert torch.equal(g, kept[1])


def network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(4, 3),
        nn.Linear(3, 2),
    )


def test_property_first_and_last_layer_are_left_out():
    assert binary_layers(network()) == ("2", "5")
    assert binary_layers(network(), ["5", "0"]) == ("0", "5")
    tied = nn.Linear(3, 3)
    assert binary_layers(nn.Sequential(nn.Linear(3, 3), tied, tied, nn.Linear(3, 3))) == ("1",)


def test_error_layers():
    with pytest.raises(ParameterError, match=r"the model has 2 layers.*name the layers"):
        binary_layers(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    with pytest.raises(ParameterError, match=r"'3', 'x' was given.*'0', '2', '5', '6'"):
        binary_layers(network(), ["3", "5", "x"])
    with pytest.raises(ParameterError, match="no name was given"):
        binary_layers(network(), [])


@pytest.mark.parametrize("shape", [(4, 1), (4, 1, 3, 3)])
def test_error_one_input_channel_is_never_centered(shape):
    w = normal(*shape)
    kept = w.clone()
    with pytest.raises(ParameterError, match=r"one input channel, and centering would set it to zero.*center=False"):
        project_(w)
    with pytest.raises(ParameterError, match="one input channel"):
        binary_gradient(w, w)
    assert torch.equal(w, kept)
    assert torch.equal(project_(w.clone(), center=False), kept.clamp(-1, 1))
    torch.testing.assert_close(binary_gradient(w, w, rescale=None), autograd_of(w, w)[1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_error_weights_that_are_not_finite(bad):
    w, g = normal(3, 4), normal(3, 4, seed=1)
    broken = w.clone()
    broken[1, 2] = bad
    for call in (
        lambda: binarize(broken),
        lambda: project_(broken),
        lambda: binary_weight(broken),
        lambda: binary_gradient(broken, g),
        lambda: binary_gradient(w, broken),
    ):
        with pytest.raises(ParameterError, match="must be finite, but 1 of its 12"):
            call()


def test_error_shapes_types_and_numbers():
    w = normal(3, 4)
    for wrong in (torch.ones(4), torch.ones(2, 2, dtype=torch.int64), torch.ones(0, 3), [[1.0]]):
        with pytest.raises(ParameterError, match=r"must be a floating tensor of shape \(O, I, ...\)"):
            binarize(wrong)
    with pytest.raises(ParameterError, match=r"shape of the weight, \(3, 4\), got \(4, 3\)"):
        binary_gradient(w, w.T)
    for limit in (0.0, -1.0, float("nan")):
        for call in (project_, binary_weight, lambda v, limit: binary_gradient(v, v, limit=limit)):
            with pytest.raises(ParameterError, match="limit is the largest magnitude"):
                call(w.clone(), limit=limit)
        with pytest.raises(ParameterError, match="rescale must be > 0"):
            binary_gradient(w, w, rescale=limit)
