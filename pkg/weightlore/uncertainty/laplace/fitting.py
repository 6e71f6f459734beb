"""From the words that choose an approximation to its curvature.

Terms            likelihood, structure, subset and the rest, checked together
fit_curvature    the curvature that they ask for
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.covered import Subset
from weightlore.uncertainty.laplace.diag import fit_diag
from weightlore.uncertainty.laplace.ekfac import fit_ekfac
from weightlore.uncertainty.laplace.full import CurvatureKind, FullCurvature, IndefiniteError, clipped, fit_full
from weightlore.uncertainty.laplace.kron import fit_kron
from weightlore.uncertainty.laplace.last_layer import fit_last_layer
from weightlore.uncertainty.laplace.lowrank import fit_lowrank
from weightlore.uncertainty.laplace.posterior import Curvature
from weightlore.uncertainty.laplace.roots import Likelihood
from weightlore.uncertainty.laplace.subnetwork import fit_subnetwork

__all__ = ["OnIndefinite", "Structure", "Terms", "fit_curvature"]

Structure = Literal["full", "diag", "kron", "ekfac", "lowrank"]
OnIndefinite = Literal["raise", "clip", "ggn"]
ByLayers = Callable[..., Curvature]


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


def fit_curvature(
    model: nn.Module, data: Split, terms: Terms, *, names: tuple[str, ...], tau: Tensor, batch_size: int
) -> Curvature:
    """Return the curvature that is asked for.

    Args:
        model: trained.
        data: N examples, those of training.
        terms: which curvature.
        names: of the parameters that are covered.
        tau: their prior precision, shape (P,).
        batch_size: examples per pass.

    Raises:
        ParameterError: if the data or the network do not fit.

    Source: [daxberger2021laplace]
    """
    group, noise = named(names), terms.noise_variance
    if terms.subset == "subnetwork":
        size = terms.size or 0
        return fit_subnetwork(model, data, terms.likelihood, size=size, tau=tau, noise_variance=noise, group=group)
    if terms.structure == "lowrank":
        rank = terms.rank or 0
        return fit_lowrank(model, data, terms.likelihood, rank=rank, noise_variance=noise, group=group)
    if terms.structure == "full" and (terms.subset == "all" or terms.curvature != "ggn"):
        return _definite(model, data, terms, names, tau)
    by_layers: dict[str, ByLayers] = {"full": fit_last_layer, "diag": fit_diag, "kron": fit_kron, "ekfac": fit_ekfac}
    found = by_layers[terms.structure]
    return found(model, data, terms.likelihood, noise_variance=noise, group=group, batch_size=batch_size)


def _definite(model: nn.Module, data: Split, terms: Terms, names: tuple[str, ...], tau: Tensor) -> FullCurvature:
    """Return a full curvature that is a precision with this prior, by the rule that was chosen."""
    full = fit_full(
        model,
        data,
        terms.likelihood,
        curvature=terms.curvature,
        noise_variance=terms.noise_variance,
        group=named(names),
    )
    if terms.curvature != "exact" or terms.on_indefinite == "raise":
        return full
    try:
        full.with_prior(tau)
    except IndefiniteError:
        if terms.on_indefinite == "clip":
            return clipped(full)
        return _definite(model, data, replace(terms, curvature="ggn"), names, tau)
    return full
