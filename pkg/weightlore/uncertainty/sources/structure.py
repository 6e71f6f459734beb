"""Errors of a model's structure: too little of it misses the truth, too much of it chases the noise.

Many training sets are drawn where the truth is known, and a model of each capacity is fitted to each
[geman1992dilemma]:

    E (y - f)^2 = (fbar - truth)^2 + Var f + noise

    bias_variance      the three parts of R fits, and the error that they add up to
    structure_sweep    the same for each capacity; all capacities see the same training sets
    fit_polynomial     capacity = degree, least squares
    fit_network        capacity = width of two hidden layers
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.networks import mlp
from weightlore.training import adam, fit
from weightlore.uncertainty.sources.rows import require_rows

__all__ = ["BiasVariance", "Fit", "bias_variance", "fit_network", "fit_polynomial", "structure_sweep"]

Fit = Callable[[int, Split, torch.Generator], Callable[[Tensor], Tensor]]
"""Fits a model of a capacity to examples and returns its prediction function (N, D) -> (N, O)."""


@dataclass(frozen=True, eq=False)
class BiasVariance:
    """The error that a kind of model is expected to make, and its three parts, in squared units of the target.

    Args:
        bias2: squared distance of the mean fit from the truth, shape (..., N, O).
        variance: of the fits around their mean, shape (..., N, O).
        noise: of the target around the truth, shape (..., N, O).
        error: expected squared error on a new target, shape (..., N, O): the sum of the three.

    Source: [geman1992dilemma], Sec. 3
    """

    bias2: Tensor
    variance: Tensor
    noise: Tensor
    error: Tensor


def bias_variance(predictions: Tensor, truth: Tensor, noise_variance: Tensor) -> BiasVariance:
    """Split the expected squared error of fits to R training sets into bias, variance and noise.

        bias2 = (fbar - truth)^2,   variance = 1/R sum_r (f_r - fbar)^2,   error = 1/R sum_r (f_r - truth)^2 + noise

    The variance is divided by R and not by R - 1, so that the parts add up exactly.

    Args:
        predictions: f_r, shape (R, N, O).
        truth: mean of the target, shape (N, O).
        noise_variance: its variance around the mean, shape (N, O), >= 0.

    Returns:
        The parts and the error, each of shape (N, O).

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or the noise is negative.

    Example:
        >>> parts = bias_variance(torch.tensor([[[1.0]], [[3.0]]]), torch.zeros(1, 1), torch.ones(1, 1))
        >>> parts.bias2.item(), parts.variance.item(), parts.noise.item(), parts.error.item()
        (4.0, 1.0, 1.0, 6.0)

    Source: [geman1992dilemma], Sec. 3
    """
    if (
        predictions.ndim != 3
        or not truth.shape == noise_variance.shape == predictions.shape[1:]
        or not len(predictions)
    ):
        raise ParameterError(
            "predictions (R, N, O), truth (N, O) and noise_variance (N, O) go together, got "
            f"{tuple(predictions.shape)}, {tuple(truth.shape)} and {tuple(noise_variance.shape)}"
        )
    for name, tensor in (("predictions", predictions), ("truth", truth), ("noise_variance", noise_variance)):
        require_finite(name, tensor)
    if bool((noise_variance < 0).any()):
        raise ParameterError(f"a variance is >= 0, got {float(noise_variance.min())}; square the standard deviation")
    mean = predictions.mean(0)
    error = (predictions - truth).square().mean(0) + noise_variance
    return BiasVariance((mean - truth).square(), predictions.var(0, correction=0), noise_variance, error)


def structure_sweep(
    fit_model: Fit,
    capacities: Sequence[int],
    x: Tensor,
    *,
    draw: Callable[[torch.Generator], Split],
    truth: Callable[[Tensor], Tensor],
    noise: Callable[[Tensor], Tensor],
    repeats: int = 20,
    generator: torch.Generator,
) -> BiasVariance:
    """Return bias, variance and noise for each capacity of a model, where the truth is known.

    Args:
        fit_model: called with a capacity, a training set and a generator.
        capacities: Q whole numbers, in the order of the result.
        x: where predictions are judged, shape (N, D).
        draw: returns a fresh training set.
        truth: mean of the target at x, (N, D) -> (N, O).
        noise: standard deviation of the target at x, (N, D) -> (N, O).
        repeats: R, training sets, >= 2. All capacities are fitted to the same ones, with the same generator state.
        generator: source of all randomness.

    Returns:
        The parts and the error, each of shape (Q, N, O); ``.mean((1, 2))`` is one number for each capacity.

    Raises:
        ParameterError: if there is no capacity or one training set only, x is not as described, or a prediction has
            another shape than the truth.

    Example:
        >>> import math
        >>> from weightlore.data import heteroscedastic_sine
        >>> draw, g = lambda g: heteroscedastic_sine(50, generator=g), torch.Generator().manual_seed(0)
        >>> known = {"truth": lambda x: (2 * math.pi * x).sin(), "noise": lambda x: 0.05 + 0.25 * x, "draw": draw}
        >>> found = structure_sweep(fit_polynomial, [1, 5], torch.rand(20, 1).double(), **known, generator=g)
        >>> found.bias2.mean((1, 2)) > found.noise.mean((1, 2))
        tensor([ True, False])

    Source: [geman1992dilemma], Sec. 3; [gawlikowski2023uncertainty], factor III: errors in the model structure
    """
    require_rows("x", x)
    if not capacities or repeats < 2:
        raise ParameterError(
            f"a sweep needs a capacity or more and 2 repeats or more, got {len(capacities)} and {repeats}"
        )
    predictions: list[list[Tensor]] = [[] for _ in capacities]
    for _ in range(repeats):
        data = draw(generator)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        for found, capacity in zip(predictions, capacities, strict=True):
            model = fit_model(capacity, data, torch.Generator().manual_seed(seed))
            found.append(model(x).detach())
    parts = [bias_variance(torch.stack(found), truth(x), noise(x).square()) for found in predictions]
    fields = ("bias2", "variance", "noise", "error")
    return BiasVariance(*(torch.stack([getattr(part, field) for part in parts]) for field in fields))


def fit_polynomial(degree: int, data: Split, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Fit a polynomial to points with one input in [0, 1], by least squares.

    The basis is that of Legendre's polynomials, which stays well conditioned; where the points do not determine the
    coefficients, these are the smallest that fit.

    Args:
        degree: >= 0.
        data: x of shape (N, 1), y of shape (N, O).
        generator: not used; a fit that draws something draws it from here.

    Returns:
        The polynomial, (N, 1) -> (N, O).

    Raises:
        ParameterError: if the degree is negative, or data are not as described.

    Example:
        >>> x = torch.tensor([[0.0], [0.5], [1.0]]).double()
        >>> line = fit_polynomial(1, Split(x, 2 * x), torch.Generator())
        >>> line(torch.tensor([[2.0]]).double())
        tensor([[4.]], dtype=torch.float64)

    Source: ours, because a polynomial shows both sides of the dilemma in a second
    """
    if degree < 0:
        raise ParameterError(f"the degree of a polynomial is >= 0, got {degree}")
    y = require_rows("y", data.y)
    coefficients = torch.linalg.lstsq(_legendre(data.x, degree), y, driver="gelsd").solution  # (degree + 1, O)
    return lambda x: (_legendre(x, degree) @ coefficients).to(x.dtype)


def fit_network(width: int, data: Split, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """Fit a network with two hidden layers to numbers, by 300 epochs of Adam on the squared error.

    Args:
        width: units of each hidden layer, >= 1.
        data: x of shape (N, D), y of shape (N, O).
        generator: draws the first parameters and the order of the examples.

    Returns:
        The network, (N, D) -> (N, O), without gradients.

    Raises:
        ParameterError: if the width is below 1, or data are not as described.

    Example:
        >>> x = torch.tensor([[0.0], [0.5], [1.0]]).double()
        >>> fit_network(4, Split(x, 2 * x), torch.Generator().manual_seed(0))(x).shape
        torch.Size([3, 1])

    Source: ours, because the dilemma of networks is not that of polynomials
    """
    require_rows("x", data.x), require_rows("y", data.y)
    network = mlp((data.x.shape[1], width, width, data.y.shape[1]), generator=generator, dtype=data.x.dtype)
    fit(network, data, step=_squared_error, generator=generator, epochs=300, batch_size=16, optimizer=adam(0.02))

    def predict(x: Tensor) -> Tensor:
        with torch.no_grad():
            return network(x)

    return predict


def _squared_error(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    return nn.functional.mse_loss(model(batch.x), batch.y)


def _legendre(x: Tensor, degree: int) -> Tensor:
    """Return P_0 ... P_degree at 2 x - 1, shape (N, degree + 1), by their recursion."""
    place = 2 * require_rows("x", x, 1)[:, 0] - 1
    values = [torch.ones_like(place), place]
    for n in range(1, degree):
        values.append(((2 * n + 1) * place * values[n] - n * values[n - 1]) / (n + 1))
    return torch.stack(values[: degree + 1], dim=1)
