"""Run one of the paper's recipes: train, evaluate, convert; alone or in several processes, and go on where it stopped.

    train_recipe(recipe, model, data, ...)   epoch by epoch, with a checkpoint after each
    recipe_accuracy(recipe, network, data)   share of the right answers on images as they are
    convert_recipe(recipe, network, data)    a spiking network, percentiles measured on training images
    spiking_accuracy(recipe, spiking, data)  the same share after every time step

The parts of the one training loop are used: a process reads only its share of each batch, so that data may be larger
than memory, and a run of two processes is that of one up to rounding; only dropout drops the same places of each share.
"""

import copy
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from weightlore.binary.conversion import Converted, to_spiking
from weightlore.binary.latent import BinaryTraining
from weightlore.binary.recipes import Images, PaperRecipe
from weightlore.binary.sharing import Processes
from weightlore.data import Split
from weightlore.errors import DataError, ParameterError
from weightlore.spiking import SpikingNetwork, simulate
from weightlore.training import Callback, Step, in_mode
from weightlore.training.checkpoint import save
from weightlore.training.run import Diverged, Run

__all__ = ["RecipeRun", "convert_recipe", "recipe_accuracy", "spiking_accuracy", "train_recipe"]


@dataclass(frozen=True)
class RecipeRun:
    """How a recipe went.

    Args:
        train_loss: mean loss of each epoch.
        network: a copy of the trained network, with binary weights if the recipe has them, in eval mode.

    Source: ours
    """

    train_loss: tuple[float, ...]
    network: nn.Module


def train_recipe(
    recipe: PaperRecipe,
    model: nn.Module,
    data: Images,
    *,
    generator: torch.Generator,
    processes: Processes | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> RecipeRun:
    """Train a network by a recipe, in place.

    Every process makes the model, opens the data and calls this; the first one's parameters and generator count. A
    checkpoint is written after each epoch by the first process and read by all, so that they must see the same folder.
    A run may go on with another number of processes.

    Args:
        recipe: from ``paper_recipe``.
        model: ``recipe.network(generator)``, or a trained one; it is moved to the device. Afterwards it holds the
            trained, latent weights, in eval mode; if loss or parameters cease to be finite, those given.
        data: training images: in memory, x of shape (N, 3, H, W) between 0 and 1, or a folder of files.
        generator: of everything that is drawn, on the processor; it advances.
        processes: this process among others; ``None`` for one alone, on the processor.
        callbacks: called after each epoch, in the first process.
        checkpoint: file to write and to resume from.

    Returns:
        The losses and the network.

    Raises:
        ParameterError: if there are no images, one has no class of the recipe, no parameter trains, or the loss becomes
            NaN or infinite.
        DataError: if the checkpoint or an image cannot be read.

    Source: [lu2020binary], set-ups of the authors' code; sharing the batches is ours
    """
    processes = processes or Processes()
    path = None if checkpoint is None else Path(checkpoint)
    model.to(processes.device).load_state_dict(processes.agreed(model.state_dict()))
    generator.set_state(processes.agreed(generator.get_state()))
    shared = _Shared(recipe, model, data, processes)
    run = _run(recipe, model, data, shared.step, processes, generator)
    with in_mode(model, training=True), _safe(model):
        seen = run.resumed(path)
        while not run.finished(seen):
            record = run.epoch(seen)
            if path is not None and processes.rank == 0:
                save(path, run.settings(), seen, model, run.tuner, generator)
            processes.wait()
            for callback in callbacks if processes.rank == 0 else ():
                callback(record)
    return RecipeRun(tuple(seen.train_loss), shared.network())


def recipe_accuracy(
    recipe: PaperRecipe,
    network: nn.Module,
    data: Images,
    *,
    processes: Processes | None = None,
    batch_size: int = 100,
) -> float:
    """Return the share of images, as they are, whose largest logit is the right one.

    Args:
        recipe: says how images are prepared.
        network: as ``train_recipe`` returns it.
        data: N test images.
        processes: each takes its share; ``None`` for one alone, on the processor.
        batch_size: images per forward pass and process.

    Returns:
        In [0, 1], the same in every process.

    Raises:
        ParameterError: if there are no images, or ``batch_size`` is below 1.

    Source: ours; last, incomplete batches count, which the authors' code leaves out
    """
    processes, right = processes or Processes(), 0
    _require(data, batch_size=batch_size)
    with in_mode(network, training=False), torch.no_grad():
        for rows in torch.arange(len(data))[processes.share].split(batch_size):
            batch = recipe.images(data, rows).to(device=processes.device)
            right += int((network(batch.x).argmax(1) == batch.y).sum())
    return processes.total(right) / len(data)


def convert_recipe(
    recipe: PaperRecipe,
    network: nn.Module,
    data: Images,
    *,
    generator: torch.Generator,
    count: int | None = None,
    percentile: float | None = None,
) -> Converted:
    """Return the spiking form of a trained network.

    Args:
        recipe: says how many images, which percentile and how images are prepared.
        network: as ``train_recipe`` returns it.
        data: training images.
        generator: chooses among them.
        count: how many images at most; ``None`` for the recipe's.
        percentile: of the activations; ``None`` for the recipe's.

    Returns:
        The spiking network.

    Raises:
        ParameterError: as ``to_spiking``, or if there are no images.

    Source: [lu2020binary], conversion; images as they are and dropout off is ours
    """
    count = recipe.normalization_images if count is None else count
    _require(data, count=count)
    rows = torch.randperm(len(data), generator=generator, device=generator.device)[:count].cpu()
    images = recipe.images(data, rows).x.to(next(network.parameters()).device)
    return to_spiking(network, images, percentile=recipe.percentile if percentile is None else percentile)


def spiking_accuracy(
    recipe: PaperRecipe, network: SpikingNetwork, data: Images, *, steps: int = 100, batch_size: int = 100
) -> Tensor:
    """Return the accuracy of a spiking network after each time step, on images as they are.

    Args:
        recipe: says how images are prepared.
        network: from ``convert_recipe``.
        data: N test images.
        steps: T.
        batch_size: images at once.

    Returns:
        Share of the images whose accumulated output is largest for the right class, shape (T,), float64.

    Raises:
        ParameterError: as ``simulate``, or if there are no images.

    Source: [lu2020binary], accumulated output of the spiking network
    """
    _require(data, batch_size=batch_size)
    right = torch.zeros(steps, dtype=torch.float64)
    device = next(network.parameters()).device
    for rows in torch.arange(len(data)).split(batch_size):
        batch = recipe.images(data, rows).to(device=device)
        chosen = simulate(network, batch.x, steps).potential.argmax(-1)  # (T, N)
        right += (chosen == batch.y).sum(1).cpu()
    return right / len(data)


class _Shared:
    """This process's share of each step."""

    def __init__(self, recipe: PaperRecipe, model: nn.Module, data: Images, processes: Processes) -> None:
        self.recipe, self.model, self.data, self.processes, self.count = recipe, model, data, processes, 1.0
        self.training = BinaryTraining(model, rule=recipe.rule(), base=self.loss) if recipe.binary else None

    def step(self, model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        """Return the mean loss of a batch that is given by its row numbers; the gradient is that of the share."""
        share, self.count = self.processes.share, len(batch) / self.processes.count
        images = self.recipe.batch(self.data, batch.x, generator=generator, share=share).to(
            device=self.processes.device
        )
        loss = (self.loss if self.training is None else self.training.step)(model, images, generator)
        return loss + (self.processes.mean(loss.detach()) - loss).detach()

    def loss(self, model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        """Return the sum over the share, divided so that the mean over the processes is that over the batch."""
        with self.processes.precision():
            return nn.functional.cross_entropy(model(batch.x), batch.y, reduction="sum") / self.count

    def network(self) -> nn.Module:
        """Return a copy of the network that was trained."""
        network = self.model.eval()
        return copy.deepcopy(network) if self.training is None else self.training.deployed()


def _run(
    recipe: PaperRecipe, model: nn.Module, data: Images, step: Step, processes: Processes, generator: torch.Generator
) -> Run:
    """Return a run of the training loop over row numbers instead of images."""
    _require(data, batch_size=recipe.batch_size, epochs=recipe.epochs)
    if not 0 <= int(data.y.min()) <= int(data.y.max()) < recipe.classes:
        raise ParameterError(
            f"the recipe knows {recipe.classes} classes, numbered from 0, and the data have {int(data.y.min())} to "
            f"{int(data.y.max())}; give the set that the recipe is for, or replace its number of classes"
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ParameterError("the model has no parameter that requires a gradient; call model.requires_grad_() first")
    fading = recipe.fading()
    tuner = processes.averaging(fading.optimizer)(parameters)
    rows = Split(torch.arange(len(data)), data.y.cpu())
    return Run(model, rows, step, tuner, fading.schedule, recipe.epochs, recipe.batch_size, None, None, generator)


@contextmanager
def _safe(model: nn.Module) -> Iterator[None]:
    """Leave no gradients behind, and put the model back when training could not go on."""
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        yield
    except (Diverged, DataError):
        model.load_state_dict(given)
        raise
    finally:
        model.zero_grad()


def _require(data: Images, **counts: int) -> None:
    if len(data) == 0:
        raise ParameterError("the data must hold at least one image, got none; was the selection empty?")
    for name, count in counts.items():
        if count < 1:
            raise ParameterError(f"{name} must be at least 1, got {count}")
