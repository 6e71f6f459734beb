"""What enters a network over time: values as currents, as chance, or as a moment.

Every encoder is a function of (x, steps, generator) for ``simulate(..., encode=)``; steps count from 0. Draws are made
step by step and for all examples, so that they do not depend on how many steps are asked for at once.

    constant                 x in every step
    poisson                  a spike with probability |x|, of the sign of x
    time_to_first_spike      one spike, the earlier the larger x
"""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Encode", "constant", "poisson", "time_to_first_spike"]

Encode = Callable[[Tensor, range, torch.Generator | None], Tensor]


def constant(x: Tensor, steps: range, generator: torch.Generator | None = None) -> Tensor:
    """Return the input itself in every step.

    Args:
        x: shape (N, ...).
        steps: which steps.
        generator: not used.

    Returns:
        Shape (len(steps), N, ...).

    Source: [lu2020binary], real-valued input current
    """
    return x.expand(len(steps), *x.shape)


def poisson(x: Tensor, steps: range, generator: torch.Generator | None) -> Tensor:
    """Return spikes by chance, so that their mean over time is the input.

        s_t = sign(x) with probability |x|, else 0, independently in each step

    Args:
        x: shape (N, ...), in [-1, 1].
        steps: which steps; only their number counts.
        generator: draws one number per input and step, step after step; it advances.

    Returns:
        Shape (len(steps), N, ...), of -1, 0 and 1.

    Raises:
        ParameterError: if an input is no probability with a sign, or there is no generator.

    Source: [rueckauer2017conversion], Poisson input; a sign for negative inputs is ours
    """
    if not isinstance(generator, torch.Generator):
        raise ParameterError("spikes by chance need generator=torch.Generator(), got none; pass it on to simulate")
    require_finite("the input x", x)
    if x.numel() and float(x.abs().max()) > 1:
        raise ParameterError(
            f"inputs must be in [-1, 1] to be probabilities, got up to {float(x.abs().max()):g} in magnitude; divide x"
        )
    probability, sign = x.abs(), x.sign()
    drawn = x.new_empty(len(steps), *x.shape)
    for one in drawn:
        chance = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
        torch.mul(sign, chance < probability, out=one)
    return drawn


def time_to_first_spike(window: int) -> Encode:
    """Return an encoder that lets each input spike once, the earlier the larger it is.

        step of the spike = round((1 - x) (window - 1));   an input of 0 never spikes

    Args:
        window: number of steps within which all inputs have spiked, >= 1.

    Returns:
        The encoder; it takes inputs in [0, 1].

    Raises:
        ParameterError: if the window is no whole number >= 1; the encoder raises it for an input outside [0, 1].

    Example:
        >>> time_to_first_spike(3)(torch.tensor([[1.0, 0.5, 0.0]]), range(3), None)[:, 0]
        tensor([[1., 0., 0.],
                [0., 1., 0.],
                [0., 0., 0.]])

    Source: ours, in the simplest form of the code
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ParameterError(f"window counts steps and must be a whole number >= 1, got {window!r}")

    def encode(x: Tensor, steps: range, generator: torch.Generator | None = None) -> Tensor:
        require_finite("the input x", x)
        if x.numel() and not 0 <= float(x.min()) <= float(x.max()) <= 1:
            ends = f"{float(x.min()):g} to {float(x.max()):g}"
            raise ParameterError(f"inputs must be in [0, 1] to become times, got {ends}; rescale x")
        moment = ((1 - x) * (window - 1)).round()
        now = torch.tensor(list(steps), dtype=x.dtype, device=x.device).reshape(-1, *(1 for _ in x.shape))
        return ((moment == now) & (x > 0)).to(x.dtype)

    return encode
