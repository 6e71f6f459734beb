"""Run networks that are alike as one: their parameters stacked, each on its own inputs.

    Stack(members)            parameters and buffers with the members in front
    require_alike(members)    same modules, same attributes, same shapes; otherwise ``Apart``
    batched_runner(stack, x)  matrix products for all members, where ``weightlore.stacked`` knows every operation
    vmap_runner(stack, x)     ``torch.func.vmap`` over the member's own code

A runner takes inputs (S, N, ...), or (1, N, ...) that all share, and returns outputs (S, N, ...), differentiable in the
stack. Before it is used it is compared with every member itself on a few examples, outputs and buffers; what disagrees,
or draws at random (dropout), raises ``Apart``, and the members are trained one by one.
"""

from collections.abc import Callable, Sequence
from weakref import ReferenceType

import torch
from torch import Tensor, nn

from weightlore.parameters import places_of
from weightlore.stacked.recording import record, run
from weightlore.uncertainty.ensembles.members import Outputs

__all__ = ["Apart", "Runner", "Stack", "batched_runner", "parts_of", "require_alike", "vmap_runner"]

Runner = Callable[[Tensor], Outputs]

RECORDED, COMPARED = 3, 5  # examples; different numbers, since a program must not depend on their count
PLAIN = (bool, int, float, str, type(None), torch.dtype)


class Apart(Exception):
    """Why members cannot be trained together; the message is the rest of a sentence.

    Source: ours
    """


class Stack:
    """The parameters and buffers of S members that are alike, with the members in front.

    Args:
        members: left as they are until ``write_back``.

    Source: ours
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        self.members, self.model = tuple(members), members[0]
        named = [dict(member.named_parameters()) for member in members]
        self.parameters = {
            name: nn.Parameter(torch.stack([own[name].detach() for own in named]), requires_grad=p.requires_grad)
            for name, p in named[0].items()
        }
        buffers = [dict(member.named_buffers()) for member in members]
        self.buffers = {name: torch.stack([own[name] for own in buffers]) for name in buffers[0]}

    def leaves(self) -> list[nn.Parameter]:
        """Return what is trained, in the order of the model's parameters."""
        return [p for p in self.parameters.values() if p.requires_grad]

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by name."""
        return {**self.parameters, **self.buffers}

    @torch.no_grad()
    def write_back(self) -> None:
        """Give each member its parameters and buffers."""
        for number, member in enumerate(self.members):
            for name, tensor in (*member.named_parameters(), *member.named_buffers()):
                tensor.copy_(self.tensors()[name][number])


def require_alike(members: Sequence[nn.Module]) -> None:
    """Check that members are copies of one network but for the values of their parameters and buffers.

    Args:
        members: S networks.

    Raises:
        Apart: if a module, a plain attribute, a function, a hook or the shape of a tensor differs.

    Source: ours
    """
    first = _form(members[0])
    if any(_form(member) != first for member in members[1:]):
        raise Apart("the members are not of one architecture")
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if any(vars(module)[name] for member in members for module in member.modules() for name in hooks):
        raise Apart("a member has hooks, which would be called once for all")
    if not any(p.requires_grad for p in members[0].parameters()):
        raise Apart("the members have no parameter that requires a gradient")


def batched_runner(stack: Stack, x: Tensor) -> Runner:
    """Return a runner that takes one batched product for each layer.

    Args:
        stack: members in the mode in which they are trained.
        x: examples, shape (N, ...).

    Raises:
        Apart: if an operation of the network is not understood.

    Source: ours
    """
    with torch.random.fork_rng(devices=[]):
        program = record(stack.model, dict(stack.model.named_parameters()), x[:RECORDED])
    if program is None:
        raise Apart("the network has operations that are not understood: weightlore.stacked has no rule for them")

    def runner(xs: Tensor) -> Tensor:
        values, tensors = {0: xs.movedim(1, -1)}, dict[str | None, Tensor | None](stack.tensors())
        run(program.steps, values, {None: None} | tensors, keep={program.output})
        return values[program.output].expand(len(stack.members), -1, -1).transpose(1, 2)

    return _compared(stack, runner, x)


def vmap_runner(stack: Stack, x: Tensor) -> Runner:
    """Return a runner that maps the member's own code over the members.

    Args:
        stack: members in the mode in which they are trained.
        x: examples, shape (N, ...).

    Raises:
        Apart: if ``torch.func`` cannot map the network, or it draws at random.

    Source: ours
    """
    model = stack.model

    def one(tensors: dict[str, Tensor], rows: Tensor) -> Outputs:
        return torch.func.functional_call(model, places_of(model, tensors), (rows,), tie_weights=False)

    mapped = torch.func.vmap(one, randomness="error")
    count = len(stack.members)
    return _compared(stack, lambda xs: mapped(stack.tensors(), xs.expand(count, *xs.shape[1:])), x)


@torch.no_grad()
def _compared(stack: Stack, runner: Runner, x: Tensor) -> Runner:
    """Return the runner if it does what each member does; buffers are as before."""
    rows = x[:COMPARED]
    before = {name: buffer.clone() for name, buffer in stack.buffers.items()}
    try:
        with torch.random.fork_rng(devices=[]):
            own = [_own(member, rows) for member in stack.members]
            wanted = [torch.stack(tensors) for tensors in zip(*own, strict=True)]
            outputs = runner(rows.expand(len(stack.members), *rows.shape))
            found = [*parts_of(outputs), *(buffer.clone() for buffer in stack.buffers.values())]
    except Exception as error:  # whatever it is: alone, the members say better what is wrong
        raise Apart(f"the network cannot be run for all members at once ({type(error).__name__})") from error
    finally:
        for name, buffer in before.items():
            stack.buffers[name].copy_(buffer)
    if len(found) != len(wanted) or not all(map(_agree, found, wanted)):
        raise Apart("the members run together do not give what they give alone")
    return runner


def _own(member: nn.Module, rows: Tensor) -> list[Tensor]:
    """Return output and buffers of a member after one call, which leaves it as it is."""
    buffers = {name: buffer.clone() for name, buffer in member.named_buffers()}
    output = torch.func.functional_call(member, places_of(member, buffers), (rows,), tie_weights=False)
    return [*parts_of(output), *buffers.values()]


def parts_of(outputs: Outputs) -> tuple[Tensor, ...]:
    """Return logits, or mean and variance, as a tuple of tensors.

    Args:
        outputs: what a member or a runner returns.

    Source: ours
    """
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _agree(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    if not found.is_floating_point():
        return torch.equal(found, wanted)
    scale = float(wanted.abs().nan_to_num(0, 0, 0).amax()) if wanted.numel() else 0.0
    tolerance = 100 * torch.finfo(found.dtype).eps ** 0.75 * scale
    return torch.allclose(found, wanted, rtol=0, atol=tolerance, equal_nan=True)


def _form(model: nn.Module) -> list[object]:
    """Return what makes two networks alike: modules, plain attributes, functions, shapes."""
    form: list[object] = []
    for name, module in model.named_modules():
        form += [name, type(module), {key: kept for key, kept in vars(module).items() if _tells(kept)}]
    tensors = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    form += [name for name, _ in model.named_parameters()]  # which of them are tied
    return form + [(name, t.shape, t.dtype, t.device, t.requires_grad) for name, t in tensors]


def _tells(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_tells, value))
    return isinstance(value, PLAIN) or (callable(value) and not isinstance(value, ReferenceType))  # as nn.LSTM keeps
