"""One step of surrogate-gradient training through time: this package against four simulators and the plain loop.

Forward over T steps, cross-entropy of the output's firing rates, and backward, without an optimizer. A spike's
derivative is replaced by that of a sigmoid, 4 s (1 - s), and the reset has a gradient too: in ours, in the plain
loop and in spikingjelly, whose gradients are compared before the race. The other packages replace it by what they
replace it by unless told otherwise; as in the race of inference, their spike counts are compared with a plain loop of
their own reset. The bound is a forward and a backward pass of the layers for each step, without neurons.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks import spiking_peers
from benchmarks.race import Race
from benchmarks.spiking_inference import Found, agreeing, spiking
from benchmarks.spiking_peers import Case, Counting, fires, subtracted
from weightlore.spiking import sigmoid, unroll
from weightlore.spiking.compiled import available
from weightlore.spiking.scan import Engine

STEPS, SLOPE = 25, 4.0


def races() -> list[Race]:
    peers = spiking_peers.installed()
    engines: list[Engine] = ["torch", "numba"] if available() else ["torch"]
    return [_race(spiking_peers.mlp(STEPS), engine, peers) for engine in engines]


def _race(case: Case, engine: Engine, peers: dict[str, spiking_peers.Peer]) -> Race:
    soft = spiking_peers.counted(case, subtracted)
    contestants: dict[str, Callable[[], Found | None]] = {
        engine: _trained(case, _ours(case, engine), soft),
        "plain loop": _trained(case, partial(_loop, case), soft),
        "T forwards and backwards": partial(_bound, case),
    }
    for name, (make, rule) in peers.items():
        contestants[name] = _trained(case, make(case), spiking_peers.counted(case, rule))
    for name in {engine, "spikingjelly"} & set(contestants):
        torch.testing.assert_close(_gradients(case, contestants[name]), _gradients(case, contestants["plain loop"]))
    return Race(
        name=f"mlp, {engine}",
        what=f"784-512-10, 128 inputs, T = {STEPS}, float32, forward and backward{spiking_peers.versions(peers)}",
        contestants=contestants,
        candidate=engine,
        reference="plain loop",
        tolerance=0.005,
        compared=agreeing,
        targets=dict.fromkeys(peers, 5.0),
    )


def _trained(case: Case, counting: Counting, right: Tensor) -> Callable[[], Found]:
    labels = torch.zeros(len(case.x), dtype=torch.long)

    def run() -> Found:
        case.layers.zero_grad()
        counts = counting()
        F.cross_entropy(counts / STEPS * 10, labels).backward()
        return counts.detach(), right

    return run


def _gradients(case: Case, run: Callable[[], object]) -> list[Tensor]:
    run()
    return [weight.grad.clone() for weight in case.layers.parameters() if weight.grad is not None]


def _bound(case: Case) -> None:
    labels = torch.zeros(len(case.x), dtype=torch.long)
    for _ in range(case.steps):
        case.layers.zero_grad()
        F.cross_entropy(case.layers(case.x), labels).backward()


class _Fires(torch.autograd.Function):
    """1 where the potential has reached the threshold; the derivative of a sigmoid backward."""

    @staticmethod
    def forward(ctx: Any, above: Tensor) -> Tensor:
        ctx.save_for_backward(above)
        return (above >= 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:
        (above,) = ctx.saved_tensors
        s = torch.sigmoid(SLOPE * above)
        return outer[0] * SLOPE * s * (1 - s)


def _loop(case: Case) -> Tensor:
    potentials = [torch.zeros(()) for _ in case.layers]
    total = torch.zeros(())
    for _ in range(case.steps):
        now = case.x
        for i, layer in enumerate(case.layers):
            now = layer(now)
            if fires(layer):
                reached = potentials[i] + now
                now = _Fires.apply(reached - 1)
                potentials[i] = reached - now
        total = total + now
    return total


def _ours(case: Case, engine: Engine) -> Counting:
    network = spiking(case)
    return lambda: unroll(network, case.x, case.steps, surrogate=sigmoid(SLOPE), engine=engine).potential[-1]
