"""What samplers by mini-batches share: the gradient of the log joint, and noise from the caller's generator.

A sampler is an optimizer. The loss on which ``backward`` was called is the batch's mean negative log likelihood; what
the sampler follows is the gradient of the log density of parameters and all data:

    g = - num_data * (gradient of the loss) - tau theta

    StochasticSampler      .gradient(p), .noise(p, variance), and ``noisy`` in each group to switch the noise off

Its learning rate is e, the size of a step in squared units of the parameters, and ``temperature`` multiplies the
variance of the noise; nothing else does. A parameter that the loss does not use follows its prior.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.mcmc.targets import require_positive

__all__ = ["StochasticSampler"]


class StochasticSampler(Optimizer):
    """An optimizer whose steps draw from a posterior.

    Args:
        parameters: those to draw.
        lr: e > 0.
        num_data: N, how many examples the posterior has, >= 1.
        prior_precision: tau >= 0 of N(0, 1/tau) on each parameter; 0 for a flat prior.
        generator: of the noise.
        temperature: factor of the noise's variance, >= 0; 1 for the posterior, 0 for no noise.
        settings: what a kind of sampler keeps in each group beside these.

    Raises:
        ParameterError: if a number is out of its range.

    Source: [welling2011sgld], the stochastic gradient of the log joint
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        num_data: int,
        prior_precision: float,
        generator: torch.Generator,
        temperature: float,
        settings: dict[str, Any],
    ) -> None:
        require_positive(lr=lr)
        require_counts(num_data=num_data)
        if not (0 <= prior_precision < math.inf and 0 <= temperature < math.inf):
            raise ParameterError(
                f"prior_precision and temperature must be finite and >= 0, got {prior_precision} and {temperature}"
            )
        self.generator = generator
        own = {"num_data": num_data, "prior_precision": prior_precision, "temperature": temperature, "noisy": True}
        super().__init__(parameters, {"lr": lr, **own, **settings})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that requires a gradient by one step of the sampler.

        Args:
            closure: as torch's optimizers take it: computes the loss anew, with its gradients.

        Returns:
            What the closure returned, or ``None``.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self.move(group, [p for p in group["params"] if p.requires_grad])
        return loss

    @abstractmethod
    def move(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Move the parameters of a group in place.

        Args:
            group: its numbers.
            parameters: those that require a gradient.
        """

    def gradient(self, p: nn.Parameter, group: dict[str, Any]) -> Tensor:
        """Return g, the gradient of the log joint, in the shape of the parameter.

        Args:
            p: a parameter.
            group: its numbers.
        """
        prior = -group["prior_precision"] * p
        return prior if p.grad is None else prior.sub_(p.grad, alpha=group["num_data"])

    def noise(self, p: Tensor, variance: Tensor | float, group: dict[str, Any]) -> Tensor | float:
        """Return N(0, temperature * variance) in the shape of a parameter, 0 where the noise is off.

        Args:
            p: a parameter.
            variance: before the temperature.
            group: its numbers.
        """
        if not group["noisy"] or group["temperature"] == 0:
            return 0.0
        device = self.generator.device
        drawn = torch.randn(p.shape, generator=self.generator, dtype=p.dtype, device=device).to(p.device)
        return drawn * torch.as_tensor(group["temperature"] * variance, dtype=p.dtype, device=p.device).sqrt()
