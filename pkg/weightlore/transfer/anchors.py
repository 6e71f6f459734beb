"""Fine-tuning on a leash: a penalty for leaving the source's weights.

    L2-SP    loss + strength / 2 ||w - w_source||^2 + head_strength / 2 ||w_readout||^2

It takes the place of weight decay, which pulls towards zero and so away from the source.
"""

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step, cross_entropy
from weightlore.transfer.fitting import Plan, Setting
from weightlore.transfer.layers import layers
from weightlore.transfer.sharing import fine_tune
from weightlore.transfer.states import HeadStart, InStates

__all__ = ["anchored_step", "l2_sp"]


def l2_sp(setting: Setting, *, strength: float = 0.1, head_strength: float = 0.01, head: HeadStart = "new") -> Plan:
    """Plan to fine-tune all layers with a penalty for their distance from the source.

    Args:
        setting: source and fresh network.
        strength: of the pull towards the source, >= 0, loss units per parameter unit squared; 0 leaves ``fine_tune``
            without weight decay.
        head_strength: of the pull of the readout towards zero, >= 0. A readout that starts from the source's is not
            pulled towards it either.
        head: whether the readout starts fresh or from the source's.

    Raises:
        ParameterError: if a strength is negative or not finite.

    Source: [li2018explicit], the penalty L2-SP
    """
    for name, value in (("strength", strength), ("head_strength", head_strength)):
        if not 0 <= value < float("inf"):
            raise ParameterError(f"{name} must be a finite number of at least 0, got {value}")
    plan = fine_tune(setting, head=head)
    network = plan.network
    loose = layers(setting.fresh, setting.example)[-1].parameters
    return Plan(network, anchored_step(network, strength, head_strength, loose=loose), decay=False)


def anchored_step(network: nn.Module, strength: float, head_strength: float, *, loose: tuple[str, ...]) -> Step:
    """Return a step that adds to the cross-entropy half the squared distance from where the network is now.

    Args:
        network: whose present weights are the anchor; they are copied.
        strength: of the pull towards the anchor.
        head_strength: of the pull of the loose parameters towards zero.
        loose: names of the parameters that are not anchored, those of the readout.

    Returns:
        A step for this network.

    Source: [li2018explicit], the penalty L2-SP
    """
    held = {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}
    inner = "network." if isinstance(network, InStates) else ""
    free = {f"{inner}{name}" for name in loose}

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        loss = cross_entropy(model, batch, generator)
        for name, p in model.named_parameters():
            if name in free:
                loss = loss + head_strength / 2 * p.square().sum()
            elif name in held:
                loss = loss + strength / 2 * (p - held[name]).square().sum()
        return loss

    return step
