"""Training: what varies does, what does not is the same to the bit."""

from functools import partial

import pytest
import torch

from weightlore.data import two_moons
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty.sources import churn, training_variability

TRAIN = two_moons(40, noise=0.2, generator=torch.Generator().manual_seed(0))
TEST = two_moons(60, noise=0.2, generator=torch.Generator().manual_seed(1))
make = lambda generator: mlp((2, 5, 2), generator=generator)  # noqa: E731
vary = partial(training_variability, make, TRAIN, TEST, runs=3, epochs=2, batch_size=10)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_property_the_first_run_is_the_same_whatever_varies():
    same = [vary(varied=v, generator=seeded()).prediction.probs[0] for v in ("initialization", "order")]
    assert torch.equal(*same)
    slower, all_three = (vary(varied=v, generator=seeded()).prediction.probs[0] for v in ("learning_rate", "all"))
    assert torch.equal(slower, all_three)
    assert not torch.equal(slower, same[0])


@pytest.mark.parametrize("varied", ["initialization", "order", "learning_rate", "all"])
def test_property_runs_differ_and_repeat(varied):
    one, other = (vary(varied=varied, generator=seeded()) for _ in range(2))
    assert torch.equal(one.prediction.probs, other.prediction.probs)
    assert one.prediction.probs.shape == (3, 60, 2)
    probs = one.prediction.probs
    assert not torch.equal(probs[0], probs[1])
    assert not torch.equal(probs[1], probs[2])
    assert one.varied == varied
    assert one.churn == churn(probs)
    right = (probs.argmax(-1) == TEST.y).double().mean(1)
    torch.testing.assert_close(one.accuracy, right)


def test_property_rates_are_even_in_their_logarithm():
    found = vary(varied="learning_rate", rate=0.1, rate_factor=4.0, generator=seeded()).rates
    torch.testing.assert_close(found, torch.tensor([0.025, 0.1, 0.4], dtype=torch.float64))
    assert vary(varied="order", rate=0.1, generator=seeded()).rates.tolist() == [0.1] * 3


def test_property_without_change_of_the_rate_nothing_varies():
    found = vary(varied="learning_rate", rate_factor=1.0, generator=seeded())
    assert found.churn == 0
    assert torch.equal(found.prediction.probs[0], found.prediction.probs[2])


def test_oracle_churn_by_all_pairs():
    p = torch.randn(5, 30, 4, generator=seeded(), dtype=torch.float64).softmax(-1)
    labels = p.argmax(-1)
    pairs = [(labels[a] != labels[b]).double().mean() for a in range(5) for b in range(5) if a != b]
    assert churn(p) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-12)
    assert churn(CategoricalPrediction(p)) == churn(p)


def test_limit_of_churn():
    agreed = torch.tensor([[[0.9, 0.1]], [[0.6, 0.4]]])
    assert churn(agreed) == 0
    assert churn(torch.eye(3)[:, None]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: vary(varied="seed", generator=seeded()),
            "varied is one of 'initialization', 'order', 'learning_rate'",
        ),
        (lambda: training_variability(make, TRAIN, TEST, varied="all", runs=1, generator=seeded()), "runs >= 2"),
        (lambda: vary(varied="all", rate=0.0, generator=seeded()), "rate > 0"),
        (lambda: vary(varied="all", rate_factor=0.5, generator=seeded()), "rate_factor >= 1"),
        (lambda: churn(torch.ones(1, 4, 1)), "between two members or more, got 1; train again"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
