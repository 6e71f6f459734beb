"""How much a chain tells: what its draws are worth, whether chains agree, and how near they are to what is known.

    effective_sample_size(draws)              independent draws that would tell the mean as well
    split_rhat(draws)                         near 1 where halves of chains agree
    running_kl(draws, mean, covariance, at=)  from the Gaussian of the first draws to a known one

Draws are (S,) of one chain, (S, C) of C chains, or (S, C, P) with one answer for each parameter.
"""

import math
import warnings
from collections.abc import Sequence

import torch
from scipy.stats import norm, rankdata
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["effective_sample_size", "running_kl", "split_rhat"]


def effective_sample_size(draws: Tensor) -> Tensor:
    """Return how many independent draws tell the mean as well as these.

        ESS = n / (-1 + 2 sum_t G_t),   G_t = rho_2t + rho_2t+1, as long as G_t > 0
        rho_t = 1 - (W - mean over chains of the autocovariance at lag t) / V,   V = (S-1)/S W + B

    Args:
        draws: shape (S,), (S, C) or (S, C, P), S >= 4.

    Returns:
        Shape () or (P,), float64, of n = S C draws; at most n log10(n), reached by chains that swing. NaN with a
        warning where all draws are equal: nothing can be said.

    Raises:
        ParameterError: if the shape is another, or a draw is not finite.

    Example:
        >>> bool(effective_sample_size(torch.arange(100.0)) < 5)
        True

    Source: [geyer1992practical], the initial positive sequence estimator; [vehtari2021rhat], effective sample size, for
        several chains
    """
    chains = _chains(draws)
    size, count = chains.shape[:2]
    centered = chains - chains.mean(0)
    spectrum = torch.fft.rfft(centered, n=2 * size, dim=0)
    covariances = torch.fft.irfft(spectrum.abs().square(), n=2 * size, dim=0)[:size] / size  # (S, C, P)
    within = covariances[0].mean(0) * size / (size - 1)
    total = covariances[0].mean(0) + (chains.mean(0).var(0) if count > 1 else 0.0)
    constant = (chains == chains[:1, :1]).all(0).all(0)
    rho = 1 - (within - covariances.mean(1) * size / (size - 1)) / total  # (S, P)
    rho[0] = 1.0
    pairs = rho[: size // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).long().cumprod(0)
    length = (2 * (pairs * positive).sum(0) - 1).clamp(min=1 / math.log10(size * count))
    found = torch.where(constant, torch.nan, size * count / length)
    if bool(constant.any()):
        warnings.warn(
            "an effective sample size is undefined where all draws are equal, and NaN there; did the chain ever move?",
            UncertaintyWarning,
            stacklevel=2,
        )
    return found if draws.ndim == 3 else found[0]


def split_rhat(draws: Tensor, *, rank_normalized: bool = False) -> Tensor:
    """Return how much wider all chains together are than their halves.

        R = sqrt( ((n-1)/n W + B) / W ),   n = S/2 draws of each of 2 C halves, B the variance of their means

    Args:
        draws: shape (S,), (S, C) or (S, C, P), S >= 4; a middle draw of an odd number is left out.
        rank_normalized: whether draws are replaced by normal scores of their ranks, and the larger of R of these and of
            those of their distances from the median is returned: sees chains of different width, and needs no variance.

    Returns:
        Shape () or (P,), float64; infinite where halves differ and none moves, NaN with a warning where all are equal.

    Raises:
        ParameterError: if the shape is another, or a draw is not finite.

    Example:
        >>> bool(split_rhat(torch.arange(100.0)) > 1.5)
        True

    Source: [vehtari2021rhat], split R-hat, and its rank-normalized and folded forms
    """
    chains = _chains(draws)
    half = len(chains) // 2
    halves = torch.cat([chains[:half], chains[-half:]], 1)
    if bool((halves == halves[:1, :1]).all(0).all(0).any()):
        warnings.warn(
            "R-hat is undefined where all draws are equal, and NaN there; did the chain ever move?",
            UncertaintyWarning,
            stacklevel=2,
        )
    if rank_normalized:
        folded = (halves - halves.flatten(0, 1).quantile(0.5, dim=0)).abs()
        found = torch.maximum(_ratio(_scores(halves)), _ratio(_scores(folded)))
    else:
        found = _ratio(halves)
    return found if draws.ndim == 3 else found[0]


def running_kl(draws: Tensor, mean: Tensor, covariance: Tensor, *, at: Sequence[int]) -> Tensor:
    """Return how far the Gaussian with the moments of the first draws is from a known one.

        KL( N(m_s, C_s) || N(m, C) ) = 1/2 [ tr(C^-1 C_s) + (m - m_s)^T C^-1 (m - m_s) - P + ln det C - ln det C_s ]

    Args:
        draws: shape (S, C, P), or (S, P) of one chain.
        mean: m, shape (P,).
        covariance: C, shape (P, P), positive definite.
        at: how many draws s of each chain are taken, each from 1 to S.

    Returns:
        One number for each s, shape (len(at),), in nats, float64; infinite while the draws span fewer than P
        directions.

    Raises:
        ParameterError: if shapes do not fit, a number is not finite, C has no factor, or an s is out of range.

    Example:
        >>> draws = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])
        >>> round(float(running_kl(draws, torch.zeros(1), torch.ones(1, 1), at=[4])), 6)
        0.0

    Source: ours, because a known posterior shows when a chain may stop; the divergence is that of two Gaussians
    """
    chains = draws[:, None] if isinstance(draws, Tensor) and draws.ndim == 2 else draws
    chains = _chains(chains)
    _require_gaussian(mean, covariance, chains.shape[2])
    if not at or min(at) < 1 or max(at) > len(chains):
        raise ParameterError(f"at must list counts of draws from 1 to {len(chains)}, got {list(at)}")
    factor, failed = torch.linalg.cholesky_ex(covariance.double())
    if int(failed):
        raise ParameterError("covariance must be positive definite, but it has no Cholesky factor; add to its diagonal")
    white = torch.linalg.solve_triangular(factor, (chains - mean.double()).flatten(0, 1).T, upper=False)  # (P, S C)
    return torch.stack([_kl_of_white(white[:, : count * chains.shape[1]]) for count in at])


def _kl_of_white(white: Tensor) -> Tensor:
    """Return the divergence from N(0, I) of the Gaussian with the moments of points (P, n)."""
    size = len(white)
    if white.shape[1] <= size:
        return torch.tensor(math.inf, dtype=torch.float64)
    moments = white.cov(correction=0).reshape(size, size)
    sign, volume = torch.linalg.slogdet(moments)
    if not bool(sign > 0) or torch.linalg.matrix_rank(moments, hermitian=True) < size:
        return torch.tensor(math.inf, dtype=torch.float64)
    return (moments.trace() + white.mean(1).square().sum() - size - volume) / 2


def _ratio(halves: Tensor) -> Tensor:
    within, size = halves.var(0).mean(0), len(halves)
    return (((size - 1) / size * within + halves.mean(0).var(0)) / within).sqrt()


def _scores(draws: Tensor) -> Tensor:
    """Return normal scores of the ranks of all draws of a parameter."""
    flat = draws.flatten(0, 1).numpy()
    return torch.as_tensor(norm.ppf((rankdata(flat, axis=0) - 0.375) / (len(flat) + 0.25))).reshape(draws.shape)


def _chains(draws: Tensor) -> Tensor:
    """Return draws as (S, C, P) in float64."""
    if not isinstance(draws, Tensor) or draws.ndim not in (1, 2, 3) or len(draws) < 4 or draws.numel() == 0:
        came = tuple(draws.shape) if isinstance(draws, Tensor) else type(draws).__name__
        raise ParameterError(f"draws must have shape (S,), (S, C) or (S, C, P) with S >= 4, got {came}")
    require_finite("a draw", draws)
    return draws.detach().double().cpu().reshape(*draws.shape, *[1] * (3 - draws.ndim))


def _require_gaussian(mean: Tensor, covariance: Tensor, size: int) -> None:
    if mean.shape != (size,) or covariance.shape != (size, size):
        raise ParameterError(
            f"mean (P,) and covariance (P, P) must fit draws of P={size} parameters, got {tuple(mean.shape)} and "
            f"{tuple(covariance.shape)}"
        )
    require_finite("the mean", mean), require_finite("the covariance", covariance)
