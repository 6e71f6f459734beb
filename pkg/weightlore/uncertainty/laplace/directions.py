"""What enters each layer, and what comes back to it: all that is needed of a Jacobian, without forming it.

For columns v_k of each example, k = 1..K, the derivative of v_k . f in the matrix of a layer is

    J_k = sum_t g_kt (a_t, 1)^T,   g_k = d (v_k . f) / d z

with the layer's inputs a and outputs z at its places t (one place in a linear layer, all pixels in a convolution). One
pass forward and K passes backward serve all N examples at once, and no weight is differentiated.

    directions(model, x, columns)    a and g of every layer
    unit_directions(model, x)        the same for v_k the k-th unit vector: the Jacobian of the outputs
    layer_inputs                     the (a, 1) of a layer: its inputs, or the patches of a convolution
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.parameters.groups import Group
from weightlore.training import in_mode
from weightlore.uncertainty.laplace.blocks import Block, Matrices, matrices_of

__all__ = ["Directions", "directions", "layer_inputs", "unit_directions"]

FIRST = 16  # examples that show how much memory one takes
ENTRIES = 2**23  # numbers of a piece
Columns = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Directions:
    """Inputs of the layers and what K columns of each example send back to them.

    Args:
        outputs: f, shape (N, C).
        matrices: of the layers.
        inputs: (a, 1) for each matrix, shape (N, T, in), T places.
        backward: g for each matrix, shape (N, K, T, out).

    Source: [martens2015kfac]; [grosse2016conv] for convolutions
    """

    outputs: Tensor
    matrices: Matrices
    inputs: tuple[Tensor, ...]
    backward: tuple[Tensor, ...]

    @property
    def each(self) -> int:
        """How many numbers of inputs and directions an example has."""
        return sum(part[0].numel() for part in (*self.inputs, *self.backward))

    def jacobian(self) -> Tensor:
        """Return the derivatives themselves, shape (N, K, P): sums of outer products, large."""
        N, K = self.backward[0].shape[:2]
        J = self.outputs.new_zeros(N, K, self.matrices.size)
        for block, a, g in zip(self.matrices.blocks, self.inputs, self.backward, strict=True):
            J[..., block.places.flatten()] = (g.mT @ a[:, None]).flatten(2)
        return J


def directions(model: nn.Module, x: Tensor, columns: Columns, *, group: Group = None) -> Directions:
    """Return what enters each layer and what the columns of each example send back to it.

    Args:
        model: returns (N, C); used in evaluation mode, left as it is.
        x: inputs, shape (N, ...).
        columns: from outputs (N, C) to columns (N, C, K); it may depend on the outputs, as a root of Lambda does.
        group: which parameters; ``None`` for all that require a gradient.

    Returns:
        Both for each matrix of ``matrices_of(model, group)``, in the dtype of the model, without a graph.

    Raises:
        ParameterError: as ``matrices_of``; if the model returns no finite matrix, or uses a layer or its weights twice
            or not at all; if the columns do not fit.

    Example:
        >>> found = directions(nn.Linear(3, 2), torch.zeros(5, 3), lambda f: torch.eye(2).expand(5, 2, 2))
        >>> found.inputs[0].shape, found.backward[0].shape
        (torch.Size([5, 1, 4]), torch.Size([5, 2, 1, 2]))

    Source: [martens2015kfac]
    """
    return _directions(model, x, columns, matrices_of(model, group))


def unit_directions(model: nn.Module, x: Tensor, *, group: Group = None, batch_size: int = 500) -> Iterator[Directions]:
    """Return the directions of the outputs themselves, K = C, piece by piece.

    The first piece shows how much memory an example takes, and the others have as many as fit into 32 MiB in single
    precision. It has a few examples, unless linear layers read rows of numbers, which cannot be much.

    Args:
        model: as for ``directions``.
        x: inputs, shape (N, ...).
        group: which parameters.
        batch_size: how many examples a piece has at most.

    Yields:
        The directions of a piece; ``jacobian()`` of them is that of the outputs.

    Raises:
        ParameterError: as ``directions``.

    Source: [khan2019approximate], the linearized network
    """
    require_counts(batch_size=batch_size)
    which = matrices_of(model, group)
    rows = x.ndim == 2 and all(isinstance(model.get_submodule(block.layer), nn.Linear) for block in which.blocks)
    start, count = 0, batch_size if rows else FIRST
    while start < len(x):
        found = _directions(model, x[start : start + min(count, batch_size)], _units, which)
        start, count = start + len(found.outputs), max(1, ENTRIES // found.each)
        yield found


def layer_inputs(module: nn.Module, a: Tensor, block: Block) -> Tensor:
    """Return the rows that the matrix of a layer is multiplied with.

    Args:
        module: linear or convolutional.
        a: what entered it, shape (N, in), (N, ..., in) or (N, channels, height, width).
        block: the matrix; with a bias a one ends each row.

    Returns:
        Shape (N, T, in) or (N, T, in + 1): patches of a convolution, T its output pixels.

    Source: [grosse2016conv], the expansion of a convolution
    """
    if isinstance(module, nn.Conv2d):
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        padded = F.pad(a, module._reversed_padding_repeated_twice, mode=mode)
        channels = padded.chunk(block.parts, 1)[block.part]
        patches = F.unfold(channels, module.kernel_size, dilation=module.dilation, stride=module.stride)
        rows = patches.mT
    else:
        rows = a.reshape(len(a), -1, a.shape[-1])
    return F.pad(rows, (0, 1), value=1.0) if block.bias else rows


def _directions(model: nn.Module, x: Tensor, columns: Columns, which: Matrices) -> Directions:
    layers = {block.layer: model.get_submodule(block.layer) for block in which.blocks}
    f, entered, left = _watched(model, x, layers)
    _require_used_once(f, {name: model.get_parameter(name) for name in which.names})
    v = columns(f.detach())
    if v.ndim != 3 or v.shape[:2] != f.shape:
        raise ParameterError(f"columns of outputs {tuple(f.shape)} have shape (N, C, K), got {tuple(v.shape)}")
    back = _sent_back(f, left, v.to(f.dtype))
    inputs, backward = [], []
    for block in which.blocks:
        module, g = layers[block.layer], back[block.layer]
        inputs.append(layer_inputs(module, entered[block.layer], block))
        if isinstance(module, nn.Conv2d):
            backward.append(g.chunk(block.parts, 2)[block.part].flatten(3).mT)
        else:
            backward.append(g.reshape(*g.shape[:2], -1, g.shape[-1]))
    return Directions(f.detach(), which, tuple(inputs), tuple(backward))


def _watched(
    model: nn.Module, x: Tensor, layers: dict[str, nn.Module]
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Return the outputs, and input and output of each layer."""
    entered: dict[str, Tensor] = {}
    left: dict[str, Tensor] = {}
    with ExitStack() as stack, torch.enable_grad(), in_mode(model, training=False):
        for name, layer in layers.items():

            def watch(_: nn.Module, inputs: tuple[Tensor, ...], z: Tensor, name: str = name) -> Tensor:
                if name in left:
                    raise ParameterError(
                        f"the layer {name} is used twice in one pass, so that its derivative is no product; take "
                        'structure="full" or "lowrank", or leave it out by requires_grad_(False)'
                    )
                entered[name], left[name] = inputs[0].detach(), z
                return z.clone()  # so that what follows may work in place

            stack.callback(layer.register_forward_hook(watch).remove)
        f = model(x.detach())
    unused = [name for name in layers if name not in left]
    if unused:
        raise ParameterError(f"{', '.join(unused)} took no part in the pass; set requires_grad_(False) to leave it out")
    if not isinstance(f, Tensor) or f.ndim != 2 or len(f) != len(x):
        came = tuple(f.shape) if isinstance(f, Tensor) else type(f).__name__
        raise ParameterError(f"the network must return a matrix (N, C) of outputs, got {came}")
    require_finite("the outputs of the network", f.detach())
    return f, entered, left


def _require_used_once(f: Tensor, parameters: dict[str, nn.Parameter]) -> None:
    """Check that no parameter enters the outputs but through its layer, which no hook would see."""
    if f.grad_fn is None:
        raise ParameterError("the outputs carry no graph, so that nothing comes back; remove no_grad() from the model")
    names = {id(parameter): name for name, parameter in parameters.items()}
    seen, waiting, met = {f.grad_fn}, [f.grad_fn], set()
    while waiting:
        for node, _ in waiting.pop().next_functions:
            name = names.get(id(getattr(node, "variable", None)))
            if name in met:
                raise ParameterError(
                    f"{name} is used twice in one pass, so that its derivative is no product; take "
                    'structure="full" or "lowrank", or leave it out by requires_grad_(False)'
                )
            if name is not None:
                met.add(name)
            elif node is not None and node not in seen:
                seen.add(node)
                waiting.append(node)


def _sent_back(f: Tensor, left: dict[str, Tensor], v: Tensor) -> dict[str, Tensor]:
    """Return for each layer what the columns send back to its output, shape (N, K, ...)."""
    outputs = list(left.values())
    found: list[list[Tensor]] = [[] for _ in outputs]
    for column in v.unbind(2):
        sent = torch.autograd.grad(f, outputs, column, retain_graph=True, allow_unused=True)
        for kept, g, z in zip(found, sent, outputs, strict=True):
            kept.append(torch.zeros_like(z) if g is None else g)
    return {name: torch.stack(kept, 1) for name, kept in zip(left, found, strict=True)}


def _units(f: Tensor) -> Tensor:
    return torch.eye(f.shape[1], dtype=f.dtype, device=f.device).expand(len(f), -1, -1)
