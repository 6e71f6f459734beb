"""Gradients as a description of an input: how strongly would the network change if its own answer were the truth?

For each input alone, the loss of the answer that the network gives anyway [oberdiek2018gradients, lee2020gradients]:

    g(x) = d/dtheta [ -ln softmax(f(x; theta))_yhat ],   yhat = argmax f(x)
    GradientMetrics(model)(x)  -> for each parameter tensor ||g||_1, ||g||_2, max, min, mean, std of its entries

A sure answer has a gradient near zero. For a linear softmax layer g = (p - e_yhat) phi^T, so that its length is
||p - e_yhat||_2 ||phi||_2.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.parameters import places_of
from weightlore.training import in_mode

__all__ = ["METRICS", "GradientMetrics"]

METRICS = ("l1", "l2", "max", "min", "mean", "std")


class GradientMetrics:
    """Six numbers for each parameter tensor of a network, for each input.

    Args:
        model: returns logits; used in evaluation mode and left as it is, gradients of its parameters included.
        batch_size: inputs whose gradients are held at once, each as large as the network.

    Raises:
        ParameterError: if the network has no parameters, or the batch size is no whole number >= 1.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> metrics = GradientMetrics(healthy())
        >>> metrics(digits("test").x[:3]).shape, metrics.names[-1]
        (torch.Size([3, 36]), 'readout.bias std')

    Source: [oberdiek2018gradients]; [lee2020gradients]
    """

    def __init__(self, model: nn.Module, *, batch_size: int = 64) -> None:
        require_counts(batch_size=batch_size)
        self.model, self.batch_size = model, batch_size
        tensors = [name for name, _ in model.named_parameters()]
        if not tensors:
            raise ParameterError(f"{type(model).__name__} has no parameters and so no gradients, got none to measure")
        self.names = tuple(f"{name} {metric}" for name in tensors for metric in METRICS)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the metrics of inputs (N, ...), shape (N, 6 x number of parameter tensors), in the order of ``names``.

        Args:
            x: inputs, N >= 1, finite.

        Raises:
            ParameterError: if there is no input, or an entry or a gradient is not finite.
        """
        if len(x) == 0:
            raise ParameterError(f"metrics need an input at least, got shape {tuple(x.shape)}")
        require_finite("x", x)
        theta = {name: parameter.detach() for name, parameter in self.model.named_parameters()}
        with in_mode(self.model, training=False):
            parts = [
                torch.cat([_metrics(g.flatten(1)) for g in self._gradients(theta, rows).values()], 1)
                for rows in x.detach().split(self.batch_size)
            ]
        return require_finite("a metric of the gradient", torch.cat(parts))

    def _gradients(self, theta: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
        """Return the gradients of the loss of each input, inputs in front."""
        of_one = torch.func.grad(self._loss)
        try:
            return torch.func.vmap(of_one, (None, 0))(theta, rows)
        except RuntimeError:  # a layer that torch cannot map over inputs, such as nn.LSTM
            each = [of_one(theta, x) for x in rows]
            return {name: torch.stack([one[name] for one in each]) for name in theta}

    def _loss(self, theta: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the loss of the answer to one input."""
        places = places_of(self.model, theta)
        logits = torch.func.functional_call(self.model, places, (x[None],), tie_weights=False)
        answer = logits.detach().argmax(1, keepdim=True)  # one class also where several are equal
        return -log_softmax(logits, 1).gather(1, answer).sum()


def _metrics(g: Tensor) -> Tensor:
    """Return the six numbers of gradients (N, P), shape (N, 6)."""
    parts = (g.abs().sum(1), g.norm(dim=1), g.amax(1), g.amin(1), g.mean(1), g.std(1, correction=0))
    return torch.stack(parts, 1)
