"""Distances in one pass: from the centers of classes, and in the spread that the features have."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["BALL_SCORE", "OWN_SPREAD", "VARIANTS"]


def _balls() -> list[tuple[Tensor, Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    shapes = ((3, 4, 0.8), (2, 6, 0.5), (4, 2, 1.5))
    pairs = [torch.randn(2, c, m, generator=drawn, dtype=torch.float64) for c, m, _ in shapes]
    return [(mapped, centers, s) for (mapped, centers), (*_, s) in zip(pairs, shapes, strict=True)]


def _exponents(mapped: Tensor, centers: Tensor) -> Tensor:
    return (mapped - centers).square().mean(1)


@dataclass(frozen=True)
class _Kernel:
    """K_c = exp(-mean(...) / (k s^2)), with k = 2 in equation (2)."""

    k: int = 2

    def all_of(self, mapped: Tensor, centers: Tensor, s: float) -> Tensor:
        return (-_exponents(mapped, centers) / (self.k * s**2)).exp()

    def score(self, mapped: Tensor, centers: Tensor, s: float) -> float:
        return float(1 - self.all_of(mapped, centers, s).max())


def _ball_score(d: _Kernel) -> Exercise:
    k = d.k
    written = "" if k == 2 else f", with {k} s^2 in the place of 2 s^2"
    wide = () if k == 2 else (
        Diagnosis("2 s^2", f"Here the exponent has {k} s^2 below.", _Kernel().score),
    )  # fmt: skip
    return Exercise(
        id="uncertain.ball_score",
        prompt=f"Write the doubt of a network with one ball for each class{written}. Answer: a function of "
        "(mapped, centers, s), W_c h and e_c "
        "of one input, both (C, M), that returns 1 - max_c K_c.",
        given="A class c has a matrix W_c and a center e_c of M numbers; features h are near it if K_c = exp(-||W_c h "
        "- e_c||^2 / (2 M s^2)) is near 1.",
        nudge="How far from each center, and which center counts?",
        hint=f"The mean over M of the squared differences, over {k} s^2, with a minus into exp; then 1 - the largest.",
        right="The nearest center alone decides.",
        reference=d.score,
        inputs=_balls,
        diagnoses=(
            Diagnosis("sum", "Divide the squared length by M: the mean over the M numbers.",
                      lambda h, e, s: float(1 - (-(h - e).square().sum(1) / (k * s**2)).exp().max())),
            Diagnosis("two" if k == 2 else "factor", f"The exponent has {k} s^2 below.", _Kernel(1).score),
            Diagnosis("square", "s is squared.", lambda h, e, s: float(1 - (-_exponents(h, e) / (k * s)).exp().max())),
            Diagnosis("direction", "This is the largest K; the score is larger where it is smaller.",
                      lambda h, e, s: 1 - d.score(h, e, s)),
            Diagnosis("farthest", "Take the nearest center, whose K is the largest.",
                      lambda h, e, s: float(1 - d.all_of(h, e, s).min())),
            Diagnosis("all", "One center for all: return one number, not one for each class.",
                      lambda h, e, s: 1 - d.all_of(h, e, s)),
            Diagnosis("shares", "You divided by the sum over classes; that forgets the distance.",
                      lambda h, e, s: float(1 - (d.all_of(h, e, s) / d.all_of(h, e, s).sum()).max())),
            *wide,
        ),
    )  # fmt: skip


def _spreads() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    drawn, found = torch.Generator().manual_seed(2), []
    for size, classes, r in ((3, 2, 0.1), (4, 3, 0.5)):
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        h, *means = torch.randn(classes + 1, size, generator=drawn, dtype=torch.float64)
        found.append((h, torch.stack(means), root @ root.T + torch.eye(size).double(), r))
    return found


@dataclass(frozen=True)
class _Shrinkage:
    """Towards which multiple of the mean variance a covariance shrinks."""

    times: float = 1.0

    @property
    def level(self) -> str:
        return "" if self.times == 1 else f"{self.times:g} "

    def of(self, sigma: Tensor, r: float, spread: Tensor | float | None = None) -> Tensor:
        level = self.times * (sigma.diagonal().mean() if spread is None else spread)
        return (1 - r) * sigma + r * level * torch.eye(len(sigma), dtype=sigma.dtype)

    def squares(self, h: Tensor, means: Tensor, sigma: Tensor, r: float) -> Tensor:
        return _squares(h, means, self.of(sigma, r))

    def least(self, h: Tensor, means: Tensor, sigma: Tensor, r: float) -> float:
        return float(self.squares(h, means, sigma, r).min())


def _squares(h: Tensor, means: Tensor, sigma: Tensor) -> Tensor:
    off = h - means
    return (off * torch.linalg.solve(sigma, off.T).T).sum(1)


def _own_spread(d: _Shrinkage) -> Exercise:
    plain = d.times == 1
    towards = "" if plain else f" towards {d.times:g} times the mean variance"
    return Exercise(
        id="uncertain.own_spread",
        prompt=f"Write the least squared distance from a class, with shrinkage{towards}. Answer: a function of (h, "
        "means, sigma, r), shapes (H,), (C, H) and (H, H), that returns a number.",
        given="The squared distance of features h from a class is (h - m)^T sigma^-1 (h - m), with its mean m and one "
        "covariance sigma for all. With shrinkage r a share r of the covariance is the mean variance in every "
        "direction.",
        nudge="What is added to the covariance, and which class counts?",
        hint=f"sigma = (1 - r) sigma + r {d.level}mean(diagonal) I; then (h - m) times the inverse times (h - m), the "
        "least of all.",
        right="With r = 1 it is the plain distance, in units of " + ("" if plain else f"{d.times:g} times ")
        + "the mean variance.",
        reference=d.least,
        inputs=_spreads,
        diagnoses=(*_other_spreads(d), *_other_classes(d)),
    )  # fmt: skip


def _other_spreads(d: _Shrinkage) -> tuple[Diagnosis, ...]:
    mean = () if d.times == 1 else (
        Diagnosis("mean", f"It shrinks towards {d.times:g} times the mean variance.", _Shrinkage().least),
    )  # fmt: skip
    return (
        Diagnosis("shrinkage", "You left out the shrinkage.",
                  lambda h, means, sigma, r: float(_squares(h, means, sigma).min())),
        Diagnosis("unit", f"You added r {d.level}I; it is in units of the mean variance.",
                  lambda h, means, sigma, r: float(_squares(h, means, d.of(sigma, r, 1.0)).min())),
        Diagnosis("trace", "This is the sum of the diagonal; its mean is meant.",
                  lambda h, means, sigma, r: float(_squares(h, means, d.of(sigma, r, sigma.trace())).min())),
        Diagnosis("inverse", "You multiplied by the covariance; its inverse is needed.",
                  lambda h, means, sigma, r: float(((h - means) @ d.of(sigma, r) * (h - means)).sum(1).min())),
        *mean,
    )  # fmt: skip


def _other_classes(d: _Shrinkage) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("root", "This is the distance; its square is asked for.",
                  lambda h, means, sigma, r: d.least(h, means, sigma, r) ** 0.5),
        Diagnosis("farthest", "Take the nearest class, not the farthest.",
                  lambda h, means, sigma, r: float(d.squares(h, means, sigma, r).max())),
        Diagnosis("all", "One number: the least over the classes.", d.squares),
    )  # fmt: skip


BALL_SCORE, OWN_SPREAD = _ball_score(_Kernel()), _own_spread(_Shrinkage())

VARIANTS = {
    BALL_SCORE.id: Variants(
        _ball_score, lambda generator: _Kernel(one_of(generator, (3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20)))
    ),
    OWN_SPREAD.id: Variants(
        _own_spread,
        lambda generator: _Shrinkage(one_of(generator, (0.1, 0.2, 0.25, 0.4, 0.5, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0))),
    ),
}
