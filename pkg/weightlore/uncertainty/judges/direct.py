"""A second network that predicts from the input alone where the first one will be wrong, or two will differ.

    wrong_answers(model, data)        1 where argmax f(x) is not y
    differing_answers(one, other, x)  1 where two networks name different classes
    DirectUncertaintyPredictor(helper).fit(model, data, rows=..., trained_on=...)    .score(x) = P(target is 1)

The helper learns from rows on which the network was not trained: on the others it hardly errs, and what the helper
would learn is that nothing ever goes wrong. Rows that were used twice are therefore an error.
"""

import warnings
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import MakeOptimizer, Schedule, adam, cosine, fit, in_mode
from weightlore.training.evaluation import require_classes
from weightlore.uncertainty.measures.members import require_observed
from weightlore.uncertainty.ood.reading import logits_at, not_fitted
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["DirectUncertaintyPredictor", "differing_answers", "wrong_answers"]


def wrong_answers(model: nn.Module, data: Split) -> Tensor:
    """Return 1 where the network names another class than the right one, else 0.

    Args:
        model: returns logits; left as it is.
        data: N inputs with class numbers.

    Returns:
        Shape (N,), in the dtype of the logits.

    Raises:
        ParameterError: if the targets are no class numbers that the network has, or something is not finite.

    Example:
        >>> line = nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(line.weight)
        >>> wrong_answers(line, Split(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])))
        tensor([0., 1.])

    Source: [raghu2019direct], targets for a direct prediction; here errors of one network
    """
    require_classes(data)
    logits = logits_at(model, data.x)
    return (logits.argmax(1) != require_observed(data.y, (len(logits),), logits.shape[1])).to(logits.dtype)


def differing_answers(one: nn.Module, other: nn.Module, x: Tensor) -> Tensor:
    """Return 1 where two networks name different classes, else 0.

    Args:
        one: returns logits; left as it is.
        other: of the same classes.
        x: inputs, shape (N, ...).

    Returns:
        Shape (N,), in the dtype of the first network's logits.

    Raises:
        ParameterError: if the networks do not have the same classes, or something is not finite.

    Example:
        >>> one, other = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
        >>> _ = nn.init.eye_(one.weight), nn.init.constant_(other.weight, 0.0)
        >>> differing_answers(one, other, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        tensor([0., 1.])

    Source: [raghu2019direct], disagreement as a target; there of doctors, here of networks
    """
    said, answered = logits_at(one, x), logits_at(other, x)
    if said.shape != answered.shape:
        raise ParameterError(
            f"two networks differ on the same classes, got logits {tuple(said.shape)} and {tuple(answered.shape)}"
        )
    return (said.argmax(1) != answered.argmax(1)).to(said.dtype)


class DirectUncertaintyPredictor:
    """A helper network that says how probable a mistake, or a disagreement of two networks, is.

        score = sigmoid(h(x)),   h trained by binary cross-entropy

    Args:
        helper: from inputs to one number, (N, 1); trained in place by ``fit``.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy, mlp
        >>> g = torch.Generator().manual_seed(0)
        >>> judge = DirectUncertaintyPredictor(mlp((64, 16, 1), generator=g))
        >>> rows = {"rows": torch.arange(50), "trained_on": torch.arange(50, 180)}
        >>> _ = judge.fit(healthy(), digits("validation"), generator=g, epochs=1, **rows)
        >>> judge.score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [raghu2019direct]
    """

    def __init__(self, helper: nn.Module) -> None:
        self.helper = helper
        self.fitted = False

    def fit(
        self,
        model: nn.Module,
        data: Split,
        *,
        rows: Tensor,
        trained_on: Tensor,
        other: nn.Module | None = None,
        generator: torch.Generator,
        epochs: int = 60,
        batch_size: int = 64,
        optimizer: MakeOptimizer | None = None,
        schedule: Schedule | None = cosine,
    ) -> Self:
        """Train the helper, and return the judge.

        Warns with ``UncertaintyWarning`` where all targets are equal, so that only a constant can be learned.

        Args:
            model: the network that is judged; left as it is.
            data: inputs with class numbers, of which both networks had their rows.
            rows: numbers of the rows for the helper.
            trained_on: numbers of the rows on which the network was trained.
            other: a second network: the target is then whether the two differ. ``None`` for mistakes of the first.
            generator: as for ``training.fit``, like the rest.
            epochs: how often every example is seen.
            batch_size: examples per step.
            optimizer: makes the optimizer; ``None`` for ``adam(1e-3)``.
            schedule: of the learning rate.

        Raises:
            ParameterError: if a row is used by both, does not exist, or the helper says not one number for an input.
        """
        chosen = data[_apart(rows, trained_on, len(data))]
        targets = wrong_answers(model, chosen) if other is None else differing_answers(model, other, chosen.x)
        if bool((targets == targets[0]).all()):
            warnings.warn(
                f"the target is {float(targets[0]):g} on all {len(targets)} rows, so that the helper learns a "
                "constant; take more rows, or harder ones",
                UncertaintyWarning,
                stacklevel=2,
            )

        def step(helper: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
            return binary_cross_entropy_with_logits(_single(helper(batch.x), len(batch)), batch.y)

        fit(
            self.helper,
            Split(chosen.x, targets),
            step=step,
            generator=generator,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=adam(1e-3) if optimizer is None else optimizer,
            schedule=schedule,
        )
        self.fitted = True
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return the probability of a mistake, or a disagreement, for inputs (N, ...), shape (N,).

        Args:
            x: inputs.

        Raises:
            ParameterError: if the judge has not been fitted, or something is not finite.
        """
        if not self.fitted:
            raise not_fitted(self)
        with in_mode(self.helper, training=False), torch.no_grad():
            said = _single(self.helper(require_finite("x", x)), len(x))
        return require_finite("a number of the helper", said).sigmoid()


def _apart(rows: Tensor, trained_on: Tensor, count: int) -> Tensor:
    """Return the rows for the helper if the network was trained on none of them."""
    for name, numbers in (("rows", rows), ("trained_on", trained_on)):
        if numbers.ndim != 1 or numbers.dtype != torch.int64 or not len(numbers):
            raise ParameterError(f"{name} must be row numbers, int64 (R,), got {tuple(numbers.shape)}, {numbers.dtype}")
        if int(numbers.min()) < 0 or int(numbers.max()) >= count:
            raise ParameterError(
                f"{name} must be from 0 to {count - 1}, got {int(numbers.min())}..{int(numbers.max())}"
            )
    twice = int(torch.isin(rows, trained_on).sum())
    if twice:
        raise ParameterError(
            f"{twice} of {len(rows)} rows were also used to train the network, on which it hardly errs; give the "
            "helper other rows"
        )
    return rows


def _single(said: Tensor, count: int) -> Tensor:
    """Return one number for each input, shape (N,)."""
    if said.shape not in ((count,), (count, 1)):
        raise ParameterError(f"a helper says one number for an input, shape ({count}, 1), got {tuple(said.shape)}")
    return said.reshape(count)
