"""Networks whose weights are independent Gaussians, learned by their bound on the evidence.

    BayesLinear, BayesConv2d      such layers, made from layers that have weights already
    variational(network)          a copy of a network with all its linear and convolutional layers replaced

The means start at the weights of the network, the standard deviations at 0.05 / sqrt(fan_in). Train with
``training.fit(model, data, step=elbo_step(num_data=...))``, predict with ``predict_members``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian.mean_field import Estimator, MeanFieldLayer, random_signs
from weightlore.uncertainty.bayesian.priors import STANDARD, Prior
from weightlore.uncertainty.ensembles.batched import with_layers

__all__ = ["BayesConv2d", "BayesLinear", "variational"]


class BayesLinear(MeanFieldLayer):
    """A fully connected layer whose weights and biases are independent Gaussians.

    Args:
        layer: its weights are the means at the start; copied.
        spread: standard deviations start at spread / sqrt(in), > 0.
        prior: of weights and biases.
        estimator: how outputs are drawn while it trains.

    Raises:
        ParameterError: if spread is not positive, or there is no such estimator.

    Example:
        >>> from weightlore.uncertainty.bayesian import drawing
        >>> layer = BayesLinear(nn.Linear(4, 3), estimator="flipout")
        >>> with drawing(layer, torch.Generator().manual_seed(0)):
        ...     layer(torch.ones(5, 4)).shape
        torch.Size([5, 3])

    Source: [blundell2015weight], section 3.2; local [kingma2015local], Eq. (6); flipout [wen2018flipout], Eq. (4)
    """

    def __init__(
        self, layer: nn.Linear, *, spread: float = 0.05, prior: Prior = STANDARD, estimator: Estimator = "local"
    ) -> None:
        super().__init__(layer, std=spread * layer.in_features**-0.5, prior=prior, estimator=estimator)

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return x W^T + b, shape (N, ..., out).

        Args:
            x: inputs, shape (N, ..., in).
            weight: W, shape (out, in).
            bias: b, shape (out,).
        """
        return functional.linear(x, weight, bias)

    def signs(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return random signs, shapes (N, 1, ..., in) and (N, 1, ..., out).

        Args:
            x: inputs, shape (N, ..., in).
            generator: where they are drawn from.

        Raises:
            ParameterError: if x is no batch.
        """
        if x.ndim < 2:
            raise ParameterError(f"flipout draws signs for each row of (N, in), got {tuple(x.shape)}; use x[None]")
        outputs, inputs = self.weight.mean.shape
        rows = (len(x), *(1 for _ in x.shape[1:-1]))
        return (
            random_signs((*rows, inputs), like=x, generator=generator),
            random_signs((*rows, outputs), like=x, generator=generator),
        )


class BayesConv2d(MeanFieldLayer):
    """A convolution whose weights and biases are independent Gaussians.

    The local estimator draws every pixel of the output by itself; pixels that share weights are correlated in truth:
    mean and variance of each pixel are right, their covariances are dropped.

    Args:
        layer: its weights are the means at the start; copied with stride, padding, dilation and groups.
        spread: standard deviations start at spread / sqrt(fan_in), > 0.
        prior: of weights and biases.
        estimator: how outputs are drawn while it trains.

    Raises:
        ParameterError: if spread is not positive, there is no such estimator, or the padding is other than by zeros.

    Example:
        >>> layer = BayesConv2d(nn.Conv2d(1, 6, 3)).eval()
        >>> layer(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 6, 6, 6])

    Source: [blundell2015weight], section 3.2; local [kingma2015local], with pixels apart; flipout [wen2018flipout]
    """

    def __init__(
        self, layer: nn.Conv2d, *, spread: float = 0.05, prior: Prior = STANDARD, estimator: Estimator = "local"
    ) -> None:
        if layer.padding_mode != "zeros":
            raise ParameterError(
                f"the convolution pads by zeros, got padding_mode {layer.padding_mode!r}; put a padding layer, such as "
                "nn.ReflectionPad2d, before a convolution without padding"
            )
        fan = layer.weight[0].numel()
        super().__init__(layer, std=spread * fan**-0.5, prior=prior, estimator=estimator)
        self.stride, self.padding, self.dilation, self.groups = (
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
        )

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of x, shape (N, out, height, width).

        Args:
            x: images, shape (N, in, height, width).
            weight: shape (out, in / groups, height, width).
            bias: shape (out,).
        """
        return functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def signs(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return random signs, shapes (N, in, 1, 1) and (N, out, 1, 1).

        Args:
            x: images, shape (N, in, height, width).
            generator: where they are drawn from.

        Raises:
            ParameterError: if x is no batch.
        """
        if x.ndim != 4:
            raise ParameterError(f"flipout draws signs for each of (N, in, H, W), got {tuple(x.shape)}; use x[None]")
        outputs = len(self.weight.mean)
        return (
            random_signs((len(x), x.shape[1], 1, 1), like=x, generator=generator),
            random_signs((len(x), outputs, 1, 1), like=x, generator=generator),
        )


def variational(
    network: nn.Module, *, spread: float = 0.05, prior: Prior = STANDARD, estimator: Estimator = "local"
) -> nn.Module:
    """Return a copy of a network whose linear and convolutional weights are independent Gaussians.

    Other layers, normalization among them, keep the parameters that they have.

    Args:
        network: its weights are the means at the start; left as it is.
        spread: standard deviations start at spread / sqrt(fan_in), > 0.
        prior: of weights and biases.
        estimator: how outputs are drawn while it trains.

    Raises:
        ParameterError: if no layer can be replaced, or an argument is out of range.

    Example:
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty.bayesian import predict_members
        >>> network = variational(healthy())
        >>> x = torch.zeros(5, 64, dtype=torch.float64)
        >>> predict_members(network, x, samples=4, generator=torch.Generator().manual_seed(0)).probs.shape
        torch.Size([4, 5, 10])

    Source: [graves2011variational]; [blundell2015weight], Bayes by Backprop
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear):
            return BayesLinear(layer, spread=spread, prior=prior, estimator=estimator)
        if isinstance(layer, nn.Conv2d):
            return BayesConv2d(layer, spread=spread, prior=prior, estimator=estimator)
        return None

    return with_layers(network, replace)
