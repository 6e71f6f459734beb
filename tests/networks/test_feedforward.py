import pytest
import torch
import torch.nn.functional as F

from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.parameters import layout


def test_oracle_mlp_is_the_formula(generator):
    model = mlp((5, 4, 3, 2), generator=generator)
    w = dict(model.named_parameters())
    x = torch.rand(6, 5, generator=generator, dtype=torch.float64)
    h = (x @ w["layers.0.weight"].T + w["layers.0.bias"]).clamp(min=0)
    h = (h @ w["layers.1.weight"].T + w["layers.1.bias"]).clamp(min=0)
    torch.testing.assert_close(model(x), h @ w["readout.weight"].T + w["readout.bias"])


def test_oracle_normalized_mlp_normalizes_before_the_relu(generator):
    model = mlp((5, 4, 2), normalize=True, generator=generator)
    with torch.no_grad():
        model.norms[0].weight.uniform_(0.5, 2.0, generator=generator)
        model.norms[0].bias.uniform_(-1.0, 1.0, generator=generator)
    x = torch.rand(6, 5, generator=generator, dtype=torch.float64)
    a = F.linear(x, model.layers[0].weight, model.layers[0].bias)
    normal = (a - a.mean(1, keepdim=True)) / (a.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    h = (normal * model.norms[0].weight + model.norms[0].bias).clamp(min=0)
    torch.testing.assert_close(model(x), F.linear(h, model.readout.weight, model.readout.bias))


def test_oracle_cnn_pools_after_the_relu(generator):
    model = cnn(generator=generator)
    w = dict(model.named_parameters())
    x = torch.rand(6, 64, generator=generator, dtype=torch.float64)
    h = x.reshape(6, 1, 8, 8)
    for l in (0, 1):  # noqa: E741
        h = F.avg_pool2d(F.conv2d(h, w[f"layers.{l}.weight"], w[f"layers.{l}.bias"], padding=1).relu(), 2)
    h = F.linear(h.flatten(1), w["layers.2.weight"], w["layers.2.bias"]).relu()
    torch.testing.assert_close(model(x), F.linear(h, w["readout.weight"], w["readout.bias"]))


def test_property_images_may_come_flat(generator):
    x = torch.rand(6, 1, 8, 8, generator=generator, dtype=torch.float64)
    for model in (mlp(generator=generator), cnn(generator=generator)):
        assert torch.equal(model(x), model(x.flatten(1)))


def test_property_kinds_of_parameters(generator):
    model = mlp((5, 4, 3, 2), normalize=True, generator=generator)
    assert layout(model, "norm").names == ("norms.0.weight", "norms.1.weight")
    assert "norms.0.bias" in layout(model, "bias").names
    assert layout(mlp((5, 4, 2), bias=False, generator=generator)).names == ("layers.0.weight", "readout.weight")


def test_limit_an_image_may_be_halved_down_to_one_pixel(generator):
    model = cnn((2, 2, 2), image=(1, 8, 9), classes=2, generator=generator)
    assert model.layers[3].in_features == 2
    assert model(torch.zeros(0, 72, dtype=torch.float64)).shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sizes": (64,)}, "at least the input and the classes"),
        ({"sizes": (64, 0, 10)}, r"sizes\[1\] must be a whole number of at least 1, got 0"),
        ({"sizes": (64, 2.5, 10)}, r"sizes\[1\] .* got 2.5"),
        ({"sizes": (64, True, 10)}, "got True"),
    ],
)
def test_error_sizes_of_an_mlp(arguments, said, generator):
    with pytest.raises(ParameterError, match=said):
        mlp(**arguments, generator=generator)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"channels": ()}, "blocks must be"),
        ({"channels": (8, -1)}, r"channels\[1\]"),
        ({"channels": (1, 1, 1, 1)}, "an image of 8x8 cannot be halved 4 times; use fewer channels"),
        ({"image": (1, 8, 0)}, "width must be"),
        ({"hidden": 0}, "hidden must be"),
        ({"classes": 0}, "classes must be"),
    ],
)
def test_error_sizes_of_a_cnn(arguments, said, generator):
    with pytest.raises(ParameterError, match=said):
        cnn(**arguments, generator=generator)
