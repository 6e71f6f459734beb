"""The parameters of a layer as a matrix: one row for each output, the bias as its last column.

Written so, the output of a layer is a product with its input and a one, and the derivative of any output of the network
in the matrix is an outer product (a sum of them where a layer shares its weights, as a convolution does):

    z = W (a, 1),   d f / d W = sum over places t of g_t (a_t, 1)^T

    matrices_of(model)    the matrices of a network, in the order of theta
    Block                 one of them: layer, and where its entries lie in theta
    named(names)          the parameters of these names, as a group
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters.groups import Group, members
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Block", "Matrices", "matrices_of", "named"]

FORWARDS = (nn.Linear.forward, nn.Conv2d.forward)


@dataclass(frozen=True, eq=False)
class Block:
    """The weights of a layer (of one of its groups of channels), with or without bias, as a matrix.

    Args:
        layer: name of the module.
        places: where the entries lie among the P covered, shape (out, in) or (out, in + 1), int64.
        bias: whether the last column is the bias.
        part: which of the groups of a convolution.
        parts: how many groups there are; 1 for most layers.

    Source: [martens2015kfac], weights with the bias as a column; [grosse2016conv], convolutions
    """

    layer: str
    places: Tensor
    bias: bool
    part: int = 0
    parts: int = 1


@dataclass(frozen=True, eq=False)
class Matrices:
    """Which parameters of a network a structure by layers describes.

    Args:
        names: of the parameters, in the order of ``model.named_parameters()``.
        size: P, how many entries they have.
        blocks: their matrices.

    Source: ours
    """

    names: tuple[str, ...]
    size: int
    blocks: tuple[Block, ...]


def matrices_of(model: nn.Module, group: Group = None) -> Matrices:
    """Return the matrices of the linear and convolutional layers of a network.

    Batch normalization is left out with a warning: in evaluation mode it is a fixed scale, and how sure its gain is
    says little. Whatever else has parameters is refused, because leaving it out would answer another question.

    Args:
        model: any network; parameters that require no gradient are not covered.
        group: which parameters; ``None`` for all.

    Returns:
        Names, number and matrices.

    Raises:
        ParameterError: if a parameter belongs to another kind of layer or to two layers, or a bias comes without its
            weights.

    Example:
        >>> matrices_of(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))).blocks[0].places
        tensor([[0, 1, 2, 6],
                [3, 4, 5, 7]])

    Source: [martens2015kfac]; what is refused is ours
    """
    wanted = dict(members(model, group))
    kept = [name for name in wanted if not _normalizes(model, name)]
    left = [name for name in wanted if name not in kept]
    if left:
        warnings.warn(
            f"{', '.join(left)} of batch normalization stay at their values: no variance is given to them; to say so "
            "yourself, set requires_grad_(False) on them",
            UncertaintyWarning,
            stacklevel=3,
        )
    if not kept:
        raise ParameterError(
            "no parameter of a linear or convolutional layer is among those chosen; choose such a layer"
        )
    starts, size = {}, 0
    for name in kept:
        starts[name] = size
        size += wanted[name].numel()
    layers = dict.fromkeys(name.rpartition(".")[0] for name in kept)
    _require_untied(model, wanted, kept)
    blocks = [block for layer in layers for block in _blocks(model.get_submodule(layer), layer, starts)]
    return Matrices(tuple(kept), size, tuple(blocks))


def named(names: tuple[str, ...]) -> Callable[[str, nn.Parameter], bool]:
    """Return the group of the parameters with these names.

    Args:
        names: of ``model.named_parameters()``.

    Source: ours
    """
    kept = frozenset(names)
    return lambda name, _: name in kept


def _blocks(module: nn.Module, layer: str, starts: Mapping[str, int]) -> list[Block]:
    """Return the matrices of one layer, one for each group of channels."""
    stem = f"{layer}." if layer else ""
    if type(module).forward not in FORWARDS or module._parameters.get("weight") is None:
        raise ParameterError(
            f"{layer or 'the network'} is a {type(module).__name__}, whose parameters make no matrix times an input; "
            "structures by layers know nn.Linear and nn.Conv2d: set requires_grad_(False) on its parameters to leave "
            'them out, or take structure="full" or "lowrank"'
        )
    weight = module.get_parameter("weight")
    if stem + "weight" not in starts:
        raise ParameterError(f"the bias of {layer} is chosen without its weight; choose both, or the weight alone")
    rows = len(weight)
    places = starts[stem + "weight"] + torch.arange(weight.numel()).reshape(rows, -1)
    bias = stem + "bias" in starts
    if bias:
        places = torch.cat([places, starts[stem + "bias"] + torch.arange(rows)[:, None]], 1)
    parts = module.groups if isinstance(module, nn.Conv2d) else 1
    return [Block(layer, part, bias, i, parts) for i, part in enumerate(places.chunk(parts))]


def _normalizes(model: nn.Module, name: str) -> bool:
    return isinstance(model.get_submodule(name.rpartition(".")[0]), nn.modules.batchnorm._BatchNorm)


def _require_untied(model: nn.Module, wanted: Mapping[str, nn.Parameter], kept: list[str]) -> None:
    ids = {id(wanted[name]): name for name in kept}
    seen: set[int] = set()
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in seen:
            raise ParameterError(
                f"{name} and {ids[id(parameter)]} are one parameter of two layers, which have no common matrix; untie "
                'them, or take structure="full" or "lowrank"'
            )
        if id(parameter) in ids:
            seen.add(id(parameter))
