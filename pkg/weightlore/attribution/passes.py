"""Many rows of input through one network whose parameters are constants, so many at once that a cache holds them.

    constant(model, x)                 the network, prepared: without a graph for its parameters, laid out for speed
    found.scores(z, classes)           f of each row
    found.gradients(z, classes, w)     w_r df/dz of each row, one backward pass for all

What a backward pass costs beside its products is memory: whatever the layers keep for it has to be written and read
again. A network is asked once, with one row, how much that is; a chunk has as many rows as fit into 16 MiB. Images in
float32 are laid out with their channels last, where the network can read them so.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from weightlore.attribution.outputs import Output, chosen
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["ConstantNetwork", "constant"]

CACHE, MEMORY = 2**24, 2**30  # bytes that a chunk may keep: on a processor, and elsewhere
FEWEST, MOST = 32, 4096  # rows: products of few rows are slow, and beyond some thousands nothing is gained


@dataclass(frozen=True)
class ConstantNetwork:
    """A network whose parameters are constants, and how many rows it takes at once.

    Args:
        model: in eval mode; left as it is.
        parameters: name -> detached parameter, in the layout that runs fast.
        layout: of the rows.
        chunk: rows at once.
        output: what is attributed.

    Source: ours
    """

    model: nn.Module
    parameters: Mapping[str, Tensor]
    layout: torch.memory_format
    chunk: int
    output: Output

    def scores(self, z: Tensor, classes: Tensor) -> Tensor:
        """Return f of every row, shape (R,).

        Args:
            z: rows of input, shape (R, ...).
            classes: one for each, shape (R,), int64.

        Raises:
            ParameterError: as ``chosen``, or if a score is not finite.
        """
        with torch.no_grad():
            parts = zip(z.split(self.chunk), classes.split(self.chunk), strict=True)
            found = [chosen(self(part), chosen_classes, self.output) for part, chosen_classes in parts]
        return require_finite("the score", torch.cat(found))

    def gradients(self, z: Tensor, classes: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return w_r df/dz of every row, all of them in one pass.

        Args:
            z: rows of input, shape (R, ...), R at most about ``chunk``.
            classes: one for each, shape (R,), int64.
            weights: w, shape (R,); ``None`` for ones.

        Returns:
            Shaped like z, finite or not.

        Raises:
            ParameterError: as ``chosen``, or if the score does not depend on the input in a way that has a gradient.
        """
        with torch.inference_mode(False), torch.enable_grad():
            z = _ordinary(z).detach().requires_grad_()
            score = chosen(self(z), _ordinary(classes), self.output)
            if not score.requires_grad:
                raise ParameterError("the score has no gradient: the network must not detach its input or round it")
            total = score.sum() if weights is None else score @ _ordinary(weights.to(score))
            (gradient,) = torch.autograd.grad(total, z, materialize_grads=True)
        return gradient

    def __call__(self, z: Tensor) -> Tensor:
        """Return the logits, shape (R, C), of a copy of the rows: a network may write into its input."""
        return functional_call(self.model, dict(self.parameters), (z.clone(memory_format=self.layout),))


def _ordinary(tensor: Tensor) -> Tensor:
    """Return what a backward pass may keep: a copy of what was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor


def constant(model: nn.Module, x: Tensor, *, output: Output = "logit", chunk: int | None = None) -> ConstantNetwork:
    """Return a network prepared for many passes.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs of which the first is tried, shape (N, ...).
        output: whether f is the logit or the probability.
        chunk: rows at once; ``None`` for as many as keep 16 MiB for the backward pass (1 GiB on other devices than a
            processor), between 32 and 4,096. Changes time and memory, and results by the rounding of the network's own
            products.

    Returns:
        The network.

    Raises:
        ParameterError: if the chunk is not a whole number of at least 1.

    Source: ours, because memory is what time goes to: parameters need no graph, and a chunk should fit a cache
    """
    if chunk is not None:
        require_counts(chunk=chunk)
    first = x[:1].detach()
    with torch.inference_mode(False):
        if x.ndim == 4 and x.dtype == torch.float32 and x.device.type == "cpu":
            network = _laid_out(model, torch.channels_last, output)
            try:
                return _sized(network, first, chunk)
            except RuntimeError:  # a view that this layout does not allow; what else is wrong shows again below
                pass
        return _sized(_laid_out(model, torch.contiguous_format, output), first, chunk)


def _laid_out(model: nn.Module, layout: torch.memory_format, output: Output) -> ConstantNetwork:
    """Return the network with detached parameters; those of convolutions are copied where the layout differs."""

    def placed(parameter: Tensor) -> Tensor:
        constant = parameter.detach()
        return constant.to(memory_format=layout) if layout == torch.channels_last and constant.ndim == 4 else constant

    return ConstantNetwork(model, {n: placed(p) for n, p in model.named_parameters()}, layout, 1, output)


def _sized(network: ConstantNetwork, first: Tensor, chunk: int | None) -> ConstantNetwork:
    """Return the network with a chunk of rows, after one row has run."""
    kept = _kept(network, first)
    room = CACHE if first.device.type == "cpu" else MEMORY
    rows = min(MOST, max(FEWEST, room // max(1, kept)))
    return ConstantNetwork(network.model, network.parameters, network.layout, chunk or rows, network.output)


def _kept(network: ConstantNetwork, row: Tensor) -> int:
    """Return the bytes that one row keeps for the backward pass, parameters and buffers aside."""
    constants = [*network.parameters.values(), *network.model.buffers()]
    ignored = {tensor.untyped_storage().data_ptr() for tensor in constants}
    sizes: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no storage is used twice

    def noted(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(noted, lambda tensor: tensor):
        network(row.clone().requires_grad_())
    return sum(size for place, size in sizes.items() if place not in ignored)
