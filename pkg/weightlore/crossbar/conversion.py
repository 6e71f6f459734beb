"""A trained network, moved onto crossbars.

    hardware = convert(model, config, calibrate=images)
    hardware(x)                        computed by crossbars, layer by layer
    hardware.train(); loss.backward()  gradients go straight through the hardware
    clipped_inputs(hardware)           how many inputs lay beyond the calibrated range

Fully connected and convolutional layers move; biases, normalization, pooling and non-linearities stay digital.
"""

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from weightlore.crossbar.arrays import Engine
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.layers import CrossbarLayer, require_width
from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode

__all__ = ["clipped_inputs", "convert", "crossbar_layers"]


def convert(
    model: nn.Module,
    config: CrossbarConfig | None = None,
    *,
    calibrate: Split | Tensor,
    skip: Sequence[str] = (),
    generator: torch.Generator | None = None,
    engine: Engine = "auto",
) -> nn.Module:
    """Return a copy of a model whose fully connected and convolutional layers are computed by crossbars.

    Each layer's input range is the smallest power of two that holds its inputs on the calibration set; inputs beyond it
    saturate and are counted. Layers whose inputs are never negative there read them as they are; others in two passes,
    or as ``config.signed_input`` says.

    Args:
        model: any tree of modules; it is left as it is.
        config: of the crossbars; ``None`` for ideal ones.
        calibrate: typical inputs, shape (N, ...).
        skip: names of layers, or of modules that contain them, that stay digital.
        generator: needed where something is drawn, in programming or reading; the copy keeps it.
        engine: which engine computes the products.

    Returns:
        The copy, in eval mode. Its ``state_dict`` holds the programmed chips.

    Raises:
        ParameterError: if a layer with parameters is of another kind (the message names it), a name to skip does not
            exist, nothing is left to convert, a layer is never reached, or the calibration set is empty or of another
            width than a layer reads.

    Source: [zhang2019bitslice], deployment; ours for everything digital
    """
    inputs = require_finite("calibration inputs", calibrate.x if isinstance(calibrate, Split) else calibrate)
    if not len(inputs):
        raise ParameterError("the calibration set is empty; give the inputs that a typical batch would bring")
    names = _convertible(model, tuple(skip))
    hardware = copy.deepcopy(model)
    seen = _seen(hardware, names, inputs)
    config = config or CrossbarConfig()
    made: dict[int, CrossbarLayer] = {}
    for name in names:
        layer = hardware.get_submodule(name)
        if id(layer) not in made:
            made[id(layer)] = CrossbarLayer(layer, config, seen[name], generator=generator, engine=engine)  # type: ignore[arg-type]
    if isinstance(hardware, nn.Linear | nn.Conv2d):
        return made[id(hardware)].eval()
    for parent in list(hardware.modules()):
        for local, child in list(parent._modules.items()):
            if id(child) in made:
                parent._modules[local] = made[id(child)]
    return hardware.eval()


def crossbar_layers(hardware: nn.Module) -> dict[str, CrossbarLayer]:
    """Return the layers of a converted model that crossbars compute, by name.

    Args:
        hardware: from ``convert``.

    Raises:
        ParameterError: if there is none.

    Source: ours
    """
    layers = {name: module for name, module in hardware.named_modules() if isinstance(module, CrossbarLayer)}
    if not layers:
        raise ParameterError("the model has no layer on a crossbar; convert it first")
    return layers


def clipped_inputs(hardware: nn.Module) -> dict[str, int]:
    """Return how many inputs of each layer lay beyond its calibrated range since it was converted.

    Args:
        hardware: from ``convert``.

    Raises:
        ParameterError: if no layer is on a crossbar.

    Source: ours
    """
    return {name: int(layer.clipped) for name, layer in crossbar_layers(hardware).items()}


def _convertible(model: nn.Module, skip: tuple[str, ...]) -> list[str]:
    """Names of the layers to convert; other layers with parameters are errors, normalization stays digital."""
    modules = dict(model.named_modules())
    for name in skip:
        if name not in modules:
            raise ParameterError(f"skip names {name!r}, but the model has no such module; it has {', '.join(modules)}")
    names = []
    for name, module in modules.items():
        if any(name == s or name.startswith(f"{s}.") for s in skip):
            continue
        if type(module) in (nn.Linear, nn.Conv2d):
            names.append(name)
        elif next(module.parameters(recurse=False), None) is not None and not _is_digital(module):
            raise ParameterError(
                f"layer {name!r} is a {type(module).__name__}, which has no form on a crossbar here; "
                f"leave it digital with skip=[{name!r}]"
            )
    if not names:
        raise ParameterError("the model has no nn.Linear or nn.Conv2d left to convert")
    return names


def _is_digital(module: nn.Module) -> bool:
    return "Norm" in type(module).__name__ or isinstance(module, nn.PReLU)


@torch.no_grad()
def _seen(model: nn.Module, names: list[str], inputs: Tensor) -> dict[str, Tensor]:
    """The inputs of each layer on the calibration set, in floating point."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}

    def note(layer: nn.Module, arguments: tuple[Tensor, ...], name: str) -> None:
        width = layer.in_channels if isinstance(layer, nn.Conv2d) else layer.in_features
        require_width(arguments[0], int(width), channels=isinstance(layer, nn.Conv2d))  # type: ignore[arg-type]
        seen[name].append(arguments[0].detach())

    hooks = [model.get_submodule(name).register_forward_pre_hook(partial(note, name=name)) for name in names]
    try:
        with in_mode(model, training=False):
            model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    unreached = [name for name, parts in seen.items() if not parts]
    if unreached:
        raise ParameterError(f"layer {unreached[0]!r} is never called by the model; leave it out with skip")
    return {name: _joined(parts) for name, parts in seen.items()}


def _joined(parts: list[Tensor]) -> Tensor:
    """The inputs of all calls of a layer; calls of other image sizes join as far as their range matters."""
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(parts)
    return max(parts, key=lambda part: float(part.abs().max()))
