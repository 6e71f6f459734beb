import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import vgg11, vgg15
from weightlore.parameters import layout


def shapes(model):
    return [tuple(slot.shape) for slot in layout(model, "weight").slots]


def test_oracle_vgg15_has_the_published_widths_and_no_bias(generator):
    model = vgg15(classes=100, generator=generator)
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = [(b, a, 3, 3) for a, b in zip([3, *widths], widths, strict=False)]
    assert shapes(model) == [*convolutions, (4096, 512), (100, 4096)]
    assert layout(model).size == layout(model, "weight").size
    assert model.readout.weight.detach().std().item() == pytest.approx(0.01, rel=0.02)
    assert [l for l in range(14) if isinstance(model.pools[l], nn.AvgPool2d)] == [1, 3, 6, 9, 12]  # noqa: E741


def test_oracle_vgg11_has_the_published_widths(generator):
    model = vgg11(generator=generator)
    widths = [64, 128, 256, 256, 512, 512, 512, 512]
    convolutions = [(b, a, 3, 3) for a, b in zip([3, *widths], widths, strict=False)]
    assert shapes(model) == [*convolutions, (512, 512), (512, 512), (10, 512)]
    assert layout(model, "bias").size == sum(widths) + 512 + 512 + 10


def test_oracle_pooling_stands_before_the_relu_in_vgg15_and_after_it_in_vgg11(generator):
    x = torch.randn(2, 3, 32, 32, generator=generator, dtype=torch.float64)
    spiking = vgg15(width=2, generator=generator, dtype=torch.float64).eval()
    h = F.conv2d(x, spiking.layers[0].weight, padding=1).relu()
    h = F.avg_pool2d(F.conv2d(h, spiking.layers[1].weight, padding=1), 2).relu()
    torch.testing.assert_close(spiking.activations(x)[1], h)
    plain = vgg11(width=2, generator=generator, dtype=torch.float64).eval()
    h = F.avg_pool2d(F.conv2d(x, plain.layers[0].weight, plain.layers[0].bias, padding=1).relu(), 2)
    h = F.conv2d(h, plain.layers[1].weight, plain.layers[1].bias, padding=1).relu()
    torch.testing.assert_close(plain.activations(x)[1], h)


@pytest.mark.parametrize("size", [1, 28, 31, 32, 33, 64])
@pytest.mark.parametrize("build", [vgg11, vgg15])
def test_limit_any_size_of_image(build, size, generator):
    model = build(width=1, size=size, generator=generator).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 10)


@pytest.mark.parametrize(("build", "drops"), [(vgg11, [7, 8]), (vgg15, list(range(14)))])
def test_property_dropout_only_in_training_and_only_where_it_belongs(build, drops, generator):
    model = build(width=1, dropout=0.25, generator=generator)
    a = torch.ones(1, 10000)
    for l in range(model.num_layers):  # noqa: E741
        dropped = float((model.train().phi(l)(a) == 0).double().mean())
        assert (0.2 < dropped < 0.3) if l in drops else dropped == 0
        assert torch.equal(model.eval().phi(l)(a), a)


def test_error_dropout_and_sizes(generator):
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(ParameterError, match=r"dropout is the share of activations dropped, in \[0, 1\)"):
            vgg11(dropout=share, generator=generator)
    with pytest.raises(ParameterError, match="width must be"):
        vgg15(width=0, generator=generator)
