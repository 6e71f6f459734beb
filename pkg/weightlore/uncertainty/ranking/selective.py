"""What is left wrong when only the most certain predictions are kept: risk over coverage, and areas under it.

Predictions are kept in the order of their certainty; i of N kept is a coverage of i/N.

    C_i          sum of the losses of the i most certain
    risk         C_i / i             risk_coverage_curve, aurc; excess_aurc is what the best ranking would spare
    joint risk   C_i / N             augrc: kept *and* wrong

    prediction_rejection_ratio       1 for the best ranking, 0 for a random one

Equal scores are kept in random order, and C_i is the mean over all of them: losses of a block of ties are replaced by
their average. So no area depends on how a sort breaks ties, and a constant score gets exactly the random ranking.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.ranking.ordered import differences, require_losses, require_scores, rising

__all__ = [
    "RiskCoverageCurve",
    "augrc",
    "aurc",
    "excess_aurc",
    "optimal_aurc",
    "prediction_rejection_ratio",
    "risk_coverage_curve",
    "summed_losses",
]


@dataclass(frozen=True, eq=False)
class RiskCoverageCurve:
    """The mean loss of what is kept, for every number of kept predictions.

    Args:
        coverage: share of the predictions that is kept, 1/N ... 1, shape (N,).
        risk: mean loss of the kept, in the unit of the loss, shape (N,); the last is that of all predictions.

    Source: ours
    """

    coverage: Tensor
    risk: Tensor


def risk_coverage_curve(scores: Tensor, losses: Tensor) -> RiskCoverageCurve:
    """Return the mean loss of the most certain predictions over their share.

        risk(i / N) = 1/i sum over the i smallest scores of loss

    Args:
        scores: larger = less certain, kept last, shape (N,), without NaN.
        losses: of each prediction, >= 0, shape (N,); or booleans, true where it is wrong.

    Returns:
        The curve in the dtype of the scores.

    Raises:
        ParameterError: if these are no scores or losses.

    Example:
        >>> risk_coverage_curve(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([False, False, True])).risk
        tensor([0.0000, 0.0000, 0.3333])

    Source: [geifman2017selective], risk and coverage
    """
    kept = _kept(scores)
    risk = summed_losses(scores, losses) / kept
    return RiskCoverageCurve((kept / len(kept)).to(scores.dtype), risk.to(scores.dtype))


def aurc(scores: Tensor, losses: Tensor) -> Tensor:
    """Return the area under risk over coverage.

        AURC = 1/N sum_i C_i / i

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        losses: of each prediction, >= 0, shape (N,); or booleans, true where it is wrong.

    Returns:
        Shape (), in the unit of the loss, in the dtype of the scores; the mean loss for a constant score.

    Raises:
        ParameterError: if these are no scores or losses.

    Example:
        >>> aurc(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([False, False, True]))
        tensor(0.1111)

    Source: [geifman2019bias], AURC
    """
    return (summed_losses(scores, losses) / _kept(scores)).mean().to(scores.dtype)


def optimal_aurc(losses: Tensor) -> Tensor:
    """Return the smallest AURC that a ranking of these losses can have.

    The smallest losses are kept first. For k mistakes among N it is closed, with harmonic numbers H:

        1/N sum over i > N-k of (i - (N - k)) / i = (k - (N - k) (H_N - H_{N-k})) / N

    Args:
        losses: >= 0, shape (N,); or booleans, true where the prediction is wrong.

    Returns:
        Shape (), float64.

    Raises:
        ParameterError: if these are no losses.

    Example:
        >>> optimal_aurc(torch.tensor([True, False, False]))
        tensor(0.1111, dtype=torch.float64)

    Source: [geifman2019bias], the optimum; exact on N points instead of r + (1 - r) ln(1 - r)
    """
    if losses.dtype != torch.bool or losses.ndim != 1 or not len(losses):
        values = losses.detach().double() if losses.dtype != torch.bool else losses
        return aurc(require_scores(values, "losses"), values)
    n, k = torch.tensor([len(losses), int(losses.sum())], dtype=torch.float64, device=losses.device)
    harmonic = torch.digamma(n + 1) - torch.digamma(n - k + 1)
    return (k - (n - k) * harmonic) / n


def excess_aurc(scores: Tensor, losses: Tensor) -> Tensor:
    """Return how much risk the ranking costs beyond the best one: E-AURC.

        E-AURC = AURC - AURC of the best ranking of the same losses

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        losses: of each prediction, >= 0, shape (N,); or booleans, true where it is wrong.

    Returns:
        Shape (), in the unit of the loss, in the dtype of the scores; 0 for the best ranking, up to rounding.

    Raises:
        ParameterError: if these are no scores or losses.

    Example:
        >>> excess_aurc(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([False, True, False]))
        tensor(0.1667)

    Source: [geifman2019bias], E-AURC
    """
    return (aurc(require_scores(scores).double(), losses) - optimal_aurc(losses)).to(scores.dtype)


def augrc(scores: Tensor, losses: Tensor) -> Tensor:
    """Return the area under the joint risk of being kept and wrong, by the trapezoid rule.

        AUGRC = 1/N sum_i (C_{i-1} + C_i) / (2 N) ,   for mistakes  (1 - AUROC) r (1 - r) + r^2 / 2

    with the error rate r; so, unlike AURC, it does not weigh the few most certain predictions most.

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        losses: of each prediction, >= 0, shape (N,); or booleans, true where it is wrong.

    Returns:
        Shape (), in the unit of the loss, in the dtype of the scores; half the mean loss for a constant score.

    Raises:
        ParameterError: if these are no scores or losses.

    Example:
        >>> augrc(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([False, False, True]))
        tensor(0.0556)

    Source: [traub2024selective], AUGRC
    """
    return _joint_area(summed_losses(scores, losses)).to(scores.dtype)


def prediction_rejection_ratio(scores: Tensor, losses: Tensor) -> Tensor:
    """Return the area that a ranking wins over a random one, as a share of what the best ranking wins.

        PRR = (r/2 - AUGRC) / (r/2 - AUGRC of the best) ,   for mistakes  2 AUROC - 1

    with the mean loss r: rejected predictions are handed to somebody who makes no mistake.

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        losses: of each prediction, >= 0, shape (N,); or booleans, true where it is wrong.

    Returns:
        Shape (), in the dtype of the scores; 1 for the best ranking, 0 for a constant score, below 0 for worse.

    Raises:
        ParameterError: if these are no scores or losses, or all losses are equal.

    Example:
        >>> prediction_rejection_ratio(torch.tensor([0.1, 0.5, 0.9]), torch.tensor([False, False, True]))
        tensor(1.)

    Source: [malinin2020distillation], prediction rejection ratio
    """
    values = require_losses(losses, require_scores(scores)).double()
    if bool((values == values[0]).all()):
        raise ParameterError(
            f"all {len(values)} losses are {float(values[0])}, so no ranking is better than another; look at examples "
            "with and without mistakes"
        )
    best = _joint_area(summed_losses(values, values))
    won = values.mean() / 2 - _joint_area(summed_losses(scores, losses))
    return (won / (values.mean() / 2 - best)).to(scores.dtype)


def summed_losses(scores: Tensor, losses: Tensor) -> Tensor:
    """Return the sum of the losses of the i most certain predictions, the mean over all orders of equal scores.

        C_i = sum_{j <= i} loss_(j) ,   losses of ties replaced by their average

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        losses: >= 0, shape (N,); or booleans.

    Returns:
        C_1 ... C_N, shape (N,), float64.

    Raises:
        ParameterError: if these are no scores or losses.

    Source: ours, because any one order of ties is an accident
    """
    found = rising(scores)
    up_to = found.sorted(require_losses(losses, scores)).double().cumsum(0)
    if len(found.ends) == len(up_to):
        return up_to
    inside, sizes = differences(up_to.index_select(0, found.ends - 1)), found.sizes
    return (inside / sizes).repeat_interleave(sizes).cumsum(0)


def _kept(scores: Tensor) -> Tensor:
    return torch.arange(1, len(scores) + 1, dtype=torch.float64, device=scores.device)


def _joint_area(summed: Tensor) -> Tensor:
    return (summed.sum() - summed[-1] / 2) / len(summed) ** 2
