"""Image folders: classes from folders, pixels from files, nothing read before it is asked for."""

import sys

import numpy as np
import pytest
import torch

from weightlore.data import image_folder
from weightlore.errors import DataError, MissingExtra, ParameterError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.fixture
def tree(tmp_path):
    """Two classes: red images of 40 x 20 and green ones of 20 x 40, some deeper, one in gray; a note beside them."""
    colors = {"n01/a.png": ("RGB", (40, 20), (255, 0, 0)), "n01/deep/b.PNG": ("RGB", (40, 20), (255, 0, 0))}
    colors |= {"n02/c.png": ("RGB", (20, 40), (0, 255, 0)), "n02/d.png": ("L", (32, 32), 51)}
    for name, (mode, size, color) in colors.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, color).save(tmp_path / name)
    (tmp_path / "n01" / "notes.txt").write_text("no image")
    (tmp_path / "labels.txt").write_text("no class")
    return tmp_path


def test_oracle_classes_are_folders_in_alphabetical_order(tree):
    folder = image_folder(tree, size=16, resize=20)
    assert folder.classes == ("n01", "n02")
    assert [path.name for path in folder.paths] == ["a.png", "b.PNG", "c.png", "d.png"]
    assert folder.y.tolist() == [0, 0, 1, 1]
    assert len(folder) == 4
    assert repr(folder) == "ImageFolder(N=4: 2 classes, 3 x 16 x 16)"


def test_oracle_pixels_are_those_of_the_files(tree):
    data = image_folder(tree, size=16, resize=20)[:]
    assert data.x.shape == (4, 3, 16, 16)
    assert data.x.dtype == torch.float32
    for row, color in enumerate([(1, 0, 0), (1, 0, 0), (0, 1, 0), (0.2, 0.2, 0.2)]):
        torch.testing.assert_close(data.x[row], torch.tensor(color)[:, None, None].expand(3, 16, 16).float())


@pytest.mark.parametrize("wide", [True, False])
def test_oracle_the_center_is_cut_out_after_the_shorter_side_is_resized(tmp_path, wide):
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, 20:40] = 255  # the middle third is white
    (tmp_path / "x").mkdir()
    Image.fromarray(pixels if wide else pixels.transpose(1, 0, 2)).save(tmp_path / "x" / "a.png")
    assert image_folder(tmp_path, size=20, resize=20)[0].x.min() == 1
    assert image_folder(tmp_path, size=36, resize=40)[0].x.min() == 1
    assert image_folder(tmp_path, size=20, resize=20)[0].x.shape == (1, 3, 20, 20)


def test_property_only_what_is_asked_for_is_read(tree):
    (tree / "n01" / "a.png").write_bytes(b"no image")
    folder = image_folder(tree, size=8, resize=8, dtype=torch.float64)
    assert folder[1:].x.dtype == torch.float64
    assert folder[[2, 1]].y.tolist() == [1, 0]
    assert folder[-1].y.tolist() == [1]
    assert folder[folder.y == 1].x.shape == (2, 3, 8, 8)
    assert folder[:0].x.shape == (0, 3, 8, 8)
    with pytest.raises(DataError, match=r"a.png is not an image, or it is broken"):
        folder[0]


def test_error_a_truncated_image(tree):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tree / "n01" / "a.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(DataError, match="is not an image, or it is broken"):
        image_folder(tree, size=8, resize=8)[0]


def test_error_no_folder_no_images_no_size(tree, tmp_path_factory):
    with pytest.raises(DataError, match="is not a folder; image_folder expects a folder that holds one folder"):
        image_folder(tree / "absent")
    with pytest.raises(DataError, match="holds no folder with images"):
        image_folder(tmp_path_factory.mktemp("empty"))
    for size, resize in ((0, 5), (6, 5)):
        with pytest.raises(ParameterError, match="size must be >= 1"):
            image_folder(tree, size=size, resize=resize)


def test_error_without_pillow_the_extra_is_named(tree, monkeypatch):
    folder = image_folder(tree, size=8, resize=8)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"PIL is not installed.*weightlore\[images\]"):
        folder[0]
