"""Transfer by two networks that work on the same input, as plans for ``fit_transfer``.

    cross_stitch   mixtures after each layer, source frozen or trained too
    progressive    a new column that reads the source's layers
    side_tuning    one blend at the last layer, or one at each
    concat         a readout on both, with as many parameters as something else

The weights of mixtures and blends count as gates: no weight decay, a learning rate of their own.
"""

from typing import Literal, get_args

import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.training import cross_entropy
from weightlore.transfer.blending import Blends, SideTuned
from weightlore.transfer.columns import Lateral, Progressive
from weightlore.transfer.concatenation import Concatenated, matched_units
from weightlore.transfer.fitting import Plan, Setting
from weightlore.transfer.layers import private
from weightlore.transfer.states import HeadStart, State, in_states
from weightlore.transfer.stitching import CrossStitch, Per, joint_step

__all__ = ["TargetStart", "concat", "cross_stitch", "progressive", "side_tuning", "target_stream"]

TargetStart = Literal["source", "random"]


def target_stream(setting: Setting, *, start: TargetStart, head: HeadStart) -> Layered:
    """Return a target network whose layers are copies of the source's, or freshly drawn.

    Args:
        setting: source and fresh network.
        start: ``"source"`` or ``"random"``.
        head: whether the readout is fresh or a copy of the source's.

    Returns:
        A network that shares no memory with either.

    Raises:
        ParameterError: if there is no such start, or source and fresh network do not fit.

    Source: [zhang2019ptu], the states "random" and "fine-tune", for all layers
    """
    if start not in get_args(TargetStart):
        raise ParameterError(f"start is 'source' or 'random', got {start!r}")
    if start == "random" and head == "new":
        return private(setting.fresh, frozen=False)  # type: ignore[return-value]
    state: State = "fine-tune" if start == "source" else "random"
    states = [state] * setting.source.num_layers
    made = in_states(setting.source, setting.fresh, states, example=setting.example, head=head)
    return made.network  # type: ignore[return-value]


def cross_stitch(
    setting: Setting,
    *,
    per: Per = "layer",
    own: float = 0.9,
    joint: Split | None = None,
    share: float = 1.0,
    start: TargetStart = "source",
    head: HeadStart = "new",
) -> Plan:
    """Plan two networks with mixtures after each layer.

    Args:
        setting: source and fresh network.
        per: whether a layer has one pair of weights or each channel.
        own: weight of a network's own activation at the start; the other's has 1 - own.
        joint: examples of the source task, to train both networks on both tasks; ``None`` for a frozen source.
        share: of the source's loss, where both are trained.
        start: whether the target's layers start from the source's.
        head: whether its readout does.

    Raises:
        ParameterError: as ``CrossStitch`` and ``joint_step``.

    Source: [misra2016crossstitch], Eq. (1) and section 4
    """
    target = target_stream(setting, start=start, head=head)
    network = CrossStitch(
        setting.source, target, example=setting.example, joint=joint is not None, per=per, start=(own, 1 - own)
    )
    step = cross_entropy if joint is None else joint_step(joint, share=share)
    return Plan(network, step, gates=tuple(f"weights.{l}" for l in range(len(network.weights))))  # noqa: E741


def progressive(
    setting: Setting, *, lateral: Lateral = "same", start: TargetStart = "random", head: HeadStart = "new"
) -> Plan:
    """Plan a column beside the frozen source that reads from its layers.

    Args:
        setting: source and fresh network.
        lateral: from which layers of the source, ``"same"`` or ``"below"``.
        start: whether the column starts from the source's weights; freshly drawn in the original.
        head: whether its readout does.

    Raises:
        ParameterError: as ``Progressive``.

    Source: [rusu2016progressive], Eq. (1)
    """
    target = target_stream(setting, start=start, head=head)
    return Plan(Progressive(setting.source, target, example=setting.example, lateral=lateral))


def side_tuning(
    setting: Setting,
    *,
    blends: Blends = "last",
    share: float = 0.5,
    start: TargetStart = "source",
    head: HeadStart = "new",
) -> Plan:
    """Plan a target beside the frozen source, blended by one number at the last or at every layer.

    Args:
        setting: source and fresh network.
        blends: ``"last"`` or ``"every"``.
        share: of the target at the start, in (0, 1).
        start: whether the target's layers start from the source's.
        head: whether its readout does.

    Raises:
        ParameterError: as ``SideTuned``.

    Source: [zhang2020sidetuning], section 3
    """
    target = target_stream(setting, start=start, head=head)
    network = SideTuned(setting.source, target, example=setting.example, blends=blends, start=share)
    return Plan(network, gates=("blend",))


def concat(setting: Setting, *, hidden: int = 0, match: int | None = None, start: TargetStart = "source") -> Plan:
    """Plan the control: the target on its own, and a readout on the features of target and frozen source.

    Args:
        setting: source and fresh network.
        hidden: units before the readout, 0 for none.
        match: number of trained parameters to come as near to as whole units allow; takes the place of ``hidden``.
        start: whether the target's layers start from the source's.

    Raises:
        ParameterError: as ``Concatenated`` and ``matched_units``, or if both hidden and match are given.

    Source: ours, because without it a gain may come from more parameters
    """
    if match is not None and hidden:
        raise ParameterError(f"give hidden or match, not both: got hidden={hidden} and match={match}")
    target = target_stream(setting, start=start, head="new")
    with torch.no_grad():
        classes = setting.fresh.head(setting.fresh.activations(setting.example)[-1]).shape[1]
    if match is not None:
        hidden = matched_units(match, source=setting.source, target=target, classes=classes)
    network = Concatenated(
        setting.source,
        target,
        classes=classes,
        example=setting.example,
        hidden=hidden,
        generator=setting.generator,
    )
    return Plan(network)
