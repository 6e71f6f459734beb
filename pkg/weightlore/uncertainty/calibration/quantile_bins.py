"""Bayesian binning into quantiles: not one number of bins but all of them, weighted by their evidence.

For each B the sorted confidences are cut into B bins of equal mass. Bin b has n_b examples, m_b of them hits, and a
beta prior around its midpoint c_b, worth N'/B examples:

    a_b = N'/B c_b,   b_b = N'/B (1 - c_b)
    score(B) = sum_b [ ln G(N'/B) - ln G(n_b + N'/B) + ln G(m_b + a_b) - ln G(a_b)
                       + ln G(n_b - m_b + b_b) - ln G(b_b) ]                        log_evidence
    f(p) = sum_B w_B (m_b + a_b) / (n_b + N'/B) at the bin b of p,   w = softmax(score)

This is the score of the paper itself; some libraries put an information criterion in its place.
"""

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.binning import mass_ends
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest
from weightlore.uncertainty.calibration.piecewise import Steps, mixed

__all__ = ["BayesianBinningQuantiles", "candidates", "log_evidence"]


class BayesianBinningQuantiles(OneVsRest):
    """Average histogram binnings of many sizes, each weighted by its evidence.

    Args:
        bins: the numbers of bins to average over; ``None`` for the paper's range.
        strength: N', how many examples the prior is worth, > 0.

    Attributes:
        weights: for each map the weights of its binnings, each summing to 1.

    Raises:
        ParameterError: if a number of bins is no whole number of at least 1, or the strength is not positive.

    Example:
        >>> z = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
        >>> BayesianBinningQuantiles(bins=[1]).fit(z, torch.tensor([1, 1, 1, 0])).predict_proba(z[:1])
        tensor([[0.3333, 0.6667]])

    Source: [naeini2015bbq], model averaging; that binnings which cut alike count once is ours
    """

    def __init__(self, *, bins: Sequence[int] | None = None, strength: float = 2.0) -> None:
        super().__init__()
        for one in [1] if bins is None else bins:
            require_counts(bins=one)
        if bins is not None and not len(bins):
            raise ParameterError(
                "bins lists the numbers of bins to average over, got none; None means the paper's range"
            )
        if not 0 < strength < math.inf:
            raise ParameterError(
                f"strength is what the prior is worth in examples, a finite number > 0, got {strength}"
            )
        self.bins, self.strength = None if bins is None else tuple(bins), strength
        self.weights: tuple[Tensor, ...] = ()

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Fit one mixture of binnings for each class, as every calibrator that takes a class against the rest."""
        self.weights = ()
        return super().fit(logits, y)

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the stairs of one class, fitted on its probabilities (N,) and on where it is right (N,), bool."""
        ordered, order = scores.sort()
        hits = torch.cat([torch.zeros(1, dtype=torch.int64), hit[order].cumsum(0)]).double()
        cuts = {tuple(mass_ends(ordered, one)[0].tolist()) for one in self.bins or candidates(len(scores))}
        binnings = [_Binning(ordered, hits, ends, self.strength) for ends in sorted(cuts, key=len)]
        weights = torch.tensor([one.score for one in binnings], dtype=torch.float64).softmax(0)
        self.weights = (*self.weights, weights)
        return mixed([one.steps for one in binnings], weights)


def candidates(size: int) -> range:
    """Return the numbers of bins that the paper averages over.

        max(1, N^(1/3) / 10) <= B <= min(N / 5, 10 N^(1/3))

    Args:
        size: N, at least 1.

    Raises:
        ParameterError: if N is no whole number of at least 1.

    Example:
        >>> candidates(1000)
        range(1, 101)

    Source: [naeini2015bbq], range of the number of bins
    """
    require_counts(size=size)
    root = size ** (1 / 3)
    lowest = math.ceil(max(1.0, root / 10) - 1e-9)
    return range(lowest, max(lowest, math.floor(min(size / 5, 10 * root) + 1e-9)) + 1)


def log_evidence(hits: Tensor, counts: Tensor, middles: Tensor, *, strength: float = 2.0) -> Tensor:
    """Return the log probability of the hits, given the bins and a beta prior on the frequency in each.

        sum_b [ ln G(N'/B) - ln G(n_b + N'/B) + ln G(m_b + a_b) - ln G(a_b) + ln G(n_b - m_b + b_b) - ln G(b_b) ]

    Args:
        hits: m, shape (B,).
        counts: n, shape (B,).
        middles: c, the middle of each bin, shape (B,), strictly between 0 and 1.
        strength: N'.

    Returns:
        Shape (), float64, in nats.

    Raises:
        ParameterError: if the shapes differ, or a middle is 0 or 1.

    Example:
        >>> half, one = torch.tensor([0.5]), torch.tensor([1.0])
        >>> log_evidence(one, one, half).exp()
        tensor(0.5000, dtype=torch.float64)

    Source: [naeini2015bbq], Bayesian score
    """
    m, n, c = hits.double(), counts.double(), middles.double()
    if m.ndim != 1 or not m.shape == n.shape == c.shape or not bool(((c > 0) & (c < 1)).all()):
        raise ParameterError(
            f"hits, counts and middles strictly between 0 and 1 are needed, one of each for a bin, got shapes "
            f"{tuple(m.shape)}, {tuple(n.shape)} and {tuple(c.shape)}"
        )
    share = torch.full_like(c, strength / len(c))
    a, b = share * c, share * (1 - c)
    terms = share.lgamma() - (n + share).lgamma() + (m + a).lgamma() - a.lgamma() + (n - m + b).lgamma() - b.lgamma()
    return terms.sum()


class _Binning:
    """One way to cut sorted confidences: its score and its stairs."""

    def __init__(self, ordered: Tensor, hits: Tensor, ends: tuple[int, ...], strength: float) -> None:
        last = torch.tensor([0, *ends])
        inner = (ordered[last[1:-1] - 1] + ordered[last[1:-1]]) / 2
        edges = torch.cat([inner.new_zeros(1), inner, inner.new_ones(1)])
        m, n, share = hits[last].diff(), last.diff().double(), strength / len(ends)
        tiny = torch.finfo(torch.float64).eps
        c = ((edges[:-1] + edges[1:]) / 2).clamp(tiny, 1 - tiny)
        self.score = float(log_evidence(m, n, c, strength=strength))
        self.steps = Steps(inner, (m + share * c) / (n + share))
