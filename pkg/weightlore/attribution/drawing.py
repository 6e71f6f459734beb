"""Draw the parameters of one module anew, in place: by its own law, by shuffling, or from a matched normal law.

    reset      the law by which the network was made: what training added is gone, the scale of the start is back
    permute    the entries of each parameter, shuffled: the values stay, their places are lost
    gaussian   normal, with mean and standard deviation of the entries of each parameter: only the scale stays

Running statistics of batch normalization are no parameters, and are kept or reset as the caller says.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import redraw

__all__ = ["Initial", "Statistics", "draw_anew", "matched", "permuted"]

Initial = Literal["reset", "permute", "gaussian"]
Statistics = Literal["reset", "keep"]


def draw_anew(
    module: nn.Module, name: str, *, init: Initial, statistics: Statistics, generator: torch.Generator
) -> None:
    """Draw all parameters of a module and of those below it anew, in place.

    Args:
        module: what is drawn; its parameters keep their flags.
        name: how the caller calls it, for messages.
        init: ``"reset"``, ``"permute"`` or ``"gaussian"``.
        statistics: ``"reset"`` or ``"keep"``, for batch normalization.
        generator: where the draws come from; modules that know only torch's global state are reset under a fork that is
            seeded from it.

    Raises:
        ParameterError: if an option is unknown, a parameter is not floating and finite, or a module with parameters
            can be reset by no rule.

    Source: [adebayo2018sanity] for the reset; the other two are ours
    """
    require_option("init", init, Initial)
    require_option("statistics", statistics, Statistics)
    for inner, part in module.named_modules(prefix=name):
        own = dict(part.named_parameters(recurse=False))
        if own and init == "reset":
            _reset(part, inner, generator)
        elif own:
            _each(own, inner, permuted if init == "permute" else matched, generator)
        if isinstance(part, nn.modules.batchnorm._NormBase) and statistics == "reset":
            part.reset_running_stats()


def permuted(values: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return the entries of a tensor in random order.

    Args:
        values: any shape.
        generator: where the order comes from.

    Returns:
        The same entries, in the same shape.

    Source: ours, because it separates the values of weights from their places
    """
    order = torch.randperm(values.numel(), generator=generator, device=generator.device).to(values.device)
    return values.flatten()[order].reshape(values.shape)


def matched(values: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return normal draws with the mean and the standard deviation of the entries of a tensor.

    Entries that are all equal come back as they are.

    Args:
        values: any shape, floating.
        generator: where the draws come from.

    Returns:
        In the shape and dtype of the values.

    Source: ours, because it keeps the scale of the weights and nothing else
    """
    noise = torch.randn(values.shape, generator=generator, dtype=values.dtype, device=generator.device)
    return values.mean() + values.std(correction=0) * noise.to(values.device)


def _reset(module: nn.Module, name: str, generator: torch.Generator) -> None:
    """Draw by the law that the network remembers, or by the one of torch's module; statistics stay."""
    if redraw(module, generator=generator):
        return
    rule = getattr(module, "reset_parameters", None)
    if rule is None:
        raise ParameterError(
            f"{name!r} is a {type(module).__name__} with parameters and without reset_parameters(), so that its own "
            'initializer is not known; give it one, or use init="permute" or "gaussian"'
        )
    kept = {key: buffer.clone() for key, buffer in module.named_buffers(recurse=False)}
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    cuda = sorted({p.device.index for p in module.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=cuda), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        rule()
        for key, buffer in module.named_buffers(recurse=False):
            buffer.copy_(kept[key])


def _each(parameters: dict[str, Tensor], name: str, draw: Callable[..., Tensor], generator: torch.Generator) -> None:
    for key, parameter in parameters.items():
        if not parameter.is_floating_point():
            raise ParameterError(f"{name}.{key} is {parameter.dtype}; only floating parameters can be drawn anew")
        require_finite(f"{name}.{key}", parameter.detach())
        with torch.no_grad():
            parameter.copy_(draw(parameter.detach(), generator=generator))
