"""Errors of the training procedure: the same data and the same architecture, and yet another network.

    training_variability    trains R networks that differ in one thing only: first parameters, order of the examples,
                            learning rate, or all three
    churn                   share of the answers in which two of them differ

What differs between them is not in the data. It is the part of the model's uncertainty that a seed decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.training import evaluate, fit, in_mode, sgd
from weightlore.uncertainty.measures.members import Members, members_of
from weightlore.uncertainty.measures.votes import disagreement
from weightlore.uncertainty.predictions.categorical import CategoricalPrediction

__all__ = ["Variability", "Varied", "churn", "training_variability"]

Varied = Literal["initialization", "order", "learning_rate", "all"]


@dataclass(frozen=True, eq=False)
class Variability:
    """How far apart the networks are that one procedure makes.

    Args:
        varied: what differed between the runs.
        prediction: what each run says of the test examples, S = R members.
        accuracy: of each run on the test examples, shape (R,), float64.
        rates: learning rate of each run, shape (R,), float64.
        churn: share of the answers in which two runs differ, in [0, 1].

    Source: ours, because five numbers are compared between factors
    """

    varied: Varied
    prediction: CategoricalPrediction
    accuracy: Tensor
    rates: Tensor
    churn: float


def training_variability(
    make: Callable[[torch.Generator], nn.Module],
    train: Split,
    test: Split,
    *,
    varied: Varied,
    runs: int = 5,
    rate: float = 0.1,
    rate_factor: float = 2.0,
    epochs: int = 20,
    batch_size: int = 64,
    generator: torch.Generator,
) -> Variability:
    """Train one architecture several times on the same data, changing one thing between the runs.

    What does not vary is as in the first run. With the same generator state the first run is the same whatever varies,
    except for its learning rate.

    Args:
        make: makes a classifier with logits (N, C) from a generator.
        train: the data, the same in every run.
        test: where the networks are compared.
        varied: ``"initialization"``, ``"order"`` of the examples (with all else that training draws),
            ``"learning_rate"``, or ``"all"``.
        runs: R, >= 2.
        rate: learning rate where it does not vary, > 0.
        rate_factor: where it does, rates go in equal steps of their logarithm from rate / factor to rate * factor.
        epochs: of each run.
        batch_size: examples per step.
        generator: source of all randomness.

    Returns:
        The predictions of all runs, and how much they differ.

    Raises:
        ParameterError: if a number is out of range, or the data do not fit the network.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import mlp
        >>> g, make = torch.Generator().manual_seed(0), lambda g: mlp((64, 8, 10), generator=g)
        >>> train, test = digits("train")[:50], digits("test")
        >>> found = training_variability(make, train, test, varied="order", runs=2, generator=g)
        >>> found.prediction.probs.shape
        torch.Size([2, 540, 10])

    Source: [gawlikowski2023uncertainty], factor IV: errors in the training procedure
    """
    require_option("varied", varied, Varied)
    if runs < 2 or not 0 < rate < float("inf") or not 1 <= rate_factor < float("inf"):
        raise ParameterError(
            f"runs >= 2, rate > 0 and rate_factor >= 1 are needed, got {runs}, {rate} and {rate_factor}"
        )
    seeds = torch.randint(2**62, (2, runs), generator=generator, device=generator.device)
    places = {name: torch.arange(runs) * (varied in (name, "all")) for name in ("initialization", "order")}
    grid = rate * rate_factor ** torch.linspace(-1, 1, runs, dtype=torch.float64)
    rates = grid if varied in ("learning_rate", "all") else torch.full_like(grid, rate)
    probs, accuracy = [], []
    for first, order, step in zip(places["initialization"], places["order"], rates.tolist(), strict=True):
        model = make(torch.Generator().manual_seed(int(seeds[0, first])))
        draws, optimizer = torch.Generator().manual_seed(int(seeds[1, order])), sgd(step, momentum=0.9)
        fit(model, train, generator=draws, epochs=epochs, batch_size=batch_size, optimizer=optimizer)
        with in_mode(model, training=False), torch.no_grad():
            probs.append(model(test.x).softmax(1))
        accuracy.append(evaluate(model, test).accuracy)
    prediction = CategoricalPrediction(torch.stack(probs))
    return Variability(varied, prediction, torch.tensor(accuracy, dtype=torch.float64), rates, churn(prediction))


def churn(p: Members) -> float:
    """Return the share of the answers in which two members differ, over all pairs of members and all examples.

        1/N sum_i disagreement(x_i)

    Args:
        p: probabilities, shape (S, N, C), S >= 2, or a prediction. A member answers its largest class.

    Returns:
        A number in [0, 1]; 0 where all agree everywhere, whether right or wrong.

    Raises:
        ParameterError: if these are no probabilities, or of one member only.

    Example:
        >>> churn(torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]]))
        0.5

    Source: ours, because a user notices an answer that changes with a new version, not a probability
    """
    members = members_of(p)
    if len(members) < 2:
        raise ParameterError(f"churn is between two members or more, got {len(members)}; train again with another seed")
    return float(disagreement(members).mean(dtype=torch.float64))
