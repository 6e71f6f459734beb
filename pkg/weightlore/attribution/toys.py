"""Functions small enough to attribute by hand, as networks with one logit.

Formula(function)      any function of rows as a network
saturated()            1 - relu(1 - x): at x = 2 the gradient is zero, and yet the function has risen by 1
quadratic(q)           z q z / 2, whose integral is known: (x - b) * q (x + b) / 2
two_relus()            relu(relu(x_1) - 1 - relu(x_2)): (1.5, -0.5) at (3, 1)
two_relus_rewired()    relu(relu(x_1 - 1) - relu(x_2)): the same function, wired otherwise
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite

__all__ = ["Formula", "quadratic", "saturated", "two_relus", "two_relus_rewired"]


class Formula(nn.Module):
    """A function of rows as a network with one logit and no parameters, in eval mode.

    Args:
        function: from inputs, shape (N, D), to one number for each, shape (N,).

    Example:
        >>> Formula(lambda z: z[:, 0] * z[:, 1])(torch.tensor([[2.0, 3.0]]))
        tensor([[6.]])

    Source: ours
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the one logit, shape (N, 1)."""
        return self.function(x)[:, None]


def saturated() -> Formula:
    """Return f(x) = 1 - relu(1 - x), for one input: it rises to 1 at x = 1 and then stays.

    Its gradient at x = 2 is zero; from a baseline of zero all of the rise belongs to the input.

    Source: [sundararajan2017axiomatic], section 2.1
    """
    return Formula(lambda z: 1 - torch.relu(1 - z[:, 0]))


def quadratic(q: Tensor) -> Formula:
    """Return f(x) = x q x / 2, for D inputs.

    Its integrated gradients are (x - b) * q (x + b) / 2, and one node in the middle finds them.

    Args:
        q: symmetric, shape (D, D).

    Raises:
        ParameterError: if q is not a symmetric matrix of finite numbers.

    Source: ours
    """
    if q.ndim != 2 or q.shape[0] != q.shape[1] or not torch.equal(require_finite("q", q), q.T):
        raise ParameterError(f"q must be a symmetric matrix, got shape {tuple(q.shape)}; take (q + q.T) / 2")
    return Formula(lambda z: ((z @ q) * z).sum(1) / 2)


def two_relus() -> Formula:
    """Return f(x) = relu(relu(x_1) - 1 - relu(x_2)), for two inputs.

    At (3, 1), from zero, the path is active from its middle on: 3 / 2 and -1 / 2.

    Source: [sundararajan2017axiomatic], the example of implementation invariance
    """
    return Formula(lambda z: torch.relu(torch.relu(z[:, 0]) - 1 - torch.relu(z[:, 1])))


def two_relus_rewired() -> Formula:
    """Return f(x) = relu(relu(x_1 - 1) - relu(x_2)): ``two_relus`` for every input, by other steps.

    What looks at the function alone finds the same for both; what looks at the steps need not.

    Source: [sundararajan2017axiomatic], the example of implementation invariance
    """
    return Formula(lambda z: torch.relu(torch.relu(z[:, 0] - 1) - torch.relu(z[:, 1])))
