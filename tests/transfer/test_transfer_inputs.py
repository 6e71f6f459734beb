"""What a stream does to its input, and statistics estimated again."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks import mlp, resnet20
from weightlore.transfer import InputFormat, adapt_norms, to_channels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=6, channels=1, size=8, seed=1, dtype=torch.float64):
    return torch.rand(count, channels, size, size, generator=seeded(seed), dtype=dtype)


def test_oracle_grey_and_color():
    grey, color = images(), images(channels=3)
    assert torch.equal(to_channels(grey, 3), grey.repeat(1, 3, 1, 1))
    red, green, blue = color.unbind(1)
    torch.testing.assert_close(to_channels(color, 1)[:, 0], 0.299 * red + 0.587 * green + 0.114 * blue)
    torch.testing.assert_close(to_channels(to_channels(grey, 3), 1), grey, rtol=0, atol=1e-6)
    assert to_channels(color, 3) is color


def test_oracle_normalization_by_channel():
    x = images(channels=3)
    mean, spread = torch.tensor([0.1, 0.2, 0.3]).double(), torch.tensor([1.0, 2.0, 4.0]).double()
    expected = (x - mean[:, None, None]) / spread[:, None, None]
    assert torch.equal(InputFormat(mean=mean.tolist(), spread=spread.tolist())(x), expected)
    torch.testing.assert_close(InputFormat(mean=0.5, spread=2)(x), (x - 0.5) / 2, rtol=0, atol=0)
    assert torch.equal(InputFormat()(x), x)
    assert InputFormat(mean=0.5)(x.float()).dtype == torch.float32
    assert InputFormat(mean=0.5)(torch.ones(2, 4)).tolist() == [[0.5] * 4] * 2


def test_property_size_then_channels_then_numbers():
    made = InputFormat(channels=3, size=(4, 16), mean=[0.0, 0.5, 1.0])(images())
    assert made.shape == (6, 3, 4, 16)
    torch.testing.assert_close(made[:, 0] - 0.5, made[:, 1], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_channels(images(channels=2), 3), "convert them before"),
        (lambda: to_channels(images(channels=3), 2), "for 2 channels"),
        (lambda: to_channels(torch.zeros(2, 4), 3), r"got \(2, 4\)"),
        (lambda: InputFormat(spread=0.0), "must be > 0"),
        (lambda: InputFormat(mean=float("nan")), "NaN or infinite"),
        (lambda: InputFormat(mean=[0.1, 0.2])(images(channels=3)), "2 means or spreads do not fit 3 channels"),
        (lambda: InputFormat(size=(4, 4))(torch.zeros(2, 64)), "only images"),
        (lambda: adapt_norms(mlp(generator=seeded()), torch.zeros(4, 64)), "no batch normalization"),
        (lambda: adapt_norms(network(), images(1, 3)), "needs two examples.*got 1"),
        (lambda: adapt_norms(network(), images(4, 3), batch_size=1), "batch_size 1"),
        (lambda: adapt_norms(network(), images(4, 3) / 0), "NaN or infinite"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def network():
    model = resnet20(width=2, classes=3, generator=seeded(), dtype=torch.float64)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand(buffer.shape, generator=seeded(4), dtype=buffer.dtype))
    return model.eval()


def test_oracle_statistics_of_the_first_layer():
    model, x = network(), images(12, 3, size=8)
    twin = adapt_norms(model, x)
    seen = model.stem(x)
    torch.testing.assert_close(twin.stem_norm.running_mean, seen.mean((0, 2, 3)), rtol=1e-12, atol=0)
    torch.testing.assert_close(twin.stem_norm.running_var, seen.var((0, 2, 3)), rtol=1e-12, atol=0)
    halves = adapt_norms(model, x, batch_size=6)
    variances = torch.stack([half.var((0, 2, 3)) for half in seen.split(6)]).mean(0)
    torch.testing.assert_close(halves.stem_norm.running_var, variances, rtol=1e-12, atol=0)


def test_property_on_the_data_it_was_estimated_on_it_is_batch_normalization():
    model, x = network(), images(12, 3)
    twin = adapt_norms(model, x)
    with torch.no_grad():
        normed = twin.stem_norm(twin.stem(x))
    torch.testing.assert_close(normed.mean((0, 2, 3)), twin.stem_norm.bias.detach(), rtol=0, atol=1e-10)
    assert not torch.equal(twin(x), model(x))


def test_property_the_network_stays_and_only_statistics_of_the_copy_change():
    model, x = network(), images(13, 3)
    given = {n: t.clone() for n, t in model.state_dict().items()}
    twin = adapt_norms(model, x, batch_size=4)  # 4, 4, 5: no batch of one
    assert all(torch.equal(t, given[n]) for n, t in model.state_dict().items())
    assert not model.training
    assert not any(module.training for module in twin.modules())
    changed = {n.rpartition(".")[2] for n, t in twin.state_dict().items() if not torch.equal(t, given[n])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    norms = [m for m in twin.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.momentum == 0.1 for norm in norms)
    assert all(int(norm.num_batches_tracked) == 3 for norm in norms)
