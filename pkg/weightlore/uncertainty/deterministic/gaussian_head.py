"""A network that says how noisy its own answer is: a mean and a variance for every output.

The head makes two numbers of each output, the mean m and a raw value r, on targets that are brought to mean 0 and
spread 1; what it returns is in the units of the targets [nix1994variance, kendall2017uncertainties]:

    mu = location + scale m,   v = scale^2 (softplus(r) + 1e-6)      GaussianHead
    1/2 (ln v + (y - mu)^2 / v + ln 2 pi)                            gaussian_nll
    the same times v^beta, in which v has no gradient                beta_nll
"""

from math import log, pi

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import built, require_counts

__all__ = ["GaussianHead", "beta_nll", "gaussian_losses", "gaussian_nll", "standardization"]

LEAST = 1e-6  # the smallest variance, as a share of the variance of the targets


class GaussianHead(nn.Module):
    """The last layer of a network for regression: from features to mean and variance of each output.

        mu = location + scale m,   v = scale^2 (softplus(r) + 1e-6),   (m, r) = W h + b

    At the start the mean is near that of the targets and the variance near 0.7 of theirs.

    Args:
        features: width H of what comes in.
        y: the targets of training, shape (N,) or (N, D): location and scale are their mean and standard deviation, and
            dtype and device of the head are theirs.
        generator: where the weights are drawn from; biases are zero.

    Raises:
        ParameterError: if the targets are not finite floating numbers, are fewer than two, or all of one output are
            equal: then there is nothing to predict, and a variance of zero makes every loss infinite.

    Example:
        >>> head = GaussianHead(16, torch.linspace(0, 1, 9), generator=torch.Generator().manual_seed(0))
        >>> mean, variance = head(torch.zeros(5, 16))
        >>> mean.shape, variance.shape
        (torch.Size([5, 1]), torch.Size([5, 1]))

    Source: [nix1994variance]; softplus and the least variance are ours, standardized as [kendall2017uncertainties]
    """

    location: Tensor
    scale: Tensor

    def __init__(self, features: int, y: Tensor, *, generator: torch.Generator) -> None:
        super().__init__()
        require_counts(features=features)
        location, scale = standardization(y)
        self.register_buffer("location", location)
        self.register_buffer("scale", scale)
        self.readout = built(
            lambda: nn.Linear(features, 2 * len(location)),
            generator=generator,
            dtype=y.dtype,
            linear_spread=features**-0.5,
        ).to(y.device)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance, each of shape (N, D), in the units of the targets and their square.

        Args:
            h: features, shape (N, H).
        """
        mean, raw = self.readout(h).chunk(2, -1)
        return self.location + self.scale * mean, self.scale**2 * (F.softplus(raw) + LEAST)


def gaussian_nll(prediction: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
    """Return the mean over examples of the negative log density of their targets.

        1/N sum_i sum_d 1/2 (ln v_id + (y_id - mu_id)^2 / v_id + ln 2 pi)

    Args:
        prediction: mean and variance, each of shape (N, D) or (N,), in the units of the targets.
        y: targets, shape (N, D), or (N,) where D is 1.

    Returns:
        The loss in nats, shape (), differentiable. With D outputs it is the density of all of them together: D times
        what ``torch.nn.GaussianNLLLoss(full=True)`` gives. It is NaN where the network's output is.

    Raises:
        ParameterError: if the shapes do not fit, or a variance is not above 0.

    Example:
        >>> gaussian_nll((torch.zeros(1, 1), torch.full((1, 1), 4.0)), torch.zeros(1, 1))
        tensor(1.6121)

    Source: [nix1994variance]
    """
    return gaussian_losses(prediction, y).mean()


def gaussian_losses(prediction: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
    """Return the negative log density of the targets of each example; ``gaussian_nll`` is its mean.

        sum_d 1/2 (ln v_id + (y_id - mu_id)^2 / v_id + ln 2 pi)

    Args:
        prediction: mean and variance, as for ``gaussian_nll``.
        y: targets, shape (N, D), or (N,) where D is 1.

    Returns:
        Shape (N,), in nats.

    Raises:
        ParameterError: as ``gaussian_nll``.

    Example:
        >>> gaussian_losses((torch.zeros(2), torch.ones(2)), torch.tensor([0.0, 1.0]))
        tensor([0.9189, 1.4189])

    Source: [nix1994variance]
    """
    return _elements(prediction, y).sum(1)


def beta_nll(prediction: tuple[Tensor, Tensor], y: Tensor, *, beta: float) -> Tensor:
    """Return the Gaussian log loss with each output weighed by its variance, so that noisy places are learned too.

        1/N sum_i sum_d v_id^beta 1/2 (ln v_id + (y_id - mu_id)^2 / v_id + ln 2 pi),   v^beta without gradient

    The log loss moves a mean by (mu - y) / v: where the network has said a large variance, it hardly learns any more.
    Beta 1 gives the mean the gradient of half the squared error, 0 is ``gaussian_nll`` bit for bit. Both variances are
    best where the squared error is. The value is no log loss unless beta is 0: compare networks by ``gaussian_nll``.

    Args:
        prediction: mean and variance, each of shape (N, D) or (N,), in the units of the targets.
        y: targets, shape (N, D), or (N,) where D is 1. The weight has the unit of ``y^(2 beta)``: bring targets to
            spread 1, or the learning rate changes with their unit.
        beta: between 0 and 1.

    Returns:
        The loss, shape (), differentiable.

    Raises:
        ParameterError: as ``gaussian_nll``, or if beta is out of range.

    Example:
        >>> beta_nll((torch.zeros(1, 1), torch.full((1, 1), 4.0)), torch.zeros(1, 1), beta=0.5)
        tensor(3.2242)

    Source: [seitzer2022pitfalls], the loss weighed by the variance
    """
    if isinstance(beta, bool) or not isinstance(beta, int | float) or not 0 <= beta <= 1:
        raise ParameterError(f"beta must be a number between 0 and 1, got {beta!r}; 0 is the plain log loss")
    losses = _elements(prediction, y)
    weight = prediction[1].detach().reshape(losses.shape) ** beta
    return (weight * losses).sum(1).mean()


def standardization(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each output: where heads for numbers have their zero and their unit.

    Args:
        y: the targets of training, shape (N,) or (N, D), N of 2 or more.

    Returns:
        Location and scale, each of shape (D,), without gradient.

    Raises:
        ParameterError: if the targets are not finite floating numbers, are fewer than two, or all of one output are
            equal.

    Example:
        >>> standardization(torch.tensor([1.0, 3.0]))
        (tensor([2.]), tensor([1.]))

    Source: ours, because every head for numbers learns best on targets of mean 0 and spread 1
    """
    targets = _columns("the targets y", y)
    return targets.mean(0), _spread(targets)


def _elements(prediction: tuple[Tensor, Tensor], y: Tensor) -> Tensor:
    """Return the negative log density of each output, shape (N, D)."""
    mean, variance = prediction
    if mean.shape != variance.shape or mean.ndim not in (1, 2) or mean.numel() != y.numel() or len(mean) != len(y):
        raise ParameterError(
            f"mean, variance and targets need one shape (N, D), got {tuple(mean.shape)}, {tuple(variance.shape)} and "
            f"{tuple(y.shape)}; a head on the last layer gives the two, such as GaussianHead"
        )
    if bool((variance <= 0).any()):
        raise ParameterError(
            f"a variance must be above 0, got {float(variance.detach().min())}; softplus of what the network says, "
            "plus a little, is, as in GaussianHead"
        )
    squares = (y.reshape(mean.shape) - mean) ** 2 / variance
    return 0.5 * (variance.log() + squares + log(2 * pi)).reshape(len(mean), -1)


def _columns(what: str, y: Tensor) -> Tensor:
    """Return targets as (N, D), checked."""
    if not isinstance(y, Tensor) or not y.is_floating_point() or y.ndim not in (1, 2) or len(y) < 2:
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(f"{what} must be floating numbers, shape (N,) or (N, D) with N of 2 or more, got {came}")
    return require_finite(what, y.detach()).reshape(len(y), -1)


def _spread(targets: Tensor) -> Tensor:
    """Return the standard deviation of each column, and refuse one of zero."""
    constant = (targets == targets[0]).all(0)
    if bool(constant.any()):
        raise ParameterError(
            f"output {int(constant.nonzero()[0])} has the same target {float(targets[0][constant][0])} everywhere: its "
            "scale is zero and nothing can be learned of its noise; leave it out"
        )
    return targets.std(0, correction=0)
