"""One step of training a recurrent transfer network with the source's states cached, against one step of fine-tuning.

Sequences of 20 tokens, some of them padded. Each contestant steps with AdamW at a rate of zero: the target is a copy of
the source and nothing is let in, so that all have the same loss. Beside the step of a unit stands that of the cell
alone, so that a small cell makes a large ratio.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.data import Split
from weightlore.networks import recurrent
from weightlore.networks.cells import CellKind
from weightlore.training import MakeOptimizer, cross_entropy
from weightlore.transfer import PTU, GateKind, Memory, PTURecurrent, cached, gate_adam

MADE = torch.Generator


def races() -> list[Race]:
    return [
        _race("plain cell", "rnn", "hidden", "dense", most=None),
        _race("GRU", "gru", "hidden", "dense", most=1.6),
        _race("GRU, channel", "gru", "hidden", "channel", most=1.6),
        _race("LSTM", "lstm", "hidden", "dense", most=1.6),
        _race("LSTM, both memories", "lstm", "both", "dense", most=1.6),
    ]


def _race(name: str, kind: CellKind, memory: Memory, gate: GateKind, most: float | None) -> Race:
    sizes = {"vocabulary": 1000, "embedding": 64, "hidden": 64, "classes": 2}
    source, data = recurrent(kind, **sizes, generator=MADE().manual_seed(0)), _sentences()
    made = partial(PTURecurrent, source, source, data.x, memory=memory, unit=partial(PTU, gate=gate))
    net, slow = (made(generator=MADE().manual_seed(0)) for _ in range(2))
    fast, (packed,) = cached(net, data)
    return Race(
        name=name,
        what="steps: 5, 64 features of a token and of a state, float32, 32 sequences of up to 20 tokens, with AdamW",
        contestants={
            "plain": _steps(copy.deepcopy(source), data, lambda every: torch.optim.AdamW(every, fused=True)),
            "cached": _steps(fast, packed, gate_adam(fast, 0.1)),
            "not cached": _steps(slow, data, gate_adam(slow, 0.1)),
        },
        candidate="cached",
        reference="plain",
        tolerance=1e-4,
        targets={} if most is None else {"plain": round(1 / most, 3)},
    )


def _sentences() -> Split:
    x = torch.randint(2, 1000, (32, 20), generator=MADE().manual_seed(1))
    lengths = 10 + torch.arange(32) % 11
    return Split(torch.where(torch.arange(20) < lengths[:, None], x, 0), torch.arange(32) % 2)


def _steps(model: nn.Module, data: Split, make: MakeOptimizer) -> Callable[[], Tensor]:
    """Return a function that takes five steps of size zero and gives the loss."""
    model.train()
    tuner, generator = make([p for p in model.parameters() if p.requires_grad]), MADE()
    for group in tuner.param_groups:
        group["lr"] = 0.0

    def run() -> Tensor:
        for _ in range(5):
            tuner.zero_grad()
            loss = cross_entropy(model, data, generator)
            loss.backward()
            tuner.step()
        return loss.detach()

    return run
