"""What a network with random layers says, draw by draw.

    predict_members(model, x, samples=S)    p(y | x) = 1/S sum_s p(y | x, theta_s),   theta_s drawn from q

A member is one draw of everything that is random, the same for all rows of x.
"""

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.drawing import drawing
from weightlore.uncertainty.ensembles.members import Outputs, output_of
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["predict_members"]


def predict_members(
    model: nn.Module,
    x: Tensor,
    *,
    samples: int,
    generator: torch.Generator,
    noise_variance: float | None = None,
    batch_size: int = 1000,
) -> CategoricalPrediction | GaussianPrediction:
    """Return what S draws of a network say of N examples, without gradients and in evaluation mode.

        p(y | x) = 1/S sum_s p(y | x, theta_s)

    A model that returns one tensor classifies, and the tensor holds logits; one that returns a pair regresses, and the
    pair holds means and variances. With ``noise_variance`` one tensor holds means of a regression.

    Args:
        model: with one ``Stochastic`` layer or more; left as it is.
        x: inputs, shape (N, ...), N >= 1.
        samples: S, >= 1.
        generator: where the draws come from.
        noise_variance: of a target around its mean, >= 0, in its squared unit; ``None`` where the model does not
            return means alone.
        batch_size: examples per pass; the draws do not depend on it.

    Returns:
        A prediction of S members.

    Raises:
        ParameterError: if the model has no layer that draws, x is empty or not finite, an argument is out of range, or
            the outputs are not what they should be.

    Example:
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty.bayesian import variational
        >>> x, generator = torch.zeros(5, 64, dtype=torch.float64), torch.Generator().manual_seed(0)
        >>> predict_members(variational(healthy()), x, samples=4, generator=generator).probs.shape
        torch.Size([4, 5, 10])

    Source: [gawlikowski2023uncertainty], the predictive distribution as an average over parameters
    """
    require_counts(samples=samples, batch_size=batch_size)
    if len(x) == 0:
        raise ParameterError("x must hold at least one example, got none; was the selection empty?")
    require_finite("x", x)
    found: list[Outputs] = []
    for _ in range(samples):
        with drawing(model, generator, held=True):
            found.append(output_of(model, x, batch_size))
    alone = [output for output in found if isinstance(output, Tensor)]
    pairs = [output for output in found if not isinstance(output, Tensor)]
    if noise_variance is not None:
        return _around(alone, noise_variance)
    if alone:
        return CategoricalPrediction.from_logits(torch.stack(alone))
    means, variances = zip(*pairs, strict=True)
    return GaussianPrediction.from_members(torch.stack(means), torch.stack(variances))


def _around(means: list[Tensor], noise_variance: float) -> GaussianPrediction:
    """Return the prediction of members that say means, with the same noise around each."""
    if not means or not 0 <= noise_variance < torch.inf:
        raise ParameterError(
            f"noise_variance must be >= 0 and finite, and goes with a model that returns means alone, got "
            f"{noise_variance} and {'means' if means else 'a pair'}; leave it out where the model says its variance"
        )
    stacked = torch.stack(means)
    return GaussianPrediction.from_members(stacked, torch.full_like(stacked, noise_variance))
