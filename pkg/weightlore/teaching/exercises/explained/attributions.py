"""What a pixel contributes: gradients under another rule, integrals along a path, and how many looks they need."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.attribution import exact_integrated_gradients, gradient, guided_backprop, integrated_gradients, scores
from weightlore.data import digits
from weightlore.networks import healthy, mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["BIASLESS", "ENOUGH", "GUIDED", "PIECES", "SILENT", "TRAPEZOID"]

IMAGE, START = (0.0, 0.5, 1.0, 0.25, 0.0), (0.0, 0.0, 1.0, 0.5, 0.5)


def _silent() -> list[int]:
    """Return which values are zero for each of five random networks."""
    x, b = (torch.tensor([one], dtype=torch.float64) for one in (IMAGE, START))
    nets = [mlp((5, 8, 2), generator=torch.Generator().manual_seed(seed)).eval() for seed in range(5)]
    found = torch.cat([exact_integrated_gradients(net, x, 0, baseline=b).values for net in nets])
    return [int(one) for one in (found == 0).all(0)]


SILENT = Exercise(
    id="explained.silent",
    prompt="Five pixels x = (0, 0.5, 1, 0.25, 0) and the baseline b = (0, 0, 1, 0.5, 0.5). Which integrated gradients "
    "are zero whatever the network is? Answer: five numbers, 1 for zero and 0 for not.",
    nudge="Which factor in equation (2) does not depend on the network?",
    hint="The factor is x - b. Where is it zero?",
    right="A proof by one factor: no parameter appears in it. So such zeros say nothing about the network.",
    reference=_silent,
    diagnoses=(
        Diagnosis("black", "You marked pixels that are black; they are silent only if the baseline is black, too.",
                  lambda: [1, 0, 0, 0, 1]),
        Diagnosis("baseline", "You marked where the baseline is black; the pixel must be equal to it.",
                  lambda: [1, 1, 0, 0, 0]),
        Diagnosis("inverse", "These are the pixels that can have a value.", lambda: [0, 1, 0, 1, 1]),
        Diagnosis("either", "You marked every pixel with a zero in x or b; what counts is their difference.",
                  lambda: [1, 1, 0, 0, 1]),
        Diagnosis("product", "x - b is zero also where both are 1.", lambda: [1, 0, 0, 0, 0]),
    ),
)  # fmt: skip


def _guided(z: Tensor, signal: Tensor) -> Tensor:
    """Return what guided backpropagation makes of a signal behind one ReLU."""
    readout = nn.Linear(len(z), 1, bias=False).to(z.dtype)
    with torch.no_grad():
        readout.weight.copy_(signal[None])
    return guided_backprop(nn.Sequential(nn.ReLU(), readout).eval(), z[None], 0).values[0]


GUIDED = Exercise(
    id="explained.guided",
    prompt="Guided backpropagation passes a ReLU y = relu(z) only where both z and the signal R that comes back are "
    "positive. Answer: a function of (z, R), two tensors of shape (D,), that returns the signal at z.",
    nudge="What would the gradient do? One more condition, on R, is all that is added.",
    hint="Multiply R by (z > 0) and by (R > 0).",
    right="So what speaks against the class is thrown away at every layer, and the map looks clean.",
    reference=_guided,
    inputs=lambda: [
        (torch.tensor([2.0, 2.0, -1.0, -1.0, 0.0, 0.0, 3.0]), torch.tensor([3.0, -3.0, 5.0, -5.0, 1.0, -1.0, 0.0])),
        (torch.tensor([0.5, -0.5, 1.5, 4.0]), torch.tensor([-1.0, 2.0, 0.5, -2.0])),
    ],
    diagnoses=(
        Diagnosis("gradient", "That is the gradient: it passes negative signals.", lambda z, r: r * (z > 0)),
        Diagnosis("deconvnet", "That is the rule of the deconvnet: it never asks whether the unit was active.",
                  lambda z, r: r.clamp(min=0)),
        Diagnosis("product", "You asked whether z R is positive: two negatives pass, too.",
                  lambda z, r: r * (z * r > 0)),
        Diagnosis("activation", "You let the activation through; asked is the signal.",
                  lambda z, r: z.clamp(min=0) * (r > 0)),
        Diagnosis("magnitude", "A negative signal must become zero, not positive.", lambda z, r: r.abs() * (z > 0)),
    ),
)  # fmt: skip


def _biasless(model: nn.Module, x: Tensor, target: int) -> Tensor:
    return integrated_gradients(model, x, target, baseline=0.0, nodes=1).values


def _magnitude(model: nn.Module, x: Tensor, target: int) -> Tensor:
    return x * gradient(model, x, target).values.abs()


BIASLESS = Exercise(
    id="explained.biasless",
    prompt="A network of ReLUs without biases; the baseline is zero. Compute its integrated gradients from a single "
    "gradient. Answer: a function of (model, x, target), x of shape (N, D), that returns the values.",
    nudge="What does such a network answer to an input that is half as bright? And what is the gradient there?",
    hint="f(a x) = a f(x), so that the gradient is the same all along the path: the integral is the gradient at x.",
    right="One look is enough, and gradient x input is complete. With biases none of this holds.",
    reference=_biasless,
    inputs=lambda: [(healthy("biasless"), digits("test").x[:3], 4)],
    diagnoses=(
        Diagnosis("factor", "That is the gradient; equation (2) multiplies it by x - b = x.",
                  lambda model, x, target: gradient(model, x, target).values),
        Diagnosis("start of the path", "At the baseline itself all units sit on their bend; look anywhere else.",
                  lambda model, x, target: x * gradient(model, torch.zeros_like(x), target).values),
        Diagnosis("magnitude", "An attribution has a sign.", _magnitude),
        Diagnosis("probability", "You took the probability; softmax spoils f(a x) = a f(x).",
                  lambda model, x, target: x * gradient(model, x, target, output="probability").values),
        Diagnosis("half", "The integral of a constant over [0, 1] is the constant; you averaged with zero.",
                  lambda model, x, target: x * gradient(model, x, target).values / 2),
    ),
)  # fmt: skip


def _trapezoid(count: int) -> Tensor:
    """Return the sum of the weights of N nodes from 0 to 1, each 1/N, the two ends half."""
    weights = torch.full((count,), 1 / count, dtype=torch.float64)
    weights[[0, -1]] /= 2
    return weights.sum()


TRAPEZOID = Exercise(
    id="explained.trapezoid",
    prompt="A library takes N nodes from 0 to 1, both ends among them, gives each the weight 1/N and the two ends half "
    "of that. What are the integrated gradients of a linear network multiplied by? Answer: a function of N, N >= 2.",
    nudge="The integrand of a linear network is constant. What do the weights add up to?",
    hint="N weights of 1/N make 1; each of the two ends lacks half of one.",
    right="So it reports half of everything with N = 2, and 0.98 with N = 50: N nodes have only N - 1 intervals.",
    reference=_trapezoid,
    inputs=lambda: [(2,), (5,), (50,)],
    diagnoses=(
        Diagnosis("exact", "The right trapezoid, with N + 1 nodes, would give 1; here a node is missing.",
                  lambda n: 1.0),
        Diagnosis("both ends", "Each end lacks a half of 1/N, not all of it.", lambda n: (n - 2) / n),
        Diagnosis("inverse", "That is the factor which repairs them.", lambda n: n / (n - 1)),
        Diagnosis("missing", "That is the part which is missing.", lambda n: 1 / n),
        Diagnosis("one end", "There are two ends.", lambda n: 1 - 1 / (2 * n)),
    ),
)  # fmt: skip


def _first(model: nn.Module, x: Tensor, target: int, within: Callable[[float, float, float], bool]) -> int:
    """Return the smallest N of the left rule whose gap, with f(x) and f(b), is as wished."""
    start, end = (float(scores(model, z, target)) for z in (torch.zeros_like(x), x))
    for count in range(1, 500):
        found = integrated_gradients(model, x, target, baseline=0.0, rule="left", nodes=count)
        if within(float(found.values.sum()) - (end - start), end, start):
            return count
    return 500


def _enough(model: nn.Module, x: Tensor, target: int) -> int:
    return _first(model, x, target, lambda gap, end, start: abs(gap) <= 0.01 * abs(end - start))


ENOUGH = Exercise(
    id="explained.enough",
    prompt="How many nodes does the rule `left` need until the gap is at most 1 % of f(x) - f(b), in size? The "
    "baseline is 0, f the logit. Answer: a function of (model, x, target), x of shape (1, D), that returns the "
    "smallest N.",
    nudge="`integrated_gradients(..., rule=\"left\", nodes=N)` has a field `gap`; begin with N = 1.",
    hint="Compare abs(gap) with 0.01 * abs(f(x) - f(b)), where `attribution.scores` gives f; add 1 to N until it fits.",
    right="The gap needs no exact answer, which is why it is looked at; but it is one number for 64 errors.",
    reference=_enough,
    inputs=lambda: [(healthy("mlp"), digits("test").x[k : k + 1], int(digits("test").y[k])) for k in (1, 5)],
    diagnoses=(
        Diagnosis("sign", "The gap is negative here, so it is below any positive number; take its size.",
                  lambda net, x, c: _first(net, x, c, lambda gap, end, start: gap <= 0.01 * abs(end - start))),
        Diagnosis("of what", "You compared with f(x); what is distributed is f(x) - f(b).",
                  lambda net, x, c: _first(net, x, c, lambda gap, end, start: abs(gap) <= 0.01 * abs(end))),
        Diagnosis("percent", "That is 10 %.",
                  lambda net, x, c: _first(net, x, c, lambda gap, end, start: abs(gap) <= 0.1 * abs(end - start))),
        Diagnosis("off by one", "That is one node too many; the N before was enough already.",
                  lambda *of: _enough(*of) + 1),
        Diagnosis("doubling", "You doubled N; the smallest that is enough lies between the last two.",
                  lambda *of: 2 ** (_enough(*of) - 1).bit_length()),
    ),
)  # fmt: skip


def _pieces(weight: Tensor, bias: Tensor, readout: Tensor, x: Tensor, b: Tensor) -> Tensor:
    """Return exact integrated gradients of readout . relu(weight x + bias)."""
    net = nn.Sequential(nn.Linear(len(x), len(bias)), nn.ReLU(), nn.Linear(len(bias), 1, bias=False)).eval().to(x.dtype)
    with torch.no_grad():
        for old, new in zip(net.parameters(), (weight, bias, readout[None]), strict=True):
            old.copy_(new)
    return exact_integrated_gradients(net, x[None], 0, baseline=b).values[0]


def _active(share: Callable[[Tensor, Tensor], Tensor], factor: bool = True) -> Callable[..., Tensor]:
    """Return the answer that takes the share of the path on which a unit is active from its two ends."""

    def answer(weight: Tensor, bias: Tensor, readout: Tensor, x: Tensor, b: Tensor) -> Tensor:
        at_b, at_x = weight @ b + bias, weight @ x + bias
        return ((x - b) if factor else 1.0) * ((readout * share(at_b, at_x)) @ weight)

    return answer


def _shares(at_b: Tensor, at_x: Tensor) -> Tensor:
    return (at_x.clamp(min=0) - at_b.clamp(min=0)) / (at_x - at_b)


def _layer() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(8)
    sizes = [(6, 3), (6,), (6,), (3,), (3,)]
    return [tuple(torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes) for _ in range(4)]


PIECES = Exercise(
    id="explained.pieces",
    prompt="One hidden layer of K units, f(x) = v . relu(W x + c). Compute integrated gradients without any error of "
    "quadrature. Answer: a function of (W, c, v, x, b), shapes (K, D), (K,), (K,), (D,), (D,).",
    nudge="On the path the input of unit k goes straight from z_b to z_x. On which part of the path is it positive?",
    hint="The part is (relu(z_x) - relu(z_b)) / (z_x - z_b). Weigh each unit's v_k W_k by it, add, multiply by x - b.",
    right="Those slopes are the multipliers of DeepLIFT: with one hidden layer the two methods are the same.",
    reference=_pieces,
    inputs=_layer,
    diagnoses=(
        Diagnosis("end of the path", "You took the units that are active at x, as gradient times x - b does.",
                  _active(lambda at_b, at_x: (at_x > 0).to(at_x))),
        Diagnosis("start of the path", "You took the units that are active at b.",
                  _active(lambda at_b, at_x: (at_b > 0).to(at_x))),
        Diagnosis("one look", "That is the midpoint rule with one node: a unit counts fully or not at all.",
                  _active(lambda at_b, at_x: (at_b + at_x > 0).to(at_x))),
        Diagnosis("both ends", "That is the trapezoid with one interval: every bend is put into the middle.",
                  _active(lambda at_b, at_x: ((at_b > 0).to(at_x) + (at_x > 0).to(at_x)) / 2)),
        Diagnosis("beyond the path", "The place of the bend must be cut to [0, 1]: most units do not bend on the path.",
                  _active(lambda at_b, at_x: at_x / (at_x - at_b))),
        Diagnosis("factor", "That is the mean gradient on the path; multiply by x - b.", _active(_shares, False)),
        Diagnosis("magnitude", "An attribution has a sign; you took sizes.",
                  lambda *of: _active(_shares)(*of).abs()),
    ),
)  # fmt: skip
