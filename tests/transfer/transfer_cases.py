"""Small networks of every kind, with inputs, for the tests of transfer."""

from functools import partial

import torch

from weightlore.data import Split
from weightlore.networks import cnn, mlp, recurrent, resnet20, sequence

WORDS = {"vocabulary": 9, "embedding": 4, "hidden": 5}
DOUBLE = {"dtype": torch.float64}
MAKES = {
    "mlp": partial(mlp, (6, 5, 4, 3)),
    "mlp normalized": partial(mlp, (6, 5, 4, 3), normalize=True),
    "cnn": partial(cnn, (3, 4), image=(1, 8, 8), hidden=5, classes=3),
    "resnet20": partial(resnet20, width=2, classes=3, channels=1, **DOUBLE),
    "gru": partial(recurrent, "gru", **WORDS, classes=3, layers=2, **DOUBLE),
    "lstm": partial(recurrent, "lstm", **WORDS, classes=3, bidirectional=True, layers=2, **DOUBLE),
    "sequence": partial(sequence, "rnn", inputs=6, hidden=5, classes=3, **DOUBLE),
}
SHAPES = {"cnn": (1, 8, 8), "resnet20": (1, 8, 8), "sequence": (4, 6)}
NAMES = sorted(MAKES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def inputs(name, count=12, seed=1):
    if name in ("gru", "lstm"):
        x = torch.randint(1, 9, (count, 6), generator=seeded(seed))
        x[1, 4:] = 0
        return x
    return torch.randn(count, *SHAPES.get(name, (6,)), generator=seeded(seed), dtype=torch.float64)


def task(name, count=12, seed=1, classes=3):
    return Split(inputs(name, count, seed), torch.arange(count) % classes)


def pair(name, *, seeds=(0, 1), **options):
    """A source and a fresh network, the source with moved normalization so that nothing is at its default."""
    source, fresh = (MAKES[name](**options, generator=seeded(seed)) for seed in seeds)
    generator = seeded(7)
    with torch.no_grad():
        for module in source.modules():
            for buffer in ("running_mean", "running_var"):
                if hasattr(module, buffer):
                    moved = getattr(module, buffer)
                    moved.add_(torch.rand(moved.shape, generator=generator, dtype=moved.dtype))
        for p in source.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return source.eval(), fresh.eval()


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def unchanged(model, kept):
    return all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
