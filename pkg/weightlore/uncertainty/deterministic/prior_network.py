"""Networks that predict a distribution over class probabilities, taught by examples from inside and outside.

Logits are read as concentrations, alpha = exp(z): their proportions are the class probabilities, as with a softmax, and
their sum says how sure the network is of them. What an example should say is given as another Dirichlet distribution:

    inside     beta_c = base + precision 1[c = y]        sharp, at a corner
    outside    beta_c = 1                                flat

    prior_prediction         alpha = exp(z), as a prediction
    dirichlet_prior_loss     KL between target and model, in either direction
    representation_gap_loss  cross-entropy, and sigmoids that push concentrations up inside and down outside

Without examples from outside, nothing is learned about them: what a network then says there is chance.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.uncertainty.calibration.calibrator import require_pairs
from weightlore.uncertainty.dirichlet import kl_divergence
from weightlore.uncertainty.predictions.dirichlet import DirichletPrediction

__all__ = ["Direction", "dirichlet_prior_loss", "prior_prediction", "representation_gap_loss"]

Direction = Literal["forward", "reverse"]


def prior_prediction(logits: Tensor) -> DirichletPrediction:
    """Return what a prior network says: the exponentials of its logits are concentrations.

        alpha_c = exp(z_c);   the mean alpha / a_0 is the softmax of z

    Args:
        logits: shape (N, C).

    Raises:
        ParameterError: if these are no logits, or one is so large or small that its exponential is infinite or 0.

    Example:
        >>> prior_prediction(torch.zeros(1, 3)).precision
        tensor([3.])

    Source: [malinin2018prior], concentrations as exponentials of logits
    """
    return DirichletPrediction(require_finite("a logit", logits).exp())


def dirichlet_prior_loss(
    logits: Tensor,
    y: Tensor,
    *,
    direction: Direction,
    outside: Tensor | None = None,
    base: float = 1.0,
    precision: float = 100.0,
    weight: float = 1.0,
) -> Tensor:
    """Return how far the predicted Dirichlet distributions are from those that they should be.

        forward    mean KL(Dir(beta) || Dir(alpha))  + weight mean over outside of KL(Dir(1) || Dir(alpha))
        reverse    mean KL(Dir(alpha) || Dir(beta))  + weight mean over outside of KL(Dir(alpha) || Dir(1))

    Where classes overlap, the network sees several targets for one input. The forward loss is best where E ln p under
    alpha equals the average of that under the targets: between two classes and with the numbers below, a distribution
    that is low in the middle and high at both corners, with a precision below 1. The reverse loss is best at the one
    Dirichlet distribution with the average of their concentrations, which keeps their precision.

    Args:
        logits: of examples inside, shape (N, C).
        y: their class numbers, shape (N,), int64.
        direction: ``"forward"`` or ``"reverse"``.
        outside: logits of examples from outside, shape (M, C); without them nothing is learned of the outside.
        base: concentration of the wrong classes in a target, > 0.
        precision: what the right class has on top, > 0.
        weight: of the examples from outside, >= 0.

    Returns:
        The loss in nats, shape (), differentiable; 0 only where every alpha is its target.

    Raises:
        ParameterError: if these are no logits and class numbers, shapes do not fit, or a number is out of range.

    Example:
        >>> z = torch.tensor([[0.0, 0.0]])
        >>> dirichlet_prior_loss(z, torch.tensor([0]), direction="forward", precision=2.0)
        tensor(0.4319)

    Source: [malinin2018prior], forward; [malinin2019reverse], reverse; what each is best at is worked out by us
    """
    require_option("direction", direction, Direction)
    _require(base=(base, True), precision=(precision, True), weight=(weight, False))
    _, y = require_pairs(logits, y)
    target = base + precision * F.one_hot(y, logits.shape[1]).to(logits)
    loss = _divergence(logits, target, direction)
    if outside is None:
        return loss
    _require_outside(outside, logits)
    return loss + weight * _divergence(outside, torch.ones_like(outside), direction)


def representation_gap_loss(
    logits: Tensor,
    y: Tensor,
    *,
    outside: Tensor,
    inside_push: float = 0.5,
    outside_push: float | None = None,
    weight: float = 1.0,
) -> Tensor:
    """Return the cross-entropy with a reward for large concentrations inside, and for small ones outside.

        mean [ -ln p_y - push_in/C sum_c sigmoid(z_c) ]
        + weight mean over outside of [ -1/C sum_c ln p_c - push_out/C sum_c sigmoid(z_c) ],   push_out < 0

    Outside, even probabilities with every alpha = exp(z) far below 1 are best: a density that stands in all corners
    at once. Flat ones would look like inputs inside on which several classes overlap.

    Args:
        logits: of examples inside, shape (N, C).
        y: their class numbers, shape (N,), int64.
        outside: logits of examples from outside, shape (M, C).
        inside_push: > 0.
        outside_push: below 0 for corners; ``None`` for 1/C - 1/2, which is negative for three classes or more.
        weight: of the examples from outside, >= 0.

    Returns:
        The loss, shape (), differentiable; may be negative.

    Raises:
        ParameterError: if these are no logits and class numbers, shapes do not fit, a number is out of range, or
            ``outside_push`` is left to the formula with two classes, for which it is 0.

    Example:
        >>> z = torch.zeros(1, 4)
        >>> representation_gap_loss(z, torch.tensor([0]), outside=z)
        tensor(2.6476)

    Source: [nandy2020gap], the loss with sigmoids of the logits; the numbers are those of its published code
    """
    (_, y), classes = require_pairs(logits, y), logits.shape[1]
    _require_outside(outside, logits)
    push = 1 / classes - 0.5 if outside_push is None else outside_push
    if not push < 0 or push == -float("inf"):
        raise ParameterError(
            f"outside_push must be a finite number below 0, so that concentrations outside fall below 1, got {push!r}; "
            "with two classes give one, such as -0.5"
        )
    _require(inside_push=(inside_push, True), weight=(weight, False))
    inside = F.cross_entropy(logits, y) - inside_push * logits.sigmoid().mean()
    return inside + weight * (-F.log_softmax(outside, 1).mean() - push * outside.sigmoid().mean())


def _divergence(logits: Tensor, target: Tensor, direction: Direction) -> Tensor:
    alpha = prior_prediction(logits).alpha
    return (kl_divergence(target, alpha) if direction == "forward" else kl_divergence(alpha, target)).mean()


def _require_outside(outside: Tensor, logits: Tensor) -> None:
    if (
        not isinstance(outside, Tensor)
        or outside.ndim != 2
        or outside.shape[1:] != logits.shape[1:]
        or not len(outside)
    ):
        came = tuple(outside.shape) if isinstance(outside, Tensor) else type(outside).__name__
        raise ParameterError(
            f"logits from outside need shape (M, {logits.shape[1]}), those of the same network, got {came}"
        )
    require_finite("a logit from outside", outside)


def _require(**numbers: tuple[float, bool]) -> None:
    """Check finite numbers that must be above 0 (True) or at least 0."""
    for name, (value, positive) in numbers.items():
        if not (0 <= value < float("inf")) or (positive and value == 0):
            raise ParameterError(f"{name} must be finite and {'above' if positive else 'at least'} 0, got {value!r}")
