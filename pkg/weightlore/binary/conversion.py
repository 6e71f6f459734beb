"""A trained network becomes a spiking one: weights divided by how large activations get, thresholds 1.

    network = to_spiking(model, images, percentile=99.9)
    record  = simulate(network, x, steps)
    network.logits(record)                     lambda_{L-1} U_t / t, which tends to the model's logits

Average pooling before the ReLU acts on currents. After the ReLU it averages the spikes on their way into the next
layer, or, as in the authors' code, feeds neurons of its own, which round a second time.
"""

import copy
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.binary.currents import parts_of, sequence
from weightlore.binary.cutting import staged
from weightlore.binary.normalization import normalization_factors, normalized, require_factors
from weightlore.binary.parts import AVERAGES
from weightlore.binary.percentiles import one_percentile
from weightlore.binary.rectifiers import ClipFloorShift
from weightlore.binary.stages import Stage, Staged
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.spiking import Neuron, Record, SpikingLayer, SpikingNetwork

__all__ = ["Converted", "Maximum", "Pooling", "to_spiking"]

Pooling = Literal["current", "stage"]
Maximum = Literal["gate", "or"]


class Converted(SpikingNetwork):
    """A spiking network that was made from a trained one.

    Args:
        layers: the last one a read-out.
        factors: lambda of the L non-linearities, shape (L,), in the unit of their activations.
        output_scale: lambda_{L-1}: what one unit of the accumulated output stands for.

    Source: [lu2020binary], conversion
    """

    factors: Tensor

    def __init__(self, layers: Sequence[SpikingLayer], *, factors: Tensor, output_scale: float) -> None:
        super().__init__(layers)
        self.register_buffer("factors", factors.detach().clone())
        self.output_scale = output_scale

    def logits(self, record: Record) -> Tensor:
        """Return what the output stands for after each step, in the unit of the model's logits.

            lambda_{L-1} U_t / t

        Args:
            record: of a simulation of this network.

        Returns:
            Shape (T, N, C).

        Source: [lu2020binary], read-out by accumulated potential
        """
        potential = record.potential
        steps = torch.arange(1, len(potential) + 1, dtype=potential.dtype, device=potential.device)
        return potential * (self.output_scale / steps).reshape(-1, *[1] * (potential.ndim - 1))


def to_spiking(
    model: nn.Module,
    images: Split | Tensor | None = None,
    *,
    percentile: float = 99.9,
    factors: Tensor | None = None,
    pooling: Pooling = "current",
    maximum: Maximum = "gate",
    neuron: Neuron | None = None,
    batch_size: int = 256,
) -> Converted:
    """Return a spiking network whose firing rates follow the activations of a trained one.

        I^l_t = W^l lambda_{l-1} / lambda_l s^{l-1}_t + b^l / lambda_l,   threshold 1,   U_t = sum of W^L s^{L-1}

    Args:
        model: as for ``staged``; it stays as it is. Batch normalization is folded, biases become constant currents.
        images: training images for the percentiles, shape (N, ...). ``None`` where nothing has to be measured: with
            ``factors``, or where every activation is a ``ClipFloorShift``, which brings its own ceiling.
        percentile: p of the activations that becomes a rate of one spike in each step, in (0, 100].
        factors: lambda, shape (L,), instead of percentiles.
        pooling: what becomes of average pooling after a ReLU: ``"current"`` averages the spikes in the next layer's
            synapse, ``"stage"`` feeds a second layer of neurons with them, as the authors' code does.
        maximum: what becomes of max pooling: ``"gate"`` lets the spikes of the most active neuron pass, ``"or"`` emits
            a spike where any neuron of the window does, which overestimates the maximum.
        neuron: of every layer, with threshold 1; ``None`` for soft reset from 0, and from 1/2 under a
            ``ClipFloorShift``.
        batch_size: images per forward pass, for the percentiles.

    Returns:
        The network, in eval mode, with a read-out that accumulates; its parameters are copies.

    Raises:
        ParameterError: if the model has a layer that cannot spike, images are missing or unsuitable, a factor is zero
            (``normalization_factors``), or the neuron has another threshold than 1.

    Source: [lu2020binary], conversion by data-based normalization
    """
    for name, given, known in (("pooling", pooling, get_args(Pooling)), ("maximum", maximum, get_args(Maximum))):
        if given not in known:
            raise ParameterError(f"{name} must be one of {known}, got {given!r}")
    _require_unit_threshold(neuron)
    network = staged(model)
    if factors is None:
        factors = _ceilings(network)
    if factors is None:
        if images is None:
            raise ParameterError("percentiles are measured on images: pass some hundred training images, or factors")
        factors = normalization_factors(model, images, percentile=one_percentile(percentile), batch_size=batch_size)
    factors = require_factors(factors, len(network))
    stages = normalized(network, factors).all
    stages = _or_pooled(stages) if maximum == "or" else stages
    stages = _with_pool_stages(stages) if pooling == "stage" else stages
    scale = float(factors[-1]) if len(factors) else 1.0
    return Converted([_layer(s, neuron) for s in stages], factors=factors, output_scale=scale).eval()


def _layer(stage: Stage, neuron: Neuron | None) -> SpikingLayer:
    """Give a stage its neurons."""
    if stage.activation is None:
        return SpikingLayer(stage.sources, None)
    if neuron is None:
        neuron = Neuron(initial=0.5) if isinstance(stage.activation, ClipFloorShift) else Neuron()
    return SpikingLayer(stage.sources, neuron, gate=stage.gate)


def _ceilings(network: Staged) -> Tensor | None:
    """The learned ceilings of all activations, ``None`` unless each has one."""
    activations = [stage.activation for stage in network.hidden]
    learned = [a.ceiling.detach() for a in activations if isinstance(a, ClipFloorShift)]
    return torch.stack(learned) if learned and len(learned) == len(activations) else None


def _or_pooled(stages: Sequence[Stage]) -> list[Stage]:
    """Move every maximum into the maps that read its stage: of spikes it is 1 where any of the window is."""
    gates = {number: stage.gate for number, stage in enumerate(stages, start=1) if stage.gate is not None}
    return [
        Stage(
            stage.name,
            {k: sequence(copy.deepcopy(gates[k]), *parts_of(m)) if k in gates else m for k, m in stage.sources.items()},
            stage.activation,
        )
        for stage in stages
    ]


def _with_pool_stages(stages: Sequence[Stage]) -> list[Stage]:
    """Give average pooling of spikes a stage of its own."""
    made: list[Stage] = []
    places = {0: 0}
    for number, stage in enumerate(stages, start=1):
        maps: dict[int, nn.Module] = {}
        for source, module in stage.sources.items():
            pools, rest = _pools_first(module) if source else ([], module)
            place = places[source]
            if pools:
                made.append(Stage(f"{stage.name}, pooling", {place: sequence(*pools)}, _same_kind(stages[source - 1])))
                place = len(made)
            maps[place] = rest
        made.append(Stage(stage.name, maps, stage.activation, gate=stage.gate, gate_first=stage.gate_first))
        places[number] = len(made)
    return made


def _same_kind(stage: Stage) -> nn.Module:
    return nn.ReLU() if stage.activation is None else copy.deepcopy(stage.activation)


def _pools_first(module: nn.Module) -> tuple[list[nn.Module], nn.Module]:
    """Split a map into the pooling that it begins with, and the rest."""
    parts = list(parts_of(module))
    count = next((k for k, part in enumerate(parts) if not isinstance(part, AVERAGES)), len(parts))
    return parts[:count], sequence(*parts[count:])


def _require_unit_threshold(neuron: Neuron | None) -> None:
    if neuron is not None and not bool((torch.as_tensor(neuron.threshold) == 1).all()):
        raise ParameterError(
            f"normalized weights go with the threshold 1, got {neuron.threshold}; to change thresholds, replace "
            "layer.neuron of the network afterwards"
        )
