"""The transfer unit: one layer of two networks, blended by two gates (our formulation).

    t = phi(a)                             what the target's layer says, from its input a
    z, r = sigmoid(gates(p, t))            update gate and reuse gate
    c = phi(a + U (r p))                   candidate: the target, with some of the source p let in
    h = (1 - z) p + z c                    what the next layer reads

z = 0 is the source (*frozen*, shared), z = 1 with r = 0 the target (*random* or *fine-tuned*), exactly. Only the
abstract of the paper could be read: that two learned gates control a nonlinear combination of the activations of two
networks, and that discrete choices of transfer are special cases, is said there. The equations are a reconstruction
of ours.
"""

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import in_mode
from weightlore.transfer.gates import Form, GateKind, Gates, Inject, mapped, require_choice

__all__ = ["PTU", "Squash"]

Squash = Callable[[Tensor], Tensor]


class PTU(nn.Module):
    """One parameter transfer unit, in our formulation.

        h = (1 - z) p + z phi(a + U (r p))                  form "canonical"
        h = (1 - z) p + z phi(V phi(a) + U (r p) + b)       form "gru"

    U starts at zero; V at the identity and b at zero, so that the GRU form, too, starts as the target where phi applied
    twice is phi (ReLU; not tanh). Parameters: ``gates.bias`` and, where the gates look at something, ``gates.weight``
    (the rows of the update gate first), ``inject`` (U), ``carry`` and ``carry_bias``.

    Args:
        channels: C, channels of p and of a.
        phi: the target's non-linearity, which must keep the shape and must not work in place.
        spatial: whether p and a are images, shape (N, C, H, W), and not vectors, shape (N, C).
        gate: what the gates look at; see ``weightlore.transfer.gates``.
        inject: U as a matrix (a 1x1 convolution for images), as one number a channel, or none: then nothing of the
            source enters the candidate and there is no reuse gate.
        form: ``"canonical"``, which is exactly the target at z = 1, r = 0 for every phi, or ``"gru"``.
        bias_update: initial logit of z. The target's layer learns at a speed proportional to z: -2 starves it, 2 is
            near plain fine-tuning; choose it on validation data.
        bias_reuse: initial logit of r.
        squash: from logits to gates; ``None`` for the logistic function, or a ``HardConcrete`` for gates that open and
            close for good.
        generator: where the weights of the gates are drawn from.
        dtype: floating dtype of the parameters.

    Raises:
        ParameterError: if an option is none of its values, or phi changes the shape or its input.

    Example:
        >>> unit = PTU(3, torch.relu, generator=torch.Generator().manual_seed(0))
        >>> unit.force(z=0.25, r=0.0)
        >>> unit(torch.ones(1, 3).double(), torch.tensor([[-1.0, 1.0, 3.0]]).double()).tolist()
        [[0.75, 1.0, 1.5]]

    Source: [zhang2019ptu], abstract, in our formulation: the paper's own equations could not be read
    """

    def __init__(
        self,
        channels: int,
        phi: Callable[[Tensor], Tensor],
        *,
        spatial: bool = False,
        gate: GateKind = "dense",
        inject: Inject = "full",
        form: Form = "canonical",
        bias_update: float = 2.0,
        bias_reuse: float = 0.0,
        squash: Squash | None = None,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        require_counts(channels=channels)
        require_choice("inject", inject, get_args(Inject))
        require_choice("form", form, get_args(Form))
        if not dtype.is_floating_point:
            raise ParameterError(
                f"parameters are real numbers: dtype must be floating, for example float64, got {dtype}"
            )
        _require_pure(phi, (2, channels, 2, 2) if spatial else (2, channels), dtype)
        self.channels, self.spatial, self.form = channels, spatial, form
        self.phi, self.squash = phi, torch.sigmoid if squash is None else squash
        biases = (bias_update,) if inject == "none" else (bias_update, bias_reuse)
        self.gates = Gates(gate, channels, spatial=spatial, biases=biases, generator=generator, dtype=dtype)
        size = {"full": (channels, channels), "diagonal": (channels,), "none": None}[inject]
        self.inject = None if size is None else nn.Parameter(torch.zeros(size, dtype=dtype))
        self.carry = nn.Parameter(torch.eye(channels, dtype=dtype)) if form == "gru" else None
        self.carry_bias = nn.Parameter(torch.zeros(channels, dtype=dtype)) if form == "gru" else None
        self.blind = gate in ("scalar", "channel") and form == "canonical"
        self.forced: tuple[float | None, float | None] = (None, None)
        self.heard: list[tuple[Tensor, Tensor]] | None = None

    def force(self, z: float | None = None, r: float | None = None) -> None:
        """Put numbers in the place of the gates, for all channels, places and examples.

        Saturated biases would not do: the logistic function is never 0.

        Args:
            z: update gate, in [0, 1]; ``None`` sets it free.
            r: reuse gate, likewise; without injection it has nothing to do.

        Raises:
            ParameterError: if a number is outside of [0, 1].
        """
        for name, value in (("z", z), ("r", r)):
            if value is not None and not 0.0 <= value <= 1.0:
                raise ParameterError(
                    f"a gate is a share: {name} can be forced to a number from 0 to 1 (z: source to target), or set "
                    f"free with None, got {value!r}"
                )
        self.forced = (None if z is None else float(z), None if r is None else float(r))

    def forward(self, p: Tensor, a: Tensor) -> Tensor:
        """Return the blend h of the source's activation p and the target's layer with input a.

        Args:
            p: shape (N, C), or (N, C, H, W) for images, as an adapter makes it.
            a: same shape and dtype.

        Raises:
            ParameterError: if shapes or dtypes do not fit; nothing is ever broadcast.
        """
        self._require_fitting(p, a)
        t = a if self.blind else self.phi(a)  # gates that look at nothing do not need it
        z, r = self.values(p, t)
        if self.heard is not None:
            self.heard.append((self._full(z, p), self._full(r, p)))
        c = self._candidate(p, a, t, r)
        if isinstance(z, float):  # as one would write it, so that special cases are so bit for bit
            return (1 - z) * p + z * c
        return torch.lerp(p, c, z)  # the same to rounding, in one operation, and exactly p where c is p

    def values(self, p: Tensor, t: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Return the gates z and r for the activations p and t: tensors that broadcast to p, or what was forced.

        Without injection r is 0.
        """
        z, r = self.forced
        r = 0.0 if self.inject is None else r
        if z is not None and r is not None:
            return z, r
        if z is None and r is None:
            both = self.squash(self.gates.logits(p, t)).chunk(2, dim=1)
            return both[0], both[1]
        logits = self.gates(p, t)
        return self.squash(logits[0]) if z is None else z, self.squash(logits[1]) if r is None else r

    def _candidate(self, p: Tensor, a: Tensor, t: Tensor, r: Tensor | float) -> Tensor:
        """Return c = phi(a + U (r p)), or in the GRU form phi(V t + U (r p) + b)."""
        base = a
        if self.carry is not None and self.carry_bias is not None:
            base = mapped(self.carry, t, added=self.carry_bias)
        if self.inject is None:
            return t if self.carry is None and not self.blind else self.phi(base)
        if self.inject.ndim == 1:
            return self.phi(torch.addcmul(base, self._placed(self.inject), r * p))
        if isinstance(r, float):
            return self.phi(base + _times(self.inject, r * p))
        if r.numel() in (1, self.channels):  # the same for all examples and places: U r is formed
            return self.phi(mapped(self.inject * r.flatten(), p, added=base))
        return self.phi(mapped(self.inject, r * p, added=base))

    def _placed(self, values: Tensor) -> Tensor:
        return values[:, None, None] if self.spatial else values

    def _full(self, gate: Tensor | float, p: Tensor) -> Tensor:
        return (gate if isinstance(gate, Tensor) else p.new_tensor(gate)).expand(p.shape)

    def _require_fitting(self, p: Tensor, a: Tensor) -> None:
        if p.shape != a.shape or p.ndim != (4 if self.spatial else 2) or p.shape[1] != self.channels:
            wanted = f"(N, {self.channels}, H, W)" if self.spatial else f"(N, {self.channels})"
            raise ParameterError(
                f"a unit blends two activations of one shape, {wanted}, got {tuple(p.shape)} from the source and "
                f"{tuple(a.shape)} from the target; put an adapter before the source's"
            )
        if p.dtype != a.dtype:
            raise ParameterError(
                f"source and target must compute in one dtype, got {p.dtype} and {a.dtype}; convert one"
            )

    def extra_repr(self) -> str:
        """Say the form, and what is forced."""
        return f"form={self.form!r}, forced z={self.forced[0]}, r={self.forced[1]}"


def _times(matrix: Tensor, h: Tensor) -> Tensor:
    """Apply a matrix to the channels by the operation of a layer."""
    return nn.functional.conv2d(h, matrix[:, :, None, None]) if h.ndim == 4 else nn.functional.linear(h, matrix)


def _require_pure(phi: Callable[[Tensor], Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Check that a non-linearity keeps the shape and leaves its input as it is: the unit applies it to ``a`` twice."""
    probe = torch.linspace(-2, 2, torch.Size(shape).numel(), dtype=dtype).reshape(shape)
    given = probe.clone()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        if isinstance(phi, nn.Module):
            with in_mode(phi, training=False):
                after = phi(probe)
        else:
            after = phi(probe)
    if not torch.equal(probe, given):
        raise ParameterError(
            "phi changes its input in place, but the unit needs the input twice; use a non-linearity with inplace=False"
        )
    if after.shape != given.shape:
        raise ParameterError(f"phi must keep the shape, but makes {tuple(after.shape)} of {tuple(given.shape)}")
