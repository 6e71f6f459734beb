"""Vector, matrix, Dirichlet and ensemble temperature scaling: gradients, nesting, the simplex, limits."""

import warnings

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    DirichletCalibration,
    EnsembleTemperatureScaling,
    MatrixScaling,
    TemperatureScaling,
    VectorScaling,
    simplex_weights,
)
from weightlore.uncertainty.calibration.affine import fit_matrix
from weightlore.uncertainty.warned import UncertaintyWarning


def skewed(size=600, classes=4, seed=0):
    """Logits that are too large, mixed among classes and shifted, and classes."""
    generator = torch.Generator().manual_seed(seed)
    true = 1.5 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    y = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    mix = torch.eye(classes, dtype=torch.float64) + 0.3 * torch.randn(
        classes, classes, generator=generator, dtype=torch.float64
    )
    return 2 * true @ mix + torch.arange(classes), y


def nll(calibrator, z, y):
    return cross_entropy(calibrator.predict_proba(z.double()).log(), y).item()


def test_oracle_the_slope_vanishes_at_the_optimum():
    z, y = skewed()
    for found, penalty in [
        (VectorScaling().fit(z, y).map, lambda w, b: 0),
        (fit_matrix(z, y, off_diagonal=0.2, intercept=0.5), lambda w, b: odir(w, b, 0.2, 0.5)),
        (fit_matrix(z, y, off_diagonal=0.0, intercept=0.0), lambda w, b: 0),
    ]:
        weight, shift = found.weight.clone().requires_grad_(), found.shift.clone().requires_grad_()
        logits = (z @ weight.T if weight.ndim == 2 else z * weight) + shift
        loss = cross_entropy(logits, y) + penalty(weight, shift)
        assert max(g.abs().max().item() for g in torch.autograd.grad(loss, (weight, shift))) < 1e-8


def odir(w, b, off_diagonal, intercept):
    """The penalty written out entry by entry."""
    classes = len(b)
    pairs = [w[i, j] ** 2 for i in range(classes) for j in range(classes) if i != j]
    return off_diagonal * sum(pairs) / len(pairs) + intercept * sum(b**2) / classes


def test_oracle_matrix_scaling_is_the_regression_of_scikit_learn():
    z, y = skewed()
    other = torch.as_tensor(LogisticRegression(C=1e12, tol=1e-10, max_iter=5000).fit(z, y).predict_proba(z))
    found = MatrixScaling(off_diagonal=0, intercept=0).fit(z, y).predict_proba(z)
    torch.testing.assert_close(found, other, rtol=0, atol=1e-4)


def test_property_larger_families_fit_no_worse():
    for seed in range(3):
        z, y = skewed(seed=seed)
        fitted = [
            MatrixScaling(off_diagonal=0, intercept=0).fit(z, y),
            VectorScaling().fit(z, y),
            TemperatureScaling().fit(z, y),
        ]
        matrix, vector, scalar = (nll(one, z, y) for one in fitted)
        assert matrix <= vector + 1e-4
        assert vector <= scalar + 1e-4
        assert scalar <= cross_entropy(z, y).item() + 1e-12
        assert matrix < vector < scalar, "the data are made so that each helps"
        assert nll(EnsembleTemperatureScaling().fit(z, y), z, y) <= scalar + 1e-12
        penalized = nll(MatrixScaling(off_diagonal=1.0, intercept=1.0).fit(z, y), z, y)
        assert matrix <= penalized <= cross_entropy(z, y).item() + 1e-9


def test_property_a_heavy_penalty_leaves_the_diagonal():
    z, y = skewed()
    found = fit_matrix(z, y, off_diagonal=1e6, intercept=1e6)
    assert (found.weight - found.weight.diagonal().diag()).abs().max() < 1e-5
    assert found.shift.abs().max() < 1e-5
    assert (found.weight.diagonal() - 1).abs().min() > 0.01


def test_property_dirichlet_is_the_matrix_on_log_probabilities():
    z, y = skewed()
    moved = z + torch.arange(len(z), dtype=z.dtype)[:, None]
    matrix = MatrixScaling().fit(z.log_softmax(1), y).predict_proba(z.log_softmax(1))
    dirichlet = DirichletCalibration().fit(z, y)
    torch.testing.assert_close(dirichlet.predict_proba(z), matrix, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(dirichlet.predict_proba(moved), dirichlet.predict_proba(z), rtol=1e-9, atol=1e-12)


def test_property_a_distortion_of_each_class_is_recovered():
    generator = torch.Generator().manual_seed(4)
    true = 2 * torch.randn(20000, 3, generator=generator, dtype=torch.float64)
    y = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    scale, shift = torch.tensor([2.0, 1.0, 0.5]).double(), torch.tensor([1.0, 0.0, -1.0]).double()
    found = VectorScaling().fit(true * scale + shift, y).map
    torch.testing.assert_close(found.weight, 1 / scale, rtol=0.05, atol=0)
    moved = -shift / scale
    torch.testing.assert_close(found.shift - found.shift.mean(), moved - moved.mean(), rtol=0, atol=0.05)


def test_property_few_rows_are_warned_of():
    z, y = skewed(159)
    for kind in (MatrixScaling, DirichletCalibration):
        with pytest.warns(UncertaintyWarning, match="159 rows for 20 numbers") as caught:
            kind().fit(z, y)
        assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MatrixScaling().fit(*skewed(160))
        VectorScaling().fit(z, y)


def test_limit_separable_classes_are_warned_of():
    y = torch.arange(6) % 2
    z = torch.where(y[:, None] == torch.arange(2), 1.0, 0.0).double() * torch.linspace(1, 2, 6).double()[:, None]
    with pytest.warns(UncertaintyWarning, match="classes can be separated") as caught:
        VectorScaling().fit(z, y)
    assert [one.filename for one in caught] == [__file__]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MatrixScaling(off_diagonal=0, intercept=0).fit(z, y)
    assert {one.filename for one in caught} == {__file__}
    assert ["rows for" in str(one.message) for one in caught] == [True, False]


@pytest.mark.parametrize("penalty", [-1.0, float("nan"), float("inf")])
def test_error_penalties(penalty):
    for kind in (MatrixScaling, DirichletCalibration):
        with pytest.raises(ParameterError, match="finite number >= 0"):
            kind(off_diagonal=penalty)
        with pytest.raises(ParameterError, match="intercept"):
            kind(intercept=penalty)


def kkt(p, w):
    """By how much the conditions of a maximum on the simplex are missed."""
    slope = (p / (p @ w)[:, None]).mean(0)
    return max((slope - 1).max().item(), ((slope - 1).abs() * (w > 0)).max().item())


def test_oracle_weights_meet_the_conditions_of_a_maximum():
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        p = torch.rand(300, 3, generator=generator, dtype=torch.float64) ** (1 + seed)
        w = simplex_weights(p)
        assert w.sum().item() == pytest.approx(1)
        assert w.min() >= 0
        assert kkt(p, w) < 1e-4


def test_oracle_weights_of_disjoint_parts_are_their_shares():
    p = torch.tensor([[1.0, 0.0, 0.0]] * 5 + [[0.0, 1.0, 0.0]] * 3 + [[0.0, 0.0, 1.0]] * 2)
    assert simplex_weights(p).tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-9)
    assert simplex_weights(torch.tensor([[0.9, 0.1], [0.8, 0.2]])).tolist() == [1, 0]


def test_property_a_share_of_noise_goes_to_the_uniform_part():
    generator = torch.Generator().manual_seed(0)
    z = 6 * torch.randn(4000, 5, generator=generator, dtype=torch.float64)
    noisy = torch.rand(4000, generator=generator) < 0.3
    drawn = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    y = torch.where(noisy, torch.randint(5, (4000,), generator=generator), drawn)
    fitted = EnsembleTemperatureScaling().fit(z, y)
    assert fitted.weights[2].item() == pytest.approx(0.3, abs=0.05)
    assert nll(fitted, z, y) < nll(fitted.scaling, z, y) - 0.1
    assert torch.equal(fitted.predict_proba(z).argmax(1), z.argmax(1))


def test_limit_ensemble_temperature_without_anything_to_learn():
    z, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    with pytest.warns(UncertaintyWarning, match="T = 1 is kept"):
        fitted = EnsembleTemperatureScaling().fit(z, y)
    torch.testing.assert_close(fitted.predict_proba(z), z.softmax(1))


@pytest.mark.parametrize("p", [torch.ones(3), torch.zeros(3, 2), -torch.ones(3, 2), torch.ones(0, 2)])
def test_error_likelihoods(p):
    with pytest.raises(ParameterError, match="for each example one of them > 0"):
        simplex_weights(p)
