"""Posteriors: what Kronecker factors store, independent weights, a Langevin step, a forgotten count, evidence."""

import math

import torch
from torch import Tensor

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.laplace import matrices_of
from weightlore.uncertainty.sources import BayesianLinearRegression

__all__ = ["EVIDENCE", "FORGOTTEN", "KRON_MEMORY", "LANGEVIN", "TOO_SURE"]


def _kronecker_numbers() -> int:
    """Both factors of each layer, from the layers themselves."""
    which = matrices_of(mlp((64, 32, 10), generator=torch.Generator()), None)
    return sum(side**2 for block in which.blocks for side in block.places.shape)


KRON_MEMORY = Exercise(
    id="uncertain.kron_memory",
    prompt="How many numbers are in the Kronecker factors of a network 64-32-10 with biases, full squares? Answer: a "
    "whole number.",
    nudge="How many rows has the factor of the inputs, with the bias, and how many that of the outputs?",
    hint="Each layer has (d + 1)^2 numbers for d inputs and k^2 for k outputs.",
    right="About a nine-hundredth of the whole matrix, and less than three times the network.",
    reference=_kronecker_numbers,
    diagnoses=(
        Diagnosis("bias", "The constant 1 of the bias is an input, too.", lambda: 64**2 + 32**2 + 32**2 + 10**2),
        Diagnosis("product", "You counted the products of the factors; that is what need not be stored.",
                  lambda: (65 * 32) ** 2 + (33 * 10) ** 2),
        Diagnosis("whole", "This is the whole matrix.", lambda: 2410**2),
        Diagnosis("diagonal", "This is the number of parameters: the diagonal.", lambda: 2410),
        Diagnosis("inputs", "The factors of the outputs are missing.", lambda: 65**2 + 33**2),
        Diagnosis("triangles", "Full squares are asked for; you counted triangles.",
                  lambda: sum(n * (n + 1) // 2 for n in (65, 32, 33, 10))),
    ),
)  # fmt: skip


def _precisions() -> list[tuple[Tensor]]:
    drawn, found = torch.Generator().manual_seed(0), []
    for size in (2, 3, 5):
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        found.append((root @ root.T + 0.5 * torch.eye(size, dtype=torch.float64),))
    return found


def _too_sure(A: Tensor) -> Tensor:
    return (A.diagonal() * torch.linalg.inv(A).diagonal()).rsqrt()


TOO_SURE = Exercise(
    id="uncertain.too_sure",
    prompt="Compare independent weights with the truth. Answer: a function of A, a precision (P, P), that returns for "
    "each parameter the deviation of the best independent Gaussian divided by the true deviation, (P,).",
    nudge="Which variance has the best independent Gaussian, and which the true one?",
    hint="Variances are 1 / A_jj and (A^-1)_jj. A deviation is the root of a variance.",
    right="It is never above 1, and 1 only where a parameter depends on no other.",
    reference=_too_sure,
    inputs=_precisions,
    diagnoses=(
        Diagnosis("variance", "This is the ratio of variances; deviations are their roots.",
                  lambda A: _too_sure(A).square()),
        Diagnosis("upside down", "You divided the true deviation by that of the independent Gaussian.",
                  lambda A: 1 / _too_sure(A)),
        Diagnosis("alone", "This is the deviation of the independent Gaussian; divide it by the true one.",
                  lambda A: A.diagonal().rsqrt()),
        Diagnosis("true", "This is the true deviation.", lambda A: torch.linalg.inv(A).diagonal().sqrt()),
        Diagnosis("covariance", "A is a precision: the true variances are on the diagonal of its inverse.",
                  lambda A: torch.ones(len(A), dtype=A.dtype)),
    ),
)  # fmt: skip

Step = tuple[Tensor, Tensor, Tensor, float, float, int]


def _steps() -> list[Step]:
    drawn, found = torch.Generator().manual_seed(1), list[Step]()
    for size, e, tau, num_data in ((3, 0.01, 1.0, 50), (2, 0.04, 3.0, 200), (4, 0.002, 0.5, 12)):
        theta, slope, z = torch.randn(3, size, generator=drawn, dtype=torch.float64)
        found.append((theta, slope, z, e, tau, num_data))
    return found


def _langevin(theta: Tensor, slope: Tensor, z: Tensor, e: float, tau: float, num_data: int) -> Tensor:
    return theta + e / 2 * (-num_data * slope - tau * theta) + math.sqrt(e) * z


LANGEVIN = Exercise(
    id="uncertain.langevin",
    prompt="Write a Langevin step (8) by mini-batches. Answer: a function of (theta, slope, z, e, tau, num_data), "
    "slope the gradient of the batch's mean negative log likelihood, z standard normal, that returns the next theta.",
    nudge="What is the gradient of the log joint of all data, estimated by one batch?",
    hint="g = -num_data slope - tau theta; half a step of it, and noise of variance e.",
    right="With noise of variance 0 it is gradient descent on the regularized loss.",
    reference=_langevin,
    inputs=_steps,
    diagnoses=(
        Diagnosis("one example", "The posterior has num_data examples, and slope is the mean of one.",
                  lambda theta, slope, z, e, tau, num_data: _langevin(theta, slope, z, e, tau, 1)),
        Diagnosis("prior", "The prior pulls, too: - tau theta.",
                  lambda theta, slope, z, e, tau, num_data: _langevin(theta, slope, z, e, 0.0, num_data)),
        Diagnosis("prior once more", "The prior counts once, not once for each example.",
                  lambda theta, slope, z, e, tau, num_data: _langevin(theta, slope, z, e, num_data * tau, num_data)),
        Diagnosis("uphill", "slope leads uphill in the loss; the chain goes uphill in the log joint.",
                  lambda theta, slope, z, e, tau, num_data: _langevin(theta, -slope, z, e, -tau, num_data)),
        Diagnosis("half", "Only half a step of the gradient, e / 2: otherwise the temperature is a half.",
                  lambda theta, slope, z, e, tau, num_data:
                  2 * _langevin(theta, slope, 0 * z, e, tau, num_data) - theta + math.sqrt(e) * z),
        Diagnosis("noise", "The variance of the noise is e, so its deviation is the root of e.",
                  lambda theta, slope, z, e, tau, num_data:
                  _langevin(theta, slope, math.sqrt(e) * z, e, tau, num_data)),
        Diagnosis("no noise", "Without noise it is gradient descent.",
                  lambda theta, slope, z, e, tau, num_data: _langevin(theta, slope, 0 * z, e, tau, num_data)),
    ),
)  # fmt: skip


def _designs() -> list[tuple[Tensor, float, float]]:
    drawn = torch.Generator().manual_seed(2)
    sizes = ((12, 2, 0.25, 1.0), (30, 3, 1.0, 0.5), (8, 2, 0.1, 2.0))
    return [(torch.randn(n, p, generator=drawn, dtype=torch.float64), s2, tau) for n, p, s2, tau in sizes]


def _posterior(X: Tensor, s2: float, tau: float) -> Tensor:
    return BayesianLinearRegression(tau, s2).fit(X, X[:, :1]).covariance


FORGOTTEN = Exercise(
    id="uncertain.forgotten",
    prompt="A chain (8) of small steps is told num_data = 1, each batch is all N rows of X. Answer: a function of (X, "
    "s2, tau), for a line with noise of variance s2, that returns the covariance of what it draws, (P, P).",
    nudge="By which factor is the gradient of the data too small?",
    hint="The data count as one example: X^T X / (N s2) instead of X^T X / s2; the prior is as it was.",
    right="The more data there are, the wronger it is, and no diagnostic of the chain will tell.",
    reference=lambda X, s2, tau: _posterior(X, len(X) * s2, tau),
    inputs=_designs,
    diagnoses=(
        Diagnosis("remembered", "This is the posterior that was wanted; the chain draws from another.", _posterior),
        Diagnosis("precision", "This is the precision; the covariance is its inverse.",
                  lambda X, s2, tau: torch.linalg.inv(_posterior(X, len(X) * s2, tau))),
        Diagnosis("prior too", "The prior is not divided by N: only the data are weighed too little.",
                  lambda X, s2, tau: len(X) * _posterior(X, s2, tau)),
        Diagnosis("too sure", "You multiplied by N; a forgotten count weighs the data too little.",
                  lambda X, s2, tau: _posterior(X, s2 / len(X), tau)),
        Diagnosis("only the prior", "The data count little, not nothing: as one example.",
                  lambda X, s2, tau: torch.eye(X.shape[1], dtype=X.dtype) / tau),
    ),
)  # fmt: skip


def _modes() -> list[tuple[float, Tensor, Tensor, float]]:
    drawn, found = torch.Generator().manual_seed(3), []
    for size, tau, log_likelihood in ((2, 0.5, -11.0), (3, 4.0, -20.5), (4, 0.1, -3.0)):
        theta = torch.randn(size, generator=drawn, dtype=torch.float64)
        root = torch.randn(size, size, generator=drawn, dtype=torch.float64)
        found.append((log_likelihood, theta, root @ root.T, tau))
    return found


def _evidence(log_likelihood: float, theta: Tensor, H: Tensor, tau: float) -> Tensor:
    prior = -(tau * theta.square().sum()) / 2 + len(theta) / 2 * math.log(tau)
    return log_likelihood + prior - (H + tau * torch.eye(len(theta), dtype=H.dtype)).logdet() / 2


EVIDENCE = Exercise(
    id="uncertain.evidence",
    prompt="Write the evidence (4). Answer: a function of (log_likelihood, theta, H, tau), at the mode theta (P,), "
    "with H (P, P) without the prior, that returns a number in nats.",
    nudge="Which three terms are there beside the log likelihood, and which of them use A, not H?",
    hint="log likelihood - tau |theta|^2 / 2 - ln det(H + tau I) / 2 + P ln(tau) / 2.",
    right="The last two terms are minus half the logarithm of how much the data have narrowed the prior.",
    reference=_evidence,
    inputs=_modes,
    diagnoses=(
        Diagnosis("without the prior", "A = H + tau I: you took the determinant of H.",
                  lambda log_likelihood, theta, H, tau: _evidence(log_likelihood, theta, H, tau)
                  + ((H + tau * torch.eye(len(theta), dtype=H.dtype)).logdet() - H.logdet()) / 2),
        Diagnosis("normalizer", "The prior has a height of its own: P ln(tau) / 2 is missing.",
                  lambda log_likelihood, theta, H, tau:
                  _evidence(log_likelihood, theta, H, tau) - len(theta) / 2 * math.log(tau)),
        Diagnosis("once", "ln tau counts once for each of the P parameters.",
                  lambda log_likelihood, theta, H, tau:
                  _evidence(log_likelihood, theta, H, tau) - (len(theta) - 1) / 2 * math.log(tau)),
        Diagnosis("sign", "A sharper hill is a smaller one: the determinant is subtracted.",
                  lambda log_likelihood, theta, H, tau: _evidence(log_likelihood, theta, H, tau)
                  + (H + tau * torch.eye(len(theta), dtype=H.dtype)).logdet()),
        Diagnosis("half", "All three terms have a factor of one half.",
                  lambda log_likelihood, theta, H, tau:
                  2 * _evidence(log_likelihood, theta, H, tau) - log_likelihood),
        Diagnosis("fit", "The log likelihood is missing: this is the price of the parameters alone.",
                  lambda log_likelihood, theta, H, tau: _evidence(0.0, theta, H, tau)),
        Diagnosis("mode", "The mode is not at zero: tau |theta|^2 / 2 is missing.",
                  lambda log_likelihood, theta, H, tau:
                  _evidence(log_likelihood, theta, H, tau) + tau * theta.square().sum() / 2),
    ),
)  # fmt: skip
