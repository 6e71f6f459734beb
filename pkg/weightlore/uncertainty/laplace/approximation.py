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
from typing import Literal, Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.covered import Subset
from weightlore.uncertainty.laplace.fitting import Fitted, Prior, fitted, prior_over
from weightlore.uncertainty.laplace.full import CurvatureKind
from weightlore.uncertainty.laplace.posterior import Curvature, Posterior
from weightlore.uncertainty.laplace.predicting import Link, Prediction, drawn, functional, joint, said, shown
from weightlore.uncertainty.laplace.roots import Likelihood
from weightlore.uncertainty.laplace.terms import OnIndefinite, Structure, Terms, described

__all__ = ["Kind", "Laplace", "Link", "Prediction"]

Kind = Literal["linearized", "mc_weights"]


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
        prior_precision: Prior = 1.0,
        noise_variance: float = 1.0,
        curvature: CurvatureKind = "ggn",
        rank: int | None = None,
        size: int | None = None,
        on_indefinite: OnIndefinite = "raise",
    ) -> None:
        self.model, self.prior_precision = model, prior_precision
        self.terms = Terms(likelihood, structure, subset, noise_variance, curvature, rank, size, on_indefinite)
        self.tuned = False
        self._fitted: Fitted | None = None

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
        self._fitted = fitted(self.model, data, self.terms, prior=self.prior_precision, batch_size=batch_size)
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
        return prior_over(self.model, self._known().names, self.prior_precision)

    def with_prior(self, prior_precision: Prior) -> "Laplace":
        """Return the same approximation under another prior, without another pass over the data.

        Args:
            prior_precision: tau, as in the constructor; ``on_indefinite`` holds under it (the data pass for ``"ggn"``).

        Returns:
            Another object; this one stays as it is.

        Raises:
            ParameterError: if nothing has been fitted, or H + diag(tau) is no precision.
        """
        found, other = self._known(), copy.copy(self)
        other.prior_precision, other.tuned = prior_precision, True
        other._fitted = found.under(other.tau)
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
        return functional(self.posterior, self.model, x, group=self._group)

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of the outputs of all examples together.

        Args:
            x: a few inputs, shape (N, ...): the Jacobian of all of them is held at once.

        Returns:
            Means (N C,) and covariance (N C, N C), float64, the outputs of an example side by side.

        Raises:
            ParameterError: as ``functional``.
        """
        return joint(self.posterior, self.model, x, group=self._group)

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
        found = self._known()
        if kind == "mc_weights":
            return drawn(found, self.model, x, self.terms, samples=samples, generator=generator)
        pieces = shown(found.posterior, self.model, x, group=self._group)
        return said(found.posterior, pieces, self.terms, link=link, samples=samples, generator=generator)

    def summary(self) -> str:
        """Return in words what has been approximated, and what has not.

        Raises:
            ParameterError: if nothing has been fitted.
        """
        return described(self.terms, self.curvature.size, self.tau, tuned=self.tuned, mended=self._known().mended)

    @property
    def _group(self) -> Group:
        return named(self._known().names)

    def _known(self) -> Fitted:
        if self._fitted is None:
            raise ParameterError("there is no curvature yet; call fit(data) with the examples of training first")
        return self._fitted
