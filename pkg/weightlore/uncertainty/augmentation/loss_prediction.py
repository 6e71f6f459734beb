"""Choose the views for each input: a small network guesses on which of them the large one will do best.

A slanted digit wants to be turned one way, another the other way. The ranker sees the input and says a number for each
view; the views with the smallest ones are asked, all others cost nothing.

    loss_ranks(losses)                        ranks of the views for each input, ties in the middle
    rank_loss(said, losses)                   1 - correlation of what was said with the ranks of the true losses
    LossPredictionTTA(model, views, ranker)   .fit(data, ...), .choices(x), .predict(x)

    true losses: l_{i,a} = -ln p(y_i | g_a(x_i))
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.training import MakeOptimizer, Schedule, adam, cosine, fit, in_mode
from weightlore.uncertainty.augmentation.averaging import Answers, TestTimeAugmentation, view_probs
from weightlore.uncertainty.augmentation.views import Augmentation
from weightlore.uncertainty.ensembles.rows import numbered, row_step
from weightlore.uncertainty.ensembles.selection import observed
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["LossPredictionTTA", "loss_ranks", "rank_loss"]


def loss_ranks(losses: Tensor) -> Tensor:
    """Return the rank of each view for each input, 0 for the smallest loss; equal losses share their mean rank.

    Args:
        losses: shape (N, A), finite.

    Returns:
        Shape (N, A), float64.

    Raises:
        ParameterError: if a loss is not finite.

    Example:
        >>> loss_ranks(torch.tensor([[0.3, 0.1, 0.3]]))
        tensor([[1.5000, 0.0000, 1.5000]], dtype=torch.float64)

    Source: ours
    """
    require_finite("a loss", losses)
    one, other = losses[:, :, None], losses[:, None, :]
    return (one > other).sum(-1).double() + ((one == other).sum(-1).double() - 1) / 2


def rank_loss(said: Tensor, losses: Tensor) -> Tensor:
    """Return how badly numbers for views follow the order of their losses.

        loss = 1/N sum_i [ 1 - corr_a(said_{i,a}, rank_{i,a}) ]

    Inputs whose losses are all equal have no order and are left out of the mean.

    Args:
        said: by the ranker, shape (N, A), differentiable.
        losses: true ones, shape (N, A).

    Returns:
        Shape (), from 0, one line, to 2, the reverse; 0 if no input has an order.

    Raises:
        ParameterError: if shapes differ.

    Source: [kim2020instance], rank correlation as the loss of the predictor; where it ranks both sides by a learned
        soft sort, ours ranks the losses only
    """
    if said.shape != losses.shape:
        raise ParameterError(
            f"the ranker must say one number for each view, got {tuple(said.shape)} for {tuple(losses.shape)}"
        )
    # Departs from the paper: no soft sort of what is said; a correlation with ranks has the same optimum and no knob.
    ranks = loss_ranks(losses).to(said)
    ranks, said = ranks - ranks.mean(1, keepdim=True), said - said.mean(1, keepdim=True)
    ordered = ranks.square().sum(1) > 0
    if not bool(ordered.any()):
        return 0 * said.sum()
    ranks, said = ranks[ordered], said[ordered]
    scale = (said.square().sum(1) * ranks.square().sum(1)).clamp_min(torch.finfo(said.dtype).tiny).sqrt()
    return 1 - ((said * ranks).sum(1) / scale).mean()


class LossPredictionTTA:
    """A network that is asked about the views which a ranker expects to serve each input best.

    Args:
        model: returns logits (N, C), or a prediction whose mean counts; left as it is.
        views: A augmentations; the identity is put in front if it is not among them.
        ranker: a network from inputs to A numbers, smaller for a better view; trained in place by ``fit``.
        chosen: how many views each input gets, 1 to A.

    Raises:
        ParameterError: if ``chosen`` is out of range.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy, mlp
        >>> from weightlore.uncertainty.augmentation import digit_views
        >>> ranker = mlp((64, 32, 16), generator=torch.Generator().manual_seed(0))
        >>> asked = LossPredictionTTA(healthy(), digit_views(), ranker, chosen=3)
        >>> asked = asked.fit(digits("validation"), generator=torch.Generator().manual_seed(0), epochs=1)
        >>> asked.predict(digits("test").x).members
        3

    Source: [kim2020instance]
    """

    def __init__(self, model: Answers, views: Sequence[Augmentation], ranker: nn.Module, *, chosen: int = 1) -> None:
        self.model, self.views, self.ranker = model, TestTimeAugmentation(model, tuple(views)).views, ranker
        require_counts(chosen=chosen)
        if chosen > len(self.views):
            raise ParameterError(f"there are {len(self.views)} views with the identity, got chosen={chosen}")
        self.chosen = chosen

    def fit(
        self,
        data: Split,
        *,
        generator: torch.Generator,
        epochs: int = 60,
        batch_size: int = 64,
        optimizer: MakeOptimizer | None = None,
        schedule: Schedule | None = cosine,
    ) -> Self:
        """Train the ranker on the losses of every view.

        Args:
            data: N inputs with class numbers, best such that the network was not trained on.
            generator: as for ``training.fit``, like the rest.
            epochs: how often every example is seen.
            batch_size: examples per step.
            optimizer: makes the optimizer; ``None`` for ``adam(1e-3)``.
            schedule: of the learning rate.

        Returns:
            Itself.

        Raises:
            ParameterError: if the ranker says no A numbers, or as ``training.fit``.
        """
        said = TestTimeAugmentation(self.model, self.views).predict(data.x)
        tiny = torch.finfo(torch.float64).tiny
        losses = -observed(said, data.y).clamp_min(tiny).log().T  # (N, A)

        def loss(ranker: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
            return rank_loss(ranker(x), losses[rows])

        fit(
            self.ranker,
            numbered(data),
            step=row_step(loss),
            generator=generator,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=adam(1e-3) if optimizer is None else optimizer,
            schedule=schedule,
        )
        return self

    def choices(self, x: Tensor) -> Tensor:
        """Return the numbers of the views that each input gets, the most promising first, shape (N, k).

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if the ranker says no A finite numbers.
        """
        with in_mode(self.ranker, training=False), torch.no_grad():
            said = require_finite("a number of the ranker", self.ranker(require_finite("x", x)))
        if said.shape != (len(x), len(self.views)):
            raise ParameterError(
                f"the ranker must say {len(self.views)} numbers for each of {len(x)} inputs, got {tuple(said.shape)}"
            )
        return said.argsort(dim=1, stable=True)[:, : self.chosen]

    def predict(self, x: Tensor) -> CategoricalPrediction:
        """Return what the network says of the chosen views, one member for each, the most promising first.

        Args:
            x: inputs, shape (N, ...), N >= 1.

        Raises:
            ParameterError: if x is empty or not finite, or the answers of network or ranker do not fit.
        """
        choices, members = self.choices(x), dict[int, Tensor]()
        for number, view in enumerate(self.views):
            rows, places = (choices == number).nonzero(as_tuple=True)
            if len(rows):
                probs = view_probs(self.model, view(x[rows]))
                members.setdefault(0, probs.new_empty(self.chosen, len(x), probs.shape[1]))[places, rows] = probs
        if not members:
            raise ParameterError(f"x must hold at least one example, got shape {tuple(x.shape)}")
        return CategoricalPrediction(members[0])
