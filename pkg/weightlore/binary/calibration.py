"""Spend fewer time steps by starting neurons in the right place.

A neuron that starts empty rounds its rate down, by half of 1/T on average. Three repairs, from general to fitted:

    V_0 = theta / 2                              with_initial_potential    the best start for rates spread evenly
    b  <- b + theta / (2 T)                      with_shifted_current      the same charge, spread over T steps
    V_0 <- V_0 + theta mean(N* - N)              with_calibrated_potentials

where N* = T clip(a / lambda, 0, 1) is the number of spikes that a neuron's activation asks for and N the number that it
gave, on held-out images, layer by layer.
"""

import copy
import math
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from weightlore.binary.conversion import Converted
from weightlore.binary.currents import Shifted, parts_of, sequence
from weightlore.binary.cutting import staged
from weightlore.binary.normalization import require_images
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate

__all__ = ["require_steps", "with_calibrated_potentials", "with_initial_potential", "with_shifted_current"]

Network = TypeVar("Network", bound=SpikingNetwork)


def with_initial_potential(network: Network, share: float = 0.5) -> Network:
    """Return a network whose neurons start at a share of their threshold.

        V_0 = share theta

    With share 1/2 a constant current z gives the rate floor(T z + 1/2) / T, which errs by at most 1/(2 T) and, for
    currents spread evenly, not at all on average.

    Args:
        network: any; it stays as it is.
        share: of the threshold, finite; 1 and more fire at once.

    Returns:
        A copy.

    Raises:
        ParameterError: if the share is not finite, or below a layer's lower bound.

    Source: [bu2022initial], optimal initial potential
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not math.isfinite(share):
        raise ParameterError(f"share is a part of the threshold and must be a finite number, got {share!r}")
    found = copy.deepcopy(network)
    for _, layer, neuron in _spiking(found):
        layer.neuron = replace(neuron, initial=share * neuron.threshold)
    return found


def with_shifted_current(network: Network, steps: int) -> Network:
    """Return a network in which every neuron gets half a threshold more over T steps.

        I_t <- I_t + theta / (2 T)

    For constant currents the spike count after T steps is the one that a start at theta/2 gives; before T it is lower.

    Args:
        network: any; it stays as it is.
        steps: T, the number of steps that it will run, >= 1.

    Returns:
        A copy, for this number of steps.

    Raises:
        ParameterError: if steps is no whole number from 1 up.

    Source: [deng2021optimal], shift of the activation by half a step
    """
    require_steps(steps)
    found = copy.deepcopy(network)
    for _, layer, neuron in _spiking(found):
        name, synapse = next(iter(layer.synapses.items()))
        layer.synapses[name] = sequence(*parts_of(synapse), Shifted(neuron.threshold / (2 * steps)))
    return found.train(network.training)


def with_calibrated_potentials(
    network: Converted,
    model: nn.Module,
    images: Split | Tensor,
    *,
    steps: int,
    batch_size: int = 256,
) -> Converted:
    """Return a network whose neurons start so that they give, on average, the spikes that their activations ask for.

        V_0 <- V_0 + theta mean over images of (N* - N),   N* = T clip(a / lambda, 0, 1)

    One layer after the other, each behind the corrected ones, and each neuron by itself.

    Args:
        network: made from the model by ``to_spiking``, with scales absorbed or not; it stays as it is.
        model: whose activations are the aim.
        images: held-out images, shape (N, ...): neither those that the model was trained on nor those it is judged on.
        steps: T, the number of steps that the network will run, >= 1.
        batch_size: images at once.

    Returns:
        A copy, for this number of steps.

    Raises:
        ParameterError: if the network was not made from this model, pools by a maximum or with neurons of their own, or
            the images or steps cannot be used.

    Source: [li2021calibration], potential calibration; [hao2023offset], spikes too many or too few
    """
    require_steps(steps)
    x = require_images(model, images)
    wanted = _wanted(network, model, x, steps, batch_size)
    found = copy.deepcopy(network)
    for number, layer, neuron in _spiking(found):
        given = torch.zeros_like(wanted[number - 1])
        for batch in x.split(batch_size):
            given += simulate(found, batch, steps).spike_counts[number - 1].to(given.dtype).sum(0)
        offset = (wanted[number - 1] - given) / len(x)
        threshold = torch.as_tensor(neuron.threshold, dtype=offset.dtype, device=offset.device)
        initial = torch.as_tensor(neuron.initial, dtype=offset.dtype, device=offset.device) + threshold * offset
        if neuron.lowest is not None:
            initial = initial.clamp(min=neuron.lowest)
        layer.neuron = replace(neuron, initial=initial)
    return found


def require_steps(steps: int) -> int:
    """Return the number of steps if it is one.

    Args:
        steps: T.

    Raises:
        ParameterError: if it is no whole number from 1 up.

    Source: ours
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ParameterError(f"steps counts time steps and must be a whole number >= 1, got {steps!r}")
    return steps


def _spiking(network: SpikingNetwork) -> list[tuple[int, SpikingLayer, Neuron]]:
    """The layers that spike, with number and neuron."""
    layers = [(number, network.layer(number)) for number in range(1, len(network.layers) + 1)]
    return [(number, layer, layer.neuron) for number, layer in layers if layer.neuron is not None]


def _wanted(network: Converted, model: nn.Module, x: Tensor, steps: int, batch_size: int) -> list[Tensor]:
    """The spikes that activations ask for, summed over the images, one tensor of a neuron's shape for each layer."""
    stages, spiking = staged(model), _spiking(network)
    fits = isinstance(network, Converted) and len(spiking) == len(stages) == len(network.factors)
    if not fits or any(layer.gate is not None for _, layer, _ in spiking):
        raise ParameterError(
            "each spiking layer must stand for one non-linearity of the model; convert this model with "
            'pooling="current" and without max pooling'
        )
    sums: list[Tensor] = []
    with torch.no_grad():
        for batch in x.split(batch_size):
            found = zip(stages.activations(batch), network.factors, strict=True)
            counts = [(steps * (a / factor).clamp(0, 1)).sum(0) for a, factor in found]
            sums = [one + other for one, other in zip(sums, counts, strict=True)] if sums else counts
    return sums
