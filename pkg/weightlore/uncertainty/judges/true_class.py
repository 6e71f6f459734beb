"""A head that guesses the probability which the network gives to the right class, without knowing the class.

The largest probability is high for right and for wrong answers alike; that of the true class is low where the network
errs [corbiere2019failure]:

    p_y(x)                                         true_class_probabilities(model, data)
    c(phi) ~ p_y,  loss 1/N sum_i (c_i - p_y)^2    TrueClassProbabilityHead().fit(model, data, ...)
    the same, of head and a copy of phi            .tune(data, ...)
    score = 1 - c(phi(x))

The network is frozen: what learns in the second stage is a copy of what stands below its readout. On its training data
p_y is almost 1 everywhere and there is nothing to guess: give data that it has not been trained on.
"""

import copy
import warnings
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from weightlore.data import Split
from weightlore.errors import require_finite
from weightlore.networks import mlp
from weightlore.networks.layered import require_counts
from weightlore.training import MakeOptimizer, Schedule, adam, cosine, fit, in_mode
from weightlore.training.evaluation import require_classes
from weightlore.uncertainty.deterministic.trunks import trunk_of
from weightlore.uncertainty.measures.members import require_observed
from weightlore.uncertainty.ood.reading import logits_at, not_fitted, read
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["TrueClassProbabilityHead", "true_class_probabilities"]

LEAST_VARIANCE = 1e-4


def true_class_probabilities(model: nn.Module, data: Split) -> Tensor:
    """Return the probability that the network gives to the right class of each example.

        p_y = softmax(f(x))_y

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
        >>> true_class_probabilities(line, Split(torch.tensor([[1.0, 1.0], [9.0, 0.0]]), torch.tensor([0, 0])))
        tensor([0.5000, 0.9999])

    Source: [corbiere2019failure], true class probability
    """
    require_classes(data)
    probs = logits_at(model, data.x).softmax(1)
    return probs.gather(1, require_observed(data.y, (len(probs),), probs.shape[1])[:, None])[:, 0]


class TrueClassProbabilityHead:
    """A small network on the features of a frozen one that guesses the probability of the true class.

        c = sigmoid(head(phi(x))),   score = 1 - c

    Args:
        hidden: widths of the hidden layers of the head; none for a linear one.

    Raises:
        ParameterError: if a width is no whole number >= 1.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> judge = TrueClassProbabilityHead((8,))
        >>> _ = judge.fit(healthy(), digits("validation"), generator=torch.Generator().manual_seed(0), epochs=1)
        >>> judge.score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [corbiere2019failure], both stages
    """

    def __init__(self, hidden: Sequence[int] = (64, 64)) -> None:
        require_counts(**{f"hidden[{place}]": width for place, width in enumerate(hidden)})
        self.hidden = tuple(hidden)
        self.model: nn.Module | None = None
        self.head: nn.Module | None = None
        self.trunk: nn.Module | None = None

    def fit(
        self,
        model: nn.Module,
        data: Split,
        *,
        generator: torch.Generator,
        epochs: int = 60,
        batch_size: int = 64,
        optimizer: MakeOptimizer | None = None,
        schedule: Schedule | None = cosine,
    ) -> Self:
        """Draw a head and train it on examples that the network has not been trained on, and return the judge.

        This is the first stage. What an earlier ``tune`` made is forgotten.

        Warns with ``UncertaintyWarning`` where the target hardly varies (variance below 1e-4), as on training data.

        Args:
            model: returns logits and ends in a linear layer; left as it is.
            data: N held-out inputs with class numbers.
            generator: of the weights of the head and of the order of the rows.
            epochs: how often every example is seen.
            batch_size: examples per step.
            optimizer: makes the optimizer; ``None`` for ``adam(1e-3)``.
            schedule: of the learning rate.

        Raises:
            ParameterError: as ``true_class_probabilities`` and ``training.fit``.
        """
        targets, phi = true_class_probabilities(model, data), read(model, data.x).features
        variance = float(targets.double().var(correction=0))
        if variance < LEAST_VARIANCE:
            warnings.warn(
                f"the probability of the true class hardly varies on these data, variance {variance:.2g}; has the "
                "network been trained on them? Give held-out data",
                UncertaintyWarning,
                stacklevel=2,
            )
        head = mlp((phi.shape[1], *self.hidden, 1), generator=generator, dtype=phi.dtype).to(phi.device)
        fit(
            head,
            Split(phi, targets),
            step=_squared_error,
            generator=generator,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=adam(1e-3) if optimizer is None else optimizer,
            schedule=schedule,
        )
        self.model, self.head, self.trunk = model, head, None
        return self

    def tune(
        self,
        data: Split,
        *,
        generator: torch.Generator,
        epochs: int = 20,
        batch_size: int = 64,
        optimizer: MakeOptimizer | None = None,
        schedule: Schedule | None = cosine,
    ) -> Self:
        """Train the head together with a copy of what stands below the readout, and return the judge.

        This is the second stage: it goes on from where ``fit`` ended, in small steps, and a second call goes on from
        there. Dropout stays off and statistics of batches are not taken, so that features start as they were. The
        answers are still those of the network.

        Args:
            data: N held-out inputs with class numbers, those of ``fit`` or others.
            generator: of the order of the rows.
            epochs: how often every example is seen.
            batch_size: examples per step.
            optimizer: makes the optimizer; ``None`` for ``adam(1e-4)``.
            schedule: of the learning rate.

        Raises:
            ParameterError: if the judge has not been fitted, or as ``true_class_probabilities`` and ``training.fit``.
        """
        if self.model is None or self.head is None:
            raise not_fitted(self)
        targets = true_class_probabilities(self.model, data)
        trunk = trunk_of(self.model)[0] if self.trunk is None else copy.deepcopy(self.trunk)
        judge = nn.Sequential(trunk, copy.deepcopy(self.head)).requires_grad_(True)
        fit(
            judge,
            Split(data.x, targets),
            step=_undisturbed,
            generator=generator,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=adam(1e-4) if optimizer is None else optimizer,
            schedule=schedule,
        )
        self.trunk, self.head = judge[0], judge[1]
        return self

    def score(self, x: Tensor) -> Tensor:
        """Return 1 - c for inputs (N, ...), shape (N,): larger where the network is more likely wrong.

        Args:
            x: inputs.

        Raises:
            ParameterError: if the judge has not been fitted, or something is not finite.
        """
        if self.model is None or self.head is None:
            raise not_fitted(self)
        if self.trunk is None:
            phi = read(self.model, x).features
        else:
            with in_mode(self.trunk, training=False), torch.no_grad():
                phi = self.trunk(require_finite("x", x))
        with torch.no_grad():
            said = self.head(phi)[:, 0]
        return (-require_finite("a number of the head", said)).sigmoid()


def _squared_error(head: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    return mse_loss(head(batch.x)[:, 0].sigmoid(), batch.y)


def _undisturbed(judge: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the squared error without dropout and with the statistics of the training of the network."""
    with in_mode(judge, training=False):
        return _squared_error(judge, batch, generator)
