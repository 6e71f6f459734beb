"""One linearized network under many priors.

Outputs, and what their covariances need, do not depend on the prior: the inputs are looked at once, and only the rest
is done for each. That is what a slider over priors asks for.

    predict_under(posterior, x, priors)    what posterior.with_prior(tau).predict(x) says, for each tau
"""

from collections.abc import Iterable

from torch import Tensor

from weightlore.uncertainty.laplace.approximation import Laplace
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.fitting import Prior
from weightlore.uncertainty.laplace.predicting import Prediction, said, shown

__all__ = ["predict_under"]


def predict_under(posterior: Laplace, x: Tensor, priors: Iterable[Prior]) -> list[Prediction]:
    """Return the linearized prediction under each prior, after one look at the inputs.

        f(x) ~ N(f_MAP(x), J (H + tau I)^-1 J^T) for each tau

    Args:
        posterior: fitted; it stays as it is.
        x: inputs, shape (N, ...).
        priors: prior precisions tau, each as ``with_prior`` takes it.

    Returns:
        What ``posterior.with_prior(tau).predict(x)`` says, in the order of the priors.

    Raises:
        ParameterError: as ``with_prior`` and ``predict``.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> last = Laplace(healthy("mlp"), "classification", subset="last_layer", structure="full")
        >>> said = predict_under(last.fit(digits("validation")), digits("test").x[:5], (1.0, 10.0))
        >>> len(said), said[0].mean.shape
        (2, torch.Size([5, 10]))

    Source: [khan2019approximate], the linearized network
    """
    pieces = list(shown(posterior.posterior, posterior.model, x, group=named(posterior.curvature.names)))
    return [said(posterior.with_prior(tau).posterior, pieces, posterior.terms) for tau in priors]
