"""A few labeled examples of each class, as a task has them that should learn from another.

few_labels(data, k)   k examples of each class, drawn at random
"""

import torch

from weightlore.data.split import Split
from weightlore.errors import ParameterError

__all__ = ["few_labels"]


def few_labels(data: Split, k: int, *, generator: torch.Generator) -> Split:
    """Return k examples of each class that occurs, without repetition, class by class.

    For each class the rows are put into a random order and the first k taken, so that with the same generator state the
    examples for a small k are among those for a larger one.

    Args:
        data: N examples with class numbers y of shape (N,), of an integer dtype; left as they are.
        k: how many of each class, >= 1.
        generator: draws one order of the rows of each class.

    Returns:
        k C examples, sorted by class.

    Raises:
        ParameterError: if k is below 1, a class has fewer than k examples, or y are no class numbers.

    Example:
        >>> from weightlore.data import digits
        >>> few_labels(digits("train"), 2, generator=torch.Generator().manual_seed(0)).y[:4]
        tensor([0, 0, 1, 1])

    Source: ours, because few labels are what makes transfer worth trying
    """
    if data.y.ndim != 1 or data.y.is_floating_point() or not len(data):
        raise ParameterError(
            f"few labels are drawn from class numbers y of shape (N,), N >= 1, int64, got {tuple(data.y.shape)}, "
            f"{data.y.dtype}"
        )
    classes, counts = data.y.unique(return_counts=True)
    if k < 1 or k > int(counts.min()):
        raise ParameterError(
            f"k must be between 1 and {int(counts.min())}, the number of examples of class "
            f"{int(classes[counts.argmin()])}, got {k}; take fewer, or draw from more data"
        )
    rows = []
    for number in classes:
        members = (data.y == number).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=generator, device=generator.device).to(members.device)
        rows.append(members[order[:k]])
    return data[torch.cat(rows)]
