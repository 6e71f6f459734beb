"""Converters: from either copy of a set the same arrays, and a checksum that sees every change."""

import bz2
import io
import pickle
import tarfile

import numpy as np
import pytest

from weightlore.data import converters


def parts(x=None, y=None, name="train"):
    x = np.arange(6, dtype=np.int16).reshape(2, 3) if x is None else x
    return {name: (x, np.array([0, 1]) if y is None else y)}


def test_property_the_checksum_sees_every_change():
    base = np.arange(6, dtype=np.int16).reshape(2, 3)
    changed = [
        parts(),
        parts(name="test"),
        parts(base.reshape(3, 2)),
        parts(base.astype(np.uint16)),
        parts(base + np.eye(2, 3, dtype=np.int16)),
        parts(y=np.array([1, 0])),
        parts(("a", "b")),
        parts(("a", "c")),
        parts(("a", "b"), np.array([1, 1])),
        {**parts(), **parts(name="test")},
    ]
    assert len({converters.digest(part) for part in changed}) == len(changed)


def test_property_the_checksum_does_not_see_byte_order_or_layout():
    base = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert converters.digest(parts(base.astype(">i2"))) == converters.digest(parts(base))
    assert converters.digest(parts(np.asfortranarray(base))) == converters.digest(parts(base))


def test_oracle_usps_from_its_table_and_from_an_archive_are_the_same(tmp_path):
    """Gray levels of three decimals from -1 to 1 in the table, single-precision levels from 0 to 1 in the archive."""
    random = np.random.default_rng(0)
    files, arrays = [], {}
    for part, n in (("train", 5), ("test", 3)):
        thousandths = random.integers(-1000, 1001, (n, 256))
        thousandths[:, ::3] = 0
        digits = random.integers(0, 10, n)
        lines = [
            " ".join([str(digit + 1), *(f"{place}:{value / 1000}" for place, value in enumerate(row, 1) if value)])
            for digit, row in zip(digits, thousandths, strict=True)
        ]
        files.append(tmp_path / f"{part}.bz2")
        files[-1].write_bytes(bz2.compress("\n".join(lines).encode()))
        arrays[f"{part}_images"] = ((thousandths / 1000 + 1) / 2).astype(np.float32).reshape(n, 16, 16)
        arrays[f"{part}_labels"] = digits.astype(np.uint8)
    np.savez(tmp_path / "usps.npz", **arrays)
    table, archive = converters.usps_tables(files), converters.npz_pairs([tmp_path / "usps.npz"], scale=2000)
    assert converters.digest(table) == converters.digest(archive)
    assert table["train"][0].shape == (5, 16, 16, 1)
    assert np.abs(table["test"][0][..., 0] / 2000 - arrays["test_images"]).max() < 1e-7


def cifar_archive(path, names, n, labels):
    batches = {}
    with tarfile.open(path, "w:gz") as tar:
        for number, name in enumerate(names):
            planes = np.random.default_rng(number).integers(0, 256, (n, 3072), dtype=np.uint8)
            batches[name] = planes, [(number + row) % 10 for row in range(n)]
            data = pickle.dumps({b"data": planes, labels: batches[name][1]}, protocol=4)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return batches


def test_oracle_a_cifar_archive_and_its_subset(tmp_path):
    batches = cifar_archive(tmp_path / "a.tar.gz", ["one", "two", "test"], 8, b"labels")
    whole = converters.archived_cifar([tmp_path / "a.tar.gz"], ["one", "two"], ["test"])
    assert whole["train"][0].shape == (16, 32, 32, 3)
    assert whole["train"][1].tolist() == batches["one"][1] + batches["two"][1]
    assert whole["test"][1].tolist() == batches["test"][1]
    subset = converters.archived_cifar([tmp_path / "a.tar.gz"], ["one"], ["test"], first=4)
    assert (subset["train"][0] == whole["train"][0][:4]).all()
    assert (subset["test"][0] == whole["test"][0][:1]).all()
    assert len(subset["test"][1]) == 1
    np.savez(
        tmp_path / "b.npz",
        **{f"{part}_{what}": subset[part][which] for part in subset for which, what in enumerate(("images", "labels"))},
    )
    assert converters.digest(converters.npz_pairs([tmp_path / "b.npz"])) == converters.digest(subset)


def test_oracle_sentences_from_originals_and_from_tables_are_the_same(tmp_path):
    (tmp_path / "all").write_text("0 bad \n1 good\n0 \n1 fine\n")
    (tmp_path / "pos").write_text("good\nfine \n")
    (tmp_path / "neg").write_text("bad\n\n")
    (tmp_path / "tsv").write_text("label\ttext\n1\tgood\n1\tfine\n0\tbad\n")
    expected = converters.digest(converters.labeled_files([tmp_path / "tsv"], header=True))
    assert converters.digest(converters.positive_first([tmp_path / "all"])) == expected
    assert converters.digest(converters.two_classes([tmp_path / "pos", tmp_path / "neg"])) == expected


def test_oracle_parts_take_their_files_in_order(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(f'1 "{name}"\n')
    found = converters.labeled_files([tmp_path / "b", tmp_path / "a"], parts=("train", "test"), tidy=True)
    assert found["train"][0] == ("b",)
    assert found["test"][0] == ("a",)
    with pytest.raises(ValueError, match="zip"):
        converters.labeled_files([tmp_path / "a"], parts=("train", "test"))
