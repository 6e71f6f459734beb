"""How an exercise says what of it can vary.

The module of an exercise has a function ``build`` from a draw to an exercise. The public exercise is ``build`` of the
numbers in the book, a variant is ``build`` of others, so that prompt, reference and diagnoses exist once.

    VARIANTS = {"corrupted.by_hand": Variants(build, drawn)}    in the module of the exercise
    families("corrupted")                                       those of a chapter, by the id of the public exercise
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar

import torch

from weightlore.teaching.exercises.checker import Exercise, exercises

__all__ = ["Variants", "families"]

Draw = TypeVar("Draw")
EXERCISES = "weightlore.teaching.exercises"


@dataclass(frozen=True)
class Variants(Generic[Draw]):
    """How the variants of an exercise are made.

    Args:
        build: makes the exercise of a draw, under the id of the public one.
        drawn: draws the numbers; the same state of the generator, the same numbers.
        instead: why variants ask another question on the same subject, "" if they ask the same one.
        on_paper: whether paper is enough for an answer; not where it takes the trained network, or a table.

    Source: ours
    """

    build: Callable[[Draw], Exercise]
    drawn: Callable[[torch.Generator], Draw]
    instead: str = ""
    on_paper: bool = True


def families(chapter: str) -> dict[str, Variants[Any]]:
    """Return how the variants of a chapter are made, by the id of the public exercise, in the chapter's order.

    Args:
        chapter: the first part of the ids, such as ``"corrupted"``.

    Returns:
        Nothing for an exercise without variants.

    Raises:
        ParameterError: if the chapter has no exercises; the message lists those that have.

    Source: ours
    """
    order = [exercise.id for exercise in exercises(chapter)]
    found: dict[str, Variants[Any]] = {}
    for module in _modules(f"{EXERCISES}.{chapter}"):
        found |= getattr(module, "VARIANTS", {})
    return {name: found[name] for name in order if name in found}


def _modules(name: str) -> list[ModuleType]:
    """A module, and those in it if it is a package."""
    module = importlib.import_module(name)
    inside = pkgutil.iter_modules(getattr(module, "__path__", ()))
    return [module, *(importlib.import_module(f"{name}.{part.name}") for part in inside)]
