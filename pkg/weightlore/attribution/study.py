"""Do maps change when the parameters do? The same images, explained with a trained network and with others.

    sensitivity_study   against randomized copies, step by step, several times
    compare_networks    against networks of the caller's: the network itself, one trained from another seed

For each method the trained network's maps are made once; each other network's maps are made and compared under every
asked choice of sign and mask. The explained class is the trained network's, unless the question is what the other
predicts: then class and parameters change together.

Without controls a similarity of zero says little: a useless method, even noise, has it too. The network itself must
give 1, and a network trained from another seed shows how alike maps of two good networks are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from weightlore.attribution.drawing import Initial, Statistics
from weightlore.attribution.outputs import Method, require
from weightlore.attribution.randomization import Block, Scheme, randomize
from weightlore.attribution.ranks import Ranked, correlations, ranked
from weightlore.attribution.similarity import Channels, Mask, Sign, kept_pixels, reduce_channels, signed
from weightlore.attribution.tables import Study
from weightlore.data import Split
from weightlore.errors import ParameterError, require_option
from weightlore.training import in_mode
from weightlore.training.evaluation import require_classes, require_fitting

__all__ = ["Measure", "Target", "compare_networks", "sensitivity_study"]

Target = Literal["fixed", "repredict"]
Measure: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Progress: TypeAlias = Callable[[str, int], None]


def sensitivity_study(
    model: nn.Module,
    data: Split,
    methods: Mapping[str, Method],
    *,
    generator: torch.Generator,
    baseline: Tensor | float = 0.0,
    scheme: Scheme = "cascading",
    chosen: Sequence[Block | str] | None = None,
    init: Initial = "reset",
    statistics: Statistics = "reset",
    shared_draws: bool = True,
    draws: int = 5,
    target: Target = "fixed",
    signs: Sequence[Sign] = ("signed", "abs"),
    masks: Sequence[Mask] = ("all", "active"),
    channels: Channels = "sum",
    measures: Mapping[str, Measure] | None = None,
    progress: Progress | None = None,
) -> Study:
    """Compare the maps of a trained network with those of randomized copies.

    Args:
        model: in eval mode; stays as it is, bit for bit.
        data: N images and their classes; the classes serve to tell how accurate each network is.
        methods: name -> function of (model, x, classes) that returns an ``Attribution``; bind options by
            ``functools.partial``. One that draws noise should make its generator itself, from a seed: then all
            networks are explained under the same noise.
        generator: where the random networks come from.
        baseline: for the active pixels: a number, one image, or one for each image. The methods have their own.
        scheme: which blocks are random in which step, as in ``randomize``.
        chosen: blocks, output first; ``None`` for those of ``blocks(model)``.
        init: how a block is drawn.
        statistics: of batch normalization in random blocks.
        shared_draws: whether the steps of one draw share a random network.
        draws: how often the scheme is drawn anew, at least 1.
        target: whether the explained class is the one that the trained network predicts (``"fixed"``), or for each
            network the one that it predicts itself (``"repredict"``).
        signs: which signs are ranked.
        masks: which pixels count.
        channels: how channels become one map before ranking.
        measures: further similarities, name -> function of two stacks of maps, as the methods give them, that returns
            one number an image, (N,).
        progress: called with step and draw after each network.

    Returns:
        A row for each step, draw, method, choice and image.

    Raises:
        ParameterError: as ``randomize``, ``compare_networks`` and the methods.

    Source: [sundararajan2018note], the two corrections; [adebayo2018sanity], parameter randomization
    """
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ParameterError(f"draws counts random networks and must be a whole number of at least 1, got {draws!r}")

    def networks() -> Iterable[tuple[str, int, nn.Module]]:
        for draw in range(draws):
            for copy in randomize(
                model,
                chosen,
                scheme=scheme,
                init=init,
                statistics=statistics,
                shared_draws=shared_draws,
                generator=generator,
            ):
                yield copy.step, draw, copy.model

    comparison = _Comparison(model, data, methods, baseline, target, signs, masks, channels, measures or {})
    return comparison.table(networks(), progress)


def compare_networks(
    model: nn.Module,
    data: Split,
    methods: Mapping[str, Method],
    *,
    others: Mapping[str, Sequence[nn.Module]],
    baseline: Tensor | float = 0.0,
    target: Target = "fixed",
    signs: Sequence[Sign] = ("signed", "abs"),
    masks: Sequence[Mask] = ("all", "active"),
    channels: Channels = "sum",
    measures: Mapping[str, Measure] | None = None,
    progress: Progress | None = None,
) -> Study:
    """Compare the maps of a network with those of other networks: the controls of a study.

    Args:
        model: in eval mode.
        data: N images and their classes.
        methods: as in ``sensitivity_study``.
        others: name -> networks in eval mode; the name becomes the step, the place the number of the draw.
        baseline: for the active pixels.
        target: the class that ``model`` predicts, or the one that each network predicts itself.
        signs: which signs are ranked.
        masks: which pixels count.
        channels: how channels become one map before ranking.
        measures: further similarities.
        progress: called with name and number after each network.

    Returns:
        A row for each network, method, choice and image.

    Raises:
        ParameterError: if there is nothing to compare, an option is unknown, the data do not fit the model, or a method
            returns maps of another shape for another network.

    Example:
        >>> from weightlore.attribution import gradient
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> model = healthy()
        >>> control = compare_networks(model, digits("test")[:9], {"gradient": gradient}, others={"itself": [model]})
        >>> set(control.value.tolist())
        {1.0}

    Source: ours, because without controls a low similarity may only mean a noisy method
    """
    listed = [(name, draw, other) for name, several in others.items() for draw, other in enumerate(several)]
    if not listed:
        raise ParameterError("others must hold at least one network, as name -> list of networks, got none")
    comparison = _Comparison(model, data, methods, baseline, target, signs, masks, channels, measures or {})
    return comparison.table(listed, progress)


class _Comparison:
    """What is the same for all networks of a study: the images, the choices, and the maps of the trained network."""

    def __init__(
        self,
        model: nn.Module,
        data: Split,
        methods: Mapping[str, Method],
        baseline: Tensor | float,
        target: Target,
        signs: Sequence[Sign],
        masks: Sequence[Mask],
        channels: Channels,
        measures: Mapping[str, Measure],
    ) -> None:
        require_fitting(model, data)
        require_classes(data)
        require(model, data.x, 0)
        require_option("target", target, Target)
        choices = len(signs) * len(masks)
        if not methods or not (choices or measures):
            raise ParameterError(
                "a study needs at least one method, and a sign and a mask or another measure, got "
                f"{len(methods)} methods, {choices} choices and {len(measures)} measures"
            )
        self.data, self.methods, self.measures = data, methods, measures
        self.channels, self.target = channels, target
        keeps = {mask: kept_pixels(mask, data.x, baseline, channels) for mask in masks}
        self.keeps = {mask: _repeated(keep, len(methods)) for mask, keep in keeps.items()}
        self.classes = _predicted(model, data.x)
        self.maps = self._explained(model, self.classes)
        self.ranks: dict[Sign, list[Ranked]] = {}
        if choices:
            together = self._together(self.maps)
            self.ranks = {sign: ranked(signed(together, sign), list(self.keeps.values())) for sign in signs}

    def table(self, networks: Iterable[tuple[str, int, nn.Module]], progress: Progress | None) -> Study:
        """Explain with each network, compare, and write the rows."""
        columns: dict[str, list[np.ndarray]] = {name: [] for name in Study.__dataclass_fields__}
        for step, draw, network in networks:
            predicted = _predicted(network, self.data.x)
            maps = self._explained(network, self.classes if self.target == "fixed" else predicted)
            accuracy = float((predicted == self.data.y).double().mean())
            for (measure, sign, mask), values in self._compared(maps).items():
                rows = values.numel()
                said = {"step": step, "draw": draw, "measure": measure, "sign": sign, "mask": mask}
                for name, value in {**said, "accuracy": accuracy}.items():
                    columns[name].append(np.full(rows, value))
                columns["method"].append(np.repeat(np.array(list(self.methods)), values.shape[1]))
                columns["image"].append(np.tile(np.arange(values.shape[1]), len(values)))
                columns["value"].append(values.double().cpu().numpy().reshape(-1))
            if progress is not None:
                progress(step, draw)
        return Study(**{name: np.concatenate(parts) for name, parts in columns.items()})

    def _compared(self, maps: list[Tensor]) -> dict[tuple[str, str, str], Tensor]:
        """Return similarities of each method's maps, shape (methods, N), for each way of comparing."""
        found: dict[tuple[str, str, str], Tensor] = {}
        if self.ranks:
            together = self._together(maps)
            for sign, references in self.ranks.items():
                values = correlations(references, signed(together, sign))
                for mask, value in zip(self.keeps, values, strict=True):
                    found["rank", sign, mask] = value.view(len(maps), -1)
        for name, measure in self.measures.items():
            values = [measure(mine, other) for mine, other in zip(self.maps, maps, strict=True)]
            if any(value.shape != (len(self.data),) for value in values):
                raise ParameterError(
                    f"measure {name!r} must return one number an image, ({len(self.data)},), "
                    f"got {[tuple(value.shape) for value in values]}"
                )
            found[name, "", ""] = torch.stack(values)
        return found

    def _explained(self, network: nn.Module, classes: Tensor) -> list[Tensor]:
        return [method(network, self.data.x, classes).values for method in self.methods.values()]

    def _together(self, maps: list[Tensor]) -> Tensor:
        """Return the maps of all methods as one stack, shape (methods * N, ...), with their channels reduced."""
        reduced = [reduce_channels(values, self.channels) for values in maps]
        if any(values.shape != reduced[0].shape for values in reduced):
            raise ParameterError(
                "the methods of a study must give maps of one shape, got "
                f"{dict(zip(self.methods, (tuple(values.shape) for values in reduced), strict=True))}"
            )
        return torch.cat(reduced)


def _repeated(keep: Tensor | None, times: int) -> Tensor | None:
    return None if keep is None else keep.repeat(times, *[1] * (keep.ndim - 1))


def _predicted(network: nn.Module, x: Tensor) -> Tensor:
    """Return the classes that a network predicts, shape (N,)."""
    with in_mode(network, training=False), torch.no_grad():
        return torch.cat([network(rows).argmax(1) for rows in x.split(1000)])
