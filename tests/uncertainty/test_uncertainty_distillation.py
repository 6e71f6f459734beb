"""One student of many teachers: losses against torch's, and what is learned on tiny data."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, fit
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty.ensembles import (
    SubEnsemble,
    distill_mean,
    distill_multihead,
    head_distillation_loss,
    mean_distillation_loss,
    tempered,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def task(rows=40, members=3, classes=3):
    """Points, their labels, and members that say something smooth of them."""
    x = normal(rows, 2)
    z = torch.stack([x @ normal(2, classes, seed=5) + 0.7 * x @ normal(2, classes, seed=s) for s in range(members)])
    return Split(x, z.mean(0).argmax(-1)), z.softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 2.5, 0.5])
def test_oracle_tempered_probabilities_are_a_softmax_of_scaled_logits(temperature):
    z = normal(7, 4)
    torch.testing.assert_close(tempered(z.softmax(-1), temperature), (z / temperature).softmax(-1), rtol=1e-12, atol=0)
    assert tempered(torch.tensor([1.0, 0.0]), temperature).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("temperature", "share"), [(1.0, 0.0), (3.0, 0.0), (2.0, 0.4), (2.0, 1.0)])
def test_oracle_the_loss_of_the_mean_is_torchs_divergence_and_cross_entropy(temperature, share):
    z, teacher, y = normal(6, 4), normal(6, 4, seed=1).softmax(-1), torch.arange(6) % 4
    soft = (teacher.log() / temperature).softmax(-1)
    divergence = functional.kl_div((z / temperature).log_softmax(-1), soft, reduction="batchmean")
    expected = (1 - share) * temperature**2 * divergence + share * functional.cross_entropy(z, y)
    found = mean_distillation_loss(z, teacher, y, temperature=temperature, label_share=share)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_oracle_heads_are_the_mean_of_their_losses():
    z, teacher = normal(3, 5, 4), normal(3, 5, 4, seed=1).softmax(-1)
    each = [mean_distillation_loss(z[s], teacher[s], temperature=2.0) for s in range(3)]
    torch.testing.assert_close(
        head_distillation_loss(z, teacher, temperature=2.0), torch.stack(each).mean(), rtol=1e-12, atol=0
    )


def test_property_the_loss_is_zero_for_the_teacher_itself_and_its_gradient_too():
    z = normal(6, 4).requires_grad_()
    loss = mean_distillation_loss(z, z.detach().softmax(-1), temperature=3.0)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-14)
    assert float(torch.autograd.grad(loss, z)[0].abs().max()) < 1e-14
    assert float(mean_distillation_loss(z.detach(), normal(6, 4, seed=2).softmax(-1))) > 0


def test_property_t_squared_keeps_the_size_of_the_gradient():
    z, teacher = 0.1 * normal(6, 4), (0.1 * normal(6, 4, seed=1)).softmax(-1)

    def size(temperature):
        leaf = z.clone().requires_grad_()
        return float(
            torch.autograd.grad(mean_distillation_loss(leaf, teacher, temperature=temperature), leaf)[0].norm()
        )

    assert size(20.0) == pytest.approx(size(10.0), rel=0.02)


def test_limit_certain_teachers_give_finite_losses():
    teacher = torch.eye(3, dtype=torch.float64)
    z = normal(3, 3)
    torch.testing.assert_close(
        mean_distillation_loss(z, teacher, temperature=1.0),
        functional.cross_entropy(z, torch.arange(3)),
        rtol=1e-12,
        atol=0,
    )
    assert math.isfinite(float(mean_distillation_loss(z, teacher, temperature=4.0)))


def test_property_the_student_comes_close_to_the_mean_and_uses_no_labels():
    data, teacher = task()
    nowhere = Split(data.x, torch.full((40,), -7.0))
    student = mlp((2, 12, 3), generator=seeded())
    before = float(mean_distillation_loss(student(data.x), teacher.mean(0), temperature=1.0).detach())
    history = distill_mean(
        student,
        CategoricalPrediction(teacher),
        nowhere,
        generator=seeded(),
        epochs=40,
        batch_size=10,
        optimizer=adam(0.02),
    )
    after = float(mean_distillation_loss(student(data.x), teacher.mean(0), temperature=1.0).detach())
    assert after < before / 20
    assert history.train_loss[-1] < history.train_loss[0]
    assert not student.training


def test_property_labels_alone_are_plain_training():
    data, teacher = task()
    options = {"generator": seeded(), "epochs": 3, "batch_size": 8, "optimizer": adam(0.01)}
    one, other = mlp((2, 4, 3), generator=seeded()), mlp((2, 4, 3), generator=seeded())
    distill_mean(one, teacher, data, label_share=1.0, **options)
    fit(other, data, **(options | {"generator": seeded()}))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_property_heads_keep_the_disagreement_that_a_mean_forgets():
    data, teacher = task()
    heads = [mlp((12, 8, 3), generator=seeded(s)) for s in range(3)]
    student = SubEnsemble(mlp((2, 12), generator=seeded(9)), heads)
    validation = Split(data.x, data.y)
    history = distill_multihead(
        student,
        teacher,
        data,
        generator=seeded(),
        epochs=60,
        batch_size=10,
        optimizer=adam(0.02),
        validation=validation,
    )
    said, meant = student.predict(data.x), CategoricalPrediction(teacher)
    assert history.validation_accuracy[-1] > 0.9
    assert float((said.mutual_information() - meant.mutual_information()).abs().mean()) < 0.02
    assert float(torch.corrcoef(torch.stack([said.mutual_information(), meant.mutual_information()]))[0, 1]) > 0.8


def test_error_arguments():
    data, teacher = task()
    net = mlp((2, 3), generator=seeded())
    for call, message in (
        (lambda: tempered(teacher, 0.0), "a temperature must be a finite number > 0, got 0.0"),
        (lambda: mean_distillation_loss(normal(2, 3), normal(3, 3).softmax(-1)), "must have one shape"),
        (lambda: mean_distillation_loss(normal(2, 3), normal(2, 3).softmax(-1), label_share=0.5), "give y, or"),
        (lambda: mean_distillation_loss(normal(2, 3), normal(2, 3).softmax(-1), label_share=2), "in \\[0, 1\\], got 2"),
        (
            lambda: mean_distillation_loss(
                normal(2, 3), normal(2, 3).softmax(-1), torch.tensor([0, 5]), label_share=0.5
            ),
            "class numbers from 0 to 2",
        ),
        (lambda: distill_mean(net, teacher[:, :5], data, generator=seeded()), "speaks of 5 examples, but data hold 40"),
        (lambda: distill_mean(net, normal(2, 40, 3), data, generator=seeded()), "logits, use"),
        (lambda: distill_multihead(net, teacher, data, generator=seeded()), "a JointEnsemble"),
        (
            lambda: distill_multihead(SubEnsemble(net, [nn.Identity()] * 2), teacher, data, generator=seeded()),
            "a head for each member",
        ),
    ):
        with pytest.raises(ParameterError, match=message):
            call()
