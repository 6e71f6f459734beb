"""Gradients of one batch at theta and at corruptions of it, as a training step needs them.

members(model, group)    what a step needs to know of a model, found once
Passes(...)              the clean pass, then passes at corruptions, with the same random numbers
flat(parts)              tensors as one vector
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.parameters import Group, ParameterLayout, layout
from weightlore.training import Step

__all__ = ["Members", "Passes", "flat", "members"]


@dataclass(frozen=True)
class Members:
    """What a step needs to know of a model, found once: walking through the modules takes as long as a small pass.

    Args:
        flags: which of all parameters train, to notice when that changes.
        trained: the parameters that do.
        layout: of the group.
        places: of the group's parameters among the trained ones.
        sizes: of the group's parameters.
        buffers: of every module that has some.

    Source: ours
    """

    flags: dict[nn.Parameter, bool]
    trained: list[nn.Parameter]
    layout: ParameterLayout
    places: list[int]
    sizes: list[int]
    buffers: list[dict[str, Tensor | None]]

    def up_to_date(self) -> bool:
        """Whether the same parameters train as before."""
        return all(parameter.requires_grad == flag for parameter, flag in self.flags.items())


def members(model: nn.Module, group: Group) -> Members:
    """Return what a step needs to know of a model.

    Args:
        model: any module with parameters that train.
        group: which of them are corrupted.

    Raises:
        ParameterError: if the group is empty.

    Source: ours
    """
    where = layout(model, group)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    return Members(
        flags={parameter: parameter.requires_grad for parameter in model.parameters()},
        trained=list(trained.values()),
        layout=where,
        places=[list(trained).index(name) for name in where.names],
        sizes=[slot.size for slot in where.slots],
        buffers=[module._buffers for module in model.modules() if module._buffers],
    )


class Passes:
    """Forward and backward passes of one batch, at theta and at corruptions of it.

    The first, at theta, is made at once. All passes see the same random numbers; buffers and random states are in the
    end those that the first pass left.

    Args:
        model: any module; its parameters are as before after every pass.
        batch: examples.
        generator: given to the base step.
        base: returns the loss of a batch; must not set gradients itself.
        members: of the model.

    Source: ours
    """

    def __init__(
        self, model: nn.Module, batch: Split, generator: torch.Generator, base: Step, members: Members
    ) -> None:
        self.model, self.batch, self.generator, self.base, self.members = model, batch, generator, base, members
        self.moved = [members.trained[place] for place in members.places]
        self.corruptions: list[Tensor] = []
        self.gradients: list[tuple[Tensor, ...]] = []
        self.losses: list[Tensor] = []
        self._noise = self._noise_now()
        self._pass()

    @property
    def layout(self) -> ParameterLayout:
        """Which entry of theta belongs to which parameter of the group."""
        return self.members.layout

    @property
    def theta(self) -> Tensor:
        """The parameters of the group, a copy of shape (P,)."""
        return flat(parameter.detach() for parameter in self.moved)

    def gradient(self, corruption: Tensor | None = None) -> Tensor:
        """Return the gradient of the group at theta or at theta + corruption, shape (P,).

        Args:
            corruption: shape (P,); the same tensor is not passed through twice. ``None`` for theta itself.
        """
        gradients = self.gradients[0 if corruption is None else self.visit(corruption)]
        return flat([gradients[place] for place in self.members.places])

    def visit(self, corruption: Tensor) -> int:
        """Return the number of the pass at a corruption, making it if there is none; 0 is the clean one.

        Args:
            corruption: shape (P,).
        """
        for number, known in enumerate(self.corruptions, start=1):
            if known is corruption:
                return number
        kept, noise = [parameter.data for parameter in self.moved], self._noise_now()
        buffers = _kept(self.members.buffers)
        parts = corruption.split_with_sizes(self.members.sizes)
        try:
            self._set_noise(self._noise)
            for parameter, data, part in zip(self.moved, kept, parts, strict=True):
                parameter.data = data + part.view_as(data)  # the old memory is put back, bit for bit
            self._pass()
        finally:
            for parameter, data in zip(self.moved, kept, strict=True):
                parameter.data = data
            self._set_noise(noise)
            _put_back(self.members.buffers, buffers)
        self.corruptions.append(corruption)
        return len(self.corruptions)

    def mixed(self, alpha: float | None) -> list[Tensor]:
        """Return the mean loss and d, parameter by parameter; alpha ``None`` lets all passes weigh alike."""
        rows = [(loss, *gradients) for loss, gradients in zip(self.losses, self.gradients, strict=True)]
        return _mixed(rows, alpha)

    def _pass(self) -> None:
        trained = self.members.trained
        with torch.enable_grad():
            loss = self.base(self.model, self.batch, self.generator)
        found = torch.autograd.grad(loss, trained, allow_unused=True)
        if any(gradient is None for gradient in found):
            found = tuple(torch.zeros_like(p) if g is None else g for g, p in zip(found, trained, strict=True))
        self.gradients.append(found)
        self.losses.append(loss.detach())

    def _noise_now(self) -> tuple[Tensor, Tensor, Tensor | None]:
        device = self.batch.x.device
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return torch.get_rng_state(), self.generator.get_state(), cuda

    def _set_noise(self, noise: tuple[Tensor, Tensor, Tensor | None]) -> None:
        torch.set_rng_state(noise[0])
        self.generator.set_state(noise[1])
        if noise[2] is not None:
            torch.cuda.set_rng_state(noise[2], self.batch.x.device)


def _mixed(rows: list[tuple[Tensor, ...]], alpha: float | None) -> list[Tensor]:
    """Return (1 - alpha) v_0 + alpha mean(v_1 ... v_K) column by column, or the mean of all; a copy of v_0 if alone."""
    clean, *others = rows
    if not others:
        return [value.clone() for value in clean]  # autograd may have given one tensor for two parameters
    mean = others[0] if len(others) == 1 else tuple(torch.stack(column).mean(0) for column in zip(*others, strict=True))
    weight = len(others) / len(rows) if alpha is None else alpha
    return list(torch._foreach_lerp(clean, mean, weight))


def _kept(owners: list[dict[str, Tensor | None]]) -> list[dict[str, tuple[Tensor, Tensor]]]:
    """Return buffers and copies of them."""
    return [{name: (b, b.clone()) for name, b in owned.items() if b is not None} for owned in owners]


def _put_back(owners: list[dict[str, Tensor | None]], kept: list[dict[str, tuple[Tensor, Tensor]]]) -> None:
    """Put buffers back, also where a module bound a new tensor to the name."""
    if not owners:
        return
    with torch.no_grad():
        for owned, before in zip(owners, kept, strict=True):
            owned.update({name: buffer.copy_(content) for name, (buffer, content) in before.items()})


def flat(parts: Iterable[Tensor]) -> Tensor:
    """Return tensors as one vector, in their order.

    Args:
        parts: of any shapes, one dtype.

    Source: ours
    """
    return torch.cat([part.flatten() for part in parts])
