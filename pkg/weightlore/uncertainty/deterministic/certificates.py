"""Linear functions of features that are zero on the training data, and so give away what is not like it.

c orthonormal directions C of the features, along which the training data hardly vary, are its certificates; what varies
along them is new [tagasovska2019single]:

    mean ||C^T phi||^2 + penalty ||C^T C - I||^2          certificate_loss
    the c directions of least variance                    OrthonormalCertificates.fit
    ||C^T (phi - mean)||^2                                .score: larger is more out-of-domain

The loss need not be trained: with the eigenvalues l_1 <= l_2 <= ... of the second moments of the centered features, and
their eigenvectors u, it is least for columns u_k sqrt(max(0, 1 - l_k / (2 penalty))), up to a rotation among them.
"""

import warnings
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["OrthonormalCertificates", "certificate_loss"]

TIE = 1e-9  # eigenvalues closer than this share of the largest are one


def certificate_loss(certificates: Tensor, features: Tensor, *, penalty: float) -> Tensor:
    """Return the loss that certificates are trained on by gradient descent.

        1/N sum_i ||C^T phi_i||^2 + penalty ||C^T C - I||_F^2

    Args:
        certificates: C, shape (H, c).
        features: centered, shape (N, H).
        penalty: > 0.

    Returns:
        Shape (), differentiable.

    Raises:
        ParameterError: if shapes do not fit, or penalty is out of range.

    Example:
        >>> certificate_loss(torch.eye(3)[:, :1], torch.tensor([[2.0, 5.0, 0.0], [-2.0, 1.0, 7.0]]), penalty=1.0)
        tensor(4.)

    Source: [tagasovska2019single], orthonormal certificates
    """
    if certificates.ndim != 2 or features.ndim != 2 or certificates.shape[0] != features.shape[1]:
        raise ParameterError(
            f"certificates (H, c) and features (N, H) must share H, got {tuple(certificates.shape)} and "
            f"{tuple(features.shape)}"
        )
    _require_penalty(penalty)
    unit = torch.eye(certificates.shape[1], dtype=certificates.dtype, device=certificates.device)
    off = (certificates.T @ certificates - unit).square().sum()
    return (features @ certificates).square().sum(1).mean() + penalty * off


class OrthonormalCertificates:
    """Directions in which the features of the training data do not vary, as a detector of what is new.

    Features are the activations of a trained network before its readout, which stays as it is.

    Args:
        count: c, how many directions, fewer than there are features.
        penalty: of ``certificate_loss``; ``None`` for exactly orthonormal directions, its limit.

    Raises:
        ParameterError: if count or penalty is none.

    Example:
        >>> line = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
        >>> OrthonormalCertificates(1).fit(line).score(torch.tensor([[3.0, 3.0], [0.0, 2.0]])).round(decimals=3)
        tensor([0., 2.])

    Source: [tagasovska2019single], orthonormal certificates; the minimum in closed form is ours
    """

    def __init__(self, count: int, *, penalty: float | None = None) -> None:
        require_counts(count=count)
        if penalty is not None:
            _require_penalty(penalty)
        self.count, self.penalty = count, penalty
        self.mean: Tensor | None = None
        self.certificates: Tensor | None = None

    def fit(self, features: Tensor) -> Self:
        """Find the certificates of the training data.

        They are the c eigenvectors of least eigenvalue of the second moments of the centered features, each shortened
        as the penalty demands. Where the next eigenvalue is the same, the choice among them is arbitrary, which is
        warned of: it happens when features are more than examples, or always zero.

        Args:
            features: shape (N, H), of the training data.

        Returns:
            Itself, with ``mean`` (H,) and ``certificates`` (H, c), in float64.

        Raises:
            ParameterError: if the features are not finite rows, or not more than the certificates.
        """
        phi = _require_features(features)
        if self.count >= phi.shape[1]:
            raise ParameterError(f"certificates must be fewer than the {phi.shape[1]} features, got {self.count}")
        mean = phi.mean(0)
        values, vectors = torch.linalg.eigh((phi - mean).T @ (phi - mean) / len(phi))
        if values[self.count] - values[self.count - 1] <= TIE * values[-1]:
            warnings.warn(
                f"eigenvalues {self.count} and {self.count + 1} of the features are both "
                f"{float(values[self.count]):g}: which directions are certificates is arbitrary; ask for more, "
                "or give more examples",
                UncertaintyWarning,
                stacklevel=2,
            )
        least = values[: self.count].clamp(min=0)
        length = torch.ones_like(least) if self.penalty is None else (1 - least / (2 * self.penalty)).clamp(min=0)
        self.mean, self.certificates = mean, vectors[:, : self.count] * length.sqrt()
        return self

    def score(self, features: Tensor) -> Tensor:
        """Return how far each example goes where the training data do not.

            ||C^T (phi - mean)||^2

        Args:
            features: shape (N, H).

        Returns:
            Shape (N,), >= 0, in the dtype of the features; larger is more out-of-domain.

        Raises:
            ParameterError: if it has not been fitted, or the features do not fit.
        """
        if self.mean is None or self.certificates is None:
            raise ParameterError("the certificates are not known yet; call fit with the features of the training data")
        phi = _require_features(features)
        if phi.shape[1] != len(self.mean):
            raise ParameterError(f"features need {len(self.mean)} columns as in fit, got shape {tuple(features.shape)}")
        return ((phi - self.mean) @ self.certificates).square().sum(1).to(features.dtype)


def _require_features(features: Tensor) -> Tensor:
    if not isinstance(features, Tensor) or features.ndim != 2 or features.numel() == 0:
        came = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ParameterError(f"features must be rows of shape (N, H), got {came}; flatten maps of features")
    return require_finite("a feature", features.detach()).double()


def _require_penalty(penalty: float) -> None:
    if not 0 < penalty < float("inf"):
        raise ParameterError(f"penalty must be finite and above 0, got {penalty!r}; None is its limit, orthonormal")
