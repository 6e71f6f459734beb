"""Binary weights in one bit each: in memory, on disk, and how much smaller that is."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from weightlore.binary.latent import rounded_binary
from weightlore.binary.packed import load_packed, pack, packed_size, save_packed
from weightlore.binary.weights import binary_weight
from weightlore.errors import DataError, ParameterError
from weightlore.networks import healthy, mlp, resnet20, vgg15


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def binary(*shape, seed=0, dtype=torch.float32):
    return binary_weight(torch.randn(*shape, generator=seeded(seed), dtype=dtype)).detach()


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (4, 8), (5, 9), (2, 3, 3, 3), (64, 64, 3, 3), (2, 130)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_oracle_bits_scales_and_back(shape, dtype):
    w = binary(*shape, dtype=dtype)
    packed = pack(w)
    n = w[0].numel()
    assert packed.inputs == n
    assert packed.bits.shape == (shape[0], -(-n // 8))
    assert packed.unpacked().dtype == dtype
    assert torch.equal(packed.unpacked(), w)
    for o in range(shape[0]):
        row = w[o].flatten()
        assert packed.scale[o] == row.abs().max()
        bits = [(int(packed.bits[o, k // 8]) >> (k % 8)) & 1 for k in range(packed.bits.shape[1] * 8)]
        assert bits == [int(value > 0) for value in row] + [0] * (len(bits) - n)
    assert set(packed.signs().unique().tolist()) <= {-1.0, 1.0}


def test_limit_a_dead_filter_and_zeros_of_both_signs():
    w = torch.tensor([[0.0, -0.0, 0.0], [0.5, -0.5, 0.5]])
    packed = pack(w)
    assert packed.scale.tolist() == [0.0, 0.5]
    assert torch.equal(packed.unpacked(), w)
    assert packed.bits.tolist() == [[7], [5]]


def test_property_how_many_times_smaller():
    one = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(512, 512, 3, bias=False), nn.Linear(2, 2))
    one[1].weight.data = binary(512, 512, 3, 3)
    size = packed_size(one)
    assert (size.bits, size.scales, size.floats) == (512 * 512 * 9 // 8, 512 * 4, 512 * 512 * 9 * 4)
    assert size.ratio == pytest.approx(32 * 4608 / (4608 + 32))
    assert size.rest == 2 * (4 + 2) * 4
    assert size.network_ratio == pytest.approx((size.floats + size.rest) / (size.bits + size.scales + size.rest))
    assert 31 < size.ratio < 32
    deep = packed_size(rounded_binary(vgg15(width=16, generator=seeded())))
    assert 30 < deep.ratio < 32


@pytest.mark.parametrize(
    "build",
    [
        lambda: healthy("biasless"),
        lambda: resnet20(width=4, generator=seeded()),
        lambda: vgg15(width=2, generator=seeded()),
    ],
)
def test_property_a_network_comes_back_bit_for_bit(build, tmp_path):
    network = rounded_binary(build())
    path = tmp_path / "folder" / "bits.safetensors"
    size = save_packed(network, path)
    assert size == packed_size(network)
    other = build()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert load_packed(other, path) is other
    expected = network.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in other.state_dict().items())
    assert not list(path.parent.glob("*.partial"))
    assert path.stat().st_size < size.bits + size.scales + size.rest + 200 * len(expected) + 2000


def test_property_the_file_holds_bits(tmp_path):
    save_packed(rounded_binary(healthy("biasless")), tmp_path / "x")
    with safe_open(tmp_path / "x", framework="pt") as file:
        assert set(file.keys()) == {
            "layers.0.weight",
            "readout.weight",
            *(f"layers.{l}.weight.{part}" for l in (1, 2) for part in ("bits", "scale")),  # noqa: E741
        }
        assert file.get_tensor("layers.1.weight.bits").dtype == torch.uint8
        assert json.loads(file.metadata()["packed"]) == {"layers.1.weight": [128, 128], "layers.2.weight": [128, 128]}


def test_property_named_layers_only(tmp_path):
    network = rounded_binary(healthy("biasless"), layers=["layers.2"])
    with pytest.raises(ParameterError, match="128 of 128 outputs have other magnitudes"):
        save_packed(network, tmp_path / "x")
    assert not list(tmp_path.iterdir())
    size = save_packed(network, tmp_path / "x", layers=["layers.2"])
    assert size.floats == 128 * 128 * 4
    assert torch.equal(load_packed(healthy("biasless"), tmp_path / "x").layers[2].weight, network.layers[2].weight)


def test_error_weights_that_one_bit_cannot_hold():
    with pytest.raises(ParameterError, match=r"2 of 3 outputs have other magnitudes.*fit_binary"):
        pack(torch.tensor([[1.0, -1.0], [1.0, 2.0], [0.0, 1.0]]))
    with pytest.raises(ParameterError, match="must be finite"):
        pack(torch.tensor([[float("inf"), float("inf")]]))
    with pytest.raises(ParameterError, match=r"of shape \(O, I, ...\)"):
        pack(torch.ones(3))


def test_error_files(tmp_path):
    model = healthy("biasless")
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    (tmp_path / "text").write_text("nothing")
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    save_packed(rounded_binary(mlp((64, 9, 9, 9, 10), bias=False, generator=seeded())), tmp_path / "other")
    save_packed(rounded_binary(mlp((64, 9, 9, 9, 10), generator=seeded())), tmp_path / "biased")
    whole = tmp_path / "whole"
    save_packed(rounded_binary(model), whole)
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-10])
    for name, message in {
        "none": "cannot be read as a packed network",
        "text": "cannot be read as a packed network",
        "plain": "cannot be read as a packed network",
        "cut": "cannot be read as a packed network",
        "other": "holds another network: .* of another shape",
        "biased": "holds another network: layers.0.bias, layers.1.bias, layers.2.bias",
    }.items():
        with pytest.raises(DataError, match=message):
            load_packed(model, tmp_path / name)
    assert all(torch.equal(tensor, given[name]) for name, tensor in model.state_dict().items())
