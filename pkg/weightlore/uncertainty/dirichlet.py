"""A distribution over class probabilities, Dir(alpha): how wide it is, and what follows for the label.

With a_0 = sum_c alpha_c and the mean m = alpha / a_0 [malinin2018prior]:

    precision              a_0                                            how much it is worth
    total_entropy          H(m)                                           of the label
    expected_entropy       sum_c m_c (psi(a_0 + 1) - psi(alpha_c + 1))    data
    mutual_information     total - expected                               distribution
    differential_entropy   of the density itself, may be negative
    kl_divergence          KL(Dir(alpha) || Dir(beta))
    vacuity, dissonance    of subjective logic: no evidence, and evidence against itself

All take concentrations (N, C) or a ``DirichletPrediction`` and return (N,), in nats. Sums of large numbers that cancel
are avoided: with g(x) = psi(x + 1) - ln x, the mutual information is sum_c m_c g(alpha_c) - g(a_0), and for large x
both g and what else is needed come from Stirling's series.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.measures.concentrations import Concentrations, alpha_of

__all__ = [
    "differential_entropy",
    "dissonance",
    "expected_entropy",
    "kl_divergence",
    "mutual_information",
    "precision",
    "total_entropy",
    "vacuity",
]

LARGE = 30.0  # from here on the first four terms of Stirling's series are exact in float64
HALF_LOG_TWO_PI = 0.9189385332046727


def precision(alpha: Concentrations) -> Tensor:
    """Return the sum of the concentrations: larger where the distribution is narrower.

        a_0 = sum_c alpha_c

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.

    Returns:
        a_0, shape (N,); as a score of uncertainty, negate it.

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> precision(torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([6.])

    Source: [malinin2018prior], precision
    """
    return _like(alpha, alpha_of(alpha).sum(-1))


def total_entropy(alpha: Concentrations) -> Tensor:
    """Return the entropy of the mean: the total uncertainty of the label.

        H(m) = -sum_c m_c ln m_c,   m = alpha / a_0

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.

    Returns:
        Shape (N,), in [0, ln C].

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> total_entropy(torch.tensor([[3.0, 3.0]]))
        tensor([0.6931])

    Source: [malinin2018prior], total uncertainty
    """
    mean = _mean(alpha_of(alpha))
    return _like(alpha, -(mean * mean.log()).sum(-1))


def expected_entropy(alpha: Concentrations) -> Tensor:
    """Return the mean entropy of probabilities drawn from the distribution: what is left to chance.

        E H(p) = sum_c m_c (psi(a_0 + 1) - psi(alpha_c + 1))

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.

    Returns:
        Shape (N,), in [0, ln C].

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> expected_entropy(torch.ones(1, 2))
        tensor([0.5000])

    Source: [malinin2018prior], expected data uncertainty
    """
    a = alpha_of(alpha)
    whole = a.sum(-1, keepdim=True)
    return _like(alpha, (_mean(a) * (torch.digamma(whole + 1) - torch.digamma(a + 1))).sum(-1))


def mutual_information(alpha: Concentrations) -> Tensor:
    """Return how much the label would tell about the class probabilities: distributional uncertainty.

        H(m) - E H(p) = sum_c m_c g(alpha_c) - g(a_0),   g(x) = psi(x + 1) - ln x

    Where all concentrations are large it is (C - 1) / (2 a_0); the right-hand side keeps its digits there, and also
    where one class is large and another small.

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.

    Returns:
        Shape (N,), in [0, ln C].

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> mutual_information(torch.tensor([[1.0, 1.0], [5e9, 5e9]]))
        tensor([1.9315e-01, 5.0000e-11])

    Source: [malinin2018prior], distributional uncertainty; the form without cancellation is ours
    """
    a = alpha_of(alpha)
    raw = (_mean(a) * _gap(a)).sum(-1) - _gap(a.sum(-1))
    return _like(alpha, raw.clamp(min=0))


def differential_entropy(alpha: Concentrations) -> Tensor:
    """Return the entropy of the density over class probabilities; largest, -ln (C - 1)!, for the flat one.

        ln B(alpha) + (a_0 - C) psi(a_0) - sum_c (alpha_c - 1) psi(alpha_c)

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.

    Returns:
        Shape (N,), in nats, of any sign.

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> differential_entropy(torch.ones(1, 3))
        tensor([-0.6931])

    Source: [malinin2018prior], differential entropy
    """
    a = alpha_of(alpha)
    whole = a.sum(-1)
    found = _bulk(a).sum(-1) - _bulk(whole) - (a.shape[-1] - 1) * torch.digamma(whole)
    return _like(alpha, found)


def kl_divergence(alpha: Concentrations, beta: Concentrations) -> Tensor:
    """Return how far one Dirichlet distribution is from another, seen from the first.

        KL(Dir(alpha) || Dir(beta)) = ln B(beta) - ln B(alpha) + sum_c (alpha_c - beta_c)(psi(alpha_c) - psi(a_0))

    Args:
        alpha: concentrations, shape (N, C), > 0, or a prediction.
        beta: concentrations of the other, shape (N, C), or (1, C) for one and the same.

    Returns:
        Shape (N,), >= 0, in nats.

    Raises:
        ParameterError: if these are no concentrations, or shapes do not fit.

    Example:
        >>> kl_divergence(torch.tensor([[1.0, 1.0], [3.0, 1.0]]), torch.ones(1, 2))
        tensor([0.0000, 0.4319])

    Source: [malinin2018prior], Kullback-Leibler divergence of Dirichlets
    """
    a, b = alpha_of(alpha), alpha_of(beta)
    if b.shape not in (a.shape, (1, a.shape[1])):
        raise ParameterError(
            f"beta needs a row for each of alpha, {tuple(a.shape)}, or one for all, {(1, a.shape[1])}; "
            f"got {tuple(b.shape)}"
        )
    found = _bregman(a, b).sum(-1) - _bregman(a.sum(-1), b.sum(-1))
    return _like(alpha, found.clamp(min=0))


def vacuity(alpha: Concentrations) -> Tensor:
    """Return the share of belief that no evidence has claimed.

        C / a_0,   evidence e = alpha - 1 >= 0

    Args:
        alpha: concentrations, shape (N, C), >= 1, or a prediction.

    Returns:
        Shape (N,), in (0, 1].

    Raises:
        ParameterError: if these are no concentrations, or one is below 1.

    Example:
        >>> vacuity(torch.tensor([[1.0, 1.0], [5.0, 5.0]]))
        tensor([1.0000, 0.2000])

    Source: [josang2016subjective], uncertainty mass; [sensoy2018evidential]
    """
    a = _evident(alpha)
    return _like(alpha, a.shape[-1] / a.sum(-1))


def dissonance(alpha: Concentrations) -> Tensor:
    """Return how much belief stands against other belief of like strength.

        sum_c b_c [ sum_{j != c} b_j Bal(b_j, b_c) / sum_{j != c} b_j ],
        b = (alpha - 1) / a_0,   Bal(x, y) = 1 - |x - y| / (x + y)

    Args:
        alpha: concentrations, shape (N, C), >= 1, or a prediction.

    Returns:
        Shape (N,), in [0, 1 - vacuity]; 0 where at most one class has evidence.

    Raises:
        ParameterError: if these are no concentrations, or one is below 1.

    Example:
        >>> dissonance(torch.tensor([[11.0, 1.0], [6.0, 6.0]]))
        tensor([0.0000, 0.8333])

    Source: [josang2016subjective], dissonance
    """
    a = _evident(alpha)
    belief = (a - 1) / a.sum(-1, keepdim=True)  # (N, C)
    found = torch.zeros_like(belief[:, 0])
    for own, others in _each_and_the_others(belief):
        # b_j Bal(b_j, b_c) = b_j 2 min(b_j, b_c) / (b_j + b_c); no belief on either side adds none
        both = (others + own).clamp(min=torch.finfo(a.dtype).tiny)
        balanced = (others * 2 * torch.minimum(others, own) / both).sum(-1)
        found = found + own[:, 0] * balanced / others.sum(-1).clamp(min=torch.finfo(a.dtype).tiny)
    return _like(alpha, found)


def _each_and_the_others(belief: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the column (N, 1) of each class and those of all others, (N, C - 1)."""
    columns = range(belief.shape[-1])
    return [(belief[:, [c]], belief[:, [j for j in columns if j != c]]) for c in columns]


def _evident(alpha: Concentrations) -> Tensor:
    a = alpha_of(alpha)
    if float(low := a.detach().min()) < 1:
        raise ParameterError(
            f"subjective logic reads alpha - 1 as evidence, so that alpha must be >= 1, got {low:g}; prior networks, "
            "whose alpha may be smaller, have a mutual information instead"
        )
    return a


def _mean(a: Tensor) -> Tensor:
    return a / a.sum(-1, keepdim=True)


def _like(alpha: Concentrations, found: Tensor) -> Tensor:
    """Return a result in the dtype of the concentrations."""
    return found.to(alpha.dtype if isinstance(alpha, Tensor) else alpha.alpha.dtype)


def _gap(x: Tensor) -> Tensor:
    """Return g(x) = psi(x + 1) - ln x, about 1 / 2x."""
    return torch.where(x < LARGE, torch.digamma(x + 1) - x.log(), 0.5 / x - _tail(x))


def _bulk(x: Tensor) -> Tensor:
    """Return ln Gamma(x) - (x - 1) psi(x) + x, which grows like half a logarithm."""
    inner = x.clamp(max=LARGE)  # so that the branch that is not taken cannot overflow
    near = torch.lgamma(inner) - (inner - 1) * torch.digamma(inner) + inner
    rest = 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)
    far = 0.5 * x.log() + HALF_LOG_TWO_PI + 0.5 + rest - 0.5 / x + (x - 1) * _tail(x)
    return torch.where(x < LARGE, near, far)


def _tail(x: Tensor) -> Tensor:
    """Return ln x - 1 / 2x - psi(x) for large x, by Stirling's series."""
    square = 1 / (x * x)
    return square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))


def _bregman(a: Tensor, b: Tensor) -> Tensor:
    """Return ln Gamma(b) - ln Gamma(a) - (b - a) psi(a), up to b - a, which cancels between classes and their sum."""
    far = torch.log1p((b - a) / a) - 0.5 / b + 0.5 / a - _tail(b) + _tail(a)
    step = torch.where((a < LARGE) | (b < LARGE), torch.digamma(b) - torch.digamma(a), far)
    return _bulk(b) - _bulk(a) + (b - 1) * step
