"""Binary weights for a while, in any model: its parameters are the latent ones throughout.

BinaryTraining(model)       which layers are binary, by which rule
  .binarized()              binary weights inside a with block; afterwards the latent ones, bit for bit
  .step                     a training step: project, binarize, forward and backward, restore, map the gradient
  .deployed()               a copy that keeps its binary weights
rounded_binary(model)       such a copy of a network that was never trained to be binary
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.binary.layers import binary_layers, require_weight
from weightlore.binary.rules import Rule, ScaledSign
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step, cross_entropy

__all__ = ["BinaryTraining", "rounded_binary"]


class BinaryTraining:
    """A procedure around a model: binary weights for forward and backward, latent ones for the optimizer.

    Weights that are frozen compute as binary ones too, and stay as they are.

    Args:
        model: any module; it is not copied, and nothing of it changes before a step.
        rule: how weights become binary; ``None`` for ``ScaledSign()``, the paper's.
        layers: names of the layers that are binary; ``None`` for all but first and last.
        base: the step whose loss is lowered.

    Raises:
        ParameterError: if there is no such layer, or the rule cannot binarize one.

    Source: [lu2020binary], binary-weight training
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        rule: Rule | None = None,
        layers: Sequence[str] | None = None,
        base: Step = cross_entropy,
    ) -> None:
        self.model, self.base = model, base
        self.rule: Rule = ScaledSign() if rule is None else rule
        self.layers = binary_layers(model, layers)
        self._held, self._rooms = False, dict[int, Tensor]()
        for name, weight in self.weights().items():
            self.rule.check(require_weight(weight.detach(), f"{name!r}"), f"{name!r}")

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the parameters that are binarized, by name; inside ``binarized`` they are binary."""
        return {f"{name}.weight": _parameter(self.model.get_submodule(name), name) for name in self.layers}

    @contextmanager
    def binarized(self, *, generator: torch.Generator | None = None, keep: bool = False) -> Iterator[nn.Module]:
        """Give the model its binary weights for a while; afterwards it has what it had, bit for bit.

        The weights are projected and binarized: what evaluation means for a model in training. Inside such a block
        another one changes nothing.

        Args:
            generator: for a rule that draws; ``None`` leaves nothing to chance.
            keep: whether the weights that train keep the projection afterwards, as a training step wants it; not after
                an exception.

        Raises:
            ParameterError: if a weight is NaN or infinite.

        Source: [lu2020binary], binary-weight training, steps 1 to 4 and 6 of the authors' code
        """
        if self._held:
            yield self.model
            return
        weights = list({id(weight): weight for weight in self.weights().values()}.values())  # tied ones once
        given = [weight.data for weight in weights]
        binary = [self.rule.binarize_(self.rule.project_(self._copied(w)), generator) for w in weights]
        self._held = True
        try:
            for weight, value in zip(weights, binary, strict=True):
                weight.data = value
            yield self.model
        except BaseException:
            keep = False
            raise
        finally:
            self._held = False
            for weight, old in zip(weights, given, strict=True):
                weight.data = old
                if keep and weight.requires_grad:
                    self.rule.project_(old)

    def step(self, model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch at binary weights; its gradient is that of the latent ones.

        The projection of the latent weights stays. After an exception they are as they were.

        Args:
            model: not used; the step belongs to the model of this object.
            batch: examples.
            generator: for the base step, and for a rule that draws.

        Returns:
            The loss, shape (); ``backward``, once, adds the mapped gradients to those of the parameters.

        Raises:
            ParameterError: if a weight is NaN or infinite.

        Source: [lu2020binary], binary-weight training, steps 1 to 7 of the authors' code
        """
        trained = [p for p in self.model.parameters() if p.requires_grad]
        with self.binarized(generator=generator, keep=True):
            loss = self.base(self.model, batch, generator)
            found = list(torch.autograd.grad(loss, trained, allow_unused=True))
        binary = {id(weight) for weight in self.weights().values()}
        for place, parameter in enumerate(trained):
            if found[place] is not None and id(parameter) in binary:
                found[place] = self.rule.gradient(parameter.data, found[place])
        return _WithGradients.apply(loss.detach(), found, *trained)

    def deployed(self) -> nn.Module:
        """Return a copy of the model that keeps its binary weights, in eval mode.

        Source: [lu2020binary], binary-weight training, steps 1 to 4 of the authors' code
        """
        with self.binarized():
            return copy.deepcopy(self.model).eval()

    def _copied(self, parameter: nn.Parameter) -> Tensor:
        """Return a copy in a place that is used again in the next step, which saves asking the system for memory."""
        weight, room = parameter.data, self._rooms.get(id(parameter))
        if not bool(weight.sum().isfinite()):  # one pass, and no NaN or infinity escapes it
            require_weight(weight)
            raise ParameterError("a latent weight is too large to be summed up in its dtype; lower the learning rate")
        if room is None or room.shape != weight.shape or room.dtype != weight.dtype or room.device != weight.device:
            with torch.inference_mode(False):  # a later step computes gradients in it
                room = self._rooms[id(parameter)] = torch.empty_like(weight)
        return room.copy_(weight)


def _parameter(layer: nn.Module, name: str) -> nn.Parameter:
    weight = layer.weight
    if not isinstance(weight, nn.Parameter):
        raise ParameterError(
            f"the weight of {name!r} is computed from other tensors, for example by a parametrization; remove that "
            "first, with torch.nn.utils.parametrize.remove_parametrizations"
        )
    return weight


class _WithGradients(torch.autograd.Function):
    """A loss whose gradients in the parameters are known already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: list[Tensor | None], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None  # held by nobody else, they become those of the parameters
        if gradients is None:
            raise ParameterError("backward was called twice on the loss of one step; take another step instead")
        if float(outer[0]) == 1.0:  # as ``loss.backward()`` has it
            return None, None, *gradients
        return None, None, *(None if gradient is None else gradient * outer[0] for gradient in gradients)


def rounded_binary(model: nn.Module, *, rule: Rule | None = None, layers: Sequence[str] | None = None) -> nn.Module:
    """Return a copy of a network whose weights are rounded to one bit without any training: the naive baseline.

    Args:
        model: left as it is.
        rule: how weights become binary; ``None`` for alpha sign(W) of the weights as they are, neither centered nor
            clamped.
        layers: which are binary; ``None`` for all but first and last.

    Returns:
        The copy, in eval mode.

    Raises:
        ParameterError: as ``BinaryTraining``.

    Source: [rastegari2016xnor], section 3.1, without training
    """
    return BinaryTraining(model, rule=rule or ScaledSign(center=False, limit=None), layers=layers).deployed()
