"""What the source stream of a recurrent transfer says: the states of its layers, and the memories of its LSTM.

They depend on the input alone, never on what is fused, so that they are computed before the target takes its first
step, and for a frozen source once for a whole data set.

    source_states(source, x, layers)         states, and memories, of some layers
    require_aligned(source, target, pairs)   can these two be blended layer by layer?
    require_steps(marks)                     is there a step in every sequence?
    require_same_steps(theirs, ours)         do both streams see the same steps?
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Recurrent
from weightlore.transfer.network import partners

__all__ = ["require_aligned", "require_same_steps", "require_steps", "source_states"]


def source_states(
    source: Recurrent, x: Tensor, layers: Iterable[int], *, memories: bool = False
) -> dict[int, list[Tensor]]:
    """Return the states of some layers of a recurrent network, and the memories if wanted.

    Args:
        source: reads x.
        x: tokens (N, T), or vectors (N, T, D), as the network reads them.
        layers: numbers of the layers that are wanted; none above the highest is computed.
        memories: whether the memories of an LSTM are wanted, too.

    Returns:
        For each layer, forwards and then, in both directions, backwards: shape (N, T, 1 or 2, H_S), the states, as
        ``activations`` gives them bit for bit, before the memories.

    Source: ours
    """
    wanted, h = set(layers), x
    found: dict[int, list[Tensor]] = {}
    for l in range(max(wanted) + 1):  # noqa: E741
        a = source.pre(l, h)
        cells, words = source.cells(l), a[..., -1:]
        driven = a[..., :-1].chunk(len(cells), dim=-1)
        walks = [cell.walk(part, words > 0, way) for cell, part, way in zip(cells, driven, (False, True), strict=False)]
        states = [torch.stack(steps, dim=1) for steps, _ in walks]
        if l in wanted:
            kept = [[torch.stack(steps, dim=1)] if memories else [] for _, steps in walks]
            found[l] = [torch.stack([one, *more], dim=2) for one, more in zip(states, kept, strict=True)]
        h = torch.cat([*states, words], dim=-1)
    return found


def require_steps(marks: Tensor) -> None:
    """Check that every sequence has at least one step.

    Args:
        marks: shape (N, T, 1), 1 at steps and 0 at padding.

    Raises:
        ParameterError: if one has none; the message says which, and what to do.

    Source: ours, because a state that is held from the start says nothing about its sequence
    """
    empty = (~(marks > 0).any(dim=1)).flatten().nonzero().flatten().tolist()
    if empty:
        raise ParameterError(
            f"an empty sequence has no state to transfer: {len(empty)} of {len(marks)} sequences hold nothing but "
            f"padding, the first is number {empty[0]}; leave them out, or put the token 1 (unknown) for a missing word"
        )


def require_same_steps(theirs: Tensor, ours: Tensor) -> None:
    """Check that source and target see the same steps.

    Args:
        theirs: which steps are words for the source, shape (N, T), bool.
        ours: likewise for the target.

    Raises:
        ParameterError: if they do not; states could not be blended step by step.

    Source: ours
    """
    if theirs.shape != ours.shape or bool((theirs != ours).any()):
        raise ParameterError(
            f"states are blended step by step, so that both streams must see the same steps, got {int(theirs.sum())} "
            f"in {tuple(theirs.shape)} for the source and {int(ours.sum())} in {tuple(ours.shape)} for the target; "
            "source_input and target_input must keep steps and padding where they are"
        )


def require_aligned(
    source: Recurrent, target: Recurrent, pairs: Mapping[int, int] | None, *, one_input: bool = True
) -> dict[int, int]:
    """Check that two networks can be blended layer by layer; return the partner of each layer that carries a unit.

    Args:
        source: the trained network.
        target: the network that learns.
        pairs: from layers of the target to layers of the source; ``None`` pairs equal numbers.
        one_input: whether both read the same input as it comes.

    Raises:
        ParameterError: if they cannot; the message says what does not fit and what to do.

    Source: ours
    """
    for whose, network in (("source", source), ("target", target)):
        if not isinstance(network, Recurrent):
            raise ParameterError(
                f"the {whose} must be a network of weightlore.networks.recurrent or sequence, got a "
                f"{type(network).__name__}; other networks are joined by PTUNet"
            )
    if one_input:
        _require_one_form(source, target)
    ways = len(source.cells(0)), len(target.cells(0))
    if ways[0] != ways[1]:
        raise ParameterError(
            f"source and target must read in the same directions, got {ways[0]} for the source and {ways[1]} for the "
            "target; make both with the same bidirectional="
        )
    dtypes = source.readout.weight.dtype, target.readout.weight.dtype
    if dtypes[0] != dtypes[1]:
        raise ParameterError(
            f"source and target must compute in one dtype, got {dtypes[0]} and {dtypes[1]}; convert one"
        )
    return partners(source, target, pairs)


def _require_one_form(source: Recurrent, target: Recurrent) -> None:
    """Check that both read the same tokens, or vectors of the same width."""
    theirs, ours = _form(source), _form(target)
    if theirs != ours:
        tokens = all(isinstance(network.embedding, nn.Embedding) for network in (source, target))
        remedy = "translated(source, source_words, target_words) reads the target's" if tokens else "give source_input="
        raise ParameterError(
            f"both streams read the same input, but the source reads {theirs} and the target {ours}; {remedy}"
        )


def _form(network: Recurrent) -> str:
    if isinstance(network.embedding, nn.Embedding):
        return f"tokens of a vocabulary of {network.embedding.num_embeddings}"
    return f"vectors of {network.inputs} features"
