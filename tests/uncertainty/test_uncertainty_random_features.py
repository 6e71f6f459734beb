"""Random cosines against the kernel, their covariance against exact regression, and a whole distance-aware network."""

import copy
import math

import pytest
import torch

from weightlore.data import Split, two_moons
from weightlore.errors import ParameterError
from weightlore.networks import cnn
from weightlore.training import adam
from weightlore.uncertainty.deterministic import (
    SNGP,
    RandomFeatureGP,
    ResidualTrunk,
    fit_sngp,
    operator_norm,
    sngp,
    sngp_loss,
    spectral_norm_conv2d,
    spectral_norm_linear,
    trunk_of,
    with_bounds,
)
from weightlore.uncertainty.sources import BayesianLinearRegression


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def gp(outputs=2, seed=0, **options):
    options = {"length_scale": 1.5, "count": 40} | options
    return RandomFeatureGP(3, outputs, **options, generator=seeded(seed))


@pytest.mark.parametrize("count", [100, 10000])
def test_property_cosines_approach_the_kernel_as_one_over_the_root(count):
    head, h = gp(count=count), normal(20, 3)
    exact = (-torch.cdist(h, h).square() / (2 * 1.5**2)).exp()
    error = (head.cosines(h) @ head.cosines(h).T - exact).square().mean().sqrt()
    # a product 2 cos cos has a variance of at most 3 / 2 around the kernel
    assert float(error) < (1.5 / count) ** 0.5
    assert float(error) > 0.2 * count**-0.5


def test_oracle_gaussian_variance_is_that_of_bayesian_regression_on_the_cosines():
    head = gp(1, likelihood="gaussian", noise_variance=0.3, prior_precision=2.0)
    x, new = normal(30, 3), normal(7, 3, seed=1)
    model = SNGP(torch.nn.Identity(), head).fit_precision(Split(x, normal(30, 1)))
    exact = BayesianLinearRegression(2.0, 0.3).fit(head.cosines(x), normal(30, 1)).predict(head.cosines(new))
    found = model.predict(new)
    torch.testing.assert_close(found.epistemic_var, exact.epistemic_var, rtol=1e-9, atol=1e-12)
    assert float(found.aleatoric_var.unique()) == pytest.approx(0.3)


@pytest.mark.parametrize("likelihood", ["each", "shared"])
def test_oracle_precision_written_out(likelihood):
    head, h = gp(3, count=6, likelihood=likelihood, prior_precision=0.7), normal(9, 3)
    head.accumulate(h[:4])
    head.accumulate(h[4:])
    p = (head.cosines(h) @ head.beta).softmax(-1).detach()
    for c in range(3 if likelihood == "each" else 1):
        expected = 0.7 * torch.eye(6).double()
        for i in range(9):
            each = [float(p[i, k] * (1 - p[i, k])) for k in range(3)]
            phi = head.cosines(h)[i]
            expected = expected + (each[c] if likelihood == "each" else max(each)) * torch.outer(phi, phi)
        torch.testing.assert_close(head.precision[c], expected)
    head.finish()
    inverse = torch.linalg.inv(head.precision)
    expected = torch.einsum("nr,crs,ns->nc", head.cosines(h), inverse, head.cosines(h))
    torch.testing.assert_close(head.variance(h), expected)


def test_property_each_class_agrees_with_autograds_hessian_of_its_logit():
    """The block of class c is the second derivative of the loss in the weights of that class."""
    head, h, y = gp(3, count=4, likelihood="each"), normal(8, 3), torch.arange(8) % 3
    head.accumulate(h)

    def loss(column, c):
        beta = torch.cat([head.beta[:, :c].detach(), column[:, None], head.beta[:, c + 1 :].detach()], 1)
        return torch.nn.functional.cross_entropy(head.cosines(h) @ beta, y, reduction="sum") + column.square().sum() / 2

    for c in range(3):
        hessian = torch.autograd.functional.hessian(lambda b, c=c: loss(b, c), head.beta[:, c].detach())
        torch.testing.assert_close(head.precision[c], hessian)


def test_property_variance_near_the_data_is_small_and_far_away_that_of_the_prior():
    head, x = gp(2, count=2000, length_scale=1.0, prior_precision=0.5), 0.3 * normal(200, 3)
    model = SNGP(torch.nn.Identity(), head).fit_precision(Split(x, torch.zeros(200, dtype=torch.int64)))
    far = model.score(100 * torch.nn.functional.normalize(normal(50, 3, seed=3), dim=1))
    assert float(model.score(x).max()) < 0.25 * float(far.min())
    assert float(far.mean()) == pytest.approx(1 / 0.5, rel=0.1)


def test_property_variance_falls_with_every_example():
    head, x, new = gp(2), normal(20, 3), normal(10, 3, seed=2)
    few, many = (copy.deepcopy(head) for _ in range(2))
    few.accumulate(x[:10])
    many.accumulate(x)
    few.finish()
    many.finish()
    assert bool((many.variance(new) <= few.variance(new) + 1e-12).all())


def test_property_a_new_fit_forgets_the_one_before_and_batches_do_not_matter():
    data = Split(normal(11, 3), torch.zeros(11, dtype=torch.int64))
    model = SNGP(torch.nn.Identity(), gp()).fit_precision(data)
    once = model.score(data.x)
    assert torch.equal(model.fit_precision(data).score(data.x), once)
    torch.testing.assert_close(model.fit_precision(data, batch_size=3).score(data.x), once)


def test_property_precision_scores_and_probabilities_are_those_of_evaluation_mode():
    data = Split(normal(11, 3), torch.zeros(11, dtype=torch.int64))
    model, plain = (SNGP(trunk, gp()) for trunk in (torch.nn.Dropout(0.5), torch.nn.Identity()))
    for one in (model, plain):
        one.train().fit_precision(data)
    assert torch.equal(model.head.precision, plain.head.precision)
    assert torch.equal(model.score(data.x), plain.score(data.x))
    assert torch.equal(model.score(data.x, kind="evidence"), plain.score(data.x, kind="evidence"))
    assert torch.equal(model.predict_proba(data.x).probs, plain.predict_proba(data.x).probs)
    assert all(module.training for module in model.modules())


def test_property_training_makes_the_covariance_stale():
    data = Split(normal(6, 3), torch.zeros(6, dtype=torch.int64))
    model = SNGP(torch.nn.Identity(), gp()).fit_precision(data)
    model.train()(data.x)
    with pytest.raises(ParameterError, match="since the parameters last moved"):
        model.score(data.x)
    assert model.score(data.x, kind="evidence").shape == (6,), "which needs no covariance"


def test_property_a_covariance_of_more_examples_wants_another_factor():
    head, h = gp(), normal(9, 3)
    head.accumulate(h[:5])
    with pytest.raises(ParameterError, match="5 examples has no factor yet; call finish"):
        head.variance(h)
    head.finish()
    head.accumulate(h[5:])
    with pytest.raises(ParameterError, match="9 examples has no factor yet"):
        head.variance(h)
    head.finish()
    whole = gp()
    whole.accumulate(h)
    whole.finish()
    torch.testing.assert_close(head.variance(h), whole.variance(h))
    again = gp(seed=1)
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.variance(h), head.variance(h)), "the factor is kept with the parameters"


def test_property_covariances_are_float64_in_a_network_of_float32():
    data = Split(normal(30, 3).float(), torch.zeros(30, dtype=torch.int64))
    model = SNGP(torch.nn.Identity(), gp(prior_precision=1e-5)).float().fit_precision(data)
    assert model.head.precision.dtype == model.head.factor.dtype == torch.float64
    cosines = model.head.cosines(data.x).double()
    exact = torch.einsum("nr,rs,ns->n", cosines, torch.linalg.inv(model.head.precision[0]), cosines)
    torch.testing.assert_close(model.score(data.x), exact.float(), rtol=1e-5, atol=0.0)


def test_oracle_mean_field_probabilities_and_evidence():
    data = Split(normal(6, 3), torch.zeros(6, dtype=torch.int64))
    model = SNGP(torch.nn.Identity(), gp(4)).fit_precision(data).eval()
    g, v = model(data.x).detach(), model.score(data.x)
    probs = model.predict_proba(data.x).probs
    for i in range(6):
        row = (g[i] / math.sqrt(1 + math.pi / 8 * float(v[i]))).exp()
        torch.testing.assert_close(probs[0, i], row / row.sum())
    torch.testing.assert_close(model.score(data.x, kind="evidence"), 4 / (4 + g.exp().sum(1)))


def test_oracle_loss_is_the_negative_log_joint():
    model, data = SNGP(torch.nn.Identity(), gp(2, prior_precision=3.0)), Split(normal(5, 3), torch.arange(5) % 2)
    beta = model.head.beta
    log_probs, length = model(data.x).detach().log_softmax(1), float(beta.detach().square().sum())
    whole = -sum(float(log_probs[i, data.y[i]]) for i in range(5)) + 1.5 * length
    assert float(sngp_loss(model, data, num_data=5)) == pytest.approx(whole / 5)
    numbers = SNGP(torch.nn.Identity(), gp(1, likelihood="gaussian", noise_variance=0.3))
    y, tau = normal(5), 1.0
    expected = float((y - numbers(data.x)[:, 0]).square().mean()) / (2 * 0.3)
    expected += tau * float((numbers.head.beta**2).sum()) / (2 * 5)
    assert float(sngp_loss(numbers, Split(data.x, y), num_data=5)) == pytest.approx(expected)


def test_property_a_whole_network_learns_and_knows_distance():
    data = two_moons(200, noise=0.1, generator=seeded())
    trunk = with_bounds(
        ResidualTrunk(2, width=16, layers=2, generator=seeded()), data.x[:1], bound=0.9, generator=seeded()
    )
    head = RandomFeatureGP(16, 2, length_scale=0.5, count=200, generator=seeded(), likelihood="each")
    model = SNGP(trunk, head)
    fit_sngp(model, data, generator=seeded(), epochs=15, batch_size=32, optimizer=adam(1e-2))
    said = model.predict_proba(data.x)
    assert float((said.labels == data.y).double().mean()) > 0.95
    far = model.predict_proba(10 * torch.nn.functional.normalize(normal(50, 2), dim=1))
    assert float(far.entropy().mean()) > float(said.entropy().mean()) + 0.1
    assert int(model.head.seen) == 200, "each example exactly once"
    assert max(operator_norm(layer) for layer in trunk.layers) <= 0.9 * 1.05


def test_property_an_adapter_leaves_the_network_as_it_was():
    network, x = cnn((3,), hidden=6, generator=seeded()), normal(2, 1, 8, 8)
    before, said = copy.deepcopy(network.state_dict()), network(x)
    model = sngp(network, x[:1], outputs=4, bound=0.5, length_scale=1.0, count=20, generator=seeded())
    assert model(x).shape == (2, 4)
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert torch.equal(network(x), said)


def test_property_a_network_bounded_layer_by_layer_is_one_bounded_at_once():
    """``sngp`` is nothing but its parts: both kinds of bounded layers, and the head."""
    x = normal(2, 1, 8, 8)
    made = sngp(cnn((3,), hidden=6, generator=seeded()), x, outputs=4, bound=0.5, length_scale=1.0, generator=seeded(1))
    by_hand, width = trunk_of(cnn((3,), hidden=6, generator=seeded()))
    drawn = seeded(1)
    head = RandomFeatureGP(width, 4, length_scale=1.0, generator=drawn)
    for layer in [m for m in by_hand.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]:
        if isinstance(layer, torch.nn.Conv2d):
            spectral_norm_conv2d(layer, 0.5, image=(8, 8), generator=drawn)
        else:
            spectral_norm_linear(layer, 0.5, generator=drawn)
    assert torch.equal(SNGP(by_hand, head).eval()(x), made.eval()(x))


def test_oracle_one_example_leaves_what_the_prior_leaves():
    """With one example Lambda^-1 is known by Sherman and Morrison: v = |Phi|^2 / (tau + k |Phi|^2) at the example."""
    head, h = gp(3, prior_precision=0.7, likelihood="each"), normal(1, 3)
    model = SNGP(torch.nn.Identity(), head).fit_precision(Split(h, torch.tensor([0])))
    p = model.eval()(h).softmax(-1).detach()
    length = head.cosines(h).square().sum()
    torch.testing.assert_close(head.variance(h), length / (0.7 + p * (1 - p) * length))
    assert model.predict_proba(h).probs.shape == (1, 1, 3)


def test_error_arguments_and_order():
    for name in ("length_scale", "prior_precision", "noise_variance"):
        with pytest.raises(ParameterError, match=f"{name} must be a positive"):
            gp(**{name: 0.0}, likelihood="gaussian")
    with pytest.raises(ParameterError, match="classes have no noise variance"):
        gp(noise_variance=2.0)
    with pytest.raises(ParameterError, match="likelihood is one of"):
        gp(likelihood="poisson")
    with pytest.raises(ParameterError, match="accumulate for each batch"):
        gp().finish()
    with pytest.raises(ParameterError, match="the head reads features"):
        gp()(normal(2, 4))
    classes, numbers = (SNGP(torch.nn.Identity(), gp(likelihood=kind)) for kind in ("shared", "gaussian"))
    with pytest.raises(ParameterError, match="use predict_proba"):
        classes.predict(normal(2, 3))
    with pytest.raises(ParameterError, match="use predict"):
        numbers.predict_proba(normal(2, 3))
    with pytest.raises(ParameterError, match="must be finite"):
        classes.fit_precision(Split(normal(2, 3) * math.nan, torch.zeros(2)))
    with pytest.raises(ParameterError, match="num_data"):
        sngp_loss(classes, Split(normal(2, 3), torch.tensor([0, 1])), num_data=0)
    with pytest.raises(ParameterError, match="one class is always certain"):
        gp(1)
    with pytest.raises(ParameterError, match="must be class numbers"):
        sngp_loss(classes, Split(normal(2, 3), normal(2)), num_data=2)
    with pytest.raises(ParameterError, match="targets need the shape"):
        sngp_loss(numbers, Split(normal(2, 3), normal(2, 3)), num_data=2)
