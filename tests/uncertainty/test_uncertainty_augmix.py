"""Mixtures of chains, and the penalty where views disagree."""

import math

import pytest
import torch
from torch.nn.functional import kl_div

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import augmix_batch, jensen_shannon_consistency
from weightlore.uncertainty.measures import mutual_information


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 12) -> torch.Tensor:
    return digits("validation").x[:n].double()


def test_property_a_view_without_changes_is_the_image():
    same = augmix_batch(images(), generator=seeded(), operations=[lambda x, _: x])
    assert torch.allclose(same, images(), atol=1e-12)


def test_property_a_view_is_a_mixture_of_the_image_and_the_ends_of_its_chains():
    x = images()
    white = augmix_batch(x, generator=seeded(), operations=[lambda x, _: torch.ones_like(x)], depth=1)
    share = (white - 1) / (x - 1)  # of the image: white = m x + (1 - m)
    known = x < 1
    assert bool(((share[known] >= 0) & (share[known] <= 1)).all())
    spread = [float(row[mask].max() - row[mask].min()) for row, mask in zip(share, known, strict=True)]
    assert max(spread) < 1e-9, "one share for each image"
    assert len({round(float(row[mask][0]), 6) for row, mask in zip(share, known, strict=True)}) == len(x)


def test_property_views_stay_images_in_shape_dtype_and_range():
    for x in (images().float(), images().reshape(-1, 1, 8, 8)):
        before = x.clone()
        view = augmix_batch(x, generator=seeded())
        assert view.shape == x.shape
        assert view.dtype == x.dtype
        assert bool(((view >= 0) & (view <= 1)).all())
        assert not torch.equal(view, x)
        assert torch.equal(x, before)


def test_property_no_chain_is_longer_than_its_depth():
    for depth in (1, 2, 4):
        most = augmix_batch(torch.zeros(400, 1, 2, 2).double(), generator=seeded(), operations=[lambda x, _: x + 1],
                            depth=depth, chains=1, alpha=0.01)  # fmt: skip
        assert float(most.max()) <= depth
        assert float(most.max()) > depth - 0.1, "with a small alpha some views are the chain alone"


def test_oracle_consistency_is_the_mean_divergence_from_the_mean():
    z = torch.randn(3, 5, 4, generator=seeded(), dtype=torch.float64)
    p = z.softmax(-1)
    each = torch.stack([kl_div(p.mean(0).log(), one, reduction="batchmean") for one in p])
    assert torch.allclose(jensen_shannon_consistency(z), each.mean())
    assert torch.allclose(jensen_shannon_consistency(z), mutual_information(p).mean())


def test_property_consistency_has_its_ends_and_a_finite_gradient():
    z = torch.randn(1, 5, 4, generator=seeded(), dtype=torch.float64)
    assert abs(float(jensen_shannon_consistency(z.expand(3, 5, 4)))) < 1e-12
    apart = (1e4 * torch.eye(3, dtype=torch.float64)[:, None]).requires_grad_()
    found = jensen_shannon_consistency(apart)
    assert math.isclose(found.item(), math.log(3))
    found.backward()
    assert bool(torch.isfinite(apart.grad).all())


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (torch.ones(3, 64, dtype=torch.int64), {}, "floating"),
        (torch.full((3, 64), torch.nan), {}, "finite"),
        (torch.ones(3, 64), {"operations": []}, "empty"),
        (torch.ones(3, 64), {"chains": 0}, "chains"),
        (torch.ones(3, 64), {"depth": 0}, "depth"),
        (torch.ones(3, 64), {"alpha": 0.0}, "alpha|concentration"),
        (torch.ones(3, 64), {"operations": [lambda x, _: x[:, :2]]}, "shape"),
    ],
)
def test_error_of_views(x, options, words):
    with pytest.raises(ParameterError, match=words):
        augmix_batch(x, generator=seeded(), **options)


@pytest.mark.parametrize("logits", [torch.ones(3, 4), torch.ones(2, 3, 4, dtype=torch.int64), torch.zeros(0, 3, 4)])
def test_error_of_consistency(logits):
    with pytest.raises(ParameterError, match="shape"):
        jensen_shannon_consistency(logits)
    with pytest.raises(ParameterError, match="finite"):
        jensen_shannon_consistency(torch.full((2, 3, 4), torch.inf))
