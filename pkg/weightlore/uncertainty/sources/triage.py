"""The three kinds of test data on which uncertainty is judged, together with what a network is trained on.

    triage_splits    digits: in-domain, shifted by severity, and unknown, as one ``Triage``

In-domain data are drawn like the training data. Shifted ones have the same classes under other circumstances: the
answer still exists, and the network should be less sure of it. Unknown ones have no answer at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from weightlore.data import Split, digits, shift
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources.unknown import Unknown, hold_out_classes, unknown_inputs

__all__ = ["Triage", "triage_splits"]

SEVERITIES = (1, 2, 3, 4, 5)
ALL_KINDS: tuple[Unknown, ...] = ("natural_patches", "permuted_pixels", "uniform_noise")


@dataclass(frozen=True, eq=False)
class Triage:
    """Training, validation and three kinds of test data.

    Args:
        train: to train on.
        validation: to choose and to calibrate on.
        in_domain: test examples drawn like those.
        shifted: the same test examples under a shift, by severity 1 to 5.
        unknown: inputs without an answer, by kind.
        classes: C, the classes of train, validation and test data.

    Source: [gawlikowski2023uncertainty], in-domain, domain-shift and out-of-domain uncertainty
    """

    train: Split
    validation: Split
    in_domain: Split
    shifted: Mapping[int, Split]
    unknown: Mapping[str, Tensor]
    classes: int


def triage_splits(
    kind: str = "rotation",
    *,
    unknown: Sequence[Unknown] = ALL_KINDS,
    held_out: Sequence[int] = (),
    images: bool = False,
    dtype: torch.dtype = torch.float64,
    generator: torch.Generator,
) -> Triage:
    """Return the digits in-domain, shifted and unknown.

    Args:
        kind: of shift, one of ``data.shift_kinds()``.
        unknown: kinds of inputs without an answer; ``"natural_patches"`` needs the extra ``images``.
        held_out: digits that training, validation and test do not hold; those of the test set are then among the
            unknown, as ``"held_out_classes"``. The others are counted anew from 0.
        images: whether x keeps the two image dimensions.
        dtype: floating dtype of x.
        generator: source of all randomness.

    Returns:
        All splits. Severity by severity the shifted sets hold the same images in the same order as the test set.

    Raises:
        ParameterError: if there is no such shift, kind or digit, or nothing is left.
        MissingExtra: if photographs are asked for and pillow is not installed.

    Example:
        >>> found = triage_splits("blur", unknown=("uniform_noise",), generator=torch.Generator().manual_seed(0))
        >>> len(found.in_domain), list(found.shifted), list(found.unknown)
        (540, [1, 2, 3, 4, 5], ['uniform_noise'])

    Source: [gawlikowski2023uncertainty], in-domain, domain-shift and out-of-domain uncertainty; the sets are ours
    """
    if not unknown and not held_out:
        raise ParameterError(f"name a kind of unknown inputs or more, of {', '.join(ALL_KINDS)}, or digits to hold out")
    parts = [digits(split, images=images, dtype=dtype) for split in ("train", "validation", "test")]
    strangers: dict[str, Tensor] = {}
    if held_out:
        parted = [hold_out_classes(part, held_out) for part in parts]
        parts, strangers["held_out_classes"] = [known for known, _ in parted], parted[2][1].x
    train, validation, test = parts
    shifted = {level: Split(shift(test.x, kind, level, generator=generator), test.y.clone()) for level in SEVERITIES}
    strangers |= {name: unknown_inputs(test.x, name, generator=generator) for name in unknown}
    classes = int(train.y.max()) + 1
    return Triage(train, validation, test, MappingProxyType(shifted), MappingProxyType(strangers), classes)
