"""Learn how much each view counts.

A plain mean trusts a blurred image as much as the image itself. Weights are learned on validation data by the log loss:
one for each view, or one for each view and class, where a view may be good for some classes only.

    LearnedAggregation(views)              w >= 0, sum_a w_a = 1:    p = sum_a w_a p_a
    LearnedAggregation(views, classes)     w >= 0:                   p_c ~ sum_a w_{a,c} p_{a,c}
    .fit(p, y), .predict_proba(p), .weights

Untrained, both are the plain mean.
"""

from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.measures.members import Members, members_of, require_observed

__all__ = ["LearnedAggregation"]


class LearnedAggregation:
    """Weights of views, learned on validation data.

    Args:
        views: A.
        classes: C for one weight for each view and class, ``None`` for one for each view.

    Raises:
        ParameterError: if a number is no whole one of at least 1.

    Example:
        >>> good, useless = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.full((2, 2), 0.5)
        >>> mix = LearnedAggregation(2).fit(torch.stack([good, useless]), torch.tensor([0, 1]))
        >>> bool(mix.weights[0] > 0.99)
        True

    Source: [shanmugam2021aggregation], one weight for each augmentation, or for each class and augmentation
    """

    def __init__(self, views: int, classes: int | None = None) -> None:
        require_counts(views=views, classes=1 if classes is None else classes)
        self.views, self.classes = views, classes
        self._scores = torch.zeros((views,) if classes is None else (views, classes), dtype=torch.float64)

    @property
    def weights(self) -> Tensor:
        """Weights >= 0, shape (A,) with sum 1, or (A, C) with mean 1 / A."""
        if self.classes is None:
            return self._scores.softmax(0)
        return self._scores.flatten().softmax(0).reshape(self._scores.shape) * self.classes

    def fit(self, p: Members, y: Tensor, *, steps: int = 100) -> Self:
        """Learn the weights, from equal ones, by L-BFGS on the log loss of the mixture.

            loss(w) = -1/N sum_i ln p_w(y_i)

        The loss never ends above that of equal weights. With a weight for each class there is no unique optimum on few
        data, and it may fit chance: compare on a test set.

        Args:
            p: what the network says of every view of the validation data, shape (A, N, C).
            y: class numbers, shape (N,).
            steps: of the optimizer, at most.

        Returns:
            Itself.

        Raises:
            ParameterError: if p or y do not fit, or steps is no whole number of at least 1.
        """
        probs = self._fitting(p).detach().double().cpu()
        require_observed(y, (probs.shape[1],), probs.shape[2])
        require_counts(steps=steps)
        y = y.cpu()
        scores = torch.zeros_like(self._scores, requires_grad=True)
        start = float(_loss(probs, scores, y).detach())
        tuner = torch.optim.LBFGS([scores], max_iter=steps, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

        def closure() -> float:
            with torch.enable_grad():
                loss = _loss(probs, scores, y)
                scores.grad = torch.autograd.grad(loss, scores)[0]
            return float(loss.detach())

        tuner.step(closure)
        end = float(_loss(probs, scores, y).detach())
        self._scores = scores.detach() if end < start else torch.zeros_like(self._scores)  # also where end is NaN
        return self

    def predict_proba(self, p: Members) -> Tensor:
        """Return the weighted answer, shape (N, C), in the dtype of p.

        Args:
            p: what the network says of every view, shape (A, N, C).

        Raises:
            ParameterError: if there are more or fewer views, or classes.
        """
        probs = self._fitting(p)
        mixed = _mixed(probs, self.weights.to(probs))
        return mixed / mixed.sum(-1, keepdim=True)

    def _fitting(self, p: Members) -> Tensor:
        probs = members_of(p)
        if len(probs) != self.views or self.classes not in (None, probs.shape[2]):
            raise ParameterError(
                f"these are weights of {self.views} views and {self.classes or 'any number of'} classes, got "
                f"probabilities {tuple(probs.shape)}, views first"
            )
        return probs


def _mixed(probs: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over views, shape (N, C), not normalized."""
    return torch.einsum("a,anc->nc" if weights.ndim == 1 else "ac,anc->nc", weights, probs)


def _loss(probs: Tensor, scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean log loss; weights enter up to a factor that normalization takes out."""
    weights = scores.flatten().softmax(0).reshape(scores.shape)
    mixed = _mixed(probs, weights).clamp_min(torch.finfo(probs.dtype).tiny)
    return -(mixed.gather(1, y[:, None])[:, 0] / mixed.sum(-1)).log().mean()
