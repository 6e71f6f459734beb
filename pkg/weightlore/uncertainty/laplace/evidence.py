"""How probable the data are under a prior, and which prior to take.

log_marginal_likelihood    ln p(D | tau) ~ ln p(D | theta_MAP) - 1/2 (theta^T diag(tau) theta + ln det A - sum ln tau)
tune_prior_precision       the tau of a grid with the largest evidence, or the smallest loss on validation data
"""

import warnings
from typing import Literal

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.laplace.approximation import Laplace
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.predicting import Prediction, said, shown
from weightlore.uncertainty.laplace.subnetwork import SubnetworkCurvature
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction
from weightlore.uncertainty.regression import nll_gaussian
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["GRID", "Tuning", "log_marginal_likelihood", "tune_prior_precision"]

Tuning = Literal["evidence", "validation"]
GRID = tuple(10.0 ** (k / 4) for k in range(-16, 17))  # 1e-4 to 1e4


def log_marginal_likelihood(posterior: Laplace, prior_precision: float | Tensor | None = None) -> float:
    """Return how probable the training data are under the prior, by Laplace's approximation of the integral.

        ln p(D) ~ ln p(D | theta_MAP) + ln p(theta_MAP) + P/2 ln 2 pi - 1/2 ln det A
                = ln p(D | theta_MAP) - 1/2 (theta^T diag(tau) theta + ln det A - sum ln tau)

    Exact for a model that is linear in its parameters with Gaussian noise, at the mode for this tau. Parameters that
    stay where they are (outside a subnetwork or the last layer) are taken as given.

    Args:
        posterior: fitted.
        prior_precision: another tau to ask about, ``None`` for its own.

    Returns:
        The evidence in nats.

    Raises:
        ParameterError: if nothing has been fitted, or tau is zero: an improper prior gives no evidence.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> posterior = Laplace(healthy(), "classification", subset="last_layer", structure="full").fit(digits("train"))
        >>> log_marginal_likelihood(posterior, 1.0) > log_marginal_likelihood(posterior, 10.0)
        True

    Source: [mackay1992practical]; [immer2021evidence], with the Gauss-Newton matrix of a network
    """
    asked = posterior if prior_precision is None else posterior.with_prior(prior_precision)
    tau, theta, curvature = asked.tau, asked.mode, asked.curvature
    if isinstance(curvature, SubnetworkCurvature):
        tau, theta = tau[curvature.indices], theta[curvature.indices]
    if not bool((tau > 0).all()):
        raise ParameterError("a prior precision of 0 is no density, so that the data have no evidence; take tau > 0")
    fit = float((tau * theta.square()).sum())
    return asked.log_likelihood - 0.5 * (fit + asked.posterior.log_det - float(tau.log().sum()))


def tune_prior_precision(
    posterior: Laplace,
    *,
    by: Tuning = "evidence",
    data: Split | None = None,
    grid: tuple[float, ...] = GRID,
) -> Laplace:
    """Return the approximation under the prior precision that a grid prefers.

    The parameters stay those of training: this is a choice of the width, made afterwards. What the validation data show
    (outputs, directions of the layers, or Jacobians, which are N C P numbers for a full precision) is taken once.

    Args:
        posterior: fitted.
        by: the largest ``"evidence"`` of the training data, or the smallest log loss of the linearized prediction on
            ``"validation"`` data.
        data: the validation data.
        grid: values of tau, all > 0, ascending; 33 from 1e-4 to 1e4 unless said otherwise.

    Returns:
        Another object with that prior; the one given stays as it is.

    Raises:
        ParameterError: if the grid is no ascending list of positive numbers, or data are missing or not wanted.

    Warns:
        UncertaintyWarning: if the best value is at an end of the grid, where a better one may lie beyond.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> posterior = Laplace(healthy(), "classification", subset="last_layer", structure="full").fit(digits("train"))
        >>> round(float(tune_prior_precision(posterior).tau[0]), 2)
        0.56

    Source: [mackay1992practical], [immer2021evidence]; validation as in [ritter2018laplace]
    """
    require_option("by", by, Tuning)
    if len(grid) < 2 or not grid[0] > 0 or list(grid) != sorted(set(grid)):
        raise ParameterError(f"the grid is at least two positive numbers in ascending order, got {grid}")
    if (data is None) == (by == "validation"):
        raise ParameterError(f'validation data go with by="validation", got by={by!r} and data={data is not None}')
    losses = None if data is None else _log_losses(posterior, data, grid)
    scores = [log_marginal_likelihood(posterior, tau) for tau in grid] if losses is None else [-loss for loss in losses]
    best = int(torch.tensor(scores).argmax())
    if best in (0, len(grid) - 1):
        warnings.warn(
            f"the best prior precision {grid[best]:g} is at an end of the grid; extend it, or train the network longer",
            UncertaintyWarning,
            stacklevel=2,
        )
    return posterior.with_prior(grid[best])


def _log_losses(posterior: Laplace, data: Split, grid: tuple[float, ...]) -> list[float]:
    """Return the log loss under each prior; outputs and Jacobians are the same for all, and taken once."""
    pieces = list(shown(posterior.posterior, posterior.model, data.x, group=named(posterior.curvature.names)))
    others = (posterior.with_prior(tau).posterior for tau in grid)
    return [_log_loss(said(other, pieces, posterior.terms), data) for other in others]


def _log_loss(found: Prediction, data: Split) -> float:
    if isinstance(found, CategoricalPrediction):
        return float(nll_categorical(found, data.y))
    if not isinstance(found, GaussianPrediction):
        raise ParameterError(f"a log loss needs class probabilities or a Gaussian, got {type(found).__name__}")
    return float(nll_gaussian(found, data.y.reshape(found.mean.shape)).sum() / len(data))
