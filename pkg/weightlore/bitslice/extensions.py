"""Two ways on from slice L1: empty whole bit planes, or write the same numbers with fewer digits.

    bit_lasso_penalty(strength)         group lasso over the bit planes of every tensor: planes vanish together
    recoded_ratios(codes)               non-zero digits 0 ... 3 against digits -2 ... 2 of the same numbers
    densities(points, accuracy)         what each method of a frontier needs for the same accuracy, seed by seed

A penalty fits into ``fit_three_phases`` and ``frontier`` as slice L1 does; recoding needs no training.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.bitslice.charging import Penalty, require_strength
from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.frontier import Point, density_at
from weightlore.bitslice.metrics import nonzero_ratios
from weightlore.bitslice.penalties import digits_of, looked_up
from weightlore.crossbar.encodings import signed_digits
from weightlore.errors import ParameterError

__all__ = ["RecodedRatios", "bit_lasso_penalty", "densities", "recoded_ratios"]


@dataclass(frozen=True)
class RecodedRatios:
    """Non-zero digits of the same codes, written in two ways.

    Args:
        plain: of the digits 0 ... 3 of each slice in percent, shape (K,).
        signed: of the digits -2 ... 2 in percent, shape (K + 1,): a carry may need one slice more.
        plain_digits: non-zero digits for each code.
        signed_digits: likewise.

    Source: ours
    """

    plain: Tensor
    signed: Tensor
    plain_digits: float
    signed_digits: float


def bit_lasso_penalty(strength: float) -> Penalty | None:
    """Return a group lasso over bit planes, after which few planes of a tensor are in use.

        R = alpha / (B P) sum over tensors and bits b of P_t || plane_b ||_2 / sqrt(P_t)

    The bits get their gradient as the digits of slice L1 do, with higher bits held constant; P_t counts the entries of
    a tensor. Departs from the paper: there each bit is a variable of its own that training moves.

    Args:
        strength: alpha, >= 0; 0 gives ``None``, no penalty.

    Returns:
        A function from a ``FixedPoint`` to R.

    Raises:
        ParameterError: if the strength is negative or not finite; from the penalty, if the model is not in fixed point.

    Source: [yang2021bsq], bit-level group lasso, here on the codes of one quantizer
    """
    require_strength(strength)

    def penalty(model: nn.Module) -> Tensor:
        if not isinstance(model, FixedPoint):
            raise ParameterError(
                f"bit planes belong to a model in fixed point, got a {type(model).__name__}; train FixedPoint(model)"
            )
        parts, parameters = [], model.quantized()
        for name, parameter in parameters.items():
            index, step = model.index(name)
            norms = _plane_counts(index, model.bits).sqrt()
            inverse = tuple((1 / norms.clamp(min=1.0)).tolist())  # sum of bits / norm = norm, and so is the gradient
            total = looked_up(parameter, index, step, model.bits, 1, inverse)
            parts.append(total * parameter.numel() ** 0.5)
        size = sum(p.numel() for p in parameters.values())
        return torch.stack(parts).sum() * (strength / (model.bits * size))

    return penalty if strength > 0 else None


def recoded_ratios(codes: FixedPoint | Tensor) -> RecodedRatios:
    """Return how many digits are not zero, plain and signed, for cells of two bits.

    Args:
        codes: a model with cells of 2 bits, or signed integer codes of 8 bits.

    Returns:
        Shares for each slice, and digits for each code.

    Raises:
        ParameterError: if there are no codes, or a model's cells are of another width.

    Source: ours
    """
    bits = 8
    if isinstance(codes, FixedPoint):
        if codes.cell_bits != 2:
            raise ParameterError(f"signed digits are of cells of 2 bits, got a model with cell_bits={codes.cell_bits}")
        bits, codes = codes.bits, torch.cat([q.code.flatten() for q in codes.codes().values()])
    plain = nonzero_ratios(codes, bits=bits).slices
    signed = 100 * (signed_digits(codes, bits=bits) != 0).flatten(1).double().mean(1)
    return RecodedRatios(plain, signed, plain.sum().item() / 100, signed.sum().item() / 100)


def densities(points: Iterable[Point], accuracy: float) -> dict[str, dict[int, float | None]]:
    """Return the density that each method needs for the same validation accuracy, seed by seed.

    Args:
        points: as ``frontier`` returns them; the pruned networks are left out.
        accuracy: in [0, 1].

    Returns:
        Method -> seed -> non-zero digits in percent, ``None`` where the method's front does not reach.

    Source: ours
    """
    groups: dict[str, dict[int, list[Point]]] = {}
    for point in points:
        if point.method != "pruned":
            groups.setdefault(point.method, {}).setdefault(point.seed, []).append(point)
    return {name: {seed: density_at(g, accuracy) for seed, g in seeds.items()} for name, seeds in groups.items()}


def _plane_counts(index: Tensor, bits: int) -> Tensor:
    """Return how many codes have each bit set, least significant first, float64."""
    counts = torch.bincount(index.reshape(-1), minlength=2 ** (bits + 1) + 1).double()
    middle = 2**bits
    magnitudes = counts[middle:] + torch.cat([counts.new_zeros(1), counts[:middle].flip(0)])
    return digits_of(bits, 1).double() @ magnitudes
