"""Fixed masks: their counts and coverage, and layers that use them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import evaluate, fit
from weightlore.uncertainty.ensembles import (
    MaskedLinear,
    dealt_cross_entropy,
    masked_ensemble,
    masks_for,
    overlap,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 7), st.floats(1.0, 50.0), st.integers(0, 5))
def test_property_every_unit_is_used_and_every_member_uses_as_many(units, members, scale, seed):
    masks = masks_for(units, members=members, scale=scale, generator=seeded(seed))
    assert masks.shape == (members, units)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert bool((masks.sum(0) >= 1).all())
    assert len(masks.sum(1).unique()) == 1
    wished = units / (scale * (1 - (1 - 1 / scale) ** members))
    assert wished - 1e-6 <= float(masks.sum(1)[0]) <= wished + 1 + 1e-6


def test_limit_the_ends_are_one_network_and_networks_of_their_own():
    assert masks_for(12, members=3, scale=1.0, generator=seeded()).all()
    apart = masks_for(12, members=3, scale=math.inf, generator=seeded())
    assert apart.sum(0).tolist() == [1.0] * 12
    assert overlap(apart) == 0
    assert overlap(torch.ones(3, 12)) == 1
    assert masks_for(1, members=4, scale=math.inf, generator=seeded()).tolist() == [[1.0]] * 4


def test_property_the_overlap_falls_with_the_scale():
    found = [overlap(masks_for(300, members=4, scale=s, generator=seeded())) for s in (1.0, 1.3, 2.0, 4.0, 20.0)]
    assert found == sorted(found, reverse=True)
    # two random sets of m among T = scale m places share m^2 / T of them on average: IoU about 1 / (2 scale - 1)
    assert found[2] == pytest.approx(1 / 3, abs=0.05)


def test_oracle_overlap_counted_by_hand():
    masks = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])
    assert overlap(masks) == pytest.approx((1 / 3 + 0 + 1 / 3) / 3)


def test_oracle_a_masked_layer_is_the_layer_times_the_mask_of_the_row():
    layer = nn.Linear(5, 8, dtype=torch.float64)
    found = MaskedLinear(layer, 2, scale=3.0, generator=seeded())
    x = torch.randn(6, 5, generator=seeded(1), dtype=torch.float64)
    expected = layer(x) * found.masks[[0, 0, 0, 1, 1, 1]]
    assert torch.equal(found(x), expected)
    assert found.layer.weight is not layer.weight
    assert "masks" in found.state_dict()
    assert found.masks.dtype == torch.float64


def test_property_scale_one_is_the_plain_network():
    net, x = mlp((64, 8, 6, 10), generator=seeded()), digits("validation").x[:7]
    joint = masked_ensemble(net, members=3, scale=1.0, generator=seeded())
    for z in joint.member_logits(x):
        torch.testing.assert_close(z, net(x), rtol=1e-13, atol=1e-13)
    assert isinstance(joint.network.layers[1], MaskedLinear)
    assert isinstance(joint.network.readout, nn.Linear)
    assert sum(p.numel() for p in joint.parameters()) == sum(p.numel() for p in net.parameters())


def test_property_it_learns_and_members_differ():
    joint = masked_ensemble(mlp((64, 32, 10), generator=seeded()), members=4, scale=2.0, generator=seeded())
    fit(joint, digits("train")[:300], step=dealt_cross_entropy, epochs=15, batch_size=40, generator=seeded())
    assert evaluate(joint, digits("validation")).accuracy > 0.75
    assert float(joint.predict(digits("validation").x).mutual_information().mean()) > 1e-3
    mixed = masked_ensemble(cnn((3, 4), hidden=6, generator=seeded()), members=2, generator=seeded())
    assert mixed.predict(digits("test").x[:3]).probs.shape == (2, 3, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: masks_for(8, members=2, scale=0.5, generator=seeded()), "scale compares .* got 0.5"),
        (lambda: masks_for(8, members=2, scale=math.nan, generator=seeded()), "got nan"),
        (lambda: masks_for(0, members=2, scale=2.0, generator=seeded()), "units must be a whole number"),
        (lambda: overlap(torch.ones(1, 4)), "two masks or more"),
        (lambda: overlap(torch.tensor([[1, 0], [0, 0]])), "none empty"),
        (lambda: masked_ensemble(nn.Linear(3, 2), members=2, generator=seeded()), "no layer of the kind"),
        (
            lambda: MaskedLinear(nn.Linear(3, 2), 2, scale=2.0, generator=seeded())(torch.zeros(3)),
            "flatten them first",
        ),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
