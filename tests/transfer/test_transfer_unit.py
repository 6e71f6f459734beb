"""The unit: special cases bit for bit, gradients, and what it refuses."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.transfer import PTU, parameter_count, parameter_table

KINDS = ("scalar", "channel", "channel-diag", "channel-pooled", "dense")
PHIS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda a: a}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind="dense", phi=torch.relu, channels=3, seed=0, dtype=torch.float64, **options):
    """A unit whose every parameter is random, so that nothing holds by chance."""
    unit = PTU(channels, phi, gate=kind, generator=seeded(seed), dtype=dtype, **options)
    draws = seeded(seed + 100)
    with torch.no_grad():
        for parameter in unit.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=dtype))
    return unit


def inputs(spatial=False, channels=3, seed=1, dtype=torch.float64):
    shape = (5, channels, 2, 4) if spatial else (5, channels)
    draws = seeded(seed)
    return (torch.randn(shape, generator=draws, dtype=dtype) for _ in range(2))


def written(unit, p, a):
    """The unit once more, with loops over examples, places and channels."""
    gates, matrix = unit.gates, unit.inject
    p, a = (v if v.ndim == 4 else v[:, :, None, None] for v in (p, a))
    t = unit.phi(a)
    n, c, rows, columns = p.shape
    h = torch.empty_like(p)
    for i in range(n):
        for y in range(rows):
            for x in range(columns):
                pv, av, tv = p[i, :, y, x], a[i, :, y, x], t[i, :, y, x]
                u = torch.cat([pv, tv])
                if gates.kind == "channel-pooled":
                    u = torch.cat([p[i].mean((1, 2)), t[i].mean((1, 2))])
                if gates.kind in ("dense", "channel-pooled"):
                    logits = gates.weight @ u + gates.bias
                elif gates.kind == "channel-diag":
                    logits = gates.weight[0] * pv.repeat(2) + gates.weight[1] * tv.repeat(2) + gates.bias
                else:
                    logits = gates.bias.repeat_interleave(c) if gates.kind == "scalar" else gates.bias
                z, r = torch.sigmoid(logits).split(c)
                candidate = unit.phi(av + (matrix @ (r * pv) if matrix.ndim == 2 else matrix * (r * pv)))
                h[i, :, y, x] = (1 - z) * pv + z * candidate
    return h


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("inject", ["full", "diagonal"])
def test_oracle_the_equations_written_out(kind, spatial, inject):
    unit = made(kind, torch.tanh, spatial=spatial, inject=inject)
    p, a = inputs(spatial)
    expected = written(unit, p, a)
    torch.testing.assert_close(unit(p, a), expected.reshape(p.shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("phi", PHIS)
def test_property_special_cases_bit_for_bit(kind, spatial, dtype, phi):
    unit = made(kind, PHIS[phi], spatial=spatial, dtype=dtype)
    p, a = inputs(spatial, dtype=dtype)
    unit.force(z=0.0)
    assert torch.equal(unit(p, a), p)
    unit.force(z=1.0, r=0.0)
    assert torch.equal(unit(p, a), PHIS[phi](a))
    unit.force(z=1.0, r=1.0)
    matrix = unit.inject
    lateral = nn.functional.conv2d(p, matrix[:, :, None, None]) if spatial else nn.functional.linear(p, matrix)
    assert torch.equal(unit(p, a), PHIS[phi](a + lateral))
    unit.force(z=0.25, r=0.0)
    assert torch.equal(unit(p, a), 0.75 * p + 0.25 * PHIS[phi](a))
    unit.force()
    assert (unit(p, a) - 0.75 * p - 0.25 * PHIS[phi](a)).abs().max() > 0.01


def test_property_cross_stitch_is_a_multiple_of_the_identity():
    unit = made("scalar", PHIS["identity"])
    p, a = inputs()
    unit.force(z=1.0, r=1.0)
    with torch.no_grad():
        unit.inject.copy_(0.5 * torch.eye(3))
    assert torch.equal(unit(p, a), a + 0.5 * p)


@pytest.mark.parametrize("z", [0.0, 0.3, 1.0])
def test_property_forcing_one_gate_leaves_the_other_free(z):
    unit = made()
    p, a = inputs()
    free = unit.values(p, torch.relu(a))
    unit.force(z=z)
    forced = unit.values(p, torch.relu(a))
    assert forced[0] == z
    torch.testing.assert_close(forced[1], free[1], rtol=0, atol=1e-15)
    unit.force(r=z)
    torch.testing.assert_close(unit.values(p, torch.relu(a))[0], free[0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_property_forced_gates_are_free_gates_at_those_numbers(kind, spatial):
    unit = made(kind, spatial=spatial)
    p, a = inputs(spatial)
    with torch.no_grad():
        for parameter in unit.gates.parameters():
            parameter.zero_()
    free = unit(p, a)
    unit.force(z=0.5, r=0.5)
    torch.testing.assert_close(unit(p, a), free, rtol=0, atol=1e-14)


def test_property_the_gru_form_is_the_target_where_phi_twice_is_phi():
    p, a = inputs()
    for phi, same in (("relu", True), ("identity", True), ("tanh", False)):
        unit = PTU(3, PHIS[phi], form="gru", generator=seeded())
        with torch.no_grad():
            unit.inject.normal_(generator=seeded(3))
        unit.force(z=1.0, r=0.0)
        assert torch.equal(unit(p, a), PHIS[phi](a)) is same
    one = torch.ones(1, 3).double()
    torch.testing.assert_close(unit(one, one), torch.full((1, 3), 0.642).double(), rtol=0, atol=5e-4)
    torch.testing.assert_close(torch.tanh(one), torch.full((1, 3), 0.762).double(), rtol=0, atol=5e-4)


def test_oracle_the_gru_form():
    for spatial in (False, True):
        unit = made("channel", torch.tanh, form="gru", spatial=spatial)
        p, a = inputs(spatial)
        flat = [v.movedim(1, -1) for v in (p, a)]
        z, r = torch.sigmoid(unit.gates.bias).split(3)
        inner = torch.tanh(flat[1]) @ unit.carry.T + (r * flat[0]) @ unit.inject.T + unit.carry_bias
        expected = (1 - z) * flat[0] + z * torch.tanh(inner)
        torch.testing.assert_close(unit(p, a).movedim(1, -1), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spatial", [False, True])
def test_property_the_blend_stays_between_its_two_inputs(kind, spatial):
    unit = made(kind, spatial=spatial)
    p, a = inputs(spatial)
    c = unit._candidate(p, a, torch.relu(a), unit.values(p, torch.relu(a))[1])
    h = unit(p, a)
    assert bool((torch.minimum(p, c) - 1e-6 <= h).all())
    assert bool((h <= torch.maximum(p, c) + 1e-6).all())
    assert not torch.equal(h, p)


def test_property_equal_streams_pass_whatever_the_gates():
    p, _ = inputs()
    p = p.abs()
    for kind in KINDS:
        unit = made(kind)
        with torch.no_grad():
            unit.inject.zero_()
        torch.testing.assert_close(unit(p, p), p, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["canonical", "gru"])
def test_oracle_gradients_by_differences(kind, form):
    unit = made(kind, torch.tanh, channels=2, form=form, spatial=kind != "dense")
    p, a = inputs(kind != "dense", channels=2)
    p, a = p[:2].requires_grad_(), a[:2].requires_grad_()
    names = [name for name, _ in unit.named_parameters()]

    def run(p, a, *values):
        return torch.func.functional_call(unit, dict(zip(names, values, strict=True)), (p, a))

    assert torch.autograd.gradcheck(run, (p, a, *unit.parameters()))


def test_oracle_gradients_in_closed_form():
    unit = made("dense", torch.tanh)
    p, a = inputs()
    a.requires_grad_()
    z, r = unit.values(p, torch.tanh(a))
    c = torch.tanh(a + (r * p) @ unit.inject.T)
    delta = torch.randn(p.shape, generator=seeded(9), dtype=torch.float64)
    update = unit.gates.bias
    found = torch.autograd.grad(unit(p, a), [update, unit.inject], delta)
    inner = z * delta * (1 - c**2)
    torch.testing.assert_close(found[0][:3], (delta * (c - p) * z * (1 - z)).sum(0).detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[1], inner.T @ (r * p), rtol=1e-12, atol=1e-12)
    into_reuse = (inner @ unit.inject) * p * r * (1 - r)
    torch.testing.assert_close(found[0][3:], into_reuse.sum(0).detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inject", ["full", "diagonal", "none"])
@pytest.mark.parametrize("form", ["canonical", "gru"])
def test_oracle_parameter_counts(kind, inject, form):
    for channels in (1, 7):
        unit = PTU(channels, torch.relu, gate=kind, inject=inject, form=form, generator=seeded())
        counted = sum(p.numel() for p in unit.parameters())
        assert counted == parameter_count(channels, gate=kind, inject=inject, form=form)
        row = {row.gate: row for row in parameter_table(channels, inject=inject, form=form)}[kind]
        assert row.unit == counted
        assert row.gates == sum(p.numel() for p in unit.gates.parameters())


def test_oracle_the_table_of_the_formulation():
    c = 11
    wanted = [2, 2 * c, 6 * c, 2 * (2 * c**2 + c), 2 * (2 * c**2 + c)]
    assert [row.gates for row in parameter_table(c)] == wanted
    assert [row.unit for row in parameter_table(c)] == [gates + c**2 for gates in wanted]
    assert [row.unit for row in parameter_table(c, inject="diagonal")] == [gates + c for gates in wanted]
    assert parameter_count(c) == 5 * c**2 + 2 * c


def test_property_start_and_chance():
    for kind in KINDS:
        unit = PTU(4, torch.relu, gate=kind, bias_update=-2.0, bias_reuse=1.0, generator=seeded())
        again = PTU(4, torch.relu, gate=kind, bias_update=-2.0, bias_reuse=1.0, generator=seeded())
        assert all(torch.equal(a, b) for a, b in zip(unit.parameters(), again.parameters(), strict=True))
        p, a = inputs(channels=4)
        z, r = unit.values(p, torch.relu(a))
        assert bool(((z - torch.sigmoid(torch.tensor(-2.0))).abs() < 0.1).all())
        assert bool(((r - torch.sigmoid(torch.tensor(1.0))).abs() < 0.2).all())
        assert not unit.inject.any()


def test_property_state_goes_round():
    unit, other = made(form="gru", seed=0), made(form="gru", seed=1)
    p, a = inputs()
    assert not torch.equal(unit(p, a), other(p, a))
    other.load_state_dict(unit.state_dict())
    assert torch.equal(unit(p, a), other(p, a))


def test_property_without_injection_the_reuse_gate_is_gone():
    unit = made(inject="none")
    p, a = inputs()
    assert unit.inject is None
    assert len(unit.gates.bias) == 3
    z, r = unit.values(p, torch.relu(a))
    assert r == 0
    torch.testing.assert_close(unit(p, a), (1 - z) * p + z * torch.relu(a), rtol=0, atol=1e-15)
    unit.force(z=1.0, r=1.0)
    assert torch.equal(unit(p, a), torch.relu(a))


def test_limit_a_dead_source_channel_and_an_empty_batch():
    unit = made("channel")
    p, a = inputs()
    p[:, 1] = 0.0
    z, r = unit.values(p, torch.relu(a))
    c = torch.relu(a + (r * p) @ unit.inject.T)
    torch.testing.assert_close(unit(p, a)[:, 1], (z * c)[:, 1], rtol=1e-14, atol=0)
    assert unit(p[:0], a[:0]).shape == (0, 3)


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_error_a_gate_forced_out_of_range(value):
    unit = made()
    with pytest.raises(ParameterError, match=r"z can be forced to a number from 0 to 1 .* None, got"):
        unit.force(z=value)
    with pytest.raises(ParameterError, match="r can be forced"):
        unit.force(r=value)
    assert unit.forced == (None, None)


@pytest.mark.parametrize(
    "phi", [nn.ReLU(inplace=True), torch.relu_, nn.Sequential(nn.ReLU(), nn.ReLU(inplace=True)), lambda a: a.mul_(2)]
)
@pytest.mark.parametrize("spatial", [False, True])
def test_error_a_non_linearity_in_place(phi, spatial):
    if isinstance(phi, nn.Sequential):
        PTU(3, phi, spatial=spatial, generator=seeded())  # its second ReLU changes a copy only
        return
    with pytest.raises(ParameterError, match="use a non-linearity with inplace=False"):
        PTU(3, phi, spatial=spatial, generator=seeded())


def test_property_looking_at_phi_leaves_mode_and_chance_as_they_were():
    before, phi = torch.get_rng_state(), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))
    PTU(3, phi, generator=seeded())
    assert phi.training
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PTU(3, torch.relu, gate="pooled", generator=seeded()), "gate must be one of 'scalar', 'channel'"),
        (lambda: PTU(3, torch.relu, inject="some", generator=seeded()), "inject must be one of 'full', 'diagonal'"),
        (lambda: PTU(3, torch.relu, form="lstm", generator=seeded()), "form must be one of 'canonical', 'gru'"),
        (lambda: PTU(0, torch.relu, generator=seeded()), "channels must be a whole number of at least 1"),
        (lambda: PTU(3, lambda a: a[:, :1], generator=seeded()), r"must keep the shape, but makes \(2, 1\)"),
        (lambda: PTU(3, torch.relu, generator=seeded(), dtype=torch.int64), "dtype must be floating"),
        (lambda: parameter_count(3, gate="all"), "gate must be one of"),
        (lambda: parameter_table(0), "channels must be"),
        (lambda: made()(torch.zeros(2, 3), torch.zeros(2, 4)), r"one shape, \(N, 3\).*put an adapter"),
        (lambda: made()(torch.zeros(2, 4), torch.zeros(2, 4)), r"one shape, \(N, 3\)"),
        (lambda: made()(torch.zeros(1, 3), torch.zeros(2, 3)), "one shape"),
        (lambda: made(spatial=True)(torch.zeros(2, 3), torch.zeros(2, 3)), r"\(N, 3, H, W\)"),
        (lambda: made(spatial=True)(torch.zeros(2, 3, 1, 4), torch.zeros(2, 3, 4, 4)), "one shape"),
        (lambda: made()(torch.zeros(2, 3), torch.zeros(2, 3).double()), "compute in one dtype"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
