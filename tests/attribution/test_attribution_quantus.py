"""The same networks score alike in Quantus: its numbers stored always, live where it is installed.

Quantus 0.6.0 with torch 2.13.0 made the stored numbers: ``MPRT(abs=True, normalise=True, layer_order="top_down")`` and
``EfficientMPRT()``. It drops the sign unless told otherwise, as the paper's note criticizes.
"""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from weightlore.attribution import compare_networks, gradient, histogram_entropy
from weightlore.data import Split

SEED = 42 + 1  # Quantus takes its default seed and adds one, before every module
STORED = {
    "4": [0.149222, -0.221383, 0.135119, 0.252473, 0.140064, 0.216758],
    "0": [0.006685, -0.074451, 0.026145, 0.187500, -0.095330, -0.122848],
}
RISE = [0.002513, -0.050535, -0.014263, -0.045221, -0.021531, 0.098239]


@pytest.fixture(scope="module")
def case():
    """A small network of torch's modules, and six images of noise."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3)
        model = nn.Sequential(*layers).eval()
        x = torch.randn(6, 1, 8, 8)
    return model, Split(x.double(), model(x).argmax(1))


def cascade(model):
    """The networks that Quantus makes, in float32: from the output down, each module reset after the same seed."""
    copy, made = deepcopy(model), {}
    for name in ("4", "0"):
        with torch.random.fork_rng():
            torch.default_generator.manual_seed(SEED)
            copy[int(name)].reset_parameters()
        made[name] = [deepcopy(copy).double()]
    return made


def explain(model, inputs, targets, **_):
    x = torch.as_tensor(inputs, dtype=torch.float64).requires_grad_()
    score = deepcopy(model).double()(x).gather(1, torch.as_tensor(targets)[:, None]).sum()
    return torch.autograd.grad(score, x)[0].numpy()


def test_oracle_absolute_rank_correlations_are_those_stored_from_quantus(case):
    model, data = case
    found = compare_networks(deepcopy(model).double(), data, {"gradient": gradient}, others=cascade(model))
    for name, stored in STORED.items():
        assert found.select(step=name, sign="abs", mask="all").value == pytest.approx(stored, abs=1e-6)
        assert found.select(step=name, sign="signed", mask="all").value != pytest.approx(stored, abs=0.01)


def test_oracle_the_rise_of_entropy_is_that_stored_from_quantus(case):
    model, data = case
    other = cascade(model)["0"][0]
    before, after = (histogram_entropy(gradient(m, data.x, data.y).values) for m in (deepcopy(model).double(), other))
    assert (after / before - 1).tolist() == pytest.approx(RISE, abs=1e-6)


def test_oracle_quantus_still_gives_the_stored_numbers(case):
    quantus = pytest.importorskip("quantus")
    model, data = case
    given = {"model": model, "x_batch": data.x.float().numpy(), "y_batch": data.y.numpy(), "a_batch": None}
    absolute = quantus.MPRT(abs=True, normalise=True, layer_order="top_down", disable_warnings=True)
    found = absolute(**given, explain_func=explain)
    for name, stored in STORED.items():
        assert found[name] == pytest.approx(stored, abs=1e-6)
    rise = quantus.EfficientMPRT(disable_warnings=True)(**given, explain_func=explain)
    assert np.array(rise, dtype=float) == pytest.approx(RISE, abs=1e-6)
