"""A layer whose weights are correlated along rows and along columns: a Gaussian over matrices.

    W = M + A E B^T,   E entry by entry N(0, 1)      cov(W_ij, W_kl) = (A A^T)_ik (B B^T)_jl

With out x in weights a full covariance has (out in)^2 entries; this one has out^2 + in^2.

    MatrixGaussianLinear    such a layer; its bias is one more column of W, with an input that is always 1
    TriangularFactor        A or B: lower triangular, with a positive diagonal
    matrix_gaussian_kl      its exact divergence from a prior of independent Gaussians
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.drawing import Stochastic, normal_like
from weightlore.uncertainty.bayesian.priors import STANDARD, GaussianPrior

__all__ = ["MatrixGaussianLinear", "TriangularFactor", "matrix_gaussian_kl"]

LEAST = 1e-12  # the smallest squared length whose root is taken: the slope of a root at zero is infinite


class TriangularFactor(nn.Module):
    """A lower triangular matrix with a positive diagonal, at the start a multiple of the identity.

    Args:
        size: of rows and columns.
        start: of the diagonal, > 0.
        like: whose dtype and device the matrix has.

    Raises:
        ParameterError: if the size is no count or start is not positive.

    Source: [louizos2016matrix], covariances of rows and columns; a full factor instead of a diagonal is ours
    """

    places: Tensor

    def __init__(self, size: int, *, start: float, like: Tensor) -> None:
        super().__init__()
        require_counts(size=size)
        if not 0 < start < math.inf:
            raise ParameterError(f"start is a standard deviation and must be finite and > 0, got {start}")
        self.log_diagonal = nn.Parameter(torch.full((size,), math.log(start)).to(like))
        self.below = nn.Parameter(torch.zeros(size * (size - 1) // 2).to(like))
        self.register_buffer("places", torch.tril_indices(size, size, -1, device=like.device), persistent=False)

    def forward(self) -> Tensor:
        """Return the matrix, shape (size, size)."""
        return torch.diag(self.log_diagonal.exp()).index_put((self.places[0], self.places[1]), self.below)


class MatrixGaussianLinear(Stochastic):
    """A fully connected layer whose weights and bias are one Gaussian matrix.

        y = M x + |B^T x| A e,   e ~ N(0, 1) for each row of a batch

    This is the law of W x, drawn where the outputs are; within ``drawing(..., held=True)`` W itself is drawn.

    Args:
        layer: its weights are M at the start; copied.
        spread: the standard deviation of every weight starts at spread / sqrt(in), > 0.
        prior: of weights and bias.

    Raises:
        ParameterError: if spread is not positive.

    Example:
        >>> from weightlore.uncertainty.bayesian import drawing
        >>> layer = MatrixGaussianLinear(nn.Linear(4, 3))
        >>> with drawing(layer, torch.Generator().manual_seed(0)):
        ...     layer(torch.ones(5, 4)).shape
        torch.Size([5, 3])

    Source: [louizos2016matrix], matrix variate Gaussian posterior and its local draws
    """

    def __init__(self, layer: nn.Linear, *, spread: float = 0.05, prior: GaussianPrior = STANDARD) -> None:
        super().__init__()
        columns = [layer.weight] if layer.bias is None else [layer.weight, layer.bias[:, None]]
        self.mean = nn.Parameter(torch.cat(columns, 1).detach().clone())
        outputs, inputs = self.mean.shape
        self.outward = TriangularFactor(outputs, start=spread * layer.in_features**-0.5, like=self.mean)
        self.inward = TriangularFactor(inputs, start=1.0, like=self.mean)
        self.has_bias, self.prior = layer.bias is not None, prior
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return drawn outputs, shape (N, ..., out), or those of the mean weights outside ``drawing``.

        Args:
            x: inputs, shape (N, ..., in).

        Raises:
            ParameterError: if the layer trains outside ``drawing``.
        """
        generator = self.chance()
        x = torch.cat([x, torch.ones_like(x[..., :1])], -1) if self.has_bias else x
        if generator is None:
            return functional.linear(x, self.mean)
        if self.held is not None:
            return functional.linear(x, self.kept("weights", lambda: self.draw(generator)))
        mean = functional.linear(x, self.mean)
        length = (x @ self.inward()).square().sum(-1, keepdim=True).clamp(min=LEAST).sqrt()
        return mean + length * functional.linear(normal_like(mean, generator), self.outward())

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return W = M + A E B^T, shape (out, in), with the bias as last column.

        Args:
            generator: where E is drawn from.
        """
        return self.mean + self.outward() @ normal_like(self.mean, generator) @ self.inward().T

    def kl_divergence(self) -> Tensor:
        """Return KL(q || p), summed over weights and bias, in nats, shape ()."""
        return matrix_gaussian_kl(self.mean, self.outward(), self.inward(), prior=self.prior)


def matrix_gaussian_kl(mean: Tensor, outward: Tensor, inward: Tensor, *, prior: GaussianPrior) -> Tensor:
    """Return the divergence of a Gaussian matrix from independent Gaussians, in nats.

        1/2 [(|A|^2 |B|^2 + |M - m_p|^2) / s_p^2 - n + n ln s_p^2] - in ln det A - out ln det B,   n = out in

    Args:
        mean: M, shape (out, in).
        outward: A, shape (out, out), lower triangular with a positive diagonal.
        inward: B, shape (in, in), likewise.
        prior: N(m_p, s_p^2) for every weight.

    Returns:
        KL(q || p), shape (), differentiable.

    Raises:
        ParameterError: if shapes do not fit.

    Example:
        >>> matrix_gaussian_kl(torch.zeros(2, 3), torch.eye(2), torch.eye(3), prior=GaussianPrior(1.0))
        tensor(0.)

    Source: [louizos2016matrix], divergence of matrix variate Gaussians
    """
    outputs, inputs = mean.shape
    if outward.shape != (outputs, outputs) or inward.shape != (inputs, inputs):
        raise ParameterError(
            f"a mean (out, in) goes with factors (out, out) and (in, in), got {tuple(mean.shape)}, "
            f"{tuple(outward.shape)} and {tuple(inward.shape)}"
        )
    squares = outward.square().sum() * inward.square().sum() + (mean - prior.mean).square().sum()
    volume = inputs * outward.diagonal().log().sum() + outputs * inward.diagonal().log().sum()
    return (squares / prior.std**2 - mean.numel()) / 2 + mean.numel() * math.log(prior.std) - volume
