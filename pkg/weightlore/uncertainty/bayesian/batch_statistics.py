"""Batch normalization as a source of draws: the statistics of a random training batch instead of those of all.

While a network with batch normalization trains, what it says of an example depends on the others in the batch. The
same chance, let in when the network is asked, makes members:

    MCBatchNorm(model, data, batch_size=)    .predict(x, samples=, generator=)
    mc_batch_norm                            the same in one call
    NormWithStatistics                       the layer that stands in the place of nn.BatchNorm

    y = gain (x - m_B) / sqrt(v_B + eps) + bias,   m_B, v_B of a batch B drawn from the training data
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training.evaluation import in_mode, require_fitting
from weightlore.uncertainty.bayesian.drawing import Stochastic
from weightlore.uncertainty.bayesian.predicting import predict_members
from weightlore.uncertainty.ensembles.batched import with_layers
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["MCBatchNorm", "NormWithStatistics", "mc_batch_norm"]

Statistics = list[tuple[Tensor, Tensor]]


class NormWithStatistics(nn.Module):
    """A batch normalization that uses statistics of a batch that it has seen, for other rows too.

        y = gain (x - m) / sqrt(v + eps) + bias,   v divided by the number of values, as while training

    Args:
        norm: kept; its own statistics are not touched while those of a batch are used.

    Source: [teye2018batchnorm]
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) -> None:
        super().__init__()
        self.norm, self.calls = norm, 0
        self.given: Statistics | None = None  # one pair for each call in a pass; None: statistics of training
        self.collecting = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized rows.

        Args:
            x: shape (N, C, ...).
        """
        if self.given is None:
            return cast(Tensor, self.norm(x))
        if self.collecting:
            axes = [0, *range(2, x.ndim)]
            self.given.append((x.mean(axes), x.var(axes, correction=0)))
        mean, variance = self.given[self.calls]
        self.calls += 1
        return F.batch_norm(x, mean, variance, self.norm.weight, self.norm.bias, False, 0.0, self.norm.eps)


class MCBatchNorm(Stochastic):
    """A network whose batch normalizations take statistics of random training batches when it is asked.

        p(y | x) = 1/S sum_s p(y | x, m_s, v_s),   statistics of batch s of the training data

    Args:
        model: with ``nn.BatchNorm1d``, ``BatchNorm2d`` or ``BatchNorm3d``; copied, and used in evaluation mode.
        data: what it was trained on; targets are not used.
        batch_size: of the batches, best as in training; 2 to N.

    Raises:
        ParameterError: if the model has no such layer, cannot read the data, or there are not so many examples.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        >>> seen = Split(torch.arange(80.0).reshape(20, 4), torch.zeros(20, dtype=torch.int64))
        >>> chance = torch.Generator().manual_seed(0)
        >>> MCBatchNorm(net, seen, batch_size=5).predict(torch.ones(2, 4), samples=7, generator=chance).probs.shape
        torch.Size([7, 2, 3])

    Source: [teye2018batchnorm], algorithm of prediction by sampled batches
    """

    def __init__(self, model: nn.Module, data: Split, *, batch_size: int) -> None:
        super().__init__()
        require_counts(batch_size=batch_size)
        require_fitting(model, data)
        if not 2 <= batch_size <= len(data):
            raise ParameterError(
                f"batch_size must be from 2, for a variance, to the {len(data)} examples there are, got {batch_size}"
            )
        if not any(isinstance(layer, _KINDS) for layer in model.modules()):
            raise ParameterError(
                f"a {type(model).__name__} has no batch normalization that could draw its statistics; this takes "
                "networks with nn.BatchNorm1d, BatchNorm2d or BatchNorm3d, such as vgg11 or resnet20"
            )
        self.network = with_layers(model, _with_statistics)
        self.seen, self.batch_size = data.x, batch_size

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the output of the network; inside ``drawing`` with the statistics of a random batch.

        Args:
            x: inputs, shape (N, ...).
        """
        generator = self.chance()
        drawn = None if generator is None else self.kept("statistics", lambda: self._statistics(generator))
        return self._passed(x, drawn)

    def predict(
        self,
        x: Tensor,
        *,
        samples: int,
        generator: torch.Generator,
        noise_variance: float | None = None,
        batch_size: int = 1000,
    ) -> CategoricalPrediction | GaussianPrediction:
        """Return what the network says of N examples with the statistics of S batches, without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.
            samples: S, >= 1.
            generator: where the batches come from.
            noise_variance: for a regression whose network returns means alone, the variance of a target around them.
            batch_size: examples of x per pass; the result does not depend on it.

        Raises:
            ParameterError: if an argument is out of range or not finite.
        """
        return predict_members(
            self, x, samples=samples, generator=generator, noise_variance=noise_variance, batch_size=batch_size
        )

    def _statistics(self, generator: torch.Generator) -> list[Statistics]:
        """Return the statistics of all layers for a batch drawn without replacement."""
        rows = torch.randperm(len(self.seen), generator=generator, device=generator.device)[: self.batch_size]
        found: list[Statistics] = [[] for _ in self._norms()]
        with in_mode(self.network, training=False), torch.no_grad():
            self._passed(self.seen[rows.to(self.seen.device)], found, collecting=True)
        return found

    def _passed(
        self, x: Tensor, statistics: list[Statistics] | None, *, collecting: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        norms = self._norms()
        try:
            for number, norm in enumerate(norms):
                norm.calls, norm.collecting = 0, collecting
                norm.given = None if statistics is None else statistics[number]
            return cast(Tensor | tuple[Tensor, Tensor], self.network(x))
        finally:
            for norm in norms:
                norm.given, norm.collecting = None, False

    def _norms(self) -> list[NormWithStatistics]:
        return [layer for layer in self.network.modules() if isinstance(layer, NormWithStatistics)]


def mc_batch_norm(
    model: nn.Module,
    x: Tensor,
    *,
    data: Split,
    batch_size: int,
    samples: int,
    generator: torch.Generator,
    noise_variance: float | None = None,
) -> CategoricalPrediction | GaussianPrediction:
    """Return what a network says of N examples with the statistics of S random training batches.

    Args:
        model: with batch normalization; left as it is, its running statistics too.
        x: inputs, shape (N, ...), N >= 1.
        data: what the model was trained on.
        batch_size: of the training batches, 2 to the number of examples.
        samples: S, >= 1.
        generator: where the batches come from.
        noise_variance: for a regression whose network returns means alone, the variance of a target around them.

    Returns:
        A prediction of S members.

    Raises:
        ParameterError: as ``MCBatchNorm``, or if x is empty or not finite.

    Example:
        >>> net, data = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), Split(torch.eye(2), torch.zeros(2).long())
        >>> generator = torch.Generator().manual_seed(0)
        >>> mc_batch_norm(net, torch.zeros(5, 2), data=data, batch_size=2, samples=4, generator=generator).probs.shape
        torch.Size([4, 5, 3])

    Source: [teye2018batchnorm], algorithm of prediction by sampled batches
    """
    network = MCBatchNorm(model, data, batch_size=batch_size)
    return network.predict(x, samples=samples, generator=generator, noise_variance=noise_variance)


_KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def _with_statistics(name: str, layer: nn.Module) -> nn.Module | None:
    return NormWithStatistics(layer) if isinstance(layer, _KINDS) else None
