"""What a Gaussian over parameters says of inputs.

The network is linearized: f(x) ~ N(f_MAP(x), J A^-1 J^T). Outputs and Jacobian do not depend on the prior, so that many
priors can be asked after one look at the inputs:

    shown(posterior, model, x)           outputs, and what their covariances need, piece by piece
    covariances(posterior, pieces)       means and covariances of the outputs under the prior of this posterior
    functional(posterior, model, x)      both at once
    joint(posterior, model, x)           the outputs of all examples together
    said(posterior, pieces, terms)       the prediction: class probabilities, a Dirichlet, or a Gaussian
    drawn(found, model, x, terms)        that of networks with drawn parameters, without linearizing
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.parameters import call, flatten
from weightlore.parameters.groups import Group
from weightlore.training import in_mode
from weightlore.uncertainty.laplace.blocks import named
from weightlore.uncertainty.laplace.fitting import Fitted
from weightlore.uncertainty.laplace.jacobians import jacobians
from weightlore.uncertainty.laplace.links import bridge_alpha, probit_probs, sampled_probs
from weightlore.uncertainty.laplace.posterior import Alone, Functional, Posterior
from weightlore.uncertainty.laplace.terms import Terms
from weightlore.uncertainty.predictions import CategoricalPrediction, DirichletPrediction, GaussianPrediction

__all__ = ["Link", "Piece", "Prediction", "covariances", "drawn", "functional", "joint", "said", "shown"]

Link = Literal["probit", "mc", "bridge"]
Prediction = CategoricalPrediction | DirichletPrediction | GaussianPrediction
Piece = tuple[Tensor, Any]  # outputs, and directions, features or Jacobians: what the structure asks for


def shown(posterior: Posterior, model: nn.Module, x: Tensor, *, group: Group = None) -> Iterator[Piece]:
    """Return outputs of the network and what their covariances need, whatever the prior.

    Args:
        posterior: over the parameters of the group; its structure decides, its prior does not.
        model: used in evaluation mode and left as it is.
        x: inputs, shape (N, ...).
        group: the covered parameters; ``None`` for all that require a gradient.

    Yields:
        Outputs (n, C), and the rest as ``Functional.shown``, or Jacobians (n, C, P).

    Raises:
        ParameterError: if x is empty or not finite, or the network does not fit.

    Source: [khan2019approximate], the linearized network
    """
    _require_inputs(x)
    if isinstance(posterior, Functional):
        yield from posterior.shown(model, x, group=group)
    else:
        yield from jacobians(model, x, group=group)


def covariances(posterior: Posterior, pieces: Iterable[Piece]) -> tuple[Tensor, Tensor]:
    """Return means (N, C) and covariances J A^-1 J^T, shape (N, C, C), of the outputs, float64.

    Args:
        posterior: A.
        pieces: shown by a posterior of the same structure.

    Source: [khan2019approximate]
    """
    spread = posterior.spread if isinstance(posterior, Functional) else posterior.covariance
    return _gathered((f.double(), spread(seen)) for f, seen in pieces)


def functional(posterior: Posterior, model: nn.Module, x: Tensor, *, group: Group = None) -> tuple[Tensor, Tensor]:
    """Return means (N, C) and covariances (N, C, C) of the outputs of the linearized network, float64.

    Args:
        posterior: over the parameters of the group.
        model: used in evaluation mode and left as it is.
        x: inputs, shape (N, ...).
        group: the covered parameters; ``None`` for all that require a gradient.

    Raises:
        ParameterError: as ``shown``.

    Source: [khan2019approximate]
    """
    return covariances(posterior, shown(posterior, model, x, group=group))


def joint(posterior: Posterior, model: nn.Module, x: Tensor, *, group: Group = None) -> tuple[Tensor, Tensor]:
    """Return mean (N C,) and covariance (N C, N C) of the outputs of all examples together, float64.

    Args:
        posterior: over the parameters of the group.
        model: used in evaluation mode and left as it is.
        x: a few inputs, shape (N, ...): the Jacobian of all of them is held at once.
        group: the covered parameters.

    Raises:
        ParameterError: as ``shown``.

    Source: [khan2019approximate]
    """
    _require_inputs(x)
    f, J = zip(*jacobians(model, x, group=group), strict=True)
    return torch.cat(f).double().flatten(), posterior.covariance(torch.cat(J).flatten(0, 1)[None])[0]


def said(
    posterior: Posterior,
    pieces: Iterable[Piece],
    terms: Terms,
    *,
    link: Link = "probit",
    samples: int = 100,
    generator: torch.Generator | None = None,
) -> Prediction:
    """Return the prediction of the linearized network.

    Args:
        posterior: under some prior.
        pieces: shown by a posterior of the same structure.
        terms: the likelihood and its noise.
        link: from Gaussian logits to probabilities, as for ``Laplace.predict``.
        samples: S, for ``"mc"``.
        generator: where they come from.

    Raises:
        ParameterError: if a generator is missing.

    Source: [mackay1992practical]
    """
    mean, spread = _spread(posterior, pieces, terms) if link == "probit" else covariances(posterior, pieces)
    if terms.likelihood == "regression":
        epistemic = (spread if spread.ndim == 2 else spread.diagonal(dim1=-2, dim2=-1)).clamp(min=0)
        return GaussianPrediction(mean, torch.full_like(mean, terms.noise_variance), epistemic)
    if link == "bridge":
        return DirichletPrediction(bridge_alpha(mean, spread))
    if link == "mc":
        return CategoricalPrediction(sampled_probs(mean, spread, samples=samples, generator=_given(generator, link)))
    return CategoricalPrediction(probit_probs(mean, spread)[None])


def drawn(
    found: Fitted, model: nn.Module, x: Tensor, terms: Terms, *, samples: int, generator: torch.Generator | None
) -> Prediction:
    """Return the prediction of networks with drawn parameters.

    Args:
        found: mode and posterior.
        model: used in evaluation mode and left as it is.
        x: inputs, shape (N, ...).
        terms: the likelihood and its noise.
        samples: S.
        generator: where they come from.

    Raises:
        ParameterError: if x is empty or not finite, or a generator is missing.

    Source: [ritter2018laplace]
    """
    _require_inputs(x)
    require_counts(samples=samples)
    thetas = found.mode + found.posterior.sample(samples, generator=_given(generator, "mc_weights"))
    group = named(found.names)
    like = flatten(model, group)
    with torch.no_grad(), in_mode(model, training=False):
        outputs = torch.stack([call(model, theta, x, group) for theta in thetas.to(like)])
    if terms.likelihood == "classification":
        return CategoricalPrediction.from_logits(outputs)
    return GaussianPrediction.from_members(outputs, torch.full_like(outputs, terms.noise_variance))


def _spread(posterior: Posterior, pieces: Iterable[Piece], terms: Terms) -> tuple[Tensor, Tensor]:
    """Return means and covariances, or variances (N, C) alone where they will do and there is a shorter way."""
    coming = iter(pieces)
    first = next(coming)
    every = chain((first,), coming)  # one after the other: a piece may be as large as memory allows
    two_classes = terms.likelihood == "classification" and first[0].shape[1] == 2  # need their covariance
    if two_classes or not isinstance(posterior, Alone):
        return covariances(posterior, every)
    return _gathered((f.double(), posterior.alone(seen)) for f, seen in every)


def _gathered(pieces: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return the rows of all pieces, each time in twice the room once it is full.

    A list of them would do the same; but small tensors that stay between large ones that come and go, as Jacobians do,
    break up the memory, and it grows by a part of each.
    """
    rooms: list[Tensor] = []
    filled = 0
    for parts in pieces:
        start, filled = filled, filled + len(parts[0])
        if not rooms or filled > len(rooms[0]):
            larger = [part.new_empty(2 * filled, *part.shape[1:]) for part in parts]
            for room, full in zip(larger, rooms, strict=False):  # none before the first piece
                room[:start] = full[:start]
            rooms = larger
        for room, part in zip(rooms, parts, strict=True):
            room[start:filled] = part
    return rooms[0][:filled].clone(), rooms[1][:filled].clone()


def _given(generator: torch.Generator | None, what: str) -> torch.Generator:
    if generator is None:
        raise ParameterError(f"{what!r} draws at random: give generator=torch.Generator().manual_seed(0)")
    return generator


def _require_inputs(x: Tensor) -> None:
    if len(x) == 0:
        raise ParameterError("x must hold at least one example, got none; was the selection empty?")
    require_finite("x", x)
