"""What a trained network shows of an input beside its answer: features, logits, and a readout that can be looked at.

    read(model, x)            -> Reading: features (N, H) and logits (N, C), without gradients
    caught(model, x, layer)   the same of one pass, with gradients, as two tensors
    features(model, layer)    a function from inputs to features
    logits_at(model, x)       -> logits (N, C), without gradients
    Detector                  what every score of this sub-package offers
    not_fitted                the error of a detector that has seen no data yet

*Features* are what goes into the readout: the last hidden layer. A layer that is named gives its own output instead;
maps of a convolution are averaged over the image, as [lee2018mahalanobis] does. The network is asked in evaluation mode
and stays as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.readouts import readout_of
from weightlore.training import in_mode

__all__ = ["Detector", "Reading", "caught", "features", "logits_at", "not_fitted", "read"]


@runtime_checkable
class Detector(Protocol):
    """What every score offers: a number for each input, larger for one that is less like the training data.

    Detectors of logits take the network when they are made; those that need training data, or statistics of them, have
    ``fit(model, data)``, which returns the detector itself.

    Source: ours, because scores can be compared in one loop only if all point the same way
    """

    def score(self, x: Tensor) -> Tensor:
        """Return the scores of inputs (N, ...), shape (N,), without gradients."""
        ...


@dataclass(frozen=True, eq=False)
class Reading:
    """Features and logits of N inputs.

    Args:
        features: shape (N, H).
        logits: shape (N, C).

    Source: ours
    """

    features: Tensor
    logits: Tensor


def read(model: nn.Module, x: Tensor, layer: str | None = None, *, batch_size: int = 1000) -> Reading:
    """Return features and logits of the inputs in evaluation mode, without gradients.

    Args:
        model: returns logits; left as it is.
        x: inputs, shape (N, ...), N >= 1, finite.
        layer: name of a module whose output counts as features; ``None`` for the input of the readout.
        batch_size: inputs per pass; the result does not depend on it beyond rounding.

    Raises:
        ParameterError: if there is no input, an entry or an output is not finite, the network has no such layer, or
            returns no logits (N, C).

    Example:
        >>> from weightlore.networks import healthy
        >>> read(healthy(), torch.zeros(3, 64).double()).features.shape
        torch.Size([3, 32])

    Source: ours
    """
    if len(x) == 0 or batch_size < 1:
        raise ParameterError(f"a score needs an input and a batch_size of 1 or more, got {len(x)} and {batch_size}")
    require_finite("x", x)
    with in_mode(model, training=False), torch.no_grad():
        parts = [caught(model, rows, layer) for rows in x.split(batch_size)]
    shown, logits = (torch.cat(list(blocks)) for blocks in zip(*parts, strict=True))
    return Reading(require_finite("a feature", shown), require_finite("a logit", logits))


def caught(model: nn.Module, x: Tensor, layer: str | None = None) -> tuple[Tensor, Tensor]:
    """Return features (N, H) and logits (N, C) of one pass in the mode in which the network is, with gradients.

    Args:
        model: returns logits; a hook listens during the pass and is gone afterwards, also after an exception.
        x: inputs, shape (N, ...).
        layer: as for ``read``.

    Raises:
        ParameterError: if the network has no such layer or does not use it, or returns no logits.

    Source: ours
    """
    heard: list[Tensor] = []
    if layer is None:
        hook = readout_of(model).register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    else:
        hook = _named(model, layer).register_forward_hook(lambda module, inputs, output: heard.append(output))
    try:
        logits = model(x)
    finally:
        hook.remove()
    if not heard or not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
        raise ParameterError(
            f"the network must return logits (N, C) and use its layer {layer or 'readout'!r} on the way, got "
            f"{tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__} and {len(heard)} uses"
        )
    return _rows(heard[-1], len(x), layer), logits


def features(model: nn.Module, layer: str | None = None) -> Callable[[Tensor], Tensor]:
    """Return the function from inputs (N, ...) to features (N, H) of a network.

    Args:
        model: left as it is.
        layer: name of a module whose output counts; ``None`` for the input of the readout.

    Raises:
        ParameterError: if the network has no such layer.

    Source: ours
    """
    _named(model, layer) if layer is not None else readout_of(model)
    return lambda x: read(model, x, layer).features


def logits_at(model: nn.Module, x: Tensor) -> Tensor:
    """Return the logits (N, C) of any network in evaluation mode, without gradients.

    Args:
        model: returns logits; left as it is.
        x: inputs, shape (N, ...), N >= 1, finite.

    Raises:
        ParameterError: if there is no input, something is not finite, or the network returns no logits.

    Source: ours
    """
    if len(x) == 0:
        raise ParameterError(f"a score needs an input at least, got shape {tuple(x.shape)}")
    require_finite("x", x)
    with in_mode(model, training=False), torch.no_grad():
        parts = [model(rows) for rows in x.split(1000)]
    if not all(isinstance(part, Tensor) and part.ndim == 2 and part.shape[1] > 1 for part in parts):
        raise ParameterError("the network must return logits (N, C) of two classes or more, got something else")
    return require_finite("a logit", torch.cat(parts))


def not_fitted(detector: object) -> ParameterError:
    """Return the error to raise where a detector is asked before it has seen data.

    Args:
        detector: that was asked.

    Example:
        >>> not_fitted("text")
        ParameterError('this str has not been fitted; call fit with the network and its training data first')

    Source: ours
    """
    return ParameterError(
        f"this {type(detector).__name__} has not been fitted; call fit with the network and its training data first"
    )


def _named(model: nn.Module, layer: str) -> nn.Module:
    modules = dict(model.named_modules())
    if layer not in modules or not layer:
        raise ParameterError(
            f"the network has no layer {layer!r}; it has {', '.join(name for name in modules if name)}"
        )
    return modules[layer]


def _rows(heard: Tensor, count: int, layer: str | None) -> Tensor:
    """Return features as (N, H); maps are averaged over the image."""
    if isinstance(heard, Tensor) and heard.ndim == 4:
        heard = heard.mean((2, 3))
    if not isinstance(heard, Tensor) or heard.ndim != 2 or len(heard) != count:
        came = tuple(heard.shape) if isinstance(heard, Tensor) else type(heard).__name__
        raise ParameterError(
            f"features must have shape (N, H) or (N, channels, height, width), got {came} at {layer or 'readout'!r}"
        )
    return heard
