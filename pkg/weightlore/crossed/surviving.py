"""Ask what a network still knows after something happened to its parameters: test accuracy, in percent.

    untouched   nothing happened
    attacked    moved along its own gradient, by 4 % of its length
    shaken      moved in random directions, by 40 % of its length
    adapted     tuned to turned digits, with five labels of each class
    rounded     weights replaced by their signs, with one scale for each unit
    chipped     written into memory cells that miss their conductances; what that takes, in points

Lengths are relative to that of the network's own theta, so that no network passes by being long. A pooled network is
attacked and shaken as one, with one budget for all its parameters; tuned, written and rounded is each of its members.
"""

from collections.abc import Callable
from statistics import fmean

import torch
from torch import nn

from weightlore.binary import rounded_binary
from weightlore.corruption import Budget, indicator, random_trials
from weightlore.crossbar import Cells, CrossbarConfig, convert
from weightlore.crossbar.programming import AbsoluteNoise
from weightlore.crossed.fates import LAYERS
from weightlore.data import Split, digits, few_labels, shift
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import evaluate
from weightlore.transfer import TransferRecipe, fine_tune, fit_transfer
from weightlore.uncertainty.ensembles import PooledNetwork

__all__ = ["adapted", "attacked", "chipped", "each", "rounded", "shaken", "turned", "untouched"]

ATTACKED, STEPS = 0.04, 10
SHAKEN, TRIALS = 0.4, 20
TURNED, LABELS, TUNED = 5, 5, 60  # severity 5 is 60 degrees
MISSED, CHIPS = 0.1, 3  # of the largest conductance


def untouched(network: nn.Module) -> float:
    """Return the test accuracy in percent.

    Args:
        network: returns logits (N, 10) of digits (N, 64); left as it is, here and below.

    Source: ours
    """
    return 100 * evaluate(network, digits()).accuracy


def attacked(network: nn.Module) -> float:
    """Return the accuracy in percent after ten steps up the loss, within 4 % of the length of theta.

    The gradient is that of the validation digits.

    Args:
        network: as in ``untouched``.

    Source: [zhang2021multistep], multi-step corruption; relative to the length of theta it is ours
    """
    budget = Budget(ATTACKED * float(flatten(network).norm()))
    return 100 * indicator(network, digits(), budget, gradient_data=digits("validation"), steps=STEPS).accuracy_after


def shaken(network: nn.Module, *, generator: torch.Generator) -> float:
    """Return the mean accuracy in percent of 20 copies moved at random, each by 40 % of the length of theta.

    Args:
        network: as in ``untouched``.
        generator: draws the directions.

    Source: [sun2021corruption], random corruption; relative to the length of theta it is ours
    """
    budget = Budget(SHAKEN * float(flatten(network).norm()))
    return 100 * float(random_trials(network, digits(), budget, trials=TRIALS, generator=generator).accuracy.mean())


def adapted(network: nn.Module, *, generator: torch.Generator) -> float:
    """Return the accuracy in percent on digits turned by 60 degrees, after tuning to 50 of them.

    The labels come from the validation digits, the readout is new, and all layers are tuned.

    Args:
        network: as in ``untouched``, with the layers of ``mlp()``, or a ``PooledNetwork`` of such.
        generator: draws the labels, the new readout and the order.

    Raises:
        ParameterError: if its layers are not those of ``mlp()``.

    Source: [zhang2019ptu], the state "fine-tune"
    """
    few = few_labels(turned(digits("validation"), TURNED), LABELS, generator=generator)
    recipe = TransferRecipe(epochs=TUNED)

    def tune(one: nn.Module) -> nn.Module:
        return fit_transfer(one, few, fine_tune, make=mlp, generator=generator, recipe=recipe).network  # type: ignore[arg-type]

    return 100 * evaluate(each(network, tune), turned(digits(), TURNED)).accuracy


def rounded(network: nn.Module) -> float:
    """Return the accuracy in percent after every weight was replaced by its sign, times the mean magnitude of its unit.

    Nothing is trained. Biases stay as they are.

    Args:
        network: as in ``adapted``.

    Raises:
        ParameterError: as ``binary.rounded_binary``.

    Source: [rastegari2016xnor], section 3.1, without training
    """
    return untouched(each(network, lambda one: rounded_binary(one, layers=LAYERS)))


def chipped(network: nn.Module, *, generator: torch.Generator) -> float:
    """Return the accuracy on a crossbar less that in software, in points, on average over three chips.

    Weights of 8 bits lie in cells of 2 bits; each cell misses its conductance by 10 % of the largest, normally.

    Args:
        network: as in ``untouched``; its linear layers are written.
        generator: draws what the cells hold.

    Returns:
        Negative where the chip costs accuracy.

    Source: ours, on the crossbar of [zhang2019bitslice]
    """
    config = CrossbarConfig(cells=Cells(programming=AbsoluteNoise(MISSED * Cells().g_max)))
    chips = [convert(network, config, calibrate=digits("train"), generator=generator) for _ in range(CHIPS)]
    return fmean(map(untouched, chips)) - untouched(network)


def each(network: nn.Module, change: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Return a network changed as a whole, or each member of a pooled one.

    Args:
        network: any network, or a ``PooledNetwork``.
        change: from one network to another.

    Source: ours
    """
    if isinstance(network, PooledNetwork):
        return PooledNetwork([change(member) for member in network.members])
    return change(network)


def turned(data: Split, severity: int) -> Split:
    """Return digits turned counterclockwise, with their labels.

    Args:
        data: digits of shape (N, 64).
        severity: 0 for not at all, then 10, 20, 30, 45 and 60 degrees for 1 to 5.

    Raises:
        ParameterError: as ``data.shift``.

    Source: ours
    """
    return Split(shift(data.x, "rotation", severity), data.y)
