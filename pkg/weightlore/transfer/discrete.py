"""Gates that open and shut for good: numbers that are exactly 0 or 1, yet have a gradient.

    training    s = sigmoid((log u - log(1 - u) + logit) / temperature),   u uniform in (0, 1)
    use         s = sigmoid(logit)
    gate        min(1, max(0, s (high - low) + low))                        hard concrete: 0 and 1 are reached
    discrete    1 where gate > 1/2, else 0; the gradient is that of the gate   (straight through)

A unit with such gates chooses, channel by channel, among the states that are otherwise chosen by hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["HardConcrete", "drawing_from"]


class HardConcrete(nn.Module):
    """From logits to gates that can be exactly 0 or 1; ``PTU(squash=...)`` takes it for the logistic function.

    In training the gates are drawn at random; the step says where from (``transfer_step`` does). In eval mode they are
    a function of the logits.

    Args:
        temperature: how far draws lie apart, > 0; towards 0 they are 0 or 1, but gradients vary more.
        stretch: where the interval begins and ends before it is cut off at 0 and 1, low < 0 and high > 1.
        discrete: whether gates are rounded to 0 and 1, their gradient left as it is.

    Raises:
        ParameterError: if the temperature is not positive, or the stretch does not reach beyond 0 and 1.

    Example:
        >>> HardConcrete().eval()(torch.tensor([-9.0, 0.0, 9.0])).tolist()
        [0.0, 0.5, 1.0]

    Source: [louizos2018sparse], Eq. (10) to (13); rounding with a straight-through gradient is [bengio2013estimating]
    """

    def __init__(
        self, *, temperature: float = 2 / 3, stretch: tuple[float, float] = (-0.1, 1.1), discrete: bool = False
    ) -> None:
        super().__init__()
        low, high = stretch
        if not 0 < temperature < float("inf"):
            raise ParameterError(f"temperature must be a finite number above 0, got {temperature}")
        if not (-float("inf") < low < 0 and 1 < high < float("inf")):
            raise ParameterError(f"stretch must reach beyond 0 and 1, so that both can be had, got {stretch}")
        self.temperature, self.stretch, self.discrete = temperature, stretch, discrete
        self.noise: torch.Generator | None = None

    def forward(self, logits: Tensor) -> Tensor:
        """Return the gates, in the shape of the logits.

        Raises:
            ParameterError: in training, if no step says where draws come from.
        """
        low, high = self.stretch
        s = torch.sigmoid(self._drawn(logits) if self.training else logits)
        gate = (s * (high - low) + low).clamp(0, 1)
        if not self.discrete:
            return gate
        return (gate.detach() > 0.5).to(gate.dtype) + (gate - gate.detach())

    def _drawn(self, logits: Tensor) -> Tensor:
        if self.noise is None:
            raise ParameterError(
                "these gates are drawn at random in training; train with step=transfer_step(), or use the network in "
                "eval mode"
            )
        u = torch.rand(logits.shape, generator=self.noise, dtype=logits.dtype, device=self.noise.device)
        u = u.to(logits.device).clamp(1e-6, 1 - 1e-6)
        return (torch.log(u) - torch.log1p(-u) + logits) / self.temperature


@contextmanager
def drawing_from(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let the random gates of a model draw from a generator, for a while.

    Args:
        model: any module; one without such gates is left alone.
        generator: it advances.

    Source: ours, because the order of draws then follows the training, and a resumed one draws the same
    """
    gates = [module for module in model.modules() if isinstance(module, HardConcrete)]
    before = [gate.noise for gate in gates]
    try:
        for gate in gates:
            gate.noise = generator
        yield
    finally:
        for gate, noise in zip(gates, before, strict=True):
            gate.noise = noise
