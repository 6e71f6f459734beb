"""The one interface of all calibrators: what goes in, what comes out, and that nothing of the caller's changes."""

import copy
import warnings

import pytest
import torch
from torch.nn.functional import cross_entropy

from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty.calibration import (
    BayesianBinningQuantiles,
    BetaCalibration,
    BinwiseTemperature,
    Calibrator,
    DirichletCalibration,
    EnsembleTemperatureScaling,
    GPCalibration,
    HistogramBinning,
    IsotonicCalibration,
    MatrixScaling,
    NearIsotonicEnsemble,
    PlattScaling,
    ScalingBinning,
    TemperatureScaling,
    VectorScaling,
    expected_calibration_error,
    from_probs,
)
from weightlore.uncertainty.calibration.calibrator import require_pairs
from weightlore.uncertainty.calibration.one_vs_rest import OneVsRest
from weightlore.uncertainty.warned import UncertaintyWarning

MAKERS = {
    "temperature": TemperatureScaling,
    "platt": PlattScaling,
    "vector": VectorScaling,
    "matrix": MatrixScaling,
    "dirichlet": DirichletCalibration,
    "beta": BetaCalibration,
    "histogram, width": HistogramBinning,
    "histogram, mass": lambda: HistogramBinning(binning="mass"),
    "isotonic": IsotonicCalibration,
    "bbq": BayesianBinningQuantiles,
    "near-isotonic": NearIsotonicEnsemble,
    "process": lambda: GPCalibration(inducing=4),
    "ensemble temperature": EnsembleTemperatureScaling,
    "binwise": BinwiseTemperature,
    "scaling-binning": ScalingBinning,
}
KEEP_ANSWERS = {"temperature", "ensemble temperature", "binwise"}


def overconfident(size=300, classes=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z = 1.5 * torch.randn(size, classes, generator=generator, dtype=torch.float64)
    y = torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]
    return (3 * z).to(dtype), y


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MAKERS)
def test_property_probabilities_come_out(name, dtype, classes):
    z, y = overconfident(classes=classes, dtype=dtype)
    calibrator = MAKERS[name]()
    assert isinstance(calibrator, Calibrator)
    assert calibrator.fit(z, y) is calibrator
    fresh = overconfident(50, classes, seed=1, dtype=dtype)[0]
    p = calibrator.predict_proba(fresh)
    assert p.shape == fresh.shape
    assert p.dtype == dtype
    assert p.min() >= 0
    torch.testing.assert_close(p.sum(1), torch.ones(50, dtype=dtype))
    assert torch.equal(p, calibrator(fresh))
    assert torch.equal(calibrator.predict_proba(fresh[7:8]), p[7:8]) or torch.allclose(
        calibrator.predict_proba(fresh[7:8]), p[7:8], rtol=1e-5
    )
    if name in KEEP_ANSWERS:
        assert torch.equal(p.argmax(1), fresh.argmax(1))


@pytest.mark.parametrize("name", MAKERS)
def test_property_an_over_confident_network_is_repaired_on_other_data(name):
    z, y = overconfident(1500)
    fresh, truth = overconfident(1500, seed=1)
    p = MAKERS[name]().fit(z, y).predict_proba(fresh)
    before = expected_calibration_error(fresh.softmax(1), truth).item()
    assert before > 0.15
    assert expected_calibration_error(p, truth).item() < before / 2
    assert cross_entropy(p.clamp(min=1e-9).log(), truth) < cross_entropy(fresh, truth)


@pytest.mark.parametrize("name", MAKERS)
def test_property_the_second_fit_forgets_the_first(name):
    z, y = overconfident()
    other, answers = overconfident(200, seed=5)
    once = MAKERS[name]().fit(z, y).predict_proba(z)
    twice = MAKERS[name]().fit(other / 5, answers).fit(z, y).predict_proba(z)
    assert torch.equal(once, twice)


@pytest.mark.parametrize("name", MAKERS)
def test_property_nothing_of_the_caller_changes(name):
    network = mlp((2, 4, 3), generator=torch.Generator().manual_seed(0))
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state, chance = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    z, y = network(x), torch.arange(60) // 4 % 3
    kept, answers = z.detach().clone(), y.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)
        p = MAKERS[name]().fit(z, y).predict_proba(z)
    assert not p.requires_grad
    assert torch.equal(z.detach(), kept)
    assert torch.equal(y, answers)
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), chance)


@pytest.mark.parametrize("name", MAKERS)
def test_error_not_fitted(name):
    with pytest.raises(ParameterError, match=r"has not been fitted; call fit\(logits, y\)"):
        MAKERS[name]().predict_proba(torch.zeros(2, 3))


NAN = float("nan")


@pytest.mark.parametrize(
    ("logits", "y", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), r"of shape \(N, C\)"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), "floating tensor"),
        (torch.zeros(0, 2), torch.zeros(0).long(), "N >= 1"),
        (torch.zeros(3, 1), torch.zeros(3).long(), "the two columns 0 and s"),
        (torch.full((3, 2), NAN), torch.zeros(3).long(), "NaN or infinite"),
        (torch.full((3, 2), -torch.inf), torch.zeros(3).long(), "from_probs"),
        (torch.zeros(3, 2), torch.zeros(4).long(), "3 rows and 4 classes"),
        (torch.zeros(3, 2), torch.zeros(3), "integer tensor"),
        (torch.zeros(3, 2), torch.zeros(3, 2).long(), r"of shape \(N,\)"),
        (torch.zeros(3, 2), torch.full((3,), 2), "from 0 to 1"),
        (torch.zeros(3, 2), torch.full((3,), -100), "from 0 to 1"),
        ([[0.0, 1.0]], torch.zeros(1).long(), "got list"),
    ],
)
@pytest.mark.parametrize("name", ["temperature", "matrix", "dirichlet", "isotonic", "process", "binwise"])
def test_error_pairs(name, logits, y, message):
    with pytest.raises(ParameterError, match=message):
        MAKERS[name]().fit(logits, y)


@pytest.mark.parametrize("name", sorted(set(MAKERS) - KEEP_ANSWERS - {"process"}))
def test_error_other_number_of_classes(name):
    z, y = overconfident()
    with pytest.raises(ParameterError, match="fitted on 3 classes, got logits of 4"):
        MAKERS[name]().fit(z, y).predict_proba(torch.zeros(2, 4))


def test_property_probabilities_go_in_as_logarithms():
    z, y = overconfident()
    scaling = TemperatureScaling().fit(z, y)
    from_p = TemperatureScaling().fit(from_probs(z.softmax(1)), y)
    assert from_p.temperature == pytest.approx(scaling.temperature, rel=1e-9)
    wrong = TemperatureScaling().fit(z.softmax(1), y)
    assert wrong.temperature < scaling.temperature / 2, "the mistake that from_probs is for"


def test_limit_a_probability_of_zero():
    p = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    z = from_probs(p)
    assert torch.isfinite(z).all()
    torch.testing.assert_close(z.softmax(1), p)
    assert from_probs(p, floor=1e-3)[0, 1].item() == pytest.approx(-6.9078, rel=1e-4)
    assert from_probs(p[None].repeat(3, 1, 1)).shape == (3, 2, 2)
    half = from_probs(p.half())
    assert half.dtype == torch.float16
    assert torch.isfinite(half).all()


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (torch.tensor([[0.5, 0.4]]), "off by 0.1"),
        (torch.tensor([[1.5, -0.5]]), "smallest entry of -0.5"),
        (torch.tensor([[NAN, 1.0]]), "NaN or infinite"),
        (torch.tensor([0.5, 0.5]), r"of shape \(N, C\)"),
        (torch.tensor([[1, 0]]), "floating tensor"),
    ],
)
def test_error_no_probabilities(p, message):
    with pytest.raises(ParameterError, match=message):
        from_probs(p)


@pytest.mark.parametrize("floor", [0.0, -1.0, 1.0, 1e-300, NAN])
def test_error_floor(floor):
    with pytest.raises(ParameterError, match="floor must be"):
        from_probs(torch.tensor([[0.5, 0.5]]), floor=floor)


def test_property_classes_of_any_integer_dtype():
    z, y = overconfident()
    assert require_pairs(z, y.to(torch.uint8))[1].dtype == torch.int64
    with pytest.raises(ParameterError, match="integer tensor"):
        require_pairs(z, y == 1)


def test_limit_a_single_row():
    z = torch.tensor([[1.0, 3.0, 2.0]], dtype=torch.float64)
    for name in ("temperature", "vector", "matrix", "dirichlet", "histogram, mass", "isotonic", "bbq", "near-isotonic"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UncertaintyWarning)
            p = MAKERS[name]().fit(z, torch.tensor([1])).predict_proba(z)
        assert p.sum().item() == pytest.approx(1), name
        assert p.argmax() == 1, name


def test_error_the_base_of_class_against_rest_says_no_map():
    with pytest.raises(TypeError, match="abstract"):
        OneVsRest()
