"""Folding: against the two modules one after the other."""

import pytest
import torch
from torch import nn

from weightlore.binary import fold_norm, pooled_convolution
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(module, seed=0):
    """A module in float64 whose parameters and statistics are random, variances positive."""
    generator = seeded(seed)
    module = module.double().eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                draw = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                tensor.copy_(draw.abs() + 0.1 if name.endswith("running_var") else draw)
    return module


def images(*shape, seed=1):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_oracle_folded_norm_is_the_layer_and_its_norm(affine, bias):
    convolution, norm = filled(nn.Conv2d(3, 5, 3, padding=1, bias=bias)), filled(nn.BatchNorm2d(5, affine=affine))
    x = images(4, 3, 6, 6)
    torch.testing.assert_close(fold_norm(convolution, norm)(x), norm(convolution(x)), rtol=1e-12, atol=1e-12)
    dense, norm = filled(nn.Linear(7, 5, bias=bias)), filled(nn.BatchNorm1d(5, affine=affine))
    x = images(4, 7)
    torch.testing.assert_close(fold_norm(dense, norm)(x), norm(dense(x)), rtol=1e-12, atol=1e-12)


def test_property_folding_leaves_both_as_they_are():
    layer, norm = filled(nn.Linear(4, 3, bias=False)), filled(nn.BatchNorm1d(3))
    before = [t.clone() for t in (*layer.state_dict().values(), *norm.state_dict().values())]
    folded = fold_norm(layer, norm)
    assert layer.bias is None
    assert folded.bias.dtype == torch.float64
    after = (*layer.state_dict().values(), *norm.state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("window", [2, 3, (2, 3)])
@pytest.mark.parametrize("padding", [0, 1, (1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_oracle_pooled_convolution_is_one_strided_kernel(window, padding, bias):
    convolution, pool = filled(nn.Conv2d(2, 4, 3, padding=padding, bias=bias)), nn.AvgPool2d(window)
    joined = pooled_convolution(convolution, pool)
    x = images(3, 2, 11, 13)
    torch.testing.assert_close(joined(x), pool(convolution(x)), rtol=1e-12, atol=1e-12)
    rows, columns = (window, window) if isinstance(window, int) else window
    assert joined.weight.shape == (4, 2, 2 + rows, 2 + columns)


def test_oracle_two_by_two_pooling_of_three_by_three_is_four_by_four_at_stride_two():
    convolution = filled(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    joined = pooled_convolution(convolution, nn.AvgPool2d(2))
    assert joined.kernel_size == (4, 4)
    assert joined.stride == (2, 2)
    assert torch.equal(joined.weight[0, 0, 0, 0], convolution.weight[0, 0, 0, 0] / 4)


def test_oracle_overlapping_windows_keep_the_stride_of_the_pooling():
    convolution, pool = filled(nn.Conv2d(2, 3, 3)), nn.AvgPool2d(3, stride=1)
    x = images(2, 2, 9, 9)
    torch.testing.assert_close(pooled_convolution(convolution, pool)(x), pool(convolution(x)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "pool"),
    [
        (nn.Conv2d(1, 1, 3, stride=2), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 1, 3, dilation=2), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 1, 3, padding="same"), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), nn.AvgPool2d(2)),
        (nn.Conv2d(1, 1, 3), nn.AvgPool2d(2, ceil_mode=True)),
        (nn.Conv2d(1, 1, 3), nn.AvgPool2d(2, padding=1)),
        (nn.Conv2d(1, 1, 3), nn.AvgPool2d(2, divisor_override=1)),
    ],
)
def test_error_convolutions_that_cannot_be_joined(layer, pool):
    with pytest.raises(ParameterError, match="leave the two apart"):
        pooled_convolution(layer, pool)


def test_error_norms_that_cannot_be_folded():
    with pytest.raises(ParameterError, match="track_running_stats=True"):
        fold_norm(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False))
    with pytest.raises(ParameterError, match="5 channels cannot stand behind a layer with 3 outputs"):
        fold_norm(nn.Linear(2, 3), nn.BatchNorm1d(5))
