"""Mix the gradients at corrupted parameters into the gradient of a training step.

A *path* says where to look: it can ask for theta and for the gradient of the batch's loss at theta and at any
corruption of it, and gives corruptions a_1 ... a_K. The step follows the mean

    d = (1 - alpha) grad L(theta) + alpha/K sum_k grad L(theta + a_k) ,   a_k constant

Worst corruptions, sharpness-aware minimization and adversarial weight perturbation differ in the path alone.
"""

from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from weightlore.corruption.arguments import require_real
from weightlore.corruption.passes import Members, Passes, members
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group
from weightlore.training import Step, cross_entropy
from weightlore.training.given import Given, GivenStep

__all__ = ["Path", "averaged_step"]

Path = Callable[[Passes], Iterable[Tensor]]


def averaged_step(path: Path, *, alpha: float | None = None, group: Group = None, base: Step = cross_entropy) -> Step:
    """Return a training step that mixes the gradients at corrupted parameters into the clean one.

        d = (1 - alpha) grad L(theta) + alpha/K sum_k grad L(theta + a_k) ,   a_k constant

    The loss that the step returns is the same mean of losses, and ``backward`` on it gives exactly d.

    Args:
        path: the corruptions, from the gradients of the batch.
        alpha: share of the corrupted gradients, in [0, 1]; ``None`` for K/(K+1), where all K + 1 weigh alike.
        group: which parameters are corrupted; all that require a gradient are trained.
        base: the step whose loss is made resistant.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if alpha is not in [0, 1]; from the step, if a gradient is not finite.

    Source: ours, the common form of [sun2021corruption], [zhang2021multistep], [foret2021sam], [kwon2021asam] and
        [wu2020awp]
    """
    if alpha is not None:
        require_real("alpha", alpha)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ParameterError(f"alpha is a share and must be in [0, 1], got {alpha}")
    if alpha == 0:
        return base

    known: WeakKeyDictionary[nn.Module, Members] = WeakKeyDictionary()

    def find(model: nn.Module, batch: Split, generator: torch.Generator) -> Given:
        parts = known.get(model)
        if parts is None or not parts.up_to_date():
            parts = known[model] = members(model, group)
        passes = Passes(model, batch, generator, base, parts)
        try:
            for corruption in path(passes):
                passes.visit(corruption)
        except ParameterError:
            if bool(passes.losses[0].isfinite()):  # a loss that is not is the training loop's affair
                raise
        loss, *gradients = passes.mixed(alpha)
        return Given(loss, parts.trained, gradients)

    return GivenStep(find)
