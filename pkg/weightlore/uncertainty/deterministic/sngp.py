"""A network that knows how far away an input is: bounded layers below a Gaussian process [liu2020sngp].

sngp(network, x, ...)            a copy of a network, bounded, its readout replaced by RandomFeatureGP
fit_sngp(model, data)            training, then one pass for the precision
.predict_proba(x)                softmax(g / sqrt(1 + pi v / 8)), the mean-field probability
.score(x)                        v, or C / (C + sum_c exp g_c)
.predict(x)                      for numbers: g, the noise, v
"""

import math
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.training import History, MakeOptimizer, Schedule, cosine, fit, in_mode, sgd
from weightlore.uncertainty.deterministic.bounded import with_bounds
from weightlore.uncertainty.deterministic.random_features import Likelihood, RandomFeatureGP
from weightlore.uncertainty.deterministic.trunks import trunk_of
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["SNGP", "SNGPScore", "fit_sngp", "sngp", "sngp_loss"]

SNGPScore = Literal["variance", "evidence"]


class SNGP(nn.Module):
    """A trunk that keeps distances, with a Gaussian process on it.

        g(x) = Phi(h(x)) beta,   v(x) = Phi^T Lambda^-1 Phi

    Args:
        trunk: from inputs (N, ...) to features (N, H), bounded by ``with_bounds``. Kept, not copied.
        head: reads H features.

    Example:
        >>> head = RandomFeatureGP(2, 3, length_scale=1.0, count=50, generator=torch.Generator().manual_seed(0))
        >>> x = torch.zeros(5, 2, dtype=torch.float64)
        >>> model = SNGP(nn.Identity(), head).fit_precision(Split(x, torch.zeros(5, dtype=torch.int64)))
        >>> bool((model.score(x + 99) > model.score(x)).all())
        True

    Source: [liu2020sngp], spectral-normalized network with a Gaussian process
    """

    def __init__(self, trunk: nn.Module, head: RandomFeatureGP) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Tensor) -> Tensor:
        """Return g, shape (N, C): logits, or numbers.

        Args:
            x: inputs, shape (N, ...).
        """
        g: Tensor = self.head(self.trunk(x))
        return g

    @torch.no_grad()
    def fit_precision(self, data: Split, *, batch_size: int = 1000) -> Self:
        """Forget, go once through the data with the parameters as they are, and factor the precision.

        Args:
            data: the training examples.
            batch_size: examples per pass; the result does not depend on it beyond rounding.

        Returns:
            Itself.

        Raises:
            ParameterError: if there is no example, or one is not finite.
        """
        self.head.reset()
        with in_mode(self, training=False):
            for x in data.x.split(batch_size):
                self.head.accumulate(self.trunk(require_finite("x", x)))
        self.head.finish()
        return self

    @torch.no_grad()
    def predict_proba(self, x: Tensor) -> CategoricalPrediction:
        """Return the mean-field probabilities, as one member.

            softmax(g_c / sqrt(1 + pi v_c / 8))

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if there is no covariance yet, or the likelihood is Gaussian.
        """
        if self.head.likelihood == "gaussian":
            raise ParameterError("the likelihood is gaussian, of numbers and not of classes: use predict")
        logits, variance = self._moments(x)
        return CategoricalPrediction.from_logits(logits / (1 + math.pi / 8 * variance).sqrt())

    @torch.no_grad()
    def predict(self, x: Tensor) -> GaussianPrediction:
        """Return mean, noise and variance of numbers.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if there is no covariance yet, or the likelihood is one of classes.
        """
        if self.head.likelihood != "gaussian":
            raise ParameterError(f"the likelihood is {self.head.likelihood!r}, of classes: use predict_proba")
        mean, variance = self._moments(x)
        noise = torch.full_like(mean, self.head.noise_variance)
        return GaussianPrediction(mean, noise, variance.expand_as(mean).contiguous())

    @torch.no_grad()
    def score(self, x: Tensor, *, kind: SNGPScore = "variance") -> Tensor:
        """Return how far away each input is, shape (N,); larger is farther.

            variance   v, the mean over classes that have their own; at most |Phi|^2 / tau
            evidence   C / (C + sum_c exp g_c), in (0, 1): few logits are large

        Args:
            x: inputs, shape (N, ...).
            kind: one of these. ``"evidence"`` needs no covariance.

        Raises:
            ParameterError: if there is no covariance yet, or no such kind.
        """
        require_option("kind", kind, SNGPScore)
        if kind == "variance":
            return self._moments(x)[1].mean(-1)
        with in_mode(self, training=False):
            logits: Tensor = self(require_finite("x", x))
        return torch.sigmoid(math.log(logits.shape[1]) - logits.logsumexp(-1))

    def _moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return g, shape (N, C), and v, shape (N, C) or (N, 1)."""
        with in_mode(self, training=False):
            h = self.trunk(require_finite("x", x))
            return self.head(h), self.head.variance(h)


def sngp(
    network: nn.Module,
    x: Tensor,
    *,
    outputs: int,
    bound: float,
    length_scale: float,
    count: int = 256,
    prior_precision: float = 1.0,
    likelihood: Likelihood = "shared",
    noise_variance: float = 1.0,
    generator: torch.Generator,
) -> SNGP:
    """Return a distance-aware copy of a network: all layers bounded, the readout replaced by a Gaussian process.

        W <- W min(1, c / s(W)) below,   g(h) = Phi(h) beta on top

    Distances survive in residual networks (``resnet20``, ``ResidualTrunk``); in a plain chain ReLU and narrow layers
    still make different inputs alike, bounded or not.

    Args:
        network: with a readout, as for ``trunk_of``; left as it is.
        x: an input, shape (N, ...), that says which images the convolutions read.
        outputs: C.
        bound: c > 0 for each layer.
        length_scale: l > 0, in the unit of distances between features.
        count: R random cosines.
        prior_precision: tau > 0.
        likelihood: as for ``RandomFeatureGP``.
        noise_variance: likewise.
        generator: where head and power iterations are drawn from.

    Returns:
        The network, to be trained by ``fit_sngp``.

    Raises:
        ParameterError: if there is no readout, nothing to bound, or an argument is out of range.

    Example:
        >>> from weightlore.networks import mlp
        >>> drawn, x = torch.Generator().manual_seed(0), torch.zeros(5, 2, dtype=torch.float64)
        >>> sngp(mlp((2, 8, 3), generator=drawn), x, outputs=3, bound=0.9, length_scale=1.0, generator=drawn)(x).shape
        torch.Size([5, 3])

    Source: [liu2020sngp], bounded layers and a Gaussian process in place of the readout
    """
    trunk, features = trunk_of(network)
    like = next(network.parameters())
    head = RandomFeatureGP(
        features,
        outputs,
        length_scale=length_scale,
        count=count,
        prior_precision=prior_precision,
        likelihood=likelihood,
        noise_variance=noise_variance,
        generator=generator,
        dtype=like.dtype,
    )
    return SNGP(with_bounds(trunk, x, bound=bound, generator=generator), head.to(like.device))


def sngp_loss(model: SNGP, batch: Split, *, num_data: int) -> Tensor:
    """Return the mean negative log joint of a batch, the prior of ``beta`` included.

        1/B sum_i -ln p(y_i | g(x_i)) + tau / (2 N) sum_rc beta_rc^2

    Args:
        model: with classes or numbers, as its likelihood says.
        batch: inputs, and class numbers (B,) or numbers (B, C).
        num_data: N, the number of training examples.

    Returns:
        The loss in nats, shape (), differentiable; a constant of Gaussian noise is left out.

    Raises:
        ParameterError: if targets do not fit, or N is below 1.

    Example:
        >>> head = RandomFeatureGP(2, 3, length_scale=1.0, count=50, generator=torch.Generator().manual_seed(0))
        >>> _ = nn.init.zeros_(head.beta)
        >>> batch = Split(torch.zeros(5, 2, dtype=torch.float64), torch.zeros(5, dtype=torch.int64))
        >>> round(sngp_loss(SNGP(nn.Identity(), head), batch, num_data=5).item(), 4)
        1.0986

    Source: [liu2020sngp], negative log joint
    """
    if num_data < 1:
        raise ParameterError(f"num_data is the number of training examples, at least 1, got {num_data}")
    g = model(batch.x)
    prior = model.head.prior_precision * model.head.beta.square().sum() / (2 * num_data)
    if model.head.likelihood == "gaussian":
        if batch.y.numel() != g.numel():
            raise ParameterError(f"targets need the shape {tuple(g.shape)} of the outputs, got {tuple(batch.y.shape)}")
        squares = (batch.y.reshape(g.shape) - g).square().sum(1).mean()
        return squares / (2 * model.head.noise_variance) + prior
    if batch.y.shape != g.shape[:1] or batch.y.dtype != torch.int64:
        raise ParameterError(
            f"targets of {model.head.likelihood!r} must be class numbers, shape ({len(g)},) and int64, got "
            f"{tuple(batch.y.shape)}, {batch.y.dtype}; numbers want likelihood='gaussian'"
        )
    require_labels(batch.y, g.shape[1])
    return functional.cross_entropy(g, batch.y) + prior


def fit_sngp(
    model: SNGP,
    data: Split,
    *,
    generator: torch.Generator,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
) -> History:
    """Train in place on ``sngp_loss``, then find the precision in one pass over the data.

        for each batch: one power iteration per layer, step on the loss
        after the last: Lambda = tau I + sum_i k_i Phi_i Phi_i^T, each example once; Cholesky factor

    Args:
        model: an ``SNGP``.
        data: inputs, and class numbers or numbers.
        generator: of all that is random.
        epochs: how often every example is seen in training.
        batch_size: examples per step.
        optimizer: as for ``training.fit``; ``None`` for ``sgd(0.1, momentum=0.9)``.
        schedule: as for ``training.fit``.

    Returns:
        How it went.

    Raises:
        ParameterError: as ``training.fit``.

    Example:
        >>> from weightlore.data import two_moons
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> data = two_moons(60, noise=0.1, generator=drawn)
        >>> network = mlp((2, 8, 2), generator=drawn)
        >>> model = sngp(network, data.x, outputs=2, bound=0.9, length_scale=1.0, generator=drawn)
        >>> len(fit_sngp(model, data, generator=drawn, epochs=2).train_loss), model.score(data.x).shape
        (2, torch.Size([60]))

    Source: [liu2020sngp]; the pass for the precision comes after the last epoch, with parameters that no
        longer move
    """
    # Departs from the paper: it adds up the precision during the last epoch, while the parameters still move.
    history = fit(
        model,
        data,
        generator=generator,
        step=lambda _, batch, __: sngp_loss(model, batch, num_data=len(data)),
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer or sgd(0.1, momentum=0.9),
        schedule=schedule,
    )
    model.fit_precision(data, batch_size=batch_size)
    return history
