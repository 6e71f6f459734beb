"""How large activations get, and weights divided by it, so that every neuron can have the threshold 1.

    lambda_l  =  percentile p of all activations of stage l together            normalization_factors
    W^l       <- W^l lambda_{l-1} / lambda_l,   b^l <- b^l / lambda_l           normalized

Thresholds of 1 stand for the largest rate, one spike in each step: what exceeds lambda is clipped. A lower percentile
means higher rates, which are faster and clip more; p = 100 clips nothing seen and is slow.
"""

import torch
from torch import Tensor, nn

from weightlore.binary.currents import rescaled
from weightlore.binary.cutting import staged
from weightlore.binary.percentiles import Largest, Percentiles, percentiles_of
from weightlore.binary.rectifiers import ClipFloorShift
from weightlore.binary.stages import Stage, Staged
from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode

__all__ = ["normalization_factors", "normalized", "require_factors", "require_images"]


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
    wanted = percentiles_of(percentile)
    tops: list[Largest] = []
    with torch.no_grad():
        for batch in x.split(batch_size):
            found = network.activations(batch)
            if not tops:
                sizes = [len(x) * activations[0].numel() for activations in found]
                tops = [Largest(s.name, n, min(wanted)) for s, n in zip(network.hidden, sizes, strict=True)]
            for top, activations in zip(tops, found, strict=True):
                top.add(activations)
        _require_faithful(model, network, x[:batch_size])
    factors = [torch.stack([top.percentile(p) for top in tops]) if tops else x.new_empty(0) for p in wanted]
    return factors[0] if isinstance(percentile, int | float) else torch.stack(factors)


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


def _rectifier(activation: nn.Module, own: float) -> nn.Module:
    """The non-linearity in units of its factor."""
    if not isinstance(activation, ClipFloorShift):
        return nn.ReLU()
    ceiling = activation.ceiling.detach()
    return ClipFloorShift(activation.levels, ceiling=float(ceiling) / own, dtype=ceiling.dtype)


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
