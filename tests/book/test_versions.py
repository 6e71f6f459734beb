"""Every page says its version, offers to be edited and reported on, and the list of versions tells the truth."""

import re

import links
import pytest
import versions
from contents import ROOT, toc_pages

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_property_the_list_begins_with_the_version_of_the_package():
    first, *older = versions.known()
    assert first["version"] == versions.version()
    assert first["preferred"] is True
    assert not any(entry.get("preferred") for entry in older)


def test_property_every_released_version_is_in_the_list():
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}", CHANGELOG, re.MULTILINE)
    listed = {entry["version"] for entry in versions.known() if "preparation" not in entry["name"]}
    assert listed == set(released)


def test_property_the_list_as_markdown_has_every_version():
    lines = versions.versions().splitlines()
    assert len(lines) == len(versions.known())
    assert all(line.startswith("- [") and "](https://" in line for line in lines)


@pytest.mark.book
@pytest.mark.parametrize("page", toc_pages())
def test_property_a_page_says_its_version_and_can_be_edited_and_reported_on(html, page):
    text = (html / page).read_text()
    assert f"Version {versions.version()} · <a href=" in text
    addresses = links.read(html / page).links
    (edited,) = {a.partition("/edit/main/")[2] for a in addresses if "/edit/main/" in a}
    assert (ROOT / edited).is_file()
    assert edited.rpartition(".")[0] + ".html" == page
    assert any("/issues/new" in address for address in addresses)


@pytest.mark.book
def test_property_the_list_is_a_file_of_the_site(html):
    assert (html / "_static" / "switcher.json").read_text() == versions.LIST.read_text()
