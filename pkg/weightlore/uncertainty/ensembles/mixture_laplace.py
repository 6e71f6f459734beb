"""Several Gaussians instead of one: a Laplace approximation around each member of an ensemble.

p(theta | D) ~ 1/M sum_m N(theta_m, A_m^-1)

MixtureLaplace(parts).predict(x)    members tell modes apart, their Gaussians the spread around each
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.laplace.approximation import Laplace, Link
from weightlore.uncertainty.predictions import CategoricalPrediction, GaussianPrediction

__all__ = ["MixtureLaplace"]


@dataclass(frozen=True, eq=False)
class MixtureLaplace:
    """An equal mixture of Laplace approximations around several networks.

        p(y | x) = 1/M sum_m p(y | x, theta ~ N(theta_m, A_m^-1))

    Args:
        parts: M fitted approximations of one likelihood, from trainings with initial weights of their own.

    Raises:
        ParameterError: if there is none, one has not been fitted, or they have different likelihoods.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import mlp
        >>> parts = []
        >>> for seed in range(2):
        ...     net = mlp((64, 8, 10), generator=torch.Generator().manual_seed(seed))
        ...     part = Laplace(net, "classification", subset="last_layer", structure="full")
        ...     parts.append(part.fit(digits("validation")))
        >>> MixtureLaplace(tuple(parts)).predict(digits("test").x[:5]).probs.shape
        torch.Size([2, 5, 10])

    Source: [eschenhagen2021mixtures], with equal weights
    """

    parts: Sequence[Laplace]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or not all(isinstance(part, Laplace) for part in self.parts):
            raise ParameterError(f"a mixture has one Laplace approximation at least for its parts, got {self.parts!r}")
        for part in self.parts:
            _ = part.posterior  # says that it has not been fitted
        kinds = {part.terms.likelihood for part in self.parts}
        if len(kinds) > 1:
            raise ParameterError(f"the parts of a mixture have one likelihood, got {sorted(kinds)}")

    def __len__(self) -> int:
        """M, how many parts there are."""
        return len(self.parts)

    def predict(
        self, x: Tensor, *, link: Link = "probit", samples: int = 100, generator: torch.Generator | None = None
    ) -> CategoricalPrediction | GaussianPrediction:
        """Return what the mixture says of N examples, each part linearized around its own network.

        Args:
            x: inputs, shape (N, ...).
            link: ``"probit"`` or ``"mc"``, as for ``Laplace.predict``; a mixture of Dirichlets is none.
            samples: S, drawn from each part, for ``"mc"``.
            generator: where draws come from.

        Returns:
            Class probabilities of M members, or of M S with draws; or the Gaussian with the moments of the mixture.

        Raises:
            ParameterError: as ``Laplace.predict``, for another link, or if the networks differ in their outputs.
        """
        require_option("link", link, Link)
        if link == "bridge":
            raise ParameterError('a mixture of Dirichlet distributions is none; take link="probit" or "mc"')
        said = [part.predict(x, link=link, samples=samples, generator=generator) for part in self.parts]
        counts = {one.mean.shape[-1] for one in said}
        if len(counts) > 1:
            raise ParameterError(f"the networks of a mixture have one number of outputs, got {sorted(counts)}")
        classes = [one for one in said if isinstance(one, CategoricalPrediction)]
        if classes:
            return CategoricalPrediction(torch.cat([one.probs for one in classes]))
        return _mixed([one for one in said if isinstance(one, GaussianPrediction)])


def _mixed(parts: Sequence[GaussianPrediction]) -> GaussianPrediction:
    """Return the Gaussian with the moments of an equal mixture: the spread within parts, and that between them."""
    means = torch.stack([part.mean for part in parts])
    aleatoric = torch.stack([part.aleatoric_var for part in parts]).mean(0)
    within = torch.stack([part.epistemic_var for part in parts]).mean(0)
    return GaussianPrediction(means.mean(0), aleatoric, within + means.var(0, correction=0))
