"""Give each member its own sample of the data, drawn with replacement.

    bagging_indices(N, members, ...)  ->  Bags(indices (S, M), out_of_bag (S, N))

A sample of N out of N leaves each example out with probability (1 - 1/N)^N, near 1/e. For the members that have not
seen it, an example is fresh: they can be judged on it without validation data.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.networks.layered import require_counts

__all__ = ["Bags", "bagging_indices"]


@dataclass(frozen=True, eq=False)
class Bags:
    """Which examples each member learns from.

    Args:
        indices: numbers of examples, shape (S, M), int64, with repetitions.
        out_of_bag: which of the N examples a member has not got, shape (S, N), bool.

    Source: [breiman1996bagging]
    """

    indices: Tensor
    out_of_bag: Tensor

    def of(self, data: Split) -> list[Split]:
        """Return the data of each member, for ``fit_ensemble``.

        Args:
            data: the N examples.
        """
        return [data[rows.to(data.x.device)] for rows in self.indices]


def bagging_indices(examples: int, members: int, *, generator: torch.Generator, size: int | None = None) -> Bags:
    """Draw with replacement what each member learns from.

    Args:
        examples: N.
        members: S. Fewer members get the first samples of more.
        generator: where the draws come from.
        size: M, examples that a member gets; ``None`` for N.

    Returns:
        The numbers of the examples, and who has not got which.

    Raises:
        ParameterError: if a number is no whole number of at least 1.

    Example:
        >>> bags = bagging_indices(100, 5, generator=torch.Generator().manual_seed(0))
        >>> bags.indices.shape, bags.out_of_bag.shape
        (torch.Size([5, 100]), torch.Size([5, 100]))

    Source: [breiman1996bagging]
    """
    count = examples if size is None else size
    require_counts(examples=examples, members=members, size=count)
    device = generator.device
    rows = [torch.randint(examples, (count,), generator=generator, device=device) for _ in range(members)]
    indices = torch.stack(rows)
    absent = torch.ones(members, examples, dtype=torch.bool, device=device)
    return Bags(indices, absent.scatter(1, indices, False))
