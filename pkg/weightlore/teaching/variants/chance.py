"""What variants draw: whole numbers, one of several things, several of many."""

from collections.abc import Sequence
from typing import TypeVar

import torch

from weightlore.errors import ParameterError

__all__ = ["integer", "one_of", "several"]

Thing = TypeVar("Thing")


def integer(generator: torch.Generator, low: int, high: int) -> int:
    """Return a whole number from low to high, both among them, each as likely.

    Args:
        generator: advances by one draw.
        low: the smallest.
        high: the largest.

    Raises:
        ParameterError: if there is none.

    Source: ours
    """
    if low > high:
        raise ParameterError(f"no whole number lies between {low} and {high}; give the smaller one first")
    return int(torch.randint(low, high + 1, (), generator=generator))


def one_of(generator: torch.Generator, options: Sequence[Thing]) -> Thing:
    """Return one of several things, each as likely.

    Args:
        generator: advances by one draw.
        options: at least one.

    Raises:
        ParameterError: if there is none.

    Source: ours
    """
    if not options:
        raise ParameterError("there is nothing to choose from; give one thing at least")
    return options[integer(generator, 0, len(options) - 1)]


def several(generator: torch.Generator, options: Sequence[Thing], count: int) -> tuple[Thing, ...]:
    """Return some of many things without repetition, in any order.

    Args:
        generator: advances by one permutation.
        options: at least as many as are asked for.
        count: how many.

    Raises:
        ParameterError: if there are too few.

    Source: ours
    """
    if count > len(options):
        raise ParameterError(f"{count} different things were asked for, there are {len(options)}; ask for fewer")
    order = torch.randperm(len(options), generator=generator)[:count]
    return tuple(options[i] for i in order.tolist())
