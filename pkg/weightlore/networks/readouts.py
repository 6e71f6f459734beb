"""Where a network turns its features into logits: its last linear layer, under whatever name.

    readout_of(model)        the layer
    readout_name(model)      its name, as ``named_modules`` has it
    last_linear(model, x)    the name of the one that spoke last: the network is run

Networks of this package call it ``readout``. Others call it ``fc`` or ``head``, or put it at the end of a sequence
called ``classifier``. Names say what is there, not what the network does with it: where the logits themselves must be
the output of the layer, run the network.
"""

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.training import in_mode

__all__ = ["last_linear", "readout_name", "readout_of"]


def readout_of(model: nn.Module) -> nn.Linear:
    """Return the linear layer that turns features into logits.

    Args:
        model: as for ``readout_name``.

    Raises:
        ParameterError: if it ends in something else.

    Source: ours
    """
    return model.get_submodule(readout_name(model))  # type: ignore[return-value]


def readout_name(model: nn.Module) -> str:
    """Return the name of the linear layer that turns features into logits; nothing where it is the network.

    Args:
        model: a network with a ``readout``, as all of this package; one whose last layer, or the last of a sequence at
            its end, is linear, as ``fc`` and ``classifier`` are elsewhere; or that layer itself.

    Raises:
        ParameterError: if it ends in something else.

    Source: ours
    """
    here: nn.Module = model
    path: list[str] = []
    while not isinstance(here, nn.Linear):
        inside = [name for name, _ in here.named_children()]
        if not inside or (path and not isinstance(here, nn.Sequential)):
            raise ParameterError(
                f"{type(model).__name__} has no linear layer named readout and does not end in one, but in a "
                f"{type(here).__name__}; name the layer whose output shall count as features, or call the last layer "
                "readout"
            )
        path.append("readout" if "readout" in inside else inside[-1])
        here = here.get_submodule(path[-1])
    return ".".join(path)


def last_linear(model: nn.Module, x: Tensor) -> str:
    """Return the name of the ``nn.Linear`` whose output is the output of the network, whatever it is called.

    Args:
        model: any network; left as it is. It runs in evaluation mode.
        x: inputs, shape (N, ...); the first is used.

    Returns:
        Its name, as ``named_modules`` has it, empty if it is the network itself.

    Raises:
        ParameterError: if the output does not come straight from a linear layer.

    Source: ours
    """
    seen: list[tuple[str, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output, path=path: seen.append((path, output)))
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad(), in_mode(model, training=False):
            output = model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    same = [path for path, said in seen if said is output or (said.shape == output.shape and torch.equal(said, output))]
    if not same:
        raise ParameterError(
            "the output of the network does not come straight from an nn.Linear, so that there is no last layer; "
            "take all layers, or end the network with its logits"
        )
    return same[-1]
