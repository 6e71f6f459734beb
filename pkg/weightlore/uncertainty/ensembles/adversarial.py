"""Train on examples and on their worst neighbors.

    x' = x + epsilon sign( d loss / d x )                     fgsm_examples
    loss(x, y) + loss(x', y)                                  fgsm_augmented_loss
    fgsm_step(epsilon)                                        the same as a step for fit_ensemble and training.fit

One step along the sign of the gradient is the largest change of the loss, to first order, among all changes of at most
epsilon in each input. Training on it makes a network's answer smooth around the data.
"""

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step
from weightlore.uncertainty.ensembles.lessons import Loss, loss_of

__all__ = ["fgsm_augmented_loss", "fgsm_examples", "fgsm_step"]


def fgsm_examples(model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float | Tensor, loss: Loss = loss_of) -> Tensor:
    """Return the inputs moved by epsilon to where the loss grows fastest.

        x' = x + epsilon sign( d loss / d x )

    Args:
        model: in the mode in which it is; gradients of its parameters are left as they are.
        x: inputs, shape (N, ...), floating.
        y: targets.
        epsilon: >= 0, in the unit of the inputs: a number, or one for each input, broadcast to x.
        loss: mean loss of outputs and targets.

    Returns:
        The moved inputs, in the shape of x, without gradient.

    Raises:
        ParameterError: if x is not floating or epsilon not a size.

    Source: [goodfellow2015explaining], fast gradient sign method
    """
    x = _ready(x, epsilon)
    return _moved(x, loss(model(x), y), epsilon)


def fgsm_augmented_loss(
    model: nn.Module, x: Tensor, y: Tensor, *, epsilon: float | Tensor, loss: Loss = loss_of
) -> Tensor:
    """Return the loss on the examples plus the loss on their worst neighbors, differentiable in the parameters.

        loss(f(x), y) + loss(f(x'), y),   x' = x + epsilon sign( d loss / d x ), held constant

    Args:
        model: in training mode a normalization of batches sees both batches.
        x: inputs, shape (N, ...), floating.
        y: targets.
        epsilon: >= 0, in the unit of the inputs: a number, or one for each input; a hundredth of the range of the
            inputs is usual.
        loss: mean loss of outputs and targets.

    Returns:
        The sum of both, shape ().

    Raises:
        ParameterError: if x is not floating or epsilon not a size.

    Example:
        >>> from weightlore.networks import mlp
        >>> model = mlp((2, 4, 2), generator=torch.Generator().manual_seed(0))
        >>> x, y = torch.ones(3, 2, dtype=torch.float64), torch.tensor([0, 1, 0])
        >>> plain, pushed = (fgsm_augmented_loss(model, x, y, epsilon=epsilon) for epsilon in (0.0, 0.01))
        >>> bool(pushed > plain)
        True

    Source: [lakshminarayanan2017ensembles], Algorithm 1; [goodfellow2015explaining]
    """
    x = _ready(x, epsilon)
    plain = loss(model(x), y)
    return plain + loss(model(_moved(x, plain, epsilon)), y)


def fgsm_step(epsilon: float | Tensor, *, loss: Loss = loss_of) -> Step:
    """Return a training step on examples and their worst neighbors.

    Args:
        epsilon: as for ``fgsm_augmented_loss``.
        loss: likewise.

    Example:
        >>> from weightlore.networks import mlp
        >>> generator = torch.Generator().manual_seed(0)
        >>> batch = Split(torch.zeros(2, 4).double(), torch.tensor([0, 1]))
        >>> float(fgsm_step(0.01)(mlp((4, 2), generator=generator), batch, generator).detach()) > 0
        True

    Source: [lakshminarayanan2017ensembles], Algorithm 1
    """

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        return fgsm_augmented_loss(model, batch.x, batch.y, epsilon=epsilon, loss=loss)

    return step


def _ready(x: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return the inputs as a leaf that takes a gradient."""
    if not x.is_floating_point():
        raise ParameterError(f"worst neighbors need inputs that can be moved, of a floating dtype, got {x.dtype}")
    if not bool((torch.as_tensor(epsilon) >= 0).all()) or not bool(torch.isfinite(torch.as_tensor(epsilon)).all()):
        raise ParameterError(f"epsilon is a size in the unit of the inputs, finite and >= 0, got {epsilon}")
    return x.detach().requires_grad_()


def _moved(x: Tensor, loss: Tensor, epsilon: float | Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, x, retain_graph=True)
    return (x + epsilon * gradient.sign()).detach()
