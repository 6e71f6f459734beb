"""The records of what can be fetched: complete, pinned, and in step with the names that types know."""

import re
from typing import get_args

import pytest

from weightlore.data import datasets
from weightlore.data.converters import digest
from weightlore.data.fetched import NumberSet, TextSet

RECORDS = datasets()


def test_property_names_are_unique_and_the_ones_that_types_know():
    names = [record.name for record in RECORDS]
    assert len(set(names)) == len(names)
    assert {record.name for record in RECORDS if record.kind == "text"} == set(get_args(TextSet))
    assert {record.name for record in RECORDS if record.kind != "text"} == set(get_args(NumberSet))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_property_a_record_says_whose_the_set_is_and_pins_it(record):
    assert record.title
    assert record.license in {"MIT", "CC BY 4.0", "none stated"}
    assert re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", record.citation)
    assert record.scale > 0
    assert record.originals
    for original in record.originals:
        assert original.address.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", original.sha256)
        assert ".." not in original.keep
        assert not original.keep.startswith("/")
    assert record.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", record.sha256)
    assert bool(record.mirror) == (record.convert_mirror is not None) == (record.sha256 is not None)
    if record.tried:  # who has read the originals knows what comes out
        assert record.sha256 is not None


def test_property_one_kept_name_is_one_file():
    kept = {}
    for record in RECORDS:
        for original in record.originals:
            assert kept.setdefault(original.keep, original) == original


def test_property_addresses_that_can_change_are_pinned_to_a_commit():
    for record in RECORDS:
        for original in record.originals:
            if "githubusercontent" in original.address:
                assert re.search(r"/[0-9a-f]{40}/", original.address)


@pytest.mark.parametrize("record", [record for record in RECORDS if record.mirror], ids=lambda record: record.name)
def test_oracle_a_mirror_gives_the_pinned_arrays(mirror, record):
    assert digest(record.convert_mirror([mirror / file for file in record.mirror])) == record.sha256


@pytest.mark.parametrize("name", ["fashion-mnist", *(record.name for record in RECORDS if record.kind == "table")])
def test_oracle_where_the_mirror_holds_the_originals_their_checksums_agree(mirror, name):
    import hashlib

    record = next(record for record in RECORDS if record.name == name)
    for original, file in zip(record.originals, record.mirror, strict=True):
        assert hashlib.sha256((mirror / file).read_bytes()).hexdigest() == original.sha256
