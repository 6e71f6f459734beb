"""Evaluate one network at many thetas at once.

Where the network is understood (``recording``), all copies go through it together, in blocks of copies and examples
that fit a processor's cache, and what the copies share is computed once. Any other network is evaluated copy by copy.
Which of the two it is changes the time and the last bits, nothing else.

    evaluate_thetas(model, thetas, data)    loss and accuracy of S copies
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data.split import Split, require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import Group
from weightlore.stacked.network import StackedNetwork
from weightlore.stacked.operations import affine, examples_last
from weightlore.stacked.recording import Program, Step, run

__all__ = ["Evaluations", "Loss", "evaluate_thetas"]

Loss = Callable[[Tensor, Tensor], Tensor]

Parameters = dict[str | None, Tensor | None]

CACHE = 4 * 2**20  # bytes that one block of copies and examples may touch; more is slower, measured
LARGEST = 32 * 2**20  # bytes that it may touch where fewer examples than FEWEST would fit the cache
FEWEST, MOST = 4, 1024  # examples of a block
ALONE, AT_ONCE = 128, 64  # examples that are scored together where copies go one by one, and that the network is run on
WIDE = 128  # entries of a window from which on torch's float32 convolution takes half the time of a product of patches


@dataclass(frozen=True)
class Evaluations:
    """How good a network is at each of S thetas.

    Args:
        loss: mean loss over the examples, shape (S,), float64; NaN where a copy's output is.
        accuracy: share of examples whose largest output is the target, shape (S,), float64; NaN where targets are not
            class numbers.

    Source: ours
    """

    loss: Tensor
    accuracy: Tensor

    def __len__(self) -> int:
        return len(self.loss)


def evaluate_thetas(
    model: nn.Module,
    thetas: Tensor | Iterable[Tensor],
    data: Split,
    *,
    group: Group = None,
    loss: Loss = F.cross_entropy,
) -> Evaluations:
    """Return loss and accuracy of a network at many thetas.

    Beside the thetas and the data it needs less than 100 MB for networks whose values for a few examples fit that.

    Args:
        model: any module with floating-point parameters, evaluated in evaluation mode; left as it is.
        thetas: one theta per copy, shape (S, P), finite or not: a corruption may go anywhere; or an iterable of such
            blocks, if all together would be too large.
        data: N examples.
        group: which parameters the thetas hold; the others keep the model's values.
        loss: mean loss of outputs (N, C) and targets (N, ...); called once per copy and block unless it is the default.

    Returns:
        The evaluations, in the order of the thetas.

    Raises:
        ParameterError: if the thetas do not fit the group, or the data are empty, not finite or do not fit the
            parameters.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> from weightlore.parameters import flatten
        >>> net = healthy("mlp")
        >>> line = torch.linspace(0, 1, 50, dtype=torch.float64)[:, None] * flatten(net)
        >>> evaluate_thetas(net, line, digits()).loss.shape
        torch.Size([50])

    Source: ours
    """
    if len(data) == 0:
        raise ParameterError("there are no examples to evaluate on: data has 0 rows")
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            network = StackedNetwork(model, data.x, group=group)
            require_finite("the inputs of data", data.x), require_finite("the targets of data", data.y)
            blocks = [thetas] if isinstance(thetas, Tensor) else thetas
            sums = [_evaluate(network, block, data, loss) for block in blocks]
    finally:
        for module, training in modes:
            module.training = training
    total = torch.cat(sums, 1) if sums else torch.zeros(2, 0, dtype=torch.float64, device=data.x.device)
    return Evaluations(*(total / len(data)))


def _evaluate(network: StackedNetwork, thetas: Tensor, data: Split, loss: Loss) -> Tensor:
    """Return the summed losses and the numbers of right answers, shape (2, S)."""
    if len(thetas) == 0:
        return torch.zeros(2, 0, dtype=torch.float64, device=data.x.device)
    program = network.understood(thetas, data.x)
    if loss is F.cross_entropy and _are_classes(data.y):
        require_labels(data.y, network.one(thetas[0], data.x[:1]).shape[1])
    if program is None or _is_slower_together(network, program):
        return _one_by_one(network, thetas, data, loss)
    return _together(network, program, thetas, data, loss)


def _one_by_one(network: StackedNetwork, thetas: Tensor, data: Split, loss: Loss) -> Tensor:
    sums = torch.zeros(2, len(thetas), dtype=torch.float64, device=thetas.device)
    for copy, theta in enumerate(thetas):
        for x, y in zip(data.x.split(ALONE), data.y.split(ALONE), strict=True):
            outputs = torch.cat([network.one(theta, part) for part in x.split(AT_ONCE)])
            sums[:, copy] += _score(outputs, y, loss)
    return sums


def _together(network: StackedNetwork, program: Program, thetas: Tensor, data: Split, loss: Loss) -> Tensor:
    shared, own = program.split(network.layout.names)
    size, sizes = thetas.element_size(), program.sizes()
    rows = _rows(len(data), _touched(program, own) * size, size * sum(sizes[n] for n in _frontier(program, own)))
    small = _rows(rows, _touched(program, shared) * size, 0)
    copies = _even(len(thetas), CACHE // (rows * _touched(program, own) * size))
    parameters = [network.parameters(block) for block in thetas.split(copies)]
    sums = torch.zeros(2, len(thetas), dtype=torch.float64, device=thetas.device)
    for x, y in zip(data.x.split(rows), data.y.split(rows), strict=True):
        common = _common(program, shared, own, parameters[0], x.split(small))
        for block, its, result in zip(thetas.split(copies), parameters, sums.split(copies, 1), strict=True):
            values = dict(common)
            run(own, values, its, keep={program.output})
            result += _scores(values[program.output].expand(len(block), -1, -1), y, loss)
    return sums


def _is_slower_together(network: StackedNetwork, program: Program) -> bool:
    """Whether wide convolutions would cost more than sharing saves: measured for float32 on processors."""
    if network.dtype != torch.float32 or network.device.type != "cpu":
        return False
    shapes, own = network.shapes(), program.split(network.layout.names)[1]
    products = [step for step in program.steps if step.operation is affine]
    work = {step.output: step.size * shapes[step.parameters[0]][1:].numel() for step in products}
    wide = [step for step in products if step in own and _window(step, shapes[step.parameters[0]]) >= WIDE]
    return 2 * sum(work[step.output] for step in wide) > sum(work.values())


def _window(step: Step, weight: torch.Size) -> int:
    """Return the entries that one output of a convolution looks at, 0 for a linear layer."""
    return weight[1:].numel() if step.size > weight[0] else 0


def _common(
    program: Program, shared: tuple[Step, ...], own: tuple[Step, ...], parameters: Parameters, blocks: Iterable[Tensor]
) -> dict[int, Tensor]:
    """Return the values that all copies share and that their own steps, or nobody, take."""
    keep = _frontier(program, own)
    parts = []
    for x in blocks:
        values = {0: examples_last(x)}
        run(shared, values, parameters, keep=keep)
        parts.append({number: values[number] for number in keep})
    return parts[0] if len(parts) == 1 else {n: torch.cat([part[n] for part in parts], -1) for n in keep}


def _frontier(program: Program, own: tuple[Step, ...]) -> set[int]:
    """Return the numbers of the values that are passed from the shared steps to the others."""
    made = {step.output for step in own}
    return ({n for step in own for n in step.inputs} | {program.output}) - made


def _touched(program: Program, steps: tuple[Step, ...]) -> int:
    """Return the entries per example that the largest of the steps reads and writes."""
    sizes = program.sizes()
    return max((step.size + sum(sizes[n] for n in step.inputs) for step in steps), default=1)


def _rows(examples: int, touched: int, kept: int) -> int:
    """Return how many examples a block has, from the bytes per example that it touches and keeps."""
    fits = CACHE // touched
    fits = fits if fits >= FEWEST else min(FEWEST, LARGEST // touched)
    return _even(examples, min(fits, MOST, LARGEST // max(kept, 1)))


def _even(total: int, most: int) -> int:
    """Return the size of equal blocks of at most ``most``, and at least 1."""
    return ceil(total / ceil(total / max(most, 1)))


def _scores(outputs: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """Return summed losses and right answers of outputs (S, C, N), shape (2, S)."""
    if loss is not F.cross_entropy or not _are_classes(y):
        return torch.stack([_score(output.T, y, loss) for output in outputs], 1)
    top, guess = outputs.max(1)
    picked = outputs.gather(1, y.expand(len(outputs), 1, -1)).squeeze(1)
    total = (outputs - top.unsqueeze(1)).exp_().sum(1).log_().add_(top).sub_(picked)
    return torch.stack([total.sum(1, dtype=torch.float64), (guess == y).sum(1).double()])


def _are_classes(y: Tensor) -> bool:
    return y.ndim == 1 and not y.is_floating_point()


def _score(output: Tensor, y: Tensor, loss: Loss) -> Tensor:
    """Return summed loss and right answers of one copy's output (N, ...), shape (2,)."""
    total = loss(output, y).double() * len(y)
    right = (
        (output.argmax(1) == y).sum().double()
        if output.ndim == 2 and _are_classes(y)
        else torch.full_like(total, torch.nan)
    )
    return torch.stack([total, right])
