"""Methods that never look at the network, and which test convicts them."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from weightlore.attribution import rank_similarity
from weightlore.data import digits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import several
from weightlore.teaching.variants.families import Variants

__all__ = ["USELESS"]

Method = Callable[[Tensor, torch.Generator], Tensor]
WORDS = {3: "three", 4: "four"}


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype)


def _edges(x: Tensor, generator: torch.Generator) -> Tensor:
    across, down = torch.gradient(x.view(-1, 8, 8), dim=(1, 2))
    return (across.square() + down.square()).sqrt().view_as(x)


METHODS: dict[str, Method] = {
    "noise drawn anew at each call": _noise,
    "noise from a fixed seed": lambda x, generator: _noise(x, torch.Generator().manual_seed(0)),
    "the edges of the image": _edges,
    "the image times noise drawn anew": lambda x, generator: x * _noise(x, generator),
    "the edges with some noise drawn anew": lambda x, generator: _edges(x, generator) + 0.1 * _noise(x, generator),
}
MISTAKES = (  # method, row that is marked wrongly, what to say
    (1, 0, "seed", "Noise from a fixed seed is the same picture for every network: correlation 1."),
    (2, 0, "edges", "Edges of an image are the same whatever the network: correlation 1."),
    (0, 1, "itself", "Noise drawn anew differs from itself as well."),
    (3, 0, "image", "The image gives the size and the noise the sign: of the order nothing is left."),
    (4, 0, "some noise", "The edges are in both maps: the correlation is far from zero."),
)


@cache
def _scores(name: str) -> list[int]:
    """Whether two calls give unrelated maps of the digits, and whether they give the same ones."""
    x, generator = digits("test").x[:100], torch.Generator().manual_seed(1)
    one, other = METHODS[name](x, generator), METHODS[name](x, generator)
    found = float(rank_similarity(one, other, sign="signed", mask="all").mean())
    return [int(abs(found) < 0.1), int(found > 1 - 1e-9)]


def _marks(methods: tuple[int, ...], flip: tuple[int, int] | None = None) -> list[list[int]]:
    """Two rows, one of their marks changed."""
    names = list(METHODS)
    return [[_scores(names[i])[row] ^ ((i, row) == flip) for i in methods] for row in (0, 1)]


def _useless(methods: tuple[int, ...]) -> Exercise:
    count, names = WORDS[len(methods)], list(METHODS)
    mistakes = [one for one in MISTAKES if one[0] in methods]
    moral = "all three: noise needs the comparison with itself, the other two a random network."
    if len(methods) > 3:
        moral = "all of them: what is drawn anew needs the comparison with itself, the others a random network."
    return Exercise(
        id="explained.useless",
        prompt=f"{count.capitalize()} methods that never look at the network: {', '.join(names[i] for i in methods)}. "
        "Which of them have a signed correlation near zero between a trained and a random network? And which give "
        f"exactly 1 when a network is compared with itself? Answer: two rows of {count}, 1 for yes and 0 for no.",
        nudge=f"A method that ignores the network gives both networks what it gives itself. Which of the {count} does?",
        hint="Only new noise differs between two calls. It differs between two calls with the same network as well.",
        right=f"No test alone convicts {moral}",
        reference=lambda: _marks(methods),
        diagnoses=(
            *(
                Diagnosis(name, says, lambda flip=(method, row): _marks(methods, flip))
                for method, row, name, says in mistakes
            ),
            Diagnosis(
                "verdict",
                "You said which fail; asked is where the correlation is near zero.",
                lambda: [[1 - mark for mark in _marks(methods)[0]], _marks(methods)[1]],
            ),
        ),
    )


USELESS = _useless((0, 1, 2))

VARIANTS = {USELESS.id: Variants(_useless, lambda generator: several(generator, range(5), 4))}
