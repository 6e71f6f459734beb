"""Teach one network what an ensemble says, so that a prediction costs one pass again.

    tempered(p, T)               soften probabilities: p^(1/T), renormalized
    mean_distillation_loss       T^2 KL(pbar_T || q_T), mixed with the labels' cross-entropy
    distill_mean                 trains a student on it; it learns what the ensemble says on average
    head_distillation_loss       the same for S heads, head by head
    distill_multihead            trains a student with members inside: it keeps their disagreement too

What the student of the mean cannot know any more is *why* the ensemble was unsure: noise in the data and disagreement
of the members look alike in pbar. ``distributions`` and the heads keep them apart.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.special import xlogy

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError
from weightlore.training import History, MakeOptimizer, Schedule, cosine, fit
from weightlore.uncertainty.ensembles.joint import logits_of_members
from weightlore.uncertainty.ensembles.rows import numbered, row_step, teacher_of
from weightlore.uncertainty.measures.members import Members

__all__ = [
    "distill_mean",
    "distill_multihead",
    "head_distillation_loss",
    "mean_distillation_loss",
    "tempered",
]


def tempered(p: Tensor, temperature: float) -> Tensor:
    """Soften or sharpen probabilities.

        p_T = p^(1/T) / sum_c p_c^(1/T)     what softmax(z / T) is for p = softmax(z)

    Args:
        p: probabilities, shape (..., C).
        temperature: T > 0; 1 changes nothing, more softens.

    Returns:
        Shape of p; where p is 0 it stays 0.

    Raises:
        ParameterError: if T is no finite number > 0.

    Example:
        >>> tempered(torch.tensor([0.8, 0.2]), 2.0)
        tensor([0.6667, 0.3333])

    Source: [hinton2015distilling], Eq. (1)
    """
    if not 0 < temperature < torch.inf:
        raise ParameterError(f"a temperature must be a finite number > 0, got {temperature}; 1 changes nothing")
    return p if temperature == 1 else (p.log() / temperature).softmax(-1)


def mean_distillation_loss(
    z: Tensor, teacher: Tensor, y: Tensor | None = None, *, temperature: float = 2.0, label_share: float = 0.0
) -> Tensor:
    """Return how far a student is from the mean of its teachers, and from the labels.

        loss = (1 - w) T^2 KL(pbar_T || q_T) + w CE(y, q),   q = softmax(z)

    T^2 keeps the gradient's size the same whatever T is.

    Args:
        z: logits of the student, shape (N, C).
        teacher: pbar, shape (N, C).
        y: class numbers, shape (N,); needed where w > 0.
        temperature: T > 0.
        label_share: w, in [0, 1].

    Returns:
        Mean over the examples, shape (), in nats; differentiable in z.

    Raises:
        ParameterError: if shapes do not fit, labels are missing, or a number is out of range.

    Source: [hinton2015distilling], Section 2
    """
    if not 0 <= label_share <= 1:
        raise ParameterError(f"label_share must be in [0, 1], got {label_share}")
    if z.shape != teacher.shape:
        raise ParameterError(
            f"student and teacher must have one shape, got {tuple(z.shape)} and {tuple(teacher.shape)}"
        )
    target = tempered(teacher.to(z), temperature)
    distance = xlogy(target, target) - target * (z / temperature).log_softmax(-1)
    loss = (1 - label_share) * temperature**2 * distance.sum(-1).mean()
    if label_share == 0:
        return loss
    if y is None:
        raise ParameterError(f"label_share={label_share} mixes in the labels; give y, or label_share=0")
    require_labels(y, z.shape[-1])
    return loss + label_share * functional.cross_entropy(z, y)


def head_distillation_loss(z: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return how far the heads of a student are from their teachers, on average.

        loss = 1/S sum_s T^2 KL(p_{s,T} || q_{s,T})

    Args:
        z: logits of the heads, shape (S, N, C).
        teacher: probabilities of the members, shape (S, N, C).
        temperature: T > 0.

    Returns:
        Mean over heads and examples, shape (), in nats; differentiable in z.

    Raises:
        ParameterError: if shapes do not fit, or T is out of range.

    Source: [tran2020hydra]
    """
    if z.shape != teacher.shape:
        raise ParameterError(
            f"the student needs a head for each member of its teacher: logits {tuple(z.shape)} for probabilities "
            f"{tuple(teacher.shape)}"
        )
    return mean_distillation_loss(z.flatten(0, 1), teacher.flatten(0, 1), temperature=temperature)


def distill_mean(
    student: nn.Module,
    teacher: Members,
    data: Split,
    *,
    temperature: float = 2.0,
    label_share: float = 0.0,
    generator: torch.Generator,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
) -> History:
    """Train a student in place on the mean of an ensemble.

    Args:
        student: returns logits (N, C).
        teacher: what the ensemble says of the same N examples, probabilities (S, N, C).
        data: N examples; the labels count where ``label_share`` > 0. Inputs without labels will do otherwise.
        temperature: T > 0 of both.
        label_share: weight of the labels, in [0, 1].
        generator: as for ``training.fit``, like the rest.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: makes the optimizer.
        schedule: of the learning rate.
        validation: evaluated after each epoch, against its labels.

    Returns:
        How training went; ``train_loss`` is the distillation loss.

    Raises:
        ParameterError: if the teacher says nothing of the same examples, or as ``mean_distillation_loss`` and ``fit``.

    Example:
        >>> data = Split(torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64))
        >>> teacher = torch.full((3, 6, 4), 0.25)
        >>> student = nn.Linear(2, 4)
        >>> len(distill_mean(student, teacher, data, generator=torch.Generator(), epochs=2).train_loss)
        2

    Source: [hinton2015distilling]; the mean of an ensemble as its teacher
    """
    mean = teacher_of(teacher, data).mean(0)

    def loss(model: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        y = data.y[rows] if label_share > 0 else None
        return mean_distillation_loss(model(x), mean[rows], y, temperature=temperature, label_share=label_share)

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
    )


def distill_multihead(
    student: nn.Module,
    teacher: Members,
    data: Split,
    *,
    temperature: float = 1.0,
    generator: torch.Generator,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
) -> History:
    """Train a student with S heads in place, each on the member of the same number.

    Args:
        student: a network with S members inside, such as a ``SubEnsemble`` that is not frozen.
        teacher: what the ensemble says of the same N examples, probabilities (S, N, C).
        data: N examples; only the inputs count.
        temperature: T > 0 of both.
        generator: as for ``training.fit``, like the rest.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: makes the optimizer.
        schedule: of the learning rate.
        validation: evaluated after each epoch, against its labels.

    Returns:
        How training went; ``train_loss`` is the distillation loss.

    Raises:
        ParameterError: if the student has another number of members, or as ``distill_mean``.

    Example:
        >>> from weightlore.uncertainty.ensembles import SubEnsemble
        >>> data = Split(torch.zeros(6, 2), torch.zeros(6, dtype=torch.int64))
        >>> student = SubEnsemble(nn.Linear(2, 5), [nn.Linear(5, 4) for _ in range(3)])
        >>> teacher = torch.full((3, 6, 4), 0.25)
        >>> len(distill_multihead(student, teacher, data, generator=torch.Generator(), epochs=2).train_loss)
        2

    Source: [tran2020hydra]; the first phase there, a single head on the mean, is ``distill_mean``
    """
    probs = teacher_of(teacher, data)

    def loss(model: nn.Module, x: Tensor, rows: Tensor) -> Tensor:
        return head_distillation_loss(logits_of_members(model, x), probs[:, rows], temperature=temperature)

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
    )
