"""ODIN: soften the answer, and push the input a little towards what the network believes.

Known inputs are moved further by the push than strange ones, so that the two kinds separate [liang2018odin]:

    x' = x - eps sign( grad_x [ -ln softmax(z(x) / T)_yhat ] ),   yhat = argmax_c z_c(x)     pushed
    score = 1 - max_c softmax(z(x') / T)_c                                                    ODIN(model, ...).score
    T and eps from a grid, on inputs of both kinds that are not those of the test             best_odin

With eps = 0 and T = 1 this is the baseline ``MaxSoftmax``. For T without end the order is that of the distance of the
largest logit from the mean of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode
from weightlore.uncertainty.ood.logit_scores import max_softmax_score, require_temperature
from weightlore.uncertainty.ood.reading import logits_at
from weightlore.uncertainty.ranking import auroc, fpr_at_tpr

__all__ = ["ODIN", "OdinChoice", "best_odin", "pushed"]

Bounds = tuple[float, float] | None


def pushed(
    model: nn.Module, x: Tensor, *, temperature: float = 1000.0, epsilon: float, bounds: Bounds = (0.0, 1.0)
) -> Tensor:
    """Return the inputs after a step that makes the network surer of its answer.

        x' = x - eps sign( grad_x [ -ln softmax(z(x) / T)_yhat ] ),   then into the bounds

    Args:
        model: returns logits; left as it is, gradients of its parameters included.
        x: inputs, shape (N, ...), N >= 1, finite, within the bounds.
        temperature: T, > 0.
        epsilon: size of the step in each entry, >= 0, in the unit of the inputs.
        bounds: least and largest legal entry; ``None`` where inputs have no range.

    Returns:
        x', shape of x. Each input moves by itself: the batch does not matter.

    Raises:
        ParameterError: if T or eps is out of range, or x is empty, not finite or out of bounds.

    Example:
        >>> line = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(line.weight)
        >>> pushed(line, torch.tensor([[0.5, 0.2]]), epsilon=0.1)
        tensor([[0.6000, 0.1000]])

    Source: [liang2018odin], input preprocessing; the bounds are ours
    """
    require_temperature(temperature)
    x = _within(x.detach(), epsilon, bounds)
    if epsilon == 0:
        return x
    steps = []
    with in_mode(model, training=False), torch.enable_grad():
        for rows in x.split(1000):
            leaf = rows.clone().requires_grad_()
            log_probs = (model(leaf) / temperature).log_softmax(1)
            loss = nll_loss(log_probs, log_probs.detach().argmax(1), reduction="sum")
            steps.append(torch.autograd.grad(loss, leaf)[0])
    moved = x - epsilon * require_finite("the gradient in x", torch.cat(steps)).sign()
    return moved if bounds is None else moved.clamp(*bounds)


@dataclass(frozen=True, eq=False)
class ODIN:
    """An input is strange if no class is probable after a push, at a high temperature.

    Args:
        model: returns logits; left as it is.
        temperature: T, > 0.
        epsilon: size of the push in each entry, >= 0; ``best_odin`` chooses it.
        bounds: least and largest legal entry of an input; ``None`` where there is no range.

    Raises:
        ParameterError: if T or eps is out of range.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> ODIN(healthy(), epsilon=0.01).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [liang2018odin]
    """

    model: nn.Module
    temperature: float = 1000.0
    epsilon: float = 0.0
    bounds: Bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        require_temperature(self.temperature)
        _require_step(self.epsilon, self.bounds)

    def score(self, x: Tensor) -> Tensor:
        """Return 1 - max_c softmax(z(x') / T)_c of the inputs (N, ...), shape (N,)."""
        moved = pushed(self.model, x, temperature=self.temperature, epsilon=self.epsilon, bounds=self.bounds)
        return max_softmax_score(logits_at(self.model, moved) / self.temperature)


@dataclass(frozen=True, eq=False)
class OdinChoice:
    """What a grid found.

    Args:
        detector: the best of the grid.
        temperatures: the T of the grid, in order.
        epsilons: the eps of the grid, in order.
        false_rates: share of the known inputs that are rejected when 95 % of the strange ones are, for each T (row)
            and eps (column).
        aurocs: area under the curve, likewise.

    Source: ours
    """

    detector: ODIN
    temperatures: tuple[float, ...]
    epsilons: tuple[float, ...]
    false_rates: Tensor
    aurocs: Tensor


def best_odin(
    model: nn.Module,
    inside: Tensor,
    outside: Tensor,
    *,
    temperatures: Sequence[float] = (1.0, 10.0, 100.0, 1000.0),
    epsilons: Sequence[float] = (0.0, 0.001, 0.002, 0.004, 0.01, 0.02, 0.05),
    bounds: Bounds = (0.0, 1.0),
) -> OdinChoice:
    """Return the detector whose temperature and step separate two sets of inputs best.

    The lowest false rate at 95 % detection wins; ties go to the larger area under the curve, then to the first of the
    grid. Whoever tunes on the strange inputs of the test measures nothing: take another kind.

    Args:
        model: returns logits; left as it is.
        inside: known inputs, shape (N, ...), held out from training.
        outside: strange inputs, of another kind than those of the test.
        temperatures: T to try, > 0.
        epsilons: steps to try, >= 0, in the unit of the inputs.
        bounds: as for ``ODIN``.

    Raises:
        ParameterError: if the grid or one of the sets is empty, or a value is out of range.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> known = digits("validation").x[:50]
        >>> found = best_odin(healthy(), known, known.flip(1), temperatures=(1.0, 100.0), epsilons=(0.0, 0.01))
        >>> found.false_rates.shape
        torch.Size([2, 2])

    Source: [liang2018odin], choice on a validation set; our grid, since steps depend on the unit of the inputs
    """
    grid = list(product(temperatures, epsilons))
    if not grid:
        raise ParameterError(f"the grid needs a temperature and a step, got {temperatures} and {epsilons}")
    detectors = [ODIN(model, temperature, epsilon, bounds) for temperature, epsilon in grid]
    strange = torch.arange(len(inside) + len(outside), device=inside.device) >= len(inside)
    scores = [torch.cat([one.score(inside), one.score(outside)]) for one in detectors]
    false_rates = torch.stack([fpr_at_tpr(score, strange) for score in scores])
    aurocs = torch.stack([auroc(score, strange) for score in scores])
    best = min(range(len(grid)), key=lambda place: (float(false_rates[place]), -float(aurocs[place]), place))
    shape = (len(temperatures), len(epsilons))
    return OdinChoice(
        detectors[best], tuple(temperatures), tuple(epsilons), false_rates.reshape(shape), aurocs.reshape(shape)
    )


def _require_step(epsilon: float, bounds: Bounds) -> None:
    if not 0 <= epsilon < float("inf"):
        raise ParameterError(f"epsilon is the size of a step and must be a finite number >= 0, got {epsilon}")
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ParameterError(f"bounds are the least and the largest entry of an input, in this order, got {bounds}")


def _within(x: Tensor, epsilon: float, bounds: Bounds) -> Tensor:
    """Return the inputs if a step may be taken from there."""
    _require_step(epsilon, bounds)
    if len(x) == 0 or not x.is_floating_point():
        raise ParameterError(f"x must hold an input of floating numbers at least, got {tuple(x.shape)}, {x.dtype}")
    require_finite("x", x)
    if bounds is not None and not (bounds[0] <= float(x.min()) and float(x.max()) <= bounds[1]):
        raise ParameterError(
            f"inputs must lie within the bounds {bounds}, got {float(x.min()):g} to {float(x.max()):g}; give the range "
            "of your inputs as bounds, or None"
        )
    return x
