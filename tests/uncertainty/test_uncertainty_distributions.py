"""A student that says Dirichlets: its loss against torch's density, and what its precision tells."""

import pytest
import torch
from torch.distributions import Dirichlet

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam
from weightlore.uncertainty.ensembles import (
    annealing,
    dirichlet_distillation_loss,
    distill_distribution,
    distilled_dirichlet,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("smoothing", [1e-4, 0.1])
def test_oracle_the_loss_is_torchs_density(temperature, smoothing):
    z, logits = normal(5, 3), normal(4, 5, 3, seed=1)
    said = (1 - smoothing) * (logits / temperature).softmax(-1) + smoothing / 3
    expected = -Dirichlet((z / temperature).exp()).log_prob(said).mean()
    found = dirichlet_distillation_loss(z, logits.softmax(-1), temperature=temperature, smoothing=smoothing)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


def test_property_the_best_constant_dirichlet_has_no_gradient():
    """Many samples of one Dirichlet are explained best by that Dirichlet, up to chance."""
    alpha = torch.tensor([2.0, 5.0, 1.0], dtype=torch.float64)
    gammas = torch._standard_gamma(alpha.expand(40000, 3), generator=seeded())
    teacher = (gammas / gammas.sum(-1, keepdim=True))[:, None]  # (S, 1, C)
    z = alpha.log()[None].requires_grad_()
    loss = dirichlet_distillation_loss(z, teacher, smoothing=1e-9)
    gradient = torch.autograd.grad(loss, z)[0]
    assert float(gradient.abs().max()) < 0.06  # 5 standard errors of a_c ln p_c
    away = dirichlet_distillation_loss(z.detach() + 0.3, teacher, smoothing=1e-9)
    assert away > loss.detach()


def test_property_annealing_falls_to_one_and_stays():
    heat = [annealing(10.0, share=0.5)(e, 20) for e in range(20)]
    assert heat[0] == 10
    assert heat == sorted(heat, reverse=True)
    assert heat[10:] == [1.0] * 10
    assert heat[9] > 1
    assert [annealing(1.0)(e, 4) for e in range(4)] == [1.0] * 4


def test_property_precision_is_large_where_members_agree_and_small_where_they_do_not():
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    spread = (x > 0).double()[None] * 2.0 * normal(6, 1, 3)  # they agree on the left only
    teacher = (torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64) + spread).softmax(-1)
    student = mlp((1, 16, 3), generator=seeded())
    data = Split(x, torch.zeros(40, dtype=torch.int64))
    history = distill_distribution(
        student, teacher, data, generator=seeded(), epochs=60, batch_size=20, optimizer=adam(0.03)
    )
    said = distilled_dirichlet(student, x)
    left, right = said.precision[:15].mean(), said.precision[25:].mean()
    assert left > 10 * right
    assert float((said.mean[:15] - teacher.mean(0)[:15]).abs().max()) < 0.1
    assert history.stopped == "completed"


def test_property_members_that_agree_everywhere_teach_a_larger_precision():
    x, data = normal(30, 2), Split(normal(30, 2), torch.zeros(30, dtype=torch.int64))
    apart = (x @ normal(2, 3, seed=3) + normal(5, 30, 3, seed=4)).softmax(-1)
    found = {}
    for name, teacher in {"same": apart[:1].expand(5, -1, -1), "apart": apart}.items():
        student = mlp((2, 8, 3), generator=seeded())
        distill_distribution(student, teacher, data, generator=seeded(), epochs=60, batch_size=15, optimizer=adam(0.02))
        found[name] = float(distilled_dirichlet(student, data.x).precision.median())
    assert found["same"] > 3 * found["apart"]


def test_property_the_temperature_of_each_epoch_is_the_schedules():
    seen = []

    def heat(epoch, epochs):
        seen.append((epoch, epochs))
        return 2.0

    student, data = mlp((2, 3), generator=seeded()), Split(normal(6, 2), torch.zeros(6))
    distill_distribution(student, normal(2, 6, 3).softmax(-1), data, temperature=heat, generator=seeded(), epochs=3)
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_limit_zeros_and_small_dtypes():
    certain = torch.eye(3)[None].expand(2, -1, -1)
    z = torch.tensor([[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 20.0]])
    loss = dirichlet_distillation_loss(z, certain)
    assert loss.dtype == torch.float32
    exact = dirichlet_distillation_loss(z.double(), certain.double())
    assert float(loss) == pytest.approx(float(exact), rel=1e-6)
    assert bool(loss.isfinite())


def test_error_arguments():
    net, data = mlp((2, 3), generator=seeded()), Split(normal(4, 2), torch.zeros(4))
    p = normal(2, 4, 3).softmax(-1)
    for call, message in (
        (lambda: dirichlet_distillation_loss(normal(4, 3), p, smoothing=0.0), "smoothing is a share"),
        (lambda: dirichlet_distillation_loss(normal(5, 3), p), "do not fit members' probabilities"),
        (lambda: dirichlet_distillation_loss(normal(4, 3), p, temperature=-1.0), "a temperature must be"),
        (lambda: annealing(0.5), "starts at 1 or above"),
        (lambda: annealing(2.0, share=0.0), "a share in"),
        (lambda: distill_distribution(net, p[:, :2], data, generator=seeded()), "speaks of 2 examples"),
        (lambda: distill_distribution(net, p, data, generator=seeded(), epochs=0), "epochs must be at least 1"),
        (lambda: distilled_dirichlet(net, torch.full((1, 2), torch.nan)), "NaN or infinite"),
    ):
        with pytest.raises(ParameterError, match=message):
            call()
