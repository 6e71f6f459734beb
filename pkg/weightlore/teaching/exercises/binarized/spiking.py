"""Where the scales of binary weights go, and what spikes cost next to numbers."""

import torch
from torch import Tensor, nn

from weightlore.binary import absorb_scales
from weightlore.spiking import Cost, Neuron, SpikingLayer, SpikingNetwork, break_even
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["ABSORB", "BREAK_EVEN", "VARIANTS"]


def _absorbed(scale: Tensor, threshold: float, start: float) -> Tensor:
    """What the package makes of a layer with these scales: thresholds and initial potentials, (2, C)."""
    layer = nn.utils.skip_init(nn.Linear, 2, len(scale), bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(scale[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64))
    found = absorb_scales(SpikingNetwork([SpikingLayer(layer, Neuron(threshold=threshold, initial=start))]))
    neuron = found.layer(1).neuron
    if neuron is None:
        raise RuntimeError("a layer that spikes has a neuron")
    return torch.stack([torch.as_tensor(neuron.threshold), torch.as_tensor(neuron.initial)])


def _absorb(size: int) -> Exercise:
    """Where the weights become +- size."""
    weights, sums = "B", "B s"
    divide = "Divide by alpha, on both sides"
    if size != 1:
        weights, sums = f"{size} B", f"{size} B s"
        divide = f"Divide by alpha and multiply by {size}, on both sides"
    return Exercise(
        id="binarized.absorb",
        prompt="A layer has weights alpha_o B with B = +-1, the threshold theta and the potential V_0 at the start. "
        f"Which thresholds and which potentials at the start give the same spikes with the weights {weights}? Answer: "
        "a function of (alpha, theta, V_0), alpha of shape (C,), that returns a tensor of shape (2, C).",
        given="A neuron adds up alpha_o B s, with s the spikes that come in, spikes when it has reached its threshold, "
        "and subtracts that.",
        nudge="The neuron fires when V_0 plus the sum of alpha B s reaches theta. Divide by something.",
        hint=f"{divide}: what is added up is {sums}, and the two other terms change alike.",
        right="And the subtraction changes alike, because it takes away the threshold. Nothing else is measured in "
        "alphas.",
        reference=lambda alpha, theta, start: size * _absorbed(alpha, theta, start),
        inputs=lambda: [
            (torch.tensor([0.5, 0.125, 2.0], dtype=torch.float64), 1.0, 0.5),
            (torch.tensor([0.1, 0.25], dtype=torch.float64), 3.0, 0.75),
        ],
        diagnoses=_unabsorbed(size),
    )


def _unabsorbed(n: int) -> tuple[Diagnosis, ...]:
    unit = Diagnosis("unit", f"That is for the weights B; those of {n} B add up {n} times as much.", _absorbed)
    return (
        Diagnosis("start", "The thresholds are right; what is there at the start is measured in the old unit, too.",
                  lambda a, t, v: torch.stack([n * t / a, torch.full_like(a, v)])),
        Diagnosis("inverse",
                  "A large weight reaches the threshold sooner; without it the threshold must be lower.",
                  lambda a, t, v: n * torch.stack([t * a, v * a])),
        Diagnosis("threshold",
                  "You changed the start only; without alpha the threshold counts in another unit as well.",
                  lambda a, t, v: torch.stack([torch.full_like(a, t), n * v / a])),
        Diagnosis("one scale", "You used one scale for all outputs. Each has its own, so each gets its own threshold.",
                  lambda a, t, v: n * torch.stack([torch.full_like(a, t), torch.full_like(a, v)]) / a.mean()),
        Diagnosis("other rows", "Thresholds first, then the potentials at the start.",
                  lambda a, t, v: n * torch.stack([v / a, t / a])),
        *(() if n == 1 else (unit,)),
    )  # fmt: skip


def _even(steps: int, cost: Cost) -> float:
    return break_even(cost) / steps


def _break_even(cost: Cost) -> Exercise:
    mac, ac, even = f"{cost.mac:g}", f"{cost.ac:g}", break_even(cost)
    few, many = ("five", "fifty") if cost == Cost() else (f"{even:.3g}", f"{10 * even:.3g}")
    return Exercise(
        id="binarized.break_even",
        prompt=f"A multiplication with its addition costs {mac} pJ, an addition {ac} pJ. Up to which mean rate do T "
        "steps of spikes cost no more than one pass with numbers, the first layer aside? Answer: a function of T.",
        nudge="A weight is used once with numbers. How often is it used with spikes, in T steps at a mean rate r?",
        hint=f"T r additions against one multiplication with its addition: {ac} T r = {mac}.",
        right=f"So {few} steps at full rate, or {many} at a rate of 0.1. Against numbers that skip their zeros it is "
        "fewer.",
        reference=lambda steps: _even(steps, cost),
        inputs=lambda: [(8,), (16,), (64,)],
        diagnoses=(
            Diagnosis("steps", "This is a number of spikes; a rate is spikes per step.", lambda steps: even),
            Diagnosis("inverse", "Upside down: the more steps, the lower must the rate be.",
                      lambda steps: steps / even),
            Diagnosis("energies", "You exchanged the energies; an addition is cheaper.",
                      lambda steps: _even(steps, Cost(mac=cost.ac, ac=cost.mac))),
            Diagnosis("addition", f"You let an addition cost 1 pJ; it costs {ac}.",
                      lambda steps: _even(steps, Cost(mac=cost.mac, ac=1.0))),
            Diagnosis("multiplication",
                      f"The multiplication alone costs {cost.mac - cost.ac:g}; its addition counts, too.",
                      lambda steps: _even(steps, Cost(mac=cost.mac - cost.ac, ac=cost.ac))),
        ),
    )  # fmt: skip


ABSORB, BREAK_EVEN = _absorb(1), _break_even(Cost())

VARIANTS = {
    ABSORB.id: Variants(_absorb, lambda generator: integer(generator, 2, 127)),
    BREAK_EVEN.id: Variants(
        _break_even,
        lambda generator: Cost(
            mac=one_of(generator, (2.4, 3.0, 3.6, 5.2, 6.0, 7.5)), ac=one_of(generator, (0.3, 0.4, 0.5, 0.6, 0.8))
        ),
    ),
}
