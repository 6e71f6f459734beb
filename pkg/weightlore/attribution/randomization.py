"""Take away what training put into the parameters, block by block, in a copy.

Blocks are numbered from the output to the input, B_1 the readout. One network with all parameters random is drawn, the
donor; each step of a scheme takes some of its blocks and leaves the others trained:

    cascading     B_1 ... B_j       from the output down; the lower layers stay trained until the end
    independent   B_j               one block at a time
    full          B_1 ... B_L       everything
    bottom_up     B_L ... B_j       from the input up

    blocks(model)       the blocks of a network, B_1 first
    reinitialize        one copy with some blocks drawn anew
    randomize           the copies of a scheme

With shared draws all steps take from one donor, so that the last step of a cascade is the full randomization, bit for
bit, and one step differs from the next by one block only.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from weightlore.attribution.drawing import Initial, Statistics, draw_anew
from weightlore.errors import ParameterError, require_option
from weightlore.networks.residual import Residual

__all__ = ["Block", "Randomized", "Scheme", "blocks", "randomize", "reinitialize"]

Block: TypeAlias = tuple[str, ...]
Scheme = Literal["cascading", "independent", "full", "bottom_up"]

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True, eq=False)
class Randomized:
    """A copy of a network with random blocks.

    Args:
        step: name of the block that this step has reached; ``"all"`` for full randomization.
        blocks: the random ones, B_1 first.
        model: the copy, in eval mode.

    Source: [adebayo2018sanity], parameter randomization
    """

    step: str
    blocks: tuple[Block, ...]
    model: nn.Module


def blocks(model: nn.Module) -> tuple[Block, ...]:
    """Return the blocks of a network from the output to the input.

    A block is a tuple of names of modules whose parameters are drawn together; its first name names it. In the networks
    of this package these are the readout, then layer after layer with its normalization, a residual block as one; in
    other networks each module with parameters of its own, all below it, and the norms that follow it, in reverse order
    of registration.

    Args:
        model: any module with parameters.

    Returns:
        The blocks, B_1 first; together they hold every parameter.

    Raises:
        ParameterError: if the network has no parameters.

    Example:
        >>> from weightlore.networks import healthy
        >>> blocks(healthy("cnn"))
        (('readout',), ('layers.2',), ('layers.1',), ('layers.0',))

    Source: [adebayo2018sanity], from the logits to the first convolution; norms with their layer are ours
    """
    found: list[tuple[str, list[str]]] = []
    for name, module in _owners(model):
        key, member = _place(model, name)
        block = next((members for other, members in found if other == key), None)
        if block is None and found and isinstance(module, NORMS) and key == name:
            block = found[-1][1]  # a norm of its own name belongs to what it normalizes
        if block is None:
            found.append((key, block := []))
        if member not in block:
            block.append(member)
    if not found:
        raise ParameterError("the network has no parameters, so there is nothing to randomize")
    return tuple(tuple(members) for _, members in reversed(found))


def reinitialize(
    model: nn.Module,
    chosen: Sequence[Block | str],
    *,
    init: Initial = "reset",
    statistics: Statistics = "reset",
    generator: torch.Generator,
) -> nn.Module:
    """Return a copy of a network with some blocks drawn anew.

    Args:
        model: stays as it is, bit for bit.
        chosen: blocks, or names of single modules; a name stands for the module with all below it. They are drawn in
            this order.
        init: ``"reset"`` draws by the network's own law (networks of this package remember it; other modules have
            ``reset_parameters``), ``"permute"`` shuffles the entries of each parameter, ``"gaussian"`` draws a normal
            distribution with the mean and the standard deviation of its entries.
        statistics: of batch normalization in these blocks: ``"reset"`` to mean 0 and variance 1, or ``"keep"`` what
            training saw.
        generator: where the draws come from.

    Returns:
        The copy, in eval mode.

    Raises:
        ParameterError: if a name is no module with parameters, one is named twice, or a module cannot be reset.

    Source: [adebayo2018sanity]; permuting and matching are ours, because they keep the scale of the weights
    """
    chosen = _as_blocks(model, chosen)
    copy = deepcopy(model).eval()
    for name in (name for block in chosen for name in block):
        draw_anew(copy.get_submodule(name), name, init=init, statistics=statistics, generator=generator)
    return copy


def randomize(
    model: nn.Module,
    chosen: Sequence[Block | str] | None = None,
    *,
    scheme: Scheme = "cascading",
    init: Initial = "reset",
    statistics: Statistics = "reset",
    shared_draws: bool = True,
    generator: torch.Generator,
) -> tuple[Randomized, ...]:
    """Return the randomized copies of a network that a scheme asks for, in its order.

    Args:
        model: stays as it is, bit for bit.
        chosen: blocks from the output to the input; ``None`` for ``blocks(model)``.
        scheme: which blocks are random in which step, as the table above says.
        init: how a block is drawn, as in ``reinitialize``.
        statistics: of batch normalization in random blocks.
        shared_draws: whether all steps take their blocks from one random network, or each draws its own.
        generator: where the draws come from; with shared draws every scheme takes the same from it.

    Returns:
        One copy a step: L, or 1 for ``"full"``.

    Raises:
        ParameterError: as ``reinitialize``, or if there is no block or no such scheme.

    Example:
        >>> from weightlore.networks import healthy
        >>> copies = randomize(healthy("cnn"), scheme="cascading", generator=torch.Generator().manual_seed(0))
        >>> [copy.step for copy in copies]
        ['readout', 'layers.2', 'layers.1', 'layers.0']

    Source: [adebayo2018sanity], cascading and independent randomization; [binder2023shortcomings] on what top-down
        randomization keeps; shared draws are ours, because they lower the variance between steps
    """
    order = blocks(model) if chosen is None else _as_blocks(model, chosen)
    steps = _steps(order, scheme)
    if not shared_draws:
        drawn = (
            reinitialize(model, random, init=init, statistics=statistics, generator=generator) for _, random in steps
        )
        return tuple(Randomized(name, random, copy) for (name, random), copy in zip(steps, drawn, strict=True))
    donor = reinitialize(model, order, init=init, statistics=statistics, generator=generator)
    return tuple(
        Randomized(name, random, donor if random == order else _transplanted(model, donor, random))
        for name, random in steps
    )


def _owns(module: nn.Module) -> bool:
    """Whether a module has parameters of its own, or running statistics."""
    return isinstance(module, _NormBase) or any(True for _ in module.parameters(recurse=False))


def _owners(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the outermost modules that own parameters; what lies below one of them is part of it."""
    found: list[tuple[str, nn.Module]] = []
    for name, module in model.named_modules():
        if _owns(module) and not any(above == "" or name.startswith(f"{above}.") for above, _ in found):
            found.append((name, module))
    return found


def _place(model: nn.Module, name: str) -> tuple[str, str]:
    """Return the block that a module belongs to, and what of the module's name is named in it."""
    parts = name.split(".")
    if isinstance(model, Residual):
        return ("stem", parts[0]) if parts[0].startswith("stem") else (".".join(parts[:2]),) * 2
    if len(parts) > 1 and parts[0] in ("layers", "norms", "reverse") and parts[1].isdigit():
        return f"layers.{parts[1]}", ".".join(parts[:2])
    return name, name


def _steps(order: tuple[Block, ...], scheme: Scheme) -> list[tuple[str, tuple[Block, ...]]]:
    """Return for each step its name and its random blocks."""
    require_option("scheme", scheme, Scheme)
    places = range(len(order))
    if scheme == "full":
        return [("all", order)]
    if scheme == "independent":
        return [(order[j][0], order[j : j + 1]) for j in places]
    if scheme == "cascading":
        return [(order[j][0], order[: j + 1]) for j in places]
    return [(order[j][0], order[j:]) for j in reversed(places)]


def _transplanted(model: nn.Module, donor: nn.Module, random: tuple[Block, ...]) -> nn.Module:
    """Return a copy of the model with the parameters and statistics of the donor in some blocks."""
    copy = deepcopy(model).eval()
    with torch.no_grad():
        for name in (name for block in random for name in block):
            mine, theirs = copy.get_submodule(name), donor.get_submodule(name)
            for one, other in zip(
                [*mine.parameters(), *mine.buffers()], [*theirs.parameters(), *theirs.buffers()], strict=True
            ):
                one.copy_(other)
    return copy


def _as_blocks(model: nn.Module, chosen: Sequence[Block | str]) -> tuple[Block, ...]:
    """Check that blocks name modules with parameters, each parameter once."""
    if isinstance(chosen, str) or not len(chosen):
        raise ParameterError(f"blocks is a list of blocks or names of modules, at least one, got {chosen!r}")
    order = tuple((block,) if isinstance(block, str) else tuple(block) for block in chosen)
    modules, seen = dict(model.named_modules()), set[int]()
    for name in (name for block in order for name in block):
        if name not in modules or not any(_owns(module) for module in modules[name].modules()):
            known = ", ".join(block[0] for block in blocks(model))
            raise ParameterError(f"{name!r} is no module with parameters; the blocks of this network are {known}")
        inside = {id(module) for module in modules[name].modules() if _owns(module)}
        if seen & inside:
            raise ParameterError(f"the parameters of {name!r} are already in an earlier block; name each module once")
        seen |= inside
    return order
