"""Where layers with random weights get their chance from.

A layer that draws in its forward pass cannot be handed a generator by the network around it. It is told before:

    with drawing(model, generator):              every pass draws anew: for training
    with drawing(model, generator, held=True):   one draw, kept until the end: one function, for all rows it is shown

    Stochastic(nn.Module)    what such layers are; they ask .chance() for the generator
    normal_like              standard normal numbers from it

Outside such a block a layer computes with the mean of its weights where it is evaluated, and refuses where it trains.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Stochastic", "drawing", "normal_like"]

Drawn = TypeVar("Drawn")


class Stochastic(nn.Module):
    """A layer whose output is random: its weights, or what it multiplies its inputs by, are drawn.

    A forward pass asks ``chance()`` first, and wraps in ``kept`` what it draws that all rows of a member share.

    Source: ours, because forward passes have no argument for a generator
    """

    source: torch.Generator | None = None
    held: dict[str, object] | None = None
    calls: int = 0  # how often it was passed since the model's pass began, for layers that stand in several places

    def chance(self) -> torch.Generator | None:
        """Return the generator to draw from, or ``None`` where the layer is to use its mean.

        Raises:
            ParameterError: if the layer trains outside ``drawing``.
        """
        if self.source is None and self.training:
            raise ParameterError(
                f"a {type(self).__name__} draws while it trains, and was given no generator; put the pass into "
                "'with drawing(model, generator):', or the model into evaluation mode for its mean"
            )
        return self.source

    def kept(self, name: str, draw: Callable[[], Drawn]) -> Drawn:
        """Return what ``draw`` returns; in a held block, what it returned there the first time.

        Args:
            name: of the draw; a layer may make several.
            draw: without arguments.
        """
        if self.held is None:
            return draw()
        if name not in self.held:
            self.held[name] = draw()
        return cast(Drawn, self.held[name])


@contextmanager
def drawing(model: nn.Module, generator: torch.Generator, *, held: bool = False) -> Iterator[nn.Module]:
    """Let every stochastic layer of a model draw from a generator for a while.

    Blocks may be nested, the innermost counts; afterwards, also after an exception, all is as before.

    Args:
        model: with one ``Stochastic`` layer or more; its mode is not touched.
        generator: where the draws come from, in the order of the layers' passes.
        held: whether a layer draws once and keeps it for all passes inside, so that rows may come in parts.

    Returns:
        A context; inside it is the model.

    Raises:
        ParameterError: if the model has no such layer: then nothing would be random.

    Source: ours, because forward passes have no argument for a generator
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Stochastic)]
    if not layers:
        raise ParameterError(
            f"a {type(model).__name__} has no layer that draws, so that all members would be alike; make one by "
            "variational(model, ...) or another of this part"
        )
    before = [(layer.source, layer.held) for layer in layers]

    def begin(*_: object) -> None:
        for layer in layers:
            layer.calls = 0

    passes = model.register_forward_pre_hook(begin)
    try:
        for layer in layers:
            layer.source, layer.held = generator, {} if held else None
        yield model
    finally:
        passes.remove()
        for layer, (source, kept) in zip(layers, before, strict=True):
            layer.source, layer.held = source, kept


def normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers in the shape, dtype and device of a tensor.

    Args:
        like: any shape, floating.
        generator: where they are drawn from; it may be of another device.

    Source: ours
    """
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)
