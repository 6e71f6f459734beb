"""Teach one network what every member of an ensemble says, as a Dirichlet distribution.

A mean forgets whether members agree. A Dirichlet over class probabilities does not: its mean is what they say, its
precision a0 how much they agree. The student's outputs are the logarithms of its concentrations.

    alpha = exp(z / T),   a0 = sum_c alpha_c
    loss  = -mean_s ln Dir(p~_s; alpha),   p~ = (1 - g) p_T + g / C

    dirichlet_distillation_loss     that loss
    annealing(start, share)         T over the epochs: from start down to 1, and 1 for the rest
    distill_distribution            trains a student on it
    distilled_dirichlet             what the student says: a DirichletPrediction
"""

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.training import Epoch, History, MakeOptimizer, Schedule, cosine, fit, in_mode
from weightlore.uncertainty.ensembles.distillation import tempered
from weightlore.uncertainty.ensembles.rows import numbered, row_step, teacher_of
from weightlore.uncertainty.measures.members import Members
from weightlore.uncertainty.predictions import DirichletPrediction

__all__ = ["annealing", "dirichlet_distillation_loss", "distill_distribution", "distilled_dirichlet"]


def dirichlet_distillation_loss(
    z: Tensor, teacher: Tensor, *, temperature: float = 1.0, smoothing: float = 1e-4
) -> Tensor:
    """Return how badly a student's Dirichlets explain what the members say.

        loss = -1/S sum_s [ ln Gamma(a0) - sum_c ln Gamma(alpha_c) + sum_c (alpha_c - 1) ln p~_{s,c} ]

    It is a density's logarithm, so that it can be negative, and has no lower bound where all members agree. A
    temperature above 1 softens members and student alike, which brings corners of the simplex within reach.

    Args:
        z: outputs of the student, shape (N, C).
        teacher: probabilities of the members, shape (S, N, C).
        temperature: T > 0.
        smoothing: g, in (0, 1), which keeps probabilities of 0 from having no logarithm.

    Returns:
        Mean over the examples, shape (), in nats; differentiable in z. It is computed in float64, because ln Gamma of
        large concentrations cancels.

    Raises:
        ParameterError: if shapes do not fit, or a number is out of range.

    Source: [malinin2020distillation], likelihood of the ensemble under the Dirichlet
    """
    if not 0 < smoothing < 1:
        raise ParameterError(f"smoothing is a share of the uniform distribution, in (0, 1), got {smoothing}")
    if z.shape != teacher.shape[1:]:
        raise ParameterError(f"outputs {tuple(z.shape)} do not fit members' probabilities {tuple(teacher.shape)}")
    classes = z.shape[-1]
    said = ((1 - smoothing) * tempered(teacher.double(), temperature) + smoothing / classes).log().mean(0)  # (N, C)
    alpha = (z.double() / temperature).exp()
    density = alpha.sum(-1).lgamma() - alpha.lgamma().sum(-1) + ((alpha - 1) * said).sum(-1)
    return -density.mean().to(z.dtype)


def annealing(start: float = 10.0, *, share: float = 0.5) -> Schedule:
    """Return a temperature over the epochs that falls along a line to 1 and stays there.

        T(e) = max(1, start - (start - 1) e / (share E))

    Args:
        start: of the first epoch, >= 1.
        share: of the epochs, in (0, 1], after which it is 1.

    Returns:
        A function of (epoch counted from 0, epochs).

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> [annealing(4.0)(epoch, 6) for epoch in range(6)]
        [4.0, 3.0, 2.0, 1.0, 1.0, 1.0]

    Source: [malinin2020distillation], temperature annealing; the line is ours
    """
    if not 1 <= start < torch.inf or not 0 < share <= 1:
        raise ParameterError(f"annealing starts at 1 or above and takes a share in (0, 1], got {start} and {share}")
    return lambda epoch, epochs: max(1.0, start - (start - 1) * epoch / (share * max(epochs, 1)))


def distill_distribution(
    student: nn.Module,
    teacher: Members,
    data: Split,
    *,
    temperature: Schedule | None = None,
    smoothing: float = 1e-4,
    generator: torch.Generator,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
) -> History:
    """Train a student in place so that its Dirichlets explain what the members say.

    Args:
        student: returns (N, C), the logarithms of concentrations; as logits they give the Dirichlet's mean.
        teacher: what the ensemble says of the same N examples, probabilities (S, N, C).
        data: N examples; only the inputs count.
        temperature: T from (epoch counted from 0, epochs); ``None`` for ``annealing()``.
        smoothing: g of the members' probabilities, in (0, 1).
        generator: as for ``training.fit``, like the rest.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: makes the optimizer.
        schedule: of the learning rate.
        validation: evaluated after each epoch, against its labels.

    Returns:
        How training went; losses of epochs with different temperatures cannot be compared.

    Raises:
        ParameterError: if the teacher says nothing of the same examples, or as the loss and ``fit``.

    Example:
        >>> data = Split(torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64))
        >>> student, teacher = nn.Linear(2, 4), torch.full((3, 6, 4), 0.25)
        >>> history = distill_distribution(student, teacher, data, generator=torch.Generator(), epochs=2)
        >>> distilled_dirichlet(student, data.x).precision.shape
        torch.Size([6])

    Source: [malinin2020distillation]
    """
    probs, heat = teacher_of(teacher, data), _Heat(annealing() if temperature is None else temperature, epochs)

    def loss(model: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        return dirichlet_distillation_loss(model(x), probs[:, rows], temperature=heat.now, smoothing=smoothing)

    return fit(
        student,
        numbered(data),
        step=row_step(loss),
        generator=generator,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=schedule,
        validation=validation,
        callbacks=[heat],
    )


def distilled_dirichlet(student: nn.Module, x: Tensor) -> DirichletPrediction:
    """Return the Dirichlets that a student says, in eval mode and without gradients.

        alpha = exp(z)

    Args:
        student: returns (N, C), the logarithms of concentrations.
        x: inputs, shape (N, ...).

    Returns:
        The prediction; ``precision`` is small where the members disagreed.

    Raises:
        ParameterError: if x is not finite, or a concentration is not.

    Source: [malinin2020distillation]
    """
    require_finite("x", x)
    with in_mode(student, training=False), torch.no_grad():
        z = require_finite("an output of the student", student(x))
        return DirichletPrediction(z.exp())


class _Heat:
    """The temperature of the epoch under way: a callback that looks ahead."""

    def __init__(self, schedule: Schedule, epochs: int) -> None:
        self.schedule = schedule
        self.now = schedule(0, epochs)

    def __call__(self, epoch: Epoch) -> None:
        """Set the temperature of the next epoch."""
        self.now = self.schedule(epoch.number, epoch.epochs)
