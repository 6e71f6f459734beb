"""Attributions by gradients are those of captum, stored always, live where it is installed; where not, here is why."""

import json
import warnings

import pytest
import torch
from tests.attribution.attribution_networks import Functional, Reused, drawn, uniform
from tests.attribution.peers import gradients_of_captum as peer
from torch import nn

from weightlore import attribution

CONTENT = json.loads(peer.STORED.read_text(encoding="utf-8"))["attributions"]
CASES = [(name, method) for name in CONTENT for method in CONTENT[name]]
DIFFERENT = ("rectified maxima", "deep_lift")
OPTIONS = {
    "deep_lift": {"baseline": peer.BASELINE},
    "lrp_epsilon": {"epsilon": peer.EPSILON},
    "guided_grad_cam": {"layer": peer.LAYER},
}


def ours(name, method):
    model, x = peer.case(name)
    if method == "grad_cam":
        return attribution.class_activation_map(model, x, peer.TARGET, layer=peer.LAYER)
    return getattr(attribution, method)(model, x, peer.TARGET, **OPTIONS.get(method, {})).values


def captum():
    found = pytest.importorskip("captum.attr", reason="captum is compared live where it is installed: make peers")
    warnings.filterwarnings("ignore", module="captum|torch")
    return found


def deep_lift_of_captum(model, x, target, baseline):
    return captum().DeepLift(model).attribute(x, baseline, target, return_convergence_delta=True)


@pytest.mark.parametrize(("name", "method"), [case for case in CASES if case != DIFFERENT])
def test_oracle_attributions_are_those_stored_from_captum(name, method):
    stored = torch.tensor(CONTENT[name][method], dtype=torch.float64)
    assert torch.allclose(ours(name, method), stored, rtol=1e-7, atol=1e-9)
    assert stored.abs().max() > 1e-4


def test_property_every_method_that_both_have_is_stored():
    both = {"gradient", "gradient_times_input", "grad_cam", "deep_lift"}
    guided = {"guided_backprop", "deconvnet", "guided_grad_cam"}
    assert set(CONTENT["averages"]) == both | guided | {"lrp_epsilon"}
    assert set(CONTENT["maxima"]) == set(CONTENT["rectified maxima"]) == both | guided
    assert set(CONTENT["smooth"]) == both | {"lrp_epsilon"}


@pytest.mark.parametrize(("name", "method"), [case for case in CASES if case != DIFFERENT])
@pytest.mark.filterwarnings("ignore")
def test_oracle_captum_itself_agrees(name, method):
    captum()
    theirs = peer.captum_methods(*peer.case(name))[method]().detach()
    assert torch.allclose(ours(name, method), theirs, rtol=1e-9, atol=1e-12)


def test_limit_where_two_non_linear_modules_meet_captum_is_not_complete():
    name, method = DIFFERENT
    model, x = peer.case(name)
    stored = torch.tensor(CONTENT[name][method], dtype=torch.float64)
    found = attribution.deep_lift(model, x, peer.TARGET, baseline=peer.BASELINE)
    f, f_b = (attribution.scores(model, one, peer.TARGET) for one in (x, peer.BASELINE.expand_as(x)))
    assert (stored.flatten(1).sum(1) - (f - f_b)).abs().max() > 1e-3
    assert found.gap.abs().max() < 1e-14
    assert (found.values - stored).abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", [(nn.ReLU(), nn.MaxPool2d(2)), (nn.MaxPool2d(2), nn.ReLU())])
def test_limit_captum_is_complete_again_with_a_layer_between_them(order):
    # Where two meet, the plain gradient passes between them; a pooling of one pixel, which does nothing, sets it right.
    captum()
    model, x = peer.case("rectified maxima")
    for between, complete in ((order, False), ((order[0], nn.AvgPool2d(1), order[1]), True)):
        network = nn.Sequential(*model[:2], *between, *model[4:]).eval()
        found = attribution.deep_lift(network, x, peer.TARGET, baseline=peer.BASELINE)
        theirs, delta = deep_lift_of_captum(network, x, peer.TARGET, peer.BASELINE.expand_as(x))
        assert bool((delta.abs() < 1e-14).all()) == complete
        assert torch.allclose(found.values, theirs, rtol=1e-9, atol=1e-12) == complete
        assert found.gap.abs().max() < 1e-14


@pytest.mark.filterwarnings("ignore")
def test_limit_captum_overwrites_where_windows_overlap():
    captum()
    model = drawn(nn.Sequential(nn.MaxPool2d(3, 1), nn.Flatten(), nn.Linear(32, 2)))
    x, b = uniform(2, 2, 6, 6), uniform(2, 2, 6, 6, seed=1)
    _, delta = deep_lift_of_captum(model, x, 1, b)
    assert delta.abs().min() > 1e-3
    assert attribution.deep_lift(model, x, 1, baseline=b).gap.abs().max() < 1e-14


@pytest.mark.filterwarnings("ignore")
def test_limit_captum_does_not_see_functions():
    captum()
    model, x = drawn(Functional()), uniform(3, 6)
    plain = attribution.gradient(model, x, 1).values
    assert torch.allclose(captum().GuidedBackprop(model).attribute(x, 1), plain), "it is the gradient, and says nothing"
    theirs, delta = deep_lift_of_captum(model, x, 1, torch.zeros_like(x))
    assert torch.allclose(theirs, x * plain)
    assert delta.abs().max() > 1e-3
    assert attribution.deep_lift(model, x, 1).gap.abs().max() < 1e-14


@pytest.mark.filterwarnings("ignore")
def test_limit_captum_refuses_one_relu_at_two_places_too():
    captum()
    with pytest.raises(RuntimeError, match="used more than once"):
        deep_lift_of_captum(drawn(Reused()), uniform(3, 6), 1, torch.zeros(3, 6, dtype=torch.float64))


@pytest.mark.filterwarnings("ignore")
def test_limit_defaults_that_differ():
    model, x = peer.case("averages")
    saliency = captum().Saliency(model).attribute(x, peer.TARGET)
    assert torch.allclose(saliency, attribution.gradient(model, x, peer.TARGET).values.abs())
    cam = captum().LayerGradCam(model, model.get_submodule(peer.LAYER)).attribute(x, peer.TARGET).detach()
    plain = attribution.class_activation_map(model, x, peer.TARGET, layer=peer.LAYER, relu=False)
    assert torch.allclose(cam, plain)
    assert cam.min() < 0
