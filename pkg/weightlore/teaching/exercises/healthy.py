"""The exercises of the chapter on the healthy network: counting, symmetries, and how far a random direction leads."""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from weightlore.corruption import Budget, random_trials
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import call, flatten, layout
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.general import as_numbers

__all__ = ["COUNT", "HALF", "PERMUTE", "RESCALE"]

FIRST, SECOND = "layers.0", "layers.1"


@cache
def _theta() -> Tensor:
    return flatten(healthy())


@cache
def _logits() -> Tensor:
    return call(healthy(), _theta(), digits().x).detach()


def _same_function(theta: Tensor) -> bool:
    """Return whether the network answers all test digits as before."""
    return bool(torch.allclose(call(healthy(), theta, digits().x).detach(), _logits(), rtol=0.0, atol=1e-8))


def _vector(answer: object) -> Tensor:
    numbers, trouble = as_numbers(answer)
    if trouble or numbers.shape != _theta().shape:
        raise ParameterError(f"theta is one vector of {len(_theta())} numbers, got shape {numbers.shape}")
    return torch.from_numpy(numbers)


def _count(kind: str | None) -> int:
    return layout(healthy(), kind).size


COUNT = Exercise(
    id="healthy.count",
    prompt="How many parameters has the network 64-64-32-10? Answer: a whole number.",
    nudge="A layer from D to M units has a weight for each pair. What else has each unit?",
    hint="Add (D + 1) M over the three layers: D weights and one bias for each of M units.",
    right="So theta is a point in a space of 6,570 dimensions. Only 106 of its entries are biases.",
    reference=lambda: _count(None),
    diagnoses=(
        Diagnosis("biases", "The biases are missing, one for each unit.", lambda: _count("weight")),
        Diagnosis("weights", "These are the biases alone.", lambda: _count("bias")),
        Diagnosis(
            "layers",
            "The layer from 32 units to the 10 digits has parameters, too.",
            lambda: _count(None) - _count("readout"),
        ),
        Diagnosis(
            "units", "You counted units; between two layers there is a weight for each pair.", lambda: 64 + 64 + 32 + 10
        ),
        Diagnosis("tensors", "These are tensors; count their entries.", lambda: len(layout(healthy()).slots)),
    ),
    tolerance=1e-9,
)


def _parts(answer: object) -> dict[str, Tensor]:
    return layout(healthy()).split(_vector(answer))


def _kept(answer: object, name: str) -> bool:
    """Return whether a parameter is as it was."""
    return torch.equal(_parts(answer)[name], layout(healthy()).split(_theta())[name])


def _permuted(rows: bool = True, bias: bool = True, columns: bool = True) -> Tensor:
    """Return theta with the units of the first layer in reverse order, or with a part of that forgotten."""
    parts = dict(layout(healthy()).split(_theta()))
    if rows:
        parts[f"{FIRST}.weight"] = parts[f"{FIRST}.weight"].flip(0)
    if bias:
        parts[f"{FIRST}.bias"] = parts[f"{FIRST}.bias"].flip(0)
    if columns:
        parts[f"{SECOND}.weight"] = parts[f"{SECOND}.weight"].flip(1)
    return layout(healthy()).join(parts)


def _same_entries(answer: object) -> bool:
    return torch.equal(_vector(answer).sort().values, _theta().sort().values)


def _pixels(answer: object) -> bool:
    """Return whether the entries of each row of the first layer were exchanged among themselves."""
    name = f"{FIRST}.weight"
    rows = _parts(answer)[name].sort(1).values
    return not _kept(answer, name) and torch.equal(rows, layout(healthy()).split(_theta())[name].sort(1).values)


PERMUTE = Exercise(
    id="healthy.permute",
    prompt="Exchange hidden units: theta changes, the function does not. Answer: the new theta, shape (6570,).",
    nudge="A hidden unit has a row of weights and a bias; the next layer reads it through a column. What moves along?",
    hint="With an order of the 64 units: the rows of layers.0.weight, the entries of layers.0.bias, the columns of "
    "layers.1.weight. layout(model).split and .join cut theta into these and put it together.",
    right="There are 64! 32! such orders, each another theta and all the same network: theta is not unique.",
    reference=_permuted,
    accept=lambda answer: (
        _same_entries(answer) and not torch.equal(_vector(answer), _theta()) and _same_function(_vector(answer))
    ),
    diagnoses=(
        Diagnosis("unchanged", "This is theta as it was.", matches=lambda a: torch.equal(_vector(a), _theta())),
        Diagnosis(
            "another symmetry",
            "The function is the same, but numbers changed: a rescaling and no exchange of units.",
            matches=lambda a: not _same_entries(a) and _same_function(_vector(a)),
        ),
        Diagnosis(
            "values", "Some numbers of theta are new; exchange them only.", matches=lambda a: not _same_entries(a)
        ),
        Diagnosis("pixels", "You exchanged columns of the first layer: those are pixels, not units.", matches=_pixels),
        Diagnosis(
            "columns",
            "The units moved, but the next layer still reads the old places: exchange the columns of layers.1.weight.",
            matches=lambda a: not _kept(a, f"{FIRST}.weight") and _kept(a, f"{SECOND}.weight"),
        ),
        Diagnosis(
            "bias",
            "The rows moved and the biases stayed; a unit takes its bias along.",
            matches=lambda a: not _kept(a, f"{FIRST}.weight") and _kept(a, f"{FIRST}.bias"),
        ),
        Diagnosis(
            "rows",
            "The next layer reads other places, but no unit moved: exchange the rows of layers.0.weight.",
            matches=lambda a: _kept(a, f"{FIRST}.weight") and not _kept(a, f"{SECOND}.weight"),
        ),
    ),
)


def _rescaled(theta: Tensor, c: float, weight: int = 1, bias: int = 1, after: int = -1, next_bias: int = 0) -> Tensor:
    """Return theta with powers of c multiplied to the first layer and to the one after it."""
    parts = dict(layout(healthy()).split(torch.as_tensor(theta)))
    powers = {f"{FIRST}.weight": weight, f"{FIRST}.bias": bias, f"{SECOND}.weight": after, f"{SECOND}.bias": next_bias}
    for name, power in powers.items():
        parts[name] = parts[name] * c**power
    return layout(healthy()).join(parts)


def _rescales(answer: Callable[..., Tensor]) -> bool:
    new = [_vector(answer(*arguments)) for arguments in _rescalings()]
    return all(_same_function(theta) and not torch.allclose(theta, _theta()) for theta in new)


def _rescalings() -> list[tuple[Tensor, float]]:
    return [(_theta().clone(), 2.0), (_theta().clone(), 0.25)]


RESCALE = Exercise(
    id="healthy.rescale",
    prompt="ReLU(c z) = c ReLU(z) for c > 0. Answer: a function of (theta, c) that makes the first "
    "layer c times as large and returns a theta of the same function.",
    nudge="If the first layer's outputs grow by c, what must the next layer do?",
    hint="Multiply layers.0.weight and layers.0.bias by c, divide layers.1.weight by c, leave the other biases alone.",
    right="So the length of theta says nothing by itself, nor does harm of a given length: the next chapter's worry.",
    reference=_rescaled,
    inputs=_rescalings,
    accept=_rescales,
    diagnoses=(
        Diagnosis("unchanged", "This is theta as it was.", lambda theta, c: theta),
        Diagnosis(
            "bias",
            "The bias is added before the ReLU, so it must grow with the weights.",
            lambda theta, c: _rescaled(theta, c, bias=0),
        ),
        Diagnosis(
            "compensation",
            "The next layer must shrink by c; now the function changes.",
            lambda theta, c: _rescaled(theta, c, after=0),
        ),
        Diagnosis(
            "direction",
            "Both layers grew; the second has to undo the first.",
            lambda theta, c: _rescaled(theta, c, after=1),
        ),
        Diagnosis(
            "next bias",
            "The bias of the next layer does not see the first; leave it.",
            lambda theta, c: _rescaled(theta, c, next_bias=-1),
        ),
        Diagnosis(
            "whole",
            "All of theta grew; biases and weights of later layers then add up wrongly.",
            lambda theta, c: theta * c,
        ),
    ),
)


@cache
def _half() -> float:
    """Return the distance at which random directions leave half of the accuracy, on average over twenty."""
    low, high = 1.0, 1000.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        generator = torch.Generator().manual_seed(0)
        trials = random_trials(healthy(), digits(), Budget(middle), trials=20, generator=generator)
        enough = float(trials.accuracy.mean()) > trials.base_accuracy / 2
        low, high = (middle, high) if enough else (low, middle)
    return math.sqrt(low * high)


def _about(answer: object, value: float, factor: float) -> bool:
    number = float(answer)  # type: ignore[arg-type]
    return number > 0 and abs(math.log(number / value)) <= math.log(factor)


HALF = Exercise(
    id="healthy.half",
    prompt="How far along a random direction until half of the accuracy is gone, on average? Answer: the L2 distance.",
    nudge="Guess first, as a share of the length of theta. Then walk: try distances of 1, 3, 10, 30.",
    hint="random_trials(healthy(), digits(), Budget(distance), trials=20, generator=...) gives accuracies there.",
    right="Chance finds nothing bad for a long time. The next chapter finds a direction that does harm much sooner.",
    reference=_half,
    accept=lambda answer: _about(answer, _half(), 1.25),
    diagnoses=(
        Diagnosis("sign", "A distance is positive.", matches=lambda a: float(a) <= 0),
        Diagnosis(
            "share",
            "This looks like a share of the length of theta; multiply by that length.",
            matches=lambda a: _about(float(a) * float(_theta().norm()), _half(), 1.4),
        ),
        Diagnosis(
            "per parameter",
            "This looks like the typical change of one parameter; the distance is sqrt(P) times as large.",
            matches=lambda a: _about(float(a) * math.sqrt(len(_theta())), _half(), 1.4),
        ),
        Diagnosis(
            "squared",
            "This looks like the square of the distance.",
            matches=lambda a: _about(float(a) ** 0.5, _half(), 1.2),
        ),
        Diagnosis("too near", "There, more than half of the accuracy is left.", matches=lambda a: float(a) < _half()),
        Diagnosis("too far", "There, less than half of the accuracy is left.", matches=lambda a: float(a) > _half()),
    ),
)
