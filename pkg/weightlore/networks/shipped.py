"""The healthy networks: trained once, shipped with the package, and retrained by a test.

    healthy(kind)         the network with the shipped parameters
    train_healthy(kind)   the same, trained from scratch in seconds
    save_healthy(folder)  how the shipped files were made

To make the files again, in the root of the repository:

    OMP_NUM_THREADS=1 python -c "from weightlore.networks import save_healthy; save_healthy('pkg/weightlore/healthy')"
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from weightlore.data import digits
from weightlore.errors import DataError, ParameterError
from weightlore.networks.feedforward import cnn, mlp
from weightlore.networks.layered import Chain
from weightlore.training import evaluate, fit

__all__ = ["HealthyKind", "healthy", "save_healthy", "train_healthy"]

HealthyKind = Literal["mlp", "cnn", "biasless"]

FOLDER = Path(__file__).parents[1] / "healthy"


@dataclass(frozen=True)
class Recipe:
    """How a healthy network is made.

    Args:
        build: makes the network from a generator.
        batch_size: digits per step of gradient descent (learning rate 0.1, momentum 0.9, falling along a cosine).
        epochs: how often the training digits are seen.
        seed: of the one generator that initializes and shuffles.

    Source: ours
    """

    build: Callable[[torch.Generator], Chain]
    batch_size: int
    epochs: int
    seed: int

    def __str__(self) -> str:
        return (
            f"digits train split, float64, batches of {self.batch_size}, SGD 0.1 with momentum 0.9, "
            f"cosine over {self.epochs} epochs, seed {self.seed}"
        )


RECIPES: dict[str, Recipe] = {
    "mlp": Recipe(lambda generator: mlp(generator=generator), 64, 60, 0),
    "cnn": Recipe(lambda generator: cnn(generator=generator), 32, 30, 0),
    "biasless": Recipe(lambda generator: mlp((64, 128, 128, 128, 10), bias=False, generator=generator), 64, 60, 0),
}


def healthy(kind: HealthyKind = "mlp") -> Chain:
    """Return a trained network that reads the digits, with the parameters that the book is written about.

    Args:
        kind: ``"mlp"`` (64-64-32-10, 6,570 parameters), ``"cnn"`` (two 3x3 convolutions with 8 and 16 channels, average
            pooling, 32 hidden units) or ``"biasless"`` (64-128-128-128-10 without biases).

    Returns:
        A fresh copy in float64 and eval mode.

    Raises:
        ParameterError: if there is no such kind.
        DataError: if the file is missing or does not hold that network.

    Example:
        >>> healthy().num_layers
        2

    Source: ours
    """
    model = _recipe(kind).build(torch.Generator().manual_seed(0))
    path = FOLDER / f"{kind}.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model.load_state_dict(state)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(
            f"the healthy parameters {path} are missing or broken ({str(error).splitlines()[0]}); "
            f"reinstall weightlore, or train them again: weightlore.networks.save_healthy({str(FOLDER)!r})"
        ) from error
    return model.eval()


def train_healthy(kind: HealthyKind = "mlp") -> Chain:
    """Return a healthy network trained from scratch, in seconds, by the recipe of the shipped one.

    Args:
        kind: as in ``healthy``.

    Returns:
        The network in eval mode. On any machine its parameters agree with the shipped ones to within 1e-6.

    Raises:
        ParameterError: if there is no such kind.

    Source: ours
    """
    recipe = _recipe(kind)
    generator = torch.Generator().manual_seed(recipe.seed)
    model = recipe.build(generator)
    fit(model, digits("train"), generator=generator, epochs=recipe.epochs, batch_size=recipe.batch_size)
    return model


def save_healthy(folder: str | PathLike[str]) -> None:
    """Train every healthy network and write it down, with its recipe and test accuracy in the file's header.

    Args:
        folder: where ``mlp.safetensors``, ``cnn.safetensors`` and ``biasless.safetensors`` go; made when absent.

    Source: ours
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind in get_args(HealthyKind):
        model = train_healthy(kind)
        accuracy = evaluate(model, digits("test")).accuracy
        told = {"about": f"{_recipe(kind)}; test accuracy {accuracy:.4f}"}  # one key: the order of several may vary
        (Path(folder) / f"{kind}.safetensors").write_bytes(save(model.state_dict(), metadata=told))


def _recipe(kind: str) -> Recipe:
    if kind not in RECIPES:
        raise ParameterError(f"the healthy networks are {', '.join(map(repr, RECIPES))}, got {kind!r}")
    return RECIPES[kind]
