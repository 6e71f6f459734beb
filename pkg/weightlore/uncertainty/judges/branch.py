"""A network that may ask for hints, and pays for each: what it would pay is how unsure it is.

Beside the logits stands a confidence c in (0, 1). In training an answer is mixed with the truth where confidence is
low, and low confidence costs [devries2018confidence]:

    p' = c p + (1 - c) e_y                         for half of each batch; p' = p for the other half
    loss = 1/N sum_i [ -ln p'_y - w ln c ]         hinted_loss
    w falls by 1 % after a batch with mean(-ln c) below the budget, else rises by 1 %     confidence_step

    ConfidenceBranch(network, ...)   the network with its branch, one module;  .score(x) = 1 - c
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import built
from weightlore.networks.readouts import readout_of
from weightlore.training import Step, in_mode
from weightlore.uncertainty.measures.members import require_observed
from weightlore.uncertainty.ood.reading import caught

__all__ = ["ConfidenceBranch", "confidence_step", "hinted_loss"]

RATE = 0.01  # by which the price of a hint changes after a batch


def hinted_loss(logits: Tensor, confidence: Tensor, y: Tensor, *, price: float | Tensor, hinted: Tensor) -> Tensor:
    """Return the loss of answers that were mixed with the truth, and of the hints.

        1/N sum_i [ -ln( c_i p_i[y_i] + (1 - c_i) ) - w ln c_i ],   with -ln p_i[y_i] first where no hint was given

    Args:
        logits: shape (N, C).
        confidence: logit of c, shape (N,).
        y: class numbers, shape (N,), int64.
        price: w, >= 0.
        hinted: which examples get a hint, shape (N,), bool.

    Returns:
        Shape (), in nats, differentiable; computed from logarithms, so that no certainty makes it infinite.

    Raises:
        ParameterError: if shapes do not fit or the price is negative.

    Example:
        >>> sure = torch.full((1,), 100.0)
        >>> hinted_loss(torch.zeros(1, 2), sure, torch.tensor([0]), price=0.1, hinted=torch.tensor([True]))
        tensor(0.6931)

    Source: [devries2018confidence]
    """
    shape = (len(logits),)
    if logits.ndim != 2 or confidence.shape != shape or hinted.shape != shape or not float(price) >= 0:
        raise ParameterError(
            f"logits (N, C), a confidence and a mark for each, and a price >= 0 are needed, got {tuple(logits.shape)}, "
            f"{tuple(confidence.shape)}, {tuple(hinted.shape)} and {float(price)}"
        )
    right = logits.log_softmax(1).gather(1, require_observed(y, shape, logits.shape[1])[:, None])[:, 0]
    mixed = torch.logaddexp(logsigmoid(confidence) + right, logsigmoid(-confidence))
    return (-torch.where(hinted, mixed, right) - price * logsigmoid(confidence)).mean()


class ConfidenceBranch(nn.Module):
    """A classifier with one more output: how confident it is of its answer.

        c = sigmoid(v . phi(x) + b),   score = 1 - c

    Args:
        network: returns logits and ends in a linear layer; part of this module, so that training moves it.
        generator: where the weights of the branch are drawn from.
        price: w at the start, > 0; training adapts it and it is saved with the module.

    Raises:
        ParameterError: if the network does not end in a linear layer, or the price is not a finite number > 0.

    Example:
        >>> from weightlore.networks import mlp
        >>> g = torch.Generator().manual_seed(0)
        >>> logits, confidence = ConfidenceBranch(mlp(generator=g), generator=g)(torch.zeros(3, 64).double())
        >>> logits.shape, confidence.shape
        (torch.Size([3, 10]), torch.Size([3]))

    Source: [devries2018confidence]
    """

    price: Tensor

    def __init__(self, network: nn.Module, *, generator: torch.Generator, price: float = 0.1) -> None:
        super().__init__()
        last = readout_of(network)
        if not 0 < price < float("inf"):
            raise ParameterError(f"price is what a hint costs and must be a finite number > 0, got {price}")
        self.network = network
        self.branch = built(
            lambda: nn.Linear(last.in_features, 1),
            generator=generator,
            dtype=last.weight.dtype,
            linear_spread=last.in_features**-0.5,
        ).to(last.weight.device)
        self.register_buffer("price", torch.tensor(price, dtype=last.weight.dtype, device=last.weight.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, C) and the logit of the confidence (N,) of inputs (N, ...)."""
        phi, logits = caught(self.network, x)
        return logits, self.branch(phi)[:, 0]

    def score(self, x: Tensor) -> Tensor:
        """Return 1 - c of inputs (N, ...), shape (N,), in evaluation mode and without gradients.

        Args:
            x: inputs, finite.

        Raises:
            ParameterError: if something is not finite.
        """
        with in_mode(self, training=False), torch.no_grad():
            _, confidence = self(require_finite("x", x))
        return (-require_finite("a confidence", confidence)).sigmoid()


def confidence_step(budget: float = 0.3) -> Step:
    """Return the training step of a ``ConfidenceBranch``.

    Half of the batch, rounded up and drawn by the generator of the training, gets hints. After the loss is computed the
    price of the module moves by 1 % towards the budget.

    Args:
        budget: mean of -ln c, in nats, that is aimed at, > 0. A small one keeps the network confident.

    Raises:
        ParameterError: if the budget is not a finite number > 0; in the step, if the model is no ``ConfidenceBranch``.

    Example:
        >>> from weightlore.networks import mlp
        >>> from weightlore.training import fit
        >>> g = torch.Generator().manual_seed(0)
        >>> model = ConfidenceBranch(mlp((2, 4, 2), dtype=torch.float32, generator=g), generator=g)
        >>> data = Split(torch.ones(4, 2), torch.tensor([0, 1, 0, 1]))
        >>> _ = fit(model, data, step=confidence_step(), generator=g, epochs=1)
        >>> model.score(data.x).shape
        torch.Size([4])

    Source: [devries2018confidence], budget; half of the batch is drawn without replacement, which is ours
    """
    if not 0 < budget < float("inf"):
        raise ParameterError(f"budget is a mean of -ln c and must be a finite number > 0, got {budget}")

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        if not isinstance(model, ConfidenceBranch):
            raise ParameterError(f"this step trains a ConfidenceBranch, got {type(model).__name__}; wrap the network")
        logits, confidence = model(batch.x)
        order = torch.randperm(len(batch), generator=generator, device=generator.device)
        hinted = (2 * order < len(batch)).to(logits.device)
        loss = hinted_loss(logits, confidence, batch.y, price=model.price.clone(), hinted=hinted)
        paid = float(-logsigmoid(confidence.detach()).mean())
        with torch.no_grad():
            model.price.mul_(1 / (1 + RATE) if paid < budget else 1 / (1 - RATE))
        return loss

    return step
