"""Ask one network about several views of the same input.

No training, no second network: whatever differs between the answers is due to the input. Their mean is usually better
than one answer, their spread tells of inputs near a border.

    TestTimeAugmentation(model, views)       .predict(x): a CategoricalPrediction with one member for each view
    view_probs(model, x)                     what a network or a predictor says of x, (N, C)

    p_a = p(y | g_a(x)),   pbar = 1/A sum_a p_a,   g_0 the identity
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode
from weightlore.uncertainty.augmentation.views import Augmentation, identity
from weightlore.uncertainty.measures.members import HasProbs, members_of
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["Answers", "TestTimeAugmentation", "view_probs"]

Answers = Callable[[Tensor], Tensor | HasProbs]


@dataclass(frozen=True, eq=False)
class TestTimeAugmentation:
    """A network that is asked about the input and its views.

    Args:
        model: returns logits (N, C), or a prediction, of which the mean counts: an ensemble's ``predict`` will do.
        views: augmentations. The identity is put in front if no view of that name is among them.

    Raises:
        ParameterError: if something among the views is no ``Augmentation``.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty.augmentation import digit_views
        >>> TestTimeAugmentation(healthy(), digit_views()).predict(digits("test").x).members
        16

    Source: [ayhan2018augmentation]
    """

    model: Answers
    views: tuple[Augmentation, ...]
    __test__: ClassVar[bool] = False  # its name looks like a test's

    def __post_init__(self) -> None:
        odd = [type(view).__name__ for view in self.views if not isinstance(view, Augmentation)]
        if odd:
            raise ParameterError(
                f"views are Augmentations, got {odd[0]}; give it a name: Augmentation('name', function)"
            )
        given = any(view.name == "identity" for view in self.views)
        object.__setattr__(self, "views", tuple(self.views) if given else (identity(), *self.views))

    def predict(self, x: Tensor) -> CategoricalPrediction:
        """Return what the network says of each view, shape (A, N, C), without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.

        Raises:
            ParameterError: if x is empty or not finite, or the network's answers are no logits or predictions.
        """
        return CategoricalPrediction(torch.stack([view_probs(self.model, view(x)) for view in self.views]))


def view_probs(model: Answers, x: Tensor) -> Tensor:
    """Return the class probabilities of one view, in eval mode and without gradients.

    Args:
        model: a module or function that returns logits (N, C), or a prediction whose mean counts.
        x: inputs, shape (N, ...).

    Returns:
        Shape (N, C).

    Raises:
        ParameterError: if x is empty or not finite, or the answer is neither logits nor a prediction of N examples.

    Source: ours
    """
    if len(x) == 0:
        raise ParameterError(f"x must hold at least one example, got shape {tuple(x.shape)}")
    require_finite("x", x)
    said = answer(model, x)
    if isinstance(said, Tensor) and said.ndim != 2:
        raise ParameterError(f"the model must return logits (N, C) or a prediction, got shape {tuple(said.shape)}")
    probs = CategoricalPrediction.from_logits(said).mean if isinstance(said, Tensor) else members_of(said).mean(0)
    if len(probs) != len(x):
        raise ParameterError(f"the model answered {len(probs)} rows for {len(x)} examples")
    return probs


def answer(model: Answers, x: Tensor) -> Tensor | HasProbs:
    """Return the answer of a module in eval mode, or of a function, without gradients.

    Args:
        model: a module or function.
        x: its input.

    Source: ours
    """
    with torch.no_grad():
        if not isinstance(model, nn.Module):
            return model(x)
        with in_mode(model, training=False):
            said: Tensor = model(x)
            return said
