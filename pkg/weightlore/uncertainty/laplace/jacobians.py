"""How the outputs move with the parameters, example by example, in bounded memory.

J_i = d f(x_i) / d theta,   shape (C, P)

jacobians          pieces of outputs (n, C) and Jacobians (n, C, P), one after the other
curvature_rows     R_i^T J_i: the rows whose squares sum to the Gauss-Newton matrix
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import call, flatten
from weightlore.parameters.groups import Group
from weightlore.training import in_mode
from weightlore.uncertainty.laplace.roots import Likelihood, output_root

__all__ = ["curvature_rows", "jacobians"]

ENTRIES = 2**23  # of the Jacobians of one piece: 64 MiB in float64


def jacobians(
    model: nn.Module, x: Tensor, *, group: Group = None, entries: int = ENTRIES
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return outputs and their derivatives in the parameters, in pieces that fit into memory.

    Args:
        model: returns (N, C) for (N, ...); evaluation mode is set for each piece, and the model left as it is.
        x: inputs, shape (N, ...).
        group: which parameters; ``None`` for all that require a gradient.
        entries: how many numbers the Jacobians of a piece may have; a piece has one example at least.

    Yields:
        f, shape (n, C), and J, shape (n, C, P), in the dtype of the model, without a graph.

    Raises:
        ParameterError: if the model does not return a matrix, or one that is not finite.

    Example:
        >>> f, J = next(jacobians(nn.Linear(3, 2), torch.zeros(5, 3)))
        >>> J.shape
        torch.Size([5, 2, 8])

    Source: ours; the derivative itself is that of [khan2019approximate], the features of a linearized network
    """
    theta = flatten(model, group)
    with torch.no_grad(), in_mode(model, training=False):
        f = model(x[:1])
    if not isinstance(f, Tensor) or f.ndim != 2:
        raise ParameterError(
            f"the network must return a matrix (N, C), got {tuple(f.shape) if isinstance(f, Tensor) else type(f)}"
        )
    piece = max(1, entries // (f.shape[1] * len(theta)))

    def one(at: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        output = call(model, at, row[None], group)[0]
        return output, output

    derived = torch.func.vmap(torch.func.jacrev(one, has_aux=True), in_dims=(None, 0))
    for rows in x.split(piece):
        with in_mode(model, training=False):
            J, f = derived(theta, rows)
        yield require_finite("the outputs of the network", f.detach()), J.detach()


def curvature_rows(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    entries: int = ENTRIES,
) -> Iterator[Tensor]:
    """Return the rows v whose outer products sum to the Gauss-Newton matrix, in pieces.

        V_i = R_i^T J_i,   sum_i V_i^T V_i = sum_i J_i^T Lambda_i J_i

    Args:
        model: as for ``jacobians``.
        data: N examples.
        likelihood: what the outputs mean.
        noise_variance: of a regression's targets.
        group: which parameters.
        entries: as for ``jacobians``.

    Yields:
        V, shape (n C, P), float64.

    Raises:
        ParameterError: as ``jacobians``.

    Source: [khan2019approximate]
    """
    for f, J in jacobians(model, data.x, group=group, entries=entries):
        root = output_root(f.double(), likelihood, noise_variance=noise_variance)
        yield (root.mT @ J.double()).flatten(0, 1)
