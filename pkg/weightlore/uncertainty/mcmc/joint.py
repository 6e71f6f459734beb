"""The log density of a network's parameters and its data, for many thetas at once.

log p(theta, data) = sum_i log p(y_i | x_i, theta) + log N(theta; 0, diag(tau)^-1)

log_joint(model, data, prior_precision=, likelihood=)     a target for ``hmc``, ``svgd`` and the like
categorical_likelihood                                    classes from logits
gaussian_likelihood(noise_variance)                       numbers with known noise
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.stacked import StackedNetwork
from weightlore.uncertainty.mcmc.targets import Target, require_positive

__all__ = ["Likelihood", "categorical_likelihood", "gaussian_likelihood", "log_joint"]

Likelihood = Callable[[Tensor, Tensor], Tensor]


def categorical_likelihood(outputs: Tensor, y: Tensor) -> Tensor:
    """Return the log probability of class numbers under each copy of a network.

        sum_i log softmax(z_i)_{y_i}

    Args:
        outputs: logits, shape (S, N, C).
        y: class numbers, shape (N,), int64.

    Returns:
        Shape (S,), in nats.

    Raises:
        ParameterError: if y are no class numbers below C.

    Source: [bishop2006pattern], Sec. 4.3.4, the likelihood of classes
    """
    require_labels(y, outputs.shape[-1])
    return outputs.log_softmax(-1).gather(-1, y.expand(len(outputs), -1)[..., None]).sum((1, 2))


def gaussian_likelihood(noise_variance: float) -> Likelihood:
    """Return the log likelihood of numbers with known noise.

        sum_i log N(y_i; f(x_i), s2 I)

    Args:
        noise_variance: s2 > 0, in squared units of the target.

    Returns:
        A function of outputs (S, N, D) and targets (N, D) -> (S,), in nats.

    Raises:
        ParameterError: if the variance is not positive and finite.

    Source: [bishop2006pattern], Eq. (3.10)
    """
    require_positive(noise_variance=noise_variance)

    def likelihood(outputs: Tensor, y: Tensor) -> Tensor:
        if y.shape != outputs.shape[1:]:
            raise ParameterError(
                f"targets must have the shape of an output, {tuple(outputs.shape[1:])}, got {tuple(y.shape)}"
            )
        squares = (outputs - y).square().sum((1, 2)) / noise_variance
        return -(squares + y.numel() * math.log(2 * math.pi * noise_variance)) / 2

    return likelihood


def log_joint(
    model: nn.Module, data: Split, *, prior_precision: float | Tensor, likelihood: Likelihood = categorical_likelihood
) -> Target:
    """Return the log density of parameters and data as a function of many thetas.

        log p(theta, data) = log likelihood(theta) + 1/2 sum_p [ ln(tau_p / 2 pi) - tau_p theta_p^2 ]

    Args:
        model: any module in evaluation mode, so that dropout is off and running statistics are used; it is copied, and
            left as it is. Parameters that require no gradient keep their values.
        data: all N examples; each evaluation uses all of them.
        prior_precision: tau > 0, one number or one for each parameter (P,).
        likelihood: of outputs (S, N, C) and targets -> (S,), a sum over examples.

    Returns:
        A function of thetas (S, P) -> (S,), differentiable, normalized so that its integral is the evidence.

    Raises:
        ParameterError: if tau is not positive, or the data are empty, not finite or do not fit the parameters.

    Example:
        >>> target = log_joint(nn.Linear(2, 3), Split(torch.eye(2), torch.tensor([0, 2])), prior_precision=1.0)
        >>> target(torch.zeros(5, 9)).shape
        torch.Size([5])

    Source: [neal1996bayesian], a Gaussian prior and the likelihood of the data
    """
    require_finite("the inputs of data", data.x), require_finite("the targets of data", data.y)
    own = copy.deepcopy(model).eval()
    network = StackedNetwork(own, data.x)
    tau = torch.as_tensor(prior_precision, dtype=network.dtype)
    if tau.shape not in ((), (network.layout.size,)) or not bool((tau.isfinite() & (tau > 0)).all()):
        raise ParameterError(
            f"prior_precision must be finite and > 0, one number or P={network.layout.size} of them, "
            f"got {prior_precision}"
        )
    volume = (tau / (2 * math.pi)).log().expand(network.layout.size).sum() / 2

    def target(thetas: Tensor) -> Tensor:
        return likelihood(network(thetas, data.x), data.y) + volume - (tau * thetas.square()).sum(1) / 2

    return target
