"""Readers: what was written is read, and what is broken is said to be."""

import bz2
import gzip
import struct
import zipfile

import numpy as np
import pytest

from weightlore.data import readers
from weightlore.errors import DataError


def write_idx(path, array, kind=0x08):
    data = struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["images.idx.gz", "images.idx"])
def test_oracle_idx_gives_back_what_was_written(tmp_path, name):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert (readers.idx(write_idx(tmp_path / name, array)) == array).all()


def test_oracle_idx_reads_other_types_in_this_machines_order(tmp_path):
    read = readers.idx(write_idx(tmp_path / "ints", np.array([1, -70_000], dtype=">i4"), kind=0x0C))
    assert read.tolist() == [1, -70_000]
    assert read.dtype.isnative


def broken_idx(tmp_path, change):
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    data = change(struct.pack(">HBB3I", 0, 8, 3, 3, 4, 5) + array.tobytes())
    path = tmp_path / "broken"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:7],
        lambda data: b"",
        lambda data: b"\x01" + data[1:],
        lambda data: data[:2] + b"\x07" + data[3:],
        lambda data: b"<html>not found</html>",
    ],
)
def test_error_a_broken_idx_file(tmp_path, change):
    with pytest.raises(DataError, match=r"is not a whole idx file, or it is broken .* remove it and run"):
        readers.idx(broken_idx(tmp_path, change))


def test_error_a_broken_gzip_file(tmp_path):
    whole = write_idx(tmp_path / "a.gz", np.zeros((50, 50), dtype=np.uint8)).read_bytes()
    for data in (whole[:-12], whole[:-1] + b"?", b"not gzip"):
        (tmp_path / "a.gz").write_bytes(data)
        with pytest.raises(DataError, match="not a whole idx file"):
            readers.idx(tmp_path / "a.gz")


@pytest.mark.parametrize(
    "read",
    [
        readers.idx,
        readers.table,
        readers.labeled_lines,
        readers.plain_lines,
        lambda path: readers.npz(path, ["x"]),
        lambda path: readers.libsvm(path, 3),
        lambda path: readers.zipped_lines(path, "x"),
    ],
)
def test_error_a_missing_file_says_which_command_mends_it(tmp_path, read):
    with pytest.raises(DataError, match=r"absent is missing; run `weightlore data fetch NAME`.*WEIGHTLORE_DATA_MIRROR"):
        read(tmp_path / "absent")


def test_oracle_npz_gives_arrays_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2))
    y, x = readers.npz(tmp_path / "a.npz", ["y", "x"])
    assert x.tolist() == [0, 1, 2]
    assert y.tolist() == [1, 1]


def test_error_npz_lacks_an_array_or_holds_objects(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    for names in (["y"], ["x"]):
        with pytest.raises(DataError, match="not a whole npz archive"):
            readers.npz(tmp_path / "a.npz", names)


def test_oracle_libsvm_fills_in_zeros(tmp_path):
    path = tmp_path / "a.bz2"
    path.write_bytes(bz2.compress(b"7 1:-1 3:0.25\n10 2:0.5\n"))
    x, y = readers.libsvm(path, 3)
    assert x.tolist() == [[-1, 0, 0.25], [0, 0.5, 0]]
    assert y.tolist() == [7, 10]


@pytest.mark.parametrize("text", [b"7 1:-1 4:0.25\n", b"7 1=3\n", b"seven 1:2\n", b"\xff"])
def test_error_a_broken_libsvm_table(tmp_path, text):
    path = tmp_path / "a.bz2"
    path.write_bytes(bz2.compress(text))
    with pytest.raises(DataError, match="not a bzip2-compressed LIBSVM table"):
        readers.libsvm(path, 3)
    path.write_bytes(bz2.compress(text)[:-3])
    with pytest.raises(DataError, match="not a bzip2-compressed LIBSVM table"):
        readers.libsvm(path, 3)


def test_oracle_labeled_lines_with_and_without_header(tmp_path):
    path = tmp_path / "a"
    path.write_bytes("1 good  \n0 bad \x85 film\r\n\n0 \n1 été".encode())
    sentences, labels = readers.labeled_lines(path)
    assert sentences == ("good", "bad \x85 film", "été")  # a line ends at a newline and nowhere else
    assert labels.tolist() == [1, 0, 1]
    path.write_bytes(b"label\ttext\n1\tgood")
    assert readers.labeled_lines(path, header=True)[0] == ("good",)


def test_error_a_line_without_label_or_another_encoding(tmp_path):
    path = tmp_path / "a"
    for data in (b"good\n", "1 été".encode("latin-1")):
        path.write_bytes(data)
        with pytest.raises(DataError, match="not a UTF-8 file of labeled lines"):
            readers.labeled_lines(path)


def test_oracle_plain_lines(tmp_path):
    (tmp_path / "a").write_bytes(b"one \n\n two\r\n")
    assert readers.plain_lines(tmp_path / "a") == ("one", "two")


def test_oracle_zipped_lines_end_in_their_label(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/x.txt", "a tab\there  \t1\nbad\t0\n")
    sentences, labels = readers.zipped_lines(tmp_path / "a.zip", "folder/x.txt")
    assert sentences == ("a tab\there", "bad")
    assert labels.tolist() == [1, 0]


def test_error_a_broken_zip_or_a_missing_member(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.txt", "bad\t0\n")
    with pytest.raises(DataError, match="not a whole zip archive"):
        readers.zipped_lines(path, "y.txt")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="not a whole zip archive"):
        readers.zipped_lines(path, "x.txt")


def test_oracle_cleaning_makes_copies_alike():
    labels = np.array([1, 0])
    cleaned, kept = readers.clean((('a "good"  film\x96 it is', "the script is\x85was it?"), labels))
    assert cleaned == ("a good film it is", "the script is was it?")
    assert kept is labels
    assert readers.clean((cleaned, labels))[0] == cleaned


def test_oracle_the_last_column_of_a_table_is_the_target(tmp_path):
    (tmp_path / "a").write_text("1 2   3\n4\t5 6e-3\n")
    x, y = readers.table(tmp_path / "a")
    assert x.tolist() == [[1, 2], [4, 5]]
    assert y.tolist() == [[3], [0.006]]


@pytest.mark.parametrize("text", ["1 2\n3\n", "", "1 two\n", "1 nan\n", "1\n2\n", "1 inf\n"])
def test_error_a_broken_table(tmp_path, text):
    (tmp_path / "a").write_text(text)
    with pytest.raises(DataError, match="not a table of numbers"):
        readers.table(tmp_path / "a")
