"""What a pixel contributes: a factor that no network changes, a gradient under another rule, and a single look."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.attribution import exact_integrated_gradients, gradient, guided_backprop, integrated_gradients
from weightlore.data import digits
from weightlore.networks import healthy, mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["BIASLESS", "GUIDED", "SILENT"]

Pixels = tuple[tuple[float, float], ...]  # x and b of each
PIXELS: Pixels = ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0), (0.25, 0.5), (0.0, 0.5))
GRAYS = (0.25, 0.5, 0.75, 1.0)


def _pixels(generator: torch.Generator) -> Pixels:
    """Both black, both of one gray, one of them black, two different grays; in any order."""
    one, other = several(generator, GRAYS, 2)
    same, first, second = (one_of(generator, GRAYS) for _ in range(3))
    return several(generator, ((0.0, 0.0), (same, same), (first, 0.0), (0.0, second), (one, other)), 5)


def _zeros(pixels: Pixels) -> list[int]:
    """Return which values are zero for each of five random networks."""
    x, b = (torch.tensor([one], dtype=torch.float64) for one in zip(*pixels, strict=True))
    nets = [mlp((5, 8, 2), generator=torch.Generator().manual_seed(seed)).eval() for seed in range(5)]
    found = torch.cat([exact_integrated_gradients(net, x, 0, baseline=b).values for net in nets])
    return [int(one) for one in (found == 0).all(0)]


def _silent(pixels: Pixels) -> Exercise:
    x, b = (", ".join(f"{one:g}" for one in column) for column in zip(*pixels, strict=True))
    gray = next(x for x, b in pixels if x == b != 0)
    return Exercise(
        id="explained.silent",
        prompt=f"Five pixels x = ({x}) and the baseline b = ({b}). Which integrated gradients are zero whatever the "
        "network is? Answer: five numbers, 1 for zero and 0 for not.",
        nudge="Which factor in equation (2) does not depend on the network?",
        hint="The factor is x - b. Where is it zero?",
        right="A proof by one factor: no parameter appears in it. So such zeros say nothing about the network.",
        reference=lambda: _zeros(pixels),
        diagnoses=(
            Diagnosis("black", "You marked pixels that are black; they are silent only if the baseline is black, too.",
                      lambda: [int(x == 0) for x, _ in pixels]),
            Diagnosis("baseline", "You marked where the baseline is black; the pixel must be equal to it.",
                      lambda: [int(b == 0) for _, b in pixels]),
            Diagnosis("inverse", "These are the pixels that can have a value.",
                      lambda: [int(x != b) for x, b in pixels]),
            Diagnosis("either", "You marked every pixel with a zero in x or b; what counts is their difference.",
                      lambda: [int(x * b == 0) for x, b in pixels]),
            Diagnosis("product", f"x - b is zero also where both are {gray:g}.",
                      lambda: [int(x == b == 0) for x, b in pixels]),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Bend:
    """What stands before the ReLU, y = relu(k z + c)."""

    k: float = 1.0
    c: float = 0.0

    @property
    def plain(self) -> bool:
        return self == _Bend()

    @property
    def inside(self) -> str:
        shift = f" {'+' if self.c > 0 else '-'} {abs(self.c):g}" if self.c else ""
        return f"{'' if self.k == 1 else f'{self.k:g} '}z{shift}"

    def enters(self, z: Tensor) -> Tensor:
        return self.k * z + self.c

    def guided(self, z: Tensor, signal: Tensor) -> Tensor:
        """Return what guided backpropagation makes of a signal behind one ReLU."""
        before, readout = (nn.Linear(len(z), size, bias=size > 1).to(z.dtype) for size in (len(z), 1))
        with torch.no_grad():
            before.weight.copy_(self.k * torch.eye(len(z)))
            before.bias.fill_(self.c)
            readout.weight.copy_(signal[None])
        return guided_backprop(nn.Sequential(before, nn.ReLU(), readout).eval(), z[None], 0).values[0]


def _signals() -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.tensor([2.0, 2.0, -1.0, -1.0, 0.0, 0.0, 3.0]), torch.tensor([3.0, -3.0, 5.0, -5.0, 1.0, -1.0, 0.0])),
        (torch.tensor([0.5, -0.5, 1.5, 4.0]), torch.tensor([-1.0, 2.0, 0.5, -2.0])),
        (torch.tensor([0.1, -0.1, 0.3, -0.3]), torch.tensor([2.0, 3.0, 0.5, 4.0])),
    ]


def _guided(d: _Bend) -> Exercise:
    both = "both z" if d.plain else f"both the input {d.inside}"
    factor = "R" if d.k == 1 else f"{d.k:g} R"
    return Exercise(
        id="explained.guided",
        prompt=f"Guided backpropagation passes a ReLU y = relu({d.inside}) only where {both} and the signal R that "
        "comes back are positive. Answer: a function of (z, R), two tensors of shape (D,), that returns the signal "
        "at z.",
        nudge="What would the gradient do? One more condition, on R, is all that is added.",
        hint=f"Multiply {factor} by ({d.inside} > 0) and by (R > 0).",
        right="So what speaks against the class is thrown away at every layer, and the map looks clean.",
        reference=d.guided,
        inputs=_signals,
        diagnoses=(*_other_rules(d), *_before(d)),
    )


def _other_rules(d: _Bend) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("gradient", "That is the gradient: it passes negative signals.",
                  lambda z, r: d.k * r * (d.enters(z) > 0)),
        Diagnosis("deconvnet", "That is the rule of the deconvnet: it never asks whether the unit was active.",
                  lambda z, r: d.k * r.clamp(min=0)),
        Diagnosis("product",
                  f"You asked whether {'z R' if d.plain else f'({d.inside}) R'} is positive: two negatives pass, too.",
                  lambda z, r: d.k * r * (d.enters(z) * r > 0)),
        Diagnosis("activation", "You let the activation through; asked is the signal.",
                  lambda z, r: d.enters(z).clamp(min=0) * (r > 0)),
        Diagnosis("magnitude", "A negative signal must become zero, not positive.",
                  lambda z, r: d.k * r.abs() * (d.enters(z) > 0)),
    )  # fmt: skip


def _before(d: _Bend) -> tuple[Diagnosis, ...]:
    bend = Diagnosis("bend", f"The ReLU asks for the sign of {d.inside}, not of z.",
                     lambda z, r: d.k * r.clamp(min=0) * (z > 0))  # fmt: skip
    factor = Diagnosis("factor", f"On its way back to z the signal is multiplied by {d.k:g}.",
                       lambda z, r: r.clamp(min=0) * (d.enters(z) > 0))  # fmt: skip
    return ((bend,) if d.c else ()) + ((factor,) if d.k != 1 else ())


def _biasless(a: float) -> Exercise:
    """With the input at a share of its brightness as the baseline."""
    share = "" if a == 0 else f"{1 - a:g} "
    baseline = "the baseline is zero" if a == 0 else f"the baseline is the input, darker: b = {a:g} x"

    def answer(model: nn.Module, x: Tensor, target: int) -> Tensor:
        return integrated_gradients(model, x, target, baseline=a * x, nodes=1).values

    return Exercise(
        id="explained.biasless",
        prompt=f"A network of ReLUs without biases; {baseline}. Compute its integrated gradients from a single "
        "gradient. Answer: a function of (model, x, target), x of shape (N, D), that returns the values.",
        nudge="What does such a network answer to an input that is half as bright? And what is the gradient there?",
        hint="f(a x) = a f(x), so that the gradient is the same all along the path: the integral is the gradient at x.",
        right=f"One look is enough, and {share and f'{share}times '}gradient x input is complete. With biases none of "
        "this holds.",
        reference=answer,
        inputs=lambda: [(healthy("biasless"), digits("test").x[:3], 4)],
        diagnoses=_looks(a, f"{share}x"),
    )


def _looks(a: float, factor: str) -> tuple[Diagnosis, ...]:
    black = Diagnosis("start of the path", "At the baseline itself all units sit on their bend; look anywhere else.",
                      lambda model, x, target: x * gradient(model, torch.zeros_like(x), target).values)  # fmt: skip
    dark = Diagnosis("black baseline", f"You multiplied by x; the baseline is not black, so x - b = {factor}.",
                     lambda model, x, target: x * gradient(model, x, target).values)  # fmt: skip
    return (
        Diagnosis("factor", f"That is the gradient; equation (2) multiplies it by x - b = {factor}.",
                  lambda model, x, target: gradient(model, x, target).values),
        black if a == 0 else dark,
        Diagnosis("magnitude", "An attribution has a sign.",
                  lambda model, x, target: (1 - a) * x * gradient(model, x, target).values.abs()),
        Diagnosis("probability", "You took the probability; softmax spoils f(a x) = a f(x).",
                  lambda model, x, target: (1 - a) * x * gradient(model, x, target, output="probability").values),
        Diagnosis("half", "The integral of a constant over [0, 1] is the constant; you averaged with zero.",
                  lambda model, x, target: (1 - a) * x * gradient(model, x, target).values / 2),
    )  # fmt: skip


SILENT, GUIDED, BIASLESS = _silent(PIXELS), _guided(_Bend()), _biasless(0.0)

VARIANTS = {
    SILENT.id: Variants(_silent, _pixels),
    GUIDED.id: Variants(
        _guided,
        lambda generator: _Bend(one_of(generator, (1.0, 2.0, 3.0, 4.0)), one_of(generator, (-1.0, -0.25, 0.2, 1.0))),
    ),
    BIASLESS.id: Variants(
        _biasless,
        lambda generator: one_of(generator, (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.65, 0.75, 0.8)),
    ),
}
