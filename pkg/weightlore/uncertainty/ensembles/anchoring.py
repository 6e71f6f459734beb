"""Pull each member towards a point of its own, drawn from the prior.

    draw_anchors(model, S, prior_std=...)          theta_0 ~ N(0, prior_std^2), shape (S, P)
    anchored_loss(loss, theta, anchor, ...)        loss + ratio/n ||theta - theta_0||^2
    anchored_step(anchor, ...)                     the same as a step for fit_ensemble

Members that are all pulled towards zero agree where there are no data. Anchored ones are as spread there as the prior:
for a linear model whose targets are perturbed by the noise too, mean and covariance of the members are those of the
exact posterior.
"""

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.parameters import flatten
from weightlore.training import Step
from weightlore.uncertainty.ensembles.lessons import Loss, loss_of

__all__ = ["anchored_loss", "anchored_step", "draw_anchors"]


def draw_anchors(model: nn.Module, members: int, *, prior_std: float | Tensor, generator: torch.Generator) -> Tensor:
    """Draw the point that each member is pulled towards.

        theta_0 ~ N(0, prior_std^2)

    Args:
        model: a network of the members' architecture; left as it is.
        members: S. Fewer members get the first anchors of more.
        prior_std: > 0, of all parameters, or one for each, shape (P,).
        generator: where the draws come from.

    Returns:
        theta_0, shape (S, P), dtype and device of the network.

    Raises:
        ParameterError: if a number is out of range.

    Source: [pearce2020anchored]
    """
    require_counts(members=members)
    theta = flatten(model)
    spread = _positive("prior_std", prior_std, theta)
    draws = [
        torch.randn(len(theta), generator=generator, dtype=theta.dtype, device=generator.device) for _ in range(members)
    ]
    return spread * torch.stack(draws).to(theta.device)


def anchored_loss(loss: Tensor, theta: Tensor, anchor: Tensor, *, ratio: float | Tensor, num_data: int) -> Tensor:
    """Return a loss plus the pull towards an anchor.

        loss + 1/n sum_j ratio_j (theta_j - theta_0j)^2

    Args:
        loss: mean loss of a batch, shape ().
        theta: parameters, shape (P,), differentiable.
        anchor: theta_0, shape (P,).
        ratio: >= 0, a number or one for each parameter: variance of the noise over variance of the prior where the
            loss is a mean squared error, 1 / (2 prior variance) where it is a mean negative log likelihood in nats.
        num_data: n, the number of training examples.

    Returns:
        The sum, shape ().

    Raises:
        ParameterError: if shapes do not fit or a number is out of range.

    Example:
        >>> anchored_loss(torch.tensor(1.0), torch.tensor([2.0, 0.0]), torch.zeros(2), ratio=0.5, num_data=4)
        tensor(1.5000)

    Source: [pearce2020anchored], the anchored loss
    """
    require_counts(num_data=num_data)
    if theta.ndim != 1 or theta.shape != anchor.shape:
        raise ParameterError(
            f"theta and its anchor must have one shape (P,), got {tuple(theta.shape)} and {tuple(anchor.shape)}; "
            "draw_anchors gives one row for each member"
        )
    strength = torch.as_tensor(ratio, dtype=theta.dtype, device=theta.device)
    if strength.shape not in (torch.Size(), theta.shape) or not bool(((strength >= 0) & strength.isfinite()).all()):
        raise ParameterError(f"ratio must be finite and >= 0, a number or one for each parameter, got {ratio}")
    return loss + (strength * (theta - anchor) ** 2).sum() / num_data


def anchored_step(anchor: Tensor, *, ratio: float | Tensor, num_data: int, loss: Loss = loss_of) -> Step:
    """Return the training step of one member: ``step=[anchored_step(a, ...) for a in anchors]``.

    Args:
        anchor: theta_0 of the member, shape (P,).
        ratio: as for ``anchored_loss``.
        num_data: n.
        loss: mean loss of outputs and targets.

    Source: [pearce2020anchored]
    """

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        theta = torch.cat([p.reshape(-1) for p in model.parameters() if p.requires_grad])
        return anchored_loss(loss(model(batch.x), batch.y), theta, anchor, ratio=ratio, num_data=num_data)

    return step


def _positive(name: str, given: float | Tensor, theta: Tensor) -> Tensor:
    value = torch.as_tensor(given, dtype=theta.dtype, device=theta.device)
    if value.shape not in (torch.Size(), theta.shape) or not bool(((value > 0) & value.isfinite()).all()):
        raise ParameterError(f"{name} must be finite and > 0, a number or one for each of P={len(theta)} parameters")
    return value
