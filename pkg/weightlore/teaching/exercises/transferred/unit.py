"""One transfer unit: its corners, its price, and the gates that sleep at a copy."""

import copy

import torch
from torch import Tensor

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.transfer import PTU, GateKind, PTUNet, gate_names, parameter_count
from weightlore.transfer.gates import Gates

__all__ = ["AWAKE", "CORNERS", "DIAGONAL_GATE", "GATE_COST", "GATE_GRADIENT", "OUTSIDE"]

P, A, U = 2.0, -1.0, 3.0
PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
CHANNELS = 8


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _blended(p: float, a: float, u: float, z: float, r: float) -> float:
    """What a unit of one neuron passes on."""
    unit = PTU(1, torch.relu, gate="scalar", generator=_generator(), dtype=torch.float64)
    unit.force(z, r)
    with torch.no_grad():
        dict(unit.named_parameters())["inject"].fill_(u)
        return float(unit(torch.tensor([[p]], dtype=torch.float64), torch.tensor([[a]], dtype=torch.float64)))


CORNERS = Exercise(
    id="transferred.corners",
    prompt="One neuron with phi = ReLU, p = 2, a = -1, U = 3. What is h at (z, r) = (0, 0), (0, 1), (1, 0), (1, 1)? "
    "Answer: four numbers.",
    nudge="Put the gates into (2), then into (3). Which corners can you write down without any arithmetic?",
    hint="At z = 0 the output is p. At z = 1 it is the candidate max(0, a + U r p).",
    right="Two corners are one habit: where nothing of the candidate is passed on, r has nothing to do.",
    reference=lambda: [_blended(P, A, U, z, r) for z, r in PLACES],
    diagnoses=(
        Diagnosis("gate", "You exchanged the ends of z: z = 0 is the source, z = 1 the target.", lambda: [0, 5, 2, 2]),
        Diagnosis("ReLU", "You left out the ReLU: no candidate is negative.", lambda: [2, 2, -1, 5]),
        Diagnosis("matrix", "You added p without the matrix U.", lambda: [2, 2, 0, 1]),
        Diagnosis(
            "where",
            "You added U p after the ReLU; in (2) it comes in before. That makes r = 0 exact for every phi.",
            lambda: [2, 2, 0, 6],
        ),
        Diagnosis("order", "This is (z, r) = (0, 0), (1, 0), (0, 1), (1, 1); z comes first.", lambda: [2, 0, 2, 5]),
    ),
)


def _costs(*, injected: int = CHANNELS**2, gates: float = 1.0, biases: int = 0) -> list[float]:
    """The three counts with some part of them changed."""
    kinds: tuple[GateKind, ...] = ("channel", "channel-diag", "dense")
    plain = [parameter_count(CHANNELS, gate=kind) - CHANNELS**2 for kind in kinds]
    return [injected + gates * (count - lost) for count, lost in zip(plain, (0, biases, biases), strict=True)]


GATE_COST = Exercise(
    id="transferred.gate_cost",
    prompt="How many numbers does a unit of 8 channels learn, with a full matrix U, if its gates are channel, "
    "channel-diag, dense? Answer: three numbers.",
    nudge="There are two gates. How many numbers does one channel of one gate need in each of the three cases?",
    hint="One channel of one gate needs 1, or 1 + 1 + 1, or 16 + 1 numbers. And U has 8 x 8.",
    right="At 64 channels they are 4,224, 4,480 and 20,608; twenty pictures have 20 labels.",
    reference=_costs,
    diagnoses=(
        Diagnosis("matrix", "You left out the matrix U.", lambda: _costs(injected=0)),
        Diagnosis("one gate", "This is with one gate; there are two.", lambda: _costs(gates=0.5)),
        Diagnosis("bias", "Gates that look at something have a bias, too.", lambda: _costs(biases=2 * CHANNELS)),
        Diagnosis(
            "half", "Dense gates look at all channels of p and at all of t.", lambda: [80, 112, 64 + 2 * (64 + 8)]
        ),
        Diagnosis("diagonal", "Here U is a full matrix, with 8 x 8 numbers.", lambda: _costs(injected=CHANNELS)),
    ),
)


def _bias_gradient(p: Tensor, c: Tensor, z: Tensor, delta: Tensor) -> Tensor:
    """By automatic differentiation of the blend, with the gate as a function of its bias."""
    bias = torch.zeros(p.shape[1], dtype=p.dtype, requires_grad=True)
    gate = torch.sigmoid(torch.logit(z) + bias)
    with torch.enable_grad():
        (found,) = torch.autograd.grad(torch.lerp(p, c, gate), bias, delta)
    return found


def _streams() -> list[tuple[Tensor, ...]]:
    """Activations and gates; the last ones are those of a copy."""
    drawn = _generator()

    def normal() -> Tensor:
        return torch.randn(4, 3, generator=drawn, dtype=torch.float64)

    cases = [(normal(), normal(), torch.sigmoid(normal()), normal()) for _ in range(3)]
    p, _, z, delta = cases[-1]
    return [*cases[:-1], (p, p.clone(), z, delta)]


GATE_GRADIENT = Exercise(
    id="transferred.gate_gradient",
    prompt="What is the gradient of the loss with respect to the bias of an update gate, one for each channel? Answer: "
    "a function of (p, c, z, delta), all of shape (N, C), that returns shape (C,).",
    nudge="How does h change if z grows a little? And how does z change if its bias does?",
    hint="dh/dz = c - p and dz/db = z (1 - z). All examples share the bias, so their gradients add up.",
    right="And for a copy it is zero, entry by entry: the loss cannot see how two equal things are blended.",
    reference=_bias_gradient,
    inputs=_streams,
    diagnoses=(
        Diagnosis("direction", "z leads from p to c, so it is c - p.", lambda p, c, z, d: -_bias_gradient(p, c, z, d)),
        Diagnosis(
            "logistic",
            "This is the gradient with respect to z; the bias stands inside of the logistic function.",
            lambda p, c, z, d: (d * (c - p)).sum(0),
        ),
        Diagnosis(
            "logistic twice",
            "z is the gate already; you put it through the logistic function again.",
            lambda p, c, z, d: (d * (c - p) * torch.sigmoid(z) * (1 - torch.sigmoid(z))).sum(0),
        ),
        Diagnosis(
            "source", "Not c but c - p: p is taken away as c comes in.", lambda p, c, z, d: (d * c * z * (1 - z)).sum(0)
        ),
        Diagnosis(
            "mean",
            "You took the mean over the examples; gradients add up (delta is that of the whole loss).",
            lambda p, c, z, d: (d * (c - p) * z * (1 - z)).mean(0),
        ),
        Diagnosis("axis", "Sum over the examples.", lambda p, c, z, d: (d * (c - p) * z * (1 - z)).sum(1)),
        Diagnosis("sum", "Sum over the examples.", lambda p, c, z, d: d * (c - p) * z * (1 - z)),
    ),
)


def _awake() -> list[int]:
    """Which parts of a network that starts as a copy of its source have a gradient."""
    source = mlp((6, 5, 4, 3), generator=_generator())
    x = torch.randn(8, 6, generator=_generator(), dtype=torch.float64)
    net = PTUNet(source, copy.deepcopy(source), x, generator=_generator())
    with torch.enable_grad():
        torch.nn.functional.cross_entropy(net(x), torch.arange(8) % 3).backward()
    moved = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    gates = [moved[name].chunk(2) for name in gate_names(net)]  # rows of the update gate first
    update, reuse = [z for z, _ in gates], [r for _, r in gates]
    others = [[g for name, g in moved.items() if word in name] for word in ("inject", "target.layers", "readout")]
    return [int(any(bool(g.any()) for g in part)) for part in (update, reuse, *others)]


AWAKE = Exercise(
    id="transferred.awake",
    prompt="The target is a copy of the source, U = 0, all gates free. Which of these get a gradient that is not zero "
    "at the first step: update gates, reuse gates, U, the target's layers, the readout? Answer: five numbers, 1 for "
    "yes and 0 for no.",
    nudge="Start with update gates and (4). Then ask of each other part: if it moved a little, would h move?",
    hint="If r moved, U (r p) would still be 0. If U moved, it would not.",
    right="So the copy is a safe start: it costs the gates one step, not the training.",
    reference=_awake,
    diagnoses=(
        Diagnosis("reuse", "The reuse gate acts through U alone, and U is zero.", lambda: [0, 1, 1, 1, 1]),
        Diagnosis("U", "U is zero, but its gradient is not: if it moved, c would.", lambda: [0, 0, 0, 1, 1]),
        Diagnosis(
            "update", "Candidate and source are equal: by (4) update gates get nothing.", lambda: [1, 0, 1, 1, 1]
        ),
        Diagnosis("both", "Neither gate gets anything: c = p, and U = 0.", lambda: [1, 1, 1, 1, 1]),
        Diagnosis("layers", "The target's layers get z times what they would get alone.", lambda: [0, 0, 1, 0, 1]),
        Diagnosis("readout", "More than the readout is awake.", lambda: [0, 0, 0, 0, 1]),
        Diagnosis("inverse", "You marked those that sleep.", lambda: [1, 1, 0, 0, 0]),
    ),
)


def _diagonal(p: Tensor, t: Tensor, w_p: Tensor, w_t: Tensor, b: Tensor) -> Tensor:
    """The update gate of the package, with these weights."""
    gates = Gates("channel-diag", len(b), spatial=True, biases=(0.0,), generator=_generator(), dtype=b.dtype)
    with torch.no_grad():
        gates.weight.copy_(torch.stack([w_p, w_t]))
        gates.bias.copy_(b)
        return torch.sigmoid(gates(p, t)[0])


def _images() -> list[tuple[Tensor, ...]]:
    """Images whose height, width and channels are all 3, so that a wrong axis raises nothing."""
    drawn, shapes = _generator(), [(2, 3, 3, 3)] * 2 + [(3,)] * 3
    return [tuple(torch.randn(s, generator=drawn, dtype=torch.float64) for s in shapes) for _ in range(2)]


def _wide(w: Tensor) -> Tensor:
    return w[:, None, None]


DIAGONAL_GATE = Exercise(
    id="transferred.diagonal_gate",
    prompt="Write the update gate channel-diag: each channel looks at its own p and t at each place. Answer: a "
    "function of (p, t, w_p, w_t, b), images of shape (N, C, H, W) and vectors of shape (C,), that returns "
    "(N, C, H, W).",
    nudge="To which axis of an image does a vector of C numbers belong, and to which does torch align it?",
    hint="The logit is w_p p + w_t t + b with each vector as w[:, None, None]; then the logistic function.",
    right="Three numbers a channel and gate, where a dense gate of C channels has 2 C + 1.",
    reference=_diagonal,
    inputs=_images,
    diagnoses=(
        Diagnosis(
            "axis",
            "Your vectors run along the width of the image; write w[:, None, None].",
            lambda p, t, v, w, b: torch.sigmoid(v * p + w * t + b),
        ),
        Diagnosis(
            "axis of the bias",
            "The weights go along the channels, but the bias along the width.",
            lambda p, t, v, w, b: torch.sigmoid(_wide(v) * p + _wide(w) * t + b),
        ),
        Diagnosis(
            "logit",
            "This is the logit; a gate is between 0 and 1.",
            lambda p, t, v, w, b: _wide(v) * p + _wide(w) * t + _wide(b),
        ),
        Diagnosis("exchanged", "You exchanged the weights of p and t.", lambda p, t, v, w, b: _diagonal(t, p, v, w, b)),
        Diagnosis("bias", "You left out the bias.", lambda p, t, v, w, b: _diagonal(p, t, v, w, 0 * b)),
        Diagnosis("one stream", "The gate looks at both streams.", lambda p, t, v, w, b: _diagonal(p, t, v, 0 * w, b)),
        Diagnosis(
            "one minus", "This is 1 - z, the share of the source.", lambda p, t, v, w, b: 1 - _diagonal(p, t, v, w, b)
        ),
    ),
)


def _is_outside(answer: list[float]) -> bool:
    """Whether an answer keeps the conditions, and h leaves the range between p and t."""
    p, a, u, z, r = (float(number) for number in answer)
    if p < 0 or not 0 <= z <= 1 or not 0 <= r <= 1:
        return False
    ends, h = sorted((p, max(a, 0.0))), _blended(p, a, u, z, r)
    return not ends[0] - 1e-9 <= h <= ends[1] + 1e-9


OUTSIDE = Exercise(
    id="transferred.outside",
    prompt="Find one neuron with ReLU, p >= 0 and gates in [0, 1], so that h is not between p and the target's own "
    "t = phi(a). Answer: five numbers, [p, a, U, z, r].",
    nudge="h is a mean of p and c. When is c the same as t?",
    hint="Choose U and r so that c is far above both p and t, and let z pass it on.",
    right="So a unit can say what neither stream said: it does more than choose.",
    reference=lambda: [2.0, -1.0, 3.0, 1.0, 1.0],
    accept=_is_outside,
    diagnoses=(
        Diagnosis("gates", "Gates are between 0 and 1.", matches=lambda n: not all(0 <= float(g) <= 1 for g in n[3:])),
        Diagnosis("source", "p comes out of a ReLU: it is not negative.", matches=lambda n: float(n[0]) < 0),
        Diagnosis("shut", "With z = 0 nothing but p is passed on.", matches=lambda n: float(n[3]) == 0),
        Diagnosis(
            "nothing let in",
            "With U r p = 0 the candidate is t itself, and h a mean of p and t.",
            matches=lambda n: float(n[0]) * float(n[2]) * float(n[4]) == 0,
        ),
        Diagnosis(
            "inside",
            "The source comes in, but h stays between p and t; go further, or let more of it pass.",
            matches=lambda n: not _is_outside(n),
        ),
    ),
)
