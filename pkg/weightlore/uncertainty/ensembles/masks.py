"""Members that use different units of a layer, by masks that are drawn once and stay.

Dropout draws new masks with every pass; fixed ones make an ensemble. Between one network for all and networks of their
own lies the ``scale``: how many units there would be for one unit that a member uses.

    masks_for(units, S, scale)           0 and 1, (S, units): m ones in each, every unit used by someone
    overlap(masks)                       mean share of units that two members have in common
    MaskedLinear(layer, S, scale)        y_i = mask_m o (W x_i + b)
    masked_ensemble(network, ...)        one of our networks with masks on its fully connected layers

    m = units / (scale (1 - (1 - 1/scale)^S))        scale 1: m = units, all alike;  infinite: m = units / S, apart
"""

import copy
import math

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.ensembles.batched import BatchedMembers, require_rows, scaled_by_member, with_layers

__all__ = ["MaskedLinear", "masked_ensemble", "masks_for", "overlap"]


def masks_for(units: int, *, members: int, scale: float, generator: torch.Generator) -> Tensor:
    """Draw masks for the units of a layer.

        m = ceil(units / (scale (1 - (1 - 1/scale)^S)))

    Random sets of m places among scale m would leave units that nobody uses; the size is chosen so that these, once
    dropped, leave as many units as there are. Here each member draws m of the units; a unit that nobody has is then
    given to a random member in exchange for one of its units that another member has too.

    Args:
        units: of the layer.
        members: S.
        scale: >= 1, also ``inf``.
        generator: source of all randomness.

    Returns:
        0 and 1, shape (S, units), float64. Each row has m ones and each column at least one.

    Raises:
        ParameterError: if the scale is below 1, or a number is no whole one of at least 1.

    Example:
        >>> masks_for(8, members=2, scale=1.0, generator=torch.Generator().manual_seed(0)).sum(1)
        tensor([8., 8.], dtype=torch.float64)

    Source: [durasov2021masksembles], number of ones and of positions; exact coverage by exchange is ours, because
        drawing until it happens takes long
    """
    require_counts(units=units, members=members)
    if not scale >= 1:
        raise ParameterError(f"scale compares the units there are with those a member uses, >= 1 or inf, got {scale}")
    ones = _ones(units, members, scale)
    keys = torch.rand(members, units, generator=generator, dtype=torch.float64, device=generator.device)
    masks = torch.zeros_like(keys).scatter_(1, keys.topk(ones, 1).indices, 1.0)
    for unit in (masks.sum(0) == 0).nonzero()[:, 0]:
        _give(masks, unit, generator)
    return masks


def overlap(masks: Tensor) -> float:
    """Return the mean share of units that two members have in common.

        mean over pairs s != t of |M_s and M_t| / |M_s or M_t|

    Args:
        masks: 0 and 1, shape (S, units), S >= 2, no row empty.

    Returns:
        From 0, networks apart, to 1, one network.

    Raises:
        ParameterError: if there are fewer than two masks, or one is empty.

    Example:
        >>> overlap(torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
        0.3333333333333333

    Source: [durasov2021masksembles], intersection over union of masks
    """
    if masks.ndim != 2 or len(masks) < 2 or not bool(masks.any(1).all()):
        raise ParameterError(f"the overlap is one of two masks or more, none empty, got shape {tuple(masks.shape)}")
    used = (masks != 0).double()
    both = used @ used.T
    either = used.sum(1)[:, None] + used.sum(1) - both
    pairs = ~torch.eye(len(masks), dtype=torch.bool, device=masks.device)
    return float((both / either)[pairs].mean())


class MaskedLinear(nn.Module):
    """A fully connected layer of which every member uses some outputs.

        y_i = mask_m o (W x_i + b),   m = floor(i S / B)

    Args:
        layer: copied.
        members: S.
        scale: as for ``masks_for``.
        generator: where the masks are drawn from; they are kept as a buffer.

    Raises:
        ParameterError: as ``masks_for``.

    Example:
        >>> layer = MaskedLinear(nn.Linear(4, 6), 2, scale=float("inf"), generator=torch.Generator().manual_seed(0))
        >>> (layer(torch.ones(2, 4)) != 0).sum(1)
        tensor([3, 3])

    Source: [durasov2021masksembles]
    """

    masks: Tensor

    def __init__(self, layer: nn.Linear, members: int, *, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = copy.deepcopy(layer)
        masks = masks_for(layer.out_features, members=members, scale=scale, generator=generator)
        self.register_buffer("masks", masks.to(layer.weight))

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows of all members, shape (B, out).

        Args:
            x: rows, shape (B, in), dealt out to the members in order.

        Raises:
            ParameterError: if x has another shape.
        """
        require_rows(x)
        return scaled_by_member(self.layer(x), self.masks)


def masked_ensemble(
    model: nn.Module, *, members: int, scale: float = 2.0, generator: torch.Generator
) -> BatchedMembers:
    """Return an ensemble whose members use different units of the fully connected layers of a network.

    Args:
        model: a network whose fully connected layers but the last are masked; copied.
        members: S.
        scale: >= 1, also ``inf``; 1 makes all members alike.
        generator: where the masks are drawn from, layer by layer.

    Returns:
        The ensemble, to be trained by ``fit`` with ``dealt_cross_entropy``.

    Raises:
        ParameterError: if there are not at least two fully connected layers, or an argument is out of range.

    Example:
        >>> from weightlore.networks import healthy
        >>> joint = masked_ensemble(healthy(), members=4, generator=torch.Generator().manual_seed(0))
        >>> joint.predict(torch.zeros(5, 64, dtype=torch.float64)).probs.shape
        torch.Size([4, 5, 10])

    Source: [durasov2021masksembles]
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear) and name in linear[:-1]:  # the last one says the classes
            return MaskedLinear(layer, members, scale=scale, generator=generator)
        return None

    return BatchedMembers(with_layers(model, replace), members)


def _ones(units: int, members: int, scale: float) -> int:
    """Return how many units each member uses."""
    share = members if scale == math.inf else scale * -math.expm1(members * math.log1p(-1 / scale)) if scale > 1 else 1
    return min(units, max(math.ceil(units / share - 1e-9), math.ceil(units / members)))


def _give(masks: Tensor, unit: Tensor, generator: torch.Generator) -> None:
    """Give a unit to a member that has one in common with another, in exchange for that one."""
    spare = masks * (masks.sum(0) > 1)
    place = torch.multinomial(spare.flatten(), 1, generator=generator)
    masks.view(-1)[place] = 0.0
    masks[place // masks.shape[1], unit] = 1.0
