"""Noise in what is measured and in what is written down, with the uncertainty that it leaves for good.

add_measurement_noise   x + s e, e standard normal: a worse sensor
flip_labels             with probability r another class is written down
flipped_probabilities   (1 - r) p + r (1 - p) / (C - 1): what the best model then says
flip_entropy            its entropy where the true class is certain; no model and no amount of data gets below
"""

import math

import torch
from torch import Tensor

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.measures.members import require_probs

__all__ = ["add_measurement_noise", "flip_entropy", "flip_labels", "flipped_probabilities"]


def add_measurement_noise(
    x: Tensor, spread: float | Tensor, *, within: tuple[float, float] | None = None, generator: torch.Generator
) -> Tensor:
    """Return what a noisy sensor would have read.

        x + s e,   e standard normal, independent for each entry

    Args:
        x: measurements, shape (N, ...), floating and finite; left as they are.
        spread: s, standard deviation of the noise in the unit of x, >= 0: one number, or one for each entry of an
            example, in a shape that can be broadcast to that of x.
        within: the range of the sensor; readings beyond are cut to its ends. ``None`` for no ends.
        generator: source of all randomness.

    Returns:
        New measurements in shape and dtype of x.

    Raises:
        ParameterError: if x or the spread is not as described, or the range is empty.

    Example:
        >>> add_measurement_noise(torch.zeros(2), 0.0, generator=torch.Generator())
        tensor([0., 0.])

    Source: [gawlikowski2023uncertainty], factor II: error and noise in measurement systems
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise ParameterError(
            f"x holds measurements, a floating tensor, got {x.dtype if isinstance(x, Tensor) else type(x).__name__}"
        )
    require_finite("x", x)
    scale = _spread(spread, x)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64, device=generator.device)
    noisy = x.detach() + scale * noise.to(x)  # drawn in double precision, so that the dtype changes no draw
    if within is None:
        return noisy
    if not within[0] < within[1]:
        raise ParameterError(f"within is the range of the sensor, its lower end first, got {within}")
    return noisy.clamp(*within)


def flip_labels(y: Tensor, rate: float, *, classes: int, generator: torch.Generator) -> Tensor:
    """Return labels of which a share is wrong, each of the other classes being as likely.

        y with probability 1 - r,   otherwise one of the C - 1 others

    With the same generator state, what is flipped at a small rate is flipped to the same class at a larger one.

    Args:
        y: class numbers, shape (N,), int64; left as they are.
        rate: r, the probability that a label is flipped, in [0, 1].
        classes: C, >= 2.
        generator: source of all randomness.

    Returns:
        New class numbers, shape (N,).

    Raises:
        ParameterError: if the labels are no class numbers, or the rate or C is out of range.

    Example:
        >>> flip_labels(torch.tensor([0, 1, 1]), 1.0, classes=2, generator=torch.Generator())
        tensor([1, 0, 0])

    Source: [gawlikowski2023uncertainty], factor II: false labels
    """
    _require_rate(rate, classes)
    if not isinstance(y, Tensor) or y.ndim != 1 or y.dtype != torch.int64:
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(f"y must be class numbers of shape (N,) and dtype int64, got {came}")
    require_labels(y, classes)
    chance = torch.rand(len(y), generator=generator, dtype=torch.float64, device=generator.device).to(y.device)
    further = torch.randint(1, classes, (len(y),), generator=generator, device=generator.device).to(y.device)
    return torch.where(chance < rate, (y + further) % classes, y)


def flipped_probabilities(p: Tensor, rate: float) -> Tensor:
    """Return the probabilities of the label that is written down, given those of the true class.

        (1 - r) p + r (1 - p) / (C - 1)

    Args:
        p: probabilities of the true class, shape (..., C), C >= 2.
        rate: r, in [0, 1].

    Returns:
        Probabilities in the shape of p; their entropy is what even the best model of the noisy data keeps.

    Raises:
        ParameterError: if p holds no probabilities, or the rate or C is out of range.

    Example:
        >>> flipped_probabilities(torch.tensor([1.0, 0.0, 0.0]), 0.25)
        tensor([0.7500, 0.1250, 0.1250])

    Source: ours, because with a known posterior the irreducible part can be checked example by example
    """
    require_probs(p)
    _require_rate(rate, p.shape[-1])
    return (1 - rate) * p + rate * (1 - p) / (p.shape[-1] - 1)


def flip_entropy(rate: float, classes: int) -> float:
    """Return the entropy of a flipped label whose true class is certain: what can never be learned away.

        -(1 - r) ln(1 - r) - r ln(r / (C - 1))

    Args:
        rate: r, in [0, 1].
        classes: C, >= 2.

    Returns:
        Nats, in [0, ln C]; ln C where r = (C - 1) / C.

    Raises:
        ParameterError: if the rate or C is out of range.

    Example:
        >>> round(flip_entropy(0.5, 2), 3)
        0.693

    Source: [gawlikowski2023uncertainty], data uncertainty by false labels; the closed form is ours
    """
    _require_rate(rate, classes)
    kept = -(1 - rate) * math.log1p(-rate) if rate < 1 else 0.0
    return kept - (rate * math.log(rate / (classes - 1)) if rate > 0 else 0.0)


def _require_rate(rate: float, classes: int) -> None:
    if not 0 <= rate <= 1:
        raise ParameterError(f"rate is the probability that a label is flipped, from 0 to 1, got {rate}")
    if classes < 2:
        raise ParameterError(f"a label can be flipped among 2 classes or more, got {classes}")


def _spread(spread: float | Tensor, x: Tensor) -> Tensor:
    scale = torch.as_tensor(spread, dtype=x.dtype, device=x.device)
    try:
        fits = torch.broadcast_shapes(scale.shape, x.shape) == x.shape
    except RuntimeError:
        fits = False
    if not fits or not bool((scale.isfinite() & (scale >= 0)).all()):
        raise ParameterError(
            f"spread is a standard deviation: finite, >= 0, one number or a shape that goes with x, {tuple(x.shape)}; "
            f"got {tuple(scale.shape)}, from {float(scale.min()):g} to {float(scale.max()):g}"
        )
    return scale
