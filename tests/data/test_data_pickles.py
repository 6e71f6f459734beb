"""CIFAR archives: read as they are, and never trusted."""

import io
import pickle
import tarfile
import warnings

import numpy as np
import pytest

from weightlore.data.pickles import cifar
from weightlore.errors import DataError

NAMES = ["cifar-10-batches-py/data_batch_1", "cifar-10-batches-py/data_batch_2"]


def python2_batch(planes: np.ndarray, labels: list[int], key: bytes = b"labels") -> bytes:
    """A batch byte by byte as Python 2 wrote the originals: protocol 2, short strings, an array of old NumPy."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731
    number = lambda value: b"J" + int(value).to_bytes(4, "little", signed=True)  # noqa: E731
    data = planes.tobytes()
    dtype = (
        b"cnumpy\ndtype\n(" + short(b"u1") + b"K\x00K\x01tR(K\x03" + short(b"|") + b"NNN" + number(-1) * 2 + b"K\x00tb"
    )
    state = (
        b"(K\x01"
        + number(len(planes))
        + number(3072)
        + b"\x86"
        + dtype
        + b"\x89T"
        + number(len(data))[1:]
        + data
        + b"tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + short(b"b") + b"tR" + state
    answers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + short(b"batch_label") + short(b"one") + short(key) + answers + short(b"data") + array + b"u."


def archive(path, members: dict[str, bytes]):
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def planes(n: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), dtype=np.uint8)


def test_oracle_batches_of_python_2_are_read_in_the_order_asked_for(tmp_path):
    first, second = planes(4, 0), planes(3, 1)
    path = archive(
        tmp_path / "a.tar.gz",
        {NAMES[1]: python2_batch(second, [7, 8, 9]), "readme": b"", NAMES[0]: python2_batch(first, [1, 0, 3, 2])},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, labels = cifar(path, NAMES)
    assert images.shape == (7, 32, 32, 3)
    assert images.dtype == np.uint8
    assert labels.tolist() == [1, 0, 3, 2, 7, 8, 9]
    assert images[1, 5, 6].tolist() == [int(first[1, plane * 1024 + 5 * 32 + 6]) for plane in range(3)]
    assert (images[4:] == second.reshape(3, 3, 32, 32).transpose(0, 2, 3, 1)).all()


def test_oracle_batches_of_this_python_and_other_labels_are_read_too(tmp_path):
    batch = pickle.dumps({b"data": planes(2), b"fine_labels": [99, 3]}, protocol=4)
    images, labels = cifar(archive(tmp_path / "a.tar.gz", {"x/train": batch}), ["x/train"], "fine_labels")
    assert len(images) == 2
    assert labels.tolist() == [99, 3]


class Dangerous:
    """Opens a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_error_a_pickle_that_asks_for_anything_else_is_refused_before_it_acts(tmp_path, protocol):
    batch = pickle.dumps({"data": Dangerous(tmp_path / "harm")}, protocol=protocol)
    with pytest.raises(DataError, match=r"asks for .*open, which has no place in a data set"):
        cifar(archive(tmp_path / "a.tar.gz", {NAMES[0]: batch}), NAMES[:1])
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "batch",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2], protocol=4),
        pickle.dumps({b"labels": [1]}, protocol=4),
        pickle.dumps({b"data": planes(2), b"labels": [1]}, protocol=4),
        pickle.dumps({b"data": planes(2).astype(np.int16), b"labels": [1, 2]}, protocol=4),
        pickle.dumps({b"data": "text", b"labels": [1, 2]}, protocol=4),
        pickle.dumps({b"data": planes(2), b"labels": ["a", "b"]}, protocol=4),
        python2_batch(planes(2), [1, 2])[:-40],
    ],
)
def test_error_a_broken_batch(tmp_path, batch):
    with pytest.raises(DataError, match="is not a CIFAR archive, or it is broken"):
        cifar(archive(tmp_path / "a.tar.gz", {NAMES[0]: batch}), NAMES[:1])


def test_error_a_broken_archive_or_a_missing_batch(tmp_path):
    path = archive(tmp_path / "a.tar.gz", {NAMES[0]: python2_batch(planes(2), [1, 2])})
    with pytest.raises(DataError, match=r"KeyError: .*data_batch_2.* remove it and run"):
        cifar(path, NAMES)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"<html>", b""):
        path.write_bytes(data)
        with pytest.raises(DataError, match="not a CIFAR archive"):
            cifar(path, NAMES[:1])
    with pytest.raises(DataError, match="is missing; run `weightlore data fetch"):
        cifar(tmp_path / "absent", NAMES)
