"""From the words that choose an approximation to all that a fit finds.

fitted           curvature, mode, log likelihood and posterior
fit_curvature    the curvature that is asked for
prior_over       tau of every covered parameter
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from weightlore.data import Split
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


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit finds, all of it or nothing.

    Args:
        names: of the covered parameters.
        curvature: H.
        mode: theta_MAP, shape (P,), float64.
        log_likelihood: of the training data at the mode, in nats.
        posterior: under the prior.

    Source: ours
    """

    names: tuple[str, ...]
    curvature: Curvature
    mode: Tensor
    log_likelihood: float
    posterior: Posterior


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
    curvature = fit_curvature(model, data, terms, names=names, tau=tau, batch_size=batch_size)
    mode, posterior = flatten(model, named(names)).double(), curvature.with_prior(tau)
    return Fitted(names, curvature, mode, _log_likelihood(model, data, terms, batch_size), posterior)


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


@torch.no_grad()
def _log_likelihood(model: nn.Module, data: Split, terms: Terms, batch_size: int) -> float:
    total = 0.0
    with in_mode(model, training=False):
        for rows in torch.arange(len(data)).split(batch_size):
            batch = data[rows]
            f = model(batch.x).double()
            total += float(log_likelihoods(f, batch.y, terms.likelihood, noise_variance=terms.noise_variance).sum())
    return total
