"""One look at the inputs for many priors: the same predictions, and no second pass."""

import pytest
import torch

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty.laplace import Laplace, predict_under

TERMS = [
    {"structure": "full"},
    {"structure": "full", "subset": "last_layer"},
    {"structure": "full", "subset": "subnetwork", "size": 7},
    {"structure": "diag"},
    {"structure": "kron"},
    {"structure": "ekfac"},
    {"structure": "lowrank", "rank": 4},
]
PRIORS = (0.01, 0.3, 40.0, 0.3)


def table() -> Split:
    g = torch.Generator().manual_seed(1)
    return Split(torch.randn(40, 5, generator=g, dtype=torch.float64), torch.randint(0, 3, (40,), generator=g))


@pytest.mark.parametrize("terms", TERMS)
def test_oracle_each_prior_says_what_it_says_alone(terms):
    data, net = table(), mlp((5, 4, 3), generator=torch.Generator().manual_seed(0))
    found = Laplace(net, "classification", **terms).fit(data)
    passes = []
    hook = net.register_forward_hook(lambda *_: passes.append(1))
    found.predict(data.x)
    once = len(passes)
    said = predict_under(found, data.x, PRIORS)
    hook.remove()
    assert len(passes) == 2 * once > 0
    assert found.prior_precision == 1.0
    for tau, one in zip(PRIORS, said, strict=True):
        assert torch.equal(one.mean, found.with_prior(tau).predict(data.x).mean)
    assert not torch.allclose(said[0].mean, said[2].mean)


def test_oracle_a_regression_keeps_its_noise():
    data = table()
    line = torch.nn.Linear(5, 1, dtype=torch.float64)
    found = Laplace(line, "regression", noise_variance=0.25).fit(Split(data.x, data.x.sum(1, keepdim=True)))
    for tau, one in zip(PRIORS, predict_under(found, data.x, PRIORS), strict=True):
        alone = found.with_prior(tau).predict(data.x)
        assert torch.equal(one.variance, alone.variance)
        assert (one.variance > 0.25).all()


def test_error_a_prior_that_is_none_and_no_fit():
    data, net = table(), mlp((5, 4, 3), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ParameterError, match="call fit"):
        predict_under(Laplace(net, "classification"), data.x, PRIORS)
    with pytest.raises(ParameterError, match="at least 0 and finite"):
        predict_under(Laplace(net, "classification").fit(data), data.x, (1.0, -1.0))
