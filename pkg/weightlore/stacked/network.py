"""Many copies of one network that differ in theta, run as one.

    StackedNetwork(model, x)            a network that is ready to run many copies
    network(thetas, x)                  their outputs, differentiable in the thetas
    call_stacked(model, thetas, x)      both at once

Where the network's computation is understood (``recording``) all copies run together; before the first run the program
is compared with the model itself on a few examples, and dropped if the two disagree. Otherwise the copies run one by
one.
"""

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters import Group, layout, places_of
from weightlore.stacked.operations import examples_last
from weightlore.stacked.recording import Program, record, run

__all__ = ["StackedNetwork", "call_stacked"]

RECORDED, COMPARED = 3, 5  # examples; different numbers, since a program must not depend on their count


class StackedNetwork:
    """Many copies of one network, which differ in the parameters of a group.

    Args:
        model: any module with floating-point parameters, in the mode in which it is to be run; left as it is.
        x: inputs of the kind it is to be run on, shape (N, ...), N >= 1.
        group: which parameters differ; the others keep the values that the model has now.

    Raises:
        ParameterError: if the group is empty, or x does not fit the parameters.

    Example:
        >>> network = StackedNetwork(nn.Linear(3, 2), torch.ones(4, 3))
        >>> network(torch.zeros(5, 8), torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])

    Source: ours, because a graph compiler would be slower to start than most evaluations take
    """

    def __init__(self, model: nn.Module, x: Tensor, *, group: Group = None) -> None:
        self.model, self.layout = model, layout(model, group)
        self._base = {name: p.detach() for name, p in model.named_parameters()}
        self._require_fitting(x)
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            self._program = record(model, self._base, x[:RECORDED])
        self._compared = False

    def __call__(self, thetas: Tensor, x: Tensor) -> Tensor:
        """Return the outputs of all copies, shape (S, N, C), differentiable in the thetas.

        Args:
            thetas: one theta per copy, shape (S, P).
            x: inputs that all copies get, shape (N, ...).

        Raises:
            ParameterError: if there are no thetas, they do not fit the group, or x does not fit the parameters.
        """
        self._require_fitting(x)
        program = self.understood(thetas, x)
        if program is None:
            return torch.stack([self.one(theta, x) for theta in thetas])
        values = {0: examples_last(x)}
        run(program.steps, values, self.parameters(thetas), keep={program.output})
        return values[program.output].expand(len(thetas), -1, -1).transpose(1, 2)

    def understood(self, thetas: Tensor, x: Tensor) -> Program | None:
        """Return the program for these thetas, or ``None`` if the copies must run one by one.

        The first time the program's output is compared with the model's own, for one theta on a few examples.

        Args:
            thetas: shape (S, P).
            x: shape (N, ...).

        Raises:
            ParameterError: if the thetas do not fit the group.
        """
        self._require_thetas(thetas)
        if self._program is not None and not self._compared:
            self._compared = True
            with torch.no_grad():
                self._program = self._program if self._agrees(self._program, thetas[:1], x[:COMPARED]) else None
        return self._program

    def parameters(self, thetas: Tensor) -> dict[str | None, Tensor | None]:
        """Return every parameter and buffer with the copies in front, shape (S or 1, ...), and ``None`` for none.

        Args:
            thetas: shape (S, P).
        """
        shared = {**self._base, **dict(self.model.named_buffers())}
        return {None: None} | {n: t.unsqueeze(0) for n, t in shared.items()} | dict(self.layout.split(thetas))

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters."""
        return next(p.dtype for p in self._base.values())

    @property
    def device(self) -> torch.device:
        """Of the parameters."""
        return next(p.device for p in self._base.values())

    def shapes(self) -> dict[str | None, torch.Size]:
        """Return the shapes of parameters and buffers, by name."""
        return {name: tensor.shape for name, tensor in (*self._base.items(), *self.model.named_buffers())}

    def one(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the output of a single copy by the model's own code, shape (N, C); buffers are copied for the call.

        Args:
            theta: shape (P,).
            x: shape (N, ...).
        """
        places = places_of(self.model, self.layout.split(theta))
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            return torch.func.functional_call(self.model, places, (x,), tie_weights=False)

    def _agrees(self, program: Program, theta: Tensor, x: Tensor) -> bool:
        values = {0: examples_last(x)}
        run(program.steps, values, self.parameters(theta), keep={program.output})
        ours, model = values[program.output][0].T, self.one(theta[0], x)
        tolerance = 100 * torch.finfo(theta.dtype).eps ** 0.75
        scale = float(model.abs().nan_to_num(0, 0, 0).amax()) if model.numel() else 0.0
        return ours.shape == model.shape and torch.allclose(ours, model, rtol=0, atol=tolerance * scale, equal_nan=True)

    def _require_fitting(self, x: Tensor) -> None:
        dtype, device = self.dtype, self.device
        if len(x) == 0:
            raise ParameterError(f"x must hold at least one example, got shape {tuple(x.shape)}")
        if x.device != device or (x.is_floating_point() and x.dtype != dtype):
            raise ParameterError(
                f"x must be {dtype} on {device} like the parameters, got {x.dtype} on {x.device}; "
                "convert it first, for example data.to(dtype=..., device=...)"
            )

    def _require_thetas(self, thetas: Tensor) -> None:
        dtype, device = self.dtype, self.device
        if thetas.ndim != 2 or len(thetas) == 0 or thetas.shape[1] != self.layout.size:
            raise ParameterError(
                f"thetas must have shape (S >= 1, P={self.layout.size}), one row per copy, got {tuple(thetas.shape)}; "
                "do they hold the same group?"
            )
        if thetas.dtype != dtype or thetas.device != device:
            raise ParameterError(f"thetas must be {dtype} on {device}, got {thetas.dtype} on {thetas.device}")


def call_stacked(model: nn.Module, thetas: Tensor, x: Tensor, *, group: Group = None) -> Tensor:
    """Return the outputs of many copies of a network, differentiable in the thetas.

    Args:
        model: any module with floating-point parameters, run in the mode it is in; left as it is.
        thetas: one theta per copy, shape (S, P).
        x: inputs that all copies get, shape (N, ...), N >= 1.
        group: which parameters the thetas hold; the others keep the model's values.

    Returns:
        Outputs, shape (S, N, C).

    Raises:
        ParameterError: if there are no thetas, they do not fit the group, or x does not fit the parameters.

    Example:
        >>> call_stacked(nn.Linear(3, 2), torch.zeros(5, 8), torch.ones(4, 3)).shape
        torch.Size([5, 4, 2])

    Source: ours
    """
    return StackedNetwork(model, x, group=group)(thetas, x)
