"""Contract 4: the numbers of the notebooks hold on other processors."""

import nbformat
import pytest
import torch
from tests.contracts.files import ROOT, notebooks
from torch import nn

from weightlore.networks import healthy

KINDS = ("mlp", "cnn", "biasless")


def unsteady(model: nn.Module) -> list[str]:
    """What makes a network's numbers depend on the processor: ties of max pooling, float32."""
    found = [f"{name} pools by maximum" for name, module in model.named_modules() if "MaxPool" in type(module).__name__]
    found += [f"{name} is {p.dtype}" for name, p in model.named_parameters() if p.dtype != torch.float64]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_property_healthy_networks_are_steady(kind):
    assert unsteady(healthy(kind)) == []


def test_property_an_unsteady_network_is_found():
    assert unsteady(nn.Sequential(nn.MaxPool2d(2))) == ["0 pools by maximum"]
    assert len(unsteady(nn.Linear(2, 2))) == 2


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_notebooks_pool_by_average_in_double_precision(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert "MaxPool" not in code
    assert "max_pool" not in code
    assert "float32" not in code


def test_property_another_processor_can_be_tried():
    text = (ROOT / "Makefile").read_text()
    for variable in ("ATEN_CPU_CAPABILITY=default", "MKL_CBWR=COMPATIBLE", "ONEDNN_MAX_CPU_ISA=SSE41"):
        assert variable in text
