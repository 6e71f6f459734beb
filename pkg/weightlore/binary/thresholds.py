"""Where spikes come in, the scales of binary weights cost nothing: they move into the thresholds.

A neuron with weights alpha B, B = +-1, fires when  sum of alpha B s  reaches  theta.  So does one that counts:

    sum of B s   reaches   theta / alpha                                absorb_scales
    p x p average pooling on the way:   sums instead, and  theta p^2 / alpha

Weights are then one bit, spikes are one bit, and every real number of the layer sits in one threshold per channel. In
exact arithmetic the spikes are the same: for scales that are powers of two, bit by bit. Otherwise currents are rounded
differently, and where a potential comes as close to its threshold as T steps of rounding, a spike may come one step
earlier or later.

    scale_and_sign(weight)    alpha and B of a weight that has two values per output
    absorbed_layers(network)  numbers of the layers with weights of +-1
"""

import copy
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from weightlore.binary.currents import Scaled, Shifted, parts_of, sequence
from weightlore.binary.folding import Weighted, pair
from weightlore.errors import ParameterError
from weightlore.spiking import SpikingLayer, SpikingNetwork

__all__ = ["absorb_scales", "absorbed_layers", "scale_and_sign"]

Network = TypeVar("Network", bound=SpikingNetwork)
LINEAR = (nn.Linear, nn.Conv2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Identity, Scaled)
SHAPED = (nn.Flatten, nn.Unflatten, nn.MaxPool2d)


def absorb_scales(network: Network) -> Network:
    """Return a network in which binary weights are +-1 and their scales are in the thresholds.

        theta_o = theta A / alpha_o,   V_0 <- V_0 A / alpha_o,   b <- b A / alpha_o

    where A is the number of places that average pooling in the layer adds up. Layers with other weights stay as they
    are, and so do those that add up several sources, whose scales differ. An output with alpha = 0 keeps its zeros.

    Args:
        network: as ``to_spiking`` makes it; it stays as it is.

    Returns:
        A copy. Its spikes are those of the network in exact arithmetic; potentials are in units of one weight.

    Raises:
        ParameterError: if no layer has binary weights, or a layer that has them bounds its potential from below.

    Source: [lu2020binary], binary weights in the spiking domain; the derivation is ours
    """
    found = copy.deepcopy(network)
    changed = [number for number in range(1, len(found.layers) + 1) if _absorb(found.layer(number), number)]
    if not changed:
        raise ParameterError(
            "no layer has weights of two values per output, +-alpha; binarize the model before it is converted, or "
            "convert one that was trained with binary weights"
        )
    return found


def scale_and_sign(weight: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return scale and sign of a weight whose entries have one magnitude for each output.

    Args:
        weight: shape (O, ...).

    Returns:
        alpha, shape (O,), and B = +-1 in the shape of the weight, zero where alpha is; ``None`` if the magnitudes of
        an output differ, or all are zero.

    Example:
        >>> alpha, signs = scale_and_sign(torch.tensor([[0.5, -0.5], [2.0, 2.0]]))
        >>> alpha.tolist(), signs.tolist()
        ([0.5, 2.0], [[1.0, -1.0], [1.0, 1.0]])

    Source: [lu2020binary], binary-weight training
    """
    magnitude = weight.detach().abs().flatten(1)
    alpha = magnitude.amax(1)
    if not bool((magnitude == alpha[:, None]).all()) or not bool((alpha > 0).any()):
        return None
    return alpha, weight.detach().sign()


def absorbed_layers(network: SpikingNetwork) -> tuple[int, ...]:
    """Return the numbers of the spiking layers whose weights are +-1, or 0 for dead outputs.

    Args:
        network: for example from ``absorb_scales``.

    Source: ours
    """
    numbers = range(1, len(network.layers) + 1)
    return tuple(n for n in numbers if _has_signs(network.layer(n)))


def _has_signs(layer: SpikingLayer) -> bool:
    found = _binary_part(layer)
    if found is None:
        return False
    alpha, _ = found[1]
    return bool(((alpha == 1) | (alpha == 0)).all())


def _absorb(layer: SpikingLayer, number: int) -> bool:
    """Move the scale of a layer into its neuron, and say whether there was one to move."""
    found = _binary_part(layer)
    if found is None or layer.neuron is None:
        return False
    if layer.neuron.lowest is not None:
        raise ParameterError(
            f"layer {number} bounds its potentials by {layer.neuron.lowest}, one number for all channels, which cannot "
            "follow a scale per channel; absorb the scales first, and set lowest in the new units"
        )
    ((name, synapse),) = layer.synapses.items()
    weighted, (alpha, signs) = found
    parts, before, behind, factor = _summed(list(parts_of(synapse)), weighted)
    unit = torch.where(alpha > 0, alpha, torch.ones_like(alpha)) * (factor / (before * behind))
    beside = unit.reshape(-1, *[1] * (weighted.weight.ndim - 2))  # against one example's potential
    with torch.no_grad():
        weighted.weight.copy_(signs)
        if weighted.bias is not None:
            weighted.bias.div_(unit * behind)
    layer.synapses[name] = sequence(*(Shifted(p.amount / beside) if isinstance(p, Shifted) else p for p in parts))
    neuron = layer.neuron
    threshold, initial = (torch.as_tensor(v).to(unit) / beside for v in (neuron.threshold, neuron.initial))
    layer.neuron = replace(neuron, threshold=threshold, initial=initial)
    return True


def _binary_part(layer: SpikingLayer) -> tuple[Weighted, tuple[Tensor, Tensor]] | None:
    """The only weighted part of a spiking layer's only synapse, if its weights have two values per output."""
    if layer.neuron is None or len(layer.synapses) != 1:
        return None
    parts = [part for synapse in layer.synapses.values() for part in parts_of(synapse)]
    places = [k for k, part in enumerate(parts) if isinstance(part, nn.Linear | nn.Conv2d)]
    while parts and isinstance(parts[-1], Shifted):
        parts.pop()
    if len(places) != 1 or not all(isinstance(part, (*LINEAR, *SHAPED)) for part in parts[: places[0]]):
        return None
    weighted, behind = parts[places[0]], parts[places[0] + 1 :]
    positive = all(part.factor > 0 for part in parts if isinstance(part, Scaled))
    if (
        not positive
        or not all(isinstance(p, LINEAR) for p in behind)
        or not isinstance(weighted, nn.Linear | nn.Conv2d)
    ):
        return None
    found = scale_and_sign(weighted.weight)
    return None if found is None else (weighted, found)


def _summed(parts: list[nn.Module], weighted: nn.Module) -> tuple[list[nn.Module], int, int, float]:
    """Turn averages over full windows into sums, take factors out, and say what that leaves out of the currents.

    Returns the parts, the places added up before and behind the weights, and the product of the factors.
    """
    kept: list[nn.Module] = []
    areas, factor, side = [1, 1], 1.0, 0
    for part in parts:
        side = 1 if part is weighted else side
        if isinstance(part, Scaled):
            factor *= part.factor
        elif isinstance(part, nn.AvgPool2d) and _full_windows(part):
            rows, columns = pair(part.kernel_size)
            areas[side] *= rows * columns
            kept.append(nn.AvgPool2d(part.kernel_size, part.stride, divisor_override=1))
        else:
            kept.append(part)
    return kept, areas[0], areas[1], factor


def _full_windows(pool: nn.AvgPool2d) -> bool:
    """Whether every window of a pooling holds as many places as its kernel."""
    return not pool.ceil_mode and pair(pool.padding) == (0, 0) and pool.divisor_override is None
