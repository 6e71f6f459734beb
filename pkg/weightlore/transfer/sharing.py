"""Transfer by a choice per layer: share it, fine-tune it, or draw it anew.

scratch          random everywhere
sharing          frozen everywhere, a new readout
share_first      the first k layers frozen, the others fine-tuned
fine_tune        fine-tuned everywhere
reinitialized    the first k layers fine-tuned, the others random
chosen           any state for each layer
"""

from collections.abc import Sequence
from typing import Literal

from weightlore.errors import ParameterError
from weightlore.transfer.fitting import Plan, Setting
from weightlore.transfer.states import HeadStart, State, in_states

__all__ = ["chosen", "fine_tune", "reinitialized", "scratch", "share_first", "sharing"]


def chosen(setting: Setting, *, states: Sequence[State], head: HeadStart = "new") -> Plan:
    """Plan a network with a state for each layer.

    Args:
        setting: source and fresh network.
        states: ``"random"``, ``"fine-tune"`` or ``"frozen"`` for each of the L layers.
        head: whether the readout is fresh or a copy of the source's; it is trained in any case.

    Raises:
        ParameterError: as ``in_states``.

    Source: [zhang2019ptu], the states "random", "fine-tune" and "frozen"
    """
    return Plan(in_states(setting.source, setting.fresh, states, example=setting.example, head=head))


def scratch(setting: Setting) -> Plan:
    """Plan to train the fresh network; nothing comes from the source.

    Args:
        setting: source and fresh network.

    Source: [zhang2019ptu], the state "random"
    """
    return chosen(setting, states=["random"] * setting.source.num_layers)


def sharing(setting: Setting, *, head: HeadStart = "new") -> Plan:
    """Plan to keep all layers of the source and to train a readout on them.

    Args:
        setting: source and fresh network.
        head: whether the readout starts fresh or from the source's.

    Source: [zhang2019ptu], parameter sharing
    """
    return chosen(setting, states=["frozen"] * setting.source.num_layers, head=head)


def share_first(
    setting: Setting, *, k: int, above: Literal["fine-tune", "random"] = "fine-tune", head: HeadStart = "new"
) -> Plan:
    """Plan to keep the first k layers of the source and to train the others.

    Args:
        setting: source and fresh network.
        k: from 0, where nothing is shared, to L, which is ``sharing``.
        above: whether the others start from the source or fresh.
        head: whether the readout starts fresh or from the source's.

    Raises:
        ParameterError: if k is not between 0 and L.

    Source: [yosinski2014transferable], section 2, networks "AnB" with above="random"
    """
    return chosen(setting, states=_first(setting, k, "frozen", above), head=head)


def fine_tune(setting: Setting, *, head: HeadStart = "new") -> Plan:
    """Plan to start all layers from the source and to train them all.

    Args:
        setting: source and fresh network.
        head: whether the readout starts fresh or from the source's.

    Source: [zhang2019ptu], the state "fine-tune"
    """
    return chosen(setting, states=["fine-tune"] * setting.source.num_layers, head=head)


def reinitialized(setting: Setting, *, k: int) -> Plan:
    """Plan to start the first k layers from the source and to draw the others anew; all are trained.

    Args:
        setting: source and fresh network.
        k: from 0, which is ``scratch``, to L, which is ``fine_tune``.

    Raises:
        ParameterError: if k is not between 0 and L.

    Source: [yosinski2014transferable], section 2, networks "AnB+"
    """
    return chosen(setting, states=_first(setting, k, "fine-tune", "random"))


def _first(setting: Setting, k: int, below: State, above: State) -> list[State]:
    """Return the states of k layers below and of the others above."""
    count = setting.source.num_layers
    if not 0 <= k <= count:
        raise ParameterError(f"k counts layers from below and must be between 0 and {count}, got {k}")
    return [below] * k + [above] * (count - k)
