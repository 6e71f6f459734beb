"""How much memory linearized predictions take: no more for many inputs than for few."""

import subprocess
import sys

import pytest

MEMORY = """
import resource, sys, torch
from torch import nn
from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.uncertainty.laplace import Laplace

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
x = torch.rand(600, 784, generator=generator)
wide = mlp((784, 120, 10), generator=generator).float()
image = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5408, 10))
network, terms, few, many = {
    "Jacobians": (wide, {"structure": "lowrank", "rank": 5}, 100, 340),
    "directions": (image, {"structure": "kron", "subset": "all"}, 200, 600),
}[sys.argv[1]]
if sys.argv[1] == "directions":
    network[4].requires_grad_(False)
found = Laplace(network, "classification", **terms).fit(Split(x[:10], torch.arange(10)))
found.predict(x[:few])
before = peak()
found.predict(x[:many])
print(peak() - before)
"""


@pytest.mark.parametrize("way", [pytest.param("Jacobians", marks=pytest.mark.slow), "directions"])
def test_property_predictions_take_memory_that_does_not_grow_with_the_inputs(way):
    """Of a network of 95,410 parameters, and of one with 676 places: many times the inputs, hardly more memory."""
    done = subprocess.run([sys.executable, "-c", MEMORY, way], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 200, f"{done.stdout.strip()} MB more"
