"""Maps of trained and of random networks: what a rank correlation counts, and what a test of explanations can say."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from scipy.stats import pearsonr
from torch import Tensor, nn

from weightlore.attribution import randomize, rank_similarity
from weightlore.networks import cnn, healthy
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["OPPOSITE", "STILL_TRAINED"]


def _ranked(a: Tensor, b: Tensor) -> list[float]:
    return [float(rank_similarity(a[None], b[None], sign=sign, mask="all")) for sign in ("signed", "abs")]


def _opposite() -> list[float]:
    a = torch.tensor([0.0, 3.0, 0.0, -2.0, 0.0, 1.0, -4.0, 0.0])
    return _ranked(a, -a)


OPPOSITE = Exercise(
    id="explained.opposite",
    prompt="What is the rank correlation of a map A and its opposite -A, with signs and without, over all pixels? "
    "Answer: [signed, absolute].",
    nudge="What happens to the order of the numbers when all signs turn? And to that of their magnitudes?",
    hint="Turning all signs reverses the order, zeros stay tied in the middle; magnitudes do not change at all.",
    right="So absolute values call two explanations the same that contradict each other in every pixel.",
    reference=_opposite,
    diagnoses=(
        Diagnosis("order", "Signed comes first: there the order is reversed.", lambda: [1.0, -1.0]),
        Diagnosis("magnitude", "|-A| is |A|: the same ranks, not reversed ones.", lambda: [-1.0, -1.0]),
        Diagnosis("unrelated", "Opposite is not unrelated: knowing A you know -A.", lambda: [0.0, 1.0]),
    ),
)


class _Turned(NamedTuple):
    """A map, and the pixels at which another one has the opposite sign."""

    values: tuple[float, ...]
    pixels: tuple[int, ...]

    def maps(self) -> tuple[Tensor, Tensor]:
        a, b = (torch.tensor(self.values, dtype=torch.float64) for _ in range(2))
        b[list(self.pixels)] *= -1
        return a, b


def _turns(generator: torch.Generator) -> _Turned:
    places = several(generator, range(8), 5)
    values = [0.0] * 8
    for place, size in zip(places, several(generator, range(1, 10), 5), strict=True):
        values[place] = one_of(generator, (-1.0, 1.0)) * size
    return _Turned(tuple(values), tuple(sorted(places[: integer(generator, 1, 3)])))


def _contradicting(d: _Turned) -> Exercise:
    a, b = d.maps()
    where = f"pixel{'s' if len(d.pixels) > 1 else ''} {' and '.join(str(i + 1) for i in d.pixels)}"
    return Exercise(
        id="explained.opposite",
        prompt=f"A map A = ({', '.join(f'{x:g}' for x in d.values)}). A map B is like it, but for the opposite sign at "
        f"{where}, counted from 1. What is their rank correlation, with signs and without, over all pixels? "
        "Answer: [signed, absolute].",
        nudge="What happens to the order of the numbers when a sign turns? And to that of their magnitudes?",
        hint="Rank both maps, ties get the mean of their ranks; the correlation is that of the ranks.",
        right=f"So absolute values call two explanations the same that contradict each other at {where}.",
        reference=lambda: _ranked(a, b),
        diagnoses=(
            Diagnosis("order", "Signed comes first.", lambda: _ranked(a, b)[::-1]),
            Diagnosis("magnitude", "The magnitudes of A and B are the same, and so are their ranks.",
                      lambda: [_ranked(a, b)[0]] * 2),
            Diagnosis("values", "This is the correlation of the values; asked for is that of their ranks.",
                      lambda: [float(pearsonr(a.numpy(), b.numpy()).statistic), 1.0]),
        ),
    )  # fmt: skip


@cache
def _network(sizes: tuple[int, int, int] | None) -> nn.Module:
    if sizes is None:
        return healthy("cnn")
    *channels, hidden = sizes
    return cnn(channels, hidden=hidden, generator=torch.Generator().manual_seed(0))


def _sizes(generator: torch.Generator) -> tuple[int, int, int]:
    return one_of(generator, (4, 6, 10, 12)), one_of(generator, (8, 12, 20, 24)), one_of(generator, (16, 24, 48, 64))


BLOCKS = ("readout", "layers.2", "layers.1", "layers.0")


def _counts(model: nn.Module) -> list[int]:
    """How many parameters each block has, from the output down."""
    return [sum(p.numel() for name, p in model.named_parameters() if name.startswith(f"{block}.")) for block in BLOCKS]


def _kept(model: nn.Module) -> list[int]:
    """How many parameters a cascade has left after each of its steps."""
    copies = randomize(model, scheme="cascading", generator=torch.Generator().manual_seed(0))
    parameters = list(model.named_parameters())
    return [
        sum(p.numel() for name, p in parameters if not any(name.startswith(f"{b[0]}.") for b in copy.blocks))
        for copy in copies
    ]


def _sums(counts: Sequence[int]) -> list[int]:
    return [sum(counts[: i + 1]) for i in range(len(counts))]


def _still_trained(sizes: tuple[int, int, int] | None) -> Exercise:
    """Of the healthy network, or of one with these channels and hidden units."""
    model = _network(sizes)
    counts = _counts(model)
    whole, blocks = sum(counts), [f"{name} ({count:,})" for name, count in zip(BLOCKS, counts, strict=True)]
    blocks[0] = f"readout ({counts[0]:,} parameters)"
    return Exercise(
        id="explained.still_trained",
        prompt=f"A cascade makes the blocks of {'the healthy' if sizes is None else 'a trained'} convolutional network "
        f"random from the output down: {', '.join(blocks)}. How many parameters are still the trained ones after each "
        "of the four steps? Answer: [?, ?, ?, ?].",
        nudge=f"The network has {whole:,} parameters. After the first step the readout is random. And after the "
        "second?",
        hint="A cascade keeps what it has already made random: subtract step by step, until nothing is left.",
        right="Until the last step the first convolution, the one that looks at the image, is a trained one.",
        reference=lambda: _kept(model),
        diagnoses=(
            Diagnosis("independent", "That is one block at a time; in a cascade the earlier ones stay random.",
                      lambda: [whole - count for count in counts]),
            Diagnosis("random", "These are the random ones, not those that are still trained.", lambda: _sums(counts)),
            Diagnosis("bottom up", "You began at the input; a cascade begins at the output.",
                      lambda: [whole - gone for gone in _sums(counts[::-1])]),
            Diagnosis("off by one", "The first step has made the readout random already.",
                      lambda: [whole, *_kept(model)[:-1]]),
        ),
    )  # fmt: skip


STILL_TRAINED = _still_trained(None)

VARIANTS = {
    OPPOSITE.id: Variants(_contradicting, _turns, "a map and its opposite have only one answer"),
    STILL_TRAINED.id: Variants(_still_trained, _sizes),
}
