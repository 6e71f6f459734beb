"""Dropout that stays on when the network is asked: every thinned network is a draw of its weights.

    MCDropout(model)          a copy whose dropout layers draw; .predict(x, samples=, generator=)
    mc_dropout                the same in one call
    DropoutDraws              the layer that stands in the place of nn.Dropout
    dropout_noise_variance    the noise that a length scale and a weight decay imply, for regression

A prediction draws one mask a member, the same for all rows: each member is one network, a function of x. For one row
by itself that is the same as masks of its own, as torch draws them.
"""

from typing import cast

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.drawing import Stochastic
from weightlore.uncertainty.bayesian.predicting import predict_members
from weightlore.uncertainty.ensembles.batched import with_layers
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["DropoutDraws", "MCDropout", "dropout_noise_variance", "mc_dropout"]

KNOWN = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


class DropoutDraws(Stochastic):
    """Dropout from a given generator: what ``nn.Dropout`` and its kin for channels do, without torch's global state.

        y = x o mask / (1 - p),   mask = 1 with probability 1 - p

    Args:
        rate: p, the share that is dropped, in [0, 1]; 1 drops everything.
        channels: whether whole channels (N, C, ...) are dropped.

    Raises:
        ParameterError: if p is out of range.

    Example:
        >>> from weightlore.uncertainty.bayesian import drawing
        >>> layer = DropoutDraws(0.5)
        >>> with drawing(layer, torch.Generator().manual_seed(0)):
        ...     layer(torch.ones(1, 6))
        tensor([[2., 2., 0., 2., 2., 2.]])

    Source: [gal2016dropout], masks as draws of the weights; scaled as torch does, so that the mean is x
    """

    def __init__(self, rate: float, *, channels: bool = False) -> None:
        super().__init__()
        if not 0 <= rate <= 1:
            raise ParameterError(f"rate is the share that is dropped, in [0, 1], got {rate}")
        self.rate, self.channels = float(rate), channels

    def forward(self, x: Tensor) -> Tensor:
        """Return x with some entries dropped, in its shape; outside ``drawing``, in evaluation mode, x itself.

        Args:
            x: shape (N, ...), with channels (N, C, ...).
        """
        generator = self.chance()
        if generator is None:
            return x
        self.calls += 1  # one layer in two places of a network draws twice
        rows = 1 if self.held is not None else len(x)
        shape = (rows, *x.shape[1:]) if not self.channels else (rows, x.shape[1], *(1 for _ in x.shape[2:]))
        mask = self.kept(f"mask {self.calls}", lambda: _kept_mask(shape, self.rate, generator))
        return x * mask.to(x) / (1 - self.rate) if self.rate < 1 else 0 * x


class MCDropout(nn.Module):
    """A network that was trained with dropout, and goes on dropping when it predicts.

        p(y | x) = 1/S sum_s p(y | x, masks_s)

    Every ``nn.Dropout``, ``Dropout1d``, ``Dropout2d`` and ``Dropout3d`` of the network draws; nothing else changes its
    mode, so that batch normalization keeps the statistics of training. Dropout that is no such module cannot be seen:
    a call of ``torch.nn.functional.dropout``, or the ``dropout`` argument of recurrent and attention layers.

    Args:
        model: trained with dropout; copied.

    Raises:
        ParameterError: if it has no dropout layer, or one of another kind.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        >>> thinned = MCDropout(net)
        >>> thinned.predict(torch.ones(2, 4), samples=5, generator=torch.Generator().manual_seed(0)).probs.shape
        torch.Size([5, 2, 3])

    Source: [gal2016dropout], predictive distribution by sampled masks
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        layers = [layer for layer in model.modules() if isinstance(layer, nn.modules.dropout._DropoutNd)]
        odd = sorted({type(layer).__name__ for layer in layers if not isinstance(layer, KNOWN)})
        if not layers or odd:
            raise ParameterError(
                f"MC dropout draws for nn.Dropout, Dropout1d, Dropout2d and Dropout3d, and a {type(model).__name__} "
                f"has {' and '.join(odd) if odd else 'none of them'}; train it with such a layer, as "
                "networks.layered.Chain(..., dropout=) has it, or use another method of this part"
            )
        self.network = with_layers(model, _drawing_instead)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the output of the network, thinned where it is inside ``drawing``.

        Args:
            x: inputs, shape (N, ...).
        """
        return cast(Tensor | tuple[Tensor, Tensor], self.network(x))

    def predict(
        self,
        x: Tensor,
        *,
        samples: int,
        generator: torch.Generator,
        noise_variance: float | None = None,
        batch_size: int = 1000,
    ) -> CategoricalPrediction | GaussianPrediction:
        """Return what S thinned networks say of N examples, without gradients.

        Args:
            x: inputs, shape (N, ...), N >= 1.
            samples: S, >= 1.
            generator: where the masks come from.
            noise_variance: for a regression whose network returns means alone, the variance of a target around them,
                such as ``dropout_noise_variance`` gives; ``None`` for logits, or for a pair of means and variances.
            batch_size: examples per pass; masks do not depend on it.

        Raises:
            ParameterError: if an argument is out of range or not finite.
        """
        return predict_members(
            self, x, samples=samples, generator=generator, noise_variance=noise_variance, batch_size=batch_size
        )


def mc_dropout(
    model: nn.Module,
    x: Tensor,
    *,
    samples: int,
    generator: torch.Generator,
    noise_variance: float | None = None,
    batch_size: int = 1000,
) -> CategoricalPrediction | GaussianPrediction:
    """Return what S thinned copies of a network say of N examples, without gradients.

    Args:
        model: trained with dropout; left as it is. ``MCDropout`` keeps the copy for several calls.
        x: inputs, shape (N, ...), N >= 1.
        samples: S, >= 1.
        generator: where the masks come from.
        noise_variance: for a regression whose network returns means alone, the variance of a target around them.
        batch_size: examples per pass; masks do not depend on it.

    Returns:
        A prediction of S members.

    Raises:
        ParameterError: if the model has no dropout layer, or an argument is out of range or not finite.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
        >>> mc_dropout(net, torch.zeros(5, 2), samples=4, generator=torch.Generator().manual_seed(0)).probs.shape
        torch.Size([4, 5, 3])

    Source: [gal2016dropout], predictive distribution by sampled masks
    """
    return MCDropout(model).predict(
        x, samples=samples, generator=generator, noise_variance=noise_variance, batch_size=batch_size
    )


def dropout_noise_variance(*, rate: float, length_scale: float, num_data: int, weight_decay: float) -> float:
    """Return the variance of targets that a trained dropout network implies for regression.

        1 / tau = 2 N lambda / ((1 - p) l^2)

    A squared loss fixes no noise; read as a Gaussian process, the network has this one. The paper writes p for what is
    kept, 1 - p here.

    Args:
        rate: p, the share that training dropped, in [0, 1).
        length_scale: l > 0, a priori, in the unit of the inputs.
        num_data: N, how many examples the network was trained on.
        weight_decay: lambda > 0, the factor of the squared weights in the mean loss: half of what torch's optimizers
            call so.

    Returns:
        1 / tau, in the squared unit of the targets.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> round(dropout_noise_variance(rate=0.5, length_scale=2.0, num_data=100, weight_decay=0.001), 6)
        0.1

    Source: [gal2016dropout], precision of the model
    """
    require_counts(num_data=num_data)
    if not (0 <= rate < 1 and 0 < length_scale < float("inf") and 0 < weight_decay < float("inf")):
        raise ParameterError(
            "rate must be in [0, 1), length_scale and weight_decay finite and > 0, got "
            f"{rate}, {length_scale}, {weight_decay}"
        )
    return 2 * num_data * weight_decay / ((1 - rate) * length_scale**2)


def _drawing_instead(name: str, layer: nn.Module) -> nn.Module | None:
    if not isinstance(layer, KNOWN):
        return None
    drawing = DropoutDraws(layer.p, channels=not isinstance(layer, nn.Dropout))
    return drawing.train(layer.training)


def _kept_mask(shape: tuple[int, ...], rate: float, generator: torch.Generator) -> Tensor:
    """Draw 1 with probability 1 - rate, else 0."""
    return (torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device) >= rate).double()
