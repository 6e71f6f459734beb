"""Members that share one network by taking turns at the rows of a batch.

Some layers treat rows differently: the first part of a batch belongs to member 0, the next to member 1, and so on. In
training a batch is dealt out to the members; for a prediction each gets a copy of all rows.

    BatchedMembers(network, S)           the network with such layers, as a JointEnsemble
    scaled_by_member(x, factors)         multiply the rows of member s by factors_s
    dealt_cross_entropy                  the step that deals a batch out to the members
    with_layers(model, replace)          a copy of a network with other layers in their places

    row i of B belongs to member floor(i S / B)
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.ensembles.joint import JointEnsemble

__all__ = ["BatchedMembers", "dealt_cross_entropy", "require_rows", "scaled_by_member", "with_layers"]


class BatchedMembers(JointEnsemble):
    """A network whose layers deal the rows of a batch out to S members.

    Args:
        network: returns logits (B, C) for rows (B, ...); its layers deal rows out as ``scaled_by_member`` does.
        members: S, as its layers have it.

    Raises:
        ParameterError: if S is no whole number of at least 1.

    Source: [wen2020batchensemble]; [durasov2021masksembles]
    """

    def __init__(self, network: nn.Module, members: int) -> None:
        super().__init__()
        require_counts(members=members)
        self.network, self.members = network, members

    def member_logits(self, x: Tensor) -> Tensor:
        """Return the logits of every member, shape (S, N, C): all rows go through once for each.

        Args:
            x: inputs, shape (N, ...).
        """
        z: Tensor = self.network(x.repeat(self.members, *(1 for _ in x.shape[1:])))
        return z.unflatten(0, (self.members, len(x)))


def require_rows(x: Tensor) -> None:
    """Refuse what a fully connected layer of members cannot read.

    Args:
        x: rows, shape (B, in).

    Raises:
        ParameterError: if x has another shape.

    Source: ours
    """
    if x.ndim != 2:
        raise ParameterError(f"the layer reads rows of shape (B, in), got {tuple(x.shape)}; flatten them first")


def scaled_by_member(x: Tensor, factors: Tensor) -> Tensor:
    """Multiply the rows of each member by its factors.

        y_i = x_i * factors[floor(i S / B)]

    Args:
        x: rows, shape (B, D) or (B, D, height, width).
        factors: shape (S, D).

    Returns:
        Shape of x. Where S does not divide B, members get one row more or less.

    Example:
        >>> scaled_by_member(torch.ones(4, 1), torch.tensor([[1.0], [3.0]])).flatten()
        tensor([1., 1., 3., 3.])

    Source: [wen2020batchensemble], vectorized over members
    """
    members, rows = len(factors), len(x)
    factors = factors.reshape(*factors.shape, *(1 for _ in x.shape[2:]))  # (S, D) or (S, D, 1, 1)
    if rows % members == 0:
        return (x.unflatten(0, (members, rows // members)) * factors.unsqueeze(1)).flatten(0, 1)
    return x * factors[torch.arange(rows, device=x.device) * members // rows]


def dealt_cross_entropy(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the cross-entropy of a batch whose rows are dealt out to the members: a step for ``training.fit``.

        loss = -1/B sum_i ln p_{m(i)}(y_i | x_i),   m(i) = floor(i S / B)

    It costs as much as a step of the plain network. Every epoch shuffles, so that all members see all examples in time.

    Args:
        model: a ``BatchedMembers``.
        batch: B inputs and class numbers.
        generator: not used.

    Returns:
        The loss, shape (), in nats.

    Raises:
        ParameterError: if the model is of another kind, or a target is no class number of its outputs.

    Source: [wen2020batchensemble], a mini-batch divided among the members
    """
    if not isinstance(model, BatchedMembers):
        raise ParameterError(
            f"rows are dealt out to the members of a BatchedMembers, got a {type(model).__name__}; "
            "use member_cross_entropy, which shows each member all rows"
        )
    z = model.network(batch.x)
    require_labels(batch.y, z.shape[-1])
    return functional.cross_entropy(z, batch.y)


def with_layers(model: nn.Module, replace: Callable[[str, nn.Module], nn.Module | None]) -> nn.Module:
    """Return a copy of a network with other layers in the places of some.

    Args:
        model: left as it is.
        replace: given a layer's name and the layer, returns what stands in its place, or ``None`` to keep it. It is
            asked from the outside in, and not about what is inside a layer that it has replaced. A layer used in two
            places is asked about once, under its first name.

    Returns:
        The copy.

    Raises:
        ParameterError: if nothing is replaced.

    Source: ours
    """
    whole = nn.ModuleDict({"model": copy.deepcopy(model)})
    known: dict[nn.Module, nn.Module | None] = {}
    _replaced_inside(whole, "", replace, known)
    if all(new is None for new in known.values()):
        raise ParameterError(
            f"a {type(model).__name__} has no layer of the kind that is to be replaced; this takes networks made of "
            "nn.Linear and nn.Conv2d"
        )
    return whole["model"]


def _replaced_inside(
    module: nn.Module,
    prefix: str,
    replace: Callable[[str, nn.Module], nn.Module | None],
    known: dict[nn.Module, nn.Module | None],
) -> None:
    for name, child in list(module._modules.items()):  # named_children would leave out the second place of a layer
        if child is None:
            continue
        if child not in known:
            known[child] = replace(f"{prefix}.{name}".removeprefix(".model").removeprefix("."), child)
        new = known[child]
        if new is None:
            _replaced_inside(child, f"{prefix}.{name}", replace, known)
        else:
            setattr(module, name, new)
