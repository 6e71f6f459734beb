"""How large activations get, and weights divided by it, so that every neuron can have the threshold 1.

    lambda_l  =  percentile p of all activations of stage l together            normalization_factors
    W^l       <- W^l lambda_{l-1} / lambda_l,   b^l <- b^l / lambda_l           normalized

Thresholds of 1 stand for the largest rate, one spike in each step: what exceeds lambda is clipped. A lower percentile
means higher rates, which are faster and clip more; p = 100 clips nothing seen and is slow.
"""

from collections.abc import Sequence
from math import floor
from numbers import Real

import torch
from torch import Tensor, nn

from weightlore.binary.currents import rescaled
from weightlore.binary.cutting import staged
from weightlore.binary.rectifiers import ClipFloorShift
from weightlore.binary.stages import Stage, Staged
from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode

__all__ = ["activation_percentile", "normalization_factors", "normalized", "require_factors"]

Percentiles = float | Sequence[float]


def normalization_factors(
    model: nn.Module,
    images: Split | Tensor,
    *,
    percentile: Percentiles = 99.9,
    batch_size: int = 256,
) -> Tensor:
    """Return a percentile of the activations of every non-linearity on some images, in eval mode.

    All units, positions and images of a layer count together, zeros included, with linear interpolation between
    neighbors. Images pass in batches, and of each layer only the largest activations that can matter are kept.

    Args:
        model: as for ``staged``; it stays as it is, in its mode.
        images: training images, shape (N, ...), or a Split with them; never test images.
        percentile: p in (0, 100], or several of them.
        batch_size: images per forward pass.

    Returns:
        One factor for each of the L non-linearities, shape (L,), or (Q, L) for Q percentiles; positive, in the unit of
        the activations. A non-linearity before the first weights is skipped.

    Raises:
        ParameterError: if there are no images, images do not suit the model, an activation is NaN or infinite, a
            percentile is out of range, or a factor is zero: a dead layer, or a percentile below the share of zeros.
            The message names the layer.

    Source: [lu2020binary], data-based normalization; [rueckauer2017conversion], robust normalization by a percentile
    """
    network, x = staged(model), require_images(model, images)
    wanted = _percentiles(percentile)
    tops: list[_Largest] = []
    with torch.no_grad():
        for batch in x.split(batch_size):
            found = network.activations(batch)
            if not tops:
                sizes = [len(x) * activations[0].numel() for activations in found]
                tops = [_Largest(s.name, n, min(wanted)) for s, n in zip(network.hidden, sizes, strict=True)]
            for top, activations in zip(tops, found, strict=True):
                top.add(activations)
        _require_faithful(model, network, x[:batch_size])
    factors = [torch.stack([top.percentile(p) for top in tops]) if tops else x.new_empty(0) for p in wanted]
    return factors[0] if isinstance(percentile, int | float) else torch.stack(factors)


def activation_percentile(values: Tensor, percentile: float = 99.9) -> Tensor:
    """Return a percentile of all entries of a tensor together, exact at any size.

    The entries in order are a_0 <= ... <= a_{n-1}; with r = p/100 (n - 1) and k the whole part of r:

        lambda = a_k + (r - k) (a_{k+1} - a_k)

    Args:
        values: activations, any shape with n >= 1 entries, none of them negative.
        percentile: p in (0, 100].

    Returns:
        The percentile, shape (), in the dtype of the values. It may be zero.

    Raises:
        ParameterError: if there are no values, one is negative, NaN or infinite, or the percentile is out of range.

    Example:
        >>> activation_percentile(torch.tensor([0.0, 0.0, 1.0, 3.0]), 50.0)
        tensor(0.5000)

    Source: [lu2020binary], data-based normalization
    """
    (wanted,) = _percentiles(percentile)
    if not values.numel():
        raise ParameterError("a percentile needs at least one activation, got an empty tensor; give some images")
    top = _Largest("the tensor", values.numel(), wanted)
    top.add(values.detach())
    return top.at(wanted)


def normalized(network: Staged, factors: Tensor) -> Staged:
    """Return the network in units in which every activation up to its factor is at most 1.

        W^{l,k} <- W^{l,k} lambda_k / lambda_l,   b^l <- b^l / lambda_l,   lambda_0 = 1

    The readout has no non-linearity, and its weights stay: the logits are divided by the factor of its source.

    Args:
        network: from ``staged``; it stays as it is.
        factors: lambda, shape (L,), positive.

    Returns:
        The network with new weights. Its logits are the old ones over lambda_{L-1}.

    Raises:
        ParameterError: if the factors are not L positive finite numbers, or a weight is not finite.

    Source: [lu2020binary], data-based normalization
    """
    scale = [1.0, *require_factors(factors, len(network)).tolist()]
    stages = []
    for number, stage in enumerate(network.all, start=1):
        last = stage.activation is None
        own = scale[max(stage.sources)] if last else scale[number]
        for parameter in stage.parameters():
            require_finite(f"the weights before {stage.name!r}", parameter)
        maps = {k: rescaled(m, scale[k] / own, bias=1 / own) for k, m in stage.sources.items()}
        activation = None if stage.activation is None else _rectifier(stage.activation, own)
        stages.append(Stage(stage.name, maps, activation, gate=stage.gate, gate_first=stage.gate_first))
    return Staged(stages).eval()


def require_factors(factors: Tensor, count: int) -> Tensor:
    """Return the factors if they are as many positive finite numbers as there are non-linearities.

    Args:
        factors: shape (L,).
        count: L.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if factors.shape != (count,) or not bool(((factors > 0) & torch.isfinite(factors)).all()):
        raise ParameterError(
            f"the {count} non-linearities need one positive finite factor each, shape ({count},), got "
            f"{factors.tolist()}; take those of normalization_factors"
        )
    return factors


def require_images(model: nn.Module, images: Split | Tensor) -> Tensor:
    """Return the images of a calibration set if the model can read them.

    Args:
        model: any module.
        images: shape (N, ...), or a Split with them.

    Raises:
        ParameterError: if there are none, they are not finite, or of another dtype.

    Source: ours
    """
    x = images.x if isinstance(images, Split) else images
    if not len(x):
        raise ParameterError("the calibration set is empty; give some hundred training images")
    dtype = next((p.dtype for p in model.parameters()), x.dtype)
    if x.dtype != dtype:
        raise ParameterError(f"the model computes in {dtype}, but the images are {x.dtype}; use images.to({dtype})")
    return require_finite("the calibration images", x)


class _Largest:
    """The largest activations of one layer, as many as the lowest percentile needs."""

    def __init__(self, name: str, count: int, lowest: float) -> None:
        self.name, self.count = name, count
        self.room = count - _place(lowest, count)[0]
        self.kept: Tensor | None = None
        self.positive = 0

    def add(self, values: Tensor) -> None:
        """Take more activations; zeros need no room."""
        flat = values.reshape(-1)
        if not bool((flat >= 0).all()) or not bool(torch.isfinite(flat).all()):
            bad = int((~((flat >= 0) & torch.isfinite(flat))).sum())
            raise ParameterError(
                f"activations of {self.name!r} must be finite and not negative, but {bad} of {flat.numel()} are not; "
                "a firing rate follows a ReLU only, so check the non-linearity and the parameters before it"
            )
        above = flat[flat > 0]
        self.positive += above.numel()
        held = above if self.kept is None else torch.cat([self.kept, above])
        self.kept = held.topk(self.room, sorted=False).values if held.numel() > self.room else held

    def at(self, percentile: float) -> Tensor:
        """Return the percentile, which may be zero."""
        if self.kept is None:
            raise ParameterError(f"no activation of {self.name!r} was seen; give some images")
        place, weight = _place(percentile, self.count)
        ordered = self.kept.sort().values
        ends = []
        for rank in (place, min(place + 1, self.count - 1)):
            index = rank - (self.count - len(ordered))
            ends.append(ordered[index] if index >= 0 else ordered.new_zeros(()))
        return torch.lerp(ends[0], ends[1], weight)

    def percentile(self, percentile: float) -> Tensor:
        """Return the percentile, which must not be zero."""
        found = self.at(percentile)
        if found > 0:
            return found
        if not self.positive:
            raise ParameterError(
                f"layer {self.name!r} is dead: none of its {self.count} activations is above zero, so that nothing can "
                "be normalized; check the images and the training"
            )
        zeros = 100 * (1 - self.positive / self.count)
        raise ParameterError(
            f"the percentile {percentile:g} of layer {self.name!r} is zero, because {zeros:.2f} % of its activations "
            "are; choose one above that, for example 99.9"
        )


def _rectifier(activation: nn.Module, own: float) -> nn.Module:
    """The non-linearity in units of its factor."""
    if not isinstance(activation, ClipFloorShift):
        return nn.ReLU()
    ceiling = activation.ceiling.detach()
    return ClipFloorShift(activation.levels, ceiling=float(ceiling) / own, dtype=ceiling.dtype)


def _place(percentile: float, count: int) -> tuple[int, float]:
    """Rank below the percentile, and the share of the way to the next one."""
    rank = percentile / 100 * (count - 1)
    return floor(rank), rank - floor(rank)


def _percentiles(percentile: Percentiles) -> tuple[float, ...]:
    """Return one or several percentiles as a tuple."""
    given: tuple[float, ...] = (percentile,) if isinstance(percentile, int | float) else tuple(percentile)
    if not given or not all(isinstance(p, Real) and not isinstance(p, bool) and 0 < p <= 100 for p in given):
        raise ParameterError(f"a percentile must lie in (0, 100], for example 99.9, got {percentile!r}")
    return tuple(float(p) for p in given)


def _require_faithful(model: nn.Module, network: Staged, x: Tensor) -> None:
    """Check that the stages compute what the model does: a subclass may do something in between."""
    logits = require_finite("the logits of the calibration images", network(x))
    with in_mode(model, training=False):
        own = model(x)
    slack = 1e3 * torch.finfo(logits.dtype).eps * max(float(logits.abs().max()), 1.0)
    if own.shape != logits.shape or not torch.allclose(own, logits, rtol=0, atol=slack):
        raise ParameterError(
            f"the {type(model).__name__} computes something else than its layers one after the other; "
            "write it as an nn.Sequential of layers that are in its forward pass"
        )
