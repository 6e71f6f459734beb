"""A precision of two small factors for each layer: one of its inputs, one of what comes back to its outputs.

A = 1/(N T) sum_n sum_t (a_nt, 1) (a_nt, 1)^T,   G = sum_n sum_k sum_t g_nkt g_nkt^T,   H ~ A (x) G

The two are averaged apart, which is exact for one example, and for a linear model whose Lambda is constant. T is the
number of places that share the weights: 1 in a linear layer, the output pixels of a convolution, which are taken as
independent (the *expand* form; the other choice, *reduce*, sums over places before squaring). H is a sum over the data,
so the factor 1/N stands once, in A.

    fit_kron             -> RotatedCurvature: eigenvectors of A and G, S = products of their eigenvalues
    kronecker_factors    A and G of each layer
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.blocks import Matrices, matrices_of, named
from weightlore.uncertainty.laplace.diag import root_directions
from weightlore.uncertainty.laplace.roots import Likelihood
from weightlore.uncertainty.laplace.rotated import Bases, RotatedCurvature

__all__ = ["KroneckerFactors", "fit_kron", "kronecker_factors"]

ROUNDING = 1e-14  # share of the largest eigenvalue that single precision leaves, squared, where the true one is zero


@dataclass(frozen=True, eq=False)
class KroneckerFactors:
    """The two factors of each layer.

    Args:
        matrices: of the layers.
        inputs: A of each, shape (in, in), a mean over examples and places, float64.
        outputs: G of each, shape (out, out), a sum over examples and places, float64.

    Source: [martens2015kfac]; [grosse2016conv]
    """

    matrices: Matrices
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def curvature(self) -> RotatedCurvature:
        """Return H = A (x) G by its eigenvectors and the products of the eigenvalues.

        A prior then adds to each product, exactly; it is not split among the factors. An eigenvalue that is rounding
        alone, as that of a constant added to all logits, is zero: without a prior there is no precision then.
        """
        values, bases = [], []
        for A, G in zip(self.inputs, self.outputs, strict=True):
            along, U_A = torch.linalg.eigh(A)
            across, U_G = torch.linalg.eigh(G)
            values.append(torch.outer(_without_rounding(across), _without_rounding(along)))
            bases.append(Bases(U_A, U_G))
        return RotatedCurvature(self.matrices, tuple(values), tuple(bases))


def _without_rounding(rising: Tensor) -> Tensor:
    """Return eigenvalues with those at zero that rounding cannot tell from it."""
    return torch.where(rising > len(rising) * ROUNDING * rising[-1], rising, 0.0)


def fit_kron(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    batch_size: int = 500,
) -> RotatedCurvature:
    """Return the Kronecker-factored curvature of every layer; layers are independent of one another.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        noise_variance: s2 > 0, of a regression's targets.
        group: which parameters, of linear and convolutional layers; ``None`` for all that require a gradient.
        batch_size: examples per pass; the result does not depend on it but for rounding.

    Returns:
        The curvature, a sum over the data.

    Raises:
        ParameterError: if a layer has no matrix (see ``matrices_of``), or the data do not fit.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> fit_kron(healthy(), digits("validation"), "classification").size
        6570

    Source: [ritter2018laplace], with the factors of [martens2015kfac] and [grosse2016conv]
    """
    return kronecker_factors(
        model, data, likelihood, noise_variance=noise_variance, group=group, batch_size=batch_size
    ).curvature()


def kronecker_factors(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    batch_size: int = 500,
) -> KroneckerFactors:
    """Return the factors A and G of every layer.

    Args:
        model: as for ``fit_kron``, like the rest.
        data: N examples.
        likelihood: what the outputs mean.
        noise_variance: of a regression's targets.
        group: which parameters.
        batch_size: examples per pass.

    Raises:
        ParameterError: as ``fit_kron``.

    Example:
        >>> data = Split(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1))
        >>> factors = kronecker_factors(nn.Linear(1, 1, bias=False), data, "regression")
        >>> float(factors.inputs[0]), float(factors.outputs[0])
        (2.5, 2.0)

    Source: [martens2015kfac]; [grosse2016conv]
    """
    which = matrices_of(model, group)
    shapes = [block.places.shape for block in which.blocks]
    inputs = [torch.zeros(width, width, dtype=torch.float64, device=data.x.device) for _, width in shapes]
    outputs = [torch.zeros(height, height, dtype=torch.float64, device=data.x.device) for height, _ in shapes]
    counts = [0] * len(shapes)
    for found in root_directions(
        model, data, likelihood, noise_variance=noise_variance, group=named(which.names), batch_size=batch_size
    ):
        for i, (a, g) in enumerate(zip(found.inputs, found.backward, strict=True)):
            rows, back = a.flatten(0, 1).double(), g.flatten(0, 2).double()
            inputs[i] += rows.mT @ rows
            outputs[i] += back.mT @ back
            counts[i] += len(rows)
    means = tuple(A / count for A, count in zip(inputs, counts, strict=True))
    return KroneckerFactors(which, means, tuple(outputs))
