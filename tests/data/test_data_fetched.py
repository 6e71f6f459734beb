"""Fetching: what comes is what was pinned, or nothing at all, and the message says what to do."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from weightlore.data import Dataset, Original, Text, data_folder, datasets, fetch, fold
from weightlore.data.converters import digest, one_table
from weightlore.errors import DataError, ParameterError

TABLE = "\n".join(f"{row} {row * 0.5} {row * row}" for row in range(2000)).encode()


@contextmanager
def served(answer: str) -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that answers whole, wrong, truncated, broken, refused or with a closed connection."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if answer == "closed":
                return
            body = TABLE[::-1] if answer == "wrong" else TABLE[: len(TABLE) // 2] if answer == "truncated" else TABLE
            self.send_response(404 if answer == "refused" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if answer == "broken" else body)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/data.txt", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder where things are kept; no mirror and no proxy."""
    monkeypatch.delenv("WEIGHTLORE_DATA_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path / "kept"))
    return tmp_path / "kept"


def record(address: str, sha256: str | None = None) -> Dataset:
    (numbers,) = [np.array([[float(v) for v in line.split()] for line in TABLE.decode().splitlines()])]
    return Dataset(
        name="squares",
        title="a row, its half, its square",
        kind="table",
        license="MIT",
        citation="nobody2000none",
        originals=(Original(address, hashlib.sha256(TABLE).hexdigest(), "toys/squares.txt"),),
        convert=one_table,
        tried=True,
        sha256=sha256 or digest({"all": (numbers[:, :-1], numbers[:, -1:])}),
        mirror=("toys/mirrored.txt",),
        convert_mirror=one_table,
    )


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_property_a_set_is_fetched_once_and_kept(folder):
    with served("whole") as (address, asked):
        first = fetch(record(address), dtype=torch.float64)
        assert asked == ["/data.txt"]
        second = fetch(record(address), dtype=torch.float64)
        assert asked == ["/data.txt"]
    third = fetch(record(address), dtype=torch.float64)  # the server is gone
    assert files(folder) == [folder / "toys" / "squares.txt"]
    for found in (first, second, third):
        assert found["all"].x.shape == (2000, 2)
        assert found["all"].y[:, 0].tolist() == [row * row for row in range(2000)]


def test_property_every_call_gives_fresh_tensors(folder):
    with served("whole") as (address, _):
        fetch(record(address))["all"].x.fill_(-1)
        assert fetch(record(address))["all"].x.min() == 0


def test_property_the_folder_may_be_given(folder, tmp_path):
    with served("whole") as (address, _):
        fetch(record(address), folder=tmp_path / "elsewhere")
    assert files(tmp_path / "elsewhere")
    assert not folder.exists()


def test_property_a_kept_file_that_was_changed_is_fetched_again(folder):
    with served("whole") as (address, asked):
        fetch(record(address))
        (folder / "toys" / "squares.txt").write_bytes(TABLE[:-9])
        assert len(fetch(record(address))["all"]) == 2000
        assert len(asked) == 2
    (folder / "toys" / "squares.txt").write_bytes(TABLE[:-9])
    with pytest.raises(DataError, match="squares could not be fetched"):
        fetch(record(address))  # never used, though it is there


@pytest.mark.parametrize("answer", ["wrong", "truncated", "broken", "refused", "closed"])
def test_error_whatever_goes_wrong_on_the_way_leaves_nothing_behind(folder, answer):
    with served(answer) as (address, _), pytest.raises(DataError) as caught:
        fetch(record(address))
    message = str(caught.value)
    assert "`weightlore data fetch squares`" in message
    assert address in message
    if answer in ("wrong", "truncated"):
        assert "gave another file than the pinned one" in message
    else:
        assert "WEIGHTLORE_DATA_MIRROR name a folder that holds toys/mirrored.txt" in message
    assert files(folder) == []
    with served("whole") as (address, _):
        assert len(fetch(record(address))["all"]) == 2000


def test_error_no_network(folder):
    with served("whole") as (address, _):
        pass
    with pytest.raises(DataError, match=r"could not be fetched from .*With a connection, run `weightlore data fetch"):
        fetch(record(address))


def test_property_without_a_network_the_file_may_be_put_where_the_message_says(folder):
    with served("whole") as (address, _):
        pass
    without = replace(record(address), mirror=(), convert_mirror=None)
    with pytest.raises(DataError, match=r"without one, put that file at .*squares\.txt$") as caught:
        fetch(without)
    named = Path(str(caught.value).rpartition("put that file at ")[2])
    named.parent.mkdir(parents=True, exist_ok=True)
    named.write_bytes(TABLE)
    assert len(fetch(without)["all"]) == 2000


def test_error_a_folder_that_cannot_be_written(folder):
    folder.write_text("a file where a folder should be")
    with served("whole") as (address, _), pytest.raises(DataError, match="let WEIGHTLORE_DATA name a folder that can"):
        fetch(record(address))


def test_error_arrays_with_another_checksum(folder):
    with served("whole") as (address, _), pytest.raises(DataError, match=r"squares from .* is not the pinned set"):
        fetch(record(address, sha256="0" * 64))


def test_error_a_broken_file_behind_a_right_checksum(folder):
    with served("wrong") as (address, _):
        pinned = replace(record(address).originals[0], sha256=hashlib.sha256(b"").hexdigest())
        kept = folder / pinned.keep
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"")
        with pytest.raises(DataError, match="is not a table of numbers"):
            fetch(replace(record(address), originals=(pinned,)))


def test_property_the_downloader_announces_nothing_and_keeps_its_setting(folder):
    announced, logger = [], pooch.get_logger()
    listener = logging.Handler()
    listener.emit = announced.append
    level = logger.level
    logger.addHandler(listener)
    try:
        with served("whole") as (address, _):
            fetch(record(address))
    finally:
        logger.removeHandler(listener)
    assert announced == []
    assert logger.level == level


def test_property_a_progress_bar_shows_only_where_it_is_wanted(folder, tmp_path, capfd):
    with served("whole") as (address, _):
        fetch(record(address))
        assert capfd.readouterr() == ("", "")
        fetch(record(address), folder=tmp_path / "again", progress=True)
        assert "100%" in capfd.readouterr().err


def test_property_a_mirror_is_read_before_any_network(folder, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "toys").mkdir(parents=True)
    (tmp_path / "mirror" / "toys" / "mirrored.txt").write_bytes(TABLE)
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(tmp_path / "mirror"))
    with served("whole") as (address, asked):
        assert len(fetch(record(address))["all"]) == 2000
        assert asked == []
        (tmp_path / "mirror" / "toys" / "mirrored.txt").write_bytes(TABLE + b"\n1 2 3")
        with pytest.raises(
            DataError, match=r"squares from the mirror is not the pinned set.*Unset WEIGHTLORE_DATA_MIRROR"
        ):
            fetch(record(address))
        (tmp_path / "mirror" / "toys" / "mirrored.txt").unlink()
        assert len(fetch(record(address))["all"]) == 2000  # a mirror need not hold everything
        assert asked == ["/data.txt"]


def test_error_a_mirror_that_is_no_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(tmp_path / "absent"))
    with pytest.raises(DataError, match="which is not a folder; correct or unset it"):
        fetch("usps")


def test_error_an_unknown_name():
    with pytest.raises(ParameterError, match=r"no set 'mnist'; the names are fashion-mnist, usps, .*uci-yacht"):
        fetch("mnist")


def test_property_the_folder_is_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("WEIGHTLORE_DATA")
    assert "weightlore" in data_folder().parts[-1]


COUNTS = {
    "fashion-mnist": {"train": [6000] * 10, "test": [1000] * 10},
    "usps": {
        "train": [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644],
        "test": [359, 264, 198, 166, 200, 160, 170, 147, 166, 177],
    },
    "cifar10-subset": {
        "train": [396, 366, 420, 384, 422, 393, 414, 385, 407, 413],
        "test": [103, 89, 100, 103, 90, 86, 112, 102, 106, 109],
    },
    "mr": {"all": [5331, 5331]},
    "sst2": {"train": [3310, 3610], "validation": [428, 444], "test": [912, 909]},
    "cr": {"all": [1366, 2405]},
    "sls-imdb": {"all": [500, 500]},
    "sls-amazon": {"all": [500, 500]},
    "sls-yelp": {"all": [500, 500]},
}


@pytest.mark.parametrize("name", COUNTS)
def test_oracle_the_real_sets_have_their_known_counts(mirror, name):
    state = torch.get_rng_state()
    found = fetch(name)
    assert {part: torch.bincount(data.y).tolist() for part, data in found.items()} == COUNTS[name]
    assert all(data.y.dtype == torch.int64 for data in found.values())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("name", "shape"), [("fashion-mnist", (1, 28, 28)), ("usps", (1, 16, 16))])
def test_oracle_real_images_fill_the_unit_range(mirror, name, shape):
    for data in fetch(name).values():
        assert data.x.shape[1:] == shape
        assert data.x.min() == 0
        assert data.x.max() == 1


def test_oracle_usps_levels_are_the_stored_ones(mirror):
    with np.load(mirror / "usps/usps.npz", allow_pickle=False) as stored:
        levels = torch.from_numpy(stored["test_images"])
    torch.testing.assert_close(fetch("usps")["test"].x[:, 0], levels, atol=1e-7, rtol=0)


def test_oracle_cifar_pixels_are_the_stored_ones(mirror):
    with np.load(mirror / "cifar10/cifar10_lossless_subset.npz", allow_pickle=False) as stored:
        pixels = torch.from_numpy(stored["train_images"][:50])
    assert torch.equal((fetch("cifar10-subset")["train"].x[:50] * 255).round().permute(0, 2, 3, 1), pixels.float())


TABLES = {
    "uci-concrete": (1030, 8, 25),
    "uci-energy": (768, 8, 0),
    "uci-kin8nm": (8192, 8, 0),
    "uci-power-plant": (9568, 4, 41),
    "uci-wine-quality-red": (1599, 11, 240),
    "uci-yacht": (308, 6, 0),
}


@pytest.mark.parametrize("name", TABLES)
def test_oracle_the_real_tables_have_their_known_shapes_and_repetitions(mirror, name):
    rows, columns, repeated = TABLES[name]
    data = fetch(name, dtype=torch.float64)["all"]
    assert data.x.shape == (rows, columns)
    assert data.y.shape == (rows, 1)
    assert rows - len(torch.cat([data.x, data.y], dim=1).unique(dim=0)) == repeated
    parts = fold(data, 3)
    assert len(parts["train"]) == round(0.9 * rows)
    assert len(parts["train"]) + len(parts["test"]) == rows


def test_oracle_the_domains_of_sentences_are_what_their_title_says(mirror):
    frequent = {
        "mr": "film",
        "sst2": "film",
        "sls-imdb": "movie",
        "sls-yelp": "food",
        "sls-amazon": "phone",
        "cr": "player",
    }
    for name, word in frequent.items():
        for text in fetch(name).values():
            assert isinstance(text, Text)
            assert sum(word in sentence.lower() for sentence in text.sentences) > 0.04 * len(text)
            assert all(sentence == sentence.strip() and sentence for sentence in text.sentences)


def test_claim_sst2_is_part_of_mr(mirror):
    known = {"".join(sentence.split()) for sentence in fetch("mr")["all"].sentences}
    test = fetch("sst2")["test"].sentences
    assert sum("".join(sentence.split()) in known for sentence in test) > 0.5 * len(test)


def test_property_every_set_of_the_mirror_can_be_had_by_name(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path))
    small = [record for record in datasets() if record.mirror and record.kind != "images"]
    assert all(fetch(record.name) for record in small)
    assert files(tmp_path) == []  # nothing is fetched where a mirror has it
