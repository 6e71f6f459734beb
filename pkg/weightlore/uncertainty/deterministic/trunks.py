"""What stands below a distance-aware head: a network without its readout, or one made so that distances survive.

trunk_of(network)       a copy without readout, and the width H of its features
with_readout(network)   a copy with another layer in its place
ResidualTrunk           z = x P, then h <- h + relu(W h + b) a few times
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.errors import ParameterError
from weightlore.networks.layered import built, require_counts
from weightlore.networks.readouts import readout_name

__all__ = ["ResidualTrunk", "trunk_of", "with_readout"]


def trunk_of(network: nn.Module) -> tuple[nn.Module, int]:
    """Return a copy of a network that stops before its readout, and how many features it then gives.

    Args:
        network: has a fully connected layer called ``readout`` at its end, as all networks of this package, or ends in
            another, as ``fc`` and ``classifier`` are elsewhere; left as it is.

    Returns:
        The copy, from (N, ...) to (N, H), and H.

    Raises:
        ParameterError: if there is no such layer; give the head a trunk of your own then.

    Example:
        >>> trunk, width = trunk_of(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)))
        >>> trunk(torch.zeros(5, 2)).shape, width
        (torch.Size([5, 8]), 8)

    Source: ours
    """
    return with_readout(network, nn.Identity()), _readout(network)[1].in_features


def with_readout(network: nn.Module, layer: nn.Module) -> nn.Module:
    """Return a copy of a network with another layer in the place of its readout.

    Args:
        network: as for ``trunk_of``.
        layer: reads what the readout read; it is not copied.

    Raises:
        ParameterError: if there is no readout.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> with_readout(network, nn.Linear(8, 4))(torch.zeros(5, 2)).shape
        torch.Size([5, 4])

    Source: ours
    """
    parent, _, local = _readout(network)[0].rpartition(".")
    twin = copy.deepcopy(network)
    setattr(twin.get_submodule(parent), local, layer)
    return twin


def _readout(network: nn.Module) -> tuple[str, nn.Linear]:
    try:
        name = readout_name(network)
    except ParameterError:
        name = ""
    if not name:
        raise ParameterError(
            f"a {type(network).__name__} has no fully connected layer called readout, or at its end, to leave out; "
            "give a module that returns features (N, H), and H"
        )
    return name, network.get_submodule(name)  # type: ignore[return-value]


class ResidualTrunk(nn.Module):
    """Residual layers over a fixed turn into more dimensions, as used for inputs of a few numbers.

        h_0 = P x,   h_{l+1} = h_l + relu(W_l h_l + b_l)

    P has orthonormal columns and is not trained, so that h_0 keeps all distances. Where all W_l are bounded by c < 1,
    ``with_bounds``, each layer keeps distances between 1 - c and 1 + c of what they were.

    Args:
        inputs: D.
        width: H >= D.
        layers: how many residual layers.
        generator: where P and the W_l are drawn from.
        dtype: floating dtype of the parameters.

    Raises:
        ParameterError: if a size is none, or the width is below D.

    Example:
        >>> trunk = ResidualTrunk(2, width=16, layers=3, generator=torch.Generator().manual_seed(0))
        >>> trunk(torch.zeros(5, 2, dtype=torch.float64)).shape
        torch.Size([5, 16])

    Source: [liu2020sngp], residual layers keep distances; the turn that keeps distances is ours
    """

    projection: Tensor

    def __init__(
        self,
        inputs: int,
        *,
        width: int,
        layers: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        require_counts(inputs=inputs, width=width, layers=layers)
        if width < inputs:
            raise ParameterError(f"width must be at least the {inputs} inputs, or distances are lost, got {width}")
        noise = torch.randn(width, inputs, generator=generator, dtype=torch.float64, device=generator.device)
        self.register_buffer("projection", torch.linalg.qr(noise).Q.to(dtype))
        self.layers = built(
            lambda: nn.ModuleList(nn.Linear(width, width) for _ in range(layers)), generator=generator, dtype=dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features, shape (N, H).

        Args:
            x: inputs, shape (N, D).
        """
        h = functional.linear(x, self.projection)
        for layer in self.layers:
            h = h + functional.relu(layer(h))
        return h
