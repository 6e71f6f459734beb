"""Several inputs, several outputs: one member is the plain network, and what a step shows to whom."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import cross_entropy, evaluate, fit
from weightlore.uncertainty.ensembles import MIMO, mimo_cross_entropy
from weightlore.uncertainty.ensembles.mimo import _orders


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_property_one_member_is_the_plain_network():
    net, batch = mlp((64, 8, 10), generator=seeded()), digits("validation")[:20]
    joint = MIMO(net, 1)
    assert torch.equal(joint.member_logits(batch.x)[0], net(batch.x))
    torch.testing.assert_close(joint(batch.x), net(batch.x).log_softmax(-1), rtol=1e-14, atol=1e-14)
    for rho in (0.0, 0.5):
        found = mimo_cross_entropy(rho)(joint, batch, seeded())
        torch.testing.assert_close(found, cross_entropy(net, batch, seeded()), rtol=1e-14, atol=0)


@pytest.mark.parametrize("images", [True, False])
def test_oracle_inputs_and_heads_lie_side_by_side(images):
    x = digits("validation", images=images).x[:6]
    if images:
        net = cnn((3, 4), image=(2, 8, 8), hidden=5, classes=20, generator=seeded())
    else:
        net = mlp((128, 7, 20), generator=seeded())
    joint, other = MIMO(net, 2), x.flip(0)
    answers = joint.answers(torch.stack([x, other]))
    z = net(torch.cat([x, other], 1))
    assert torch.equal(answers[0], z[:, :10])
    assert torch.equal(answers[1], z[:, 10:])
    assert torch.equal(joint.member_logits(x), joint.answers(torch.stack([x, x])))


def test_oracle_the_loss_is_the_sum_over_members():
    joint, batch = (
        MIMO(mlp((8, 5, 6), generator=seeded()), 2),
        Split(torch.randn(9, 4, generator=seeded(1), dtype=torch.float64), torch.arange(9) % 3),
    )
    rows = _orders(2, 9, 0.3, seeded(5))
    z = joint.answers(batch.x[rows])
    expected = functional.cross_entropy(z[0], batch.y[rows[0]]) + functional.cross_entropy(z[1], batch.y[rows[1]])
    torch.testing.assert_close(mimo_cross_entropy(0.3)(joint, batch, seeded(5)), expected, rtol=1e-12, atol=0)
    assert torch.equal(mimo_cross_entropy()(joint, batch, seeded(5)), mimo_cross_entropy(0.0)(joint, batch, seeded(5)))


def test_property_orders():
    rows = _orders(3, 50, 0.0, seeded())
    assert torch.equal(rows[0], torch.arange(50))
    assert all(torch.equal(order.sort().values, torch.arange(50)) for order in rows)
    assert not torch.equal(rows[1], rows[2])
    assert torch.equal(_orders(3, 50, 1.0, seeded()), torch.arange(50).expand(3, 50))
    many = _orders(3, 4000, 0.4, seeded())
    share = float(((many[0] == many[1]) & (many[0] == many[2])).double().mean())
    assert abs(share - 0.4) < 5 * (0.4 * 0.6 / 4000) ** 0.5


def test_property_it_learns():
    joint = MIMO(mlp((128, 40, 20), generator=seeded()), 2)
    data = digits("train")[:400]
    fit(joint, data, step=mimo_cross_entropy(0.2), epochs=20, batch_size=40, generator=seeded())
    assert evaluate(joint, digits("validation")).accuracy > 0.8
    assert float(joint.predict(digits("validation").x).mutual_information().mean()) > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MIMO(nn.Linear(4, 4), 0), "members must be a whole number of at least 1"),
        (lambda: MIMO(nn.Linear(4, 3), 2).predict(torch.zeros(5, 2)), "2 times C logits"),
        (lambda: MIMO(nn.Linear(4, 4), 2).answers(torch.zeros(3, 5, 2)), "there are 2 members, got inputs for 3"),
        (lambda: mimo_cross_entropy(1.5), "a probability and must be in"),
        (lambda: mimo_cross_entropy()(nn.Linear(64, 10), digits()[:2], seeded()), "trains a MIMO network"),
        (
            lambda: mimo_cross_entropy()(
                MIMO(nn.Linear(2, 4), 2), Split(torch.zeros(1, 1), torch.tensor([2])), seeded()
            ),
            "class numbers from 0 to 1",
        ),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
