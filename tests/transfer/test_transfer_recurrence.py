"""The unit at every step: against the unit for vectors, and against the recursion written out once more."""

import pytest
import torch

from weightlore.networks import sequence
from weightlore.transfer import PTU
from weightlore.transfer.recurrence import Bound, fused, non_linearity

N, T, D, H = 3, 5, 2, 4
KINDS = ("rnn", "gru", "lstm")
GATES = ("scalar", "channel", "channel-diag", "channel-pooled", "dense")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def unit(phi=torch.tanh, seed=1, **options):
    """Return a unit with parameters anywhere."""
    made = PTU(H, phi, **options, generator=seeded())
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            parameter.copy_(normal(*parameter.shape, seed=seed + number))
    return made


def cell(kind, seed=0):
    made = sequence(kind, inputs=D, hidden=H, classes=2, generator=seeded(seed), dtype=torch.float64).layers[0]
    with torch.no_grad():
        made.bias_hh.copy_(0.3 * normal(*made.bias_hh.shape, seed=seed + 7))
    return made


def words(*lengths):
    return (torch.arange(T) < torch.tensor(lengths)[:, None])[..., None]


def together(gate):
    """Return gates of all steps as one tensor (N, T, H)."""
    return torch.stack([torch.as_tensor(g, dtype=torch.float64).expand(N, H) for g in gate], dim=1)


@pytest.mark.parametrize("form", ["canonical", "gru"])
@pytest.mark.parametrize("inject", ["full", "diagonal", "none"])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("forced", [(None, None), (0.3, None), (None, 0.7), (None, 0.0), (0.2, 0.9)])
def test_oracle_a_bound_unit_is_the_unit_for_vectors_at_each_step(gate, inject, form, forced):
    one = unit(gate=gate, inject=inject, form=form)
    one.force(*forced)
    p, a = normal(N, T, H), normal(N, T, H, seed=3)
    bound = Bound(one, p)
    for t in range(T):
        h, z, r = bound(t, a[:, t])
        torch.testing.assert_close(h, one(p[:, t], a[:, t]), rtol=1e-12, atol=1e-12)
        wanted = one.values(p[:, t], torch.tanh(a[:, t]))
        for found, expected in zip((z, r), wanted, strict=True):
            torch.testing.assert_close(
                *(torch.as_tensor(g, dtype=torch.float64).expand(N, H) for g in (found, expected)), rtol=1e-12, atol=0
            )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_oracle_the_recursion_written_out(kind, both, reverse):
    own, driven, p, mark = cell(kind), normal(N, T, 2), normal(N, T, H, seed=2).tanh(), words(5, 2, 4)
    one, memories = unit(non_linearity(own)), normal(N, T, H, seed=5) if both else None
    found = fused(own, Bound(one, p), own.drive(driven), mark, memories=memories, reverse=reverse)
    gates, u = one.gates, one.inject
    for n in range(N):
        h = m = torch.zeros(1, H, dtype=torch.float64)
        for t in reversed(range(T)) if reverse else range(T):
            if mark[n, t]:
                x, s = driven[n, t], p[n, t]
                if kind == "rnn":
                    a = own.weight_ih @ x + own.bias_ih + own.weight_hh @ h[0] + own.bias_hh
                    said, after = torch.tanh(a), m
                else:
                    a, after = (part[0] if part is not m else part for part in own.step(own.drive(x[None]), h, m))
                    said = a
                z, r = torch.sigmoid(gates.weight @ torch.cat([s, said]) + gates.bias).chunk(2)
                c = a + u @ (r * s)
                h = ((1 - z) * s + z * (torch.tanh(c) if kind == "rnn" else c))[None]
                m = after.reshape(1, H) if memories is None else ((1 - z) * memories[n, t] + z * after).reshape(1, H)
                torch.testing.assert_close(together(found.update)[n, t], z)
                torch.testing.assert_close(together(found.reuse)[n, t], r)
            torch.testing.assert_close(found.states[n, t], h[0])


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_property_shut_and_open_gates_are_source_and_target_bit_for_bit(kind, memory):
    own, p, mark = cell(kind), normal(N, T, H, seed=2), words(5, 2, 4)
    p = torch.where(mark, p, 0.0)  # a source of its own; at padding the state is held
    one, driven = unit(non_linearity(own, clamp=True)), own.drive(normal(N, T, 2))
    memories = normal(N, T, H, seed=5) if memory else None
    one.force(z=0.0)
    found = fused(own, Bound(one, p), driven, mark, memories=memories)
    assert torch.equal(torch.where(mark, found.states, 0.0), p)
    one.force(z=1.0, r=0.0)
    assert torch.equal(fused(own, Bound(one, p), driven, mark, memories=memories).states, own(driven, mark))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_property_clamped_states_stay_within_one_and_free_ones_need_not(kind):
    own, p, mark = cell(kind), normal(N, T, H, seed=2).sign(), words(5, 2, 4)
    free, held = (unit(non_linearity(own, clamp=clamp)) for clamp in (False, True))
    for one in (free, held):
        one.force(z=1.0, r=1.0)
    driven = own.drive(normal(N, T, 2))
    assert fused(own, Bound(free, p), driven, mark).states.abs().max() > 1
    assert fused(own, Bound(held, p), driven, mark).states.abs().max() == 1


def test_property_gates_that_look_at_nothing_are_the_same_at_every_step():
    own, p, mark = cell("gru"), normal(N, T, H, seed=2), words(5, 5, 5)
    for gate, same in (("channel", True), ("scalar", True), ("channel-diag", False), ("dense", False)):
        found = together(
            fused(own, Bound(unit(non_linearity(own), gate=gate), p), own.drive(normal(N, T, 2)), mark).update
        )
        assert torch.equal(found, found[:1, :1].expand_as(found)) == same
        assert torch.equal(found, found[:1, :1, :1].expand_as(found)) == (gate == "scalar")


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_gradcheck(kind):
    own = cell(kind)
    one, mark = unit(non_linearity(own)), words(5, 2, 4)
    names = [*(f"unit.{n}" for n, _ in one.named_parameters()), *(f"cell.{n}" for n, _ in own.named_parameters())]
    values = [p.detach().clone().requires_grad_() for p in (*one.parameters(), *own.parameters())]

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unit, self.cell = one, own

        def forward(self, p, x, memories):
            given = memories if kind == "lstm" else None
            return fused(self.cell, Bound(self.unit, p), self.cell.drive(x), mark, memories=given).states

    both = Both()

    def function(p, x, memories, *parameters):
        return torch.func.functional_call(both, dict(zip(names, parameters, strict=True)), (p, x, memories))

    inputs = [normal(N, T, H, seed=2), normal(N, T, 2), normal(N, T, H, seed=4)]
    assert torch.autograd.gradcheck(function, (*(x.requires_grad_() for x in inputs), *values), fast_mode=True)
