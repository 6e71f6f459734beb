"""The sensitivity study: two choices decide the answer, controls say what zero and one mean."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from weightlore.attribution import (
    Attribution,
    compare_networks,
    gradient,
    gradient_times_input,
    inflated_correlation,
    input_gradient,
    rank_similarity,
    sensitivity_study,
    smooth_grad,
)
from weightlore.attribution.randomization import randomize
from weightlore.attribution.tables import Study
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, healthy
from weightlore.training import evaluate, fit

METHODS = {"gradient": gradient, "gradient times input": gradient_times_input}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=12):
    return digits("test", images=True)[:count]


def path_gradients(model, x, classes, nodes=16):
    """Integrated gradients from black, by midpoints: an implementation of its own."""
    total = sum(input_gradient(model, x * ((j + 0.5) / nodes), classes) for j in range(nodes))
    return Attribution(x * total / nodes, None, "logit")


def mean(study, **choice):
    (found,) = study.select(**choice).summarize()
    return found.mean


@pytest.fixture(scope="module")
def untrained():
    """200 digits, explained with the healthy network and with ten random ones."""
    model, methods = healthy("cnn"), {"path": path_gradients, **METHODS}
    return sensitivity_study(model, images(200), methods, scheme="full", draws=10, generator=seeded())


@pytest.fixture(scope="module")
def retrained():
    """The same digits, explained with two networks trained from other seeds, and with the network itself."""
    others = []
    for seed in (1, 2):
        generator = seeded(seed)
        others.append(cnn(generator=generator))
        fit(others[-1], digits("train", images=True), generator=generator, epochs=6, batch_size=32)
    model = healthy("cnn")
    named = {"another seed": others, "itself": [model]}
    return compare_networks(model, images(200), {"path": path_gradients, **METHODS}, others=named)


@pytest.mark.parametrize("method", ["path", "gradient times input"])
def test_property_the_same_maps_score_nine_tenths_or_nothing(untrained, method):
    """Trained against untrained: dropping the sign and counting the background make maps of digits look alike."""
    absolute = mean(untrained, method=method, sign="abs", mask="all")
    signed = mean(untrained, method=method, sign="signed", mask="active")
    assert absolute > 0.85
    assert abs(mean(untrained, method=method, sign="signed", mask="all")) < 0.15
    assert abs(signed) < 0.15
    assert absolute - signed > 0.7
    assert 0.3 < mean(untrained, method=method, sign="abs", mask="active") < 0.55, "the factor |x - b| is shared"


def test_property_without_the_common_factor_magnitudes_are_hardly_alike(untrained):
    def mean_gradient(model, x, classes):
        return Attribution(path_gradients(model, x, classes).values / x.where(x != 0, 1.0), None, "logit")

    study = sensitivity_study(
        healthy("cnn"), images(200), {"mean gradient": mean_gradient}, scheme="full", draws=3, generator=seeded()
    )
    left = mean(study, sign="abs", mask="active")
    assert abs(left) < 0.2
    assert mean(untrained, method="path", sign="abs", mask="active") > left + 0.2


def test_property_the_plain_gradient_shares_no_background(untrained):
    assert abs(mean(untrained, method="gradient", sign="abs", mask="active")) < 0.15
    assert mean(untrained, method="gradient", sign="abs", mask="all") < 0.3


@pytest.mark.parametrize("method", ["path", *METHODS])
def test_property_networks_trained_from_other_seeds_are_much_more_alike(untrained, retrained, method):
    choice = {"method": method, "sign": "signed", "mask": "active"}
    assert mean(retrained, step="another seed", **choice) - mean(untrained, **choice) > 0.3


def test_property_a_network_is_like_itself(retrained):
    assert retrained.select(step="itself").value.tolist() == [1.0] * (3 * 4 * 200)


def test_oracle_the_absolute_correlation_is_the_closed_form_of_the_active_one(untrained):
    values = {
        mask: untrained.select(method="path", sign="abs", mask=mask).value.reshape(10, 200)
        for mask in ("all", "active")
    }
    share = (images(200).x == 0).flatten(1).double().mean(1)
    expected = inflated_correlation(share, torch.tensor(values["active"]), pixels=64)
    assert values["all"] == pytest.approx(expected.numpy(), abs=1e-3)


def test_property_accuracy_is_that_of_each_random_network(untrained):
    copies = [randomize(healthy("cnn"), scheme="full", generator=g)[0].model for g in [seeded()] for _ in range(10)]
    found = [untrained.select(draw=draw).accuracy[0] for draw in range(10)]
    assert found == [evaluate(copy, images(200)).accuracy for copy in copies]


def test_oracle_every_row_is_the_similarity_of_two_maps():
    model, data = healthy("cnn"), images()
    study = sensitivity_study(model, data, METHODS, draws=2, signs=("signed", "pos"), generator=seeded(3))
    assert len(study) == 2 * 4 * 2 * 4 * 12
    classes, generator = model(data.x).argmax(1), seeded(3)
    for draw in range(2):
        for copy in randomize(model, generator=generator):
            for name, method in METHODS.items():
                maps = [method(network, data.x, classes).values for network in (model, copy.model)]
                for sign in ("signed", "pos"):
                    for mask in ("all", "active"):
                        rows = study.select(method=name, step=copy.step, draw=draw, sign=sign, mask=mask)
                        expected = rank_similarity(*maps, sign=sign, mask=mask, x=data.x, baseline=0.0)
                        assert np.array_equal(rows.value, expected.numpy(), equal_nan=True)
                        assert rows.image.tolist() == list(range(12))


def test_property_a_cascade_moves_away_step_by_step_and_ends_in_full_randomization():
    model, data = healthy("cnn"), images(40)
    cascade = sensitivity_study(model, data, METHODS, draws=3, generator=seeded())
    full = sensitivity_study(model, data, METHODS, draws=3, scheme="full", generator=seeded())
    assert [found.step for found in cascade.select(method="gradient", sign="abs", mask="all").summarize()] == [
        *("readout", "layers.2", "layers.1", "layers.0")
    ]
    last = cascade.select(step="layers.0")
    assert np.array_equal(last.value, full.value, equal_nan=True)
    assert full.step.tolist() == ["all"] * len(full)


def test_property_the_explained_class_is_fixed_or_predicted_again():
    model, data = healthy("cnn"), images()
    (copy,) = randomize(model, scheme="full", generator=seeded())
    found = {
        target: sensitivity_study(
            model, data, {"g": gradient}, scheme="full", draws=1, target=target, masks=("all",), generator=seeded()
        ).select(sign="signed")
        for target in ("fixed", "repredict")
    }
    classes = {"fixed": model(data.x).argmax(1), "repredict": copy.model(data.x).argmax(1)}
    reference = gradient(model, data.x, classes["fixed"]).values
    for target, study in found.items():
        maps = gradient(copy.model, data.x, classes[target]).values
        expected = rank_similarity(reference, maps, sign="signed", mask="all")
        assert np.array_equal(study.value, expected.numpy(), equal_nan=True)
    assert not np.array_equal(found["fixed"].value, found["repredict"].value)


def test_property_the_network_and_the_data_stay_bit_for_bit():
    model, data = healthy("cnn"), images()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x = data.x.clone()
    sensitivity_study(model, data, METHODS, generator=seeded())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(data.x, x)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())

    def failing(network, x, classes):
        if network is not model:
            raise RuntimeError("stop")
        return gradient(network, x, classes)

    with pytest.raises(RuntimeError, match="stop"):
        sensitivity_study(model, data, {"failing": failing}, generator=seeded())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_property_the_same_seed_gives_the_same_table():
    one, other, third = (
        sensitivity_study(healthy("cnn"), images(), METHODS, generator=seeded(seed)) for seed in (1, 1, 2)
    )
    assert all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        for a, b in zip(one.columns().values(), other.columns().values(), strict=True)
    )
    assert not np.array_equal(one.value, third.value)


def test_property_a_method_that_makes_its_own_noise_passes_the_identity_control():
    def smoothed(model, x, classes):
        return smooth_grad(model, x, classes, samples=4, generator=seeded())

    model = healthy("cnn")
    study = compare_networks(model, images(), {"smooth": smoothed}, others={"itself": [model]})
    assert study.value.tolist() == [1.0] * len(study)


def noise(model, x, classes):
    """A useless method: it looks at nothing but its own dice."""
    seed = int(1e6 * float(next(model.parameters()).detach().sum())) % 2**31
    return Attribution(torch.randn(x.shape, generator=seeded(seed), dtype=x.dtype), None, "logit")


def edges(model, x, classes):
    """Another one: it looks at the image only."""
    return Attribution(x - x.roll(1, -1), None, "logit")


def test_property_noise_passes_the_test_perfectly_and_an_edge_detector_fails_it():
    study = sensitivity_study(
        healthy("cnn"), images(100), {"noise": noise, "edges": edges}, scheme="full", generator=seeded()
    )
    assert abs(mean(study, method="noise", sign="signed", mask="active")) < 0.05
    assert mean(study, method="edges", sign="signed", mask="active") == 1


def test_property_other_measures_stand_beside_the_ranks():
    def cosine(one, other):
        return nn.functional.cosine_similarity(one.flatten(1), other.flatten(1))

    model, data = healthy("cnn"), images()
    study = sensitivity_study(model, data, METHODS, draws=1, measures={"cosine": cosine}, generator=seeded())
    own = study.select(measure="cosine")
    assert set(own.sign) == set(own.mask) == {""}
    assert len(own) == 4 * 2 * 12
    alone = sensitivity_study(model, data, METHODS, draws=1, signs=(), measures={"cosine": cosine}, generator=seeded())
    assert np.array_equal(alone.value, own.value)


def test_limit_constant_maps_and_blank_images_are_nan_and_counted():
    def blank(model, x, classes):
        return Attribution(torch.zeros_like(x), None, "logit")

    model, data = healthy("cnn"), images()
    x = data.x.clone()
    x[0] = 0.0  # nothing is active
    study = sensitivity_study(
        model, Split(x, data.y), {"blank": blank, "gradient": gradient}, scheme="full", generator=seeded()
    )
    assert np.isnan(study.select(method="blank").value).all()
    assert np.isnan(study.select(image=0, mask="active").value).all()
    counted = {(s.method, s.mask): s for s in study.select(sign="signed").summarize()}
    assert counted["blank", "all"].undefined == 5 * 12
    assert counted["blank", "all"].networks == 0
    assert np.isnan(counted["blank", "all"].mean)
    assert counted["gradient", "active"].undefined == 5
    assert np.isfinite(counted["gradient", "active"].mean)
    assert study.undefined == 4 * 5 * 12 + 4 * 5, "a fresh network without biases has no gradient at zero either"


def test_oracle_the_summary_averages_images_within_networks_and_networks_at_the_end():
    values = np.array([[0.1, 0.5, np.nan], [0.3, 0.9, 0.6]])
    rows = {name: np.repeat("", 6) for name in ("method", "step", "measure", "sign", "mask")}
    draw, image = np.divmod(np.arange(6), 3)
    study = Study(**rows, draw=draw, image=image, value=values.reshape(-1), accuracy=np.repeat([0.2, 0.4], 3))
    (found,) = study.summarize()
    assert found.mean == pytest.approx((0.3 + 0.6) / 2)
    assert found.network_spread == pytest.approx(np.std([0.3, 0.6], ddof=1))
    assert found.image_spread == pytest.approx((0.2 + np.std([0.3, 0.9, 0.6])) / 2)
    assert (found.networks, found.images, found.undefined) == (2, 5, 1)
    assert found.accuracy == pytest.approx(0.3)
    assert np.isnan(study.select(draw=0).summarize()[0].network_spread)


def test_property_tables_are_added_selected_and_shown():
    model, data = healthy("cnn"), images()
    study = sensitivity_study(model, data, METHODS, draws=1, generator=seeded())
    control = compare_networks(model, data, METHODS, others={"itself": [model]})
    both = study + control
    assert len(both) == len(study) + len(control)
    assert both.select(step="itself").value.tolist() == control.value.tolist()
    assert repr(control) == "Study(96 rows, 0 of them undefined)"
    assert list(both.columns())[:4] == ["method", "step", "draw", "image"]
    assert [s.step for s in both.select(method="gradient", sign="abs", mask="all").summarize()][-1] == "itself"


def test_property_each_network_is_told():
    told = []
    sensitivity_study(
        healthy("cnn"),
        images(),
        METHODS,
        draws=2,
        generator=seeded(),
        progress=lambda step, draw: told.append((step, draw)),
    )
    steps = ["readout", "layers.2", "layers.1", "layers.0"]
    assert told == [(step, draw) for draw in range(2) for step in steps]


def narrow(model, x, classes):
    return Attribution(x[..., :4], None, "logit")


STUDY = partial(sensitivity_study, generator=seeded(), draws=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: STUDY(healthy("cnn"), images(), METHODS, draws=0), "draws counts random networks"),
        (lambda: STUDY(healthy("cnn"), images(), {}), "at least one method"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS, signs=()), "a sign and a mask or another measure"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS, target="guess"), "target is one of"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS, masks=("ink",)), "mask is one of"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS, signs=("none",)), "sign is one of"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS, baseline=torch.zeros(3)), "a baseline is a number"),
        (lambda: STUDY(healthy("cnn").train(), images(), METHODS), "must be in eval mode"),
        (lambda: STUDY(healthy("cnn"), images().to(dtype=torch.float32), METHODS), "computes in torch.float64"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS | {"narrow": narrow}), "maps of one shape"),
        (
            lambda: STUDY(healthy("cnn"), images(), METHODS, measures={"mean": lambda a, b: a.mean()}),
            "one number an image",
        ),
        (lambda: compare_networks(healthy("cnn"), images(), METHODS, others={"none": []}), "at least one network"),
        (lambda: STUDY(healthy("cnn"), images(), METHODS).select(method="lime"), "no row has method 'lime'; there are"),
        (lambda: Study(*[np.zeros(2)] * 8, np.zeros(3)), "of one length"),
    ],
)
def test_error_studies_that_cannot_be_made(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
