from math import inf, nan

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.training import adam, cosine, sgd


def steps(make, gradients):
    theta = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    tuner = make([theta])
    for gradient in gradients:
        theta.grad = gradient.clone()
        tuner.step()
    return theta.detach()


GRADIENTS = torch.tensor([[0.5, -1.0], [2.0, 0.25], [-1.0, 1.0]], dtype=torch.float64)


def test_oracle_sgd_is_its_formula():
    theta, v = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for g in GRADIENTS:
        v = 0.9 * v + g + 0.01 * theta
        theta = theta - 0.1 * v
    torch.testing.assert_close(steps(sgd(0.1, momentum=0.9, weight_decay=0.01), GRADIENTS), theta)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_oracle_adam_is_its_formula(decay):
    theta, m, v = torch.tensor([1.0, -2.0], dtype=torch.float64), 0.0, 0.0
    for t, g in enumerate(GRADIENTS, start=1):
        theta = theta * (1 - 0.05 * decay)
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        theta = theta - 0.05 * (m / (1 - 0.8**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
    torch.testing.assert_close(steps(adam(0.05, betas=(0.8, 0.95), weight_decay=decay), GRADIENTS), theta)


def test_property_cosine_falls_from_one_to_nearly_zero():
    factors = [cosine(epoch, 60) for epoch in range(60)]
    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)
    assert factors[30] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.001


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sgd(0.0), r"lr must be in \(0.0, inf\), got 0.0"),
        (lambda: sgd(inf), "lr must be"),
        (lambda: sgd(nan), "lr must be"),
        (lambda: sgd(0.1, momentum=1.0), r"momentum must be in \[0.0, 1.0\), got 1.0"),
        (lambda: sgd(0.1, weight_decay=-1.0), "weight_decay must be"),
        (lambda: adam(-1.0), "lr must be"),
        (lambda: adam(betas=(0.9, 1.0)), r"betas\[1\] must be"),
        (lambda: adam(weight_decay=-1.0), "weight_decay must be"),
    ],
)
def test_error_out_of_range(make, said):
    with pytest.raises(ParameterError, match=said):
        make()
