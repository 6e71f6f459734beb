"""Stop early: the first step at which the evidence for a class passes a level.

potential    max_c U_t,c >= level
margin       U_t,(1) - U_t,(2) >= level                     largest and second largest
confidence   max_c softmax(scale U_t / t)_c >= level

Exit             a rule with its level
evidence         what a rule looks at, after each step
early_exit       when each example is decided, and for what
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Decision", "Exit", "Rule", "early_exit", "evidence", "first_passing"]

Rule = Literal["potential", "margin", "confidence"]


@dataclass(frozen=True)
class Exit:
    """When to stop.

    Args:
        rule: what evidence is.
        level: from which evidence on an example is decided; ``-inf`` stops at ``t_min``, ``inf`` never.
        t_min: before this step nothing is decided, >= 1; a pipeline of layers has to fill first.
        scale: what potentials per step are multiplied by to be logits; only for ``"confidence"``.

    Raises:
        ParameterError: if a value is out of range.

    Source: [lu2020binary], early exit; rule and level are ours, because the paper's are not known
    """

    rule: Rule = "potential"
    level: float = math.inf
    t_min: int = 1
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ParameterError(f"rule must be one of {get_args(Rule)}, got {self.rule!r}")
        if isinstance(self.level, bool) or not isinstance(self.level, int | float) or math.isnan(self.level):
            raise ParameterError(f"level must be a number, -inf or inf among them, got {self.level!r}")
        if isinstance(self.t_min, bool) or not isinstance(self.t_min, int) or self.t_min < 1:
            raise ParameterError(f"t_min counts steps and must be a whole number >= 1, got {self.t_min!r}")
        if not 0 < self.scale < math.inf:
            raise ParameterError(f"scale turns potentials into logits and must be finite and > 0, got {self.scale}")


@dataclass(frozen=True, eq=False)
class Decision:
    """When examples were decided, and for what.

    Args:
        steps: after how many steps, shape (N,), int64; T where the level was never reached.
        prediction: class with the largest potential then, shape (N,), int64.
        reached: whether the level was reached, shape (N,), bool.

    Source: ours
    """

    steps: Tensor
    prediction: Tensor
    reached: Tensor


def evidence(potential: Tensor, rule: Rule = "potential", *, scale: float = 1.0, first: int = 1) -> Tensor:
    """Return what a rule compares with its level, after each step.

        potential: max_c U_t,c     margin: U_t,(1) - U_t,(2)     confidence: max_c softmax(scale U_t / t)_c

    Args:
        potential: U after each step, shape (T, N, C).
        rule: which.
        scale: turns U_t / t into logits.
        first: number of the first step given.

    Returns:
        Shape (T, N).

    Raises:
        ParameterError: if the potential is not a finite tensor of that shape, or there is no second class for a margin.

    Source: ours, because the paper's rule is not known
    """
    Exit(rule, 0.0, scale=scale)
    _require_potential(potential)
    if rule == "potential":
        return potential.amax(2)
    if rule == "margin":
        if potential.shape[2] < 2:
            raise ParameterError("a margin needs two classes or more, got 1; use the rule potential")
        best = potential.topk(2, dim=2).values
        return best[..., 0] - best[..., 1]
    times = torch.arange(first, first + len(potential), device=potential.device, dtype=potential.dtype)
    return (potential * (scale / times).reshape(-1, 1, 1)).softmax(2).amax(2)


def early_exit(potential: Tensor, rule: Rule, level: float, t_min: int = 1, *, scale: float = 1.0) -> Decision:
    """Return when each example is decided, and for which class.

        t* = first t >= t_min with evidence_t >= level, T if there is none;   prediction argmax_c U_{t*,c}

    Args:
        potential: U after each step, shape (T, N, C), T >= 1.
        rule: what evidence is.
        level: from which evidence on an example is decided; ``-inf`` and ``inf`` will do.
        t_min: before this step nothing is decided, >= 1; T is the last chance in any case.
        scale: for the rule ``"confidence"``, as in ``Exit``.

    Returns:
        Steps, prediction and whether the level was reached.

    Raises:
        ParameterError: if an argument is out of range, or there is no step at all.

    Example:
        >>> early_exit(torch.tensor([[[1.0, 0.0]], [[2.0, 3.0]]]), "potential", 2.5).steps
        tensor([2])

    Source: [lu2020binary], early exit; the rules are ours, because the paper's are not known
    """
    chosen = Exit(rule, level, t_min, scale)
    found = evidence(potential, rule, scale=scale)
    if len(found) == 0:
        raise ParameterError("there is no step to exit at, T = 0; simulate at least one")
    steps, reached = first_passing(found, chosen)
    steps = torch.where(reached, steps, len(found))
    at = potential[steps - 1, torch.arange(potential.shape[1], device=potential.device)]
    return Decision(steps, at.argmax(1), reached)


def first_passing(found: Tensor, chosen: Exit, first: int = 1) -> tuple[Tensor, Tensor]:
    """Return the first step whose evidence passes the level, and whether there is one.

    Args:
        found: evidence, shape (T, N).
        chosen: level and earliest step.
        first: number of the first step given.

    Source: ours
    """
    times = torch.arange(first, first + len(found), device=found.device).reshape(-1, 1)
    passed = (found >= chosen.level) & (times >= chosen.t_min)
    return passed.to(torch.int8).argmax(0) + first, passed.any(0)


def _require_potential(potential: Tensor) -> None:
    if not isinstance(potential, Tensor) or potential.ndim != 3 or not potential.is_floating_point():
        came = f"{tuple(potential.shape)}" if isinstance(potential, Tensor) else type(potential).__name__
        raise ParameterError(f"potential must be floating of shape (T, N, C), one value per class, got {came}")
    if potential.shape[2] == 0:
        raise ParameterError("potential has no class to choose from, shape (T, N, 0); the last layer must have outputs")
    require_finite("the potential", potential)
