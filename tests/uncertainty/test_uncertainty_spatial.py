"""Answers for every pixel: inverses give the image back, and answers are compared where they belong."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty import augmentation as aug
from weightlore.uncertainty.measures import predictive_entropy
from weightlore.uncertainty.segmentation import pixel_maps


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(*shape):
    return torch.rand(*(shape or (2, 1, 6, 6)), generator=seeded(), dtype=torch.float64)


VIEWS = (*aug.dihedral(), aug.rolled(2, -1), aug.rolled(-3, 0))


def conv(size=3):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return nn.Conv2d(1, 3, size, padding=size // 2).double()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("shape", [(2, 1, 6, 6), (1, 2, 3, 5), (1, 1, 1, 1)])
def test_property_an_inverse_brings_every_pixel_back(view, shape):
    x = images(*shape)
    assert torch.equal(view.invert(view.apply(x)), x)
    assert torch.equal(view.apply(x).flatten().sort().values, x.flatten().sort().values)


def test_property_the_eight_symmetries_are_different_and_include_the_turns():
    x = images(1, 1, 3, 3)
    seen = [tuple(view.apply(x).flatten().tolist()) for view in aug.dihedral()]
    assert len(set(seen)) == 8
    assert [tuple(view.apply(x).flatten().tolist()) for view in aug.quarter_turns()] == seen[:4]
    assert aug.dihedral()[0].name == "identity"
    assert len({view.name for view in VIEWS}) == len(VIEWS)


def test_property_only_the_identity_is_the_network():
    x, net = images(), conv()
    for views in ((), (aug.rolled(0, 0),)):
        found = aug.SpatialTTA(net, views).predict(x)
        assert found.probs.shape == (1, 2, 3, 6, 6)
        torch.testing.assert_close(found.mean, net(x).softmax(1), rtol=1e-12, atol=0)
        assert not found.spread.any()


def test_property_a_network_that_sees_one_pixel_is_never_moved():
    found = aug.SpatialTTA(conv(1), VIEWS).predict(images())
    assert float(found.spread.max()) < 1e-28
    assert float(found.vote_entropy().max()) == 0


def test_oracle_answers_are_turned_back():
    x, net = images(), conv()
    found = aug.SpatialTTA(net, aug.quarter_turns()).predict(x)
    for turns in range(4):
        expected = net(x.rot90(turns, (2, 3))).softmax(1).rot90(-turns, (2, 3))
        torch.testing.assert_close(found.probs[turns], expected, rtol=1e-12, atol=0)
    assert float(found.spread.min()) > 0


def test_oracle_measures_pixel_by_pixel():
    found = aug.SpatialTTA(conv(), aug.dihedral()).predict(images())
    torch.testing.assert_close(found.spread, found.probs.var(0, correction=0).sum(1), rtol=1e-10, atol=1e-16)
    flat = found.probs.movedim(2, -1).flatten(1, 3)
    torch.testing.assert_close(
        pixel_maps(found.probs).predictive_entropy.flatten(), predictive_entropy(flat), rtol=1e-10, atol=1e-14
    )
    pixel = found.probs[:, 1, :, 2, 3].argmax(1)
    shares = torch.bincount(pixel, minlength=3).double() / 8
    assert float(found.vote_entropy()[1, 2, 3]) == pytest.approx(float(torch.special.entr(shares).sum()))
    assert torch.equal(found.labels, found.mean.argmax(1))


def test_property_images_that_are_no_squares_are_turned_too():
    found = aug.SpatialTTA(conv(), aug.quarter_turns()).predict(images(1, 1, 4, 7))
    assert found.probs.shape == (4, 1, 3, 4, 7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: aug.SpatialTTA(conv(), (aug.shifted(1, 0),)), "with an inverse, got Augmentation"),
        (lambda x: aug.SpatialTTA(conv(), ()).predict(x[0]), "images .N, channels, H, W."),
        (lambda x: aug.SpatialTTA(conv(), ()).predict(x / 0), "NaN or infinite"),
        (lambda x: aug.SpatialTTA(lambda x: x.mean((2, 3)), ()).predict(x), "must return logits .N, C, H, W."),
        (lambda x: aug.SpatialTTA(lambda x: x[:, :, 1:], ()).predict(x), "must return logits .N, C, H, W."),
        (lambda x: aug.DensePrediction(x), "shape .S, N, C, H, W."),
        (lambda x: aug.DensePrediction(x[None] * 3), "sum to 1"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(images())
