"""A network whose evidence for a class is how many training examples lie nearby: no out-of-domain data are needed.

    z = the network's last layer, M numbers
    alpha_c = 1 + N_c q_c(z)                                  N_c examples of class c, q_c a density (``RadialFlow``)
    1/N sum_i psi(a_0) - psi(alpha_y) - weight H(Dir(alpha))   posterior_network_loss

A density integrates to one, so that evidence for one place is taken from others: far from all data alpha is 1, flat
[charpentier2020posterior].
"""

import math

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import built, require_counts
from weightlore.training import Step, in_mode
from weightlore.uncertainty.deterministic.radial_flow import RadialFlow
from weightlore.uncertainty.deterministic.trunks import trunk_of, with_readout
from weightlore.uncertainty.dirichlet import differential_entropy
from weightlore.uncertainty.predictions import DirichletPrediction

__all__ = ["PosteriorNetwork", "posterior_network", "posterior_network_loss", "posterior_network_step"]

LARGEST = 30.0  # of ln (N_c q_c): a density may grow without limit where features collapse to a point


class PosteriorNetwork(nn.Module):
    """A network to M numbers, and a density for each class there.

        alpha_c = 1 + exp(min(ln N_c + ln q_c(z), 30))

    Args:
        encoder: from inputs (N, ...) to z, shape (N, M). Kept, not copied.
        flow: C densities over M numbers.
        counts: training examples of each class, C whole numbers >= 1.

    Raises:
        ParameterError: if counts are below 1 or not one for each density.

    Example:
        >>> flow = RadialFlow(2, classes=2, layers=1, generator=torch.Generator().manual_seed(0))
        >>> model = PosteriorNetwork(nn.Identity(), flow, counts=torch.tensor([30, 20]))
        >>> model.predict(torch.full((1, 2), 100.0, dtype=torch.float64)).alpha
        tensor([[1., 1.]], dtype=torch.float64)

    Source: [charpentier2020posterior], pseudo-counts by density; the limit of 30 is ours
    """

    log_counts: Tensor

    def __init__(self, encoder: nn.Module, flow: RadialFlow, *, counts: Tensor) -> None:
        super().__init__()
        if counts.shape != flow.center.shape[1:2] or counts.dtype != torch.int64 or int(counts.min()) < 1:
            raise ParameterError(
                f"counts must be examples of each of {flow.center.shape[1]} classes, int64 and at least 1, "
                f"got {counts.tolist()}, {counts.dtype}; torch.bincount(y, minlength=C) counts"
            )
        self.encoder, self.flow = encoder, flow
        self.register_buffer("log_counts", counts.to(flow.center).log())

    def forward(self, x: Tensor) -> Tensor:
        """Return alpha >= 1, shape (N, C).

        Args:
            x: inputs, shape (N, ...).
        """
        return 1 + (self.log_counts + self.flow(self.encoder(x))).clamp(max=LARGEST).exp()

    @torch.no_grad()
    def predict(self, x: Tensor) -> DirichletPrediction:
        """Return the Dirichlet distributions, in evaluation mode.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if x is not finite.
        """
        with in_mode(self, training=False):
            return DirichletPrediction(self(require_finite("x", x)))


def posterior_network(
    network: nn.Module, y: Tensor, *, classes: int, size: int = 4, layers: int = 6, generator: torch.Generator
) -> PosteriorNetwork:
    """Return a posterior network over a copy of a network, whose readout a linear map to M numbers replaces.

    Args:
        network: with a readout, as for ``trunk_of``; left as it is.
        y: class numbers of the training examples, shape (N,), int64; they are counted.
        classes: C, each with an example.
        size: M.
        layers: radial flows of each density.
        generator: where map and flows are drawn from.

    Returns:
        The network, to be trained by ``training.fit`` with ``posterior_network_step``.

    Raises:
        ParameterError: if there is no readout, a class has no example, or an argument is out of range.

    Example:
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> model = posterior_network(mlp((2, 8, 2), generator=drawn), torch.tensor([0, 1]), classes=2, generator=drawn)
        >>> model.predict(torch.zeros(5, 2, dtype=torch.float64)).alpha.shape
        torch.Size([5, 2])

    Source: [charpentier2020posterior], without its batch normalization of z
    """
    require_counts(classes=classes, size=size, layers=layers)
    features = trunk_of(network)[1]
    require_labels(y, classes)
    like = next(network.parameters())
    readout = built(
        lambda: nn.Linear(features, size), generator=generator, dtype=like.dtype, linear_spread=features**-0.5
    )
    flow = RadialFlow(size, classes=classes, layers=layers, generator=generator, dtype=like.dtype)
    trunk = with_readout(network, readout)
    return PosteriorNetwork(trunk, flow, counts=torch.bincount(y, minlength=classes)).to(like.device)


def posterior_network_loss(alpha: Tensor, y: Tensor, *, weight: float) -> Tensor:
    """Return the expected cross-entropy under the distributions, less a reward for wide ones.

        1/N sum_i psi(a_0) - psi(alpha_y) - weight H(Dir(alpha))

    Args:
        alpha: concentrations, shape (N, C).
        y: class numbers, shape (N,), int64.
        weight: of the differential entropy, >= 0.

    Returns:
        The loss in nats, shape (), differentiable.

    Raises:
        ParameterError: if shapes do not fit, a target is no class number, or the weight is out of range.

    Example:
        >>> posterior_network_loss(torch.tensor([[2.0, 1.0]]), torch.tensor([0]), weight=0.0)
        tensor(0.5000)

    Source: [charpentier2020posterior], expected cross-entropy and entropy
    """
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        raise ParameterError(f"the weight of the entropy must be >= 0 and finite, got {weight!r}")
    if alpha.ndim != 2 or y.shape != alpha.shape[:1] or y.dtype != torch.int64:
        raise ParameterError(
            f"alpha must have shape (N, C) and y (N,), int64, got {tuple(alpha.shape)} and {tuple(y.shape)}, {y.dtype}"
        )
    require_labels(y, alpha.shape[1])
    wide = alpha.double()  # where the right class has nearly all, two digammas nearly cancel
    risk = torch.digamma(wide.sum(1)) - torch.digamma(wide.gather(1, y[:, None])[:, 0])
    return (risk - weight * differential_entropy(wide)).mean().to(alpha.dtype)


def posterior_network_step(weight: float = 1e-4) -> Step:
    """Return the step for ``training.fit`` that lowers ``posterior_network_loss``.

        (model, batch, generator) -> the loss of alpha = model(batch.x) at batch.y, shape ()

    Args:
        weight: of the entropy, >= 0.

    Example:
        >>> class Flat(nn.Module):
        ...     def forward(self, x):
        ...         return torch.ones(len(x), 2)
        >>> batch = Split(torch.zeros(3, 1), torch.tensor([0, 1, 1]))
        >>> round(posterior_network_step(0.0)(Flat(), batch, torch.Generator()).item(), 4)
        1.0

    Source: [charpentier2020posterior], expected cross-entropy and entropy
    """

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        return posterior_network_loss(model(batch.x), batch.y, weight=weight)

    return step
