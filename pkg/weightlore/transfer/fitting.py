"""Transfer a trained network to a task with few labels, by one method or another.

A method makes a *plan*: the network to train, the loss of a step, and which parameters are gates. Everything else is
the same for all methods: the fresh network, the order of the batches, the optimizer. Two methods that start from the
same generator state therefore differ in nothing but the method.

    method(setting)                              -> Plan(network, step, gates, decay)
    fit_transfer(source, data, method, ...)      -> Transferred(network, history, accuracy, trainable)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.training import Callback, History, Schedule, Step, cross_entropy, evaluate, fit
from weightlore.transfer.caching import cached
from weightlore.transfer.layers import require_layered, trainable
from weightlore.transfer.steps import gate_names, gates_apart
from weightlore.transfer.tables import GateTable, gate_table

__all__ = ["Make", "Method", "Plan", "Setting", "TransferRecipe", "Transferred", "fit_transfer", "spawned"]

EXAMPLES = 64


class Make(Protocol):
    """Makes a freshly drawn network for the target task, such as ``partial(cnn, (16, 32), classes=10)``.

    Source: ours
    """

    def __call__(self, *, generator: torch.Generator) -> Layered:
        """Return the network."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a method is told.

    Args:
        source: the trained network; a method copies what it uses.
        fresh: a freshly drawn network for the target task.
        example: inputs of the target task, shape (N, ...), from which shapes can be found out.
        generator: of what the method draws.

    Source: ours
    """

    source: Layered
    fresh: Layered
    example: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class Plan:
    """What a method wants to have trained.

    Args:
        network: its parameters that require a gradient are trained.
        step: loss of a batch.
        gates: names of the parameters that are gates; they have a learning rate of their own and no weight decay, which
            would pull them towards half open.
        decay: whether the others have weight decay; a penalty of the step may take its place.
        cache: whether the network has a frozen source that should be asked about all data once, as ``cached`` does.

    Source: ours
    """

    network: nn.Module
    step: Step = cross_entropy
    gates: tuple[str, ...] = ()
    decay: bool = True
    cache: bool = False


Method = Callable[[Setting], Plan]


@dataclass(frozen=True)
class TransferRecipe:
    """How long and how fast every method trains: AdamW at a constant rate, in small batches.

    Args:
        epochs: how often every example is seen.
        batch_size: examples per step.
        lr: learning rate.
        gate_factor: learning rate of gates over that of the others.
        weight_decay: of everything but gates.
        clip: largest norm of the gradient of all parameters, ``None`` for no bound; 5 for recurrent networks.
        schedule: factor of the learning rate, ``None`` for a constant one.
        patience: epochs to wait for a lower validation loss before going back to the best; ``None`` trains to the end.

    Raises:
        ParameterError: if a rate, a factor or the bound is not positive, or the decay negative.

    Source: ours, because the paper's training is unknown
    """

    epochs: int = 120
    batch_size: int = 64
    lr: float = 3e-3
    gate_factor: float = 1.0
    weight_decay: float = 0.01
    clip: float | None = None
    schedule: Schedule | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        positive = {"lr": self.lr, "gate_factor": self.gate_factor, "clip": 1.0 if self.clip is None else self.clip}
        for name, value in positive.items():
            if not 0 < value < float("inf"):
                raise ParameterError(f"{name} must be a finite number above 0, got {value}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ParameterError(f"weight_decay must be a finite number of at least 0, got {self.weight_decay}")


@dataclass(frozen=True)
class Transferred:
    """A network for the target task, and how it came about.

    Args:
        network: in eval mode, on its own: it shares nothing with the source that was given.
        history: of the training.
        accuracy: on the validation data, in [0, 1]; ``None`` without such data.
        trainable: number of parameters that training moved.
        gates: mean gates by layer, channel and class, on the validation data or else on those of the training; ``None``
            where there are no transfer units.

    Source: ours
    """

    network: nn.Module
    history: History
    accuracy: float | None
    trainable: int
    gates: GateTable | None


def fit_transfer(
    source: Layered,
    data: Split,
    method: Method,
    *,
    make: Make,
    generator: torch.Generator,
    validation: Split | None = None,
    recipe: TransferRecipe | None = None,
    callbacks: Iterable[Callback] = (),
) -> Transferred:
    """Train a network for the target task by a method; source and data are left as they are.

    Three seeds are drawn from the generator: for the fresh network, for what the method draws, and for the training. So
    methods that are given generators of the same state start from the same fresh network and see the same batches.

    Args:
        source: the trained network.
        data: N examples of the target task.
        method: ``scratch``, ``sharing``, ``partial(share_first, k=2)``, or a function of your own.
        make: makes the fresh network.
        generator: it advances by three draws, whatever the method.
        validation: for the accuracy, and for patience; never test data.
        recipe: epochs, rates and batches; the same for all methods that are compared.
        callbacks: called after each epoch.

    Returns:
        The trained network, its history, its accuracy on the validation data and its number of trained parameters.

    Raises:
        ParameterError: if source and fresh network do not fit, or as ``training.fit``.

    Source: [zhang2019ptu], which compares with parameter sharing and fine-tuning; the procedure is ours
    """
    recipe = recipe or TransferRecipe()
    require_layered(source)
    for_fresh, for_method, for_training = (spawned(generator) for _ in range(3))
    fresh = make(generator=for_fresh)
    plan = method(Setting(source, fresh, data.x[:EXAMPLES], for_method))
    trained, seen, watched = _asked_once(plan, data, validation)
    history = fit(
        trained,
        seen,
        generator=for_training,
        step=plan.step,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=_optimizer(plan, recipe),
        schedule=recipe.schedule,
        validation=watched,
        patience=recipe.patience,
        callbacks=callbacks,
    )
    accuracy = None if watched is None else evaluate(trained, watched).accuracy
    gates = gate_table(plan.network, data if validation is None else validation) if gate_names(plan.network) else None
    return Transferred(plan.network.eval(), history, accuracy, trainable(plan.network), gates)


def spawned(generator: torch.Generator) -> torch.Generator:
    """Return a new generator on the same device, seeded by one draw from the given one.

    Args:
        generator: it advances by one draw.

    Source: ours
    """
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return torch.Generator(device=generator.device).manual_seed(seed)


def _asked_once(plan: Plan, data: Split, validation: Split | None) -> tuple[nn.Module, Split, Split | None]:
    """Return what is trained, and its data; where wanted, with all that a frozen source says of them."""
    if not plan.cache:
        return plan.network, data, validation
    given = (data,) if validation is None else (data, validation)
    fast, packed = cached(plan.network, *given)  # type: ignore[arg-type]
    return fast, packed[0], None if validation is None else packed[1]


def _optimizer(plan: Plan, recipe: TransferRecipe) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
    """Return what makes AdamW, with gates as a group of their own."""
    gates = {id(plan.network.get_parameter(name)) for name in plan.gates}
    decay = recipe.weight_decay if plan.decay else 0.0

    def made(parameters: Iterable[nn.Parameter]) -> Optimizer:
        every = list(parameters)
        tuner = AdamW(gates_apart(every, gates, recipe.lr, recipe.gate_factor, decay))
        if recipe.clip is not None:
            bound = recipe.clip
            tuner.register_step_pre_hook(lambda *_: _clipped(every, bound))
        return tuner

    return made


def _clipped(parameters: list[nn.Parameter], bound: float) -> None:
    nn.utils.clip_grad_norm_(parameters, bound)
