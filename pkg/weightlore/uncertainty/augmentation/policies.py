"""Learn on validation data which views to average.

Not every view helps: some make the network worse, some say the same. A greedy search starts from nothing and adds,
again and again, the view that makes the average most likely, at its own temperature.

    greedy_policy_search(p, y, length=...)   -> Policy
    Policy.members(p), Policy.predict_proba(p)

    a_k = argmin_a min_T  -1/N sum_i ln [ (p_{a_1} + ... + p_{a_{k-1}} + p_a)/k ]_T (y_i)
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.augmentation.temperatures import COLDEST, HOTTEST, fitted_temperatures
from weightlore.uncertainty.measures.members import Members, members_of, require_observed
from weightlore.uncertainty.predictions import CategoricalPrediction
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Policy", "greedy_policy_search"]


@dataclass(frozen=True, eq=False)
class Policy:
    """Views in the order in which they were chosen, and the temperature of their average.

    Args:
        chosen: numbers of the views; a number may come again.
        path: calibrated log loss on the validation data after each choice, shape (k,), float64, in nats.
        temperature: of the average of all chosen.
        pool: A, how many views there were to choose from.

    Source: [molchanov2020greedy]
    """

    chosen: tuple[int, ...]
    path: Tensor
    temperature: float
    pool: int

    @property
    def weights(self) -> Tensor:
        """Share of each view in the average, shape (A,), float64."""
        return torch.bincount(torch.tensor(self.chosen), minlength=self.pool).double() / len(self.chosen)

    def members(self, p: Members) -> CategoricalPrediction:
        """Return what the network says of the chosen views, one member for each choice, not tempered.

        Args:
            p: probabilities of all views, shape (A, N, C).

        Raises:
            ParameterError: if there are more or fewer views.
        """
        probs = members_of(p)
        if len(probs) != self.pool:
            raise ParameterError(f"the policy was found among {self.pool} views, got the probabilities of {len(probs)}")
        return CategoricalPrediction(probs[list(self.chosen)])

    def predict_proba(self, p: Members) -> Tensor:
        """Return the tempered average of the chosen views, shape (N, C).

        Args:
            p: probabilities of all views, shape (A, N, C).

        Raises:
            ParameterError: if there are more or fewer views.
        """
        mean = self.members(p).mean
        return mean if self.temperature == 1 else (mean.log() / self.temperature).softmax(-1)


def greedy_policy_search(p: Members, y: Tensor, *, length: int, tolerance: float = 1e-4) -> Policy:
    """Choose views one by one, with replacement, by the calibrated log loss of their average.

    Args:
        p: what the network says of every view of the validation data, shape (A, N, C), the identity among them.
        y: class numbers, shape (N,).
        length: choices at most.
        tolerance: stop when the best choice lowers the loss by less, >= 0, in nats.

    Returns:
        The policy, at least one view: the best single one. Its path never rises. A temperature at an end of its range
        comes with an ``UncertaintyWarning``.

    Raises:
        ParameterError: if p or y are no probabilities and classes, or a number is out of range.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> from weightlore.uncertainty.augmentation import TestTimeAugmentation, digit_views
        >>> validation = digits("validation")
        >>> views = TestTimeAugmentation(healthy(), digit_views())
        >>> policy = greedy_policy_search(views.predict(validation.x), validation.y, length=8)
        >>> policy.predict_proba(views.predict(digits("test").x)).shape
        torch.Size([540, 10])

    Source: [molchanov2020greedy], greedy policy search with the calibrated log likelihood
    """
    probs = members_of(p).detach()
    require_observed(y, (probs.shape[1],), probs.shape[2])
    require_counts(length=length)
    if not 0 <= tolerance < torch.inf:
        raise ParameterError(f"tolerance is a loss in nats and must be finite and >= 0, got {tolerance}")
    chosen, path, heat, total = list[int](), list[float](), 1.0, torch.zeros_like(probs[0])
    for k in range(1, length + 1):
        temperatures, losses = fitted_temperatures((total + probs) / k, y)
        best = int(losses.argmin())
        if path and not (float(losses[best]) < path[-1] and path[-1] - float(losses[best]) >= tolerance):
            break
        total = total + probs[best]
        chosen.append(best)
        path.append(float(losses[best]))
        heat = float(temperatures[best])
    _warn_at_a_bound(heat)
    return Policy(tuple(chosen), torch.tensor(path, dtype=torch.float64), heat, len(probs))


def _warn_at_a_bound(temperature: float) -> None:
    if not COLDEST * (1 + 1e-6) < temperature < HOTTEST * (1 - 1e-6):
        warnings.warn(
            f"the temperature of the policy is {temperature:.3g}, an end of [{COLDEST:g}, {HOTTEST:g}]: all answers "
            "are right, or the views say nothing; take more validation data before you trust its probabilities",
            UncertaintyWarning,
            stacklevel=3,
        )
