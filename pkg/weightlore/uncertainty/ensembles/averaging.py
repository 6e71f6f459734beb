"""Average the weights along a training, instead of the answers of several networks.

    swa = SWA(model);  fit(model, data, ..., callbacks=[swa]);  swa.averaged(x)
    recompute_statistics(model, x)       batch statistics for weights that never were trained with

    mean <- mean + (theta - mean) / n

With a learning rate that stays high the weights wander around a flat region; their mean lies in its middle. A network
with batch normalization needs new statistics there, since those it has belong to other weights.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.parameters import flatten, layout
from weightlore.training import Epoch, in_mode

__all__ = ["SWA", "recompute_statistics"]


class SWA:
    """The running mean of a network's trained weights; a callback for ``training.fit``.

        mean <- mean + (theta - mean) / n

    It counts in float64 and gives back the dtype of the network.

    Args:
        model: the network whose weights are averaged while it is trained, best at a constant learning rate
            (``schedule=None``).
        start: number of the first epoch that counts, from 1.
        every: epochs from one that counts to the next.

    Raises:
        ParameterError: if a number is no whole number of at least 1, or the network has nothing to train.

    Example:
        >>> swa = SWA(nn.Linear(3, 2))
        >>> swa.collect(), swa.collect()
        (None, None)
        >>> swa.count, swa.theta.shape
        (2, torch.Size([8]))

    Source: [izmailov2018swa], stochastic weight averaging
    """

    def __init__(self, model: nn.Module, *, start: int = 1, every: int = 1) -> None:
        require_counts(start=start, every=every)
        self.model, self.start, self.every = model, start, every
        self.count = 0
        self._mean = torch.zeros_like(flatten(model), dtype=torch.float64)

    def __call__(self, epoch: Epoch) -> None:
        """Collect the weights after an epoch, if it counts.

        Args:
            epoch: what ``training.fit`` tells.
        """
        if epoch.number >= self.start and (epoch.number - self.start) % self.every == 0:
            self.collect()

    def collect(self) -> None:
        """Add the weights that the network has now.

        Raises:
            ParameterError: if one is not finite.
        """
        self._add(require_finite("theta", flatten(self.model)).double())

    def _add(self, theta: Tensor) -> None:
        self.count += 1
        self._mean += (theta - self._mean) / self.count

    @property
    def theta(self) -> Tensor:
        """The mean, shape (P,), in the dtype of the network."""
        self._require_collected()
        return self._mean.to(next(p.dtype for p in self.model.parameters() if p.requires_grad))

    def averaged(self, x: Tensor | None = None) -> nn.Module:
        """Return a copy of the network with the mean weights, in evaluation mode.

        Args:
            x: training inputs, shape (N, ...), for the statistics of batch normalization; a network without it needs
                none.

        Raises:
            ParameterError: if nothing was collected, or statistics are needed and there is no x.
        """
        return self.placed(self.theta, x)

    def placed(self, theta: Tensor, x: Tensor | None = None) -> nn.Module:
        """Return a copy of the network with other weights, in evaluation mode, its batch statistics recomputed.

        Args:
            theta: shape (P,).
            x: as for ``averaged``.

        Raises:
            ParameterError: if statistics are needed and there is no x.
        """
        placed = copy.deepcopy(self.model).eval()
        parts = layout(placed).split(theta)
        with torch.no_grad():
            for name, parameter in placed.named_parameters():
                if name in parts:
                    parameter.copy_(parts[name])
        if _normalizing(placed):
            if x is None:
                raise ParameterError(
                    "the network normalizes batches, and its statistics belong to other weights: give training inputs x"
                )
            recompute_statistics(placed, x)
        return placed

    def _require_collected(self) -> None:
        if self.count == 0:
            raise ParameterError(
                "no weights were collected yet: give this object to training.fit as a callback, with start within its "
                "epochs, or call collect()"
            )


def recompute_statistics(model: nn.Module, x: Tensor, *, batch_size: int = 256) -> None:
    """Give every batch normalization the statistics of the data under the weights that the network has.

    One pass over the data: batches are normalized by their own mean and variance, and the running statistics become the
    plain averages of these. Other modules stay in evaluation mode, so that nothing is drawn.

    Args:
        model: its running statistics are replaced; each module is left in the mode it has.
        x: training inputs, shape (N, ...), in the order in which batches are taken.
        batch_size: examples of a batch; what remains in the end counts as a batch of its own.

    Raises:
        ParameterError: if there are no inputs, or they are not finite.

    Source: [izmailov2018swa], batch normalization
    """
    require_counts(batch_size=batch_size)
    if len(x) == 0:
        raise ParameterError("statistics need an example at least, got x with 0 rows")
    require_finite("x", x)
    norms = _normalizing(model)
    momenta = [norm.momentum for norm in norms]
    with in_mode(model, training=False), torch.no_grad():
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # torch then takes the plain average
                norm.train()
            for batch in x.split(batch_size) if norms else ():
                model(batch)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _normalizing(model: nn.Module) -> list[_BatchNorm]:
    """Return the modules that track statistics of batches."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
