"""Where a convolutional layer looks: its maps, weighted by the mean gradient of the score.

    a_k = mean over u, v of df / dM_k[u, v]
    M   = relu(sum_k a_k M_k)                     class_activation_map, at the resolution of the layer
    grad_cam          M, bilinear at the resolution of the input
    guided_grad_cam   guided backpropagation times that, channel by channel

A map that is zero everywhere is a result, not an error: every weighted sum was negative.
"""

import torch
from torch import Tensor, nn

from weightlore.attribution.guided import guided_backprop
from weightlore.attribution.outputs import Attribution, Output, chosen, frozen, pulled_back, require
from weightlore.errors import ParameterError

__all__ = ["class_activation_map", "grad_cam", "guided_grad_cam"]


def class_activation_map(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    layer: str | nn.Module,
    relu: bool = True,
    output: Output = "logit",
) -> Tensor:
    """Return the weighted sum of a layer's maps, at the resolution of the layer.

        M = relu(sum_k a_k M_k),   a_k = mean over u, v of df / dM_k[u, v]

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        layer: whose output is looked at, (N, K, height, width): a part of the model, or its name.
        relu: whether negative sums become zero.
        output: whether f is the logit or the probability.

    Returns:
        The map, shape (N, 1, height, width), in units of the score divided by the number of places.

    Raises:
        ParameterError: as ``require``; if there is no such layer, or it does not run exactly once, or gives no maps.

    Source: [selvaraju2017gradcam], Eq. (1) and (2)
    """
    classes, place = require(model, x, target), _place(model, layer)
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: tuple[Tensor, ...], maps: Tensor) -> Tensor:
        kept.append(maps)
        return maps.clone()  # the next layer may work in place

    handle = place.register_forward_hook(keep)
    try:
        with frozen(model), torch.inference_mode(False), torch.enable_grad():
            score = chosen(model(x.detach().clone().requires_grad_()), classes, output)
            maps = _maps(kept, layer)
            weights = pulled_back(score, maps).mean((2, 3), keepdim=True)  # (N, K, 1, 1)
    finally:
        handle.remove()
    summed = (weights * maps.detach()).sum(1, keepdim=True)
    return summed.clamp(min=0) if relu else summed


def grad_cam(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    layer: str | nn.Module,
    relu: bool = True,
    output: Output = "logit",
) -> Attribution:
    """Return the weighted sum of a layer's maps, at the resolution of the input.

    The map is interpolated linearly in both directions (corners not aligned) and is the same for all channels of x.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: images, shape (N, channels, height, width).
        target: one class, or one for each example, shape (N,), int64.
        layer: whose output is looked at: a part of the model, or its name.
        relu: whether negative sums become zero; other packages differ in that.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, not normalized, with no completeness.

    Raises:
        ParameterError: as ``class_activation_map``; if x are no images.

    Source: [selvaraju2017gradcam], section 3; not normalized, because zero maps are legal
    """
    if x.ndim != 4:
        raise ParameterError(
            f"Grad-CAM draws a map over images of shape (N, channels, height, width), got shape {tuple(x.shape)}; "
            "reshape x, or use class_activation_map for the map of the layer"
        )
    small = class_activation_map(model, x, target, layer=layer, relu=relu, output=output)
    large = nn.functional.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)
    return Attribution(large.expand_as(x).clone(), None, output)


def guided_grad_cam(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    layer: str | nn.Module,
    relu: bool = True,
    output: Output = "logit",
) -> Attribution:
    """Return guided backpropagation, weighted by Grad-CAM: zero where that is.

    Args:
        model: in eval mode, with ReLU modules; returns logits, shape (N, C).
        x: images, shape (N, channels, height, width).
        target: one class, or one for each example, shape (N,), int64.
        layer: whose output is looked at: a part of the model, or its name.
        relu: whether negative sums become zero.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, with no completeness.

    Raises:
        ParameterError: as ``grad_cam`` and ``guided_backprop``.

    Source: [selvaraju2017gradcam], section 3.1
    """
    where = grad_cam(model, x, target, layer=layer, relu=relu, output=output).values
    return Attribution(guided_backprop(model, x, target, output=output).values * where, None, output)


def _place(model: nn.Module, layer: str | nn.Module) -> nn.Module:
    """Return the part of the model that is meant."""
    parts = dict(model.named_modules())
    if isinstance(layer, str) and layer in parts:
        return parts[layer]
    if isinstance(layer, nn.Module) and any(layer is part for part in parts.values()):
        return layer
    names = ", ".join(repr(name) for name in list(parts)[1:])
    raise ParameterError(f"layer must be a part of the network, or the name of one ({names}), got {layer!r}")


def _maps(kept: list[Tensor], layer: str | nn.Module) -> Tensor:
    """Return the one output that was kept, if it is maps."""
    if len(kept) != 1:
        raise ParameterError(f"layer {layer!r} must run once for each input, but it ran {len(kept)} times")
    if not isinstance(kept[0], Tensor) or kept[0].ndim != 4:
        came = tuple(kept[0].shape) if isinstance(kept[0], Tensor) else type(kept[0]).__name__
        raise ParameterError(f"Grad-CAM needs a layer that gives maps, (N, K, height, width); {layer!r} gives {came}")
    return kept[0]
