"""Gaussian posteriors: what Kronecker factors store, how sure independent weights are, and evidence."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.laplace import matrices_of

__all__ = ["EVIDENCE", "KRON_MEMORY", "TOO_SURE", "VARIANTS"]


@dataclass(frozen=True)
class _Sizes:
    """Inputs, hidden units and classes."""

    inputs: int = 64
    hidden: int = 32
    classes: int = 10

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of each layer."""
        return (self.inputs, self.hidden), (self.hidden, self.classes)

    @property
    def parameters(self) -> int:
        return sum((d + 1) * k for d, k in self.layers)

    def factors(self) -> int:
        """The numbers of both factors of each layer, from the layers themselves."""
        sizes = (self.inputs, self.hidden, self.classes)
        which = matrices_of(mlp(sizes, generator=torch.Generator()), None)
        return sum(side**2 for block in which.blocks for side in block.places.shape)


def _sizes(generator: torch.Generator) -> _Sizes:
    return _Sizes(one_of(generator, (16, 20, 36, 49, 100)), integer(generator, 12, 30), integer(generator, 3, 10))


def _kron_memory(d: _Sizes) -> Exercise:
    whole, found = d.parameters**2, d.factors()
    right = "About a nine-hundredth of the whole matrix, and less than three times the network." if d == _Sizes() else (
        f"The whole matrix has {whole / found:.0f} times as many, the network {found / d.parameters:.1f} times fewer."
    )  # fmt: skip
    return Exercise(
        id="uncertain.kron_memory",
        prompt=f"How many numbers are in the Kronecker factors of a network {d.inputs}-{d.hidden}-{d.classes} with "
        "biases, full squares? Answer: a whole number.",
        given="Layers are fully connected. Each has two Kronecker factors, one for its inputs and one for its outputs; "
        "a bias is one more input.",
        nudge="How many rows has the factor of the inputs, with the bias, and how many that of the outputs?",
        hint="Each layer has (d + 1)^2 numbers for d inputs and k^2 for k outputs.",
        right=right,
        reference=d.factors,
        diagnoses=(
            Diagnosis("bias", "The constant 1 of the bias is an input, too.",
                      lambda: sum(n**2 + k**2 for n, k in d.layers)),
            Diagnosis("product", "You counted the products of the factors; that is what need not be stored.",
                      lambda: sum(((n + 1) * k) ** 2 for n, k in d.layers)),
            Diagnosis("whole", "This is the whole matrix.", lambda: whole),
            Diagnosis("diagonal", "This is the number of parameters: the diagonal.", lambda: d.parameters),
            Diagnosis("inputs", "The factors of the outputs are missing.",
                      lambda: sum((n + 1) ** 2 for n, _ in d.layers)),
            Diagnosis("triangles", "Full squares are asked for; you counted triangles.",
                      lambda: sum(n * (n + 1) // 2 for layer in d.layers for n in (layer[0] + 1, layer[1]))),
        ),
    )  # fmt: skip


def _precisions() -> list[tuple[Tensor]]:
    drawn, found = torch.Generator().manual_seed(0), []
    for size in (2, 3, 5):
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        found.append((root @ root.T + 0.5 * torch.eye(size, dtype=torch.float64),))
    return found


@dataclass(frozen=True)
class _Prior:
    """The precision of a prior that comes to that of the data."""

    tau: float = 0.0

    def of(self, A: Tensor) -> Tensor:
        return A + self.tau * torch.eye(len(A), dtype=A.dtype)

    def true(self, A: Tensor) -> Tensor:
        return torch.linalg.inv(self.of(A)).diagonal().sqrt()

    def ratio(self, A: Tensor) -> Tensor:
        return self.of(A).diagonal().rsqrt() / self.true(A)


def _too_sure(d: _Prior) -> Exercise:
    plain = d.tau == 0
    where = "" if plain else f" where the data have the precision A and the prior {d.tau:g} I"
    B, kind = ("A", "a precision (P, P)") if plain else ("B", "of shape (P, P)")
    prior = () if plain else (
        Diagnosis("prior", "The precision of the posterior is the sum of both.", _Prior().ratio),
    )  # fmt: skip
    return Exercise(
        id="uncertain.too_sure",
        prompt=f"Compare independent weights with the truth{where}. Answer: a function of A, {kind}, that returns for "
        "each parameter the deviation of the best independent Gaussian divided by the true deviation, (P,).",
        nudge="Which variance has the best independent Gaussian, and which the true one?",
        hint=f"Variances are 1 / {B}_jj and ({B}^-1)_jj{'' if plain else f', B = A + {d.tau:g} I'}. A deviation is the "
        "root of a variance.",
        right="It is never above 1, and 1 only where a parameter depends on no other.",
        reference=d.ratio,
        inputs=_precisions,
        diagnoses=(
            Diagnosis("variance", "This is the ratio of variances; deviations are their roots.",
                      lambda A: d.ratio(A).square()),
            Diagnosis("upside down", "You divided the true deviation by that of the independent Gaussian.",
                      lambda A: 1 / d.ratio(A)),
            Diagnosis("alone", "This is the deviation of the independent Gaussian; divide it by the true one.",
                      lambda A: d.of(A).diagonal().rsqrt()),
            Diagnosis("true", "This is the true deviation.", d.true),
            Diagnosis("covariance", f"{B} is a precision: the true variances are on the diagonal of its inverse.",
                      lambda A: torch.ones(len(A), dtype=A.dtype)),
            *prior,
        ),
    )  # fmt: skip


def _modes() -> list[tuple[float, Tensor, Tensor, float]]:
    drawn, found = torch.Generator().manual_seed(3), []
    for size, tau, log_likelihood in ((2, 0.5, -11.0), (3, 4.0, -20.5), (4, 0.1, -3.0)):
        theta = torch.randn(size, generator=drawn, dtype=torch.float64)
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        found.append((log_likelihood, theta, root @ root.T, tau))
    return found


def _volume(theta: Tensor, H: Tensor, tau: float) -> Tensor:
    return (H + tau * torch.eye(len(theta), dtype=H.dtype)).logdet()


@dataclass(frozen=True)
class _Mean:
    """The mean of the prior, the same for every parameter."""

    m: float = 0.0

    def off(self, theta: Tensor, tau: float) -> Tensor:
        return tau * (theta - self.m).square().sum()

    def evidence(self, log_likelihood: float, theta: Tensor, H: Tensor, tau: float) -> Tensor:
        prior = -self.off(theta, tau) / 2 + len(theta) / 2 * math.log(tau)
        return log_likelihood + prior - _volume(theta, H, tau) / 2


def _evidence(d: _Mean) -> Exercise:
    plain = d.m == 0
    where = "" if plain else f" for a prior whose mean is {d.m:g} for each parameter"
    return Exercise(
        id="uncertain.evidence",
        prompt=f"Write Laplace's log evidence{where}. Answer: a function of (log_likelihood, theta, H, tau), at the "
        "mode theta (P,), with H (P, P) without the prior, that returns a number in nats.",
        given="Laplace: near the mode theta the log joint is a parabola with the precision A = H + tau I, and the "
        "prior has the precision tau for each of the P parameters. The evidence is the integral of likelihood times "
        "prior.",
        nudge="Which three terms are there beside the log likelihood, and which of them use A, not H?",
        hint=f"log likelihood - tau {_distance(d)} / 2 - ln det(H + tau I) / 2 + P ln(tau) / 2.",
        right="The last two terms are minus half the logarithm of how much the data have narrowed the prior.",
        reference=d.evidence,
        inputs=_modes,
        diagnoses=(*_determinants(d), *_terms(d)),
    )


def _distance(d: _Mean) -> str:
    return "|theta|^2" if d.m == 0 else f"|theta {'-' if d.m > 0 else '+'} {abs(d.m):g}|^2"


def _determinants(d: _Mean) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("without the prior", "A = H + tau I: you took the determinant of H.",
                  lambda fit, theta, H, tau:
                  d.evidence(fit, theta, H, tau) + (_volume(theta, H, tau) - H.logdet()) / 2),
        Diagnosis("normalizer", "The prior has a height of its own: P ln(tau) / 2 is missing.",
                  lambda fit, theta, H, tau: d.evidence(fit, theta, H, tau) - len(theta) / 2 * math.log(tau)),
        Diagnosis("once", "ln tau counts once for each of the P parameters.",
                  lambda fit, theta, H, tau: d.evidence(fit, theta, H, tau) - (len(theta) - 1) / 2 * math.log(tau)),
        Diagnosis("sign", "A sharper hill is a smaller one: the determinant is subtracted.",
                  lambda fit, theta, H, tau: d.evidence(fit, theta, H, tau) + _volume(theta, H, tau)),
    )  # fmt: skip


def _terms(d: _Mean) -> tuple[Diagnosis, ...]:
    place = "at zero" if d.m == 0 else "at the mean of the prior"
    found = (
        Diagnosis("half", "All three terms have a factor of one half.",
                  lambda fit, theta, H, tau: 2 * d.evidence(fit, theta, H, tau) - fit),
        Diagnosis("fit", "The log likelihood is missing: this is the price of the parameters alone.",
                  lambda fit, theta, H, tau: d.evidence(0.0, theta, H, tau)),
        Diagnosis("mode", f"The mode is not {place}: tau {_distance(d)} / 2 is missing.",
                  lambda fit, theta, H, tau: d.evidence(fit, theta, H, tau) + d.off(theta, tau) / 2),
    )  # fmt: skip
    zero = Diagnosis("zero", f"The prior is not centered at zero, but at {d.m:g}.", _Mean().evidence)
    return found if d.m == 0 else (*found, zero)


KRON_MEMORY, TOO_SURE, EVIDENCE = _kron_memory(_Sizes()), _too_sure(_Prior()), _evidence(_Mean())

PRECISIONS = (0.1, 0.2, 0.25, 0.4, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0)
MEANS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)

VARIANTS = {
    KRON_MEMORY.id: Variants(_kron_memory, _sizes),
    TOO_SURE.id: Variants(_too_sure, lambda generator: _Prior(one_of(generator, PRECISIONS))),
    EVIDENCE.id: Variants(_evidence, lambda generator: _Mean(one_of(generator, MEANS))),
}
