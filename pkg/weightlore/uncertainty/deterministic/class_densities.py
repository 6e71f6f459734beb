"""How dense training features are around an input: a Gaussian for each class, after training.

Of a network with bounded layers (``with_bounds``) the features keep distances, so that their density says how familiar
an input is [mukhoti2023ddu]:

    q(h, c) = pi_c N(h; mu_c, S_c)        full covariance, with jitter
    ln q(h) = logsumexp_c ln q(h, c)      .log_density; its negative is the score
    H(softmax(f(x)))                      what chance leaves open: entropy of .predict_proba
"""

import math
from typing import Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.readouts import readout_of
from weightlore.training import in_mode
from weightlore.uncertainty.deterministic.trunks import trunk_of
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["DeepDeterministicUncertainty"]


class DeepDeterministicUncertainty:
    """The density of the features of a trained network, beside its own probabilities.

        ln q(x) = logsumexp_c [ ln pi_c - 1/2 |L_c^-1 (h - mu_c)|^2 - ln det L_c - H/2 ln 2 pi ],   L_c L_c^T = S_c

    Args:
        jitter: added to the diagonal of each covariance, as a share of the mean variance of a feature within classes,
            > 0.

    Raises:
        ParameterError: if the jitter is not positive and finite.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> ddu = DeepDeterministicUncertainty().fit(healthy("mlp"), digits("train"))
        >>> ddu.score(digits("test").x[:5]).shape
        torch.Size([5])

    Source: [mukhoti2023ddu], density of features; jitter in units of the features is ours
    """

    def __init__(self, *, jitter: float = 1e-3) -> None:
        if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 < jitter < math.inf:
            raise ParameterError(f"jitter keeps covariances invertible and must be positive and finite, got {jitter!r}")
        self.jitter = float(jitter)
        self._fitted: tuple[nn.Module, nn.Module, Tensor, Tensor, Tensor] | None = None

    @torch.no_grad()
    def fit(self, model: nn.Module, data: Split) -> Self:
        """Find mean, covariance and share of each class among the features.

        Args:
            model: a trained network with a readout, as for ``trunk_of``; left as it is, and used for probabilities.
            data: inputs and class numbers, two examples of each class at least.

        Returns:
            Itself.

        Raises:
            ParameterError: if there is no readout, a class has fewer than two examples, or no feature varies.
        """
        trunk, _ = trunk_of(model)
        h = _features(trunk, data.x)
        if data.y.shape != (len(h),) or data.y.dtype != torch.int64:
            raise ParameterError(f"y must be class numbers (N,), int64, got {tuple(data.y.shape)}, {data.y.dtype}")
        require_labels(data.y, readout_of(model).out_features)
        groups = [h[data.y == c] for c in range(int(data.y.max()) + 1)]
        if min(map(len, groups)) < 2:
            raise ParameterError(f"each class needs two examples at least, got {[len(group) for group in groups]}")
        covariances = torch.stack([group.T.cov() for group in groups]).reshape(len(groups), h.shape[1], h.shape[1])
        size = covariances.diagonal(dim1=1, dim2=2).mean()
        if float(size) <= 0:
            raise ParameterError("no feature varies within a class: all are 0 apart, and there is no density; train on")
        factors = torch.linalg.cholesky(covariances + self.jitter * size * torch.eye(h.shape[1]).to(h))
        shares = torch.tensor([len(group) for group in groups]).to(h) / len(h)
        self._fitted = model, trunk, torch.stack([group.mean(0) for group in groups]), factors, shares
        return self

    @torch.no_grad()
    def log_densities(self, x: Tensor) -> Tensor:
        """Return ln pi_c N(h; mu_c, S_c), shape (N, C), in the dtype of x.

        Args:
            x: inputs, shape (N, ...), finite.

        Raises:
            ParameterError: if nothing was fitted.
        """
        _, trunk, means, factors, shares = self._parts()
        h = _features(trunk, x)
        white = torch.linalg.solve_triangular(factors, (h - means[:, None]).mT, upper=False)  # (C, H, N)
        volume = factors.diagonal(dim1=1, dim2=2).log().sum(1) + h.shape[1] / 2 * math.log(2 * math.pi)
        return ((shares.log() - volume)[:, None] - white.square().sum(1) / 2).T.to(x.dtype)

    def log_density(self, x: Tensor) -> Tensor:
        """Return ln q(x), shape (N,), in nats per unit of the features.

        Args:
            x: inputs, shape (N, ...).
        """
        return self.log_densities(x).logsumexp(-1)

    def score(self, x: Tensor) -> Tensor:
        """Return -ln q(x), shape (N,): larger is less familiar.

        Args:
            x: inputs, shape (N, ...).
        """
        return -self.log_density(x)

    @torch.no_grad()
    def predict_proba(self, x: Tensor) -> CategoricalPrediction:
        """Return the softmax of the network itself; its entropy is what chance leaves open.

        Args:
            x: inputs, shape (N, ...).
        """
        model = self._parts()[0]
        with in_mode(model, training=False):
            return CategoricalPrediction.from_logits(model(require_finite("x", x)))

    def _parts(self) -> tuple[nn.Module, nn.Module, Tensor, Tensor, Tensor]:
        if self._fitted is None:
            raise ParameterError("there are no densities before the data: call fit(model, data) first")
        return self._fitted


def _features(trunk: nn.Module, x: Tensor) -> Tensor:
    with in_mode(trunk, training=False):
        h: Tensor = trunk(require_finite("x", x))
    return require_finite("features", h).double()
