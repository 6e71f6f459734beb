"""The workload of ``crossbar`` in CrossSim, whose source is public and not on the package index."""

import importlib
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def product(
    folder: str, layers: list[tuple[Tensor, Tensor]], rows: list[int], full_scale: float | None = 77.0
) -> Callable[[], list[Tensor]]:
    """Program CrossSim's cores with the weights of the layers; returned is what multiplies.

    ``rows`` of a tile for each layer; ``full_scale`` in cell levels of a 3-bit converter, ``None`` for no converter.
    """
    if folder not in sys.path:
        sys.path.insert(0, folder)
    simulator = importlib.import_module("simulator")
    cores = [
        simulator.AnalogCore(w.numpy().astype(np.float32), _parameters(simulator, size, full_scale))
        for (w, _), size in zip(layers, rows, strict=True)
    ]
    inputs = [x.T.contiguous().numpy().astype(np.float32) for _, x in layers]
    return lambda: [torch.from_numpy(np.asarray(core @ x)).T for core, x in zip(cores, inputs, strict=True)]


def _parameters(simulator, rows: int, full_scale: float | None):
    partition = importlib.import_module("simulator.parameters.core_parameters").PartitionStrategy
    p = simulator.CrossSimParameters()
    p.core.style, p.core.bit_sliced.style, p.core.bit_sliced.num_slices = "BITSLICED", "BALANCED", 4
    p.core.weight_bits, p.core.rows_max, p.core.cols_max = 9, rows, 4096
    p.core.balanced.subtract_current_in_xbar = False
    p.core.mapping.weights.max, p.core.mapping.weights.min = 255.0, -255.0
    p.core.mapping.weights.percentile = None
    p.core.mapping.weights.col_partition_strategy = partition.MAX
    p.core.mapping.weights.row_partition_strategy = partition.MAX
    p.core.mapping.inputs.mvm.min, p.core.mapping.inputs.mvm.max = 0.0, 255.0
    p.core.mapping.inputs.mvm.clipping = True
    p.xbar.device.infinite_on_off_ratio, p.xbar.device.cell_bits = True, 2
    p.xbar.dac.mvm.model = "QuantizerDAC"  # the model brings parameters of its own, so it comes first
    dac = p.xbar.dac.mvm
    dac.bits, dac.signed, dac.input_bitslicing, dac.slice_size = 8, False, True, 1
    if full_scale is not None:
        p.xbar.adc.mvm.model = "QuantizerADC"
        adc = p.xbar.adc.mvm
        adc.bits, adc.signed, adc.adc_per_ibit = 3, False, True
        adc.adc_range_option, adc.calibrated_range = "CALIBRATED", np.array([[0.0, full_scale / 3.0]] * 4)
    return p
