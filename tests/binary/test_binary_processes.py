"""The paper's recipes in two processes on the processor: the same network as in one, also after an interruption."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from weightlore.binary.recipe_runs import recipe_accuracy, train_recipe
from weightlore.binary.recipes import paper_recipe
from weightlore.data import Split

pytest.importorskip("lightning", reason="lightning is not installed; it comes with the extra 'scale'")

SCRIPT = """
import sys
from dataclasses import replace

import torch
from safetensors.torch import save_file

from tests.binary.test_binary_processes import images, network, recipe
from weightlore.binary.recipe_runs import recipe_accuracy, train_recipe
from weightlore.binary.sharing import together

torch.set_num_threads(1)
folder, binary, stop = sys.argv[1], sys.argv[2] == "binary", int(sys.argv[3])
processes = together(2, accelerator="cpu")
assert (processes.count, processes.total(processes.rank)) == (2, 1)
seed = processes.rank  # only what the first process has may count
model, generator = network(seed), torch.Generator().manual_seed(3 + seed)


def interrupt(epoch):
    if epoch.number == stop:
        raise KeyboardInterrupt


found = train_recipe(
    recipe(binary), model, images(), generator=generator, processes=processes, callbacks=[interrupt],
    checkpoint=f"{folder}/run.pt",
)
accuracy = recipe_accuracy(recipe(binary), found.network, images(101), processes=processes)
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
numbers = {"loss": torch.tensor(found.train_loss), "accuracy": torch.tensor(accuracy)}
save_file(state | numbers, f"{folder}/{processes.rank}.safetensors")
"""


def images(count=203):
    """Red, green and blue, in noise; the last batch is smaller than the number of processes."""
    generator = torch.Generator().manual_seed(5)
    y = torch.arange(count) % 3
    x = 0.5 * torch.rand(count, 3, 32, 32, generator=generator, dtype=torch.float64)
    x[torch.arange(count), y] += 0.4
    return Split(x, y)


def recipe(binary):
    return replace(paper_recipe("cifar100", binary=binary), batch_size=101, epochs=2, lr=1e-3)


def network(seed=0):
    """A thin VGG-15 whose weights keep a signal alive; nothing is dropped, so that shares do not matter."""
    from weightlore.networks import vgg15

    generator = torch.Generator().manual_seed(seed)
    model = vgg15(classes=100, width=2, dropout=0.0, generator=generator, dtype=torch.float64)
    for weight in model.parameters():
        weight.data *= (2 / weight[0].numel()) ** 0.5 / weight.data.std()
    return model


def run(folder, binary, stop=0):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "pkg"), os.environ.get("PYTHONPATH", "")]
    kind = "binary" if binary else "real"
    return subprocess.run(
        [sys.executable, str(script), str(folder), kind, str(stop)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def results(folder):
    from safetensors.torch import load_file

    return [load_file(folder / f"{rank}.safetensors") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True], ids=["real", "binary"])
def test_oracle_two_processes_train_the_network_of_one(binary, tmp_path):
    done = run(tmp_path, binary)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = results(tmp_path)
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items()), "the same in both"
    model = network()
    found = train_recipe(recipe(binary), model, images(), generator=torch.Generator().manual_seed(3))
    assert first["loss"].tolist() == pytest.approx(found.train_loss, rel=1e-6)
    assert float(first["accuracy"]) == pytest.approx(recipe_accuracy(recipe(binary), found.network, images(101)))
    for name, tensor in model.state_dict().items():
        slack = 1e-5 if binary else 1e-8  # Adam moves by the rate however small a gradient is, and so its rounding too
        torch.testing.assert_close(first[name], tensor, rtol=1e-5, atol=slack)


@pytest.mark.slow
def test_property_an_interrupted_run_of_two_goes_on_to_the_same_bits(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    assert run(whole, True).returncode == 0
    stopped = run(broken, True, stop=1)
    assert stopped.returncode != 0
    assert (broken / "run.pt").exists()
    assert not (broken / "0.safetensors").exists()
    again = run(broken, True)
    assert again.returncode == 0, again.stderr[-3000:]
    for one, other in zip(results(broken), results(whole), strict=True):
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
