"""Test-time augmentation: members are the answers to the views, and a view alone is the network."""

import pytest
import torch
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.uncertainty import CategoricalPrediction
from weightlore.uncertainty import augmentation as aug
from weightlore.uncertainty.ensembles import DeepEnsemble


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_property_the_identity_alone_is_the_network():
    x = digits("validation").x[:20]
    for views in ((), (aug.identity(),)):
        found = aug.TestTimeAugmentation(healthy(), views).predict(x)
        assert found.members == 1
        torch.testing.assert_close(found.mean, healthy()(x).softmax(-1), rtol=1e-12, atol=1e-14)


def test_oracle_members_are_the_answers_to_the_views():
    x, net = digits("validation").x[:20], healthy()
    asked = aug.TestTimeAugmentation(net, (aug.shifted(1, 0), aug.rotated(10.0)))
    assert [view.name for view in asked.views] == ["identity", "shift +1 +0", "rotate +10"]
    found = asked.predict(x)
    for view, probs in zip(asked.views, found.probs, strict=True):
        torch.testing.assert_close(probs, net(view(x)).softmax(-1), rtol=1e-12, atol=1e-14)
    assert not found.probs.requires_grad


def test_property_the_identity_is_not_added_twice():
    views = (aug.shifted(1, 0), aug.identity())
    assert [v.name for v in aug.TestTimeAugmentation(healthy(), views).views] == ["shift +1 +0", "identity"]


def test_oracle_of_a_prediction_the_mean_counts():
    x = digits("validation").x[:5]
    nets = tuple(mlp((64, 4, 10), generator=seeded(s)) for s in range(3))
    found = aug.TestTimeAugmentation(DeepEnsemble(nets).predict, (aug.shifted(0, 1),)).predict(x)
    assert found.members == 2
    torch.testing.assert_close(found.probs[0], DeepEnsemble(nets).predict(x).mean, rtol=1e-12, atol=1e-14)


def test_property_dropout_is_off_and_modes_come_back():
    net = nn.Sequential(nn.Linear(64, 5), nn.Dropout(0.5), nn.Linear(5, 3)).double().train()
    x = digits("validation").x[:5]
    asked = aug.TestTimeAugmentation(net, aug.digit_views()[:3])
    assert torch.equal(asked.predict(x).probs, asked.predict(x).probs)
    assert all(module.training for module in net.modules())


def test_property_views_agree_more_on_what_is_answered_rightly():
    data = digits("test")
    found = aug.TestTimeAugmentation(healthy(), aug.digit_views(pixels=0.25, degrees=10.0)).predict(data.x)
    right, spread = found.probs[0].argmax(1) == data.y, found.mutual_information()
    assert 0 < 1.5 * float(spread[right].mean()) < float(spread[~right].mean())
    assert float((found.labels == data.y).double().mean()) > 0.96


def test_property_a_whole_pixel_is_too_much_for_a_network_that_never_saw_one():
    data = digits("test")
    moved = aug.view_probs(healthy(), aug.shifted(1, 0)(data.x)).argmax(1) == data.y
    assert float(moved.double().mean()) < 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: aug.TestTimeAugmentation(healthy(), (lambda x: x,)), "give it a name"),
        (lambda x: aug.TestTimeAugmentation(healthy(), ()).predict(x[:0]), "at least one example"),
        (lambda x: aug.TestTimeAugmentation(healthy(), ()).predict(x / 0), "NaN or infinite"),
        (lambda x: aug.TestTimeAugmentation(lambda x: x[None], ()).predict(x), "logits .N, C. or a prediction"),
        (lambda x: aug.TestTimeAugmentation(lambda x: x[:1], ()).predict(x), "answered 1 rows for 2"),
        (lambda x: aug.TestTimeAugmentation(lambda x: None, ()).predict(x), "got NoneType"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(digits("test").x[:2])


def test_limit_a_prediction_of_one_view_warns_of_nothing_but_disagreement():
    found = aug.TestTimeAugmentation(healthy(), ()).predict(digits("test").x[:2])
    assert isinstance(found, CategoricalPrediction)
    with pytest.warns(UserWarning, match="one only"):
        assert float(found.mutual_information().abs().max()) == 0
