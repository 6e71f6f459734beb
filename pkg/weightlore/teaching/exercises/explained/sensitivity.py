"""Maps of trained and of random networks: what a rank correlation counts, and what a test of explanations can say."""

import torch
from torch import Tensor

from weightlore.attribution import active_correlation, active_pixels, randomize, rank_similarity, skewed_correlation
from weightlore.networks import healthy
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["OPPOSITE", "SKEWED", "STILL_TRAINED", "UNMASKED", "USELESS", "WITHOUT_FACTOR"]


def _opposite() -> list[float]:
    a = torch.tensor([[0.0, 3.0, 0.0, -2.0, 0.0, 1.0, -4.0, 0.0]])
    return [float(rank_similarity(a, -a, sign=sign, mask="all")) for sign in ("signed", "abs")]


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


def _still_trained() -> list[int]:
    model = healthy("cnn")
    theirs = dict(model.named_parameters())
    copies = randomize(model, scheme="cascading", generator=torch.Generator().manual_seed(0))
    return [
        sum(p.numel() for name, p in theirs.items() if not any(name.startswith(f"{b[0]}.") for b in copy.blocks))
        for copy in copies
    ]


STILL_TRAINED = Exercise(
    id="explained.still_trained",
    prompt="A cascade makes the blocks of the healthy convolutional network random from the output down: readout "
    "(330 parameters), layers.2 (2,080), layers.1 (1,168), layers.0 (80). How many parameters are still the trained "
    "ones after each of the four steps? Answer: [?, ?, ?, ?].",
    nudge="The network has 3,658 parameters. After the first step the readout is random. And after the second?",
    hint="A cascade keeps what it has already made random: subtract step by step, until nothing is left.",
    right="Until the last step the first convolution, the one that looks at the image, is a trained one.",
    reference=_still_trained,
    diagnoses=(
        Diagnosis("independent", "That is one block at a time; in a cascade the earlier ones stay random.",
                  lambda: [3328, 1578, 2490, 3578]),
        Diagnosis("random", "These are the random ones, not those that are still trained.",
                  lambda: [330, 2410, 3578, 3658]),
        Diagnosis("bottom up", "You began at the input; a cascade begins at the output.",
                  lambda: [3578, 2410, 330, 0]),
        Diagnosis("off by one", "The first step has made the readout random already.",
                  lambda: [3658, 3328, 1248, 80]),
    ),
)  # fmt: skip


def _unmasked(p: float, rho: float) -> Tensor:
    return active_correlation(p, rho)


UNMASKED = Exercise(
    id="explained.unmasked",
    prompt="Somebody publishes the absolute correlation rho over all pixels, of maps whose background is a share p of "
    "the pixels. What is it over the active pixels alone? Answer: a function of (p, rho).",
    nudge="Solve the closed form of section 4 for the correlation over active pixels.",
    hint="With q = 1 - p: rho (3 p + q^2) = 3 p + q^2 x. Solve for x.",
    right="For p = 0.81 and rho = 0.992 it gives 0.45: most of the 0.992 was black.",
    reference=_unmasked,
    inputs=lambda: [(0.5, 0.91), (0.81, 0.992), (0.2, 0.3)],
    diagnoses=(
        Diagnosis("direction", "That is the way from the active pixels to all of them.",
                  lambda p, r: (3 * p + (1 - p) ** 2 * r) / (3 * p + (1 - p) ** 2)),
        Diagnosis("average", "Correlations of parts do not average by their sizes: the distance between the two "
                  "groups counts too.", lambda p, r: (r - p) / (1 - p)),
        Diagnosis("square", "q is squared in the closed form.",
                  lambda p, r: (r * (3 * p + 1 - p) - 3 * p) / (1 - p)),
        Diagnosis("p and q", "p is the share of the background, q that of the active pixels.",
                  lambda p, r: (r * (3 * (1 - p) + p**2) - 3 * (1 - p)) / p**2),
        Diagnosis("unchanged", "The background is still in it.", lambda p, r: r),
    ),
)  # fmt: skip


def _skewed(p: float, u: float, v: float) -> Tensor:
    return skewed_correlation(p, u, v)


SKEWED = Exercise(
    id="explained.skewed",
    prompt="Two maps have nothing in common but their background, a share p of the pixels. Of the active pixels of the "
    "one a share u is negative, of the other a share v. What is the signed correlation over all pixels? Answer: a "
    "function of (p, u, v).",
    nudge="Where does the block of zeros lie in the ranks of a map that has few negative pixels?",
    hint="12 p q (u - 1/2)(v - 1/2) / (1 - p^3). It is zero as soon as one of the maps is balanced.",
    right="Signs alone do not help when both maps lean to one side: the background must go as well.",
    reference=_skewed,
    inputs=lambda: [(0.81, 0.2, 0.2), (0.5, 0.3, 0.9), (0.25, 0.0, 0.0)],
    diagnoses=(
        Diagnosis("balance", "A map with as many negative as positive pixels is balanced: u - 1/2 counts, not u.",
                  lambda p, u, v: 12 * p * (1 - p) * u * v / (1 - p**3)),
        Diagnosis("tie variance", "Ties make the ranks vary less: divide by 1 - p^3.",
                  lambda p, u, v: 12 * p * (1 - p) * (u - 0.5) * (v - 0.5)),
        Diagnosis("variance", "The variance of ranks is (1 - p^3) / 12; the 12 is missing.",
                  lambda p, u, v: p * (1 - p) * (u - 0.5) * (v - 0.5) / (1 - p**3)),
        Diagnosis("always zero", "The mean over the active pixels is zero, but the background pulls.",
                  lambda p, u, v: 0.0),
    ),
)  # fmt: skip


def _maps() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return attributions, images and baselines; the baseline is no black one, and two pixels equal it."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    baseline = torch.full((8,), 0.25, dtype=torch.float64)
    x[:, :2] = 0.25
    return [(torch.randn(3, 8, generator=generator, dtype=torch.float64) * (x - baseline), x, baseline)]


def _without_factor(values: Tensor, x: Tensor, baseline: Tensor) -> Tensor:
    active = active_pixels(x, baseline)
    return torch.where(active, values / torch.where(active, x - baseline, 1.0), 0.0)


WITHOUT_FACTOR = Exercise(
    id="explained.without_factor",
    prompt="All integrated gradients share the factor x - b. Take it out of a map, and leave 0 where x = b. Answer: a "
    "function of (values, x, baseline), three tensors of shape (N, D) or (D,).",
    nudge="What is left of (x - b) G when you divide? And what is 0 / 0?",
    hint="Divide by x - b where it is not zero, with torch.where around the divisor as well as around the quotient.",
    right="What is left is the mean gradient on the path; its magnitudes have no shared factor any more.",
    reference=_without_factor,
    inputs=_maps,
    diagnoses=(
        Diagnosis("baseline", "The factor is x - b; with another baseline than black it is not x.",
                  lambda values, x, baseline: torch.where(x != baseline, values / x, 0.0)),
        Diagnosis("magnitude", "Divided by |x - b| the map keeps the sign of x - b.",
                  lambda values, x, baseline: _without_factor(values, x, baseline) * torch.sign(x - baseline)),
        Diagnosis("product", "You multiplied: now the factor is in it twice.",
                  lambda values, x, baseline: values * (x - baseline)),
    ),
)  # fmt: skip

USELESS = Exercise(
    id="explained.useless",
    prompt="Three methods that never look at the network: noise drawn anew at each call, noise from a fixed seed, the "
    "edges of the image. Which of them have a signed correlation near zero between a trained and a random network? And "
    "which give exactly 1 when a network is compared with itself? Answer: two rows of three, 1 for yes and 0 for no.",
    nudge="A method that ignores the network gives both networks what it gives itself. Which of the three does?",
    hint="Only new noise differs between two calls. It differs between two calls with the same network as well.",
    right="No test alone convicts all three: noise needs the comparison with itself, the other two a random network.",
    reference=lambda: [[1, 0, 0], [0, 1, 1]],
    diagnoses=(
        Diagnosis("seed", "Noise from a fixed seed is the same picture for every network: correlation 1.",
                  lambda: [[1, 1, 0], [0, 1, 1]]),
        Diagnosis("edges", "Edges of an image are the same whatever the network: correlation 1.",
                  lambda: [[1, 0, 1], [0, 1, 1]]),
        Diagnosis("itself", "Noise drawn anew differs from itself as well.", lambda: [[1, 0, 0], [1, 1, 1]]),
        Diagnosis("verdict", "You said which fail; asked is where the correlation is near zero.",
                  lambda: [[0, 1, 1], [0, 1, 1]]),
    ),
)  # fmt: skip
