"""Unknown data: inputs for which every answer of the network is wrong, because the right one is none of its classes.

unknown_inputs      in the form of given images: patches of photographs, images with moved pixels, uniform noise
hold_out_classes    parts the examples of some classes from the others, which are counted anew
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from weightlore.data import Split, natural_patches, shift
from weightlore.errors import ParameterError, require_option

__all__ = ["Unknown", "hold_out_classes", "unknown_inputs"]

Unknown = Literal["natural_patches", "permuted_pixels", "uniform_noise"]


def unknown_inputs(x: Tensor, kind: Unknown, *, generator: torch.Generator) -> Tensor:
    """Return inputs that no label describes, as many and of the same form as the given ones.

    Args:
        x: gray images between 0 and 1, shape (N, 1, H, H) or flat and square (N, D); left as they are.
        kind: ``"natural_patches"``, pieces of two photographs; ``"permuted_pixels"``, the images themselves with
            all pixels in another order, the same for all, which keeps the gray levels of each; ``"uniform_noise"``,
            gray levels drawn between 0 and 1.
        generator: source of all randomness.

    Returns:
        Shape and dtype of x, between 0 and 1.

    Raises:
        ParameterError: if there is no such kind, or x is not as described.
        MissingExtra: if photographs are asked for and pillow is not installed.

    Example:
        >>> from weightlore.data import digits
        >>> x = digits("test").x[:5]
        >>> strange = unknown_inputs(x, "permuted_pixels", generator=torch.Generator().manual_seed(0))
        >>> strange.shape, torch.equal(strange.sort(1).values, x.sort(1).values)
        (torch.Size([5, 64]), True)

    Source: [gawlikowski2023uncertainty], factor V: errors caused by unknown data; the three kinds are ours
    """
    require_option("kind", kind, Unknown)
    if x.ndim == 4 and (x.shape[1] != 1 or x.shape[2] != x.shape[3]):
        raise ParameterError(f"x holds square gray images, (N, 1, H, H) or flat (N, D), got {tuple(x.shape)}")
    permuted = shift(x, "permutation", 5 if kind == "permuted_pixels" else 0, generator=generator)  # checks x
    if kind == "permuted_pixels":
        return permuted
    if kind == "uniform_noise":
        return torch.rand(x.shape, generator=generator, dtype=torch.float64, device=generator.device).to(x)
    side = round(x[0].numel() ** 0.5)
    return natural_patches(len(x), size=side, generator=generator).reshape(x.shape).to(x)


def hold_out_classes(data: Split, held_out: Sequence[int]) -> tuple[Split, Split]:
    """Part the examples of some classes from the others, so that a network can be trained that never saw them.

    These are the hardest unknown inputs: made by the same hand and camera as the known ones.

    Args:
        data: N examples with class numbers y, shape (N,), int64.
        held_out: the classes to be unknown, each once; some but not all that occur.

    Returns:
        The known examples, their classes counted anew from 0 in the old order, and the unknown ones with their
        own numbers.

    Raises:
        ParameterError: if y are no class numbers, a class does not occur or is given twice, or none is left over.

    Example:
        >>> known, unknown = hold_out_classes(Split(torch.zeros(4, 1), torch.tensor([0, 1, 2, 2])), [1])
        >>> known.y, unknown.y
        (tensor([0, 1, 1]), tensor([1]))

    Source: [gawlikowski2023uncertainty], factor V: unknown classes
    """
    if data.y.ndim != 1 or data.y.dtype != torch.int64:
        raise ParameterError(f"y must be class numbers of shape (N,), int64, got {tuple(data.y.shape)}, {data.y.dtype}")
    present, chosen = data.y.unique(), torch.tensor(list(held_out), dtype=torch.int64)
    if (
        not 0 < len(chosen) < len(present)
        or len(chosen.unique()) < len(chosen)
        or not torch.isin(chosen, present).all()
    ):
        raise ParameterError(
            f"held_out names some, not all, of the classes {present.tolist()}, each once; got {list(held_out)}"
        )
    out = torch.isin(data.y, chosen.to(data.y.device))
    known, unknown = data[~out], data[out]
    kept = present[~torch.isin(present, chosen.to(present.device))]
    return Split(known.x, torch.searchsorted(kept, known.y)), unknown
