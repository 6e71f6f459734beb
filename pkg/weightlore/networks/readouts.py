"""Where a network turns its features into logits: its last linear layer, under whatever name.

    readout_of(model)      the layer
    readout_name(model)    its name, as ``named_modules`` has it

Networks of this package call it ``readout``. Others call it ``fc`` or ``head``, or put it at the end of a sequence
called ``classifier``.
"""

from torch import nn

from weightlore.errors import ParameterError

__all__ = ["readout_name", "readout_of"]


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
