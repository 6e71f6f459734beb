"""Search by hold-out: train every combination of discrete states and keep the best on validation data.

With two states a network of L layers has 2^L combinations, with three 3^L. It is what a transfer unit should save, so
the cost is counted: trainings, steps, seconds.

    exhaustive(source, data, validation=...)   -> Search(best, states, tried, steps, seconds)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil
from time import perf_counter

import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.training import evaluate
from weightlore.transfer.fitting import Make, TransferRecipe, Transferred, fit_transfer
from weightlore.transfer.layers import require_layered
from weightlore.transfer.sharing import chosen
from weightlore.transfer.states import HeadStart, State

__all__ = ["Search", "Tried", "exhaustive"]


@dataclass(frozen=True)
class Tried:
    """One combination of states.

    Args:
        states: of the L layers, lowest first.
        accuracy: on the validation data, in [0, 1].
        loss: on the validation data, which decides between equal accuracies.
        trainable: number of parameters that training moved.

    Source: ours
    """

    states: tuple[State, ...]
    accuracy: float
    loss: float
    trainable: int


@dataclass(frozen=True)
class Search:
    """What a search found, and what it cost.

    Args:
        best: the network of the best combination.
        states: of its layers.
        tried: all combinations, in the order in which they were trained; their number is the number of trainings.
        steps: of the optimizer, in all trainings.
        seconds: of all trainings and evaluations, on this machine.

    Source: ours
    """

    best: Transferred
    states: tuple[State, ...]
    tried: tuple[Tried, ...]
    steps: int
    seconds: float


def exhaustive(
    source: Layered,
    data: Split,
    *,
    validation: Split,
    make: Make,
    generator: torch.Generator,
    states: Sequence[State] = ("frozen", "fine-tune"),
    head: HeadStart = "new",
    recipe: TransferRecipe | None = None,
    limit: int = 256,
    callback: Callable[[Tried], None] | None = None,
) -> Search:
    """Train a network for every combination of states and return the best on validation data.

    Every training starts from the same state of the generator: the same fresh network, the same batches. The generator
    is left where one ``fit_transfer`` would leave it.

    Args:
        source: the trained network.
        data: N examples of the target task.
        validation: by which the best is chosen; never test data.
        make: makes the fresh network.
        generator: of all trainings.
        states: to choose from for each layer.
        head: whether readouts start fresh or from the source's.
        recipe: of every training.
        limit: an error above so many trainings, so that nobody starts 1,024 of them by accident.
        callback: called after each training.

    Returns:
        The best network (by accuracy, then loss, then order), all that was tried, and the cost.

    Raises:
        ParameterError: if there are more combinations than the limit, or no or repeated states; as ``fit_transfer``.

    Source: [zhang2019ptu], abstract: searching the best states by hold-out is what the paper finds expensive
    """
    require_layered(source)
    _require_few(states, source.num_layers, limit)
    start, recipe, began = generator.get_state(), recipe or TransferRecipe(), perf_counter()
    tried: list[Tried] = []
    best: Transferred | None = None
    steps = 0
    for combination in product(states, repeat=source.num_layers):
        generator.set_state(start)
        method = partial(chosen, states=combination, head=head)
        found = fit_transfer(source, data, method, make=make, generator=generator, validation=validation, recipe=recipe)
        result = evaluate(found.network, validation)
        tried.append(Tried(combination, result.accuracy, result.loss, found.trainable))
        steps += len(found.history.train_loss) * ceil(len(data) / recipe.batch_size)
        best = found if tried[-1] is _best(tried) else best
        if callback is not None:
            callback(tried[-1])
    if best is None:
        raise ParameterError("a search needs at least one combination of states to try, got none; name some states")
    return Search(best, _best(tried).states, tuple(tried), steps, perf_counter() - began)


def _best(tried: list[Tried]) -> Tried:
    """Return the first of those with the highest accuracy and, among them, the lowest loss."""
    return min(tried, key=lambda one: (-one.accuracy, one.loss))


def _require_few(states: Sequence[State], layers: int, limit: int) -> None:
    if not states or len(set(states)) != len(states):
        raise ParameterError(f"states must be one or more different ones to choose from, got {tuple(states)}")
    trainings = len(states) ** layers
    if trainings > limit:
        raise ParameterError(
            f"{len(states)} states for each of {layers} layers make {trainings} trainings, more than limit={limit}; "
            "raise the limit if there is time, or choose from fewer states"
        )
