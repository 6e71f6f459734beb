"""Gradients at noisy copies of an input: their mean, their mean square and their variance.

    s            = level (max x - min x), for each example           noise_spread
    g_k          = df/dx at x + e_k,  e_k ~ N(0, s^2)                noisy_gradients
    smooth_grad           mean_k g_k, signed
    smooth_grad_squared   mean_k g_k^2, never negative
    var_grad              mean_k (g_k - mean g)^2, never negative

The noise of copy k is drawn before that of copy k + 1, whatever number of copies run at once. Noisy inputs are not
clipped. An example that is constant gets no noise.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from weightlore.attribution.outputs import Attribution, Output, input_gradient, require
from weightlore.errors import ParameterError

__all__ = ["noise_spread", "noisy_gradients", "smooth_grad", "smooth_grad_squared", "var_grad"]


def noise_spread(x: Tensor, level: float = 0.15) -> Tensor:
    """Return the standard deviation of the noise for each example.

        s = level (max x - min x)

    Args:
        x: inputs, shape (N, ...), finite.
        level: share of the example's range, >= 0.

    Returns:
        s, shape (N, 1, ...), as many dimensions as x, in units of the input.

    Raises:
        ParameterError: if the level is not a finite number >= 0.

    Example:
        >>> noise_spread(torch.tensor([[0.0, 2.0], [5.0, 5.0]])).flatten()
        tensor([0.3000, 0.0000])

    Source: [smilkov2017smoothgrad], the noise level
    """
    if not 0 <= level < float("inf"):
        raise ParameterError(f"level is the noise as a share of the input's range, a finite number >= 0, got {level}")
    flat = x.detach().flatten(1)
    return level * (flat.amax(1) - flat.amin(1)).view(-1, *[1] * (x.ndim - 1))


def noisy_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    samples: int,
    level: float = 0.15,
    output: Output = "logit",
    rows: int = 256,
) -> Iterator[Tensor]:
    """Yield the gradients at noisy copies of the inputs, one copy after the other.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        generator: where the noise comes from.
        samples: S, noisy copies of each example, at least 1.
        level: standard deviation of the noise as a share of the example's range.
        output: whether f is the logit or the probability.
        rows: at most so many inputs run at once (but all N of one copy); changes time and memory, and the result by
            rounding at most.

    Yields:
        g_k, shape (N, ...), S times.

    Raises:
        ParameterError: as ``input_gradient``, or if a number is out of range.

    Source: [smilkov2017smoothgrad], the noise level
    """
    if min(samples, rows) < 1:
        raise ParameterError(f"samples and rows count inputs and must be >= 1, got {samples} and {rows}")
    classes, spread = require(model, x, target), noise_spread(x, level)
    at_once = max(1, rows // len(x))
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        noise = [
            torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device) for _ in range(count)
        ]
        noisy = torch.stack([x.detach() + spread * one.to(x.device) for one in noise])  # (count, N, ...)
        found = input_gradient(model, noisy.flatten(0, 1), classes.repeat(count), output)
        yield from found.view_as(noisy)


def smooth_grad(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    samples: int = 50,
    level: float = 0.15,
    output: Output = "logit",
    rows: int = 256,
) -> Attribution:
    """Return the mean gradient at noisy copies of the input, signed.

        A = mean_k g(x + e_k)

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        generator: where the noise comes from.
        samples: S, noisy copies of each example, at least 1.
        level: standard deviation of the noise as a share of the example's range; 0 gives the gradient.
        output: whether f is the logit or the probability.
        rows: at most so many inputs run at once.

    Returns:
        The attribution, in units of the score per unit of the input, with no completeness.

    Raises:
        ParameterError: as ``noisy_gradients``.

    Source: [smilkov2017smoothgrad], the smoothed gradient; samples and level as in [adebayo2018sanity]
    """
    return Attribution(_moments(model, x, target, generator, samples, level, output, rows)[0], None, output)


def smooth_grad_squared(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    samples: int = 50,
    level: float = 0.15,
    output: Output = "logit",
    rows: int = 256,
) -> Attribution:
    """Return the mean square of the gradient at noisy copies of the input, which has no sign.

        A = mean_k g(x + e_k)^2 = smooth_grad^2 + var_grad

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        generator: where the noise comes from.
        samples: S, noisy copies of each example, at least 1.
        level: standard deviation of the noise as a share of the example's range.
        output: whether f is the logit or the probability.
        rows: at most so many inputs run at once.

    Returns:
        The attribution, never negative, with no completeness.

    Raises:
        ParameterError: as ``noisy_gradients``.

    Source: [smilkov2017smoothgrad]; the squares are the default of its authors' code
    """
    mean, variance = _moments(model, x, target, generator, samples, level, output, rows)
    return Attribution(mean.square() + variance, None, output)


def var_grad(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    *,
    generator: torch.Generator,
    samples: int = 25,
    level: float = 0.15,
    output: Output = "logit",
    rows: int = 256,
) -> Attribution:
    """Return the variance of the gradient over noisy copies of the input, which has no sign.

        A = mean_k (g(x + e_k) - mean g)^2,   divided by S

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        generator: where the noise comes from.
        samples: S, noisy copies of each example, at least 1; one copy has no variance, and the map is zero.
        level: standard deviation of the noise as a share of the example's range.
        output: whether f is the logit or the probability.
        rows: at most so many inputs run at once.

    Returns:
        The attribution, never negative, with no completeness.

    Raises:
        ParameterError: as ``noisy_gradients``.

    Source: [adebayo2018local]; samples as in the code of [adebayo2018sanity]
    """
    return Attribution(_moments(model, x, target, generator, samples, level, output, rows)[1], None, output)


def _moments(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    generator: torch.Generator,
    samples: int,
    level: float,
    output: Output,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the noisy gradients, updated copy by copy (Welford), so that nothing cancels."""
    drawn = noisy_gradients(
        model, x, target, generator=generator, samples=samples, level=level, output=output, rows=rows
    )
    mean, scatter = torch.zeros_like(x), torch.zeros_like(x)
    for number, one in enumerate(drawn, start=1):
        off = one - mean
        mean += off / number
        scatter += off * (one - mean)
    return mean, scatter / samples
