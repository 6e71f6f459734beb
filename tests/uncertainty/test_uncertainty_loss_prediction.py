"""Views chosen for each input: ranks against scipy's, and a ranker that has something to learn."""

import pytest
import torch
from scipy.stats import rankdata, spearmanr
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam
from weightlore.uncertainty import augmentation as aug


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def ups_and_downs(rows=120):
    """One number; the class is whether its size is above 1; the model reads positive numbers only."""
    x = 2 * normal(rows, 1)
    x = x + x.sign()
    return Split(x, (x.abs() > 2).long()[:, 0])


def model(x):
    """Knows positive numbers; is sure and wrong about negative ones."""
    return torch.cat([4 - 2 * x, 2 * x - 4 + 8 * (x < 0)], 1)


VIEWS = (aug.identity(), aug.Augmentation("negative", lambda x: -x))


def test_oracle_ranks_are_scipys():
    losses = normal(20, 5).round(decimals=0)
    expected = torch.tensor(rankdata(losses.numpy(), axis=1)) - 1
    assert torch.equal(aug.loss_ranks(losses), expected)


def test_oracle_the_loss_of_ranks_is_spearmans_correlation():
    said, losses = normal(6, 5), normal(6, 5, seed=1).round(decimals=0)
    ranked = aug.loss_ranks(said)
    expected = sum(1 - spearmanr(s.numpy(), t.numpy()).statistic for s, t in zip(ranked, losses, strict=True)) / 6
    assert float(aug.rank_loss(ranked, losses)) == pytest.approx(expected, rel=1e-10)


def test_property_the_loss_of_ranks():
    losses = normal(4, 5, seed=1)
    ranks = aug.loss_ranks(losses)
    assert float(aug.rank_loss(3 * ranks + 7, losses)) == pytest.approx(0, abs=1e-12)
    assert float(aug.rank_loss(-ranks, losses)) == pytest.approx(2)
    said = normal(4, 5).requires_grad_()
    gradient = torch.autograd.grad(aug.rank_loss(said, losses), said)[0]
    torch.testing.assert_close(gradient.sum(1), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)
    halved = torch.cat([losses, torch.ones(3, 5, dtype=torch.float64)])
    torch.testing.assert_close(
        aug.rank_loss(torch.cat([said, normal(3, 5)]), halved), aug.rank_loss(said, losses), rtol=1e-12, atol=0
    )


def test_limit_inputs_without_an_order():
    said = normal(3, 4).requires_grad_()
    loss = aug.rank_loss(said, torch.ones(3, 4, dtype=torch.float64))
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, said)[0].any()
    flat = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(aug.rank_loss(flat, normal(2, 4)), flat)[0].isfinite().all()


def test_property_the_ranker_learns_which_view_helps_which_input():
    data = ups_and_downs()
    ranker = mlp((1, 8, 2), generator=seeded())
    asked = aug.LossPredictionTTA(model, VIEWS, ranker, chosen=1)
    asked.fit(data, generator=seeded(), epochs=40, batch_size=30, optimizer=adam(0.03))
    fresh = ups_and_downs(400)
    fresh = Split(fresh.x[120:], fresh.y[120:])
    turned = asked.choices(fresh.x)[:, 0] == 1
    assert float((turned == (fresh.x[:, 0] < 0)).double().mean()) > 0.97
    alone = float((model(fresh.x).argmax(1) == fresh.y).double().mean())
    found = asked.predict(fresh.x)
    assert found.members == 1
    assert float((found.labels == fresh.y).double().mean()) > alone + 0.2
    assert not ranker.training


def test_property_all_views_chosen_is_plain_averaging_in_another_order():
    x, ranker = normal(9, 1), mlp((1, 4, 2), generator=seeded())
    found = aug.LossPredictionTTA(model, VIEWS, ranker, chosen=2).predict(x)
    plain = aug.TestTimeAugmentation(model, VIEWS).predict(x)
    torch.testing.assert_close(found.mean, plain.mean, rtol=1e-12, atol=1e-15)
    first = aug.LossPredictionTTA(model, VIEWS, ranker, chosen=1)
    rows = torch.arange(9)
    torch.testing.assert_close(
        first.predict(x).probs[0], plain.probs[first.choices(x)[:, 0], rows], rtol=1e-12, atol=1e-15
    )
    torch.testing.assert_close(found.probs[0], first.predict(x).probs[0], rtol=1e-12, atol=1e-15)


def test_property_only_chosen_views_are_asked():
    asked = []

    def counting(x):
        asked.append(len(x))
        return model(x)

    aug.LossPredictionTTA(counting, VIEWS, mlp((1, 4, 2), generator=seeded()), chosen=1).predict(normal(9, 1))
    assert sum(asked) == 9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aug.LossPredictionTTA(model, VIEWS, nn.Linear(1, 2), chosen=3), "2 views with the identity"),
        (lambda: aug.LossPredictionTTA(model, VIEWS, nn.Linear(1, 2), chosen=0), "chosen must be a whole number"),
        (
            lambda: aug.LossPredictionTTA(model, VIEWS, mlp((1, 3), generator=seeded())).predict(normal(4, 1)),
            "must say 2 numbers for each of 4 inputs, got .4, 3.",
        ),
        (
            lambda: aug.LossPredictionTTA(model, VIEWS, mlp((1, 3), generator=seeded())).fit(
                ups_and_downs(), generator=seeded()
            ),
            "one number for each view",
        ),
        (
            lambda: aug.LossPredictionTTA(model, VIEWS, mlp((1, 2), generator=seeded())).predict(normal(0, 1)),
            "at least one example",
        ),
        (lambda: aug.loss_ranks(torch.tensor([[torch.nan, 1.0]])), "a loss must be finite"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
