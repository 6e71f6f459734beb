"""Two networks on one input, joined layer by layer by transfer units (our formulation).

    s_l = phi_S(pre_S(l, s_{l-1}))                     source stream: never altered, in eval mode for ever
    p_l = P_l s_pi(l)                                  adapter, where shapes differ; pi(l) is the partner of layer l
    h_l = unit_l(p_l, pre_T(l, h_{l-1}))               target stream, fused after each layer's non-linearity
    f(x) = head_T(h_{L-1})

Whether the paper freezes the source is not known; here it is frozen, or trained jointly. A residual block is one layer:
the unit stands after the addition, since fusing inside branch and shortcut would count the source twice.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import Layered
from weightlore.training import in_mode
from weightlore.training.evaluation import require_fitting
from weightlore.transfer.adapters import Adapter
from weightlore.transfer.layers import private, require_layered
from weightlore.transfer.unit import PTU

__all__ = ["MakeAdapter", "MakeUnit", "PTUNet", "partners"]

Read = TypeVar("Read")


class MakeUnit(Protocol):
    """Makes a unit: ``PTU``, or ``partial(PTU, gate="channel")``.

    Source: ours
    """

    def __call__(
        self,
        channels: int,
        phi: Callable[[Tensor], Tensor],
        *,
        spatial: bool,
        generator: torch.Generator,
        dtype: torch.dtype,
    ) -> PTU:
        """Return a unit for C channels."""
        ...


class MakeAdapter(Protocol):
    """Makes an adapter: ``Adapter``, or ``partial(Adapter, start="orthogonal", learn=False)``.

    Source: ours
    """

    def __call__(self, s: Tensor, shape: tuple[int, ...], *, generator: torch.Generator) -> Adapter:
        """Return an adapter from the source's activation s to the shape of the target's."""
        ...


class PTUNet(nn.Module):
    """A source and a target network, joined by a transfer unit after each layer.

    Both networks are copied; what was given stays as it is. The source is in eval mode for ever, also after
    ``train()``, and a frozen one is computed without gradients, once for all its layers. Parameters are named
    ``source...``, ``target...``, ``units.0.gates.weight``, ``adapters.0.weight``, ``units.output...``.

    Args:
        source: the trained network.
        target: the network for the new task: a copy of the source, or freshly drawn, with a head for its own classes.
        example: some inputs of the new task, shape (N, ...), from which shapes are found out, and principal
            directions.
        unit: makes each unit.
        adapter: makes each adapter.
        pairs: for layers of the target their partner in the source; a layer without carries no unit. ``None`` pairs
            equal numbers, which needs networks of one depth.
        joint: whether the source's parameters are trained too (its normalization keeps its statistics); a step then
            adds the source's loss, see ``transfer_step``.
        output_unit: whether a last unit, with phi the identity, blends the logits; only where the classes are the same.
        source_input: what is done to the input before the source reads it, such as an ``InputFormat``.
        target_input: likewise for the target.
        generator: of what units and adapters draw.

    Raises:
        ParameterError: if source and target cannot be aligned; the message says where and what to do.

    Source: [zhang2019ptu], abstract, in our formulation: the paper's architecture could not be read
    """

    def __init__(
        self,
        source: Layered,
        target: Layered,
        example: Tensor,
        *,
        unit: MakeUnit = PTU,
        adapter: MakeAdapter = Adapter,
        pairs: Mapping[int, int] | None = None,
        joint: bool = False,
        output_unit: bool = False,
        source_input: Callable[[Tensor], Tensor] | None = None,
        target_input: Callable[[Tensor], Tensor] | None = None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        training = require_layered(target).training
        self.source, self.target = private(source, frozen=not joint), private(target, frozen=False)
        self.source_input, self.target_input = source_input or nn.Identity(), target_input or nn.Identity()
        self.joint, self.output_unit = joint, output_unit
        self.pairs = partners(source, target, pairs, output_unit=output_unit)
        dtype = _one_dtype(self.source, self.target)
        require_fitting(self.target, Split(example, example.new_zeros(len(example))), "example")
        theirs, ours = self._shapes(example)
        self.units, self.adapters = nn.ModuleDict(), nn.ModuleDict()
        for name, s in theirs.items():
            shape = tuple(ours[name].shape)
            phi = nn.Identity() if name == "output" else self._target.phi(int(name))
            self.adapters[name] = _fitted(adapter, name, s, shape, generator)
            self.units[name] = unit(shape[1], phi, spatial=len(shape) == 4, generator=generator, dtype=dtype)
        self.units.to(example.device)
        self.train(training)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the target task, shape (N, C), of its inputs x."""
        return self.fused(x, self.sources(x))

    def sources(self, x: Tensor) -> list[Tensor]:
        """Return what the source has to say to each unit, before what is learned of the adapters.

        For a frozen source it depends on x alone, so that it can be computed once: see ``cached``.

        Args:
            x: inputs of the target task.

        Returns:
            One tensor for each unit, lowest layer first.
        """
        with nullcontext() if self.joint else torch.no_grad():
            said = self._said(x)
            return [self.adapters[name].prepared(said[name]) for name in self.units]  # type: ignore[operator]

    def fused(self, x: Tensor, sources: list[Tensor]) -> Tensor:
        """Return the logits of the target task, given what the source has to say."""
        logits = self._target.head(self._climb(x, sources)[-1])
        return self._blended("output", sources[-1], logits) if self.output_unit else logits

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the L layers of the target, fused where there is a unit."""
        return self._climb(x, self.sources(x))

    def forward_source(self, x: Tensor) -> Tensor:
        """Return the logits of the source task, of its own inputs x as the source reads them."""
        with nullcontext() if self.joint else torch.no_grad():
            return self.source(x)

    def force(
        self, z: float | None = None, r: float | None = None, *, layers: Iterable[int | str] | None = None
    ) -> None:
        """Put numbers in the place of the gates of some units; see ``PTU.force``.

        Args:
            z: update gate, in [0, 1]; ``None`` sets it free.
            r: reuse gate, likewise.
            layers: of the target, or ``"output"``; ``None`` for all units.

        Raises:
            ParameterError: if a number is outside of [0, 1], or a layer carries no unit.
        """
        chosen = list(self.units) if layers is None else [str(layer) for layer in layers]
        for name in chosen:
            if name not in self.units:
                raise ParameterError(f"layer {name} carries no unit; those with one are {', '.join(self.units)}")
        for name in chosen:
            self.units[name].force(z, r)  # type: ignore[operator]

    def train(self, mode: bool = True) -> "PTUNet":
        """Put the target stream into train or eval mode; the source stays in eval mode."""
        super().train(mode)
        self.source.eval()
        return self

    @property
    def _source(self) -> Layered:
        return self.source  # type: ignore[return-value]

    @property
    def _target(self) -> Layered:
        return self.target  # type: ignore[return-value]

    def _said(self, x: Tensor) -> dict[str, Tensor]:
        """Return the activation of each partner, in the order of the units, computing no layer that nobody asks for."""
        last = self._source.num_layers - 1 if self.output_unit else max(self.pairs.values())
        h, found = self.source_input(x), []
        for layer in range(last + 1):
            h = self._source.phi(layer)(self._source.pre(layer, h))
            found.append(h)
        said = {str(layer): found[partner] for layer, partner in self.pairs.items()}
        return said | ({"output": self._source.head(h)} if self.output_unit else {})

    def _climb(self, x: Tensor, sources: list[Tensor]) -> list[Tensor]:
        """Return the fused outputs of the target's layers."""
        h, outputs, places = self.target_input(x), [], {layer: place for place, layer in enumerate(self.pairs)}
        for layer in range(self._target.num_layers):
            a, place = self._target.pre(layer, h), places.get(layer)
            h = self._target.phi(layer)(a) if place is None else self._blended(str(layer), sources[place], a)
            outputs.append(h)
        return outputs

    def _blended(self, name: str, prepared: Tensor, a: Tensor) -> Tensor:
        return self.units[name](self.adapters[name].finished(prepared), a)  # type: ignore[operator]

    def _shapes(self, example: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the partners' activations and the target's, by the units' names."""
        with in_mode(self, training=False), torch.no_grad():
            theirs = _read("source", lambda: self._said(example))
            ours = _read("target", lambda: self._target.activations(self.target_input(example)))
            found = {str(layer): ours[layer] for layer in self.pairs}
            if self.output_unit:
                found["output"] = self._target.head(ours[-1])
                if found["output"].shape != theirs["output"].shape:
                    raise ParameterError(
                        f"an output unit blends logits of the same classes, got {theirs['output'].shape[1]} from the "
                        f"source and {found['output'].shape[1]} from the target; leave output_unit=False"
                    )
        return theirs, found


def partners(
    source: Layered, target: Layered, pairs: Mapping[int, int] | None, *, output_unit: bool = False
) -> dict[int, int]:
    """Return the partner in the source of each layer of the target that carries a unit, lowest first.

    Args:
        source: can be taken apart into layers.
        target: likewise.
        pairs: from layers of the target to layers of the source; ``None`` pairs equal numbers.
        output_unit: whether there is a unit after the readout, too.

    Raises:
        ParameterError: if a layer does not exist, equal numbers do not pair all layers, or there would be no unit.

    Source: ours
    """
    require_layered(source)
    ours, theirs = target.num_layers, source.num_layers
    if pairs is None:
        if ours != theirs:
            raise ParameterError(
                f"the source has {theirs} layers and the target {ours}; say which belong together, for example "
                f"pairs={{{ours - 1}: {theirs - 1}}} for the last ones"
            )
        pairs = {layer: layer for layer in range(ours)}
    for layer, partner in pairs.items():
        if not (0 <= layer < ours and 0 <= partner < theirs):
            raise ParameterError(
                f"pairs go from a layer of the target (0 to {ours - 1}) to one of the source (0 to {theirs - 1}), got "
                f"{layer}: {partner}"
            )
    if not pairs and not output_unit:
        raise ParameterError("pairs is empty, so no layer would carry a unit; name a pair, or train the target alone")
    return {layer: pairs[layer] for layer in sorted(pairs)}


def _fitted(make: MakeAdapter, name: str, s: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Adapter:
    try:
        return make(s, shape, generator=generator)
    except ParameterError as error:
        raise ParameterError(f"source and target cannot be aligned at layer {name} of the target: {error}") from error


def _read(who: str, run: Callable[[], Read]) -> Read:
    """Run a stream on the example and say which one cannot read it."""
    try:
        return run()
    except (ParameterError, RuntimeError) as error:
        raise ParameterError(
            f"the {who} cannot read the example ({str(error).splitlines()[0]}); give {who}_input=InputFormat(...) with "
            "its channels and size"
        ) from error


def _one_dtype(*networks: nn.Module) -> torch.dtype:
    dtypes = [parameter.dtype for network in networks for parameter in list(network.parameters())[:1]]
    if len(set(dtypes)) != 1:
        told = " and ".join(map(str, dtypes))
        raise ParameterError(f"source and target must compute in one dtype, got {told}; convert one")
    return dtypes[0]
