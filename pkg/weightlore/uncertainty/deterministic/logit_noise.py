"""A classifier that says how noisy its own logits are.

The head makes a logit z and a standard deviation s of each class; the probability of a class is the mean softmax over
noise, which has no closed form and is drawn [kendall2017uncertainties]:

    z = W h + b,   s = softplus(V h + c)                     HeteroscedasticSoftmaxHead
    ln p = logsumexp_t ln softmax(z + s e_t) - ln T          logit_noise_log_probs
    -1/N sum_i ln p_i,y                                      logit_noise_nll

The noise belongs to the labels, not to the parameters: the T draws are no members, and their disagreement says nothing
of what the network does not know.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import built, require_counts

__all__ = ["HeteroscedasticSoftmaxHead", "logit_noise_log_probs", "logit_noise_nll"]


class HeteroscedasticSoftmaxHead(nn.Module):
    """The last layer of a classifier: from features to the mean and the spread of each logit.

        z = W h + b,   s = softplus(V h + c)

    Args:
        features: width H of what comes in.
        classes: C.
        generator: where the weights are drawn from; biases are zero.
        dtype: of the parameters.

    Raises:
        ParameterError: if a size is none.

    Example:
        >>> head = HeteroscedasticSoftmaxHead(4, 3, generator=torch.Generator().manual_seed(0))
        >>> logits, spread = head(torch.zeros(2, 4, dtype=torch.float64))
        >>> spread[0].tolist() == [log(2)] * 3
        True

    Source: [kendall2017uncertainties], noise on logits; softplus is ours
    """

    def __init__(
        self, features: int, classes: int, *, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__()
        require_counts(features=features, classes=classes)
        self.readout = built(
            lambda: nn.Linear(features, 2 * classes), generator=generator, dtype=dtype, linear_spread=features**-0.5
        )

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and their standard deviations, each of shape (N, C).

        Args:
            h: features, shape (N, H).
        """
        logits, raw = self.readout(h).chunk(2, -1)
        return logits, F.softplus(raw)


def logit_noise_log_probs(prediction: tuple[Tensor, Tensor], *, samples: int, generator: torch.Generator) -> Tensor:
    """Return the logarithms of the class probabilities, averaged over the noise of the logits.

        ln 1/T sum_t softmax(z + s e_t),   e_t standard normal

    Args:
        prediction: logits and their standard deviations, each of shape (N, C), the latter >= 0.
        samples: T, draws of the noise; the same for all examples of the call, each with its own.
        generator: where they are drawn from, draw by draw.

    Returns:
        ln p, shape (N, C), differentiable; ``CategoricalPrediction(p.exp()[None])`` holds it as one member.

    Raises:
        ParameterError: if the two do not fit together, are not finite, a deviation is negative, or T < 1.

    Example:
        >>> sure = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]])
        >>> logit_noise_log_probs(sure, samples=3, generator=torch.Generator().manual_seed(0)).exp()
        tensor([[0.5000, 0.5000]])

    Source: [kendall2017uncertainties], mean softmax over noise on logits
    """
    logits, spread = _require(prediction)
    require_counts(samples=samples)
    noise = torch.stack(
        [
            torch.randn(logits.shape, generator=generator, dtype=logits.dtype, device=generator.device)
            for _ in range(samples)
        ]
    ).to(logits.device)  # (T, N, C)
    return F.log_softmax(logits + spread * noise, -1).logsumexp(0) - log(samples)


def logit_noise_nll(
    prediction: tuple[Tensor, Tensor], y: Tensor, *, samples: int, generator: torch.Generator
) -> Tensor:
    """Return the mean negative log probability of the labels under noisy logits.

        -1/N sum_i ln 1/T sum_t softmax(z_i + s_i e_t)_y

    With T draws it is too large on average, by Jensen's inequality, and the less the larger T is.

    Args:
        prediction: logits and their standard deviations, as for ``logit_noise_log_probs``.
        y: class numbers, shape (N,), int64.
        samples: T.
        generator: where the noise is drawn from.

    Returns:
        The loss in nats, shape (), differentiable.

    Raises:
        ParameterError: as ``logit_noise_log_probs``, or if these are no class numbers of the examples.

    Example:
        >>> sure, drawn = (torch.zeros(1, 2), torch.zeros(1, 2)), torch.Generator().manual_seed(0)
        >>> logit_noise_nll(sure, torch.tensor([0]), samples=3, generator=drawn)
        tensor(0.6931)

    Source: [kendall2017uncertainties], mean softmax over noise on logits
    """
    logits = prediction[0]
    if y.shape != logits.shape[:1] or y.dtype != torch.int64:
        raise ParameterError(
            f"y must be class numbers, one for each row of logits {tuple(logits.shape)}, dtype int64, got "
            f"{tuple(y.shape)}, {y.dtype}"
        )
    require_labels(y, logits.shape[-1])
    return F.nll_loss(logit_noise_log_probs(prediction, samples=samples, generator=generator), y)


def _require(prediction: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    logits, spread = prediction
    if logits.ndim != 2 or logits.numel() == 0 or logits.shape != spread.shape or not logits.is_floating_point():
        raise ParameterError(
            f"logits and their deviations need one shape (N, C), floating, got {tuple(logits.shape)} and "
            f"{tuple(spread.shape)}; HeteroscedasticSoftmaxHead gives the two"
        )
    require_finite("a logit", logits)
    if bool((require_finite("a deviation", spread) < 0).any()):
        raise ParameterError(f"a standard deviation must be >= 0, got {float(spread.detach().min()):g}; use softplus")
    return logits, spread
