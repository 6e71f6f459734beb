"""Train one small network after the other, each on what those before it got wrong.

    samme_update(weights, wrong, classes)             one round: the vote of a member, and new weights of the examples
    boosted_ensemble(make_member, data, rounds=...)   ->  BoostedEnsemble
    .scores(x), .classify(x)                          weighted votes (N, C), and the class with most of them

    err = sum_i w_i [wrong_i],   vote = ln (1 - err)/err + ln (C - 1),   w_i <- w_i exp(vote [wrong_i]), normalized

A member counts while it is better than guessing, err < 1 - 1/C; with two classes that is AdaBoost.
"""

from dataclasses import dataclass
from math import exp, log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.training import MakeOptimizer, Schedule, cosine, fit
from weightlore.training.evaluation import require_classes
from weightlore.uncertainty.ensembles.fitting import MakeMember, make_one
from weightlore.uncertainty.ensembles.lessons import own_generators
from weightlore.uncertainty.ensembles.members import DeepEnsemble, output_of

__all__ = ["BoostedEnsemble", "boosted_ensemble", "samme_update"]

LEAST = 1e-10  # error that a member without errors is taken to have, so that its vote is finite
NOTHING = 1e-9  # a vote that is rounding: the member guesses


@dataclass(frozen=True, eq=False)
class BoostedEnsemble(DeepEnsemble):
    """Members with a vote each, in the order of their training.

    Args:
        members: S networks that classify.
        votes: how much each counts, shape (S,), > 0, float64.
        errors: weighted share of the training examples that each got wrong, shape (S,), float64.

    Source: [hastie2009adaboost], SAMME
    """

    votes: Tensor
    errors: Tensor

    def scores(self, x: Tensor, *, batch_size: int = 1000) -> Tensor:
        """Return the share of the votes for each class, shape (N, C), float64.

        Args:
            x: inputs, shape (N, ...).
            batch_size: examples per pass.

        Raises:
            ParameterError: as ``outputs``.
        """
        logits = self.outputs(x, batch_size=batch_size)
        if not isinstance(logits, Tensor):
            raise ParameterError("votes are for classes, but the members give means and variances; boost classifiers")
        chosen = F.one_hot(logits.argmax(-1), logits.shape[-1]).double()
        shares = (self.votes / self.votes.sum()).to(chosen.device)
        return torch.einsum("s,snc->nc", shares, chosen)

    def classify(self, x: Tensor, *, batch_size: int = 1000) -> Tensor:
        """Return the class with most votes, the smallest number of several, shape (N,).

        Args:
            x: inputs, shape (N, ...).
            batch_size: examples per pass.
        """
        return self.scores(x, batch_size=batch_size).argmax(-1)


def samme_update(weights: Tensor, wrong: Tensor, classes: int) -> tuple[float, float, Tensor]:
    """Return error and vote of a member, and the weights that the next one learns with.

        err = sum_i w_i [wrong_i],   vote = ln (1 - err)/err + ln (C - 1),   w_i <- w_i exp(vote [wrong_i]), normalized

    Args:
        weights: of the examples, shape (N,), >= 0, with sum 1.
        wrong: which examples the member gets wrong, shape (N,), bool.
        classes: C, at least 2.

    Returns:
        err in [0, 1]; the vote, > 0 while the member is better than guessing; and the new weights, shape (N,). An error
        below 1e-10 counts as that, so that the vote is finite.

    Raises:
        ParameterError: if shapes do not fit, the weights are none, or there is one class only.

    Example:
        >>> samme_update(torch.full((4,), 0.25), torch.tensor([True, False, False, False]), 2)[2]
        tensor([0.5000, 0.1667, 0.1667, 0.1667])

    Source: [hastie2009adaboost], SAMME
    """
    if weights.shape != wrong.shape or weights.ndim != 1 or wrong.dtype != torch.bool or classes < 2:
        raise ParameterError(
            f"weights and wrong must have shape (N,), wrong bool, for 2 classes at least, got {tuple(weights.shape)}, "
            f"{tuple(wrong.shape)} {wrong.dtype} and {classes} classes"
        )
    require_finite("a weight", weights)
    total = float(weights.sum())
    if float(weights.min()) < 0 or abs(total - 1) > 1e-4:
        raise ParameterError(f"weights must be >= 0 and sum to 1, got a sum of {total:g}")
    error = float(weights[wrong].sum())
    safe = min(max(error, LEAST), 1 - LEAST)
    vote = log((1 - safe) / safe) + log(classes - 1)
    raised = torch.where(wrong, weights * exp(vote), weights)
    return error, vote, raised / raised.sum()


def boosted_ensemble(
    make_member: MakeMember,
    data: Split,
    *,
    rounds: int = 5,
    generator: torch.Generator,
    epochs: int = 20,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
) -> BoostedEnsemble:
    """Train members in turn, each with more weight on what those before it got wrong.

    A member learns the weighted cross-entropy. It ends early when a member makes no error, which then has the last
    word, or is no better than guessing, which is left out.

    Args:
        make_member: returns an untrained network for a generator; small ones, that cannot learn everything alone.
        data: N examples with class numbers.
        rounds: at most so many members.
        generator: one draw is taken from it for each round.
        epochs: as for ``training.fit``, like the rest.
        batch_size: examples per step.
        optimizer: makes a member's optimizer.
        schedule: factor of the learning rate.

    Returns:
        The members with their votes.

    Raises:
        ParameterError: if an argument is out of range, or the first member is no better than guessing.

    Example:
        >>> from weightlore.data import two_moons
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> data = two_moons(60, generator=drawn)
        >>> found = boosted_ensemble(lambda own: mlp((2, 2), generator=own), data, rounds=3, generator=drawn)
        >>> len(found.members)
        3

    Source: [hastie2009adaboost], SAMME
    """
    require_counts(rounds=rounds)
    require_classes(data)
    weights = torch.full((len(data),), 1 / len(data), dtype=torch.float64, device=data.x.device)
    kept: list[tuple[nn.Module, float, float]] = []
    for own in own_generators(rounds, generator):
        member = make_one(make_member, own)
        logits = _logits(member, data.x)
        require_labels(data.y, logits.shape[1])
        weighted = Split(data.x, torch.stack([data.y.double(), weights * len(data)], 1))
        fit(
            member,
            weighted,
            generator=own,
            step=_weighted,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            schedule=schedule,
        )
        error, vote, weights = samme_update(weights, _logits(member, data.x).argmax(1) != data.y, logits.shape[1])
        if vote <= NOTHING:
            break
        kept.append((member, vote, error))
        if error == 0:
            break
    return _boosted(kept)


def _boosted(kept: list[tuple[nn.Module, float, float]]) -> BoostedEnsemble:
    if not kept:
        raise ParameterError(
            "the first member is no better than guessing, so that there is nothing to boost; train it for more epochs, "
            "with another learning rate, or take a larger network"
        )
    members, votes, errors = zip(*kept, strict=True)
    return BoostedEnsemble(members, torch.tensor(votes).double(), torch.tensor(errors).double())


def _weighted(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the weighted cross-entropy; the targets hold class numbers and weights, whose mean over all data is 1."""
    logits = model(batch.x)
    losses = F.cross_entropy(logits, batch.y[:, 0].long(), reduction="none")
    return (batch.y[:, 1].to(logits.dtype) * losses).mean()


def _logits(member: nn.Module, x: Tensor) -> Tensor:
    output = output_of(member, x)
    if not isinstance(output, Tensor):
        raise ParameterError("boosting is for classifiers, but the member gives mean and variance instead of logits")
    return output
