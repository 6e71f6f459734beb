"""One network for all quantiles of a number: the level is one of its inputs.

It learns from a new level for each example at each step, so that no level has a network of its own
[tagasovska2019single]:

    q_t(x) = network([x, t])                               SimultaneousQuantileRegressor
    mean of max(t (y - q_t), (t - 1)(y - q_t)), t ~ U(0, 1)    quantile_loss_step
    [q_{a/2}(x), q_{1 - a/2}(x)], sorted                   .interval -> QuantileInterval

Nothing makes q grow with t. Where the two ends come out crossed they are sorted, and the share of such examples is
said.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode
from weightlore.uncertainty.predictions.regions import IntervalPrediction
from weightlore.uncertainty.regression.quantiles import pinball_loss

__all__ = ["QuantileInterval", "SimultaneousQuantileRegressor", "quantile_loss_step"]


@dataclass(frozen=True, eq=False)
class QuantileInterval:
    """Intervals between two quantiles of one network, and how often these were in the wrong order.

    Args:
        interval: the ends, sorted.
        crossing_rate: the share of examples whose lower quantile was above the upper one, in [0, 1].

    Example:
        >>> ends = IntervalPrediction(torch.zeros(2), torch.ones(2), 0.9)
        >>> QuantileInterval(ends, crossing_rate=0.5).interval.width
        tensor([1., 1.])

    Source: ours, because sorted ends alone would hide that a network contradicts itself
    """

    interval: IntervalPrediction
    crossing_rate: float


class SimultaneousQuantileRegressor(nn.Module):
    """A network of (x, t) that answers with the t-quantile of y given x.

    Args:
        network: takes rows of D + 1 numbers, x and then t, and returns one number each, shape (N, 1) or (N,). It is
            kept, not copied: training changes it.

    Example:
        >>> model = SimultaneousQuantileRegressor(nn.Linear(2, 1))
        >>> model(torch.zeros(5, 1), 0.5).shape
        torch.Size([5])

    Source: [tagasovska2019single], simultaneous quantile regression
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, level: float | Tensor = 0.5) -> Tensor:
        """Return a quantile for each example.

        Args:
            x: inputs, shape (N, D).
            level: t, between 0 and 1: a number, or one for each example, shape (N,); the median by itself.

        Returns:
            q, shape (N,), in the unit of the targets.

        Raises:
            ParameterError: if shapes do not fit, a level is out of range, or the network returns another shape.
        """
        if x.ndim != 2 or not x.is_floating_point():
            raise ParameterError(f"x must be floating, shape (N, D), got {tuple(x.shape)}, {x.dtype}; flatten images")
        t = torch.as_tensor(level, dtype=x.dtype, device=x.device)
        if t.shape not in ((), x.shape[:1]) or not bool(((t > 0) & (t < 1)).all()):
            raise ParameterError(
                f"a level is between 0 and 1, one for all or for each of {len(x)} examples, got {tuple(t.shape)} "
                f"levels from {float(t.min()):g} to {float(t.max()):g}"
            )
        q = self.network(torch.cat([x, t.expand(len(x))[:, None]], 1))
        if q.shape not in ((len(x), 1), (len(x),)):
            raise ParameterError(f"the network must return one number a row, {len(x)} of them, got {tuple(q.shape)}")
        return q.reshape(len(x))

    def interval(self, x: Tensor, level: float) -> QuantileInterval:
        """Return the interval that leaves out as much below as above, without gradient and in evaluation mode.

            [q_{a/2}(x), q_{1 - a/2}(x)],   a = 1 - level

        The level is what the network was trained for, not what is guaranteed: calibrate it by conformal prediction.

        Args:
            x: inputs, shape (N, D).
            level: share of targets inside, between 0 and 1.

        Raises:
            ParameterError: if the level is out of range, or a quantile is not finite.
        """
        if not 0 < level < 1:
            raise ParameterError(f"level is the share of targets inside, between 0 and 1, got {level!r}")
        with torch.no_grad(), in_mode(self, training=False):
            low, high = (require_finite("a quantile", self(x, t)) for t in ((1 - level) / 2, (1 + level) / 2))
        crossed = float((low > high).double().mean())
        return QuantileInterval(IntervalPrediction(torch.minimum(low, high), torch.maximum(low, high), level), crossed)


def quantile_loss_step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the pinball loss of a batch, each example at a level of its own: a step for ``training.fit``.

        1/N sum_i rho_t_i(y_i - q_t_i(x_i)),   t_i uniform in (0, 1)

    Twice its mean over levels is the CRPS of the predicted distribution.

    Args:
        model: a ``SimultaneousQuantileRegressor``.
        batch: x of shape (N, D), y of shape (N,) or (N, 1).
        generator: where the levels are drawn from.

    Returns:
        The loss, shape (), in the unit of the targets; differentiable.

    Raises:
        ParameterError: if there is more than one target an example, or as the model does.

    Example:
        >>> model = SimultaneousQuantileRegressor(nn.Linear(2, 1))
        >>> batch = Split(torch.zeros(5, 1), torch.zeros(5))
        >>> quantile_loss_step(model, batch, torch.Generator().manual_seed(0)).shape
        torch.Size([])

    Source: [tagasovska2019single], the loss averaged over levels
    """
    if batch.y.numel() != len(batch.y):
        raise ParameterError(f"quantiles are of one number an example, got targets of shape {tuple(batch.y.shape)}")
    draws = torch.rand(len(batch), generator=generator, dtype=batch.x.dtype, device=generator.device)
    t = draws.to(batch.x.device).clamp(min=torch.finfo(draws.dtype).eps)  # zero, which may be drawn, is no level
    return pinball_loss(model(batch.x, t), batch.y.reshape(-1), t)
