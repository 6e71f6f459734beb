"""Maps, structures and patches: by flattening, by counting pixels, and by cutting squares out by hand."""

import math
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score

from weightlore.errors import ParameterError
from weightlore.uncertainty import UncertaintyWarning, measures
from weightlore.uncertainty.segmentation import dice, overlap, pavpu, pixel_maps, pixelwise, structure_uncertainty


def drawn(members=3, images=2, classes=3, height=5, width=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(members, images, classes, height, width, generator=generator, dtype=dtype)).softmax(2)


def painted(*maps):
    """Sure probabilities, (S, 1, 2, H, W), from label maps of zeros and ones."""
    labels = torch.tensor(maps)
    return torch.stack([1 - labels, labels], dim=1)[:, None].double()


def test_oracle_maps_are_the_measures_of_the_flattened_pixels():
    p = drawn()
    flat = p.permute(0, 1, 3, 4, 2).reshape(3, -1, 3)
    found = pixel_maps(p)
    assert len(fields(found)) == 10
    for field in fields(found):
        values = getattr(found, field.name)
        assert values.shape == (2, 5, 4)
        assert torch.equal(values.flatten(), getattr(measures, field.name)(flat)), field.name
    assert torch.equal(pixelwise(p, measures.margin), found.margin)


def test_oracle_one_pixel_looked_up():
    p = drawn()
    assert float(pixel_maps(p).predictive_entropy[1, 3, 2]) == pytest.approx(
        float(measures.predictive_entropy(p[:, 1:, :, 3, 2])), rel=1e-14
    )


def test_oracle_structures_by_counting():
    p = drawn(members=4, seed=2)
    labels, sure = p.argmax(2), p.mean(0).argmax(1)
    found = structure_uncertainty(p, 1)
    maps = pixel_maps(p)
    for n in range(2):
        volumes = [int((labels[s, n] == 1).sum()) for s in range(4)]
        mean = sum(volumes) / 4
        spread = math.sqrt(sum((v - mean) ** 2 for v in volumes) / 4)
        assert float(found.volume_cv[n]) == pytest.approx(spread / mean, rel=1e-12)
        seen = [{tuple(i) for i in (labels[s, n] == 1).nonzero().tolist()} for s in range(4)]
        shared = len(set.intersection(*seen)) / len(set.union(*seen))
        assert float(found.overlap[n]) == pytest.approx(shared, rel=1e-12)
        inside = sure[n] == 1
        assert float(found.mutual_information[n]) == pytest.approx(float(maps.mutual_information[n][inside].mean()))
        assert float(found.variance[n]) == pytest.approx(float(maps.predictive_variance[n][inside].mean()))
    assert (found.unseen, found.absent) == (0, 0)
    assert torch.equal(structure_uncertainty(p, 1, labels=labels).overlap, found.overlap)


def test_oracle_label_maps_of_samples():
    p = painted([[1, 1], [0, 0]])
    labels = torch.tensor([[[[1, 1], [0, 0]]], [[[1, 0], [1, 0]]], [[[1, 0], [0, 0]]]])
    with pytest.warns(UncertaintyWarning, match="one only"):
        found = structure_uncertainty(p, 1, labels=labels)
    assert float(found.volume_cv) == pytest.approx(math.sqrt(2 / 9) / (5 / 3))
    assert float(found.overlap) == pytest.approx(1 / 3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), members=st.integers(2, 4))
def test_property_identical_samples_agree_on_everything(seed, members):
    p = drawn(1, seed=seed).expand(members, -1, -1, -1, -1)
    for structure in range(3):
        found = structure_uncertainty(p, structure)
        assert (found.overlap == 1).all()
        known = ~found.volume_cv.isnan()
        assert int((~known).sum()) == found.unseen
        assert not found.volume_cv[known].any()
        assert (found.mutual_information.nan_to_num() < 1e-14).all()
        assert (found.variance.nan_to_num() < 1e-14).all()


def test_limit_a_structure_that_nobody_sees():
    p = painted([[0, 0], [0, 0]], [[0, 0], [0, 0]])
    found = structure_uncertainty(p, 1)
    assert found.volume_cv.isnan().all()
    assert found.overlap.tolist() == [1.0]
    assert found.mutual_information.isnan().all()
    assert (found.unseen, found.absent) == (1, 1)
    one_does = structure_uncertainty(painted([[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]), 1)
    assert one_does.volume_cv.tolist() == pytest.approx([math.sqrt(2)])
    assert one_does.overlap.tolist() == [0.0]
    assert (one_does.unseen, one_does.absent) == (0, 1)


def test_limit_one_member_warns():
    with pytest.warns(UncertaintyWarning, match="one only"):
        found = pixel_maps(drawn(1))
    assert not found.mutual_information.any()
    assert not found.disagreement.any()
    assert found.predictive_entropy.all()


def test_oracle_dice_and_overlap_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randint(0, 3, (4, 6, 5), generator=generator) for _ in range(2))
    for n in range(4):
        flat = other[n].flatten(), one[n].flatten()
        options = {"labels": [0, 1, 2], "average": None}
        assert dice(one, other, classes=3)[n].tolist() == pytest.approx(f1_score(*flat, **options).tolist())
        assert overlap(one, other, classes=3)[n].tolist() == pytest.approx(jaccard_score(*flat, **options).tolist())


def test_property_dice_and_overlap_say_the_same():
    generator = torch.Generator().manual_seed(1)
    one, other = (torch.randint(0, 4, (5, 3, 3), generator=generator) for _ in range(2))
    score, shared = dice(one, other, classes=6), overlap(one, other, classes=6)
    torch.testing.assert_close(shared, score / (2 - score))
    assert torch.equal(score, dice(other, one, classes=6))
    assert (dice(one, one, classes=6) == 1).all()
    assert (score[:, 4:] == 1).all(), "nothing is met by nothing"
    assert dice(0 * one, 0 * one, classes=1).tolist() == [[1.0]] * 5


def test_oracle_patches_cut_out_by_hand():
    generator = torch.Generator().manual_seed(3)
    uncertainty = torch.rand(3, 5, 7, generator=generator, dtype=torch.float64)
    correct = torch.rand(3, 5, 7, generator=generator) > 0.4
    found = pavpu(uncertainty, correct, threshold=0.5, window=3, accurate_from=0.6)
    counts = {(a, u): 0 for a in (True, False) for u in (True, False)}
    for n in range(3):
        for i in range(0, 5, 3):
            for j in range(0, 7, 3):
                right = float(correct[n, i : i + 3, j : j + 3].double().mean()) >= 0.6
                counts[right, float(uncertainty[n, i : i + 3, j : j + 3].mean()) > 0.5] += 1
    assert found.accurate_certain == counts[True, False]
    assert found.accurate_uncertain == counts[True, True]
    assert found.inaccurate_certain == counts[False, False]
    assert found.inaccurate_uncertain == counts[False, True]
    assert sum(counts.values()) == 3 * 2 * 3
    assert min(counts.values()) > 0
    ac, ic, iu = found.accurate_certain, found.inaccurate_certain, found.inaccurate_uncertain
    assert found.accurate_given_certain == ac / (ac + ic)
    assert found.uncertain_given_inaccurate == iu / (iu + ic)
    assert found.overall == (ac + iu) / 18


def test_limit_patches_without_a_case():
    uncertainty, right = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4, 4).bool()
    all_certain = pavpu(uncertainty, right, threshold=2.0)
    assert (all_certain.accurate_given_certain, all_certain.overall) == (1.0, 1.0)
    assert math.isnan(all_certain.uncertain_given_inaccurate)
    none_certain = pavpu(uncertainty, ~right, threshold=-math.inf)
    assert math.isnan(none_certain.accurate_given_certain)
    assert (none_certain.uncertain_given_inaccurate, none_certain.overall) == (1.0, 1.0)
    pixels = pavpu(uncertainty, right, threshold=0.5, window=1)
    assert pixels.accurate_certain == int((uncertainty <= 0.5).sum())
    whole = pavpu(uncertainty, right, threshold=float(uncertainty.mean()) - 0.01, window=9)
    assert (whole.accurate_certain, whole.accurate_uncertain, whole.inaccurate_uncertain) == (0, 1, 0)


def test_property_a_threshold_moves_patches_from_uncertain_to_certain():
    generator = torch.Generator().manual_seed(3)
    uncertainty = torch.rand(3, 6, 6, generator=generator)
    correct = torch.rand(3, 6, 6, generator=generator) > 0.4
    certain = [
        pavpu(uncertainty, correct, threshold=t, window=2).accurate_certain for t in torch.linspace(0, 1, 11).tolist()
    ]
    assert certain == sorted(certain)
    assert certain[0] == 0
    assert certain[-1] > 0


def test_property_nothing_of_the_caller_changes():
    p = drawn()
    before = p.clone()
    pixel_maps(p)
    structure_uncertainty(p, 0)
    assert torch.equal(p, before)
    assert pixel_maps(drawn(dtype=torch.float32)).mutual_information.dtype == torch.float32


MAPS, LABELS = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
TWICE = painted([[0, 1]], [[0, 1]])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: pixel_maps(drawn()[0]), r"p\[None\]"),
        (lambda: pixel_maps(drawn().log()), "from_logits"),
        (lambda: pixel_maps([1.0]), "list"),
        (lambda: pixelwise(drawn(), lambda p: p.mean()), "a number for each"),
        (lambda: structure_uncertainty(TWICE, 2), "0 to 1"),
        (lambda: structure_uncertainty(TWICE, -1), "0 to 1"),
        (lambda: structure_uncertainty(TWICE, 1, labels=LABELS), r"labels\[None\]"),
        (lambda: structure_uncertainty(TWICE, 1, labels=LABELS[None]), "int64"),
        (lambda: structure_uncertainty(TWICE, 1, labels=torch.full((1, 1, 1, 2), 2)), "0 to 1"),
        (lambda: dice(LABELS, LABELS[:, :1], classes=2), "int64"),
        (lambda: dice(MAPS, LABELS, classes=2), "int64"),
        (lambda: overlap(LABELS + 2, LABELS, classes=2), "0 to 1"),
        (lambda: overlap(LABELS[0], LABELS[0], classes=2), r"\(N, H, W\)"),
        (lambda: overlap(LABELS, LABELS, classes=0), "classes >= 1"),
        (lambda: pavpu(MAPS, LABELS, threshold=0.5), "labels == truth"),
        (lambda: pavpu(MAPS[:, :1], LABELS == 0, threshold=0.5), "must be maps"),
        (lambda: pavpu(MAPS * math.nan, LABELS == 0, threshold=0.5), "finite"),
        (lambda: pavpu(MAPS, LABELS == 0, threshold=math.nan), "threshold a number"),
        (lambda: pavpu(MAPS, LABELS == 0, threshold=0.5, window=0), "window"),
        (lambda: pavpu(MAPS, LABELS == 0, threshold=0.5, accurate_from=0.0), "accurate_from"),
    ],
)
def test_error_of_maps(call, says):
    with pytest.raises(ParameterError, match=says):
        call()
