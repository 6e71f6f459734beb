"""Integrals along a path: what weights add up to, how many looks are enough, and none but the bends."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.attribution import exact_integrated_gradients, integrated_gradients, scores
from weightlore.data import digits
from weightlore.networks import healthy
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["ENOUGH", "PIECES", "TRAPEZOID"]

ENDS = {
    "half": ("half", 1 / 2), "a third": ("two thirds", 1 / 3), "two thirds": ("a third", 2 / 3),
    "a quarter": ("three quarters", 1 / 4), "three quarters": ("a quarter", 3 / 4),
    "a fifth": ("four fifths", 1 / 5), "four fifths": ("a fifth", 4 / 5), "a tenth": ("nine tenths", 1 / 10),
    "two fifths": ("three fifths", 2 / 5), "three fifths": ("two fifths", 3 / 5),
    "three tenths": ("seven tenths", 3 / 10), "seven tenths": ("three tenths", 7 / 10),
    "nine tenths": ("a tenth", 9 / 10),
}  # fmt: skip


def _sum(count: int, end: float) -> Tensor:
    """Return the sum of the weights of N nodes from 0 to 1, each 1/N, the two ends less."""
    weights = torch.full((count,), 1 / count, dtype=torch.float64)
    weights[[0, -1]] *= end
    return weights.sum()


def _trapezoid(share: str) -> Exercise:
    lacks, end = ENDS[share]
    half, many = share == "half", float(_sum(50, end))
    return Exercise(
        id="explained.trapezoid",
        prompt="A library takes N nodes from 0 to 1, both ends among them, gives each the weight 1/N and the two ends "
        f"{share} of that. What are the integrated gradients of a linear network multiplied by? Answer: a function of "
        "N, N >= 2.",
        nudge="The integrand of a linear network is constant. What do the weights add up to?",
        hint=f"N weights of 1/N make 1; each of the two ends lacks {lacks} of one.",
        right=f"So it reports {share} of everything with N = 2, and {many:.{2 if half else 3}f} with N = 50: "
        + ("N nodes have only N - 1 intervals." if half else "weights of a rule must add up to 1."),
        reference=lambda n: _sum(n, end),
        inputs=lambda: [(2,), (5,), (50,)],
        diagnoses=(
            Diagnosis("exact", "The right trapezoid, with N + 1 nodes, would give 1; here a node is missing." if half
                      else "The weights of the right trapezoid add up to 1; these do not.", lambda n: 1.0),
            Diagnosis("both ends", "Each end lacks a half of 1/N, not all of it." if half
                      else f"Each end lacks {lacks} of 1/N, not all of it.", lambda n: (n - 2) / n),
            Diagnosis("inverse", "That is the factor which repairs them.", lambda n: 1 / _sum(n, end)),
            Diagnosis("missing", "That is the part which is missing.", lambda n: 1 - _sum(n, end)),
            Diagnosis("one end", "There are two ends.", lambda n: 1 - (1 - end) / n),
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


@dataclass(frozen=True)
class _Gap:
    """How large the gap may be, of f(x) - f(b)."""

    percent: float = 1.0

    @property
    def most(self) -> float:
        return self.percent / 100

    def nodes(self, model: nn.Module, x: Tensor, target: int) -> int:
        return _first(model, x, target, lambda gap, end, start: abs(gap) <= self.most * abs(end - start))


def _enough(d: _Gap) -> Exercise:
    return Exercise(
        id="explained.enough",
        prompt=f"How many nodes does the rule `left` need until the gap is at most {d.percent:g} % of f(x) - f(b), "
        "in size? The baseline is 0, f the logit. Answer: a function of (model, x, target), x of shape (1, D), that "
        "returns the smallest N.",
        given="Integrated gradients of a pixel are (x - b) times the mean slope of f on the straight path from b to x. "
        "The rule `left` takes N nodes, 0, 1/N and so on up to (N - 1)/N, with equal weights; the gap is the sum over "
        "pixels less f(x) - f(b).",
        nudge='`integrated_gradients(..., rule="left", nodes=N)` has a field `gap`; begin with N = 1.',
        hint=f"Compare abs(gap) with {d.most:g} * abs(f(x) - f(b)), where `attribution.scores` gives f; add 1 to N "
        "until it fits.",
        right="The gap needs no exact answer, which is why it is looked at; but it is one number for 64 errors.",
        reference=d.nodes,
        inputs=lambda: [(healthy("mlp"), digits("test").x[k : k + 1], int(digits("test").y[k])) for k in (1, 5)],
        diagnoses=(
            Diagnosis("sign", "The gap is negative here, so it is below any positive number; take its size.",
                      lambda net, x, c: _first(net, x, c, lambda gap, f, f0: gap <= d.most * abs(f - f0))),
            Diagnosis("of what", "You compared with f(x); what is distributed is f(x) - f(b).",
                      lambda net, x, c: _first(net, x, c, lambda gap, f, f0: abs(gap) <= d.most * abs(f))),
            Diagnosis("percent", f"That is {10 * d.percent:g} %.", _Gap(10 * d.percent).nodes),
            Diagnosis("off by one", "That is one node too many; the N before was enough already.",
                      lambda *of: d.nodes(*of) + 1),
            Diagnosis("doubling", "You doubled N; the smallest that is enough lies between the last two.",
                      lambda *of: 2 ** (d.nodes(*of) - 1).bit_length()),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Leak:
    """What a unit lets through where it is not active: max(z, a z)."""

    a: float = 0.0

    def pieces(self, weight: Tensor, bias: Tensor, readout: Tensor, x: Tensor, b: Tensor) -> Tensor:
        """Return exact integrated gradients of one hidden layer."""
        first, last = nn.Linear(len(x), len(bias)), nn.Linear(len(bias), 1, bias=False)
        bend = nn.LeakyReLU(self.a) if self.a else nn.ReLU()
        net = nn.Sequential(first, bend, last).eval().to(x.dtype)
        with torch.no_grad():
            for old, new in zip(net.parameters(), (weight, bias, readout[None]), strict=True):
                old.copy_(new)
        return exact_integrated_gradients(net, x[None], 0, baseline=b).values[0]

    def active(self, share: Callable[[Tensor, Tensor], Tensor], factor: bool = True) -> Callable[..., Tensor]:
        """Return the answer that takes the share of the path on which a unit is active from its two ends."""

        def answer(weight: Tensor, bias: Tensor, readout: Tensor, x: Tensor, b: Tensor) -> Tensor:
            at_b, at_x = weight @ b + bias, weight @ x + bias
            slope = self.a + (1 - self.a) * share(at_b, at_x)
            return ((x - b) if factor else 1.0) * ((readout * slope) @ weight)

        return answer


def _shares(at_b: Tensor, at_x: Tensor) -> Tensor:
    return (at_x.clamp(min=0) - at_b.clamp(min=0)) / (at_x - at_b)


def _layer() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(8)
    sizes = [(6, 3), (6,), (6,), (3,), (3,)]
    return [tuple(torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes) for _ in range(4)]


def _pieces(d: _Leak) -> Exercise:
    relu = "lrelu" if d.a else "relu"
    where = f", where lrelu(z) = max(z, {d.a:g} z)" if d.a else ""
    return Exercise(
        id="explained.pieces",
        prompt=f"One hidden layer of K units, f(x) = v . {relu}(W x + c){where}. Compute integrated gradients without "
        "any error of quadrature. Answer: a function of (W, c, v, x, b), shapes (K, D), (K,), (K,), (D,), (D,).",
        nudge="On the path the input of unit k goes straight from z_b to z_x. On which part of the path is it "
        "positive?",
        hint=f"The {'mean slope' if d.a else 'part'} is ({relu}(z_x) - {relu}(z_b)) / (z_x - z_b). Weigh each unit's "
        "v_k W_k by it, add, multiply by x - b.",
        right="Those slopes are the multipliers of DeepLIFT: with one hidden layer the two methods are the same.",
        reference=d.pieces,
        inputs=_layer,
        diagnoses=(*_ends(d), *_after(d)),
    )


def _ends(d: _Leak) -> tuple[Diagnosis, ...]:
    """A look at the ends of the path, where the share of it was asked for."""
    return (
        Diagnosis("end of the path", "You took the units that are active at x, as gradient times x - b does.",
                  d.active(lambda at_b, at_x: (at_x > 0).to(at_x))),
        Diagnosis("start of the path", "You took the units that are active at b.",
                  d.active(lambda at_b, at_x: (at_b > 0).to(at_x))),
        Diagnosis("one look", "That is the midpoint rule with one node: a unit counts fully or not at all.",
                  d.active(lambda at_b, at_x: (at_b + at_x > 0).to(at_x))),
        Diagnosis("both ends", "That is the trapezoid with one interval: every bend is put into the middle.",
                  d.active(lambda at_b, at_x: ((at_b > 0).to(at_x) + (at_x > 0).to(at_x)) / 2)),
        Diagnosis("beyond the path", "The place of the bend must be cut to [0, 1]: most units do not bend on the path.",
                  d.active(lambda at_b, at_x: at_x / (at_x - at_b))),
    )  # fmt: skip


def _after(d: _Leak) -> tuple[Diagnosis, ...]:
    found = (
        Diagnosis("factor", "That is the mean gradient on the path; multiply by x - b.", d.active(_shares, False)),
        Diagnosis("magnitude", "An attribution has a sign; you took sizes.",
                  lambda *of: d.active(_shares)(*of).abs()),
    )  # fmt: skip
    leak = Diagnosis("leak", f"Below zero the slope is {d.a:g}, not 0.", _Leak().pieces)
    return (*found, leak) if d.a else found


TRAPEZOID, ENOUGH, PIECES = _trapezoid("half"), _enough(_Gap()), _pieces(_Leak())

VARIANTS = {
    TRAPEZOID.id: Variants(_trapezoid, lambda generator: one_of(generator, tuple(ENDS))),
    ENOUGH.id: Variants(
        _enough,
        lambda generator: _Gap(
            one_of(generator, (2.0, 2.25, 2.75, 3.0, 4.0, 4.5, 5.0, 6.0, 6.5, 7.0, 7.5, 8.0, 9.0, 10.0))
        ),
    ),
    PIECES.id: Variants(
        _pieces,
        lambda generator: _Leak(one_of(generator, (0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5))),
    ),
}
