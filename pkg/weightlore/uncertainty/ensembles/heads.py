"""Members that share the first layers and differ in the last ones.

The first layers of trained networks see much the same. So they are trained once, and S heads stand on one trunk: a
prediction costs one pass through the trunk and S through the rest.

    SubEnsemble(trunk, heads)                        any two parts of networks
    sub_ensemble(network, depth, members=...)        cut one of our networks behind its first layers

    z_s = head_s(trunk(x))
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Chain
from weightlore.networks.layered import redraw, require_counts
from weightlore.uncertainty.ensembles.joint import JointEnsemble

__all__ = ["SubEnsemble", "sub_ensemble"]


class SubEnsemble(JointEnsemble):
    """One trunk with S heads.

    Args:
        trunk: from x to features.
        heads: S networks from features to logits (N, C).
        frozen: whether the trunk stays as it is: its parameters do not learn and it is always in eval mode, so that
            statistics of batches stay too.

    Raises:
        ParameterError: if there is no head.

    Example:
        >>> joint = SubEnsemble(nn.Linear(4, 8), [nn.Linear(8, 3), nn.Linear(8, 3)])
        >>> joint.predict(torch.zeros(5, 4)).probs.shape
        torch.Size([2, 5, 3])

    Source: [valdenegro2019sub]
    """

    def __init__(self, trunk: nn.Module, heads: Iterable[nn.Module], *, frozen: bool = False) -> None:
        super().__init__()
        self.trunk, self.heads, self.frozen = trunk, nn.ModuleList(heads), frozen
        if not len(self.heads):
            raise ParameterError("a sub-ensemble needs at least one head, got none")
        if frozen:
            self.trunk.requires_grad_(False)
            self.trunk.eval()

    @property
    def members(self) -> int:
        """S, the number of heads."""
        return len(self.heads)

    def train(self, mode: bool = True) -> "SubEnsemble":
        """Put the heads, and a trunk that is not frozen, into train or eval mode.

        Args:
            mode: whether to train.
        """
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self

    def member_logits(self, x: Tensor) -> Tensor:
        """Return the logits of every head, shape (S, N, C).

        Args:
            x: inputs, shape (N, ...).
        """
        features = self.trunk(x)
        return torch.stack([head(features) for head in self.heads])


def sub_ensemble(network: Chain, depth: int, *, members: int, generator: torch.Generator) -> SubEnsemble:
    """Cut a trained network behind its first layers and put S heads on them.

    Head 0 is the rest of the network as it is; the others have the same layers with parameters drawn anew, to be
    trained by ``fit`` with ``member_cross_entropy``. The trunk is frozen. The gradient of each head is that of its
    own loss divided by S: multiply the learning rate by S to train a head as if it were alone.

    Args:
        network: one of our feed-forward networks, trained; copied.
        depth: number of layers in the trunk, 1 to L; with L the heads are readouts.
        members: S.
        generator: where the heads are drawn from, head by head.

    Returns:
        The sub-ensemble.

    Raises:
        ParameterError: if the network is of another kind, or depth or S is out of range.

    Example:
        >>> from weightlore.networks import healthy
        >>> sub_ensemble(healthy(), 1, members=5, generator=torch.Generator().manual_seed(0)).members
        5

    Source: [valdenegro2019sub]; that all heads train at once is ours
    """
    if not isinstance(network, Chain):
        raise ParameterError(f"a network made by weightlore.networks can be cut, got a {type(network).__name__}")
    require_counts(members=members, depth=depth)
    if depth > network.num_layers:
        raise ParameterError(f"the trunk has 1 to {network.num_layers} layers, got depth={depth}")
    trunk, rest = _cut(network, depth)
    heads = [copy.deepcopy(rest) for _ in range(members)]
    for head in heads[1:]:
        for module in head.modules():
            redraw(module, generator=generator)
            if isinstance(module, nn.LayerNorm | nn.BatchNorm2d | nn.BatchNorm1d):
                module.reset_parameters()  # gain 1, bias 0: nothing is drawn
    return SubEnsemble(trunk, heads, frozen=True)


def _cut(network: Chain, depth: int) -> tuple[Chain, Chain]:
    """Return copies of the layers before and after the cut; the first part returns flat features."""
    whole = copy.deepcopy(network)
    given = next(whole.parameters())
    with torch.no_grad():
        shapes = whole.eval().activations(torch.zeros(1, *whole.inputs, dtype=given.dtype, device=given.device))
    first = _part(whole, slice(None, depth), whole.inputs)
    first.add_module("readout", nn.Identity())
    return first, _part(whole, slice(depth, None), tuple(shapes[depth - 1].shape[1:]))


def _part(whole: Chain, places: slice, inputs: tuple[int, ...]) -> Chain:
    """Return some of the layers as a chain of its own, with the readout."""
    part = Chain(
        list(whole.layers[places]),
        whole.readout,
        inputs=inputs,
        entries=list(whole.entries[places]),
        norms=list(whole.norms[places]),
        pools=list(whole.pools[places]),
    )
    part.nonlinear = whole.nonlinear[places]
    return part
