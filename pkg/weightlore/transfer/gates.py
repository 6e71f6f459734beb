"""The two gates of a transfer unit: how much of the source stays, and how much of it is let in.

A gate is an artificial neuron that looks at the source's activation p and the target's activation t and answers with a
number between 0 and 1, the same for a whole layer or another one for every channel, place and example:

    gate              looks at                        answers with        parameters of two gates
    scalar            nothing                         one number          2
    channel           nothing                         C numbers           2 C
    channel-diag      its own channel, each place     C x H x W           6 C
    channel-pooled    all channels, their mean        C numbers           2 (2 C^2 + C)
    dense             all channels, each place        C x H x W           2 (2 C^2 + C)

The equations are our formulation: that two learned gates exist is the paper's, what they look at is not known from it.

    Gates              the logits of both gates, from p and t
    mapped             a matrix applied to the channels of an activation
    parameter_count    how many numbers a unit learns
    parameter_table    the same for every kind of gate
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts

__all__ = [
    "Form",
    "GateCost",
    "GateKind",
    "Gates",
    "Inject",
    "mapped",
    "parameter_count",
    "parameter_table",
    "require_choice",
]

GateKind = Literal["scalar", "channel", "channel-diag", "channel-pooled", "dense"]
Inject = Literal["full", "diagonal", "none"]
Form = Literal["canonical", "gru"]

SPREAD = 0.1
WIDE = 64


class Gates(nn.Module):
    """The logits of one or two gates, given the activations of source and target.

        logit = G u + b,   u = (p, t) along the channels     dense; channel-pooled takes the mean of u over the image
        logit = g_p p + g_t t + b                            channel-diag, channel by channel
        logit = b                                            channel and scalar

    Weights start as small normal numbers (0.1 over the root of the number of inputs), so that at first every gate
    stands near the logistic function of its bias.

    Args:
        kind: what the gates look at.
        channels: C, channels of p and of t.
        spatial: whether p and t are images, shape (N, C, H, W), and not vectors, shape (N, C).
        biases: the initial logits, one number for each gate; the update gate comes first.
        generator: where the weights are drawn from; the kinds without weights draw nothing.
        dtype: floating dtype of the parameters.

    Raises:
        ParameterError: if there is no such kind, or channels is not a whole number of at least 1.

    Source: ours, because the paper's gates could not be read; that there are two, learned, is [zhang2019ptu], abstract
    """

    def __init__(
        self,
        kind: GateKind,
        channels: int,
        *,
        spatial: bool,
        biases: tuple[float, ...],
        generator: torch.Generator,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        require_choice("gate", kind, get_args(GateKind))
        require_counts(channels=channels)
        self.kind, self.channels, self.spatial, self.count = kind, channels, spatial, len(biases)
        width = 1 if kind == "scalar" else channels
        start = torch.tensor(biases, dtype=dtype)[:, None].expand(-1, width)
        self.bias = nn.Parameter(start.flatten().contiguous())
        shape = {"dense": (len(biases) * channels, 2 * channels), "channel-diag": (2, len(biases) * channels)}
        shape["channel-pooled"] = shape["dense"]
        if kind in shape:
            noise = torch.randn(shape[kind], generator=generator, dtype=dtype, device=generator.device)
            self.weight = nn.Parameter((noise * (SPREAD / shape[kind][kind != "channel-diag"] ** 0.5)).to(start.device))

    def forward(self, p: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of each gate, in a shape that broadcasts to that of p.

        Args:
            p: activation of the source, shape (N, C) or (N, C, H, W).
            t: activation of the target, same shape.
        """
        return self.logits(p, t).chunk(self.count, dim=1)

    def logits(self, p: Tensor, t: Tensor) -> Tensor:
        """Return the logits of all gates one after the other along the channels, for the activations p and t."""
        if self.kind == "dense":
            return self._looked(p, t)
        if self.kind == "channel-pooled":
            return self._placed(self._looked(self._pooled(p), self._pooled(t)))
        biases = self._placed(self.bias[None])
        if self.kind != "channel-diag":
            return biases
        of_p, of_t = (self._placed(row[None]).chunk(self.count, dim=1) for row in self.weight.unbind())
        terms = zip(biases.chunk(self.count, dim=1), of_p, of_t, strict=True)
        return torch.cat([torch.addcmul(torch.addcmul(b, g, p), k, t) for b, g, k in terms], dim=1)

    def _looked(self, p: Tensor, t: Tensor) -> Tensor:
        """Return G u + b, the two halves of G apart: u is not formed, and no gradient of p where none is asked for."""
        of_p, of_t = self.weight.split(self.channels, dim=1)
        return mapped(of_t, t, added=mapped(of_p, p, added=self.bias))

    def _pooled(self, h: Tensor) -> Tensor:
        return h.mean((2, 3)) if self.spatial else h

    def _placed(self, values: Tensor) -> Tensor:
        """Return numbers of shape (N, channels) so that they broadcast over an image."""
        return values[:, :, None, None] if self.spatial else values

    def extra_repr(self) -> str:
        """Say the kind of gate and its channels."""
        return f"{self.kind!r}, channels={self.channels}, gates={self.count}"


def mapped(matrix: Tensor, h: Tensor, *, added: Tensor) -> Tensor:
    """Return a matrix applied to the channels, plus something.

        matrix h + added

    A wide product in float32 is left to the convolution; it is the slower of the two elsewhere.

    Args:
        matrix: shape (outputs, C).
        h: shape (N, C) or (N, C, H, W).
        added: a bias, shape (outputs,), or a tensor of the result's shape.

    Returns:
        Shape (N, outputs) or (N, outputs, H, W).

    Source: ours
    """
    if h.ndim == 2:
        return torch.addmm(added, h, matrix.t())
    if h.dtype == torch.float32 and matrix.shape[1] >= WIDE:
        return nn.functional.conv2d(h, matrix[:, :, None, None]) + (added[:, None, None] if added.ndim == 1 else added)
    column = added[:, None] if added.ndim == 1 else added.flatten(2)
    many = matrix.expand(len(h), -1, -1)
    return torch.baddbmm(column, many, h.flatten(2)).unflatten(2, h.shape[2:])


def parameter_count(
    channels: int, *, gate: GateKind = "dense", inject: Inject = "full", form: Form = "canonical"
) -> int:
    """Return how many numbers a transfer unit learns.

        gates + injection + carry,   gates as in the table above, injection C^2, C or 0, carry C^2 + C in the GRU form

    Args:
        channels: C.
        gate: kind of both gates.
        inject: ``"full"`` for a matrix U, ``"diagonal"`` for one number a channel, ``"none"`` for no injection; the
            reuse gate then has nothing to do and is left out, which halves the gates.
        form: ``"canonical"``, or ``"gru"``, which adds a matrix V and a bias.

    Returns:
        The number of parameters.

    Raises:
        ParameterError: if a choice is none of the named ones, or channels is not a whole number of at least 1.

    Example:
        >>> parameter_count(64)
        20608

    Source: ours, because the paper's counts are not known
    """
    require_counts(channels=channels)
    for name, value, known in (("gate", gate, GateKind), ("inject", inject, Inject), ("form", form, Form)):
        require_choice(name, value, get_args(known))
    one_gate = {"scalar": 1, "channel": channels, "channel-diag": 3 * channels}.get(gate, 2 * channels**2 + channels)
    injection = {"full": channels**2, "diagonal": channels, "none": 0}[inject]
    carry = channels**2 + channels if form == "gru" else 0
    return (1 if inject == "none" else 2) * one_gate + injection + carry


@dataclass(frozen=True)
class GateCost:
    """What one kind of gate looks at, and what it costs.

    Args:
        gate: the kind.
        looks_at: its input, in words.
        shape: of z for one example, in words.
        gates: parameters of both gates.
        unit: parameters of the whole unit, injection included.

    Source: ours
    """

    gate: GateKind
    looks_at: str
    shape: str
    gates: int
    unit: int


def parameter_table(channels: int, *, inject: Inject = "full", form: Form = "canonical") -> tuple[GateCost, ...]:
    """Return the cost of every kind of gate at C channels, cheapest first.

    Args:
        channels: C.
        inject: as in ``parameter_count``.
        form: likewise.

    Returns:
        One row for each kind.

    Raises:
        ParameterError: as ``parameter_count``.

    Example:
        >>> [row.gates for row in parameter_table(10)]
        [2, 20, 60, 420, 420]

    Source: ours, because the paper's counts are not known
    """
    told = {
        "scalar": ("nothing", "1"),
        "channel": ("nothing", "C"),
        "channel-diag": ("its own channel of p and t, each place", "C x H x W"),
        "channel-pooled": ("the mean of all channels of p and t", "C"),
        "dense": ("all channels of p and t, each place", "C x H x W"),
    }
    without = parameter_count(channels, gate="scalar", inject=inject, form=form) - (1 if inject == "none" else 2)
    rows = []
    for kind in get_args(GateKind):
        whole = parameter_count(channels, gate=kind, inject=inject, form=form)
        rows.append(GateCost(kind, *told[kind], gates=whole - without, unit=whole))
    return tuple(rows)


def require_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    """Check that an option is one of its documented values.

    Args:
        name: of the option.
        value: what came.
        known: what is documented.

    Raises:
        ParameterError: if it is none of them; the message lists them.

    Source: ours
    """
    if value not in known:
        raise ParameterError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
