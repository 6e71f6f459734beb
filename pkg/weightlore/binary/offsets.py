"""Correct the spikes that came too many or too few, image by image.

After a trial of rho steps, what a neuron has left over says what went wrong. With the charge V_0 + sum I that it got
and the N spikes that it gave:

    r = V_0 + sum I - N theta
    r < 0, though it fired      one spike too many:  V_0 <- V_0 - max(theta, least potential that fired - theta + eps)
    r >= theta                  one spike too few:   V_0 <- V_0 + max(theta, theta + eps - largest that did not fire)

Then the same currents come again, and the neuron fires one time less or more. The layers behind get the corrected
spikes. A correction costs the steps of its trial; it may be repeated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.binary.calibration import require_steps
from weightlore.errors import ParameterError
from weightlore.spiking import Record, SpikingLayer, SpikingNetwork
from weightlore.spiking.network import layer_shapes
from weightlore.spiking.neurons import Constants
from weightlore.spiking.reference import emit, total
from weightlore.spiking.simulation import require_input
from weightlore.training import in_mode

__all__ = ["Trial", "corrected_start", "simulate_corrected", "tried"]

SLACK = 1e-3  # eps, in thresholds: how far a potential is pushed beyond the threshold, or below it


@dataclass(frozen=True, eq=False)
class Trial:
    """What a layer did with its currents.

    Args:
        spikes: shape (T, N, ...), zeros and ones.
        reached: potentials before the reset, the same shape.
        left: potentials after the last step, shape (N, ...).

    Source: ours
    """

    spikes: Tensor
    reached: Tensor
    left: Tensor


def simulate_corrected(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    trial_steps: int | None = None,
    rounds: int = 1,
    batch_size: int = 256,
) -> Record:
    """Simulate a network layer by layer, every neuron corrected by a spike where its trial shows one too many or few.

    Args:
        network: soft reset, no leak, refractory period, bound or recurrent synapse; in the order ``"same_step"``.
        x: input, shape (N, ...), the same in every step.
        steps: T, >= 1.
        trial_steps: rho, at most T; ``None`` for T. A network on hardware runs rho + T steps for each layer in turn.
        rounds: how many corrections, each of one spike, >= 0.
        batch_size: examples at once; each is corrected by itself.

    Returns:
        As ``simulate``, without recorded layers.

    Raises:
        ParameterError: if a number is out of range, or the network has neurons or synapses of another kind.

    Source: [hao2023offset], shifting the initial potential by offset spikes
    """
    trial = require_steps(steps) if trial_steps is None else require_steps(trial_steps)
    if trial > steps or batch_size < 1 or isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
        raise ParameterError(
            f"trial_steps must be at most steps = {steps}, rounds a whole number >= 0 and batch_size >= 1, "
            f"got {trial}, {rounds!r} and {batch_size}"
        )
    require_input(network, x, steps, "same_step")
    _require_plain(network)
    with in_mode(network, training=False), torch.no_grad():
        parts = [_corrected(network, part, steps, trial, rounds) for part in x.split(batch_size)]
    decided = torch.full((len(x),), steps, dtype=torch.int64, device=x.device)
    counts = tuple(torch.cat(layer) for layer in zip(*(found for _, found in parts), strict=True))
    return Record(torch.cat([potential for potential, _ in parts], dim=1), counts, {}, {}, decided)


def tried(currents: Tensor, start: Tensor, threshold: Tensor) -> Trial:
    """Return what integrate-and-fire neurons with soft reset do with their currents.

        u_t = V_{t-1} + I_t,   s_t = [u_t >= theta],   V_t = u_t - theta s_t

    Args:
        currents: shape (T, N, ...).
        start: V_0, shape (N, ...), each example with its own.
        threshold: theta, broadcasts against (N, ...).

    Returns:
        Spikes and potentials.

    Source: [lu2020binary], spiking simulation
    """
    v, spikes, reached = start, torch.empty_like(currents), torch.empty_like(currents)
    for t, current in enumerate(currents):
        reached[t] = v + current
        spikes[t] = reached[t] >= threshold
        v = reached[t] - threshold * spikes[t]
    return Trial(spikes, reached, v)


def corrected_start(trial: Trial, start: Tensor, first: Tensor, threshold: Tensor) -> Tensor:
    """Return the initial potentials with which a trial would have given one spike less or more, where one is wrong.

    Args:
        trial: what came of the present start.
        start: V_0 of the trial, shape (N, ...).
        first: V_0 before any correction, by which spikes are judged.
        threshold: theta, broadcasts against (N, ...).

    Returns:
        New V_0, shape (N, ...).

    Source: [hao2023offset], optimal shifting distance
    """
    residual = trial.left - start + first
    fired, infinite = trial.spikes != 0, torch.full_like(trial.reached, torch.inf)
    least = torch.where(fired, trial.reached, infinite).amin(0)
    most = torch.where(fired, -infinite, trial.reached).amax(0)
    down = torch.maximum(threshold, least - threshold + SLACK * threshold)
    up = torch.maximum(threshold, threshold + SLACK * threshold - most)
    too_many = (residual < 0) & torch.isfinite(least)
    too_few = (residual >= threshold) & torch.isfinite(most)
    return torch.where(too_many, start - down, torch.where(too_few, start + up, start))


def _corrected(
    network: SpikingNetwork, x: Tensor, steps: int, trial: int, rounds: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Accumulated output (T, N, ...) and spike counts of every layer."""
    shapes, emitted = layer_shapes(network, x), [x.expand(steps, *x.shape)]
    counts: list[Tensor] = []
    for number in range(1, len(network.layers) + 1):
        layer = network.layer(number)
        currents = total(_over_time(synapse, emitted[k]) for k, synapse in network.synapses(number).items())
        if layer.neuron is None:
            return currents.cumsum(0), tuple(counts)
        constants = Constants.of(layer.neuron, shapes[number - 1][0], x)
        first = constants.initial.expand(currents.shape[1:])
        start = first
        for _ in range(rounds):
            start = corrected_start(
                tried(currents[:trial], start, constants.threshold), start, first, constants.threshold
            )
        emitted.append(_passed(layer, tried(currents, start, constants.threshold).spikes))
        counts.append(emitted[-1].sum(0).to(torch.int32))
    return emitted[-1].cumsum(0), tuple(counts)


def _over_time(synapse: torch.nn.Module, emitted: Tensor) -> Tensor:
    """Currents for all steps in one product."""
    return synapse(emitted.flatten(0, 1)).unflatten(0, emitted.shape[:2])


def _passed(layer: SpikingLayer, spikes: Tensor) -> Tensor:
    """What passes the gate of a layer, if it has one."""
    if layer.gate is None:
        return spikes
    active: Tensor | None = torch.zeros_like(spikes[0])
    passed = []
    for spike in spikes:
        sent, active = emit(layer, spike, active)
        passed.append(sent)
    return torch.stack(passed)


def _require_plain(network: SpikingNetwork) -> None:
    for number in range(1, len(network.layers) + 1):
        neuron, sources = network.layer(number).neuron, network.synapses(number)
        special = neuron is not None and (
            neuron.reset != "subtract" or neuron.leak != 1 or neuron.refractory or neuron.lowest is not None
        )
        if special or max(sources) >= number:
            raise ParameterError(
                f"spikes are corrected by what a neuron's charge has left over, but layer {number} loses charge or "
                "feeds back on itself; use soft reset without leak, rest, bound and recurrent synapses"
            )
