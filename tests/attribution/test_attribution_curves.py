"""Attributions along other paths than the straight one."""

import pytest
import torch
from tests.attribution.attribution_networks import TARGET, convolutional, uniform
from torch import nn

from weightlore.attribution import integrated_gradients, scores
from weightlore.attribution.baselines import gaussian_blur
from weightlore.attribution.curves import blur_integrated_gradients, blur_path, path_attribution
from weightlore.attribution.toys import Formula
from weightlore.errors import ParameterError


def smooth():
    return convolutional(nn.AvgPool2d, nn.Softplus), uniform(3, 2, 8, 8)


def product(z):
    return z[:, 0] * z[:, 1]


def path(*points):
    return torch.tensor(points, dtype=torch.float64)[:, None]


def test_oracle_the_straight_path_is_the_midpoint_rule():
    model, x = smooth()
    b = uniform(3, 2, 8, 8, seed=1)
    points = b + torch.linspace(0, 1, 8, dtype=torch.float64).view(8, 1, 1, 1, 1) * (x - b)
    found = path_attribution(model, points, TARGET, output="probability")
    straight = integrated_gradients(model, x, TARGET, baseline=b, rule="midpoint", nodes=7, output="probability")
    assert torch.allclose(found.values, straight.values, atol=1e-14)
    assert torch.allclose(found.gap, straight.gap, atol=1e-13)
    assert found.output == "probability"


def test_oracle_a_product_along_three_paths():
    # f = x y from (0, 0) to (1, 1): the input that moves last gets everything, the straight path shares alike.
    model = Formula(product)
    for points, wanted in (
        (path((0, 0), (1, 0), (1, 1)), [0.0, 1.0]),
        (path((0, 0), (0, 1), (1, 1)), [1.0, 0.0]),
        (path((0, 0), (1, 1)), [0.5, 0.5]),
    ):
        found = path_attribution(model, points, 0)
        assert found.values.tolist() == [wanted]
        assert found.gap.tolist() == [0.0]


def test_property_the_blurred_path_ends_in_the_picture_and_is_complete():
    model, x = smooth()
    points = blur_path(x, widest=3.0, pieces=6)
    assert points.shape == (7, *x.shape)
    assert torch.equal(points[-1], x)
    assert torch.equal(points[0], gaussian_blur(x, 3.0))
    gaps = []
    for pieces in (20, 40):
        found = blur_integrated_gradients(model, x, TARGET, widest=3.0, pieces=pieces)
        wanted = scores(model, x, TARGET) - scores(model, points[0], TARGET)
        assert torch.allclose(found.gap, found.values.flatten(1).sum(1) - wanted, atol=1e-13)
        gaps.append(float(found.gap.abs().max() / wanted.abs().max()))
    assert gaps[1] < gaps[0] / 2
    assert gaps[1] < 0.02


def test_property_a_flat_picture_has_nothing_to_sharpen():
    model, x = smooth()
    found = blur_integrated_gradients(model, torch.full_like(x, 0.4), TARGET)
    assert float(found.values.abs().max()) < 1e-13


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_property_the_chunk_changes_rounding_at_most(chunk):
    model, x = smooth()
    one, other = (blur_integrated_gradients(model, x, TARGET, pieces=7, chunk=size).values for size in (None, chunk))
    assert torch.allclose(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: path_attribution(m, x[None], 0), "at least two points"),
        (lambda m, x: path_attribution(m, x[0, 0], 0), r"got \(8, 8\)"),
        (lambda m, x: path_attribution(m, torch.stack([x / 0, x]), 0), "the path must be finite"),
        (lambda m, x: blur_path(x, widest=0.0), "widest is the first blur"),
        (lambda m, x: blur_path(x, pieces=0), "pieces must be a whole number"),
        (lambda m, x: blur_path(x.flatten(1)), r"must be images \(N, C, H, W\)"),
        (lambda m, x: blur_integrated_gradients(m.train(), x, 0), "eval mode"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*smooth())


def test_error_a_gradient_that_is_not_finite_names_piece_and_example():
    model = Formula(lambda z: z.abs().sqrt().sum(1))
    points = torch.ones(4, 3, 1, dtype=torch.float64)
    points[2:, 1] = -1
    with pytest.raises(ParameterError, match=r"at node 1 \(a = 0.5\) on the path of example 1 is NaN or infinite"):
        path_attribution(model, points, 0)
