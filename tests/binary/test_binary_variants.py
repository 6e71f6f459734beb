"""Five ways to pool, and activations of one bit."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.binary import to_spiking
from weightlore.binary.activations import BinaryActivation, binary_activation
from weightlore.binary.latent import BinaryTraining
from weightlore.binary.variants import Variant, variant
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import layout
from weightlore.spiking import simulate

KINDS = Variant.__args__


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(kind, **options):
    options = {"image": (2, 9, 7), "stages": ((3, 4), (5,)), "hidden": 6, "classes": 3} | options
    return variant(kind, generator=seeded(), dtype=torch.float64, **options)


def images(count=4, seed=1):
    return torch.randn(count, 2, 9, 7, generator=seeded(seed), dtype=torch.float64)


def average(h):
    """2x2 averages, at an odd edge of those that are there: written out once more."""
    rows, columns = -(-h.shape[2] // 2), -(-h.shape[3] // 2)
    cells = [[h[:, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean((2, 3)) for c in range(columns)] for r in range(rows)]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def maximum(h):
    return F.max_pool2d(h, 2, ceil_mode=True)


def written_out(model, kind, x):
    one, two, three, four = (layer.weight for layer in model.layers)
    pool = average if kind.startswith("average") else maximum
    before = kind.endswith("_before")
    h = F.conv2d(x, one, padding=1).relu()
    h = F.conv2d(h, two, padding=1)
    h = pool(h).relu() if before else pool(h.relu())
    h = F.conv2d(h, three, padding=1)
    h = pool(h).relu() if before else pool(h.relu())
    return (h.flatten(1) @ four.T).relu() @ model.readout.weight.T


@pytest.mark.parametrize("kind", KINDS[:4])
def test_oracle_four_variants_written_out(kind):
    model = build(kind).eval()
    torch.testing.assert_close(model(images()), written_out(model, kind, images()))


def test_oracle_binary_activations_written_out():
    model = build("xnor").eval()
    one, two, three, four = (layer.weight for layer in model.layers)
    eps = (1 + 1e-5) ** 0.5  # a fresh batch normalization in eval mode divides by this

    def bits(h):
        return torch.where(h / eps >= 0, 1.0, -1.0).double()

    h = (F.conv2d(images(), one, padding=1) / eps).relu()
    h = maximum(F.conv2d(bits(h), two, padding=1)).relu()
    h = maximum(F.conv2d(bits(h), three, padding=1)).relu()
    h = (bits(h).flatten(1) @ four.T).relu() @ model.readout.weight.T
    torch.testing.assert_close(model(images()), h)


def test_property_max_pooling_and_relu_can_change_places_and_averaging_cannot():
    assert torch.equal(build("max_before")(images()), build("max_after")(images()))
    assert not torch.allclose(build("average_before")(images()), build("average_after")(images()))


def test_property_all_five_begin_with_the_same_weights_and_have_no_bias():
    states = [build(kind).state_dict() for kind in KINDS]
    names = [f"layers.{l}.weight" for l in range(4)] + ["readout.weight"]  # noqa: E741
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in names)
    for kind in KINDS[:4]:
        assert layout(build(kind)).size == layout(build(kind), "weight").size
    assert [name for name in states[4] if name.endswith("bias")] == [
        "entries.1.0.bias", "entries.2.0.bias", "entries.3.0.bias", "norms.0.bias",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_property_every_variant_trains_with_bits(kind):
    model = build(kind).train()
    training = BinaryTraining(model)
    assert training.layers == ("layers.1", "layers.2", "layers.3")
    batch = Split(images(8), torch.arange(8) % 3)
    training.step(model, batch, seeded()).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert all(bool((model.get_submodule(name).weight.grad != 0).any()) for name in training.layers)


@pytest.mark.parametrize("kind", KINDS[:4])
def test_property_four_variants_can_spike(kind):
    network = BinaryTraining(build(kind, image=(2, 8, 8))).deployed()
    x = torch.randn(6, 2, 8, 8, generator=seeded(2), dtype=torch.float64)
    spiking = to_spiking(network, x, percentile=100.0)
    record = simulate(spiking, x, 512)
    difference = (spiking.logits(record)[-1] - network(x)).abs().max()
    share = 0.2 if kind.startswith("max") else 0.05  # a gate follows the neuron that was most active so far
    assert difference < share * network(x).abs().max()


def test_error_activations_of_one_bit_cannot_spike():
    with pytest.raises(ParameterError, match=r"'entries.1.0'"):
        to_spiking(build("xnor").eval(), images())


def test_oracle_binary_activation_is_a_sign_with_the_gradient_of_a_clip():
    x = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0], requires_grad=True)
    y = BinaryActivation()(x)
    assert y.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    g = torch.arange(1.0, 9.0)
    assert torch.autograd.grad(y, x, g)[0].tolist() == [0, 2, 3, 4, 5, 6, 7, 0]
    assert torch.equal(binary_activation(x.detach()), y)


@pytest.mark.parametrize("size", [1, 3, 28])
@pytest.mark.parametrize("kind", KINDS)
def test_limit_sizes_of_images(kind, size):
    model = variant(kind, image=(1, size, size), generator=seeded()).eval()
    assert model(torch.zeros(2, size * size)).shape == (2, 10)
    assert [type(m).__name__ for m in model.modules() if isinstance(m, nn.Dropout)] == []
    assert len([m for m in variant(kind, dropout=0.1, generator=seeded()).modules() if isinstance(m, nn.Dropout)]) == 3


def test_error_arguments():
    with pytest.raises(ParameterError, match=r"kind must be one of 'average_before'.* got 'average'"):
        build("average")
    with pytest.raises(ParameterError, match=r"in \[0, 1\), got 1"):
        build("xnor", dropout=1)
    for options, message in (
        ({"stages": ()}, "number of stages must be"),
        ({"stages": ((3,), ())}, r"number of convolutions in stages\[1\] must be"),
        ({"stages": ((3, 0),)}, r"stages\[0\]\[1\] must be"),
        ({"hidden": 0}, "hidden must be"),
        ({"image": (1, 0, 4)}, r"image\[1\] must be"),
    ):
        with pytest.raises(ParameterError, match=message):
            build("average_before", **options)
