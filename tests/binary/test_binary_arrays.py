"""One-bit weights in cells: the layer itself when ideal, and what wires, faults and readings do to its currents."""

import pytest
import torch
from torch import nn

from weightlore.binary import BinaryArray
from weightlore.crossbar import Cells, CrossbarConfig, Faults, Wires
from weightlore.crossbar.cells import ISAAC_CELLS
from weightlore.crossbar.programming import AbsoluteNoise
from weightlore.errors import ParameterError

BOTH = pytest.mark.parametrize("encoding", ["differential", "reference"])
IDEAL = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def signs_(layer, seed=0):
    with torch.no_grad():
        drawn = torch.randint(0, 2, layer.weight.shape, generator=seeded(seed))
        layer.weight.copy_(drawn * 2 - 1)
    return layer


def spikes(*shape, seed=1, dtype=torch.float64):
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype)


LAYERS = {
    "dense": (lambda: nn.Linear(300, 20, bias=False), (300,)),
    "with bias": (lambda: nn.Linear(30, 20), (30,)),
    "convolution": (lambda: nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 7, 6)),
    "strided": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (4, 9, 8)),
    "groups": (lambda: nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False), (4, 6, 6)),
}


@BOTH
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cells", [Cells(), ISAAC_CELLS, Cells(50.0, 225.0, common_mode="uncorrected")])
def test_oracle_ideal_arrays_compute_the_layer(encoding, name, dtype, cells):
    make, shape = LAYERS[name]
    layer = signs_(make().to(dtype))
    array = BinaryArray(layer, CrossbarConfig(cell_bits=1, weight_bits=1, cells=cells), encoding=encoding)
    x = spikes(5, *shape, dtype=dtype)
    found = array(x)
    assert found.dtype == dtype
    if layer.bias is None:
        assert torch.equal(found, layer(x))
    torch.testing.assert_close(found, layer(x).detach())


@BOTH
def test_oracle_the_formulas_of_both_encodings(encoding):
    layer, x = signs_(nn.Linear(40, 12, bias=False).double()), spikes(9, 40)
    plus = (layer.weight.detach() + 1) / 2
    expected = 2 * (x @ plus.T) - x.sum(1, keepdim=True)
    assert torch.equal(BinaryArray(layer, IDEAL, encoding=encoding)(x), expected)


@BOTH
def test_property_dead_lines_and_stuck_cells(encoding):
    layer, x = signs_(nn.Linear(20, 6, bias=False).double()), torch.ones(1, 20, dtype=torch.float64)

    def array(**faults):
        config = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells(), faults=Faults(**faults))
        return BinaryArray(layer, config, encoding=encoding, generator=seeded())(x)

    assert not bool(array(dead_columns=1.0).any())
    assert not bool(array(dead_rows=1.0).any())
    assert not bool(array(on=1.0).any()), "all cells alike: both sides carry the same"


@BOTH
def test_property_wires_take_from_what_is_far_away(encoding):
    layer, x = nn.Linear(64, 32, bias=False).double(), torch.ones(1, 64, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    found = {}
    for row in (1e-6, 1.0, 10.0):
        config = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells(), wires=Wires(row, row), rows=32)
        found[row] = BinaryArray(layer, config, encoding=encoding)(x)
    torch.testing.assert_close(found[1e-6], layer(x).detach(), rtol=1e-4, atol=1e-4)
    assert bool((found[1.0] < 64).all())
    assert bool((found[10.0] < found[1.0]).all())
    assert float(found[10.0].min()) > 0


@BOTH
def test_property_tiles_add_up(encoding):
    layer, x = signs_(nn.Linear(100, 30, bias=False).double()), spikes(4, 100)
    wires = Wires(1e-5, 1e-5)
    for rows, columns in ((128, 128), (16, 128), (16, 7)):
        config = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells(), rows=rows, columns=columns, wires=wires)
        torch.testing.assert_close(
            BinaryArray(layer, config, encoding=encoding)(x), layer(x).detach(), rtol=0, atol=1e-2
        )


@BOTH
def test_oracle_size_of_the_fluctuations(encoding):
    layer, x = signs_(nn.Linear(50, 8, bias=False).double()), torch.ones(20_000, 50, dtype=torch.float64)
    cells = Cells(0.0, 100.0, reading=AbsoluteNoise(2.0))
    array = BinaryArray(layer, CrossbarConfig(cell_bits=1, weight_bits=1, cells=cells), encoding=encoding)
    array.generator = seeded()
    wrong = array(x) - layer(x).detach()
    line = (50**0.5) * 0.02
    expected = 2**0.5 * line if encoding == "differential" else 2 * 2**0.5 * line
    assert float(wrong.std(0).mean()) == pytest.approx(expected, rel=0.02)
    assert float(wrong.mean().abs()) < 0.05 * expected


def test_limit_a_dead_output():
    layer = signs_(nn.Linear(10, 3, bias=False).double())
    with torch.no_grad():
        layer.weight[1] = 0.0
    for encoding in ("differential", "reference"):
        found = BinaryArray(layer, IDEAL, encoding=encoding)(spikes(6, 10))
        assert torch.equal(found, layer(spikes(6, 10)).detach())
        assert not bool(found[:, 1].any())


def test_error_weights_and_readings():
    with pytest.raises(ParameterError, match="a cell of one bit holds"):
        BinaryArray(nn.Linear(4, 4), IDEAL)
    config = CrossbarConfig(cell_bits=1, weight_bits=1, cells=Cells(reading=AbsoluteNoise(1.0)))
    with pytest.raises(ParameterError, match="simulate with spike_on_chip"):
        BinaryArray(signs_(nn.Linear(4, 4)), config)(torch.ones(1, 4))
