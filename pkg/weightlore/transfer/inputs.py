"""The same image for two networks that were trained on different ones.

    to_channels(x, channels)    gray to color and back
    InputFormat                 channels, size and normalization, before a stream reads its input
    adapt_norms(network, x)     AdaBN: statistics of batch normalization estimated again, on a copy

Each stream of a transfer reads its own format: the source is given what it was trained on, with its own mean and
spread, the target with those of the target's data. Estimating the source's statistics again is a method of its own and
is never done in passing.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.transfer.adapters import resized

__all__ = ["InputFormat", "adapt_norms", "to_channels"]

LUMINANCE = (0.299, 0.587, 0.114)

Model = TypeVar("Model", bound=nn.Module)


def to_channels(x: Tensor, channels: int) -> Tensor:
    """Return images with another number of channels.

        gray to any number    repeated
        color to gray         0.299 red + 0.587 green + 0.114 blue

    Args:
        x: shape (N, 1, H, W), or (N, 3, H, W) in red, green and blue.
        channels: how many there shall be.

    Returns:
        Shape (N, channels, H, W); the same tensor where nothing is to be done.

    Raises:
        ParameterError: if it is none of these.

    Source: ours; the weights of the luminance are those of television
    """
    if x.ndim == 4 and x.shape[1] == channels:
        return x
    if x.ndim == 4 and x.shape[1] == 1 and channels >= 1:
        return x.expand(-1, channels, -1, -1)
    if x.ndim == 4 and x.shape[1] == 3 and channels == 1:
        return (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    raise ParameterError(
        f"gray images (N, 1, H, W) can be repeated and colored ones (N, 3, H, W) made gray, got {tuple(x.shape)} for "
        f"{channels} channels; convert them before"
    )


class InputFormat(nn.Module):
    """What a stream does to its input before it reads it: size, then channels, then (x - mean) / spread.

    Args:
        channels: of what the stream reads, ``None`` for those that come.
        size: height and width of what it reads, ``None`` likewise.
        mean: one number for all channels or one for each, ``None`` for 0.
        spread: by which it is divided, > 0, likewise, ``None`` for 1.

    Raises:
        ParameterError: if a spread is not positive, or a number is not finite.

    Source: ours, because how the paper normalizes is not known
    """

    def __init__(
        self,
        *,
        channels: int | None = None,
        size: tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        spread: float | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.register_buffer("mean", _numbers("mean", mean, 0.0))
        self.register_buffer("spread", _numbers("spread", spread, 1.0))
        if not bool((self.get_buffer("spread") > 0).all()):
            raise ParameterError(f"spread is divided by and must be > 0, got {spread}")

    def forward(self, x: Tensor) -> Tensor:
        """Return the input in this format.

        Args:
            x: images (N, C, H, W), or vectors where neither channels nor size are asked for.

        Raises:
            ParameterError: if x is no image where one is needed, or has another number of channels than the mean.
        """
        if (self.size is not None or self.channels is not None) and x.ndim != 4:
            raise ParameterError(
                f"only images (N, C, H, W) have channels and a size, got shape {tuple(x.shape)}; unflatten"
            )
        x = x if self.size is None else resized(x, self.size)
        x = x if self.channels is None else to_channels(x, self.channels)
        mean, spread = (self.get_buffer(name).to(x.dtype) for name in ("mean", "spread"))
        for numbers in (mean, spread):
            if len(numbers) not in (1, x.shape[1]):
                raise ParameterError(
                    f"{len(numbers)} means or spreads do not fit {x.shape[1]} channels; give one for each"
                )
        shape = (-1, *(1 for _ in x.shape[2:]))
        return (x - mean.reshape(shape)) / spread.reshape(shape)


def adapt_norms(network: Model, x: Tensor, *, batch_size: int = 256) -> Model:
    """Return a copy of a network whose batch normalization has the statistics of other inputs (AdaBN).

        mean <- mean of the batches' means,   variance <- mean of their variances

    Each layer sees what the layers before it make of a batch by the batch's own statistics. Weights stay as they are.

    Args:
        network: with batch normalization; left as it is.
        x: inputs of the target task, shape (N, ...), N >= 2; without labels.
        batch_size: examples per pass, at least 2; the last two batches are joined where a single example would remain.

    Returns:
        The copy, in eval mode.

    Raises:
        ParameterError: if there is no batch normalization with statistics, or fewer than two examples.

    Source: [li2016revisiting], section 3.1
    """
    twin = copy.deepcopy(network).eval()
    norms = [m for m in twin.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        raise ParameterError(
            "the network has no batch normalization whose statistics could be estimated; use it as it is"
        )
    if len(require_finite("the inputs", x)) < 2 or batch_size < 2:
        raise ParameterError(f"a variance needs two examples in every batch, got {len(x)} and batch_size {batch_size}")
    batches = list(x.split(batch_size))
    if len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True  # None: the mean over all batches
    with torch.no_grad():
        for batch in batches:
            twin(batch)
    given = dict(network.named_modules())
    for name, norm in twin.named_modules():
        if norm in norms:
            norm.momentum = given[name].momentum
    return twin.eval()


def _numbers(name: str, values: float | Sequence[float] | None, default: float) -> Tensor:
    told = default if values is None else values
    return require_finite(name, torch.tensor(told, dtype=torch.float64).reshape(-1))
