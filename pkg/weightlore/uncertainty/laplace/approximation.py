"""A Gaussian posterior around the trained parameters, and what it predicts.

    theta ~ N(theta_MAP, (H + diag(tau))^-1)

    Laplace(model, likelihood, structure=...)     which precision, over which parameters
    .fit(data)                                    H, a sum over the data of training
    .functional(x)                                f ~ N(f_MAP(x), J A^-1 J^T), the linearized network
    .predict(x, kind=..., link=...)               class probabilities, a Dirichlet, or a Gaussian
    .with_prior(tau)                              the same curvature under another prior

The parameters are taken to be a mode under the prior with which they were trained: weight decay w on the mean loss of N
examples is tau = N w. Another tau afterwards is an empirical correction of the width, and ``summary`` says so.
"""

import copy
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import require_counts
from weightlore.parameters import call, flatten, layout
from weightlore.parameters.groups import Group
from weightlore.training import in_mode
from weightlore.training.evaluation import require_fitting
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.covered import Subset, covered_by
from weightlore.uncertainty.laplace.fitting import OnIndefinite, Structure, Terms, fit_curvature
from weightlore.uncertainty.laplace.full import CurvatureKind
from weightlore.uncertainty.laplace.jacobians import jacobians
from weightlore.uncertainty.laplace.links import bridge_alpha, probit_probs, sampled_probs
from weightlore.uncertainty.laplace.posterior import Curvature, Functional, Posterior, Spread, prior_of
from weightlore.uncertainty.laplace.roots import Likelihood, log_likelihoods
from weightlore.uncertainty.predictions import CategoricalPrediction, DirichletPrediction, GaussianPrediction

__all__ = ["Kind", "Laplace", "Link", "Prediction"]

Kind = Literal["linearized", "mc_weights"]
Link = Literal["probit", "mc", "bridge"]
Prediction = CategoricalPrediction | DirichletPrediction | GaussianPrediction


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What ``fit`` finds, all of it or nothing: names of the parameters, H, theta_MAP, log likelihood, posterior."""

    names: tuple[str, ...]
    curvature: Curvature
    mode: Tensor
    log_likelihood: float
    posterior: Posterior


class Laplace:
    """A Gaussian around the parameters of a trained network.

        p(theta | D) ~ N(theta_MAP, A^-1),   A = H + diag(tau)

    Args:
        model: trained, returns logits (N, C) or means (N, C); it is used in evaluation mode and never changed.
        likelihood: what the outputs mean.
        structure: of A: ``"full"`` up to 3,000 parameters, ``"diag"``, ``"kron"`` (two factors for each layer),
            ``"ekfac"`` (their eigenvectors with fitted eigenvalues), or ``"lowrank"``.
        subset: ``"all"`` parameters but those of normalizations; those of the ``"last_layer"``; or the
            ``"subnetwork"`` of the most uncertain ones, which has a full precision.
        prior_precision: tau, for all parameters, for each, shape (P,), or by names of parameters or layers.
        noise_variance: s2, of a regression's targets.
        curvature: the Gauss-Newton matrix ``"ggn"``; for the full structure also the ``"exact"`` second derivative or
            the empirical ``"fisher"`` matrix.
        rank: r, for ``"lowrank"``.
        size: m, for the subnetwork.
        on_indefinite: what to do where an exact second derivative is no precision: ``"raise"``, ``"clip"`` its negative
            eigenvalues, or take the ``"ggn"`` instead.

    Raises:
        ParameterError: if an option is unknown, or does not go with the others.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> posterior = Laplace(healthy("mlp"), "classification", subset="last_layer", structure="full")
        >>> posterior.fit(digits("train")).predict(digits("test").x[:5]).mean.shape
        torch.Size([5, 10])

    Source: [mackay1992practical]; [ritter2018laplace], Kronecker factors; [daxberger2021laplace], as a tool
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood,
        *,
        structure: Structure = "kron",
        subset: Subset = "all",
        prior_precision: float | Tensor | dict[str, float] = 1.0,
        noise_variance: float = 1.0,
        curvature: CurvatureKind = "ggn",
        rank: int | None = None,
        size: int | None = None,
        on_indefinite: OnIndefinite = "raise",
    ) -> None:
        self.model, self.prior_precision = model, prior_precision
        self.terms = Terms(likelihood, structure, subset, noise_variance, curvature, rank, size, on_indefinite)
        self.tuned = False
        self._fitted: _Fitted | None = None

    def fit(self, data: Split, *, batch_size: int = 500) -> Self:
        """Take the curvature at the parameters of the model; a second call begins anew.

        Args:
            data: the N examples of training, without augmentation.
            batch_size: examples per pass; the result does not depend on it beyond rounding.

        Returns:
            This object.

        Raises:
            ParameterError: if the data do not fit the model or the likelihood, or H + diag(tau) is no precision.

        Warns:
            UncertaintyWarning: if parameters are left out.
        """
        require_counts(batch_size=batch_size)
        require_fitting(self.model, data)
        names = covered_by(self.model, data.x, self.terms.subset)
        tau = self._tau(self.prior_precision, names)
        curvature = fit_curvature(self.model, data, self.terms, names=names, tau=tau, batch_size=batch_size)
        mode, likelihood = flatten(self.model, named(names)).double(), self._log_likelihood(data, batch_size)
        self._fitted = _Fitted(names, curvature, mode, likelihood, curvature.with_prior(tau))
        return self

    @property
    def curvature(self) -> Curvature:
        """H, without the prior."""
        return self._known().curvature

    @property
    def posterior(self) -> Posterior:
        """The Gaussian over deviations from the trained parameters."""
        return self._known().posterior

    @property
    def mode(self) -> Tensor:
        """The trained parameters that are covered, theta_MAP, shape (P,), float64."""
        return self._known().mode

    @property
    def log_likelihood(self) -> float:
        """Of the training data at the trained parameters, ln p(D | theta_MAP), in nats."""
        return self._known().log_likelihood

    @property
    def tau(self) -> Tensor:
        """The prior precision of every covered parameter, shape (P,), float64."""
        return self._tau(self.prior_precision, self._known().names)

    def with_prior(self, prior_precision: float | Tensor | dict[str, float]) -> "Laplace":
        """Return the same approximation under another prior, without another pass over the data.

        Args:
            prior_precision: tau, as in the constructor.

        Returns:
            Another object; this one stays as it is.

        Raises:
            ParameterError: if nothing has been fitted, or H + diag(tau) is no precision.
        """
        found, other = self._known(), copy.copy(self)
        other.prior_precision, other.tuned = prior_precision, True
        other._fitted = replace(found, posterior=found.curvature.with_prior(other.tau))
        return other

    def functional(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of the outputs of the linearized network.

            f(x) ~ N(f_MAP(x), J(x) A^-1 J(x)^T)

        Args:
            x: inputs, shape (N, ...).

        Returns:
            Means (N, C) and covariances (N, C, C), float64; the noise of a regression is not in them.

        Raises:
            ParameterError: if nothing has been fitted, or x is empty or not finite.
        """
        posterior, group = self.posterior, self._group
        self._require_inputs(x)
        if isinstance(posterior, Functional):
            return posterior.functional(self.model, x)
        pieces = [(f.double(), posterior.covariance(J)) for f, J in jacobians(self.model, x, group=group)]
        means, covariances = zip(*pieces, strict=True)
        return torch.cat(means), torch.cat(covariances)

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of the outputs of all examples together.

        Args:
            x: a few inputs, shape (N, ...): the Jacobian of all of them is held at once.

        Returns:
            Means (N C,) and covariance (N C, N C), float64, the outputs of an example side by side.

        Raises:
            ParameterError: as ``functional``.
        """
        posterior = self.posterior
        self._require_inputs(x)
        pieces = list(jacobians(self.model, x, group=self._group))
        J = torch.cat([J for _, J in pieces]).flatten(0, 1)
        return torch.cat([f.double() for f, _ in pieces]).flatten(), posterior.covariance(J[None])[0]

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return parameters drawn from the posterior, shape (S, P), float64.

        Args:
            samples: S.
            generator: where they come from.

        Raises:
            ParameterError: if nothing has been fitted, or samples is below 1.
        """
        require_counts(samples=samples)
        return self.mode + self.posterior.sample(samples, generator=generator)

    def predict(
        self,
        x: Tensor,
        *,
        kind: Kind = "linearized",
        link: Link = "probit",
        samples: int = 100,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Return what the network says of N examples when its parameters are uncertain.

        Args:
            x: inputs, shape (N, ...).
            kind: ``"linearized"`` in the parameters, in closed form; or ``"mc_weights"``, networks with drawn weights,
                which for a Gauss-Newton matrix can be far worse, because it is the curvature of the linearized one.
            link: from Gaussian logits to probabilities, for a linearized classification: one number for each class
                (``"probit"``), draws (``"mc"``) or a Dirichlet (``"bridge"``).
            samples: S, of what is drawn.
            generator: where draws come from; needed for ``"mc"`` and ``"mc_weights"`` only.

        Returns:
            Of a classification class probabilities, of S members where there are draws and of one else, or a Dirichlet
            for the bridge. Of a regression a Gaussian whose aleatoric variance is the noise.

        Raises:
            ParameterError: if nothing has been fitted, an option is unknown, a generator is missing, or a link is asked
                for where there is none: with drawn weights, or in a regression.
        """
        require_option("kind", kind, Kind)
        require_option("link", link, Link)
        if link != "probit" and (kind == "mc_weights" or self.terms.likelihood == "regression"):
            raise ParameterError(f"link={link!r} is of a linearized classification; leave it out of this prediction")
        if kind == "mc_weights":
            return self._drawn(x, samples, _given(generator, kind))
        mean, covariance = self._spread(x) if link == "probit" else self.functional(x)
        if self.terms.likelihood == "regression":
            epistemic = (covariance if covariance.ndim == 2 else covariance.diagonal(dim1=-2, dim2=-1)).clamp(min=0)
            return GaussianPrediction(mean, torch.full_like(mean, self.terms.noise_variance), epistemic)
        if link == "bridge":
            return DirichletPrediction(bridge_alpha(mean, covariance))
        if link == "mc":
            drawn = sampled_probs(mean, covariance, samples=samples, generator=_given(generator, link))
            return CategoricalPrediction(drawn)
        return CategoricalPrediction(probit_probs(mean, covariance)[None])

    def summary(self) -> str:
        """Return in words what has been approximated, and what has not.

        Raises:
            ParameterError: if nothing has been fitted.
        """
        curvature, terms = self.curvature, self.terms
        tau = self.tau
        prior = f"{float(tau[0]):g}" if bool((tau == tau[0]).all()) else f"{float(tau.min()):g} to {float(tau.max()):g}"
        lines = [
            f"Laplace approximation of {curvature.size} parameters, structure {terms.structure!r}, subset "
            f"{terms.subset!r}, curvature {terms.curvature!r}, prior precision {prior}.",
            "It is local: one Gaussian around one mode.",
        ]
        if self.tuned:
            lines.append(
                "The prior precision was changed after training: the parameters are no mode under it, so that this is "
                "an empirical width and not the Laplace approximation of that model."
            )
        return "\n".join(lines)

    def _spread(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and covariances, or variances (N, C) alone where they will do and there is a shorter way."""
        posterior = self.posterior
        self._require_inputs(x)
        if isinstance(posterior, Spread):
            mean, variances = posterior.variances(self.model, x)
            if mean.shape[1] != 2 or self.terms.likelihood == "regression":  # two classes need their covariance
                return mean, variances
        return self.functional(x)

    def _drawn(self, x: Tensor, samples: int, generator: torch.Generator) -> Prediction:
        """Return the prediction of networks with drawn parameters."""
        self._require_inputs(x)
        group = self._group
        like = flatten(self.model, group)
        thetas = self.sample(samples, generator=generator).to(like)
        with torch.no_grad(), in_mode(self.model, training=False):
            outputs = torch.stack([call(self.model, theta, x, group) for theta in thetas])
        if self.terms.likelihood == "classification":
            return CategoricalPrediction.from_logits(outputs)
        return GaussianPrediction.from_members(outputs, torch.full_like(outputs, self.terms.noise_variance))

    @torch.no_grad()
    def _log_likelihood(self, data: Split, batch_size: int) -> float:
        total, terms = 0.0, self.terms
        with in_mode(self.model, training=False):
            for rows in torch.arange(len(data)).split(batch_size):
                batch = data[rows]
                f = self.model(batch.x).double()
                found = log_likelihoods(f, batch.y, terms.likelihood, noise_variance=terms.noise_variance)
                total += float(found.sum())
        return total

    def _tau(self, given: float | Tensor | dict[str, float], names: tuple[str, ...]) -> Tensor:
        """Return the prior precision of every covered parameter."""
        slots = layout(self.model, named(names)).slots
        if not isinstance(given, dict):
            return prior_of(given, slots[-1].stop)
        missing = [slot.name for slot in slots if slot.name not in given and slot.layer not in given]
        if missing:
            raise ParameterError(f"prior_precision names {sorted(given)}, and nothing for {missing}")
        each = [torch.full((slot.size,), float(given.get(slot.name, given.get(slot.layer, 0.0)))) for slot in slots]
        return prior_of(torch.cat(each).double(), slots[-1].stop)

    @property
    def _group(self) -> Group:
        """The covered parameters, as ``weightlore.parameters`` takes them."""
        return named(self._known().names)

    def _known(self) -> "_Fitted":
        if self._fitted is None:
            raise ParameterError("there is no curvature yet; call fit(data) with the examples of training first")
        return self._fitted

    def _require_inputs(self, x: Tensor) -> None:
        if len(x) == 0:
            raise ParameterError("x must hold at least one example, got none; was the selection empty?")
        require_finite("x", x)


def _given(generator: torch.Generator | None, what: str) -> torch.Generator:
    if generator is None:
        raise ParameterError(f"{what!r} draws at random: give generator=torch.Generator().manual_seed(0)")
    return generator
