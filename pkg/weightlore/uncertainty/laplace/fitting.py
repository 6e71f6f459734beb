"""From the words that choose an approximation to all that a fit finds.

fitted           curvature, mode, log likelihood and posterior
fit_curvature    the curvature that is asked for
prior_over       tau of every covered parameter
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import require_finite
from weightlore.networks.layered import require_counts
from weightlore.parameters import flatten, layout
from weightlore.training import in_mode
from weightlore.training.evaluation import require_fitting
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.covered import covered_by
from weightlore.uncertainty.laplace.diag import fit_diag
from weightlore.uncertainty.laplace.ekfac import fit_ekfac
from weightlore.uncertainty.laplace.full import FullCurvature, IndefiniteError, clipped, fit_full
from weightlore.uncertainty.laplace.kron import fit_kron
from weightlore.uncertainty.laplace.last_layer import fit_last_layer
from weightlore.uncertainty.laplace.lowrank import fit_lowrank
from weightlore.uncertainty.laplace.posterior import Curvature, Posterior, prior_named, prior_of
from weightlore.uncertainty.laplace.roots import log_likelihoods
from weightlore.uncertainty.laplace.subnetwork import fit_subnetwork
from weightlore.uncertainty.laplace.terms import Terms

__all__ = ["Fitted", "Prior", "fit_curvature", "fitted", "prior_over"]

Prior = float | Tensor | dict[str, float]
ByLayers = Callable[..., Curvature]
Instead = Callable[[], FullCurvature] | None


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit finds, all of it or nothing.

    Args:
        names: of the covered parameters.
        curvature: H.
        mode: theta_MAP, shape (P,), float64.
        log_likelihood: of the training data at the mode, in nats.
        posterior: under the prior.
        instead: makes what is taken where an exact curvature is no precision; ``None`` if that is an error.
        mended: whether it has been taken.

    Source: ours
    """

    names: tuple[str, ...]
    curvature: Curvature
    mode: Tensor
    log_likelihood: float
    posterior: Posterior
    instead: Instead = None
    mended: bool = False

    def under(self, tau: Tensor) -> "Fitted":
        """Return the same under another prior.

        Args:
            tau: prior precision, shape (P,).

        Raises:
            ParameterError: if H + diag(tau) is no precision, and nothing is taken instead.
        """
        curvature, posterior, mended = _settled(self.curvature, tau, None if self.mended else self.instead)
        return replace(self, curvature=curvature, posterior=posterior, mended=self.mended or mended)


def fitted(model: nn.Module, data: Split, terms: Terms, *, prior: Prior, batch_size: int) -> Fitted:
    """Return all that is to be known of the parameters of a trained network.

    Args:
        model: trained; used in evaluation mode and left as it is.
        data: N examples, those of training.
        terms: what is approximated and how.
        prior: tau, in any of its three forms.
        batch_size: examples per pass.

    Raises:
        ParameterError: if the data or the network do not fit, or H + diag(tau) is no precision.

    Warns:
        UncertaintyWarning: if parameters are left out.

    Source: [daxberger2021laplace]
    """
    require_counts(batch_size=batch_size)
    require_fitting(model, data)
    names = covered_by(model, data.x, terms.subset, stacklevel=3)
    tau = prior_over(model, names, prior)
    likely = _log_likelihood(model, data, terms, batch_size)
    found = fit_curvature(model, data, terms, names=names, tau=tau, batch_size=batch_size)
    instead = _instead(model, data, terms, found)
    curvature, posterior, mended = _settled(found, tau, instead)
    mode = flatten(model, named(names)).double()
    return Fitted(names, curvature, mode, likely, posterior, instead, mended)


def prior_over(model: nn.Module, names: tuple[str, ...], prior: Prior) -> Tensor:
    """Return the prior precision of every covered parameter, shape (P,), float64.

    Args:
        model: whose parameters they are.
        names: of the covered ones.
        prior: tau for all, for each, shape (P,), or by names of parameters or layers.

    Raises:
        ParameterError: as ``prior_of`` and ``prior_named``.

    Source: [mackay1992practical]
    """
    covered = layout(model, named(names))
    return prior_named(prior, covered) if isinstance(prior, dict) else prior_of(prior, covered.size)


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
        kind = terms.curvature
        return fit_full(model, data, terms.likelihood, curvature=kind, noise_variance=noise, group=group)
    by_layers: dict[str, ByLayers] = {"full": fit_last_layer, "diag": fit_diag, "kron": fit_kron, "ekfac": fit_ekfac}
    found = by_layers[terms.structure]
    return found(model, data, terms.likelihood, noise_variance=noise, group=group, batch_size=batch_size)


def _instead(model: nn.Module, data: Split, terms: Terms, found: Curvature) -> Instead:
    """Return what makes the curvature that the chosen rule takes for an exact one that is no precision."""
    if terms.curvature != "exact" or terms.on_indefinite == "raise" or not isinstance(found, FullCurvature):
        return None
    if terms.on_indefinite == "clip":
        return partial(clipped, found)
    noise, group = terms.noise_variance, named(found.names)
    return partial(fit_full, model, data, terms.likelihood, noise_variance=noise, group=group)


def _settled(curvature: Curvature, tau: Tensor, instead: Instead) -> tuple[Curvature, Posterior, bool]:
    """Return a curvature that is a precision under the prior, the posterior, and whether it is another one."""
    try:
        return curvature, curvature.with_prior(tau), False
    except IndefiniteError:
        if instead is None:
            raise
    other = instead()
    return other, other.with_prior(tau), True


@torch.no_grad()
def _log_likelihood(model: nn.Module, data: Split, terms: Terms, batch_size: int) -> float:
    total = 0.0
    with in_mode(model, training=False):
        for rows in torch.arange(len(data)).split(batch_size):
            batch = data[rows]
            f = require_finite("the outputs of the network", model(batch.x)).double()
            total += float(log_likelihoods(f, batch.y, terms.likelihood, noise_variance=terms.noise_variance).sum())
    return total
