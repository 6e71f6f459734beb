"""200 corrupted copies of the digits MLP on its 540 test images."""

import copy

import torch
import torch.nn.functional as F

from benchmarks import copies
from benchmarks.race import Race
from weightlore.corruption import Budget, random, random_trials
from weightlore.data import Split, digits
from weightlore.networks import mlp
from weightlore.parameters import flatten, layout

TRIALS, BUDGET = 200, Budget(1.0)


def races() -> list[Race]:
    return [race for dtype in (torch.float32, torch.float64) for race in _races(dtype)]


def _races(dtype: torch.dtype) -> list[Race]:
    model = mlp(generator=torch.Generator().manual_seed(0), dtype=dtype).eval()
    data, kind = digits("test", dtype=dtype), str(dtype).removeprefix("torch.")
    offsets = random(6570, BUDGET, generator=torch.Generator().manual_seed(1), trials=TRIALS, dtype=dtype)
    target = 4.5 if dtype == torch.float32 else 2.7
    given = Race(
        name=f"given {kind}",
        what=f"loss and accuracy of {TRIALS} given copies of the MLP 64-64-32-10 on {len(data)} images, {kind}",
        contestants={
            "deep copies": copies.deep_copies(model, offsets, data, None),
            "in place": copies.in_place(model, offsets, data, None, rows=len(data)),
            "torch.func.vmap": copies.vectorized(model, offsets, data, None, rows=len(data), copies=32),
            "evaluate_thetas": copies.stacked(model, offsets, data, None),
        },
        candidate="evaluate_thetas",
        reference="deep copies",
        tolerance=1e-5,
        targets={"deep copies": target},
    )
    drawn = Race(
        name=f"drawn {kind}",
        what=f"the same, with the drawing of {TRIALS} corruptions on the sphere",
        contestants={
            "draws and deep copies": lambda: _loop(model, data),
            "random_trials": lambda: (
                random_trials(model, data, BUDGET, trials=TRIALS, generator=torch.Generator().manual_seed(1)).loss
            ),
        },
        candidate="random_trials",
        reference="draws and deep copies",
        tolerance=1e-5,
        targets={"draws and deep copies": target},
    )
    return [given, drawn]


def _loop(model: torch.nn.Module, data: Split) -> torch.Tensor:
    generator, theta, where, losses = torch.Generator().manual_seed(1), flatten(model), layout(model), []
    with torch.no_grad():
        for _ in range(TRIALS):
            offset = random(len(theta), BUDGET, generator=generator, dtype=theta.dtype)
            twin = copy.deepcopy(model)
            for name, part in where.split(offset).items():
                twin.get_parameter(name).add_(part)
            outputs = twin(data.x)
            losses.append(F.cross_entropy(outputs, data.y))
            (outputs.argmax(1) == data.y).double().mean()
    return torch.stack(losses)
