"""Uncertainty in space: maps of pixels, whole structures, and patches of an image.

    pixel_maps               every measure at every pixel, (N, H, W)
    pixelwise                one measure of your choice, the same way
    structure_uncertainty    of one class as a whole: does its size vary, do members cover the same place, how unsure
                             are its pixels [roy2019segmentation]
    dice, overlap            quality of a segmentation, class by class
    pavpu                    are certain patches right, and wrong ones uncertain? [mukhoti2018segmentation]

Probabilities are (S, N, C, H, W): members first, then images, classes and pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.measures import entropies, votes
from weightlore.uncertainty.measures.members import require_observed, require_probs

__all__ = [
    "Patches",
    "PixelMaps",
    "StructureUncertainty",
    "dice",
    "overlap",
    "pavpu",
    "pixel_maps",
    "pixelwise",
    "structure_uncertainty",
]


@dataclass(frozen=True, eq=False)
class PixelMaps:
    """What each measure says at each pixel, shape (N, H, W) throughout.

    Args:
        max_probability: 1 - max_c pbar_c.
        margin: lead of the first class; smaller where more uncertain.
        predictive_entropy: total, in nats.
        expected_entropy: data.
        mutual_information: model.
        expected_kl: from the mean to the members.
        expected_pairwise_kl: among the members.
        predictive_variance: summed over classes.
        variation_ratio: share of votes against the class with most.
        disagreement: share of pairs that name different classes.

    Source: [gawlikowski2023uncertainty], uncertainty maps in segmentation
    """

    max_probability: Tensor
    margin: Tensor
    predictive_entropy: Tensor
    expected_entropy: Tensor
    mutual_information: Tensor
    expected_kl: Tensor
    expected_pairwise_kl: Tensor
    predictive_variance: Tensor
    variation_ratio: Tensor
    disagreement: Tensor


@dataclass(frozen=True, eq=False)
class StructureUncertainty:
    """How sure members are of one structure as a whole, image by image.

    Args:
        volume_cv: standard deviation of its volume over members, by the mean volume, shape (N,); NaN where no member
            sees it.
        overlap: pixels that all members give to it, by pixels that any does, shape (N,); 1 where none does.
        mutual_information: mean over the pixels that the mean prediction gives to it, shape (N,); NaN where there are
            none.
        variance: mean predictive variance over the same pixels, shape (N,).
        unseen: in how many images no member sees it.
        absent: in how many images the mean prediction has none of it.

    Source: [roy2019segmentation], structure-wise uncertainty
    """

    volume_cv: Tensor
    overlap: Tensor
    mutual_information: Tensor
    variance: Tensor
    unseen: int
    absent: int


@dataclass(frozen=True)
class Patches:
    """How right and how certain the patches of images are.

    Args:
        accurate_given_certain: share of certain patches that are accurate; NaN if none is certain.
        uncertain_given_inaccurate: share of inaccurate patches that are uncertain; NaN if none is inaccurate.
        overall: share of patches that are accurate and certain, or inaccurate and uncertain.
        accurate_certain: how many patches are both, and so on.
        accurate_uncertain: the network was right without knowing it.
        inaccurate_certain: the patches to worry about.
        inaccurate_uncertain: the network was wrong and said so.

    Source: [mukhoti2018segmentation], patch accuracy against patch uncertainty
    """

    accurate_given_certain: float
    uncertain_given_inaccurate: float
    overall: float
    accurate_certain: int
    accurate_uncertain: int
    inaccurate_certain: int
    inaccurate_uncertain: int


def pixelwise(p: Tensor, measure: Callable[[Tensor], Tensor]) -> Tensor:
    """Return a measure of class probabilities at every pixel.

    Args:
        p: probabilities, shape (S, N, C, H, W).
        measure: takes probabilities (S, N', C) and returns (N',); any of the measures.

    Returns:
        Shape (N, H, W).

    Raises:
        ParameterError: if these are no probabilities, or the measure returns something else.

    Source: ours, because a pixel is an example like any other
    """
    _require_maps(p)
    members, images, classes, height, width = p.shape
    found = measure(p.movedim(2, -1).reshape(members, images * height * width, classes))
    if not isinstance(found, Tensor) or found.shape != (images * height * width,):
        came = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ParameterError(
            f"a measure of pixels must return a number for each, shape {(images * height * width,)}, got {came}"
        )
    return found.reshape(images, height, width)


def pixel_maps(p: Tensor) -> PixelMaps:
    """Return all measures at every pixel.

    Args:
        p: probabilities, shape (S, N, C, H, W), S >= 1, C >= 2; those of disagreement are 0 for S = 1, with warnings.

    Returns:
        Ten maps (N, H, W).

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> p = torch.tensor([0.5, 0.5]).reshape(1, 1, 2, 1, 1).expand(2, 3, 2, 4, 4)
        >>> maps = pixel_maps(p)
        >>> maps.predictive_entropy.shape, maps.predictive_entropy[0, 0, 0], maps.mutual_information[0, 0, 0]
        (torch.Size([3, 4, 4]), tensor(0.6931), tensor(0.))

    Source: [gawlikowski2023uncertainty], uncertainty maps in segmentation
    """
    return PixelMaps(
        max_probability=pixelwise(p, entropies.max_probability),
        margin=pixelwise(p, entropies.margin),
        predictive_entropy=pixelwise(p, entropies.predictive_entropy),
        expected_entropy=pixelwise(p, entropies.expected_entropy),
        mutual_information=pixelwise(p, entropies.mutual_information),
        expected_kl=pixelwise(p, entropies.expected_kl),
        expected_pairwise_kl=pixelwise(p, entropies.expected_pairwise_kl),
        predictive_variance=pixelwise(p, votes.predictive_variance),
        variation_ratio=pixelwise(p, votes.variation_ratio),
        disagreement=pixelwise(p, votes.disagreement),
    )


def structure_uncertainty(p: Tensor, structure: int, *, labels: Tensor | None = None) -> StructureUncertainty:
    """Return how sure members are of one structure: of its size, of its place, and of its pixels.

        CV = std_s V_s / mean_s V_s,   IoU = |intersection of all samples| / |union of all samples|

    Args:
        p: probabilities, shape (S, N, C, H, W).
        structure: the number of its class.
        labels: label maps of the samples, shape (S', N, H, W), int64; ``None`` for the largest class of each member.

    Returns:
        Four numbers for each image, and in how many there was nothing to measure.

    Raises:
        ParameterError: if these are no probabilities, the structure is no class, or label maps do not fit.

    Example:
        >>> p = torch.zeros(2, 1, 2, 1, 2)
        >>> p[0, 0, 1], p[1, 0, 1] = torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])
        >>> p[:, :, 0] = 1 - p[:, :, 1]
        >>> structure_uncertainty(p, 1).overlap
        tensor([0.5000], dtype=torch.float64)

    Source: [roy2019segmentation], structure-wise uncertainty
    """
    _require_maps(p)
    _, images, classes, height, width = p.shape
    if not 0 <= structure < classes:
        raise ParameterError(f"structure is the number of a class, 0 to {classes - 1}, got {structure}")
    if labels is None:
        labels = p.argmax(2)
    elif not isinstance(labels, Tensor) or labels.ndim != 4 or not len(labels):
        came = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise ParameterError(
            f"label maps of samples must have shape (S, N, H, W), got {came}; one sample is labels[None]"
        )
    marked = require_observed(labels, (len(labels), images, height, width), classes) == structure
    volumes = marked.sum((2, 3)).double()  # (S, N)
    inside = p.mean(0).argmax(1) == structure  # (N, H, W)
    return StructureUncertainty(
        volume_cv=volumes.std(0, correction=0) / volumes.mean(0),  # 0 / 0 is NaN, counted as unseen
        overlap=_ratio(marked.all(0).sum((1, 2)), marked.any(0).sum((1, 2))),
        mutual_information=_mean_inside(pixelwise(p, entropies.mutual_information), inside),
        variance=_mean_inside(pixelwise(p, votes.predictive_variance), inside),
        unseen=int((volumes.sum(0) == 0).sum()),
        absent=int((~inside.any(2).any(1)).sum()),
    )


def dice(labels: Tensor, truth: Tensor, *, classes: int) -> Tensor:
    """Return how well each class of each image is met.

        2 |A and B| / (|A| + |B|)

    Args:
        labels: predicted classes, shape (N, H, W), int64.
        truth: true classes, shape (N, H, W), int64.
        classes: C.

    Returns:
        Shape (N, C), float64, in [0, 1]; 1 where a class is in neither.

    Raises:
        ParameterError: if these are no label maps of one shape.

    Example:
        >>> dice(torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]]), classes=3)
        tensor([[0.0000, 0.6667, 1.0000]], dtype=torch.float64)

    Source: [roy2019segmentation], Dice score
    """
    both, one, other = _areas(labels, truth, classes)
    return _ratio(2 * both, one + other)


def overlap(labels: Tensor, truth: Tensor, *, classes: int) -> Tensor:
    """Return how much two label maps have in common, class by class: intersection over union.

        |A and B| / |A or B|

    Args:
        labels: predicted classes, shape (N, H, W), int64.
        truth: true classes, shape (N, H, W), int64.
        classes: C.

    Returns:
        Shape (N, C), float64, in [0, 1]; 1 where a class is in neither. It is D / (2 - D) for a Dice score D.

    Raises:
        ParameterError: if these are no label maps of one shape.

    Example:
        >>> overlap(torch.tensor([[[0, 1]]]), torch.tensor([[[1, 1]]]), classes=3)
        tensor([[0.0000, 0.5000, 1.0000]], dtype=torch.float64)

    Source: [roy2019segmentation], intersection over union
    """
    both, one, other = _areas(labels, truth, classes)
    return _ratio(both, one + other - both)


def pavpu(
    uncertainty: Tensor, correct: Tensor, *, threshold: float, window: int = 4, accurate_from: float = 0.5
) -> Patches:
    """Return whether certain patches are accurate and inaccurate ones uncertain.

        p(accurate | certain) = n_ac / (n_ac + n_ic),   p(uncertain | inaccurate) = n_iu / (n_iu + n_ic)
        overall = (n_ac + n_iu) / (n_ac + n_au + n_ic + n_iu)

    Images are cut into squares without overlap; what is left at the right and bottom edge counts as smaller patches.

    Args:
        uncertainty: a map of any measure that is larger where more uncertain, shape (N, H, W).
        correct: which pixels have the right class, shape (N, H, W), bool.
        threshold: a patch is uncertain if its mean uncertainty is above it, in the unit of the measure.
        window: pixels along a side of a patch, >= 1.
        accurate_from: a patch is accurate if at least this share of its pixels is right, in (0, 1].

    Returns:
        Three rates and the four counts; a rate without a case is NaN.

    Raises:
        ParameterError: if the maps do not fit, or a number is out of range.

    Example:
        >>> doubt, right = torch.tensor([[[0.1, 0.9], [0.1, 0.1]]]), torch.tensor([[[True, False], [True, False]]])
        >>> pavpu(doubt, right, threshold=0.5, window=1).overall
        0.75

    Source: [mukhoti2018segmentation], patch accuracy against patch uncertainty; edges and ties are ours
    """
    if correct.dtype != torch.bool or correct.ndim != 3 or correct.shape != uncertainty.shape or not correct.numel():
        raise ParameterError(
            f"uncertainty and correct must be maps (N, H, W), the second of booleans, got {tuple(uncertainty.shape)} "
            f"and {tuple(correct.shape)}, {correct.dtype}; correct is labels == truth"
        )
    if window < 1 or not 0 < accurate_from <= 1 or threshold != threshold:
        raise ParameterError(
            f"window must be >= 1, accurate_from in (0, 1] and threshold a number, got {window}, {accurate_from}, "
            f"{threshold}"
        )
    require_finite("uncertainty", uncertainty)
    unsure, right = (_patches(found, window) for found in (uncertainty, correct))
    return _rates(unsure > threshold, right >= accurate_from)


def _rates(uncertain: Tensor, accurate: Tensor) -> Patches:
    ac, au = int((accurate & ~uncertain).sum()), int((accurate & uncertain).sum())
    ic, iu = int((~accurate & ~uncertain).sum()), int((~accurate & uncertain).sum())
    certain = ac / (ac + ic) if ac + ic else torch.nan
    inaccurate = iu / (iu + ic) if iu + ic else torch.nan
    return Patches(certain, inaccurate, (ac + iu) / accurate.numel(), ac, au, ic, iu)


def _patches(values: Tensor, window: int) -> Tensor:
    """Return the mean of each patch; torch divides smaller patches at the edge by the pixels that they have."""
    return avg_pool2d(values.double()[:, None], window, ceil_mode=True)[:, 0]


def _areas(labels: Tensor, truth: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return |A and B|, |A| and |B| of each class, (N, C)."""
    if classes < 1 or labels.ndim != 3 or not labels.numel():
        raise ParameterError(
            f"label maps must have shape (N, H, W) and classes >= 1, got {tuple(labels.shape)}, {classes}"
        )
    numbers = torch.arange(classes, device=labels.device)[:, None, None]
    one = require_observed(labels, tuple(labels.shape), classes)[:, None] == numbers  # (N, C, H, W)
    other = require_observed(truth, tuple(labels.shape), classes)[:, None] == numbers
    both, first, second = ((one & other).sum((2, 3)), one.sum((2, 3)), other.sum((2, 3)))
    return both, first, second


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, and 1 where nothing is a part of nothing."""
    return torch.where(whole == 0, 1.0, part.double() / whole.clamp(min=1))


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    """Return the mean of a map where it is asked for, NaN where that is nowhere."""
    return torch.where(inside, values, 0).double().sum((1, 2)) / inside.sum((1, 2))


def _require_maps(p: Tensor) -> None:
    if not isinstance(p, Tensor) or p.ndim != 5:
        came = tuple(p.shape) if isinstance(p, Tensor) else type(p).__name__
        raise ParameterError(
            f"probabilities of pixels must have shape (S, N, C, H, W), got {came}; one network is p[None]"
        )
    require_probs(p, axis=2)
