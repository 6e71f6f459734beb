"""Chapter 3, uncertainty, seventh part: independent Gaussians where the posterior is known, on correlated inputs.

Linear regression has a Gaussian posterior with precision A. The nearest independent Gaussians, in the divergence that
variational training minimizes, have the variances 1 / A_ii, which are below the true ones (A^-1)_ii wherever inputs are
correlated. Nothing is approximated but by the training itself.
"""

from collections.abc import Callable

import torch
from tests.claims.claims_corrupted import within
from tests.claims.claims_uncertain import claim
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.networks.layered import built
from weightlore.teaching.claims import beyond
from weightlore.training import adam, fit
from weightlore.uncertainty.bayesian import elbo_step, variational
from weightlore.uncertainty.sources import BayesianLinearRegression

torch.set_num_threads(1)

ROWS, CORRELATION, NOISE, EPOCHS = 200, 0.9, 0.25, 400
SETTING = (
    f"{ROWS} rows, 2 inputs of correlation {CORRELATION:g}, noise of variance {NOISE:g}, prior precision 1; "
    f"{EPOCHS} epochs of Adam with all rows at once"
)


def table(seed: int) -> Split:
    """Rows of two correlated inputs and a noisy sum of them."""
    e = torch.randn(ROWS, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    second = CORRELATION * e[:, 0] + (1 - CORRELATION**2) ** 0.5 * e[:, 1]
    x = torch.stack([e[:, 0], second], 1)
    return Split(x, x.sum(1, keepdim=True) + NOISE**0.5 * e[:, 2:])


def half_squares(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """The log loss with known noise, but for a constant."""
    return (model(batch.x) - batch.y).square().mean() / (2 * NOISE)


def learned(data: Split, seed: int) -> Tensor:
    """Standard deviations of independent Gaussians, shape (2,)."""
    generator = torch.Generator().manual_seed(seed)
    model = variational(built(lambda: nn.Linear(2, 1, bias=False), generator=generator, dtype=torch.float64))
    step: Callable[..., Tensor] = elbo_step(half_squares, num_data=ROWS)
    fit(model, data, generator=generator, step=step, epochs=EPOCHS, batch_size=ROWS, optimizer=adam(0.05))
    return model.weight.std.detach().flatten()


def narrowed(seed: int) -> dict[str, float]:
    """Learned standard deviation as a share of the exact one, mean over weights; that of 1 / A_ii beside."""
    data = table(seed)
    exact = BayesianLinearRegression(1.0, NOISE).fit(data.x, data.y)
    true, best = exact.covariance.diagonal().sqrt(), exact.precision.diagonal().rsqrt()
    spread = learned(data, seed)
    return {"value": float((spread / true).mean()), "theory": float((best / true).mean())}


def as_predicted(seed: int) -> dict[str, float]:
    """Learned standard deviation as a share of 1 / sqrt(A_ii)."""
    shares = narrowed(seed)
    return shares | {"value": shares["value"] / shares["theory"]}


KNOWN = {"source": "blundell2015weight", "unit": "share", "seeds": tuple(range(5)), "fast": True}
CLAIMS = [
    claim(
        "mean-field-narrow",
        "Independent Gaussians are surer of each weight than the exact posterior where inputs are correlated.",
        f"{SETTING}; learned standard deviation as a share of the exact one, wanted below 0.9",
        narrowed,
        beyond(0.9, below=True),
        whose="ours",
        **KNOWN,
    ),
    claim(
        "mean-field-law",
        "How sure they are follows from the diagonal of the precision.",
        f"{SETTING}; learned standard deviation as a share of that of the nearest independent Gaussians, wanted "
        "between 0.9 and 1.1",
        as_predicted,
        within(0.9, 1.1),
        whose="ours",
        **KNOWN,
    ),
]
