"""Noise and prior of Bayesian linear regression from the data themselves, by maximizing the evidence.

    maximize_evidence   tau and s2 for which the data are least surprising

Nothing is held out: a prior that is too wide spreads its probability over data that did not come.
"""

import warnings

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.sources.linear import BayesianLinearRegression
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["maximize_evidence"]

LARGEST = 1e12  # a ratio of prior and data precision beyond which the data have no say
STEPS, TOLERANCE = 1000, 1e-10


def maximize_evidence(x: Tensor, y: Tensor) -> BayesianLinearRegression:
    """Return the fitted linear regression whose one prior precision and noise variance maximize the evidence.

    From any start these are repeated until nothing changes:

        gamma = sum_i l_i / (tau + l_i),   l_i the eigenvalues of X^T X / s2
        tau   = O gamma / |m|^2
        s2    = |y - X m|^2 / (O (N - gamma))

    gamma, between 0 and D, counts the parameters that the data determine.

    Args:
        x: inputs, shape (N, D).
        y: targets, shape (N, O).

    Returns:
        A fitted ``BayesianLinearRegression``.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or the targets lie on the model without noise.

    Example:
        >>> drawn = torch.Generator().manual_seed(0)
        >>> x = torch.randn(2000, 1, generator=drawn, dtype=torch.float64)
        >>> y = x + torch.randn(2000, 1, generator=drawn, dtype=torch.float64)
        >>> round(maximize_evidence(x, y).noise_variance, 1)
        1.0

    Source: [mackay1992practical], updates of the hyperparameters; as [bishop2006pattern], Eq. (3.91)-(3.95)
    """
    noise = float(y.detach().double().square().mean()) or 1.0
    model = BayesianLinearRegression(1.0, noise).fit(x, y)
    x64, y64 = x.detach().double(), y.detach().double()
    spectrum = torch.linalg.eigvalsh(x64.T @ x64).clamp(min=0)
    for _ in range(STEPS):
        tau, noise = _updated(model, spectrum, x64, y64)
        change = max(abs(tau / float(model.prior_precision) - 1), abs(noise / model.noise_variance - 1))
        model = BayesianLinearRegression(tau, noise).fit(x, y)
        if tau * noise > LARGEST * max(float(spectrum.max()), 1e-300):
            return _warned(model, "the data say nothing about the parameters, whose prior has shrunk to zero")
        if change < TOLERANCE:
            return model
    return _warned(model, f"tau and s2 still change after {STEPS} steps")


def _updated(model: BayesianLinearRegression, spectrum: Tensor, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the next tau and s2."""
    outputs, tau = y.shape[1], float(model.prior_precision)
    gamma = float((spectrum / (tau * model.noise_variance + spectrum)).sum())
    misfit, size = float((y - x @ model.mean).square().sum()), float(model.mean.square().sum())
    if misfit <= 1e-20 * float(y.square().sum()) or len(y) <= gamma:
        raise ParameterError(
            "there is no noise to estimate: the targets lie on the model to rounding; give more rows than columns, or "
            "set the noise yourself with BayesianLinearRegression(prior_precision, noise_variance)"
        )
    return outputs * gamma / max(size, 1e-300), misfit / (outputs * (len(y) - gamma))


def _warned(model: BayesianLinearRegression, why: str) -> BayesianLinearRegression:
    warnings.warn(
        f"the evidence has no clear maximum: {why} (tau = {float(model.prior_precision):.3g}, "
        f"s2 = {model.noise_variance:.3g}); set them yourself",
        UncertaintyWarning,
        stacklevel=3,
    )
    return model
