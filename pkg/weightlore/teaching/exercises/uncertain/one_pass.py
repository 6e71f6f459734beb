"""One network, one pass: scores by hand, and what a likelihood leaves open."""

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty import ood

__all__ = ["BALL_SCORE", "OWN_SPREAD", "PLUS_FIVE", "PULL", "SAME_CURVE"]


def _changes() -> Tensor:
    """How energy and largest probability change when five is added to the logits."""
    z = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    scores = (ood.energy_score, ood.max_softmax_score)
    return torch.cat([score(z + 5) - score(z) for score in scores])


PLUS_FIVE = Exercise(
    id="uncertain.plus_five",
    prompt="Five is added to all logits. By how much do the energy, -ln sum exp z, and the score 1 - max p change? "
    "Answer: two numbers.",
    nudge="Take a factor out of the sum, then out of the fraction.",
    hint="exp(z + 5) = exp(5) exp(z). In a softmax the factor stands above and below.",
    right="Energies of two networks cannot be compared.",
    reference=_changes,
    diagnoses=(
        Diagnosis("sign", "The energy is minus the logarithm: larger logits, less energy.", lambda: [5, 0]),
        Diagnosis("both", "The softmax does not see a constant.", lambda: [-5, -5]),
        Diagnosis("none", "The energy does see a constant: ln(exp(5) sum) = 5 + ln sum.", lambda: [0, 0]),
        Diagnosis("order", "The energy comes first.", lambda: [0, -5]),
    ),
)


def _balls() -> list[tuple[Tensor, Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    shapes = ((3, 4, 0.8), (2, 6, 0.5), (4, 2, 1.5))
    pairs = [torch.randn(2, c, m, generator=drawn, dtype=torch.float64) for c, m, _ in shapes]
    return [(mapped, centers, s) for (mapped, centers), (*_, s) in zip(pairs, shapes, strict=True)]


def _exponents(mapped: Tensor, centers: Tensor) -> Tensor:
    return (mapped - centers).square().mean(1)


def _ball(mapped: Tensor, centers: Tensor, s: float) -> float:
    return float(1 - (-_exponents(mapped, centers) / (2 * s**2)).exp().max())


BALL_SCORE = Exercise(
    id="uncertain.ball_score",
    prompt="Write the score of equation (2). Answer: a function of (mapped, centers, s), W_c h and e_c of one input, "
    "both (C, M), that returns 1 - max_c K_c.",
    nudge="How far from each center, and which center counts?",
    hint="The mean over M of the squared differences, over 2 s^2, with a minus into exp; then 1 - the largest.",
    right="The nearest center alone decides.",
    reference=_ball,
    inputs=_balls,
    diagnoses=(
        Diagnosis("sum", "Divide the squared length by M: the mean over the M numbers.",
                  lambda h, e, s: float(1 - (-(h - e).square().sum(1) / (2 * s**2)).exp().max())),
        Diagnosis("two", "The exponent has 2 s^2 below.",
                  lambda h, e, s: float(1 - (-_exponents(h, e) / s**2).exp().max())),
        Diagnosis("square", "s is squared.", lambda h, e, s: float(1 - (-_exponents(h, e) / (2 * s)).exp().max())),
        Diagnosis("direction", "This is the largest K; the score is larger where it is smaller.",
                  lambda h, e, s: 1 - _ball(h, e, s)),
        Diagnosis("farthest", "Take the nearest center, whose K is the largest.",
                  lambda h, e, s: float(1 - (-_exponents(h, e) / (2 * s**2)).exp().min())),
        Diagnosis("all", "One center for all: return one number, not one for each class.",
                  lambda h, e, s: 1 - (-_exponents(h, e) / (2 * s**2)).exp()),
        Diagnosis("shares", "You divided by the sum over classes; that forgets the distance.",
                  lambda h, e, s: float(1 - (-_exponents(h, e) / (2 * s**2)).softmax(0).max())),
    ),
)  # fmt: skip


def _answers() -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    rows = [torch.randn(n, generator=drawn, dtype=torch.float64) for n in (5, 7, 3, 4)]
    return [(rows[0].softmax(0), rows[1]), (rows[2].softmax(0), rows[3].relu())]


def _beside(p: Tensor, *, least: bool = False) -> Tensor:
    """The probabilities less the named class."""
    named = torch.zeros_like(p)
    named[p.argmin() if least else p.argmax()] = 1
    return p - named


PULL = Exercise(
    id="uncertain.pull",
    prompt="The length of the gradient of -ln p of the named class in the last layer. Answer: a function of (p, h), "
    "shapes (C,) and (H,), that returns a number.",
    nudge="What is the slope of -ln p_y in the logit z_c?",
    hint="p_c, less 1 for the named class. In V_cj it is that times h_j: an outer product.",
    right="No backward pass was needed.",
    reference=lambda p, h: float(_beside(p).norm() * h.norm()),
    inputs=_answers,
    diagnoses=(
        Diagnosis("named", "The named class has slope p - 1, not p.", lambda p, h: float(p.norm() * h.norm())),
        Diagnosis("features", "The features are missing: V_cj is multiplied by h_j.",
                  lambda p, h: float(_beside(p).norm())),
        Diagnosis("squared", "This is the squared length.", lambda p, h: float((_beside(p).norm() * h.norm()) ** 2)),
        Diagnosis("matrix", "This is the gradient itself; its length is asked for.",
                  lambda p, h: torch.outer(_beside(p), h)),
        Diagnosis("summed", "This is the sum of the absolute entries; the length is the root of the sum of squares.",
                  lambda p, h: float(_beside(p).abs().sum() * h.abs().sum())),
        Diagnosis("other class", "The named class is the most probable one.",
                  lambda p, h: float(_beside(p, least=True).norm() * h.norm())),
    ),
)  # fmt: skip

SAME_CURVE = Exercise(
    id="uncertain.same_curve",
    prompt="Which b goes with another nu, so that no target becomes more or less likely? Answer: a function of "
    "(nu, b, wanted), three numbers, that returns a number.",
    nudge="In which combination do nu and b enter the predicted distribution?",
    hint="b (1 + nu) / nu must stay the same. Solve for the new b.",
    right="The likelihood has one number, the parts of doubt claim two.",
    reference=lambda nu, b, wanted: b * (1 + nu) / nu * wanted / (1 + wanted),
    inputs=lambda: [(2.0, 0.5, 4.0), (0.3, 1.7, 0.1), (5.0, 0.2, 1.0)],
    diagnoses=(
        Diagnosis("upside down", "You multiplied where you should divide.",
                  lambda nu, b, wanted: b * nu / (1 + nu) * (1 + wanted) / wanted),
        Diagnosis("doubt kept", "This keeps b / nu, the doubt about the mean; the scale is what must stay.",
                  lambda nu, b, wanted: b * wanted / nu),
        Diagnosis("product kept", "This keeps b nu; it is b (1 + nu) / nu that must stay.",
                  lambda nu, b, wanted: b * nu / wanted),
        Diagnosis("noise kept", "This keeps b, so that the scale moves with nu.", lambda nu, b, wanted: b),
        Diagnosis("half way", "This is the scale that must stay; divide it by (1 + wanted) / wanted.",
                  lambda nu, b, wanted: b * (1 + nu) / nu),
    ),
)  # fmt: skip


def _spreads() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    drawn, found = torch.Generator().manual_seed(2), []
    for size, classes, r in ((3, 2, 0.1), (4, 3, 0.5)):
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        h, *means = torch.randn(classes + 1, size, generator=drawn, dtype=torch.float64)
        found.append((h, torch.stack(means), root @ root.T + torch.eye(size).double(), r))
    return found


def _shrunk(sigma: Tensor, r: float, spread: Tensor | float | None = None) -> Tensor:
    level = sigma.diagonal().mean() if spread is None else spread
    return (1 - r) * sigma + r * level * torch.eye(len(sigma), dtype=sigma.dtype)


def _squares(h: Tensor, means: Tensor, sigma: Tensor) -> Tensor:
    off = h - means
    return (off * torch.linalg.solve(sigma, off.T).T).sum(1)


OWN_SPREAD = Exercise(
    id="uncertain.own_spread",
    prompt="Write the least squared distance (4) with a shrinkage. Answer: a function of (h, means, sigma, r), shapes "
    "(H,), (C, H) and (H, H), that returns a number.",
    nudge="What is added to the covariance, and which class counts?",
    hint="sigma = (1 - r) sigma + r mean(diagonal) I; then (h - m) times the inverse times (h - m), the least of all.",
    right="With r = 1 it is the plain distance, in units of the mean variance.",
    reference=lambda h, means, sigma, r: float(_squares(h, means, _shrunk(sigma, r)).min()),
    inputs=_spreads,
    diagnoses=(
        Diagnosis("shrinkage", "You left out the shrinkage.",
                  lambda h, means, sigma, r: float(_squares(h, means, sigma).min())),
        Diagnosis("unit", "You added r I; it is in units of the mean variance.",
                  lambda h, means, sigma, r: float(_squares(h, means, _shrunk(sigma, r, 1.0)).min())),
        Diagnosis("trace", "This is the sum of the diagonal; its mean is meant.",
                  lambda h, means, sigma, r: float(_squares(h, means, _shrunk(sigma, r, sigma.trace())).min())),
        Diagnosis("inverse", "You multiplied by the covariance; its inverse is needed.",
                  lambda h, means, sigma, r: float(((h - means) @ _shrunk(sigma, r) * (h - means)).sum(1).min())),
        Diagnosis("root", "This is the distance; its square is asked for.",
                  lambda h, means, sigma, r: float(_squares(h, means, _shrunk(sigma, r)).min().sqrt())),
        Diagnosis("farthest", "Take the nearest class, not the farthest.",
                  lambda h, means, sigma, r: float(_squares(h, means, _shrunk(sigma, r)).max())),
        Diagnosis("all", "One number: the least over the classes.",
                  lambda h, means, sigma, r: _squares(h, means, _shrunk(sigma, r))),
    ),
)  # fmt: skip
