"""Random cuts: what may come in, what is drawn, and that a share is a share of the whole."""

import math

import numpy as np
import pytest
import torch

from weightlore.data import Split, crops, image_folder
from weightlore.data.crops import resized_cuts, shifted
from weightlore.errors import DataError, ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count=6, channels=2, height=5, width=4):
    x = torch.arange(1, count * channels * height * width + 1, dtype=torch.float64)
    return Split(x.view(count, channels, height, width), torch.arange(count))


def cuts_of(image, padding):
    """All cuts of one image with zeros around it, mirrored and not."""
    padded = torch.nn.functional.pad(image, (padding,) * 4)
    _, height, width = image.shape
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            cut = padded[:, top : top + height, left : left + width]
            yield from (cut, cut.flip(2))


def test_oracle_every_image_is_one_of_the_possible_cuts_and_all_of_them_come():
    data, generator = numbered(count=1, height=3, width=4), seeded()
    possible = list(cuts_of(data.x[0], 1))
    seen = [0] * len(possible)
    rows = torch.zeros(1800, dtype=torch.int64)
    found = shifted(data, rows, padding=1, generator=generator)
    for image in found.x:
        matches = [n for n, cut in enumerate(possible) if torch.equal(cut, image)]
        assert len(matches) == 1
        seen[matches[0]] += 1
    assert len(possible) == 18
    assert 50 < min(seen) <= max(seen) < 150


def test_property_rows_and_targets_belong_together():
    data = numbered()
    rows = torch.tensor([4, 0, 4])
    found = shifted(data, rows, padding=0, generator=seeded())
    assert found.y.tolist() == [4, 0, 4]
    for image, row in zip(found.x, rows, strict=True):
        assert torch.equal(image, data.x[row]) or torch.equal(image, data.x[row].flip(2))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_property_shares_make_up_the_batch_whatever_their_number(count):
    data, rows = numbered(), torch.tensor([5, 1, 0, 3])
    whole = shifted(data, rows, generator=seeded())
    for rank in range(count):
        generator = seeded()
        part = shifted(data, rows, generator=generator, share=slice(rank, None, count))
        assert torch.equal(part.x, whole.x[rank::count])
        assert torch.equal(part.y, whole.y[rank::count])
        assert torch.equal(generator.get_state(), moved(lambda g: shifted(data, rows, generator=g)))


def moved(draw):
    generator = seeded()
    draw(generator)
    return generator.get_state()


@pytest.fixture
def folder(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for number, (width, height) in enumerate([(40, 30), (30, 40), (200, 10), (10, 200), (32, 32)]):
        place = tmp_path / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        ramp = np.stack(np.broadcast_arrays(np.arange(width)[None] * 255 // width, 0, np.arange(height)[:, None]), -1)
        pillow.fromarray(ramp.astype(np.uint8)).save(place / f"{number}.png")
    return image_folder(tmp_path, size=8, resize=8)


def test_property_parts_lie_inside_and_have_allowed_sizes():
    generator = seeded()
    for width, height in ((40, 30), (31, 41), (64, 64)):
        fitting = 0
        for draws in torch.rand(300, 41, generator=generator, dtype=torch.float64).tolist():
            for left, top, right, bottom in crops._fitting((width, height), draws):
                fitting += 1
                assert 0 <= left < right <= width
                assert 0 <= top < bottom <= height
                share = (right - left) * (bottom - top) / (width * height)
                assert 0.07 < share <= 1.0
                slack = 1 + 1 / min(right - left, bottom - top)
                assert 3 / 4 / slack <= (right - left) / (bottom - top) <= 4 / 3 * slack
        assert fitting > 2000


def test_property_part_sizes_are_uniform_in_area_and_in_the_logarithm_of_their_shape():
    draws = torch.rand(4000, 41, generator=seeded(), dtype=torch.float64).tolist()
    size = (4000, 4000)
    boxes = [crops._fitting(size, one) for one in draws]
    pairs = [(r - l, b - t) for one in boxes for l, t, r, b in one]  # noqa: E741
    areas = torch.tensor([w * h / 4000**2 for w, h in pairs])
    shapes = torch.tensor([math.log(w / h) / math.log(4 / 3) for w, h in pairs])
    small = areas < 0.5  # larger ones can stick out
    torch.testing.assert_close(
        areas[small].double().mean(), torch.tensor(0.29, dtype=torch.float64), rtol=0, atol=0.005
    )
    assert abs(float(shapes[small].mean())) < 0.02
    assert abs(float(shapes[small].std()) - 1 / math.sqrt(3)) < 0.01


def test_limit_where_no_draw_fits_the_middle_is_cut_out():
    assert crops._central((200, 10)) == (93, 0, 106, 10)
    assert crops._central((10, 200)) == (0, 93, 10, 106)
    assert crops._central((40, 30)) == (0, 0, 40, 30)
    assert crops._central((1, 1)) == (0, 0, 1, 1)
    draws = torch.rand(41, generator=seeded(), dtype=torch.float64).tolist()
    assert list(crops._fitting((1000, 5), [0.5] * 41)) == []
    assert all(box[2] <= 200 for box in crops._fitting((200, 10), draws))


def test_oracle_a_whole_image_is_resized_and_mirrored(folder, monkeypatch):
    monkeypatch.setattr(crops, "AREA", (1.0, 1.0))
    monkeypatch.setattr(crops, "SHAPE", (1.0, 1.0))
    square = torch.tensor([int(next(n for n, p in enumerate(folder.paths) if p.name == "4.png"))])
    seen = set()
    for seed in range(8):
        image = resized_cuts(folder, square, generator=seeded(seed)).x[0]
        ramp = image[0, 0]
        seen.add("mirrored" if ramp[0] > ramp[-1] else "plain")
        expected = folder[square].x[0]
        assert torch.equal(image if ramp[0] < ramp[-1] else image.flip(2), expected)
    assert seen == {"mirrored", "plain"}


def test_property_files_are_read_by_shares_and_workers_alike(folder):
    rows = torch.tensor([4, 0, 2, 1, 0])
    whole = resized_cuts(folder, rows, generator=seeded())
    assert whole.x.shape == (5, 3, 8, 8)
    assert whole.x.dtype == torch.float32
    assert 0 <= float(whole.x.min()) <= float(whole.x.max()) <= 1
    assert torch.equal(whole.y, folder.y[rows])
    again = resized_cuts(folder, rows, generator=seeded(), workers=3)
    assert torch.equal(again.x, whole.x)
    for rank in range(2):
        generator = seeded()
        part = resized_cuts(folder, rows, generator=generator, share=slice(rank, None, 2))
        assert torch.equal(part.x, whole.x[rank::2])
        assert torch.equal(generator.get_state(), moved(lambda g: resized_cuts(folder, rows, generator=g)))
    assert not torch.equal(resized_cuts(folder, rows, generator=seeded(1)).x, whole.x)


def test_limit_empty_shares(folder):
    one = torch.tensor([0])
    beyond = slice(1, None, 2)
    assert resized_cuts(folder, one, generator=seeded(), share=beyond).x.shape == (0, 3, 8, 8)
    assert shifted(numbered(), one, generator=seeded(), share=beyond).x.shape == (0, 2, 5, 4)


def test_error_arguments_and_files(folder):
    rows = torch.tensor([0])
    with pytest.raises(ParameterError, match=r"x of shape \(N, C, H, W\) and padding >= 0, got \(3, 4\) and 4"):
        shifted(Split(torch.zeros(3, 4), torch.zeros(3)), rows, generator=seeded())
    with pytest.raises(ParameterError, match="padding >= 0"):
        shifted(numbered(), rows, padding=-1, generator=seeded())
    with pytest.raises(ParameterError, match="workers counts threads"):
        resized_cuts(folder, rows, generator=seeded(), workers=0)
    folder.paths[0].write_bytes(b"no image")
    with pytest.raises(DataError, match="an image"):
        resized_cuts(folder, rows, generator=seeded())
