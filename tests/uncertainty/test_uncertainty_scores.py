"""The logarithmic score, of probabilities and of logits."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from weightlore.errors import ParameterError
from weightlore.uncertainty import CategoricalPrediction, measures
from weightlore.uncertainty.regression import nll_gaussian, nll_mixture

nll_categorical = partial(measures.nll_categorical, reduction="none")
nll_from_logits = partial(measures.nll_from_logits, reduction="none")


def drawn(members=3, examples=50, classes=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(members, examples, classes, generator=generator, dtype=dtype)
    return z, torch.randint(0, classes, (examples,), generator=generator)


def assert_alike(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_oracle_scikit_learn_and_torch():
    z, y = drawn()
    p = z.softmax(-1)
    assert float(measures.nll_categorical(p, y)) == pytest.approx(log_loss(y, p.mean(0), labels=range(4)), rel=1e-12)
    by_torch = torch.nn.functional.cross_entropy(z[0], y, reduction="none")
    assert_alike(nll_categorical(p[0], y), by_torch)
    assert_alike(nll_from_logits(z[0], y), by_torch)


def test_oracle_probabilities_and_logits_agree():
    z, y = drawn()
    found = nll_from_logits(z, y)
    assert found.shape == (50,)
    assert_alike(found, nll_categorical(z.softmax(-1), y))
    assert_alike(found.mean(), measures.nll_from_logits(z, y))
    assert_alike(found, nll_categorical(CategoricalPrediction.from_logits(z), y))
    for base in (2, 0.5):
        assert_alike(nll_from_logits(z, y, base=base), found / math.log(base))
        assert_alike(nll_categorical(z.softmax(-1), y, base=base), found / math.log(base))


def test_oracle_a_density_is_what_fine_classes_tend_to():
    generator = torch.Generator().manual_seed(0)
    means, stds = (torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    stds, width = stds.abs() + 0.5, 2e-3
    edges = torch.arange(-12, 12 + width, width, dtype=torch.float64)
    below = torch.special.ndtr((edges - means[..., None]) / stds[..., None])
    p = below.diff(dim=-1)  # (S, N, bins)
    y = torch.randint(5000, 7000, (4,), generator=generator)
    middle = edges[y] + width / 2
    p = p / p.sum(-1, keepdim=True)
    for s in range(3):
        found = float(measures.nll_categorical(p[s], y)) + math.log(width)
        assert found == pytest.approx(float(nll_gaussian((means[s], stds[s]), middle).mean()), abs=1e-5)
    found = float(measures.nll_categorical(p, y)) + math.log(width)
    assert found == pytest.approx(float(nll_mixture((means, stds), middle).mean()), abs=1e-5)


def test_oracle_gradient_of_logits():
    z, y = drawn(examples=5)
    assert torch.autograd.gradcheck(lambda z: nll_from_logits(z, y), z.requires_grad_())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 5))
def test_property_the_mean_prediction_pays_at_most_what_its_members_pay(seed, members):
    z, y = drawn(members, seed=seed)
    of_members = torch.stack([nll_from_logits(member, y) for member in z]).mean(0)
    assert (nll_from_logits(z, y) <= of_members + 1e-12).all()
    shifted = z + torch.randn(members, 50, 1, generator=torch.Generator().manual_seed(seed), dtype=z.dtype)
    assert_alike(nll_from_logits(shifted, y), nll_from_logits(z, y))


def test_property_nobody_pays_less_than_by_saying_what_he_believes():
    truth = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    everything = torch.arange(3)

    def paid(q):
        return float((truth * nll_categorical(q.expand(3, -1), everything)).sum())

    others = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert all(paid(q / q.sum()) > paid(truth) for q in others)


def test_limit_an_impossible_class():
    p, y = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([1, 0])
    assert nll_categorical(p, y).tolist() == pytest.approx([math.inf, math.log(2)])
    assert nll_categorical(p, y, eps=None)[0].item() == pytest.approx(87.3365, abs=1e-3)
    assert nll_categorical(p.double(), y, eps=None)[0].item() == pytest.approx(708.396, abs=1e-3)
    assert nll_categorical(p, y, eps=1e-3).tolist() == pytest.approx([3 * math.log(10), math.log(2)])
    assert nll_categorical(p, torch.tensor([0, 0])).tolist() == pytest.approx([0.0, math.log(2)])
    assert not nll_categorical(p, torch.tensor([0, 0])).signbit().any()


def test_limit_logits_never_underflow():
    z = torch.tensor([[0.0, 5000.0], [5000.0, 0.0]])
    assert nll_categorical(z.softmax(-1), torch.tensor([0, 0])).tolist() == [math.inf, 0.0]
    assert nll_from_logits(z, torch.tensor([0, 0])).tolist() == [5000.0, 0.0]
    assert nll_from_logits(z[:, None], torch.tensor([0])).item() == pytest.approx(math.log(2)), (
        "one of two members knew"
    )


def test_error_of_classes_probabilities_and_options():
    z, y = drawn()
    p = z.softmax(-1)
    for function, first in ((nll_categorical, p), (nll_from_logits, z)):
        for bad in (y[:-1], y.int(), y[:, None], np.zeros(50)):
            with pytest.raises(ParameterError, match="int64"):
                function(first, bad)
        with pytest.raises(ParameterError, match="0 to 3"):
            function(first, y + 1)
        with pytest.raises(ParameterError, match="'mean', 'none'"):
            function(first, y, reduction="sum")
        with pytest.raises(ParameterError, match="nats"):
            function(first, y, base=1.0)
    with pytest.raises(ParameterError, match="from_logits"):
        nll_categorical(z, y)
    for eps in (-1.0, 1.0, math.nan):
        with pytest.raises(ParameterError, match="floor"):
            nll_categorical(p, y, eps=eps)
    with pytest.raises(ParameterError, match="finite"):
        nll_from_logits(torch.full((1, 2), math.inf), torch.tensor([0]))
    with pytest.raises(ParameterError, match="logits"):
        nll_from_logits(torch.zeros(3), torch.tensor([0]))
