"""Transfer by units, as a plan for ``fit_transfer``: both networks side by side, and a unit after each layer.

    transfer_units(setting)                                       dense gates, target copied from the source
    partial(transfer_units, unit=partial(PTU, gate="channel"))    other gates
    partial(transfer_units, start="random", prior=0.1)            a fresh target that pays for leaving the source

What a frozen source says of the data is computed once for the whole training.
"""

from weightlore.data import Split
from weightlore.networks import Recurrent
from weightlore.transfer.adapters import Adapter
from weightlore.transfer.fitting import Plan, Setting
from weightlore.transfer.mixing import TargetStart, target_stream
from weightlore.transfer.network import MakeAdapter, MakeUnit, PTUNet
from weightlore.transfer.recurrent import Memory, PTURecurrent
from weightlore.transfer.states import HeadStart
from weightlore.transfer.steps import gate_names, transfer_step
from weightlore.transfer.unit import PTU

__all__ = ["transfer_units"]


def transfer_units(
    setting: Setting,
    *,
    unit: MakeUnit = PTU,
    adapter: MakeAdapter = Adapter,
    start: TargetStart = "source",
    head: HeadStart = "new",
    memory: Memory = "hidden",
    prior: float = 0.0,
    joint: Split | None = None,
    share: float = 1.0,
) -> Plan:
    """Plan a transfer network, feed-forward or recurrent as the fresh network is.

    Args:
        setting: source and fresh network.
        unit: makes each unit.
        adapter: makes each adapter.
        start: whether the target's layers start as copies of the source's.
        head: whether its readout does.
        memory: of LSTM cells, as in ``PTURecurrent``.
        prior: how much leaving the source costs, >= 0, as in ``transfer_step``.
        joint: examples of the source task, to train the source too; ``None`` for a frozen source.
        share: weight of the source's loss, where it is trained.

    Raises:
        ParameterError: as ``PTUNet``, ``PTURecurrent`` and ``transfer_step``.

    Source: [zhang2019ptu], abstract, in our formulation
    """
    target = target_stream(setting, start=start, head=head)
    network: PTUNet | PTURecurrent
    if isinstance(target, Recurrent) and isinstance(setting.source, Recurrent):
        network = PTURecurrent(
            setting.source,
            target,
            setting.example,
            unit=unit,
            adapter=adapter,
            memory=memory,
            joint=joint is not None,
            generator=setting.generator,
        )
    else:
        network = PTUNet(
            setting.source,
            target,
            setting.example,
            unit=unit,
            adapter=adapter,
            joint=joint is not None,
            generator=setting.generator,
        )
    step = transfer_step(prior=prior, joint=joint, share=share)
    return Plan(network, step, gates=gate_names(network), cache=joint is None)
