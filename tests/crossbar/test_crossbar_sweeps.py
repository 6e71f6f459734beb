"""The converter sweep gives what each setting gives when it is run on its own."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from weightlore.crossbar import Adc, Cells, Crossbar, CrossbarConfig, convert, crossbar_layers, sweep
from weightlore.crossbar.sweeps import Sweep, excess
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy

BITS = (1, 2, 3, 5, 8)


def direct(network: nn.Module, config: CrossbarConfig, data: Split, layer: str, k: int, bits: int) -> float:
    """Accuracy of a network in which one converter alone is short."""
    hardware = convert(network, config, calibrate=digits("train"))
    for chip in crossbar_layers(hardware)[layer].chips:
        assert isinstance(chip, Crossbar)
        chip.converter_bits[k] = bits
    return float((hardware(data.x).argmax(-1) == data.y).double().mean())


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_oracle_every_entry_is_a_run_of_its_own(kind) -> None:  # type: ignore[no-untyped-def]
    network, data = healthy(kind), digits("test")[torch.arange(60)]
    config = CrossbarConfig(rows=32, signed_input="none" if kind == "mlp" else "two_pass")
    hardware = convert(network, config, calibrate=digits("train"))
    found = sweep(hardware, data, bits=BITS)
    assert found.lossless == float((hardware(data.x).argmax(-1) == data.y).double().mean())
    for i, layer in enumerate(found.layers):
        for k in range(4):
            for a in (0, 2) if kind == "mlp" else (0,):
                assert float(found.accuracy[i, k, a]) == direct(network, config, data, layer, k, BITS[a])


@pytest.mark.parametrize("encoding", ["differential", "offset", "signed_digit"])
@pytest.mark.parametrize("dac_bits", [1, 3])
def test_oracle_the_excess_is_what_short_converters_take(encoding, dac_bits: int) -> None:  # type: ignore[no-untyped-def]
    random = torch.Generator().manual_seed(0)
    x, w = torch.randint(0, 256, (7, 90), generator=random), torch.randint(-255, 256, (5, 90), generator=random)
    config = CrossbarConfig(rows=40, encoding=encoding, dac_bits=dac_bits)
    lossless = Crossbar.program(w, config)
    for k in range(len(lossless.largest)):
        taken, share = excess(lossless, x, k, BITS)
        for a, bits in enumerate(BITS):
            each = tuple(bits if j == k else b for j, b in enumerate(lossless.converter.bits))
            short = Crossbar.program(w, replace(config, adc=Adc(bits=each)))
            assert torch.equal(taken[a], lossless(x) - short(x))
            counts = lossless.histogram(x)[k]
            assert float(share[a]) == pytest.approx(float(counts[2**bits :].sum() / counts.sum()))


def test_property_chunks_do_not_matter_and_nothing_changes() -> None:
    hardware = convert(healthy("mlp"), CrossbarConfig(adc=Adc(bits=3)), calibrate=digits("train"))
    data, state = digits("test"), copy.deepcopy(hardware.state_dict())
    one, two = sweep(hardware, data), sweep(hardware, data, chunk=77)
    assert torch.equal(one.accuracy, two.accuracy)
    torch.testing.assert_close(one.saturated, two.saturated)
    assert all(torch.equal(state[name], value) for name, value in hardware.state_dict().items())
    assert bool((one.saturated.diff(dim=-1) <= 0).all())
    assert bool((one.accuracy[..., -1] == one.lossless).all())


def test_oracle_the_smallest_resolution_that_is_good_enough() -> None:
    accuracy = torch.tensor([[[0.2, 0.9, 0.5, 0.9], [0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]]])
    found = Sweep(("a",), (1, 2, 3, 4), accuracy, torch.zeros(1, 3, 4), 0.9)
    assert found.smallest().tolist() == [[4, 1, 5]]
    assert found.smallest(tolerance=0.5).tolist() == [[2, 1, 5]]


@pytest.mark.parametrize(
    "config",
    [
        CrossbarConfig(adc=Adc(placement="accumulated")),
        CrossbarConfig(adc=Adc(subtraction="analog")),
        CrossbarConfig(cells=Cells(10.0, 100.0, common_mode="digital")),
    ],
)
def test_error_other_crossbars_are_refused(config: CrossbarConfig) -> None:
    hardware = convert(healthy("mlp"), config, calibrate=digits("train"))
    with pytest.raises(ParameterError, match="sweep needs exact cells"):
        sweep(hardware, digits("test"))


def test_error_nothing_to_sweep() -> None:
    hardware = convert(healthy("mlp"), calibrate=digits("train"))
    for data, bits in ((digits("test")[torch.arange(0)], (1, 2)), (digits("test"), ()), (digits("test"), (2, 1))):
        with pytest.raises(ParameterError, match="sweep needs data"):
            sweep(hardware, data, bits=bits)
    with pytest.raises(ParameterError, match=r"whole resolutions.*2\.5"):
        sweep(hardware, digits("test"), bits=(1, 2.5))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"chunks from 1 up; got 540.* and 0"):
        sweep(hardware, digits("test"), chunk=0)
