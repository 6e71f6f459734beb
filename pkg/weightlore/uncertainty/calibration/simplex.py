"""Points of the simplex drawn from a symmetric Dirichlet distribution, also for concentrations near zero.

draw_simplex    w ~ Dirichlet(a, ..., a)
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["draw_simplex"]


def draw_simplex(concentration: float, shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
    """Return weights that sum to 1 over the last axis.

        ln x_k = ln Gamma(a + 1) + ln(u_k) / a,   w = softmax(ln x)

    where Gamma(a + 1) stands for a draw: a draw of Gamma(a) is that times u^(1/a). In logarithms nothing underflows,
    which the usual quotient of draws does for small a.

    Args:
        concentration: a, > 0. At 1 all points are equally likely, near 0 the corners, for large a the middle.
        shape: of the result; the last axis holds the weights. For a Beta(a, a) number take two and the first.
        generator: it advances.

    Returns:
        Weights, float64.

    Raises:
        ParameterError: if the concentration is not a finite number above zero.

    Source: ours, because draws of [zhang2018mixup] and [hendrycks2020augmix] must come from a generator
    """
    if (
        isinstance(concentration, bool)
        or not isinstance(concentration, int | float)
        or not 0 < concentration < math.inf
    ):
        raise ParameterError(f"a concentration is a finite number above 0, got {concentration!r}")
    full = torch.full(shape, concentration + 1.0, dtype=torch.float64, device=generator.device)
    gamma = torch._standard_gamma(full, generator=generator)
    u = 1 - torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)  # in (0, 1]
    return (gamma.log() + u.log() / concentration).softmax(-1)
