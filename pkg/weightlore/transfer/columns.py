"""Two networks side by side, one of which reads what the other makes of the same input.

The source stream is a private copy of the source: frozen, in eval mode for ever, computed without gradients. The target
stream is trained. A progressive network adds what the source makes of the input to what its own layers are driven by:

    a_l = pre(l, h_{l-1}) + U_l s_l          lateral "same": from the source's layer beside
    a_l = pre(l, h_{l-1}) + U_l s_{l-1}      lateral "below": U_l has the form of the layer, as in the original
"""

import copy
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Chain, Layered, Recurrent
from weightlore.transfer.layers import private

__all__ = ["Lateral", "Progressive", "TwoStreams", "features", "spread", "with_features"]

Lateral = Literal["same", "below"]


class TwoStreams(nn.Module):
    """A source stream and a target stream on the same input; neither shares memory with what was given.

    Args:
        source: the trained network.
        target: the network to train, with as many layers and, layer by layer, outputs of the same form.
        example: at least one input, shape (N, ...), to compare the forms.
        joint: whether the source stream is trained too.
        channels: whether the numbers of channels must agree, and not only heights and widths.

    Raises:
        ParameterError: if the layers do not fit.

    Source: ours, the common part of the methods that mix two networks
    """

    def __init__(
        self, source: Layered, target: Layered, *, example: Tensor, joint: bool = False, channels: bool = True
    ) -> None:
        super().__init__()
        self.source, self.target = private(source, frozen=not joint), private(target, frozen=False)
        self.joint = joint
        self.marked = any(isinstance(module, Recurrent) for module in self.target.modules())
        self.train(self.target.training)
        self.widths = _require_alike(self, example, channels)

    def train(self, mode: bool = True) -> "TwoStreams":
        """Put the target stream into train or eval mode; a frozen source stays in eval mode."""
        super().train(mode)
        if not self.joint:
            self.source.eval()
        return self

    def seen(self, x: Tensor) -> list[Tensor]:
        """Return the activations of the frozen source, without gradients."""
        with torch.no_grad():
            return self.theirs.activations(x)

    @property
    def theirs(self) -> Layered:
        """The source, to be taken apart."""
        return self.source  # type: ignore[return-value]

    @property
    def ours(self) -> Layered:
        """The target, to be taken apart."""
        return self.target  # type: ignore[return-value]


class Progressive(TwoStreams):
    """A column that is trained beside a frozen one and reads from it through linear laterals, zero at the start.

    Args:
        source: the trained network.
        target: the column to train; freshly drawn in the original.
        example: at least one input.
        lateral: ``"same"``, or ``"below"`` for networks of fully connected and convolutional layers.

    Raises:
        ParameterError: if the layers do not fit, or there is no such lateral for this kind of network.

    Source: [rusu2016progressive], Eq. (1), with one frozen column and linear laterals; "same" is ours
    """

    def __init__(self, source: Layered, target: Layered, *, example: Tensor, lateral: Lateral = "same") -> None:
        super().__init__(source, target, example=example, channels=False)
        if lateral not in get_args(Lateral):
            raise ParameterError(f"lateral is 'same' or 'below', got {lateral!r}")
        self.lateral = lateral
        made = _beside(self, example) if lateral == "same" else _below(self.target)
        self.laterals = nn.ModuleList(made)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C)."""
        seen, h = self.seen(x), x
        for l, lateral in enumerate(self.laterals):  # noqa: E741
            h = self.ours.phi(l)(self._driven(l, lateral, self.ours.pre(l, h), seen))
        return self.ours.head(h)

    def _driven(self, l: int, lateral: nn.Module, a: Tensor, seen: list[Tensor]) -> Tensor:  # noqa: E741
        """Return what drives layer l: its own input and what comes from the source."""
        if self.lateral == "below":
            return a if l == 0 else a + _entered(cast(Chain, self.target), l, lateral, seen[l - 1])
        added = lateral(features(seen[l], self.marked))
        return with_features(a, features(a, self.marked) + added, self.marked)


def features(h: Tensor, marked: bool) -> Tensor:
    """Return an activation without the mark of words that recurrent networks carry as last feature.

    Args:
        h: shape (N, C, ...), or (N, T, H + 1) with a mark.
        marked: whether there is a mark.

    Source: ours
    """
    return h[..., :-1] if marked else h


def with_features(h: Tensor, new: Tensor, marked: bool) -> Tensor:
    """Return new features, with the mark of h where there is one.

    Args:
        h: shape (N, C, ...), or (N, T, H + 1) with a mark.
        new: shape (N, C, ...), or (N, T, H).
        marked: whether there is a mark.

    Source: ours
    """
    return torch.cat([new, h[..., -1:]], dim=-1) if marked else new


def spread(weights: Tensor, h: Tensor, marked: bool) -> Tensor:
    """Return one number per channel in a shape that multiplies an activation without mark.

    Args:
        weights: shape (C,), or (1,) for all channels.
        h: shape (N, C, ...), or (N, T, H) of a recurrent network.
        marked: whether the network is recurrent, so that the channels are the last dimension.

    Source: ours
    """
    return weights if marked else weights.reshape(-1, *(1 for _ in h.shape[2:]))


def _require_alike(streams: TwoStreams, example: Tensor, channels: bool) -> list[int]:
    """Compare the forms of the activations of both streams, and return the target's numbers of channels."""
    with torch.no_grad():
        both = [copy.deepcopy(network).eval() for network in (streams.source, streams.target)]
        activations = [network.activations(example) for network in both]  # type: ignore[operator]
    forms = [[_form(h, streams.marked, channels) for h in outputs] for outputs in activations]
    if forms[0] != forms[1]:
        shapes = [[tuple(h.shape[1:]) for h in outputs] for outputs in activations]
        raise ParameterError(
            f"the layers of the source give {shapes[0]}, those of the target {shapes[1]}; two streams are mixed layer "
            "by layer, so make both by the same function"
        )
    return [features(h, streams.marked).shape[_channels(streams)] for h in activations[1]]


def _channels(streams: TwoStreams) -> int:
    """Return the dimension of the channels of an activation."""
    return -1 if streams.marked else 1


def _form(h: Tensor, marked: bool, channels: bool) -> tuple[int, ...]:
    """Return the shape of an activation for one example, without its number of channels where that may differ."""
    shape = list(h.shape[1:])
    if not channels:
        del shape[-1 if marked else 0]
    return tuple(shape)


def _beside(streams: TwoStreams, example: Tensor) -> list[nn.Module]:
    """Return a map for each layer, from the channels of its source to those of what drives it: zero at the start."""
    made: list[nn.Module] = []
    target, h = copy.deepcopy(streams.target).eval(), example
    with torch.no_grad():
        for l, s in enumerate(streams.seen(example)):  # noqa: E741
            a = target.pre(l, h)  # type: ignore[operator]
            h = target.phi(l)(a)  # type: ignore[operator]
            inputs, outputs = (features(t, streams.marked).shape[_channels(streams)] for t in (s, a))
            made.append(_zero(_plain(inputs, outputs, a.ndim == 4), like=a))
    return made


def _below(target: nn.Module) -> list[nn.Module]:
    """Return for each layer but the first a layer of the same form without bias: zero at the start."""
    if not isinstance(target, Chain):
        raise ParameterError(
            f"laterals from below have the form of a layer that is one linear map, which those of a "
            f"{type(target).__name__} are not; use lateral='same'"
        )
    copies: list[nn.Module] = [nn.Identity()]
    for layer in list(target.layers)[1:]:
        twin = copy.deepcopy(layer)
        twin.register_parameter("bias", None)
        copies.append(_zero(twin, like=cast(Tensor, layer.weight)))
    return copies


def _entered(chain: Chain, l: int, lateral: nn.Module, s: Tensor) -> Tensor:  # noqa: E741
    """Return what a lateral from below adds, pooled and flattened as the target's own input is."""
    s = chain.entries[l](s)
    return cast(Tensor, chain.pools[l](lateral(s.flatten(1) if chain.flattens[l] else s)))


def _plain(inputs: int, outputs: int, image: bool) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return nn.Conv2d(inputs, outputs, 1, bias=False) if image else nn.Linear(inputs, outputs, bias=False)


def _zero(layer: nn.Module, *, like: Tensor) -> nn.Module:
    layer = layer.to(device=like.device, dtype=like.dtype)
    with torch.no_grad():
        cast(Tensor, layer.weight).zero_()
    return layer
