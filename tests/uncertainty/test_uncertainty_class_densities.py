"""Gaussians of each class on the features, against scipy."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.uncertainty.deterministic import DeepDeterministicUncertainty


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def blobs():
    y = torch.tensor([0] * 20 + [1] * 30 + [2] * 10)
    return Split(normal(60, 3) + 2 * y[:, None], y)


def features(model, x):
    return model.activations(x)[-1].detach()


def wide():
    """A network whose features all vary within every class."""
    model = mlp((3, 3, 3), generator=seeded())
    with torch.no_grad():
        model.layers[0].bias.fill_(20.0)
    return model


def test_oracle_densities_of_scipy():
    model, data, x = wide(), blobs(), normal(6, 3, seed=4)
    found = DeepDeterministicUncertainty(jitter=0.01).fit(model, data)
    h, new = features(model, data.x), features(model, x)
    covariances = [np.cov(h[data.y == c].numpy().T) for c in range(3)]
    size = np.mean([np.diag(s) for s in covariances])
    expected = np.stack(
        [
            multivariate_normal(h[data.y == c].mean(0).numpy(), covariances[c] + 0.01 * size * np.eye(3)).logpdf(new)
            + np.log(float((data.y == c).double().mean()))
            for c in range(3)
        ],
        1,
    )
    np.testing.assert_allclose(found.log_densities(x).numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(found.log_density(x).numpy(), np.log(np.exp(expected).sum(1)), rtol=1e-9)
    assert torch.equal(found.score(x), -found.log_density(x))


def test_property_a_shift_of_inputs_is_less_familiar_and_the_network_stays():
    model, data = healthy("mlp"), digits("test")
    before = copy.deepcopy(model.state_dict())
    found = DeepDeterministicUncertainty().fit(model, digits("train"))
    assert float(found.score(data.x.flip(1)).median()) > float(found.score(data.x).quantile(0.9))
    assert torch.equal(found.predict_proba(data.x).labels, model(data.x).argmax(1))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_limit_a_feature_that_never_varies_is_carried_by_the_jitter():
    model = wide()
    with torch.no_grad():
        model.layers[0].weight[1] = 0.0
    assert bool(DeepDeterministicUncertainty().fit(model, blobs()).score(normal(5, 3)).isfinite().all())


def test_error_order_classes_and_features():
    with pytest.raises(ParameterError, match="call fit"):
        DeepDeterministicUncertainty().score(normal(2, 3))
    with pytest.raises(ParameterError, match="jitter keeps covariances invertible"):
        DeepDeterministicUncertainty(jitter=0.0)
    model, data = wide(), blobs()
    with pytest.raises(ParameterError, match="two examples at least"):
        DeepDeterministicUncertainty().fit(model, data[:51])
    with pytest.raises(ParameterError, match="from 0 to 2"):
        DeepDeterministicUncertainty().fit(model, Split(data.x, data.y + 1))
    with pytest.raises(ParameterError, match="no feature varies"):
        DeepDeterministicUncertainty().fit(model, Split(torch.ones(6, 3).double(), torch.arange(6) % 3))
    with pytest.raises(ParameterError, match="must be finite"):
        DeepDeterministicUncertainty().fit(model, Split(data.x / 0, data.y))
