"""Measure how much damage a budget can do to a network, or to one group of its parameters.

The *indicator* is the worst loss change that a budget allows. Its first-order estimate is the dual norm of the
gradient; its measured value is the loss change at the corruption found, by the closed form or in several steps.

    indicator     estimated and measured damage to one group of parameters
    indicators    the same for every layer, kind or other group

The gradient may come from other data than those that the damage is measured on. That matters: where a training set is
fitted, its gradient is almost zero and its direction says little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from weightlore.corruption.arguments import require_whole
from weightlore.corruption.attacks import projected_ascent
from weightlore.corruption.budgets import Budget, Corruption, closed_form, first_order_gain, require_budget
from weightlore.corruption.losses import Loss, Measurement, loss_gradient, measure
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group, layout

__all__ = ["Indicator", "indicator", "indicators"]


@dataclass(frozen=True)
class Indicator:
    """The damage that a budget can do to a group of parameters.

    Args:
        first_order: estimated loss change, epsilon ||top_n(g)||_q, from the data of the gradient.
        loss_before: mean loss of the healthy model on the evaluation data.
        loss_after: mean loss of the corrupted model.
        accuracy_before: accuracy of the healthy model; NaN where targets are not classes.
        accuracy_after: accuracy of the corrupted model.
        corruption: what was added to the parameters of the group.

    Source: [sun2021corruption], indicator
    """

    first_order: float
    loss_before: float
    loss_after: float
    accuracy_before: float
    accuracy_after: float
    corruption: Corruption

    @property
    def measured(self) -> float:
        """Measured loss change."""
        return self.loss_after - self.loss_before


def indicator(
    model: nn.Module,
    data: Split,
    budget: Budget,
    *,
    gradient_data: Split | None = None,
    group: Group = None,
    steps: int = 1,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> Indicator:
    """Corrupt a group of parameters as badly as the gradient knows how, and measure the damage.

    Args:
        model: any module with floating-point parameters; left as it is.
        data: examples that loss and accuracy are measured on.
        budget: how far and how many parameters may move.
        gradient_data: examples that the gradient is taken on; ``None`` for ``data``.
        group: which parameters; ``None`` for all.
        steps: 1 for the closed form, more for projected ascent.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once.

    Returns:
        First-order estimate, loss and accuracy before and after, and the corruption.

    Raises:
        ParameterError: if the gradient is not finite, the group is empty, or data and model do not fit.

    Source: [sun2021corruption], indicator
    """
    return indicators(
        model,
        data,
        budget,
        groups={"": group},
        gradient_data=gradient_data,
        steps=steps,
        loss=loss,
        batch_size=batch_size,
    )[""]


def indicators(
    model: nn.Module,
    data: Split,
    budget: Budget,
    *,
    groups: Mapping[str, Group] | None = None,
    gradient_data: Split | None = None,
    steps: int = 1,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> dict[str, Indicator]:
    """Compare groups of parameters: corrupt each with the same budget while the others stay healthy.

    The comparison is fair in epsilon, p and n only where n is at most the size of the smallest group.

    Args:
        model: any module with floating-point parameters; left as it is.
        data: examples that loss and accuracy are measured on.
        budget: how far and how many parameters of each group may move.
        groups: name and group of each row; ``None`` for every layer that holds parameters.
        gradient_data: examples that the gradients are taken on; ``None`` for ``data``.
        steps: 1 for the closed form, more for projected ascent.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once.

    Returns:
        An indicator for each name, in the order of the groups.

    Raises:
        ParameterError: as ``indicator``.

    Source: [sun2021corruption], layer-wise comparison
    """
    require_budget(budget)
    require_whole("steps", steps)
    if steps < 1:
        raise ParameterError(f"steps counts gradients and must be >= 1, got {steps}")
    if groups is None:
        groups = {slot.layer: _layer(slot.layer) for slot in layout(model).slots}
    source = data if gradient_data is None else gradient_data
    before = measure(model, data, loss=loss, batch_size=batch_size)
    rows = {}
    for name, group in groups.items():
        gradient = loss_gradient(model, source, group=group, loss=loss, batch_size=batch_size)
        found = closed_form(gradient, budget)
        if steps > 1:
            found = projected_ascent(model, source, budget, steps=steps, group=group, loss=loss, batch_size=batch_size)
        after = measure(model, data, corruption=found.vector, group=group, loss=loss, batch_size=batch_size)
        rows[name] = _indicator(first_order_gain(gradient, budget), before, after, found)
    return rows


def _layer(name: str) -> Group:
    """The parameters that a layer holds itself, not those of the layers inside it."""
    return lambda parameter, _: parameter.rpartition(".")[0] == name


def _indicator(estimate: Tensor, before: Measurement, after: Measurement, corruption: Corruption) -> Indicator:
    return Indicator(
        first_order=float(estimate),
        loss_before=before.loss,
        loss_after=after.loss,
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        corruption=corruption,
    )
