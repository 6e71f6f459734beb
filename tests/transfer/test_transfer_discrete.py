"""Gates that are exactly 0 or 1."""

from functools import partial

import pytest
import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, cross_entropy, fit
from weightlore.transfer import PTU, HardConcrete, PTUNet, gate_statistics, transfer_step
from weightlore.transfer.discrete import drawing_from


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(gate, logits, seed=0):
    gate.train()
    with drawing_from(gate, seeded(seed)):
        return gate(logits)


def test_oracle_use_and_training():
    logits = torch.linspace(-6, 6, 41, dtype=torch.float64)
    gate = HardConcrete(temperature=0.5, stretch=(-0.2, 1.3))
    expected = (torch.sigmoid(logits) * 1.5 - 0.2).clamp(0, 1)
    torch.testing.assert_close(gate.eval()(logits), expected, rtol=1e-14, atol=1e-15)
    u = torch.rand(41, generator=seeded(), dtype=torch.float64)
    expected = (torch.sigmoid((torch.log(u / (1 - u)) + logits) / 0.5) * 1.5 - 0.2).clamp(0, 1)
    torch.testing.assert_close(drawn(gate, logits), expected, rtol=1e-10, atol=1e-12)


def test_property_ends_are_reached_and_probabilities_are_those_of_the_law():
    logits = torch.full((20000,), 0.7, dtype=torch.float64)
    found = drawn(HardConcrete(), logits)
    end = 2 / 3 * torch.tensor(0.1 / 1.1).log()
    shut, opened = torch.sigmoid(end - 0.7).item(), torch.sigmoid(end + 0.7).item()
    assert (found == 0).double().mean().item() == pytest.approx(shut, abs=0.01)
    assert (found == 1).double().mean().item() == pytest.approx(opened, abs=0.01)
    assert bool(((found > 0) & (found < 1)).any())


def test_property_discrete_gates_are_whole_and_keep_the_gradient():
    logits = torch.linspace(-3, 3, 12, dtype=torch.float64).requires_grad_()
    for mode in (True, False):
        soft, hard = HardConcrete(), HardConcrete(discrete=True)
        one, other = (drawn(g, logits, seed=2) if mode else g.eval()(logits) for g in (soft, hard))
        assert set(other.tolist()) == {0.0, 1.0}
        assert torch.equal(other, (one > 0.5).double())
        assert torch.equal(*(torch.autograd.grad(g.sum(), logits)[0] for g in (one, other)))


def test_property_draws_come_from_the_generator_alone():
    before, logits = torch.get_rng_state(), torch.zeros(50)
    gate = HardConcrete()
    assert torch.equal(drawn(gate, logits), drawn(gate, logits))
    assert not torch.equal(drawn(gate, logits), drawn(gate, logits, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert gate.noise is None
    with pytest.raises(ZeroDivisionError), drawing_from(gate, seeded()):
        raise ZeroDivisionError
    assert gate.noise is None


def test_property_a_unit_with_discrete_gates_is_one_of_the_corners():
    unit = PTU(6, torch.relu, squash=HardConcrete(discrete=True), bias_update=0.0, generator=seeded()).eval()
    with torch.no_grad():
        unit.gates.bias.copy_(torch.tensor([9.0, -9, 9, -9, 9, -9] * 2))
        unit.inject.normal_(generator=seeded(1))
    p, a = (torch.randn(7, 6, generator=seeded(s), dtype=torch.float64) for s in (2, 3))
    shut = torch.tensor([False, True] * 3)
    c = torch.relu(a + (p * ~shut) @ unit.inject.T)
    assert torch.equal(unit(p, a)[:, shut], p[:, shut])
    torch.testing.assert_close(unit(p, a)[:, ~shut], c[:, ~shut], rtol=1e-13, atol=1e-13)


def test_property_a_network_with_discrete_gates_trains_and_resumes():
    source, target = (mlp((5, 6, 4, 3), generator=seeded(s)) for s in (1, 2))
    x = torch.randn(30, 5, generator=seeded(3), dtype=torch.float64)
    data = Split(x, source(x).argmax(1))

    def trained():
        make = partial(PTU, gate="channel", bias_update=0.0, squash=HardConcrete(discrete=True))
        net = PTUNet(source, target, x, unit=make, generator=seeded())
        fit(
            net,
            data,
            step=transfer_step(prior=0.1),
            generator=seeded(4),
            epochs=15,
            batch_size=10,
            optimizer=adam(0.03),
        )
        return net

    one, other = trained(), trained()
    assert torch.equal(one(x), other(x))
    assert cross_entropy(one, data, seeded()) < cross_entropy(target, data, seeded())
    assert {s.lowest for s in gate_statistics(one, x)} | {s.highest for s in gate_statistics(one, x)} <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HardConcrete(temperature=0.0), "temperature must be a finite number above 0"),
        (lambda: HardConcrete(temperature=float("nan")), "temperature"),
        (lambda: HardConcrete(stretch=(0.0, 1.1)), "reach beyond 0 and 1"),
        (lambda: HardConcrete(stretch=(-0.1, 1.0)), "reach beyond 0 and 1"),
        (lambda: HardConcrete()(torch.zeros(3)), r"step=transfer_step\(\)"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
