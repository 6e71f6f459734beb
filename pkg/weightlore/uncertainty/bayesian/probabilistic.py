"""Probabilistic backpropagation: regression by a network that is never trained, only told what to believe.

No optimizer, no learning rate, no sample of the weights: each observation goes forward as a mean and a variance, and
its surprise comes back as new means and variances (``filtering``).

    ProbabilisticBackprop(hidden)    .fit(x, y, passes=, generator=), .predict(x) -> a Gaussian with both its parts
"""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.filtering import (
    WeightBeliefs,
    assimilated,
    initial_beliefs,
    propagated,
    reweighed,
)
from weightlore.uncertainty.bayesian.moments import GammaFactor
from weightlore.uncertainty.predictions import GaussianPrediction
from weightlore.uncertainty.sources.rows import require_rows

__all__ = ["ProbabilisticBackprop"]

SIXES = GammaFactor(6.0, 6.0)


class ProbabilisticBackprop:
    """Regression by a network of ReLU layers whose weights are independent Gaussians, found by matching moments.

        y ~ N(f(x), 1 / noise),   w ~ N(0, 1 / prior),   noise and prior ~ Gamma

    Inputs and target are brought to mean 0 and spread 1, to which the Gamma beliefs refer; predictions are in the
    units of the data. One output. More than one pass counts every observation more than once: the beliefs become
    surer than the data allow, which is the price of fitting them.

    Args:
        hidden: widths of the hidden layers; none, ``()``, for linear regression.
        noise: belief about the precision of targets before the data.
        prior: belief about the precision of weights before the data.

    Raises:
        ParameterError: if a width is no whole number of at least 1.

    Example:
        >>> x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
        >>> net = ProbabilisticBackprop((5,)).fit(x, x.square(), passes=2, generator=torch.Generator().manual_seed(0))
        >>> net.predict(x).mean.shape
        torch.Size([20, 1])

    Source: [hernandez2015pbp]; shapes and rates of 6 as there
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (50,),
        *,
        noise: GammaFactor = SIXES,
        prior: GammaFactor = SIXES,
    ) -> None:
        for width in hidden:
            require_counts(width=width)
        self.hidden, self.noise, self.prior = tuple(hidden), noise, prior
        self._fitted: tuple[WeightBeliefs, tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def fit(
        self,
        x: Tensor,
        y: Tensor,
        *,
        passes: int = 40,
        generator: torch.Generator,
        callback: Callable[[int, WeightBeliefs], None] | None = None,
    ) -> Self:
        """Find the beliefs; a second call begins anew.

        Args:
            x: inputs, shape (N, D).
            y: targets, shape (N,) or (N, 1).
            passes: how often all observations are seen, in an order drawn anew each time.
            generator: of first means and orders.
            callback: called after each pass with its number, from 1, and the beliefs.

        Returns:
            This object.

        Raises:
            ParameterError: if shapes do not fit, or an entry is not finite.
        """
        require_counts(passes=passes)
        column = y[:, None] if isinstance(y, Tensor) and y.ndim == 1 else y
        inputs, targets = require_rows("x", x), require_rows("y", column, 1)
        if len(inputs) != len(targets):
            raise ParameterError(f"every input has a target, got {len(inputs)} and {len(targets)}; give N of each")
        scales = _scale(inputs), _scale(targets)
        inputs, targets = ((rows - mid) / unit for rows, (mid, unit) in zip((inputs, targets), scales, strict=True))
        sizes = (inputs.shape[1], *self.hidden, 1)
        beliefs = initial_beliefs(sizes, noise=self.noise, prior=self.prior, generator=generator)
        for number in range(1, passes + 1):
            order = torch.randperm(len(inputs), generator=generator, device=generator.device)
            for i in order.tolist():
                beliefs = assimilated(beliefs, inputs[i], targets[i, 0])
            beliefs = reweighed(beliefs)
            if callback is not None:
                callback(number, beliefs)
        self._fitted = beliefs, *scales
        return self

    @property
    def beliefs(self) -> WeightBeliefs:
        """What is believed of the weights, for inputs and targets of mean 0 and spread 1."""
        return self._known()[0]

    def predict(self, x: Tensor) -> GaussianPrediction:
        """Return mean and both variances of new observations.

            mean f,   expected 1 / noise,   variance of f

        Args:
            x: inputs, shape (N, D).

        Returns:
            The prediction, N examples and one output, in the dtype of x and the units of the targets.

        Raises:
            ParameterError: if nothing was fitted, or x does not fit.
        """
        beliefs, (middle, unit), (location, scale) = self._known()
        with torch.no_grad():
            mean, variance = propagated(beliefs, (require_rows("x", x, len(middle)) - middle) / unit)
        noise = (scale.square() * beliefs.noise.variance).expand(len(x), 1)
        epistemic = scale.square() * variance[:, None]
        return GaussianPrediction((location + scale * mean[:, None]).to(x), noise.to(x), epistemic.to(x))

    def _known(self) -> tuple[WeightBeliefs, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        if self._fitted is None:
            raise ParameterError("there are no beliefs from data before the data: call fit(x, y, ...) first")
        return self._fitted


def _scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each column; the unit of a constant column is 1."""
    spread = rows.std(0, correction=0)
    return rows.mean(0), torch.where(spread > 0, spread, torch.ones_like(spread))
