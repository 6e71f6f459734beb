"""From the source's shapes to the target's."""

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.transfer import Adapter, leading, orthogonal, principal, resized

START = ("leading", "orthogonal", "principal")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize(("inputs", "channels"), [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize("images", [False, True])
def test_property_shapes_and_what_is_learned(start, learn, inputs, channels, images):
    s = normal(9, inputs, *((6, 4) if images else ()))
    shape = (9, channels, *((3, 8) if images else ()))
    adapter = Adapter(s, shape, start=start, learn=learn, generator=seeded())
    same = start == "leading" and inputs == channels
    assert adapter(s).shape == shape
    assert torch.equal(adapter.finished(adapter.prepared(s)), adapter(s))
    assert (adapter.weight is None) is same
    assert len(list(adapter.parameters())) == int(learn and not same)
    assert len(adapter.state_dict()) == int(not same)
    if not learn:
        assert torch.equal(adapter.prepared(s), adapter(s))


def test_property_equal_shapes_pass_bit_for_bit():
    for s in (normal(4, 3), normal(4, 3, 5, 2)):
        assert Adapter(s, tuple(s.shape), generator=seeded())(s) is s


def test_oracle_leading_channels():
    s = normal(4, 3, 2, 2)
    assert torch.equal(Adapter(s, (4, 2, 2, 2), generator=seeded())(s), s[:, :2])
    filled = Adapter(s, (4, 5, 2, 2), generator=seeded())(s)
    assert torch.equal(filled[:, :3], s)
    assert not filled[:, 3:].any()
    assert torch.equal(leading(2, 4), torch.eye(4)[:2].double())


@pytest.mark.parametrize(("channels", "inputs"), [(3, 7), (7, 3), (5, 5), (1, 4)])
def test_property_orthogonal(channels, inputs):
    q = orthogonal(channels, inputs, generator=seeded())
    product = q @ q.T if channels <= inputs else q.T @ q
    torch.testing.assert_close(product, torch.eye(min(channels, inputs)).double(), rtol=0, atol=1e-12)
    assert torch.equal(q, orthogonal(channels, inputs, generator=seeded()))
    assert not torch.equal(q, orthogonal(channels, inputs, generator=seeded(1)))


def test_property_orthogonal_has_no_preferred_sign():
    draws = torch.stack([orthogonal(2, 2, generator=seeded(seed)) for seed in range(400)])
    assert draws.mean(0).abs().max() < 0.12
    assert ((draws**2).mean(0) - 0.5).abs().max() < 0.08


def test_oracle_principal_directions():
    s = normal(60, 5) @ torch.diag(torch.tensor([1.0, 3.0, 0.1, 2.0, 0.5]).double()) + 4.0
    found = principal(s, 3)
    values, vectors = torch.linalg.eigh(torch.cov(s.T))
    torch.testing.assert_close((found @ vectors.flip(1)[:, :3]).abs(), torch.eye(3).double(), rtol=0, atol=1e-10)
    spread = (s @ found.T).var(0)
    torch.testing.assert_close(spread, values.flip(0)[:3], rtol=1e-10, atol=0)
    assert bool((found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all())
    wide = principal(s, 7)
    assert torch.equal(wide[:3], found)
    assert not wide[5:].any()


def test_oracle_principal_directions_of_images_are_those_of_their_places():
    s = normal(6, 3, 4, 5)
    assert torch.equal(principal(s, 2), principal(s.movedim(1, -1).reshape(-1, 3), 2))


def test_property_principal_keeps_more_than_leading():
    s = normal(80, 6)
    s[:, :3] *= 0.01
    kept = {start: Adapter(s, (80, 3), start=start, generator=seeded())(s).var(0).sum().item() for start in START}
    assert kept["leading"] < 0.01 * kept["principal"]
    assert kept["leading"] < kept["orthogonal"] < kept["principal"]


def test_oracle_resized():
    s = normal(2, 3, 4, 6)
    down = resized(s, (2, 3))
    torch.testing.assert_close(down, s.unflatten(2, (2, 2)).unflatten(4, (3, 2)).mean((3, 5)), rtol=1e-14, atol=0)
    up = resized(s, (8, 6))
    torch.testing.assert_close(up[:, :, 0], s[:, :, 0], rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(up[:, :, 1], 0.75 * s[:, :, 0] + 0.25 * s[:, :, 1], rtol=1e-14, atol=1e-14)
    both = resized(s, (2, 12))
    pooled = nn.functional.adaptive_avg_pool2d(s, (2, 6))
    expected = nn.functional.interpolate(pooled, size=(2, 12), mode="bilinear", align_corners=False)
    assert torch.equal(both, expected)
    assert resized(s, (4, 6)) is s


def test_limit_a_single_row_is_spread_and_never_broadcast():
    row = normal(2, 3, 1, 4)
    spread = resized(row, (5, 4))
    assert spread.shape == (2, 3, 5, 4)
    torch.testing.assert_close(spread, row.expand(-1, -1, 5, -1), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Adapter(normal(4, 3), (4, 3, 2, 2), generator=seeded()), "pair layers of one kind"),
        (lambda: Adapter(normal(4, 3, 2), (4, 3, 2), generator=seeded()), "vectors"),
        (lambda: Adapter(normal(4, 3), (4, 3), start="pca", generator=seeded()), "start must be one of 'leading'"),
        (lambda: Adapter(normal(4, 3), (4, 3), start="principal", generator=seeded()), "at least 6 examples.*got 4"),
        (lambda: principal(normal(40, 3) / 0, 2), "NaN or infinite"),
        (lambda: principal(normal(40, 3), 0), "channels must be a whole number"),
        (lambda: orthogonal(0, 3, generator=seeded()), "channels must be"),
        (lambda: leading(3, 0), "inputs must be"),
        (lambda: resized(normal(2, 3, 4, 4), (0, 2)), "height must be"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
