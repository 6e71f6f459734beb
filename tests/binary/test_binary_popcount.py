"""Products by counting bits: against floating products, one engine against the other, and the loop in plain Python."""

import importlib.util

import numpy as np
import pytest
import torch

from weightlore.binary import popcount
from weightlore.binary.packed import pack
from weightlore.binary.popcount import count_words, ones, sign_product, spike_product
from weightlore.binary.weights import binary_weight
from weightlore.errors import MissingExtra, ParameterError

COMPILED = importlib.util.find_spec("numba") is not None
ENGINES = [
    "torch",
    "auto",
    pytest.param("numba", marks=pytest.mark.skipif(not COMPILED, reason="numba is not installed")),
]
SIZES = [(1, 1, 1), (3, 7, 5), (4, 64, 8), (9, 65, 17), (5, 130, 16), (33, 576, 64)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def case(rows, inputs, outputs, dtype=torch.float64):
    weight = binary_weight(torch.randn(outputs, inputs, generator=seeded(), dtype=dtype))
    weight[-1] = 0 if outputs > 1 else weight[-1]
    return torch.randn(rows, inputs, generator=seeded(1), dtype=dtype), weight.detach()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("engine", ENGINES)
def test_oracle_products_are_those_of_floating_signs(size, engine):
    x, weight = case(*size)
    x[0, 0] = 0.0
    signs = torch.where(x >= 0, 1.0, -1.0).double()
    torch.testing.assert_close(sign_product(x, pack(weight), engine=engine), signs @ weight.T)
    spikes = (x > 0.5).to(torch.uint8)
    for kind in (spikes, spikes.bool(), spikes.double()):
        found = spike_product(kind, pack(weight), engine=engine)
        torch.testing.assert_close(found, spikes.double() @ weight.T)
        assert found.dtype == torch.float64


@pytest.mark.skipif(not COMPILED, reason="numba is not installed")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_engines_agree_bit_for_bit(size, dtype):
    x, weight = case(*size, dtype=dtype)
    packed = pack(weight)
    one, other = (sign_product(x, packed, engine=engine) for engine in ("torch", "numba"))
    assert one.dtype == other.dtype == dtype
    assert torch.equal(one, other)
    spikes = x > 0
    assert torch.equal(spike_product(spikes, packed, engine="torch"), spike_product(spikes, packed, engine="numba"))


def test_property_a_convolution_is_a_product_with_unfolded_patches():
    weight = binary_weight(torch.randn(6, 4, 3, 3, generator=seeded())).detach()
    x = torch.randn(2, 4, 5, 5, generator=seeded(1))
    signs = torch.where(x >= 0, 1.0, -1.0)
    patches = torch.nn.functional.unfold(signs, 3).transpose(1, 2).flatten(0, 1)
    found = sign_product(patches, pack(weight)).view(2, 9, 6).transpose(1, 2).reshape(2, 6, 3, 3)
    torch.testing.assert_close(found, torch.nn.functional.conv2d(signs, weight), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("both", [0, 1])
def test_oracle_the_loop_in_plain_python_counts_bits(both):
    generator = np.random.PCG64(0)
    words = generator.random_raw(5 * 3 + 16 * 3).astype(np.uint64)
    x, weight = words[:15].reshape(5, 3), words[15:].reshape(2, 3, 8)
    out = np.empty((5, 16), np.int64)
    count_words(out, x, weight, both)
    for row in range(5):
        for output in range(16):
            pairs = zip(x[row].tolist(), weight[output // 8, :, output % 8].tolist(), strict=True)
            assert out[row, output] == sum(bin(a & b if both else a ^ b).count("1") for a, b in pairs)
    assert ones(np.uint64(2**64 - 1)) == 64


@pytest.mark.skipif(not COMPILED, reason="numba is not installed")
def test_property_compiled_counts_are_those_of_the_loop():
    words = np.random.PCG64(1).random_raw(7 * 4 + 24 * 4).astype(np.uint64)
    x, weight = words[:28].reshape(7, 4), words[28:].reshape(3, 4, 8)
    one, other = np.empty((7, 24), np.int64), np.empty((7, 24), np.int64)
    for both in (0, 1):
        count_words(one, x, weight, both)
        popcount.compiled()(other, x, weight, both)
        assert (one == other).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_limit_no_rows(engine):
    _, weight = case(1, 9, 4)
    assert sign_product(torch.zeros(0, 9), pack(weight), engine=engine).shape == (0, 4)
    assert spike_product(torch.zeros(0, 9), pack(weight), engine=engine).shape == (0, 4)


def test_error_input(monkeypatch):
    x, weight = case(3, 7, 5)
    packed = pack(weight)
    for product in (sign_product, spike_product):
        with pytest.raises(ParameterError, match=r"has 7 inputs, so x must have shape \(N, 7\), got \(3, 6\)"):
            product(x[:, :6], packed)
        with pytest.raises(ParameterError, match="x must be finite"):
            product(x * float("nan"), packed)
        with pytest.raises(ParameterError, match="engine must be"):
            product(x, packed, engine="fast")
    with pytest.raises(ParameterError, match=r"spikes are zeros and ones.*sign_product"):
        spike_product(2 * (x > 0).double(), packed)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r'extra "fast"'):
        sign_product(x, packed, engine="numba")
    assert sign_product(x, packed).shape == (3, 5)
