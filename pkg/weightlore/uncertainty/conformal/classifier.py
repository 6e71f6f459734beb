"""Sets of classes that hold the true one as often as promised.

    ConformalClassifier    fit to probabilities and class numbers, then predict sets
    Score                  which score: ``"lac"``, ``"aps"`` or ``"raps"``, see ``sets``

The set of an example has every class whose score is at most the threshold. It may be empty: then even the most probable
class is stranger than the promise allows for.
"""

from typing import Literal, Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.conformal.groups import Thresholds, grouped_thresholds
from weightlore.uncertainty.conformal.quantile import require_level
from weightlore.uncertainty.conformal.sets import aps_scores, lac_scores, raps_scores
from weightlore.uncertainty.measures.members import Members, mean_of, require_observed
from weightlore.uncertainty.predictions import SetPrediction

__all__ = ["ConformalClassifier", "Score"]

Score = Literal["lac", "aps", "raps"]


class ConformalClassifier:
    """Sets of classes from the probabilities of any classifier.

        set = { c : score_c <= q } ,   q the conformal quantile of the scores of the true classes

    Args:
        score: ``"lac"``, 1 - p_c; ``"aps"``, the probability of all classes up to c; ``"raps"``, with a penalty.
        level: the promised coverage 1 - a.
        randomized: whether the last class of an adaptive set is in by chance, which makes its coverage exact.
        penalty: lambda of ``"raps"``, >= 0.
        free: k_reg of ``"raps"``, how many classes are without a penalty.
        mondrian: whether each class has a threshold of its own, so that the promise holds for each.
        nonempty: whether the most probable class is always in; the coverage can only rise.

    Raises:
        ParameterError: if there is no such score, a number is out of range, or an option belongs to another score.

    Example:
        >>> p = torch.tensor([[0.8, 0.1, 0.1], [0.4, 0.4, 0.2]], dtype=torch.float64)
        >>> fitted = ConformalClassifier("lac", level=0.5).fit(p, torch.tensor([0, 1]))
        >>> fitted.predict(p).sets
        tensor([[ True, False, False],
                [ True,  True, False]])

    Source: [sadinle2019least]; [romano2020adaptive]; [angelopoulos2021sets]; [vovk2005algorithmic]
    """

    def __init__(
        self,
        score: Score = "lac",
        *,
        level: float,
        randomized: bool = False,
        penalty: float | None = None,
        free: int | None = None,
        mondrian: bool = False,
        nonempty: bool = False,
    ) -> None:
        require_option("score", score, Score)
        require_level(level)
        if (score == "raps") != (penalty is not None) or (score == "raps") != (free is not None):
            raise ParameterError(
                f'penalty and free belong to "raps", which needs both; got {penalty}, {free} for {score!r}'
            )
        if randomized and score == "lac":
            raise ParameterError('"lac" draws nothing; leave randomized, or choose "aps" or "raps"')
        self.score, self.level, self.randomized = score, level, randomized
        self.penalty, self.free, self.mondrian, self.nonempty = penalty or 0.0, free or 0, mondrian, nonempty
        self.thresholds: Thresholds | None = None

    def fit(
        self,
        p: Members,
        y: Tensor,
        *,
        groups: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Find the threshold, or one for each class or group.

        Args:
            p: probabilities for n examples that were not trained on, shape (S, n, C) or (n, C), or a prediction.
            y: their classes, shape (n,), int64.
            groups: a number for each example, shape (n,), int64; ``None`` for one group.
            generator: source of randomness, if randomized.

        Raises:
            ParameterError: if shapes do not fit, or groups are given although classes are the groups.
        """
        scores = self.scores(p, generator=generator)
        require_observed(y, (len(scores),), scores.shape[1])
        if self.mondrian and groups is not None:
            raise ParameterError("with mondrian=True the classes are the groups; give none, or say mondrian=False")
        of_truth = scores.gather(1, y[:, None])[:, 0]
        self.thresholds = grouped_thresholds(of_truth, y if self.mondrian else groups, level=self.level)
        return self

    def predict(
        self, p: Members, *, groups: Tensor | None = None, generator: torch.Generator | None = None
    ) -> SetPrediction:
        """Return the set of each example.

        Args:
            p: probabilities, shape (S, N, C) or (N, C), or a prediction.
            groups: shape (N,), if there were some when fitted.
            generator: source of randomness, if randomized; one number for each example.

        Raises:
            ParameterError: if nothing was fitted, or shapes do not fit.
        """
        if self.thresholds is None:
            raise ParameterError("nothing was fitted yet; call fit with probabilities for examples not trained on")
        scores = self.scores(p, generator=generator)
        classes = torch.arange(scores.shape[1], device=scores.device)
        if self.mondrian:
            limit = self.thresholds.of(classes, len(classes))[None]
        else:
            limit = self.thresholds.of(groups, len(scores))[:, None]
        sets = scores <= limit
        if self.nonempty:
            sets = sets | (classes == mean_of(p).argmax(1, keepdim=True))
        return SetPrediction(sets, self.level)

    def scores(self, p: Members, *, generator: torch.Generator | None = None) -> Tensor:
        """Return how strange each class would be, shape (N, C).

        Args:
            p: probabilities, shape (S, N, C) or (N, C), or a prediction.
            generator: source of randomness, if randomized.

        Raises:
            ParameterError: if these are no probabilities, or a generator is missing or given in vain.
        """
        if (generator is not None) != self.randomized:
            raise ParameterError("a generator is for randomized=True, which needs it; got the one without the other")
        if self.score == "lac":
            return lac_scores(p)
        if self.score == "aps":
            return aps_scores(p, generator=generator)
        return raps_scores(p, penalty=self.penalty, free=self.free, generator=generator)
