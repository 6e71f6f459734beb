"""The words that choose an approximation.

Terms        likelihood, structure, subset and the rest, checked together
described    what has been approximated, and what has not
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.laplace.covered import Subset
from weightlore.uncertainty.laplace.full import CurvatureKind
from weightlore.uncertainty.laplace.roots import Likelihood

__all__ = ["OnIndefinite", "Structure", "Terms", "described"]

Structure = Literal["full", "diag", "kron", "ekfac", "lowrank"]
OnIndefinite = Literal["raise", "clip", "ggn"]


@dataclass(frozen=True)
class Terms:
    """What is approximated and how.

    Args:
        likelihood: as for ``Laplace``, like the rest.
        structure: of the precision.
        subset: which parameters.
        noise_variance: of a regression's targets.
        curvature: which matrix.
        rank: for ``"lowrank"``.
        size: for the subnetwork.
        on_indefinite: what to do where a matrix is no precision.

    Raises:
        ParameterError: if an option is unknown, or does not go with the others.

    Source: ours
    """

    likelihood: Likelihood
    structure: Structure
    subset: Subset
    noise_variance: float
    curvature: CurvatureKind
    rank: int | None
    size: int | None
    on_indefinite: OnIndefinite

    def __post_init__(self) -> None:
        require_option("likelihood", self.likelihood, Likelihood)
        require_option("structure", self.structure, Structure)
        require_option("subset", self.subset, Subset)
        require_option("curvature", self.curvature, CurvatureKind)
        require_option("on_indefinite", self.on_indefinite, OnIndefinite)
        if not 0 < self.noise_variance < float("inf"):
            raise ParameterError(f"noise_variance must be > 0 and finite, got {self.noise_variance}")
        if self.likelihood == "classification" and self.noise_variance != 1:
            raise ParameterError("noise_variance is of a regression's targets; leave it out in a classification")
        if self.curvature != "ggn" and (self.structure != "full" or self.subset == "subnetwork"):
            raise ParameterError(f'curvature={self.curvature!r} is taken as a full matrix only: structure="full"')
        if (self.rank is None) == (self.structure == "lowrank"):
            raise ParameterError(f'rank goes with structure="lowrank", got {self.rank} with {self.structure!r}')
        if (self.size is None) == (self.subset == "subnetwork"):
            raise ParameterError(f'size goes with subset="subnetwork", got {self.size} with {self.subset!r}')
        if self.subset == "subnetwork" and self.structure != "full":
            raise ParameterError('a subnetwork has a full precision: say structure="full" with subset="subnetwork"')


def described(terms: Terms, size: int, tau: Tensor, *, tuned: bool, mended: bool = False) -> str:
    """Return in words what has been approximated, and what has not.

    Args:
        terms: what was asked for.
        size: P.
        tau: prior precision, shape (P,).
        tuned: whether it was changed after training.
        mended: whether an exact second derivative was no precision, so that the rule for it was followed.

    Source: ours
    """
    prior = f"{float(tau[0]):g}" if bool((tau == tau[0]).all()) else f"{float(tau.min()):g} to {float(tau.max()):g}"
    count = str(size) if terms.size is None else f"{terms.size} of {size}"
    lines = [
        f"Laplace approximation of {count} parameters, structure {terms.structure!r}, subset {terms.subset!r}, "
        f"curvature {terms.curvature!r}, prior precision {prior}.",
        "It is local: one Gaussian around one mode.",
    ]
    if mended:
        done = {
            "clip": "its negative eigenvalues were set to zero",
            "ggn": "the Gauss-Newton matrix was taken instead",
        }
        lines.append(f"The exact second derivative is no precision here: {done[terms.on_indefinite]}.")
    if tuned:
        lines.append(
            "The prior precision was changed after training: the parameters are no mode under it, so that this is an "
            "empirical width and not the Laplace approximation of that model."
        )
    return "\n".join(lines)
